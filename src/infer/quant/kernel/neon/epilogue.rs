//! From sums to bytes or reals, sixteen channels of a row.
//!
//! A table of 256 bytes fills half of the registers. So rows with tables are made twice: first the sums become places
//! in the table, which wait where the bytes will be; then one pass looks up all of the row with the table at hand.

use super::super::{Act, Added, BLOCK, Epilogue, Out, TABLE, logistic};
use super::Sums;
use core::arch::aarch64::*;

/// Where the sums of sixteen channels of a row go.
#[derive(Clone, Copy)]
pub struct Sink<'a> {
    epilogue: &'a Epilogue,
    added: Added,
    out: Out,
    /// The first of the channels.
    n: usize,
}

impl<'a> Sink<'a> {
    #[target_feature(enable = "neon")]
    pub fn new(epilogue: &'a Epilogue, added: Added, out: Out, n: usize) -> Self {
        assert!(n + BLOCK <= epilogue.mult.len().min(epilogue.bias.len()), "constants for every channel");
        Sink { epilogue, added, out, n }
    }

    /// Puts the sums of the pixels from `x` on. `TABLED` says whether the activation is a table.
    ///
    /// # Safety
    /// The row has these pixels: they may be written, and what is added be read.
    #[inline]
    #[target_feature(enable = "neon")]
    pub unsafe fn put<const TABLED: bool, const PIXELS: usize>(&self, x: usize, sums: [Sums; PIXELS]) {
        if !TABLED {
            // SAFETY: promised by the caller.
            unsafe { self.finish(x, &sums) };
            return;
        }
        let Out::Bytes { to, pixel } = self.out else { return };
        let (mult, bias) = (quads(&self.epilogue.mult, self.n), quads(&self.epilogue.bias, self.n));
        for (i, sums) in sums.into_iter().enumerate() {
            let y = [0, 1, 2, 3].map(|j| vcvtnq_s32_f32(vfmaq_f32(bias[j], vcvtq_f32_s32(sums[j]), mult[j])));
            let place = vqmovn_high_s16(vqmovn_s16(narrow(y[0], y[1])), narrow(y[2], y[3]));
            // SAFETY: promised by the caller.
            unsafe { vst1q_s8(to.add((x + i) * pixel + self.n).cast(), place) };
        }
    }

    /// To be called when all pixels of the row were put.
    ///
    /// # Safety
    /// As for [`Self::put`], for all of the row.
    #[inline(never)]
    #[target_feature(enable = "neon")]
    pub unsafe fn end(&self, width: usize) {
        let (Act::Table, Out::Bytes { to, pixel }) = (self.epilogue.act, self.out) else { return };
        let table = Table::new(&self.epilogue.table, self.n);
        if self.added.from.is_null() {
            for x in 0..width {
                // SAFETY: promised by the caller.
                unsafe {
                    let at = to.add(x * pixel + self.n);
                    vst1q_u8(at, table.look_up(vld1q_u8(at)));
                }
            }
            return;
        }
        let of = |list: &[f32]| quads(list, self.n);
        let (scale, zero, add) = (of(&self.epilogue.scale), of(&self.epilogue.zero), of(&self.epilogue.add_scale));
        for x in 0..width {
            // SAFETY: promised by the caller.
            unsafe {
                let at = to.add(x * pixel + self.n);
                let found = reals(table.look_up(vld1q_u8(at)));
                let added = reals(vld1q_u8(self.added.from.add(x * self.added.pixel + self.n)));
                let y = [0, 1, 2, 3].map(|j| vfmaq_f32(vfmaq_f32(zero[j], found[j], scale[j]), added[j], add[j]));
                vst1q_u8(at, bytes(y));
            }
        }
    }

