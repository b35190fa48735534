//! A made-up person for tests.

use crate::clue::{Joint, JointSight, Pose};
use crate::geometry::{BBox, Point};

/// Stands upright in a square frame.
#[derive(Debug, Clone, Copy)]
pub struct Doll {
    pub x: f32,
    pub foot: f32,
    /// Length from the hips to the shoulders, fractions of the frame.
    pub torso: f32,
    /// From the hips' middle, in lengths of the torso: to the right, and up.
    pub wrists: [(f32, f32); 2],
}

impl Default for Doll {
    fn default() -> Self {
        Doll { x: 0.5, foot: 0.9, torso: 0.1, wrists: [(0.4, 0.0), (-0.4, 0.0)] }
    }
}

pub fn pose(doll: Doll) -> Pose {
    let Doll { x, foot, torso, wrists } = doll;
    let hips = foot - 1.6 * torso;
    let place = |joint: usize| match joint {
        0..=4 => (0.0, 1.4),
        5 => (0.35, 1.0),
        6 => (-0.35, 1.0),
        7 => (0.4, 0.5),
        8 => (-0.4, 0.5),
        9 => wrists[0],
        10 => wrists[1],
        11 => (0.2, 0.0),
        12 => (-0.2, 0.0),
        13 => (0.2, -0.8),
        14 => (-0.2, -0.8),
        15 => (0.2, -1.6),
        _ => (-0.2, -1.6),
    };
    let joints = std::array::from_fn::<_, { Joint::COUNT }, _>(|joint| {
        let (right, up) = place(joint);
        JointSight { at: Point::new(x + right * torso, hips - up * torso), score: 0.9 }
    });
    Pose { bbox: BBox::new(x - torso, foot - 3.1 * torso, x + torso, foot), joints }
}
