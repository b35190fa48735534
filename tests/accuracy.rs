//! Whether the detectors find what they are known to find.
//!
//! What is always there is measured on the golden picture at every load. The score on photographs with ground truth needs the
//! evaluation data, which may not be shipped: `../shared` or the folder `WATCHPOST_SHARED`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watchpost::detection::Class;
use watchpost::frame::{Frame, Picture};
use watchpost::geometry::BBox;
use watchpost::infer::registry::{Place, Registry};
use watchpost::infer::{Detector, Limits, Request};
use watchpost::time::{MediaTime, WallTime};

/// Enough to tell a broken decoding from a right one, few enough for every test run.
const IMAGES: usize = 24;

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("WATCHPOST_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), Into::into);
    folder.join("data/coco-mini/instances.json").exists().then_some(folder)
}

fn load(model: &str, models: Option<PathBuf>) -> Box<dyn Detector> {
    let limits = Limits { min_score: 0.05, nms: 0.65 };
    let request = Request { model: model.into(), limits, ..Request::default() };
    let local = Some(Path::new(env!("CARGO_MANIFEST_DIR")).join("models"));
    Registry { named: models, local, ..Registry::default() }.load(&request).unwrap()
}

fn frame(path: &Path) -> Frame {
    let picture = Picture::Rgb(Arc::new(image::open(path).unwrap().into_rgb8()));
    Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::EPOCH, picture }
}

#[test]
fn every_model_at_hand_answers_as_its_manifest_says() {
    let registry = Registry { named: shared().map(|s| s.join("models")), ..Registry::default() };
    for known in registry.all().into_iter().filter(|k| k.place != Place::Absent) {
        let expected = known.manifest.golden.clone().expect("our own manifests have a golden result");
        expected.check(&known.golden(Limits::default()).unwrap()).unwrap();
    }
}

#[test]
fn an_empty_scene_is_empty() {
    let picture = Picture::Rgb(Arc::new(image::RgbImage::from_pixel(640, 360, image::Rgb([120, 120, 120]))));
    let grey = Frame { index: 0, at: MediaTime::from_micros(7), taken: WallTime::EPOCH, picture };
    let found = load("nanodet-g-int8", None).detect(&grey).unwrap();
    assert_eq!(found.at, grey.at);
    assert!(found.items.iter().all(|d| d.score < 0.3), "{:?}", found.items);
}

#[test]
fn people_are_found_as_well_as_ever() {
    let Some(shared) = shared() else {
        eprintln!("skipped: no shared data");
        return;
    };
    let truth = people(&shared.join("data/coco-mini/instances.json"));
    let mut wrong = Vec::new();
    for (model, expected) in [
        ("nanodet-g", 0.666),
        ("nanodet-g-int8", 0.666),
        ("nanodet-g-320", 0.574),
        ("yolox-nano", 0.693),
        ("yolox-nano-int8", 0.693),
    ] {
        let mut detector = load(model, Some(shared.join("models")));
        let mut found = Vec::new();
        for name in truth.keys() {
            let frame = frame(&shared.join("data/coco-mini/images").join(name));
            let detections = detector.detect(&frame).unwrap();
            found.extend(
                detections.items.iter().filter(|d| d.class == Class::PERSON).map(|d| (d.score, name.clone(), d.bbox)),
            );
        }
        let ap = ap50(&truth, found);
        println!("{model}: AP50 of people {ap:.3}, expected {expected:.3}");
        if (ap - expected).abs() > 0.03 {
            wrong.push(format!("{model} has {ap:.3}, expected {expected:.3}"));
        }
    }
    assert!(wrong.is_empty(), "AP50 of people: {}", wrong.join("; "));
}

/// Boxes of people by image, as fractions, for the first images that show any and no crowd.
fn people(instances: &Path) -> BTreeMap<String, Vec<BBox>> {
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(instances).unwrap()).unwrap();
    let list = |key: &str| json[key].as_array().unwrap().clone();
    let mut by_image = BTreeMap::new();
    for image in list("images") {
        let of_image: Vec<_> =
            list("annotations").into_iter().filter(|a| a["image_id"] == image["id"] && a["category_id"] == 1).collect();
        if of_image.is_empty() || of_image.iter().any(|a| a["iscrowd"] == 1) || by_image.len() == IMAGES {
            continue;
        }
        let side = |key: &str| image[key].as_f64().unwrap();
        let (w, h) = (side("width"), side("height"));
        let boxes = of_image.iter().map(|a| {
            let [x, y, bw, bh] = [0, 1, 2, 3].map(|i| a["bbox"][i].as_f64().unwrap());
            BBox::from_xywh((x / w) as f32, (y / h) as f32, (bw / w) as f32, (bh / h) as f32)
        });
        by_image.insert(image["file_name"].as_str().unwrap().to_string(), boxes.collect());
    }
    by_image
}

/// Average precision at an overlap of .5: the area below precision over recall.
fn ap50(truth: &BTreeMap<String, Vec<BBox>>, mut found: Vec<(f32, String, BBox)>) -> f32 {
    let total = truth.values().map(Vec::len).sum::<usize>() as f32;
    let mut open = truth.clone();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut hits, mut curve) = (0.0, Vec::new());
    for (seen, (_, image, bbox)) in found.iter().enumerate() {
        let rest = open.get_mut(image).unwrap();
        let best = (0..rest.len()).max_by(|&a, &b| rest[a].iou(bbox).total_cmp(&rest[b].iou(bbox)));
        if let Some(best) = best.filter(|&b| rest[b].iou(bbox) >= 0.5) {
            rest.swap_remove(best);
            hits += 1.0;
        }
        curve.push((hits / total, hits / (seen + 1) as f32));
    }
    let (mut area, mut best, mut right) = (0.0, 0.0f32, curve.last().map_or(0.0, |c| c.0));
    for (recall, precision) in curve.into_iter().rev() {
        if recall < right {
            area += (right - recall) * best;
            right = recall;
        }
        best = best.max(precision);
    }
    area + right * best
}