    /// Puts pixels whose activation is not a table.
    ///
    /// # Safety
    /// As for [`Self::put`].
    #[inline(never)]
    #[target_feature(enable = "neon")]
    unsafe fn finish(&self, x: usize, sums: &[Sums]) {
        let nought = vdupq_n_f32(0.0);
        // SAFETY: promised by the caller.
        unsafe {
            match self.epilogue.act {
                Act::Slope(1.0) | Act::Table => self.each(x, sums, |y| y),
                // What is not negative is no less than its part of it, what is negative no more.
                Act::Slope(slope) if (0.0..1.0).contains(&slope) => {
                    self.each(x, sums, |y| vmaxq_f32(y, vmulq_f32(y, vdupq_n_f32(slope))));
                }
                Act::Slope(slope) => {
                    self.each(x, sums, |y| vbslq_f32(vcgeq_f32(y, nought), y, vmulq_f32(vdupq_n_f32(slope), y)))
                }
                Act::Silu => self.each(x, sums, |y| vmulq_f32(y, sigmoid(y))),
                Act::Sigmoid => self.each(x, sums, |y| sigmoid(y)),
                Act::HardSwish => self.each(x, sums, |y| {
                    let part = vminq_f32(vmaxq_f32(vaddq_f32(y, vdupq_n_f32(3.0)), nought), vdupq_n_f32(6.0));
                    vmulq_f32(vmulq_f32(y, part), vdupq_n_f32(1.0 / 6.0))
                }),
            }
        }
    }

    /// # Safety
    /// As for [`Self::put`].
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn each(&self, x: usize, sums: &[Sums], act: impl Fn(float32x4_t) -> float32x4_t) {
        let of = |list: &[f32]| quads(list, self.n);
        let (mult, bias) = (of(&self.epilogue.mult), of(&self.epilogue.bias));
        let real = |sums: &Sums| [0, 1, 2, 3].map(|j| act(vfmaq_f32(bias[j], vcvtq_f32_s32(sums[j]), mult[j])));
        match self.out {
            Out::Reals { to, pixel, channels } => {
                let count = channels.saturating_sub(self.n).min(BLOCK);
                for (x, sums) in (x..).zip(sums) {
                    // SAFETY: promised by the caller, for the channels that are not padding.
                    unsafe { store_reals(to.add(x * pixel + self.n), real(sums), count) };
                }
            }
            Out::Bytes { to, pixel } => {
                let (scale, zero) = (of(&self.epilogue.scale), of(&self.epilogue.zero));
                if self.added.from.is_null() {
                    for (x, sums) in (x..).zip(sums) {
                        let a = real(sums);
                        let byte = bytes([0, 1, 2, 3].map(|j| vfmaq_f32(zero[j], a[j], scale[j])));
                        // SAFETY: promised by the caller.
                        unsafe { vst1q_u8(to.add(x * pixel + self.n), byte) };
                    }
                    return;
                }
                let add = of(&self.epilogue.add_scale);
                for (x, sums) in (x..).zip(sums) {
                    // SAFETY: promised by the caller.
                    let added = reals(unsafe { vld1q_u8(self.added.from.add(x * self.added.pixel + self.n)) });
                    let a = real(sums);
                    let a = [0, 1, 2, 3].map(|j| vfmaq_f32(a[j], added[j], add[j]));
                    let byte = bytes([0, 1, 2, 3].map(|j| vfmaq_f32(zero[j], a[j], scale[j])));
                    // SAFETY: promised by the caller.
                    unsafe { vst1q_u8(to.add(x * pixel + self.n), byte) };
                }
            }
        }
    }
}

/// 256 bytes, in registers of sixteen.
struct Table([uint8x16x4_t; 4]);

impl Table {
    /// That of the sixteen channels from `n` on.
    #[inline]
    #[target_feature(enable = "neon")]
    fn new(tables: &[u8], n: usize) -> Self {
        let table = &tables[n / BLOCK * TABLE..][..TABLE];
        // SAFETY: 256 bytes lie there.
        unsafe { Table([0, 64, 128, 192].map(|i| vld1q_u8_x4(table.as_ptr().add(i)))) }
    }

