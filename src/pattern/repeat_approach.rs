//! Somebody comes back to the same place again and again. A guard would say: "he has been at that shelf three times, as if
//! he waited for a moment alone".
//!
//! It is a journey: `shelf(dwell > 3s) x3 within 600s`.
//!
//! Known false alarms: whoever cannot decide, employees, and a zone that ends where people stand, so that each step to
//! the side is a new visit. Known misses: a track that breaks begins to count anew.

use super::journey::{Journey, check_place};
use super::{Common, Pattern, Rule, Scope, Surroundings, check_day};
use crate::event::Severity;
use crate::problems::Problems;
use crate::scene::Classes;

/// An event when somebody has come for so many times; then it counts anew.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepeatApproachConfig {
    /// Name of a zone. A kind means visits to any zone of it.
    pub zone: String,
    /// How many visits, 2 to 32; default 3.
    #[serde(default = "three")]
    pub times: u32,
    /// From the beginning of the first of them to the last; default 600.
    #[serde(default = "ten_minutes")]
    pub within_s: f64,
    /// Shorter stays are passing by; default 3.
    #[serde(default = "three_seconds")]
    pub min_dwell_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn three() -> u32 {
    3
}

fn ten_minutes() -> f64 {
    600.0
}

fn three_seconds() -> f64 {
    3.0
}

impl Rule for RepeatApproachConfig {
    fn kind(&self) -> &'static str {
        "repeat_approach"
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
        check_place(&self.zone, &format!("{at}.zone"), around, problems);
        check_day(self.within_s, &format!("{at}.within_s"), problems);
        check_day(self.min_dwell_s, &format!("{at}.min_dwell_s"), problems);
        let fine = (2..=32).contains(&self.times);
        problems.expect(fine, format!("{at}.times"), format!("is {}, expected 2 to 32", self.times));
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        self.start_in(classes, &Surroundings::NONE)
    }
    fn start_in(&self, classes: Classes, around: &Surroundings<'_>) -> Box<dyn Pattern> {
        let (zone, dwell, times, within) = (&self.zone, self.min_dwell_s, self.times, self.within_s);
        Box::new(Journey::new(&format!("{zone}(dwell > {dwell}s) x{times} within {within}s"), classes, around))
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        let thrice = "0s person 0.3,0.5 | 5s 0.3,0.5 | 6s 0.9,0.5 | 9s 0.9,0.5 | 10s 0.3,0.5 | 15s 0.3,0.5 | 16s 0.9,0.5 | 20s 0.9,0.5 | 21s 0.3,0.5 | 29s 0.3,0.5";
        let rule = "kind=repeat_approach zone=shelf";
        check(
            rule,
            "comes three times",
            thrice,
            expect![[r#"
            23.7s instant at shelf by 1: A person was 3 times at shelf (5.4 s, 5.8 s, 3.1 s) from 10:15:00 within 24 s. Please review.
        "#]],
        );
        check("kind=repeat_approach zone=shelf within_s=15", "not within so short a time", thrice, expect![]);
        check("kind=repeat_approach zone=shelf times=4", "not often enough", thrice, expect![]);
        check(rule, "stays all the time", "0s person 0.3,0.5 | 60s 0.3,0.5", expect![]);
        check(
            rule,
            "three come once each",
            "0s person 0.3,0.5 | 5s 0.3,0.5\n6s person 0.3,0.5 | 12s 0.3,0.5\n13s person 0.3,0.5 | 20s 0.3,0.5",
            expect![""],
        );
        check(
            rule,
            "steps aside for less than half a second",
            "0s person 0.55,0.5 | 5s 0.55,0.5 | 5.1s 0.65,0.5 | 5.3s 0.55,0.5 | 10s 0.55,0.5 | 10.1s 0.65,0.5 | 10.3s 0.55,0.5 | 15s 0.55,0.5",
            expect![],
        );
    }
}
