//! Association in stages: detections of high score with every track by predicted place, then those of low score
//! with whoever is still missing, then what is left with tentative tracks; the rest starts new ones.

use super::assign::{Costs, assign};
use super::config::TrackConfig;
use super::target::Target;
use super::{Track, TrackState, camera};
use crate::detection::{Detection, Detections};
use crate::geometry::BBox;
use crate::ids::TrackId;
use crate::time::{MediaTime, Span};

/// Follows everything in the pictures of one camera.
#[derive(Debug, Clone)]
pub struct Tracker {
    config: TrackConfig,
    /// By id.
    targets: Vec<Target>,
    tracks: Vec<Track>,
    /// Time of the newest frame.
    now: Option<MediaTime>,
    next_id: u64,
}

impl Tracker {
    pub fn new(config: TrackConfig) -> Self {
        Tracker { config, targets: Vec::new(), tracks: Vec::new(), now: None, next_id: 1 }
    }

    /// Everything alive after this frame, by id. Frames without detections count as well: tell the tracker.
    ///
    /// Ids are given in the order in which tracks start and are never used again; those of tentative tracks that
    /// came to nothing are missing from what is confirmed.
    pub fn update(&mut self, detections: &Detections) -> &[Track] {
        let now = detections.at;
        let dt = self.now.map_or(Span::ZERO, |before| (now - before).max(Span::ZERO));
        let opening = self.now.replace(now).is_none();
        let aspect = if detections.aspect.is_finite() && detections.aspect > 0.0 { detections.aspect } else { 1.0 };

        let max_lost = Span::from_secs_f64(self.config.max_lost_s);
        self.targets.retain(|t| now - t.seen <= max_lost);
        self.targets.iter_mut().for_each(|t| t.predict(dt.secs_f64() * 30.0, &self.config));

        let (high, low) = self.by_score(detections, aspect);
        if self.config.method.follow_camera
            && let Some((dx, dy)) = camera::shift(&self.targets, &high)
        {
            self.targets.iter_mut().for_each(|t| t.shift(dx, dy));
        }
        let rest = self.associate_all(high, low, now);
        self.start(&rest, now, opening);
        if self.config.method.drop_duplicates {
            self.drop_duplicates();
        }

        self.tracks = self.targets.iter().map(|t| t.to_track(aspect)).collect();
        &self.tracks
    }

    /// Isotropic detections of high and of low score, without those that make no sense.
    fn by_score(&self, detections: &Detections, aspect: f32) -> (Vec<Detection>, Vec<Detection>) {
        let isotropic = |d: &Detection| {
            let BBox { x1, y1, x2, y2 } = d.bbox;
            Detection { bbox: BBox::new(x1 * aspect, y1, x2 * aspect, y2), ..*d }
        };
        detections
            .items
            .iter()
            .filter(|d| d.score >= self.config.low_score)
            .map(isotropic)
            .filter(|d| d.bbox.is_finite() && d.bbox.width() > 0.0 && d.bbox.height() > 0.0)
            .partition(|d| d.score >= self.config.high_score)
    }

    /// Gives each track its detection, if there is one; gives back the detections of high score that nobody claims.
    fn associate_all(&mut self, high: Vec<Detection>, low: Vec<Detection>, now: MediaTime) -> Vec<Detection> {
        let method = self.config.method;
        let [first, second, tentative] = method.limits;
        let buffer = |t: &Target| ((now - t.seen).secs_f64() * method.buffer_per_s).clamp(0.0, method.buffer_most);
        let by_place = |t: &Target, d: &Detection| 1.0 - similarity(t, d, buffer(t), method.edge);

        let rest = self.associate(high, now, first, |s| s != TrackState::Tentative, by_place);
        // A low score is only believed where somebody was a moment ago.
        self.associate(
            low,
            now,
            second,
            |s| s == TrackState::Confirmed,
            |t, d| 1.0 - similarity(t, d, 0.0, method.edge),
        );
        let rest = self.associate(rest, now, tentative, |s| s == TrackState::Tentative, by_place);

        self.targets.retain(|t| !t.missing || t.state != TrackState::Tentative);
        for target in self.targets.iter_mut().filter(|t| t.missing) {
            target.state = TrackState::Lost;
        }
        rest
    }

    /// One stage: targets in a state that `takes_part` and not yet seen now. Gives back who is left over.
    fn associate(
        &mut self,
        found: Vec<Detection>,
        now: MediaTime,
        limit: f64,
        takes_part: impl Fn(TrackState) -> bool,
        cost: impl Fn(&Target, &Detection) -> f64,
    ) -> Vec<Detection> {
        let mut waiting: Vec<&mut Target> =
            self.targets.iter_mut().filter(|t| t.missing && takes_part(t.state)).collect();
        let costs = Costs::new(waiting.len(), found.len(), |t, d| cost(waiting[t], &found[d]));
        let mut claimed = vec![false; found.len()];
        for (t, d) in assign(&costs, limit) {
            waiting[t].update(&found[d], now, &self.config);
            claimed[d] = true;
        }
        let rest = found.into_iter().zip(claimed).filter(|(_, claimed)| !claimed);
        rest.map(|(detection, _)| detection).collect()
    }

    fn start(&mut self, rest: &[Detection], now: MediaTime, opening: bool) {
        for found in rest.iter().filter(|d| d.score >= self.config.new_score) {
            // Who is there when the film begins has been there before; nobody can ask for a second look.
            let state = if opening { TrackState::Confirmed } else { TrackState::Tentative };
            self.targets.push(Target::new(TrackId(self.next_id), found, now, state, &self.config));
            self.next_id += 1;
        }
    }

    fn drop_duplicates(&mut self) {
        let age = |t: &Target| t.seen - t.born;
        let mut same = vec![false; self.targets.len()];
        for (i, seen) in self.targets.iter().enumerate().filter(|(_, t)| t.state == TrackState::Confirmed) {
            for (j, lost) in self.targets.iter().enumerate().filter(|(_, t)| t.state == TrackState::Lost) {
                if seen.bbox.iou(&lost.bbox) > 0.85 {
                    same[if age(seen) > age(lost) { j } else { i }] = true;
                }
            }
        }
        let mut same = same.into_iter();
        self.targets.retain(|_| same.next() == Some(false));
    }
}

/// Intersection over union of both boxes, each buffered on every side by this part of its size (C-BIoU). A
/// person is never a car: no number.
pub(super) fn similarity(target: &Target, found: &Detection, buffer: f64, edge: f32) -> f64 {
    if target.class != found.class {
        return f64::NAN;
    }
    let buffered = |b: &BBox| {
        let (w, h) = (b.width() * buffer as f32, b.height() * buffer as f32);
        BBox::new(b.x1 - w, b.y1 - h, b.x2 + w + edge, b.y2 + h + edge)
    };
    f64::from(buffered(&target.bbox).iou(&buffered(&found.bbox)))
}
