//! Somebody stays at a place longer than the owner thinks usual. A guard would say: "he has been at that shelf for a
//! while".
//!
//! Known false alarms: employees who fill the shelf, a queue that reaches into the zone, a chair or a mannequin taken
//! for a person. Known misses: a track that breaks starts its stay anew.

use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::{TrackId, ZoneId};
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::Span;
use std::collections::BTreeSet;

/// Starts when a stay in the zone reaches `min_dwell_s`, ends when it is over.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoiteringConfig {
    pub zone: String,
    /// Default 60.
    #[serde(default = "one_minute")]
    pub min_dwell_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn one_minute() -> f64 {
    60.0
}

impl Rule for LoiteringConfig {
    fn kind(&self) -> &'static str {
        "loitering"
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
        check_seconds(self.min_dwell_s, &format!("{at}.min_dwell_s"), problems);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        let (zone, min) = (ZoneId::new(&self.zone), Span::from_secs_f64(self.min_dwell_s));
        Box::new(Loitering { zone, min, classes, told: BTreeSet::new() })
    }
}

struct Loitering {
    zone: ZoneId,
    min: Span,
    classes: Classes,
    /// Whose stay has been told of and goes on.
    told: BTreeSet<TrackId>,
}

impl Pattern for Loitering {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let place = || Place::Zone(self.zone.clone());
        let mut findings = Vec::new();
        for fact in facts {
            let What::Left { zone, dwell } = &fact.what else { continue };
            if *zone == self.zone && self.told.remove(&fact.who.id) {
                let explain = format!("{} left {zone} after {}.", words::a(fact.who.class), words::seconds(*dwell));
                findings.push(Finding::of(fact.who, Phase::End, fact.at, place(), explain));
            }
        }
        for guest in view.scene.guests(&self.zone) {
            let (who, dwell) = (guest.who, guest.seen - guest.since);
            if dwell >= self.min && self.classes.admit(who.class) && self.told.insert(who.id) {
                let explain = format!(
                    "{} has stayed {} at {}; the limit here is {}. Please review.",
                    words::a(who.class),
                    words::seconds(dwell),
                    self.zone,
                    words::seconds(self.min)
                );
                findings.push(Finding::of(who, Phase::Start, view.at, place(), explain));
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    const RULE: &str = "kind=loitering zone=shelf min_dwell_s=45";

    #[test]
    fn stories() {
        check(RULE, "walks past the shelf", "0s person 0.05,0.5 | 5s 0.95,0.5", expect![]);
        check(
            RULE,
            "stays at the shelf",
            "0s person 0.05,0.5 | 1s 0.3,0.5 | 60s 0.3,0.5 | 61s 0.9,0.5 | 63s 0.9,0.5",
            expect![[r#"
                45.2s start at shelf by 1: A person has stayed 45 s at shelf; the limit here is 45 s. Please review.
                61s end at shelf by 1 (45.2s to 60.4s): A person left shelf after 60 s.
            "#]],
        );
        check(
            RULE,
            "two stay, one leaves early",
            "0s person 0.3,0.5 | 50s 0.3,0.5\n0s person 0.4,0.5 | 30s 0.4,0.5 | 31s 0.9,0.5 | 50s 0.9,0.5",
            expect![[r#"
                45s start at shelf by 1: A person has stayed 45 s at shelf; the limit here is 45 s. Please review.
                50s end at shelf by 1 (45s to 50s): A person left shelf after 50 s.
            "#]],
        );
        check(
            RULE,
            "steps aside for a moment",
            "0s person 0.3,0.5 | 30s 0.3,0.5 | 30.2s 0.7,0.5 | 30.4s 0.3,0.5 | 50s 0.3,0.5",
            expect![[r#"
                45s start at shelf by 1: A person has stayed 45 s at shelf; the limit here is 45 s. Please review.
                50s end at shelf by 1 (45s to 50s): A person left shelf after 50 s.
            "#]],
        );
        check(
            RULE,
            "comes back after a minute: a new stay",
            "0s person 0.3,0.5 | 30s 0.3,0.5 | 31s 0.9,0.5 | 91s 0.9,0.5 | 92s 0.3,0.5 | 120s 0.3,0.5",
            expect![],
        );
        check(RULE, "a parked car is nobody", "0s car 0.3,0.5 | 90s 0.3,0.5", expect![]);
        check(
            RULE,
            "is lost before the time is up",
            "0s person 0.3,0.5 | 40s 0.3,0.5 lost | 60s 0.3,0.5 gone",
            expect![],
        );
        check(
            "kind=loitering zone=shelf min_dwell_s=10 cooldown_s=30",
            "the second one is told when the cooldown is over",
            "0s person 0.3,0.5 | 60s 0.3,0.5\n5s person 0.4,0.5 | 60s 0.4,0.5\n8s person 0.5,0.5 | 30s 0.5,0.5",
            expect![[r#"
                10s start at shelf by 1: A person has stayed 10 s at shelf; the limit here is 10 s. Please review.
                40s start at shelf by 2 (15s): A person has stayed 10 s at shelf; the limit here is 10 s. Please review.
                60s end at shelf by 1 (10s to 60s): A person left shelf after 60 s.
                60s end at shelf by 2 (15s to 60s): A person left shelf after 55 s.
            "#]],
        );
    }
}
