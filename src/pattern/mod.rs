//! Facts become findings: one behaviour a file, each with its configuration, its state and the stories it is tested
//! with.
//!
//! A new behaviour is a file, a variant of [`RuleConfig`] and a match arm. What it says is for a person to look at,
//! never an accusation.
//!
//! Absent on purpose: ids, severities and cooldown (the pipeline turns findings into events), and every memory of who
//! somebody was before the track began.

mod abandoned_object;
mod after_hours;
mod crowding;
mod dwell;
mod finding;
mod hours;
mod line_count;
mod loitering;
mod occupancy;
pub mod posture;
mod removed_object;
mod restricted_zone;
mod shelf_sweep;
mod sustained;
mod usual;
mod words;

#[cfg(test)]
pub(crate) mod story;

pub use abandoned_object::AbandonedObjectConfig;
pub use after_hours::AfterHoursConfig;
pub use crowding::CrowdingConfig;
pub use dwell::DwellConfig;
pub use finding::Finding;
pub use hours::{Hours, OpeningHours};
pub use line_count::LineCountConfig;
pub use loitering::LoiteringConfig;
pub use occupancy::OccupancyConfig;
pub use removed_object::RemovedObjectConfig;
pub use restricted_zone::RestrictedZoneConfig;
pub use shelf_sweep::ShelfSweepConfig;
pub use usual::UnusualConfig;

use crate::event::{Party, Place, Severity};
use crate::fact::Fact;
use crate::ids::{LineId, ZoneId};
use crate::problems::Problems;
use crate::scene::line::LineConfig;
use crate::scene::zone::ZoneConfig;
use crate::scene::{Classes, Guest, Scene, check_classes};
use crate::time::{MediaTime, WallTime};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

/// The scene as of the newest frame.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub at: MediaTime,
    pub taken: WallTime,
    pub clock_trusted: bool,
    pub time_zone: &'a TimeZone,
    /// Of the frame: width over height.
    pub aspect: f32,
    pub scene: &'a Scene,
}

/// A behaviour that is watched for, with what it remembers.
pub trait Pattern: Send {
    /// Is told of every frame, also of those without facts, since time passes.
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding>;

    /// What it has learned, for the next start. `None` where it learns nothing.
    fn memory(&self) -> Option<Vec<u8>> {
        None
    }
    /// Takes back what [`Pattern::memory`] gave.
    ///
    /// # Errors
    /// A sentence: why these bytes are of no use here. Nothing is taken over then.
    fn recall(&mut self, _bytes: &[u8]) -> Result<(), String> {
        Err("this rule learns nothing".into())
    }
    /// Watching is interrupted: everything of the moment goes, what was learned stays. `false` where nothing is ever
    /// learned, and a new pattern is as good.
    fn pause(&mut self) -> bool {
        false
    }
    /// These tracks were part of an alert, of whatever rule: nobody learns from them what is usual.
    fn alarmed(&mut self, _tracks: &[Party]) {}
    /// What was learned about places may no longer be true.
    fn moved(&mut self, _moved: Moved) {}
    /// How far it is with what it has to learn before it speaks, in a few words.
    fn status(&self) -> Option<String> {
        None
    }
}

/// What became of the camera's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It shows another one.
    Away,
    /// It shows the usual one again.
    Back,
    /// The other one counts as the usual one from now on.
    Accepted,
}

/// The configuration of a behaviour.
trait Rule {
    /// The `kind` of its events.
    fn kind(&self) -> &'static str;
    fn common(&self) -> Common<'_>;
    /// What [`Common`] does not cover.
    fn check(&self, _at: &str, _problems: &mut Problems) {}
    fn start(&self, classes: Classes) -> Box<dyn Pattern>;
    /// For those that look at every zone of the camera.
    fn start_among(&self, classes: Classes, _zones: &BTreeMap<ZoneId, ZoneConfig>) -> Box<dyn Pattern> {
        self.start(classes)
    }
}

/// The keys that every rule has.
struct Common<'a> {
    severity: Severity,
    cooldown_s: f64,
    classes: Option<&'a [String]>,
    scope: Scope<'a>,
}

