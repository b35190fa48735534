//! From what a rule tells to an event with its id.
//!
//! No two events of a camera have the same id: within one opening of the source, film time never stands still between
//! frames, and within one frame the events of a rule are numbered. Beyond that the id depends on everything that tells
//! what happened, so that another configuration on the same recording has other ids where it finds something else.

use super::plan::CameraPlan;
use super::rule::Told;
use crate::event::{Event, EventId, Phase, Place};
use crate::ids::{CameraId, DeviceId, RuleId};
use crate::time::MediaTime;
use std::collections::BTreeMap;

pub(super) struct Issuer {
    device: DeviceId,
    camera: CameraId,
    /// How many times the source was opened before.
    opening: u64,
    frame: MediaTime,
    /// Events of each rule since that frame came.
    issued: BTreeMap<RuleId, u64>,
}

impl Issuer {
    pub fn new(plan: &CameraPlan) -> Self {
        Issuer {
            device: plan.device.clone(),
            camera: plan.camera.clone(),
            opening: 0,
            frame: MediaTime::ZERO,
            issued: BTreeMap::new(),
        }
    }

    pub fn rename(&mut self, plan: &CameraPlan) {
        self.device = plan.device.clone();
        self.camera = plan.camera.clone();
    }

    pub fn next_frame(&mut self, at: MediaTime) {
        self.frame = at;
        self.issued.clear();
    }

    pub fn next_opening(&mut self) {
        self.opening += 1;
        self.issued.clear();
    }

    pub fn resume(&mut self, opening: u64) {
        self.opening = opening;
        self.issued.clear();
    }

    pub fn opening(&self) -> u64 {
        self.opening
    }

    pub fn event(&mut self, id: &RuleId, kind: &'static str, told: Told, clock_trusted: bool) -> Event {
        let nth = self.issued.entry(id.clone()).or_default();
        *nth += 1;
        let phase = match told.phase {
            Phase::Start => "start",
            Phase::End => "end",
            Phase::Instant => "instant",
        };
        let (zone, line) = match &told.place {
            Place::Frame => ("", ""),
            Place::Zone(zone) => (zone.as_str(), ""),
            Place::Line(line, _) => ("", line.as_str()),
        };
        let number = format!("{}/{}/{nth}", self.opening, self.frame.micros());
        let who: Vec<String> = told.tracks.iter().map(|track| track.id.to_string()).collect();
        let parts =
            [self.device.as_str(), self.camera.as_str(), id.as_str(), kind, phase, &number, zone, line, &who.join(",")];
        let scores = told.tracks.iter().map(|track| track.score).sum::<f32>();
        Event {
            id: EventId::derive(told.ended_at.unwrap_or(told.at), &parts),
            device: self.device.clone(),
            camera: self.camera.clone(),
            kind,
            rule: id.clone(),
            phase: told.phase,
            severity: told.severity,
            at: told.at,
            ended_at: told.ended_at,
            clock_trusted,
            // As sure as the rule is, else as the detector was of those who are part of it; of nobody, it is certain.
            score: match told.score {
                Some(score) => score.clamp(0.0, 1.0),
                None if told.tracks.is_empty() => 1.0,
                None => (scores / told.tracks.len() as f32).clamp(0.0, 1.0),
            },
            tracks: told.tracks,
            place: told.place,
            explain: told.explain,
        }
    }
}
