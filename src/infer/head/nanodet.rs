//! NanoDet: per cell the classes' scores (sigmoid done), then for each of left, top, right and lower edge the
//! logits of a distribution over distances 0 to 10 strides from the cell's centre. The distance is its mean.

use super::{Cell, best};
use crate::geometry::BBox;

/// Logits per edge.
const BINS: usize = 11;
/// Logits per cell.
pub(super) const BOX: usize = 4 * BINS;

pub(super) fn decode(
    output: &[f32],
    cells: &[Cell],
    classes: usize,
    min_score: f32,
    push: &mut impl FnMut(usize, f32, BBox),
) {
    for (row, cell) in output.chunks_exact(classes + BOX).zip(cells) {
        let (scores, logits) = row.split_at(classes);
        let Some((class, score)) = best(scores.iter().copied()) else { continue };
        if score >= min_score {
            let (x, y) = (cell.x + cell.stride / 2.0, cell.y + cell.stride / 2.0);
            let distance = |edge: usize| mean(&logits[edge * BINS..][..BINS]) * cell.stride;
            push(class, score, BBox::new(x - distance(0), y - distance(1), x + distance(2), y + distance(3)));
        }
    }
}

/// Mean of the distribution that these logits describe, in bins.
fn mean(logits: &[f32]) -> f32 {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let (mut sum, mut weighted) = (0.0, 0.0);
    for (bin, logit) in logits.iter().enumerate() {
        let weight = (logit - top).exp();
        sum += weight;
        weighted += bin as f32 * weight;
    }
    weighted / sum
}
