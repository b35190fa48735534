//! A way through the shop in one line: where somebody was, in which order, for how long, and where they were not.
//!
//! ```text
//! entrance -> shelf(dwell > 20s, touches >= 3) -> !checkout -> exit within 10m
//! ```
//!
//! A guard would say: "came in, was at the spirits for half a minute and took something three times, never paid, left".
//!
//! # What a line means
//!
//! A journey is watched for on each track by itself. Its steps are visits, made one after another.
//!
//! - **Places.** A word is the name of a zone of the camera; else the name of a line; else a kind of zone (`shelf`, `till`
//!   or `checkout`, `entrance`, `exit`, `restricted`, `queue`, `other`), which is any zone of that kind. A line may be
//!   followed by `in` or `out`. Names go before kinds: where a zone is called `exit`, `exit` is that one alone.
//! - **A visit** begins when the foot point is believed to be in the zone (half a second) and ends when it is believed to
//!   be outside. A line is visited in the moment in which it is crossed.
//! - **Conditions** in brackets hold for that one visit; nothing is summed over visits. `dwell > 20s` makes the step when the
//!   stay gets so long, not when it ends; `<` and `<=` are known, and make the step, when the visit is over. `touches` are
//!   hands at the goods ([`What::Touched`]) during the visit. Where the zone is drawn around the goods and nobody's
//!   feet are in it, touches are a visit by themselves, which ends ten seconds after the last one.
//! - **Between two steps** anything may lie: other zones, long walks, more visits to the same place. Steps are
//!   different visits, each beginning no earlier than the one before: `shelf -> shelf` are two visits.
//! - **`!x ->`** before a step: no visit to `x` went on or began from the step before (before the first step: from the
//!   beginning of the track) until this one. With conditions, no visit that meets them: `!till(dwell > 5s)` lets people
//!   walk past the till. A journey cannot end with it.
//! - **`x3`** after a step: three different visits that each meet the conditions; of a kind, to any zones of it.
//! - **`within 10m`** after a step: from the beginning of the first step's visit to this step, ten minutes at the most. After the
//!   last step that is the whole journey, after `shelf x3` at the beginning it is these three visits.
//! - **Told** once, when the last step is made; then it begins anew, and no visit counts a second time.
//! - **Tracks that break.** Who is lost for longer than `tracker.max_lost_s` is somebody new. Whoever appears within three
//!   seconds of another's last sighting, so near that a walker could have come there, carries on that one's journey, and a
//!   stay that was interrupted goes on; not where the other was at an entrance, an exit or the edge of the picture. Longer
//!   gaps end the journey, and so does a camera that was blind for five seconds.
//!
//! Known false alarms: whoever does the same for a good reason; two tracks that change places where people cross, so
//! that one has the other's way behind it. Known misses: tracks that break; what happens beyond the picture.
//!
//! Absent on purpose: a journey from camera to camera, which would need to know who somebody is.
//!
//! [`What::Touched`]: crate::fact::What::Touched

mod automaton;
mod fault;
mod heirs;
mod lexer;
mod parser;
mod run;
#[cfg(test)]
mod tests;
mod words;

use super::{Common, Finding, Pattern, Rule, Scope, Surroundings, View, words as english};
use crate::event::{Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::{TrackId, ZoneId};
use crate::problems::Problems;
use crate::scene::zone::ZoneKind;
use crate::scene::{Classes, Guest};
use automaton::{Automaton, Spot};
use fault::Fault;
use heirs::Heirs;
use run::Walk;
use std::collections::BTreeMap;

/// An event for each track that has made the journey.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JourneyConfig {
    /// Steps with `->` between them: `entrance -> shelf(dwell > 20s) -> !checkout -> exit within 10m`.
    pub journey: String,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

impl Rule for JourneyConfig {
    fn kind(&self) -> &'static str {
        "journey"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::Everywhere,
        }
    }
    fn check_in(&self, at: &str, around: &Surroundings<'_>, problems: &mut Problems) {
        for fault in compile(&self.journey, around).err().unwrap_or_default() {
            problems.add(format!("{at}.journey"), fault.shown(&self.journey));
        }
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        self.start_in(classes, &Surroundings::NONE)
    }
    fn start_in(&self, classes: Classes, around: &Surroundings<'_>) -> Box<dyn Pattern> {
        Box::new(Journey::new(&self.journey, classes, around))
    }
}

