//! Something that is rare at this camera: who stands where nobody stands at this hour, walks against the usual
//! direction, runs where people stroll, stays thrice as long as others, or is there when nobody ever is. A guard who has
//! worked here for weeks would say: "that is not how it goes here".
//!
//! What is usual is learned from this camera's own tracks, without labels, and forgotten slowly; a new track is compared
//! with those of the past ([`model`]). It says nothing before it has seen `learn_days` days and enough tracks to call
//! anything rare, while the clock is not trusted, and while the camera shows another view than it learned; its
//! status in `health` says which. Nothing is learned from tracks that were part of an alert, nor from those this rule
//! itself found rare. When a moved camera's new view is accepted, everything is learned anew.
//!
//! Known false alarms: the first days after the shop was rearranged or the season changed; a track that breaks and
//! begins anew in an odd place; a box that is not a person. By construction the share `rarer_than` of all tracks is
//! told even if nothing ever happens: an alert budget says how many of them are alerts. Known misses: what happens
//! often enough becomes usual, theft included; whatever only looks odd to somebody who knows what it means; nothing is
//! learned of postures yet.
//!
//! Absent on purpose: who somebody is. A track is a line on the floor, and adds 1 to some sums.

mod counts;
mod keys;
mod model;
mod say;
#[cfg(test)]
mod tests;
mod walk;

use super::{Common, Finding, Moved, Pattern, Rule, Scope, Surroundings, View, words};
use crate::event::{Party, Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::{TrackId, ZoneId};
use crate::memory::{Reader, Writer};
use crate::problems::Problems;
use crate::scene::Classes;
use crate::scene::zone::ZoneConfig;
use crate::statistics::Hour;
use crate::time::{MediaTime, Span, WallTime};
use keys::Spot;
use model::Model;
use std::collections::BTreeMap;
use walk::{Look, Walk};

/// Starts when a track has done something rare, ends when the track does.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnusualConfig {
    /// The share of tracks that is told. Default .005, one in two hundred.
    #[serde(default = "one_in_200")]
    pub rarer_than: f64,
    /// Days it must have seen before it speaks. Default 7: once each hour of the week.
    #[serde(default = "a_week")]
    pub learn_days: u32,
    /// What is so many days old counts half. Days without a picture are no days. Default 28.
    #[serde(default = "four_weeks")]
    pub half_life_days: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn one_in_200() -> f64 {
    0.005
}
fn a_week() -> u32 {
    7
}
fn four_weeks() -> f64 {
    28.0
}

impl Rule for UnusualConfig {
    fn kind(&self) -> &'static str {
        "unusual"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::Frame,
        }
    }
    fn check(&self, at: &str, problems: &mut Problems) {
        let mut expect = |fine, key: &str, value: String, expected: &str| {
            problems.expect(fine, format!("{at}.{key}"), format!("is {value}, expected {expected}"));
        };
        let (rare, half_life) = (self.rarer_than, self.half_life_days);
        expect((0.0001..=0.1).contains(&rare), "rarer_than", format!("{rare:?}"), "a share from 0.0001 to 0.1");
        expect((1..=365).contains(&self.learn_days), "learn_days", self.learn_days.to_string(), "1 to 365");
        expect((1.0..=3650.0).contains(&half_life), "half_life_days", format!("{half_life:?}"), "1 to 3650");
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        self.start_in(classes, &Surroundings { zones: &BTreeMap::new(), lines: &BTreeMap::new() })
    }
    fn start_in(&self, classes: Classes, around: &Surroundings<'_>) -> Box<dyn Pattern> {
        let zones = around.zones;
        let zones = zones.iter().take(keys::ZONES).map(|(id, zone)| (id.clone(), outline(zone))).collect();
        Box::new(Unusual {
            config: self.clone(),
            classes,
            zones,
            model: Model::default(),
            walks: BTreeMap::new(),
            over: Vec::new(),
            began_anew: None,
            now: None,
            told_of: None,
        })
    }
}

/// A zone that is drawn otherwise is another zone.
fn outline(zone: &ZoneConfig) -> Vec<u8> {
    let mut out = Writer::default();
    for corner in zone.polygon.iter().flatten() {
        out.number(u64::from(corner.to_bits()));
    }
    out.done()
}

