//! A quantized network, ready to be run: buffers of bytes and the steps over them.
//!
//! A tensor is a [`View`]: some channels of a buffer. The parts of a concatenation are views of one buffer, so that
//! nothing is copied. A buffer has a border as wide as its readers' convolutions reach beyond the picture, filled
//! once with what stands for zero. Channels are padded to [`BLOCK`](super::kernel::BLOCK), each part of a concatenation for itself; the
//! weights for the padding are zeros.

use super::graph::Upsample;
use super::kernel::{Dense, Depthwise, Epilogue};

#[derive(Debug, Clone)]
pub struct Plan {
    /// The first is the picture: no padding of channels, bytes as they come.
    pub buffers: Vec<Buffer>,
    pub steps: Vec<Step>,
    /// Rows and columns of each matrix of the answer.
    pub outputs: Vec<[usize; 2]>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Buffer {
    pub height: usize,
    pub width: usize,
    /// Padded, all parts together.
    pub channels: usize,
    /// Pixels on each of the four sides.
    pub border: usize,
    /// What stands for zero, per channel.
    pub zeros: Vec<u8>,
}

/// Channels of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct View {
    pub buffer: usize,
    /// The first; a multiple of [`BLOCK`](super::kernel::BLOCK).
    pub channel: usize,
    /// How many, padded (the picture's are not).
    pub channels: usize,
}

#[derive(Debug, Clone)]
pub struct Step {
    /// Of the layer.
    pub name: String,
    pub kind: StepKind,
}

#[derive(Debug, Clone)]
pub enum StepKind {
    /// A convolution over all channels.
    Dense {
        conv: Conv<Dense>,
        epilogue: Epilogue,
        added: Option<View>,
    },
    Depthwise {
        conv: Conv<Depthwise>,
        epilogue: Epilogue,
        added: Option<View>,
    },
    /// Bytes keep their scale.
    MaxPool {
        from: View,
        to: View,
        side: usize,
        stride: usize,
        pad: usize,
    },
    AveragePool {
        from: View,
        to: View,
        side: usize,
        stride: usize,
    },
    Upsample {
        how: Upsample,
        from: View,
        to: View,
    },
    /// The sum of two, in whole numbers: see [`Sum`].
    Add {
        from: [View; 2],
        to: View,
        sum: Sum,
    },
    /// Bytes as they are, where a tensor is part of two concatenations.
    Copy {
        from: View,
        to: View,
    },
    /// Reals of bytes, `fma(byte, scale, zero)` per channel, where an output is no convolution's.
    Reals {
        from: View,
        scale: Vec<f32>,
        zero: Vec<f32>,
        to: Place,
    },
}

/// Constants of [`StepKind::Add`] per padded channel, in parts of 65536:
/// `byte = clamp((a * scales[0] + b * scales[1] + zero + 32768) >> 16, floor, 255)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sum {
    /// The scale of each over that of the sum, 0..=[`Sum::MOST`].
    pub scales: [Vec<i32>; 2],
    /// What the zeros of all three make, within +-256 * [`Sum::MOST`].
    pub zero: Vec<i32>,
    /// The byte of zero where the sum is rectified, else 0.
    pub floor: Vec<u8>,
}

impl Sum {
    /// So that no sum leaves 32 bits.
    pub const MOST: i32 = 1 << 21;
    pub const ONE: i32 = 1 << 16;
}

#[derive(Debug, Clone)]
pub struct Conv<W> {
    pub weights: W,
    /// Rows and columns.
    pub kernel: [usize; 2],
    pub stride: usize,
    pub pad: [usize; 2],
    pub from: View,
    pub to: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Bytes(View),
    /// Of an output height and width as the convolution's.
    Reals {
        place: Place,
        height: usize,
        width: usize,
    },
}

/// Where pixels stand in a matrix of the answer: a row each, from this one on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub output: usize,
    pub row: usize,
    pub column: usize,
    /// Not padded.
    pub channels: usize,
}
