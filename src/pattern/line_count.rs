//! Somebody went over a line. A guard with a clicker would say: "one in".
//!
//! Known false alarms: a foot point that jumps over the line because a counter or another person hides the legs; put
//! the line where feet are seen. Known misses: whoever is first detected beyond the line.

use super::{Common, Finding, Pattern, Rule, Scope, View, words};
use crate::event::{Direction, Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::LineId;
use crate::scene::Classes;

/// An event for each crossing. The totals of the line count without it, too.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineCountConfig {
    pub line: String,
    /// `info`, `warning` or `alarm`.
    #[serde(default = "super::info")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

impl Rule for LineCountConfig {
    fn kind(&self) -> &'static str {
        "line_count"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::Line(&self.line),
        }
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(LineCount { line: LineId::new(&self.line), classes })
    }
}

struct LineCount {
    line: LineId,
    classes: Classes,
}

impl Pattern for LineCount {
    fn step(&mut self, _view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let crossing = |fact: &Fact| {
            let What::Crossed(line, direction) = &fact.what else { return None };
            if *line != self.line || !self.classes.admit(fact.who.class) {
                return None;
            }
            let way = match direction {
                Direction::In => "in",
                Direction::Out => "out",
            };
            let explain = format!("{} went {way} over {line}.", words::a(fact.who.class));
            let place = Place::Line(line.clone(), *direction);
            Some(Finding::of(fact.who, Phase::Instant, fact.at, place, explain))
        };
        facts.iter().filter_map(crossing).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    const RULE: &str = "kind=line_count line=door";

    #[test]
    fn stories() {
        check(
            RULE,
            "walks in",
            "0s person 0.5,0.3 | 4s 0.5,0.9",
            expect![[r#"
            2.2s instant at door in by 1: A person went in over door.
        "#]],
        );
        check(
            RULE,
            "walks in and out again",
            "0s person 0.5,0.3 | 2s 0.5,0.9 | 4s 0.5,0.3",
            expect![[r#"
            1.1s instant at door in by 1: A person went in over door.
            3.1s instant at door out by 1: A person went out over door.
        "#]],
        );
        check(RULE, "turns around before the line", "0s person 0.5,0.3 | 2s 0.5,0.58 | 4s 0.5,0.3", expect![]);
        check(RULE, "walks around the end of the line", "0s person 0.95,0.3 | 2s 0.95,0.9", expect![]);
        check(
            RULE,
            "runs: 0.4 of the frame in 0.1 s",
            "0s person 0.5,0.3 | 1s 0.5,0.4 | 1.1s 0.5,0.8 | 2s 0.5,0.8",
            expect![[r#"
                1.1s instant at door in by 1: A person went in over door.
            "#]],
        );
        check(
            RULE,
            "is lost on the line",
            "0s person 0.5,0.3 | 1s 0.5,0.5 lost | 2s 0.5,0.7 | 3s 0.5,0.8",
            expect![[r#"
            2s instant at door in by 1: A person went in over door.
        "#]],
        );
        check(
            RULE,
            "stops on the line and trembles",
            "0s person 0.5,0.4 | 1s 0.5,0.599 | 1.1s 0.5,0.602 | 1.2s 0.5,0.599 | 1.3s 0.5,0.602 | 1.4s 0.5,0.599 | 3s 0.5,0.8",
            expect![[r#"
                1.6s instant at door in by 1: A person went in over door.
            "#]],
        );
        check(
            RULE,
            "vanishes just beyond the line",
            "0s person 0.5,0.5 | 1s 0.5,0.601",
            expect![[r#"
            1s instant at door in by 1: A person went in over door.
        "#]],
        );
        check(
            "kind=line_count line=door classes=car",
            "only cars matter",
            "0s person 0.5,0.3 | 4s 0.5,0.9\n0s car 0.3,0.9 | 3s 0.3,0.3",
            expect![[r#"
                1.6s instant at door out by 2: A car went out over door.
            "#]],
        );
        check(
            "kind=line_count line=door cooldown_s=2",
            "one event in two seconds",
            "0s person 0.5,0.5 | 1s 0.5,0.7\n0s person 0.3,0.4 | 3s 0.3,0.65\n0s person 0.4,0.2 | 5s 0.4,0.7",
            expect![[r#"
                0.6s instant at door in by 1: A person went in over door.
                2.6s instant at door in by 2: A person went in over door.
            "#]],
        );
    }
}
