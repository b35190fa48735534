//! Convolutions over all channels by products of bytes, which are widened in pairs.
//!
//! A product of an input (-128..=127) and a weight (-127..=127) is at most 128 * 127 = 16256 from nought, the sum of two
//! at most 32512: that fits into 16 bits, a third product would not. So two are summed there, and then every two
//! neighbours are added to 32 bits.

use super::super::DenseRow;
use super::{At, Begin, Pixel, block, load, signed, store};
use core::arch::aarch64::*;
use core::arch::asm;

/// Two pixels are made together: sixteen registers of sums, four of input, the rest for weights and products.
///
/// # Safety
/// As for [`super::super::Isa::dense`], and the row has these pixels.
#[target_feature(enable = "neon")]
pub unsafe fn sums(row: &DenseRow, At { n, mut x, .. }: At, begin: &Begin, pixels: &mut [Pixel]) {
    let weights = block(row, n);
    let (pairs, rest) = pixels.as_chunks_mut::<2>();
    // SAFETY: promised by the caller.
    unsafe {
        for pair in pairs {
            tile(row, weights, x, begin, pair);
            x += 2;
        }
        if let [single] = rest {
            tile(row, weights, x, begin, std::array::from_mut(single));
        }
    }
}

/// Sums of sixteen channels, each in two neighbouring lanes that are yet to be added.
type Halves = [int32x4_t; 8];

/// # Safety
/// As for [`sums`].
#[inline]
#[target_feature(enable = "neon")]
unsafe fn tile<const PIXELS: usize>(row: &DenseRow, weights: &[i8], x: usize, begin: &Begin, to: &mut [Pixel; PIXELS]) {
    let dwords = row.weights.dwords;
    let mut from = weights.as_ptr();
    let mut halves: [Halves; PIXELS] = [[vdupq_n_s32(0); 8]; PIXELS];
    for segment in row.segments {
        // SAFETY: the caller promises the segment, and bytes behind it to fill a register. A block has
        // weights of 64 bytes for every dword of every segment.
        unsafe {
            let mut input = row.from.add(segment + x * row.pixel);
            for _ in 0..dwords / 4 {
                let pixels = load_input::<PIXELS>(input, row.pixel);
                two::<0, 1, PIXELS>(&mut halves, &pixels, from);
                two::<2, 3, PIXELS>(&mut halves, &pixels, from.add(128));
                input = input.add(16);
                from = from.add(256);
            }
            let rest = dwords % 4;
            if rest > 0 {
                let pixels = load_input::<PIXELS>(input, row.pixel);
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
    let begin = load(begin);
    for (to, of) in to.iter_mut().zip(halves) {
        let sum = |j: usize| vaddq_s32(vpaddq_s32(of[2 * j], of[2 * j + 1]), begin[j]);
        store(to, [sum(0), sum(1), sum(2), sum(3)]);
    }
}

/// # Safety
/// Sixteen bytes of each pixel may be read.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn load_input<const PIXELS: usize>(input: *const u8, pixel: usize) -> [int8x16_t; PIXELS] {
    let mut pixels = [vdupq_n_s8(0); PIXELS];
    for (i, bytes) in pixels.iter_mut().enumerate() {
        // SAFETY: promised by the caller.
        *bytes = unsafe { signed(input.add(i * pixel)) };
    }
    pixels
}

/// A dword of a pixel, four times: `vdupq_laneq_s32`, in the order written.
#[inline]
#[target_feature(enable = "neon")]
fn repeat<const LANE: i32>(pixel: int8x16_t) -> int8x16_t {
    let repeated;
    // SAFETY: touches its registers only.
    unsafe {
        asm!(
            "dup {repeated:v}.4s, {pixel:v}.s[{lane}]",
            repeated = lateout(vreg) repeated,
            pixel = in(vreg) pixel,
            lane = const LANE,
            options(nomem, nostack, preserves_flags),
        );
    }
    repeated
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
    let (mut a, mut b) = (*pixels, *pixels);
    for i in 0..PIXELS {
        (a[i], b[i]) = (repeat::<A>(pixels[i]), repeat::<B>(pixels[i]));
    }
    for j in [0, 2] {
        let part = |i: usize| {
            // SAFETY: promised by the caller.
            unsafe { vld1q_s8(from.add(16 * i)) }
        };
        // Neighbours are loaded together, by one instruction.
        let (first, second) = ([part(j), part(j + 1)], [part(4 + j), part(4 + j + 1)]);
        for jj in [0, 1] {
            for i in 0..PIXELS {
                let [low, high] = &mut halves[i].as_chunks_mut::<2>().0[j + jj];
                add_two(low, high, (first[jj], second[jj]), (a[i], b[i]));
            }
        }
    }
}

/// As one piece, and (not being `pure`) in the order written: of single instructions the compiler begins more products
/// than there are registers for.
#[inline]
#[target_feature(enable = "neon")]
fn add_two(low: &mut int32x4_t, high: &mut int32x4_t, weights: (int8x16_t, int8x16_t), pixel: (int8x16_t, int8x16_t)) {
    // SAFETY: touches its registers only.
    unsafe {
        asm!(
            "smull {a:v}.8h, {w0:v}.8b, {p0:v}.8b",
            "smull2 {b:v}.8h, {w0:v}.16b, {p0:v}.16b",
            "smlal {a:v}.8h, {w1:v}.8b, {p1:v}.8b",
            "smlal2 {b:v}.8h, {w1:v}.16b, {p1:v}.16b",
            "sadalp {low:v}.4s, {a:v}.8h",
            "sadalp {high:v}.4s, {b:v}.8h",
            a = out(vreg) _,
            b = out(vreg) _,
            low = inout(vreg) *low,
            high = inout(vreg) *high,
            w0 = in(vreg) weights.0,
            w1 = in(vreg) weights.1,
            p0 = in(vreg) pixel.0,
            p1 = in(vreg) pixel.1,
            options(nomem, nostack, preserves_flags),
        );
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
    let mut a = *pixels;
    for a in &mut a {
        *a = repeat::<A>(*a);
    }
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
