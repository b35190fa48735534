//! YOLOv5 and its like: rows of x, y, width, height (pixels of the input, centre), objectness, and the classes'
//! scores; everything decoded by the graph itself, three anchors per cell.

use super::{best, centred};
use crate::geometry::BBox;

pub(super) fn decode(output: &[f32], classes: usize, min_score: f32, push: &mut impl FnMut(usize, f32, BBox)) {
    for row in output.chunks_exact(5 + classes) {
        let objectness = row[4];
        if objectness < min_score {
            continue;
        }
        let Some((class, score)) = best(row[5..].iter().copied()) else { continue };
        let score = objectness * score;
        if score >= min_score {
            push(class, score, centred(row[0], row[1], row[2], row[3]));
        }
    }
}
