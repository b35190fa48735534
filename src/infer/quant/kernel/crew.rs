//! Threads that share the rows of one layer after the other.
//!
//! ```text
//! caller                       state                     each other thread
//! task, rows; opens turn n --> turn n, open, 0 inside
//! takes rows                   turn n, open, 1 inside <-- sees a turn it does not know, enters, takes rows
//! closes, waits for 0 inside   turn n, shut, 0 inside <-- leaves
//! ```
//!
//! A row is taken by adding one to a counter; nothing is locked. A thread that the machine has no time for is not
//! waited for: it finds the turn shut. Threads that find nothing to do sleep after some ten microseconds, so that a
//! crew costs nothing between pictures. Which thread computes a row makes no difference to what is computed.
//!
//! Absent: work of different layers at the same time, and stealing. Layers are short and their rows alike.

use anyhow::{Context, Result};
use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Looks at the state before a thread sleeps: longer than the gaps between layers.
const PATIENCE: usize = 2000;
/// In a state: how many are inside, whether the turn is open, and the turn.
const INSIDE: u64 = OPEN - 1;
const OPEN: u64 = 1 << 16;
const TURN: u64 = OPEN << 1;

/// The caller and the threads that help it.
pub struct Crew {
    shared: Arc<Shared>,
    helpers: Vec<Helper>,
}

struct Helper {
    thread: Option<JoinHandle<()>>,
    asleep: Arc<AtomicBool>,
}

struct Shared {
    state: AtomicU64,
    /// The next row to be taken.
    row: AtomicUsize,
    task: UnsafeCell<Task>,
    over: AtomicBool,
    /// A row could not be finished.
    failed: AtomicBool,
}

#[derive(Clone, Copy)]
struct Task {
    rows: usize,
    /// Of a turn that is open, or has somebody inside.
    run: Option<*const (dyn Fn(usize) + Sync)>,
}

// SAFETY: `task` is written only by the one caller (it has the crew mutably) while the turn is shut and nobody is
// inside, and read by others only inside. What `run` points at is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

impl Crew {
    /// So many threads, the caller's one of them.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(threads: usize) -> Result<Self> {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            row: AtomicUsize::new(0),
            task: UnsafeCell::new(Task { rows: 0, run: None }),
            over: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        let mut crew = Crew { shared, helpers: Vec::new() };
        for i in 1..threads {
            let (shared, asleep) = (crew.shared.clone(), Arc::new(AtomicBool::new(false)));
            let flag = asleep.clone();
            let thread = thread::Builder::new().name(format!("rows-{i}")).spawn(move || shared.help(&flag));
            let thread = Some(thread.context("cannot start a thread for the network")?);
            crew.helpers.push(Helper { thread, asleep });
        }
        Ok(crew)
    }

    pub fn threads(&self) -> usize {
        1 + self.helpers.len()
    }

    /// Runs every row once, on whichever thread, and returns when all are done.
    ///
    /// # Panics
    /// When a row does.
    pub fn each(&mut self, rows: usize, run: &(dyn Fn(usize) + Sync)) {
        if self.helpers.is_empty() {
            return (0..rows).for_each(run);
        }
        let shared = &*self.shared;
        let turn = (shared.state.load(Ordering::Relaxed) / TURN + 1) * TURN;
        // SAFETY: the last turn is shut and nobody is inside (see `Inside`): this is the only one who looks. The
        // lifetime that is taken off the pointer ends after this function, which nobody inside outlives.
        unsafe {
            let run = std::mem::transmute::<*const (dyn Fn(usize) + Sync), *const (dyn Fn(usize) + Sync)>(run);
            *shared.task.get() = Task { rows, run: Some(run) };
        }
        shared.row.store(0, Ordering::Relaxed);
        shared.state.store(turn | OPEN, Ordering::SeqCst);
        let shut = Shut(shared);
        for helper in &self.helpers {
            if helper.asleep.load(Ordering::SeqCst) {
                helper.thread.iter().for_each(|thread| thread.thread().unpark());
            }
        }
        shared.take(rows, run);
        drop(shut);
        assert!(!shared.failed.load(Ordering::Relaxed), "every row of a layer can be computed");
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        for thread in self.helpers.iter_mut().filter_map(|helper| helper.thread.take()) {
            thread.thread().unpark();
            // One that has panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Shuts the turn and waits until nobody is inside, also where a row of the caller's panics.
struct Shut<'a>(&'a Shared);

impl Drop for Shut<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0;
        while self.0.state.load(Ordering::Acquire) & INSIDE > 0 {
            pause(&mut looks);
        }
    }
}

