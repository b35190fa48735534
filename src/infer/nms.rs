//! Non-maximum suppression: of boxes of one class that overlap, the best stays.

use super::head::Candidate;

/// Candidates looked at, best first. A network cannot make suppression take longer than this allows.
const MAX_CANDIDATES: usize = 30_000;

/// Reduces `candidates` to those that stay, best first and at most `limit` of them.
///
/// A box goes when it overlaps a better one of its class by more than `iou`. Equal scores keep the order of the
/// network's output, so the result does not depend on the processor.
pub fn suppress(candidates: &mut Vec<Candidate>, iou: f32, limit: usize) {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    candidates.truncate(MAX_CANDIDATES);
    let classes = candidates.iter().map(|c| c.class + 1).max().unwrap_or(0);
    let mut kept_of_class: Vec<Vec<crate::geometry::BBox>> = vec![Vec::new(); classes];
    let mut kept = 0;
    candidates.retain(|candidate| {
        let better = &mut kept_of_class[candidate.class];
        let stays = kept < limit && better.iter().all(|b| b.iou(&candidate.bbox) <= iou);
        if stays {
            better.push(candidate.bbox);
            kept += 1;
        }
        stays
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BBox;

    /// Boxes 10 wide and high at `x`, as `class x score`.
    fn check(story: &str, boxes: &[(usize, f32, f32)], expected: &[(usize, f32, f32)]) {
        let candidate = |&(class, x, score): &(usize, f32, f32)| Candidate {
            class,
            score,
            bbox: BBox::from_xywh(x, 0.0, 10.0, 10.0),
        };
        let mut boxes: Vec<Candidate> = boxes.iter().map(candidate).collect();
        suppress(&mut boxes, 0.5, 3);
        let left: Vec<_> = boxes.iter().map(|c| (c.class, c.bbox.x1, c.score)).collect();
        assert_eq!(left, expected, "{story}");
    }

    #[test]
    fn the_best_of_overlapping_boxes_stays() {
        check("nothing", &[], &[]);
        check("one", &[(0, 0.0, 0.5)], &[(0, 0.0, 0.5)]);
        check("two on each other", &[(0, 0.0, 0.5), (0, 1.0, 0.9)], &[(0, 1.0, 0.9)]);
        check("two apart", &[(0, 0.0, 0.5), (0, 8.0, 0.9)], &[(0, 8.0, 0.9), (0, 0.0, 0.5)]);
        check("two classes", &[(0, 0.0, 0.5), (1, 1.0, 0.9)], &[(1, 1.0, 0.9), (0, 0.0, 0.5)]);
        check(
            "what was suppressed suppresses nothing",
            &[(0, 0.0, 0.9), (0, 3.0, 0.8), (0, 6.0, 0.7)],
            &[(0, 0.0, 0.9), (0, 6.0, 0.7)],
        );
        check("equal scores keep their order", &[(0, 1.0, 0.5), (0, 0.0, 0.5)], &[(0, 1.0, 0.5)]);
        check(
            "the limit holds over all classes",
            &[(0, 0.0, 0.1), (1, 20.0, 0.2), (2, 40.0, 0.3), (3, 60.0, 0.4)],
            &[(3, 60.0, 0.4), (2, 40.0, 0.3), (1, 20.0, 0.2)],
        );
    }
}
