//! When a picture was taken, from two clocks of which neither is right: the camera's stamps (RTP time) are even but
//! drift, jump and begin anywhere; arrival is on our clock but comes in bursts. Stamps are trusted for the distance of
//! pictures, arrival for everything longer. Pure.

use crate::time::{MediaTime, Span};

/// What the network may hold back and give at once; a picture that seems older has a stamp that jumped.
const OLDEST: Span = Span::from_millis(1_000);

#[derive(Debug, Default)]
pub struct Timeline {
    /// Arrival minus stamp of what came fastest.
    offset: Option<Span>,
}

impl Timeline {
    /// Called for every access unit in the order of arrival. Never later than `arrived`, at most [`OLDEST`] before it.
    pub fn place(&mut self, stamp: Span, arrived: MediaTime) -> MediaTime {
        let delay = (arrived - MediaTime::ZERO) - stamp;
        let offset = match self.offset {
            // Later than any before by so much: its stamp went back, or the camera's clock is slow.
            Some(offset) if delay <= offset + OLDEST => offset.min(delay),
            _ => delay,
        };
        self.offset = Some(offset);
        MediaTime::ZERO + (stamp + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs of stamp and arrival in ms, and where the pictures land.
    fn check(what: &str, pairs: &[(i64, i64)], expected: &[i64]) {
        let mut timeline = Timeline::default();
        let placed = pairs.iter().map(|(stamp, arrived)| {
            timeline.place(Span::from_millis(*stamp), MediaTime::from_micros(arrived * 1000)).micros() / 1000
        });
        assert_eq!(placed.collect::<Vec<_>>(), expected, "{what}");
    }

    #[test]
    fn stamps_space_pictures_and_arrival_places_them() {
        check("a burst is spread", &[(0, 50), (100, 150), (200, 400), (300, 401)], &[50, 150, 250, 350]);
        check("the first was late", &[(0, 300), (100, 310), (200, 410)], &[300, 310, 410]);
        check("stamps begin anywhere", &[(9_000_000, 5), (9_000_040, 45)], &[5, 45]);
        check("stamps jump ahead", &[(0, 0), (60_000, 100), (60_100, 200)], &[0, 100, 200]);
        check("stamps jump back", &[(60_000, 0), (0, 100), (100, 200)], &[0, 100, 200]);
    }
}
