//! When the rules look. At every frame while there is anything to see; where nobody is, once a second and on the second:
//! an hour of nothing then is one number on the tape, and costs a board nothing.
//!
//! Times are whole milliseconds, and the time of day keeps its distance from film time as long as it trembles only: cameras
//! stamp frames by clocks that differ by more than that.

use crate::pipeline::Moment;
use crate::time::{MediaTime, Span, WallTime};

const IDLE: Span = Span::from_millis(1_000);
/// After so long without a look the one that was left out is made up for, lest it seem that there was no picture.
const MAKE_UP: Span = Span::from_millis(2_000);
const TREMBLE: Span = Span::from_millis(50);

#[derive(Debug, Default)]
pub(super) struct Rhythm {
    offset: Option<Span>,
    looked: Option<Moment>,
    /// A frame with nobody in it that no rule has looked at.
    left_out: Option<Moment>,
}

/// When to look.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Looks {
    /// First at nobody.
    pub nobody: Option<Moment>,
    /// Then at this frame.
    pub frame: Option<Moment>,
}

impl Rhythm {
    /// `is_empty`: there is nothing in the frame, and nobody is followed.
    pub fn look(&mut self, at: MediaTime, taken: WallTime, aspect: f32, is_empty: bool) -> Looks {
        let whole = |us: i64| us.saturating_add(500).div_euclid(1000).saturating_mul(1000);
        let at = MediaTime::from_micros(whole(at.micros()));
        let offset = Span::from_micros(whole((taken - WallTime::EPOCH).micros().saturating_sub(at.micros())));
        let goes_on = |looked: &Moment| at >= looked.at && aspect.to_bits() == looked.aspect.to_bits();
        let looked = self.looked.filter(goes_on);
        let trembles = |kept: &Span| (offset - *kept).max(*kept - offset) <= TREMBLE;
        let offset = *self.offset.filter(|kept| looked.is_some() && trembles(kept)).get_or_insert(offset);
        self.offset = Some(offset);
        let moment = |at: MediaTime| Moment { at, taken: WallTime::EPOCH + offset + (at - MediaTime::ZERO), aspect };
        let this = moment(at);
        let Some(looked) = looked else {
            self.left_out = None;
            self.looked = Some(this);
            return Looks { nobody: None, frame: Some(this) };
        };
        let pause = at - looked.at;
        if is_empty && pause < IDLE {
            self.left_out = Some(this);
            return Looks::default();
        }
        let left_out = self.left_out.take().filter(|left_out| left_out.at > looked.at && pause > MAKE_UP);
        let frame = if is_empty && pause < MAKE_UP { moment(looked.at + IDLE) } else { this };
        self.left_out = (frame.at < at).then_some(this);
        self.looked = Some(frame);
        Looks { nobody: left_out.filter(|left_out| left_out.at < frame.at), frame: Some(frame) }
    }

    /// Before anything ends: the look at nobody that was left out.
    pub fn make_up(&mut self) -> Option<Moment> {
        let left_out = self.left_out.take()?;
        self.looked = Some(left_out);
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames in milliseconds, `!` where somebody is there; the looks, `-` for one at nobody that is made up for.
    fn check(frames: &str, expected: &str) {
        let mut rhythm = Rhythm::default();
        let mut looks = Vec::new();
        for frame in frames.split_whitespace() {
            let at: i64 = frame.trim_end_matches('!').parse().unwrap();
            // Its clock wavers by 20 ms.
            let taken = WallTime::from_micros(5_000_000 + at * 1000 + at % 3 * 10_000);
            let found = rhythm.look(MediaTime::from_micros(at * 1000 + 123), taken, 1.5, !frame.ends_with('!'));
            looks.extend(found.nobody.map(|moment| format!("-{}", moment.at.micros() / 1000)));
            looks.extend(found.frame.map(|moment| {
                assert_eq!(moment.taken - WallTime::EPOCH, moment.at - MediaTime::ZERO + Span::from_millis(5_000));
                format!("{}", moment.at.micros() / 1000)
            }));
        }
        looks.extend(rhythm.make_up().map(|moment| format!("-{}", moment.at.micros() / 1000)));
        assert_eq!(looks.join(" "), expected, "{frames}");
    }

    #[test]
    fn somebody_is_looked_at_in_every_frame_and_nobody_once_a_second() {
        check("0! 99! 201!", "0 99 201");
        check("0 99 201 300 450 600 801 900 1002 1101 1203 2100", "0 1000 2000 -2100");
        check("0 99 900 1500!", "0 1500");
        check("0 99 900 3000! 3100!", "0 -900 3000 3100");
        check("0 99 900 4800 4899", "0 -900 4800 -4899");
        check("0 1500 3000 4500", "0 1000 3000 4000 -4500");
        check("90000 90099 0 99 1002", "90000 0 1000 -1002");
    }
}
