//! From sums to bytes or reals, sixteen channels of some pixels of a row.

use super::super::{Act, Added, BLOCK, Epilogue, Out, TABLE, logistic};
use super::Pixel;
use core::arch::aarch64::*;

/// Where the sums of a row go.
pub struct Sink<'a> {
    epilogue: &'a Epilogue,
    added: Added,
    out: Out,
}

/// Sixteen reals: of a pixel, or of the constants of its channels.
type Reals = [float32x4_t; 4];

impl<'a> Sink<'a> {
    pub fn new(epilogue: &'a Epilogue, added: Added, out: Out) -> Self {
        Sink { epilogue, added, out }
    }

    /// What becomes of the sums of the channels from `n` and the pixels from `x` on. `pixels` is scratch afterwards.
    ///
    /// # Safety
    /// The row has them: they may be written, and what is added be read.
    #[target_feature(enable = "neon")]
    pub unsafe fn finish(&self, n: usize, x: usize, pixels: &mut [Pixel]) {
        // SAFETY: promised by the caller.
        unsafe {
            match (self.epilogue.act, self.out) {
                (Act::Table, Out::Bytes { to, pixel }) => {
                    let to = to.add(x * pixel + n);
                    self.look_up(n, pixels, to, pixel);
                    if !self.added.from.is_null() {
                        self.add_to_found(n, x, pixels.len(), to, pixel);
                    }
                }
                (Act::Slope(slope), Out::Bytes { to, pixel })
                    if self.added.from.is_null() && (0.0..=1.0).contains(&slope) =>
                {
                    self.bend(n, slope, pixels, to.add(x * pixel + n), pixel);
                }
                (act, out) => {
                    self.activate(act, n, pixels);
                    self.put(n, x, pixels, out);
                }
            }
        }
    }

    /// # Safety
    /// At `to`, and from there on every `pixel` bytes, sixteen bytes of every pixel may be written.
    #[target_feature(enable = "neon")]
    unsafe fn look_up(&self, n: usize, pixels: &[Pixel], mut to: *mut u8, pixel: usize) {
        let table = Table::new(&self.epilogue.table, n);
        let (mult, bias) = (block(&self.epilogue.mult, n), block(&self.epilogue.bias, n));
        for sums in pixels {
            let place = |j: usize| vcvtnq_s32_f32(scaled(sums, j, mult, bias));
            let place = vqmovn_high_s16(vqmovn_s16(narrow(place(0), place(1))), narrow(place(2), place(3)));
            // SAFETY: promised by the caller.
            unsafe { vst1q_u8(to, table.look_up(vreinterpretq_u8_s8(place))) };
            to = to.wrapping_add(pixel);
        }
    }

    /// Adds a tensor to what was found in a table.
    ///
    /// # Safety
    /// As for [`Self::look_up`], and what is added may be read.
    #[target_feature(enable = "neon")]
    unsafe fn add_to_found(&self, n: usize, x: usize, count: usize, to: *mut u8, pixel: usize) {
        let of = |list: &[f32]| quads(block(list, n));
        let (scale, zero, add) = (of(&self.epilogue.scale), of(&self.epilogue.zero), of(&self.epilogue.add_scale));
        for i in 0..count {
            // SAFETY: promised by the caller.
            unsafe {
                let at = to.add(i * pixel);
                let found = reals(vld1q_u8(at));
                let added = reals(vld1q_u8(self.added.from.add((x + i) * self.added.pixel + n)));
                let y = [0, 1, 2, 3].map(|j| vfmaq_f32(vfmaq_f32(zero[j], found[j], scale[j]), added[j], add[j]));
                vst1q_u8(at, bytes(y));
            }
        }
    }

    /// All at once for the cheapest activations, with a slope in 0..=1: what is not negative is no less than its part
    /// of it, what is negative no more.
    ///
    /// # Safety
    /// As for [`Self::look_up`].
    #[target_feature(enable = "neon")]
    unsafe fn bend(&self, n: usize, slope: f32, pixels: &[Pixel], mut to: *mut u8, pixel: usize) {
        let of = |list| block(list, n);
        let (mult, bias) = (of(&self.epilogue.mult), of(&self.epilogue.bias));
        let (scale, zero) = (quads(of(&self.epilogue.scale)), quads(of(&self.epilogue.zero)));
        let slope = vdupq_n_f32(slope);
        for sums in pixels {
            let y = [0, 1, 2, 3].map(|j| {
                let y = scaled(sums, j, mult, bias);
                vfmaq_f32(zero[j], vmaxq_f32(y, vmulq_f32(y, slope)), scale[j])
            });
            // SAFETY: promised by the caller.
            unsafe { vst1q_u8(to, bytes(y)) };
            to = to.wrapping_add(pixel);
        }
    }

    /// Has the reals after the activation take the place of the sums.
    #[target_feature(enable = "neon")]
    fn activate(&self, act: Act, n: usize, pixels: &mut [Pixel]) {
        let (mult, bias) = (block(&self.epilogue.mult, n), block(&self.epilogue.bias, n));
        let nought = vdupq_n_f32(0.0);
        match act {
            Act::Slope(slope) => {
                map(pixels, mult, bias, |y| vbslq_f32(vcgeq_f32(y, nought), y, vmulq_f32(vdupq_n_f32(slope), y)))
            }
            Act::Silu => map(pixels, mult, bias, |y| vmulq_f32(y, sigmoid(y))),
            Act::Sigmoid => map(pixels, mult, bias, |y| sigmoid(y)),
            Act::HardSwish => map(pixels, mult, bias, |y| {
                let part = vminq_f32(vmaxq_f32(vaddq_f32(y, vdupq_n_f32(3.0)), nought), vdupq_n_f32(6.0));
                vmulq_f32(vmulq_f32(y, part), vdupq_n_f32(1.0 / 6.0))
            }),
            Act::Table => map(pixels, mult, bias, |y| y),
        }
    }

