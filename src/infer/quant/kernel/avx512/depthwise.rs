//! Depthwise convolutions: the taps of a column below each other are the four bytes of a dot product.

use super::epilogue::{Pixels, finish};
use super::table::{Table, store_four};
use super::{super::*, Sums};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Pixels whose sums are stored before they are finished.
const STORED: usize = 32;

/// Four rows of sixteen channels to sixteen channels of four rows.
const GATHER: [u8; 64] = {
    let mut gather = [0; 64];
    let mut i = 0;
    while i < 64 {
        gather[i] = (i % 4 * 16 + i / 4) as u8;
        i += 1;
    }
    gather
};

/// # Safety
/// As for [`super::super::Isa::depthwise`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
pub unsafe fn row(row: &DepthwiseRow) {
    // SAFETY: promised by the caller.
    unsafe {
        match (row.weights.side, row.stride) {
            (3, 1) if row.width >= 4 => fixed::<3, 1, 1, 6>(row),
            (3, 2) if row.width >= 4 => fixed::<3, 1, 2, 9>(row),
            (5, 1) if row.width >= 4 => fixed::<5, 2, 1, 8>(row),
            (5, 2) if row.width >= 4 => fixed::<5, 2, 2, 11>(row),
            _ => any(row),
        }
    }
}

/// Sixteen channels of up to four rows of a column, `rows` of them.
///
/// # Safety
/// They may be read.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
unsafe fn column(from: *const u8, line: usize, rows: usize) -> __m512i {
    // SAFETY: promised by the caller.
    unsafe {
        let of = |row: usize| _mm_loadu_si128(from.add(row * line).cast());
        let mut taps = _mm512_castsi128_si512(of(0));
        if rows > 1 {
            taps = _mm512_inserti32x4::<1>(taps, of(1));
        }
        if rows > 2 {
            taps = _mm512_inserti32x4::<2>(taps, of(2));
        }
        if rows > 3 {
            taps = _mm512_inserti32x4::<3>(taps, of(3));
        }
        _mm512_permutexvar_epi8(_mm512_loadu_si512(GATHER.as_ptr().cast()), taps)
    }
}

/// `SIDE` taps in `GROUPS` groups of four, four outputs at a time, which read `COLUMNS` columns.
///
/// # Safety
/// As for [`row`], for weights of this shape and at least four pixels.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline(never)]
unsafe fn fixed<const SIDE: usize, const GROUPS: usize, const STRIDE: usize, const COLUMNS: usize>(row: &DepthwiseRow) {
    let DepthwiseRow { weights, epilogue, pixel, line, width, out, added, .. } = *row;
    let products = SIDE * SIDE;
    // SAFETY: promised by the caller.
    unsafe {
        for n in (0..weights.channels).step_by(BLOCK) {
            let mut w = [[_mm512_setzero_si512(); GROUPS]; SIDE];
            for kx in 0..SIDE {
                for g in 0..GROUPS {
                    let at = (n * SIDE + kx * BLOCK) * GROUPS + g * BLOCK;
                    w[kx][g] = _mm512_loadu_si512(weights.bytes.as_ptr().add(4 * at).cast());
                }
            }
            let mut columns = [[_mm512_setzero_si512(); GROUPS]; COLUMNS];
            let mut next = usize::MAX;
            let mut four = |x: usize| {
                let from = row.from.add(x * STRIDE * pixel + n);
                let mut load = |i: usize| {
                    for g in 0..GROUPS {
                        columns[i][g] = column(from.add(i * pixel + 4 * g * line), line, (SIDE - 4 * g).min(4));
                    }
                };
                // Those on the left are mostly there.
                if x != next {
                    for i in 0..SIDE - STRIDE {
                        load(i);
                    }
                }
                for i in SIDE - STRIDE..COLUMNS {
                    load(i);
                }
                let mut sums = [_mm512_setzero_si512(); 4];
                for i in 0..4 {
                    for kx in 0..SIDE {
                        for g in 0..GROUPS {
                            sums[i] = _mm512_dpbusd_epi32(sums[i], columns[i * STRIDE + kx][g], w[kx][g]);
                        }
                    }
                }
                for i in 0..SIDE - STRIDE {
                    columns[i] = columns[i + 4 * STRIDE];
                }
                next = x + 4;
                sums
            };
            if let (Out::Bytes { to, pixel }, Act::Table, true) = (out, epilogue.act, added.from.is_null()) {
                let table = Table::load(epilogue, n);
                if table.is_bounded(products) {
                    for x in (0..width).step_by(4) {
                        // The last four may be done twice.
                        let x = x.min(width - 4);
                        store_four(to.add(x * pixel + n), pixel, table.four::<true>(four(x)));
                    }
                    continue;
                }
            }
            let mut stored = MaybeUninit::<[Sums; STORED]>::uninit();
            let stored = stored.as_mut_ptr().cast::<Sums>();
            let mut x = 0;
            while x < width {
                // Here as well.
                let first = x.min(width - 4);
                let size = (width - first).min(STORED);
                for i in (0..size).step_by(4) {
                    let i = i.min(size - 4);
                    stored.add(i).cast::<[Sums; 4]>().write(four(first + i));
                }
                let pixels = Pixels { epilogue, out, added, x: first, n, products };
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
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline(never)]
unsafe fn any(row: &DepthwiseRow) {
    let DepthwiseRow { weights, epilogue, pixel, line, width, out, added, .. } = *row;
    let (side, groups) = (weights.side, weights.side.div_ceil(4));
    // SAFETY: promised by the caller.
    unsafe {
        for n in (0..weights.channels).step_by(BLOCK) {
            let w = weights.bytes.as_ptr().add(4 * n * side * groups);
            let mut stored = [_mm512_setzero_si512(); STORED];
            for x in (0..width).step_by(STORED) {
                let size = (width - x).min(STORED);
                for (i, stored) in stored[..size].iter_mut().enumerate() {
                    let from = row.from.add((x + i) * row.stride * pixel + n);
                    let mut sums = _mm512_setzero_si512();
                    for kx in 0..side {
                        for g in 0..groups {
                            let taps = column(from.add(kx * pixel + 4 * g * line), line, (side - 4 * g).min(4));
                            let w = _mm512_loadu_si512(w.add((kx * groups + g) * BLOCK * 4).cast());
                            sums = _mm512_dpbusd_epi32(sums, taps, w);
                        }
                    }
                    *stored = sums;
                }
                let pixels = Pixels { epilogue, out, added, x, n, products: side * side };
                finish(&pixels, &stored[..size]);
            }
        }
    }
}
