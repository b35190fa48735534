//! `watchpost detect`: finds things in pictures, says what and where, and does something to them.
//!
//! Absent on purpose: films (`count` and `replay` are for those), and reading whole folders, since a shell
//! says `folder/*.jpg` better.

mod coco;
mod files;
mod words;

use crate::bad_input;
use crate::capture::{self, Still};
use crate::detection::{Class, Detection};
use crate::evidence::{self, Op, jpeg};
use crate::frame::{Frame, Picture};
use crate::infer::{self, Detector, Limits};
use crate::time::{MediaTime, Stopwatch, WallTime};
use anyhow::{Context, Result};
use files::Inputs;
use image::{ImageFormat, RgbImage};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

#[derive(clap::Args)]
pub struct Args {
    /// JPEG, PNG, GIF or BMP files
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Write what was found, one JSON object per picture and line; `-` is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write COCO results: pixels of the stored picture (before EXIF turns it), scores from .005, NMS .65
    #[arg(long, value_name = "FILE")]
    coco: Option<PathBuf>,
    /// Write the picture with boxes on it, .jpg or .png; a folder if there are several pictures
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,
    /// Do these in turn to what was found: annotate, crop, blur, pixelate, grey, edges, mask, count
    #[arg(long, value_name = "OP", value_delimiter = ',')]
    apply: Vec<String>,
    /// Only these classes, in everything that is written
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    class: Vec<String>,
    /// Where --apply writes its pictures
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A model's name, a folder under models/ or a path to one
    #[arg(long, value_name = "NAME", default_value = "auto")]
    model: String,
    /// Least score, 0..1 [default: 0.3, for --coco 0.005]
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f32>,
    /// Of two boxes of a class that overlap by more than this (IoU), the better one stays [default: 0.6, for --coco 0.65]
    #[arg(long, value_name = "IOU")]
    nms: Option<f32>,
    /// Decode JPEGs as a camera's frames are: no larger than the network needs. For engineers: shows what that costs
    #[arg(long, hide = true)]
    as_camera: bool,
}

/// Beside [`Limits::default`], which are for people.
const FOR_SCORERS: Limits = Limits { min_score: 0.005, nms: 0.65 };

