//! The definition of every kernel, in plain Rust.

use super::{Act, Added, BLOCK, DenseRow, DepthwiseRow, Epilogue, Out, TABLE, logistic};
#[cfg(debug_assertions)]
use std::ops::Range;

/// How the definition reaches the memory that rows point at. Places may lie anywhere until they are read or written.
pub trait Memory {
    /// # Safety
    /// It may be read.
    unsafe fn read(&self, from: *const u8) -> u8;
    /// # Safety
    /// It may be written.
    unsafe fn write(&self, to: *mut u8, byte: u8);
    /// # Safety
    /// It may be written.
    unsafe fn write_real(&self, to: *mut f32, real: f32);
}

/// As the caller promises.
pub struct Promised;

impl Memory for Promised {
    #[inline(always)]
    unsafe fn read(&self, from: *const u8) -> u8 {
        // SAFETY: promised by the caller.
        unsafe { *from }
    }

    #[inline(always)]
    unsafe fn write(&self, to: *mut u8, byte: u8) {
        // SAFETY: promised by the caller.
        unsafe { *to = byte }
    }

    #[inline(always)]
    unsafe fn write_real(&self, to: *mut f32, real: f32) {
        // SAFETY: promised by the caller.
        unsafe { *to = real }
    }
}

/// Every read and write of one row is looked at, in builds that test. What a row may touch is known from the buffers
/// alone, not from the sums by which a job finds its places in them.
#[cfg(debug_assertions)]
pub struct Watched {
    /// Buffers that may be read: the inputs and what is behind them, and what is added.
    pub read: [Range<*const u8>; 2],
    /// The row of the buffer that may be written, or of the output.
    pub written: Range<*const u8>,
    pub written_reals: Range<*const f32>,
}

#[cfg(debug_assertions)]
impl Memory for Watched {
    #[inline]
    unsafe fn read(&self, from: *const u8) -> u8 {
        assert!(self.read.iter().any(|range| range.contains(&from)), "a kernel reads within its inputs");
        // SAFETY: promised by the caller.
        unsafe { *from }
    }

    #[inline]
    unsafe fn write(&self, to: *mut u8, byte: u8) {
        assert!(self.written.contains(&to.cast_const()), "a kernel writes within its row");
        // SAFETY: promised by the caller.
        unsafe { *to = byte }
    }

    #[inline]
    unsafe fn write_real(&self, to: *mut f32, real: f32) {
        assert!(self.written_reals.contains(&to.cast_const()), "a kernel writes within its rows of an output");
        // SAFETY: promised by the caller.
        unsafe { *to = real }
    }
}

/// See [`logistic`] for the steps.
pub fn sigmoid(y: f32) -> f32 {
    use logistic::{BOUND, MAGIC, NEG_LOG2_E, POW, RECIPROCAL};
    let t = (y * NEG_LOG2_E).clamp(-BOUND, BOUND);
    let z = t + MAGIC;
    let f = t - (z - MAGIC);
    let p = f.mul_add(POW[3], POW[2]).mul_add(f, POW[1]).mul_add(f, POW[0]);
    let e = f32::from_bits(p.to_bits().wrapping_add(z.to_bits() << 23));
    let d = e + 1.0;
    let r = f32::from_bits(RECIPROCAL.wrapping_sub(d.to_bits().cast_signed()).cast_unsigned());
    let h = (-d).mul_add(r, 1.0);
    let r = r.mul_add(h.mul_add(h, h), r);
    let h = (-d).mul_add(r, 1.0);
    r.mul_add(h, r)
}

/// [`Act::Table`] is no function of one real and is given back unchanged.
pub fn activate(act: Act, y: f32) -> f32 {
    match act {
        Act::Slope(slope) => {
            if y >= 0.0 {
                y
            } else {
                slope * y
            }
        }
        Act::Silu => y * sigmoid(y),
        Act::Sigmoid => sigmoid(y),
        Act::HardSwish => (y * (y + 3.0).clamp(0.0, 6.0)) * (1.0 / 6.0),
        Act::Table => y,
    }
}