const SPELLING: u64 = 1;
/// Tracks that are shorter, or were looked at less often, are noise.
const SHORTEST: Span = Span::from_millis(2000);
const FEWEST_LOOKS: u32 = 2;
/// How often the time in which the camera saw is added up.
const MINUTE: Span = Span::from_millis(60_000);

struct Unusual {
    config: UnusualConfig,
    classes: Classes,
    /// By name, each with its outline.
    zones: Vec<(ZoneId, Vec<u8>)>,
    model: Model,
    walks: BTreeMap<TrackId, Walk>,
    /// Those that ended in the newest frame: whether they were part of an alert is known only after it.
    over: Vec<(TrackId, Walk)>,
    /// Why what was learned before is gone.
    began_anew: Option<&'static str>,
    /// The newest frame: its hour, the minute that it was asked for in, and since when watching was not added up.
    now: Option<Now>,
    /// Whether the clock was trusted.
    told_of: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
struct Now {
    hour: Hour,
    minute: i64,
    since: MediaTime,
}

impl Pattern for Unusual {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        self.told_of = Some(view.clock_trusted);
        self.learn_those_over();
        if self.model.away || !view.clock_trusted {
            self.walks.clear();
            self.now = None;
            return Vec::new();
        }
        let hour = self.watch(view);
        let mut findings = Vec::new();
        for fact in facts {
            match &fact.what {
                What::Left { zone, dwell } => {
                    if let (Some(zone), Some(walk)) = (self.zone(zone), self.walks.get_mut(&fact.who.id)) {
                        walk.stayed(Spot::Zone(zone), *dwell, hour);
                    }
                }
                What::Gone => findings.extend(self.end(fact, hour)),
                _ => {}
            }
        }
        for who in view.scene.seen_at(view.at).filter(|who| self.classes.admit(who.class)) {
            let foot = who.bbox.foot();
            let walk = self.walks.entry(who.id).or_insert_with(|| Walk::new(view.at, foot));
            walk.seen = view.at;
            if !walk.is_due(view.at) {
                continue;
            }
            let (height, aspect, model) = (who.bbox.height(), view.aspect, &self.model);
            walk.look(&Look { at: view.at, hour, foot, height, aspect, model });
            let mut place = Place::Frame;
            for (index, (zone, _)) in self.zones.iter().enumerate() {
                if let Some(guest) = view.scene.guests(zone).find(|guest| guest.who.id == who.id) {
                    walk.is_in(index as u8, guest.seen - guest.since, hour, &self.model);
                    place = Place::Zone(zone.clone());
                }
            }
            let p = self.model.p(walk.most.bits);
            if self.model.days >= self.config.learn_days && p <= self.config.rarer_than && !walk.told {
                (walk.told, walk.alarmed) = (true, true);
                let explain = say::rare(who.class, &walk.most, p, hour, &self.model, &self.zones);
                let finding = Finding::of(*who, Phase::Start, view.at, place, explain);
                findings.push(finding.scored(1.0 - p as f32, walk.most.bits as f32));
            }
        }
        findings
    }

    fn memory(&self) -> Option<Vec<u8>> {
        let mut out = Writer::default();
        out.number(SPELLING);
        out.text(&format!("{:?}", self.classes));
        out.number(self.zones.len() as u64);
        for (id, outline) in &self.zones {
            out.text(id.as_str());
            out.bytes(outline);
        }
        self.model.write(&mut out);
        Some(out.done())
    }

    fn recall(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(bytes);
        if reader.number() != Some(SPELLING) {
            return Err("it was written by another version".into());
        }
        if reader.text() != Some(format!("{:?}", self.classes).as_str()) {
            return Err("it was learned from other classes".into());
        }
        let mut read = || {
            let mut zones = Vec::new();
            for _ in 0..reader.number()?.min(keys::ZONES as u64) {
                zones.push((reader.text()?.to_owned(), reader.bytes()?.to_vec()));
            }
            let model = Model::read(&mut reader)?;
            reader.is_done().then_some((zones, model))
        };
        let (zones, mut model) = read().ok_or("it does not end where it should")?;
        if model.away {
            // Nobody was there to see whether it was turned back.
            self.began_anew = Some("the camera had been moved when watching stopped");
            return Ok(());
        }
        let find = |(id, outline): &(String, Vec<u8>)| {
            let same = |(ours, shape): &(ZoneId, Vec<u8>)| ours.as_str() == id && shape == outline;
            self.zones.iter().position(same)
        };
        let now: Vec<Option<usize>> = zones.iter().map(find).collect();
        model.counts.rename(|key| match keys::zone_of(key) {
            None => Some(key),
            Some((zone, length)) => Some(Spot::Zone(now.get(zone).copied()?? as u8).stay(length)),
        });
        self.model = model;
        Ok(())
    }

