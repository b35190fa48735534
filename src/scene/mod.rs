//! Tracks become facts: who entered, left, crossed, stopped. Observation, no judgement.
//!
//! A track that is not confirmed yet is watched all the same, and what it does is held back until it is confirmed:
//! otherwise whoever runs over a line in the first frames would not be counted. A lost track keeps its stays open;
//! when it is removed they end at its last sighting.
//!
//! Absent on purpose: the notion of what is usual or allowed (`pattern`), and every clock.

mod classes;
mod dwell;
pub mod goods;
pub mod line;
mod motion;
mod pace;
pub mod pose;
pub mod zone;

#[cfg(test)]
mod tests;

use crate::clue::{ShelfChange, ShelfSight};
use crate::detection::Class;
use crate::event::Party;
use crate::fact::{Fact, What};
use crate::geometry::{BBox, Point};
use crate::ids::{LineId, TrackId, ZoneId};
use crate::time::MediaTime;
use crate::track::{Track, TrackState};
use goods::{Goods, GoodsChange};
use line::{Line, LineConfig, LineTotals};
use motion::Motion;
use pace::Pace;
use std::collections::BTreeMap;
use zone::{Zone, ZoneConfig};

pub use classes::{Classes, check_classes};
pub use pace::Velocity;

/// What a zone's topic and the reports say. Dwell is of visits that have ended, in seconds, `None` before the first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ZoneStats {
    pub now: usize,
    pub visits: u64,
    pub dwell_p50_s: Option<f64>,
    pub dwell_p95_s: Option<f64>,
}

/// Confirmed tracks of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ObjectTotals {
    pub unique: u64,
    pub max_at_once: usize,
}

/// Somebody in a zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guest {
    pub who: Party,
    pub since: MediaTime,
    /// Newest sighting inside: a lost guest is not known to be there any longer.
    pub seen: MediaTime,
}

/// One camera's view: zones, lines, and every track that is followed there.
#[derive(Debug, Default)]
pub struct Scene {
    zones: BTreeMap<ZoneId, Zone>,
    lines: BTreeMap<LineId, Line>,
    totals: BTreeMap<LineId, LineTotals>,
    followed: BTreeMap<TrackId, Followed>,
    objects: BTreeMap<Class, ObjectTotals>,
    present: BTreeMap<Class, usize>,
    goods: Goods,
    facts: Vec<Fact>,
    frames: u64,
    /// Width of the frame over its height.
    aspect: f32,
}

#[derive(Debug)]
struct Followed {
    who: Party,
    born: MediaTime,
    seen: MediaTime,
    confirmed: bool,
    /// The foot point of the newest sighting; `None` where what came before must not be connected with what follows.
    foot: Option<Point>,
    motion: Motion,
    pace: Pace,
    /// Facts that are not published yet, because the track is not confirmed or because we are in the middle of it.
    held: Vec<Fact>,
    /// The newest frame in which the tracker knew of it.
    frame: u64,
}

impl Scene {
    pub fn new(zones: &BTreeMap<ZoneId, ZoneConfig>, lines: &BTreeMap<LineId, LineConfig>) -> Self {
        let mut scene = Scene::default();
        scene.swap(zones, lines);
        scene
    }

    /// Whether a zone where the track stands wants to know how.
    pub fn asks_for_pose(&self, track: &Track) -> bool {
        let asks = |zone: &Zone| zone.config.pose && zone.covers(track.class, track.bbox.foot());
        track.class == Class::PERSON && self.zones.values().any(asks)
    }

    /// Takes all live tracks of one frame, which is later than those before.
    pub fn observe(&mut self, at: MediaTime, aspect: f32, tracks: &[Track]) -> Vec<Fact> {
        self.frames += 1;
        self.aspect = aspect;
        for track in tracks {
            if let Some(followed) = self.followed.get_mut(&track.id) {
                followed.frame = self.frames;
            }
        }
        let gone = self.followed.iter().filter(|(_, f)| f.frame != self.frames).map(|(id, _)| *id).collect();
        self.forget(gone);
        self.present.values_mut().for_each(|now| *now = 0);
        for track in tracks {
            self.sight(track, at, aspect);
        }
        for (class, &now) in &self.present {
            let max = &mut self.objects.entry(*class).or_default().max_at_once;
            *max = now.max(*max);
        }
        self.goods.changes.clear();
        if self.zones.values().any(|zone| zone.config.watch_goods) {
            let people = self.followed.values().filter(|f| f.confirmed && f.seen == at && f.who.class == Class::PERSON);
            self.goods.remember(at, aspect, people.map(|f| f.who));
        }
        std::mem::take(&mut self.facts)
    }

