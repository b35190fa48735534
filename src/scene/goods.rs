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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::{Fact, What};
    use crate::ids::TrackId;
    use crate::scene::Scene;
    use crate::scene::zone::ZoneConfig;
    use crate::track::{Track, TrackState};
    use std::collections::BTreeMap;

    fn seen(id: u64, at: MediaTime, x: f32) -> Track {
        let bbox = BBox::new(x - 0.05, 0.4, x + 0.05, 0.9);
        let class = crate::detection::Class::PERSON;
        Track {
            id: TrackId(id),
            class,
            score: 0.9,
            bbox,
            born: MediaTime::ZERO,
            seen: at,
            state: TrackState::Confirmed,
        }
    }

    fn sight(zone: &str, what: ShelfChange, shown_s: f64, hidden_s: f64) -> ShelfSight {
        ShelfSight {
            zone: ZoneId::new(zone),
            what,
            cells: 12,
            of: 100,
            bbox: BBox::new(0.2, 0.4, 0.25, 0.5),
            shown: Span::from_secs_f64(shown_s),
            hidden: Span::from_secs_f64(hidden_s),
        }
    }

    /// Ten seconds: the first person stands at the shelf for five, then goes to the far side; the second is there all
    /// the time. Then the eye tells of these.
    fn told(sights: &[ShelfSight], watch_goods: bool) -> (Vec<Fact>, Vec<Option<u64>>) {
        let polygon = vec![[0.1, 0.3], [0.5, 0.3], [0.5, 0.6]];
        let config = ZoneConfig { polygon, kind: Default::default(), classes: None, watch_goods, pose: false };
        let mut scene = Scene::new(&[(ZoneId::new("shelf"), config)].into(), &BTreeMap::new());
        for i in 0..100 {
            let at = MediaTime::from_secs_f64(f64::from(i) / 10.0);
            scene.observe(at, 1.0, &[seen(1, at, if i < 50 { 0.3 } else { 0.9 }), seen(2, at, 0.75)]);
        }
        let facts = scene.observe_goods(MediaTime::from_secs_f64(9.9), sights);
        (facts, scene.goods().iter().map(|change| change.who.map(|who| who.id.0)).collect())
    }

    #[test]
    fn whoever_was_nearest_then_is_named_not_who_is_nearest_now() {
        let (facts, who) = told(&[sight("shelf", ShelfChange::Gone, 5.5, 1.0)], true);
        assert_eq!(who, [Some(1)]);
        let zone = ZoneId::new("shelf");
        assert_eq!(facts[0].what, What::Taken { zone, cells: 12 });
        assert_eq!((facts[0].at, facts[0].who.id), (MediaTime::from_secs_f64(4.4), TrackId(1)));
    }

    #[test]
    fn nobody_is_named_who_was_far_away() {
        let late = |what| sight("shelf", what, 1.0, 1.0);
        assert_eq!(told(&[late(ShelfChange::There), late(ShelfChange::Touched)], true), (vec![], vec![None, None]));
        assert_eq!(told(&[sight("elsewhere", ShelfChange::Gone, 5.5, 1.0)], true).1, [], "no such zone");
        assert_eq!(told(&[sight("shelf", ShelfChange::Gone, 5.5, 1.0)], false).1, [None], "nobody is remembered");
    }

    #[test]
    fn what_is_only_different_is_no_fact() {
        let early = |what| sight("shelf", what, 6.0, 1.0);
        let (facts, who) = told(&[early(ShelfChange::Altered), early(ShelfChange::Touched)], true);
        assert_eq!(who, [Some(1), Some(1)]);
        assert_eq!(facts.iter().map(|fact| &fact.what).collect::<Vec<_>>(), [&What::Touched(ZoneId::new("shelf"))]);
    }
}
