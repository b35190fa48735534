//! Once a week: which incidents were more frequent in the week that is over than before. It is asked at each start and
//! each midnight, and the same week gives the same ids, which the store records once: nothing has to be remembered, and
//! a box that was off on Monday says it on Tuesday. A thread of its own reads the store, since that may take seconds.

use crate::event::{Event, EventId, Phase, Place, Severity};
use crate::ids::{DeviceId, RuleId, ZoneId};
use crate::platform::clock;
use crate::report::past::{FREQUENT, frequent_between, words};
use crate::statistics::Hour;
use crate::statistics::frequent::Frequent;
use crate::store::History;
use crate::time::{Span, Stopwatch, WallTime};
use anyhow::Result;
use jiff::tz::TimeZone;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use tracing::warn;

const LOOK_EVERY: Span = Span::from_millis(60_000);

pub(super) struct Weekly {
    dir: PathBuf,
    device: DeviceId,
    zone: TimeZone,
    /// The day on which it was asked.
    day: Option<i64>,
    looked: Stopwatch,
    asked: Option<JoinHandle<Result<Vec<Frequent>>>>,
}

impl Weekly {
    pub fn new(dir: &Path, device: &DeviceId, time_zone: &str) -> Self {
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        Weekly { dir: dir.into(), device: device.clone(), zone, day: None, looked: Stopwatch::start(), asked: None }
    }

    /// Events that are to be recorded, mostly none. Never waits.
    pub fn found(&mut self) -> Vec<Event> {
        if let Some(asked) = self.asked.take_if(|asked| asked.is_finished()) {
            return match asked.join() {
                Ok(Ok(found)) => found.iter().map(|one| event(&self.device, one)).collect(),
                Ok(Err(error)) => {
                    warn!(error = format!("{error:#}"), "What was frequent could not be found out, will try tomorrow.");
                    Vec::new()
                }
                Err(_) => {
                    warn!("The thread that looks for what was frequent had panicked.");
                    Vec::new()
                }
            };
        }
        if self.looked.elapsed() < LOOK_EVERY || self.asked.is_some() {
            return Vec::new();
        }
        self.looked = Stopwatch::start();
        let (hour, day) = Hour::and_day(WallTime::now(), &self.zone);
        if self.day == Some(day) || !clock::is_trusted() {
            return Vec::new();
        }
        self.day = Some(day);
        let monday = day - hour.day_of_week() as i64;
        let (dir, zone) = (self.dir.clone(), self.zone.clone());
        let (from, until) = (Hour::midnight(monday - 7, &zone), Hour::midnight(monday, &zone));
        let ask = move || frequent_between(&History::open(&dir)?, from, until, &zone);
        self.asked = std::thread::Builder::new().name("frequent".into()).spawn(ask).ok();
        Vec::new()
    }
}

/// The moment is that of the newest incident, so the same finding has the same id whenever it is made.
fn event(device: &DeviceId, one: &Frequent) -> Event {
    let hour = one.hour.of_week().to_string();
    let parts = [device.as_str(), one.camera.as_str(), FREQUENT, &one.kind, &one.place, &hour];
    Event {
        id: EventId::derive(one.newest, &parts),
        device: device.clone(),
        camera: one.camera.clone(),
        kind: FREQUENT,
        rule: RuleId::new(FREQUENT),
        phase: Phase::Instant,
        severity: Severity::Warning,
        at: one.newest,
        ended_at: None,
        clock_trusted: true,
        tracks: Vec::new(),
        place: if one.place.is_empty() { Place::Frame } else { Place::Zone(ZoneId::new(&one.place)) },
        score: (1.0 - one.adjusted) as f32,
        explain: format!("{}. Please review.", words(one)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CameraId;

    #[test]
    fn the_same_finding_is_the_same_event() {
        let one = Frequent {
            camera: CameraId::new("aisle"),
            place: "shelf".into(),
            kind: "loitering".into(),
            hour: Hour::at(5 * 24 + 17),
            hours: 2,
            count: 5,
            expected: 0.61,
            p: 0.00012,
            adjusted: 0.043,
            newest: WallTime::parse("2026-11-21T18:40:00Z").unwrap(),
            weeks: 12,
        };
        let first = event(&DeviceId::new("till-3"), &one);
        assert_eq!(first, event(&DeviceId::new("till-3"), &one));
        assert_eq!(
            first.explain,
            "shelf, Saturdays 17 to 19 h: 5 times loitering, 0.6 expected from 12 weeks, p = 0.0001 (corrected for all \
             places and hours: 0.043). Please review."
        );
        let other = event(&DeviceId::new("till-3"), &Frequent { hour: Hour::at(3), ..one });
        assert_ne!(first.id, other.id);
    }
}
