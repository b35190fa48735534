//! YOLOv8 and its like: columns of x, y, width, height (pixels of the input, centre) and the classes' scores, one
//! column per cell; decoded by the graph itself, no objectness.

use super::{best, centred};
use crate::geometry::BBox;

pub(super) fn decode(output: &[f32], cells: usize, min_score: f32, push: &mut impl FnMut(usize, f32, BBox)) {
    let (boxes, scores) = output.split_at((4 * cells).min(output.len()));
    for i in 0..cells {
        let at = |row: usize| boxes[row * cells + i];
        let Some((class, score)) = best(scores.iter().skip(i).step_by(cells).copied()) else { continue };
        if score >= min_score {
            push(class, score, centred(at(0), at(1), at(2), at(3)));
        }
    }
}
