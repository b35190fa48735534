//! What is kept of each alert as a file. The lane hands over what it knows at once; pictures are waited for, then a
//! thread of its own runs the rule again, signs and writes.
//!
//! An alert is recorded and delivered whether or not its file can be made. A full queue (many alerts within seconds)
//! or a full disk costs files, which is said, and counted.

use crate::config::Config;
use crate::event::{Phase, Record, to_json};
use crate::evidence::case::{Cabinet, Draft, EvidenceConfig, Past, Shot};
use crate::ids::{CameraId, TrackId};
use crate::infer;
use crate::pipeline::{Pipeline, TAMPER};
use crate::time::{Span, Stopwatch, WallTime};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use tracing::{info, warn};

/// Cases that wait for the writer, and those that wait for pictures: a minute's work at the most.
const WAITING_MAX: usize = 32;

/// Old files are looked for this often.
const TIDY_EVERY: Span = Span::from_millis(3_600_000);

pub(super) struct Keeper {
    config: EvidenceConfig,
    queue: SyncSender<Draft>,
    writer: JoinHandle<()>,
    waiting: Vec<Waiting>,
    /// What the model is called and its digest.
    model: (String, Option<String>),
    /// `config.toml` of each camera.
    rules: BTreeMap<CameraId, String>,
    lost: u64,
}

struct Waiting {
    camera: usize,
    since: Stopwatch,
    draft: Draft,
}

impl Keeper {
    /// `None` where nothing is to be kept.
    ///
    /// # Errors
    /// The folder or its key is unusable.
    pub fn start(config: &Config, model: Option<&str>) -> Result<Option<Keeper>> {
        if !config.evidence.enabled {
            return Ok(None);
        }
        let cabinet = Cabinet::open(&config.store.dir.join("evidence"), config.evidence.clone())?;
        let (queue, drafts) = sync_channel(WAITING_MAX);
        let writer = std::thread::Builder::new()
            .name("evidence".into())
            .spawn(move || write(cabinet, &drafts))
            .context("cannot start the thread that keeps evidence")?;
        let model = model.map_or((String::new(), None), |name| (name.into(), infer::digest(name)));
        let mut keeper = Keeper {
            config: config.evidence.clone(),
            queue,
            writer,
            waiting: Vec::new(),
            model,
            rules: BTreeMap::new(),
            lost: 0,
        };
        keeper.adopt(config);
        Ok(Some(keeper))
    }

    /// The rules of this configuration hold from now on.
    pub fn adopt(&mut self, config: &Config) {
        let names = config.camera.keys();
        self.rules = names.map(|name| (CameraId::new(name), config.rules_text(name))).collect();
    }

    pub fn past(&self) -> Past {
        Past::new(self.config.shots_for())
    }

    /// An event was recorded. What goes into its file is taken now, but for the pictures that are to come.
    pub fn heard(&mut self, index: usize, record: &Record, pipeline: &Pipeline, past: &Past) {
        let event = &record.event;
        if !event.severity.is_alert() || event.phase == Phase::End {
            return;
        }
        if self.waiting.len() >= WAITING_MAX {
            self.lose(event.id.as_str());
            return;
        }
        let envelope = crate::event::Envelope { seq: record.seq, boot: &record.boot, late: false };
        let Ok(published) = serde_json::from_str(&to_json(event, envelope)) else { return };
        let who: Vec<TrackId> = event.tracks.iter().map(|track| track.id).collect();
        let draft = Draft {
            event: published,
            from_pictures: event.rule.as_str() == TAMPER,
            opening: pipeline.opening(),
            plan: pipeline.plan().clone(),
            config: self.rules.get(&event.camera).cloned().unwrap_or_default(),
            model: self.model.0.clone(),
            model_sha256: self.model.1.clone(),
            near: past.about(&who),
            far: past.sightings(),
            shots: Vec::new(),
        };
        self.waiting.push(Waiting { camera: index, since: Stopwatch::start(), draft });
    }

    /// Hands over what has waited long enough; of a camera that `ends`, all. `shots` gives the pictures of a camera.
    pub fn turn(&mut self, ends: Option<usize>, shots: impl Fn(usize) -> Vec<Shot>) {
        let after = self.config.after();
        let is_due = |case: &Waiting| ends == Some(case.camera) || case.since.elapsed() >= after;
        let (due, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(is_due);
        self.waiting = waiting;
        for Waiting { camera, mut draft, .. } in due {
            draft.shots = shots(camera);
            let id = draft.event["id"].as_str().unwrap_or_default().to_string();
            if self.queue.try_send(draft).is_err() {
                self.lose(&id);
            }
        }
    }

    fn lose(&mut self, id: &str) {
        self.lost += 1;
        warn!(event = id, lost = self.lost, "Too many alerts at once: no evidence is kept of this one.");
    }

    /// Writes what is left.
    pub fn finish(self) {
        drop(self.queue);
        if self.writer.join().is_err() {
            warn!("The thread that keeps evidence had panicked.");
        }
    }
}

fn write(mut cabinet: Cabinet, drafts: &Receiver<Draft>) {
    let mut tidied: Option<Stopwatch> = None;
    for draft in drafts {
        match cabinet.file(draft) {
            Ok(path) => info!(file = %path.display(), "Evidence kept."),
            Err(error) => warn!(error = format!("{error:#}"), "No evidence could be kept."),
        }
        if tidied.is_none_or(|since| since.elapsed() >= TIDY_EVERY) {
            tidied = Some(Stopwatch::start());
            match cabinet.tidy(WallTime::now()) {
                Ok(0) => {}
                Ok(gone) => info!(gone, "Old evidence was thrown away."),
                Err(error) => warn!(error = format!("{error:#}"), "Old evidence could not be thrown away."),
            }
        }
    }
}
