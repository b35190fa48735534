//! Depthwise convolutions: sixteen channels lie in a register, so every tap is two long multiplications.
//!
//! Two products are summed in 16 bits, as in [`super::plain`], and then added to 32.

use super::super::{BLOCK, DepthwiseRow};
use super::{At, Begin, Pixel, Sums, load, signed, store};
use core::arch::aarch64::*;
use core::arch::asm;

/// # Safety
/// As for [`super::super::Isa::depthwise`], and the row has these pixels.
#[target_feature(enable = "neon")]
pub unsafe fn sums(row: &DepthwiseRow, at: At, begin: &Begin, pixels: &mut [Pixel]) {
    // SAFETY: promised by the caller.
    unsafe {
        match (row.weights.side, row.stride) {
            (3, 1) => three_by_one(row, at, begin, pixels),
            (3, 2) => three_by_two(row, at, begin, pixels),
            (5, 1) => large::<5, 1>(row, at, begin, pixels),
            (5, 2) => large::<5, 2>(row, at, begin, pixels),
            (7, 1) => large::<7, 1>(row, at, begin, pixels),
            (7, 2) => large::<7, 2>(row, at, begin, pixels),
            _ => any(row, at, begin, pixels),
        }
    }
}

/// Taps below each other.
type Column = [int8x16_t; 3];

/// Weights of a square of three, by columns.
#[target_feature(enable = "neon")]
fn square(row: &DepthwiseRow, n: usize) -> [Column; 3] {
    let weights = &row.weights.bytes[n * 12..][..BLOCK * 12];
    let column = |kx: usize| {
        // SAFETY: each of the three columns has 64 bytes.
        let int8x16x4_t(top, middle, bottom, _) = unsafe { vld4q_s8(weights.as_ptr().add(kx * 64)) };
        [top, middle, bottom]
    };
    [column(0), column(1), column(2)]
}

