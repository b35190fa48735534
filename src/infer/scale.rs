//! Scales pictures row by row, each output pixel the weighted mean of all it covers (a triangle filter): a fence far
//! away becomes grey instead of a moire that the network takes for something.
//!
//! Own code, because a network's input is small: a library's cost was its code for all pixel types and instruction
//! sets, in every build. Rows are summed first, in integers, and columns then. The loops are written in blocks of
//! fixed length for the compiler to make vector instructions of, the same ones on every board.

/// Scales one plane, or one interleaved picture of `C` channels, again and again.
pub struct Scaler<const C: usize> {
    rows: Vec<Taps<u16>>,
    columns: Vec<Taps<f32>>,
    /// Bytes per row of the source.
    stride: usize,
    /// The weighted sum of the rows of one output row, as bytes times [`ONE`]; after it, zeros for taps of no weight.
    sum: Vec<u16>,
}

/// The sum of all weights of rows. 255 times this just fits 16 bits.
const ONE: u16 = 256;

/// Bytes summed at a time: eight vector registers of the smallest boards.
const BLOCK: usize = 64;
/// Columns' taps come in multiples of this.
const LANES: usize = 4;

/// What one output pixel is made of along one axis.
struct Taps<W> {
    first: usize,
    weights: Vec<W>,
}

impl<const C: usize> Scaler<C> {
    /// For pictures of `from` pixels, scaled to `to`; both widths and heights above 0.
    pub fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        let mut most = 0;
        let columns = taps(from.0, to.0).map(|(first, weights)| {
            let mut weights: Vec<f32> = weights.iter().map(|w| (w / f64::from(ONE)) as f32).collect();
            weights.resize(weights.len().next_multiple_of(LANES), 0.0);
            most = most.max(weights.len());
            Taps { first, weights }
        });
        let columns = columns.collect();
        let rows = taps(from.1, to.1).map(|(first, weights)| Taps { first, weights: in_parts_of_one(&weights) });
        let stride = from.0 as usize * C;
        Scaler { rows: rows.collect(), columns, stride, sum: vec![0; stride + most * C + LANES] }
    }

    /// Computes row `y` of the scaled picture, each channel for itself: values 0..255, not rounded. `pixels` are rows
    /// of the size given to [`Scaler::new`], packed.
    pub fn row(&mut self, pixels: &[u8], y: usize, out: [&mut [f32]; C]) {
        self.sum_rows(pixels, y);
        if C == 1 {
            self.sum_columns_of_one(out);
        } else {
            self.sum_columns(out);
        }
    }

    fn sum_rows(&mut self, pixels: &[u8], y: usize) {
        let Taps { first, weights } = &self.rows[y];
        let pixels = &pixels[first * self.stride..];
        let (blocks, rest) = self.sum[..self.stride].as_chunks_mut::<BLOCK>();
        let at_rest = blocks.len() * BLOCK;
        for (i, block) in blocks.iter_mut().enumerate() {
            let mut sum = [0; BLOCK];
            for (row, &weight) in weights.iter().enumerate() {
                add(&mut sum, &pixels[row * self.stride + i * BLOCK..][..BLOCK], weight);
            }
            *block = sum;
        }
        rest.fill(0);
        for (row, &weight) in weights.iter().enumerate() {
            add(rest, &pixels[row * self.stride + at_rest..][..rest.len()], weight);
        }
    }

    /// One lane per tap.
    fn sum_columns_of_one(&self, out: [&mut [f32]; C]) {
        for (x, Taps { first, weights }) in self.columns.iter().enumerate() {
            let weights = weights.as_chunks::<LANES>().0;
            let values = self.sum[*first..].as_chunks::<LANES>().0;
            let mut lanes = [0.0; LANES];
            for (weights, values) in weights.iter().zip(values) {
                for lane in 0..LANES {
                    lanes[lane] += weights[lane] * f32::from(values[lane]);
                }
            }
            out[0][x] = lanes.iter().sum();
        }
    }

    /// One lane per channel; of three, the fourth is the next pixel's first and is thrown away.
    fn sum_columns(&self, mut out: [&mut [f32]; C]) {
        const { assert!(C <= LANES) }
        for (x, Taps { first, weights }) in self.columns.iter().enumerate() {
            let mut lanes = [0.0; LANES];
            for (values, weight) in self.sum[first * C..].windows(LANES).step_by(C).zip(weights) {
                for lane in 0..LANES {
                    lanes[lane] += weight * f32::from(values[lane]);
                }
            }
            for (out, value) in out.iter_mut().zip(lanes) {
                out[x] = value;
            }
        }
    }
}

