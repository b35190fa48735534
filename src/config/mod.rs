//! The one TOML file of an appliance: read, judged as a whole, and turned into plans.
//!
//! Every module owns the struct of its own part and its `check`; here they are put together. A mistake never
//! hides another one: [`load`] tells all of them, each with its dotted path. Unknown keys are mistakes.
//!
//! Absent on purpose: defaults that depend on the machine, secrets (they are files, named here), and
//! anything that runs a command.

mod excerpt;
mod read;
mod reload;
#[cfg(test)]
mod tests;

use crate::capture::{SourceConfig, ViewConfig};
use crate::evidence::case::EvidenceConfig;
use crate::ids::{CameraId, DeviceId, LineId, RuleId, ZoneId, is_valid_name};
use crate::infer;
use crate::pattern::RuleConfig;
use crate::pipeline::{BudgetConfig, CameraPlan};
use crate::platform::mqtt::MqttConfig;
use crate::problems::{BadInput, Problems};
use crate::scene::line::LineConfig;
use crate::scene::zone::ZoneConfig;
use crate::sight::{Sight, TamperConfig};
use crate::store::StoreConfig;
use crate::tape::Setting;
use crate::track::TrackConfig;
use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

pub use read::{Invalid, parse};
pub use reload::{CameraChange, Change, diff};

/// The newest spelling of the file this version understands.
const SCHEMA: u32 = 1;

/// A whole configuration file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of the file's spelling: 1.
    pub schema: u32,
    pub device: DeviceConfig,
    /// Without it the appliance records and publishes nothing.
    pub mqtt: Option<MqttConfig>,
    #[serde(default)]
    pub model: ModelConfig,
    #[serde(default)]
    pub tracker: TrackConfig,
    #[serde(default)]
    pub store: StoreConfig,
    #[serde(default)]
    pub evidence: EvidenceConfig,
    /// By name; the name is part of the MQTT topics.
    #[serde(default)]
    pub camera: BTreeMap<String, CameraConfig>,
    /// The file itself.
    #[serde(skip)]
    text: String,
}

/// The box itself.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceConfig {
    /// Second part of every topic: letters, digits, `-`, `_`, `.`.
    pub id: String,
    /// IANA name, `Europe/Berlin`: opening hours are meant in it.
    #[serde(default = "utc")]
    pub time_zone: String,
}

fn utc() -> String {
    "UTC".into()
}

/// Which network looks at the frames, and what it must be sure of.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// `auto`, a model's name, or a folder with a `model.toml`.
    pub name: String,
    /// 0..1: detections below are not seen.
    pub min_score: f32,
    /// 0..1: of two boxes of a class that overlap more (intersection over union), the weaker goes.
    pub nms: f32,
    /// For `auto`: how many points of average precision (COCO, 0..100) a quantized twin may lose against its float
    /// model. 0 is the float model; the twins that come with the program lose 1 at the most.
    pub most_lost: f32,
    /// 1..16: threads that share the rows of one frame's layers, in int8. A frame is done sooner, at a little more
    /// processor time; with several cameras one is better.
    pub threads: u8,
    /// What says how people stand, in zones that ask for it: `auto`, a model's name, or a folder with a `model.toml`.
    pub pose: String,
}

impl Default for ModelConfig {
    fn default() -> Self {
        let (name, pose) = ("auto".into(), "auto".into());
        ModelConfig { name, min_score: 0.3, nms: 0.6, most_lost: infer::MOST_LOST, threads: 1, pose }
    }
}

