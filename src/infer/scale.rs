//! Scales pictures row by row, each output pixel the weighted mean of all it covers (a triangle filter): a fence far
//! away becomes grey instead of a moire that the network takes for something.
//!
//! Own code, because a network's input is small: a library's cost was its code for all pixel types and instruction
//! sets, in every build. Rows are summed first, in integers that compilers turn into vector instructions, and columns
//! then, so most of the work is along memory.

/// Scales one plane or one interleaved picture of `C` channels, again and again.
pub struct Scaler<const C: usize> {
    rows: Vec<Taps<u16>>,
    columns: Vec<Taps<f32>>,
    /// Pixels per row of the source.
    width: usize,
    /// The weighted sum of the rows of one output row, as bytes times [`ONE`].
    sum: Vec<u16>,
}

/// The sum of all weights of rows. 255 times this fits 16 bits.
const ONE: u16 = 256;

/// What one output pixel is made of along one axis.
struct Taps<W> {
    first: usize,
    weights: Vec<W>,
}

impl<const C: usize> Scaler<C> {
    /// For pictures of `from` pixels, scaled to `to`; both widths and heights above 0.
    pub fn new(from: (u32, u32), to: (u32, u32)) -> Self {
        let width = from.0 as usize;
        let columns = taps(from.0, to.0).map(|(first, weights)| {
            let weights = weights.iter().map(|w| (w / f64::from(ONE)) as f32).collect();
            Taps { first, weights }
        });
        let rows = taps(from.1, to.1).map(|(first, weights)| Taps { first, weights: in_parts_of_one(&weights) });
        Scaler { rows: rows.collect(), columns: columns.collect(), width, sum: vec![0; width * C] }
    }

    /// Computes row `y` of the scaled picture: values 0..255, not rounded. `pixels` are rows of the size given to
    /// [`Scaler::new`], packed.
    pub fn row(&mut self, pixels: &[u8], y: usize, out: &mut [[f32; C]]) {
        let Taps { first, weights } = &self.rows[y];
        let length = self.width * C;
        let rows = pixels[first * length..].chunks_exact(length);
        self.sum.fill(0);
        for (&weight, row) in weights.iter().zip(rows) {
            for (sum, &byte) in self.sum.iter_mut().zip(row) {
                *sum += weight * u16::from(byte);
            }
        }
        let sum = self.sum.as_chunks::<C>().0;
        for (out, Taps { first, weights }) in out.iter_mut().zip(&self.columns) {
            let mut value = [0.0; C];
            for (weight, pixel) in weights.iter().zip(&sum[*first..]) {
                for (value, &channel) in value.iter_mut().zip(pixel) {
                    *value += weight * f32::from(channel);
                }
            }
            *out = value;
        }
    }
}

/// For each of `to` output pixels the first of the `from` input pixels it is made of, and their weights, which sum up to 1.
fn taps(from: u32, to: u32) -> impl Iterator<Item = (usize, Vec<f64>)> {
    let scale = f64::from(from) / f64::from(to);
    // Enlarging interpolates between two neighbours; reducing covers all pixels.
    let reach = scale.max(1.0);
    (0..to).map(move |i| {
        let centre = (f64::from(i) + 0.5) * scale;
        let first = (centre - reach).floor().max(0.0) as usize;
        let end = ((centre + reach).ceil() as usize).min(from as usize);
        let weight = |j: usize| (1.0 - ((j as f64 + 0.5 - centre) / reach).abs()).max(0.0);
        let total: f64 = (first..end).map(weight).sum();
        (first, (first..end).map(|j| weight(j) / total).collect())
    })
}

/// Rounds weights to whole parts of [`ONE`] that still sum up to it.
fn in_parts_of_one(weights: &[f64]) -> Vec<u16> {
    let mut given = 0.0;
    let mut wanted = 0.0;
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

    fn scaled<const C: usize>(from: (u32, u32), to: (u32, u32), pixels: &[u8]) -> Vec<f32> {
        let mut scaler = Scaler::<C>::new(from, to);
        let mut row = vec![[0.0; C]; to.0 as usize];
        let rows = (0..to.1 as usize).flat_map(|y| {
            scaler.row(pixels, y, &mut row);
            row.as_flattened().to_vec()
        });
        rows.collect()
    }

    #[test]
    fn known_pictures() {
        assert_eq!(scaled::<1>((3, 2), (3, 2), &[1, 2, 3, 4, 5, 6]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "as it is");
        assert_eq!(scaled::<1>((2, 1), (4, 1), &[0, 100]), [0.0, 25.0, 75.0, 100.0], "enlarged");
        let halved = scaled::<3>((4, 1), (2, 1), &[0, 9, 0, 0, 9, 0, 80, 9, 0, 80, 9, 0]);
        assert_eq!(halved, [80.0 / 7.0, 9.0, 0.0, 480.0 / 7.0, 9.0, 0.0].map(|v: f32| v), "reduced, channels apart");
        let fence: Vec<u8> = (0..400).map(|i| if i % 2 == 0 { 255 } else { 0 }).collect();
        assert!(scaled::<1>((400, 1), (30, 1), &fence).iter().all(|v| (v - 127.5).abs() < 10.0), "no moire");
    }

    proptest! {
        #[test]
        fn one_grey_stays_that_grey(
            from in (1u32..200, 1u32..200),
            to in (1u32..60, 1u32..60),
            grey in any::<u8>(),
        ) {
            let pixels = vec![grey; (from.0 * from.1) as usize];
            for value in scaled::<1>(from, to, &pixels) {
                prop_assert!((value - f32::from(grey)).abs() < 1e-3, "{value} of {grey}");
            }
        }
    }
}
