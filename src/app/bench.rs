//! `bench`: milliseconds per stage on this board, medians over frames. The figures are of one frame after the
//! other on an otherwise idle process, so they add up to what a camera's frame costs.

use crate::capture::{Film, FilmWriter, open_video};
use crate::infer::{self, Cost, Meter, Request, Stages};
use crate::time::{MediaTime, Span};
use crate::track::{TrackConfig, Tracker};
use anyhow::{Context, Result};
use image::{Rgb, RgbImage};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// A name of `watchpost models list`, or a path
    #[arg(long, default_value = "auto")]
    model: String,
    /// Threads of the network; this version knows 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=1))]
    threads: u8,
    /// A film to decode; without one a made-up film of 1280x720 is used
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// Frames to measure
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

/// Frames that are not measured: buffers grow and caches fill in them.
const WARM_UP: usize = 2;
const MADE_UP: (u32, u32) = (1280, 720);

#[derive(Serialize)]
struct Report {
    model: String,
    threads: u8,
    /// Instruction set of the processor, as far as the kernels care.
    isa: &'static str,
    /// What was decoded.
    film: String,
    width: u32,
    height: u32,
    frames: usize,
    load_ms: f64,
    stages: BTreeMap<&'static str, Millis>,
}

#[derive(Serialize)]
struct Millis {
    cpu_ms: f64,
    wall_ms: f64,
}

/// In the order in which a frame passes them.
const STAGES: [&str; 5] = ["decode", "letterbox", "infer", "post", "track"];

pub fn run(args: Args) -> Result<ExitCode> {
    let mut film = Looped::open(args.video.as_deref())?;
    let mut meter = Meter::start();
    let request = Request { model: args.model, ..Request::default() };
    let mut detector = infer::load(&request)?;
    let load = meter.lap();
    let mut tracker = Tracker::new(TrackConfig::default());
    let mut costs: [Vec<Cost>; 5] = Default::default();
    let mut size = (0, 0);
    for run in 0..WARM_UP + usize::from(args.runs) {
        let (frame, decode) = film.next()?;
        size = frame.picture.size();
        let mut stages = Stages::default();
        let detections = detector.detect_timed(&frame, &mut stages)?;
        meter.lap();
        tracker.update(&detections);
        let track = meter.lap();
        if run >= WARM_UP {
            let frame = [decode, stages.letterbox, stages.infer, stages.post, track];
            costs.iter_mut().zip(frame).for_each(|(costs, cost)| costs.push(cost));
        }
    }
    let report = Report {
        model: detector.model().into(),
        threads: args.threads,
        isa: isa(),
        film: film.what,
        width: size.0,
        height: size.1,
        frames: args.runs.into(),
        load_ms: millis(load.wall),
        stages: STAGES.into_iter().zip(costs.iter().map(|costs| medians(costs))).collect(),
    };
    let mut out = std::io::stdout().lock();
    if args.json {
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        print(&report, &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print(report: &Report, out: &mut impl Write) -> Result<()> {
    let Report { model, threads, isa, film, width, height, frames, load_ms, stages } = report;
    writeln!(
        out,
        "{model} on {isa}, {threads} thread(s), {film} {width}x{height}, median of {frames} frames, loaded in {load_ms:.0} ms"
    )?;
    writeln!(out, "{:<10} {:>9} {:>9}", "", "cpu ms", "wall ms")?;
    for stage in STAGES {
        writeln!(out, "{stage:<10} {:>9.2} {:>9.2}", stages[stage].cpu_ms, stages[stage].wall_ms)?;
    }
    let sum = |of: fn(&Millis) -> f64| stages.values().map(of).sum::<f64>();
    writeln!(out, "{:<10} {:>9.2} {:>9.2}", "together", sum(|m| m.cpu_ms), sum(|m| m.wall_ms))?;
    Ok(())
}

fn millis(span: Span) -> f64 {
    span.micros() as f64 / 1000.0
}

fn medians(costs: &[Cost]) -> Millis {
    let median = |of: fn(&Cost) -> Span| {
        let mut spans: Vec<Span> = costs.iter().map(of).collect();
        spans.sort();
        spans.get(spans.len() / 2).copied().unwrap_or_default()
    };
    Millis { cpu_ms: millis(median(|c| c.cpu)), wall_ms: millis(median(|c| c.wall)) }
}

/// A film that begins again when it is over.
struct Looped {
    path: PathBuf,
    film: Film,
    what: String,
    /// Where the film's beginning lies in our time.
    start: Span,
    /// Removed with us.
    _made_up: Option<Removed>,
}

struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0); // it lies in the temporary folder, which the system empties anyway
    }
}

impl Looped {
    fn open(video: Option<&Path>) -> Result<Self> {
        let made_up = if video.is_none() { Some(make_up()?) } else { None };
        let path = video.map(Path::to_path_buf).or_else(|| made_up.as_ref().map(|m| m.0.clone())).unwrap_or_default();
        let film = open_video(&path)?;
        let what = if made_up.is_some() { "made-up H.264 film".into() } else { film.what().to_string() };
        Ok(Looped { path, film, what, start: Span::ZERO, _made_up: made_up })
    }

    fn next(&mut self) -> Result<(crate::frame::Frame, Cost)> {
        let mut meter = Meter::start();
        let mut frame = self.film.next_frame()?;
        if frame.is_none() {
            self.start = self.start + (self.film.end() - MediaTime::ZERO);
            self.film = open_video(&self.path)?;
            meter.lap();
            frame = self.film.next_frame()?;
        }
        let decode = meter.lap();
        let mut frame = frame.with_context(|| format!("{} has no pictures", self.path.display()))?;
        frame.at = frame.at + self.start;
        Ok((frame, decode))
    }
}

/// A film of a textured scene with blocks that move through it, as long as a few seconds of a slow camera.
fn make_up() -> Result<Removed> {
    let path = std::env::temp_dir().join(format!("watchpost-bench-{}.mp4", std::process::id()));
    let cannot = || format!("cannot make up a film at {}", path.display());
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).with_context(cannot)?;
    let made_up = Removed(path.clone());
    let mut film = FilmWriter::new(file, MADE_UP)?;
    for i in 0..24 {
        let picture = RgbImage::from_fn(MADE_UP.0, MADE_UP.1, |x, y| {
            let in_block = (x + 1280 - 12 * i) % 320 < 60 && (y + 4 * i) % 240 < 150;
            let grain = (x.wrapping_mul(73) ^ y.wrapping_mul(151)) % 23;
            let [r, g, b] = if in_block { [200 - y / 8, 60, 40] } else { [90 + x / 16, 110, 70 + y / 8] };
            Rgb([r + grain, g + grain, b + grain].map(|v| v.min(255) as u8))
        });
        film.push(MediaTime::from_micros(i64::from(i) * 100_000), &picture).with_context(cannot)?;
    }
    film.finish().with_context(cannot)?;
    Ok(made_up)
}

fn isa() -> &'static str {
    #[cfg(target_arch = "x86_64")]
    let best_first = [
        ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
        ("avx512", std::arch::is_x86_feature_detected!("avx512f")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
    ];
    #[cfg(target_arch = "aarch64")]
    let best_first = [
        ("neon+i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
        ("neon+dotprod", std::arch::is_aarch64_feature_detected!("dotprod")),
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
    ];
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let best_first = [("", false)];
    best_first.into_iter().find(|(_, is_there)| *is_there).map_or(std::env::consts::ARCH, |(name, _)| name)
}
