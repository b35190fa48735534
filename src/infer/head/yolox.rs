//! YOLOX: per cell x, y (cells, from the cell's corner), logarithms of width and height (cells), objectness, and
//! the classes' scores, sigmoid done.

use super::{Cell, best, centred};
use crate::geometry::BBox;

pub(super) fn decode(
    output: &[f32],
    cells: &[Cell],
    classes: usize,
    min_score: f32,
    push: &mut impl FnMut(usize, f32, BBox),
) {
    for (row, cell) in output.chunks_exact(5 + classes).zip(cells) {
        let objectness = row[4];
        // No class scores above 1, so most cells are done here.
        if objectness < min_score {
            continue;
        }
        let Some((class, score)) = best(row[5..].iter().copied()) else { continue };
        let score = objectness * score;
        if score >= min_score {
            let stride = cell.stride;
            push(
                class,
                score,
                centred(
                    cell.x + row[0] * stride,
                    cell.y + row[1] * stride,
                    row[2].exp() * stride,
                    row[3].exp() * stride,
                ),
            );
        }
    }
}
