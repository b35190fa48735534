//! Detections of one frame after another become tracks: the same person keeps the same id.

mod assign;
mod bytetrack;
mod camera;
mod config;
mod kalman;
pub mod mot;
mod target;

pub use bytetrack::Tracker;
pub use config::TrackConfig;

use crate::detection::Class;
use crate::geometry::BBox;
use crate::ids::TrackId;
use crate::time::MediaTime;

/// Somebody or something that is followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub id: TrackId,
    pub class: Class,
    /// Of the newest detection, 0..1.
    pub score: f32,
    /// Where it is: the newest detections, smoothed, or the prediction while it is lost. Fractions; may reach
    /// outside of the frame.
    pub bbox: BBox,
    /// First detection.
    pub born: MediaTime,
    /// Newest detection; earlier than the frame's time while the track is lost.
    pub seen: MediaTime,
    pub state: TrackState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrackState {
    /// Seen too seldom to be counted.
    Tentative,
    /// Seen in this frame and before.
    Confirmed,
    /// Confirmed before, not seen in this frame, may come back.
    Lost,
}