/// What part of the frame a rule looks at.
enum Scope<'a> {
    Frame,
    Zone(&'a str),
    Line(&'a str),
}

/// Default severity of what is only counted.
fn info() -> Severity {
    Severity::Info
}

/// Default severity of what somebody should look at.
fn warning() -> Severity {
    Severity::Warning
}

impl<'a> Scope<'a> {
    fn zone_or_frame(zone: &'a Option<String>) -> Self {
        zone.as_deref().map_or(Scope::Frame, Scope::Zone)
    }
}

/// `[camera.<c>.rule.<r>]`. Every kind has these optional keys: `severity`; `cooldown_s`, film seconds after an event
/// of this rule in which no other one begins (what still goes on then begins late); `classes`, by default those of its
/// zone or line, and where these name none, every class on a line and `person` elsewhere.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "kind", rename_all = "snake_case")]
pub enum RuleConfig {
    LineCount(LineCountConfig),
    Occupancy(OccupancyConfig),
    Dwell(DwellConfig),
    Loitering(LoiteringConfig),
    RestrictedZone(RestrictedZoneConfig),
    AfterHours(AfterHoursConfig),
    Crowding(CrowdingConfig),
    ShelfSweep(ShelfSweepConfig),
    RemovedObject(RemovedObjectConfig),
    AbandonedObject(AbandonedObjectConfig),
    Unusual(UnusualConfig),
}

impl RuleConfig {
    fn rule(&self) -> &dyn Rule {
        match self {
            RuleConfig::LineCount(rule) => rule,
            RuleConfig::Occupancy(rule) => rule,
            RuleConfig::Dwell(rule) => rule,
            RuleConfig::Loitering(rule) => rule,
            RuleConfig::RestrictedZone(rule) => rule,
            RuleConfig::AfterHours(rule) => rule,
            RuleConfig::Crowding(rule) => rule,
            RuleConfig::ShelfSweep(rule) => rule,
            RuleConfig::RemovedObject(rule) => rule,
            RuleConfig::AbandonedObject(rule) => rule,
            RuleConfig::Unusual(rule) => rule,
        }
    }

    pub fn kind(&self) -> &'static str {
        self.rule().kind()
    }
    /// The zone whose goods it is about.
    fn goods_zone(&self) -> Option<&str> {
        match self {
            RuleConfig::ShelfSweep(rule) => Some(&rule.zone),
            RuleConfig::RemovedObject(rule) => Some(&rule.zone),
            RuleConfig::AbandonedObject(rule) => Some(&rule.zone),
            _ => None,
        }
    }
    pub fn severity(&self) -> Severity {
        self.rule().common().severity
    }
    pub fn cooldown_s(&self) -> f64 {
        self.rule().common().cooldown_s
    }

    pub fn check(
        &self,
        at: &str,
        zones: &BTreeMap<ZoneId, ZoneConfig>,
        lines: &BTreeMap<LineId, LineConfig>,
        problems: &mut Problems,
    ) {
        let common = self.rule().common();
        check_seconds(common.cooldown_s, &format!("{at}.cooldown_s"), problems);
        check_classes(common.classes, at, problems);
        match common.scope {
            Scope::Frame => {}
            Scope::Zone(name) => {
                let names = zones.keys().map(ZoneId::as_str);
                check_reference(name, names, "zone", at, problems);
            }
            Scope::Line(name) => {
                let names = lines.keys().map(LineId::as_str);
                check_reference(name, names, "line", at, problems);
            }
        }
        self.rule().check(at, problems);
        if let Some(name) = self.goods_zone() {
            let unwatched = zones.get(&ZoneId::new(name)).is_some_and(|zone| !zone.watch_goods);
            let expected = format!("is not watched for goods, expected `watch_goods = true` in its zone \"{name}\"");
            problems.expect(!unwatched, format!("{at}.zone"), expected);
        }
    }

    /// The zone or line it looks at, as configured.
    pub fn place<'a>(
        &self,
        zones: &'a BTreeMap<ZoneId, ZoneConfig>,
        lines: &'a BTreeMap<LineId, LineConfig>,
    ) -> (Option<&'a ZoneConfig>, Option<&'a LineConfig>) {
        match self.rule().common().scope {
            Scope::Frame => (None, None),
            Scope::Zone(name) => (zones.get(&ZoneId::new(name)), None),
            Scope::Line(name) => (None, lines.get(&LineId::new(name))),
        }
    }

    /// The pattern, with nothing remembered yet.
    pub fn start(
        &self,
        zones: &BTreeMap<ZoneId, ZoneConfig>,
        lines: &BTreeMap<LineId, LineConfig>,
    ) -> Box<dyn Pattern> {
        let common = self.rule().common();
        let of_place = || match self.place(zones, lines) {
            (Some(zone), _) => zone.classes.as_deref(),
            (_, Some(line)) => line.classes.as_deref(),
            (None, None) => None,
        };
        let person = ["person".to_string()];
        let classes = match (common.classes.or_else(of_place), common.scope) {
            (None, Scope::Frame | Scope::Zone(_)) => Classes::configured(Some(&person)),
            (named, _) => Classes::configured(named),
        };
        self.rule().start_among(classes, zones)
    }
}

fn check_reference<'a>(
    name: &str,
    names: impl Iterator<Item = &'a str>,
    what: &str,
    at: &str,
    problems: &mut Problems,
) {
    let names: Vec<&str> = names.collect();
    if names.contains(&name) {
        return;
    }
    let expected = match names[..] {
        [] => format!("expected the name of a {what}, but this camera has none"),
        _ => format!("expected one of \"{}\"", names.join("\", \"")),
    };
    problems.add(format!("{at}.{what}"), format!("there is no {what} \"{name}\" at this camera, {expected}"));
}

fn check_seconds(seconds: f64, path: &str, problems: &mut Problems) {
    // A year is more than anybody means, and small enough for every sum of times.
    let fine = (0.0..=31_536_000.0).contains(&seconds);
    problems.expect(fine, path, format!("is {seconds:?}, expected 0 seconds to a year of them, 31536000"));
}

/// Either a zone or the whole frame.
#[derive(Debug, Clone)]
struct Area(Option<ZoneId>);

impl Area {
    fn new(zone: Option<&str>) -> Self {
        Area(zone.map(ZoneId::new))
    }
    /// Everybody in it, also those lost for a moment, else a single missed detection would look like somebody leaving.
    fn occupants(&self, view: &View<'_>, classes: &Classes) -> Vec<Party> {
        let mut parties: Vec<_> = match &self.0 {
            Some(zone) => view.scene.guests(zone).map(|Guest { who, .. }| who).collect(),
            None => view.scene.followed().copied().collect(),
        };
        parties.retain(|who| classes.admit(who.class));
        parties
    }
    fn place(&self) -> Place {
        self.0.clone().map_or(Place::Frame, Place::Zone)
    }
    /// `at shelf`, `in view`
    fn words(&self) -> String {
        self.0.as_ref().map_or("in view".into(), |zone| format!("at {zone}"))
    }
}
