//! How people stand, as a user asks for it: `eval keypoints`, and zones with `pose = true`.

mod cli;

use cli::{Desk, encoded, scene};
use serde_json::Value;
use std::fs::File;
use watchpost::capture::FilmWriter;
use watchpost::time::MediaTime;

fn png(width: u32, height: u32) -> Vec<u8> {
    encoded(&scene(width, height), image::ImageFormat::Png)
}

/// The models of this repository.
const MODELS: (&str, &str) = ("WATCHPOST_MODELS", concat!(env!("CARGO_MANIFEST_DIR"), "/models"));

#[test]
fn keypoints_are_written_as_coco_wants_them() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("images")).unwrap();
    desk.put("images/000000000017.png", png(160, 120));
    desk.put(
        "labels.json",
        r#"{"annotations":[{"image_id":17,"bbox":[40,20,60,90]},{"image_id":4,"bbox":[0,0,9,9]}]}"#,
    );
    let outcome = desk.run_with("eval keypoints . --boxes labels.json --out r.json --draw drawn", &[MODELS]);
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(outcome.stdout.starts_with("1 pictures, 1 people, "), "{}", outcome.stdout);
    assert!(outcome.stdout.contains("(movenet-lightning-int8)"), "{}", outcome.stdout);
    let rows: Value = serde_json::from_slice(&std::fs::read(desk.path("r.json")).unwrap()).unwrap();
    let [row] = &rows.as_array().unwrap()[..] else { panic!("{rows}") };
    assert_eq!((row["image_id"].as_u64(), row["category_id"].as_u64()), (Some(17), Some(1)));
    let numbers: Vec<f64> = row["keypoints"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect();
    assert_eq!(numbers.len(), 51);
    // The square that is looked at reaches from 14 to 126 and from 9 to 121; a joint may lie a little outside of it.
    assert!(numbers.chunks(3).all(|joint| (0.0..140.0).contains(&joint[0]) && (-5.0..135.0).contains(&joint[1])));
    assert_eq!(desk.names_in("drawn"), ["000000000017.jpg"]);
}

#[test]
fn what_cannot_be_used_is_named() {
    let desk = Desk::new();
    std::fs::create_dir(desk.path("images")).unwrap();
    desk.put("images/me.png", png(16, 12)).put("labels.json", "[]").put("none.json", r#"{"annotations":[]}"#);
    let check = |line: &str, environment: &[(&str, &str)], expected: &str| {
        let outcome = desk.run_with(&format!("eval keypoints . --out r.json {line}"), environment);
        assert_eq!(outcome.status, 2, "{line}: {}", outcome.stderr);
        assert!(outcome.stderr.contains(expected), "{line}: {}", outcome.stderr);
    };
    check("--boxes none.json", &[MODELS], "me.png is not named by its number");
    check("--boxes labels.json", &[MODELS], "cannot read the labels labels.json");
    check("--margin 9", &[MODELS], "--margin is 9, expected 0.5 to 4");
    check("--pose nanodet-g-int8", &[MODELS], "it finds things, expected a model that says how a person stands");
    check("", &[], "model movenet-lightning-int8 is not here: put movenet-lightning.int8 into a folder");
}

/// A film without people is looked at all the same; without the model it is said what is missing.
#[test]
fn a_zone_that_asks_for_poses_needs_the_model() {
    let desk = Desk::new();
    let mut film = FilmWriter::new(File::create(desk.path("film.mp4")).unwrap(), (96, 64)).unwrap();
    for n in 0..3 {
        film.push(MediaTime::from_micros(n * 100_000), &image::RgbImage::new(96, 64)).unwrap();
    }
    film.finish().unwrap();
    let config = r#"
        schema = 1
        device.id = "d"
        [camera.c]
        source = { kind = "file", path = "film.mp4" }
        [camera.c.zone.shelf]
        polygon = [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]
        pose = true
    "#;
    desk.put("asks.toml", config).put("silent.toml", config.replace("pose = true", "pose = false"));
    for verb in ["count film.mp4", "replay film.mp4"] {
        let outcome = desk.run(&format!("{verb} --config asks.toml --model nanodet-g-int8"));
        assert_eq!(outcome.status, 2, "{verb}: {}", outcome.stderr);
        assert!(outcome.stderr.contains("movenet-lightning-int8 is not here"), "{verb}: {}", outcome.stderr);
        let outcome = desk.run(&format!("{verb} --config silent.toml --model nanodet-g-int8"));
        assert_eq!(outcome.status, 0, "{verb}: {}", outcome.stderr);
        let outcome = desk.run_with(&format!("{verb} --config asks.toml --model nanodet-g-int8"), &[MODELS]);
        assert_eq!(outcome.status, 0, "{verb}: {}", outcome.stderr);
    }
}
