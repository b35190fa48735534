//! `watchpost count`: who and what goes through a film, as numbers.
//!
//! Absent on purpose: cameras (`run` counts there, for ever), and the events themselves in JSON (`replay`).

mod annotate;

use crate::app::film::{Eye, Pace, run_film};
use crate::bad_input;
use crate::capture::recorded::{Header, TrackWriter};
use crate::capture::{self, View};
use crate::config::{self, Config, ModelConfig};
use crate::infer;
use crate::pipeline::{CameraPlan, Pipeline};
use crate::problems::BadInput;
use crate::report::{About, Output, Report, Tally, csv, json, text, xlsx};
use crate::stop::Stop;
use crate::time::WallTime;
use annotate::Annotated;
use anyhow::{Context as _, Result, bail, ensure};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A film: MP4 with H.264, GIF, or with ffmpeg installed nearly anything
    video: PathBuf,
    /// Lines, zones and rules of its only camera apply, or of the one named by --camera
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Whose lines, zones and rules, where the configuration has several cameras
    #[arg(long, value_name = "NAME", requires = "config")]
    camera: Option<String>,
    /// Write the counts as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the counts per minute as CSV: minute, start, class, mean, max
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write an Excel workbook with charts
    #[arg(long, value_name = "FILE")]
    xlsx: Option<PathBuf>,
    /// Write the film with boxes, lines and zones on it, as .mp4
    #[arg(long, value_name = "FILE")]
    annotate: Option<PathBuf>,
    /// Write what the detector saw, to be replayed without it
    #[arg(long, value_name = "FILE")]
    tracks_out: Option<PathBuf>,
    /// Look at every Nth frame only
    #[arg(long, value_name = "N", default_value = "1")]
    every: NonZeroU64,
    /// Look only where something moves, as `run` does for cameras; `looks` in the JSON says how often that was
    #[arg(long)]
    motion_gate: bool,
    /// A model's name or a path to one [default: the configuration's, else auto]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Lowest score of a detection, 0 to 1 [default: the configuration's, else 0.3]
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f32>,
    /// Overlap from which one of two boxes of a class goes, 0 to 1 [default: the configuration's, else 0.6]
    #[arg(long, value_name = "IOU")]
    nms: Option<f32>,
    /// When the film was taken, RFC 3339 [default: what the file says]
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
}

/// A film that breaks off is counted until there, its results are written, and the exit status is 1.
///
/// # Errors
/// [`BadInput`] for a film, a configuration or an output that cannot be used, before any work is done.
pub fn run(args: Args) -> Result<ExitCode> {
    let start = args.start.as_deref().map(start_time).transpose()?;
    let outputs = Outputs::of(&args)?;
    let config = args.config.as_deref().map(config::load).transpose()?;
    let (plan, request) = plan_of(&args, config.as_ref())?;
    let mut film = capture::open_video(&args.video)?;
    let mut detector = infer::load(&request)?;
    let pose = match &config {
        Some(config) if plan.asks_for_pose() => Some(infer::pose::load(&config.model.pose)?),
        _ => None,
    };
    let recorded = start.or(film.recorded());

    let header = Header::new(plan.camera.as_str(), detector.model(), recorded.unwrap_or(WallTime::EPOCH));
    let mut log = outputs.tracks.as_deref().map(|path| TrackWriter::create(path, &header)).transpose()?;
    let mut annotated = outputs.annotate.as_deref().map(|path| Annotated::new(path, &plan));
    let time_zone = plan.time_zone.clone();
    let mut pipeline = Pipeline::new(plan);
    let mut tally = Tally::default();
    let camera = config.as_ref().and_then(|config| config.camera(args.camera.as_deref()));
    // What is in the film is counted, also where it was cut from one place to another.
    let mut eye =
        Eye { view: View::new(camera.map(|(_, camera)| camera.view()).unwrap_or_default()), pose, ..Eye::default() };
    let pace = Pace { every: args.every, start, motion_gate: args.motion_gate };
    // An end by force would leave half a film beside its place.
    let stop = Stop::on_signals().context("cannot listen for signals")?;
    let (length, outcome) = run_film(&mut *detector, &mut film, &mut eye, &mut pipeline, pace, |step| {
        ensure!(!stop.is_set(), "interrupted");
        tally.events(step.events);
        let Some((frame, seen)) = step.seen else { return Ok(()) };
        tally.frame(frame.at, step.pipeline.present());
        if let Some(log) = &mut log {
            log.write(seen)?;
        }
        annotated.as_mut().map_or(Ok(()), |film| film.push(frame, step.pipeline))
    });
    if stop.is_set() {
        bail!("interrupted before the end of the film, no counts are written");
    }
    if let (0, Err(error)) = (length.frames, outcome.as_ref()) {
        // Not even a beginning: there is nothing to tell of, and the input is to blame.
        bad_input!("{error:#}");
    }
    let about = About {
        video: args.video.display().to_string(),
        frames: length.frames,
        seconds: length.seconds,
        model: detector.model().to_owned(),
        recorded,
        time_zone,
        every: args.every.get(),
        looks: length.looks,
        complete: outcome.is_ok(),
    };
    log.map(TrackWriter::finish).transpose()?;
    annotated.map_or(Ok(()), Annotated::finish)?;
    outputs.write(&tally.report(about, &pipeline))?;
    outcome.map(|()| ExitCode::SUCCESS)
}