/// The taps of an input pixel and the two below it.
///
/// # Safety
/// The row has them.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn column(row: &DepthwiseRow, n: usize, x: usize) -> Column {
    // SAFETY: promised by the caller.
    unsafe {
        let top = row.from.add(x * row.pixel + n);
        [signed(top), signed(top.add(row.line)), signed(top.add(2 * row.line))]
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn nine(begin: Sums, w: &[Column; 3], a: Column, b: Column, c: Column) -> Sums {
    let sums = single(begin, (a[0], w[0][0]));
    let sums = pair(sums, (a[1], w[0][1]), (a[2], w[0][2]));
    let sums = pair(sums, (b[0], w[1][0]), (b[1], w[1][1]));
    let sums = pair(sums, (b[2], w[1][2]), (c[0], w[2][0]));
    pair(sums, (c[1], w[2][1]), (c[2], w[2][2]))
}

/// Stride 1: each column is read once and serves three outputs.
///
/// # Safety
/// As for [`sums`].
#[target_feature(enable = "neon")]
unsafe fn three_by_one(row: &DepthwiseRow, At { n, mut x, .. }: At, begin: &Begin, pixels: &mut [Pixel]) {
    let (w, begin) = (square(row, n), load(begin));
    // SAFETY: promised by the caller: the input has two columns more than there are outputs.
    unsafe {
        let (mut a, mut b) = (column(row, n, x), column(row, n, x + 1));
        let (threes, rest) = pixels.as_chunks_mut::<3>();
        for [first, second, third] in threes {
            let c = column(row, n, x + 2);
            store(first, nine(begin, &w, a, b, c));
            a = column(row, n, x + 3);
            store(second, nine(begin, &w, b, c, a));
            b = column(row, n, x + 4);
            store(third, nine(begin, &w, c, a, b));
            x += 3;
        }
        for pixel in rest {
            let c = column(row, n, x + 2);
            store(pixel, nine(begin, &w, a, b, c));
            (a, b) = (b, c);
            x += 1;
        }
    }
}

/// Stride 2: every second column serves two outputs.
///
/// # Safety
/// As for [`sums`].
#[target_feature(enable = "neon")]
unsafe fn three_by_two(row: &DepthwiseRow, At { n, x, .. }: At, begin: &Begin, pixels: &mut [Pixel]) {
    let (w, begin) = (square(row, n), load(begin));
    // SAFETY: promised by the caller.
    unsafe {
        let mut a = column(row, n, 2 * x);
        for (x, pixel) in (x..).zip(pixels) {
            let (b, c) = (column(row, n, 2 * x + 1), column(row, n, 2 * x + 2));
            store(pixel, nine(begin, &w, a, b, c));
            a = c;
        }
    }
}

/// Squares of five and seven, two outputs at a time: their inputs overlap, and weights are loaded once for both.
///
/// # Safety
/// As for [`sums`].
#[target_feature(enable = "neon")]
unsafe fn large<const SIDE: usize, const STRIDE: usize>(
    row: &DepthwiseRow,
    At { n, mut x, .. }: At,
    begin: &Begin,
    pixels: &mut [Pixel],
) {
    let groups = SIDE.div_ceil(4);
    let packed = &row.weights.bytes[n * SIDE * groups * 4..][..SIDE * groups * 64];
    let mut weights = [[vdupq_n_s8(0); SIDE]; SIDE];
    for kx in 0..SIDE {
        for group in 0..groups {
            // SAFETY: a group has 64 bytes of weights.
            let int8x16x4_t(a, b, c, d) = unsafe { vld4q_s8(packed.as_ptr().add((kx * groups + group) * 64)) };
            for (row, of) in weights.iter_mut().skip(4 * group).zip([a, b, c, d]) {
                row[kx] = of;
            }
        }
    }
    let (pairs, rest) = pixels.as_chunks_mut::<2>();
    // SAFETY: promised by the caller.
    unsafe {
        for pair in pairs {
            overlapping::<SIDE, STRIDE, 2>(row, &weights, row.from.add(x * STRIDE * row.pixel + n), begin, pair);
            x += 2;
        }
        if let [last] = rest {
            let last = std::array::from_mut(last);
            overlapping::<SIDE, STRIDE, 1>(row, &weights, row.from.add(x * STRIDE * row.pixel + n), begin, last);
        }
    }
}

/// # Safety
/// `from` is the top left input of the first output.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn overlapping<const SIDE: usize, const STRIDE: usize, const PIXELS: usize>(
    row: &DepthwiseRow,
    weights: &[[int8x16_t; SIDE]; SIDE],
    mut from: *const u8,
    begin: &Begin,
    to: &mut [Pixel; PIXELS],
) {
    let mut sums = [load(begin); PIXELS];
    for weights in weights {
        // Room for the inputs of two outputs at stride 2. What is not needed is not loaded.
        let mut inputs = [vdupq_n_s8(0); 9];
        for (i, input) in inputs.iter_mut().take(SIDE + (PIXELS - 1) * STRIDE).enumerate() {
            // SAFETY: promised by the caller.
            *input = unsafe { signed(from.add(i * row.pixel)) };
        }
        for (i, sums) in sums.iter_mut().enumerate() {
            let inputs = &inputs[i * STRIDE..][..SIDE];
            for kx in (0..SIDE - 1).step_by(2) {
                *sums = pair(*sums, (inputs[kx], weights[kx]), (inputs[kx + 1], weights[kx + 1]));
            }
            *sums = single(*sums, (inputs[SIDE - 1], weights[SIDE - 1]));
        }
        from = from.wrapping_add(row.line);
    }
    for (to, sums) in to.iter_mut().zip(sums) {
        store(to, sums);
    }
}

