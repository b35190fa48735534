//! The motion gate: whether the network needs to look at a frame at all. Most frames of a shop at night show nothing
//! new, and finding that out costs a hundredth of a look.
//!
//! Where nothing moves, what was found last is still there, and the gate says so ([`Gate::carry`]): tracks go on, dwell
//! goes on, and the pipeline needs to know nothing of the gate. It stays open
//!
//! - while something moves and for [`HOLD`] after it, and while the background is learnt;
//! - when everything has changed, as after a lamp was switched;
//! - while anybody that is followed was not found by the last look, or is too new to be counted: what is in doubt is
//!   looked at, in every frame, as without a gate;
//! - every [`RECHECK`] while somebody is there, every [`ROUND`] while nobody is: whoever sat still when the appliance
//!   started is found, too.
//!
//! Pure, and for live cameras: a recording holds what came out of here, looks and carried ones alike. Absent: which part
//! of the picture to look at, as the network's input is small already.

use super::motion::{Motion, Seen};
use super::{Detector, Meter, Stages};
use crate::clue::Clues;
use crate::detection::{Detection, Detections};
use crate::frame::Frame;
use crate::sight::Grey;
use crate::time::{MediaTime, Span};
use crate::track::{Track, TrackState};
use anyhow::Result;

/// After the last motion: who has stopped walking still turns.
pub const HOLD: Span = Span::from_millis(1_000);
pub const RECHECK: Span = Span::from_millis(1_000);
pub const ROUND: Span = Span::from_millis(5_000);

/// The gate of one camera.
#[derive(Debug, Default)]
pub struct Gate {
    motion: Motion,
    moved: Option<MediaTime>,
    /// When the network looked last, and what it found.
    looked: Option<MediaTime>,
    found: Vec<Detection>,
}

impl Gate {
    /// Whether the network must look at this frame. `grey` is the frame, `tracks` those after the frame before.
    pub fn is_open(&mut self, grey: &Grey, at: MediaTime, tracks: &[Track]) -> bool {
        if self.motion.look(grey, at) != Seen::Still {
            self.moved = Some(at);
        }
        // Time that goes back, in a camera that was opened again, is no reason to wait for it.
        let within = |since: Option<MediaTime>, span: Span| since.is_some_and(|s| at >= s && at - s < span);
        if within(self.moved, HOLD) {
            return true;
        }
        let in_doubt = |track: &Track| track.state != TrackState::Confirmed;
        let round = if tracks.is_empty() { ROUND } else { RECHECK };
        tracks.iter().any(in_doubt) || !within(self.looked, round)
    }

    /// The network has looked.
    pub fn looked(&mut self, found: &Detections) {
        self.looked = Some(found.at);
        self.found.clone_from(&found.items);
    }

    /// What there is in a frame in which nothing has moved since the last look.
    pub fn carry(&self, frame: &Frame) -> Detections {
        Detections {
            at: frame.at,
            taken: frame.taken,
            aspect: frame.picture.aspect(),
            items: self.found.clone(),
            clues: Clues::default(),
        }
    }
}

/// What there is in the frame: what `detector` finds there or, where the gate is closed, what it has found before.
/// `tracks` are those after the frame before. `stages` stay at nought where nobody looked.
///
/// # Errors
/// The frame cannot be decoded, or the network fails.
pub fn look(
    detector: &mut dyn Detector,
    gate: Option<&mut Gate>,
    frame: &Frame,
    tracks: &[Track],
    stages: &mut Stages,
) -> Result<Looked> {
    let mut meter = Meter::start();
    // Once for both; what a compressed picture is decoded to is for neither people nor disk.
    let small = Frame { picture: frame.picture.decoded(detector.enough(frame.picture.size()))?, ..frame.clone() };
    let decode = meter.lap();
    let Some(gate) = gate else {
        let found = detector.detect_timed(&small, stages)?;
        stages.decode = decode;
        return Ok(Looked { found, is_new: true });
    };
    let is_open = gate.is_open(&Grey::of(&small.picture)?, frame.at, tracks);
    let cost = meter.lap();
    if is_open {
        gate.looked(&detector.detect_timed(&small, stages)?);
    }
    (stages.decode, stages.gate) = (decode, cost);
    Ok(Looked { found: gate.carry(frame), is_new: is_open })
}

