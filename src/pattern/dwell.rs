//! How long somebody stayed. A shopkeeper would say: "she looked at the watches for two minutes".
//!
//! Known errors: a track that breaks makes two short visits of a long one; an employee's visits are visits.

use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::ZoneId;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::Span;

/// An event for each visit that has ended. The percentiles of the zone count without it, too.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DwellConfig {
    pub zone: String,
    /// Shorter stays are not told; default 1.
    #[serde(default = "one")]
    pub min_dwell_s: f64,
    /// `info`, `warning` or `alarm`.
    #[serde(default = "super::info")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn one() -> f64 {
    1.0
}

impl Rule for DwellConfig {
    fn kind(&self) -> &'static str {
        "dwell"
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
        Box::new(Dwell { zone: ZoneId::new(&self.zone), min: Span::from_secs_f64(self.min_dwell_s), classes })
    }
}

struct Dwell {
    zone: ZoneId,
    min: Span,
    classes: Classes,
}

impl Pattern for Dwell {
    fn step(&mut self, _view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let visit = |fact: &Fact| match &fact.what {
            What::Left { zone, dwell }
                if *zone == self.zone && *dwell >= self.min && self.classes.admit(fact.who.class) =>
            {
                let explain = format!("{} stayed {} at {zone}.", words::a(fact.who.class), words::seconds(*dwell));
                Some(Finding::of(fact.who, Phase::Instant, fact.at, Place::Zone(zone.clone()), explain))
            }
            _ => None,
        };
        facts.iter().filter_map(visit).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    const RULE: &str = "kind=dwell zone=shelf";

    #[test]
    fn stories() {
        check(
            RULE,
            "walks past the shelf",
            "0s person 0.05,0.5 | 4s 0.65,0.5 | 6s 0.95,0.5",
            expect![[r#"
                4.2s instant at shelf by 1 (3.6s): A person stayed 3.2 s at shelf.
            "#]],
        );
        check(RULE, "hurries past the shelf", "0s person 0.05,0.5 | 1s 0.95,0.5 | 3s 0.95,0.6", expect![]);
        check(
            RULE,
            "is lost at the shelf and never seen again",
            "0s person 0.05,0.5 | 1s 0.3,0.5 | 5s 0.3,0.5 lost | 8s 0.3,0.5 gone",
            expect![[r#"
                8s instant at shelf by 1 (5s): A person stayed 4.8 s at shelf.
            "#]],
        );
        check(
            RULE,
            "is lost at the shelf for a moment",
            "0s person 0.3,0.5 | 2s 0.3,0.5 lost | 3s 0.3,0.5 | 5s 0.3,0.5 | 6s 0.9,0.5 | 7s 0.95,0.5",
            expect![[r#"
                6s instant at shelf by 1 (5.4s): A person stayed 5.4 s at shelf.
            "#]],
        );
        check(
            RULE,
            "trembles over the border of the zone",
            "0s person 0.3,0.5 | 2s 0.59,0.5 | 2.2s 0.61,0.5 | 2.4s 0.59,0.5 | 2.6s 0.61,0.5 | 3s 0.8,0.5 | 5s 0.9,0.5",
            expect![[r#"
                3s instant at shelf by 1 (2.4s): A person stayed 2.4 s at shelf.
            "#]],
        );
        check(
            "kind=dwell zone=shelf min_dwell_s=5",
            "does not stay for long",
            "0s person 0.3,0.5 | 3s 0.3,0.5 | 4s 0.9,0.5 | 5s 0.9,0.5",
            expect![],
        );
    }
}