/// Adds `bytes * weight`. Wraps nowhere, since all weights of a row sum up to [`ONE`]; says so to spare the checks.
fn add(sum: &mut [u16], bytes: &[u8], weight: u16) {
    for (sum, &byte) in sum.iter_mut().zip(bytes) {
        *sum = sum.wrapping_add(u16::from(byte).wrapping_mul(weight));
    }
}

/// For each of `to` output pixels the first of the `from` input pixels it is made of, and their weights, which sum up
/// to 1.
fn taps(from: u32, to: u32) -> impl Iterator<Item = (usize, Vec<f64>)> {
    let scale = f64::from(from) / f64::from(to);
    // Enlarging interpolates between two neighbours; reducing covers all pixels.
    let reach = scale.max(1.0);
    (0..to).map(move |i| {
        let centre = (f64::from(i) + 0.5) * scale;
        let weight = |j: &usize| 1.0 - ((*j as f64 + 0.5 - centre) / reach).abs();
        let first = (centre - reach).floor().max(0.0) as usize;
        let end = ((centre + reach).ceil() as usize).min(from as usize);
        let used: Vec<usize> = (first..end).filter(|j| weight(j) > 1e-9).collect();
        let total: f64 = used.iter().map(weight).sum();
        (used[0], used.iter().map(|j| weight(j) / total).collect())
    })
}

/// Rounds weights to whole parts of [`ONE`] that still sum up to it.
fn in_parts_of_one(weights: &[f64]) -> Vec<u16> {
    let (mut wanted, mut given) = (0.0, 0.0);
    let part = |weight: &f64| {
        wanted += weight * f64::from(ONE);
        let part = (wanted - given).round();
        given += part;
        part as u16
    };
    weights.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Rows one after the other, the channels of each row one after the other.
    fn scaled<const C: usize>(from: (u32, u32), to: (u32, u32), pixels: &[u8]) -> Vec<f32> {
        let mut scaler = Scaler::<C>::new(from, to);
        let row = |y: u32| {
            let mut channels: [Vec<f32>; C] = std::array::from_fn(|_| vec![f32::NAN; to.0 as usize]);
            scaler.row(pixels, y as usize, channels.each_mut().map(|c| &mut c[..]));
            channels.concat()
        };
        (0..to.1).flat_map(row).collect()
    }

    fn check<const C: usize>(story: &str, from: (u32, u32), to: (u32, u32), pixels: &[u8], expected: &[f32]) {
        let found = scaled::<C>(from, to, pixels);
        let off = found.iter().zip(expected).any(|(a, b)| (a - b).abs() > 0.01) || found.len() != expected.len();
        assert!(!off, "{story}: {found:?}");
    }

    #[test]
    fn known_pictures() {
        check::<1>("as it is", (3, 2), (3, 2), &[1, 2, 3, 4, 5, 6], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        check::<1>("enlarged", (2, 1), (4, 1), &[0, 100], &[0.0, 25.0, 75.0, 100.0]);
        check::<1>("a single pixel", (1, 1), (2, 2), &[255], &[255.0; 4]);
        // Weights 3, 3, 1 of the first pixel's three, and the same from the other end.
        check::<1>("halved", (4, 1), (2, 1), &[0, 0, 70, 70], &[10.0, 60.0]);
        check::<1>("halved in height", (1, 4), (1, 2), &[0, 0, 64, 64], &[9.25, 54.75]);
        let rgb = [0, 9, 0, 0, 9, 0, 70, 9, 0, 70, 9, 255];
        check::<3>("channels apart", (4, 1), (2, 1), &rgb, &[10.0, 60.0, 9.0, 9.0, 0.0, 109.29]);
        let fence: Vec<u8> = (0..400).map(|i| if i % 2 == 0 { 255 } else { 0 }).collect();
        let grey = scaled::<1>((400, 1), (30, 1), &fence);
        assert!(grey.iter().all(|v| (v - 127.5).abs() < 10.0), "no moire: {grey:?}");
    }

    proptest! {
        #[test]
        fn one_colour_stays_that_colour(
            from in (1u32..200, 1u32..200),
            to in (1u32..60, 1u32..60),
            colour in any::<[u8; 3]>(),
        ) {
            let area = to.0 as usize;
            let pixels = colour.repeat((from.0 * from.1) as usize);
            for (i, value) in scaled::<3>(from, to, &pixels).into_iter().enumerate() {
                let expected = f32::from(colour[i / area % 3]);
                prop_assert!((value - expected).abs() < 1e-3, "{value} of {expected}");
            }
        }
    }
}
