//! `eval keypoints`: joints of the people on pictures, as COCO results, for COCO's scorer.

use crate::bad_input;
use crate::capture::{Still, pictures_in};
use crate::clue::Pose;
use crate::detection::Class;
use crate::evidence::{Mark, Overlay, draw, jpeg};
use crate::frame::{Frame, Picture};
use crate::geometry::BBox;
use crate::infer::pose::PoseEye;
use crate::infer::registry::Registry;
use crate::infer::{Detector, Meter, Request};
use crate::problems::BadInput;
use crate::time::{MediaTime, Span, WallTime};
use anyhow::{Context, Result};
use image::RgbImage;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    /// A folder with pictures in `images/`, their names the numbers of COCO
    dir: PathBuf,
    /// Write COCO's keypoint results here
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What says how people stand: a name of `watchpost models list`, or a path
    #[arg(long, value_name = "NAME", default_value = "auto")]
    pose: String,
    /// What finds them
    #[arg(long, value_name = "NAME", default_value = "auto")]
    model: String,
    /// Take the people's boxes from these labels of COCO instead of finding them
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    boxes: Option<PathBuf>,
    /// What is looked at: a square so many times as high or wide as the box [default: what `run` takes]
    #[arg(long, value_name = "TIMES")]
    margin: Option<f32>,
    /// Write the pictures here, the joints drawn on them
    #[arg(long, value_name = "DIR")]
    draw: Option<PathBuf>,
    /// Look so many times, to measure what it costs
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1000), hide = true)]
    repeat: u16,
}

/// One person of one picture.
#[derive(Serialize)]
struct Row {
    image_id: u64,
    category_id: u8,
    /// x, y in pixels of the picture as it is stored, and 1; joint by joint.
    keypoints: Vec<f64>,
    score: f64,
}

#[derive(Deserialize)]
struct Labels {
    annotations: Vec<Label>,
}

#[derive(Deserialize)]
struct Label {
    image_id: u64,
    /// x, y, width, height in pixels.
    bbox: [f32; 4],
}

/// # Errors
/// A folder without pictures, a model of another kind, results that cannot be written.
pub fn run(args: &Args) -> Result<ExitCode> {
    if args.margin.is_some_and(|margin| !(0.5..=4.0).contains(&margin)) {
        bad_input!("--margin is {}, expected 0.5 to 4", args.margin.unwrap_or_default());
    }
    let registry = Registry::from_env();
    let mut eye = registry.pose(&args.pose)?;
    args.margin.into_iter().for_each(|margin| eye.set_margin(margin));
    let labels = args.boxes.as_deref().map(labels).transpose()?;
    let mut detector = match labels {
        Some(_) => None,
        None => Some(registry.load(&Request { model: args.model.clone(), ..Request::default() })?),
    };
    if let Some(folder) = &args.draw {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    let (mut rows, mut cost, mut pictures) = (Vec::new(), Span::ZERO, 0);
    for path in pictures_in(&args.dir.join("images"))? {
        let still = Still::read(&path)?;
        let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
        let Ok(image_id) = stem.parse() else {
            bad_input!("{} is not named by its number, expected a name such as 000000000139.jpg", path.display());
        };
        let people = match (&labels, &mut detector) {
            (Some(labels), _) => labelled(labels, image_id, &still),
            (None, Some(detector)) => found(&mut **detector, &still)?,
            (None, None) => Vec::new(),
        };
        let boxes: Vec<BBox> = people.iter().map(|(bbox, _)| *bbox).collect();
        let picture = Picture::Rgb(still.picture.clone());
        let mut poses = Vec::new();
        for _ in 0..args.repeat {
            let mut meter = Meter::start();
            poses = eye.look(&picture, &boxes)?;
            cost = cost + meter.lap().cpu;
        }
        for pose in &poses {
            let sure = people.iter().find(|(bbox, _)| *bbox == pose.bbox).map_or(0.0, |(_, score)| *score);
            rows.push(row(image_id, pose, sure, &still));
        }
        if let Some(folder) = &args.draw {
            drawn(&folder.join(format!("{stem}.jpg")), &still, &poses)?;
        }
        pictures += 1;
    }
    let text = rows.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?.join(",\n");
    std::fs::write(&args.out, format!("[{text}]\n")).with_context(|| format!("cannot write {}", args.out.display()))?;
    let looks = rows.len() * usize::from(args.repeat);
    let each = cost.secs_f64() * 1000.0 / looks.max(1) as f64;
    writeln!(
        std::io::stdout(),
        "{pictures} pictures, {} people, {each:.2} ms of processor time each ({})",
        rows.len(),
        eye.model()
    )?;
    Ok(ExitCode::SUCCESS)
}

fn labels(path: &Path) -> Result<BTreeMap<u64, Vec<[f32; 4]>>> {
    let wrong = |error: String| BadInput(format!("cannot read the labels {}: {error}", path.display()));
    let text = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let labels: Labels = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
    let mut of_picture = BTreeMap::<u64, Vec<[f32; 4]>>::new();
    for Label { image_id, bbox } in labels.annotations {
        of_picture.entry(image_id).or_default().push(bbox);
    }
    Ok(of_picture)
}

/// Boxes in fractions, and how sure they are. The labels of a picture that EXIF turns are not turned with it.
fn labelled(labels: &BTreeMap<u64, Vec<[f32; 4]>>, image_id: u64, still: &Still) -> Vec<(BBox, f32)> {
    let (width, height) = still.stored;
    let (w, h) = (width as f32, height as f32);
    let boxes = labels.get(&image_id).into_iter().flatten();
    boxes.map(|[x, y, width, height]| (BBox::from_xywh(x / w, y / h, width / w, height / h), 1.0)).collect()
}

fn found(detector: &mut dyn Detector, still: &Still) -> Result<Vec<(BBox, f32)>> {
    let picture = Picture::Rgb(still.picture.clone());
    let frame = Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::EPOCH, picture };
    let people = detector.detect(&frame)?.items.into_iter().filter(|d| d.class == Class::PERSON);
    Ok(people.map(|d| (d.bbox, d.score)).collect())
}

fn row(image_id: u64, pose: &Pose, sure: f32, still: &Still) -> Row {
    let size = [still.stored.0, still.stored.1].map(f64::from);
    let keypoints = pose.joints.iter().flat_map(|joint| {
        let there = still.in_stored(BBox::new(joint.at.x, joint.at.y, joint.at.x, joint.at.y));
        let pixel = |v: f32, size: f64| (f64::from(v) * size * 100.0).round() / 100.0;
        [pixel(there.x1, size[0]), pixel(there.y1, size[1]), 1.0]
    });
    let score = f64::from(sure * pose.score());
    Row { image_id, category_id: 1, keypoints: keypoints.collect(), score: (score * 1e5).round() / 1e5 }
}

fn drawn(path: &Path, still: &Still, poses: &[Pose]) -> Result<()> {
    let mut picture = RgbImage::clone(&still.picture);
    let mark =
        |pose: &Pose| Mark { class: Class::PERSON, bbox: pose.bbox, label: format!("{:.0}%", 100.0 * pose.score()) };
    let overlay = Overlay { marks: poses.iter().map(mark).collect(), poses: poses.to_vec(), ..Overlay::default() };
    draw(&mut picture, &overlay);
    let bytes = jpeg(&Picture::Rgb(Arc::new(picture)), 90)?;
    std::fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
