//! Sums to bytes through a table.

use super::epilogue::{to_bytes, to_reals};
use super::{super::*, Sums};
use std::arch::x86_64::*;

/// Undoes the order in which packing puts four pixels: dword `4 l + q` holds channels `4 l..` of pixel `q`.
const ORDER: [i32; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

/// The table and the constants of sixteen channels.
#[derive(Clone, Copy)]
pub struct Table {
    mult: __m512,
    bias: __m512,
    order: __m512i,
    /// Of negative values, at the value plus 128.
    low: [__m512i; 2],
    /// Of the others.
    high: [__m512i; 2],
}

impl Table {
    /// For the channels from `n` on.
    ///
    /// # Safety
    /// The epilogue has a table, and `n + 16` channels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub unsafe fn load(epilogue: &Epilogue, n: usize) -> Self {
        // SAFETY: a table has 256 bytes for every sixteen channels, each list an entry for every channel.
        unsafe {
            let table = epilogue.table.as_ptr().add(n / BLOCK * TABLE);
            let quarter = |i: usize| _mm512_loadu_si512(table.add(64 * i).cast());
            Table {
                mult: _mm512_loadu_ps(epilogue.mult.as_ptr().add(n)),
                bias: _mm512_loadu_ps(epilogue.bias.as_ptr().add(n)),
                order: _mm512_loadu_si512(ORDER.as_ptr().cast()),
                low: [quarter(0), quarter(1)],
                high: [quarter(2), quarter(3)],
            }
        }
    }

    /// Whether sums of up to `products` products stay where a real can become an integer of 32 bits, so that packing
    /// alone takes care of what lies outside of the table.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub fn is_bounded(&self, products: usize) -> bool {
        let most = _mm512_set1_ps(255.0 * 127.0 * products as f32);
        let reach = _mm512_fmadd_ps(_mm512_abs_ps(self.mult), most, _mm512_abs_ps(self.bias));
        _mm512_cmp_ps_mask::<_CMP_LT_OQ>(reach, _mm512_set1_ps(1e9)) == 0xFFFF
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn value<const BOUNDED: bool>(&self, sums: Sums) -> __m512i {
        let y = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), self.mult, self.bias);
        _mm512_cvtps_epi32(if BOUNDED { y } else { _mm512_min_ps(y, _mm512_set1_ps(127.0)) })
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    fn look_up(&self, values: __m512i) -> __m512i {
        let low = _mm512_permutex2var_epi8(self.low[0], values, self.low[1]);
        let high = _mm512_permutex2var_epi8(self.high[0], values, self.high[1]);
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(values), high, low)
    }

    /// The bytes of four pixels, each in a quarter.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub fn four<const BOUNDED: bool>(&self, sums: [Sums; 4]) -> __m512i {
        let [a, b, c, d] = sums;
        let ab = _mm512_packs_epi32(self.value::<BOUNDED>(a), self.value::<BOUNDED>(b));
        let cd = _mm512_packs_epi32(self.value::<BOUNDED>(c), self.value::<BOUNDED>(d));
        self.look_up(_mm512_permutexvar_epi32(self.order, _mm512_packs_epi16(ab, cd)))
    }

    /// The bytes of one pixel.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub fn one<const BOUNDED: bool>(&self, sums: Sums) -> __m128i {
        let values = _mm512_cvtsepi32_epi8(self.value::<BOUNDED>(sums));
        _mm512_castsi512_si128(self.look_up(_mm512_castsi128_si512(values)))
    }
}

/// Stores the quarters of a register `pixel` bytes from each other.
///
/// # Safety
/// Sixteen bytes may be written at all four places.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
pub unsafe fn store_four(to: *mut u8, pixel: usize, bytes: __m512i) {
    // SAFETY: promised by the caller.
    unsafe {
        _mm_storeu_si128(to.cast(), _mm512_castsi512_si128(bytes));
        _mm_storeu_si128(to.add(pixel).cast(), _mm512_extracti32x4_epi32::<1>(bytes));
        _mm_storeu_si128(to.add(2 * pixel).cast(), _mm512_extracti32x4_epi32::<2>(bytes));
        _mm_storeu_si128(to.add(3 * pixel).cast(), _mm512_extracti32x4_epi32::<3>(bytes));
    }
}

/// The constants by which something is added to what sixteen channels found in their table.
pub struct Sum {
    scale: __m512,
    zero: __m512,
    add_scale: __m512,
}

impl Sum {
    /// For the channels from `n` on.
    ///
    /// # Safety
    /// The epilogue adds something to `n + 16` channels.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub unsafe fn load(epilogue: &Epilogue, n: usize) -> Self {
        // SAFETY: each list has an entry for every channel.
        unsafe {
            Sum {
                scale: _mm512_loadu_ps(epilogue.scale.as_ptr().add(n)),
                zero: _mm512_loadu_ps(epilogue.zero.as_ptr().add(n)),
                add_scale: _mm512_loadu_ps(epilogue.add_scale.as_ptr().add(n)),
            }
        }
    }

    /// Stores one pixel.
    ///
    /// # Safety
    /// Sixteen bytes may be written and read.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub unsafe fn store(&self, to: *mut u8, found: __m128i, added: *const u8) {
        // SAFETY: promised by the caller.
        unsafe {
            let real = _mm512_fmadd_ps(to_reals(found), self.scale, self.zero);
            let real = _mm512_fmadd_ps(to_reals(_mm_loadu_si128(added.cast())), self.add_scale, real);
            _mm_storeu_si128(to.cast(), to_bytes(real));
        }
    }

    /// Stores four, each from a quarter of `found`.
    ///
    /// # Safety
    /// Sixteen bytes may be written and read at all four places.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
    #[inline]
    pub unsafe fn store_four(&self, to: *mut u8, pixel: usize, found: __m512i, added: *const u8, added_pixel: usize) {
        let quarters = [
            _mm512_castsi512_si128(found),
            _mm512_extracti32x4_epi32::<1>(found),
            _mm512_extracti32x4_epi32::<2>(found),
            _mm512_extracti32x4_epi32::<3>(found),
        ];
        for (i, found) in quarters.into_iter().enumerate() {
            // SAFETY: promised by the caller.
            unsafe { self.store(to.add(i * pixel), found, added.add(i * added_pixel)) };
        }
    }
}
