//! The tracker as its users meet it: stories on synthetic people, the original ByteTrack's own recording, and
//! `track --mot` on files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Output};
use watchpost::clue::Clues;
use watchpost::detection::{Class, Detection, Detections};
use watchpost::geometry::BBox;
use watchpost::time::{MediaTime, WallTime};
use watchpost::track::{Track, TrackConfig, TrackState, Tracker};

fn frame(at: f64, items: Vec<Detection>) -> Detections {
    Detections {
        at: MediaTime::from_secs_f64(at),
        taken: WallTime::EPOCH,
        aspect: 16.0 / 9.0,
        items,
        clues: Clues::default(),
    }
}

fn detection(class: &str, score: f32, bbox: BBox) -> Detection {
    Detection { class: Class::named(class), score, bbox }
}

/// Where an actor is at a second, if anywhere: left edge and class. All are as tall as a third of the frame.
type Actor = (&'static str, fn(f64) -> Option<f64>);

/// Plays actors at a frame rate; of each, the ids under which it was confirmed, in order of time.
fn play(fps: f64, seconds: f64, actors: &[Actor]) -> Vec<Vec<u64>> {
    let mut tracker = Tracker::new(TrackConfig::default());
    let mut ids = vec![Vec::new(); actors.len()];
    for i in 0..(seconds * fps) as u32 {
        let at = f64::from(i) / fps;
        let on_stage: Vec<(usize, Detection)> = actors
            .iter()
            .enumerate()
            .filter_map(|(a, (class, left))| {
                let bbox = BBox::from_xywh(left(at)? as f32, 0.3 + 0.1 * a as f32, 0.08, 0.33);
                Some((a, detection(class, 0.9, bbox)))
            })
            .collect();
        let tracks = tracker.update(&frame(at, on_stage.iter().map(|(_, d)| *d).collect()));
        for (actor, d) in &on_stage {
            let nearest = tracks
                .iter()
                .filter(|t| t.state == TrackState::Confirmed && t.bbox.iou(&d.bbox) > 0.5)
                .max_by(|a, b| a.bbox.iou(&d.bbox).total_cmp(&b.bbox.iou(&d.bbox)));
            if let Some(track) = nearest
                && ids[*actor].last() != Some(&track.id.0)
            {
                ids[*actor].push(track.id.0);
            }
        }
    }
    ids
}

#[test]
fn stories() {
    let standing: Actor = ("person", |_| Some(0.7));
    let rightwards: Actor = ("person", |t| Some(0.1 + 0.15 * t));
    let leftwards: Actor = ("person", |t| Some(0.8 - 0.15 * t));
    let runner: Actor = ("person", |t| Some(0.05 + 0.4 * t));
    let hidden_short: Actor = ("person", |t| (!(1.0..1.8).contains(&t)).then_some(0.1 + 0.1 * t));
    let hidden_long: Actor = ("person", |t| (!(1.0..3.0).contains(&t)).then_some(0.1 + 0.1 * t));
    let flicker: Actor = ("person", |t| (1.0..1.03).contains(&t).then_some(0.5));
    let car: Actor = ("car", |t| (t >= 1.0).then_some(0.3));
    let walker_gone: Actor = ("person", |t| (t < 1.0).then_some(0.3));
    for (story, fps, actors, expected) in [
        ("somebody stands", 30.0, vec![standing], vec![vec![1]]),
        ("two cross and keep their ids", 30.0, vec![rightwards, leftwards], vec![vec![1], vec![2]]),
        ("two cross before a slow camera", 6.0, vec![rightwards, leftwards], vec![vec![1], vec![2]]),
        ("a runner", 30.0, vec![runner], vec![vec![1]]),
        ("a runner before a slow camera", 8.0, vec![runner], vec![vec![1]]),
        ("hidden for less than the buffer", 30.0, vec![hidden_short], vec![vec![1]]),
        ("the same at five frames a second", 5.0, vec![hidden_short], vec![vec![1]]),
        ("hidden for longer than the buffer", 30.0, vec![hidden_long], vec![vec![1, 2]]),
        ("the same at five frames a second", 5.0, vec![hidden_long], vec![vec![1, 2]]),
        ("a flicker counts as nobody", 30.0, vec![standing, flicker], vec![vec![1], vec![]]),
        ("a car takes the place of a person", 30.0, vec![walker_gone, car], vec![vec![1], vec![2]]),
    ] {
        assert_eq!(play(fps, 4.0, &actors), expected, "{story}");
    }
}

#[test]
fn a_frame_rate_that_changes_changes_nothing() {
    let mut tracker = Tracker::new(TrackConfig::default());
    let times = (0..30).map(|i| f64::from(i) / 30.0).chain((1..10).map(|i| 1.0 + f64::from(i) / 5.0));
    for at in times {
        let walker = BBox::from_xywh((0.1 + 0.15 * at) as f32, 0.3, 0.08, 0.33);
        let tracks = tracker.update(&frame(at, vec![detection("person", 0.8, walker)]));
        let ids: Vec<u64> = tracks.iter().map(|t| t.id.0).collect();
        assert_eq!(ids, [1], "at {at} s");
    }
}

#[test]
fn a_camera_that_jerks_keeps_everybody() {
    let mut tracker = Tracker::new(TrackConfig::default());
    let mut ids = BTreeSet::new();
    for i in 0..60 {
        // From the second second on the picture jumps by the width of a person.
        let jerk = if i > 30 && i % 7 == 0 { 0.06 } else { 0.0 };
        let people = [0.1, 0.3, 0.5, 0.7].map(|x| detection("person", 0.9, BBox::from_xywh(x + jerk, 0.3, 0.06, 0.3)));
        let tracks = tracker.update(&frame(f64::from(i) / 30.0, people.to_vec()));
        ids.extend(tracks.iter().map(|t| t.id.0));
    }
    assert_eq!(ids, BTreeSet::from([1, 2, 3, 4]));
}

#[test]
fn a_half_hidden_person_goes_on_but_no_ghost_begins() {
    let mut tracker = Tracker::new(TrackConfig::default());
    for i in 0..60 {
        let score = if i < 30 { 0.9 } else { 0.2 };
        let person = detection("person", score, BBox::from_xywh(0.2, 0.3, 0.1, 0.3));
        let ghost = detection("person", 0.3, BBox::from_xywh(0.7, 0.3, 0.1, 0.3));
        let tracks = tracker.update(&frame(f64::from(i) / 30.0, vec![person, ghost]));
        assert_eq!(tracks.len(), 1, "frame {i}");
        assert_eq!(tracks[0].state, TrackState::Confirmed, "frame {i}");
    }
}

#[test]
fn nonsense_from_a_detector_is_passed_over() {
    let mut tracker = Tracker::new(TrackConfig::default());
    let nonsense = [
        detection("person", 0.9, BBox::new(f32::NAN, 0.0, 1.0, 1.0)),
        detection("person", 0.9, BBox::new(0.0, 0.0, f32::INFINITY, 1.0)),
        detection("person", 0.9, BBox::new(0.5, 0.5, 0.5, 0.5)),
        detection("person", 0.9, BBox::new(0.6, 0.6, 0.5, 0.5)),
        detection("person", f32::NAN, BBox::new(0.1, 0.1, 0.5, 0.5)),
    ];
    for i in 0..5 {
        assert_eq!(tracker.update(&frame(f64::from(i) / 30.0, nonsense.to_vec())), []);
    }
}

mod properties {
    use super::*;
    use proptest::prelude::*;

    /// Frames of up to six boxes anywhere, with steps of time from none to an outage.
    fn film() -> impl Strategy<Value = Vec<(f64, Vec<Detection>)>> {
        let found = (
            prop::sample::select(vec!["person", "car"]),
            0.0f32..1.0,
            0.0f32..0.9,
            0.0f32..0.9,
            0.0f32..0.4,
            0.0f32..0.4,
        )
            .prop_map(|(class, score, x, y, w, h)| detection(class, score, BBox::from_xywh(x, y, w, h)));
        let step = prop_oneof![Just(0.0), Just(1.0 / 30.0), Just(0.2), 0.0f64..5.0, Just(86_400.0)];
        prop::collection::vec((step, prop::collection::vec(found, 0..6)), 1..40)
    }

    fn follow(film: &[(f64, Vec<Detection>)], config: TrackConfig) -> Vec<Vec<Track>> {
        let mut tracker = Tracker::new(config);
        let mut at = 0.0;
        film.iter()
            .map(|(step, found)| {
                at += step;
                tracker.update(&frame(at, found.clone())).to_vec()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn tracks_make_sense(film in film(), original in any::<bool>()) {
            let config = if original { TrackConfig::bytetrack() } else { TrackConfig::default() };
            let told = follow(&film, config.clone());
            let (mut highest, mut gone) = (0, BTreeSet::<u64>::new());
            let mut before: BTreeMap<u64, Track> = BTreeMap::new();
            for (tracks, (_, found)) in told.iter().zip(&film) {
                let ids: Vec<u64> = tracks.iter().map(|t| t.id.0).collect();
                prop_assert!(ids.is_sorted_by(|a, b| a < b), "sorted by id, each once: {ids:?}");
                prop_assert!(ids.iter().all(|id| !gone.contains(id)), "an id came back: {ids:?}");
                let seen = tracks.iter().filter(|t| t.state != TrackState::Lost).count();
                prop_assert!(seen <= found.len(), "one track per detection");
                for t in tracks {
                    prop_assert!(t.bbox.is_finite() && t.bbox.width() >= 0.0 && t.bbox.height() >= 0.0, "{t:?}");
                    match before.get(&t.id.0) {
                        Some(old) => {
                            prop_assert_eq!((old.class, old.born), (t.class, t.born));
                            prop_assert!(old.state == TrackState::Tentative || t.state != TrackState::Tentative);
                        }
                        None => prop_assert!(t.id.0 > highest, "new ids are higher than all before"),
                    }
                }
                highest = highest.max(ids.last().copied().unwrap_or(0));
                gone.extend(before.keys().filter(|id| !ids.contains(id)));
                before = tracks.iter().map(|t| (t.id.0, t.clone())).collect();
            }
            prop_assert_eq!(told, follow(&film, config), "the same film, the same tracks");
        }
    }
}

// What follows needs the shared data or the binary.

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

/// Boxes by frame and, in results, id. The recording keeps numbers as strings.
fn golden(path: PathBuf) -> BTreeMap<u32, Vec<(u64, f32, BBox)>> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut frames: BTreeMap<u32, Vec<(u64, f32, BBox)>> = BTreeMap::new();
    for row in json["results"].as_array().unwrap() {
        let number = |key: &str| row[key].as_str().map_or(0.0, |text| text.parse::<f64>().unwrap());
        let [x, y, w, h] = ["x", "y", "width", "height"].map(|key| number(key) as f32);
        let entry = (number("track_id") as u64, number("prob") as f32, BBox::from_xywh(x, y, w, h));
        frames.entry(number("frame_id") as u32).or_default().push(entry);
    }
    frames
}

#[test]
fn the_original_bytetrack_is_reproduced() {
    let Some(folder) = shared("data/mot/bytetrack-golden") else { return };
    let found = golden(folder.join("detection_results.json"));
    let expected = golden(folder.join("tracking_results.json"));
    let mut tracker = Tracker::new(TrackConfig::bytetrack());
    let mut farthest = 0f32;
    for i in 0..=*found.keys().next_back().unwrap() {
        let items = found.get(&i).into_iter().flatten().map(|&(_, score, bbox)| detection("person", score, bbox));
        let mut input = frame(f64::from(i) / 30.0, items.collect());
        input.aspect = 1.0; // pixels
        let confirmed = |t: &&Track| t.state == TrackState::Confirmed;
        let tracks: Vec<(u64, BBox)> =
            tracker.update(&input).iter().filter(confirmed).map(|t| (t.id.0, t.bbox)).collect();
        let mut truth: Vec<(u64, BBox)> =
            expected.get(&i).into_iter().flatten().map(|&(id, _, bbox)| (id, bbox)).collect();
        truth.sort_by_key(|t| t.0);
        let ids = |tracks: &[(u64, BBox)]| tracks.iter().map(|t| t.0).collect::<Vec<_>>();
        assert_eq!(ids(&tracks), ids(&truth), "frame {i}");
        for ((id, ours), (_, theirs)) in tracks.iter().zip(&truth) {
            for (a, b) in ours.to_array().into_iter().zip(theirs.to_array()) {
                farthest = farthest.max((a - b).abs());
                assert!((a - b).abs() < 0.02, "frame {i}, track {id}: {ours:?} is not {theirs:?}");
            }
        }
    }
    println!("{} frames, boxes within {farthest} pixels", found.len());
}

fn track(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_watchpost")).arg("track").args(args).output().unwrap()
}

#[test]
fn files_in_and_out() {
    let folder = tempfile::tempdir().unwrap();
    let (det, out) = (folder.path().join("det.txt"), folder.path().join("out.txt"));
    let lines: Vec<String> = (1..=4).map(|f| format!("{f},-1,{},50,20,60,0.9,-1,-1,-1\n", 100 + 2 * f)).collect();
    std::fs::write(&det, lines.concat()).unwrap();

    let printed = track(&["--mot", det.to_str().unwrap()]);
    assert!(printed.status.success());
    expect_test::expect![[r#"
        1,1,102.00,50.00,20.00,60.00,0.900,-1,-1,-1
        2,1,103.71,50.00,20.00,60.00,0.900,-1,-1,-1
        3,1,105.51,50.00,20.00,60.00,0.900,-1,-1,-1
        4,1,107.61,50.00,20.00,60.00,0.900,-1,-1,-1
    "#]]
    .assert_eq(&String::from_utf8(printed.stdout.clone()).unwrap());

    let quiet = track(&["--mot", det.to_str().unwrap(), "--fps", "30", "--out", out.to_str().unwrap()]);
    assert_eq!((quiet.status.code(), quiet.stdout.len()), (Some(0), 0));
    assert_eq!(std::fs::read(&out).unwrap(), printed.stdout);
}

#[test]
fn wrong_files_are_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let det = folder.path().join("det.txt");
    let name = det.to_str().unwrap();
    for (content, args, expected) in [
        (&b"1,-1,0,0,9,9,1\n1,-1,a,0,9,9,1\n"[..], vec![], "FILE, line 2: x is \"a\", expected a number"),
        (&b"\xff\xfe\x00"[..], vec![], "FILE is no text, expected MOTChallenge detections (frame,id,x,y,w,h,conf)"),
        (&b"1,-1,0,0,9,9,1\n"[..], vec!["--fps", "0"], "0 frames a second is out of range, expected 0.01 to 1000"),
    ] {
        std::fs::write(&det, content).unwrap();
        let told = track(&[&["--mot", name][..], &args].concat());
        let text = String::from_utf8(told.stderr).unwrap().replace(name, "FILE");
        assert_eq!((told.status.code(), text.trim_end()), (Some(2), format!("watchpost: {expected}").as_str()));
    }
    let told = track(&["--mot", folder.path().to_str().unwrap()]);
    assert_eq!(told.status.code(), Some(2), "a folder");
}
