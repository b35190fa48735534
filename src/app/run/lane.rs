//! The inference lane: one thread that looks at the newest frame of the camera that has waited longest, detects,
//! tracks, judges, and has everything on disk before the link hears of it.

use super::board::Board;
use super::camera::Watched;
use super::capture::Look;
use super::health::{Frames, Meters};
use super::keeper::Keeper;
use super::outlet::Outlet;
use crate::detection::Detections;
use crate::event::Event;
use crate::evidence::case::Past;
use crate::infer::gate::{self, Looked};
use crate::infer::pose::{self, PoseEye};
use crate::infer::{Detector, Stages};
use crate::link::topics::{self, Topics};
use crate::mailbox::Mailboxes;
use crate::platform::clock;
use crate::sight::Trouble;
use crate::store::{Batch, Memories, Store};
use crate::time::{Span, Stopwatch, WallTime};
use anyhow::Result;
use embedded_svc::mqtt::client::QoS;
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::{debug, info, warn};

/// How often what is retained is brought up to date.
const BEAT: Span = Span::from_millis(1_000);

/// How long to wait for a frame before looking after everything else.
const PATIENCE: Span = Span::from_millis(100);

/// A camera that sends so many frames in a row that cannot be decoded is opened anew.
const MAX_FAILED: u32 = 30;

/// How often what rules have learned is written down: a power cut costs so much of it. Alerts that an alert budget
/// has spent are written at once.
const REMEMBER_EVERY: Span = Span::from_millis(3_600_000);

pub(super) struct Lane {
    /// `None` where all cameras are recordings.
    pub detector: Option<Box<dyn Detector>>,
    /// `None` where no zone asks how people stand.
    pub pose: Option<Box<dyn PoseEye>>,
    /// By mailbox.
    pub cameras: BTreeMap<usize, Watched>,
    pub store: Store,
    pub outlet: Outlet,
    pub topics: Topics,
    pub mail: Arc<Mailboxes<Look>>,
    pub board: Arc<Board>,
    pub meters: Meters,
    /// Makes files of alerts; `None` where it is not asked to.
    pub keeper: Option<Keeper>,
    pub memories: Memories,
    beat: Option<Stopwatch>,
    remembered: Stopwatch,
}

impl Lane {
    pub fn new(
        detector: Option<Box<dyn Detector>>,
        store: Store,
        outlet: Outlet,
        topics: Topics,
        (mail, board): (Arc<Mailboxes<Look>>, Arc<Board>),
        meters: Meters,
        memories: Memories,
    ) -> Self {
        Lane {
            detector,
            cameras: BTreeMap::new(),
            store,
            outlet,
            topics,
            mail,
            board,
            meters,
            pose: None,
            keeper: None,
            memories,
            beat: None,
            remembered: Stopwatch::start(),
        }
    }

    /// Looks at one frame, or waits a moment for one.
    ///
    /// # Errors
    /// The event database broke: a restart begins a new one.
    pub fn turn(&mut self) -> Result<()> {
        if let Some((index, look)) = self.mail.take(PATIENCE)
            && let Some(detections) = self.detect(index, look)
        {
            self.step(index, &detections)?;
        }
        self.keep_evidence(None);
        self.tell_states();
        if self.beat.is_none_or(|beat| beat.elapsed() >= BEAT) {
            self.beat = Some(Stopwatch::start());
            self.keep_up()?;
        }
        Ok(())
    }

