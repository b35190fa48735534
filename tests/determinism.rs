//! The same recording and configuration give the same bytes: twice on this computer, and on a board.
//!
//! The recording is made up here, with everything that makes trackers and rules hesitate: people who cross, vanish behind
//! others for a while and turn back, boxes that tremble, things that were never there. `WATCHPOST_OTHER` names the
//! other side, a command such as `qemu-aarch64 target/aarch64-unknown-linux-gnu/release/watchpost`; cross/test.sh sets it.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use tempfile::TempDir;

const SECONDS: u32 = 240;
const FPS: u32 = 10;
const PEOPLE: usize = 14;

/// Tuesday 18:58 in Berlin: the shop closes two minutes into the recording.
const START: &str = "2026-11-24T17:58:00Z";

const CONFIG: &str = r#"
schema = 1
[device]
id = "till-3"
time_zone = "Europe/Berlin"
[camera.entrance]
source = { kind = "file", path = "unused.mp4" }
[camera.entrance.line.door]
points = [[0.3, 0.95], [0.45, 0.5], [0.3, 0.1]]
[camera.entrance.line.gate]
points = [[0.1, 0.55], [0.9, 0.6]]
classes = ["person"]
[camera.entrance.zone.shelf]
kind = "shelf"
polygon = [[0.5, 0.3], [0.95, 0.4], [0.8, 0.95], [0.55, 0.8]]
[camera.entrance.zone.store-room]
polygon = [[0.0, 0.2], [0.25, 0.3], [0.2, 0.9], [0.0, 0.9]]
[camera.entrance.rule.passage]
kind = "line_count"
line = "door"
[camera.entrance.rule.gate]
kind = "line_count"
line = "gate"
cooldown_s = 2.0
[camera.entrance.rule.full]
kind = "occupancy"
zone = "shelf"
more_than = 2
for_s = 1.5
[camera.entrance.rule.stay]
kind = "dwell"
zone = "shelf"
[camera.entrance.rule.linger]
kind = "loitering"
zone = "shelf"
min_dwell_s = 6.0
[camera.entrance.rule.staff-only]
kind = "restricted_zone"
zone = "store-room"
[camera.entrance.rule.closed]
kind = "after_hours"
open = { tue = ["08:00-19:00"] }
[camera.entrance.rule.crowd]
kind = "crowding"
at_least = 6
for_s = 2.0
"#;

#[test]
fn replay_gives_the_same_bytes_twice() {
    let desk = desk();
    let first = events(&desk, Command::new(env!("CARGO_BIN_EXE_watchpost")));
    let second = events(&desk, Command::new(env!("CARGO_BIN_EXE_watchpost")));
    assert!(first == second, "two runs on one computer differ:\n{}", first_difference(&first, &second));
    for kind in ["line_count", "occupancy", "dwell", "loitering", "restricted_zone", "after_hours", "crowding"] {
        assert!(first.contains(&format!("\"kind\":\"{kind}\"")), "the recording makes no {kind}, so it proves nothing");
    }
}

#[test]
fn a_board_tells_the_same_events() {
    let Ok(other) = std::env::var("WATCHPOST_OTHER") else {
        eprintln!("skipped: WATCHPOST_OTHER names no other build (cross/test.sh does)");
        return;
    };
    let mut words = other.split_whitespace();
    let mut board = Command::new(words.next().expect("WATCHPOST_OTHER is a command"));
    board.args(words).current_dir(env!("CARGO_MANIFEST_DIR"));
    let desk = desk();
    let here = events(&desk, Command::new(env!("CARGO_BIN_EXE_watchpost")));
    let there = events(&desk, board);
    assert!(here == there, "{other} differs from here:\n{}", first_difference(&here, &there));
    eprintln!("{} events, {} bytes: identical", here.lines().count(), here.len());
}

fn desk() -> TempDir {
    let desk = tempfile::tempdir().unwrap();
    fs::write(desk.path().join("recording.jsonl"), recording()).unwrap();
    fs::write(desk.path().join("config.toml"), CONFIG).unwrap();
    desk
}