/// A picture that cannot be read is told on standard error and the others are done. Exit status 0 when all
/// were read, 1 when some were, 2 when none was.
///
/// # Errors
/// [`crate::problems::BadInput`] for arguments that make no sense; else what could not be written or loaded.
pub fn run(args: Args) -> Result<ExitCode> {
    let ops = words::ops(&args.apply)?;
    let inputs = Inputs::new(&args.images);
    check(&args, &ops, &inputs)?;
    let mut eyes = Eyes::load(&args, &ops)?;
    let (model, known) = eyes.model();
    let classes = words::classes(&args.class, &model, &known)?;
    let coco = match args.coco {
        Some(_) => Some(coco::Results::new(&args.images, &model, &known)?),
        None => None,
    };
    let annotated = args.annotate.as_deref().filter(|path| !is_picture_name(path));
    for folder in [annotated, args.out.as_deref()].into_iter().flatten() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }

    let pictures = args.images.len();
    let bar = progress_bar(pictures);
    let mut job = Job { stems: files::stems(&args.images), args, ops, inputs, model, classes, coco, json: Vec::new() };
    let mut unread = 0;
    for place in 0..pictures {
        let path = job.args.images[place].display();
        match Still::read(&job.args.images[place]) {
            Ok(still) => {
                let seen = eyes.look(&job.args, place, &still).with_context(|| format!("cannot detect on {path}"))?;
                bar.suspend(|| job.deliver(place, &still, seen))?;
            }
            Err(error) => {
                unread += 1;
                bar.suspend(|| eprintln!("watchpost: {}", words::line(&format!("{path}: {error:#}"))));
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    job.finish()?;
    Ok(match unread {
        0 => ExitCode::SUCCESS,
        n if n < pictures => ExitCode::FAILURE,
        _ => ExitCode::from(2),
    })
}

/// People and scorers want different limits. Neither set of boxes can be made from the other, since what is
/// suppressed at one may stay at the other; so whoever asks for both in one call has each picture looked at
/// twice, and gets what two calls would give.
struct Eyes {
    people: Option<Box<dyn Detector>>,
    scorers: Option<Box<dyn Detector>>,
}

/// What was found on a picture, and how long it took.
#[derive(Default)]
struct Seen {
    by_people: Vec<Detection>,
    by_scorers: Vec<Detection>,
    millis: f64,
}

impl Eyes {
    fn load(args: &Args, ops: &[Op]) -> Result<Self> {
        let load = |defaults: Limits| {
            let min_score = args.min_score.unwrap_or(defaults.min_score);
            let limits = Limits { min_score, nms: args.nms.unwrap_or(defaults.nms) };
            infer::load(&infer::Request { model: args.model.clone(), limits, ..infer::Request::default() })
        };
        let for_people = args.coco.is_none() || args.json.is_some() || args.annotate.is_some() || !ops.is_empty();
        Ok(Eyes {
            people: for_people.then(|| load(Limits::default())).transpose()?,
            scorers: args.coco.is_some().then(|| load(FOR_SCORERS)).transpose()?,
        })
    }

    /// The model's name and classes, the same for both.
    fn model(&self) -> (String, Vec<Class>) {
        let either = self.people.as_ref().or(self.scorers.as_ref());
        either.map(|detector| (detector.model().to_owned(), detector.classes().to_vec())).unwrap_or_default()
    }

    fn look(&mut self, args: &Args, place: usize, still: &Still) -> Result<Seen> {
        let picture = match args.as_camera {
            true => capture::jpeg::picture(std::fs::read(&args.images[place])?)?,
            false => Picture::Rgb(still.picture.clone()),
        };
        let frame = Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::EPOCH, picture };
        let mut seen = Seen::default();
        if let Some(detector) = &mut self.scorers {
            seen.by_scorers = detector.detect(&frame)?.items;
        }
        if let Some(detector) = &mut self.people {
            let clock = Stopwatch::start();
            seen.by_people = detector.detect(&frame)?.items;
            seen.millis = clock.elapsed().secs_f64() * 1e3;
        }
        Ok(seen)
    }
}

/// What can be said against the arguments before a model is loaded.
fn check(args: &Args, ops: &[Op], inputs: &Inputs) -> Result<()> {
    for (name, value) in [("--min-score", args.min_score), ("--nms", args.nms)] {
        if value.is_some_and(|v| !(0.0..=1.0).contains(&v)) {
            bad_input!("{name}: expected a number from 0 to 1");
        }
    }
    let outputs = [&args.json, &args.coco, &args.annotate].into_iter().flatten();
    if outputs.filter(|path| files::is_stdout(path)).count() > 1 {
        bad_input!("only one of --json, --coco and --annotate can go to standard output");
    }
    for path in [&args.json, &args.coco].into_iter().flatten() {
        inputs.check(path)?;
    }
    match &args.annotate {
        Some(path) if is_picture_name(path) && args.images.len() > 1 => bad_input!(
            "--annotate: {} is one file and {} pictures were given, expected a folder",
            path.display(),
            args.images.len()
        ),
        Some(path) if is_picture_name(path) => inputs.check(path)?,
        _ => {}
    }
    match (&args.out, ops.iter().find(|op| **op != Op::Count)) {
        (None, Some(op)) => bad_input!("--apply {op} writes pictures: expected a folder for them, --out DIR"),
        (Some(_), _) if ops.is_empty() => bad_input!("--out is where --apply writes its pictures: expected --apply OP"),
        _ => Ok(()),
    }
}

/// The contract of `--json`: fields may be added, none is taken away.
#[derive(Serialize)]
struct Line<'a> {
    schema: u8,
    image: &'a str,
    width: u32,
    height: u32,
    model: &'a str,
    detections: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    class: Class,
    score: f32,
    /// Left, top, right, bottom; fractions of the upright picture.
    r#box: [f32; 4],
}

