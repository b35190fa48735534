//! Months without growth, told by hours: more frames than a day has go through tracker, rules and store, and memory stays
//! where it was after the first part of them.
//!
//! The default is short. A day of frames at 10 a second:
//! `WATCHPOST_ENDURANCE_FRAMES=864000 CARGO_PROFILE_DEV_OPT_LEVEL=3 cargo test --test endurance -- --nocapture`
//! What `run` itself needs with cameras and a model is measured by `tests/endurance.sh`.

use std::collections::BTreeMap;
use watchpost::clue::Clues;
use watchpost::config;
use watchpost::detection::{Class, Detection, Detections};
use watchpost::geometry::BBox;
use watchpost::pipeline::Pipeline;
use watchpost::store::{Batch, Store, StoreConfig};
use watchpost::time::{MediaTime, Span, WallTime};

const CONFIG: &str = r#"
schema = 1
device = { id = "till" }
[camera.door]
source = { kind = "file", path = "none.mp4" }
line.sill = { points = [[0.0, 0.5], [1.0, 0.5]] }
zone.shelf = { polygon = [[0.1, 0.2], [0.6, 0.2], [0.6, 0.9], [0.1, 0.9]] }
rule.count = { kind = "line_count", line = "sill" }
rule.visits = { kind = "dwell", zone = "shelf" }
rule.linger = { kind = "loitering", zone = "shelf", min_dwell_s = 20.0 }
rule.crowd = { kind = "crowding", at_least = 3, for_s = 2.0 }
"#;

/// Resident kilobytes.
fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// People who come from above, cross the line, and some of whom stay at the shelf; up to six at once.
fn people(frame: i64) -> Vec<Detection> {
    let person = |lane: i64| {
        let step = (frame + 61 * lane) % 400;
        let (x, y) = (0.05 + 0.15 * lane as f32, 0.25 + 0.004 * (step.min(120) + (step - 300).max(0)) as f32);
        let bbox = BBox::new(x, y - 0.2, x + 0.07, y);
        (step < 390 && (frame / 400 + lane) % 3 != 0).then_some(Detection { class: Class::PERSON, score: 0.9, bbox })
    };
    (0..6).filter_map(person).collect()
}

#[test]
fn a_day_of_frames_leaves_no_more_memory_behind_than_an_hour() {
    let frames: i64 = std::env::var("WATCHPOST_ENDURANCE_FRAMES").ok().and_then(|n| n.parse().ok()).unwrap_or(36_000);
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), &StoreConfig::default()).unwrap();
    let mut pipeline = Pipeline::new(config::parse(CONFIG).unwrap().camera_plan(None).unwrap());
    let began = WallTime::now();
    let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut after_first_part = 0;
    for frame in 0..frames {
        let at = MediaTime::ZERO + Span::from_millis(100 * frame);
        let taken = began + (at - MediaTime::ZERO);
        let events =
            pipeline.step(&Detections { at, taken, aspect: 1.5, items: people(frame), clues: Clues::default() });
        for event in &events {
            *kinds.entry(event.kind).or_default() += 1;
        }
        if !events.is_empty() {
            store.write(Batch { events, ..Batch::default() }).unwrap();
        }
        if frame == frames / 4 {
            after_first_part = resident_kb();
        }
    }
    let now = resident_kb();
    println!("{frames} frames, events {kinds:?}, resident {after_first_part} kB after a quarter, {now} kB at the end");
    assert!(kinds.len() == 4, "every rule has told something: {kinds:?}");
    // What grows with every frame or event grows threefold in the other three quarters.
    assert!(now < after_first_part + 8_000, "from {after_first_part} kB to {now} kB");
}
