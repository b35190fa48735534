//! `models quantize`: a float model and a folder of pictures become an int8 model.
//!
//! Absent on purpose: labels. What is kept is what the float model finds, right or wrong.

use crate::app::film::progress_bar;
use crate::bad_input;
use crate::capture::pictures_in;
use crate::capture::read_picture;
use crate::detection::{Detection, Detections};
use crate::frame::{Frame, Picture};
use crate::infer::letterbox::{Bytes, Letterbox};
use crate::infer::manifest::{Manifest, Quantization};
use crate::infer::quant::calibrate::calibrate;
use crate::infer::quant::compile::{Options, compile};
use crate::infer::quant::report::{Report, report};
use crate::infer::quant::scheme::Curve;
use crate::infer::quant::{Pictures, file};
use crate::infer::registry::{Registry, sha256};
use crate::infer::{Detector, Limits, pull, twin};
use crate::problems::BadInput;
use crate::time::{MediaTime, WallTime};
use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::{Path, PathBuf};
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
}

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
    let (graph, picture_zeros) = twin::network(source, &onnx)
        .map_err(|error| BadInput(format!("{} cannot be quantized: {error:#}", source.name)))?;
    let all = pictures_in(&args.images)?;
    let (held, used): (Vec<_>, Vec<_>) =
        all.into_iter().enumerate().partition(|(i, _)| (i + 1) % args.hold_back as usize == 0);
    let [held, used] = [held, used].map(|list| list.into_iter().map(|(_, path)| path).collect::<Vec<_>>());
    if used.is_empty() || held.is_empty() {
        bad_input!(
            "{} pictures in {} are too few, expected {} at least",
            used.len(),
            args.images.display(),
            args.hold_back
        );
    }
    let read = |paths: &[PathBuf], i: usize| bytes_of(source, &paths[i]);
    let of_used = |i: usize| read(&used, i);
    let pictures = Pictures { count: used.len(), get: &of_used };
    let threads = args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    let bar = progress_bar(Some(1));
    let ranges = calibrate(&graph, picture_zeros, &pictures, threads, &mut |progress| {
        bar.set_message(progress.what);
        bar.set_length(progress.of as u64);
        bar.set_position(progress.done as u64);
    })?;
    bar.finish_and_clear();
    let curve = if args.exact { Curve::Exact } else { Curve::Table };
    let options = Options { curve, picture_zeros };
    let plan = compile(&graph, &ranges, options)?;
    let (file, text) = (file::write(&plan)?, ranges.to_text());
    let mut manifest = Manifest { name: name.into(), quantization: Quantization::Int8, golden: None, ..source.clone() };
    let step = format!("quantized to int8 by Watchpost from {} pictures", used.len());
    if args.ranges_only {
        (manifest.ranges, manifest.curve) = (Some("ranges.json".into()), curve);
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
    if !args.ranges_only {
        write(&manifest.file, &file)?;
    }
    let mut int8 = twin::detector(&manifest, plan, Limits::default())?;
    manifest.golden = Some(int8.golden()?);
    write("model.toml", toml::to_string(&manifest).context("a manifest is always writable")?.as_bytes())?;

    let of_held = |i: usize| read(&held, i);
    let few = Pictures { count: held.len().min(16), get: &of_held };
    let found = report(&graph, &ranges, options, &few)?;
    let mut float = known.load(Limits::default())?;
    let agreement = agreement(&mut *float, &mut int8, &held)?;
    print(&found, file.len(), source.bytes, agreement, held.len())?;
    println!("{}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// As the network reads it.
fn bytes_of(manifest: &Manifest, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Bytes::new(&manifest.input);
    let picture = Picture::Rgb(read_picture(path)?);
    Letterbox::new(&manifest.input).fill(&picture, &mut bytes)?;
    Ok(bytes.bytes)
}

/// What both find of all that either finds: twice the pairs over the sum, which is F1 of each by the other.
fn agreement(float: &mut dyn Detector, int8: &mut dyn Detector, pictures: &[PathBuf]) -> Result<f64> {
    let (mut pairs, mut all) = (0, 0);
    for path in pictures {
        let picture = Picture::Rgb(read_picture(path)?);
        let frame = Frame { index: 0, at: MediaTime::ZERO, taken: WallTime::now(), picture };
        let (a, b) = (float.detect(&frame)?, int8.detect(&frame)?);
        all += a.items.len() + b.items.len();
        pairs += paired(&a, &b);
    }
    ensure!(all > 0, "neither model finds anything in the {} pictures that were kept back", pictures.len());
    Ok(2.0 * pairs as f64 / all as f64)
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

fn print(report: &Report, bytes: usize, before: u64, agreement: f64, held: usize) -> Result<()> {
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
    writeln!(out, "agreement with the float model on {held} pictures that were kept back: {agreement:.3} (F1)")?;
    Ok(())
}
