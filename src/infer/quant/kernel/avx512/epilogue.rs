//! Sums that were stored become bytes or reals.

use super::table::{Sum, Table, store_four};
use super::{super::*, Sums};
use std::arch::x86_64::*;

/// See [`logistic`] for the steps.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn sigmoid(y: __m512) -> __m512 {
    use logistic::{BOUND, MAGIC, NEG_LOG2_E, POW, RECIPROCAL};
    let all = |real: f32| _mm512_set1_ps(real);
    let t = _mm512_mul_ps(y, all(NEG_LOG2_E));
    // The smaller of the absolute values, with the sign of `t`.
    let t = _mm512_range_ps::<0b00_10>(t, all(BOUND));
    let z = _mm512_add_ps(t, all(MAGIC));
    let f = _mm512_sub_ps(t, _mm512_sub_ps(z, all(MAGIC)));
    let p = _mm512_fmadd_ps(f, all(POW[3]), all(POW[2]));
    let p = _mm512_fmadd_ps(p, f, all(POW[1]));
    let p = _mm512_fmadd_ps(p, f, all(POW[0]));
    let e = _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32::<23>(_mm512_castps_si512(z)));
    let d = _mm512_add_ps(_mm512_castsi512_ps(e), all(1.0));
    let r = _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32(RECIPROCAL), _mm512_castps_si512(d)));
    let h = _mm512_fnmadd_ps(d, r, all(1.0));
    let r = _mm512_fmadd_ps(r, _mm512_fmadd_ps(h, h, h), r);
    let h = _mm512_fnmadd_ps(d, r, all(1.0));
    _mm512_fmadd_ps(r, h, r)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn hard_swish(y: __m512) -> __m512 {
    let gate = _mm512_max_ps(_mm512_add_ps(y, _mm512_set1_ps(3.0)), _mm512_setzero_ps());
    let gate = _mm512_min_ps(gate, _mm512_set1_ps(6.0));
    _mm512_mul_ps(_mm512_mul_ps(y, gate), _mm512_set1_ps(1.0 / 6.0))
}

/// What is nearest to a real in 0..=255, for sixteen reals. Above 32 bits the conversion gives the largest integer.
/// Reals below zero are negative integers, too; units for integers are free where those for reals are not.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
pub fn to_bytes(reals: __m512) -> __m128i {
    let reals = _mm512_max_epi32(_mm512_castps_si512(reals), _mm512_setzero_si512());
    _mm512_cvtusepi32_epi8(_mm512_cvtps_epu32(_mm512_castsi512_ps(reals)))
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
pub fn to_reals(bytes: __m128i) -> __m512 {
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))
}

/// Some pixels of sixteen channels: where they go, and what is added to them.
pub struct Pixels<'a> {
    pub epilogue: &'a Epilogue,
    pub out: Out,
    pub added: Added,
    /// First pixel.
    pub x: usize,
    /// First channel.
    pub n: usize,
    /// Of how many products the sums are.
    pub products: usize,
}

/// Writes one pixel for every member of `sums`.
///
/// # Safety
/// These pixels may be written and, where something is added, read, and the epilogue has the channels.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline(never)]
pub unsafe fn finish(pixels: &Pixels, sums: &[Sums]) {
    // SAFETY: promised by the caller, here and below.
    unsafe {
        if pixels.epilogue.act == Act::Table && pixels.added.from.is_null() {
            return pixels.look_up(sums);
        }
        match pixels.epilogue.act {
            Act::Slope(1.0) => pixels.each(sums, |y| y),
            Act::Slope(slope) => {
                let slope = _mm512_set1_ps(slope);
                pixels.each(sums, |y| {
                    let below = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(y, _mm512_setzero_ps());
                    _mm512_mask_mul_ps(y, below, y, slope)
                });
            }
            Act::Silu => pixels.each(sums, |y| _mm512_mul_ps(y, sigmoid(y))),
            Act::Sigmoid => pixels.each(sums, |y| sigmoid(y)),
            Act::HardSwish => pixels.each(sums, |y| hard_swish(y)),
            Act::Table => pixels.look_up_and_add(sums),
        }
    }
}

