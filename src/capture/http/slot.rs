//! The newest picture on its way from the network to whoever looks at pictures. One place: who is slower than the camera
//! sees fewer pictures, never older ones.

use crate::frame::Frame;
use crate::time::{Span, Stopwatch};
use anyhow::{Error, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How the camera gives its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Stream,
    Snapshots,
}

/// What the network has to say.
pub enum Said {
    Picture(Frame),
    /// Nothing more will come.
    Failed(Error),
    /// Not in time.
    Nothing,
}

/// Cheap to clone; all clones are the same place.
#[derive(Clone, Default)]
pub struct Slot(Arc<(Mutex<Inner>, Condvar)>);

#[derive(Default)]
struct Inner {
    kind: Option<Kind>,
    newest: Option<Frame>,
    /// Since the camera answered, or the newest picture came.
    quiet: Option<Stopwatch>,
    broken: u64,
    broken_in_a_row: u64,
    failed: Option<Error>,
    has_ended: bool,
    nobody_listens: bool,
}

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.lock());
        self.0.1.notify_all();
    }

    /// The camera answers.
    pub fn open(&self, kind: Kind) {
        self.change(|inner| {
            inner.kind = Some(kind);
            inner.quiet.get_or_insert_with(Stopwatch::start);
        });
    }

    /// Takes the place of one that was not looked at.
    pub fn put(&self, frame: Frame) {
        self.change(|inner| {
            inner.newest = Some(frame);
            inner.quiet = Some(Stopwatch::start());
            inner.broken_in_a_row = 0;
        });
    }

    /// A picture came that is none.
    pub fn broken(&self, pictures: u64) {
        let mut inner = self.lock();
        inner.broken += pictures;
        inner.broken_in_a_row += pictures;
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

    /// Nobody listens any more; whoever puts may go.
    pub fn close(&self) {
        self.change(|inner| inner.nobody_listens = true);
    }

    /// Waits so long at most. True: nobody listens any more.
    pub fn is_closed_within(&self, span: Span) -> bool {
        self.wait(span.to_std().unwrap_or_default(), |inner| !inner.nobody_listens).nobody_listens
    }

    /// Broken pictures: all, and those since the newest whole one.
    pub fn broken_ones(&self) -> (u64, u64) {
        let inner = self.lock();
        (inner.broken, inner.broken_in_a_row)
    }

    /// For how long there was no picture.
    pub fn quiet(&self) -> Span {
        self.lock().quiet.map_or(Span::ZERO, |quiet| quiet.elapsed())
    }

    /// Waits for the camera to answer, at most so long. `None`: it does not yet.
    ///
    /// # Errors
    /// It never will.
    pub fn kind(&self, within: Duration) -> Result<Option<Kind>> {
        let mut inner = self.wait(within, |inner| inner.kind.is_none() && !inner.has_ended);
        match (inner.kind, inner.failed.take()) {
            (None, Some(error)) => Err(error),
            (kind, failed) => {
                inner.failed = failed;
                Ok(kind)
            }
        }
    }

    /// What came before the end is given before the end.
    pub fn take(&self, within: Duration) -> Said {
        let mut inner = self.wait(within, |inner| inner.newest.is_none() && !inner.has_ended);
        match (inner.newest.take(), inner.failed.take()) {
            (Some(frame), failed) => {
                inner.failed = failed;
                Said::Picture(frame)
            }
            (None, Some(error)) => Said::Failed(error),
            (None, None) => Said::Nothing,
        }
    }

    fn wait(&self, within: Duration, while_so: impl Fn(&Inner) -> bool) -> MutexGuard<'_, Inner> {
        let waited = self.0.1.wait_timeout_while(self.lock(), within, |inner| while_so(inner));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Picture;
    use crate::time::{MediaTime, WallTime};

    fn frame(index: u64) -> Frame {
        let picture = Picture::Rgb(Arc::new(image::RgbImage::new(1, 1)));
        Frame { index, at: MediaTime::ZERO, taken: WallTime::EPOCH, picture }
    }

    #[test]
    fn only_the_newest_picture_is_there() {
        let slot = Slot::default();
        slot.open(Kind::Stream);
        slot.broken(2);
        assert_eq!(slot.broken_ones(), (2, 2));
        (0..3).for_each(|index| slot.put(frame(index)));
        assert!(matches!(slot.take(Duration::ZERO), Said::Picture(frame) if frame.index == 2));
        assert!(matches!(slot.take(Duration::ZERO), Said::Nothing));
        assert_eq!(slot.broken_ones(), (2, 0));
    }

    #[test]
    fn what_came_before_the_end_is_given_before_the_end() {
        let slot = Slot::default();
        assert!(slot.kind(Duration::ZERO).unwrap().is_none());
        slot.open(Kind::Snapshots);
        slot.put(frame(7));
        slot.fail(anyhow::anyhow!("gone"));
        slot.fail(anyhow::anyhow!("gone again"));
        assert_eq!(slot.kind(Duration::ZERO).unwrap(), Some(Kind::Snapshots));
        assert!(matches!(slot.take(Duration::ZERO), Said::Picture(_)));
        assert!(matches!(slot.take(Duration::ZERO), Said::Failed(error) if error.to_string() == "gone"));
        let slot = Slot::default();
        slot.fail(anyhow::anyhow!("never there"));
        assert_eq!(slot.kind(Duration::ZERO).unwrap_err().to_string(), "never there");
    }

    #[test]
    fn who_waits_hears_that_nobody_listens() {
        let slot = Slot::default();
        assert!(!slot.is_closed_within(Span::from_millis(1)));
        let waiter = std::thread::spawn({
            let slot = slot.clone();
            move || slot.is_closed_within(Span::from_secs_f64(600.0))
        });
        slot.close();
        assert!(waiter.join().unwrap());
    }
}