fn compile(line: &str, around: &Surroundings<'_>) -> Result<Automaton, Vec<Fault>> {
    let steps = parser::parse(line).map_err(|fault| vec![fault])?;
    Automaton::new(&steps, around)
}

/// What is wrong with one place of a rule that is a journey underneath; nothing where the place is there.
pub(super) fn check_place(name: &str, path: &str, around: &Surroundings<'_>, problems: &mut Problems) {
    let one_place = |steps: &[parser::Step]| matches!(steps, [step] if step.times == 1 && step.guards.is_empty());
    let faults = match parser::parse(name) {
        Ok(steps) if one_place(&steps) => Automaton::new(&steps, around).err().unwrap_or_default(),
        Ok(_) => return problems.add(path, format!("is {name:?}, expected one place")),
        Err(fault) => vec![fault],
    };
    faults.into_iter().for_each(|fault| problems.add(path, fault.what));
}

/// The zones that a place means, by name or by kind.
pub(super) fn zones_of(name: &str, around: &Surroundings<'_>) -> Vec<ZoneId> {
    compile(name, around).map(|automaton| automaton.zones.into_keys().collect()).unwrap_or_default()
}

pub(super) struct Journey {
    automaton: Automaton,
    classes: Classes,
    walks: BTreeMap<TrackId, Walk>,
    heirs: Heirs,
}

impl Journey {
    /// A line that was not checked is a journey that nobody makes.
    pub fn new(line: &str, classes: Classes, around: &Surroundings<'_>) -> Self {
        Journey {
            automaton: compile(line, around).unwrap_or_default(),
            classes,
            walks: BTreeMap::new(),
            heirs: Heirs::default(),
        }
    }
}

impl Pattern for Journey {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut gone = Vec::new();
        for fact in facts.iter().filter(|fact| self.classes.admit(fact.who.class)) {
            let ours = |zone: &ZoneId| self.automaton.zones.contains_key(zone);
            let id = fact.who.id;
            self.heirs.appeared(fact);
            match &fact.what {
                What::Entered(zone) if ours(zone) => self.walks.entry(id).or_default().enter(zone, fact.at),
                What::Touched(zone) if ours(zone) => self.walks.entry(id).or_default().touch(zone, fact.at),
                What::Left { zone, .. } if ours(zone) => self.walks.entry(id).or_default().leave(zone, fact.at),
                What::Crossed(line, way) if self.automaton.concerns_line(line) => {
                    self.walks.entry(id).or_default().cross(Spot::Line(line.clone(), *way), fact.at);
                }
                What::Gone => {
                    if let Some(walk) = self.walks.get_mut(&fact.who.id) {
                        walk.end();
                        gone.push((fact.who, fact.at));
                    }
                }
                _ => {}
            }
        }
        for zone in self.automaton.zones.keys() {
            for Guest { who, seen, .. } in view.scene.guests(zone) {
                if let Some(walk) = self.walks.get_mut(&who.id) {
                    walk.is_seen_in(zone, seen);
                }
            }
        }
        for (id, walk) in &mut self.walks {
            let Some(thread) = walk.advance(&self.automaton, view.at) else { continue };
            let known = |party: &&crate::event::Party| party.id == *id;
            let Some(&who) = view.scene.followed().find(known).or(gone.iter().map(|(who, _)| who).find(known)) else {
                continue;
            };
            let explain = words::tell(&english::a(who.class), &thread, walk, &self.automaton, view);
            let place = match thread.path.last().and_then(|number| walk.visit(*number)).map(|visit| &visit.to) {
                Some(Spot::Zone(zone)) => Place::Zone(zone.clone()),
                Some(Spot::Line(line, way)) => Place::Line(line.clone(), *way),
                None => Place::Frame,
            };
            findings.push(Finding::of(who, Phase::Instant, thread.reached, place, explain));
        }
        for (who, at) in gone {
            let Some(walk) = self.walks.remove(&who.id) else { continue };
            let at_a_door = walk.last_zones(at).any(|zone| {
                let kind = self.automaton.zones.get(zone);
                matches!(kind, Some(ZoneKind::Entrance | ZoneKind::Exit))
            });
            if !at_a_door {
                self.heirs.ended(who, at, walk);
            }
        }
        for (heir, walk, ended) in self.heirs.pairs(view.scene, view.at) {
            self.walks.entry(heir).or_default().inherit(walk, ended);
        }
        findings
    }
}
