//! `report`, from the outside: a state folder goes in, a page, JSON and a workbook come out.

mod cli;

use cli::Desk;
use watchpost::event::{Event, EventId, Phase, Place, Severity};
use watchpost::ids::{CameraId, DeviceId, RuleId, ZoneId};
use watchpost::store::{Store, StoreConfig};
use watchpost::time::{Span, WallTime};

fn remember(desk: &Desk) {
    let at = |minute: i64| WallTime::parse("2026-11-23T09:00:00Z").unwrap() + Span::from_millis(minute * 60_000);
    let events = (0..5).map(|nth| Event {
        id: EventId::derive(at(nth), &["linger"]),
        device: DeviceId::new("box"),
        camera: CameraId::new("aisle"),
        kind: "loitering",
        rule: RuleId::new("linger"),
        phase: Phase::Start,
        severity: if nth == 0 { Severity::Warning } else { Severity::Info },
        at: at(nth),
        ended_at: None,
        clock_trusted: true,
        tracks: Vec::new(),
        place: Place::Zone(ZoneId::new("shelf")),
        score: 1.0,
        explain: "A person has stayed 94 s at shelf. Please review.".into(),
    });
    let mut store = Store::open(&desk.path("state"), &StoreConfig::default()).unwrap();
    store.set_clock_trusted(false);
    store.record(events.collect()).unwrap();
    store.close().unwrap();
}

#[test]
fn a_week_in_words_json_and_a_workbook() {
    let desk = Desk::new();
    remember(&desk);
    let line = "report --state state --until 2026-11-25T00:00:00Z --time-zone Europe/Berlin";
    let page = desk.run(line);
    page.is_fine("a page");
    assert!(page.stdout.contains("2026-11-23 10:00 aisle"), "in local time: {}", page.stdout);
    assert!(page.stdout.contains("A person has stayed 94 s at shelf."), "{}", page.stdout);
    let both = desk.run(&format!("{line} --json - --xlsx week.xlsx"));
    both.is_fine("JSON and a workbook");
    let json: serde_json::Value = serde_json::from_str(&both.stdout).unwrap();
    assert_eq!((&json["kinds"][0]["events"], &json["kinds"][0]["alerts"]), (&5.into(), &1.into()));
    assert_eq!(json["alerts"].as_array().map(Vec::len), Some(1));
    assert!(std::fs::read(desk.path("week.xlsx")).unwrap().starts_with(b"PK"));
    let before = desk.run("report --state state --since 36h --until 2026-11-20T00:00:00Z");
    assert!(before.is_fine("nothing").stdout.contains("nothing was told"), "{}", before.stdout);
}

#[test]
fn what_is_wrong_is_told_in_one_sentence() {
    let desk = Desk::new();
    remember(&desk);
    for (line, words) in [
        ("report", vec!["--state", "expected the state folder"]),
        ("report --state nowhere", vec!["there is no events.db in nowhere"]),
        ("report --state state --since yesterday", vec!["--since is \"yesterday\"", "7d or 36h"]),
        ("report --state state --since 0d", vec!["--since is \"0d\""]),
        ("report --state state --until noon", vec!["--until is \"noon\"", "2026-11-24T10:15:00Z"]),
        ("report --state state --time-zone Mars/Phobos", vec!["--time-zone", "Europe/Berlin"]),
        ("report --state state --json - --xlsx -", vec!["at most one on standard output"]),
    ] {
        desk.run(line).complains(2, &words, line);
    }
}
