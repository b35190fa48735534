//! `watchpost run`: the appliance. Cameras, one inference lane, the store and the link, from start to clean end.
//!
//! ```text
//! capture-<camera> --> Mailboxes --> lane (this thread) --> Store --> link
//!  one thread each      one slot      detect, track, judge   SQLite    its own threads
//! ```
//!
//! The end: captures stop, the lane looks at what is left and ends what is open, the store syncs, the link gets
//! 2 s to deliver, and `status` says stopped. What could not be delivered waits on disk for the next start.

mod blind;
mod board;
mod camera;
mod capture;
mod frequent;
mod health;
mod keeper;
mod lane;
mod orders;
mod outlet;
mod rhythm;
mod taped;

use crate::capture::SourceConfig;
use crate::config::{self, CameraConfig, Config, ModelConfig};
use crate::ids::DeviceId;
use crate::infer::gate::Gate;
use crate::infer::pose::{self, PoseEye};
use crate::infer::{self, Detector, Limits, Request};
use crate::link::topics::{CameraState, Topics};
use crate::link::{Link, LinkPlan, Outcome, Verb};
use crate::mailbox::Mailboxes;
use crate::problems::BadInput;
use crate::stop::Stop;
use crate::store::{Batch, Memories, Store, TrackStore};
use crate::time::{Span, Stopwatch, WallTime};
use anyhow::{Context, Result, bail};
use board::Board;
use camera::Watched;
use capture::Capture;
use frequent::Weekly;
use health::Meters;
use keeper::Keeper;
use lane::Lane;
use outlet::Outlet;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use taped::Taped;
use tracing::{info, warn};

/// What the link gets at the end to deliver what is there.
const GOODBYE: Span = Span::from_millis(2_000);

/// With `--exit-at-end`, how long to wait for the broker to take what is left.
const DELIVERY: Span = Span::from_millis(60_000);

#[derive(clap::Args)]
pub struct Args {
    #[arg(long, value_name = "FILE", default_value = "config/watchpost.toml")]
    config: PathBuf,
    /// End when every film and recording is over and the broker has all events
    #[arg(long)]
    exit_at_end: bool,
}

/// # Errors
/// [`BadInput`] for what is wrong with the configuration or the model; else what cannot be mended by waiting:
/// a state folder that cannot be written, a database that broke.
pub fn run(args: Args) -> Result<ExitCode> {
    let config = config::load(&args.config)?;
    let stop = Stop::on_signals().context("cannot listen to signals")?;
    let mut appliance = Appliance::start(config, args.config, stop)?;
    let outcome = appliance.watch(args.exit_at_end);
    let again = appliance.restart;
    let ended = appliance.end();
    outcome.and(ended)?;
    if again {
        return Err(restart());
    }
    Ok(ExitCode::SUCCESS)
}

struct Appliance {
    config: Config,
    config_file: PathBuf,
    started: WallTime,
    stop: Stop,
    lane: Lane,
    /// `None` where tracks are not recorded.
    tracks: Option<Arc<TrackStore>>,
    /// By camera name.
    captures: BTreeMap<String, RunningCapture>,
    restart: bool,
    weekly: Weekly,
}