impl Pixels<'_> {
    /// # Safety
    /// `list` has the channels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn constants(&self, list: &[f32]) -> __m512 {
        // SAFETY: promised by the caller.
        unsafe { _mm512_loadu_ps(list.as_ptr().add(self.n)) }
    }

    /// # Safety
    /// As for [`finish`].
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn each(&self, sums: &[Sums], curve: impl Fn(__m512) -> __m512) {
        // SAFETY: promised by the caller.
        unsafe {
            let (mult, bias) = (self.constants(&self.epilogue.mult), self.constants(&self.epilogue.bias));
            let affine = |sums: Sums| _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), mult, bias);
            match self.out {
                Out::Reals { to, pixel, channels } => {
                    let mask = (1u32 << channels.saturating_sub(self.n).min(BLOCK)) - 1;
                    let mut to = to.wrapping_add(self.x * pixel + self.n);
                    for sums in sums {
                        _mm512_mask_storeu_ps(to, mask as __mmask16, curve(affine(*sums)));
                        to = to.wrapping_add(pixel);
                    }
                }
                Out::Bytes { to, pixel } => {
                    let (scale, zero) = (self.constants(&self.epilogue.scale), self.constants(&self.epilogue.zero));
                    let mut to = to.wrapping_add(self.x * pixel + self.n);
                    if self.added.from.is_null() {
                        let mut write = |real: __m512| {
                            _mm_storeu_si128(to.cast(), to_bytes(_mm512_fmadd_ps(real, scale, zero)));
                            to = to.wrapping_add(pixel);
                        };
                        // Four beside each other: a curve alone is a long chain.
                        let mut fours = sums.chunks_exact(4);
                        for four in &mut fours {
                            let y = [affine(four[0]), affine(four[1]), affine(four[2]), affine(four[3])];
                            for real in [curve(y[0]), curve(y[1]), curve(y[2]), curve(y[3])] {
                                write(real);
                            }
                        }
                        for sums in fours.remainder() {
                            write(curve(affine(*sums)));
                        }
                        return;
                    }
                    let add_scale = self.constants(&self.epilogue.add_scale);
                    let mut added = self.added.from.wrapping_add(self.x * self.added.pixel + self.n);
                    for sums in sums {
                        let beside = to_reals(_mm_loadu_si128(added.cast()));
                        let real = _mm512_fmadd_ps(beside, add_scale, curve(affine(*sums)));
                        _mm_storeu_si128(to.cast(), to_bytes(_mm512_fmadd_ps(real, scale, zero)));
                        to = to.wrapping_add(pixel);
                        added = added.wrapping_add(self.added.pixel);
                    }
                }
            }
        }
    }

    /// # Safety
    /// As for [`finish`], to bytes, with a table.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn look_up(&self, sums: &[Sums]) {
        // SAFETY: promised by the caller.
        unsafe {
            let Out::Bytes { to, pixel } = self.out else { return };
            let to = to.wrapping_add(self.x * pixel + self.n);
            let table = Table::load(self.epilogue, self.n);
            if table.is_bounded(self.products) {
                look_up::<true>(&table, sums, to, pixel);
            } else {
                look_up::<false>(&table, sums, to, pixel);
            }
        }
    }

    /// # Safety
    /// As for [`finish`], to bytes, with a table and something added.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    unsafe fn look_up_and_add(&self, sums: &[Sums]) {
        // SAFETY: promised by the caller.
        unsafe {
            let Out::Bytes { to, pixel } = self.out else { return };
            let table = Table::load(self.epilogue, self.n);
            let sum = Sum::load(self.epilogue, self.n);
            let mut to = to.wrapping_add(self.x * pixel + self.n);
            let mut added = self.added.from.wrapping_add(self.x * self.added.pixel + self.n);
            let mut fours = sums.chunks_exact(4);
            for four in &mut fours {
                let found = table.four::<false>([four[0], four[1], four[2], four[3]]);
                sum.store_four(to, pixel, found, added, self.added.pixel);
                to = to.wrapping_add(4 * pixel);
                added = added.wrapping_add(4 * self.added.pixel);
            }
            for one in fours.remainder() {
                sum.store(to, table.one::<false>(*one), added);
                to = to.wrapping_add(pixel);
                added = added.wrapping_add(self.added.pixel);
            }
        }
    }
}

/// # Safety
/// As for [`finish`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
unsafe fn look_up<const BOUNDED: bool>(table: &Table, sums: &[Sums], mut to: *mut u8, pixel: usize) {
    // SAFETY: promised by the caller.
    unsafe {
        let mut fours = sums.chunks_exact(4);
        for four in &mut fours {
            store_four(to, pixel, table.four::<BOUNDED>([four[0], four[1], four[2], four[3]]));
            to = to.wrapping_add(4 * pixel);
        }
        for one in fours.remainder() {
            _mm_storeu_si128(to.cast(), table.one::<BOUNDED>(*one));
            to = to.wrapping_add(pixel);
        }
    }
}
