//! Convolutions over all channels by dot products of four bytes.

use super::super::DenseRow;
use super::{At, Begin, Pixel, Sums, block, signed, store};
use core::arch::aarch64::{int8x16_t, int32x4_t, vdupq_n_s8, vdupq_n_s32, vld1q_s8};
use core::arch::asm;

/// Most pixels that are made together: their 20 registers of sums and five of input leave some for weights. A sixth
/// would only fit if not one register were needed for anything else.
const TILE: usize = 5;

/// What a block of sixteen channels has to its own.
#[derive(Clone, Copy)]
struct Block<'a> {
    weights: &'a [i8],
    begin: &'a Begin,
}

/// Tiles are as large as possible, and then as equal as possible: 13 pixels are 5, 4 and 4.
///
/// # Safety
/// As for [`super::super::Isa::dense`], and the row has these pixels; the processor has dot products.
#[target_feature(enable = "dotprod")]
pub unsafe fn sums(row: &DenseRow, At { n, x, .. }: At, begin: &Begin, pixels: &mut [Pixel]) {
    let block = Block { weights: block(row, n), begin };
    let tiles = pixels.len().div_ceil(TILE).max(1);
    let (size, larger) = (pixels.len() / tiles, pixels.len() % tiles);
    let (first, rest) = pixels.split_at_mut(larger * (size + 1));
    // SAFETY: promised by the caller.
    unsafe {
        tiled(row, block, size + 1, x, first);
        tiled(row, block, size, x + larger * (size + 1), rest);
    }
}

/// # Safety
/// As for [`sums`].
#[target_feature(enable = "dotprod")]
unsafe fn tiled(row: &DenseRow, block: Block, size: usize, x: usize, pixels: &mut [Pixel]) {
    // SAFETY: promised by the caller.
    unsafe {
        match size {
            1 => tiles::<1>(row, block, x, pixels),
            2 => tiles::<2>(row, block, x, pixels),
            3 => tiles::<3>(row, block, x, pixels),
            4 => tiles::<4>(row, block, x, pixels),
            _ => tiles::<TILE>(row, block, x, pixels),
        }
    }
}

/// # Safety
/// As for [`sums`].
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn tiles<const PIXELS: usize>(row: &DenseRow, block: Block, x: usize, pixels: &mut [Pixel]) {
    for (x, to) in (x..).step_by(PIXELS).zip(pixels.as_chunks_mut().0) {
        // SAFETY: promised by the caller.
        unsafe { tile::<PIXELS>(row, block, x, to) };
    }
}

/// # Safety
/// As for [`sums`].
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn tile<const PIXELS: usize>(row: &DenseRow, block: Block, x: usize, to: &mut [Pixel; PIXELS]) {
    let dwords = row.weights.dwords;
    let mut from = block.weights.as_ptr();
    let mut sums = [[vdupq_n_s32(0); 4]; PIXELS];
    for sums in &mut sums {
        *sums = beginning(block.begin);
    }
    for segment in row.segments {
        // SAFETY: the caller promises the segment, and bytes behind it to fill a register. A block has
        // weights of 64 bytes for every dword of every segment.
        unsafe {
            let mut input = row.from.add(segment + x * row.pixel);
            for _ in 0..dwords / 4 {
                let pixels = load_input::<PIXELS>(input, row.pixel);
                step::<0, PIXELS>(&mut sums, &pixels, from);
                step::<1, PIXELS>(&mut sums, &pixels, from.add(64));
                step::<2, PIXELS>(&mut sums, &pixels, from.add(128));
                step::<3, PIXELS>(&mut sums, &pixels, from.add(192));
                input = input.add(16);
                from = from.add(256);
            }
            let rest = dwords % 4;
            if rest > 0 {
                let pixels = load_input::<PIXELS>(input, row.pixel);
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

/// [`super::load`], but anew for every pixel: copying registers would keep those from work that multiply.
#[inline]
#[target_feature(enable = "dotprod")]
pub fn beginning(begin: &Begin) -> Sums {
    let mut sums = [vdupq_n_s32(0); 4];
    // SAFETY: sixteen values lie there.
    unsafe {
        asm!(
            "ldp {a:q}, {b:q}, [{from}]",
            "ldp {c:q}, {d:q}, [{from}, 32]",
            a = out(vreg) sums[0],
            b = out(vreg) sums[1],
            c = lateout(vreg) sums[2],
            d = lateout(vreg) sums[3],
            from = in(reg) begin.0.as_ptr(),
            options(readonly, nostack, preserves_flags),
        );
    }
    sums
}

/// # Safety
/// Sixteen bytes of each pixel may be read.
#[inline]
#[target_feature(enable = "dotprod")]
unsafe fn load_input<const PIXELS: usize>(input: *const u8, pixel: usize) -> [int8x16_t; PIXELS] {
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
        for (sums, pixel) in sums.iter_mut().zip(pixels) {
            sums[j] = dot::<LANE>(sums[j], weights, *pixel);
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
