//! Somebody was at a shelf, never at a till, and leaves. A guard would say: "she was at the spirits, and went straight
//! out".
//!
//! It is a journey: `!till(dwell > 2s) -> shelf(dwell > 5s) -> !till(dwell > 2s) -> exit`.
//!
//! Known false alarms: everybody who looks and buys nothing, which in most shops is every third visitor, so it asks for a
//! severity that suits that; employees; who pays with others while standing apart. Known misses: a track that breaks
//! between shelf and exit; shelves and exit that no one camera sees together.

use super::journey::{Journey, check_place};
use super::{Common, Pattern, Rule, Scope, Surroundings, check_day};
use crate::event::Severity;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::scene::zone::ZoneKind;

/// An event for each track that leaves so. Places are names or kinds of zones, as in a journey.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExitWithoutCheckoutConfig {
    /// Default `shelf`: any zone of that kind.
    #[serde(default = "shelf")]
    pub shelf: String,
    /// Default `till`.
    #[serde(default = "till")]
    pub checkout: String,
    /// Default `exit`, or `entrance` where the camera has no zone of the kind `exit`.
    pub exit: Option<String>,
    /// Shorter stays at a shelf are passing by; default 5.
    #[serde(default = "five")]
    pub min_dwell_s: f64,
    /// Shorter stays at a till are passing by; default 2.
    #[serde(default = "two")]
    pub min_checkout_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn shelf() -> String {
    "shelf".into()
}

fn till() -> String {
    "till".into()
}

fn five() -> f64 {
    5.0
}

fn two() -> f64 {
    2.0
}

impl ExitWithoutCheckoutConfig {
    fn exit(&self, around: &Surroundings<'_>) -> &str {
        let has_exit = around.zones.values().any(|zone| zone.kind == ZoneKind::Exit);
        self.exit.as_deref().unwrap_or(if has_exit { "exit" } else { "entrance" })
    }
}

impl Rule for ExitWithoutCheckoutConfig {
    fn kind(&self) -> &'static str {
        "exit_without_checkout"
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
        check_place(&self.shelf, &format!("{at}.shelf"), around, problems);
        check_place(&self.checkout, &format!("{at}.checkout"), around, problems);
        check_place(self.exit(around), &format!("{at}.exit"), around, problems);
        check_day(self.min_dwell_s, &format!("{at}.min_dwell_s"), problems);
        check_day(self.min_checkout_s, &format!("{at}.min_checkout_s"), problems);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        self.start_in(classes, &Surroundings::NONE)
    }
    fn start_in(&self, classes: Classes, around: &Surroundings<'_>) -> Box<dyn Pattern> {
        let (shelf, dwell, exit) = (&self.shelf, self.min_dwell_s, self.exit(around));
        let paid = format!("{}(dwell > {}s)", self.checkout, self.min_checkout_s);
        let line = format!("!{paid} -> {shelf}(dwell > {dwell}s) -> !{paid} -> {exit}");
        Box::new(Journey::new(&line, classes, around))
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story;
    use expect_test::{Expect, expect};

    fn check(title: &str, actors: &str, expected: Expect) {
        let shop = "zone till 0.65,0 0.75,1\nzone exit 0.85,0 1,1\n";
        story::check("kind=exit_without_checkout", title, &format!("{shop}{actors}"), expected);
    }

    #[test]
    fn stories() {
        check(
            "goes straight out",
            "0s person 0.3,0.5 | 20s 0.3,0.5 | 24s 0.95,0.5 | 26s 0.95,0.5",
            expect![[r#"
                23.9s instant at exit by 1 (23.4s): A person was 22 s at shelf from 10:15:00, never at till for more than 2 s, and left at exit after 23 s. Please review.
            "#]],
        );
        check(
            "pays",
            "0s person 0.3,0.5 | 20s 0.3,0.5 | 22s 0.7,0.5 | 30s 0.7,0.5 | 32s 0.95,0.5 | 34s 0.95,0.5",
            expect![],
        );
        check(
            "has paid, looks again and goes",
            "0s person 0.3,0.5 | 9s 0.3,0.5 | 10s 0.7,0.5 | 20s 0.7,0.5 | 21s 0.4,0.5 | 30s 0.4,0.5 | 32s 0.95,0.5 | 34s 0.95,0.5",
            expect![],
        );
        check("passes the shelf only", "0s person 0.3,0.5 | 3s 0.3,0.5 | 6s 0.95,0.5 | 8s 0.95,0.5", expect![]);
        check("stays inside", "0s person 0.3,0.5 | 20s 0.3,0.5 | 22s 0.8,0.5 | 30s 0.8,0.5", expect![]);
    }

    #[test]
    fn a_shop_with_one_door_needs_no_exit() {
        story::check(
            "kind=exit_without_checkout",
            "in and out by the same door",
            "zone till 0.65,0 0.75,1\nzone entrance 0.85,0 1,1\n0s person 0.95,0.5 | 2s 0.95,0.5 | 4s 0.3,0.5 | 20s 0.3,0.5 | 24s 0.95,0.5 | 26s 0.95,0.5",
            expect![[r#"
                23.9s instant at entrance by 1 (23.4s): A person was 19 s at shelf from 10:15:03, never at till for more than 2 s, and left at entrance after 20 s. Please review.
            "#]],
        );
    }
}
