//! Convolutions over all channels, sixteen outputs at a time.

use super::epilogue::{Pixels, Places, STORED, finish};
use super::table::Table;
use super::{super::*, Dot, Sums};
use std::arch::x86_64::*;
use std::marker::PhantomData;
use std::mem::MaybeUninit;

/// How the products of four bytes of a pixel with the weights of sixteen outputs are made.
pub trait Products {
    /// Most pixels of a tile.
    const TILE: usize;

    /// The weights of four bytes.
    type Weights: Copy;

    /// Of dword `dword`, counted through all blocks.
    ///
    /// # Safety
    /// There are such weights; what this is inlined into has the instructions.
    unsafe fn weights(of: &Dense, dword: usize) -> Self::Weights;

    /// # Safety
    /// As above, and `from` has four bytes.
    unsafe fn add(sums: Sums, from: *const u8, weights: Self::Weights) -> Sums;
}

/// Bytes with bytes.
pub struct Bytes<D>(PhantomData<D>);

impl<D: Dot> Products for Bytes<D> {
    const TILE: usize = D::TILE;
    type Weights = [__m256i; 2];

    #[inline(always)]
    unsafe fn weights(of: &Dense, dword: usize) -> Self::Weights {
        // SAFETY: promised by the caller.
        unsafe {
            let from = of.bytes.as_ptr().add(dword * 4 * BLOCK);
            [_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast())]
        }
    }

    #[inline(always)]
    unsafe fn add(sums: Sums, from: *const u8, weights: Self::Weights) -> Sums {
        // SAFETY: promised by the caller.
        unsafe {
            let inputs = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
            [D::add(sums[0], inputs, weights[0]), D::add(sums[1], inputs, weights[1])]
        }
    }
}

/// Words with words: for weights whose products of bytes would not fit.
pub struct Words;

impl Products for Words {
    const TILE: usize = 4;
    /// Of the even bytes, then of the odd ones.
    type Weights = [[__m256i; 2]; 2];

    #[inline(always)]
    unsafe fn weights(of: &Dense, dword: usize) -> Self::Weights {
        // SAFETY: promised by the caller.
        unsafe {
            let from = of.wide.as_ptr().add(dword * 4 * BLOCK);
            let load = |i: usize| _mm256_loadu_si256(from.add(16 * i).cast());
            [[load(0), load(1)], [load(2), load(3)]]
        }
    }

    #[inline(always)]
    unsafe fn add(sums: Sums, from: *const u8, weights: Self::Weights) -> Sums {
        // SAFETY: promised by the caller.
        unsafe {
            let inputs = _mm256_set1_epi32(from.cast::<i32>().read_unaligned());
            let even = _mm256_and_si256(inputs, _mm256_set1_epi16(255));
            let odd = _mm256_srli_epi16::<8>(inputs);
            let add = |sums: __m256i, h: usize| {
                let sums = _mm256_add_epi32(sums, _mm256_madd_epi16(even, weights[0][h]));
                _mm256_add_epi32(sums, _mm256_madd_epi16(odd, weights[1][h]))
            };
            [add(sums[0], 0), add(sums[1], 1)]
        }
    }
}

/// # Safety
/// As for [`super::super::Isa::dense`], and what this is inlined into has the instructions of `P`.
#[inline(always)]
pub unsafe fn row<P: Products>(row: &DenseRow) {
    let DenseRow { weights, epilogue, width, out, added, .. } = *row;
    let mut stored = MaybeUninit::<[Sums; STORED]>::uninit();
    let stored = stored.as_mut_ptr().cast::<Sums>();
    let mut places = Places::new();
    let parts = width.div_ceil(STORED);
    // SAFETY: promised by the caller; all pixels of a tile lie in the row, and as many sums are stored as are finished.
    unsafe {
        for n in (0..weights.outputs).step_by(BLOCK) {
            let table = if epilogue.act == Act::Table { Some(Table::load(epilogue, n)) } else { None };
            let mut x = 0;
            for part in 0..parts {
                let size = (width - x).div_ceil(parts - part);
                // As few tiles as possible, of nearly the same size.
                let tiles = size.div_ceil(P::TILE);
                let (each, larger) = (size / tiles, size % tiles);
                let mut done = 0;
                for i in 0..tiles {
                    let each = each + usize::from(i < larger);
                    // Places are found at once: so the sums need not be stored.
                    macro_rules! tile_of {
                        ($size:literal) => {{
                            let sums = tile::<P, $size>(row, x + done, n);
                            match &table {
                                Some(table) => places.put(table, done, &sums),
                                None => stored.add(done).cast::<[Sums; $size]>().write(sums),
                            }
                        }};
                    }
                    match each {
                        1 => tile_of!(1),
                        2 => tile_of!(2),
                        3 => tile_of!(3),
                        4 => tile_of!(4),
                        5 if P::TILE >= 5 => tile_of!(5),
                        6 if P::TILE >= 6 => tile_of!(6),
                        _ => {}
                    }
                    done += each;
                }
                let pixels = Pixels { epilogue, out, added, x, n };
                match &table {
                    Some(table) => pixels.look_up(table, &places, size),
                    None => finish(&pixels, std::slice::from_raw_parts(stored, size)),
                }
                x += size;
            }
        }
    }
}

/// The sums of `MR` pixels.
///
/// # Safety
/// As for [`row`], for `MR` pixels from `x` on and sixteen channels from `n` on.
#[inline(always)]
unsafe fn tile<P: Products, const MR: usize>(row: &DenseRow, x: usize, n: usize) -> [Sums; MR] {
    let DenseRow { weights, pixel, .. } = *row;
    let mut dword = n / BLOCK * weights.segments * weights.dwords;
    // SAFETY: promised by the caller.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); 2]; MR];
        for segment in row.segments {
            let mut from = row.from.add(segment + x * pixel);
            for _ in 0..weights.dwords {
                let w = P::weights(weights, dword);
                for i in 0..MR {
                    sums[i] = P::add(sums[i], from.add(i * pixel), w);
                }
                from = from.add(4);
                dword += 1;
            }
        }
        sums
    }
}
