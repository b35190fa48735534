//! `models quantize`: a float model and a folder of pictures become an int8 model.
//!
//! Absent on purpose: labels. What is kept is what the float model finds, right or wrong.

use crate::app::film::progress_bar;
use crate::bad_input;
use crate::capture::pictures_in;
use crate::capture::read_picture;
use crate::detection::{Class, Detection, Detections};
use crate::frame::{Frame, Picture};
use crate::geometry::BBox;
use crate::infer::letterbox::{Bytes, Letterbox};
use crate::infer::manifest::{Golden, Manifest, Quantization};
use crate::infer::pose::{self, PoseEye, PoseNet};
use crate::infer::quant::calibrate::calibrate;
use crate::infer::quant::compile::{Options, compile};
use crate::infer::quant::matcher::Part;
use crate::infer::quant::plan::Plan;
use crate::infer::quant::report::{Report, report};
use crate::infer::quant::scheme::Curve;
use crate::infer::quant::{Pictures, file};
use crate::infer::registry::{Registry, sha256};
use crate::infer::{Detector, Limits, NetDetector, Request, pull, twin};
use crate::problems::BadInput;
use crate::time::{MediaTime, WallTime};
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A float model: its name, its folder, or its ONNX file beside a model.toml
    model: String,
    /// Folder of pictures, no labels needed: a hundred like those that the cameras will give
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// Folder to write: model.toml, the int8 file, ranges.json; its name is the new model's
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write the ranges only: where the float file is put beside them, the int8 model is made of both, and no weights are
    /// copied
    #[arg(long)]
    ranges_only: bool,
    /// Compute curved activations as they are defined instead of looking them up: slower, a little closer
    #[arg(long)]
    exact: bool,
    /// Every so many pictures one is kept back, to compare both models on
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=1000))]
    hold_back: u32,
    /// One per core
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Of a model that says how people stand: what finds the people on the pictures
    #[arg(long, value_name = "NAME", default_value = "auto")]
    people: String,
}

/// Pixels that somebody is high at least: of less the network makes up what it cannot see.
const SMALLEST: f32 = 48.0;

