//! Rows of convolutions in NEON, which every 64-bit ARM has, and in the dot products that came with ARMv8.2.
//!
//! These multiply signed bytes by signed bytes, so 128 is taken off every input byte (its highest bit is flipped) and
//! the sums begin at [`super::Dense::offsets`], which puts back what that takes away.
//!
//! A row is made sixteen channels and [`CHUNK`] pixels at a time: first the sums, then what becomes of them. So the
//! constants of either half stay in registers, and all that is read again and again in the first cache.

mod depthwise;
mod dot;
mod epilogue;
mod plain;

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

/// # Safety
/// As for [`super::Isa::dense`].
pub unsafe fn dense(row: &DenseRow) {
    let sink = Sink::new(row.epilogue, row.added, row.out);
    // SAFETY: promised by the caller; every processor of this architecture has NEON.
    unsafe { each(&sink, row.weights.outputs, row.width, |n, x, pixels| plain::sums(row, n, x, pixels)) };
}

/// # Safety
/// As for [`super::Isa::dense`]; the processor has dot products.
pub unsafe fn dense_dot(row: &DenseRow) {
    let sink = Sink::new(row.epilogue, row.added, row.out);
    // SAFETY: promised by the caller.
    unsafe { each(&sink, row.weights.outputs, row.width, |n, x, pixels| dot::sums(row, n, x, pixels)) };
}

/// # Safety
/// As for [`super::Isa::depthwise`].
pub unsafe fn depthwise(row: &DepthwiseRow) {
    let sink = Sink::new(row.epilogue, row.added, row.out);
    // SAFETY: promised by the caller; every processor of this architecture has NEON.
    unsafe { each(&sink, row.weights.channels, row.width, |n, x, pixels| depthwise::sums(row, n, x, pixels)) };
}

/// Has the sums of the channels from `n` and the pixels from `x` on filled in, all over the row, and finishes them.
///
/// # Safety
/// The row that the sink belongs to has these channels and pixels.
#[inline]
unsafe fn each(sink: &Sink, channels: usize, width: usize, fill: impl Fn(usize, usize, &mut [Pixel])) {
    let mut room = [Pixel([0; BLOCK]); CHUNK];
    for n in (0..channels).step_by(BLOCK) {
        for x in (0..width).step_by(CHUNK) {
            let pixels = &mut room[..CHUNK.min(width - x)];
            fill(n, x, pixels);
            // SAFETY: promised by the caller.
            unsafe { sink.finish(n, x, pixels) };
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

/// The weights of a block of sixteen channels: 64 bytes for every dword of every segment, and what its sums begin at.
#[derive(Clone, Copy)]
struct Block<'a> {
    weights: &'a [i8],
    offsets: &'a [i32; BLOCK],
}

impl<'a> Block<'a> {
    /// That of the channels from `n` on.
    fn new(row: &DenseRow<'a>, n: usize) -> Self {
        let size = row.segments.len() * row.weights.dwords * 4 * BLOCK;
        let weights = &row.weights.bytes[n / BLOCK * size..][..size];
        Block { weights, offsets: offsets(&row.weights.offsets, n) }
    }
}

/// What the sums of the channels from `n` on begin at.
fn offsets(all: &[i32], n: usize) -> &[i32; BLOCK] {
    all[n..].first_chunk().expect("offsets of all padded channels")
}

#[inline]
#[target_feature(enable = "neon")]
fn beginning(offsets: &[i32; BLOCK]) -> Sums {
    // SAFETY: sixteen values lie there.
    unsafe { [0, 4, 8, 12].map(|i| vld1q_s32(offsets.as_ptr().add(i))) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(pixel: &mut Pixel, sums: Sums) {
    for (to, quad) in pixel.0.as_chunks_mut::<4>().0.iter_mut().zip(sums) {
        // SAFETY: four values have room there.
        unsafe { vst1q_s32(to.as_mut_ptr(), quad) };
    }
}
