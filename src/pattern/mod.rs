//! Facts become findings: one behaviour a file, each with its configuration, its state and the stories it is tested
//! with.
//!
//! A new behaviour is a file, a variant of [`RuleConfig`] and a match arm. What it says is for a person to look at,
//! never an accusation.
//!
//! Absent on purpose: ids, severities and cooldown (the pipeline turns findings into events), and every memory of who
//! somebody was before the track began.
//!
//! # How good they are
//!
//! **Simulated**, by `tests/simulator/`: 300 scripted visits to a shop in perspective at 8 frames a second, through the tracker, before a
//! detector of low, medium and high noise (misses of 2, 8 and 20 %, edges that tremble by 1, 2 and 4 % of a body height,
//! people unseen for up to 1, 1.5 and 2.5 s, boxes of nothing, people hidden by others). Found is of the incidents; false is
//! what was told of somebody who did not do it, or not then. The truth is what the words of a rule mean, not theft: who
//! looks and buys nothing counts as an exit without checkout. Most of what is lost is lost where tracks break or
//! change places. Sweeps and concealment are in the scripts, but what tracks show of them is that nobody paid.
//!
//! Innocent: alerts in 174 s of public sequences of pedestrians (MOT15, and halves of MOT17), by `tests/innocents.rs`, with one
//! plan laid over all. Those of `tailgating` and `exit_without_checkout` are pedestrians who did cross a line behind another, or walk from
//! one side to the other; two of the three that run are seen by a camera that moves.
//!
//! | rule | incidents, simulated | found, simulated: low, medium, high noise | false in 100 visits, simulated | innocent |
//! |---|---|---|---|---|
//! | `exit_without_checkout` | 114 | 94 %, 82 %, 52 % | 0.7, 0.7, 4.3 | 5 |
//! | `group_split` | 12 | 58 %, 33 %, 0 % | 0.0, 0.0, 0.0 | 0 |
//! | `journey` | 65 | 91 %, 74 %, 14 % | 2.0, 1.7, 1.3 | 0 |
//! | `loitering` | 12 | 100 %, 75 %, 0 % | 0.3, 0.3, 0.0 | 0 |
//! | `object_in_zone` | 5 | 80 %, 80 %, 80 % | 0.0, 0.0, 0.0 | 0 |
//! | `queue_too_long` | 12 | 100 %, 100 %, 58 % | 0.0, 0.0, 0.0 | 0 |
//! | `repeat_approach` | 20 | 70 %, 65 %, 50 % | 0.7, 0.3, 1.0 | 0 |
//! | `restricted_zone` | 56 | 100 %, 100 %, 95 % | 0.0, 0.0, 0.0 | - |
//! | `running` | 16 | 81 %, 81 %, 88 % | 1.0, 1.7, 0.3 | 3 |
//! | `stopped_vehicle` | 16 | 100 %, 100 %, 94 % | 0.0, 0.0, 0.0 | 0 |
//! | `tailgating` | 8 | 100 %, 100 %, 75 % | 0.0, 0.0, 0.0 | 15 |
//! | `unattended` | 19 | 100 %, 100 %, 100 % | 0.0, 0.0, 0.0 | - |
//! | `wrong_way` | 7 | 100 %, 100 %, 71 % | 0.0, 0.0, 2.3 | 0 |
//!
//! A few incidents say little: of 12, one more or less is 8 %.

mod abandoned_object;
mod after_hours;
mod concealment;
mod crowding;
mod dwell;
mod exit_without_checkout;
mod finding;
mod group_split;
mod hours;
mod journey;
mod line_count;
mod loitering;
mod object_in_zone;
mod occupancy;
pub mod posture;
mod queue_too_long;
mod removed_object;
mod repeat_approach;
mod restricted_zone;
mod running;
mod shelf_sweep;
mod stopped_vehicle;
mod sustained;
mod tailgating;
mod unattended;
mod usual;
mod words;
mod wrong_way;

#[cfg(test)]
pub(crate) mod story;

pub use abandoned_object::AbandonedObjectConfig;
pub use after_hours::AfterHoursConfig;
pub use concealment::ConcealmentConfig;
pub use crowding::CrowdingConfig;
pub use dwell::DwellConfig;
pub use exit_without_checkout::ExitWithoutCheckoutConfig;
pub use finding::Finding;
pub use group_split::GroupSplitConfig;
pub use hours::{Hours, OpeningHours};
pub use journey::JourneyConfig;
pub use line_count::LineCountConfig;
pub use loitering::LoiteringConfig;
pub use object_in_zone::ObjectInZoneConfig;
pub use occupancy::OccupancyConfig;
pub use removed_object::RemovedObjectConfig;
pub use restricted_zone::RestrictedZoneConfig;
pub use shelf_sweep::ShelfSweepConfig;
pub use usual::UnusualConfig;

pub use queue_too_long::QueueTooLongConfig;
pub use repeat_approach::RepeatApproachConfig;
pub use running::RunningConfig;
pub use stopped_vehicle::StoppedVehicleConfig;
pub use tailgating::TailgatingConfig;
pub use unattended::UnattendedConfig;
pub use wrong_way::WrongWayConfig;

