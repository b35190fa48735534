//! What is usual at a camera, and how rare something is beside it.
//!
//! A track counts once for each thing it does, however long it does it: whoever stands at a shelf for ten minutes is one
//! of those who stand there. So "nobody stands here at this hour" is a share of tracks with an error one can reason about,
//! not of frames, which are all alike.
//!
//! Each thing a track does has a chance: the share of tracks that stand in this cell (or walk there), of those that walk
//! in this block the ones that walk this way, or at least this fast, of the stays at this place those at least this long,
//! and the chance that anybody is here within an hour at all. Shares are smoothed over neighbouring cells, ways and hours,
//! and borrow from the same hour of all days, and from all hours, as far as the hour itself has seen little. The
//! surprise is the logarithm of one over the chance, in bits.
//!
//! How large a surprise is large is not decided by these chances, which are not independent and of which a track tries
//! hundreds. It is decided by the tracks of the past: [`Model::p`] is the share of them whose largest surprise was as
//! large, itself counted among them. Whatever is wrong with the chances, on an ordinary day no more than `p` of the
//! tracks have such a p.

use super::counts::{BORROWED, Counts};
use super::keys::{self, CELLS, Cell, Spot, TRACKS, WATCHED};
use crate::memory::{Reader, Writer};
use crate::statistics::{Hour, exp, faded, log2};
use std::collections::BTreeMap;

/// Surprises are counted in quarters of a bit, up to 40 bits.
const PER_BIT: f64 = 4.0;
const BINS: usize = 160;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Model {
    pub counts: Counts,
    /// How many tracks had which largest surprise.
    surprises: Vec<f32>,
    /// Days on which something was learned, and the newest.
    pub days: u32,
    newest_day: Option<i64>,
    /// The camera shows another view: nothing is learned and nothing said.
    pub away: bool,
}

/// What a track did, each thing with the hour it did it first.
pub(super) type Deeds = BTreeMap<u16, Hour>;

impl Default for Model {
    fn default() -> Self {
        Model { counts: Counts::default(), surprises: vec![0.0; BINS], days: 0, newest_day: None, away: false }
    }
}

impl Model {
    /// A day on which the camera sees nothing is no day: a box that was off for a month has forgotten nothing.
    pub fn day(&mut self, day: i64, half_life_days: f64) {
        if self.newest_day.replace(day).is_some_and(|newest| newest == day) {
            return;
        }
        self.days = self.days.saturating_add(1);
        let keep = faded(1.0, half_life_days) as f32;
        self.counts.fade(keep);
        self.surprises.iter_mut().for_each(|count| *count *= keep);
    }

    pub fn watched(&mut self, hour: Hour, hours: f32) {
        self.counts.add(WATCHED, hour, hours);
    }

    pub fn learn(&mut self, deeds: &Deeds) {
        deeds.iter().for_each(|(key, hour)| self.counts.add(*key, *hour, 1.0));
    }

    /// Every track has one, also those that nothing is learned from: else what is rare would be left out each time, and
    /// the limit would sink until everything is rare.
    pub fn count_surprise(&mut self, bits: f64) {
        self.surprises[bin(bits)] += 1.0;
    }

    /// Tracks that a new one is compared with, as far as they have not faded.
    pub fn tracks(&self) -> f64 {
        self.surprises.iter().map(|count| f64::from(*count)).sum()
    }

    /// The chance that an ordinary track has so large a surprise.
    pub fn p(&self, bits: f64) -> f64 {
        let above: f64 = self.surprises[bin(bits)..].iter().map(|count| f64::from(*count)).sum();
        (above + 1.0) / (self.tracks() + 1.0)
    }

    pub fn stands(&self, cell: Cell, hour: Hour) -> f64 {
        self.is_there(hour, cell, Cell::stands)
    }
    pub fn walks(&self, cell: Cell, hour: Hour) -> f64 {
        self.is_there(hour, cell, Cell::walks)
    }

