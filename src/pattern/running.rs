//! Somebody runs. A guard would say: "what is he running from?"
//!
//! Speed is in body heights per second, so it means the same near the camera and far away: walking is .6 to .9, running
//! 1.5 and more.
//!
//! Known false alarms: children at play, whoever runs for a bus; a track that jumps from one person to another; a
//! low frame rate makes both rarer and later. Known misses: who runs towards a steep camera or one at head height, or
//! for less than a second; who is cut by the edge of the picture.

use super::sustained::{Edge, Sustained};
use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::{TrackId, ZoneId};
use crate::problems::Problems;
use crate::scene::{Classes, Guest};
use crate::time::Span;
use std::collections::BTreeMap;

/// Starts when somebody has been so fast for `for_s`, ends when they have not for two seconds.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunningConfig {
    /// Without it the whole frame counts.
    pub zone: Option<String>,
    /// Body heights per second, over the last second; default 1.6.
    #[serde(default = "fast")]
    pub min_heights_per_s: f32,
    /// Default .5.
    #[serde(default = "half")]
    pub for_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn fast() -> f32 {
    1.6
}

fn half() -> f64 {
    0.5
}

impl Rule for RunningConfig {
    fn kind(&self) -> &'static str {
        "running"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::zone_or_frame(&self.zone),
        }
    }
    fn check(&self, at: &str, problems: &mut Problems) {
        check_seconds(self.for_s, &format!("{at}.for_s"), problems);
        let (speed, path) = (self.min_heights_per_s, format!("{at}.min_heights_per_s"));
        problems.expect((0.1..=20.0).contains(&speed), path, format!("is {speed:?}, expected 0.1 to 20 body heights"));
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(Running {
            zone: self.zone.as_deref().map(ZoneId::new),
            fast: self.min_heights_per_s,
            delay: Span::from_secs_f64(self.for_s),
            classes,
            runs: BTreeMap::new(),
        })
    }
}

struct Running {
    zone: Option<ZoneId>,
    fast: f32,
    delay: Span,
    classes: Classes,
    /// Of those who are fast or just were.
    runs: BTreeMap<TrackId, Sustained>,
}

impl Pattern for Running {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let place = || self.zone.clone().map_or(Place::Frame, Place::Zone);
        let mut findings = Vec::new();
        for fact in facts.iter().filter(|fact| fact.what == What::Gone) {
            if self.runs.remove(&fact.who.id).is_some() {
                let explain = format!("{} that ran is out of sight.", words::a(fact.who.class));
                findings.push(Finding::of(fact.who, Phase::End, fact.at, place(), explain));
            }
        }
        let people: Vec<_> = match &self.zone {
            Some(zone) => view.scene.guests(zone).map(|Guest { who, .. }| who).collect(),
            None => view.scene.followed().copied().collect(),
        };
        let seen = people.iter().map(|who| who.id);
        let left: Vec<TrackId> =
            self.runs.keys().copied().filter(|id| !seen.clone().any(|other| other == *id)).collect();
        let parties = people.into_iter().map(|who| (who, view.scene.velocity(who.id).map_or(0.0, |v| v.speed())));
        let outside = left.into_iter().filter_map(|id| view.scene.followed().find(|who| who.id == id));
        for (who, speed) in parties.chain(outside.map(|who| (*who, 0.0))) {
            let is_fast = speed >= self.fast && self.classes.admit(who.class);
            if !is_fast && !self.runs.contains_key(&who.id) {
                continue;
            }
            let run = self.runs.entry(who.id).or_default();
            let edge = run.step(is_fast, view.at, self.delay);
            if matches!(run, Sustained::Off) {
                self.runs.remove(&who.id);
            }
            let (phase, at, explain) = match edge {
                None => continue,
                Some(Edge::Began { .. }) => {
                    let a = words::a(who.class);
                    let what = format!(
                        "{a} runs: {speed:.1} body heights a second, the limit is {:.1}. Please review.",
                        self.fast
                    );
                    (Phase::Start, view.at, what)
                }
                Some(Edge::Ended { since, until }) => {
                    let lasted = words::seconds(until - since);
                    (Phase::End, until, format!("{} no longer runs, after {lasted}.", words::a(who.class)))
                }
            };
            findings.push(Finding::of(who, phase, at, place(), explain));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        // Actors are .3 of a square frame high: .25 of the frame a second is walking fast.
        let rule = "kind=running";
        check(rule, "walks", "0s person 0.1,0.5 | 3s 0.85,0.5", expect![]);
        check(
            rule,
            "runs and stops",
            "0s person 0.1,0.5 | 1.5s 0.85,0.5 | 6s 0.85,0.5",
            expect![[r#"
            1.1s start by 1: A person runs: 1.7 body heights a second, the limit is 1.6. Please review.
            3.6s end by 1 (1.1s to 1.6s): A person no longer runs, after 1 s.
        "#]],
        );
        check(
            rule,
            "runs out of the picture",
            "0s person 0.1,0.5 | 1.3s 0.88,0.5 gone",
            expect![[r#"
            1.1s start by 1: A person runs: 2.0 body heights a second, the limit is 1.6. Please review.
            1.3s end by 1 (1.1s to 1.2s): A person that ran is out of sight.
        "#]],
        );
        check(rule, "leaps once", "0s person 0.3,0.5 | 3s 0.3,0.5 | 3.2s 0.5,0.5 | 6s 0.5,0.5", expect![]);
        check(
            "kind=running zone=shelf",
            "runs elsewhere",
            "0s person 0.65,0.4 | 1.3s 0.65,0.99 | 4s 0.65,0.99",
            expect![],
        );
        check("kind=running", "a dog may", "0s dog 0.1,0.5 | 1.5s 0.85,0.5 | 6s 0.85,0.5", expect![]);
    }
}
