//! `track`: the tracker alone, MOTChallenge text in and out.

use crate::bad_input;
use crate::clue::Clues;
use crate::detection::Detections;
use crate::time::{MediaTime, WallTime};
use crate::track::{TrackConfig, Tracker, mot};
use anyhow::Context;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Follow given detections: MOTChallenge text in and out
#[derive(clap::Args)]
pub struct Args {
    /// Detections: frame,id,x,y,w,h,conf a line, frames from 1, pixels
    #[arg(long, value_name = "DET.txt")]
    mot: PathBuf,
    /// Frames a second [default: frameRate of the seqinfo.ini beside the file or one folder up, else 30]
    #[arg(long, value_name = "N")]
    fps: Option<f64>,
    /// Where the tracks go; `-` is standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let path = args.mot.display();
    let bytes = match fs::read(&args.mot) {
        Ok(bytes) => bytes,
        Err(error) => bad_input!("cannot read the detections {path}: {error}"),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        bad_input!("{path} is no text, expected MOTChallenge detections (frame,id,x,y,w,h,conf)");
    };
    let fps = match args.fps {
        Some(fps) => fps,
        None => fps_beside(&args.mot)?.unwrap_or(30.0),
    };
    if !(0.01..=1000.0).contains(&fps) {
        bad_input!("{fps} frames a second is out of range, expected 0.01 to 1000");
    }

    let results = match follow(&text, fps) {
        Ok(results) => results,
        Err(what) => bad_input!("{path}, {what}"),
    };
    if args.out == Path::new("-") {
        std::io::stdout().write_all(results.as_bytes()).context("cannot write to standard output")?;
    } else {
        fs::write(&args.out, results).with_context(|| format!("cannot write {}", args.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the tracker over a whole file of detections.
fn follow(text: &str, fps: f64) -> Result<String, String> {
    let mut frames = mot::read(text)?;
    let last = frames.keys().next_back().copied().unwrap_or(0);
    let mut tracker = Tracker::new(TrackConfig::default());
    let mut results = String::new();
    let mut frame = 1;
    while frame <= last {
        let detections = Detections {
            at: MediaTime::from_secs_f64(f64::from(frame - 1) / fps),
            taken: WallTime::EPOCH,
            aspect: 1.0,
            items: frames.remove(&frame).unwrap_or_default(),
            clues: Clues::default(),
        };
        let tracks = tracker.update(&detections);
        mot::write(frame, tracks, &mut results);
        // Frames without detections are told to the tracker, too, but not to one that follows nobody.
        frame = match frames.keys().next() {
            Some(&next) if tracks.is_empty() => next,
            _ => frame + 1,
        };
    }
    Ok(results)
}

/// MOTChallenge keeps `seqinfo.ini` in the folder above `det/`.
fn fps_beside(det: &Path) -> anyhow::Result<Option<f64>> {
    let folders = det.canonicalize().unwrap_or_else(|_| det.to_path_buf());
    for folder in folders.ancestors().skip(1).take(2) {
        let path = folder.join("seqinfo.ini");
        let Ok(ini) = fs::read_to_string(&path) else { continue };
        let setting = ini.lines().filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == "frameRate");
        if let Some((_, value)) = setting {
            match value.trim().parse() {
                Ok(fps) => return Ok(Some(fps)),
                Err(_) => bad_input!("{}: frameRate is {:?}, expected a number", path.display(), value.trim()),
            }
        }
    }
    Ok(None)
}
