//! Where captures leave their newest frame for the inference lane: one slot per camera.
//!
//! If a slot is full the older frame goes and is counted: a live picture that waits is worth nothing. Recordings
//! are not live, so [`Mailboxes::post_patiently`] waits for the slot instead and loses nothing.
//! Which camera is served next is decided here, too: the one that has waited longest.
//!
//! Absent on purpose: queues. What must not be lost goes through the store.

use crate::stop::Stop;
use crate::time::Span;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// One slot per camera, by index.
pub struct Mailboxes<T> {
    inner: Mutex<Inner<T>>,
    posted: Condvar,
    taken: Condvar,
}

struct Inner<T> {
    slots: Vec<Slot<T>>,
    /// Counts services; a slot remembers the last one it got.
    turn: u64,
}

struct Slot<T> {
    item: Option<T>,
    served: u64,
    dropped: u64,
}

/// Often enough to notice a stop, seldom enough to cost nothing.
const NOTICE_STOP: Span = Span::from_millis(100);

impl<T> Default for Mailboxes<T> {
    fn default() -> Self {
        let inner = Inner { slots: Vec::new(), turn: 0 };
        Mailboxes { inner: Mutex::new(inner), posted: Condvar::new(), taken: Condvar::new() }
    }
}

impl<T> Mailboxes<T> {
    /// One more slot; gives its index.
    pub fn add(&self) -> usize {
        let mut inner = self.lock();
        inner.slots.push(Slot { item: None, served: 0, dropped: 0 });
        inner.slots.len() - 1
    }

    /// A poisoned lock only says that another thread panicked; the slots are valid after every statement.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Newest wins.
    pub fn post(&self, camera: usize, item: T) {
        let slot = &mut self.lock().slots[camera];
        slot.dropped += u64::from(slot.item.replace(item).is_some());
        self.posted.notify_one();
    }

    /// Waits until the slot is free; gives the item back if `stop` comes first.
    pub fn post_patiently(&self, camera: usize, item: T, stop: &Stop) -> Result<(), T> {
        let mut inner = self.lock();
        while inner.slots[camera].item.is_some() {
            if stop.is_set() {
                return Err(item);
            }
            let notice = NOTICE_STOP.to_std().expect("a positive span");
            (inner, _) = self.taken.wait_timeout(inner, notice).unwrap_or_else(PoisonError::into_inner);
        }
        inner.slots[camera].item = Some(item);
        self.posted.notify_one();
        Ok(())
    }

    /// The item of the camera that has waited longest for its turn, or `None` after `patience`.
    pub fn take(&self, patience: Span) -> Option<(usize, T)> {
        let nothing = |inner: &mut Inner<T>| inner.slots.iter().all(|slot| slot.item.is_none());
        let patience = patience.to_std().unwrap_or_default();
        let (mut inner, _) =
            self.posted.wait_timeout_while(self.lock(), patience, nothing).unwrap_or_else(PoisonError::into_inner);
        let waiting = inner.slots.iter().enumerate().filter(|(_, slot)| slot.item.is_some());
        let camera = waiting.min_by_key(|(_, slot)| slot.served)?.0;
        inner.turn += 1;
        inner.slots[camera].served = inner.turn;
        let item = inner.slots[camera].item.take()?;
        self.taken.notify_all();
        Some((camera, item))
    }

    pub fn is_empty(&self) -> bool {
        self.lock().slots.iter().all(|slot| slot.item.is_none())
    }

    /// How many frames were replaced by newer ones before anybody looked, since the start.
    pub fn dropped(&self, camera: usize) -> u64 {
        self.lock().slots[camera].dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes<T>(cameras: usize) -> Mailboxes<T> {
        let boxes = Mailboxes::default();
        (0..cameras).for_each(|camera| assert_eq!(boxes.add(), camera));
        boxes
    }

    #[test]
    fn the_newest_frame_wins_and_the_older_one_is_counted() {
        let boxes = boxes(1);
        boxes.post(0, 'a');
        boxes.post(0, 'b');
        assert_eq!(boxes.take(Span::ZERO), Some((0, 'b')));
        assert_eq!(boxes.take(Span::ZERO), None);
        assert_eq!(boxes.dropped(0), 1);
    }

    #[test]
    fn a_busy_camera_does_not_starve_the_other() {
        let boxes = boxes(2);
        boxes.post(0, "busy 1");
        boxes.post(1, "quiet");
        assert_eq!(boxes.take(Span::ZERO), Some((0, "busy 1")));
        boxes.post(0, "busy 2");
        assert_eq!(boxes.take(Span::ZERO), Some((1, "quiet")));
    }

    #[test]
    fn with_more_frames_than_time_every_camera_gets_its_turn_and_what_is_dropped_is_known() {
        // Three cameras of different rates, and a lane that manages one frame where four come.
        let boxes = boxes(3);
        let (mut served, mut posted) = ([0u64; 3], [0u64; 3]);
        let mut waited = [0; 3];
        for round in 0..400 {
            for camera in [0, 0, 1] {
                boxes.post(camera, round);
                posted[camera] += 1;
            }
            if round % 2 == 0 {
                boxes.post(2, round);
                posted[2] += 1;
            }
            let (camera, _) = boxes.take(Span::ZERO).unwrap();
            served[camera] += 1;
            waited.iter_mut().for_each(|rounds| *rounds += 1);
            waited[camera] = 0;
            assert!(waited.iter().all(|rounds| *rounds <= 3), "nobody waits longer than for all others: {waited:?}");
        }
        assert!(served.iter().all(|n| (130..=136).contains(n)), "{served:?}");
        for camera in 0..3 {
            let left = u64::from(boxes.lock().slots[camera].item.is_some());
            assert_eq!(boxes.dropped(camera), posted[camera] - served[camera] - left);
        }
    }

    #[test]
    fn a_recording_waits_and_loses_nothing() {
        let boxes = boxes(1);
        let stop = Stop::new();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100).for_each(|i| boxes.post_patiently(0, i, &stop).unwrap()));
            let taken: Vec<i32> = (0..100).map(|_| boxes.take(Span::from_millis(10_000)).unwrap().1).collect();
            assert_eq!(taken, (0..100).collect::<Vec<_>>());
        });
        assert_eq!(boxes.dropped(0), 0);
    }

    #[test]
    fn a_stop_gives_the_item_back() {
        let boxes = boxes(1);
        let stop = Stop::new();
        boxes.post(0, 1);
        stop.set();
        assert_eq!(boxes.post_patiently(0, 2, &stop), Err(2));
    }
}
