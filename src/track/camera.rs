//! A camera that shakes, pans or rides along moves everybody at once. What all have in common is not theirs.
//!
//! Known trackers take this motion from the pixels (BoT-SORT); we take it from the boxes, which cost nothing and come
//! with recordings that have no pixels: the median, over everybody who is followed, of how far they are from where
//! they should be. Half of them may do as they like. With fewer than three there is no telling whose motion it is.
//!
//! Absent: turning and zooming. A zoom fitted to the boxes was tried and made things worse: their sizes are too noisy.

use super::TrackState;
use super::assign::{Costs, assign};
use super::bytetrack::similarity;
use super::target::Target;
use crate::detection::Detection;

/// Far from where they should be, people must be found before they can be compared: boxes are buffered by half their
/// size.
const BUFFER: f64 = 0.5;
const LIMIT: f64 = 0.8;
const ENOUGH: usize = 3;

/// How far the picture has moved, isotropic; `None` if that cannot be said.
pub(super) fn shift(targets: &[Target], found: &[Detection]) -> Option<(f32, f32)> {
    // Speed is known from the third detection on; before, the motion could be the target's own.
    let known: Vec<&Target> =
        targets.iter().filter(|t| t.state == TrackState::Confirmed && t.detections >= 3).collect();
    let costs = Costs::new(known.len(), found.len(), |t, d| 1.0 - similarity(known[t], &found[d], BUFFER, 0.0));
    let off = |(t, d): &(usize, usize)| {
        let (is, should) = (found[*d].bbox.centre(), known[*t].bbox.centre());
        (is.x - should.x, is.y - should.y)
    };
    let (x, y): (Vec<f32>, Vec<f32>) = assign(&costs, LIMIT).iter().map(off).unzip();
    (x.len() >= ENOUGH).then(|| (median(x), median(y)))
}

/// Of at least one value.
fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    (values[values.len() / 2] + values[(values.len() - 1) / 2]) / 2.0
}
