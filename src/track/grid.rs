//! Tracks on a grid, so that a recording holds them exactly as the rules saw them.
//!
//! A box that trembles by less than a step stays where it is, and a score that wavers keeps its value: neither tells
//! anything, and both would be most of what a recording costs.

use super::Track;
use crate::detection::{SCORE_STEPS, settled_score};
use crate::geometry::{BBox, GRID, from_grid, to_grid};

/// In steps: an edge moves once it is further away than this, a score once it differs by more.
const TREMBLE: f32 = 1.0;
const WAVER: f32 = 4.0;

/// The tracks of a frame on the grid; `before` are those of the frame before, which are on it.
pub fn settle(mut tracks: Vec<Track>, before: &[Track]) -> Vec<Track> {
    // Both are by id; whoever is not finds nobody and is rounded, which is fine as well.
    let mut earlier = before.iter().peekable();
    for track in &mut tracks {
        while earlier.next_if(|old| old.id < track.id).is_some() {}
        let old = earlier.peek().filter(|old| old.id == track.id);
        let [x1, y1, x2, y2] = track.bbox.to_array();
        let was = old.map(|old| old.bbox.to_array());
        let edge = |i: usize, v: f32| match was {
            Some(was) if ((v - was[i]) * GRID).abs() <= TREMBLE => to_grid(was[i]),
            _ => to_grid(v),
        };
        let (left, top) = (edge(0, x1), edge(1, y1));
        let (right, bottom) = (edge(2, x2).max(left), edge(3, y2).max(top));
        track.bbox = BBox::new(from_grid(left), from_grid(top), from_grid(right), from_grid(bottom));
        track.score = match old {
            Some(old) if (track.score - old.score).abs() * SCORE_STEPS <= WAVER => settled_score(old.score),
            _ => settled_score(track.score),
        };
    }
    tracks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::Class;
    use crate::ids::TrackId;
    use crate::time::MediaTime;
    use crate::track::TrackState;
    use proptest::prelude::*;

    fn track(id: u64, edges: [f32; 4], score: f32) -> Track {
        let [x1, y1, x2, y2] = edges;
        Track {
            id: TrackId(id),
            class: Class::PERSON,
            score,
            bbox: BBox::new(x1, y1, x2, y2),
            born: MediaTime::ZERO,
            seen: MediaTime::ZERO,
            state: TrackState::Confirmed,
        }
    }

    #[test]
    fn a_box_that_trembles_stays_and_one_that_walks_goes() {
        let first = settle(vec![track(3, [0.1, 0.2, 0.3, 0.8], 0.9)], &[]);
        let tremble = settle(vec![track(3, [0.1001, 0.1999, 0.3002, 0.7999], 0.88)], &first);
        assert_eq!(tremble, first);
        let walks = settle(vec![track(3, [0.101, 0.2, 0.301, 0.8], 0.7)], &tremble);
        assert_eq!(to_grid(walks[0].bbox.x1), 207);
        assert_eq!(walks[0].score, 0.703125);
        let other = settle(vec![track(4, [0.1001, 0.1999, 0.3002, 0.7999], 0.88)], &first);
        assert_ne!(other[0].bbox, first[0].bbox, "somebody else");
    }

    proptest! {
        #[test]
        fn what_is_settled_is_near_and_stays_so(edges in prop::array::uniform4(-0.5f32..1.5), score in 0f32..=1.0) {
            let [a, b, c, d] = edges;
            let given = track(1, [a.min(c), b.min(d), a.max(c), b.max(d)], score);
            let settled = settle(vec![given.clone()], &[]);
            for (was, is) in given.bbox.to_array().into_iter().zip(settled[0].bbox.to_array()) {
                prop_assert!((was - is).abs() <= 0.5001 / GRID);
            }
            prop_assert_eq!(&settle(settled.clone(), &[]), &settled);
            prop_assert_eq!(&settle(settled.clone(), &settled), &settled);
        }
    }
}
