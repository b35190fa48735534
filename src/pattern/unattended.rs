//! Nobody is where somebody must be. A customer would say: "is anybody serving here?"
//!
//! Known false alarms: whoever crouches behind the counter or is hidden by a customer; make `for_s` long enough. Known
//! misses: a customer in the zone counts as somebody, since nobody is recognised; draw it where only staff stand. While
//! the clock is not trusted a rule with opening hours is silent.

use super::after_hours::local;
use super::sustained::{Edge, Sustained};
use super::{Area, Common, Finding, OpeningHours, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Phase, Severity};
use crate::fact::Fact;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::Span;

/// Starts when nobody has been in the zone for `for_s`, ends when somebody has been for two seconds, or the shop closes.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnattendedConfig {
    pub zone: String,
    /// Default 60.
    #[serde(default = "one_minute")]
    pub for_s: f64,
    /// Only then; in local time, see `device.time_zone`. Always without it.
    pub open: Option<OpeningHours>,
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

impl Rule for UnattendedConfig {
    fn kind(&self) -> &'static str {
        "unattended"
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
        check_seconds(self.for_s, &format!("{at}.for_s"), problems);
        if let Some(open) = &self.open {
            open.check(&format!("{at}.open"), problems);
        }
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(Unattended {
            area: Area::new(Some(&self.zone)),
            delay: Span::from_secs_f64(self.for_s),
            open: self.open.clone(),
            classes,
            alone: Sustained::Off,
        })
    }
}

struct Unattended {
    area: Area,
    delay: Span,
    open: Option<OpeningHours>,
    classes: Classes,
    alone: Sustained,
}

impl Unattended {
    fn matters(&self, view: &View<'_>) -> bool {
        self.open.as_ref().is_none_or(|open| view.clock_trusted && open.are_open(local(view.taken, view.time_zone)))
    }
}

impl Pattern for Unattended {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let there = self.area.occupants(view, &self.classes);
        let alone = there.is_empty() && self.matters(view);
        let Some(edge) = self.alone.step(alone, view.at, self.delay) else { return Vec::new() };
        let place = self.area.words();
        let (phase, at, explain) = match edge {
            Edge::Began { since } => {
                let lasted = words::lasting(view.at - since);
                (Phase::Start, view.at, format!("Nobody has been {place} for {lasted}. Please review."))
            }
            Edge::Ended { until, .. } if there.is_empty() => {
                (Phase::End, until, format!("Nobody need be {place} any more."))
            }
            Edge::Ended { since, until } => {
                (Phase::End, until, format!("Somebody is {place} again, after {}.", words::lasting(until - since)))
            }
        };
        vec![Finding::there(there, phase, at, self.area.place(), explain)]
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::{Story, check};
    use expect_test::expect;

    #[test]
    fn stories() {
        let rule = "kind=unattended zone=shelf for_s=10";
        check(
            rule,
            "goes away and comes back",
            "0s person 0.3,0.5 | 3s 0.3,0.5 | 4s 0.9,0.5 | 20s 0.9,0.5 | 21s 0.3,0.5 | 26s 0.3,0.5",
            expect![[r#"
                14s start at shelf: Nobody has been at shelf for 10 s. Please review.
                23.1s end at shelf by 1 (14s to 21.1s): Somebody is at shelf again, after 17 s.
            "#]],
        );
        check(
            rule,
            "goes away for a moment",
            "0s person 0.3,0.5 | 3s 0.3,0.5 | 4s 0.9,0.5 | 9s 0.9,0.5 | 10s 0.3,0.5 | 15s 0.3,0.5",
            expect![],
        );
        check(
            rule,
            "is lost for a moment",
            "0s person 0.3,0.5 | 3s 0.3,0.5 lost | 20s 0.3,0.5 | 21s 0.3,0.5",
            expect![],
        );
        // Stories begin on a Tuesday at 10:15.
        let empty = "0s person 0.9,0.5 | 80s 0.9,0.5";
        check("kind=unattended zone=shelf open.mon=08:00-20:00", "closed on Tuesdays", empty, expect![]);
        check(
            "kind=unattended zone=shelf open.tue=08:00-10:16 for_s=10",
            "closes at 10:16",
            empty,
            expect![[r#"
            10s start at shelf: Nobody has been at shelf for 10 s. Please review.
            62s end at shelf (10s to 60s): Nobody need be at shelf any more.
        "#]],
        );
        let open = "kind=unattended zone=shelf for_s=10 open.tue=08:00-20:00";
        assert_eq!(Story::new(open, empty).clock_trusted(false).told(), "", "nobody knows what time it is");
    }
}
