//! Something is where nothing may be. A guard would say: "the emergency exit is blocked".
//!
//! It is about what the detector knows by name (chairs, suitcases, bicycles, ...). What it has no name for is seen by a model
//! of the background, which is another rule's.
//!
//! Known false alarms: things people carry through, unless `for_s` is longer than that; a thing that the detector imagines
//! again and again at the same place. Known misses: things it does not know, or not from above.

use super::sustained::{Edge, Sustained};
use super::{Area, Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::detection::Class;
use crate::event::{Phase, Severity};
use crate::fact::Fact;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::{MediaTime, Span};

const FLICKER: Span = Span::from_millis(2000);

/// Starts when something has been in the zone for `for_s`, ends when nothing has been for four seconds. `classes` are all but
/// people where nothing says otherwise.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectInZoneConfig {
    pub zone: String,
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

fn half_a_minute() -> f64 {
    30.0
}

impl Rule for ObjectInZoneConfig {
    fn kind(&self) -> &'static str {
        "object_in_zone"
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
    }
    fn usual_classes(&self) -> Classes {
        Classes::AllBut(Class::PERSON)
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        let (area, delay) = (Area::new(Some(&self.zone)), Span::from_secs_f64(self.for_s));
        Box::new(ObjectInZone { area, delay, classes, seen: None, blocked: Sustained::Off })
    }
}

struct ObjectInZone {
    area: Area,
    delay: Span,
    classes: Classes,
    /// Things are found less surely than people: one that is gone for less than [`FLICKER`] is still there.
    seen: Option<MediaTime>,
    blocked: Sustained,
}

impl Pattern for ObjectInZone {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let things = self.area.occupants(view, &self.classes);
        self.seen = if things.is_empty() { self.seen } else { Some(view.at) };
        let there = self.seen.is_some_and(|seen| view.at - seen < FLICKER);
        let Some(edge) = self.blocked.step(there, view.at, self.delay) else { return Vec::new() };
        let place = self.area.words();
        let (phase, at, explain) = match edge {
            Edge::Began { since } => {
                let verb = if things.len() > 1 { "have" } else { "has" };
                let (what, lasted) = (words::how_many(&things), words::seconds(view.at - since));
                let told = format!("{what} {verb} been {place} for {lasted}, where nothing may be. Please review.");
                (Phase::Start, view.at, told)
            }
            Edge::Ended { since, until } => {
                (Phase::End, until, format!("Nothing is {place} any more, after {}.", words::lasting(until - since)))
            }
        };
        vec![Finding::there(things, phase, at, self.area.place(), explain)]
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        let rule = "kind=object_in_zone zone=shelf for_s=10";
        check(
            rule,
            "a suitcase is left",
            "0s suitcase 0.3,0.5 | 15s 0.3,0.5 | 16s 0.9,0.5 | 20s 0.9,0.5",
            expect![[r#"
                10.5s start at shelf by 1: 1 suitcase has been at shelf for 10 s, where nothing may be. Please review.
                19.9s end at shelf (10.5s to 17.9s): Nothing is at shelf any more, after 17 s.
            "#]],
        );
        check(rule, "a suitcase is carried through", "0s suitcase 0.05,0.5 | 5s 0.9,0.5", expect![]);
        check(rule, "people may stand there", "0s person 0.3,0.5 | 30s 0.3,0.5", expect![]);
        check(
            rule,
            "is found again under another number",
            "0s chair 0.3,0.5 | 5s 0.3,0.5 lost | 6s 0.3,0.5 gone\n7s chair 0.3,0.5 | 15s 0.3,0.5",
            expect![[r#"
                10.5s start at shelf by 2: 1 chair has been at shelf for 10 s, where nothing may be. Please review.
                15s end at shelf by 2 (10.5s to 15s): It still was so when watching ended: 1 chair has been at shelf for 10 s, where nothing may be. Please review.
            "#]],
        );
    }
}
