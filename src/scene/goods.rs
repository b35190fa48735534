//! What the eye for goods saw, put beside the people who were there: when it happened, and who was nearest.
//!
//! Nearest is all that is known. A place is often judged only after somebody has stepped aside, so where people were is
//! remembered for a while.

use crate::clue::{ShelfChange, ShelfSight};
use crate::event::Party;
use crate::geometry::BBox;
use crate::ids::ZoneId;
use crate::time::{MediaTime, Span};
use std::collections::VecDeque;

/// Somebody further away than this part of his own height reaches nothing.
const REACH: f32 = 0.4;
/// Where people were is remembered for so long, ...
const REMEMBERED: Span = Span::from_millis(30_000);
/// ... this often.
const OFTEN: Span = Span::from_millis(200);
/// Whoever came this soon after may have been missed before.
const LATE: Span = Span::from_millis(500);

/// What became of a place in a zone that is watched for goods.
#[derive(Debug, Clone, PartialEq)]
pub struct GoodsChange {
    pub zone: ZoneId,
    pub what: ShelfChange,
    /// It happened between these two moments.
    pub from: MediaTime,
    pub at: MediaTime,
    /// How much of the zone, in cells, of so many cells.
    pub cells: u32,
    pub of: u32,
    pub bbox: BBox,
    /// Who was nearest at that time, if anybody was near.
    pub who: Option<Party>,
}

impl GoodsChange {
    /// Part of the zone, 0..1.
    pub fn share(&self) -> f32 {
        self.cells as f32 / self.of.max(1) as f32
    }
}

#[derive(Debug, Default)]
pub(super) struct Goods {
    /// Of the newest frame.
    pub changes: Vec<GoodsChange>,
    people: VecDeque<(MediaTime, Vec<Party>)>,
    /// Of the newest frame.
    aspect: f32,
}

impl Goods {
    /// Where people are now. All of them go into one memory: who is near is asked later.
    pub fn remember(&mut self, at: MediaTime, aspect: f32, people: impl Iterator<Item = Party>) {
        self.aspect = aspect;
        if self.people.back().is_some_and(|(last, _)| *last <= at && at - *last < OFTEN) {
            return;
        }
        self.people.retain(|(then, _)| *then <= at && at - *then <= REMEMBERED);
        self.people.push_back((at, people.collect()));
    }

    pub fn forget_people(&mut self) {
        self.people.clear();
        self.changes.clear();
    }

    /// The sights of the frame of `now`, of zones that there are.
    pub fn take(&mut self, now: MediaTime, sights: &[ShelfSight], is_zone: impl Fn(&ZoneId) -> bool) {
        let back = |from: MediaTime, by: Span| from + (Span::ZERO - by);
        let change = |sight: &ShelfSight| {
            let at = back(now, sight.shown);
            let from = back(at, sight.hidden);
            let who = self.nearest(&sight.bbox, from, at);
            let ShelfSight { zone, what, cells, of, bbox, .. } = sight.clone();
            GoodsChange { zone, what, from, at, cells, of, bbox, who }
        };
        self.changes = sights.iter().filter(|sight| is_zone(&sight.zone)).map(change).collect();
    }

    fn nearest(&self, place: &BBox, from: MediaTime, until: MediaTime) -> Option<Party> {
        let during = self.people.iter().filter(|(at, _)| from + (Span::ZERO - OFTEN) <= *at && *at <= until + LATE);
        let near = during.flat_map(|(_, people)| people).filter(|who| self.is_beside(who, place));
        let far = |who: &Party| {
            let (a, b) = (who.bbox.centre(), place.centre());
            (distance(&who.bbox, place, self.aspect), ((a.x - b.x) * self.aspect).hypot(a.y - b.y))
        };
        let nearer = |a: &&Party, b: &&Party| {
            let (a, b) = (far(a), far(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        };
        near.min_by(nearer).copied()
    }

    /// Whether somebody could reach the place from where he stands.
    pub fn is_beside(&self, who: &Party, place: &BBox) -> bool {
        distance(&who.bbox, place, self.aspect) <= REACH * who.bbox.height()
    }
}

/// Between the nearest points of two boxes, in heights of the frame.
fn distance(a: &BBox, b: &BBox, aspect: f32) -> f32 {
    let gap = |a1: f32, a2: f32, b1: f32, b2: f32| (b1 - a2).max(a1 - b2).max(0.0);
    (gap(a.x1, a.x2, b.x1, b.x2) * aspect).hypot(gap(a.y1, a.y2, b.y1, b.y2))
}
