//! Depthwise convolutions with words: the taps of a column below each other are multiplied in pairs.

use super::epilogue::{Pixels, STORED, finish};
use super::{super::*, Sums};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// # Safety
/// As for [`super::super::Isa::depthwise`].
#[target_feature(enable = "avx2,fma")]
pub unsafe fn row(row: &DepthwiseRow) {
    // SAFETY: promised by the caller.
    unsafe {
        match (row.weights.side, row.stride) {
            (3, 1) if row.width >= 4 => fixed::<3, 2, 1>(row),
            (3, 2) if row.width >= 4 => fixed::<3, 2, 2>(row),
            (5, 1) if row.width >= 4 => fixed::<5, 3, 1>(row),
            (5, 2) if row.width >= 4 => fixed::<5, 3, 2>(row),
            _ => any(row),
        }
    }
}

/// Sixteen channels of two rows of a column as pairs of words, or of one row and zeros.
///
/// # Safety
/// They may be read.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn pairs(from: *const u8, line: usize, both: bool) -> [__m256i; 2] {
    // SAFETY: promised by the caller.
    let of = |row: usize| unsafe { _mm_loadu_si128(from.add(row * line).cast()) };
    let above = of(0);
    if both {
        let below = of(1);
        let low = _mm_unpacklo_epi8(above, below);
        [_mm256_cvtepu8_epi16(low), _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(above, below))]
    } else {
        [_mm256_cvtepu8_epi32(above), _mm256_cvtepu8_epi32(_mm_unpackhi_epi64(above, above))]
    }
}

/// Weights of sixteen channels for such pairs: pair `pair` of column `kx`.
///
/// # Safety
/// There are such weights.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn weights(of: &Depthwise, n: usize, kx: usize, pair: usize) -> [__m256i; 2] {
    let group = (n / BLOCK * of.side + kx) * of.side.div_ceil(4) + pair / 2;
    // SAFETY: promised by the caller.
    unsafe {
        let from = of.bytes.as_ptr().add(group * BLOCK * 4);
        [0, 1].map(|half| {
            let [a, b] = [0, 1].map(|quarter| {
                let from = from.add(32 * half + 16 * quarter);
                _mm256_castsi256_ps(_mm256_cvtepi8_epi16(_mm_loadu_si128(from.cast())))
            });
            // Even dwords are first pairs, odd ones second pairs.
            let of_pair = if pair.is_multiple_of(2) {
                _mm256_shuffle_ps::<0b10_00_10_00>(a, b)
            } else {
                _mm256_shuffle_ps::<0b11_01_11_01>(a, b)
            };
            _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_castps_si256(of_pair))
        })
    }
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn add(sums: &mut Sums, taps: [__m256i; 2], w: [__m256i; 2]) {
    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(taps[0], w[0]));
    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(taps[1], w[1]));
}

/// `SIDE` taps in `PAIRS` pairs, four outputs at a time.
///
/// # Safety
/// As for [`row`], for weights of this shape and at least four pixels.
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
unsafe fn fixed<const SIDE: usize, const PAIRS: usize, const STRIDE: usize>(row: &DepthwiseRow) {
    let DepthwiseRow { pixel, line, width, epilogue, out, added, .. } = *row;
    let mut stored = MaybeUninit::<[Sums; STORED]>::uninit();
    let stored = stored.as_mut_ptr().cast::<Sums>();
    // SAFETY: promised by the caller.
    unsafe {
        for n in (0..row.weights.channels).step_by(BLOCK) {
            let mut w = [[[_mm256_setzero_si256(); 2]; PAIRS]; SIDE];
            for kx in 0..SIDE {
                for pair in 0..PAIRS {
                    w[kx][pair] = weights(row.weights, n, kx, pair);
                }
            }
            let mut x = 0;
            while x < width {
                // The last four may be done twice, here and below.
                let first = x.min(width - 4);
                let size = (width - first).min(STORED);
                for i in (0..size).step_by(4) {
                    let i = i.min(size - 4);
                    let from = row.from.add((first + i) * STRIDE * pixel + n);
                    let mut sums = [[_mm256_setzero_si256(); 2]; 4];
                    for column in 0..3 * STRIDE + SIDE {
                        for pair in 0..PAIRS {
                            let from = from.add(column * pixel + 2 * pair * line);
                            let taps = pairs(from, line, 2 * pair + 1 < SIDE);
                            for o in 0..4 {
                                if o * STRIDE <= column && column < o * STRIDE + SIDE {
                                    add(&mut sums[o], taps, w[column - o * STRIDE][pair]);
                                }
                            }
                        }
                    }
                    stored.add(i).cast::<[Sums; 4]>().write(sums);
                }
                let pixels = Pixels { epilogue, out, added, x: first, n };
                finish(&pixels, std::slice::from_raw_parts(stored, size));
                x = first + size;
            }
        }
    }
}

/// Any side, stride and width.
///
/// # Safety
/// As for [`row`].
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
unsafe fn any(row: &DepthwiseRow) {
    let DepthwiseRow { pixel, line, width, epilogue, out, added, .. } = *row;
    let side = row.weights.side;
    // SAFETY: promised by the caller.
    unsafe {
        for n in (0..row.weights.channels).step_by(BLOCK) {
            let mut stored = [[_mm256_setzero_si256(); 2]; STORED];
            for x in (0..width).step_by(STORED) {
                let size = (width - x).min(STORED);
                for kx in 0..side {
                    for pair in 0..side.div_ceil(2) {
                        let w = weights(row.weights, n, kx, pair);
                        for (i, sums) in stored[..size].iter_mut().enumerate() {
                            let from = row.from.add(((x + i) * row.stride + kx) * pixel + 2 * pair * line + n);
                            add(sums, pairs(from, line, 2 * pair + 1 < side), w);
                        }
                    }
                }
                finish(&Pixels { epilogue, out, added, x, n }, &stored[..size]);
                stored = [[_mm256_setzero_si256(); 2]; STORED];
            }
        }
    }
}
