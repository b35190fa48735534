//! What one camera watches, as the configuration resolved it.

use super::budget::BudgetConfig;
use crate::geometry::Polygon;
use crate::ids::{CameraId, DeviceId, LineId, RuleId, ZoneId};
use crate::pattern::RuleConfig;
use crate::problems::Problems;
use crate::scene::line::LineConfig;
use crate::scene::zone::ZoneConfig;
use crate::track::TrackConfig;
use jiff::tz::TimeZone;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq)]
pub struct CameraPlan {
    pub device: DeviceId,
    pub camera: CameraId,
    /// Opening hours are meant in it.
    pub time_zone: TimeZone,
    pub tracker: TrackConfig,
    pub zones: BTreeMap<ZoneId, ZoneConfig>,
    pub lines: BTreeMap<LineId, LineConfig>,
    pub rules: BTreeMap<RuleId, RuleConfig>,
    /// How many alerts the owner wants to see.
    pub budget: Option<BudgetConfig>,
}

impl CameraPlan {
    /// Nothing but people and things to count.
    pub fn counting_only(device: &str, camera: &str) -> Self {
        CameraPlan {
            device: DeviceId::new(device),
            camera: CameraId::new(camera),
            time_zone: TimeZone::UTC,
            tracker: TrackConfig::default(),
            zones: BTreeMap::new(),
            lines: BTreeMap::new(),
            rules: BTreeMap::new(),
            budget: None,
        }
    }

    /// The zones that are watched for goods.
    pub fn shelves(&self) -> impl Iterator<Item = (ZoneId, Polygon)> {
        let watched = self.zones.iter().filter(|(_, zone)| zone.watch_goods);
        watched.filter_map(|(name, zone)| Some((name.clone(), zone.area()?)))
    }

    /// Whether it is to be looked at how people stand in one of its zones.
    pub fn asks_for_pose(&self) -> bool {
        self.zones.values().any(|zone| zone.pose)
    }

    /// What the types of zones, lines and rules cannot say; `at` is the dotted path of the camera. The tracker's
    /// configuration and the names are checked by who read them.
    pub fn check(&self, at: &str, problems: &mut Problems) {
        for (name, zone) in &self.zones {
            zone.check(&format!("{at}.zone.{name}"), problems);
        }
        for (name, line) in &self.lines {
            line.check(&format!("{at}.line.{name}"), problems);
        }
        for (name, rule) in &self.rules {
            rule.check(&format!("{at}.rule.{name}"), &self.zones, &self.lines, problems);
        }
        if let Some(budget) = &self.budget {
            budget.check(&format!("{at}.budget"), problems);
        }
    }
}
