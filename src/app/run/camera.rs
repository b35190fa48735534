//! One camera in the lane: its pipeline, its totals over restarts, and what of it is published.

use super::blind::Blindness;
use super::outlet::Outlet;
use super::rhythm::{Looks, Rhythm};
use super::taped::Taped;
use crate::capture::ViewConfig;
use crate::clue::Clues;
use crate::detection::{Class, Detections};
use crate::event::Event;
use crate::evidence::case::Past;
use crate::evidence::jpeg;
use crate::frame::{Frame, Picture};
use crate::ids::{CameraId, LineId};
use crate::infer::gate::Gate;
use crate::infer::pose::Turns;
use crate::link::health::BudgetHealth;
use crate::link::topics::{self, Topics};
use crate::memory::Memory;
use crate::pipeline::{CameraPlan, Moment, Pipeline};
use crate::scene::line::LineTotals;
use crate::sight::shelf::Shelves;
use crate::sight::{Change, Sight, Trouble};
use crate::store::{LineTotal, MinuteCount};
use crate::tape::{Input, Setting};
use crate::time::{MediaTime, WallTime};
use anyhow::Result;
use embedded_svc::mqtt::client::QoS;
use std::collections::{BTreeMap, BTreeSet};

/// Good enough to see who it is about, small enough for a phone.
const SNAPSHOT_QUALITY: u8 = 80;

pub(super) struct Watched {
    pub id: CameraId,
    pub pipeline: Pipeline,
    pub view: ViewConfig,
    rhythm: Rhythm,
    /// `None` where tracks are not recorded.
    pub taped: Option<Taped>,
    clock_trusted: bool,
    /// `None` where nobody watches over it.
    sight: Option<Sight>,
    /// Watches the goods.
    pub shelves: Shelves,
    /// What it told and is not recorded yet.
    noticed: Vec<Event>,
    /// The moment of the newest picture.
    newest: Option<(MediaTime, WallTime)>,
    /// Before this start of the appliance.
    earlier: BTreeMap<LineId, LineTotal>,
    recorded: BTreeMap<LineId, LineTotal>,
    minute: Minute,
    pub blindness: Blindness,
    /// Published from the start, with nought: the broker may remember another number from before a power cut.
    classes: BTreeSet<Class>,
    /// Classes that were there lately.
    there: BTreeSet<Class>,
    /// Frames that were processed when everything open was ended for want of more.
    ended_at: u64,
    /// What evidence is made of, where any is kept.
    pub past: Option<Past>,
    /// The newest picture, for snapshots.
    pub picture: Option<Picture>,
    started: WallTime,
    pub processed: u64,
    /// `None`: every frame is looked at.
    pub gate: Option<Gate>,
    /// Frames the network was spared, since the start.
    pub saved: u64,
    /// Frames that could not be looked at: since the start, and in a row.
    pub failed: u64,
    pub failed_in_a_row: u32,
    /// Of the people whom a zone asks about.
    pub turns: Turns,
    /// It was told that how people stand could not be seen.
    pub unposed: bool,
}

impl Watched {
    /// `earlier` and `lately` are what the store knows of this and other cameras.
    pub fn new(
        plan: CameraPlan,
        sight: Option<Sight>,
        earlier: &BTreeMap<(CameraId, LineId), LineTotal>,
        lately: &[MinuteCount],
        started: WallTime,
    ) -> Self {
        let id = plan.camera.clone();
        let earlier = earlier
            .iter()
            .filter(|((camera, _), _)| *camera == id)
            .map(|((_, line), total)| (line.clone(), total.clone()))
            .collect();
        let seen_lately = lately.iter().filter(|count| count.camera == id).map(|count| count.class);
        let classes = seen_lately.chain(expected_classes(&plan)).collect();
        Watched {
            id,
            classes,
            there: BTreeSet::new(),
            ended_at: 0,
            shelves: Shelves::new(plan.shelves()),
            pipeline: Pipeline::new(plan),
            view: ViewConfig::default(),
            rhythm: Rhythm::default(),
            taped: None,
            clock_trusted: true,
            sight,
            noticed: Vec::new(),
            newest: None,
            earlier,
            recorded: BTreeMap::new(),
            minute: Minute::default(),
            past: None,
            blindness: Blindness::default(),
            picture: None,
            started,
            processed: 0,
            gate: None,
            saved: 0,
            failed: 0,
            failed_in_a_row: 0,
            turns: Turns::default(),
            unposed: false,
        }
    }

