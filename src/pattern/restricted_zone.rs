//! Somebody is where nobody should be. A guard would say: "there is someone behind the counter".
//!
//! Known false alarms: whoever may be there, since nobody is recognised; a foot point that reaches over the border
//! because the camera looks from the side; draw the zone a little smaller than the room.

use super::{Common, Finding, Pattern, Rule, Scope, View, words};
use crate::event::{Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::ZoneId;
use crate::scene::Classes;

/// Starts when somebody has been in the zone for half a second, ends when they have left.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestrictedZoneConfig {
    pub zone: String,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

impl Rule for RestrictedZoneConfig {
    fn kind(&self) -> &'static str {
        "restricted_zone"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::Zone(&self.zone),
        }
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(RestrictedZone { zone: ZoneId::new(&self.zone), classes })
    }
}

/// Remembers nothing: the scene knows who entered.
struct RestrictedZone {
    zone: ZoneId,
    classes: Classes,
}

impl Pattern for RestrictedZone {
    fn step(&mut self, _view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let trespass = |fact: &Fact| {
            let someone = words::a(fact.who.class);
            let (zone, phase, explain) = match &fact.what {
                What::Entered(zone) => {
                    (zone, Phase::Start, format!("{someone} entered {zone}, which is restricted. Please review."))
                }
                What::Left { zone, dwell } => {
                    (zone, Phase::End, format!("{someone} left {zone} after {}.", words::seconds(*dwell)))
                }
                _ => return None,
            };
            let ours = *zone == self.zone && self.classes.admit(fact.who.class);
            ours.then(|| Finding::of(fact.who, phase, fact.at, Place::Zone(zone.clone()), explain))
        };
        facts.iter().filter_map(trespass).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    const RULE: &str = "kind=restricted_zone zone=shelf severity=alarm";

    #[test]
    fn stories() {
        check(
            RULE,
            "walks through",
            "0s person 0.05,0.5 | 5s 0.95,0.5",
            expect![[r#"
                0.8s start at shelf by 1 (0.3s): A person entered shelf, which is restricted. Please review.
                3.6s end at shelf by 1 (0.3s to 3s): A person left shelf after 2.7 s.
            "#]],
        );
        check(
            RULE,
            "puts a foot over the border",
            "0s person 0.05,0.5 | 1s 0.11,0.5 | 1.2s 0.05,0.5 | 3s 0.05,0.5",
            expect![],
        );
        check(
            RULE,
            "two are there",
            "0s person 0.05,0.5 | 1s 0.3,0.5 | 4s 0.3,0.5\n1s person 0.4,0.5 | 3s 0.4,0.5",
            expect![[r#"
                0.7s start at shelf by 1 (0.2s): A person entered shelf, which is restricted. Please review.
                1.5s start at shelf by 2 (1s): A person entered shelf, which is restricted. Please review.
                3.1s end at shelf by 2 (1s to 3s): A person left shelf after 2 s.
                4s end at shelf by 1 (0.2s to 4s): A person left shelf after 3.8 s.
            "#]],
        );
        check(RULE, "a dog may", "0s dog 0.05,0.5 | 5s 0.95,0.5", expect![]);
    }
}
