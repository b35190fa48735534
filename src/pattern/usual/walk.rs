//! One track, once a second: what it does, and how surprising that is. What happens for an instant only surprises
//! nobody: a box that jumps for a frame is no sprint. Three looks in a row must agree, and the least of their surprises
//! counts.

use super::keys::{self, Cell, Spot};
use super::model::{Deeds, Model, surprise};
use crate::geometry::Point;
use crate::statistics::Hour;
use crate::time::{MediaTime, Span};

const EVERY: Span = Span::from_millis(1000);
/// Between two looks that are further apart nobody knows what was done.
const TOO_LONG: Span = Span::from_millis(3000);
/// Looks that must agree.
const AGREE: usize = 3;
/// A stay outside of zones is over when the foot point is further away than this, in heights of the box.
const STRAY: f32 = 0.75;

/// What is surprising.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Why {
    Here,
    Stands(Cell),
    Walks(Cell),
    Goes(Cell, u8),
    Hurries(Cell, f32),
    Stays(Spot, Span),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Surprise {
    pub bits: f64,
    pub why: Why,
}

pub(super) struct Walk {
    pub born: MediaTime,
    pub seen: MediaTime,
    foot: Point,
    /// The last look.
    looked: MediaTime,
    pub looks: u32,
    pub deeds: Deeds,
    /// Newest surprises of the same sort, for standing, walking, way and pace.
    lately: [[f64; AGREE]; 4],
    anchor: (Point, MediaTime),
    /// Nothing is learned from it.
    pub alarmed: bool,
    pub told: bool,
    pub most: Surprise,
}

/// What one look sees.
pub(super) struct Look<'a> {
    pub at: MediaTime,
    pub hour: Hour,
    pub foot: Point,
    /// Of the box.
    pub height: f32,
    pub aspect: f32,
    pub model: &'a Model,
}

impl Walk {
    pub fn new(at: MediaTime, foot: Point) -> Self {
        Walk {
            born: at,
            seen: at,
            foot,
            looked: at,
            looks: 0,
            deeds: Deeds::new(),
            lately: [[0.0; AGREE]; 4],
            anchor: (foot, at),
            alarmed: false,
            told: false,
            most: Surprise { bits: 0.0, why: Why::Here },
        }
    }

    pub fn is_due(&self, at: MediaTime) -> bool {
        at - self.looked >= EVERY
    }

    pub fn look(&mut self, look: &Look<'_>) {
        let Look { at, hour, foot, height, aspect, model } = *look;
        let passed = at - self.looked;
        let (dx, dy) = ((foot.x - self.foot.x) * aspect, foot.y - self.foot.y);
        (self.looked, self.foot, self.looks) = (at, foot, self.looks + 1);
        if self.looks == 1 {
            self.deeds.insert(keys::TRACKS, hour);
            self.surprise(surprise(model.is_visited(hour)), Why::Here);
        }
        self.stay(look);
        if passed > TOO_LONG {
            self.lately = [[0.0; AGREE]; 4];
            return;
        }
        let speed = (dx * dx + dy * dy).sqrt() / height.max(1e-3) / passed.secs_f64() as f32;
        let cell = Cell::of(foot);
        let Some(pace) = keys::pace(speed) else {
            self.did(cell.stands(), hour);
            self.lately[1..].fill([0.0; AGREE]);
            return self.sustained(0, surprise(model.stands(cell, hour)), Why::Stands(cell));
        };
        self.lately[0].fill(0.0);
        let way = keys::way(dx, dy);
        for key in [cell.walks(), cell.goes(way), cell.pace(pace)] {
            self.did(key, hour);
        }
        self.sustained(1, surprise(model.walks(cell, hour)), Why::Walks(cell));
        self.sustained(2, surprise(model.goes(cell, way, hour)), Why::Goes(cell, way));
        self.sustained(3, surprise(model.hurries(cell, pace, hour)), Why::Hurries(cell, speed));
    }

    /// A stay that still goes on, in a zone since then.
    pub fn is_in(&mut self, zone: u8, dwell: Span, hour: Hour, model: &Model) {
        self.lasts(Spot::Zone(zone), dwell, hour, model);
    }

    /// A stay that is over.
    pub fn stayed(&mut self, spot: Spot, dwell: Span, hour: Hour) {
        if let Some(length) = keys::length(dwell.secs_f64()) {
            self.did(spot.stay(length), hour);
        }
    }

    /// It will not be seen again: ends what it did.
    pub fn end(&mut self, hour: Hour) {
        let (anchor, since) = self.anchor;
        self.stayed(Cell::of(anchor).area(), self.seen - since, hour);
    }

    fn stay(&mut self, look: &Look<'_>) {
        let (anchor, since) = self.anchor;
        let (dx, dy) = ((look.foot.x - anchor.x) * look.aspect, look.foot.y - anchor.y);
        let spot = Cell::of(anchor).area();
        if dx * dx + dy * dy <= (STRAY * look.height) * (STRAY * look.height) {
            return self.lasts(spot, look.at - since, look.hour, look.model);
        }
        self.stayed(spot, look.at - since, look.hour);
        self.anchor = (look.foot, look.at);
    }

    fn lasts(&mut self, spot: Spot, dwell: Span, hour: Hour, model: &Model) {
        if let Some(length) = keys::length(dwell.secs_f64()) {
            self.surprise(surprise(model.stays(spot, length, hour)), Why::Stays(spot, dwell));
        }
    }

    fn did(&mut self, key: u16, hour: Hour) {
        self.deeds.entry(key).or_insert(hour);
    }

    fn sustained(&mut self, sort: usize, bits: f64, why: Why) {
        let lately = &mut self.lately[sort];
        lately.rotate_left(1);
        lately[AGREE - 1] = bits;
        let least = lately.iter().copied().fold(f64::INFINITY, f64::min);
        self.surprise(least, why);
    }

    fn surprise(&mut self, bits: f64, why: Why) {
        if bits > self.most.bits {
            self.most = Surprise { bits, why };
        }
    }
}