    /// What the eye for goods saw in the frame that was observed last.
    pub fn observe_goods(&mut self, at: MediaTime, sights: &[ShelfSight]) -> Vec<Fact> {
        self.goods.take(at, sights, |zone| self.zones.contains_key(zone));
        let fact = |change: &GoodsChange| {
            let who = self.followed.get(&change.who?.id)?.who;
            let (zone, cells) = (change.zone.clone(), change.cells);
            let what = match change.what {
                ShelfChange::Touched => What::Touched(zone),
                ShelfChange::Gone => What::Taken { zone, cells },
                ShelfChange::There => What::Returned { zone, cells },
                ShelfChange::Altered => return None,
            };
            Some(Fact { at: change.at, who, what })
        };
        self.goods.changes.iter().filter_map(fact).collect()
    }

    fn sight(&mut self, track: &Track, at: MediaTime, aspect: f32) {
        let (id, who, foot, height) = (track.id, party(track), track.bbox.foot(), track.bbox.height());
        let followed = self.followed.entry(id).or_insert_with(|| Followed {
            who,
            born: track.born,
            seen: at,
            confirmed: false,
            foot: None,
            motion: Motion::new(foot, at),
            pace: Pace::default(),
            held: Vec::new(),
            frame: self.frames,
        });
        if track.state == TrackState::Lost || track.seen != at {
            return;
        }
        followed.who = who;
        followed.seen = at;
        followed.pace.sight(&who.bbox, aspect, at);
        for (name, zone) in &mut self.zones {
            zone.sight(id, who.class, foot, at, |at, change| followed.hold(at, change.of(name)));
        }
        if let Some(from) = followed.foot.replace(foot) {
            for (name, line) in &mut self.lines {
                if let Some(direction) = line.walk(id, who.class, [from, foot], height, aspect) {
                    followed.hold(at, What::Crossed(name.clone(), direction));
                }
            }
        }
        match followed.motion.sight(foot, height, aspect, at) {
            Some(motion::Change::Stopped { since }) => followed.hold(since, What::Stopped),
            Some(motion::Change::Moving) => followed.hold(at, What::Moving),
            None => {}
        }
        if track.state == TrackState::Confirmed {
            *self.present.entry(who.class).or_default() += 1;
            if !std::mem::replace(&mut followed.confirmed, true) {
                followed.held.insert(0, Fact { at: followed.born, who, what: What::Appeared });
            }
        }
        self.publish(id);
    }

    /// Gives out what a confirmed track has held. The one place where facts are counted.
    fn publish(&mut self, id: TrackId) {
        let Some(followed) = self.followed.get_mut(&id).filter(|f| f.confirmed) else { return };
        for fact in followed.held.drain(..) {
            let class = fact.who.class;
            match &fact.what {
                What::Appeared => self.objects.entry(class).or_default().unique += 1,
                What::Crossed(line, direction) => {
                    self.totals.entry(line.clone()).or_default().add(class, *direction);
                }
                What::VisitStarted(zone) => {
                    if let Some(zone) = self.zones.get_mut(zone) {
                        zone.visits += 1;
                    }
                }
                What::Left { zone, dwell } if *dwell >= zone::VISIT => {
                    if let Some(zone) = self.zones.get_mut(zone) {
                        zone.dwell.add(*dwell);
                    }
                }
                What::Gone | What::Entered(_) | What::Left { .. } | What::Stopped | What::Moving => {}
                // Of goods, which are not held.
                What::Touched(_) | What::Taken { .. } | What::Returned { .. } => {}
            }
            self.facts.push(fact);
        }
    }

    fn forget(&mut self, gone: Vec<TrackId>) {
        for id in gone {
            self.interrupt_one(id);
            if let Some(followed) = self.followed.get_mut(&id) {
                followed.hold(followed.seen, What::Gone);
                self.publish(id);
            }
            self.followed.remove(&id);
        }
    }

    fn interrupt_one(&mut self, id: TrackId) {
        let Some(followed) = self.followed.get_mut(&id) else { return };
        for (name, zone) in &mut self.zones {
            zone.end(id, |at, change| followed.hold(at, change.of(name)));
        }
        for (name, line) in &mut self.lines {
            if let Some(direction) = line.end(id) {
                followed.hold(followed.seen, What::Crossed(name.clone(), direction));
            }
        }
        followed.foot = None;
        followed.pace = Pace::default();
        self.publish(id);
    }

    /// Nothing was seen for a while: stays and passages end at the last sighting, and what follows begins anew. The
    /// tracks themselves are the tracker's to keep or to drop.
    pub fn interrupt(&mut self) -> Vec<Fact> {
        let everybody: Vec<TrackId> = self.followed.keys().copied().collect();
        self.goods.forget_people();
        for id in everybody {
            self.interrupt_one(id);
        }
        std::mem::take(&mut self.facts)
    }

    /// Everybody is gone. Totals stay.
    pub fn clear(&mut self) -> Vec<Fact> {
        self.goods.forget_people();
        self.forget(self.followed.keys().copied().collect());
        self.present.values_mut().for_each(|now| *now = 0);
        std::mem::take(&mut self.facts)
    }

