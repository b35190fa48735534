//! From a network's raw output to candidate boxes: one file per family. Pure, and safe on any numbers: what is
//! not finite never becomes a candidate.

mod nanodet;
mod yolov5;
mod yolov8;
mod yolox;

use super::manifest::{HeadKind, Manifest};
use crate::geometry::BBox;

/// A box before suppression.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// Index into the model's classes.
    pub class: usize,
    /// 0..1
    pub score: f32,
    /// In pixels of the network's input.
    pub bbox: BBox,
}

/// How the output of one model is read.
#[derive(Debug, Clone)]
pub struct Head {
    kind: HeadKind,
    classes: usize,
    cells: Vec<Cell>,
}

/// One place of the output: the upper left corner of its square of the input, and the side of that, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    x: f32,
    y: f32,
    stride: f32,
}

impl Head {
    pub fn new(manifest: &Manifest) -> Self {
        let mut cells = Vec::new();
        for &stride in &manifest.head.strides {
            for row in 0..manifest.input.height / stride {
                cells.extend((0..manifest.input.width / stride).map(|column| Cell {
                    x: (column * stride) as f32,
                    y: (row * stride) as f32,
                    stride: stride as f32,
                }));
            }
        }
        Head { kind: manifest.head.kind, classes: manifest.class_names().len(), cells }
    }

    /// The shape that the output must have.
    pub fn output_shape(&self) -> [usize; 3] {
        let (cells, classes) = (self.cells.len(), self.classes);
        match self.kind {
            HeadKind::Yolox => [1, cells, 5 + classes],
            HeadKind::Yolov5 => [1, 3 * cells, 5 + classes],
            HeadKind::Yolov8 => [1, 4 + classes, cells],
            HeadKind::Nanodet => [1, cells, classes + nanodet::BOX],
            HeadKind::Movenet => [1, cells, super::pose::COLUMNS],
        }
    }

    /// Appends the candidates that reach `min_score`. `output` has the length of [`Head::output_shape`].
    pub fn decode(&self, output: &[f32], min_score: f32, candidates: &mut Vec<Candidate>) {
        // A box of infinite or negative size would poison every overlap; it also is no box.
        let mut push = |class: usize, score: f32, bbox: BBox| {
            if bbox.is_finite() && bbox.x1 < bbox.x2 && bbox.y1 < bbox.y2 {
                candidates.push(Candidate { class, score: score.min(1.0), bbox });
            }
        };
        match self.kind {
            HeadKind::Yolox => yolox::decode(output, &self.cells, self.classes, min_score, &mut push),
            HeadKind::Yolov5 => yolov5::decode(output, self.classes, min_score, &mut push),
            HeadKind::Yolov8 => yolov8::decode(output, self.cells.len(), min_score, &mut push),
            HeadKind::Nanodet => nanodet::decode(output, &self.cells, self.classes, min_score, &mut push),
            // It has no boxes; its joints are read by `pose`, and no detector is made of it.
            HeadKind::Movenet => {}
        }
    }
}

/// A box given by its centre.
fn centred(x: f32, y: f32, width: f32, height: f32) -> BBox {
    BBox::from_xywh(x - width / 2.0, y - height / 2.0, width, height)
}

