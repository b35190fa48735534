//! Depthwise convolutions of a square of three by dot products: the taps below each other are one dword.
//!
//! The packing has four weights for three rows, the last is nought. Each input column is put into dwords once and added
//! to all outputs that it is part of. Other squares are made as in [`super::depthwise`].

use super::super::{BLOCK, DepthwiseRow};
use super::dot::beginning;
use super::{At, Begin, Pixel, Sums, depthwise, signed, store};
use core::arch::aarch64::{int8x16_t, vdupq_n_s8, vld1q_s8, vzip1q_s8, vzip2q_s8};
use core::arch::asm;

/// # Safety
/// As for [`super::super::Isa::depthwise`], and the row has these pixels; the processor has dot products.
#[target_feature(enable = "dotprod")]
pub unsafe fn sums(row: &DepthwiseRow, at: At, begin: &Begin, pixels: &mut [Pixel]) {
    // SAFETY: promised by the caller.
    unsafe {
        match (row.weights.side, row.stride) {
            (3, 1) => by_one(row, at, begin, pixels),
            (3, 2) => by_two(row, at, begin, pixels),
            _ => depthwise::sums(row, at, begin, pixels),
        }
    }
}

/// Four bytes of each of sixteen channels.
type Dwords = [int8x16_t; 4];

/// Stride 1. Two outputs are always begun, and the column that ends one begins the next but one in its place.
///
/// # Safety
/// As for [`sums`].
#[target_feature(enable = "dotprod")]
unsafe fn by_one(row: &DepthwiseRow, At { n, mut x, .. }: At, begin: &Begin, pixels: &mut [Pixel]) {
    let [left, middle, right] = square(row, n);
    // SAFETY: promised by the caller: the input has two columns more than there are outputs.
    unsafe {
        let column = dwords(row, n, x);
        let mut a = add(beginning(begin), &left, &column);
        let column = dwords(row, n, x + 1);
        a = add(a, &middle, &column);
        let mut b = add(beginning(begin), &left, &column);
        let (pairs, rest) = pixels.as_chunks_mut::<2>();
        for [first, second] in pairs {
            let column = dwords(row, n, x + 2);
            store(first, add(a, &right, &column));
            b = add(b, &middle, &column);
            a = add(beginning(begin), &left, &column);
            let column = dwords(row, n, x + 3);
            store(second, add(b, &right, &column));
            a = add(a, &middle, &column);
            b = add(beginning(begin), &left, &column);
            x += 2;
        }
        if let [last] = rest {
            store(last, add(a, &right, &dwords(row, n, x + 2)));
        }
    }
}

/// Stride 2: the column that ends an output begins the next.
///
/// # Safety
/// As for [`sums`].
#[target_feature(enable = "dotprod")]
unsafe fn by_two(row: &DepthwiseRow, At { n, x, .. }: At, begin: &Begin, pixels: &mut [Pixel]) {
    let [left, middle, right] = square(row, n);
    // SAFETY: promised by the caller.
    unsafe {
        let mut sums = add(beginning(begin), &left, &dwords(row, n, 2 * x));
        for (x, pixel) in (x..).zip(pixels) {
            sums = add(sums, &middle, &dwords(row, n, 2 * x + 1));
            let column = dwords(row, n, 2 * x + 2);
            store(pixel, add(sums, &right, &column));
            sums = add(beginning(begin), &left, &column);
        }
    }
}

/// Weights of a square of three, by columns.
#[target_feature(enable = "dotprod")]
fn square(row: &DepthwiseRow, n: usize) -> [Dwords; 3] {
    let weights = &row.weights.bytes[n * 12..][..BLOCK * 12];
    let mut columns = [[vdupq_n_s8(0); 4]; 3];
    for (i, quad) in columns.as_flattened_mut().iter_mut().enumerate() {
        // SAFETY: twelve times sixteen bytes lie there.
        *quad = unsafe { vld1q_s8(weights.as_ptr().add(16 * i)) };
    }
    columns
}

/// An input pixel and the two below it, the middle one twice.
///
/// # Safety
/// The row has them.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn dwords(row: &DepthwiseRow, n: usize, x: usize) -> Dwords {
    // SAFETY: promised by the caller.
    let (top, middle, bottom) = unsafe {
        let top = row.from.add(x * row.pixel + n);
        (signed(top), signed(top.add(row.line)), signed(top.add(2 * row.line)))
    };
    let (outer_low, outer_high) = (vzip1q_s8(top, bottom), vzip2q_s8(top, bottom));
    let (inner_low, inner_high) = (vzip1q_s8(middle, middle), vzip2q_s8(middle, middle));
    [
        vzip1q_s8(outer_low, inner_low),
        vzip2q_s8(outer_low, inner_low),
        vzip1q_s8(outer_high, inner_high),
        vzip2q_s8(outer_high, inner_high),
    ]
}

/// As one piece, and (not being `pure`) in the order written, so that no more columns are begun than there are registers
/// for.
#[inline]
#[target_feature(enable = "dotprod")]
fn add(mut sums: Sums, weights: &Dwords, column: &Dwords) -> Sums {
    // SAFETY: the instruction is there, as this function's features say, and touches its registers only.
    unsafe {
        asm!(
            "sdot {s0:v}.4s, {w0:v}.16b, {c0:v}.16b",
            "sdot {s1:v}.4s, {w1:v}.16b, {c1:v}.16b",
            "sdot {s2:v}.4s, {w2:v}.16b, {c2:v}.16b",
            "sdot {s3:v}.4s, {w3:v}.16b, {c3:v}.16b",
            s0 = inout(vreg) sums[0],
            s1 = inout(vreg) sums[1],
            s2 = inout(vreg) sums[2],
            s3 = inout(vreg) sums[3],
            w0 = in(vreg) weights[0],
            w1 = in(vreg) weights[1],
            w2 = in(vreg) weights[2],
            w3 = in(vreg) weights[3],
            c0 = in(vreg) column[0],
            c1 = in(vreg) column[1],
            c2 = in(vreg) column[2],
            c3 = in(vreg) column[3],
            options(nomem, nostack, preserves_flags),
        );
    }
    sums
}
