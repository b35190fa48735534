//! Access units on their way from the network to the decoder. Bounded; decoding that is slower than the camera does not
//! lag behind it but skips to a keyframe, and what is skipped is counted. So it is where a part got lost on the way: some
//! decoders make grey smears of what refers to it, which look like somebody before the lens.

use crate::time::{MediaTime, Span, WallTime};
use anyhow::{Error, Result};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When so many wait, the rest up to the next keyframe is dropped: a decoder has use for a run of access units from a
/// keyframe on, so the oldest stay.
const MOST: usize = 32;

/// A keyframe that comes while an access unit has waited longer than this puts everything before it aside.
const LAG: Span = Span::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    H264,
    H265,
    /// One JPEG each (RFC 2435).
    Jpeg,
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Codec::H264 => "H.264",
            Codec::H265 => "H.265",
            Codec::Jpeg => "JPEG",
        })
    }
}

/// One picture as the camera sends it: Annex B with the parameter sets before each keyframe, or a JPEG.
#[derive(Debug, Clone, PartialEq)]
pub struct AccessUnit {
    /// Counts what the camera sent.
    pub index: u64,
    pub at: MediaTime,
    /// When it came.
    pub arrived: MediaTime,
    pub taken: WallTime,
    /// Can be decoded without those before.
    pub is_keyframe: bool,
    /// Something before it did not arrive.
    pub follows_loss: bool,
    pub data: Vec<u8>,
}

/// What the network has to say.
pub enum Said {
    Unit(AccessUnit),
    /// Nothing more will come.
    Failed(Error),
    /// Not in time.
    Nothing,
}

/// Cheap to clone; all clones are the same queue.
#[derive(Clone, Default)]
pub struct AccessUnits(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Default)]
struct Inner {
    units: VecDeque<AccessUnit>,
    codec: Option<Codec>,
    failed: Option<Error>,
    has_ended: bool,
    nobody_listens: bool,
    /// Until the next keyframe.
    skips: Option<Why>,
    dropped: u64,
    lost: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Slow,
    Loss,
}

impl AccessUnits {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    /// The camera plays.
    pub fn open(&self, codec: Codec) {
        self.change(|inner| inner.codec = Some(codec));
    }

    pub fn push(&self, unit: AccessUnit) {
        self.change(|inner| inner.push(unit));
    }

    /// Only the first word counts.
    pub fn fail(&self, error: Error) {
        self.change(|inner| {
            if !inner.has_ended {
                inner.has_ended = true;
                inner.failed = Some(error);
            }
        });
    }

    /// Nobody listens any more; whoever pushes may go.
    pub fn close(&self) {
        self.change(|inner| inner.nobody_listens = true);
    }

    pub fn is_closed(&self) -> bool {
        self.lock().nobody_listens
    }

