//! Commands from the broker, carried out between two frames.

use super::camera::expected_classes;
use super::{Appliance, Outcome, Verb};
use crate::config::{self, CameraChange, Change, Config};
use crate::ids::{CameraId, LineId, RuleId, ZoneId};
use crate::link::{Command, Site, SiteCamera};
use crate::report::past::FREQUENT;
use crate::sight::Trouble;
use crate::store::Batch;
use anyhow::{Context, Result, bail};
use embedded_svc::mqtt::client::QoS;
use std::collections::BTreeSet;
use tracing::{info, warn};

impl Appliance {
    pub(super) fn obey(&mut self) {
        while let Some(command) = self.lane.outlet.0.as_ref().and_then(|link| link.commands.try_recv().ok()) {
            let outcome = match self.carry_out(&command) {
                Ok(()) => Outcome::Successful,
                // Several mistakes of a configuration come in several lines.
                Err(error) => Outcome::Failed(format!("{error:#}").replace('\n', "; ")),
            };
            if let Outcome::Failed(reason) = &outcome {
                warn!(verb = command.verb.name(), reason, "A command failed.");
            }
            if let Some(link) = &self.lane.outlet.0 {
                link.reply(&command, outcome);
            }
        }
    }

    fn carry_out(&mut self, command: &Command) -> Result<()> {
        match command.verb {
            Verb::Snapshot => self.snapshot(command.camera.as_ref()),
            Verb::Reload => self.reload(),
            Verb::Restart => {
                self.restart = true;
                self.stop.set();
                Ok(())
            }
        }
    }

    fn snapshot(&self, wanted: Option<&CameraId>) -> Result<()> {
        let mut found = false;
        for camera in self.lane.cameras.values().filter(|camera| wanted.is_none_or(|id| *id == camera.id)) {
            found = true;
            let sent = camera.snapshot(&self.lane.topics, &self.lane.outlet)?;
            if !sent && wanted.is_some() {
                bail!("camera {} has not sent a picture yet", camera.id);
            }
        }
        match wanted {
            Some(id) if !found => bail!("there is no camera \"{id}\""),
            _ => Ok(()),
        }
    }

    /// Reads the configuration again and does what can be done while running. On any mistake the old one stays.
    fn reload(&mut self) -> Result<()> {
        let new = config::load(&self.config_file)?;
        match config::diff(&self.config, &new) {
            Change::Nothing => info!("The configuration has not changed."),
            Change::NeedsRestart(sections) => {
                bail!("needs a restart, because [{}] changed; nothing was taken over", sections.join("], ["))
            }
            Change::Cameras(changes) => self.change(new, changes)?,
        }
        Ok(())
    }

    fn change(&mut self, new: Config, changes: Vec<(String, CameraChange)>) -> Result<()> {
        if self.lane.detector.is_none() && new.camera.values().any(super::needs_detector) {
            bail!(
                "needs a restart, because there were only recordings and no model was loaded; nothing was taken over"
            );
        }
        if self.lane.pose.is_none() {
            self.lane.pose = super::pose_eye(&new).context("nothing was taken over")?;
        }
        self.config = new;
        if let Some(keeper) = &mut self.lane.keeper {
            keeper.adopt(&self.config);
        }
        for (name, change) in changes {
            info!(camera = name, ?change, "The configuration of a camera changed.");
            match change {
                CameraChange::Rules => self.swap_rules(&name)?,
                CameraChange::Restart => {
                    if let Some(index) = self.stop_camera(&name) {
                        self.lane.end(index)?;
                        self.forget(index);
                    }
                    self.start_camera(&name)?;
                }
            }
        }
        self.discover();
        self.lane.keep_up()
    }

    fn swap_rules(&mut self, name: &str) -> Result<()> {
        let plan = self.config.camera_plan(Some(name))?;
        let Some(index) = self.captures.get(name).map(|capture| capture.index) else { return Ok(()) };
        let Some(camera) = self.lane.cameras.get_mut(&index) else { return Ok(()) };
        let gone = camera.retained(&self.lane.topics);
        let events = camera.swap_rules(plan, self.config.setting(name));
        let kept: BTreeSet<String> = camera.retained(&self.lane.topics).into_iter().collect();
        let batch = Batch { events, lines: camera.changed_lines(), ..Batch::default() };
        for topic in gone.into_iter().filter(|topic| !kept.contains(topic)) {
            self.lane.outlet.retain(&topic, b"", QoS::AtLeastOnce);
        }
        self.lane.record(index, batch)
    }

    /// A camera that is gone leaves no state behind at the broker.
    fn forget(&mut self, index: usize) {
        if let Some(camera) = self.lane.cameras.remove(&index) {
            for topic in camera.retained(&self.lane.topics) {
                self.lane.outlet.retain(&topic, b"", QoS::AtLeastOnce);
            }
        }
    }

    /// Tells Home Assistant and the link what there is.
    pub(super) fn discover(&self) {
        let Some(link) = &self.lane.outlet.0 else { return };
        let cameras = self.config.camera.keys().filter_map(|name| self.describe(name).ok()).collect();
        link.discover(Site { cameras });
        // What an earlier configuration left at the broker goes.
        link.keep_only(self.lane.cameras.values().flat_map(|camera| camera.retained(&self.lane.topics)).collect());
    }

    fn describe(&self, name: &str) -> Result<SiteCamera> {
        let plan = self.config.camera_plan(Some(name))?;
        let mut kinds: BTreeSet<&str> = plan.rules.values().map(|rule| rule.kind()).collect();
        kinds.insert(FREQUENT);
        if self.config.camera.get(name).is_some_and(|camera| camera.sight(name).is_some()) {
            kinds.extend(Trouble::ALL.map(Trouble::kind));
        }
        Ok(SiteCamera {
            camera: plan.camera.clone(),
            classes: expected_classes(&plan).into_iter().collect(),
            lines: plan.lines.keys().cloned().collect::<Vec<LineId>>(),
            zones: plan.zones.keys().cloned().collect::<Vec<ZoneId>>(),
            rules: plan.rules.keys().cloned().collect::<Vec<RuleId>>(),
            kinds: kinds.into_iter().map(String::from).collect(),
        })
    }
}
