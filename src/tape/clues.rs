//! Clues of a frame. Each kind has a bit; a kind that this version does not know makes the block one of a newer version.

use super::bits::{Bits, Torn, Usual};
use super::goods;
use crate::clue::{Clues, Joint, JointSight, Pose};
use crate::detection::SCORE_STEPS;
use crate::geometry::{BBox, Point, from_grid, to_grid};
use crate::track::MAX_BOXES;

const POSES: u64 = 1;
const SHELVES: u64 = 2;

/// Both sides keep the poses that were told last.
#[derive(Debug, Default)]
pub(super) struct ClueCoder {
    poses: Vec<Pose>,
    kinds: Usual,
    count: Usual,
    reference: Usual,
    edge: [Usual; 4],
    place: [Usual; 2],
    score: Usual,
}

impl ClueCoder {
    /// In either direction: gives what was written or read.
    pub fn code(&mut self, bits: &mut impl Bits, given: &Clues) -> Result<Clues, Torn> {
        let Clues { poses, shelves } = given;
        let kind = |is_empty: bool, bit: u64| if is_empty { 0 } else { bit };
        let kinds = self.kinds.number(bits, kind(poses.is_empty(), POSES) | kind(shelves.is_empty(), SHELVES))?;
        if kinds & !(POSES | SHELVES) != 0 {
            return Err(Torn);
        }
        let poses = if kinds & POSES != 0 { self.poses(bits, poses)? } else { Vec::new() };
        let shelves = if kinds & SHELVES != 0 { goods::code(bits, shelves)? } else { Vec::new() };
        Ok(Clues { poses, shelves })
    }

    fn poses(&mut self, bits: &mut impl Bits, given: &[Pose]) -> Result<Vec<Pose>, Torn> {
        let count = self.count.number(bits, given.len().min(MAX_BOXES) as u64)?;
        if count > MAX_BOXES as u64 {
            return Err(Torn);
        }
        let nobody = Pose { bbox: BBox::new(0.0, 0.0, 0.0, 0.0), joints: [NOWHERE; Joint::COUNT] };
        let mut poses = Vec::new();
        for i in 0..count as usize {
            poses.push(self.pose(bits, given.get(i).unwrap_or(&nobody))?);
        }
        self.poses.clone_from(&poses);
        Ok(poses)
    }

    /// Told against the pose that was in the same place: joints move with the box.
    fn pose(&mut self, bits: &mut impl Bits, given: &Pose) -> Result<Pose, Torn> {
        let near = |(_, a): &(usize, &Pose), (_, b): &(usize, &Pose)| {
            a.bbox.iou(&given.bbox).total_cmp(&b.bbox.iou(&given.bbox))
        };
        let nearest = self.poses.iter().enumerate().max_by(near).map_or(0, |(i, _)| i as u64 + 1);
        let reference = match self.reference.number(bits, nearest)? {
            0 => Pose {
                bbox: BBox::new(0.0, 0.0, 0.0, 0.0),
                joints: [JointSight { at: Point::new(0.0, 0.0), score: 0.5 }; Joint::COUNT],
            },
            i => self.poses.get(i as usize - 1).ok_or(Torn)?.clone(),
        };
        let (was, is) = (steps(&reference.bbox), steps(&given.bbox));
        let mut edges = [0; 4];
        for i in 0..4 {
            edges[i] = told(&mut self.edge[i], bits, was[i], is[i])?;
        }
        let bbox = BBox::new(from_grid(edges[0]), from_grid(edges[1]), from_grid(edges[2]), from_grid(edges[3]));
        let middle = |edges: [i32; 4]| [(edges[0] + edges[2]) / 2, (edges[1] + edges[3]) / 2];
        let moved: [i32; 2] = std::array::from_fn(|axis| middle(edges)[axis] - middle(was)[axis]);
        let mut joints = [NOWHERE; Joint::COUNT];
        for (i, joint) in joints.iter_mut().enumerate() {
            let (was, is) = (reference.joints[i], given.joints[i]);
            let x = told(&mut self.place[0], bits, to_grid(was.at.x) + moved[0], to_grid(is.at.x))?;
            let y = told(&mut self.place[1], bits, to_grid(was.at.y) + moved[1], to_grid(is.at.y))?;
            let score = told(&mut self.score, bits, score_steps(was.score), score_steps(is.score))?;
            *joint = JointSight { at: Point::new(from_grid(x), from_grid(y)), score: score as f32 / SCORE_STEPS };
        }
        Ok(Pose { bbox, joints })
    }
}

const NOWHERE: JointSight = JointSight { at: Point { x: 0.0, y: 0.0 }, score: 0.0 };

fn steps(bbox: &BBox) -> [i32; 4] {
    bbox.to_array().map(to_grid)
}

fn score_steps(score: f32) -> i32 {
    (score * SCORE_STEPS).round() as i32
}

fn told(usual: &mut Usual, bits: &mut impl Bits, was: i32, is: i32) -> Result<i32, Torn> {
    let off = usual.signed(bits, i64::from(is) - i64::from(was))?;
    // As far as the grid goes: a float holds every step of it.
    i64::from(was).checked_add(off).filter(|v| v.unsigned_abs() <= 1 << 20).map(|v| v as i32).ok_or(Torn)
}