    /// Access units that came and were never looked at.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Access units that did not arrive whole (one for each gap), and those that came and refer to one of them.
    pub fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// Waits for the camera to play, at most so long. `None`: it does not yet.
    ///
    /// # Errors
    /// It never will.
    pub fn codec(&self, within: Duration) -> Result<Option<Codec>> {
        let mut inner = self.wait(within, |inner| inner.codec.is_none() && !inner.has_ended);
        match (inner.codec, inner.failed.take()) {
            (Some(codec), failed) => {
                inner.failed = failed;
                Ok(Some(codec))
            }
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    /// What came before the end is given before the end.
    pub fn next(&self, within: Duration) -> Said {
        let mut inner = self.wait(within, |inner| inner.units.is_empty() && !inner.has_ended);
        match inner.units.pop_front() {
            Some(unit) => Said::Unit(unit),
            None if inner.has_ended => {
                Said::Failed(inner.failed.take().unwrap_or_else(|| anyhow::anyhow!("its stream has ended")))
            }
            None => Said::Nothing,
        }
    }

    fn wait(&self, within: Duration, while_: impl FnMut(&mut Inner) -> bool) -> MutexGuard<'_, Inner> {
        let waited = self.0.1.wait_timeout_while(self.lock(), within, while_);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Inner {
    fn push(&mut self, unit: AccessUnit) {
        if unit.is_keyframe && self.units.front().is_some_and(|oldest| unit.arrived - oldest.arrived > LAG) {
            self.dropped += self.units.len() as u64;
            self.units.clear();
        }
        if unit.is_keyframe {
            self.skips = None;
        }
        if unit.follows_loss {
            self.lost += 1;
            if !unit.is_keyframe {
                self.skips = Some(Why::Loss);
            }
        }
        if self.units.len() >= MOST {
            self.skips.get_or_insert(Why::Slow);
        }
        match self.skips {
            None => self.units.push_back(unit),
            Some(Why::Slow) => self.dropped += 1,
            Some(Why::Loss) => self.lost += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(index: u64, is_keyframe: bool, at_ms: i64) -> AccessUnit {
        let arrived = MediaTime::from_micros(at_ms * 1000);
        AccessUnit {
            index,
            at: arrived,
            arrived,
            taken: WallTime::EPOCH,
            is_keyframe,
            follows_loss: false,
            data: Vec::new(),
        }
    }

    fn drain(queue: &AccessUnits) -> Vec<u64> {
        std::iter::from_fn(|| match queue.next(Duration::ZERO) {
            Said::Unit(unit) => Some(unit.index),
            Said::Failed(_) | Said::Nothing => None,
        })
        .collect()
    }

    #[test]
    fn a_full_queue_drops_to_the_next_keyframe() {
        let queue = AccessUnits::default();
        for index in 0..40 {
            queue.push(unit(index, index == 0, 10 * index as i64));
        }
        assert_eq!(drain(&queue), (0..32).collect::<Vec<_>>());
        assert_eq!(queue.dropped(), 8);
        // There is room, but these refer to what was dropped.
        queue.push(unit(40, false, 400));
        assert!(drain(&queue).is_empty());
        queue.push(unit(41, true, 410));
        queue.push(unit(42, false, 420));
        assert_eq!(drain(&queue), [41, 42]);
        assert_eq!(queue.dropped(), 9);
    }

    #[test]
    fn a_slow_decoder_jumps_to_the_newest_keyframe() {
        let queue = AccessUnits::default();
        for index in 0..10 {
            queue.push(unit(index, index == 0, 100 * index as i64));
        }
        queue.push(unit(10, true, 1000));
        assert_eq!((drain(&queue), queue.dropped()), (vec![10], 10));
        // One that is in time is not put aside.
        queue.push(unit(11, false, 1100));
        queue.push(unit(12, true, 1200));
        assert_eq!((drain(&queue), queue.dropped()), (vec![11, 12], 10));
    }

    #[test]
    fn what_refers_to_a_lost_picture_is_not_shown() {
        let queue = AccessUnits::default();
        let after = |index, is_keyframe| AccessUnit { follows_loss: true, ..unit(index, is_keyframe, 10) };
        (0..3).for_each(|index| queue.push(unit(index, index == 0, 10)));
        queue.push(after(3, false));
        queue.push(unit(4, false, 10));
        assert_eq!((drain(&queue), queue.lost(), queue.dropped()), (vec![0, 1, 2], 3, 0));
        queue.push(unit(5, true, 10));
        queue.push(unit(6, false, 10));
        queue.push(after(7, true));
        assert_eq!((drain(&queue), queue.lost(), queue.dropped()), (vec![5, 6, 7], 4, 0));
    }

    #[test]
    fn what_came_before_the_end_is_given_before_the_end() {
        let queue = AccessUnits::default();
        assert!(queue.codec(Duration::ZERO).unwrap().is_none());
        queue.open(Codec::H264);
        queue.push(unit(0, true, 0));
        queue.fail(anyhow::anyhow!("gone"));
        queue.fail(anyhow::anyhow!("gone again"));
        assert_eq!(queue.codec(Duration::ZERO).unwrap(), Some(Codec::H264));
        assert_eq!(drain(&queue), [0]);
        let queue = AccessUnits::default();
        queue.fail(anyhow::anyhow!("never there"));
        assert_eq!(queue.codec(Duration::ZERO).unwrap_err().to_string(), "never there");
        assert!(matches!(queue.next(Duration::ZERO), Said::Failed(_)));
    }
}