fn start_time(text: &str) -> Result<WallTime> {
    let expected = || BadInput(format!("--start is \"{text}\", expected a time such as 2026-11-24T10:15:00Z"));
    WallTime::parse(text).map_err(|_| expected().into())
}

/// The command line before the configuration, the configuration before the defaults.
fn plan_of(args: &Args, config: Option<&Config>) -> Result<(CameraPlan, infer::Request)> {
    for (name, value) in [("--min-score", args.min_score), ("--nms", args.nms)] {
        if let Some(value) = value.filter(|v| !(0.0..=1.0).contains(v)) {
            bad_input!("{name} is {value}, expected a number from 0 to 1");
        }
    }
    let (plan, model) = match config {
        Some(config) => (config.camera_plan(args.camera.as_deref())?, config.model.clone()),
        None => (CameraPlan::counting_only("watchpost", "film"), ModelConfig::default()),
    };
    let request = infer::Request {
        model: args.model.clone().unwrap_or(model.name),
        limits: infer::Limits {
            min_score: args.min_score.unwrap_or(model.min_score),
            nms: args.nms.unwrap_or(model.nms),
        },
        most_lost: model.most_lost,
        threads: model.threads.into(),
    };
    Ok((plan, request))
}

/// Where what is written. All of it can be written, as far as that can be known before the work.
struct Outputs {
    json: Option<Output>,
    csv: Option<Output>,
    xlsx: Option<Output>,
    annotate: Option<PathBuf>,
    tracks: Option<PathBuf>,
}

impl Outputs {
    fn of(args: &Args) -> Result<Self> {
        let named = |path: &Option<PathBuf>| path.as_deref().map(|path| free(path, &args.video)).transpose();
        let outputs = Outputs {
            json: named(&args.json)?,
            csv: named(&args.csv)?,
            xlsx: named(&args.xlsx)?,
            annotate: args.annotate.clone(),
            tracks: args.tracks_out.clone(),
        };
        for (option, path) in [("--annotate", &args.annotate), ("--tracks-out", &args.tracks_out)] {
            if named(path)? == Some(Output::Stdout) {
                bad_input!("{option} is \"-\", expected a file");
            }
        }
        if let Some(path) = args.annotate.as_deref().filter(|p| p.extension().is_none_or(|e| e != "mp4")) {
            bad_input!("--annotate is {}, expected a name that ends in .mp4", path.display());
        }
        let on_stdout = [&outputs.json, &outputs.csv, &outputs.xlsx].into_iter().flatten();
        if on_stdout.filter(|output| **output == Output::Stdout).count() > 1 {
            bad_input!("several outputs are \"-\", expected at most one on standard output");
        }
        Ok(outputs)
    }

    fn write(&self, report: &Report) -> Result<()> {
        let mut written = Vec::new();
        if let Some(output) = &self.json {
            written.push((output, json::write(report)));
        }
        if let Some(output) = &self.csv {
            written.push((output, csv::write(report)));
        }
        if let Some(output) = &self.xlsx {
            written.push((output, xlsx::write(report)?));
        }
        // Standard output last: whoever closes the pipe early shall still have the files.
        written.sort_by_key(|(output, _)| **output == Output::Stdout);
        for (output, bytes) in written {
            output.write(&bytes)?;
        }
        let nothing_else = self.json.is_none() && self.csv.is_none() && self.xlsx.is_none();
        if nothing_else { Output::Stdout.write(text::write(report).as_bytes()) } else { Ok(()) }
    }
}

/// An output that is not the film itself.
fn free(path: &Path, video: &Path) -> Result<Output> {
    if path.canonicalize().is_ok_and(|path| video.canonicalize().is_ok_and(|video| path == video)) {
        bad_input!("{} is the film itself, it would be written over", path.display());
    }
    Output::named(path)
}