    fn is_there(&self, hour: Hour, cell: Cell, key: impl Fn(Cell) -> u16) -> f64 {
        let part = |level| cell.around().map(|(near, weight)| weight * self.counts.get(key(near), level)).sum();
        let of = |level| self.counts.get(TRACKS, level);
        self.counts.share(hour, 1.0 / CELLS as f64, BORROWED, part, of).min(1.0)
    }

    /// Of those who walk in the block, the share that goes this way.
    pub fn goes(&self, cell: Cell, way: u8, hour: Hour) -> f64 {
        let count = |way: u8, level| self.counts.get(cell.goes(way), level);
        let part = |level| count(way, level) / 2.0 + (count(way + 1, level) + count(way + 7, level)) / 4.0;
        let of = |level| (0..8).map(|way| count(way, level)).sum();
        self.counts.share(hour, 0.125, BORROWED, part, of)
    }

    /// Of those who walk in the block, the share that goes at least so fast.
    pub fn hurries(&self, cell: Cell, pace: usize, hour: Hour) -> f64 {
        let from = |pace: usize, level| (pace..keys::PACES.len()).map(|p| self.counts.get(cell.pace(p), level)).sum();
        // Where nobody has walked yet, who runs is as likely as not.
        self.counts.share(hour, 0.5, BORROWED, |level| from(pace, level), |level| from(0, level))
    }

    /// Of the stays there, the share that lasts at least so long.
    pub fn stays(&self, spot: Spot, length: usize, hour: Hour) -> f64 {
        let from = |length: usize, level| (length..keys::STAYS).map(|b| self.counts.get(spot.stay(b), level)).sum();
        let prior = 1.0 - length as f64 / keys::STAYS as f64;
        self.counts.share(hour, prior, BORROWED, |level| from(length, level), |level| from(0, level))
    }

    /// The lower edge of the length that half of the stays reach; s.
    pub fn usual_stay(&self, spot: Spot, hour: Hour) -> f64 {
        let half = (0..keys::STAYS).rev().find(|length| self.stays(spot, *length, hour) >= 0.5);
        keys::edge(half.unwrap_or(0))
    }

    /// The lower edge of the pace that half of those who walk there reach; body heights a second.
    pub fn usual_pace(&self, cell: Cell, hour: Hour) -> f32 {
        let half = (0..keys::PACES.len()).rev().find(|pace| self.hurries(cell, *pace, hour) >= 0.5);
        keys::PACES[half.unwrap_or(0)]
    }

    /// Tracks in an hour.
    pub fn traffic(&self, hour: Hour) -> f64 {
        let (part, of) = (|level| self.counts.get(TRACKS, level), |level| self.counts.get(WATCHED, level));
        self.counts.share(hour, 1.0, 0.5, part, of)
    }

    /// The chance that somebody is here within an hour.
    pub fn is_visited(&self, hour: Hour) -> f64 {
        1.0 - exp(-self.traffic(hour))
    }

    pub fn write(&self, out: &mut Writer) {
        out.number(u64::from(self.days));
        out.signed(self.newest_day.unwrap_or(i64::MIN));
        out.number(u64::from(self.away));
        self.surprises.iter().for_each(|count| out.count(*count));
        self.counts.write(out);
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut model = Model { days: reader.number()?.try_into().ok()?, ..Model::default() };
        model.newest_day = Some(reader.signed()?).filter(|day| *day != i64::MIN);
        model.away = reader.number()? != 0;
        for count in &mut model.surprises {
            *count = reader.count()?;
        }
        model.counts = Counts::read(reader)?;
        Some(model)
    }
}

/// Bits of surprise of a chance.
pub(super) fn surprise(chance: f64) -> f64 {
    -log2(chance.clamp(1e-12, 1.0))
}

fn bin(bits: f64) -> usize {
    ((bits * PER_BIT) as usize).min(BINS - 1)
}
