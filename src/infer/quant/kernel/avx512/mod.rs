//! Kernels for AVX-512 with dot products of bytes (VNNI) and shuffles of bytes (VBMI).
//!
//! Sixteen channels of a pixel fill a register of sums. Where the epilogue is a table, they stay in registers up to the
//! bytes. All others are stored once when they are complete, by hand, and read back by `epilogue::finish`: an array of
//! sums that is lent to a function would be kept in memory during the products, too.

#![expect(clippy::needless_range_loop, reason = "indices are of several lists, and constant once unrolled")]

mod dense;
mod depthwise;
mod epilogue;
mod table;

use super::{DenseRow, DepthwiseRow};
use std::arch::x86_64::*;

/// Sums of sixteen channels of one pixel.
type Sums = __m512i;

/// # Safety
/// As for [`super::Isa::dense`].
pub unsafe fn dense(row: &DenseRow) {
    // SAFETY: promised by the caller.
    unsafe { dense::row(row) }
}

/// # Safety
/// As for [`super::Isa::depthwise`].
pub unsafe fn depthwise(row: &DepthwiseRow) {
    // SAFETY: promised by the caller.
    unsafe { depthwise::row(row) }
}
