//! Weights in the order in which kernels read them.

use super::BLOCK;
use anyhow::{Result, ensure};
use std::borrow::Cow;

/// Larger than any kernel or number of channels: keeps sizes from overflowing.
const MOST: usize = 1 << 16;
/// Most products in one sum: more of the largest could leave 32 bits.
pub(super) const MOST_PRODUCTS: usize = 66_000;

/// Weights of a convolution over all channels. Kernels trust that the fields fit each other, so nothing outside of this
/// folder can reach them.
#[derive(Debug, Clone, PartialEq)]
pub struct Dense {
    /// `[outputs / 16][segment][dword][16][4]`: four input bytes of sixteen outputs lie in 64 bytes. Borrowed where they
    /// are in the binary already.
    pub(super) bytes: Cow<'static, [i8]>,
    /// The sum of an output's weights, times 128: kernels that multiply signed bytes take 128 off the input.
    pub(super) offsets: Vec<i32>,
    /// Whether no two neighbours of the inputs `2i, 2i+1` can sum to more than 16 bits: `255 * (|w0| + |w1|) <= 32767`.
    pub(super) narrow: bool,
    /// For kernels that have no dot product of bytes, where `narrow` is false: `bytes` widened. Empty until
    /// `Dense::widen`. `[outputs / 16][segment][dword][2][16][2]`: of each four the even ones come first, then the
    /// odd ones.
    pub(super) wide: Vec<i16>,
    /// Output channels, padded.
    pub(super) outputs: usize,
    pub(super) segments: usize,
    /// Four input bytes each, per segment.
    pub(super) dwords: usize,
}

impl Dense {
    /// From weights `[outputs][segments][bytes]`. Outputs are padded to [`BLOCK`] and the bytes of a segment to four,
    /// both with zeros.
    pub fn new(weights: &[i8], outputs: usize, segments: usize, bytes: usize) -> Self {
        assert_eq!(weights.len(), outputs * segments * bytes, "weights of the shape given");
        let (padded, dwords) = (outputs.next_multiple_of(BLOCK), bytes.div_ceil(4));
        let per_block = segments * dwords * 4 * BLOCK;
        let mut packed = vec![0; padded / BLOCK * per_block];
        for (output, rows) in weights.chunks_exact(segments * bytes).enumerate() {
            let block = &mut packed[output / BLOCK * per_block..][..per_block];
            for (segment, row) in rows.chunks_exact(bytes).enumerate() {
                for (i, weight) in row.iter().enumerate() {
                    block[((segment * dwords + i / 4) * BLOCK + output % BLOCK) * 4 + i % 4] = *weight;
                }
            }
        }
        Self::prepared(packed.into(), padded, segments, dwords)
    }

    /// What [`Dense::from_packed`] reads: the weights, then outputs, segments and dwords.
    pub fn packed(&self) -> (&[i8], [usize; 3]) {
        (&self.bytes, [self.outputs, self.segments, self.dwords])
    }

    /// From `Dense::bytes`.
    ///
    /// # Errors
    /// Bytes of another length, a weight of -128, or sums that may leave 32 bits.
    pub fn from_packed(bytes: Cow<'static, [i8]>, outputs: usize, segments: usize, dwords: usize) -> Result<Self> {
        check(&bytes, [outputs, segments, dwords, 4])?;
        Ok(Self::prepared(bytes, outputs, segments, dwords))
    }

    /// Makes `Dense::wide`, if it is needed: it is twice as large as the weights.
    pub fn widen(&mut self) {
        if !self.narrow {
            let dwords = self.bytes.chunks_exact(4 * BLOCK);
            let halves = dwords.flat_map(|dword| [0, 1].map(|odd| dword[odd..].iter().step_by(2)));
            self.wide = halves.flatten().map(|w| i16::from(*w)).collect();
        }
    }

    fn prepared(bytes: Cow<'static, [i8]>, outputs: usize, segments: usize, dwords: usize) -> Self {
        let narrow = bytes.chunks_exact(2).all(|w| i32::from(w[0]).abs() + i32::from(w[1]).abs() <= 128);
        let offsets = offsets(&bytes, outputs);
        Dense { bytes, offsets, narrow, wide: vec![], outputs, segments, dwords }
    }
}

/// Weights of a depthwise convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Depthwise {
    /// `[channels / 16][kx][ceil(side / 4)][16][4]`: the four bytes are one channel's taps below each other.
    pub(super) bytes: Cow<'static, [i8]>,
    /// As in [`Dense::offsets`].
    pub(super) offsets: Vec<i32>,
    /// Channels, padded.
    pub(super) channels: usize,
    /// Rows and columns of the square.
    pub(super) side: usize,
}

impl Depthwise {
    /// From weights `[channels][ky][kx]`, padded to [`BLOCK`] with zeros.
    pub fn new(weights: &[i8], channels: usize, side: usize) -> Self {
        assert_eq!(weights.len(), channels * side * side, "weights of the shape given");
        let (padded, groups) = (channels.next_multiple_of(BLOCK), side.div_ceil(4));
        let mut bytes = vec![0; padded * side * groups * 4];
        for (i, weight) in weights.iter().enumerate() {
            let (channel, ky, kx) = (i / (side * side), i / side % side, i % side);
            let group = (channel / BLOCK * side + kx) * groups + ky / 4;
            bytes[(group * BLOCK + channel % BLOCK) * 4 + ky % 4] = *weight;
        }
        let offsets = offsets(&bytes, padded);
        Depthwise { bytes: bytes.into(), offsets, channels: padded, side }
    }

    /// What [`Depthwise::from_packed`] reads: the weights, then channels and side.
    pub fn packed(&self) -> (&[i8], [usize; 2]) {
        (&self.bytes, [self.channels, self.side])
    }

    /// From `Depthwise::bytes`.
    ///
    /// # Errors
    /// As for [`Dense::from_packed`].
    pub fn from_packed(bytes: Cow<'static, [i8]>, channels: usize, side: usize) -> Result<Self> {
        check(&bytes, [channels, side, side.div_ceil(4), 4])?;
        let offsets = offsets(&bytes, channels);
        Ok(Depthwise { bytes, offsets, channels, side })
    }
}

/// The same bytes, with signs.
pub fn signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: both are one byte, and every byte is a value of both.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

fn check(bytes: &[i8], shape: [usize; 4]) -> Result<()> {
    ensure!(shape.iter().all(|n| (1..=MOST).contains(n)), "its weights are {shape:?}");
    ensure!(shape[0].is_multiple_of(BLOCK), "it has weights for {} channels, expected a multiple of {BLOCK}", shape[0]);
    let length = shape.iter().try_fold(1usize, |all, n| all.checked_mul(*n));
    ensure!(length == Some(bytes.len()), "it has {} weights for a shape of {shape:?}", bytes.len());
    ensure!(bytes.len() / shape[0] <= MOST_PRODUCTS, "its sums may leave 32 bits");
    ensure!(!bytes.contains(&-128), "a weight is -128, expected at least -127");
    Ok(())
}

/// Both packings have four bytes of sixteen channels in 64, block after block. Sums that leave 32 bits are refused when
/// the weights are used.
fn offsets(bytes: &[i8], channels: usize) -> Vec<i32> {
    let per_block = bytes.len() / (channels / BLOCK);
    let mut offsets = vec![0i32; channels];
    for (i, byte) in bytes.iter().enumerate() {
        let offset = &mut offsets[i / per_block * BLOCK + i % (4 * BLOCK) / 4];
        *offset = offset.wrapping_add(128 * i32::from(*byte));
    }
    offsets
}
