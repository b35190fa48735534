//! Weights of one output become signed bytes with a scale.

/// The largest byte: -128 is left out, so that both signs are alike.
const MOST: f32 = 127.0;
/// How many scales are tried, down to [`LEAST`] of the one that clips nothing.
const TRIES: usize = 16;
const LEAST: f32 = 0.7;

/// Bytes, and what one of them is worth.
pub struct Quantized {
    pub bytes: Vec<i8>,
    pub scale: f32,
}

/// With the scale that has the least squared error.
pub fn quantize(weights: &[f32]) -> Quantized {
    let largest = weights.iter().fold(0f32, |most, w| most.max(w.abs())).max(1e-12);
    let mut best = (f64::INFINITY, largest / MOST);
    for i in 0..TRIES {
        let scale = largest / MOST * (1.0 - (1.0 - LEAST) * i as f32 / (TRIES - 1) as f32);
        let error: f64 = weights.iter().map(|w| f64::from(round(*w, scale) * scale - w)).map(|e| e * e).sum();
        if error < best.0 {
            best = (error, scale);
        }
    }
    Quantized { bytes: weights.iter().map(|w| round(*w, best.1) as i8).collect(), scale: best.1 }
}

fn round(weight: f32, scale: f32) -> f32 {
    (weight / scale).round_ties_even().clamp(-MOST, MOST)
}
