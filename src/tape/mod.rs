//! The tape: everything that has entered the pipeline of a camera, in few bytes. Played again it gives the same events,
//! ids included, and under other rules those that there would have been.
//!
//! It holds what the tracker gave, not what the detector saw: of each frame its moment, tracks and clues, exactly as the
//! rules saw them, since they look at what is on the grid ([`crate::track::settle`]). Beside the frames it holds whatever
//! else changes what follows: endings, changes of the camera's sight, the clock's good name, other rules. Where nothing
//! goes on, thousands of looks are one number.
//!
//! ```text
//! tape   = block block ...     each can be read without the others; number 0 begins a pipeline anew
//! block  = chunk chunk ...     some minutes; the first chunk holds the state at the beginning
//! chunk  = "WPT" 'K'|'c', length, CRC-32, entries     some seconds; written at once
//! ```
//!
//! A chunk that is torn or wrong ends its block; whoever reads goes on with the next block and knows of the gap. Absent on
//! purpose: files (the store has them), clocks, pictures, and detections that made no track: another tracker cannot be
//! tried on a tape.

mod bits;
mod block;
mod clues;
mod entry;
mod goods;
mod player;
mod recorder;
mod state;

#[cfg(test)]
mod tests;

pub use block::{Block, Blocks, Damage};
pub use player::Player;
pub use recorder::{Chunk, Recorder};

use crate::clue::Clues;
use crate::pipeline::Moment;
use crate::sight::Change;
use crate::time::{MediaTime, WallTime};
use crate::track::Track;

/// How a block begins: what has to be known of everything before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Start {
    /// Of this block since the pipeline began; 0 is where it did.
    pub number: u64,
    /// How many chunks the block before it has.
    pub chunks_before: u64,
    /// How often the source was opened before.
    pub opening: u64,
    pub clock_trusted: bool,
    /// The newest frame before, or where there is none, as the clock stood.
    pub moment: Moment,
    pub setting: Setting,
}

/// What the configuration was, as digests: whether it was another one can be told, not which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Setting {
    /// Of zones, lines and rules.
    pub rules: u32,
    /// Of everything that decides what becomes a track: view, network, tracker.
    pub eyes: u32,
}

/// What enters a pipeline.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// [`crate::pipeline::Pipeline::see`]
    Frame(Seen),
    /// [`crate::pipeline::Pipeline::finish`]
    Finish,
    /// [`crate::pipeline::Pipeline::notice`]
    Notice { change: Change, at: MediaTime, taken: WallTime },
    /// [`crate::pipeline::Pipeline::set_clock_trusted`]
    Clock { trusted: bool },
    /// [`crate::pipeline::Pipeline::swap_rules`]; whether the tracker began anew.
    Swap { setting: Setting, finished: bool },
}

/// One frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub moment: Moment,
    pub tracks: Vec<Track>,
    pub clues: Clues,
}