fn events(desk: &TempDir, mut watchpost: Command) -> String {
    let output = watchpost
        .arg("replay")
        .arg(desk.path().join("recording.jsonl"))
        .arg("--config")
        .arg(desk.path().join("config.toml"))
        .output()
        .expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("events are UTF-8")
}

fn first_difference(a: &str, b: &str) -> String {
    let (line, pair) = a
        .lines()
        .map(Some)
        .chain(std::iter::repeat(None))
        .zip(b.lines().map(Some).chain(std::iter::repeat(None)))
        .enumerate()
        .find(|(_, (a, b))| a != b || a.is_none())
        .expect("the sides differ, so the endless comparison ends");
    format!("line {}\n  {:?}\n  {:?}", line + 1, pair.0, pair.1)
}

struct Person {
    x: f32,
    y: f32,
    dx: f32,
    dy: f32,
    /// Frames for which something stands before this person.
    hidden: u32,
}

fn recording() -> String {
    let mut dice = fastrand::Rng::with_seed(7);
    let mut people: Vec<Person> =
        (0..PEOPLE).map(|_| Person { x: dice.f32(), y: 0.2 + 0.7 * dice.f32(), dx: 0.0, dy: 0.0, hidden: 0 }).collect();
    let mut log = format!(
        "{{\"schema\":1,\"kind\":\"watchpost-tracks\",\"camera\":\"entrance\",\"model\":\"made-up\",\"start\":\"{START}\"}}\n"
    );
    for frame in 0..SECONDS * FPS {
        let us = u64::from(frame) * 1_000_000 / u64::from(FPS) + dice.u64(0..9_000);
        let mut seen = Vec::new();
        for person in &mut people {
            walk(person, &mut dice);
            if person.hidden > 0 {
                person.hidden -= 1;
            } else if dice.f32() < 0.93 {
                let tremble = |dice: &mut fastrand::Rng| (dice.f32() - 0.5) * 0.008;
                let height = 0.12 + 0.2 * person.y;
                let (left, right) = (person.x - height / 6.0, person.x + height / 6.0);
                let corners = [left, person.y - height, right, person.y].map(|v| v + tremble(&mut dice));
                seen.push(detection("person", 0.25 + 0.7 * dice.f32(), corners));
            }
        }
        if dice.f32() < 0.05 {
            let (x, y) = (dice.f32(), dice.f32());
            let class = ["person", "handbag", "car"][dice.usize(0..3)];
            seen.push(detection(class, 0.3 + 0.3 * dice.f32(), [x, y, x + 0.07, y + 0.11]));
        }
        dice.shuffle(&mut seen);
        writeln!(log, "{{\"us\":{us},\"aspect\":1.7777778,\"detections\":[{}]}}", seen.join(",")).unwrap();
    }
    log
}

/// Goes on, mostly: sometimes stops, turns, or disappears behind somebody.
fn walk(person: &mut Person, dice: &mut fastrand::Rng) {
    match dice.u32(0..200) {
        0..=5 => (person.dx, person.dy) = ((dice.f32() - 0.5) * 0.03, (dice.f32() - 0.5) * 0.02),
        6..=7 => (person.dx, person.dy) = (0.0, 0.0),
        8 => person.hidden = dice.u32(2..25),
        _ => {}
    }
    if !(0.0..1.0).contains(&(person.x + person.dx)) {
        person.dx = -person.dx;
    }
    if !(0.2..1.0).contains(&(person.y + person.dy)) {
        person.dy = -person.dy;
    }
    person.x += person.dx;
    person.y += person.dy;
}

fn detection(class: &str, score: f32, corners: [f32; 4]) -> String {
    let [x1, y1, x2, y2] = corners.map(|v| v.clamp(0.0, 1.0));
    format!("{{\"class\":\"{class}\",\"score\":{score},\"box\":[{x1},{y1},{x2},{y2}]}}")
}