pub fn run(registry: &Registry, args: &Args) -> Result<ExitCode> {
    let known = registry.find(&args.model)?;
    let source = &known.manifest;
    if source.quantization != Quantization::None {
        bad_input!("{} is an int8 model already, expected a float one", source.name);
    }
    let Some(name) = args.out.file_name().and_then(|name| name.to_str()) else {
        bad_input!("--out {} has no name for the model, expected a folder such as models/mine", args.out.display());
    };
    let onnx = known.read()?;
    let (part, picture_zeros) = twin::network(source, &onnx)
        .map_err(|error| BadInput(format!("{} cannot be quantized: {error:#}", source.name)))?;
    let floats: Vec<String> = part.stays.iter().map(ToString::to_string).collect();
    let graph = &part.graph.clone();
    // What stays in floats is read from the float model, so that must lie beside the ranges.
    let ranges_only = args.ranges_only || part.rest.is_some();
    let looks = if source.is_pose() { people(registry, args)? } else { whole(args)? };
    let (held, used): (Vec<_>, Vec<_>) =
        looks.into_iter().enumerate().partition(|(i, _)| (i + 1) % args.hold_back as usize == 0);
    let [held, used] = [held, used].map(|list| list.into_iter().map(|(_, look)| look).collect::<Vec<_>>());
    if used.is_empty() || held.is_empty() {
        bad_input!(
            "{} {} in {} are too few, expected {} at least",
            used.len(),
            if source.is_pose() { "people" } else { "pictures" },
            args.images.display(),
            args.hold_back
        );
    }
    let read = |looks: &[Look], i: usize| looks[i].bytes(source);
    let of_used = |i: usize| read(&used, i);
    let pictures = Pictures { count: used.len(), get: &of_used };
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let bar = progress_bar(Some(1));
    let ranges = calibrate(graph, picture_zeros, &pictures, threads, &mut |progress| {
        bar.set_message(progress.what);
        bar.set_length(progress.of as u64);
        bar.set_position(progress.done as u64);
    })?;
    bar.finish_and_clear();
    let curve = if args.exact { Curve::Exact } else { Curve::Table };
    let options = Options { curve, picture_zeros };
    let plan = compile(graph, &ranges, options)?;
    let (file, text) = (file::write(&plan)?, ranges.to_text());
    let mut manifest = Manifest { name: name.into(), quantization: Quantization::Int8, golden: None, ..source.clone() };
    let of = if source.is_pose() { "people on pictures" } else { "pictures" };
    let step = format!("quantized to int8 by Watchpost from {} {of}", used.len());
    if ranges_only {
        (manifest.ranges, manifest.curve) = (Some("ranges.json".into()), curve);
        manifest.floats = floats.clone();
    } else {
        let stem = name.strip_suffix("-int8").unwrap_or(name);
        (manifest.file, manifest.bytes, manifest.sha256) = (format!("{stem}.int8"), file.len() as u64, sha256(&file));
        manifest.origin.url = None;
    }
    manifest.origin.obtained = format!("{}; {step}", source.origin.obtained);
    let write = |name: &str, bytes: &[u8]| {
        let path = args.out.join(name);
        pull::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
    };
    write("ranges.json", text.as_bytes())?;
    if !ranges_only {
        write(&manifest.file, &file)?;
    }
    let mut int8 = Twin::of(&manifest, plan, part)?;
    manifest.golden = Some(int8.golden()?);
    write("model.toml", toml::to_string(&manifest).context("a manifest is always writable")?.as_bytes())?;

    let of_held = |i: usize| read(&held, i);
    let few = Pictures { count: held.len().min(16), get: &of_held };
    let found = report(graph, &ranges, options, &few)?;
    let agreement = match &mut int8 {
        Twin::Things(int8) => agreement(&mut *known.load(Limits::default())?, int8, &held)?,
        Twin::Joints(int8) => same_joints(&mut known.pose()?, int8, &held)?,
    };
    let agreement = format!("{agreement} on {} {of} that were kept back", held.len());
    print(&found, file.len(), source.bytes, &agreement)?;
    for stay in &floats {
        println!("{stay}");
    }
    if !floats.is_empty() {
        println!("the rest is computed in bytes; {} is needed beside the ranges", manifest.file);
    }
    println!("{}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// What is looked at: a picture, or somebody on it.
struct Look {
    path: PathBuf,
    person: Option<BBox>,
}

impl Look {
    fn picture(&self) -> Result<Picture> {
        Ok(Picture::Rgb(read_picture(&self.path)?))
    }

    /// As the network reads it.
    fn bytes(&self, manifest: &Manifest) -> Result<Vec<u8>> {
        let (picture, input) = (self.picture()?, &manifest.input);
        if let Some(bbox) = self.person {
            return pose::bytes_of(input, &picture, bbox)?.context("nobody is there");
        }
        let mut bytes = Bytes::new(input);
        Letterbox::new(input).fill(&picture, &mut bytes)?;
        Ok(bytes.bytes)
    }
}

fn whole(args: &Args) -> Result<Vec<Look>> {
    Ok(pictures_in(&args.images)?.into_iter().map(|path| Look { path, person: None }).collect())
}

/// Whoever is on the pictures and large enough to tell arms from legs.
fn people(registry: &Registry, args: &Args) -> Result<Vec<Look>> {
    let mut detector = registry.load(&Request { model: args.people.clone(), ..Request::default() })?;
    let paths = pictures_in(&args.images)?;
    let bar = progress_bar(Some(paths.len() as u64));
    bar.set_message("Finding people");
    let mut looks = Vec::new();
    for path in paths {
        let picture = Picture::Rgb(read_picture(&path)?);
        let height = picture.size().1 as f32;
        let frame = Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::EPOCH, picture };
        let people = detector.detect(&frame)?.items.into_iter().filter(|d| d.class == Class::PERSON);
        let large = people.filter(|d| d.bbox.height() * height >= SMALLEST);
        looks.extend(large.map(|d| Look { path: path.clone(), person: Some(d.bbox) }));
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(looks)
}

/// The new model at work.
enum Twin {
    Things(NetDetector),
    Joints(PoseNet),
}

impl Twin {
    fn of(manifest: &Manifest, plan: Plan, part: Part) -> Result<Self> {
        if manifest.is_pose() {
            return Ok(Twin::Joints(twin::pose(manifest, plan, part)?));
        }
        Ok(Twin::Things(twin::detector(manifest, plan, part, Limits::default())?))
    }

    fn golden(&mut self) -> Result<Golden> {
        match self {
            Twin::Things(detector) => detector.golden(),
            Twin::Joints(net) => net.golden(),
        }
    }
}

/// What both find of all that either finds: twice the pairs over the sum, which is F1 of each by the other.
fn agreement(float: &mut dyn Detector, int8: &mut dyn Detector, looks: &[Look]) -> Result<String> {
    let (mut pairs, mut all) = (0, 0);
    for look in looks {
        let frame = Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::now(), picture: look.picture()? };
        let (a, b) = (float.detect(&frame)?, int8.detect(&frame)?);
        all += a.items.len() + b.items.len();
        pairs += paired(&a, &b);
    }
    ensure!(all > 0, "neither model finds anything in the {} pictures that were kept back", looks.len());
    Ok(format!("{:.3} (F1)", 2.0 * pairs as f64 / all as f64))
}

/// How many of the joints that the float model is sure of lie, by the other, in the same place: within a twentieth of the
/// box's longer side.
fn same_joints(float: &mut dyn PoseEye, int8: &mut dyn PoseEye, looks: &[Look]) -> Result<String> {
    let (mut same, mut all) = (0, 0);
    for look in looks {
        let (picture, boxes) = (look.picture()?, [look.person.context("nobody is there")?]);
        let aspect = picture.aspect();
        for (a, b) in float.look(&picture, &boxes)?.iter().zip(int8.look(&picture, &boxes)?) {
            let near = a.bbox.height().max(a.bbox.width() * aspect) / 20.0;
            for (a, b) in a.joints.iter().zip(b.joints).filter(|(a, _)| a.score >= 0.3) {
                all += 1;
                same += usize::from(((a.at.x - b.at.x) * aspect).hypot(a.at.y - b.at.y) <= near);
            }
        }
    }
    ensure!(all > 0, "the float model is sure of no joint of the {} people that were kept back", looks.len());
    Ok(format!("{:.3} (joints in the same place)", same as f64 / all as f64))
}

/// Each with the best of the same class that is left, half covered at least.
fn paired(a: &Detections, b: &Detections) -> usize {
    let mut left: Vec<&Detection> = b.items.iter().collect();
    let mut pairs = 0;
    for one in &a.items {
        let fits = |other: &Detection| one.class == other.class && one.bbox.iou(&other.bbox) >= 0.5;
        if let Some(at) = left.iter().position(|other| fits(other)) {
            left.remove(at);
            pairs += 1;
        }
    }
    pairs
}

fn print(report: &Report, bytes: usize, before: u64, agreement: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{:<40} {:>7}  error, of its own size", "tensor", "by")?;
    for line in &report.tensors {
        let by = if line.table { "table" } else { "sums" };
        writeln!(out, "{:<40} {by:>7}  {:.3}", line.name, line.error.relative())?;
    }
    for (i, error) in report.outputs.iter().enumerate() {
        writeln!(out, "{:<40} {:>7}  {:.3}", format!("output {i}"), "", error.relative())?;
    }
    let [mb, was] = [bytes as f64, before as f64].map(|bytes| bytes / 1e6);
    writeln!(out, "{mb:.2} MB, {was:.2} before; {:.1} MB of memory for tensors", report.memory as f64 / 1e6)?;
    writeln!(out, "agreement with the float model: {agreement}")?;
    Ok(())
}