    /// Puts reals where they belong.
    ///
    /// # Safety
    /// As for [`Self::finish`].
    #[target_feature(enable = "neon")]
    unsafe fn put(&self, n: usize, x: usize, pixels: &[Pixel], out: Out) {
        let of = |list: &[f32]| quads(block(list, n));
        let (to, pixel) = match out {
            Out::Bytes { to, pixel } => (to, pixel),
            Out::Reals { to, pixel, channels } => {
                let count = channels.saturating_sub(n).min(BLOCK);
                for (x, reals) in (x..).zip(pixels) {
                    let reals = reals.0.map(|bits| f32::from_bits(bits.cast_unsigned()));
                    // SAFETY: promised by the caller, for the channels that are not padding.
                    unsafe { to.add(x * pixel + n).copy_from_nonoverlapping(reals.as_ptr(), count) };
                }
                return;
            }
        };
        let (scale, zero) = (of(&self.epilogue.scale), of(&self.epilogue.zero));
        if self.added.from.is_null() {
            for (x, a) in (x..).zip(pixels) {
                let y = [0, 1, 2, 3].map(|j| vfmaq_f32(zero[j], vreinterpretq_f32_s32(quad(a, j)), scale[j]));
                // SAFETY: promised by the caller.
                unsafe { vst1q_u8(to.add(x * pixel + n), bytes(y)) };
            }
            return;
        }
        let add = of(&self.epilogue.add_scale);
        for (x, a) in (x..).zip(pixels) {
            // SAFETY: promised by the caller.
            let added = reals(unsafe { vld1q_u8(self.added.from.add(x * self.added.pixel + n)) });
            let y = [0, 1, 2, 3].map(|j| {
                let a = vfmaq_f32(vreinterpretq_f32_s32(quad(a, j)), added[j], add[j]);
                vfmaq_f32(zero[j], a, scale[j])
            });
            // SAFETY: promised by the caller.
            unsafe { vst1q_u8(to.add(x * pixel + n), bytes(y)) };
        }
    }
}

/// Four channels after the other, so that their constants stay where they are for all pixels.
#[inline]
#[target_feature(enable = "neon")]
fn map(pixels: &mut [Pixel], mult: &[f32; BLOCK], bias: &[f32; BLOCK], act: impl Fn(float32x4_t) -> float32x4_t) {
    for j in 0..4 {
        let (mult, bias) = (quads(mult)[j], quads(bias)[j]);
        for pixel in &mut *pixels {
            let y = vfmaq_f32(bias, vcvtq_f32_s32(quad(pixel, j)), mult);
            // SAFETY: quad `j` of a pixel has room for four values.
            unsafe { vst1q_s32(pixel.0.as_mut_ptr().add(4 * j), vreinterpretq_s32_f32(act(y))) };
        }
    }
}

/// Sums `4j..4j+4` of a pixel.
#[inline]
#[target_feature(enable = "neon")]
fn quad(pixel: &Pixel, j: usize) -> int32x4_t {
    let quad = &pixel.0[4 * j..4 * j + 4];
    // SAFETY: four values lie there.
    unsafe { vld1q_s32(quad.as_ptr()) }
}

/// Reals before the activation, of sums `4j..4j+4` of a pixel.
#[inline]
#[target_feature(enable = "neon")]
fn scaled(pixel: &Pixel, j: usize, mult: &[f32; BLOCK], bias: &[f32; BLOCK]) -> float32x4_t {
    vfmaq_f32(quads(bias)[j], vcvtq_f32_s32(quad(pixel, j)), quads(mult)[j])
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

/// The constants of the sixteen channels from `n` on.
fn block(list: &[f32], n: usize) -> &[f32; BLOCK] {
    list[n..].first_chunk().expect("constants of all padded channels")
}

#[inline]
#[target_feature(enable = "neon")]
fn quads(list: &[f32; BLOCK]) -> Reals {
    // SAFETY: sixteen values lie there.
    unsafe { [0, 4, 8, 12].map(|i| vld1q_f32(list.as_ptr().add(i))) }
}

#[inline]
#[target_feature(enable = "neon")]
fn reals(bytes: uint8x16_t) -> Reals {
    let (low, high) = (vmovl_u8(vget_low_u8(bytes)), vmovl_high_u8(bytes));
    [vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high)), vmovl_high_u16(high)]
        .map(|quad| vcvtq_f32_u32(quad))
}

/// Rounded to even, and cut off at 0 and 255: by the steps to 32, 16 and 8 bits.
#[inline]
#[target_feature(enable = "neon")]
fn bytes(reals: Reals) -> uint8x16_t {
    let y = reals.map(|quad| vcvtnq_s32_f32(quad));
    vqmovun_high_s16(vqmovun_s16(narrow(y[0], y[1])), narrow(y[2], y[3]))
}

#[inline]
#[target_feature(enable = "neon")]
fn narrow(low: int32x4_t, high: int32x4_t) -> int16x8_t {
    vqmovn_high_s32(vqmovn_s32(low), high)
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