    /// What the picture itself tells: its trouble, if it has one. Events wait for [`Watched::noticed`].
    pub fn see(&mut self, frame: &Frame) -> Option<Trouble> {
        let sight = self.sight.as_mut()?;
        self.newest = Some((frame.at, frame.taken));
        let changes = sight.see(frame);
        let trouble = sight.trouble();
        for change in changes {
            let events = self.notice(change, frame.at, frame.taken);
            self.noticed.extend(events);
        }
        trouble
    }

    fn notice(&mut self, change: Change, at: MediaTime, taken: WallTime) -> Vec<Event> {
        let mut events = self.make_up();
        events.extend(self.pipeline.notice(&change, at, taken));
        self.tape(&Input::Notice { change, at, taken });
        events
    }

    fn tape(&mut self, input: &Input) {
        if let Some(taped) = &mut self.taped {
            taped.other(input, &self.pipeline);
        }
    }

    /// What the rules are told must be on the tape.
    fn look(&mut self, moment: Moment, detections: &Detections) -> Vec<Event> {
        let seen = Detections { at: moment.at, taken: moment.taken, ..detections.clone() };
        let events = self.pipeline.step(&seen);
        if let Some(taped) = &mut self.taped {
            taped.frame(moment, &self.pipeline);
        }
        if let Some(past) = &mut self.past {
            past.saw(self.pipeline.opening(), moment, self.pipeline.tracks(), self.pipeline.clues());
        }
        events
    }

    fn look_at_nobody(&mut self, moment: Moment) -> Vec<Event> {
        let Moment { at, taken, aspect } = moment;
        self.look(moment, &Detections { at, taken, aspect, items: Vec::new(), clues: Clues::default() })
    }

    fn make_up(&mut self) -> Vec<Event> {
        self.rhythm.make_up().map_or_else(Vec::new, |moment| self.look_at_nobody(moment))
    }

    /// Whether the board knows what time it is.
    pub fn set_clock_trusted(&mut self, trusted: bool) {
        if std::mem::replace(&mut self.clock_trusted, trusted) != trusted {
            self.pipeline.set_clock_trusted(trusted);
            self.tape(&Input::Clock { trusted });
        }
    }

    fn finish_pipeline(&mut self) -> Vec<Event> {
        let mut events = self.make_up();
        events.extend(self.pipeline.finish());
        self.tape(&Input::Finish);
        if let Some(taped) = &mut self.taped {
            taped.flush();
        }
        events
    }

