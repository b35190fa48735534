//! Depthwise convolutions with products of bytes: the taps of a column below each other are the four bytes of a dot
//! product. Two pixels are done at a time, one in each half of a register.

use super::epilogue::{Pixels, STORED, finish};
use super::{super::*, Dot, Sums};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Taps of two columns: four channels each in a register, one column in each half.
type Taps = [__m256i; 4];

/// # Safety
/// As for [`super::super::Isa::depthwise`], and what this is inlined into has the instructions of `D`, whose products
/// do not saturate.
#[inline(always)]
pub unsafe fn row<D: Dot>(row: &DepthwiseRow) {
    // SAFETY: promised by the caller.
    unsafe {
        match (row.weights.side, row.stride) {
            (3, 1) if row.width >= 2 => fixed::<D, 3, 1, 1>(row),
            (3, 2) if row.width >= 2 => fixed::<D, 3, 1, 2>(row),
            (5, 1) if row.width >= 2 => fixed::<D, 5, 2, 1>(row),
            (5, 2) if row.width >= 2 => fixed::<D, 5, 2, 2>(row),
            _ => super::depthwise(row),
        }
    }
}

/// Up to four rows of a column and of the one `apart` bytes from it.
///
/// # Safety
/// They may be read; what this is inlined into has AVX2.
#[inline(always)]
unsafe fn columns(from: *const u8, apart: usize, line: usize, rows: usize) -> Taps {
    // SAFETY: promised by the caller.
    unsafe {
        let of = |row: usize| {
            if row >= rows {
                return _mm256_setzero_si256();
            }
            let from = from.add(row * line);
            let one = _mm256_castsi128_si256(_mm_loadu_si128(from.cast()));
            _mm256_inserti128_si256::<1>(one, _mm_loadu_si128(from.add(apart).cast()))
        };
        let rows = [of(0), of(1), of(2), of(3)];
        let (ab, cd) = (_mm256_unpacklo_epi8(rows[0], rows[1]), _mm256_unpacklo_epi8(rows[2], rows[3]));
        let (ab_high, cd_high) = (_mm256_unpackhi_epi8(rows[0], rows[1]), _mm256_unpackhi_epi8(rows[2], rows[3]));
        [
            _mm256_unpacklo_epi16(ab, cd),
            _mm256_unpackhi_epi16(ab, cd),
            _mm256_unpacklo_epi16(ab_high, cd_high),
            _mm256_unpackhi_epi16(ab_high, cd_high),
        ]
    }
}

/// `SIDE` taps in `GROUPS` groups of four.
///
/// # Safety
/// As for [`row`], for weights of this shape and at least two pixels.
#[inline(always)]
unsafe fn fixed<D: Dot, const SIDE: usize, const GROUPS: usize, const STRIDE: usize>(row: &DepthwiseRow) {
    let DepthwiseRow { pixel, line, width, epilogue, out, added, .. } = *row;
    let mut stored = MaybeUninit::<[Sums; STORED]>::uninit();
    let stored = stored.as_mut_ptr().cast::<Sums>();
    // SAFETY: promised by the caller.
    unsafe {
        for n in (0..row.weights.channels).step_by(BLOCK) {
            let mut w = [[[_mm256_setzero_si256(); 4]; GROUPS]; SIDE];
            for kx in 0..SIDE {
                for g in 0..GROUPS {
                    for q in 0..4 {
                        let at = (n * SIDE + kx * BLOCK) * GROUPS + g * BLOCK + 4 * q;
                        let four = _mm_loadu_si128(row.weights.bytes.as_ptr().add(4 * at).cast());
                        w[kx][g][q] = _mm256_broadcastsi128_si256(four);
                    }
                }
            }
            let mut x = 0;
            while x < width {
                // The last two may be done twice, here and below.
                let first = x.min(width - 2);
                let size = (width - first).min(STORED);
                for i in (0..size).step_by(2) {
                    let i = i.min(size - 2);
                    let from = row.from.add((first + i) * STRIDE * pixel + n);
                    let mut sums = [_mm256_setzero_si256(); 4];
                    for kx in 0..SIDE {
                        for g in 0..GROUPS {
                            let from = from.add(kx * pixel + 4 * g * line);
                            let taps = columns(from, STRIDE * pixel, line, SIDE - 4 * g);
                            for q in 0..4 {
                                sums[q] = D::add(sums[q], taps[q], w[kx][g][q]);
                            }
                        }
                    }
                    let [a, b, c, d] = sums;
                    let one = [_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x20>(c, d)];
                    let two = [_mm256_permute2x128_si256::<0x31>(a, b), _mm256_permute2x128_si256::<0x31>(c, d)];
                    stored.add(i).cast::<[Sums; 2]>().write([one, two]);
                }
                let pixels = Pixels { epilogue, out, added, x: first, n };
                finish(&pixels, std::slice::from_raw_parts(stored, size));
                x = first + size;
            }
        }
    }
}