struct RunningCapture {
    index: usize,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Appliance {
    fn start(config: Config, config_file: PathBuf, stop: Stop) -> Result<Self> {
        let started = WallTime::now();
        if !config.camera.values().any(|camera| camera.enabled) {
            let file = config_file.display();
            return Err(BadInput(format!("{file} has no enabled camera, expected a [camera.NAME] section")).into());
        }
        let detector = if config.camera.values().any(needs_detector) {
            let detector = infer::load(&request(&config))?;
            info!(model = detector.model(), "Model loaded.");
            Some(detector)
        } else {
            None
        };
        let store = Store::open(&config.store.dir, &config.store)?;
        let tracks = TrackStore::open(&config.store.dir, &config.store)?.map(Arc::new);
        let device = DeviceId::new(&config.device.id);
        let link = match &config.mqtt {
            Some(mqtt) => Some(Link::spawn(LinkPlan {
                mqtt: mqtt.clone(),
                device: device.clone(),
                state_dir: config.store.dir.clone(),
                version: env!("CARGO_PKG_VERSION").into(),
                boot: store.boot().into(),
                since: started,
            })?),
            None => {
                info!("There is no [mqtt] section: events are recorded and not published.");
                None
            }
        };
        let keeper = Keeper::start(&config, detector.as_deref().map(Detector::model)).unwrap_or_else(|error| {
            warn!(error = format!("{error:#}"), "No evidence is kept of alerts.");
            None
        });
        let meters = Meters::new(&config.store.dir);
        let rooms = (Arc::new(Mailboxes::default()), Arc::new(Board::new()));
        let memories = Memories::new(&config.store.dir);
        let mut lane = Lane::new(detector, store, Outlet(link), Topics::new(&device), rooms, meters, memories);
        lane.keeper = keeper;
        lane.pose = pose_eye(&config)?;
        let weekly = Weekly::new(&config.store.dir, &device, &config.device.time_zone);
        let (captures, restart) = (BTreeMap::new(), false);
        let mut appliance = Appliance { config, config_file, started, stop, lane, tracks, captures, restart, weekly };
        for name in appliance.config.camera.keys().cloned().collect::<Vec<_>>() {
            appliance.start_camera(&name)?;
        }
        appliance.discover();
        appliance.lane.meters.watchdog().ready();
        Ok(appliance)
    }

    /// Until somebody asks to stop or, if wanted, until there is nothing left to watch.
    fn watch(&mut self, exit_at_end: bool) -> Result<()> {
        while !self.stop.is_set() {
            self.lane.turn()?;
            self.obey();
            for event in self.weekly.found() {
                let of_camera = |(index, camera): (&usize, &Watched)| (camera.id == event.camera).then_some(*index);
                if let Some(index) = self.lane.cameras.iter().find_map(of_camera) {
                    self.lane.record(index, Batch { events: vec![event], ..Batch::default() })?;
                }
            }
            if exit_at_end && self.lane.board.all_over() && self.lane.mail.is_empty() {
                info!("Everything is over.");
                self.lane.drain()?;
                if !self.deliver() {
                    bail!("the broker has not taken all events; the rest waits on disk for the next start");
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// Waits until the broker has acknowledged every event, or for [`DELIVERY`]. False if it has not.
    fn deliver(&self) -> bool {
        let waited = Stopwatch::start();
        let recorded = self.lane.store.health().recorded;
        while self.lane.outlet.state().is_some_and(|link| link.delivered < recorded) {
            if waited.elapsed() > DELIVERY {
                return false;
            }
            if self.stop.wait(Span::from_millis(100)) {
                // Somebody is in more of a hurry than that.
                break;
            }
        }
        true
    }

    fn end(mut self) -> Result<()> {
        if !self.restart {
            // After that word systemd would end the process that we become.
            self.lane.meters.watchdog().stopping();
        }
        for name in self.captures.keys().cloned().collect::<Vec<_>>() {
            self.stop_camera(&name);
        }
        let drained = self.lane.drain();
        let Lane { store, outlet, cameras, keeper, .. } = self.lane;
        if let Some(keeper) = keeper {
            keeper.finish();
        }
        drop(cameras);
        let closed = store.close();
        if let Some(tracks) = self.tracks.and_then(Arc::into_inner) {
            tracks.close();
        }
        if let Some(link) = outlet.0
            && !link.shutdown(GOODBYE)
        {
            warn!("The broker did not hear goodbye; what it has not acknowledged waits on disk.");
        }
        drained.and(closed)
    }

    fn start_camera(&mut self, name: &str) -> Result<()> {
        let Some(config) = self.config.camera.get(name).cloned() else { return Ok(()) };
        let plan = self.config.camera_plan(Some(name))?;
        let earlier = self.lane.store.lines()?;
        let yesterday = self.started.millis() / 60_000 - 24 * 60;
        let lately = self.lane.store.minutes(yesterday)?;
        let (state, reason) =
            if config.enabled { (CameraState::Down, "starting") } else { (CameraState::Disabled, "by configuration") };
        let index = self.lane.board.add(state, reason, config.source.pause());
        self.lane.mail.add();
        let mut camera = Watched::new(plan, config.sight(name), &earlier, &lately, self.started);
        camera.view = config.view();
        if let Some(memory) = self.lane.memories.load(&camera.id, &camera.view_name()) {
            for refused in camera.pipeline.recall(&memory) {
                warn!(camera = name, "{refused}");
            }
        }
        if let Some(store) = &self.tracks {
            let setting = self.config.setting(name);
            camera.taped = Some(Taped::new(camera.id.clone(), setting, self.started, store.clone()));
        }
        camera.gate = config.motion_gate.unwrap_or(config.source.is_live()).then(Gate::default);
        camera.past = self.lane.keeper.as_ref().map(Keeper::past);
        self.lane.cameras.insert(index, camera);
        let stop = Stop::new();
        let thread = if config.enabled {
            let (mail, board) = (self.lane.mail.clone(), self.lane.board.clone());
            Some(Capture { index, name: name.into(), config, mail, board, stop: stop.clone() }.spawn()?)
        } else {
            None
        };
        self.captures.insert(name.into(), RunningCapture { index, stop, thread });
        Ok(())
    }

    /// Its index, if it ran.
    fn stop_camera(&mut self, name: &str) -> Option<usize> {
        let RunningCapture { index, stop, thread } = self.captures.remove(name)?;
        stop.set();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            warn!(camera = name, "The capture thread had panicked.");
        }
        self.lane.board.stopped(index);
        Some(index)
    }
}

fn needs_detector(camera: &CameraConfig) -> bool {
    camera.enabled && !matches!(camera.source, SourceConfig::Recorded(_))
}

/// What says how people stand, if any zone wants to know.
fn pose_eye(config: &Config) -> Result<Option<Box<dyn PoseEye>>> {
    if !config.camera.values().any(|camera| needs_detector(camera) && camera.asks_for_pose()) {
        return Ok(None);
    }
    let eye = pose::load(&config.model.pose).context("a zone has `pose = true`")?;
    info!(model = eye.model(), "Model for poses loaded.");
    Ok(Some(eye))
}

fn request(config: &Config) -> Request {
    let limits = Limits { min_score: config.model.min_score, nms: config.model.nms };
    let ModelConfig { name, most_lost, threads, .. } = &config.model;
    Request { model: name.clone(), limits, most_lost: *most_lost, threads: (*threads).into() }
}

/// Becomes a new process of the same program with the same arguments. Comes back only if that fails.
fn restart() -> anyhow::Error {
    use std::os::unix::process::CommandExt;
    info!("Starting anew.");
    let exec = |program: PathBuf| std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    let error = std::env::current_exe().map(exec).unwrap_or_else(|error| error);
    anyhow::Error::new(error).context("cannot start the program anew")
}
