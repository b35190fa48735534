//! What an appliance has recorded between two moments.
//!
//! `blind` is the time that the camera itself told of: covered, moved or frozen. That a camera was down or silent is in
//! `health` only, and not in here.

pub mod json;
pub mod text;
pub mod xlsx;

#[cfg(test)]
mod tests;

use crate::event::{Phase, Severity};
use crate::ids::CameraId;
use crate::sight::Trouble;
use crate::statistics::Hour;
use crate::statistics::frequent::{Frequent, Incident, Question, frequent};
use crate::store::{History, Past};
use crate::time::{Span, WallTime};
use anyhow::Result;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

/// Weeks before the period that it is compared with.
const WEEKS: i64 = 12;
/// The share of what is called frequent that may be chance.
pub const RATE: f64 = 0.1;
/// The `rule` and `kind` of the event that says so.
pub const FREQUENT: &str = "frequent";
/// What is counted, and no incident however often it happens.
const COUNTED: [&str; 4] = ["line_count", "dwell", "occupancy", FREQUENT];

#[derive(Debug, Clone, PartialEq)]
pub struct PastReport {
    pub from: WallTime,
    pub until: WallTime,
    pub time_zone: TimeZone,
    /// What began or happened, by camera and kind.
    pub kinds: BTreeMap<(CameraId, String), Told>,
    /// The same by camera and local day (days since 1970).
    pub days: BTreeMap<(CameraId, i64), Told>,
    /// In order of recording.
    pub alerts: Vec<Past>,
    pub frequent: Vec<Frequent>,
    /// Weeks that there are to compare with.
    pub weeks_before: u32,
    pub blind: BTreeMap<CameraId, Span>,
    /// Minutes in which a class was seen, and the most at once, by camera and class.
    pub seen: BTreeMap<(CameraId, String), (u64, u32)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    pub events: u64,
    /// Of severity warning or alarm.
    pub alerts: u64,
}

impl Told {
    fn add(&mut self, event: &Past) {
        self.events += 1;
        self.alerts += u64::from(event.severity.is_alert());
    }
}

/// # Errors
/// The database cannot be read.
pub fn look(history: &History, from: WallTime, until: WallTime, zone: &TimeZone) -> Result<PastReport> {
    let mut report = PastReport {
        from,
        until,
        time_zone: zone.clone(),
        kinds: BTreeMap::new(),
        days: BTreeMap::new(),
        alerts: Vec::new(),
        frequent: Vec::new(),
        weeks_before: 0,
        blind: BTreeMap::new(),
        seen: BTreeMap::new(),
    };
    let mut blind_since: BTreeMap<(CameraId, String), WallTime> = BTreeMap::new();
    history.events(from, until, |event| {
        let withholds = Trouble::ALL.iter().any(|t| t.kind() == event.kind && t.withholds());
        if withholds {
            match event.phase {
                Phase::End => {
                    blind_since.remove(&(event.camera.clone(), event.kind.clone()));
                    let lasted = event.ended_at.unwrap_or(event.at) - event.at;
                    let blind = report.blind.entry(event.camera.clone()).or_default();
                    *blind = *blind + lasted;
                }
                _ => _ = blind_since.insert((event.camera.clone(), event.kind.clone()), event.at),
            }
        }
        if event.phase == Phase::End {
            return;
        }
        let day = Hour::and_day(event.at, zone).1;
        report.kinds.entry((event.camera.clone(), event.kind.clone())).or_default().add(&event);
        report.days.entry((event.camera.clone(), day)).or_default().add(&event);
        if event.severity >= Severity::Warning {
            report.alerts.push(event);
        }
    })?;
    for ((camera, _), since) in blind_since {
        let blind = report.blind.entry(camera).or_default();
        *blind = *blind + (until - since);
    }
    history.minutes(from, until, |camera, _, class, max| {
        let (minutes, most) = report.seen.entry((camera, class.to_owned())).or_default();
        (*minutes, *most) = (*minutes + 1, max.max(*most));
    })?;
    (report.frequent, report.weeks_before) = compare(history, from, until, zone)?;
    Ok(report)
}

/// What was more frequent in this time than in the weeks before, most surprising first.
///
/// # Errors
/// The database cannot be read.
pub fn frequent_between(history: &History, from: WallTime, until: WallTime, zone: &TimeZone) -> Result<Vec<Frequent>> {
    Ok(compare(history, from, until, zone)?.0)
}

fn compare(history: &History, from: WallTime, until: WallTime, zone: &TimeZone) -> Result<(Vec<Frequent>, u32)> {
    let (mut incidents, mut watched) = (Vec::new(), BTreeSet::new());
    let before = from + Span::from_millis(-WEEKS * 7 * 86_400_000);
    history.events(before, until, |event| {
        watched.insert((event.camera.clone(), Hour::and_day(event.at, zone).1));
        let is_one = !COUNTED.contains(&event.kind.as_str()) && !event.kind.starts_with("camera_");
        if is_one && event.phase != Phase::End {
            incidents.push(Incident { camera: event.camera, place: event.place, kind: event.kind, at: event.at });
        }
    })?;
    let mut last = None;
    history.minutes(before, until, |camera, minute, _, _| {
        // The calendar is asked once an hour.
        if last.as_ref() != Some(&(camera.clone(), minute / 60)) {
            let at = WallTime::from_micros(minute * 60_000_000);
            watched.insert((camera.clone(), Hour::and_day(at, zone).1));
            last = Some((camera, minute / 60));
        }
    })?;
    let first_day = Hour::and_day(from, zone).1;
    let days: BTreeSet<i64> = watched.iter().map(|(_, day)| *day).filter(|day| *day < first_day).collect();
    let question = Question { incidents: &incidents, watched: &watched, from, until, zone, rate: RATE };
    Ok((frequent(&question), (days.len() / 7) as u32))
}

/// `shelf, Saturdays 17 to 19 h: 5 times loitering, 1.6 expected from 12 weeks, p = 0.012 (corrected for all places and
/// hours: 0.04)`
pub fn words(one: &Frequent) -> String {
    let place = if one.place.is_empty() { format!("camera {}", one.camera) } else { one.place.clone() };
    let from = one.hour.of_day() as u32;
    format!(
        "{place}, {}s {from} to {} h: {} times {}, {:.1} expected from {} weeks, p = {} (corrected for all places and hours: {})",
        one.hour.day_name(),
        from + one.hours,
        one.count,
        one.kind.replace('_', " "),
        one.expected,
        one.weeks,
        chance(one.p),
        chance(one.adjusted)
    )
}

/// Two digits that count.
pub(super) fn chance(p: f64) -> String {
    match p {
        p if p < 1e-4 => "less than 0.0001".into(),
        p if p < 0.01 => format!("{p:.4}"),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

/// `2026-11-24`
pub(super) fn date(day: i64, zone: &TimeZone) -> String {
    local(Hour::midnight(day, zone), zone).strftime("%Y-%m-%d").to_string()
}

pub(super) fn local(at: WallTime, zone: &TimeZone) -> jiff::Zoned {
    let at = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(zone.clone())
}
