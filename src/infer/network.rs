//! A network as measurements see it: layers that run one after the other.

use anyhow::Result;

/// The network of a [`Detector`](super::Detector).
pub trait Network {
    /// The instructions that it computes with, by their name among the kernels; `tract` for a float network, which
    /// chooses for itself.
    fn isa(&self) -> &'static str;

    /// Threads that share its rows.
    fn threads(&self) -> usize;

    /// What it computes, in order. A float network is one layer.
    fn layers(&self) -> Vec<Layer>;

    /// Computes the picture that was looked at last once more, and calls `done` after each layer with its number.
    fn run_layers(&mut self, done: &mut dyn FnMut(usize)) -> Result<()>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    pub name: String,
    pub kind: Kind,
    /// In words: `dense 3x3 / 2` is a convolution of 3x3 with a stride of 2.
    pub what: String,
    /// Height, width and channels of what it makes; channels as they are computed, padding and all.
    pub shape: [usize; 3],
    /// Of an input and a weight, padding and all; 0 where it is no convolution or nobody counts.
    pub products: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A convolution over all channels.
    Dense,
    Depthwise,
    /// Whatever only moves, compares or adds bytes; and a float network as a whole.
    Other,
}