impl From<&Detection> for Found {
    fn from(d: &Detection) -> Self {
        // A fifth digit is half a pixel of a picture 50,000 wide.
        let short = |v: f32| ((f64::from(v) * 1e5).round() / 1e5) as f32;
        Found { class: d.class, score: short(d.score), r#box: d.bbox.clamped().to_array().map(short) }
    }
}

/// What is done with each picture once it is known what is on it.
struct Job {
    args: Args,
    ops: Vec<Op>,
    inputs: Inputs,
    model: String,
    /// Those asked for; empty for all.
    classes: Vec<Class>,
    stems: Vec<String>,
    json: Vec<u8>,
    coco: Option<coco::Results>,
}

impl Job {
    fn deliver(&mut self, place: usize, still: &Still, seen: Seen) -> Result<()> {
        let Seen { by_people: mut found, by_scorers: mut scored, millis } = seen;
        for detections in [&mut found, &mut scored] {
            detections.retain(|d| self.classes.is_empty() || self.classes.contains(&d.class));
        }
        if let Some(coco) = &mut self.coco {
            coco.add(place, still, &scored)?;
        }
        let image = self.args.images[place].to_string_lossy();
        if let Some(path) = &self.args.json {
            let (width, height) = still.picture.dimensions();
            let detections = found.iter().map(Found::from).collect();
            let line = Line { schema: 1, image: &image, width, height, model: &self.model, detections };
            let mut line = serde_json::to_vec(&line)?;
            line.push(b'\n');
            if files::is_stdout(path) {
                self.inputs.write(path, &line)?;
            } else {
                self.json.extend(line);
            }
        }
        if let Some(path) = &self.args.annotate {
            let mut picture = RgbImage::clone(&still.picture);
            evidence::apply(&mut picture, &[Op::Annotate], &found);
            let name = self.file_name(place, &self.stems[place]);
            let path = if is_picture_name(path) { path.clone() } else { path.join(name) };
            self.write_picture(&path, picture)?;
        }
        if wants_summary(&self.args, &self.ops) {
            let text = words::summary(&image, &found, &self.model, millis);
            writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")?;
        }
        if let Some(folder) = &self.args.out {
            self.apply(place, RgbImage::clone(&still.picture), &found, folder)?;
        }
        Ok(())
    }

    /// Writes what could only be written whole.
    fn finish(self) -> Result<()> {
        if let Some(path) = self.args.json.as_deref().filter(|path| !files::is_stdout(path)) {
            self.inputs.write(path, &self.json)?;
        }
        if let (Some(path), Some(coco)) = (&self.args.coco, self.coco) {
            self.inputs.write(path, coco.into_json().as_bytes())?;
        }
        Ok(())
    }

    /// One file for each thing that was cut out, and one for the picture if anything else was done to it.
    fn apply(&self, place: usize, mut picture: RgbImage, found: &[Detection], folder: &Path) -> Result<()> {
        let stem = &self.stems[place];
        let mut numbers = std::collections::BTreeMap::<Class, u32>::new();
        for cut in evidence::apply(&mut picture, &self.ops, found) {
            let number = numbers.entry(cut.class).or_default();
            *number += 1;
            let name = format!("{stem}-{}-{number}", words::for_file(cut.class));
            self.write_picture(&folder.join(self.file_name(place, &name)), cut.picture)?;
        }
        if self.ops.iter().any(|op| *op != Op::Crop) {
            self.write_picture(&folder.join(self.file_name(place, stem)), picture)?;
        }
        Ok(())
    }

    /// PNG stays PNG, since whoever uses it wants exact pixels; the rest becomes JPEG.
    fn file_name(&self, place: usize, stem: &str) -> String {
        let png = self.args.images[place].extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        format!("{stem}.{}", if png { "png" } else { "jpg" })
    }

    fn write_picture(&self, path: &Path, picture: RgbImage) -> Result<()> {
        let png = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("png"));
        let bytes = if png {
            let mut bytes = std::io::Cursor::new(Vec::new());
            picture
                .write_to(&mut bytes, ImageFormat::Png)
                .with_context(|| format!("cannot write {}", path.display()))?;
            bytes.into_inner()
        } else {
            jpeg(&Picture::Rgb(Arc::new(picture)), 92).with_context(|| format!("cannot write {}", path.display()))?
        };
        self.inputs.write(path, &bytes)
    }
}

/// A line per picture on standard output if nothing else was asked for, or if `count` was.
fn wants_summary(args: &Args, ops: &[Op]) -> bool {
    let outputs: Vec<_> = [&args.json, &args.coco, &args.annotate].into_iter().flatten().collect();
    let taken = outputs.iter().any(|path| files::is_stdout(path));
    !taken && (ops.contains(&Op::Count) || (outputs.is_empty() && ops.is_empty()))
}

/// Whether `--annotate` means a file by this; anything else is a folder.
fn is_picture_name(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
    files::is_stdout(path) || (matches!(ending.as_deref(), Some("jpg" | "jpeg" | "png")) && !path.is_dir())
}

/// For more than a handful, and on a terminal only: indicatif stays silent in a pipe.
fn progress_bar(pictures: usize) -> ProgressBar {
    if pictures < 8 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {per_sec}, {eta} left");
    ProgressBar::new(pictures as u64).with_style(style.expect("the template above is well formed"))
}
