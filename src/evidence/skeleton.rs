//! What is drawn of a pose: bones between joints that the network is sure of.

use crate::clue::Joint::{self, *};
use crate::clue::Pose;
use crate::geometry::Point;

/// Joints that are less sure are guesses behind a shelf, and drawn they would look like knowledge.
const SURE: f32 = 0.2;

const BONES: [(Joint, Joint); 16] = [
    (Nose, LeftEye),
    (Nose, RightEye),
    (LeftEye, LeftEar),
    (RightEye, RightEar),
    (LeftShoulder, RightShoulder),
    (LeftShoulder, LeftElbow),
    (LeftElbow, LeftWrist),
    (RightShoulder, RightElbow),
    (RightElbow, RightWrist),
    (LeftShoulder, LeftHip),
    (RightShoulder, RightHip),
    (LeftHip, RightHip),
    (LeftHip, LeftKnee),
    (LeftKnee, LeftAnkle),
    (RightHip, RightKnee),
    (RightKnee, RightAnkle),
];

/// Ends of the bones, in fractions of the frame.
pub fn bones(pose: &Pose) -> impl Iterator<Item = (Point, Point)> {
    let sure = |joint: Joint| Some(pose.joint(joint)).filter(|sight| sight.score >= SURE);
    BONES.iter().filter_map(move |(a, b)| Some((sure(*a)?.at, sure(*b)?.at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clue::JointSight;
    use crate::geometry::BBox;

    #[test]
    fn a_bone_needs_both_its_joints() {
        let unsure = JointSight { at: Point::new(0.5, 0.5), score: 0.1 };
        let mut pose = Pose { bbox: BBox::new(0.0, 0.0, 1.0, 1.0), joints: [unsure; Joint::COUNT] };
        pose.joints[LeftKnee as usize] = JointSight { at: Point::new(0.4, 0.7), score: 0.9 };
        assert_eq!(bones(&pose).count(), 0);
        pose.joints[LeftAnkle as usize] = JointSight { at: Point::new(0.4, 0.9), score: 0.9 };
        assert_eq!(bones(&pose).collect::<Vec<_>>(), [(Point::new(0.4, 0.7), Point::new(0.4, 0.9))]);
    }
}
