//! Many stand close together. A guard would say: "a crowd at the door".
//!
//! Known false alarms: a family, a delivery. Known misses: in a dense crowd people hide each other, so the number is a
//! lower bound; set the limit lower than what the eye would say.

use super::sustained::{Edge, Sustained};
use super::{Area, Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Phase, Severity};
use crate::fact::Fact;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::Span;

/// Starts when at least so many have been there for `for_s`, ends when they have been fewer for two seconds.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrowdingConfig {
    /// Without it the whole frame counts.
    pub zone: Option<String>,
    pub at_least: u32,
    /// Default 10.
    #[serde(default = "ten")]
    pub for_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn ten() -> f64 {
    10.0
}

impl Rule for CrowdingConfig {
    fn kind(&self) -> &'static str {
        "crowding"
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
        let path = format!("{at}.at_least");
        problems.expect(self.at_least >= 2, path, format!("is {}, expected 2 or more", self.at_least));
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(Crowding {
            area: Area::new(self.zone.as_deref()),
            at_least: self.at_least as usize,
            delay: Span::from_secs_f64(self.for_s),
            classes,
            crowd: Sustained::Off,
        })
    }
}

struct Crowding {
    area: Area,
    at_least: usize,
    delay: Span,
    classes: Classes,
    crowd: Sustained,
}

impl Pattern for Crowding {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let occupants = self.area.occupants(view, &self.classes);
        let crowd = occupants.len() >= self.at_least;
        let Some(edge) = self.crowd.step(crowd, view.at, self.delay) else { return Vec::new() };
        let place = self.area.words();
        let (phase, at, explain) = match edge {
            Edge::Began { since } => {
                let (who, lasted) = (words::how_many(&occupants), words::seconds(view.at - since));
                let limit = self.at_least;
                (Phase::Start, view.at, format!("{who} are {place}; {limit} or more for {lasted}. Please review."))
            }
            Edge::Ended { since, until } => {
                (Phase::End, until, format!("The crowd {place} is gone after {}.", words::seconds(until - since)))
            }
        };
        vec![Finding::there(occupants, phase, at, self.area.place(), explain)]
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        let rule = "kind=crowding at_least=3 for_s=2";
        let third = |until: &str| {
            format!(
                "0s person 0.3,0.5 | 9s 0.3,0.5\n0s person 0.4,0.5 | 9s 0.4,0.5\n1s person 0.6,0.5 | {until} 0.6,0.5"
            )
        };
        check(
            rule,
            "three are there for long",
            &third("5s"),
            expect![[r#"
                3s start by 1+2+3: 3 people are in view; 3 or more for 2 s. Please review.
                7.1s end by 1+2 (3s to 5.1s): The crowd in view is gone after 4.1 s.
            "#]],
        );
        check(rule, "the third one only passes", &third("2s"), expect![]);
        check(
            "kind=crowding zone=shelf at_least=3 for_s=2",
            "the third one stands outside of the zone",
            &third("5s").replace("0.6,0.5", "0.9,0.5"),
            expect![],
        );
    }
}
