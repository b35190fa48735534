//! The JSON of `count`. Its fields are a promise; more may be added.

use super::Report;
use crate::pipeline::{LineTotals, ZoneStats};
use crate::time::WallTime;
use serde::Serialize;
use std::collections::BTreeMap;

/// Raised when a field changes its meaning, not when one is added.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Out<'a> {
    schema: u32,
    video: &'a str,
    frames: u64,
    seconds: f64,
    model: &'a str,
    /// `null` where nobody knows.
    recorded: Option<WallTime>,
    every: u64,
    /// Frames that the network looked at.
    looks: u64,
    /// `false`: the film broke off, these are the results until there.
    complete: bool,
    objects: BTreeMap<&'a str, Objects>,
    lines: BTreeMap<&'a str, Line<'a>>,
    zones: BTreeMap<&'a str, Zone>,
    per_minute: Vec<Minute<'a>>,
    events: usize,
}

#[derive(Serialize)]
struct Objects {
    unique: u64,
    max_at_once: usize,
}

#[derive(Serialize)]
struct InOut {
    #[serde(rename = "in")]
    into: u64,
    out: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    all: InOut,
    by_class: BTreeMap<&'a str, InOut>,
}

#[derive(Serialize)]
struct Zone {
    visits: u64,
    dwell_p50_s: Option<f64>,
    dwell_p95_s: Option<f64>,
}

#[derive(Serialize)]
struct Minute<'a> {
    minute: u64,
    class: &'a str,
    mean: f64,
    max: usize,
}

/// One object on one line, with a line end.
pub fn write(report: &Report) -> Vec<u8> {
    let Report { about, objects, lines, zones, per_minute, events } = report;
    let out = Out {
        schema: SCHEMA,
        video: &about.video,
        frames: about.frames,
        seconds: rounded(about.seconds),
        model: &about.model,
        recorded: about.recorded,
        every: about.every,
        looks: about.looks,
        complete: about.complete,
        objects: objects
            .iter()
            .map(|(class, o)| (class.name(), Objects { unique: o.unique, max_at_once: o.max_at_once }))
            .collect(),
        lines: lines.iter().map(|(id, totals)| (id.as_str(), line_out(totals))).collect(),
        zones: zones.iter().map(|(id, stats)| (id.as_str(), zone_out(stats))).collect(),
        per_minute: per_minute
            .iter()
            .map(|m| Minute { minute: m.minute, class: m.class.name(), mean: rounded(m.mean), max: m.max })
            .collect(),
        events: events.len(),
    };
    let mut json = serde_json::to_vec(&out).expect("a report has string keys and finite numbers only");
    json.push(b'\n');
    json
}

fn line_out(totals: &LineTotals) -> Line<'static> {
    let by_class = totals.by_class.iter().map(|(class, &(into, out))| (class.name(), InOut { into, out })).collect();
    Line { all: InOut { into: totals.into, out: totals.out }, by_class }
}

fn zone_out(stats: &ZoneStats) -> Zone {
    Zone {
        visits: stats.visits,
        dwell_p50_s: stats.dwell_p50_s.map(rounded),
        dwell_p95_s: stats.dwell_p95_s.map(rounded),
    }
}

/// To thousandths.
pub(super) fn rounded(v: f64) -> f64 {
    (v * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    #[test]
    fn the_fields_are_those_that_were_promised() {
        let json = String::from_utf8(super::write(&crate::report::tally::tests::example())).unwrap();
        expect![[r#"
            {"schema":1,"video":"shop, \"front\".mp4","frames":1800,"seconds":120.04,"model":"nanodet-g-int8","recorded":"2026-11-24T10:15:00.000Z","every":1,"looks":1750,"complete":true,"objects":{"handbag":{"unique":4,"max_at_once":2},"person":{"unique":19,"max_at_once":8}},"lines":{"door":{"in":14,"out":18,"by_class":{"person":{"in":14,"out":18}}}},"zones":{"shelf":{"visits":9,"dwell_p50_s":4.2,"dwell_p95_s":21.0},"till":{"visits":0,"dwell_p50_s":null,"dwell_p95_s":null}},"per_minute":[{"minute":0,"class":"person","mean":4.2,"max":7},{"minute":1,"class":"handbag","mean":0.333,"max":2},{"minute":1,"class":"person","mean":5.0,"max":8}],"events":3}
        "#]]
        .assert_eq(&json);
    }
}