/// One camera and what is watched there.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    pub source: SourceConfig,
    /// `false` keeps the section but leaves the camera alone.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// At most so many frames a second are looked at; without it as many as the board can do.
    pub max_fps: Option<f64>,
    /// Spares the network where nothing moves: what was found last is taken to be still there, and looked at again every
    /// second while somebody is there, every five while nobody is. Without this key it does so for cameras and not for
    /// films, pictures and track logs that play one.
    pub motion_gate: Option<bool>,
    /// Degrees clockwise by which every picture is turned first: 0, 90, 180 or 270.
    pub rotate: Option<u16>,
    /// The part of the turned picture that is looked at: x1, y1, x2, y2 in fractions.
    pub crop: Option<[f32; 4]>,
    /// Polygons that are black before anything sees the picture, in fractions of it as it is seen, turned and cut, as
    /// lines and zones are.
    #[serde(default)]
    pub mask: Vec<Vec<[f32; 2]>>,
    /// What of the camera's own health is watched for.
    #[serde(default)]
    pub tamper: TamperConfig,
    #[serde(default)]
    pub line: BTreeMap<String, LineConfig>,
    #[serde(default)]
    pub zone: BTreeMap<String, ZoneConfig>,
    #[serde(default)]
    pub rule: BTreeMap<String, RuleConfig>,
    /// How many alerts a day the owner wants to see of this camera; without it every one is shown.
    pub budget: Option<BudgetConfig>,
}

fn yes() -> bool {
    true
}

impl CameraConfig {
    pub fn view(&self) -> ViewConfig {
        ViewConfig { rotate: self.rotate, crop: self.crop, mask: self.mask.clone() }
    }

    /// Whether it is to be looked at how people stand in one of its zones.
    pub fn asks_for_pose(&self) -> bool {
        self.zone.values().any(|zone| zone.pose)
    }

    /// What watches over its sight, if anything does: pictures of a folder need have nothing to do with each other.
    pub fn sight(&self, name: &str) -> Option<Sight> {
        let usual = !matches!(self.source, SourceConfig::Folder(_) | SourceConfig::Recorded(_));
        self.tamper.enabled.unwrap_or(usual).then(|| Sight::new(name, self.tamper.clone()))
    }
}

/// Reads and checks the file. Relative paths in it are resolved against its folder.
///
/// # Errors
/// [`BadInput`] in the chain: a file that cannot be read, is no TOML, or has mistakes ([`Invalid`] lists them).
pub fn load(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| BadInput(format!("cannot read the configuration {}: {error}", path.display())))?;
    let mut config = parse(&text).with_context(|| format!("the configuration {} is wrong", path.display()))?;
    config.resolve_paths(path.parent().unwrap_or(Path::new(".")));
    Ok(config)
}

/// The JSON schema of the file, for editors.
pub fn json_schema() -> String {
    let schema = schemars::schema_for!(Config);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}

impl Config {
    fn check(&self, problems: &mut Problems) {
        problems.expect(self.schema == SCHEMA, "schema", format!("is {}, expected {SCHEMA}", self.schema));
        check_name(&self.device.id, "device.id", problems);
        if let Err(error) = jiff::tz::TimeZone::get(&self.device.time_zone) {
            problems.add("device.time_zone", format!("{error}, expected an IANA name such as \"Europe/Berlin\""));
        }
        let fraction = |v: f32| (0.0..=1.0).contains(&v);
        problems.expect(fraction(self.model.min_score), "model.min_score", "expected a number from 0 to 1");
        problems.expect(fraction(self.model.nms), "model.nms", "expected a number from 0 to 1");
        let points = (0.0..=100.0).contains(&self.model.most_lost);
        problems.expect(points, "model.most_lost", "expected points of average precision, 0 to 100");
        let threads = (1..=16).contains(&self.model.threads);
        problems.expect(threads, "model.threads", "expected 1 to 16");
        if let Some(mqtt) = &self.mqtt {
            mqtt.check("mqtt", problems);
        }
        self.tracker.check("tracker", problems);
        self.store.check("store", problems);
        self.evidence.check("evidence", problems);
        for (name, camera) in &self.camera {
            let at = format!("camera.{name}");
            check_name(name, &at, problems);
            camera.source.check(&format!("{at}.source"), problems);
            camera.view().check(&at, problems);
            camera.tamper.check(&format!("{at}.tamper"), problems);
            if let Some(fps) = camera.max_fps {
                problems.expect(
                    fps > 0.0 && fps <= 1000.0,
                    format!("{at}.max_fps"),
                    "expected more than 0, at most 1000",
                );
            }
            for part in camera.line.keys().map(|n| ("line", n)).chain(camera.zone.keys().map(|n| ("zone", n))) {
                check_name(part.1, &format!("{at}.{}.{}", part.0, part.1), problems);
            }
            for rule in camera.rule.keys() {
                check_name(rule, &format!("{at}.rule.{rule}"), problems);
            }
            self.plan_of(name, camera).check(&at, problems);
        }
    }

