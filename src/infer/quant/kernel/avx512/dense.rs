//! Convolutions over all channels.

use super::epilogue::{Pixels, finish};
use super::table::{Sum, Table, store_four};
use super::{super::*, Sums};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Most pixels of a tile: with 32 channels 26 sums, and registers left for two weights and an input. The sides of
/// feature maps of 416 pixels are multiples of it.
const TILE: usize = 13;
/// Pixels whose sums are stored before they are finished: four tiles.
const STORED: usize = 4 * TILE;

/// # Safety
/// As for [`super::super::Isa::dense`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
pub unsafe fn row(row: &DenseRow) {
    let outputs = row.weights.outputs;
    // SAFETY: promised by the caller; all pixels of a tile lie in the row.
    unsafe {
        if row.weights.segments == 1 && row.width >= 4 {
            match (row.weights.dwords, row.added.from.is_null()) {
                (4, true) if short::<4, false>(row) => return,
                (8, true) if short::<8, false>(row) => return,
                (16, true) if row.width.is_multiple_of(4) && short::<16, false>(row) => return,
                (4, false) if short::<4, true>(row) => return,
                (8, false) if short::<8, true>(row) => return,
                _ => {}
            }
        }
        // As few tiles as possible, of nearly the same size.
        let tiles = row.width.div_ceil(TILE);
        let (size, larger) = (row.width / tiles, row.width % tiles);
        let mut stored = MaybeUninit::<[[Sums; STORED]; 2]>::uninit();
        let stored = stored.as_mut_ptr().cast::<Sums>();
        let products = row.weights.segments * row.weights.dwords * 4;
        for n in (0..outputs).step_by(2 * BLOCK) {
            let blocks = if n + 2 * BLOCK <= outputs { 2 } else { 1 };
            let looked_up = looked_up(row, n, blocks, products);
            let (mut x, mut first) = (0, 0);
            for i in 0..tiles {
                let size = size + usize::from(i < larger);
                let to = stored.add(x - first);
                match (blocks, looked_up) {
                    (2, true) => tile::<2, true>(row, x, n, size, to),
                    (2, false) => tile::<2, false>(row, x, n, size, to),
                    (_, true) => tile::<1, true>(row, x, n, size, to),
                    (_, false) => tile::<1, false>(row, x, n, size, to),
                }
                x += size;
                if looked_up {
                    first = x;
                } else if i + 1 == tiles || x - first > STORED - TILE {
                    let DenseRow { epilogue, out, added, .. } = *row;
                    for j in 0..blocks {
                        let sums = std::slice::from_raw_parts(stored.add(j * STORED), x - first);
                        finish(&Pixels { epilogue, out, added, x: first, n: n + j * BLOCK, products }, sums);
                    }
                    first = x;
                }
            }
        }
    }
}

/// Whether all that becomes of the sums of some blocks of channels is to be looked up, with no sum out of bounds.
///
/// # Safety
/// The epilogue has the channels.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
unsafe fn looked_up(row: &DenseRow, n: usize, blocks: usize, products: usize) -> bool {
    let DenseRow { epilogue, .. } = *row;
    epilogue.act == Act::Table
        && row.added.from.is_null()
        // SAFETY: promised by the caller, and the act says that there is a table.
        && (0..blocks).all(|i| unsafe { Table::load(epilogue, n + i * BLOCK) }.is_bounded(products))
}

/// # Safety
/// As for [`row`], `x + size` pixels and `n + 16 * NR` channels, and `size` is in `1..=TILE`. The sums may be written.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
unsafe fn tile<const NR: usize, const LOOKED_UP: bool>(row: &DenseRow, x: usize, n: usize, size: usize, to: *mut Sums) {
    // SAFETY: promised by the caller.
    unsafe {
        match size {
            1 => tile_of::<1, NR, LOOKED_UP>(row, x, n, to),
            2 => tile_of::<2, NR, LOOKED_UP>(row, x, n, to),
            3 => tile_of::<3, NR, LOOKED_UP>(row, x, n, to),
            4 => tile_of::<4, NR, LOOKED_UP>(row, x, n, to),
            5 => tile_of::<5, NR, LOOKED_UP>(row, x, n, to),
            6 => tile_of::<6, NR, LOOKED_UP>(row, x, n, to),
            7 => tile_of::<7, NR, LOOKED_UP>(row, x, n, to),
            8 => tile_of::<8, NR, LOOKED_UP>(row, x, n, to),
            9 => tile_of::<9, NR, LOOKED_UP>(row, x, n, to),
            10 => tile_of::<10, NR, LOOKED_UP>(row, x, n, to),
            11 => tile_of::<11, NR, LOOKED_UP>(row, x, n, to),
            12 => tile_of::<12, NR, LOOKED_UP>(row, x, n, to),
            _ => tile_of::<TILE, NR, LOOKED_UP>(row, x, n, to),
        }
    }
}

