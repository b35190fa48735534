//! One alert as one file, to be handed to somebody who was not there: the pictures around the moment, the tracks, the
//! rule, and a signature. `watchpost verify` runs the rule again on what is in it.
//!
//! The file is a ZIP, so anybody can open it:
//!
//! ```text
//! case.json         which event, by which device, program and model; when each picture was taken
//! config.toml       zones, lines and rules of the camera as they were; nothing of its address or login
//! tracks.jsonl      what the rules saw, frame by frame, from before the first of those involved appeared
//! frames/0000.jpg   pictures, with what is masked black in them
//! seal.json         digests, chained, and the device's signature over the end of the chain
//! ```
//!
//! What the signature says: whoever held the device's key vouched for exactly these bytes. It does not say that the
//! clock was right (`clock_trusted` in the event does) nor that the camera saw what was there.
//!
//! Absent on purpose: names, faces, and any identity beyond the number of a track.

mod archive;
mod cabinet;
mod config;
mod past;
mod seal;
mod tracks;

#[cfg(test)]
mod tests;

pub use archive::{Entry, read, write};
pub use cabinet::{Cabinet, Draft, PUBLIC_KEY, list};
pub use config::EvidenceConfig;
pub use past::{Past, Shot, Sighting};
pub use seal::{Key, Seal, fingerprint};
pub use tracks::{from_lines, to_lines};

use crate::event::{Event, to_json};
use crate::pipeline::{CameraPlan, Pipeline};
use serde::{Deserialize, Serialize};

/// Version of the file's spelling.
pub const SCHEMA: u32 = 1;
/// The `kind` in `case.json`.
pub const KIND: &str = "watchpost-evidence";

pub const CASE: &str = "case.json";
pub const CONFIG: &str = "config.toml";
pub const TRACKS: &str = "tracks.jsonl";
pub const SEAL: &str = "seal.json";

/// `case.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub schema: u32,
    pub kind: String,
    pub program: String,
    /// Name of the network that looked; empty where tracks came from a recording.
    pub model: String,
    /// SHA-256 of its file, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
    /// How many times the camera had been opened before.
    pub opening: u64,
    /// The event as it was published.
    pub event: serde_json::Value,
    /// What running the rule again on this very file gave on the device.
    pub verdict: Verdict,
    pub frames: Vec<FrameNote>,
    /// End of the chain of the case before, of this device: a missing one is noticed.
    pub previous: Option<String>,
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FrameNote {
    pub file: String,
    /// Film time in microseconds, as in `tracks.jsonl`.
    pub us: i64,
    pub at: crate::time::WallTime,
}

/// What came of running the rule again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same event, to the last character.
    Same,
    /// The rule told nothing like it: it had begun before what was still in memory, or what it needs is not in the
    /// file (what a rule has learnt in weeks).
    NotReproduced,
    /// It came from pixels, not from tracks: the pictures are the evidence.
    FromPictures,
}

/// What the rules see when they look at the sightings again: every event, in order.
pub fn rerun(plan: CameraPlan, opening: u64, clock_trusted: bool, sightings: &[Sighting]) -> Vec<Event> {
    let mut pipeline = Pipeline::new(plan);
    pipeline.resume(opening, clock_trusted);
    let mut events = Vec::new();
    for seen in sightings {
        events.extend(pipeline.see(seen.moment, &seen.tracks, &seen.clues));
    }
    events
}

/// The event as it would be published with the `seq` and `boot` that `like` has.
pub fn published_like(event: &Event, like: &serde_json::Value) -> serde_json::Value {
    let seq = like["seq"].as_u64().unwrap_or(0);
    let boot = like["boot"].as_str().unwrap_or("");
    let late = like["late"].as_bool().unwrap_or(false);
    let text = to_json(event, crate::event::Envelope { seq, boot, late });
    serde_json::from_str(&text).unwrap_or_default()
}
