//! Somebody is there when the shop is closed. A guard would say: "there is someone inside, and it is half past two".
//!
//! Known false alarms: the cleaner and whoever stays late; passers-by behind a window, so give it a zone. Known
//! misses: while the clock is not trusted nobody knows what time it is, and this rule is silent.

use super::sustained::{Edge, Sustained};
use super::{Area, Common, Finding, OpeningHours, Pattern, Rule, Scope, View, check_seconds, words};
use crate::event::{Phase, Severity};
use crate::fact::Fact;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::time::{Span, WallTime};
use jiff::tz::TimeZone;

/// Starts when somebody has been there for `for_s` outside of the opening hours, ends when nobody has been for two
/// seconds or the shop opens.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterHoursConfig {
    /// In local time, see `device.time_zone`.
    pub open: OpeningHours,
    /// Without it the whole frame counts.
    pub zone: Option<String>,
    /// Default 1.
    #[serde(default = "one")]
    pub for_s: f64,
    /// `info`, `warning` or `alarm` (the default).
    #[serde(default = "alarm")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn one() -> f64 {
    1.0
}

fn alarm() -> Severity {
    Severity::Alarm
}

impl Rule for AfterHoursConfig {
    fn kind(&self) -> &'static str {
        "after_hours"
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
        self.open.check(&format!("{at}.open"), problems);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(AfterHours {
            open: self.open.clone(),
            area: Area::new(self.zone.as_deref()),
            delay: Span::from_secs_f64(self.for_s),
            classes,
            intrusion: Sustained::Off,
        })
    }
}

struct AfterHours {
    open: OpeningHours,
    area: Area,
    delay: Span,
    classes: Classes,
    intrusion: Sustained,
}

impl Pattern for AfterHours {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let occupants = self.area.occupants(view, &self.classes);
        // Nobody is there most of the night: the time of day is asked for only when somebody is.
        let local = || local(view.taken, view.time_zone);
        let closed = !occupants.is_empty() && view.clock_trusted && !self.open.are_open(local());
        let Some(edge) = self.intrusion.step(closed, view.at, self.delay) else { return Vec::new() };
        let place = self.area.words();
        let (phase, at, explain) = match edge {
            Edge::Began { .. } => {
                let verb = if occupants.len() > 1 { "are" } else { "is" };
                let (who, when) = (words::how_many(&occupants), local().strftime("%A, %H:%M"));
                let what = format!("{who} {verb} {place} outside of the opening hours ({when}). Please review.");
                (Phase::Start, view.at, what)
            }
            Edge::Ended { since, until } if occupants.is_empty() => {
                (Phase::End, until, format!("Nobody is {place} any more, after {}.", words::seconds(until - since)))
            }
            Edge::Ended { until, .. } => (Phase::End, until, "The opening hours have begun.".into()),
        };
        vec![Finding::there(occupants, phase, at, self.area.place(), explain)]
    }
}

pub(super) fn local(at: WallTime, zone: &TimeZone) -> jiff::civil::DateTime {
    // Film times far outside of the calendar have no weekday; the epoch's will do.
    let at = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    zone.to_datetime(at)
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::{Story, check};
    use expect_test::expect;

    // Stories begin on Tuesday, 2026-11-24, at 10:15 UTC.
    #[test]
    fn stories() {
        let visitor = "0s person 0.3,0.5 | 5s 0.3,0.5";
        check("kind=after_hours open.tue=08:00-20:00", "comes in the daytime", visitor, expect![]);
        check(
            "kind=after_hours open.mon=08:00-20:00",
            "comes on a day when it is closed",
            visitor,
            expect![[r#"
                1s start by 1: 1 person is in view outside of the opening hours (Tuesday, 10:15). Please review.
                5s end by 1 (1s to 5s): It still was so when watching ended: 1 person is in view outside of the opening hours (Tuesday, 10:15). Please review.
            "#]],
        );
        check("kind=after_hours open.mon=20:00-11:00", "Monday's night is long", visitor, expect![]);
        check(
            "kind=after_hours open.tue=11:14-20:00 for_s=0",
            "too early in UTC",
            visitor,
            expect![[r#"
                0s start by 1: 1 person is in view outside of the opening hours (Tuesday, 10:15). Please review.
                5s end by 1 (0s to 5s): It still was so when watching ended: 1 person is in view outside of the opening hours (Tuesday, 10:15). Please review.
            "#]],
        );
        check(
            "kind=after_hours open.mon=08:00-20:00 zone=shelf",
            "walks by outside",
            "0s person 0.8,0.5 | 5s 0.9,0.5",
            expect![],
        );
        let early = "0s person 0.3,0.5 | 70s 0.3,0.5";
        check(
            "kind=after_hours open.tue=10:16-20:00",
            "waits until the shop opens",
            early,
            expect![[r#"
                1s start by 1: 1 person is in view outside of the opening hours (Tuesday, 10:15). Please review.
                62s end by 1 (1s to 60s): The opening hours have begun.
            "#]],
        );
    }

    #[test]
    fn the_hours_are_local_time() {
        let story = Story::new("kind=after_hours open.tue=11:14-20:00", "0s person 0.3,0.5 | 5s 0.3,0.5");
        expect![].assert_eq(&story.time_zone("Europe/Berlin").told());
    }

    #[test]
    fn silent_while_the_clock_is_not_trusted() {
        let story = Story::new("kind=after_hours open.mon=08:00-20:00", "0s person 0.3,0.5 | 5s 0.3,0.5");
        expect![].assert_eq(&story.clock_trusted(false).told());
    }
}
