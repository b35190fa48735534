//! Sums to bytes through a table, without an instruction that looks up more than sixteen entries.

use super::{super::*, Sums};
use std::arch::x86_64::*;
use std::hint::black_box;

/// Undoes the order in which packing puts two pixels: they lie in dwords 0, 4, 1, 5 and 2, 6, 3, 7.
const ORDER: [i32; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// Sixteen entries of either half of a table, less (exclusive or) the sixteen before. A look-up takes all steps up to its
/// own, which gives the entry itself; those above are told by a sign.
pub type Step = [__m128i; 2];

/// The smaller of each real and a positive one, compared as integers: units for those are free where those for reals are
/// not.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub fn at_most(reals: __m256, most: f32) -> __m256 {
    let most = _mm256_castps_si256(_mm256_set1_ps(most));
    _mm256_castsi256_ps(_mm256_min_epi32(_mm256_castps_si256(reals), most))
}

/// The table and the constants of sixteen channels.
pub struct Table {
    mult: [__m256; 2],
    bias: [__m256; 2],
    order: __m256i,
    steps: [Step; 8],
}

impl Table {
    /// For the channels from `n` on.
    ///
    /// # Safety
    /// The epilogue has a table, and `n + 16` channels.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub unsafe fn load(epilogue: &Epilogue, n: usize) -> Self {
        // SAFETY: a table has 256 bytes for every sixteen channels, each list an entry for every channel.
        unsafe {
            let table = epilogue.table.as_ptr().add(n / BLOCK * TABLE);
            let (mult, bias) = (epilogue.mult.as_ptr().add(n), epilogue.bias.as_ptr().add(n));
            let mut steps = [[_mm_setzero_si128(); 2]; 8];
            for half in 0..2 {
                let mut before = _mm_setzero_si128();
                for (i, step) in steps.iter_mut().enumerate() {
                    let entries = _mm_loadu_si128(table.add(128 * half + 16 * i).cast());
                    step[half] = _mm_xor_si128(entries, before);
                    before = entries;
                }
            }
            Table {
                mult: [_mm256_loadu_ps(mult), _mm256_loadu_ps(mult.add(8))],
                bias: [_mm256_loadu_ps(bias), _mm256_loadu_ps(bias.add(8))],
                order: _mm256_loadu_si256(ORDER.as_ptr().cast()),
                steps,
            }
        }
    }

    #[target_feature(enable = "avx2,fma")]
    #[inline]
    fn value(&self, sums: __m256i, half: usize) -> __m256i {
        let y = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), self.mult[half], self.bias[half]);
        _mm256_cvtps_epi32(at_most(y, 127.0))
    }

    /// The places in the table of two pixels, less 128.
    #[target_feature(enable = "avx2,fma")]
    #[inline]
    pub fn places(&self, a: &Sums, b: &Sums) -> [__m128i; 2] {
        let of = |sums: &Sums| _mm256_packs_epi32(self.value(sums[0], 0), self.value(sums[1], 1));
        let both = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(of(a), of(b)), self.order);
        [_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both)]
    }

    /// See [`look_up`].
    pub fn steps(&self) -> &[Step] {
        // The compiler shall not know how many there are: all of them unrolled would not fit into the registers.
        black_box(&self.steps[..])
    }
}

/// What lies at some places in the table that consists of `steps`.
#[target_feature(enable = "avx2,fma")]
#[inline]
pub fn look_up<const N: usize>(steps: &[Step], places: [__m256i; N]) -> [__m256i; N] {
    let mut low = [_mm256_setzero_si256(); N];
    let mut high = [_mm256_setzero_si256(); N];
    let mut rest = places.map(|places| _mm256_and_si256(places, _mm256_set1_epi8(127)));
    for [step_low, step_high] in steps {
        let (step_low, step_high) = (_mm256_broadcastsi128_si256(*step_low), _mm256_broadcastsi128_si256(*step_high));
        for i in 0..N {
            low[i] = _mm256_xor_si256(low[i], _mm256_shuffle_epi8(step_low, rest[i]));
            high[i] = _mm256_xor_si256(high[i], _mm256_shuffle_epi8(step_high, rest[i]));
            rest[i] = _mm256_sub_epi8(rest[i], _mm256_set1_epi8(16));
        }
    }
    for i in 0..N {
        low[i] = _mm256_blendv_epi8(high[i], low[i], places[i]);
    }
    low
}
