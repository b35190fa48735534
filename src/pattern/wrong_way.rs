//! Somebody goes where one only comes. A guard would say: "she went in by the way out".
//!
//! Either over a line, against the direction that is allowed, or through a zone, against the direction it has.
//!
//! Known false alarms: whoever turns around on the line and was taken for one who crossed; employees; in a zone, somebody
//! who steps back while talking for longer than `for_s`. Known misses: a track that begins beyond the line.

use super::sustained::{Edge, Sustained};
use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Direction, Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::{LineId, TrackId, ZoneId};
use crate::problems::Problems;
use crate::scene::{Classes, Guest, Velocity};
use crate::time::Span;
use std::collections::BTreeMap;

/// Slower than this, in body heights a second, is standing.
const WALKS: f32 = 0.25;
/// Cosine from which a direction is against another: 120 degrees.
const AGAINST: f32 = -0.5;

/// With `line` and `allowed` an event for each crossing against it; with `zone` and `towards` it starts when somebody has
/// gone against it for `for_s` and ends when they no longer do.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WrongWayConfig {
    pub line: Option<String>,
    /// `in` or `out`.
    pub allowed: Option<Direction>,
    pub zone: Option<String>,
    /// x and y of the direction in the picture, x to the right, y down: `[1.0, 0.0]` is from left to right.
    pub towards: Option<[f32; 2]>,
    /// In a zone; default 1.5.
    #[serde(default = "one_and_a_half")]
    pub for_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn one_and_a_half() -> f64 {
    1.5
}

impl Rule for WrongWayConfig {
    fn kind(&self) -> &'static str {
        "wrong_way"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: self.line.as_deref().map_or(Scope::zone_or_frame(&self.zone), Scope::Line),
        }
    }
    fn check(&self, at: &str, problems: &mut Problems) {
        let by_line = self.line.is_some() && self.allowed.is_some() && self.zone.is_none() && self.towards.is_none();
        let by_zone = self.zone.is_some() && self.towards.is_some() && self.line.is_none() && self.allowed.is_none();
        let expected = "expected either `line` and `allowed`, or `zone` and `towards`";
        problems.expect(by_line || by_zone, at, format!("does not say what the right way is, {expected}"));
        if let Some([x, y]) = self.towards {
            let fine = x.is_finite() && y.is_finite() && (x != 0.0 || y != 0.0);
            problems.expect(fine, format!("{at}.towards"), "is no direction, expected two numbers such as [1.0, 0.0]");
        }
        check_seconds(self.for_s, &format!("{at}.for_s"), problems);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        match (&self.line, &self.zone, self.towards) {
            (Some(line), _, _) => {
                let allowed = self.allowed.unwrap_or(Direction::In);
                Box::new(OverLine { line: LineId::new(line), allowed, classes })
            }
            (None, zone, towards) => Box::new(ThroughZone {
                zone: ZoneId::new(zone.as_deref().unwrap_or_default()),
                towards: towards.unwrap_or_default(),
                delay: Span::from_secs_f64(self.for_s),
                classes,
                against: BTreeMap::new(),
            }),
        }
    }
}

struct OverLine {
    line: LineId,
    allowed: Direction,
    classes: Classes,
}

impl Pattern for OverLine {
    fn step(&mut self, _view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let crossing = |fact: &Fact| {
            let What::Crossed(line, way) = &fact.what else { return None };
            if *line != self.line || *way == self.allowed || !self.classes.admit(fact.who.class) {
                return None;
            }
            let (went, allowed) = match way {
                Direction::In => ("in", "out"),
                Direction::Out => ("out", "in"),
            };
            let a = words::a(fact.who.class);
            let explain = format!("{a} went {went} over {line}, where one may only go {allowed}. Please review.");
            Some(Finding::of(fact.who, Phase::Instant, fact.at, Place::Line(line.clone(), *way), explain))
        };
        facts.iter().filter_map(crossing).collect()
    }
}

