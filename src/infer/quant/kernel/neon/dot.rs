//! Convolutions over all channels by dot products of four bytes.

use super::super::{Act, BLOCK, DenseRow};
use super::{Sink, Sums, beginning, signed};
use core::arch::aarch64::{int8x16_t, int32x4_t, vdupq_n_s8, vld1q_s8};
use core::arch::asm;

/// Pixels that are made together: their 24 registers of sums, six of input and two of weights are all 32.
const TILE: usize = 6;

/// # Safety
/// As for [`super::super::Isa::dense`]; the processor has dot products.
#[target_feature(enable = "neon")]
pub unsafe fn row(row: &DenseRow) {
    for n in (0..row.weights.outputs).step_by(BLOCK) {
        let sink = Sink::new(row.epilogue, row.added, row.out, n);
        // SAFETY: promised by the caller.
        unsafe {
            if row.epilogue.act == Act::Table {
                block::<true>(row, &sink, n);
                sink.end(row.width);
            } else {
                block::<false>(row, &sink, n);
            }
        }
    }
}

/// Tiles are as large as possible, and then as equal as possible: 13 pixels are 5, 4 and 4.
///
/// # Safety
/// As for [`row`].
#[target_feature(enable = "neon")]
unsafe fn block<const TABLED: bool>(row: &DenseRow, sink: &Sink, n: usize) {
    let mut x = 0;
    for left in (1..=row.width.div_ceil(TILE)).rev() {
        let pixels = (row.width - x).div_ceil(left);
        // SAFETY: promised by the caller, for pixels up to the width.
        unsafe {
            match pixels {
                1 => tile::<TABLED, 1>(row, sink, n, x),
                2 => tile::<TABLED, 2>(row, sink, n, x),
                3 => tile::<TABLED, 3>(row, sink, n, x),
                4 => tile::<TABLED, 4>(row, sink, n, x),
                5 => tile::<TABLED, 5>(row, sink, n, x),
                _ => tile::<TABLED, TILE>(row, sink, n, x),
            }
        }
        x += pixels;
    }
}

/// # Safety
/// As for [`row`]; the row has these pixels.
#[target_feature(enable = "dotprod")]
unsafe fn tile<const TABLED: bool, const PIXELS: usize>(row: &DenseRow, sink: &Sink, n: usize, x: usize) {
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
    // SAFETY: promised by the caller.
    unsafe { sink.put::<TABLED, PIXELS>(x, sums) };
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
