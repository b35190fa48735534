//! What goes into the health report of each minute, and who tells the supervisor that the lane is alive.

use super::board::CameraStatus;
use crate::ids::CameraId;
use crate::infer::Stages;
use crate::link::LinkState;
use crate::link::health::{CameraHealth, Health};
use crate::platform::{Host, Watchdog};
use crate::store::StoreHealth;
use crate::time::{Span, Stopwatch, WallTime};
use std::collections::BTreeMap;
use std::path::Path;

const REPORT_EVERY: Span = Span::from_millis(60_000);

/// The first report comes sooner: whoever starts a box looks at it now.
const FIRST_REPORT: Span = Span::from_millis(5_000);

pub(super) struct Meters {
    host: Host,
    watchdog: Watchdog,
    fed: Stopwatch,
    cameras: BTreeMap<CameraId, CameraMeter>,
    since_report: Stopwatch,
    reported: bool,
}

/// One camera since the last report.
#[derive(Debug, Default)]
pub(super) struct CameraMeter {
    stages: Stages,
    track: Span,
    /// People whom it was looked at how they stand, and what that took.
    poses: u32,
    pose: Span,
    /// Frames, and those of them that the network looked at.
    frames: u32,
    looks: u32,
    steps: u32,
    /// Frames that had come and were processed until the last report, since the start.
    before: (u64, u64),
}

/// Counters of a camera since the start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frames {
    pub came: u64,
    pub processed: u64,
    pub dropped: u64,
    pub saved: u64,
    pub failed: u64,
    /// Time in which nothing could be seen.
    pub blind: Span,
}

impl Meters {
    pub fn new(state_dir: &Path) -> Self {
        Meters {
            host: Host::new(state_dir),
            watchdog: Watchdog::from_env(),
            fed: Stopwatch::start(),
            cameras: BTreeMap::new(),
            since_report: Stopwatch::start(),
            reported: false,
        }
    }

    pub fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    pub fn of(&mut self, camera: &CameraId) -> &mut CameraMeter {
        self.cameras.entry(camera.clone()).or_default()
    }

    /// Called by the lane after each round it completed, so it vouches for the lane: one that hangs in a frame
    /// or on the disk feeds nobody. A camera that is down is no reason to starve.
    pub fn vouch(&mut self) {
        if self.watchdog.interval().is_some_and(|interval| self.fed.elapsed() >= interval) {
            self.fed = Stopwatch::start();
            self.watchdog.alive();
        }
    }

    pub fn is_due(&self) -> bool {
        self.since_report.elapsed() >= if self.reported { REPORT_EVERY } else { FIRST_REPORT }
    }

    /// Counting begins anew.
    pub fn report(
        &mut self,
        cameras: Vec<(CameraId, CameraStatus, Frames)>,
        store: StoreHealth,
        link: LinkState,
    ) -> Health {
        let seconds = self.since_report.elapsed().secs_f64().max(1e-3);
        self.since_report = Stopwatch::start();
        self.reported = true;
        let cameras = cameras
            .into_iter()
            .map(|(id, status, frames)| {
                let health = self.of(&id).report(&status, frames, seconds);
                (id, health)
            })
            .collect();
        Health { at: WallTime::now(), host: self.host.look(), store, link, cameras }
    }
}

impl CameraMeter {
    pub fn looked(&mut self, stages: &Stages, is_new: bool) {
        self.frames += 1;
        self.looks += u32::from(is_new);
        self.stages.decode.wall = self.stages.decode.wall + stages.decode.wall;
        self.stages.gate.wall = self.stages.gate.wall + stages.gate.wall;
        self.stages.letterbox.wall = self.stages.letterbox.wall + stages.letterbox.wall;
        self.stages.infer.wall = self.stages.infer.wall + stages.infer.wall;
        self.stages.post.wall = self.stages.post.wall + stages.post.wall;
    }

    pub fn posed(&mut self, people: usize, took: Span) {
        if people > 0 {
            self.poses += people as u32;
            self.pose = self.pose + took;
        }
    }

    pub fn stepped(&mut self, took: Span) {
        self.steps += 1;
        self.track = self.track + took;
    }

    fn report(&mut self, status: &CameraStatus, frames: Frames, seconds: f64) -> CameraHealth {
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / seconds * 10.0).round() / 10.0;
        let mean_ms = |total: Span, n: u32| (total.secs_f64() * 1e5 / f64::from(n)).round() / 100.0;
        let mut stage_ms = BTreeMap::new();
        if self.frames > 0 {
            stage_ms.insert("decode", mean_ms(self.stages.decode.wall, self.frames));
            stage_ms.insert("gate", mean_ms(self.stages.gate.wall, self.frames));
        }
        if self.looks > 0 {
            stage_ms.insert("letterbox", mean_ms(self.stages.letterbox.wall, self.looks));
            stage_ms.insert("infer", mean_ms(self.stages.infer.wall, self.looks));
            stage_ms.insert("post", mean_ms(self.stages.post.wall, self.looks));
        }
        if self.poses > 0 {
            stage_ms.insert("pose", mean_ms(self.pose, self.poses));
        }
        if self.steps > 0 {
            stage_ms.insert("track", mean_ms(self.track, self.steps));
        }
        let health = CameraHealth {
            state: status.state,
            decoder: status.decoder.clone(),
            fps_in: rate(frames.came, self.before.0),
            fps_processed: rate(frames.processed, self.before.1),
            dropped: frames.dropped,
            saved: frames.saved,
            failed: frames.failed,
            blind_s: (frames.blind.secs_f64() * 10.0).round() / 10.0,
            stage_ms,
            rules: BTreeMap::new(),
            budget: None,
        };
        *self = CameraMeter { before: (frames.came, frames.processed), ..CameraMeter::default() };
        health
    }
}
