//! Sums become bytes or reals.

use super::table::{Table, at_most, look_up};
use super::{super::*, Sums};
use std::arch::x86_64::*;
use std::mem::MaybeUninit;

/// Most pixels whose sums are stored before they are finished.
pub const STORED: usize = 64;

/// Pairs of pixels that are looked up at once: three registers each.
const PAIRS: usize = 3;

/// See [`logistic`] for the steps.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn sigmoid(y: __m256) -> __m256 {
    use logistic::{BOUND, MAGIC, NEG_LOG2_E, POW, RECIPROCAL};
    let all = |real: f32| _mm256_set1_ps(real);
    let t = _mm256_mul_ps(y, all(NEG_LOG2_E));
    let t = _mm256_min_ps(_mm256_max_ps(t, all(-BOUND)), all(BOUND));
    let z = _mm256_add_ps(t, all(MAGIC));
    let f = _mm256_sub_ps(t, _mm256_sub_ps(z, all(MAGIC)));
    let p = _mm256_fmadd_ps(f, all(POW[3]), all(POW[2]));
    let p = _mm256_fmadd_ps(p, f, all(POW[1]));
    let p = _mm256_fmadd_ps(p, f, all(POW[0]));
    let e = _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32::<23>(_mm256_castps_si256(z)));
    let d = _mm256_add_ps(_mm256_castsi256_ps(e), all(1.0));
    let r = _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_set1_epi32(RECIPROCAL), _mm256_castps_si256(d)));
    let h = _mm256_fnmadd_ps(d, r, all(1.0));
    let r = _mm256_fmadd_ps(r, _mm256_fmadd_ps(h, h, h), r);
    let h = _mm256_fnmadd_ps(d, r, all(1.0));
    _mm256_fmadd_ps(r, h, r)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn hard_swish(y: __m256) -> __m256 {
    let gate = _mm256_max_ps(_mm256_add_ps(y, _mm256_set1_ps(3.0)), _mm256_setzero_ps());
    let gate = _mm256_min_ps(gate, _mm256_set1_ps(6.0));
    _mm256_mul_ps(_mm256_mul_ps(y, gate), _mm256_set1_ps(1.0 / 6.0))
}

/// What is nearest to a real in 0..=255, for sixteen reals. Packing takes care of what is below.
#[target_feature(enable = "avx2,fma")]
#[inline]
fn to_bytes(reals: [__m256; 2]) -> __m128i {
    let whole = |reals: __m256| _mm256_cvtps_epi32(at_most(reals, 255.0));
    // Dwords 0, 2 and 1, 3 of the bytes, in lanes.
    let words = _mm256_packs_epi32(whole(reals[0]), whole(reals[1]));
    let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
    _mm_shuffle_epi32::<0b11_01_10_00>(bytes)
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn to_reals(bytes: __m128i) -> [__m256; 2] {
    let real = |bytes: __m128i| _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    [real(bytes), real(_mm_unpackhi_epi64(bytes, bytes))]
}

#[target_feature(enable = "avx2,fma")]
#[inline]
fn fma(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
    [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])]
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
}

/// Writes one pixel for every member of `sums`, [`STORED`] at most.
///
/// # Safety
/// These pixels may be written and, where something is added, read, and the epilogue has the channels.
#[target_feature(enable = "avx2,fma")]
#[inline(never)]
pub unsafe fn finish(pixels: &Pixels, sums: &[Sums]) {
    // SAFETY: promised by the caller, here and below.
    unsafe {
        match pixels.epilogue.act {
            Act::Table => {
                let table = Table::load(pixels.epilogue, pixels.n);
                let mut places = Places::new();
                for (i, sums) in sums.chunks(2).enumerate() {
                    places.put(&table, 2 * i, sums);
                }
                pixels.look_up(&table, &places, sums.len());
            }
            Act::Slope(1.0) => pixels.each(sums, |y| y),
            Act::Slope(slope) => {
                let slope = _mm256_set1_ps(slope);
                pixels.each(sums, |y| {
                    let below = _mm256_cmp_ps::<_CMP_LT_OQ>(y, _mm256_setzero_ps());
                    _mm256_blendv_ps(y, _mm256_mul_ps(y, slope), below)
                });
            }
            Act::Silu => pixels.each(sums, |y| _mm256_mul_ps(y, sigmoid(y))),
            Act::Sigmoid => pixels.each(sums, |y| sigmoid(y)),
            Act::HardSwish => pixels.each(sums, |y| hard_swish(y)),
        }
    }
}

