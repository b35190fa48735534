use super::*;
use crate::event::{Event, EventId, Place};
use crate::ids::{DeviceId, RuleId, ZoneId};
use crate::store::{Batch, MinuteCount, Store, StoreConfig};
use expect_test::expect;

fn event(at: WallTime, kind: &'static str, phase: Phase, severity: Severity, ended_at: Option<WallTime>) -> Event {
    let number = at.micros().to_string();
    Event {
        id: EventId::derive(at, &[kind, &number, if phase == Phase::End { "end" } else { "" }]),
        device: DeviceId::new("till-3"),
        camera: CameraId::new("aisle"),
        kind,
        rule: RuleId::new(kind),
        phase,
        severity,
        at,
        ended_at,
        clock_trusted: true,
        tracks: Vec::new(),
        place: Place::Zone(ZoneId::new("shelf")),
        score: 1.0,
        explain: format!("Something of the kind {kind}."),
    }
}

/// Five weeks with a loiterer each Saturday at five in the afternoon, and a sixth with twelve.
fn store(dir: &std::path::Path) -> WallTime {
    let monday = WallTime::parse("2026-01-05T00:00:00Z").unwrap();
    let after = |week: i64, minute: i64| monday + Span::from_millis((week * 7 * 24 * 60 + minute) * 60_000);
    let saturday = (5 * 24 + 17) * 60;
    let mut events = Vec::new();
    let mut minutes = Vec::new();
    for week in -5..1i64 {
        for day in 0..7 {
            let minute = after(week, day * 1440 + 720).micros() / 60_000_000;
            let class = crate::detection::Class::PERSON;
            minutes.push(MinuteCount { camera: CameraId::new("aisle"), minute, class, mean: 1.0, max: 2 });
        }
        for nth in 0..if week == 0 { 12 } else { 1 } {
            let at = after(week, saturday + nth * 10);
            let severity = if nth < 2 { Severity::Warning } else { Severity::Info };
            events.push(event(at, "loitering", Phase::Start, severity, None));
            let end = Some(at + Span::from_millis(60_000));
            events.push(event(at, "loitering", Phase::End, severity, end));
        }
        events.push(event(after(week, 600), "line_count", Phase::Instant, Severity::Info, None));
    }
    events.push(event(after(0, 100), "camera_covered", Phase::Start, Severity::Warning, None));
    events.push(event(after(0, 100), "camera_covered", Phase::End, Severity::Warning, Some(after(0, 130))));
    events.push(event(after(0, 10_070), "camera_moved", Phase::Start, Severity::Warning, None));
    let mut store = Store::open(dir, &StoreConfig::default()).unwrap();
    store.set_clock_trusted(false);
    store.write(Batch { events, minutes, ..Batch::default() }).unwrap();
    store.close().unwrap();
    after(1, 0)
}

#[test]
fn a_week_is_told_as_text_json_and_workbook() {
    let folder = tempfile::tempdir().unwrap();
    let until = store(folder.path());
    let history = History::open(folder.path()).unwrap();
    let from = until + Span::from_millis(-7 * 86_400_000);
    let report = look(&history, from, until, &TimeZone::UTC).unwrap();
    expect![[r#"
        2026-01-05 00:00 to 2026-01-12 00:00 (UTC)

          camera           what                   events   alerts
          aisle            camera_covered              1        1
          aisle            camera_moved                1        1
          aisle            line_count                  1        0
          aisle            loitering                  12        2
          aisle            person               seen in 7 minutes, at most 2 at once

        frequent
          shelf, Saturdays 17 to 19 h: 12 times loitering, 0.9 expected from 5 weeks, p = less than 0.0001 (corrected for all places and hours: 0.0002)

        alerts by day
          2026-01-05 aisle               1
          2026-01-10 aisle               2
          2026-01-11 aisle               1

        alerts
          2026-01-11 23:50 aisle            Something of the kind camera_moved.
          2026-01-05 01:40 aisle            Something of the kind camera_covered.
          2026-01-10 17:10 aisle            Something of the kind loitering.
          2026-01-10 17:00 aisle            Something of the kind loitering.

        blind (covered, moved, frozen)
          aisle            40 min
    "#]]
    .assert_eq(&text::write(&report));
    let json: serde_json::Value = serde_json::from_slice(&json::write(&report)).unwrap();
    assert_eq!(json["kinds"][3]["kind"], "loitering");
    assert_eq!((&json["kinds"][3]["events"], &json["kinds"][3]["alerts"]), (&12.into(), &2.into()));
    assert_eq!((&json["blind_s"]["aisle"], &json["weeks_before"]), (&2400.0.into(), &5.into()));
    assert_eq!((&json["frequent"][0]["day"], &json["frequent"][0]["count"]), (&"Saturday".into(), &12.into()));
    let book = xlsx::write(&report).unwrap();
    assert!(book.starts_with(b"PK"));
    assert_eq!(book, xlsx::write(&report).unwrap());
    assert_eq!(frequent_between(&history, from, until, &TimeZone::UTC).unwrap(), report.frequent);
}

#[test]
fn a_folder_without_a_past_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let error = History::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("expected the state folder of an appliance"), "{error}");
    std::fs::write(folder.path().join("events.db"), "no database").unwrap();
    assert!(History::open(folder.path()).is_err());
}
