//! Two go through a door that lets in one at a time. A guard would say: "he slipped in behind her".
//!
//! Known false alarms: families and friends, so it is for doors that open with a card; one person with two boxes, where
//! both go over the line. Known misses: a second person who is hidden behind the first for the whole way.

use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Direction, Party, Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::LineId;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::{MediaTime, Span};

/// In body heights: nearer to each other than this, two boxes are of the same person.
const SAME: f32 = 0.12;

/// An event for each who crosses the line so soon after another.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TailgatingConfig {
    pub line: String,
    /// `in` (the default) or `out`.
    #[serde(default = "into")]
    pub direction: Direction,
    /// Default 2.
    #[serde(default = "two")]
    pub within_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn into() -> Direction {
    Direction::In
}

fn two() -> f64 {
    2.0
}

impl Rule for TailgatingConfig {
    fn kind(&self) -> &'static str {
        "tailgating"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::Line(&self.line),
        }
    }
    fn check(&self, at: &str, problems: &mut Problems) {
        check_seconds(self.within_s, &format!("{at}.within_s"), problems);
    }
    fn usual_classes(&self) -> Classes {
        Classes::Only(vec![crate::detection::Class::PERSON])
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(Tailgating {
            line: LineId::new(&self.line),
            direction: self.direction,
            within: Span::from_secs_f64(self.within_s),
            classes,
            last: None,
        })
    }
}

struct Tailgating {
    line: LineId,
    direction: Direction,
    within: Span,
    classes: Classes,
    /// Who crossed last.
    last: Option<(MediaTime, Party)>,
}

impl Pattern for Tailgating {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for fact in facts.iter().filter(|fact| self.classes.admit(fact.who.class)) {
            let ours = matches!(&fact.what, What::Crossed(line, way) if *line == self.line && *way == self.direction);
            if !ours {
                continue;
            }
            let before = self.last.replace((fact.at, fact.who)).filter(|(_, first)| first.id != fact.who.id);
            let Some((then, first)) = before else { continue };
            let now = view.scene.followed().find(|who| who.id == first.id);
            if now.is_some_and(|now| view.scene.apart(now, &fact.who) < SAME) || fact.at - then > self.within {
                continue;
            }
            let way = match self.direction {
                Direction::In => "in",
                Direction::Out => "out",
            };
            let explain = format!(
                "{} went {way} over {} {} after another. Please review.",
                words::a(fact.who.class),
                self.line,
                words::seconds(fact.at - then)
            );
            findings.push(Finding {
                phase: Phase::Instant,
                subject: Some(fact.who.id),
                at: fact.at,
                tracks: vec![first, fact.who],
                place: Place::Line(self.line.clone(), self.direction),
                explain,
                score: None,
                strength: None,
            });
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        let rule = "kind=tailgating line=door";
        check(
            rule,
            "slips in behind another",
            "0s person 0.5,0.3 | 4s 0.5,0.9 | 6s 0.5,0.9\n1s person 0.5,0.3 | 5s 0.5,0.9 | 6s 0.5,0.9",
            expect![[r#"
                3.2s instant at door in by 1+2: A person went in over door 1 s after another. Please review.
            "#]],
        );
        check(rule, "waits a while", "0s person 0.5,0.3 | 4s 0.5,0.9\n3s person 0.5,0.3 | 7s 0.5,0.9", expect![]);
        check(rule, "one comes, one goes", "0s person 0.5,0.3 | 4s 0.5,0.9\n0s person 0.3,0.9 | 4s 0.3,0.3", expect![]);
        check(
            rule,
            "one person, two boxes",
            "0s person 0.5,0.3 | 4s 0.5,0.9\n0s person 0.51,0.32 | 4s 0.51,0.92",
            expect![],
        );
        check(rule, "in, out and in again", "0s person 0.5,0.5 | 1s 0.5,0.7 | 2s 0.5,0.5 | 3s 0.5,0.7", expect![]);
    }
}
