//! How much of each minute a camera saw nothing.

use crate::ids::CameraId;
use crate::store::MinuteBlind;
use crate::time::{Span, WallTime};

const MINUTE: Span = Span::from_millis(60_000);

/// Of one camera.
#[derive(Debug, Default)]
pub(super) struct Blindness {
    /// Minutes since 1970, and how much of it so far.
    current: Option<(i64, Span)>,
    /// Since the start, as it was told last.
    known: Span,
    finished: Vec<(i64, Span)>,
}

impl Blindness {
    /// It is `now`, and since the start nothing was seen for so long `in_all`. What is new of that lies right before now.
    pub fn note(&mut self, now: WallTime, in_all: Span) {
        let fresh = in_all - self.known;
        self.known = in_all;
        let (minute, begun) = (now.micros().div_euclid(60_000_000), now.micros().rem_euclid(60_000_000));
        match &mut self.current {
            Some((current, blind)) if *current == minute => *blind = *blind + fresh,
            _ => {
                let since_then = fresh.min(Span::from_micros(begun));
                if let Some((_, blind)) = &mut self.current {
                    *blind = *blind + (fresh - since_then);
                }
                self.finish();
                self.current = Some((minute, since_then));
            }
        }
    }

    /// Takes the minutes that are over and of which something was missed.
    pub fn take(&mut self, camera: &CameraId) -> Vec<MinuteBlind> {
        let row = |(minute, blind): (i64, Span)| MinuteBlind {
            camera: camera.clone(),
            minute,
            blind_s: (blind.min(MINUTE).secs_f64() * 10.0).round() / 10.0,
        };
        std::mem::take(&mut self.finished).into_iter().map(row).collect()
    }

    /// The minute that goes on is over as well, since the end is near.
    pub fn finish(&mut self) {
        self.finished.extend(self.current.take().filter(|(_, blind)| *blind > Span::ZERO));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_told_minute_by_minute() {
        let camera = CameraId::new("door");
        let mut blindness = Blindness::default();
        // One look a second; blind from 100.5 s to 190 s after 1970.
        let blind_until = |s: i64| Span::from_millis((1_000 * s).clamp(100_500, 190_000) - 100_500);
        let mut told = Vec::new();
        for s in 61..=300 {
            blindness.note(WallTime::from_micros(s * 1_000_000), blind_until(s));
            told.extend(blindness.take(&camera).into_iter().map(|m| (m.minute, m.blind_s)));
        }
        assert_eq!(told, [(1, 19.5), (2, 60.0), (3, 10.0)]);
        blindness.note(WallTime::from_micros(301_250_000), blind_until(300) + Span::from_millis(2_250));
        assert_eq!(blindness.take(&camera), []);
        blindness.finish();
        assert_eq!(blindness.take(&camera), [MinuteBlind { camera, minute: 5, blind_s: 2.3 }]);
    }

    #[test]
    fn a_silence_that_is_known_late_belongs_to_the_minute_it_was_in() {
        let camera = CameraId::new("door");
        let mut blindness = Blindness::default();
        blindness.note(WallTime::from_micros(119_000_000), Span::ZERO);
        blindness.note(WallTime::from_micros(120_500_000), Span::from_millis(2_000));
        blindness.finish();
        let told: Vec<_> = blindness.take(&camera).into_iter().map(|m| (m.minute, m.blind_s)).collect();
        assert_eq!(told, [(1, 1.5), (2, 0.5)]);
    }
}