    fn detect(&mut self, index: usize, look: Look) -> Option<Detections> {
        let frame = match look {
            Look::Seen(detections) => return Some(detections),
            Look::Frame(frame) => frame,
        };
        let camera = self.cameras.get_mut(&index)?;
        if camera.picture.replace(frame.picture.clone()).is_none()
            && let Err(error) = camera.snapshot(&self.topics, &self.outlet)
        {
            warn!(camera = %camera.id, error = format!("{error:#}"), "No snapshot could be made.");
        }
        camera.show(&frame);
        let trouble = camera.see(&frame);
        self.board.trouble(index, trouble.map(Trouble::reason));
        if trouble.is_some_and(Trouble::withholds) {
            return None;
        }
        let mut stages = Stages::default();
        let tracks = camera.pipeline.tracks();
        match gate::look(&mut **self.detector.as_mut()?, camera.gate.as_mut(), &frame, tracks, &mut stages) {
            Ok(Looked { mut found, is_new }) => {
                camera.failed_in_a_row = 0;
                camera.saved += u64::from(!is_new);
                if let Err(error) = camera.shelves.see(&frame, &mut found) {
                    // The network has just seen it, so this is a picture of which a part is broken.
                    debug!(camera = %camera.id, error = format!("{error:#}"), "The goods could not be looked at.");
                }
                let meter = self.meters.of(&camera.id);
                meter.looked(&stages, is_new);
                // Where nothing moves nobody stands otherwise than before.
                if let Some(eye) = self.pose.as_mut().filter(|_| is_new) {
                    let (clock, asked) = (Stopwatch::start(), camera.pipeline.asked_for_pose());
                    match pose::look(&mut **eye, &mut camera.turns, &frame, &asked, &mut found) {
                        Ok(()) => meter.posed(found.clues.poses.len(), clock.elapsed()),
                        Err(error) if !std::mem::replace(&mut camera.unposed, true) => {
                            let error = format!("{error:#}");
                            warn!(camera = %camera.id, error, "How people stand in a frame could not be seen.");
                        }
                        Err(_) => {}
                    }
                }
                Some(found)
            }
            Err(error) => {
                camera.failed += 1;
                camera.failed_in_a_row += 1;
                let error = format!("{error:#}");
                // Once says it; a frame that cannot be looked at is a frame lost, and the next one comes.
                if camera.failed == 1 {
                    warn!(camera = %camera.id, error, "A frame could not be looked at.");
                }
                if camera.failed_in_a_row >= MAX_FAILED {
                    camera.failed_in_a_row = 0;
                    self.board.refuse(index, format!("{MAX_FAILED} frames in a row could not be looked at: {error}"));
                }
                None
            }
        }
    }

    fn step(&mut self, index: usize, detections: &Detections) -> Result<()> {
        let Some(camera) = self.cameras.get_mut(&index) else { return Ok(()) };
        let clock = Stopwatch::start();
        let events = camera.step(detections);
        self.meters.of(&camera.id).stepped(clock.elapsed());
        if camera.somebody_came() {
            camera.publish(&self.topics, &self.outlet);
        }
        let batch = Batch { events, lines: camera.changed_lines(), minutes: camera.minutes(), ..Batch::default() };
        self.record(index, batch)
    }

    /// On disk first, then the link is told.
    pub fn record(&mut self, index: usize, batch: Batch) -> Result<()> {
        if batch == Batch::default() {
            return Ok(());
        }
        let alert = batch.events.iter().any(|event: &Event| event.severity.is_alert());
        let records = self.store.write(batch)?;
        if let (Some(keeper), Some(camera)) = (&mut self.keeper, self.cameras.get(&index))
            && let Some(past) = &camera.past
        {
            records.iter().for_each(|record| keeper.heard(index, record, &camera.pipeline, past));
        }
        for record in &records {
            let event = &record.event;
            info!(seq = record.seq, camera = %event.camera, kind = event.kind, explain = event.explain, "Event.");
        }
        if !records.is_empty() {
            self.outlet.wake();
        }
        if alert && self.cameras.get(&index).is_some_and(|camera| camera.pipeline.budget().is_some()) {
            self.remember(index);
        }
        let Some(camera) = self.cameras.get(&index) else { return Ok(()) };
        camera.publish(&self.topics, &self.outlet);
        if alert && let Err(error) = camera.snapshot(&self.topics, &self.outlet) {
            warn!(camera = %camera.id, error = format!("{error:#}"), "No snapshot could be made.");
        }
        Ok(())
    }

    /// What each camera does, as soon as that changes: some are down for less than a beat.
    fn tell_states(&self) {
        for (index, camera) in &self.cameras {
            let (status, ..) = self.board.look(*index);
            let payload = topics::camera_status(status.state, &status.reason, status.since, status.decoder.as_deref());
            self.outlet.retain(&self.topics.camera_status(&camera.id), payload.as_bytes(), QoS::AtLeastOnce);
        }
    }