    /// The bytes at `place + 128`, for places in -128..=127.
    ///
    /// An instruction looks up one of 64 bytes and lets alone what lies outside of them. Flipping the two highest bits
    /// of a place brings one quarter after the other into reach: that from 128 on is there at once, as place 0.
    #[inline]
    #[target_feature(enable = "neon")]
    fn look_up(&self, place: uint8x16_t) -> uint8x16_t {
        let flip = |bits: u8| veorq_u8(place, vdupq_n_u8(bits));
        let found = vqtbl4q_u8(self.0[2], place);
        let found = vqtbx4q_u8(found, self.0[3], flip(0x40));
        let found = vqtbx4q_u8(found, self.0[0], flip(0x80));
        vqtbx4q_u8(found, self.0[1], flip(0xC0))
    }
}

/// Sixteen reals of a list.
#[inline]
#[target_feature(enable = "neon")]
fn quads(list: &[f32], n: usize) -> [float32x4_t; 4] {
    let list = &list[n..n + BLOCK];
    // SAFETY: sixteen values lie there.
    unsafe { [0, 4, 8, 12].map(|i| vld1q_f32(list.as_ptr().add(i))) }
}

#[inline]
#[target_feature(enable = "neon")]
fn reals(bytes: uint8x16_t) -> [float32x4_t; 4] {
    let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
    [vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)]
        .map(|quad| vcvtq_f32_u32(quad))
}

/// Rounded to even, and cut off at 0 and 255: by the steps to 32, 16 and 8 bits.
#[inline]
#[target_feature(enable = "neon")]
fn bytes(reals: [float32x4_t; 4]) -> uint8x16_t {
    let y = reals.map(|quad| vcvtnq_s32_f32(quad));
    vqmovun_high_s16(vqmovun_s16(narrow(y[0], y[1])), narrow(y[2], y[3]))
}

#[inline]
#[target_feature(enable = "neon")]
fn narrow(low: int32x4_t, high: int32x4_t) -> int16x8_t {
    vqmovn_high_s32(vqmovn_s32(low), high)
}

/// # Safety
/// `count` reals may be written, at most sixteen.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn store_reals(to: *mut f32, reals: [float32x4_t; 4], count: usize) {
    let mut all = [0.0; BLOCK];
    // SAFETY: sixteen have room in `all`, and where they go if there are as many.
    unsafe {
        let whole = if count == BLOCK { to } else { all.as_mut_ptr() };
        for (i, quad) in reals.into_iter().enumerate() {
            vst1q_f32(whole.add(4 * i), quad);
        }
        if count < BLOCK {
            to.copy_from_nonoverlapping(all.as_ptr(), count);
        }
    }
}

/// See [`logistic`] for the steps.
#[inline]
#[target_feature(enable = "neon")]
fn sigmoid(y: float32x4_t) -> float32x4_t {
    use logistic::{BOUND, MAGIC, NEG_LOG2_E, POW, RECIPROCAL};
    let all = |value: f32| vdupq_n_f32(value);
    let bits = |real: float32x4_t| vreinterpretq_s32_f32(real);
    let real = |bits: int32x4_t| vreinterpretq_f32_s32(bits);
    let t = vminq_f32(vmaxq_f32(vmulq_f32(y, all(NEG_LOG2_E)), all(-BOUND)), all(BOUND));
    let z = vaddq_f32(t, all(MAGIC));
    let f = vsubq_f32(t, vsubq_f32(z, all(MAGIC)));
    let p = vfmaq_f32(all(POW[2]), f, all(POW[3]));
    let p = vfmaq_f32(all(POW[1]), p, f);
    let p = vfmaq_f32(all(POW[0]), p, f);
    let e = real(vaddq_s32(bits(p), vshlq_n_s32::<23>(bits(z))));
    let d = vaddq_f32(e, all(1.0));
    let r = real(vsubq_s32(vdupq_n_s32(RECIPROCAL), bits(d)));
    let h = vfmsq_f32(all(1.0), d, r);
    let r = vfmaq_f32(r, r, vfmaq_f32(h, h, h));
    let h = vfmsq_f32(all(1.0), d, r);
    vfmaq_f32(r, r, h)
}