fn byte(real: f32) -> u8 {
    real.round_ties_even().clamp(0.0, 255.0) as u8
}

/// What becomes of the sum of channel `n` where `added` is the byte that is added to it, if any.
fn to_byte(epilogue: &Epilogue, n: usize, sum: i32, added: Option<u8>) -> u8 {
    let y = (sum as f32).mul_add(epilogue.mult[n], epilogue.bias[n]);
    let (scale, zero) = (epilogue.scale[n], epilogue.zero[n]);
    let add = |a: f32| added.map_or(a, |byte| f32::from(byte).mul_add(epilogue.add_scale[n], a));
    if epilogue.act != Act::Table {
        return byte(add(activate(epilogue.act, y)).mul_add(scale, zero));
    }
    let index = (y.round_ties_even().clamp(-128.0, 127.0) as i32 + 128) as usize;
    let found = epilogue.table[n / BLOCK * TABLE + index];
    if added.is_none() { found } else { byte(add(f32::from(found).mul_add(scale, zero))) }
}

/// # Safety
/// `out` may be written and `added` read at pixel `x`.
unsafe fn finish(memory: &impl Memory, row: (&Epilogue, Out, Added), x: usize, n: usize, sum: i32) {
    let (epilogue, out, added) = row;
    match out {
        Out::Bytes { to, pixel } => {
            // SAFETY: promised by the caller, for all padded channels.
            unsafe {
                let at = || added.from.wrapping_add(x * added.pixel + n);
                let byte = (!added.from.is_null()).then(|| memory.read(at()));
                memory.write(to.wrapping_add(x * pixel + n), to_byte(epilogue, n, sum, byte));
            }
        }
        Out::Reals { to, pixel, channels } => {
            if n < channels {
                let y = (sum as f32).mul_add(epilogue.mult[n], epilogue.bias[n]);
                // SAFETY: promised by the caller, for the channels that are not padding.
                unsafe { memory.write_real(to.wrapping_add(x * pixel + n), activate(epilogue.act, y)) };
            }
        }
    }
}

/// # Safety
/// As for [`super::Isa::dense`].
pub unsafe fn dense(row: &DenseRow, memory: &impl Memory) {
    let weights = row.weights;
    let per_block = weights.segments * weights.dwords * 4 * BLOCK;
    for x in 0..row.width {
        for n in 0..weights.outputs {
            let block = &weights.bytes[n / BLOCK * per_block..][..per_block];
            let mut sum = 0;
            for (s, segment) in row.segments.iter().enumerate() {
                for i in 0..weights.dwords * 4 {
                    let weight = block[((s * weights.dwords + i / 4) * BLOCK + n % BLOCK) * 4 + i % 4];
                    // SAFETY: promised by the caller.
                    let input = unsafe { memory.read(row.from.wrapping_add(segment + x * row.pixel + i)) };
                    sum += i32::from(input) * i32::from(weight);
                }
            }
            // SAFETY: promised by the caller.
            unsafe { finish(memory, (row.epilogue, row.out, row.added), x, n, sum) };
        }
    }
}

/// # Safety
/// As for [`super::Isa::depthwise`].
pub unsafe fn depthwise(row: &DepthwiseRow, memory: &impl Memory) {
    let weights = row.weights;
    let groups = weights.side.div_ceil(4);
    for x in 0..row.width {
        for n in 0..weights.channels {
            let mut sum = 0;
            for ky in 0..weights.side {
                for kx in 0..weights.side {
                    let group = (n / BLOCK * weights.side + kx) * groups + ky / 4;
                    let weight = weights.bytes[(group * BLOCK + n % BLOCK) * 4 + ky % 4];
                    let at = ky * row.line + (x * row.stride + kx) * row.pixel + n;
                    // SAFETY: promised by the caller.
                    let input = unsafe { memory.read(row.from.wrapping_add(at)) };
                    sum += i32::from(input) * i32::from(weight);
                }
            }
            // SAFETY: promised by the caller.
            unsafe { finish(memory, (row.epilogue, row.out, row.added), x, n, sum) };
        }
    }
}
