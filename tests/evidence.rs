//! An alert becomes a file that can be handed to somebody who was not there: kept by the real appliance, verified by the
//! real verb, and found out when it was changed.

mod cli;

use cli::Desk;
use std::path::{Path, PathBuf};
use watchpost::capture::recorded::{Header, TrackWriter};
use watchpost::clue::Clues;
use watchpost::detection::{Class, Detection, Detections};
use watchpost::evidence::case::{self, CONFIG, Entry, Key, SEAL, TRACKS};
use watchpost::geometry::BBox;
use watchpost::time::{MediaTime, Span, WallTime};

const RULES: &str = r#"
schema = 1
[device]
id = "till-3"
[store]
dir = "state"
[evidence]
after_s = 0.0
[camera.shop]
source = { kind = "recorded", path = "tracks.jsonl", speed = 0.0 }
[camera.shop.zone.shelf]
polygon = [[0.2, 0.0], [0.8, 0.0], [0.8, 1.0], [0.2, 1.0]]
[camera.shop.rule.linger]
kind = "loitering"
zone = "shelf"
min_dwell_s = 20.0
"#;

/// Half a minute at the shelf, trembling, as a detector sees it.
fn tracks(path: &Path) {
    let start = WallTime::parse("2026-11-24T10:15:00Z").unwrap();
    let mut log = TrackWriter::create(path, &Header::new("shop", "none", start)).unwrap();
    for i in 0..300 {
        let at = MediaTime::ZERO + Span::from_millis(100 * i);
        let x = 0.5 + 0.003 * (i as f32).sin();
        let items = vec![Detection { class: Class::PERSON, score: 0.9, bbox: BBox::new(x - 0.05, 0.3, x + 0.05, 0.8) }];
        let taken = start + (at - MediaTime::ZERO);
        log.write(&Detections { at, taken, aspect: 1.5, items, clues: Clues::default() }).unwrap();
    }
    log.finish().unwrap();
}

/// The appliance, from start to clean end.
fn play(desk: &Desk) {
    let quiet = [("WATCHPOST_LOG", "error")];
    desk.run_with("run --config shop.toml --exit-at-end", &quiet).is_fine("a recording of somebody who lingers");
}

/// The file that the appliance has kept of the one alert.
fn kept(desk: &Desk) -> PathBuf {
    desk.put("shop.toml", RULES);
    tracks(&desk.path("tracks.jsonl"));
    play(desk);
    let names = desk.names_in("state/evidence");
    let cases: Vec<&String> = names.iter().filter(|name| name.ends_with(".zip")).collect();
    assert_eq!(cases.len(), 1, "{names:?}");
    desk.path("state/evidence").join(cases[0])
}

fn verified(desk: &Desk, path: &Path, options: &str) -> (i32, String) {
    let outcome = desk.run(&format!("verify {} {options}", path.display()));
    (outcome.status, outcome.stdout + &outcome.stderr)
}

#[test]
fn an_alert_is_kept_and_leads_to_its_verdict() {
    let desk = Desk::new();
    let path = kept(&desk);
    let (status, said) = verified(&desk, &path, "--key state/evidence/device.pub");
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("Signed by the expected device"), "{said}");
    assert!(said.contains("told the same, to the last character"), "{said}");
    assert!(said.contains("A person has stayed 20 s at shelf; the limit here is 20 s. Please review."), "{said}");

    let listed = desk.run("evidence list --config shop.toml");
    assert!(listed.stdout.contains("loitering"), "{}", listed.stdout);
    let id = path.file_stem().unwrap().to_str().unwrap().rsplit('-').next().unwrap().to_string();
    desk.run(&format!("evidence export {id} --config shop.toml --out copy.zip")).is_fine("an export");
    assert_eq!(verified(&desk, &desk.path("copy.zip"), "").0, 0);
    let none = desk.run("evidence export 00000 --state state");
    assert_eq!(none.status, 2, "{}", none.stderr);
    assert!(none.stderr.contains("nothing is kept of event 00000"), "{}", none.stderr);
}

#[test]
fn what_was_changed_is_found_out() {
    let desk = Desk::new();
    let path = kept(&desk);
    let whole = case::read(&path).unwrap();
    let changed = |name: &str, from: &str, to: &str| -> Vec<Entry> {
        let mut entries = whole.clone();
        let entry = entries.iter_mut().find(|entry| entry.name == name).unwrap();
        let text = String::from_utf8(entry.bytes.clone()).unwrap();
        assert!(text.contains(from), "{text}");
        entry.bytes = text.replace(from, to).into_bytes();
        entries
    };
    let forged = desk.path("forged.zip");

    case::write(&forged, &changed(CONFIG, "20.0", "10.0")).unwrap();
    let (status, said) = verified(&desk, &forged, "");
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("NOT as it was signed: config.toml was changed after signing"), "{said}");

    // Signed anew by somebody else, it holds together, but not with its verdict, and not with the device's key.
    let stranger = Key::open(&desk.path("stranger.pk8")).unwrap();
    for (name, from, to, expected) in [
        (CONFIG, "20.0", "10.0", "told it otherwise: at is"),
        (TRACKS, "\"person\"", "\"dog\"", "told nothing of the kind"),
    ] {
        let mut entries = changed(name, from, to);
        entries.retain(|entry| entry.name != SEAL);
        let seal = stranger.seal(&entries);
        entries.push(Entry::new(SEAL, serde_json::to_vec(&seal).unwrap()));
        case::write(&forged, &entries).unwrap();
        let (status, said) = verified(&desk, &forged, "");
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("NOT the same verdict") && said.contains(expected), "{said}");
        let (status, said) = verified(&desk, &forged, "--key state/evidence/device.pub");
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("signed by another device"), "{said}");
    }

    let (status, said) = verified(&desk, &path, "--key nonsense");
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("expected 64 hexadecimal digits"), "{said}");
    let (status, said) = verified(&desk, &desk.path("shop.toml"), "");
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("expected an evidence file"), "{said}");
}

#[test]
fn nothing_is_kept_where_nothing_is_wanted() {
    let desk = Desk::new();
    desk.put("shop.toml", RULES.replace("after_s = 0.0", "enabled = false"));
    tracks(&desk.path("tracks.jsonl"));
    play(&desk);
    assert!(!desk.path("state/evidence").exists());
}
