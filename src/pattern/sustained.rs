//! A condition that must hold for a while before it counts, and be gone for a while before it is over: otherwise a
//! number that goes back and forth around its limit would ring all day.

use crate::time::{MediaTime, Span};

/// How long the condition must be gone.
const RELEASE: Span = Span::from_millis(2000);

#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Sustained {
    #[default]
    Off,
    Rising {
        since: MediaTime,
    },
    On {
        since: MediaTime,
    },
    Falling {
        since: MediaTime,
        until: MediaTime,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Edge {
    /// It has held since then.
    Began { since: MediaTime },
    /// It held from the one to the other.
    Ended { since: MediaTime, until: MediaTime },
}

impl Sustained {
    pub fn step(&mut self, holds: bool, at: MediaTime, delay: Span) -> Option<Edge> {
        use Sustained::*;
        if holds && matches!(self, Off) {
            *self = Rising { since: at };
        }
        let (next, edge) = match (*self, holds) {
            (Off, _) | (Rising { .. }, false) => (Off, None),
            (Rising { since }, true) if at - since >= delay => (On { since }, Some(Edge::Began { since })),
            (Rising { since }, true) => (Rising { since }, None),
            (On { since } | Falling { since, .. }, true) => (On { since }, None),
            (On { since }, false) => (Falling { since, until: at }, None),
            (Falling { since, until }, false) if at - until >= RELEASE => (Off, Some(Edge::Ended { since, until })),
            (Falling { since, until }, false) => (Falling { since, until }, None),
        };
        *self = next;
        edge
    }
}
