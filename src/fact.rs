//! What was observed, without judgement: who entered, left, crossed, stopped. Rules make findings of facts.
//!
//! Absent on purpose: anything a person would be told, and anything about how things ought to be.

use crate::event::{Direction, Party};
use crate::ids::{LineId, ZoneId};
use crate::time::{MediaTime, Span};

/// One observation about one track. Only confirmed tracks have facts.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// When it was so, which may be earlier than the frame that made it certain.
    pub at: MediaTime,
    /// The track as it stood at its newest sighting.
    pub who: Party,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The track was confirmed; `at` is its first sighting.
    Appeared,
    /// The track will not come back; `at` is its last sighting.
    Gone,
    /// The foot point is in the zone and stays there; `at` is its first sighting inside.
    Entered(ZoneId),
    /// The stay is long enough to count as a visit; `at` is the sighting that made it so.
    VisitStarted(ZoneId),
    /// `at` is the last sighting inside, and `dwell` runs from the first to the last.
    Left { zone: ZoneId, dwell: Span },
    /// A hand took something there, put something there or felt for it: one for each time.
    Touched(ZoneId),
    /// The foot point came from one side of the line and went away on the other.
    Crossed(LineId, Direction),
    /// The foot point has rested for a while; `at` is when that began.
    Stopped,
    /// It no longer rests.
    Moving,
}
