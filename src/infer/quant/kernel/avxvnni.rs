//! Kernels for 256 bits with dot products of bytes: AVX2 with AVX-VNNI, as boards without AVX-512 have it.

use super::avx2::{Dot, dense_with, depthwise_with};
use super::{DenseRow, DepthwiseRow};
use std::arch::x86_64::*;

struct Vnni;

impl Dot for Vnni {
    const TILE: usize = 6;

    #[inline(always)]
    unsafe fn add(sums: __m256i, inputs: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: promised by the caller.
        unsafe { _mm256_dpbusd_avx_epi32(sums, inputs, weights) }
    }
}

/// # Safety
/// As for [`super::Isa::dense`].
pub unsafe fn dense(row: &DenseRow) {
    #[target_feature(enable = "avx2,fma,avxvnni")]
    unsafe fn with(row: &DenseRow) {
        // SAFETY: promised by the caller.
        unsafe { dense_with::<Vnni>(row) }
    }
    // SAFETY: promised by the caller.
    unsafe { with(row) }
}

/// # Safety
/// As for [`super::Isa::depthwise`].
pub unsafe fn depthwise(row: &DepthwiseRow) {
    #[target_feature(enable = "avx2,fma,avxvnni")]
    unsafe fn with(row: &DepthwiseRow) {
        // SAFETY: promised by the caller.
        unsafe { depthwise_with::<Vnni>(row) }
    }
    // SAFETY: promised by the caller.
    unsafe { with(row) }
}

/// The same with the instruction's form of AVX-512.
#[cfg(test)]
pub mod of_512 {
    use super::*;

    struct VnniOf512;

    impl Dot for VnniOf512 {
        const TILE: usize = Vnni::TILE;

        #[inline(always)]
        unsafe fn add(sums: __m256i, inputs: __m256i, weights: __m256i) -> __m256i {
            // SAFETY: promised by the caller.
            unsafe { _mm256_dpbusd_epi32(sums, inputs, weights) }
        }
    }

    /// # Safety
    /// As for [`super::dense`], with AVX-512 VNNI and VL.
    #[target_feature(enable = "avx2,fma,avx512vnni,avx512vl")]
    pub unsafe fn dense(row: &DenseRow) {
        // SAFETY: promised by the caller.
        unsafe { dense_with::<VnniOf512>(row) }
    }

    /// # Safety
    /// As for [`dense`].
    #[target_feature(enable = "avx2,fma,avx512vnni,avx512vl")]
    pub unsafe fn depthwise(row: &DepthwiseRow) {
        // SAFETY: promised by the caller.
        unsafe { depthwise_with::<VnniOf512>(row) }
    }
}
