//! What a frame costs, stage by stage.

use crate::time::{CpuTime, Span, Stopwatch};

/// Time spent on one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Of the process, all its threads together: exact only while nothing else runs in it.
    pub cpu: Span,
    /// On the clock.
    pub wall: Span,
}

/// The stages of a detector, and of what comes just before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stages {
    /// Compressed picture to planes, where the camera compresses and it has not been part of `letterbox`.
    pub decode: Cost,
    /// Whether anything moves.
    pub gate: Cost,
    /// Picture to tensor.
    pub letterbox: Cost,
    /// Tensor to raw output.
    pub infer: Cost,
    /// Raw output to detections: decoding and suppression.
    pub post: Cost,
}

/// Both clocks, started together.
#[derive(Debug, Clone, Copy)]
pub struct Meter {
    cpu: CpuTime,
    wall: Stopwatch,
}

impl Meter {
    pub fn start() -> Self {
        Meter { cpu: CpuTime::now(), wall: Stopwatch::start() }
    }

    /// The cost since the start or the lap before.
    pub fn lap(&mut self) -> Cost {
        let now = Meter::start();
        let cost = Cost { cpu: now.cpu - self.cpu, wall: self.wall.elapsed() };
        *self = now;
        cost
    }
}
