//! Rows of convolutions in NEON, which every 64-bit ARM has, and in the dot products that came with ARMv8.2.
//!
//! These multiply signed bytes by signed bytes, so 128 is taken off every input byte (its highest bit is flipped) and
//! the sums begin at [`super::Dense::offsets`], which puts back what that takes away.
//!
//! A row is made in blocks of sixteen channels: what they need, their weights and a row of the input, stays in the first
//! cache. Sums never leave the registers before their activation.

mod depthwise;
mod dot;
mod epilogue;
mod plain;

use super::{BLOCK, DenseRow, DepthwiseRow};
use core::arch::aarch64::{int8x16_t, int32x4_t, vdupq_n_u8, veorq_u8, vld1q_s32, vld1q_u8, vreinterpretq_s8_u8};
use epilogue::Sink;

/// The sums of the sixteen channels of a block, four in each register.
type Sums = [int32x4_t; 4];

/// # Safety
/// As for [`super::Isa::dense`].
pub unsafe fn dense(row: &DenseRow) {
    // SAFETY: promised by the caller; every processor of this architecture has NEON.
    unsafe { plain::row(row) };
}

/// # Safety
/// As for [`super::Isa::dense`]; the processor has dot products.
pub unsafe fn dense_dot(row: &DenseRow) {
    // SAFETY: promised by the caller.
    unsafe { dot::row(row) };
}

/// # Safety
/// As for [`super::Isa::depthwise`].
pub unsafe fn depthwise(row: &DepthwiseRow) {
    // SAFETY: promised by the caller.
    unsafe { depthwise::row(row) };
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

/// What the sums of the channels from `n` on begin at.
#[inline]
#[target_feature(enable = "neon")]
fn beginning(offsets: &[i32], n: usize) -> Sums {
    let offsets = &offsets[n..n + BLOCK];
    // SAFETY: sixteen values lie there.
    unsafe { [0, 4, 8, 12].map(|i| vld1q_s32(offsets.as_ptr().add(i))) }
}