    /// The plan of the named camera, or of the only one.
    ///
    /// # Errors
    /// [`BadInput`] that lists the names there are.
    pub fn camera_plan(&self, name: Option<&str>) -> Result<CameraPlan> {
        let names = || self.camera.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let (name, camera) = match name {
            Some(wanted) => self
                .camera
                .get_key_value(wanted)
                .ok_or_else(|| BadInput(format!("no camera \"{wanted}\" in the configuration, it has: {}", names())))?,
            None if self.camera.len() == 1 => self.camera.iter().next().expect("there is one"),
            None if self.camera.is_empty() => {
                return Err(BadInput("the configuration has no camera, expected a [camera.NAME] section".into()).into());
            }
            None => {
                return Err(BadInput(format!(
                    "the configuration has several cameras, name one with --camera: {}",
                    names()
                ))
                .into());
            }
        };
        Ok(self.plan_of(name, camera))
    }

    /// The camera that [`Config::camera_plan`] has the plan of; `None` where it has an error.
    pub fn camera(&self, name: Option<&str>) -> Option<(&String, &CameraConfig)> {
        match name {
            Some(name) => self.camera.get_key_value(name),
            None => self.camera.iter().next().filter(|_| self.camera.len() == 1),
        }
    }

    /// What a recording of this camera's tracks was made with, as digests.
    pub fn setting(&self, name: &str) -> Setting {
        let Some(camera) = self.camera.get(name) else { return Setting::default() };
        let plan = self.plan_of(name, camera);
        let digest = |text: String| {
            let sum = Sha256::digest(text.as_bytes());
            u32::from_le_bytes([sum[0], sum[1], sum[2], sum[3]])
        };
        // Where it is looked at goods or at how people stand.
        let looked_at: Vec<_> = plan.zones.iter().filter(|(_, zone)| zone.pose || zone.watch_goods).collect();
        Setting {
            rules: digest(format!("{:?}", (&plan.zones, &plan.lines, &plan.rules, &self.device.time_zone))),
            eyes: digest(format!("{:?}", (camera.view(), &self.model, &self.tracker, looked_at))),
        }
    }

    fn plan_of(&self, name: &str, camera: &CameraConfig) -> CameraPlan {
        CameraPlan {
            device: DeviceId::new(&self.device.id),
            camera: CameraId::new(name),
            // A wrong name has been told by `check`; no plan with it is ever used.
            time_zone: jiff::tz::TimeZone::get(&self.device.time_zone).unwrap_or(jiff::tz::TimeZone::UTC),
            tracker: self.tracker.clone(),
            zones: camera.zone.iter().map(|(n, z)| (ZoneId::new(n), z.clone())).collect(),
            lines: camera.line.iter().map(|(n, l)| (LineId::new(n), l.clone())).collect(),
            rules: camera.rule.iter().map(|(n, r)| (RuleId::new(n), r.clone())).collect(),
            budget: camera.budget.clone(),
        }
    }

    fn resolve_paths(&mut self, folder: &Path) {
        self.store.resolve_paths(folder);
        for name in [&mut self.model.name, &mut self.model.pose] {
            if name.contains('/') {
                *name = folder.join(&*name).to_string_lossy().into_owned();
            }
        }
        if let Some(mqtt) = &mut self.mqtt {
            mqtt.resolve_paths(folder);
        }
        for camera in self.camera.values_mut() {
            camera.source.resolve_paths(folder);
        }
    }
}

fn check_name(name: &str, at: &str, problems: &mut Problems) {
    problems.expect(
        is_valid_name(name),
        at,
        format!("\"{name}\" is no name here, expected 1 to 64 of: letters, digits, \"-\", \"_\", \".\""),
    );
}
