//! Convolutions over all channels by products of bytes, which are widened in pairs.
//!
//! A product of an input (-128..=127) and a weight (-127..=127) is at most 128 * 127 = 16256 from nought, the sum of two
//! at most 32512: that fits into 16 bits, a third product would not. So two are summed there, and then every two
//! neighbours are added to 32 bits.

use super::super::{BLOCK, DenseRow};
use super::{Pixel, beginning, signed, store};
use core::arch::aarch64::*;

/// Two pixels are made together: sixteen registers of sums, four of input, the rest for weights and products.
///
/// # Safety
/// As for [`super::super::Isa::dense`], and the row has these pixels.
#[target_feature(enable = "neon")]
pub unsafe fn sums(row: &DenseRow, n: usize, x: usize, pixels: &mut [Pixel]) {
    for (x, pixels) in (x..).step_by(2).zip(pixels.chunks_mut(2)) {
        // SAFETY: promised by the caller.
        unsafe {
            match pixels.len() {
                2 => tile::<2>(row, n, x, pixels),
                _ => tile::<1>(row, n, x, pixels),
            }
        }
    }
}

/// Sums of sixteen channels, each in two neighbouring lanes that are yet to be added.
type Halves = [int32x4_t; 8];

/// # Safety
/// As for [`sums`].
#[target_feature(enable = "neon")]
unsafe fn tile<const PIXELS: usize>(row: &DenseRow, n: usize, x: usize, to: &mut [Pixel]) {
    let weights = row.weights;
    let per_block = row.segments.len() * weights.dwords * 4 * BLOCK;
    let mut from = weights.bytes[n / BLOCK * per_block..][..per_block].as_ptr();
    let begin = beginning(&weights.offsets, n);
    let mut halves: [Halves; PIXELS] = [[vdupq_n_s32(0); 8]; PIXELS];
    for segment in row.segments {
        // SAFETY: the caller promises the segment, and bytes behind it to fill a register. The weights were measured
        // above: 64 bytes for every dword of every segment.
        unsafe {
            let mut input = row.from.add(segment + x * row.pixel);
            for _ in 0..weights.dwords / 4 {
                let pixels = load::<PIXELS>(input, row.pixel);
                two::<0, 1, PIXELS>(&mut halves, &pixels, from);
                two::<2, 3, PIXELS>(&mut halves, &pixels, from.add(128));
                input = input.add(16);
                from = from.add(256);
            }
            let rest = weights.dwords % 4;
            if rest > 0 {
                let pixels = load::<PIXELS>(input, row.pixel);
                if rest > 1 {
                    two::<0, 1, PIXELS>(&mut halves, &pixels, from);
                }
                if rest == 1 {
                    one::<0, PIXELS>(&mut halves, &pixels, from);
                } else if rest == 3 {
                    one::<2, PIXELS>(&mut halves, &pixels, from.add(128));
                }
                from = from.add(64 * rest);
            }
        }
    }
    for (to, of) in to.iter_mut().zip(halves) {
        let sum = |j: usize| vaddq_s32(vpaddq_s32(of[2 * j], of[2 * j + 1]), begin[j]);
        store(to, [sum(0), sum(1), sum(2), sum(3)]);
    }
}

/// # Safety
/// Sixteen bytes of each pixel may be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load<const PIXELS: usize>(input: *const u8, pixel: usize) -> [int8x16_t; PIXELS] {
    let mut pixels = [vdupq_n_s8(0); PIXELS];
    for (i, bytes) in pixels.iter_mut().enumerate() {
        // SAFETY: promised by the caller.
        *bytes = unsafe { signed(input.add(i * pixel)) };
    }
    pixels
}

/// A dword of a pixel, four times.
#[inline]
#[target_feature(enable = "neon")]
fn repeat<const LANE: i32>(pixel: int8x16_t) -> int8x16_t {
    vreinterpretq_s8_s32(vdupq_laneq_s32::<LANE>(vreinterpretq_s32_s8(pixel)))
}

/// Adds the products of dwords `A` and `B` of each pixel.
///
/// # Safety
/// `from` has 128 bytes of weights.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn two<const A: i32, const B: i32, const PIXELS: usize>(
    halves: &mut [Halves; PIXELS],
    pixels: &[int8x16_t; PIXELS],
    from: *const i8,
) {
    let a = pixels.map(|pixel| repeat::<A>(pixel));
    let b = pixels.map(|pixel| repeat::<B>(pixel));
    for j in 0..4 {
        // SAFETY: promised by the caller.
        let (first, second) = unsafe { (vld1q_s8(from.add(16 * j)), vld1q_s8(from.add(64 + 16 * j))) };
        for i in 0..PIXELS {
            let low = vmull_s8(vget_low_s8(first), vget_low_s8(a[i]));
            let low = vmlal_s8(low, vget_low_s8(second), vget_low_s8(b[i]));
            let high = vmlal_high_s8(vmull_high_s8(first, a[i]), second, b[i]);
            halves[i][2 * j] = vpadalq_s16(halves[i][2 * j], low);
            halves[i][2 * j + 1] = vpadalq_s16(halves[i][2 * j + 1], high);
        }
    }
}

/// Adds the products of dword `A` of each pixel.
///
/// # Safety
/// `from` has 64 bytes of weights.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn one<const A: i32, const PIXELS: usize>(
    halves: &mut [Halves; PIXELS],
    pixels: &[int8x16_t; PIXELS],
    from: *const i8,
) {
    let a = pixels.map(|pixel| repeat::<A>(pixel));
    for j in 0..4 {
        // SAFETY: promised by the caller.
        let weights = unsafe { vld1q_s8(from.add(16 * j)) };
        for i in 0..PIXELS {
            let low = vmull_s8(vget_low_s8(weights), vget_low_s8(a[i]));
            halves[i][2 * j] = vpadalq_s16(halves[i][2 * j], low);
            halves[i][2 * j + 1] = vpadalq_s16(halves[i][2 * j + 1], vmull_high_s8(weights, a[i]));
        }
    }
}
