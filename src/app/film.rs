//! A film from its first frame to its last through detector and pipeline, as `count` and `replay` do it: in
//! lockstep, every frame waited for, time from the film's stamps.
//!
//! Absent on purpose: pacing and dropping. A film that runs as a camera is `run`'s business.

use crate::capture::{Film, View};
use crate::detection::Detections;
use crate::event::Event;
use crate::frame::Frame;
use crate::infer::gate::{self, Gate, Looked};
use crate::infer::pose::{self, PoseEye, Turns};
use crate::infer::{Detector, Stages};
use crate::pipeline::Pipeline;
use crate::sight::shelf::Shelves;
use crate::sight::{Sight, Trouble};
use crate::time::{MediaTime, WallTime};
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use std::num::NonZeroU64;

/// How to go through a film.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Detect on every n-th frame; the others are decoded and passed over.
    pub every: NonZeroU64,
    /// When the film was taken, where that is known better than from the file.
    pub start: Option<WallTime>,
    /// Spare the network where nothing moves, as `run` does for cameras.
    pub motion_gate: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Pace { every: NonZeroU64::MIN, start: None, motion_gate: false }
    }
}

/// Whose film it is, as far as that is said.
#[derive(Default)]
pub struct Eye {
    /// The film is seen as the camera is.
    pub view: View,
    /// Watches over the camera's own health.
    pub sight: Option<Sight>,
    /// Watches the goods.
    pub shelves: Shelves,
    /// Says how people stand, where a zone asks for it.
    pub pose: Option<Box<dyn PoseEye>>,
}

/// What there is to look at after one frame that was detected on, and once more when the film is over.
pub struct Step<'a> {
    /// `None` in the last step, which ends what was still open, and where the picture itself tells that nothing in it
    /// is to be counted.
    pub seen: Option<(&'a Frame, &'a Detections)>,
    pub pipeline: &'a Pipeline,
    pub events: &'a [Event],
}

/// Frames of the film that were decoded, whether detected on or not, and where the last one ends in film time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Length {
    pub frames: u64,
    pub seconds: f64,
    /// Frames that the network looked at.
    pub looks: u64,
}

/// Calls `each` after every detected frame and once after the end. A film that breaks off in the middle is an error,
/// but one that comes after that last call: what was seen until then is complete and can be written down. The length
/// is there either way.
pub fn run_film(
    detector: &mut dyn Detector,
    film: &mut Film,
    eye: &mut Eye,
    pipeline: &mut Pipeline,
    pace: Pace,
    mut each: impl FnMut(Step<'_>) -> anyhow::Result<()>,
) -> (Length, anyhow::Result<()>) {
    let bar = progress_bar(film.frames());
    let mut length = Length::default();
    let mut gate = pace.motion_gate.then(Gate::default);
    let (mut newest, mut turns) = (None, Turns::default());
    let mut through = || -> anyhow::Result<()> {
        while let Some(mut frame) = film.next_frame()? {
            bar.inc(1);
            let place = length.frames;
            (length.frames, length.seconds) = (place + 1, film.end().secs_f64());
            if place % pace.every != 0 {
                continue;
            }
            if let Some(start) = pace.start {
                frame.taken = start + (frame.at - MediaTime::ZERO);
            }
            let frame = eye.view.apply(frame)?;
            let mut events = Vec::new();
            if let Some(sight) = &mut eye.sight {
                let changes = sight.see(&frame);
                newest = Some((frame.at, frame.taken));
                events.extend(changes.iter().flat_map(|change| pipeline.notice(change, frame.at, frame.taken)));
                if sight.trouble().is_some_and(Trouble::withholds) {
                    each(Step { seen: None, pipeline, events: &events })?;
                    continue;
                }
            }
            let tracks = pipeline.tracks();
            let Looked { found: mut detections, is_new } =
                gate::look(detector, gate.as_mut(), &frame, tracks, &mut Stages::default())
                    .with_context(|| format!("cannot detect on frame {place} of the film"))?;
            length.looks += u64::from(is_new);
            eye.shelves
                .see(&frame, &mut detections)
                .with_context(|| format!("cannot look at the goods on frame {place} of the film"))?;
            if let (Some(eye), true) = (&mut eye.pose, is_new) {
                pose::look(&mut **eye, &mut turns, &frame, &pipeline.asked_for_pose(), &mut detections)
                    .with_context(|| format!("cannot look at people on frame {place} of the film"))?;
            }
            events.extend(pipeline.step(&detections));
            each(Step { seen: Some((&frame, &detections)), pipeline, events: &events })?;
        }
        Ok(())
    };
    let outcome = through();
    bar.finish_and_clear();
    let mut events = Vec::new();
    if let (Some(sight), Some((at, taken))) = (&mut eye.sight, newest) {
        events.extend(sight.finish().iter().flat_map(|change| pipeline.notice(change, at, taken)));
    }
    events.extend(pipeline.finish());
    let last = each(Step { seen: None, pipeline, events: &events });
    (length, outcome.and(last))
}

/// On a terminal only: indicatif stays silent in a pipe.
pub fn progress_bar(frames: Option<u64>) -> ProgressBar {
    let (bar, template) = match frames {
        Some(n) => (ProgressBar::new(n), "{bar:40} {pos}/{len} frames, {per_sec}, {eta} left"),
        None => (ProgressBar::no_length(), "{spinner} {pos} frames, {per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template above is well formed"))
}