/// A helper between entering and leaving.
struct Inside<'a>(&'a Shared);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
        self.0.state.fetch_sub(1, Ordering::Release);
    }
}

impl Shared {
    fn take(&self, rows: usize, run: &(dyn Fn(usize) + Sync)) {
        loop {
            let row = self.row.fetch_add(1, Ordering::Relaxed);
            if row >= rows {
                return;
            }
            run(row);
        }
    }

    fn help(&self, asleep: &AtomicBool) {
        let (mut known, mut looks) = (0, 0);
        loop {
            let state = self.state.load(Ordering::SeqCst);
            if state & OPEN > 0 && state / TURN != known {
                let entered = self.state.compare_exchange(state, state + 1, Ordering::Acquire, Ordering::Relaxed);
                if entered.is_ok() {
                    let inside = Inside(self);
                    // SAFETY: the turn was open when this thread entered, so the task is written, and neither it nor
                    // what it points at is touched until this thread has left.
                    let (rows, run) = unsafe {
                        let Task { rows, run } = *self.task.get();
                        (rows, run.map(|run| &*run))
                    };
                    if let Some(run) = run {
                        self.take(rows, run);
                    }
                    drop(inside);
                    (known, looks) = (state / TURN, 0);
                }
            } else if looks < PATIENCE {
                looks += 1;
                std::hint::spin_loop();
            } else {
                asleep.store(true, Ordering::SeqCst);
                // Either this sees the new turn, or whoever opens it sees that this thread sleeps.
                if self.over.load(Ordering::SeqCst) {
                    return;
                }
                let state = self.state.load(Ordering::SeqCst);
                if state & OPEN == 0 || state / TURN == known {
                    thread::park();
                }
                asleep.store(false, Ordering::SeqCst);
                looks = 0;
            }
        }
    }
}

fn pause(looks: &mut usize) {
    *looks += 1;
    if *looks < PATIENCE { std::hint::spin_loop() } else { thread::yield_now() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn every_row_is_run_once_by_any_number_of_threads() {
        for threads in [1, 2, 3, 8] {
            let mut crew = Crew::new(threads).unwrap();
            assert_eq!(crew.threads(), threads);
            for turn in 0..2000 {
                let rows = turn % 37;
                let counts: Vec<AtomicU32> = (0..rows).map(|_| AtomicU32::new(0)).collect();
                crew.each(rows, &|row| {
                    counts[row].fetch_add(1, Ordering::Relaxed);
                });
                assert!(
                    counts.iter().all(|count| count.load(Ordering::Relaxed) == 1),
                    "{threads} threads, turn {turn}"
                );
            }
        }
    }

    #[test]
    fn several_threads_take_part() {
        let mut crew = Crew::new(2).unwrap();
        let caller = thread::current().id();
        let helped = AtomicBool::new(false);
        // Until the other thread has taken a row, however busy the machine is.
        while !helped.load(Ordering::Relaxed) {
            crew.each(8, &|_| {
                if thread::current().id() != caller {
                    helped.store(true, Ordering::Relaxed);
                } else {
                    thread::yield_now();
                }
            });
        }
    }

    #[test]
    fn a_row_that_panics_is_the_callers_panic_and_threads_end() {
        let failed = std::panic::catch_unwind(|| {
            let mut crew = Crew::new(2).unwrap();
            crew.each(100, &|row| assert!(row != 50, "this one fails"));
        });
        assert!(failed.is_err());
    }
}
