//! Rows of convolutions in NEON, which every 64-bit ARM has, and in the dot products that came with ARMv8.2.
//!
//! These multiply signed bytes by signed bytes, so 128 is taken off every input byte (its highest bit is flipped) and
//! the sums begin at [`super::Dense::offsets`], which puts back what that takes away.
//!
//! A row is made sixteen channels and [`CHUNK`] pixels at a time: first the sums, then what becomes of them. So the
//! constants of either half stay in registers, and all that is read again and again in the first cache.

mod depthwise;
mod depthwise_dot;
mod dot;
mod epilogue;
mod plain;
mod quads;
#[cfg(test)]
mod tests;

use super::{BLOCK, DenseRow, DepthwiseRow};
use core::arch::aarch64::{
    int8x16_t, int32x4_t, vdupq_n_u8, veorq_u8, vld1q_s32, vld1q_u8, vreinterpretq_s8_u8, vst1q_s32,
};
use epilogue::Sink;

/// Pixels whose sums wait together for the second half: a multiple of the tiles of [`dot`] and [`plain`].
const CHUNK: usize = 40;

/// The sums of the sixteen channels of a block, four in each register.
type Sums = [int32x4_t; 4];

/// The same in memory.
#[derive(Clone, Copy)]
#[repr(align(16))]
struct Pixel([i32; BLOCK]);

/// What the sums of a block begin at.
type Begin = Pixel;

/// # Safety
/// As for [`super::Isa::dense`].
pub unsafe fn dense(row: &DenseRow) {
    // SAFETY: promised by the caller; every processor of this architecture has NEON.
    unsafe {
        each(&sink(row, false), &row.weights.offsets, row.width, |at, begin, pixels| {
            plain::sums(row, at, begin, pixels);
        });
    }
}

/// # Safety
/// As for [`super::Isa::dense`]; the processor has dot products.
pub unsafe fn dense_dot(row: &DenseRow) {
    // SAFETY: promised by the caller.
    unsafe {
        each(&sink(row, true), &row.weights.offsets, row.width, |at, begin, pixels| {
            dot::sums(row, at, begin, pixels);
        });
    }
}

fn sink<'a>(row: &DenseRow<'a>, dot: bool) -> Sink<'a> {
    let products = row.segments.len() * row.weights.dwords * 4;
    Sink::new(row.epilogue, row.added, row.out, products, dot)
}

/// # Safety
/// As for [`super::Isa::depthwise`].
pub unsafe fn depthwise(row: &DepthwiseRow) {
    let sink = depthwise_sink(row, false);
    // SAFETY: promised by the caller; every processor of this architecture has NEON.
    unsafe {
        each(&sink, &row.weights.offsets, row.width, |at, begin, pixels| depthwise::sums(row, at, begin, pixels));
    }
}

/// # Safety
/// As for [`super::Isa::depthwise`]; the processor has dot products.
pub unsafe fn depthwise_dot(row: &DepthwiseRow) {
    let sink = depthwise_sink(row, true);
    // SAFETY: promised by the caller.
    unsafe {
        each(&sink, &row.weights.offsets, row.width, |at, begin, pixels| depthwise_dot::sums(row, at, begin, pixels));
    }
}

fn depthwise_sink<'a>(row: &DepthwiseRow<'a>, dot: bool) -> Sink<'a> {
    Sink::new(row.epilogue, row.added, row.out, row.weights.side * row.weights.side, dot)
}

/// The first channel of a block, and the first of some pixels.
#[derive(Clone, Copy)]
struct At {
    n: usize,
    x: usize,
    /// See [`Sink::small`].
    small: bool,
}

/// Has the sums of one block and chunk after the other filled in, and finishes them. `fill` is told what they begin at.
///
/// # Safety
/// The row that the sink belongs to has as many pixels, and channels as there are offsets.
#[inline]
unsafe fn each(sink: &Sink, offsets: &[i32], width: usize, fill: impl Fn(At, &Begin, &mut [Pixel])) {
    let mut room = [Pixel([0; BLOCK]); CHUNK];
    for (block, offsets) in offsets.as_chunks().0.iter().enumerate() {
        let n = block * BLOCK;
        // SAFETY: every processor of this architecture has NEON.
        let small = unsafe { sink.small(n) };
        let mut begin = Pixel(*offsets);
        if small {
            for sum in &mut begin.0 {
                *sum += Sink::LIFT;
            }
        }
        for x in (0..width).step_by(CHUNK) {
            let pixels = &mut room[..CHUNK.min(width - x)];
            let at = At { n, x, small };
            fill(at, &begin, pixels);
            // SAFETY: promised by the caller.
            unsafe { sink.finish(at, pixels) };
        }
    }
}

/// Sixteen bytes of the input, 128 taken off each.
///
/// # Safety
/// They may be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn signed(from: *const u8) -> int8x16_t {
    // SAFETY: promised by the caller.
    let bytes = unsafe { vld1q_u8(from) };
    vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(0x80)))
}

/// The weights of the sixteen channels from `n` on: 64 bytes for every dword of every segment.
fn block<'a>(row: &DenseRow<'a>, n: usize) -> &'a [i8] {
    let size = row.segments.len() * row.weights.dwords * 4 * BLOCK;
    &row.weights.bytes[n / BLOCK * size..][..size]
}

#[inline]
#[target_feature(enable = "neon")]
fn load(pixel: &Pixel) -> Sums {
    let quad = |i: usize| {
        // SAFETY: sixteen values lie there.
        unsafe { vld1q_s32(pixel.0.as_ptr().add(4 * i)) }
    };
    [quad(0), quad(1), quad(2), quad(3)]
}

#[inline]
#[target_feature(enable = "neon")]
fn store(pixel: &mut Pixel, sums: Sums) {
    for (to, quad) in pixel.0.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        // SAFETY: four values have room there.
        unsafe { vst1q_s32(to.as_mut_ptr(), quad) };
    }
}
