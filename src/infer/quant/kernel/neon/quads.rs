//! What is done to sixteen channels in four registers.
//!
//! Written in loops over arrays and not with `map`: what a closure there does is not always made part of its caller, and
//! then every register goes through memory.

use super::super::{BLOCK, TABLE, logistic};
use super::{Pixel, Sums, load};
use core::arch::aarch64::*;

/// Sixteen reals: of a pixel, or of the constants of its channels.
pub type Reals = [float32x4_t; 4];

#[inline]
#[target_feature(enable = "neon")]
pub fn quads(list: &[f32; BLOCK]) -> Reals {
    let quad = |i: usize| {
        // SAFETY: sixteen values lie there.
        unsafe { vld1q_f32(list.as_ptr().add(4 * i)) }
    };
    [quad(0), quad(1), quad(2), quad(3)]
}

#[inline]
#[target_feature(enable = "neon")]
pub fn as_reals(bits: Sums) -> Reals {
    let [a, b, c, d] = bits;
    [vreinterpretq_f32_s32(a), vreinterpretq_f32_s32(b), vreinterpretq_f32_s32(c), vreinterpretq_f32_s32(d)]
}

/// `a * b + to`, rounded once.
#[inline]
#[target_feature(enable = "neon")]
pub fn fused(mut to: Reals, a: Reals, b: Reals) -> Reals {
    for j in 0..4 {
        to[j] = vfmaq_f32(to[j], a[j], b[j]);
    }
    to
}

/// Reals before the activation. `LIFTED` says whether the sums are.
#[inline]
#[target_feature(enable = "neon")]
pub fn scaled<const LIFTED: bool>(sums: &Pixel, mult: &[f32; BLOCK], bias: &[f32; BLOCK]) -> Reals {
    let sums = load(sums);
    let mut real = as_reals(sums);
    for j in 0..4 {
        real[j] = if LIFTED { vsubq_f32(real[j], vdupq_n_f32(logistic::MAGIC)) } else { vcvtq_f32_s32(sums[j]) };
    }
    fused(quads(bias), real, quads(mult))
}

/// Has the reals after an activation take the place of the sums. Four channels come after the other, so that their
/// constants stay where they are for all pixels.
#[inline]
#[target_feature(enable = "neon")]
pub fn map(pixels: &mut [Pixel], mult: &[f32; BLOCK], bias: &[f32; BLOCK], act: impl Fn(float32x4_t) -> float32x4_t) {
    for j in 0..4 {
        let (mult, bias) = (quads(mult)[j], quads(bias)[j]);
        for pixel in &mut *pixels {
            // SAFETY: quad `j` of a pixel has four values.
            unsafe {
                let at = pixel.0.as_mut_ptr().add(4 * j);
                let y = vfmaq_f32(bias, vcvtq_f32_s32(vld1q_s32(at)), mult);
                vst1q_s32(at, vreinterpretq_s32_f32(act(y)));
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
pub fn reals(bytes: uint8x16_t) -> Reals {
    let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
    [
        vcvtq_f32_u32(vmovl_u16(vget_low_u16(low))),
        vcvtq_f32_u32(vmovl_high_u16(low)),
        vcvtq_f32_u32(vmovl_u16(vget_low_u16(high))),
        vcvtq_f32_u32(vmovl_high_u16(high)),
    ]
}

/// Rounded to even, and cut off at 0 and 255.
#[inline]
#[target_feature(enable = "neon")]
pub fn bytes<const SMALL: bool>(reals: Reals) -> uint8x16_t {
    let [low, high] = rounded::<SMALL>(reals);
    vqmovun_high_s16(vqmovun_s16(low), high)
}

/// Rounded to even, and cut off where 16 bits end. `SMALL` ones do not go that far.
#[inline]
#[target_feature(enable = "neon")]
pub fn rounded<const SMALL: bool>(reals: Reals) -> [int16x8_t; 2] {
    let half = |a: float32x4_t, b: float32x4_t| {
        if SMALL {
            // The number is in the lower half of the bits.
            let bits = |real| vreinterpretq_s16_f32(vaddq_f32(real, vdupq_n_f32(logistic::MAGIC)));
            vuzp1q_s16(bits(a), bits(b))
        } else {
            vqmovn_high_s32(vqmovn_s32(vcvtnq_s32_f32(a)), vcvtnq_s32_f32(b))
        }
    };
    [half(reals[0], reals[1]), half(reals[2], reals[3])]
}

/// 256 bytes, in registers of sixteen.
pub struct Table([uint8x16x4_t; 4]);

impl Table {
    /// That of the sixteen channels from `n` on.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn new(tables: &[u8], n: usize) -> Self {
        let table = &tables[n / BLOCK * TABLE..][..TABLE];
        let quarter = |i: usize| {
            // SAFETY: 256 bytes lie there.
            unsafe { vld1q_u8_x4(table.as_ptr().add(64 * i)) }
        };
        Table([quarter(0), quarter(1), quarter(2), quarter(3)])
    }

    /// The bytes at `place + 128`, for places in -128..=127.
    ///
    /// An instruction looks up one of 64 bytes and lets alone what lies outside of them. Flipping the two highest bits
    /// of a place brings one quarter after the other into reach: that from 128 on is there at once, as place 0.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn look_up(&self, place: uint8x16_t) -> uint8x16_t {
        let flip = |bits: u8| veorq_u8(place, vdupq_n_u8(bits));
        let found = vqtbl4q_u8(self.0[2], place);
        let found = vqtbx4q_u8(found, self.0[3], flip(0x40));
        let found = vqtbx4q_u8(found, self.0[0], flip(0x80));
        vqtbx4q_u8(found, self.0[1], flip(0xC0))
    }

    /// The same. Processors with dot products are slow at leaving alone what an index outside finds, but quick at having
    /// it be nought.
    #[inline]
    #[target_feature(enable = "neon")]
    pub fn look_up_by_parts(&self, place: uint8x16_t) -> uint8x16_t {
        let part = |i: usize, bits: u8| vqtbl4q_u8(self.0[i], veorq_u8(place, vdupq_n_u8(bits)));
        vorrq_u8(vorrq_u8(vqtbl4q_u8(self.0[2], place), part(3, 0x40)), vorrq_u8(part(0, 0x80), part(1, 0xC0)))
    }
}

/// See [`logistic`] for the steps.
#[inline]
#[target_feature(enable = "neon")]
pub fn sigmoid(y: float32x4_t) -> float32x4_t {
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
