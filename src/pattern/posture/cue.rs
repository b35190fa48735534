//! What is read off poses: five numbers that do not depend on how large or where in the picture a person stands.

use crate::clue::{Joint, JointSight, Pose};
use crate::geometry::Point;
use std::f32::consts::FRAC_PI_2;

/// A joint below this score is not there; what MoveNet and OpenPose call likely lies above.
const SEEN: f32 = 0.3;
/// The mean score of shoulders and hips from which a pose is one. Half a person behind a shelf, a coat on a stand and
/// what a network makes of a trolley are below.
const CLEAR: f32 = 0.6;
/// No joint is so many frames away; also no number at all is not below it.
const ABSURD: f32 = 1e6;
/// Of an adult, seen upright: the torso as long as so many breadths of the shoulders and upper arms. Whichever is the
/// longest in the picture is the one that is least foreshortened.
const SHOULDERS: f32 = 1.1;
const UPPER_ARM: f32 = 1.5;

/// Names and order of the numbers in [`Cues`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cue {
    Hands,
    Reach,
    Head,
    Standing,
    Fetching,
}

impl Cue {
    pub const ALL: [Cue; 5] = [Cue::Hands, Cue::Reach, Cue::Head, Cue::Standing, Cue::Fetching];

    /// Where the values of nearly everybody lie.
    pub(super) fn range(self) -> (f32, f32) {
        match self {
            Cue::Hands => (-1.0, 2.0),
            Cue::Reach => (0.0, 2.0),
            Cue::Head => (-1.5, 1.0),
            Cue::Standing => (-1.5, 3.0),
            Cue::Fetching => (-0.5, 1.2),
        }
    }
}

/// One look at one person. A number is missing where its joints are hidden; more is stranger in each.
///
/// - [`Cue::Hands`]: how high the wrists are along the torso, the mean of those seen: 0 at the hips, 1 at the
///   shoulders. Hands that hang give 0, hands at work .2 to 1.
/// - [`Cue::Reach`]: how far from the torso's axis the farther wrist is, in lengths of the torso.
/// - [`Cue::Head`]: how far below the shoulders the head's middle is, in lengths of the torso; negative when upright.
/// - [`Cue::Standing`]: minus the decimal logarithm of the speed over the last 2 s, in lengths of the torso per second.
///   3 is as if nailed down, .3 is half a length a second, a stroll is negative.
/// - [`Cue::Fetching`]: a hand that was out within the last 2 s is now at the body: the least of how far it was
///   ([`Cue::Reach`]), of 1.2 minus its distance from the torso's middle, and of the elbow's bend in right angles.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Cues(pub(super) [Option<f32>; Cue::ALL.len()]);

impl Cues {
    pub fn get(&self, cue: Cue) -> Option<f32> {
        self.0[cue as usize]
    }
}

/// Where a person is and how large, in heights of the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Body {
    pub at: Point,
    /// The length the torso would have if it were not foreshortened.
    pub size: f32,
}

/// One pose, without its past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub body: Body,
    /// [`Cue::Standing`] and [`Cue::Fetching`] are left to who remembers.
    pub cues: Cues,
    /// How much an arm is folded in front of the body, the second half of [`Cue::Fetching`].
    pub folded: Option<f32>,
}

/// `aspect` is the frame's width divided by its height. `None` where the pose is no clear one.
pub(super) fn look(pose: &Pose, aspect: f32) -> Option<Look> {
    let sight = |joint: Joint| -> Option<Point> {
        let JointSight { at, score } = pose.joint(joint);
        (score >= SEEN && at.x.abs() < ABSURD && at.y.abs() < ABSURD).then(|| Point::new(at.x * aspect, at.y))
    };
    let torso = [Joint::LeftShoulder, Joint::RightShoulder, Joint::LeftHip, Joint::RightHip];
    let clearness = torso.iter().map(|&joint| pose.joint(joint).score).sum::<f32>() / 4.0;
    let torso = torso.map(sight);
    let shoulders = mean(&torso[..2])?;
    let hips = mean(&torso[2..])?;
    let length = distance(shoulders, hips);
    if !(clearness >= CLEAR && length > 0.0) {
        return None;
    }
    let between = |a: Option<Point>, b: Option<Point>| a.zip(b).map_or(0.0, |(a, b)| distance(a, b));
    let elbows = [Joint::LeftElbow, Joint::RightElbow].map(sight);
    let wrists = [Joint::LeftWrist, Joint::RightWrist].map(sight);
    let arm = between(torso[0], elbows[0]).max(between(torso[1], elbows[1]));
    let size = length.max(between(torso[0], torso[1]) * SHOULDERS).max(arm * UPPER_ARM);

    let up = Point::new((shoulders.x - hips.x) / length, (shoulders.y - hips.y) / length);
    let (mut hands, mut seen, mut reach) = (0.0, 0.0, None::<f32>);
    let middle = Point::new((shoulders.x + hips.x) / 2.0, (shoulders.y + hips.y) / 2.0);
    let mut folded = None::<f32>;
    for ((wrist, elbow), shoulder) in wrists.into_iter().zip(elbows).zip(torso) {
        let Some(wrist) = wrist else { continue };
        let arm = Point::new(wrist.x - hips.x, wrist.y - hips.y);
        hands += (arm.x * up.x + arm.y * up.y) / length;
        seen += 1.0;
        reach = most(reach, (arm.y * up.x - arm.x * up.y).abs() / size);
        if let Some((elbow, shoulder)) = elbow.zip(shoulder) {
            folded = most(folded, (1.2 - distance(wrist, middle) / size).min(bend(shoulder, elbow, wrist)));
        }
    }
    let face = [Joint::Nose, Joint::LeftEye, Joint::RightEye, Joint::LeftEar, Joint::RightEar].map(sight);
    let head = mean(&face).map(|head| (head.y - shoulders.y) / size);
    let body = Body { at: mean(&torso)?, size };
    let hands = (seen > 0.0).then(|| hands / seen);
    Some(Look { body, cues: Cues([hands, reach, head, None, None]), folded })
}

