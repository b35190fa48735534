//! Networks in bytes: a float network becomes a plan of integer kernels, which are several times as fast.
//!
//! ```text
//! ONNX -> matcher -> Graph --+--> compile -> Plan -> Session
//!  pictures -> calibrate -> Ranges --^
//! ```
//!
//! [`calibrate`] looks at what numbers the network makes of some pictures; [`ranges::Ranges`] is what it remembers.
//! [`scheme`] says what bytes stand for, [`layout`] where they lie, [`compile`] puts both together. All of this is
//! plain arithmetic in a fixed order: the same network, pictures and ranges give the same plan everywhere.
//!
//! Absent: training, weights of fewer bits, and networks of anything but convolutions.

#[cfg(test)]
mod bounds;
pub mod calibrate;
mod check;
mod clip;
pub mod compile;
mod correct;
pub mod file;
pub mod float;
pub mod graph;
pub mod kernel;
pub mod layout;
pub mod matcher;
mod moves;
pub mod peak;
mod places;
pub mod plan;
pub mod ranges;
pub mod report;
mod samples;
pub mod scheme;
pub mod session;
#[cfg(test)]
mod tests;
mod weights;

use anyhow::Result;

/// Pictures of the size that the network reads: bytes, the channels of a pixel together.
pub struct Pictures<'a> {
    pub count: usize,
    pub get: &'a (dyn Fn(usize) -> Result<Vec<u8>> + Sync),
}

/// How far something is that takes a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub what: &'static str,
    pub done: usize,
    pub of: usize,
}

/// tract's errors are of its own `anyhow`, and tell of graph nodes over several lines.
fn plain(error: tract_onnx::prelude::TractError) -> anyhow::Error {
    anyhow::anyhow!("{}", format!("{error:#}").lines().next().unwrap_or_default())
}
