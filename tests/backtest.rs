//! What `run` has recorded, and what `backtest` makes of it: the same events under the same rules, others under others.

mod cli;

use cli::Desk;
use std::fmt::Write as _;
use watchpost::config;
use watchpost::ids::CameraId;
use watchpost::store::{History, Tapes};
use watchpost::tape::Player;
use watchpost::time::WallTime;

const CONFIG: &str = r#"
schema = 1
[device]
id = "till-3"
time_zone = "Europe/Berlin"
[store]
dir = "state"
[camera.aisle]
source = { kind = "recorded", path = "recording.jsonl", speed = 0.0 }
[camera.aisle.line.gate]
points = [[0.1, 0.55], [0.9, 0.6]]
[camera.aisle.zone.shelf]
kind = "shelf"
polygon = [[0.5, 0.3], [0.95, 0.4], [0.8, 0.95], [0.55, 0.8]]
[camera.aisle.rule.passage]
kind = "line_count"
line = "gate"
[camera.aisle.rule.linger]
kind = "loitering"
zone = "shelf"
min_dwell_s = 6.0
[camera.aisle.rule.stay]
kind = "dwell"
zone = "shelf"
[camera.aisle.rule.crowd]
kind = "crowding"
at_least = 3
for_s = 2.0
[camera.aisle.rule.full]
kind = "occupancy"
more_than = 1
for_s = 1.5
cooldown_s = 20.0
"#;

/// Half an hour of a shop in which people come and go, with frames missing, boxes that tremble, and long pauses.
fn recording() -> String {
    let mut dice = fastrand::Rng::with_seed(11);
    let mut log = String::from(
        "{\"schema\":1,\"kind\":\"watchpost-tracks\",\"camera\":\"aisle\",\"model\":\"made-up\",\"start\":\"2026-11-24T09:00:00Z\"}\n",
    );
    let mut people: Vec<[f32; 4]> = Vec::new();
    let mut us = 0u64;
    while us < 1_800_000_000 {
        us += if dice.u32(0..3000) == 0 { 8_000_000 } else { 98_000 + dice.u64(0..4_000) };
        let opening_rush = (us / 300_000_000).is_multiple_of(2);
        if opening_rush && people.len() < 6 && dice.u32(0..80) == 0 {
            people.push([dice.f32(), 0.3 + 0.6 * dice.f32(), 0.0, 0.0]);
        }
        people.retain_mut(|[x, y, dx, dy]| {
            match dice.u32(0..100) {
                0..=4 => (*dx, *dy) = ((dice.f32() - 0.5) * 0.03, (dice.f32() - 0.5) * 0.02),
                5..=7 => (*dx, *dy) = (0.0, 0.0),
                _ => {}
            }
            (*x, *y) = (*x + *dx, (*y + *dy).clamp(0.2, 1.0));
            (-0.05..1.05).contains(x) && (opening_rush || dice.u32(0..60) > 0)
        });
        let mut seen = Vec::new();
        for [x, y, ..] in &people {
            if dice.f32() > 0.93 {
                continue;
            }
            let tremble = (dice.f32() - 0.5) * 0.006;
            let (left, right) = ((x - 0.05 + tremble).max(0.0), (x + 0.05 - tremble).min(1.0));
            if left < right {
                let (top, score) = (y - 0.2 + tremble, 0.35 + 0.6 * dice.f32());
                seen.push(format!("{{\"class\":\"person\",\"score\":{score},\"box\":[{left},{top},{right},{y}]}}"));
            }
        }
        writeln!(log, "{{\"us\":{us},\"aspect\":1.7777778,\"detections\":[{}]}}", seen.join(",")).unwrap();
    }
    log
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.put("recording.jsonl", recording()).put("w.toml", CONFIG);
    let outcome = desk.run("run --config w.toml --exit-at-end");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    desk
}

