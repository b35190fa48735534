//! Convolutions over all channels by dot products of four bytes.

use super::super::{BLOCK, DenseRow};
use super::{Pixel, Sums, beginning, signed, store};
use core::arch::aarch64::{int8x16_t, int32x4_t, vdupq_n_s8, vld1q_s8};
use core::arch::asm;

/// Most pixels that are made together: their 20 registers of sums and five of input leave some for weights. A sixth
/// would only fit if not one register were needed for anything else.
const TILE: usize = 5;

/// Tiles are as large as possible, and then as equal as possible: 13 pixels are 5, 4 and 4.
///
/// # Safety
/// As for [`super::super::Isa::dense`], and the row has these pixels; the processor has dot products.
pub unsafe fn sums(row: &DenseRow, n: usize, mut x: usize, mut pixels: &mut [Pixel]) {
    for left in (1..=pixels.len().div_ceil(TILE)).rev() {
        let (here, rest) = pixels.split_at_mut(pixels.len().div_ceil(left));
        // SAFETY: promised by the caller.
        unsafe {
            match here.len() {
                1 => tile::<1>(row, n, x, here),
                2 => tile::<2>(row, n, x, here),
                3 => tile::<3>(row, n, x, here),
                4 => tile::<4>(row, n, x, here),
                _ => tile::<TILE>(row, n, x, here),
            }
        }
        x += here.len();
        pixels = rest;
    }
}

/// # Safety
/// As for [`sums`].
#[target_feature(enable = "dotprod")]
unsafe fn tile<const PIXELS: usize>(row: &DenseRow, n: usize, x: usize, to: &mut [Pixel]) {
    let weights = row.weights;
    let per_block = row.segments.len() * weights.dwords * 4 * BLOCK;
    let mut from = weights.bytes[n / BLOCK * per_block..][..per_block].as_ptr();
    let mut sums = [beginning(&weights.offsets, n); PIXELS];
    for segment in row.segments {
        // SAFETY: the caller promises the segment, and bytes behind it to fill a register. The weights were measured
        // above: 64 bytes for every dword of every segment.
        unsafe {
            let mut input = row.from.add(segment + x * row.pixel);
            for _ in 0..weights.dwords / 4 {
                let pixels = load::<PIXELS>(input, row.pixel);
                step::<0, PIXELS>(&mut sums, &pixels, from);
                step::<1, PIXELS>(&mut sums, &pixels, from.add(64));
                step::<2, PIXELS>(&mut sums, &pixels, from.add(128));
                step::<3, PIXELS>(&mut sums, &pixels, from.add(192));
                input = input.add(16);
                from = from.add(256);
            }
            let rest = weights.dwords % 4;
            if rest > 0 {
                let pixels = load::<PIXELS>(input, row.pixel);
                step::<0, PIXELS>(&mut sums, &pixels, from);
                if rest > 1 {
                    step::<1, PIXELS>(&mut sums, &pixels, from.add(64));
                }
                if rest > 2 {
                    step::<2, PIXELS>(&mut sums, &pixels, from.add(128));
                }
                from = from.add(64 * rest);
            }
        }
    }
    for (to, sums) in to.iter_mut().zip(sums) {
        store(to, sums);
    }
}

/// # Safety
/// Sixteen bytes of each pixel may be read.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn load<const PIXELS: usize>(input: *const u8, pixel: usize) -> [int8x16_t; PIXELS] {
    let mut pixels = [vdupq_n_s8(0); PIXELS];
    for (i, bytes) in pixels.iter_mut().enumerate() {
        // SAFETY: promised by the caller.
        *bytes = unsafe { signed(input.add(i * pixel)) };
    }
    pixels
}

/// Adds the products of dword `LANE` of each pixel.
///
/// # Safety
/// `from` has 64 bytes of weights.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn step<const LANE: i32, const PIXELS: usize>(
    sums: &mut [Sums; PIXELS],
    pixels: &[int8x16_t; PIXELS],
    from: *const i8,
) {
    for j in 0..4 {
        // SAFETY: promised by the caller.
        let weights = unsafe { vld1q_s8(from.add(16 * j)) };
        for i in 0..PIXELS {
            sums[i][j] = dot::<LANE>(sums[i][j], weights, pixels[i]);
        }
    }
}

/// Four outputs' sums plus the products of their weights with the four bytes of a lane. (`vdotq_laneq_s32` is not
/// stable before Rust 1.98.)
#[inline]
#[target_feature(enable = "dotprod")]
fn dot<const LANE: i32>(mut sums: int32x4_t, weights: int8x16_t, pixel: int8x16_t) -> int32x4_t {
    // SAFETY: the instruction is there, as this function's features say, and touches its registers only.
    unsafe {
        asm!(
            "sdot {sums:v}.4s, {weights:v}.16b, {pixel:v}.4b[{lane}]",
            sums = inout(vreg) sums,
            weights = in(vreg) weights,
            pixel = in(vreg) pixel,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sums
}
