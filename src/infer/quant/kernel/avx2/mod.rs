//! Kernels for 256 bits: AVX2, and the same with dot products of bytes ([`super::avxvnni`]).
//!
//! Both differ in how four bytes are multiplied and summed, which is `Dot`. AVX2's own product of bytes sums pairs
//! in 16 bits, so it serves weights that are `Dense::narrow` only; others are multiplied as words.
//!
//! Functions without `target_feature` here are always inlined into one that has it.

#![expect(clippy::needless_range_loop, reason = "indices are of several lists, and constant once unrolled")]

mod dense;
mod depthwise;
mod dots;
mod epilogue;
mod table;

use super::{DenseRow, DepthwiseRow};
use std::arch::x86_64::*;

/// Sums of the first and the last eight of sixteen channels of one pixel.
type Sums = [__m256i; 2];

/// How bytes are multiplied with weights.
pub(super) trait Dot {
    /// Most pixels of a tile, such that all stays in registers.
    const TILE: usize;

    /// Adds the products of four bytes each to eight sums.
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn add(sums: __m256i, inputs: __m256i, weights: __m256i) -> __m256i;
}

/// Weights whose pairs of products fit into 16 bits.
struct Narrow;

impl Dot for Narrow {
    const TILE: usize = 5;

    #[inline(always)]
    unsafe fn add(sums: __m256i, inputs: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: promised by the caller.
        unsafe {
            let pairs = _mm256_madd_epi16(_mm256_maddubs_epi16(inputs, weights), _mm256_set1_epi16(1));
            _mm256_add_epi32(sums, pairs)
        }
    }
}

/// # Safety
/// As for [`super::Isa::dense`].
pub unsafe fn dense(row: &DenseRow) {
    // SAFETY: promised by the caller.
    unsafe { if row.weights.narrow { narrow(row) } else { wide(row) } }
}

/// # Safety
/// As for [`dense()`], with weights that are narrow.
#[target_feature(enable = "avx2,fma")]
unsafe fn narrow(row: &DenseRow) {
    // SAFETY: promised by the caller.
    unsafe { dense::row::<dense::Bytes<Narrow>>(row) }
}

/// # Safety
/// As for [`dense()`], with weights that are not narrow.
#[target_feature(enable = "avx2,fma")]
unsafe fn wide(row: &DenseRow) {
    // SAFETY: promised by the caller.
    unsafe { dense::row::<dense::Words>(row) }
}

/// As [`dense()`], with another product.
///
/// # Safety
/// As for [`dense()`], and what this is inlined into has the instructions of `D`.
#[inline(always)]
pub(super) unsafe fn dense_with<D: Dot>(row: &DenseRow) {
    // SAFETY: promised by the caller.
    unsafe { dense::row::<dense::Bytes<D>>(row) }
}

/// # Safety
/// As for [`super::Isa::depthwise`].
pub unsafe fn depthwise(row: &DepthwiseRow) {
    // SAFETY: promised by the caller.
    unsafe { depthwise::row(row) }
}

/// As [`depthwise()`], with products of bytes.
///
/// # Safety
/// As for [`dense_with`], and no product of `D` saturates.
#[inline(always)]
pub(super) unsafe fn depthwise_with<D: Dot>(row: &DepthwiseRow) {
    // SAFETY: promised by the caller.
    unsafe { dots::row::<D>(row) }
}
