//! How long to wait before the next try: 1 s at first, twice as long after each failure, at most 60 s, and a
//! little different every time, so that twenty boxes do not come back to one broker in step.

use crate::time::Span;

const FIRST: Span = Span::from_millis(1_000);
const LONGEST: Span = Span::from_millis(60_000);

#[derive(Debug, Clone)]
pub struct Backoff {
    next: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { next: FIRST }
    }
}

impl Backoff {
    /// After a failure: what to wait, three to five quarters of the plan and at most a minute.
    pub fn wait(&mut self) -> Span {
        let planned = self.next;
        self.next = (planned + planned).min(LONGEST);
        Span::from_secs_f64(planned.secs_f64() * (0.75 + 0.5 * fastrand::f64())).min(LONGEST)
    }

    /// After a failure that asking again soon would make worse.
    pub fn longest(&mut self) -> Span {
        self.next = LONGEST;
        self.wait()
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.next = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        for planned in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            let wait = backoff.wait().secs_f64();
            assert!((0.75 * planned..=1.25 * planned).contains(&wait), "{wait} instead of about {planned}");
        }
        backoff.reset();
        assert!(backoff.wait().secs_f64() <= 1.25);
    }
}
