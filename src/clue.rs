//! What else was seen in a frame, beside the boxes: by eyes that look only where the scene asks them to.
//!
//! Clues travel with the [`Detections`](crate::detection::Detections) of their frame, so that what is recorded holds
//! them and can be played again. A frame without clues is the rule.

use crate::geometry::{BBox, Point};

/// Everything of one frame. Empty where nobody looked, which is not the same as nothing to see.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clues {
    pub poses: Vec<Pose>,
}

/// How one person stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Pose {
    /// The detection that was looked at; fractions of the frame.
    pub bbox: BBox,
    /// By [`Joint`].
    pub joints: [JointSight; Joint::COUNT],
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct JointSight {
    /// Fractions of the frame.
    pub at: Point,
    /// 0..1, how sure.
    pub score: f32,
}

/// In the order of COCO's key points. Left is the person's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    Nose,
    LeftEye,
    RightEye,
    LeftEar,
    RightEar,
    LeftShoulder,
    RightShoulder,
    LeftElbow,
    RightElbow,
    LeftWrist,
    RightWrist,
    LeftHip,
    RightHip,
    LeftKnee,
    RightKnee,
    LeftAnkle,
    RightAnkle,
}

impl Joint {
    pub const COUNT: usize = 17;
}

impl Pose {
    pub fn joint(&self, joint: Joint) -> JointSight {
        self.joints[joint as usize]
    }
}