/// What there is in a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Looked {
    pub found: Detections,
    /// The network has looked; otherwise it was spared.
    pub is_new: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Class;
    use crate::frame::{Picture, Yuv420};
    use crate::geometry::BBox;
    use crate::ids::CameraId;
    use crate::pipeline::{CameraPlan, Pipeline};
    use crate::time::WallTime;
    use std::sync::Arc;

    /// A person is a dark block 8 pixels wide of 80, at this column; the detector sees whoever is there.
    type Scene = fn(f64) -> Option<u32>;

    struct Eye {
        scene: Scene,
        /// When it does not see who is there.
        blind: fn(f64) -> bool,
        looks: Vec<f64>,
    }

    impl Detector for Eye {
        fn model(&self) -> &str {
            "eye"
        }
        fn classes(&self) -> &[Class] {
            &[]
        }
        fn enough(&self, picture: (u32, u32)) -> (u32, u32) {
            picture
        }
        fn detect_timed(&mut self, frame: &Frame, _: &mut Stages) -> Result<Detections> {
            let t = frame.at.secs_f64();
            self.looks.push(t);
            let person = (self.scene)(t).filter(|_| !(self.blind)(t)).map(|x| {
                let x = x as f32 / 80.0;
                Detection { class: Class::PERSON, score: 0.9, bbox: BBox::new(x, 0.4, x + 0.1, 0.8) }
            });
            let items = person.into_iter().collect();
            Ok(Detections {
                at: frame.at,
                taken: frame.taken,
                aspect: frame.picture.aspect(),
                items,
                clues: Clues::default(),
            })
        }
    }

    fn picture(person: Option<u32>) -> Picture {
        let (width, height) = (80, 45);
        let inside = |x, y| person.is_some_and(|left| (left..left + 8).contains(&x)) && (18..36).contains(&y);
        let luma = |i| if inside(i % width, i / width) { 20 } else { 100 + (i % width / 9 * 50 % 70) as u8 };
        let y = (0..width * height).map(luma).collect();
        let [u, v] = [vec![128; 40 * 23], vec![128; 40 * 23]];
        Picture::Yuv420(Arc::new(Yuv420 { width, height, y, u, v, full_range: true }))
    }

    /// Ten frames a second through gate, detector and pipeline: when it looked, how many people were counted, and when
    /// the pipeline saw anybody.
    fn live(seconds: f64, scene: Scene, blind: fn(f64) -> bool) -> (Vec<f64>, u64, Vec<f64>) {
        let mut eye = Eye { scene, blind, looks: Vec::new() };
        let (mut gate, mut pipeline) = (Gate::default(), Pipeline::new(CameraPlan::counting_only("box", "door")));
        assert_eq!(pipeline.plan().camera, CameraId::new("door"));
        let mut present = Vec::new();
        for index in 0..(seconds * 10.0) as u64 {
            let at = MediaTime::from_micros(index as i64 * 100_000);
            let frame = Frame { index, at, taken: WallTime::EPOCH, picture: picture(scene(at.secs_f64())) };
            let sight = look(&mut eye, Some(&mut gate), &frame, pipeline.tracks(), &mut Stages::default()).unwrap();
            pipeline.step(&sight.found);
            if pipeline.present().values().any(|n| *n > 0) {
                present.push(at.secs_f64());
            }
        }
        let unique = pipeline.objects().get(&Class::PERSON).map_or(0, |totals| totals.unique);
        (eye.looks, unique, present)
    }

    fn between(looks: &[f64], from: f64, to: f64) -> usize {
        looks.iter().filter(|t| (from..to).contains(*t)).count()
    }

    #[test]
    fn an_empty_room_is_looked_at_every_five_seconds() {
        let (looks, unique, _) = live(62.0, |_| None, |_| false);
        assert_eq!(unique, 0);
        assert_eq!(between(&looks, 0.0, 1.9), 19, "until it is known what nothing looks like");
        assert!((11..=12).contains(&between(&looks, 1.9, 62.0)), "{looks:?}");
    }

    #[test]
    fn somebody_comes_stands_still_for_a_minute_and_goes_and_is_one_person_all_the_time() {
        fn scene(t: f64) -> Option<u32> {
            match t {
                6.0..8.0 => Some(((t - 6.0) * 20.0) as u32),
                8.0..68.0 => Some(40),
                68.0..70.0 => Some(40 + ((t - 68.0) * 20.0) as u32),
                _ => None,
            }
        }
        let (looks, unique, present) = live(80.0, scene, |_| false);
        assert_eq!(unique, 1);
        assert_eq!(between(&looks, 6.0, 8.0), 20, "who moves is looked at in every frame");
        let still = between(&looks, 10.0, 68.0);
        assert!((56..=60).contains(&still), "{still}: once a second");
        assert!(between(&looks, 68.0, 70.0) >= 18, "a step or two until it is motion");
        // Confirmed a moment after coming in; then in every frame, looked at or not, until gone.
        let (first, last) = (present[0], present[present.len() - 1]);
        assert!(first < 7.0 && (69.5..70.5).contains(&last), "{first} to {last}");
        assert_eq!(present.len(), ((last - first) * 10.0).round() as usize + 1, "without a gap");
    }

    #[test]
    fn a_doubt_is_looked_into_until_it_is_settled() {
        // Somebody was there from the beginning; from 20 s on the network does not see him any more.
        let (looks, unique, present) = live(40.0, |_| Some(60), |t| t >= 20.0);
        assert_eq!(unique, 1);
        let lost = looks.iter().filter(|t| (20.0..23.0).contains(*t)).count();
        assert!(lost >= 15, "{lost}: every frame while the track is lost");
        assert!(between(&looks, 25.0, 40.0) <= 4, "then it is empty: {looks:?}");
        assert!(present[present.len() - 1] < 21.1, "what was not found is not carried");
    }

    #[test]
    fn whoever_the_network_sees_only_later_is_found_without_having_moved() {
        let (_, unique, present) = live(40.0, |_| Some(60), |t| t < 20.0);
        assert_eq!(unique, 1);
        assert!(present[0] < 26.0, "{}", present[0]);
    }
}
