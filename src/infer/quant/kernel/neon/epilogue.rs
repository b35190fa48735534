//! From sums to bytes or reals, sixteen channels of some pixels of a row.

use super::super::{Act, Added, BLOCK, Epilogue, Out, logistic};
use super::quads::{Table, as_reals, bytes, fused, map, quads, reals, rounded, scaled, sigmoid};
use super::{At, Pixel, load};
use core::arch::aarch64::*;

/// Products of which no sum leaves 22 bits.
const FEW_PRODUCTS: usize = (1 << 22) / (255 * 127);

/// Where the sums of a row go.
///
/// Between integers and reals it is a long way in some processors. Where all values are known to be small, an addition
/// does the same: [`logistic::MAGIC`] plus a whole number has that number in its lowest bits, and adding it to a real
/// rounds that to a whole number, ties to even.
pub struct Sink<'a> {
    epilogue: &'a Epilogue,
    added: Added,
    out: Out,
    products: usize,
    /// The processor is one of those with dot products.
    dot: bool,
}

impl<'a> Sink<'a> {
    /// For sums of `products` products.
    pub fn new(epilogue: &'a Epilogue, added: Added, out: Out, products: usize, dot: bool) -> Self {
        Sink { epilogue, added, out, products, dot }
    }

    /// Whether the values of the channels from `n` on are so small that their sums have to begin at [`Self::LIFT`]: no
    /// sum leaves 22 bits, and no real that is to be rounded 16. (Where a sigmoid is to be made, it makes no difference.)
    #[target_feature(enable = "neon")]
    pub fn small(&self, n: usize) -> bool {
        let Epilogue { act, mult, bias, scale, zero, .. } = self.epilogue;
        let tabled = *act == Act::Table;
        if self.products > FEW_PRODUCTS || !tabled && self.slope().is_none() {
            return false;
        }
        let of = |list: &[f32]| quads(block(list, n));
        let (mult, bias) = (of(mult), of(bias));
        let reach = vdupq_n_f32(255.0 * 127.0 * self.products as f32);
        let mut most = vdupq_n_f32(0.0);
        for j in 0..4 {
            let y = vfmaq_f32(vabsq_f32(bias[j]), vabsq_f32(mult[j]), reach);
            let real = if tabled { y } else { vfmaq_f32(vabsq_f32(of(zero)[j]), y, vabsq_f32(of(scale)[j])) };
            most = vmaxq_f32(most, real);
        }
        // Far enough from 32767 for all that was rounded on the way.
        vmaxvq_f32(most) < 32_000.0
    }

    /// What small sums begin at, besides their offsets.
    pub const LIFT: i32 = logistic::MAGIC.to_bits().cast_signed();

    /// That of the cheapest rows, which [`Self::bend`] makes.
    fn slope(&self) -> Option<f32> {
        match (self.epilogue.act, self.out) {
            (Act::Slope(slope), Out::Bytes { .. }) if self.added.from.is_null() && (0.0..=1.0).contains(&slope) => {
                Some(slope)
            }
            _ => None,
        }
    }

    /// What becomes of the sums of the channels from `n` and the pixels from `x` on. `pixels` is scratch afterwards.
    ///
    /// # Safety
    /// The row has them: they may be written, and what is added be read.
    #[target_feature(enable = "neon")]
    pub unsafe fn finish(&self, At { n, x, small }: At, pixels: &mut [Pixel]) {
        // SAFETY: promised by the caller.
        unsafe {
            match (self.epilogue.act, self.out) {
                (Act::Table, Out::Bytes { to, pixel }) => {
                    let to = to.add(x * pixel + n);
                    match (small, self.dot) {
                        (true, true) => self.look_up::<true, true>(n, pixels, to, pixel),
                        (true, false) => self.look_up::<true, false>(n, pixels, to, pixel),
                        (false, true) => self.look_up::<false, true>(n, pixels, to, pixel),
                        (false, false) => self.look_up::<false, false>(n, pixels, to, pixel),
                    }
                    if !self.added.from.is_null() {
                        self.add_to_found(n, x, pixels.len(), to, pixel);
                    }
                }
                (act, out) => {
                    if let (Some(slope), Out::Bytes { to, pixel }) = (self.slope(), out) {
                        let to = to.add(x * pixel + n);
                        if small {
                            self.bend::<true>(n, slope, pixels, to, pixel);
                        } else {
                            self.bend::<false>(n, slope, pixels, to, pixel);
                        }
                        return;
                    }
                    self.activate(act, n, pixels);
                    self.put(n, x, pixels, out);
                }
            }
        }
    }

