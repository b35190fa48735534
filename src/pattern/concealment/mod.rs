//! Somebody reaches out at a shelf and then has the hand at the body: possibly something was put into a pocket, under a
//! jacket or into a bag. A guard would say: "he took something and I did not see where it went".
//!
//! Two looks at how somebody stands make it ([`Cue::Reach`], then [`Cue::Fetching`]): a hand that only rests at the hip
//! is how everybody stands, so the reach before it is needed. Where the shelf is watched for goods, a touch by this
//! person counts as a reach as well.
//!
//! Known false alarms, and many of them: whoever takes something to read what is on it, holds it before the chest, puts
//! it into a basket on the arm, scratches, telephones. In real shops all of that is common (see [`super::posture`]:
//! at one alert an hour posture alone notices none of 19 staged thefts), so this is `info` unless the owner says
//! otherwise, and is meant for a budget or as part of what a person looks through. Known misses: a hand that is hidden
//! from the camera, an accomplice's bag, a back turned to the camera.

#[cfg(test)]
mod tests;

use super::posture::{Cue, Watch};
use super::{Common, Finding, Pattern, Rule, Scope, Surroundings, View, words};
use crate::event::{Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::{TrackId, ZoneId};
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::{MediaTime, Span};
use std::collections::BTreeMap;

/// From here on a hand is at the body: an elbow bent by some 45 degrees or more, the hand within .7 lengths of the
/// torso of its middle.
const FOLDED: f32 = 0.5;
/// The memory of [`Cue::Fetching`].
const SOON: Span = Span::from_millis(2_000);

/// Tells, once for each reach, that the hand was at the body soon afterwards, and stayed there.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConcealmentConfig {
    /// Where the reach must be: one with `pose = true`.
    pub zone: String,
    /// How far a hand must have been from the body's axis, in lengths of the torso; default 0.8.
    #[serde(default = "arm")]
    pub min_reach: f32,
    /// For how long it must then be at the body, where it must be within 2 s; 0 to 1.5, default 0.6.
    #[serde(default = "a_moment")]
    pub for_s: f64,
    /// `info` (the default), `warning` or `alarm`.
    #[serde(default = "super::info")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn arm() -> f32 {
    0.8
}
fn a_moment() -> f64 {
    0.6
}

impl Rule for ConcealmentConfig {
    fn kind(&self) -> &'static str {
        "concealment"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::Zone(&self.zone),
        }
    }
    fn check(&self, at: &str, problems: &mut Problems) {
        let reach = self.min_reach;
        let said = format!("is {reach:?}, expected lengths of the torso from 0.1 to 3");
        problems.expect((0.1..=3.0).contains(&reach), format!("{at}.min_reach"), said);
        let said = format!("is {:?}, expected 0 to 1.5 seconds", self.for_s);
        problems.expect((0.0..=1.5).contains(&self.for_s), format!("{at}.for_s"), said);
    }
    fn check_in(&self, at: &str, around: &Surroundings<'_>, problems: &mut Problems) {
        let unasked = around.zones.get(&ZoneId::new(&self.zone)).is_some_and(|zone| !zone.pose);
        let said = format!("does not look at how people stand, expected `pose = true` in its zone \"{}\"", self.zone);
        problems.expect(!unasked, format!("{at}.zone"), said);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(Concealment {
            zone: ZoneId::new(&self.zone),
            min_reach: self.min_reach,
            hold: Span::from_secs_f64(self.for_s),
            classes,
            hands: BTreeMap::new(),
        })
    }
}

struct Concealment {
    zone: ZoneId,
    min_reach: f32,
    hold: Span,
    classes: Classes,
    hands: BTreeMap<TrackId, Hands>,
}

/// What is remembered of one person's.
#[derive(Default)]
struct Hands {
    watch: Watch,
    /// The newest reach that has not been told of.
    reached: Option<MediaTime>,
    /// Since when a hand has been at the body, look after look.
    folded: Option<MediaTime>,
}

impl Pattern for Concealment {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        for fact in facts {
            match &fact.what {
                What::Gone => _ = self.hands.remove(&fact.who.id),
                What::Touched(zone) if *zone == self.zone => {
                    self.hands.entry(fact.who.id).or_default().reached = Some(fact.at);
                }
                _ => {}
            }
        }
        let there: Vec<TrackId> = view.scene.guests(&self.zone).map(|guest| guest.who.id).collect();
        let mut findings = Vec::new();
        for who in view.scene.followed().filter(|who| self.classes.admit(who.class)) {
            let Some(pose) = view.poses.get(&who.id) else { continue };
            let hands = self.hands.entry(who.id).or_default();
            let Some(cues) = hands.watch.see(view.at, pose, view.aspect) else { continue };
            if there.contains(&who.id) && cues.get(Cue::Reach).is_some_and(|reach| reach >= self.min_reach) {
                hands.reached = Some(view.at);
                hands.folded = None;
                continue;
            }
            if cues.get(Cue::Fetching).is_none_or(|fetching| fetching < FOLDED) {
                hands.folded = None;
                continue;
            }
            let since = *hands.folded.get_or_insert(view.at);
            let Some(reached) = hands.reached.filter(|reached| since - *reached <= SOON) else { continue };
            if view.at - since >= self.hold {
                hands.reached = None;
                let explain = format!(
                    "{} reached out at {}, and {:.1} s later the hand was at the body for {:.1} s: possible concealment. \
                     Please review.",
                    words::a(who.class),
                    self.zone,
                    (since - reached).secs_f64(),
                    (view.at - since).secs_f64(),
                );
                findings.push(Finding::of(*who, Phase::Instant, view.at, Place::Zone(self.zone.clone()), explain));
            }
        }
        findings
    }
}
