//! Every rule about tracks on public films of people who do nothing wrong: whatever is told there is an alert too many.
//!
//! The films are streets, squares, one shop and one table, not shops with a plan; so one plan is laid over all of them: come in
//! on the left, a shelf and a till in the middle, out on the right, a line down the middle that may be crossed both ways by
//! some rules and one way by others. What people do in a street is not innocent by every rule (they walk behind each other
//! over a line), which the table in the documentation says.
//!
//! Without the shared data there is nothing to look at; that is said. `WATCHPOST_INNOCENT_FILMS=1` also runs the detector
//! over the films, which takes minutes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use watchpost::clue::Clues;
use watchpost::config;
use watchpost::detection::Detections;
use watchpost::event::{Event, Phase};
use watchpost::geometry::BBox;
use watchpost::pipeline::Pipeline;
use watchpost::time::{MediaTime, WallTime};
use watchpost::track::mot;

const PLAN: &str = r#"
schema = 1
[device]
id = "innocent"
[model]
name = "nanodet-g-int8"
[camera.film]
source = { kind = "file", path = "none.mp4" }
[camera.film.zone.way-in]
kind = "entrance"
polygon = [[0.0, 0.0], [0.2, 0.0], [0.2, 1.0], [0.0, 1.0]]
[camera.film.zone.shelf]
kind = "shelf"
polygon = [[0.25, 0.0], [0.6, 0.0], [0.6, 1.0], [0.25, 1.0]]
[camera.film.zone.till]
kind = "till"
polygon = [[0.65, 0.8], [0.75, 0.8], [0.75, 1.0], [0.65, 1.0]]
[camera.film.zone.way-out]
kind = "exit"
polygon = [[0.8, 0.0], [1.0, 0.0], [1.0, 1.0], [0.8, 1.0]]
[camera.film.line.middle]
points = [[0.5, 0.0], [0.5, 1.0]]
[camera.film.rule.linger]
kind = "loitering"
zone = "shelf"
[camera.film.rule.unpaid]
kind = "exit_without_checkout"
[camera.film.rule.way]
kind = "journey"
journey = "entrance -> shelf(dwell > 20s) -> !checkout -> exit within 10m"
[camera.film.rule.again]
kind = "repeat_approach"
zone = "shelf"
[camera.film.rule.group]
kind = "group_split"
[camera.film.rule.queue]
kind = "queue_too_long"
zone = "shelf"
[camera.film.rule.run]
kind = "running"
[camera.film.rule.slip]
kind = "tailgating"
line = "middle"
[camera.film.rule.back]
kind = "wrong_way"
zone = "shelf"
towards = [0.0, 1.0]
[camera.film.rule.van]
kind = "stopped_vehicle"
zone = "shelf"
[camera.film.rule.blocked]
kind = "object_in_zone"
zone = "shelf"
"#;

/// In all sequences together, at the most: what was measured, and one or two more.
const MOST: [(&str, usize); 11] = [
    ("loitering", 1),
    ("exit_without_checkout", 6),
    ("journey", 1),
    ("repeat_approach", 1),
    ("group_split", 1),
    ("queue_too_long", 1),
    ("running", 4),
    ("tailgating", 17),
    ("wrong_way", 2),
    ("stopped_vehicle", 1),
    ("object_in_zone", 1),
];

fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WATCHPOST_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(path);
    if !path.exists() {
        println!("skipped: no shared data");
        return None;
    }
    Some(path)
}

#[test]
fn sequences_of_pedestrians() {
    let Some(folder) = shared("data/mot") else { return };
    let mut told: BTreeMap<&str, usize> = MOST.iter().map(|(kind, _)| (*kind, 0)).collect();
    let (mut sequences, mut seconds) = (0, 0.0);
    for set in ["MOT15", "MOT17half"] {
        let mut folders: Vec<PathBuf> =
            std::fs::read_dir(folder.join(set)).unwrap().map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        for sequence in folders.iter().filter(|path| path.is_dir()) {
            let (length, events) = play(sequence);
            sequences += 1;
            seconds += length;
            for event in events.iter().filter(|event| event.phase != Phase::End) {
                println!("{}: {}: {}", sequence.display(), event.kind, event.explain);
                *told.entry(event.kind).or_default() += 1;
            }
        }
    }
    println!("{sequences} sequences, {seconds:.0} s: {told:?}");
    assert!(sequences >= 9 && seconds > 100.0, "{sequences} sequences of {seconds} s");
    for (kind, most) in MOST {
        assert!(told[kind] <= most, "{kind}: {} alerts, at most {most}", told[kind]);
    }
}

/// The detections that come with a sequence through the pipeline: its length in seconds, and what was told.
fn play(sequence: &Path) -> (f64, Vec<Event>) {
    let info = std::fs::read_to_string(sequence.join("seqinfo.ini")).unwrap();
    let number = |key: &str| {
        let line = info.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='));
        line.and_then(|value| value.trim().parse::<f64>().ok()).unwrap_or_else(|| panic!("no {key} in {info}"))
    };
    let (fps, width, height) = (number("frameRate"), number("imWidth") as f32, number("imHeight") as f32);
    let found = mot::read(&std::fs::read_to_string(sequence.join("det/det.txt")).unwrap()).unwrap();
    let mut pipeline = Pipeline::new(config::parse(PLAN).unwrap().camera_plan(None).unwrap());
    let mut events = Vec::new();
    let (first, last) = (*found.keys().next().unwrap(), *found.keys().next_back().unwrap());
    for frame in first..=last {
        let mut items = found.get(&frame).cloned().unwrap_or_default();
        for item in &mut items {
            let b = item.bbox;
            item.bbox = BBox::new(b.x1 / width, b.y1 / height, b.x2 / width, b.y2 / height);
        }
        let at = MediaTime::from_secs_f64(f64::from(frame - first) / fps);
        let taken = WallTime::EPOCH + (at - MediaTime::ZERO);
        events.extend(pipeline.step(&Detections { at, taken, aspect: width / height, items, clues: Clues::default() }));
    }
    events.extend(pipeline.finish());
    (f64::from(last - first + 1) / fps, events)
}

#[test]
fn films_through_the_detector() {
    if std::env::var_os("WATCHPOST_INNOCENT_FILMS").is_none() {
        println!("skipped: WATCHPOST_INNOCENT_FILMS is not set");
        return;
    }
    let Some(folder) = shared("data/videos") else { return };
    let own = tempfile::tempdir().unwrap();
    let config = own.path().join("plan.toml");
    std::fs::write(&config, PLAN).unwrap();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for film in
        ["one-by-one-person-detection.mp4", "bottle-detection.mp4", "TUD-Campus.mp4", "store-aisle-detection.gif"]
    {
        let mut replay = Command::new(env!("CARGO_BIN_EXE_watchpost"));
        let out = replay.arg("replay").arg(folder.join(film)).arg("--config").arg(&config).output().unwrap();
        assert!(out.status.success(), "{film}: {}", String::from_utf8_lossy(&out.stderr));
        for line in String::from_utf8(out.stdout).unwrap().lines() {
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            if event["phase"] != "end" && event["rule"] != "tamper" {
                println!("{film}: {}: {}", event["kind"], event["explain"]);
                *told.entry(event["kind"].as_str().unwrap().into()).or_default() += 1;
            }
        }
    }
    println!("4 films: {told:?}");
    for (kind, most) in MOST {
        let told = told.get(kind).copied().unwrap_or_default();
        assert!(told <= most, "{kind}: {told} alerts, at most {most}");
    }
}
