//! Detections of one frame after another become tracks: the same person keeps the same id.
//!
//! ByteTrack at heart (`bytetrack`: association in stages, low scores last; `kalman`: where a box will be; `assign`:
//! who belongs to whom), with times in seconds instead of frames, classes kept apart, and what is left of the motion
//! when everybody moves at once put down to the camera (`camera`).
//!
//! Absent on purpose: pixels (no re-identification by looks, so a frame costs tens of microseconds), knowledge of
//! the future (no filling of gaps afterwards), and clocks: time comes with the detections.
//!
//! # What each part is worth
//!
//! HOTA (TrackEval on what `track --mot det.txt` writes) with one configuration for all: MOT15 (6 sequences, Faster
//! R-CNN) and the second halves of MOT17-02/09/10 (YOLOX-x); the same with a third of the frames, which is what small
//! boards manage (5 to 10 a second; without KITTI-17); and TUD-Campus from its film with YOLOX-nano, where a
//! single exchange of two people moves the number by five. The choices were made on these very sequences.
//!
//! | | MOT15 | MOT17 | MOT15 / 3 | MOT17 / 3 | film |
//! |---|---|---|---|---|---|
//! | SORT / ByteTrack (Python) | 34.6 / 35.6 | 50.1 / 52.1 | | | 47.7 / 45.4 |
//! | **default** (MOTA 33.3, 65.0; IDF1 51.5, 69.2) | **38.7** | **55.2** | **35.0** | **55.5** | **45.7** |
//! | without the camera's motion | 37.8 | 51.7 | 34.8 | 51.4 | 49.6 |
//! | without buffered boxes | 38.5 | 54.5 | 35.0 | 54.9 | 51.3 |
//! | aspect and height in place of width and height | 38.2 | 53.7 | 35.7 | 55.3 | 54.3 |
//! | ByteTrack's process noise | 37.5 | 54.2 | 34.8 | 54.4 | 49.3 |
//! | confirmed at the second detection | 38.7 | 55.0 | 35.0 | 55.5 | 42.6 |
//! | lost for 1 s in place of 1.5 s | 38.7 | 53.9 | | | |
//!
//! Tried and left out, within the noise or worse: cost weighted with the score (the same here, 40.0 from the film:
//! small nets score low), similarity of heights, OC-SORT's momentum, re-update and second look at the last place, a
//! zoom of the camera, the detection in place of the smoothed box (-1 on MOT15), removal of duplicates.

mod assign;
mod bytetrack;
mod camera;
mod config;
mod grid;
mod kalman;
pub mod mot;
mod target;

pub use bytetrack::Tracker;
pub use config::TrackConfig;
pub use grid::settle;

use crate::detection::Class;
use crate::geometry::BBox;
use crate::ids::TrackId;
use crate::time::MediaTime;

/// More boxes in one frame no detector gives (ours: 300) and no crowd has. Association compares each with each, so
/// files are held to it where they are read.
pub const MAX_BOXES: usize = 2000;

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