    /// Retained state, the health report, and whatever the disk refused before.
    pub fn keep_up(&mut self) -> Result<()> {
        let trusted = clock::is_trusted();
        self.store.set_clock_trusted(trusted);
        self.end_silent()?;
        self.tell_states();
        let (mut cameras, mut minutes) = (Vec::new(), Vec::new());
        let now = WallTime::now();
        for (index, camera) in &mut self.cameras {
            camera.set_clock_trusted(trusted);
            camera.publish(&self.topics, &self.outlet);
            let (status, came, blind) = self.board.look(*index);
            camera.blindness.note(now, blind);
            minutes.extend(camera.blindness.take(&camera.id));
            let (processed, dropped) = (camera.processed, self.mail.dropped(*index));
            let failed = camera.failed + self.board.lost_in_all(*index);
            let frames = Frames { came, processed, dropped, saved: camera.saved, failed, blind };
            cameras.push((camera.id.clone(), status, frames));
        }
        if !self.store.write(Batch { blind: minutes, ..Batch::default() })?.is_empty() {
            self.outlet.wake();
        }
        if let Some(link) = self.outlet.state().filter(|_| self.meters.is_due()) {
            let mut health = self.meters.report(cameras, self.store.health(), link);
            for camera in self.cameras.values() {
                if let Some(health) = health.cameras.get_mut(&camera.id) {
                    (health.rules, health.budget) = camera.learned();
                }
            }
            self.outlet.retain(&self.topics.health(), health.to_json().as_bytes(), QoS::AtMostOnce);
        }
        if self.remembered.elapsed() >= REMEMBER_EVERY {
            self.remembered = Stopwatch::start();
            self.cameras.keys().copied().collect::<Vec<_>>().into_iter().for_each(|index| self.remember(index));
        }
        self.meters.vouch();
        Ok(())
    }

    /// What a camera had open when it fell silent ends, or a rule would stay on as long as the cable is out. What a
    /// blind one told of itself is recorded, since no detection follows that would take it along.
    fn end_silent(&mut self) -> Result<()> {
        for index in self.cameras.keys().copied().collect::<Vec<_>>() {
            let Some(camera) = self.cameras.get_mut(&index) else { continue };
            let mut events = camera.noticed();
            if self.board.is_silent(index) {
                events.extend(camera.end_for_silence());
            } else if events.is_empty() {
                continue;
            }
            let batch = Batch { events, lines: camera.changed_lines(), minutes: camera.minutes(), ..Batch::default() };
            self.record(index, batch)?;
        }
        Ok(())
    }

    fn keep_evidence(&mut self, ends: Option<usize>) {
        let Some(keeper) = &mut self.keeper else { return };
        let shots = |index| self.cameras.get(&index).and_then(|camera| camera.past.as_ref());
        keeper.turn(ends, |index| shots(index).map(Past::shots).unwrap_or_default());
    }

    /// Ends what one camera has open and records it.
    pub fn end(&mut self, index: usize) -> Result<()> {
        self.keep_evidence(Some(index));
        let Some(camera) = self.cameras.get_mut(&index) else { return Ok(()) };
        let events = camera.finish();
        camera.blindness.finish();
        let blind = camera.blindness.take(&camera.id);
        let batch = Batch { events, lines: camera.changed_lines(), minutes: camera.last_minute(), blind };
        self.record(index, batch)?;
        self.remember(index);
        Ok(())
    }

    /// Writes down what one camera's rules have learned. A disk that refuses costs this, and nothing else.
    fn remember(&mut self, index: usize) {
        let Some(camera) = self.cameras.get(&index) else { return };
        if let Err(error) = self.memories.save(&camera.id, camera.memory()) {
            warn!(camera = %camera.id, error = format!("{error:#}"), "What was learned could not be saved, will try again.");
        }
    }

    /// Looks at what is left in the mailboxes and ends everything that is open.
    pub fn drain(&mut self) -> Result<()> {
        while let Some((index, look)) = self.mail.take(Span::ZERO) {
            if let Some(detections) = self.detect(index, look) {
                self.step(index, &detections)?;
            }
        }
        let indices: Vec<usize> = self.cameras.keys().copied().collect();
        indices.into_iter().try_for_each(|index| self.end(index))?;
        self.keep_up()
    }
}
