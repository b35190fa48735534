//! Goods on real films: the hand that takes bottles from a shelf and puts them back, and people who take nothing. The
//! whole way of `watchpost replay`: detector, eye for goods, rules. Without the shared data there is nothing to play.
//!
//! The polygon of the bottles was chosen by eye: the shelf with a margin, without the dark edge on the left. The truth
//! comes with the films; it was counted by eye there, to some 25 frames.

mod cli;

use std::path::Path;
use watchpost::app::film::{Eye, Pace, run_film};
use watchpost::clue::{ShelfChange, ShelfSight};
use watchpost::{capture, config, infer, pipeline::Pipeline, sight::shelf::Shelves};

/// What is told has happened within a span of time, while a hand hid the place; the truth must lie in it, give or take
/// so many frames.
const NEAR: i64 = 25;

#[derive(Debug, Default)]
struct Told {
    /// With the frames between which it happened.
    sights: Vec<(i64, i64, ShelfSight)>,
    /// Kind and sentence.
    events: Vec<(String, String)>,
}

/// Five frames a second of a film, with one zone and all rules about goods.
fn play(film: &Path, fps: f64, polygon: &str) -> Told {
    let text = format!(
        r#"
        schema = 1
        device.id = "test"
        [camera.c]
        source = {{ kind = "file", path = "film" }}
        [camera.c.zone.shelf]
        polygon = {polygon}
        watch_goods = true
        [camera.c.rule]
        sweep = {{ kind = "shelf_sweep", zone = "shelf" }}
        taken = {{ kind = "removed_object", zone = "shelf", returns = true }}
        left = {{ kind = "abandoned_object", zone = "shelf", for_s = 20.0 }}
        "#
    );
    let plan = config::parse(&text).unwrap().camera_plan(None).unwrap();
    let limits = infer::Limits { min_score: 0.3, nms: 0.6 };
    let request = infer::Request { model: "nanodet-g-int8".into(), limits, most_lost: infer::MOST_LOST, threads: 1 };
    let mut detector = infer::load(&request).unwrap();
    let mut film = capture::open_video(film).unwrap();
    let mut eye = Eye { shelves: Shelves::new(plan.shelves()), ..Eye::default() };
    let mut pipeline = Pipeline::new(plan);
    let every = ((fps / 5.0).round() as u64).try_into().unwrap();
    let mut told = Told::default();
    let pace = Pace { every, ..Pace::default() };
    let (_, outcome) = run_film(&mut *detector, &mut film, &mut eye, &mut pipeline, pace, |step| {
        told.events.extend(step.events.iter().map(|event| (event.kind.to_string(), event.explain.clone())));
        if let Some((_, seen)) = step.seen {
            for sight in &seen.clues.shelves {
                let at = seen.at.secs_f64() - sight.shown.secs_f64();
                let [from, at] = [at - sight.hidden.secs_f64(), at].map(|s| (s * fps).round() as i64);
                told.sights.push((from, at, sight.clone()));
            }
        }
        Ok(())
    });
    outcome.unwrap();
    told
}

/// `two removed ~515` as two of (515, gone).
fn truth(event: &str) -> Vec<(i64, ShelfChange)> {
    let frame: i64 = event.rsplit('~').next().unwrap().parse().unwrap();
    let what = if event.contains("removed") { ShelfChange::Gone } else { ShelfChange::There };
    vec![(frame, what); if event.starts_with("two") { 2 } else { 1 }]
}

#[test]
fn each_bottle_that_is_taken_and_put_back_is_found() {
    let Some(shared) = cli::shared() else {
        println!("skipped: no shared data");
        return;
    };
    let videos = shared.join("data/videos");
    let known: serde_json::Value =
        serde_json::from_slice(&std::fs::read(videos.join("ground_truth.json")).unwrap()).unwrap();
    let events = known["bottle-detection.mp4"]["events"].as_array().unwrap();
    let mut missing: Vec<(i64, ShelfChange)> = events.iter().flat_map(|event| truth(event.as_str().unwrap())).collect();
    let all = missing.len();
    assert_eq!(all, 8, "the film has four takes, one of two bottles at once, and four returns: {events:?}");

    let polygon = "[[0.03, 0.22], [0.97, 0.22], [0.97, 0.95], [0.03, 0.95]]";
    let told = play(&videos.join("bottle-detection.mp4"), 29.83, polygon);
    let mut wrong = Vec::new();
    for (from, at, sight) in told.sights.iter().filter(|(.., sight)| sight.what != ShelfChange::Touched) {
        let when = from - NEAR..=at + NEAR;
        match missing.iter().position(|(truth, what)| *what == sight.what && when.contains(truth)) {
            Some(place) => _ = missing.remove(place),
            None => wrong.push((from, at, sight)),
        }
    }
    let touches = told.sights.iter().filter(|(.., sight)| sight.what == ShelfChange::Touched).count();
    println!(
        "bottles: {} hits, {} misses, {} false; {touches} touches",
        all - missing.len(),
        missing.len(),
        wrong.len()
    );
    assert!(missing.is_empty() && wrong.is_empty(), "missed {missing:?}, false {wrong:#?}");
    assert_eq!(touches, 8, "one for each hand");
    let count = |kind: &str, words: &str| {
        told.events.iter().filter(|(k, explain)| k == kind && explain.contains(words)).count()
    };
    assert_eq!(count("removed_object", "was taken"), 4, "{:#?}", told.events);
    assert_eq!(count("removed_object", "was put back"), 4, "{:#?}", told.events);
    // Two bottles of a shelf are an eighth of it, no sweep; what is put back was not left behind.
    assert_eq!(count("shelf_sweep", "") + count("abandoned_object", ""), 0, "{:#?}", told.events);
}

#[test]
fn people_who_take_nothing_are_not_told_of() {
    let Some(shared) = cli::shared() else {
        println!("skipped: no shared data");
        return;
    };
    let everything = "[[0.02, 0.02], [0.98, 0.02], [0.98, 0.98], [0.02, 0.98]]";
    for (name, fps) in
        [("store-aisle-detection.gif", 15.0), ("TUD-Campus.mp4", 25.0), ("one-by-one-person-detection.mp4", 10.0)]
    {
        let told = play(&shared.join("data/videos").join(name), fps, everything);
        println!("{name}: {} changes, {} events", told.sights.len(), told.events.len());
        assert_eq!(told.events, [], "{name}");
        assert!(told.sights.len() <= 1, "{name}: {:#?}", told.sights);
    }
}
