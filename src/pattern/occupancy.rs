//! More, or fewer, are there than there should be. A manager would say: "more than three at the till: open another
//! one", or "nobody is at the counter".
//!
//! Known false alarms: reflections, posters of people. Known misses: whoever is hidden behind others is not counted.

use super::sustained::{Edge, Sustained};
use super::{Area, Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Phase, Severity};
use crate::fact::Fact;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::Span;

/// Starts when the number has been out of bounds for `for_s`, ends when it has been within for two seconds.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OccupancyConfig {
    /// Without it the whole frame counts.
    pub zone: Option<String>,
    /// Either this one ...
    pub more_than: Option<u32>,
    /// ... or that one.
    pub fewer_than: Option<u32>,
    /// Default 10.
    #[serde(default = "ten")]
    pub for_s: f64,
    /// `info` (the default), `warning` or `alarm`.
    #[serde(default = "super::info")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn ten() -> f64 {
    10.0
}

impl Rule for OccupancyConfig {
    fn kind(&self) -> &'static str {
        "occupancy"
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
        match (self.more_than, self.fewer_than) {
            (None, None) => problems.add(at, "has no limit, expected `more_than` or `fewer_than`"),
            (Some(_), Some(_)) => problems.add(
                format!("{at}.fewer_than"),
                "comes together with `more_than`, expected one of them; make a second rule",
            ),
            (None, Some(0)) => problems.add(format!("{at}.fewer_than"), "is 0, which never is so, expected 1 or more"),
            _ => {}
        }
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(Occupancy {
            area: Area::new(self.zone.as_deref()),
            limit: match (self.more_than, self.fewer_than) {
                (Some(n), _) => Limit::MoreThan(n as usize),
                (None, n) => Limit::FewerThan(n.unwrap_or(0) as usize),
            },
            delay: Span::from_secs_f64(self.for_s),
            classes,
            beyond: Sustained::Off,
        })
    }
}

enum Limit {
    MoreThan(usize),
    FewerThan(usize),
}

struct Occupancy {
    area: Area,
    limit: Limit,
    delay: Span,
    classes: Classes,
    /// Whether the number is beyond the limit.
    beyond: Sustained,
}

impl Pattern for Occupancy {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let occupants = self.area.occupants(view, &self.classes);
        let (beyond, limit) = match self.limit {
            Limit::MoreThan(n) => (occupants.len() > n, format!("more than {n}")),
            Limit::FewerThan(n) => (occupants.len() < n, format!("fewer than {n}")),
        };
        let Some(edge) = self.beyond.step(beyond, view.at, self.delay) else { return Vec::new() };
        let place = self.area.words();
        let (phase, at, explain) = match edge {
            Edge::Began { since } => {
                let verb = if occupants.len() > 1 { "are" } else { "is" };
                let lasted = words::seconds(view.at - since);
                let what = sentence(&format!("{} {verb} {place}", words::how_many(&occupants)));
                (Phase::Start, view.at, format!("{what}; {limit} for {lasted}."))
            }
            Edge::Ended { since, until } => {
                let lasted = words::seconds(until - since);
                (Phase::End, until, format!("No longer {limit} {place}; it lasted {lasted}."))
            }
        };
        vec![Finding::there(occupants, phase, at, self.area.place(), explain)]
    }
}

/// With a capital letter.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        let busy = "kind=occupancy zone=shelf more_than=1 for_s=3";
        check(
            busy,
            "two meet at the shelf",
            "0s person 0.3,0.5 | 10s 0.3,0.5 | 14s 0.3,0.5\n2s person 0.4,0.5 | 8s 0.4,0.5 | 9s 0.9,0.5 | 14s 0.9,0.5",
            expect![[r#"
                5.5s start at shelf by 1+2: 2 people are at shelf; more than 1 for 3 s.
                10.9s end at shelf by 1 (5.5s to 8.9s): No longer more than 1 at shelf; it lasted 6.4 s.
            "#]],
        );
        check(
            busy,
            "two meet for a moment only",
            "0s person 0.3,0.5 | 10s 0.3,0.5\n2s person 0.4,0.5 | 4s 0.4,0.5 | 5s 0.9,0.5 | 10s 0.9,0.5",
            expect![],
        );
        check(
            busy,
            "one is lost for a moment meanwhile",
            "0s person 0.3,0.5 | 10s 0.3,0.5\n0s person 0.4,0.5 | 2s 0.4,0.5 lost | 3s 0.4,0.5 | 10s 0.4,0.5",
            expect![[r#"
                3.5s start at shelf by 1+2: 2 people are at shelf; more than 1 for 3 s.
                10s end at shelf by 1+2 (3.5s to 10s): It still was so when watching ended: 2 people are at shelf; more than 1 for 3 s.
            "#]],
        );
        check(
            "kind=occupancy fewer_than=1 for_s=5",
            "the frame is empty for a while",
            "0s person 0.3,0.5 | 2s 0.3,0.5\n12s person 0.3,0.5 | 16s 0.3,0.5",
            expect![[r#"
                7.1s start: Nobody is in view; fewer than 1 for 5 s.
                14s end by 2 (7.1s to 12s): No longer fewer than 1 in view; it lasted 9.9 s.
            "#]],
        );
        check(
            "kind=occupancy more_than=0 for_s=0 classes=person,car",
            "somebody and something",
            "0s person 0.3,0.5 | 3s 0.3,0.5\n0s car 0.6,0.5 | 3s 0.6,0.5",
            expect![[r#"
                0s start by 1+2: 1 person and 1 car are in view; more than 0 for 0 s.
                3s end by 1+2 (0s to 3s): It still was so when watching ended: 1 person and 1 car are in view; more than 0 for 0 s.
            "#]],
        );
    }
}
