//! One followed thing, as the tracker knows it. Lengths are isotropic: x is multiplied by the aspect of the frame.

use super::config::TrackConfig;
use super::kalman::Kalman;
use super::{Track, TrackState};
use crate::detection::{Class, Detection};
use crate::geometry::BBox;
use crate::ids::TrackId;
use crate::time::MediaTime;

#[derive(Debug, Clone)]
pub(super) struct Target {
    pub id: TrackId,
    pub class: Class,
    score: f32,
    pub state: TrackState,
    pub born: MediaTime,
    pub seen: MediaTime,
    pub detections: u32,
    /// Not yet found in this frame.
    pub missing: bool,
    /// Where it should be in this frame or, once it has been found there, where it is.
    pub bbox: BBox,
    kalman: Kalman,
}

impl Target {
    pub fn new(id: TrackId, found: &Detection, now: MediaTime, state: TrackState, config: &TrackConfig) -> Self {
        Target {
            id,
            class: found.class,
            score: found.score,
            state,
            born: now,
            seen: now,
            detections: 1,
            missing: false,
            bbox: found.bbox,
            kalman: Kalman::new(&found.bbox, config.method.motion),
        }
    }

    /// `dt` in units of 1/30 s.
    pub fn predict(&mut self, dt: f64, config: &TrackConfig) {
        self.missing = true;
        match self.state {
            TrackState::Tentative if !config.method.predict_tentative => return,
            TrackState::Lost => self.kalman.stop_growing(),
            TrackState::Tentative | TrackState::Confirmed => {}
        }
        self.kalman.predict(dt);
        if config.method.compare_predicted {
            self.bbox = self.kalman.bbox();
        }
    }

    pub fn shift(&mut self, dx: f32, dy: f32) {
        self.kalman.shift(dx, dy);
        let b = self.bbox;
        self.bbox = BBox::new(b.x1 + dx, b.y1 + dy, b.x2 + dx, b.y2 + dy);
    }

    /// It has been detected in this frame.
    pub fn update(&mut self, found: &Detection, now: MediaTime, config: &TrackConfig) {
        self.kalman.update(&found.bbox);
        self.bbox = self.kalman.bbox();
        self.score = found.score;
        self.seen = now;
        self.detections += 1;
        self.missing = false;
        // A tentative track ends with its first miss, so it has been seen all the time since it was born.
        if self.state != TrackState::Tentative || (now - self.born).secs_f64() >= config.confirm_s {
            self.state = TrackState::Confirmed;
        }
    }

    pub fn to_track(&self, aspect: f32) -> Track {
        let BBox { x1, y1, x2, y2 } = self.bbox;
        Track {
            id: self.id,
            class: self.class,
            score: self.score,
            bbox: BBox::new(x1 / aspect, y1, x2 / aspect, y2),
            born: self.born,
            seen: self.seen,
            state: self.state,
        }
    }
}
