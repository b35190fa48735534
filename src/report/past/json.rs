//! The JSON of `report`. Its fields are a promise; more may be added.

use super::{PastReport, date, words};
use crate::report::json::rounded;
use serde_json::{Value, json};

/// Raised when a field changes its meaning, not when one is added.
const SCHEMA: u32 = 1;

/// One object on one line, with a line end.
pub fn write(report: &PastReport) -> Vec<u8> {
    let zone = &report.time_zone;
    let kinds: Vec<Value> = report
        .kinds
        .iter()
        .map(|((camera, kind), told)| {
            json!({"camera": camera.as_str(), "kind": kind, "events": told.events, "alerts": told.alerts})
        })
        .collect();
    let days: Vec<Value> = report
        .days
        .iter()
        .map(|((camera, day), told)| {
            json!({"camera": camera.as_str(), "day": date(*day, zone), "events": told.events, "alerts": told.alerts})
        })
        .collect();
    let seen: Vec<Value> = report
        .seen
        .iter()
        .map(|((camera, class), (minutes, most))| {
            json!({"camera": camera.as_str(), "class": class, "minutes": minutes, "max_at_once": most})
        })
        .collect();
    let alerts: Vec<Value> = report
        .alerts
        .iter()
        .map(|event| {
            json!({"seq": event.seq, "at": event.at, "camera": event.camera.as_str(), "kind": event.kind,
                   "rule": event.rule, "severity": event.severity, "place": event.place, "explain": event.explain})
        })
        .collect();
    let frequent: Vec<Value> = report
        .frequent
        .iter()
        .map(|one| {
            json!({"camera": one.camera.as_str(), "place": one.place, "kind": one.kind, "day": one.hour.day_name(),
                   "from_h": one.hour.of_day(), "hours": one.hours, "count": one.count,
                   "expected": rounded(one.expected), "p": one.p, "p_corrected": one.adjusted, "weeks": one.weeks,
                   "words": words(one)})
        })
        .collect();
    let blind: serde_json::Map<String, Value> =
        report.blind.iter().map(|(camera, span)| (camera.to_string(), json!(rounded(span.secs_f64())))).collect();
    let out = json!({
        "schema": SCHEMA, "from": report.from, "until": report.until, "time_zone": zone.iana_name().unwrap_or("UTC"),
        "kinds": kinds, "days": days, "seen": seen, "alerts": alerts, "frequent": frequent,
        "weeks_before": report.weeks_before, "blind_s": blind,
    });
    let mut json = out.to_string().into_bytes();
    json.push(b'\n');
    json
}