    /// Takes the events that [`Watched::see`] has left.
    pub fn noticed(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.noticed)
    }

    /// Ends all that is open.
    pub fn finish(&mut self) -> Vec<Event> {
        let mut events = self.noticed();
        if let Some((sight, (at, taken))) = self.sight.as_mut().zip(self.newest) {
            for change in sight.finish() {
                events.extend(self.notice(change, at, taken));
            }
        }
        events.extend(self.finish_pipeline());
        events
    }

    pub fn step(&mut self, detections: &Detections) -> Vec<Event> {
        self.processed += 1;
        let mut events = self.noticed();
        let is_empty = detections.items.is_empty() && detections.clues.is_empty() && self.pipeline.tracks().is_empty();
        let Looks { nobody, frame } = self.rhythm.look(detections.at, detections.taken, detections.aspect, is_empty);
        events.extend(nobody.map_or_else(Vec::new, |moment| self.look_at_nobody(moment)));
        events.extend(frame.map_or_else(Vec::new, |moment| self.look(moment, detections)));
        self.minute.add(detections.taken, self.pipeline.present());
        events
    }

    /// Keeps a small picture while somebody is there.
    pub fn show(&mut self, frame: &Frame) {
        let Some(past) = &mut self.past else { return };
        if !self.pipeline.tracks().is_empty()
            && let Err(error) = past.show(&frame.picture, frame.at, frame.taken)
        {
            tracing::debug!(camera = %self.id, error = format!("{error:#}"), "A picture could not be kept.");
        }
    }

    /// Places that were learned are places in the picture as it is turned, cut and masked.
    pub fn view_name(&self) -> String {
        format!("{:?}", self.view)
    }

    /// What its rules have learned.
    pub fn memory(&self) -> Memory {
        Memory { view: self.view_name(), ..self.pipeline.memory() }
    }

    /// For `health`: how far the rules are that have to learn, and how the alert budget is kept.
    pub fn learned(&self) -> (BTreeMap<String, String>, Option<BudgetHealth>) {
        let rules = self.pipeline.statuses().into_iter().map(|(id, status)| (id.to_string(), status)).collect();
        (rules, self.pipeline.budget().map(BudgetHealth::from))
    }

    /// Whether some class is there now that was not there when this was asked last. Who waits for somebody to come need not
    /// wait for the next beat.
    pub fn somebody_came(&mut self) -> bool {
        let there = self.pipeline.present().iter().filter(|(_, now)| **now > 0).map(|(class, _)| *class).collect();
        let before = std::mem::replace(&mut self.there, there);
        !self.there.is_subset(&before)
    }

    /// How many are there now, of every class that is expected or was seen lately.
    fn counts(&self) -> BTreeMap<Class, usize> {
        let mut counts: BTreeMap<Class, usize> = self.classes.iter().map(|class| (*class, 0)).collect();
        counts.extend(self.pipeline.present());
        counts
    }

    /// Ends everything that is open, once for each silence: nobody may stay "inside" of a camera that is gone.
    pub fn end_for_silence(&mut self) -> Vec<Event> {
        if self.ended_at == self.processed {
            return Vec::new();
        }
        self.ended_at = self.processed;
        // What was found before must not be taken to be there still.
        self.gate = self.gate.take().map(|_| Gate::default());
        self.shelves.pause();
        self.finish_pipeline()
    }

    /// The totals that have changed since they were last asked for.
    pub fn changed_lines(&mut self) -> Vec<LineTotal> {
        let totals: Vec<LineTotal> = self.pipeline.lines().iter().map(|(line, now)| self.total(line, now)).collect();
        let changed: Vec<LineTotal> =
            totals.into_iter().filter(|total| self.recorded.get(&total.line) != Some(total)).collect();
        self.recorded.extend(changed.iter().map(|total| (total.line.clone(), total.clone())));
        changed
    }

    fn total(&self, line: &LineId, now: &LineTotals) -> LineTotal {
        let earlier = self.earlier.get(line);
        LineTotal {
            camera: self.id.clone(),
            line: line.clone(),
            into: now.into + earlier.map_or(0, |total| total.into),
            out: now.out + earlier.map_or(0, |total| total.out),
            since: earlier.map_or(self.started, |total| total.since),
        }
    }

    /// Counts of minutes that are over.
    pub fn minutes(&mut self) -> Vec<MinuteCount> {
        self.minute.take_finished(&self.id)
    }

    /// Counts of the minute that goes on, before the end.
    pub fn last_minute(&mut self) -> Vec<MinuteCount> {
        self.minute.finish();
        self.minute.take_finished(&self.id)
    }

    /// Other lines, zones and rules from the next frame on. Totals of lines that stay go on.
    pub fn swap_rules(&mut self, plan: CameraPlan, setting: Setting) -> Vec<Event> {
        let mut events = self.make_up();
        // A line that is drawn anew counts from nought in the pipeline, but what it counted before was counted.
        for (line, now) in self.pipeline.lines() {
            let total = self.total(line, now);
            if self.pipeline.plan().lines.get(line) != plan.lines.get(line) {
                self.earlier.insert(line.clone(), total);
            }
        }
        self.shelves.swap(plan.shelves());
        let opening = self.pipeline.opening();
        events.extend(self.pipeline.swap_rules(plan));
        self.tape(&Input::Swap { setting, finished: self.pipeline.opening() != opening });
        events
    }

    /// Every topic at which the broker keeps something of this camera.
    pub fn retained(&self, topics: &Topics) -> Vec<String> {
        let mut all = vec![topics.camera_status(&self.id), topics.snapshot(&self.id)];
        all.extend(self.counts().keys().map(|class| topics.class(&self.id, *class)));
        for line in self.pipeline.lines().keys() {
            let topic = topics.line(&self.id, line);
            all.extend([format!("{topic}/in"), format!("{topic}/out"), topic]);
        }
        for zone in self.pipeline.zones().keys() {
            let topic = topics.zone(&self.id, zone);
            all.extend([format!("{topic}/now"), topic]);
        }
        all.extend(self.pipeline.rules_on().keys().map(|rule| topics.rule(&self.id, rule)));
        all
    }

    /// All retained topics of this camera but its status; what has not changed is not sent again.
    pub fn publish(&self, topics: &Topics, outlet: &Outlet) {
        for (class, now) in self.counts() {
            outlet.retain(&topics.class(&self.id, class), now.to_string().as_bytes(), QoS::AtMostOnce);
        }
        for (line, now) in self.pipeline.lines() {
            let (topic, total) = (topics.line(&self.id, line), self.total(line, now));
            let payload = topics::line(total.into, total.out, total.since);
            outlet.retain(&topic, payload.as_bytes(), QoS::AtLeastOnce);
            outlet.retain(&format!("{topic}/in"), total.into.to_string().as_bytes(), QoS::AtLeastOnce);
            outlet.retain(&format!("{topic}/out"), total.out.to_string().as_bytes(), QoS::AtLeastOnce);
        }
        for (zone, stats) in self.pipeline.zones() {
            let topic = topics.zone(&self.id, &zone);
            let payload = topics::zone(stats.now as u64, stats.dwell_p50_s, stats.dwell_p95_s);
            outlet.retain(&topic, payload.as_bytes(), QoS::AtMostOnce);
            outlet.retain(&format!("{topic}/now"), stats.now.to_string().as_bytes(), QoS::AtMostOnce);
        }
        for (rule, on) in self.pipeline.rules_on() {
            outlet.retain(&topics.rule(&self.id, &rule), topics::on_off(on).as_bytes(), QoS::AtLeastOnce);
        }
    }

    /// Publishes the newest picture; false if there is none yet.
    pub fn snapshot(&self, topics: &Topics, outlet: &Outlet) -> Result<bool> {
        let Some(picture) = &self.picture else { return Ok(false) };
        outlet.retain(&topics.snapshot(&self.id), &jpeg(picture, SNAPSHOT_QUALITY)?, QoS::AtMostOnce);
        Ok(true)
    }
}