/// The best class and its score. One thing is one detection: a box never is a car and a truck at the same time.
/// `None` where no score is a number above 0.
fn best(scores: impl IntoIterator<Item = f32>) -> Option<(usize, f32)> {
    let mut best = None;
    let mut top = 0.0;
    for (class, score) in scores.into_iter().enumerate() {
        if score > top {
            (best, top) = (Some(class), score);
        }
    }
    best.map(|class| (class, top))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head of two classes over an input of 64 x 64 pixels.
    pub(super) fn head(kind: HeadKind) -> Head {
        let cell = |x, y, stride| Cell { x, y, stride };
        let cells = vec![cell(0.0, 0.0, 32.0), cell(32.0, 0.0, 32.0), cell(0.0, 32.0, 32.0), cell(32.0, 32.0, 32.0)];
        Head { kind, classes: 2, cells }
    }

    /// Writes `row` at place `index` of an output that is otherwise `rest`, and decodes it.
    pub(super) fn decode(head: &Head, index: usize, row: &[f32], rest: f32) -> Vec<Candidate> {
        let [_, rows, columns] = head.output_shape();
        let mut output = vec![rest; rows * columns];
        if head.kind == HeadKind::Yolov8 {
            row.iter().enumerate().for_each(|(i, v)| output[i * columns + index] = *v);
        } else {
            output[index * columns..][..row.len()].copy_from_slice(row);
        }
        let mut candidates = Vec::new();
        head.decode(&output, 0.3, &mut candidates);
        candidates
    }

    #[test]
    fn each_family_gives_the_same_box_for_its_way_to_write_it() {
        // Centre (40, 20), 20 wide, 40 high; the second cell begins at (32, 0).
        let mut nanodet = vec![0.1, 0.8];
        for distance in [0.25, 0.5, 0.5, 1.0] {
            // All weight on two neighbouring bins gives the value between them.
            let mut logits = [-30.0; 11];
            let low = f32::floor(distance) as usize;
            let part = distance - low as f32;
            logits[low] = (1.0 - part).max(1e-9).ln();
            logits[low + 1] = part.max(1e-9).ln();
            nanodet.extend(logits);
        }
        let rows: [(HeadKind, Vec<f32>, [f32; 4]); 4] = [
            (HeadKind::Yolox, vec![0.25, 0.625, 0.625f32.ln(), 1.25f32.ln(), 0.9, 0.1, 0.8], [30.0, 0.0, 50.0, 40.0]),
            (HeadKind::Yolov5, vec![40.0, 20.0, 20.0, 40.0, 0.9, 0.1, 0.8], [30.0, 0.0, 50.0, 40.0]),
            (HeadKind::Yolov8, vec![40.0, 20.0, 20.0, 40.0, 0.1, 0.8], [30.0, 0.0, 50.0, 40.0]),
            // The cell's centre is (48, 16): 8 to the left, 16 up, 16 to the right, 32 down.
            (HeadKind::Nanodet, nanodet, [40.0, 0.0, 64.0, 48.0]),
        ];
        for (kind, row, expected) in rows {
            let found = decode(&head(kind), 1, &row, 0.0);
            let [one] = found[..] else { panic!("{kind:?} finds {found:?}") };
            assert_eq!(one.class, 1, "{kind:?}");
            let score = if matches!(kind, HeadKind::Yolox | HeadKind::Yolov5) { 0.72 } else { 0.8 };
            assert!((one.score - score).abs() < 1e-6, "{kind:?} {}", one.score);
            let wrong = one.bbox.to_array().iter().zip(expected).any(|(a, b)| (a - b).abs() > 0.01);
            assert!(!wrong, "{kind:?} {:?} expected {expected:?}", one.bbox);
        }
    }

    #[test]
    fn numbers_that_are_none_find_nothing() {
        for kind in [HeadKind::Yolox, HeadKind::Yolov5, HeadKind::Yolov8, HeadKind::Nanodet] {
            for value in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, -1.0, 0.0, 1e30] {
                let found = decode(&head(kind), 0, &[], value);
                assert!(found.iter().all(|c| c.bbox.is_finite() && c.score <= 1.0), "{kind:?} {value}");
            }
            // A good score does not save a box that is none.
            let row: &[f32] = match kind {
                HeadKind::Nanodet => &[0.9, 0.9, f32::NAN],
                HeadKind::Yolov8 => &[f32::NAN, 1.0, 1.0, 1.0, 0.9, 0.9],
                HeadKind::Yolox | HeadKind::Yolov5 => &[f32::NAN, 1.0, 1.0, 1.0, 0.9, 0.9, 0.9],
                HeadKind::Movenet => unreachable!("it is not in the list above"),
            };
            assert!(decode(&head(kind), 0, row, 0.0).is_empty(), "{kind:?}");
        }
    }
}
