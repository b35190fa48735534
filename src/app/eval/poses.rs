//! `watchpost eval poses` learns what is normal from films of visitors and scores each frame of others, as anomaly
//! detection is scored: a number per frame, more is stranger, written to `OUT/<clip>.txt`. Labels are not read.
//!
//! A frame's score is that of the strangest person in it who walks about (see [`crate::pattern::posture`]), and 0
//! without. It uses what was seen up to .6 s after the frame, nothing later.

use super::clip::{self, Clip};
use crate::bad_input;
use crate::pattern::posture::{AHEAD, Norm, Watch};
use crate::time::{MediaTime, Span};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A folder with clips (NAME.csv.gz) in which nothing happens out of the ordinary
    #[arg(long, value_name = "DIR")]
    learn: PathBuf,
    /// A folder with the clips to score
    #[arg(long, value_name = "DIR")]
    test: PathBuf,
    /// Where the scores go, as NAME.txt with a line per frame
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Frames a second of the clips to score, which they do not tell
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    fps: f64,
    /// Frames a second of the clips to learn from
    #[arg(long, value_name = "N", default_value_t = 30.0)]
    learn_fps: f64,
}

/// # Errors
/// Folders that are none or empty, clips that cannot be read, scores that cannot be written.
pub fn run(args: Args) -> Result<ExitCode> {
    let Args { learn, test, out, fps, learn_fps } = args;
    for (name, rate) in [("--fps", fps), ("--learn-fps", learn_fps)] {
        if !(0.01..=1000.0).contains(&rate) {
            bad_input!("{name} is {rate}, expected 0.01 to 1000 frames a second");
        }
    }
    let (lessons, clips) = (clip::find(&learn)?, clip::find(&test)?);
    let mut norm = Norm::default();
    for (_, path) in &lessons {
        teach(&clip::read(path)?, learn_fps, &mut norm);
    }
    let looks = norm.looks();
    if looks == 0.0 {
        bad_input!("there is no clear pose in the clips of {}, expected some to learn from", learn.display());
    }
    std::fs::create_dir_all(&out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    for (name, path) in &clips {
        let mut text = String::new();
        for score in score(&clip::read(path)?, fps, &norm) {
            writeln!(text, "{score:.5}").expect("a string takes everything");
        }
        let file = out.join(format!("{name}.txt"));
        std::fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    let (learnt, scored) = (lessons.len(), clips.len());
    writeln!(std::io::stdout(), "{looks} looks in {learnt} clips learnt from, {scored} clips scored")?;
    Ok(ExitCode::SUCCESS)
}

fn teach(clip: &Clip, fps: f64, norm: &mut Norm) {
    for poses in clip.people.values() {
        let mut watch = Watch::default();
        for (frame, pose) in poses {
            if let Some(cues) = watch.see(time(*frame, fps), pose, 1.0) {
                norm.learn(&cues);
            }
        }
    }
}

/// A score for each frame of the clip.
fn score(clip: &Clip, fps: f64, norm: &Norm) -> Vec<f32> {
    let mut scores = vec![0.0f32; clip.frames() as usize];
    for poses in clip.people.values() {
        let mut watch = Watch::default();
        let mut coming = poses.iter().map(|(frame, pose)| (time(*frame, fps), pose)).peekable();
        for frame in poses.keys() {
            let now = time(*frame, fps) + AHEAD;
            while let Some((at, pose)) = coming.next_if(|(at, _)| *at <= now) {
                watch.see(at, pose, 1.0);
            }
            if let Some(strangeness) = watch.strangeness(now, norm) {
                let best = &mut scores[*frame as usize];
                *best = best.max(strangeness.score);
            }
        }
    }
    scores
}

fn time(frame: u32, fps: f64) -> MediaTime {
    MediaTime::ZERO + Span::from_secs_f64(f64::from(frame) / fps)
}