struct ThroughZone {
    zone: ZoneId,
    towards: [f32; 2],
    delay: Span,
    classes: Classes,
    /// Of those who go against it or just did.
    against: BTreeMap<TrackId, Sustained>,
}

impl ThroughZone {
    fn is_against(&self, velocity: Velocity) -> bool {
        let [x, y] = self.towards;
        let along = velocity.x * x + velocity.y * y;
        velocity.speed() >= WALKS && along <= AGAINST * velocity.speed() * (x * x + y * y).sqrt()
    }
}

impl Pattern for ThroughZone {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let place = || Place::Zone(self.zone.clone());
        let mut findings = Vec::new();
        for fact in facts {
            let left = matches!(&fact.what, What::Left { zone, .. } if *zone == self.zone);
            if left && self.against.remove(&fact.who.id).is_some() {
                let explain = format!("{} left {}.", words::a(fact.who.class), self.zone);
                findings.push(Finding::of(fact.who, Phase::End, fact.at, place(), explain));
            }
        }
        for Guest { who, .. } in view.scene.guests(&self.zone).filter(|guest| self.classes.admit(guest.who.class)) {
            let against = view.scene.velocity(who.id).is_some_and(|velocity| self.is_against(velocity));
            let (phase, at, explain) = match self.against.entry(who.id).or_default().step(against, view.at, self.delay)
            {
                None => continue,
                Some(Edge::Began { since }) => {
                    let (a, lasted) = (words::a(who.class), words::seconds(view.at - since));
                    let what = format!("{a} has gone the wrong way through {} for {lasted}. Please review.", self.zone);
                    (Phase::Start, view.at, what)
                }
                Some(Edge::Ended { until, .. }) => {
                    let what = format!("{} no longer goes the wrong way through {}.", words::a(who.class), self.zone);
                    (Phase::End, until, what)
                }
            };
            findings.push(Finding::of(who, phase, at, place(), explain));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::{check, rule};
    use crate::problems::Problems;
    use expect_test::expect;

    #[test]
    fn stories() {
        let line = "kind=wrong_way line=door allowed=in";
        check(line, "the right way", "0s person 0.5,0.3 | 4s 0.5,0.9", expect![]);
        check(
            line,
            "the wrong way",
            "0s person 0.5,0.9 | 4s 0.5,0.3",
            expect![[r#"
            2.2s instant at door out by 1: A person went out over door, where one may only go in. Please review.
        "#]],
        );
        let zone = "kind=wrong_way zone=shelf towards=1,0";
        check(
            zone,
            "against the stream",
            "0s person 0.59,0.5 | 4s 0.2,0.5 | 8s 0.2,0.5",
            expect![[r#"
            2.1s start at shelf by 1: A person has gone the wrong way through shelf for 1.5 s. Please review.
            6.2s end at shelf by 1 (2.1s to 4.2s): A person no longer goes the wrong way through shelf.
        "#]],
        );
        check(zone, "a step back", "0s person 0.1,0.5 | 6s 0.5,0.5 | 6.5s 0.45,0.5 | 12s 0.45,0.5", expect![]);
        check(zone, "across it", "0s person 0.3,0.35 | 6s 0.3,0.95", expect![]);
    }

    #[test]
    fn one_of_two_ways_to_say_it() {
        let camera = crate::pattern::story::plan();
        for (words, fine) in [
            ("kind=wrong_way line=door allowed=in", true),
            ("kind=wrong_way line=door", false),
            ("kind=wrong_way zone=shelf", false),
            ("kind=wrong_way line=door allowed=in zone=shelf", false),
            ("kind=wrong_way", false),
        ] {
            let mut problems = Problems::default();
            rule(words).check("r", &camera.zones, &camera.lines, &mut problems);
            assert_eq!(problems.is_empty(), fine, "{words}");
        }
    }
}
