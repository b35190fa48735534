//! Integer convolutions, one output row at a time, in the instructions that the processor has.
//!
//! [`scalar`] is the definition. Every other file does the same arithmetic in wider registers and must give the same
//! bytes, so that a network answers alike on every board and one golden result serves all of them. Only IEEE
//! operations with one defined rounding are used (fused multiply-add, add, round to even), never an estimate.
//!
//! Activations are unsigned bytes, pixels beside each other with their channels together (NHWC), with
//! `real = (byte - zero) * scale`, where scale and zero may differ per channel. Weights are signed bytes in
//! -127..=127. What the zeros of the input add to a sum is the same for every pixel, so it lies in the bias and
//! kernels only see `sum(byte * weight)`.
//!
//! This folder holds the project's only `unsafe` code. What a kernel reads and writes is bounded by `arena`, which
//! checks every place when a plan is made; the kernels trust that.

#![expect(unsafe_code, reason = "the instructions of the processor")]

mod arena;
#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "x86_64")]
pub mod avxvnni;
mod crew;
mod isa;
mod lines;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod pack;
pub mod scalar;
#[cfg(test)]
mod tests;

pub use arena::{Arena, Job};
pub use crew::Crew;
pub use isa::Isa;
pub use pack::{Dense, Depthwise, signed};

/// Channels that a kernel handles together: buffers and tables are padded to a multiple of it.
pub const BLOCK: usize = 16;
/// Entries of a table of [`Act::Table`].
pub const TABLE: usize = 256;
/// Bytes that must lie behind the last pixel of a buffer, which nobody writes: the last group of a row of three channels reaches
/// a little past it, and vectors are loaded whole. What is read there is multiplied by zero.
pub const SLACK: usize = 64;

/// What is applied to a sum once it is a real number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Act {
    /// `y` where it is not negative, `slope * y` where it is: 1 is nothing at all, 0 is ReLU. (ReLU6 is ReLU whose
    /// output scale ends at 6.)
    Slope(f32),
    /// `y * sigmoid(y)`
    Silu,
    Sigmoid,
    /// `y * min(max(y + 3, 0), 6) / 6`
    HardSwish,
    /// The sum is rounded to -128..=127 and looked up: see [`Epilogue::table`]. The cheapest for anything curved.
    Table,
}

/// How sums become bytes, per output channel. Every list is as long as the channels, padded to [`BLOCK`]; what is
/// in the padding is written to the padding of the output and must be finite.
///
/// ```text
/// y = fma(sum, mult, bias)
/// not Table:  a = act(y);  if something is added: a = fma(added, add_scale, a);  byte = clamp(rne(fma(a, scale, zero)), 0, 255)
/// Table:      i = clamp(rne(y), -128, 127) + 128;  t = table[channel / 16][i]
///             nothing added: byte = t
///             else: a = fma(added, add_scale, fma(t, scale, zero));  byte = clamp(rne(a), 0, 255)
/// ```
/// `rne` rounds to the nearest, ties to even. What the zero of the added tensor contributes lies in `zero`.
#[derive(Debug, Clone, PartialEq)]
pub struct Epilogue {
    pub act: Act,
    pub mult: Vec<f32>,
    pub bias: Vec<f32>,
    /// One over the scale of the output.
    pub scale: Vec<f32>,
    pub zero: Vec<f32>,
    /// Empty where nothing is added.
    pub add_scale: Vec<f32>,
    /// For [`Act::Table`]: [`TABLE`] bytes for every [`BLOCK`] of channels, at `block * TABLE + i`.
    pub table: Vec<u8>,
}

/// Where a row of results goes.
#[derive(Debug, Clone, Copy)]
pub enum Out {
    /// Bytes of the padded channels, `pixel` bytes from one pixel to the next.
    Bytes { to: *mut u8, pixel: usize },
    /// Reals of the first `channels` channels, after the activation (`a` above; never with a table or something
    /// added), `pixel` reals from one pixel to the next.
    Reals { to: *mut f32, pixel: usize, channels: usize },
}

/// A tensor added to a row: its first pixel, and bytes from one pixel to the next. Null where nothing is added.
#[derive(Debug, Clone, Copy)]
pub struct Added {
    pub from: *const u8,
    pub pixel: usize,
}

/// One row of a convolution over all channels, as a matrix product without a copy of the input: output pixel `x` is
/// the sum over `segments` of `4 * weights.dwords` bytes at `from + segment + x * pixel`.
///
/// A 1x1 convolution has one segment, a 3x3 one three (its rows) where the pixels of its input lie together.
#[derive(Clone, Copy)]
pub struct DenseRow<'a> {
    pub weights: &'a Dense,
    pub epilogue: &'a Epilogue,
    /// Byte of the top left input of output pixel 0.
    pub from: *const u8,
    /// Bytes from the inputs of one output pixel to those of the next.
    pub pixel: usize,
    /// Where each segment begins, in bytes. As many as the weights have.
    pub segments: &'a [usize],
    /// Output pixels.
    pub width: usize,
    pub added: Added,
    pub out: Out,
}

/// One row of a depthwise convolution: channel `c` of output pixel `x` is the sum over the square of
/// `from[ky * line + (x * stride + kx) * pixel + c]`.
#[derive(Clone, Copy)]
pub struct DepthwiseRow<'a> {
    pub weights: &'a Depthwise,
    pub epilogue: &'a Epilogue,
    /// Byte of the top left input of output pixel 0.
    pub from: *const u8,
    /// Bytes from one input pixel to the next.
    pub pixel: usize,
    /// Bytes from one input row to the next.
    pub line: usize,
    pub stride: usize,
    /// Output pixels.
    pub width: usize,
    pub added: Added,
    pub out: Out,
}

/// Constants of the sigmoid that every kernel computes alike, step by step:
///
/// ```text
/// t = clamp(y * -log2(e), -30, 30)
/// z = t + MAGIC                      the whole part of t, in the low bits
/// f = t - (z - MAGIC)                the rest, -0.5..=0.5
/// p = ((POW[3] f + POW[2]) f + POW[1]) f + POW[0]        2^f, fused
/// e = bits(p) + (bits(z) << 23)      2^t, wrapping
/// d = e + 1
/// r = bits(RECIPROCAL - bits(d))     a first guess of 1/d
/// h = fma(-d, r, 1);  r = fma(r, fma(h, h, h), r)
/// h = fma(-d, r, 1);  r = fma(r, h, r)
/// ```
/// POW is the cubic of least relative error over the interval; the result is within 1e-4 of the logistic function.
pub mod logistic {
    pub const NEG_LOG2_E: f32 = -std::f32::consts::LOG2_E;
    pub const BOUND: f32 = 30.0;
    /// 1.5 * 2^23: adding it leaves no bits behind the point.
    pub const MAGIC: f32 = 12_582_912.0;
    pub const POW: [f32; 4] = [0.999_928_9, 0.693_276_3, 0.242_604_35, 0.055_088_73];
    pub const RECIPROCAL: i32 = 0x7EF3_11C7;
}