/// `MR` pixels of `NR * 16` channels. Those that are [`looked_up`] stay in registers up to the bytes; the sums of the
/// others are stored, those of the second sixteen channels [`STORED`] behind.
///
/// # Safety
/// As for [`tile`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline(never)]
unsafe fn tile_of<const MR: usize, const NR: usize, const LOOKED_UP: bool>(
    row: &DenseRow,
    x: usize,
    n: usize,
    stored: *mut Sums,
) {
    let DenseRow { weights, epilogue, pixel, out, .. } = *row;
    let block = weights.segments * weights.dwords * 4 * BLOCK;
    // SAFETY: weights have a block for every sixteen channels and the inputs are promised by the caller.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); MR]; NR];
        let mut from_weights = weights.bytes.as_ptr().add(n / BLOCK * block);
        for segment in row.segments {
            let mut from = row.from.add(segment + x * pixel);
            for _ in 0..weights.dwords {
                let mut w = [_mm512_setzero_si512(); NR];
                for j in 0..NR {
                    w[j] = _mm512_loadu_si512(from_weights.add(j * block).cast());
                }
                // Pixels are reached from every fourth, so that few addresses are kept.
                for i in 0..MR {
                    let input = from.add(i / 4 * 4 * pixel).add(i % 4 * pixel).cast::<i32>().read_unaligned();
                    let input = _mm512_set1_epi32(input);
                    for j in 0..NR {
                        sums[j][i] = _mm512_dpbusd_epi32(sums[j][i], input, w[j]);
                    }
                }
                from = from.add(4);
                from_weights = from_weights.add(4 * BLOCK);
            }
        }
        if let (true, Out::Bytes { to, pixel }) = (LOOKED_UP, out) {
            for j in 0..NR {
                let n = n + j * BLOCK;
                let (to, table) = (to.add(x * pixel + n), Table::load(epilogue, n));
                for i in (0..MR / 4 * 4).step_by(4) {
                    let four = [sums[j][i], sums[j][i + 1], sums[j][i + 2], sums[j][i + 3]];
                    store_four(to.add(i * pixel), pixel, table.four::<true>(four));
                }
                for i in MR / 4 * 4..MR {
                    _mm_storeu_si128(to.add(i * pixel).cast(), table.one::<true>(sums[j][i]));
                }
            }
            return;
        }
        for j in 0..NR {
            for i in 0..MR {
                stored.add(j * STORED + i).write(sums[j][i]);
            }
        }
    }
}

/// A row with few inputs, `D` dwords in one segment, and a table: weights and table stay in registers, and so do the
/// sums up to the bytes. False where this cannot be done.
///
/// # Safety
/// As for [`row`], and the weights are of this shape, and the width is at least 4.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline(never)]
unsafe fn short<const D: usize, const ADDS: bool>(row: &DenseRow) -> bool {
    let DenseRow { weights, epilogue, pixel, width, added, .. } = *row;
    let Out::Bytes { to, pixel: to_pixel } = row.out else { return false };
    if epilogue.act != Act::Table {
        return false;
    }
    // SAFETY: promised by the caller.
    unsafe {
        let from = row.from.add(row.segments[0]);
        for n in (0..weights.outputs).step_by(BLOCK) {
            let table = Table::load(epilogue, n);
            if !table.is_bounded(4 * D) {
                return false;
            }
            let mut w = [_mm512_setzero_si512(); D];
            for d in 0..D {
                w[d] = _mm512_loadu_si512(weights.bytes.as_ptr().add((n * D + d * BLOCK) * 4).cast());
            }
            for x in (0..width).step_by(4) {
                // The last four may be done twice.
                let x = x.min(width - 4);
                let from = from.add(x * pixel);
                let mut sums = [_mm512_setzero_si512(); 4];
                for d in 0..D {
                    for i in 0..4 {
                        let input = from.add(i * pixel + 4 * d).cast::<i32>().read_unaligned();
                        sums[i] = _mm512_dpbusd_epi32(sums[i], _mm512_set1_epi32(input), w[d]);
                    }
                }
                let (to, found) = (to.add(x * to_pixel + n), table.four::<true>(sums));
                if ADDS {
                    let sum = Sum::load(epilogue, n);
                    sum.store_four(to, to_pixel, found, added.from.add(x * added.pixel + n), added.pixel);
                } else {
                    store_four(to, to_pixel, found);
                }
            }
        }
        true
    }
}
