//! Goods on a shelf: what was taken from it, what was put there, and that somebody reached in.
//!
//! No detector is asked about goods, which are too small and too many for one. Each cell of a zone has a background, the
//! look it is known by, which follows slowly. A cell that moves, or has a person before it, is not judged until it has
//! rested ([`REST_S`]); if it then looks different in any light (see `light`), it has changed. Changed cells that
//! belong together become one [`ShelfSight`] as soon as nothing beside them moves any more, and what is seen there is
//! from then on what is known. `turn` decides whether something is gone or there.
//!
//! What changes without anything having moved there, as a patch of sunlight creeps, is no goods. Neither is what changes
//! all at once: a lamp, another white balance, a camera that was moved; then everything is learned anew, and what
//! was taken in that moment is missed.
//!
//! Absent on purpose: what it means (`pattern`), who it was (`scene`), and clocks. Whoever stands there while the zone is
//! first seen, and is not recognized as a person, is taken for goods.

mod cells;
mod eye;
mod light;
mod touch;
mod turn;

#[cfg(test)]
mod tests;

use crate::clue::ShelfSight;
use crate::detection::{Class, Detections};
use crate::frame::Frame;
use crate::geometry::{BBox, Polygon};
use crate::ids::ZoneId;
use crate::time::{MediaTime, Span};
use anyhow::Result;
use eye::Eye;
use std::collections::BTreeMap;

/// Between two looks. Hands are slower than this.
const PERIOD: Span = Span::from_millis(200);
/// After a pause of this length nothing is known about the time between.
const PAUSE: Span = Span::from_millis(5_000);
/// Cells rest for so long before they are judged.
pub const REST_S: f32 = 1.0;

/// All zones of one camera that are watched for goods.
#[derive(Debug, Default)]
pub struct Shelves {
    eyes: BTreeMap<ZoneId, Eye>,
    last: Option<MediaTime>,
}

impl Shelves {
    pub fn new(zones: impl IntoIterator<Item = (ZoneId, Polygon)>) -> Self {
        let mut shelves = Shelves::default();
        shelves.swap(zones);
        shelves
    }

    /// Other zones from now on; one that did not change keeps what is known of it.
    pub fn swap(&mut self, zones: impl IntoIterator<Item = (ZoneId, Polygon)>) {
        let mut old = std::mem::take(&mut self.eyes);
        for (zone, area) in zones {
            let eye = old.remove(&zone).filter(|eye| *eye.area() == area).unwrap_or_else(|| Eye::new(area));
            self.eyes.insert(zone, eye);
        }
    }

    /// Looks at the frame that `found` was found in, where the last look was long enough ago, and adds what has become
    /// certain to its clues.
    ///
    /// # Errors
    /// The frame cannot be decoded.
    pub fn see(&mut self, frame: &Frame, found: &mut Detections) -> Result<()> {
        if self.eyes.is_empty() || self.last.is_some_and(|last| last <= frame.at && frame.at - last < PERIOD) {
            return Ok(());
        }
        let pause = match self.last.replace(frame.at) {
            Some(last) if last <= frame.at && frame.at - last <= PAUSE => Some(frame.at - last),
            _ => None,
        };
        let picture = frame.picture.decoded((cells::WIDTH as u32, 1))?;
        let people: Vec<BBox> = found.items.iter().filter(|d| d.class == Class::PERSON).map(|d| d.bbox).collect();
        for (zone, eye) in &mut self.eyes {
            found.clues.shelves.extend(eye.look(&picture, &people, pause)?.into_iter().map(|sight| sight.of(zone)));
        }
        Ok(())
    }

    /// The source is over, or will be opened again: what rests is to be seen anew before it is judged. What is known
    /// stays.
    pub fn pause(&mut self) {
        self.last = None;
    }
}

impl eye::Told {
    fn of(self, zone: &ZoneId) -> ShelfSight {
        ShelfSight {
            zone: zone.clone(),
            what: self.what,
            cells: self.cells,
            of: self.of,
            bbox: self.bbox,
            shown: self.shown,
            hidden: self.hidden,
        }
    }
}