    /// Other zones and lines from now on. Those that did not change keep their totals and who is there; of the others,
    /// stays and passages end.
    pub fn swap(&mut self, zones: &BTreeMap<ZoneId, ZoneConfig>, lines: &BTreeMap<LineId, LineConfig>) -> Vec<Fact> {
        let everybody: Vec<TrackId> = self.followed.keys().copied().collect();
        self.goods.changes.clear();
        let zone_stays = |id: &ZoneId, zone: &Zone| zones.get(id) == Some(&zone.config);
        let line_stays = |id: &LineId, line: &Line| lines.get(id) == Some(&line.config);
        for id in everybody {
            let Some(followed) = self.followed.get_mut(&id) else { continue };
            for (name, zone) in self.zones.iter_mut().filter(|(name, zone)| !zone_stays(name, zone)) {
                zone.end(id, |at, change| followed.hold(at, change.of(name)));
            }
            for (name, line) in self.lines.iter_mut().filter(|(name, line)| !line_stays(name, line)) {
                if let Some(direction) = line.end(id) {
                    followed.hold(followed.seen, What::Crossed(name.clone(), direction));
                }
            }
            self.publish(id);
        }
        self.zones.retain(|name, zone| zone_stays(name, zone));
        self.lines.retain(|name, line| line_stays(name, line));
        self.totals.retain(|name, _| self.lines.contains_key(name));
        for (name, config) in zones {
            self.zones.entry(name.clone()).or_insert_with(|| Zone::new(config.clone()));
        }
        for (name, config) in lines {
            self.lines.entry(name.clone()).or_insert_with(|| Line::new(config.clone()));
            self.totals.entry(name.clone()).or_default();
        }
        std::mem::take(&mut self.facts)
    }

    pub fn totals(&self) -> &BTreeMap<LineId, LineTotals> {
        &self.totals
    }

    pub fn zones(&self) -> BTreeMap<ZoneId, ZoneStats> {
        let stats = |(name, zone): (&ZoneId, &Zone)| {
            let dwell = zone.dwell.p50_p95();
            let stats = ZoneStats {
                now: self.guests(name).count(),
                visits: zone.visits,
                dwell_p50_s: dwell.map(|(p50, _)| p50.secs_f64()),
                dwell_p95_s: dwell.map(|(_, p95)| p95.secs_f64()),
            };
            (name.clone(), stats)
        };
        self.zones.iter().map(stats).collect()
    }

    /// How many of each class are seen in the newest frame; 0 for a class that was there once.
    pub fn present(&self) -> &BTreeMap<Class, usize> {
        &self.present
    }

    pub fn objects(&self) -> &BTreeMap<Class, ObjectTotals> {
        &self.objects
    }

    /// Confirmed tracks, also those that are lost at the moment, by id.
    pub fn followed(&self) -> impl Iterator<Item = &Party> {
        self.followed.values().filter(|f| f.confirmed).map(|f| &f.who)
    }

    /// What became of goods, as the newest frame told.
    pub fn goods(&self) -> &[GoodsChange] {
        &self.goods.changes
    }

    /// Confirmed tracks that could reach a place from where they were seen last, by id. Known where goods are watched.
    pub fn beside(&self, place: &BBox) -> impl Iterator<Item = &Party> {
        self.followed().filter(move |who| self.goods.is_beside(who, place))
    }

    /// Confirmed tracks that were seen at that moment, by id.
    pub fn seen_at(&self, at: MediaTime) -> impl Iterator<Item = &Party> {
        self.followed.values().filter(move |f| f.confirmed && f.seen == at).map(|f| &f.who)
    }

    /// How fast somebody goes, and where to; `None` while that cannot be told, because they are not seen at the moment,
    /// came just now or are cut by the edge of the frame.
    pub fn velocity(&self, who: TrackId) -> Option<Velocity> {
        self.followed.get(&who).filter(|f| f.confirmed).and_then(|f| f.pace.velocity(f.seen))
    }

    /// From foot to foot, in body heights: the mean of both boxes.
    pub fn apart(&self, one: &Party, other: &Party) -> f32 {
        let (a, b) = (one.bbox.foot(), other.bbox.foot());
        let (dx, dy) = ((a.x - b.x) * self.aspect, a.y - b.y);
        let height = (one.bbox.height() + other.bbox.height()) / 2.0;
        (dx * dx + dy * dy).sqrt() / height.max(f32::EPSILON)
    }

    /// Who is in a zone, by id, also those that are lost at the moment. Nobody where there is no such zone.
    pub fn guests(&self, zone: &ZoneId) -> impl Iterator<Item = Guest> {
        self.zones.get(zone).into_iter().flat_map(Zone::stays).filter_map(|(id, since, seen)| {
            let followed = self.followed.get(&id).filter(|f| f.confirmed)?;
            Some(Guest { who: followed.who, since, seen })
        })
    }
}

impl Followed {
    fn hold(&mut self, at: MediaTime, what: What) {
        self.held.push(Fact { at, who: self.who, what });
    }
}

fn party(track: &Track) -> Party {
    Party { id: track.id, class: track.class, score: track.score, bbox: track.bbox }
}