    /// # Safety
    /// At `to`, and from there on every `pixel` bytes, sixteen bytes of every pixel may be written.
    #[target_feature(enable = "neon")]
    unsafe fn look_up<const SMALL: bool, const DOT: bool>(
        &self,
        n: usize,
        pixels: &[Pixel],
        mut to: *mut u8,
        pixel: usize,
    ) {
        let table = Table::new(&self.epilogue.table, n);
        let (mult, bias) = (block(&self.epilogue.mult, n), block(&self.epilogue.bias, n));
        for sums in pixels {
            let [low, high] = rounded::<SMALL>(scaled::<SMALL>(sums, mult, bias));
            let place = vreinterpretq_u8_s8(vqmovn_high_s16(vqmovn_s16(low), high));
            // SAFETY: promised by the caller.
            unsafe { vst1q_u8(to, if DOT { table.look_up_by_parts(place) } else { table.look_up(place) }) };
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
                vst1q_u8(at, bytes::<false>(fused(fused(zero, found, scale), added, add)));
            }
        }
    }

    /// All at once for the cheapest activations, with a slope in 0..=1: what is not negative is no less than its part
    /// of it, what is negative no more.
    ///
    /// # Safety
    /// As for [`Self::look_up`].
    #[target_feature(enable = "neon")]
    unsafe fn bend<const SMALL: bool>(&self, n: usize, slope: f32, pixels: &[Pixel], mut to: *mut u8, pixel: usize) {
        let of = |list| block(list, n);
        let (mult, bias) = (of(&self.epilogue.mult), of(&self.epilogue.bias));
        let (scale, zero) = (quads(of(&self.epilogue.scale)), quads(of(&self.epilogue.zero)));
        let slope = vdupq_n_f32(slope);
        for sums in pixels {
            let mut y = scaled::<SMALL>(sums, mult, bias);
            for y in &mut y {
                *y = vmaxq_f32(*y, vmulq_f32(*y, slope));
            }
            // SAFETY: promised by the caller.
            unsafe { vst1q_u8(to, bytes::<SMALL>(fused(zero, y, scale))) };
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
                    unsafe { to.wrapping_add(x * pixel + n).copy_from_nonoverlapping(reals.as_ptr(), count) };
                }
                return;
            }
        };
        let (scale, zero) = (of(&self.epilogue.scale), of(&self.epilogue.zero));
        if self.added.from.is_null() {
            for (x, a) in (x..).zip(pixels) {
                let y = fused(zero, as_reals(load(a)), scale);
                // SAFETY: promised by the caller.
                unsafe { vst1q_u8(to.add(x * pixel + n), bytes::<false>(y)) };
            }
            return;
        }
        let add = of(&self.epilogue.add_scale);
        for (x, a) in (x..).zip(pixels) {
            // SAFETY: promised by the caller.
            let added = reals(unsafe { vld1q_u8(self.added.from.add(x * self.added.pixel + n)) });
            let y = fused(zero, fused(as_reals(load(a)), added, add), scale);
            // SAFETY: promised by the caller.
            unsafe { vst1q_u8(to.add(x * pixel + n), bytes::<false>(y)) };
        }
    }
}

/// The constants of the sixteen channels from `n` on.
fn block(list: &[f32], n: usize) -> &[f32; BLOCK] {
    list[n..].first_chunk().expect("constants of all padded channels")
}