/// What a configuration speaks of, and people, whom most are after; the eighty classes of a model would drown them.
pub(super) fn expected_classes(plan: &CameraPlan) -> BTreeSet<Class> {
    let lines = plan.lines.values().map(|line| &line.classes);
    let zones = plan.zones.values().map(|zone| &zone.classes);
    lines.chain(zones).flatten().flatten().map(|class| Class::named(class)).chain([Class::PERSON]).collect()
}

/// Mean and maximum of how many were there at once, minute by minute.
#[derive(Default)]
struct Minute {
    /// Minutes since 1970.
    current: Option<i64>,
    frames: u64,
    seen: BTreeMap<Class, (u64, u32)>,
    finished: Vec<(i64, Class, f64, u32)>,
}

impl Minute {
    fn add(&mut self, taken: WallTime, present: &BTreeMap<Class, usize>) {
        let minute = taken.micros().div_euclid(60_000_000);
        if self.current != Some(minute) {
            self.finish();
            self.current = Some(minute);
        }
        self.frames += 1;
        for (class, now) in present.iter().filter(|(_, now)| **now > 0) {
            let (sum, max) = self.seen.entry(*class).or_default();
            *sum += *now as u64;
            *max = (*max).max(u32::try_from(*now).unwrap_or(u32::MAX));
        }
    }

    fn finish(&mut self) {
        let frames = std::mem::take(&mut self.frames);
        let seen = std::mem::take(&mut self.seen);
        if let Some(minute) = self.current.take() {
            let row = |(class, (sum, max))| (minute, class, sum as f64 / frames.max(1) as f64, max);
            self.finished.extend(seen.into_iter().map(row));
        }
    }

    fn take_finished(&mut self, camera: &CameraId) -> Vec<MinuteCount> {
        let row = |(minute, class, mean, max)| MinuteCount { camera: camera.clone(), minute, class, mean, max };
        std::mem::take(&mut self.finished).into_iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_counted_when_it_is_over() {
        let mut minute = Minute::default();
        let person = |n| BTreeMap::from([(Class::PERSON, n)]);
        let at = |s: i64| WallTime::from_micros(s * 1_000_000);
        minute.add(at(60), &person(1));
        minute.add(at(90), &person(4));
        assert!(minute.take_finished(&CameraId::new("c")).is_empty());
        minute.add(at(120), &person(0));
        let counts = minute.take_finished(&CameraId::new("c"));
        assert_eq!(counts.len(), 1);
        assert_eq!((counts[0].minute, counts[0].mean, counts[0].max), (1, 2.5, 4));
    }
}
