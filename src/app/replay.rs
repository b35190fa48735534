//! `watchpost replay`: a film or a track log through the whole pipeline, in lockstep; events as JSON lines on standard
//! output. The same input and configuration give the same bytes, on every board if the input is a track log.

use crate::app::BadInput;
use crate::app::film::{Eye, Pace, run_film};
use crate::bad_input;
use crate::capture::recorded::{Header, TrackLog, TrackWriter};
use crate::capture::{self, View};
use crate::config::{self, Config};
use crate::event::{Envelope, Event, to_json};
use crate::infer;
use crate::memory::Memory;
use crate::pipeline::{CameraPlan, Pipeline};
use crate::report::Output;
use crate::sight::shelf::Shelves;
use crate::time::WallTime;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A film, or a track log that `--tracks-out` has written.
    input: PathBuf,
    /// View, lines, zones and rules; its sources are ignored.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Whose lines, zones and rules, where the configuration has several cameras.
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// When the film was taken, in RFC 3339; without it what the file says, else 1970-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Write what the detector saw, to be replayed without it.
    #[arg(long, value_name = "FILE")]
    tracks_out: Option<PathBuf>,
    /// What rules have learned before; without it they begin with nothing.
    #[arg(long, value_name = "FILE")]
    memory: Option<PathBuf>,
    /// Write what rules have learned at the end, for `--memory`.
    #[arg(long, value_name = "FILE")]
    memory_out: Option<PathBuf>,
    /// A model's name or a path to one, instead of the configuration's.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Lowest score of a detection, 0 to 1, instead of the configuration's.
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f32>,
    /// Overlap from which one of two boxes of a class goes, 0 to 1, instead of the configuration's.
    #[arg(long, value_name = "OVERLAP")]
    nms: Option<f32>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    for (name, value) in [("--min-score", args.min_score), ("--nms", args.nms)] {
        if let Some(value) = value.filter(|v| !(0.0..=1.0).contains(v)) {
            bad_input!("{name} is {value}, expected a number from 0 to 1");
        }
    }
    let start = args.start.as_deref().map(start_time).transpose()?;
    if let Some(path) = &args.memory_out {
        if path.as_os_str() == "-" {
            bad_input!("--memory-out is \"-\", but the events go to standard output, expected a file");
        }
        Output::named(path)?;
    }
    let config = config::load(&args.config)?;
    let plan = config.camera_plan(args.camera.as_deref())?;
    let mut out = Events { out: BufWriter::new(io::stdout().lock()), seq: 0 };
    if TrackLog::is_one(&args.input) {
        replay_log(&args, plan, start, &mut out)?;
    } else {
        replay_film(&args, &config, plan, start, &mut out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn start_time(text: &str) -> Result<WallTime> {
    let expected = || BadInput(format!("--start is \"{text}\", expected a time such as 2026-11-24T10:15:00Z"));
    WallTime::parse(text).map_err(|_| expected().into())
}

fn replay_log(args: &Args, plan: CameraPlan, start: Option<WallTime>, out: &mut Events<impl Write>) -> Result<()> {
    if args.model.is_some() || args.nms.is_some() {
        bad_input!("{} holds no pictures, expected neither --model nor --nms with it", args.input.display());
    }
    let mut log = TrackLog::open(&args.input)?;
    if let Some(start) = start {
        log.set_start(start);
    }
    let mut copy = tracks_out(args, &plan, &log.header().model, log.header().start)?;
    let mut pipeline = learned(args, plan)?;
    // What came before a broken line is complete, ends of events included.
    let mut through = || -> Result<()> {
        while let Some(mut seen) = log.next_frame()? {
            seen.items.retain(|found| args.min_score.is_none_or(|least| found.score >= least));
            if let Some(copy) = &mut copy {
                copy.write(&seen)?;
            }
            out.write(&pipeline.step(&seen))?;
        }
        Ok(())
    };
    let outcome = through();
    out.write(&pipeline.finish())?;
    remember(args, &pipeline)?;
    copy.map(TrackWriter::finish).transpose()?;
    if let Some(torn) = log.torn() {
        eprintln!("watchpost: {torn}");
    }
    outcome
}

fn replay_film(
    args: &Args,
    config: &Config,
    plan: CameraPlan,
    start: Option<WallTime>,
    out: &mut Events<impl Write>,
) -> Result<()> {
    let mut film = capture::open_video(&args.input)?;
    let mut detector = infer::load(&infer::Request {
        model: args.model.clone().unwrap_or_else(|| config.model.name.clone()),
        limits: infer::Limits {
            min_score: args.min_score.unwrap_or(config.model.min_score),
            nms: args.nms.unwrap_or(config.model.nms),
        },
        most_lost: config.model.most_lost,
        threads: config.model.threads.into(),
    })?;
    let began = start.or(film.recorded()).unwrap_or(WallTime::EPOCH);
    let mut copy = tracks_out(args, &plan, detector.model(), began)?;
    let shelves = Shelves::new(plan.shelves());
    let pose = plan.asks_for_pose().then(|| infer::pose::load(&config.model.pose)).transpose()?;
    let mut pipeline = learned(args, plan)?;
    let camera = config.camera(args.camera.as_deref());
    let mut eye = Eye {
        view: View::new(camera.map(|(_, camera)| camera.view()).unwrap_or_default()),
        sight: camera.and_then(|(name, camera)| camera.sight(name)),
        shelves,
        pose,
    };
    let pace = Pace { start, ..Pace::default() };
    let (_, outcome) = run_film(&mut *detector, &mut film, &mut eye, &mut pipeline, pace, |step| {
        if let (Some(copy), Some((_, seen))) = (&mut copy, step.seen) {
            copy.write(seen)?;
        }
        out.write(step.events)
    });
    copy.map(TrackWriter::finish).transpose()?;
    remember(args, &pipeline)?;
    outcome
}

/// A pipeline that knows what `--memory` says.
fn learned(args: &Args, plan: CameraPlan) -> Result<Pipeline> {
    let mut pipeline = Pipeline::new(plan);
    let Some(path) = &args.memory else { return Ok(pipeline) };
    let bytes = std::fs::read(path).map_err(|error| BadInput(format!("cannot read {}: {error}", path.display())))?;
    let memory = Memory::from_bytes(&bytes).map_err(|why| {
        BadInput(format!("{} is no memory that --memory-out or run has written: {why}", path.display()))
    })?;
    for refused in pipeline.recall(&memory) {
        eprintln!("watchpost: {}: {refused}", path.display());
    }
    Ok(pipeline)
}

fn remember(args: &Args, pipeline: &Pipeline) -> Result<()> {
    let Some(path) = &args.memory_out else { return Ok(()) };
    Output::named(path)?.write(&pipeline.memory().to_bytes())
}

fn tracks_out(
    args: &Args,
    plan: &CameraPlan,
    model: &str,
    start: WallTime,
) -> Result<Option<TrackWriter<BufWriter<File>>>> {
    let Some(path) = &args.tracks_out else { return Ok(None) };
    if path.as_os_str() == "-" {
        bad_input!("--tracks-out is \"-\", but the events go to standard output, expected a file");
    }
    let same = |a: &PathBuf, b: &PathBuf| a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b));
    if same(path, &args.input) {
        bad_input!("--tracks-out is the input {} itself, expected another file", path.display());
    }
    TrackWriter::create(path, &Header::new(plan.camera.as_str(), model, start)).map(Some)
}

