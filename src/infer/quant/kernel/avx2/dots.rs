//! Depthwise convolutions with products of bytes: the taps of a column below each other are the four bytes of a dot
//! product. Two pixels are done at a time, one in each half of a register.

use super::epilogue::{Pixels, STORED, finish};
use super::{super::*, Dot, Sums};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Taps of two columns, one in each half of a register: four of the channels, then four more.
type Taps = [__m256i; 2];

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

/// `SIDE` taps in `GROUPS` groups of four.
///
/// # Safety
/// As for [`row`], for weights of this shape and at least two pixels.
#[inline(always)]
unsafe fn fixed<D: Dot, const SIDE: usize, const GROUPS: usize, const STRIDE: usize>(row: &DepthwiseRow) {
    let DepthwiseRow { width, epilogue, out, added, .. } = *row;
    let mut stored = MaybeUninit::<[Sums; STORED]>::uninit();
    let stored = stored.as_mut_ptr().cast::<Sums>();
    let parts = width.div_ceil(STORED);
    // SAFETY: promised by the caller.
    unsafe {
        for n in (0..row.weights.channels).step_by(BLOCK) {
            let mut x = 0;
            for part in 0..parts {
                let size = (width - x).div_ceil(parts - part);
                eight::<D, SIDE, GROUPS, STRIDE, false>(row, x, n, size, stored);
                eight::<D, SIDE, GROUPS, STRIDE, true>(row, x, n, size, stored);
                finish(&Pixels { epilogue, out, added, x, n }, std::slice::from_raw_parts(stored, size));
                x += size;
            }
        }
    }
}

/// The first or the last eight of sixteen channels of `size` pixels, from the first and from the middle of them at
/// once.
///
/// # Safety
/// As for [`fixed`], for these pixels, two at least; as many sums may be written.
#[inline(always)]
unsafe fn eight<D: Dot, const SIDE: usize, const GROUPS: usize, const STRIDE: usize, const LAST: bool>(
    row: &DepthwiseRow,
    x: usize,
    n: usize,
    size: usize,
    to: *mut Sums,
) {
    let DepthwiseRow { pixel, line, .. } = *row;
    // The pixel in the middle may be done twice.
    let half = size.div_ceil(2);
    let middle = size - half;
    let apart = middle * STRIDE * pixel;
    // SAFETY: promised by the caller.
    unsafe {
        let mut w = [[[_mm256_setzero_si256(); 2]; GROUPS]; SIDE];
        for kx in 0..SIDE {
            for g in 0..GROUPS {
                for q in 0..2 {
                    let at = (n * SIDE + kx * BLOCK) * GROUPS + g * BLOCK + 4 * q + 8 * usize::from(LAST);
                    let four = _mm_loadu_si128(row.weights.bytes.as_ptr().add(4 * at).cast());
                    w[kx][g][q] = _mm256_broadcastsi128_si256(four);
                }
            }
        }
        let mut from = row.from.add(x * STRIDE * pixel + n);
        let mut window = [[[_mm256_setzero_si256(); 2]; GROUPS]; SIDE];
        for kx in STRIDE..SIDE {
            for g in 0..GROUPS {
                window[kx][g] = columns::<LAST>(from.add(4 * g * line), apart, line, SIDE - 4 * g);
            }
            from = from.add(pixel);
        }
        for i in 0..half {
            for kx in 0..SIDE - STRIDE {
                window[kx] = window[kx + STRIDE];
            }
            for kx in SIDE - STRIDE..SIDE {
                for g in 0..GROUPS {
                    window[kx][g] = columns::<LAST>(from.add(4 * g * line), apart, line, SIDE - 4 * g);
                }
                from = from.add(pixel);
            }
            let mut sums = [_mm256_setzero_si256(); 2];
            for kx in 0..SIDE {
                for g in 0..GROUPS {
                    for q in 0..2 {
                        sums[q] = D::add(sums[q], window[kx][g][q], w[kx][g][q]);
                    }
                }
            }
            let [a, b] = sums;
            let to = to.add(i).cast::<__m256i>().add(usize::from(LAST));
            to.write(_mm256_permute2x128_si256::<0x20>(a, b));
            to.add(2 * middle).write(_mm256_permute2x128_si256::<0x31>(a, b));
        }
    }
}

/// Up to four rows of a column and of the one `apart` bytes from it: the first or the last eight channels.
///
/// # Safety
/// All sixteen may be read; what this is inlined into has AVX2.
#[inline(always)]
unsafe fn columns<const LAST: bool>(from: *const u8, apart: usize, line: usize, rows: usize) -> Taps {
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
        let pair = |above: __m256i, below: __m256i| {
            if LAST { _mm256_unpackhi_epi8(above, below) } else { _mm256_unpacklo_epi8(above, below) }
        };
        let (ab, cd) = (pair(of(0), of(1)), pair(of(2), of(3)));
        [_mm256_unpacklo_epi16(ab, cd), _mm256_unpackhi_epi16(ab, cd)]
    }
}
