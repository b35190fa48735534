//! The JSON of the MQTT `event` and of `replay`, as the contract spells it.

use super::{Direction, Event, Phase, Place, Severity};
use crate::time::WallTime;
use serde::{Deserialize, Serialize};

/// Version of this spelling; raised when a field changes its meaning, not when one is added.
pub const SCHEMA: u32 = 1;

/// What the store and the link add to an event.
#[derive(Debug, Clone, Copy)]
pub struct Envelope<'a> {
    pub seq: u64,
    pub boot: &'a str,
    /// Delivered after an outage.
    pub late: bool,
}

#[derive(Serialize)]
struct EventOut<'a> {
    schema: u32,
    id: &'a str,
    seq: u64,
    boot: &'a str,
    device: &'a str,
    camera: &'a str,
    kind: &'a str,
    rule: &'a str,
    phase: Phase,
    severity: Severity,
    at: WallTime,
    ended_at: Option<WallTime>,
    clock_trusted: bool,
    late: bool,
    tracks: Vec<TrackOut<'a>>,
    place: PlaceOut<'a>,
    score: f64,
    explain: &'a str,
    snapshot: String,
}

#[derive(Serialize)]
struct TrackOut<'a> {
    id: u64,
    class: &'a str,
    score: f64,
    #[serde(rename = "box")]
    bbox: [f64; 4],
}

#[derive(Serialize, Default)]
struct PlaceOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    zone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
}

/// Four decimals are a tenth of a pixel at 1000 pixels; more would be noise that differs per CPU.
fn rounded(v: f32) -> f64 {
    (f64::from(v) * 1e4).round() / 1e4
}

/// One line of JSON without a line end.
pub fn to_json(event: &Event, envelope: Envelope<'_>) -> String {
    let place = match &event.place {
        Place::Frame => PlaceOut::default(),
        Place::Zone(zone) => PlaceOut { zone: Some(zone.as_str()), ..Default::default() },
        Place::Line(line, direction) => {
            PlaceOut { line: Some(line.as_str()), direction: Some(*direction), ..Default::default() }
        }
    };
    let tracks = event
        .tracks
        .iter()
        .map(|t| TrackOut {
            id: t.id.0,
            class: t.class.name(),
            score: rounded(t.score),
            bbox: t.bbox.to_array().map(rounded),
        })
        .collect();
    let out = EventOut {
        schema: SCHEMA,
        id: event.id.as_str(),
        seq: envelope.seq,
        boot: envelope.boot,
        device: event.device.as_str(),
        camera: event.camera.as_str(),
        kind: event.kind,
        rule: event.rule.as_str(),
        phase: event.phase,
        severity: event.severity,
        at: event.at,
        ended_at: event.ended_at,
        clock_trusted: event.clock_trusted,
        late: envelope.late,
        tracks,
        place,
        score: rounded(event.score),
        explain: &event.explain,
        snapshot: format!("camera/{}/snapshot", event.camera),
    };
    serde_json::to_string(&out).expect("an event has string keys and finite numbers only")
}

/// What a subscriber (or our own outbox) needs to know of a payload without understanding all of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventHead {
    pub id: String,
    pub seq: u64,
    pub severity: Severity,
}

pub fn from_json(payload: &str) -> Result<EventHead, serde_json::Error> {
    serde_json::from_str(payload)
}

/// What a person would be told of an event that was recorded.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EventTold {
    pub id: String,
    pub camera: String,
    pub kind: String,
    pub rule: String,
    pub phase: Phase,
    pub at: WallTime,
    pub tracks: Vec<TrackTold>,
    pub explain: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TrackTold {
    pub id: u64,
}

pub fn told_from_json(payload: &str) -> Result<EventTold, serde_json::Error> {
    serde_json::from_str(payload)
}