#[test]
fn the_same_rules_tell_exactly_what_they_told_and_others_something_else() {
    let desk = desk();
    let camera = CameraId::new("aisle");
    let past = History::open(&desk.path("state")).unwrap();
    let ever = (WallTime::EPOCH, WallTime::from_micros(i64::MAX));
    let was: Vec<String> = past.told(&camera, ever.0, ever.1).unwrap().into_iter().map(|event| event.id).collect();
    let plan = config::load(&desk.path("w.toml")).unwrap().camera_plan(None).unwrap();
    let mut player = Player::new(plan);
    let mut is = Vec::new();
    let wrong = Tapes::of(&desk.path("state"), &camera).play(ever.0, |piece| {
        is.extend(player.block(&piece.start, piece.chunks));
        piece.inputs.iter().for_each(|input| is.extend(player.play(input)));
        true
    });
    assert_eq!((wrong.unwrap(), player.gaps()), (Vec::new(), 0));
    let is: Vec<String> = is.into_iter().map(|event| event.id.to_string()).collect();
    assert!(was.len() > 100, "{} events prove little", was.len());
    assert_eq!(is, was);

    let same = desk.run("backtest --config w.toml --since 1d");
    assert_eq!((same.status, same.stderr.as_str()), (0, ""), "{}", same.stdout);
    assert!(!same.stdout.contains("Would be"), "{}", same.stdout);
    assert!(same.stdout.contains("\nlinger "), "{}", same.stdout);

    desk.put("new.toml", CONFIG.replace("min_dwell_s = 6.0", "min_dwell_s = 30.0").replace("rule.crowd", "rule.many"));
    let new = desk.run("backtest --config new.toml --since 12h --camera aisle --json out.json");
    assert_eq!((new.status, new.stderr.as_str()), (0, ""), "{}", new.stdout);
    for words in ["Would be new: ", "Would be gone: ", "crowd: ", "no rule", "its rules"] {
        assert!(new.stdout.contains(words) != (words == "its rules"), "{words}: {}", new.stdout);
    }
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(desk.path("out.json")).unwrap()).unwrap();
    let rule = |name: &str| json["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == name).unwrap();
    let count = |name: &str, what: &str| rule(name)[what].as_u64().unwrap();
    assert_eq!((count("passage", "new"), count("passage", "gone")), (0, 0));
    assert_eq!(count("passage", "would_fire"), count("passage", "told"));
    assert!(count("linger", "would_fire") < count("linger", "told"));
    assert_eq!(count("linger", "gone"), count("linger", "told") - count("linger", "would_fire"));
    assert_eq!((count("many", "told"), count("many", "new")), (0, count("many", "would_fire")));
    assert_eq!(count("crowd", "gone"), count("many", "new"));

    let moved = CONFIG.replace("[0.5, 0.3]", "[0.1, 0.3]") + "[tracker]\nmax_lost_s = 2.0\n";
    let moved = desk.put("new.toml", moved).run("backtest --config new.toml");
    assert!(moved.stdout.contains("These cannot be tried here"), "{}", moved.stdout);
}

#[test]
fn bytes_that_were_spoilt_are_said_and_the_rest_is_used() {
    let desk = desk();
    let tape = desk.path("state/tracks/camera-aisle/00000001.tape");
    let mut bytes = std::fs::read(&tape).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    bytes.truncate(bytes.len() - 7);
    std::fs::write(&tape, &bytes).unwrap();
    let outcome = desk.run("backtest --config w.toml");
    outcome.is_fine("a spoilt track log");
    for words in ["are no track log of this version, the rest is used", "break off and are left out", "Would be gone"] {
        assert!(outcome.stdout.contains(words), "{words}: {}", outcome.stdout);
    }
    std::fs::write(&tape, "").unwrap();
    let words = ["no track of aisle was recorded since", "state"];
    desk.run("backtest --config w.toml").complains(2, &words, "an empty track log");
}

#[test]
fn what_is_wrong_with_the_question_is_said_in_one_sentence() {
    let desk = Desk::new();
    desk.put("w.toml", CONFIG);
    desk.run("backtest --config w.toml").complains(2, &["no state folder", "state"], "nothing there");
    std::fs::create_dir(desk.path("state")).unwrap();
    let says = |line: &str, words: &[&str]| desk.run(line).complains(2, words, line);
    says("backtest --config w.toml", &["no track of aisle", "holds no track"]);
    says("backtest --config w.toml --since yesterday", &["--since is \"yesterday\"", "14d"]);
    says("backtest --config w.toml --camera door", &["no camera \"door\"", "aisle"]);
    says("backtest --config w.toml --json nowhere/x.json", &["nowhere"]);
    desk.put(
        "state/events.db",
        "no database at all, but long enough to be looked at as if it were one of ours, is it not?",
    );
    says("backtest --config w.toml", &["cannot read the event database", "events.db"]);
    desk.put("off.toml", CONFIG.replace("[store]", "[store]\nkeep_tracks_days = 0"));
    desk.put("recording.jsonl", recording());
    std::fs::remove_file(desk.path("state/events.db")).unwrap();
    assert_eq!(desk.run("run --config off.toml --exit-at-end").status, 0);
    assert!(!desk.path("state/tracks").exists());
}
