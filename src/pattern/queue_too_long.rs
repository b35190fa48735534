//! More people wait than should. A shopkeeper would say: "open another till".
//!
//! Known false alarms: people who stand in the zone for another reason, as at a shelf beside it; draw it narrow. Known
//! misses: whoever stands hidden behind others; a track that breaks begins to wait anew, which matters where `min_wait_s` is
//! long.

use super::sustained::{Edge, Sustained};
use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Phase, Place, Severity};
use crate::fact::Fact;
use crate::ids::ZoneId;
use crate::problems::Problems;
use crate::scene::{Classes, Guest};
use crate::time::Span;

/// Starts when more than so many have waited for `for_s` in a row, ends when they have not for two seconds.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueTooLongConfig {
    pub zone: String,
    /// Default 4.
    #[serde(default = "four")]
    pub more_than: u32,
    /// Who is there for less is passing by; default 5.
    #[serde(default = "five")]
    pub min_wait_s: f64,
    /// Default 30.
    #[serde(default = "half_a_minute")]
    pub for_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn four() -> u32 {
    4
}

fn five() -> f64 {
    5.0
}

fn half_a_minute() -> f64 {
    30.0
}

impl Rule for QueueTooLongConfig {
    fn kind(&self) -> &'static str {
        "queue_too_long"
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
        check_seconds(self.min_wait_s, &format!("{at}.min_wait_s"), problems);
        check_seconds(self.for_s, &format!("{at}.for_s"), problems);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(QueueTooLong {
            zone: ZoneId::new(&self.zone),
            more_than: self.more_than as usize,
            min_wait: Span::from_secs_f64(self.min_wait_s),
            delay: Span::from_secs_f64(self.for_s),
            classes,
            long: Sustained::Off,
        })
    }
}

struct QueueTooLong {
    zone: ZoneId,
    more_than: usize,
    min_wait: Span,
    delay: Span,
    classes: Classes,
    long: Sustained,
}

impl Pattern for QueueTooLong {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let waits = |guest: &Guest| guest.seen - guest.since >= self.min_wait && self.classes.admit(guest.who.class);
        let queue: Vec<Guest> = view.scene.guests(&self.zone).filter(waits).collect();
        let Some(edge) = self.long.step(queue.len() > self.more_than, view.at, self.delay) else { return Vec::new() };
        let parties: Vec<_> = queue.iter().map(|guest| guest.who).collect();
        let (phase, at, explain) = match edge {
            Edge::Began { since } => {
                let longest = queue.iter().map(|guest| guest.seen - guest.since).max().unwrap_or_default();
                let what = format!(
                    "{} wait at {}, more than {} for {}; the longest wait is {}. Please review.",
                    words::how_many(&parties),
                    self.zone,
                    self.more_than,
                    words::seconds(view.at - since),
                    words::lasting(longest)
                );
                (Phase::Start, view.at, what)
            }
            Edge::Ended { since, until } => {
                let lasted = words::lasting(until - since);
                (Phase::End, until, format!("The queue at {} is shorter again, after {lasted}.", self.zone))
            }
        };
        vec![Finding::there(parties, phase, at, Place::Zone(self.zone.clone()), explain)]
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        let rule = "kind=queue_too_long zone=shelf more_than=1 min_wait_s=3 for_s=5";
        check(
            rule,
            "two wait, one is served",
            "0s person 0.3,0.5 | 20s 0.3,0.5 | 21s 0.9,0.5 | 26s 0.9,0.5\n2s person 0.4,0.5 | 26s 0.4,0.5",
            expect![[r#"
                10s start at shelf by 1+2: 2 people wait at shelf, more than 1 for 5 s; the longest wait is 10 s. Please review.
                23s end at shelf by 2 (10s to 21s): The queue at shelf is shorter again, after 16 s.
            "#]],
        );
        check(rule, "one waits", "0s person 0.3,0.5 | 30s 0.3,0.5", expect![]);
        let walkers: Vec<String> =
            (0..12).map(|i| format!("{}s person 0.05,0.5 | {}s 0.65,0.5", 2 * i, 2 * i + 2)).collect();
        check(
            rule,
            "one waits while others walk past",
            &format!("0s person 0.3,0.5 | 30s 0.3,0.5\n{}", walkers.join("\n")),
            expect![],
        );
    }
}
