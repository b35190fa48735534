//! What one camera saw lately, kept until it is known whether somebody will ask for it.
//!
//! Tracks of a quarter of an hour are some hundred kilobytes. Pictures are kept as small JPEGs, one a second and only
//! while somebody is there, for seconds: an empty shop costs nothing.

use super::super::jpeg::jpeg;
use crate::clue::Clues;
use crate::frame::Picture;
use crate::ids::TrackId;
use crate::pipeline::Moment;
use crate::time::{MediaTime, Span, WallTime};
use crate::track::Track;
use anyhow::Result;
use image::imageops::thumbnail;
use std::collections::VecDeque;
use std::sync::Arc;

/// No rule looks back further than this without remembering it some other way.
const TRACKS_FOR: Span = Span::from_millis(15 * 60_000);
/// A crowd of fifty at ten frames a second fills this in a minute and a half; then the oldest go.
const TRACKS_MAX: usize = 50_000;
/// Between two pictures.
const PICTURE_EVERY: Span = Span::from_millis(1_000);
/// Pixels: enough to see what somebody does.
const PICTURE_WIDTH: u32 = 640;
const PICTURE_QUALITY: u8 = 75;
/// What happened before somebody appeared explains little, but what led to it does.
const LEAD: Span = Span::from_millis(3_000);

/// One frame, as the rules saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    pub moment: Moment,
    pub tracks: Vec<Track>,
    /// What other eyes saw.
    pub clues: Clues,
}

/// A picture of the past.
#[derive(Debug, Clone)]
pub struct Shot {
    pub at: MediaTime,
    pub taken: WallTime,
    pub jpeg: Arc<[u8]>,
}

#[derive(Debug)]
pub struct Past {
    opening: u64,
    sightings: VecDeque<Sighting>,
    tracks: usize,
    shots: VecDeque<Shot>,
    shots_for: Span,
}

impl Past {
    /// Keeps pictures for `shots_for`.
    pub fn new(shots_for: Span) -> Self {
        Past { opening: 0, sightings: VecDeque::new(), tracks: 0, shots: VecDeque::new(), shots_for }
    }

    /// Before another opening of the source lies nothing that leads to what comes: film time and track ids start over.
    pub fn saw(&mut self, opening: u64, moment: Moment, tracks: &[Track], clues: &Clues) {
        if std::mem::replace(&mut self.opening, opening) != opening {
            self.sightings.clear();
            self.tracks = 0;
            self.shots.clear();
        }
        self.tracks += tracks.len() + 1;
        self.sightings.push_back(Sighting { moment, tracks: tracks.to_vec(), clues: clues.clone() });
        while let Some(oldest) = self.sightings.front()
            && (moment.at - oldest.moment.at > TRACKS_FOR || self.tracks > TRACKS_MAX)
        {
            self.tracks -= oldest.tracks.len() + 1;
            self.sightings.pop_front();
        }
        while self.shots.front().is_some_and(|oldest| moment.at - oldest.at > self.shots_for) {
            self.shots.pop_front();
        }
    }

    /// Keeps the picture if one is due.
    ///
    /// # Errors
    /// It cannot be decoded.
    pub fn show(&mut self, picture: &Picture, at: MediaTime, taken: WallTime) -> Result<()> {
        if self.shots.back().is_some_and(|newest| at - newest.at < PICTURE_EVERY && at >= newest.at) {
            return Ok(());
        }
        let rgb = picture.decoded((PICTURE_WIDTH, 1))?.to_rgb()?;
        let (width, height) = rgb.dimensions();
        let small = if width > PICTURE_WIDTH {
            let height = (u64::from(height) * u64::from(PICTURE_WIDTH) / u64::from(width)).max(1);
            Picture::Rgb(Arc::new(thumbnail(&*rgb, PICTURE_WIDTH, height as u32)))
        } else {
            Picture::Rgb(rgb)
        };
        self.shots.push_back(Shot { at, taken, jpeg: jpeg(&small, PICTURE_QUALITY)?.into() });
        Ok(())
    }

    /// What is needed to run a rule again that told of `who` now: from a little before the first of them appeared.
    pub fn about(&self, who: &[TrackId]) -> Vec<Sighting> {
        let born =
            |seen: &Sighting| seen.tracks.iter().filter(|track| who.contains(&track.id)).map(|track| track.born).min();
        let from = self.sightings.back().and_then(born);
        let begin = |from: MediaTime| self.sightings.partition_point(|seen| from - seen.moment.at > LEAD);
        self.sightings.iter().skip(from.map_or(0, begin)).cloned().collect()
    }

    /// Everything there is.
    pub fn sightings(&self) -> Vec<Sighting> {
        self.sightings.iter().cloned().collect()
    }
    pub fn shots(&self) -> Vec<Shot> {
        self.shots.iter().cloned().collect()
    }
}