use crate::clue::Pose;
use crate::detection::Class;
use crate::event::{Party, Place, Severity};
use crate::fact::Fact;
use crate::ids::{LineId, TrackId, ZoneId};
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
    /// How those stand that were looked at in this frame.
    pub poses: &'a BTreeMap<TrackId, Pose>,
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
    /// As `check`, for rules that speak of several places.
    fn check_in(&self, _at: &str, _around: &Surroundings<'_>, _problems: &mut Problems) {}
    /// Those it looks at where neither the rule nor its place says: people, or on a line everything.
    fn usual_classes(&self) -> Classes {
        match self.common().scope {
            Scope::Line(_) => Classes::All,
            _ => Classes::Only(vec![Class::PERSON]),
        }
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern>;
    /// As `start`, for rules that speak of several places.
    fn start_in(&self, classes: Classes, _around: &Surroundings<'_>) -> Box<dyn Pattern> {
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
    /// Several places, which it checks itself.
    Everywhere,
}

/// The places of a camera.
#[derive(Clone, Copy, PartialEq)]
pub struct Surroundings<'a> {
    pub zones: &'a BTreeMap<ZoneId, ZoneConfig>,
    pub lines: &'a BTreeMap<LineId, LineConfig>,
}

impl Surroundings<'static> {
    const NONE: Self = {
        static ZONES: BTreeMap<ZoneId, ZoneConfig> = BTreeMap::new();
        static LINES: BTreeMap<LineId, LineConfig> = BTreeMap::new();
        Surroundings { zones: &ZONES, lines: &LINES }
    };
}

/// What a rule looks at, as configured: another one and it must begin anew.
#[derive(PartialEq)]
pub enum Watched<'a> {
    Frame,
    /// `None` where there is no such place.
    Zone(Option<&'a ZoneConfig>),
    Line(Option<&'a LineConfig>),
    Everywhere(Surroundings<'a>),
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
    Concealment(ConcealmentConfig),
    Unusual(UnusualConfig),
    Journey(JourneyConfig),
    ExitWithoutCheckout(ExitWithoutCheckoutConfig),
    RepeatApproach(RepeatApproachConfig),
    GroupSplit(GroupSplitConfig),
    QueueTooLong(QueueTooLongConfig),
    Running(RunningConfig),
    WrongWay(WrongWayConfig),
    Tailgating(TailgatingConfig),
    StoppedVehicle(StoppedVehicleConfig),
    ObjectInZone(ObjectInZoneConfig),
    Unattended(UnattendedConfig),
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
            RuleConfig::Concealment(rule) => rule,
            RuleConfig::Unusual(rule) => rule,
            RuleConfig::Journey(rule) => rule,
            RuleConfig::ExitWithoutCheckout(rule) => rule,
            RuleConfig::RepeatApproach(rule) => rule,
            RuleConfig::GroupSplit(rule) => rule,
            RuleConfig::QueueTooLong(rule) => rule,
            RuleConfig::Running(rule) => rule,
            RuleConfig::WrongWay(rule) => rule,
            RuleConfig::Tailgating(rule) => rule,
            RuleConfig::StoppedVehicle(rule) => rule,
            RuleConfig::ObjectInZone(rule) => rule,
            RuleConfig::Unattended(rule) => rule,
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
            Scope::Frame | Scope::Everywhere => {}
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
        self.rule().check_in(at, &Surroundings { zones, lines }, problems);
    }

    pub fn watched<'a>(
        &self,
        zones: &'a BTreeMap<ZoneId, ZoneConfig>,
        lines: &'a BTreeMap<LineId, LineConfig>,
    ) -> Watched<'a> {
        match self.rule().common().scope {
            Scope::Frame => Watched::Frame,
            Scope::Zone(name) => Watched::Zone(zones.get(&ZoneId::new(name))),
            Scope::Line(name) => Watched::Line(lines.get(&LineId::new(name))),
            Scope::Everywhere => Watched::Everywhere(Surroundings { zones, lines }),
        }
    }

    /// The pattern, with nothing remembered yet.
    pub fn start(
        &self,
        zones: &BTreeMap<ZoneId, ZoneConfig>,
        lines: &BTreeMap<LineId, LineConfig>,
    ) -> Box<dyn Pattern> {
        let rule = self.rule();
        let of_place = || match self.watched(zones, lines) {
            Watched::Zone(Some(zone)) => zone.classes.as_deref(),
            Watched::Line(Some(line)) => line.classes.as_deref(),
            _ => None,
        };
        let classes = match rule.common().classes.or_else(of_place) {
            None => rule.usual_classes(),
            named => Classes::configured(named),
        };
        rule.start_in(classes, &Surroundings { zones, lines })
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

/// For times of a journey, which may be a day long.
fn check_day(seconds: f64, path: &str, problems: &mut Problems) {
    let fine = (0.0..=86_400.0).contains(&seconds);
    problems.expect(fine, path, format!("is {seconds:?}, expected 0 to 86400 seconds, which is a day"));
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
