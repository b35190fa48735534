//! A vehicle stands where it must not. A guard would say: "there is a van in the fire lane".
//!
//! Known false alarms: a traffic jam; somebody who only lets a passenger out, below `min_stop_s`. Known misses: a vehicle
//! that is hidden for longer than five seconds stops anew.

use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::detection::Class;
use crate::event::{Party, Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::{TrackId, ZoneId};
use crate::problems::Problems;
use crate::scene::{Classes, Guest};
use crate::time::{MediaTime, Span};
use std::collections::BTreeMap;

/// In heights of the box: nearer than this is the same place.
const SAME: f32 = 0.5;
/// What has not stood there for so long has driven on.
const GONE: Span = Span::from_millis(5000);

/// Starts when a vehicle has stood in the zone for `min_stop_s`, ends when it has moved on for five seconds. `classes` are car, truck, bus and
/// motorcycle where nothing says otherwise.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoppedVehicleConfig {
    pub zone: String,
    /// Default 60.
    #[serde(default = "one_minute")]
    pub min_stop_s: f64,
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

impl Rule for StoppedVehicleConfig {
    fn kind(&self) -> &'static str {
        "stopped_vehicle"
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
        check_seconds(self.min_stop_s, &format!("{at}.min_stop_s"), problems);
    }
    fn usual_classes(&self) -> Classes {
        Classes::Only(["car", "truck", "bus", "motorcycle"].map(Class::named).to_vec())
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        let (zone, min) = (ZoneId::new(&self.zone), Span::from_secs_f64(self.min_stop_s));
        Box::new(StoppedVehicle { zone, min, classes, stopped: BTreeMap::new(), spots: Vec::new() })
    }
}

struct StoppedVehicle {
    zone: ZoneId,
    min: Span,
    classes: Classes,
    /// Who stands at the moment, since when.
    stopped: BTreeMap<TrackId, MediaTime>,
    spots: Vec<Spot>,
}

/// Where a vehicle stands. Whether it is the same one that stands there is a matter of the place, since a box trembles and
/// a track breaks.
struct Spot {
    who: Party,
    since: MediaTime,
    seen: MediaTime,
    told: Option<Party>,
}

impl Pattern for StoppedVehicle {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let place = || Place::Zone(self.zone.clone());
        let mut findings = Vec::new();
        for fact in facts.iter().filter(|fact| self.classes.admit(fact.who.class)) {
            match &fact.what {
                What::Stopped => _ = self.stopped.insert(fact.who.id, fact.at),
                What::Moving | What::Gone => _ = self.stopped.remove(&fact.who.id),
                _ => {}
            }
        }
        for Guest { who, since, seen } in view.scene.guests(&self.zone) {
            let Some(&stopped) = self.stopped.get(&who.id) else { continue };
            let here = self.spots.iter().position(|spot| view.scene.apart(&spot.who, &who) < SAME);
            let i = here.unwrap_or(self.spots.len());
            if here.is_none() {
                self.spots.push(Spot { who, since: stopped.max(since), seen, told: None });
            }
            let spot = &mut self.spots[i];
            (spot.who, spot.seen) = (who, seen.max(spot.seen));
            let stood = spot.seen - spot.since;
            if stood < self.min || spot.told.is_some() {
                continue;
            }
            spot.told = Some(who);
            let (a, stood, limit) = (words::a(who.class), words::lasting(stood), words::lasting(self.min));
            let explain = format!("{a} has stood {stood} at {}; the limit here is {limit}. Please review.", self.zone);
            findings.push(Finding::of(who, Phase::Start, view.at, place(), explain));
        }
        for spot in &self.spots {
            if let Some(who) = spot.told.filter(|_| view.at - spot.seen > GONE) {
                let (a, stood) = (words::a(who.class), words::lasting(spot.seen - spot.since));
                let explain = format!("{a} no longer stands at {}, after {stood}.", self.zone);
                findings.push(Finding::of(who, Phase::End, spot.seen, place(), explain));
            }
        }
        self.spots.retain(|spot| view.at - spot.seen <= GONE);
        findings
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        let rule = "kind=stopped_vehicle zone=shelf min_stop_s=10";
        check(
            rule,
            "a van stops and drives on",
            "0s truck 0.05,0.5 | 2s 0.3,0.5 | 20s 0.3,0.5 | 22s 0.9,0.5 | 28s 0.9,0.5",
            expect![[r#"
                12s start at shelf by 1: A truck has stood 10 s at shelf; the limit here is 10 s. Please review.
                25.2s end at shelf by 1 (12s to 20.1s): A truck no longer stands at shelf, after 18 s.
            "#]],
        );
        check(rule, "drives slowly", "0s car 0.1,0.5 | 20s 0.6,0.5", expect![]);
        check(rule, "stands elsewhere", "0s car 0.8,0.5 | 30s 0.8,0.5", expect![]);
        check(rule, "a person may", "0s person 0.3,0.5 | 30s 0.3,0.5", expect![]);
        check(
            rule,
            "is found again under another number",
            "0s car 0.3,0.5 | 6s 0.3,0.5 lost | 8s 0.3,0.5 gone\n8.5s car 0.3,0.5 | 15s 0.3,0.5 | 23s 0.9,0.5",
            expect![[r#"
                10.5s start at shelf by 2: A car has stood 11 s at shelf; the limit here is 10 s. Please review.
                20.7s end at shelf by 2 (10.5s to 15.6s): A car no longer stands at shelf, after 16 s.
            "#]],
        );
    }
}
