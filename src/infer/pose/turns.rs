//! Whose turn it is to be looked at: a look at one person costs a part of a look at the whole frame, and a full aisle must
//! not make a camera slow. So nobody is looked at more often than is of use, and not more people than fit into a frame;
//! whoever was seen longest ago comes first.
//!
//! Pure. Time is film time; a track is known by its id, the person in a new frame by the box that overlaps most with it.

use super::PoseEye;
use crate::detection::{Class, Detection, Detections};
use crate::frame::Frame;
use crate::geometry::BBox;
use crate::ids::TrackId;
use crate::time::{MediaTime, Span};
use crate::track::Track;
use anyhow::Result;
use std::collections::BTreeMap;

/// Looks at a frame.
const MOST: usize = 2;
/// Between two looks at the same person: a hand that reaches into a shelf takes longer.
const EVERY: Span = Span::from_millis(200);
/// Frames do not come to the microsecond.
const EARLY: Span = Span::from_millis(10);
/// Who was not asked about for so long is as good as new.
const FORGOTTEN: Span = Span::from_millis(10_000);
/// Overlap (intersection over union) of a track and a detection that may be the same person.
const SAME: f32 = 0.3;

/// Of one camera: when each of its tracks was looked at last.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    looked: BTreeMap<TrackId, MediaTime>,
}

impl Turns {
    /// The boxes in `found` to look at in the frame of `at`, which are then taken to be looked at. `tracks` are those that
    /// are asked about, as they were after the frame before.
    pub fn next(&mut self, at: MediaTime, tracks: &[Track], found: &[Detection]) -> Vec<BBox> {
        // Film time may have started over.
        self.looked.retain(|_, looked| *looked <= at && at - *looked < FORGOTTEN);
        let last = |track: &Track| self.looked.get(&track.id).copied();
        let mut due: Vec<&Track> =
            tracks.iter().filter(|track| last(track).is_none_or(|looked| at - looked >= EVERY - EARLY)).collect();
        // Those who were never seen come first.
        due.sort_by_key(|track| (last(track), track.id));
        let mut free: Vec<BBox> = found.iter().filter(|d| d.class == Class::PERSON).map(|d| d.bbox).collect();
        let mut boxes = Vec::new();
        for track in due {
            let overlap = |bbox: &BBox| track.bbox.iou(bbox);
            let best = (0..free.len()).max_by(|a, b| overlap(&free[*a]).total_cmp(&overlap(&free[*b])));
            if boxes.len() < MOST
                && let Some(best) = best.filter(|best| overlap(&free[*best]) >= SAME)
            {
                boxes.push(free.swap_remove(best));
                self.looked.insert(track.id, at);
            }
        }
        boxes
    }
}

/// Looks at whose turn it is, and puts how they stand into what was found.
///
/// # Errors
/// The frame cannot be decoded, or the network fails; what was found stays.
pub fn look(
    eye: &mut dyn PoseEye,
    turns: &mut Turns,
    frame: &Frame,
    tracks: &[Track],
    found: &mut Detections,
) -> Result<()> {
    let boxes = turns.next(frame.at, tracks, &found.items);
    if !boxes.is_empty() {
        found.clues.poses = eye.look(&frame.picture, &boxes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::TrackState;

    /// People beside each other, by number.
    fn bbox(person: u64) -> BBox {
        BBox::from_xywh(0.1 * person as f32, 0.2, 0.08, 0.5)
    }

    fn track(person: u64) -> Track {
        let (at, state) = (MediaTime::ZERO, TrackState::Confirmed);
        Track { id: TrackId(person), class: Class::PERSON, score: 0.9, bbox: bbox(person), born: at, seen: at, state }
    }

    fn found(person: u64) -> Detection {
        let near = bbox(person);
        let bbox = BBox::new(near.x1 + 0.01, near.y1, near.x2 + 0.01, near.y2);
        Detection { class: Class::PERSON, score: 0.9, bbox }
    }

    /// Who is looked at in each of the frames, 40 ms apart; every person is asked about and found unless told.
    fn told(people: u64, frames: i64, found_in: impl Fn(i64, u64) -> bool) -> String {
        let mut turns = Turns::default();
        let tracks: Vec<Track> = (1..=people).map(track).collect();
        let frame = |n: i64| {
            let items: Vec<Detection> = (1..=people).filter(|person| found_in(n, *person)).map(found).collect();
            let boxes = turns.next(MediaTime::ZERO + Span::from_millis(40 * n), &tracks, &items);
            let number = |bbox: BBox| (1..=people).find(|person| found(*person).bbox == bbox).unwrap().to_string();
            boxes.into_iter().map(number).collect::<Vec<_>>().join("+")
        };
        (0..frames).map(frame).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_person_is_looked_at_five_times_a_second() {
        assert_eq!(told(1, 11, |_, _| true).split(' ').filter(|who| !who.is_empty()).count(), 3);
        assert_eq!(told(1, 6, |_, _| true), "1     1");
    }

    #[test]
    fn a_crowd_takes_turns_the_stalest_first() {
        assert_eq!(told(3, 7, |_, _| true), "1+2 3    1+2 3");
        assert_eq!(told(6, 7, |_, _| true), "1+2 3+4 5+6   1+2 3+4");
        assert_eq!(told(12, 7, |_, _| true), "1+2 3+4 5+6 7+8 9+10 11+12 1+2");
    }

    #[test]
    fn who_is_not_found_keeps_the_turn() {
        assert_eq!(told(2, 4, |frame, person| person == 1 || frame == 2), "1  2 ");
        assert_eq!(told(2, 3, |_, _| false), "  ");
    }

    #[test]
    fn film_time_that_starts_over_keeps_nobody_waiting() {
        let (mut turns, tracks, items) = (Turns::default(), [track(1)], [found(1)]);
        let mut at =
            |seconds: i64| turns.next(MediaTime::ZERO + Span::from_millis(1_000 * seconds), &tracks, &items).len();
        assert_eq!((at(100), at(0), at(0), at(1)), (1, 1, 0, 1));
    }

    #[test]
    fn things_have_no_joints() {
        let cart = Detection { class: Class::named("car"), ..found(1) };
        assert!(Turns::default().next(MediaTime::ZERO, &[track(1)], &[cart]).is_empty());
    }
}
