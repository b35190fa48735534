//! The one way to say "stop": set once, never taken back, and every wait in the product ends on it.
//!
//! Absent on purpose: reasons and priorities. Who stops in which order is the business of `app::run`.

use crate::time::Span;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Cheap to clone; all clones are the same token.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    pub fn new() -> Self {
        Stop::default()
    }

    /// A token that SIGTERM and SIGINT set. A second signal ends the process at once, for the person at the
    /// keyboard who has waited long enough.
    pub fn on_signals() -> io::Result<Self> {
        use signal_hook::consts::{SIGINT, SIGTERM};
        let stop = Stop::new();
        let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
        let token = stop.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            for signal in signals.forever() {
                if token.is_set() {
                    std::process::exit(128 + signal);
                }
                tracing::info!(signal, "Asked to stop, finishing what is open.");
                token.set();
            }
        })?;
        Ok(stop)
    }

    pub fn set(&self) {
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.changed.notify_all();
    }

    pub fn is_set(&self) -> bool {
        *self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `span`, or less if stopped meanwhile. True if stopped.
    pub fn wait(&self, span: Span) -> bool {
        let stopped = self.0.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(span) = span.to_std() else { return *stopped };
        let (stopped, _) = self
            .0
            .changed
            .wait_timeout_while(stopped, span, |stopped| !*stopped)
            .unwrap_or_else(PoisonError::into_inner);
        *stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Stopwatch;

    #[test]
    fn a_wait_ends_when_somebody_stops() {
        let stop = Stop::new();
        assert!(!stop.wait(Span::from_millis(1)), "nobody has stopped yet");
        let watch = Stopwatch::start();
        let waiter = std::thread::spawn({
            let stop = stop.clone();
            move || stop.wait(Span::from_secs_f64(60.0))
        });
        stop.set();
        assert!(waiter.join().unwrap());
        assert!(watch.elapsed() < Span::from_secs_f64(30.0));
        assert!(stop.wait(Span::from_secs_f64(60.0)), "stopped stays stopped");
        assert!(stop.is_set() && stop.wait(Span::from_micros(-1)));
    }
}
