//! Pixels become detections. [`load`] finds a model by name, checks it, and gives a [`Detector`].
//!
//! ```text
//! Frame -> letterbox -> engine -> head -> suppression -> Detections
//!          pure        tract, quant  pure    pure
//! ```
//!
//! Where a zone asks for it, [`pose`] looks at single people again and says how they stand.
//!
//! Before that, a live camera's frame may pass a [`gate`] that asks whether anything has moved since the last look.
//!
//! A model is a manifest (`model.toml`, [`manifest`]) and the file it describes. [`registry`] knows which there are:
//! NanoDet-g is part of the binary, YOLOX-nano is used where it was pulled or put. At load a file is checked by
//! digest, the network's output by shape, and its answer to a picture made by code by the manifest's golden result
//! (one frame's time). What is wrong with a file is one sentence that names it.
//!
//! Absent on purpose: tracking, more than one thread per network unless it is asked for (cameras share the cores better than rows of
//! a layer do), batches (latency counts here, and one core's cache is small), and the names of
//! runtimes: only `tract.rs` knows tract, and [`quant`], which reads its graphs. `engine` is what differs between a
//! network in floats and one in bytes; [`choice`] says which of a model's twins a board runs.

pub mod choice;
mod detector;
mod engine;
pub mod gate;
pub mod golden;
pub mod head;
pub mod letterbox;
pub mod manifest;
pub mod motion;
mod network;
mod nms;
pub mod pose;
pub mod pull;
pub mod quant;
pub mod registry;
mod scale;
mod stages;
#[cfg(test)]
mod tests;
mod tract;
pub mod twin;

pub use detector::NetDetector;
pub use network::{Kind, Layer, Network};
pub use stages::{Cost, Meter, Stages};

use crate::detection::{Class, Detections};
use crate::frame::Frame;
use anyhow::Result;

/// Finds things in frames.
pub trait Detector: Send {
    /// Name of the model, as outputs print it.
    fn model(&self) -> &str;

    /// What it can tell apart.
    fn classes(&self) -> &[Class];

    /// Fewest columns and rows that a picture of this size must be decoded to: what is more is scaled away.
    fn enough(&self, picture: (u32, u32)) -> (u32, u32);

    /// Everything found in the frame, best score first.
    fn detect(&mut self, frame: &Frame) -> Result<Detections> {
        self.detect_timed(frame, &mut Stages::default())
    }

    /// Likewise, and says what it cost.
    fn detect_timed(&mut self, frame: &Frame, stages: &mut Stages) -> Result<Detections>;

    /// Lets so many threads share the rows of a layer, where it is a network that can: what is found stays the same.
    ///
    /// # Errors
    /// The system gives no more threads.
    fn set_threads(&mut self, threads: usize) -> Result<()> {
        let _ = threads;
        Ok(())
    }

    /// What it computes with, for measurements; none where it is no network.
    fn network(&mut self) -> Option<&mut dyn Network> {
        None
    }
}

/// What is asked of [`load`].
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// `auto`, the name of a model, or a path to its folder or file.
    pub model: String,
    pub limits: Limits,
    /// For `auto`: points of average precision (COCO, 0..100) that a twin may lose against its float model.
    pub most_lost: f32,
    /// Of one network, the caller's one of them. A float network runs on one.
    pub threads: usize,
}

/// What the int8 twins that come with the program stay within.
pub const MOST_LOST: f32 = 1.0;

impl Default for Request {
    fn default() -> Self {
        Request { model: "auto".into(), limits: Limits::default(), most_lost: MOST_LOST, threads: 1 }
    }
}

/// What counts as found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Lowest score, 0..1.
    pub min_score: f32,
    /// Of two boxes of a class that overlap by more than this (intersection over union), one is dropped.
    pub nms: f32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { min_score: 0.30, nms: 0.60 }
    }
}

/// Loads the model that is asked for from where the environment says models are.
///
/// # Errors
/// One sentence that names the model or its file, and what was expected, with [`crate::problems::BadInput`] in its
/// chain where the request or the file is wrong.
pub fn load(request: &Request) -> Result<Box<dyn Detector>> {
    let mut detector = registry::Registry::from_env().load(request)?;
    detector.set_threads(request.threads)?;
    Ok(detector)
}

/// SHA-256 of the file of a model that [`Detector::model`] names, in hexadecimal; of a twin made on this machine, of
/// what it was made from. `None` where no such model is known.
pub fn digest(model: &str) -> Option<String> {
    registry::Registry::from_env().find(model).ok().map(|known| known.manifest.sha256.clone())
}