impl Pixels<'_> {
    /// # Safety
    /// `list` has the channels.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn constants(&self, list: &[f32]) -> [__m256; 2] {
        // SAFETY: promised by the caller.
        unsafe {
            let list = list.as_ptr().add(self.n);
            [_mm256_loadu_ps(list), _mm256_loadu_ps(list.add(8))]
        }
    }

    /// # Safety
    /// As for [`finish`].
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    unsafe fn each(&self, sums: &[Sums], curve: impl Fn(__m256) -> __m256) {
        // SAFETY: promised by the caller.
        unsafe {
            let (mult, bias) = (self.constants(&self.epilogue.mult), self.constants(&self.epilogue.bias));
            let act = |sums: &Sums| {
                let y = fma([_mm256_cvtepi32_ps(sums[0]), _mm256_cvtepi32_ps(sums[1])], mult, bias);
                [curve(y[0]), curve(y[1])]
            };
            match self.out {
                Out::Reals { to, pixel, channels } => {
                    let channels = channels.saturating_sub(self.n).min(BLOCK);
                    let mut to = to.wrapping_add(self.x * pixel + self.n);
                    for sums in sums {
                        let reals = act(sums);
                        if channels == BLOCK {
                            _mm256_storeu_ps(to, reals[0]);
                            _mm256_storeu_ps(to.add(8), reals[1]);
                        } else {
                            std::ptr::copy_nonoverlapping(reals.as_ptr().cast::<f32>(), to, channels);
                        }
                        to = to.wrapping_add(pixel);
                    }
                }
                Out::Bytes { to, pixel } => {
                    let (scale, zero) = (self.constants(&self.epilogue.scale), self.constants(&self.epilogue.zero));
                    let mut to = to.wrapping_add(self.x * pixel + self.n);
                    if self.added.from.is_null() {
                        for sums in sums {
                            _mm_storeu_si128(to.cast(), to_bytes(fma(act(sums), scale, zero)));
                            to = to.wrapping_add(pixel);
                        }
                        return;
                    }
                    let add_scale = self.constants(&self.epilogue.add_scale);
                    let mut added = self.added.from.wrapping_add(self.x * self.added.pixel + self.n);
                    for sums in sums {
                        let reals = fma(to_reals(_mm_loadu_si128(added.cast())), add_scale, act(sums));
                        _mm_storeu_si128(to.cast(), to_bytes(fma(reals, scale, zero)));
                        to = to.wrapping_add(pixel);
                        added = added.wrapping_add(self.added.pixel);
                    }
                }
            }
        }
    }

    /// Writes the `count` pixels whose places in the table are known.
    ///
    /// # Safety
    /// As for [`finish`], to bytes. As many places were put, not none.
    #[target_feature(enable = "avx2,fma")]
    #[inline(never)]
    pub unsafe fn look_up(&self, table: &Table, places: &Places, count: usize) {
        // SAFETY: promised by the caller.
        unsafe {
            let Out::Bytes { to, pixel } = self.out else { return };
            let to = to.wrapping_add(self.x * pixel + self.n);
            if self.added.from.is_null() {
                return each_found(table, places, count, |x, found| {
                    _mm_storeu_si128(to.wrapping_add(x * pixel).cast(), found);
                });
            }
            let (scale, zero) = (self.constants(&self.epilogue.scale), self.constants(&self.epilogue.zero));
            let add_scale = self.constants(&self.epilogue.add_scale);
            let added = self.added.from.wrapping_add(self.x * self.added.pixel + self.n);
            each_found(table, places, count, |x, found| {
                let beside = to_reals(_mm_loadu_si128(added.wrapping_add(x * self.added.pixel).cast()));
                let reals = fma(beside, add_scale, fma(to_reals(found), scale, zero));
                _mm_storeu_si128(to.wrapping_add(x * pixel).cast(), to_bytes(reals));
            });
        }
    }
}

/// Places in a table, of sixteen channels of up to [`STORED`] pixels. All are found before the first is looked up:
/// either alone has short chains of instructions, both together have one that the processor cannot look beyond.
#[repr(align(32))]
pub struct Places([MaybeUninit<__m128i>; STORED]);

impl Places {
    #[inline(always)]
    pub fn new() -> Self {
        Places([const { MaybeUninit::uninit() }; STORED])
    }

    /// Those of some pixels, of which the first is the `at`th.
    ///
    /// # Panics
    /// Beyond [`STORED`].
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub fn put(&mut self, table: &Table, at: usize, sums: &[Sums]) {
        let to = &mut self.0[at..][..sums.len()];
        for (to, sums) in to.chunks_mut(2).zip(sums.chunks(2)) {
            let [a, b] = table.places(&sums[0], &sums[sums.len() - 1]);
            to[0].write(a);
            if let Some(second) = to.get_mut(1) {
                second.write(b);
            }
        }
    }
}

/// What the table has for each of `count` pixels, with its number.
///
/// # Safety
/// As many places were put, not none.
#[target_feature(enable = "avx2,fma")]
#[inline]
unsafe fn each_found(table: &Table, places: &Places, count: usize, mut each: impl FnMut(usize, __m128i)) {
    // SAFETY: promised by the caller.
    let places = unsafe { std::slice::from_raw_parts(places.0.as_ptr().cast::<__m128i>(), count) };
    let steps = table.steps();
    let mut groups = places.chunks_exact(2 * PAIRS);
    let mut x = 0;
    for group in &mut groups {
        let pairs = std::array::from_fn::<_, PAIRS, _>(|i| _mm256_set_m128i(group[2 * i + 1], group[2 * i]));
        for found in look_up(steps, pairs) {
            each(x, _mm256_castsi256_si128(found));
            each(x + 1, _mm256_extracti128_si256::<1>(found));
            x += 2;
        }
    }
    for pair in groups.remainder().chunks(2) {
        let [found] = look_up(steps, [_mm256_set_m128i(pair[pair.len() - 1], pair[0])]);
        each(x, _mm256_castsi256_si128(found));
        if pair.len() == 2 {
            each(x + 1, _mm256_extracti128_si256::<1>(found));
        }
        x += 2;
    }
}
