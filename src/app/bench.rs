//! `bench`: milliseconds per stage on this board, medians over frames. The figures are of one frame after the
//! other on an otherwise idle process, so they add up to what a camera's frame costs.

mod reel;

use crate::frame::Frame;
use crate::infer::letterbox::{Letterbox, Planes};
use crate::infer::manifest::Input;
use crate::infer::motion::Motion;
use crate::infer::registry::Registry;
use crate::infer::{self, Cost, Detector, Meter, Request, Stages};
use crate::sight::Grey;
use crate::time::Span;
use crate::track::{TrackConfig, Tracker};
use anyhow::Result;
use reel::Reel;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// As one JSON object
    #[arg(long)]
    json: bool,
    /// A name of `watchpost models list`, or a path
    #[arg(long, default_value = "auto")]
    model: String,
    /// Threads that share the rows of the network's layers; a float network runs on one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: u8,
    /// A film to decode; without one a made-up film of 1280x720 is used
    #[arg(long, value_name = "FILE")]
    video: Option<PathBuf>,
    /// Decode what a USB camera sends instead: a file of JPEGs one after the other, or made-up ones
    #[arg(long, value_name = "FILE", conflicts_with = "video", num_args = 0..=1)]
    mjpeg: Option<Option<PathBuf>>,
    /// Only from the bytes to the network's input
    #[arg(long)]
    pixels: bool,
    /// Frames to measure
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
}

/// Frames that are not measured: buffers grow and caches fill in them.
const WARM_UP: usize = 2;

#[derive(Serialize)]
struct Report {
    model: String,
    /// Of the network.
    threads: usize,
    /// The kernels that the network ran on; of `--pixels`, which runs none, the processor's family.
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
    /// Of the processor; a film's frames differ, so this is what many of them cost.
    mean_cpu_ms: f64,
}

/// In the order in which a frame passes them.
const STAGES: [&str; 6] = ["decode", "motion", "letterbox", "infer", "post", "track"];

pub fn run(args: Args) -> Result<ExitCode> {
    let mut reel = Reel::open(args.video.as_deref(), args.mjpeg.as_ref().map(|file| file.as_deref()))?;
    let mut meter = Meter::start();
    let request = Request { model: args.model, threads: args.threads.into(), ..Request::default() };
    let mut lane = if args.pixels { Lane::of_pixels(&request)? } else { Lane::whole(&request)? };
    let load = meter.lap();
    let mut costs: BTreeMap<&'static str, Vec<Cost>> = BTreeMap::new();
    let mut size = (0, 0);
    for run in 0..WARM_UP + usize::from(args.runs) {
        let (frame, read) = reel.next()?;
        size = frame.picture.size();
        let mut frame_costs = lane.pass(&frame)?;
        if let Some((_, decode)) = frame_costs.iter_mut().find(|(stage, _)| *stage == "decode") {
            *decode = Cost { cpu: decode.cpu + read.cpu, wall: decode.wall + read.wall };
        }
        if run >= WARM_UP {
            frame_costs.into_iter().for_each(|(stage, cost)| costs.entry(stage).or_default().push(cost));
        }
    }
    let report = Report {
        isa: lane.isa(),
        threads: lane.threads(),
        model: lane.model,
        film: reel.what().into(),
        width: size.0,
        height: size.1,
        frames: args.runs.into(),
        load_ms: millis(load.wall),
        stages: costs.into_iter().map(|(stage, costs)| (stage, medians(&costs))).collect(),
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
    for (stage, cost) in STAGES.into_iter().filter_map(|stage| Some((stage, stages.get(stage)?))) {
        writeln!(out, "{stage:<10} {:>9.2} {:>9.2}", cost.cpu_ms, cost.wall_ms)?;
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
    let sum = costs.iter().fold(Span::ZERO, |sum, cost| sum + cost.cpu);
    Millis {
        cpu_ms: millis(median(|c| c.cpu)),
        wall_ms: millis(median(|c| c.wall)),
        mean_cpu_ms: millis(sum) / costs.len().max(1) as f64,
    }
}

/// What a frame passes, as in the lane of `run`.
struct Lane {
    model: String,
    motion: Motion,
    end: End,
}

enum End {
    Network { detector: Box<dyn Detector>, tracker: Tracker },
    Tensor { letterbox: Box<Letterbox>, input: Box<Input>, tensor: Vec<f32> },
}

impl Lane {
    fn whole(request: &Request) -> Result<Self> {
        let (detector, tracker) = (infer::load(request)?, Tracker::new(TrackConfig::default()));
        Ok(Lane { model: detector.model().into(), motion: Motion::default(), end: End::Network { detector, tracker } })
    }

    /// Needs no more of a model than its manifest; `auto` is the larger one.
    fn of_pixels(request: &Request) -> Result<Self> {
        let name = if request.model == "auto" { "yolox-nano" } else { &request.model };
        let manifest = Registry::from_env().find(name)?.manifest;
        let tensor = vec![0.0; 3 * (manifest.input.width * manifest.input.height) as usize];
        let end = End::Tensor {
            letterbox: Box::new(Letterbox::new(&manifest.input)),
            input: Box::new(manifest.input),
            tensor,
        };
        Ok(Lane { model: manifest.name, motion: Motion::default(), end })
    }

    fn isa(&mut self) -> &'static str {
        match &mut self.end {
            End::Network { detector, .. } => detector.network().map_or("none", |network| network.isa()),
            End::Tensor { .. } => std::env::consts::ARCH,
        }
    }

    fn threads(&mut self) -> usize {
        match &mut self.end {
            End::Network { detector, .. } => detector.network().map_or(1, |network| network.threads()),
            End::Tensor { .. } => 1,
        }
    }

    fn pass(&mut self, frame: &Frame) -> Result<Vec<(&'static str, Cost)>> {
        let mut meter = Meter::start();
        let size = frame.picture.size();
        let enough = match &self.end {
            End::Network { detector, .. } => detector.enough(size),
            End::Tensor { letterbox, .. } => letterbox.enough(size),
        };
        let frame = Frame { picture: frame.picture.decoded(enough)?, ..frame.clone() };
        let mut costs = vec![("decode", meter.lap())];
        match &mut self.end {
            End::Tensor { letterbox, input, tensor } => {
                letterbox.fill(&frame.picture, &mut Planes::new(input, tensor))?;
                costs.push(("letterbox", meter.lap()));
            }
            End::Network { detector, tracker } => {
                self.motion.look(&Grey::of(&frame.picture)?, frame.at);
                costs.push(("motion", meter.lap()));
                let mut stages = Stages::default();
                let detections = detector.detect_timed(&frame, &mut stages)?;
                costs.extend([("letterbox", stages.letterbox), ("infer", stages.infer), ("post", stages.post)]);
                meter.lap();
                tracker.update(&detections);
                costs.push(("track", meter.lap()));
            }
        }
        Ok(costs)
    }
}