/// Events as they would leave the device, numbered from 1.
struct Events<W: Write> {
    out: W,
    seq: u64,
}

impl<W: Write> Events<W> {
    fn write(&mut self, events: &[Event]) -> Result<()> {
        for event in events {
            self.seq += 1;
            let envelope = Envelope { seq: self.seq, boot: "replay", late: false };
            writeln!(self.out, "{}", to_json(event, envelope)).context("cannot write events")?;
        }
        // Whoever watches wants to see an event when it happens, not when a buffer is full.
        if !events.is_empty() {
            self.out.flush().context("cannot write events")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clue::{Clues, JointSight, Pose};
    use crate::detection::{Class, Detection, Detections};
    use crate::geometry::BBox;
    use crate::ids::RuleId;
    use crate::pattern::story::{plan, rule};
    use crate::time::{MediaTime, Span};
    use std::path::Path;

    /// Three people who walk to and fro, as a detector would see them: trembling, and missed now and then.
    fn write_log(path: &Path) {
        let start = WallTime::parse("2026-11-24T10:15:00Z").unwrap();
        let mut log = TrackWriter::create(path, &Header::new("entrance", "none", start)).unwrap();
        let mut chance = fastrand::Rng::with_seed(7);
        let pose = |person: &Detection| {
            let joint = |i: usize| JointSight { at: person.bbox.centre(), score: 1.0 / (i + 1) as f32 };
            Pose { bbox: person.bbox, joints: std::array::from_fn(joint) }
        };
        for i in 0..900 {
            let at = MediaTime::ZERO + Span::from_millis(33 * i);
            let mut items = Vec::new();
            for person in 0..3 {
                let phase = (i + 200 * person) % 600;
                let y = 0.3 + 0.002 * (if phase < 300 { phase } else { 600 - phase }) as f32 + 0.004 * chance.f32();
                let x = 0.2 + 0.3 * person as f32;
                if chance.f32() < 0.9 {
                    let score = 0.6 + 0.4 * chance.f32();
                    items.push(Detection { class: Class::PERSON, score, bbox: BBox::new(x, y - 0.3, x + 0.1, y) });
                }
            }
            log.write(&Detections {
                at,
                taken: start + (at - MediaTime::ZERO),
                aspect: 1.5,
                clues: Clues {
                    poses: items.first().filter(|_| i % 6 == 0).map(pose).into_iter().collect(),
                    ..Clues::default()
                },
                items,
            })
            .unwrap();
        }
        log.finish().unwrap();
    }

    fn args(input: &Path) -> Args {
        Args {
            input: input.into(),
            config: PathBuf::new(),
            camera: None,
            start: None,
            tracks_out: None,
            memory: None,
            memory_out: None,
            model: None,
            min_score: None,
            nms: None,
        }
    }

    fn replayed(input: &Path, tracks_out: Option<&Path>, start: Option<&str>) -> String {
        let mut plan = plan();
        for (name, words) in
            [("count", "kind=line_count line=door"), ("linger", "kind=loitering zone=shelf min_dwell_s=9")]
        {
            plan.rules.insert(RuleId::new(name), rule(words));
        }
        let args = Args { tracks_out: tracks_out.map(Path::to_path_buf), ..args(input) };
        let mut out = Events { out: Vec::new(), seq: 0 };
        replay_log(&args, plan, start.map(|text| start_time(text).unwrap()), &mut out).unwrap();
        String::from_utf8(out.out).unwrap()
    }

    #[test]
    fn a_log_gives_the_same_bytes_again_and_so_does_its_copy() {
        let folder = tempfile::tempdir().unwrap();
        let (log, copy) = (folder.path().join("a.jsonl"), folder.path().join("b.jsonl"));
        write_log(&log);
        let events = replayed(&log, Some(&copy), None);
        assert!(events.lines().count() > 10, "{events}");
        assert!(events.lines().next().unwrap().contains(r#""seq":1,"boot":"replay""#));
        assert_eq!(events, replayed(&log, None, None));
        assert_eq!(events, replayed(&copy, None, None));
        assert_eq!(std::fs::read(&log).unwrap(), std::fs::read(&copy).unwrap());
    }

    #[test]
    fn what_was_learned_goes_from_one_replay_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (log, memory) = (folder.path().join("a.jsonl"), folder.path().join("a.memory"));
        write_log(&log);
        let replay = |from: Option<&Path>| {
            let mut plan = plan();
            plan.rules.insert(RuleId::new("odd"), rule("kind=unusual learn_days=1"));
            let args = Args { memory: from.map(Path::to_path_buf), memory_out: Some(memory.clone()), ..args(&log) };
            let mut out = Events { out: Vec::new(), seq: 0 };
            replay_log(&args, plan, None, &mut out).map(|()| std::fs::read(&memory).unwrap())
        };
        let once = replay(None).unwrap();
        assert_eq!(once, replay(None).unwrap(), "the same recording, the same memory");
        let twice = replay(Some(&memory)).unwrap();
        assert_ne!(once, twice, "and it goes on from there");
        std::fs::write(&memory, &twice[..twice.len() - 1]).unwrap();
        let error = format!("{:#}", replay(Some(&memory)).unwrap_err());
        assert!(error.contains("a.memory is no memory that --memory-out or run has written"), "{error}");
    }

    #[test]
    fn another_start_moves_every_event() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("a.jsonl");
        write_log(&log);
        let moved = replayed(&log, None, Some("2001-02-03T04:05:06+01:00"));
        assert!(moved.lines().all(|event| event.contains(r#""at":"2001-02-03T03:05:"#)), "{moved}");
        assert_eq!(moved.lines().count(), replayed(&log, None, None).lines().count());
    }

    #[test]
    fn a_start_that_is_no_time_is_told() {
        let error = start_time("yesterday").unwrap_err();
        assert_eq!(error.to_string(), "--start is \"yesterday\", expected a time such as 2026-11-24T10:15:00Z");
    }
}