    fn pause(&mut self) -> bool {
        self.learn_those_over();
        self.walks.clear();
        self.now = None;
        true
    }

    fn alarmed(&mut self, tracks: &[Party]) {
        let over = self.over.iter_mut().map(|(id, walk)| (&*id, walk));
        for (_, walk) in self.walks.iter_mut().chain(over).filter(|(id, _)| tracks.iter().any(|t| t.id == **id)) {
            walk.alarmed = true;
        }
    }

    fn moved(&mut self, moved: Moved) {
        self.pause();
        match moved {
            Moved::Away => self.model.away = true,
            Moved::Back => self.model.away = false,
            Moved::Accepted => {
                self.model = Model::default();
                self.began_anew = Some("the camera was moved, and its new view counts");
            }
        }
    }

    fn status(&self) -> Option<String> {
        let (days, tracks) = (self.model.days, self.model.tracks());
        let wanted = (1.0 / self.config.rarer_than).ceil();
        if self.model.away {
            return Some("the camera was moved: nothing is learned and nothing told".into());
        }
        if self.told_of == Some(false) {
            return Some("the clock is not trusted: nothing is learned and nothing told".into());
        }
        if days >= self.config.learn_days && tracks + 1.0 >= wanted {
            return Some(format!("knows {tracks:.0} tracks of {days} days"));
        }
        let why = self.began_anew.map(|why| format!(", anew, since {why}")).unwrap_or_default();
        let learn_days = self.config.learn_days;
        Some(format!(
            "learns{why}: {days} of {learn_days} days, {tracks:.0} of {wanted:.0} tracks; says nothing before"
        ))
    }
}

impl Unusual {
    fn zone(&self, zone: &ZoneId) -> Option<u8> {
        self.zones.iter().position(|(id, _)| id == zone).map(|index| index as u8)
    }

    /// The hour it is there; adds up how long the camera saw.
    fn watch(&mut self, view: &View<'_>) -> Hour {
        let minute = view.taken.micros().div_euclid(MINUTE.micros());
        if let Some(now) = self.now.filter(|now| now.minute == minute) {
            return now.hour;
        }
        let (hour, day) = Hour::and_day(WallTime::from_micros(minute * MINUTE.micros()), view.time_zone);
        if let Some(now) = self.now {
            let passed = (view.at - now.since).secs_f64().clamp(0.0, 120.0);
            self.model.watched(now.hour, (passed / 3600.0) as f32);
        }
        self.model.day(day, self.config.half_life_days);
        self.now = Some(Now { hour, minute, since: view.at });
        hour
    }

    /// A track is over: with the next frame what it did becomes part of what is usual, unless it was part of an alert.
    fn end(&mut self, fact: &Fact, hour: Hour) -> Option<Finding> {
        let mut walk = self.walks.remove(&fact.who.id)?;
        walk.end(hour);
        let explain = format!("{} is gone after {}.", words::a(fact.who.class), words::seconds(walk.seen - walk.born));
        let finding = walk.told.then(|| Finding::of(fact.who, Phase::End, fact.at, Place::Frame, explain));
        self.over.push((fact.who.id, walk));
        finding
    }

    fn learn_those_over(&mut self) {
        for (_, walk) in std::mem::take(&mut self.over) {
            if walk.seen - walk.born < SHORTEST || walk.looks < FEWEST_LOOKS {
                continue;
            }
            self.model.count_surprise(walk.most.bits);
            if !walk.alarmed {
                self.model.learn(&walk.deeds);
            }
        }
    }
}