/// Of an elbow, in right angles: 0 where the arm is straight, 2 where the hand touches the shoulder.
fn bend(shoulder: Point, elbow: Point, wrist: Point) -> f32 {
    let (a, b) = ((shoulder.x - elbow.x, shoulder.y - elbow.y), (wrist.x - elbow.x, wrist.y - elbow.y));
    let angle = (a.0 * b.1 - a.1 * b.0).abs().atan2(a.0 * b.0 + a.1 * b.1);
    2.0 - angle / FRAC_PI_2
}

fn most(so_far: Option<f32>, new: f32) -> Option<f32> {
    Some(so_far.map_or(new, |old| old.max(new)))
}

/// Of those that are seen.
fn mean(points: &[Option<Point>]) -> Option<Point> {
    let seen = points.iter().flatten().count() as f32;
    let sum = points.iter().flatten().fold(Point::new(0.0, 0.0), |sum, p| Point::new(sum.x + p.x, sum.y + p.y));
    (seen > 0.0).then(|| Point::new(sum.x / seen, sum.y / seen))
}

pub(super) fn distance(a: Point, b: Point) -> f32 {
    (a.x - b.x).hypot(a.y - b.y)
}

#[cfg(test)]
mod tests {
    use super::super::doll::{Doll, pose};
    use super::*;

    fn cues(doll: Doll) -> Cues {
        look(&pose(doll), 1.0).unwrap().cues
    }

    fn near(found: Option<f32>, expected: f32) {
        assert!((found.unwrap() - expected).abs() < 1e-4, "{found:?} is not {expected}");
    }

    #[test]
    fn the_numbers_of_one_who_lets_his_arms_hang() {
        let cues = cues(Doll::default());
        near(cues.get(Cue::Hands), 0.0);
        near(cues.get(Cue::Reach), 0.4);
        near(cues.get(Cue::Head), -0.4);
        assert_eq!(cues.get(Cue::Standing), None);
    }

    #[test]
    fn hands_at_the_chest_are_high_and_an_arm_held_out_is_far() {
        let chest = cues(Doll { wrists: [(0.1, 0.7), (-0.1, 0.5)], ..Doll::default() });
        near(chest.get(Cue::Hands), 0.6);
        near(chest.get(Cue::Reach), 0.1);
        let out = cues(Doll { wrists: [(1.2, 0.9), (-0.4, 0.0)], ..Doll::default() });
        near(out.get(Cue::Reach), 1.2);
    }

    #[test]
    fn an_arm_is_folded_where_the_elbow_is_bent_and_the_hand_is_at_the_body() {
        let folded = |right, up| look(&pose(Doll { wrists: [(right, up), (-0.4, 0.0)], ..Doll::default() }), 1.0);
        let folded = |right, up| folded(right, up).unwrap().folded.unwrap();
        // Elbow at (.4, .5), shoulder at (.35, 1): forearm level, the bend is a right angle and 5.7 degrees.
        assert!((folded(0.0, 0.5) - 1.063).abs() < 0.001, "{}", folded(0.0, 0.5));
        assert!(folded(1.0, 0.5) < 0.3, "bent, but far out");
        assert!(folded(0.4, 0.0) < 0.1, "hanging");
        assert!((bend(Point::new(0.0, 0.0), Point::new(0.0, 1.0), Point::new(0.0, 2.0))).abs() < 1e-6);
    }

    #[test]
    fn size_and_place_do_not_matter() {
        let near_camera = Doll { x: 0.5, foot: 1.0, torso: 0.4, ..Doll::default() };
        let far_off = Doll { x: 0.1, foot: 0.3, torso: 0.05, ..Doll::default() };
        for cue in [Cue::Hands, Cue::Reach, Cue::Head] {
            near(cues(near_camera).get(cue), cues(far_off).get(cue).unwrap());
        }
        let (a, b) = (look(&pose(near_camera), 1.0).unwrap().body, look(&pose(far_off), 1.0).unwrap().body);
        assert!((a.size / b.size - 8.0).abs() < 1e-3);
    }

    #[test]
    fn a_wide_frame_is_not_a_wide_person() {
        let mut wide = pose(Doll::default());
        wide.joints.iter_mut().for_each(|joint| joint.at.x /= 16.0 / 9.0);
        let wide = look(&wide, 16.0 / 9.0).unwrap();
        near(wide.cues.get(Cue::Reach), 0.4);
        assert!((wide.body.size - look(&pose(Doll::default()), 1.0).unwrap().body.size).abs() < 1e-5);
    }

    #[test]
    fn what_is_hidden_is_missing_and_half_a_torso_is_nobody() {
        let mut hidden = pose(Doll::default());
        for joint in [Joint::LeftWrist, Joint::RightWrist] {
            hidden.joints[joint as usize].score = 0.1;
        }
        let seen = look(&hidden, 1.0).unwrap();
        assert_eq!((seen.cues.get(Cue::Hands), seen.cues.get(Cue::Reach), seen.folded), (None, None, None));
        hidden.joints[Joint::LeftHip as usize].score = 0.2;
        hidden.joints[Joint::RightHip as usize].score = 0.2;
        assert_eq!(look(&hidden, 1.0), None);
        let mut broken = pose(Doll::default());
        broken.joints[Joint::LeftShoulder as usize].at.x = f32::NAN;
        broken.joints[Joint::RightShoulder as usize].at.y = f32::INFINITY;
        assert_eq!(look(&broken, 1.0), None);
    }
}