/// Any square, and any stride.
///
/// # Safety
/// As for [`sums`].
#[target_feature(enable = "neon")]
unsafe fn any(row: &DepthwiseRow, At { n, x, .. }: At, begin: &Begin, pixels: &mut [Pixel]) {
    let side = row.weights.side;
    let groups = side.div_ceil(4);
    let weights = &row.weights.bytes[n / BLOCK * side * groups * 64..][..side * groups * 64];
    let begin = load(begin);
    for (x, pixel) in (x..).zip(pixels) {
        let mut sums = begin;
        for kx in 0..side {
            for group in 0..groups {
                // SAFETY: a group has 64 bytes of weights, and the caller promises the input.
                unsafe {
                    let int8x16x4_t(w0, w1, w2, w3) = vld4q_s8(weights.as_ptr().add((kx * groups + group) * 64));
                    let from = row.from.add(4 * group * row.line + (x * row.stride + kx) * row.pixel + n);
                    let tap = |i: usize| signed(from.add(i * row.line));
                    sums = match side - 4 * group {
                        1 => single(sums, (tap(0), w0)),
                        2 => pair(sums, (tap(0), w0), (tap(1), w1)),
                        3 => single(pair(sums, (tap(0), w0), (tap(1), w1)), (tap(2), w2)),
                        _ => pair(pair(sums, (tap(0), w0), (tap(1), w1)), (tap(2), w2), (tap(3), w3)),
                    };
                }
            }
        }
        store(pixel, sums);
    }
}

/// An input and its weight, of sixteen channels.
type Tap = (int8x16_t, int8x16_t);

/// As one piece, and (not being `pure`) in the order written: of single instructions the compiler begins more products
/// than there are registers for.
#[inline]
#[target_feature(enable = "neon")]
fn pair(mut sums: Sums, a: Tap, b: Tap) -> Sums {
    // SAFETY: touches its registers only.
    unsafe {
        asm!(
            "smull {low:v}.8h, {a0:v}.8b, {a1:v}.8b",
            "smull2 {high:v}.8h, {a0:v}.16b, {a1:v}.16b",
            "smlal {low:v}.8h, {b0:v}.8b, {b1:v}.8b",
            "smlal2 {high:v}.8h, {b0:v}.16b, {b1:v}.16b",
            "saddw {s0:v}.4s, {s0:v}.4s, {low:v}.4h",
            "saddw2 {s1:v}.4s, {s1:v}.4s, {low:v}.8h",
            "saddw {s2:v}.4s, {s2:v}.4s, {high:v}.4h",
            "saddw2 {s3:v}.4s, {s3:v}.4s, {high:v}.8h",
            low = out(vreg) _,
            high = out(vreg) _,
            s0 = inout(vreg) sums[0],
            s1 = inout(vreg) sums[1],
            s2 = inout(vreg) sums[2],
            s3 = inout(vreg) sums[3],
            a0 = in(vreg) a.0,
            a1 = in(vreg) a.1,
            b0 = in(vreg) b.0,
            b1 = in(vreg) b.1,
            options(nomem, nostack, preserves_flags),
        );
    }
    sums
}

#[inline]
#[target_feature(enable = "neon")]
fn single(sums: Sums, a: Tap) -> Sums {
    widen(sums, vmull_s8(vget_low_s8(a.0), vget_low_s8(a.1)), product_high(a))
}

/// `vmull_high_s8`. Of that the compiler takes the upper halves of weights out of loops, where they cost a register
/// each, and an instruction for the upper half of every input.
#[inline]
#[target_feature(enable = "neon")]
fn product_high(tap: Tap) -> int16x8_t {
    let product;
    // SAFETY: touches its registers only.
    unsafe {
        asm!(
            "smull2 {product:v}.8h, {input:v}.16b, {weight:v}.16b",
            product = lateout(vreg) product,
            input = in(vreg) tap.0,
            weight = in(vreg) tap.1,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    product
}

#[inline]
#[target_feature(enable = "neon")]
fn widen(sums: Sums, low: int16x8_t, high: int16x8_t) -> Sums {
    [
        vaddw_s16(sums[0], vget_low_s16(low)),
        vaddw_high_s16(sums[1], low),
        vaddw_s16(sums[2], vget_low_s16(high)),
        vaddw_high_s16(sums[3], high),
    ]
}
