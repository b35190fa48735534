//! Whether a network computes on this processor what it computed where its manifest was written.
//!
//! The digest says that the file is whole; this says that it is read and run as it was meant: channel order,
//! range, border, kernels. It costs one frame, so it is done at every load, and the buffers are warm after it.

use super::manifest::Golden;
use crate::frame::Picture;
use anyhow::{Result, ensure};
use image::{Rgb, RgbImage};
use std::sync::Arc;

/// Samples in a summary.
const SAMPLES: usize = 16;
/// What is allowed by a summary made here: kernels differ by 1e-4, a wrong channel order makes more than this.
const TOLERANCE: f32 = 0.01;

/// A picture made of integers, the same everywhere: three ramps with blocks on them, wider than high.
pub fn picture() -> Picture {
    Picture::Rgb(Arc::new(RgbImage::from_fn(320, 200, |x, y| {
        let block = if (x / 40 + y / 50) % 3 == 0 { 90 } else { 0 };
        let byte = |v: u32| (v % 256) as u8;
        Rgb([byte(x / 2 + block), byte(y + block / 2), byte((x + y) / 3 + 40)])
    })))
}

impl Golden {
    pub fn of(output: &[f32]) -> Self {
        let count = output.len().max(1) as f64;
        let mean = output.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
        let square = output.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>() / count;
        // Odd steps, so that the samples fall on different columns of the output.
        let step = (output.len() / SAMPLES).max(1) | 1;
        let samples = output.iter().copied().step_by(step).take(SAMPLES).collect();
        Golden { mean: mean as f32, rms: square.sqrt() as f32, samples, tolerance: TOLERANCE }
    }

    /// Whether `found` is this result.
    pub fn check(&self, found: &Golden) -> Result<()> {
        let allowed = self.tolerance * self.rms;
        let pairs = self.samples.iter().zip(&found.samples).chain([(&self.mean, &found.mean), (&self.rms, &found.rms)]);
        let worst =
            pairs.map(|(a, b)| (a - b).abs()).fold(0.0, |worst: f32, d| if d.is_nan() { d } else { worst.max(d) });
        let same = self.samples.len() <= found.samples.len() && worst <= allowed;
        ensure!(same, "its answer to the golden picture is off by {worst}, expected at most {allowed}");
        Ok(())
    }

    /// As it is written in a manifest.
    pub fn to_toml(&self) -> String {
        let Golden { mean, rms, samples, tolerance } = self;
        format!("[golden]\nmean = {mean:?}\nrms = {rms:?}\nsamples = {samples:?}\ntolerance = {tolerance:?}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_accepts_what_it_was_made_of_and_nothing_far_from_it() {
        let output: Vec<f32> = (0..1000).map(|i| (i % 7) as f32).collect();
        let golden = Golden::of(&output);
        golden.check(&Golden::of(&output.iter().map(|v| v + 1e-4).collect::<Vec<_>>())).unwrap();
        let refused: [(&str, Vec<f32>); 4] = [
            ("scaled", output.iter().map(|v| v * 1.02).collect()),
            ("one sample", output.iter().enumerate().map(|(i, v)| if i == 0 { 1.0 } else { *v }).collect()),
            ("nothing", vec![]),
            ("not a number", vec![f32::NAN; 1000]),
        ];
        for (what, output) in refused {
            assert!(golden.check(&Golden::of(&output)).is_err(), "{what}");
        }
    }
}
