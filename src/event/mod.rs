//! What the appliance tells the world: something began, changed or ended, where, who and why.
//!
//! An [`Event`] is made by the pipeline alone. It becomes a [`Record`] when the store has given it its place
//! in the device's sequence; only records leave the device. `wire` spells both as JSON.

mod wire;

use crate::detection::Class;
use crate::geometry::BBox;
use crate::ids::{CameraId, DeviceId, LineId, RuleId, TrackId, ZoneId};
use crate::time::WallTime;
use sha2::{Digest, Sha256};
use std::fmt;

pub use wire::{Envelope, EventHead, EventTold, SCHEMA, TrackTold, from_json, to_json, told_from_json};

/// 26 characters of Crockford base 32 like a ULID: 48 bits of milliseconds, then 80 bits that are not random
/// but the digest of what happened, so that the same recording and configuration give the same id and a
/// subscriber can drop what it has seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(String);

impl EventId {
    /// `parts` must tell two events of one device apart: camera, rule, phase, moment, tracks, place.
    pub fn derive(at: WallTime, parts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            // Lengths keep ("ab","c") and ("a","bc") apart.
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        digest.update(at.micros().to_le_bytes());
        let digest = digest.finalize();
        let mut bits = u128::from(at.millis().max(0) as u64 & 0xffff_ffff_ffff) << 80;
        for (i, byte) in digest[..10].iter().enumerate() {
            bits |= u128::from(*byte) << (72 - 8 * i);
        }
        const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let text = (0..26).rev().map(|i| ALPHABET[(bits >> (5 * i)) as usize & 31] as char).collect();
        EventId(text)
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where in the life of a finding an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Something that lasts has begun; an `end` of the same rule and tracks follows.
    Start,
    /// What began is over; `ended_at` is set.
    End,
    /// Something that has no length, as the crossing of a line.
    Instant,
}

/// `info` is for counting; `warning` and `alarm` also go to the `alert` topic.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Alarm,
}

impl Severity {
    pub fn is_alert(self) -> bool {
        self >= Severity::Warning
    }
}

/// Where in the picture it happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// The whole frame.
    Frame,
    Zone(ZoneId),
    Line(LineId, Direction),
}

/// Over a line, as the polyline was drawn: see `geometry::side`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the left hand (negative side) to the right hand.
    In,
    Out,
}

/// A track as it stood at the moment of the event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Party {
    pub id: TrackId,
    pub class: Class,
    pub score: f32,
    pub bbox: BBox,
}

/// One finding, ready to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub id: EventId,
    pub device: DeviceId,
    pub camera: CameraId,
    /// The behaviour, `loitering`; also what a dashboard filters by.
    pub kind: &'static str,
    pub rule: RuleId,
    pub phase: Phase,
    pub severity: Severity,
    pub at: WallTime,
    pub ended_at: Option<WallTime>,
    /// False while the board has not heard from a time server since it started.
    pub clock_trusted: bool,
    pub tracks: Vec<Party>,
    pub place: Place,
    /// 0..1, how sure.
    pub score: f32,
    /// One or two sentences for a person who cannot debug anything.
    pub explain: String,
}

/// An event with its place in the device's life: `seq` counts from 1 without gaps and is never given twice.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    pub seq: u64,
    /// Which start of the appliance recorded it.
    pub boot: String,
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ulids_that_sort_by_time_and_depend_on_every_part() {
        let at = WallTime::parse("2026-11-24T10:15:02.120Z").unwrap();
        let id = EventId::derive(at, &["a", "bc"]);
        assert_eq!(id.as_str().len(), 26);
        assert_eq!(id, EventId::derive(at, &["a", "bc"]));
        assert_ne!(id, EventId::derive(at, &["ab", "c"]));
        let later = WallTime::parse("2026-11-24T10:15:02.121Z").unwrap();
        assert!(id < EventId::derive(later, &["a", "bc"]));
    }
}
