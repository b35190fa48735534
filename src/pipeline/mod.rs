//! Detections in, events out: tracker, scene and rules of one camera. Everything to the right of the detector is here,
//! and it is a function of its input and its own state, so what was recorded can be played again with the same result,
//! byte for byte.
//!
//! Absent on purpose: clocks, I/O, threads, and errors: normal operation cannot fail. Frames that are not later than
//! the one before are ignored, and so are boxes that are no boxes.

mod issue;
mod plan;
mod rule;

#[cfg(test)]
mod tests;

pub use crate::scene::line::LineTotals;
pub use crate::scene::{ObjectTotals, ZoneStats};
pub use plan::CameraPlan;

use crate::detection::{Class, Detection, Detections};
use crate::event::{Event, Phase, Place, Severity};
use crate::fact::Fact;
use crate::ids::{LineId, RuleId, ZoneId};
use crate::pattern::View;
use crate::scene::Scene;
use crate::sight::Change;
use crate::time::{MediaTime, Span, WallTime};
use crate::track::{Track, Tracker};
use issue::Issuer;
use rule::{Rule, Told};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Without a frame for longer than this the camera was blind: stays end when it was last seen, and nothing is
/// concluded about the time between.
const BLIND: Span = Span::from_millis(5000);
/// A frame that is earlier than the one before by more than this means that film time has started over.
const STARTED_OVER: Span = Span::from_millis(5000);

/// The `rule` of what is told about the camera itself, as its section of the configuration is called.
pub const TAMPER: &str = "tamper";

/// The moment of a frame, and its shape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    pub at: MediaTime,
    pub taken: WallTime,
    /// Width over height.
    pub aspect: f32,
}

pub struct Pipeline {
    plan: CameraPlan,
    tracker: Tracker,
    tracks: Vec<Track>,
    scene: Scene,
    rules: BTreeMap<RuleId, Rule>,
    issuer: Issuer,
    clock_trusted: bool,
    /// Of the newest frame; `None` before the first one of an opening.
    now: Option<Moment>,
    /// The last film time of the opening before this one.
    before: Option<MediaTime>,
}

impl Pipeline {
    /// A plan that was not checked is no danger: what makes no sense in it never happens.
    pub fn new(plan: CameraPlan) -> Self {
        let rules =
            plan.rules.iter().map(|(id, config)| (id.clone(), Rule::new(config, &plan.zones, &plan.lines))).collect();
        Pipeline {
            tracker: Tracker::new(plan.tracker.clone()),
            tracks: Vec::new(),
            scene: Scene::new(&plan.zones, &plan.lines),
            rules,
            issuer: Issuer::new(&plan),
            clock_trusted: true,
            now: None,
            before: None,
            plan,
        }
    }

    /// What one frame brings. A frame that is not later than the one before brings nothing, unless it is so much
    /// earlier that film time has started over, which is as good as [`Pipeline::finish`] before it.
    pub fn step(&mut self, detections: &Detections) -> Vec<Event> {
        let moment = Moment { at: detections.at, taken: detections.taken, aspect: detections.aspect };
        let Some(mut events) = self.advance(moment) else { return Vec::new() };
        let tracks = self.tracker.update(&sound(detections));
        self.tracks.clear();
        self.tracks.extend_from_slice(tracks);
        events.extend(self.look());
        events
    }

    /// As [`Pipeline::step`], with the tracks of the frame given.
    pub fn observe(&mut self, moment: Moment, tracks: &[Track]) -> Vec<Event> {
        let Some(mut events) = self.advance(moment) else { return Vec::new() };
        self.tracks.clear();
        self.tracks.extend_from_slice(tracks);
        events.extend(self.look());
        events
    }

    /// The source is over, or will be opened again: ends all that is open, at its last sighting, and forgets the
    /// tracks. Totals stay. Film time and track ids may start over with the next frame.
    pub fn finish(&mut self) -> Vec<Event> {
        let facts = self.scene.clear();
        let events = self.end_all(&facts);
        self.tracker = Tracker::new(self.plan.tracker.clone());
        self.tracks.clear();
        self.before = self.now.take().map(|now| now.at).or(self.before);
        self.issuer.next_opening();
        events
    }

    /// Another plan from the next frame on. Tracks are carried over, and so is everything about zones, lines and rules
    /// that did not change; of the others, what is open ends. A tracker that is configured otherwise starts anew.
    pub fn swap_rules(&mut self, plan: CameraPlan) -> Vec<Event> {
        let mut events = Vec::new();
        if plan.tracker != self.plan.tracker {
            events = self.finish();
            self.tracker = Tracker::new(plan.tracker.clone());
        }
        let old = std::mem::replace(&mut self.plan, plan);
        let facts = self.scene.swap(&self.plan.zones, &self.plan.lines);
        let mut rules = std::mem::take(&mut self.rules);
        let stays = |id: &RuleId, rule: &Rule| {
            self.plan.rules.get(id) == Some(&rule.config)
                && rule.config.watched(&old.zones, &old.lines)
                    == rule.config.watched(&self.plan.zones, &self.plan.lines)
        };
        let mut kept = BTreeMap::new();
        while let Some((id, mut rule)) = rules.pop_first() {
            if stays(&id, &rule) {
                kept.insert(id, rule);
            } else if let Some(now) = self.now {
                let view = view(now, self.clock_trusted, &self.plan, &self.scene);
                let told = rule.end(&view, &facts);
                events
                    .extend(told.into_iter().map(|told| self.issuer.event(&id, rule.what(), told, self.clock_trusted)));
            }
        }
        for (id, config) in &self.plan.rules {
            kept.entry(id.clone()).or_insert_with(|| Rule::new(config, &self.plan.zones, &self.plan.lines));
        }
        self.rules = kept;
        self.issuer.rename(&self.plan);
        events
    }

    /// What the picture itself told of the camera, at the frame of `at` and `taken`. Where what is detected would be wrong
    /// from here on ([`Trouble::withholds`]) all that is open ends first, at its last sighting.
    ///
    /// [`Trouble::withholds`]: crate::sight::Trouble::withholds
    pub fn notice(&mut self, change: &Change, at: MediaTime, taken: WallTime) -> Vec<Event> {
        let withholds = change.until.is_none() && change.trouble.withholds();
        let mut events = if withholds { self.finish() } else { Vec::new() };
        let told = Told {
            phase: if change.until.is_some() { Phase::End } else { Phase::Start },
            at: taken + (change.since - at),
            ended_at: change.until.map(|until| taken + (until - at)),
            tracks: Vec::new(),
            place: Place::Frame,
            explain: change.explain.clone(),
        };
        let what = (change.trouble.kind(), Severity::Warning);
        events.push(self.issuer.event(&RuleId::new(TAMPER), what, told, self.clock_trusted));
        events
    }

    /// Whether the board knows what time it is; true unless told otherwise.
    pub fn set_clock_trusted(&mut self, trusted: bool) {
        self.clock_trusted = trusted;
    }

    pub fn plan(&self) -> &CameraPlan {
        &self.plan
    }
    /// Of the newest frame, by id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }
    /// Every line of the plan, since the beginning.
    pub fn lines(&self) -> &BTreeMap<LineId, LineTotals> {
        self.scene.totals()
    }
    /// Every zone of the plan.
    pub fn zones(&self) -> BTreeMap<ZoneId, ZoneStats> {
        self.scene.zones()
    }
    /// Every rule of the plan: whether what it watches for goes on.
    pub fn rules_on(&self) -> BTreeMap<RuleId, bool> {
        self.rules.iter().map(|(id, rule)| (id.clone(), rule.is_on())).collect()
    }
    /// How many of each class are seen in the newest frame; 0 for a class that was there once.
    pub fn present(&self) -> &BTreeMap<Class, usize> {
        self.scene.present()
    }
    /// Confirmed tracks of each class since the beginning.
    pub fn objects(&self) -> &BTreeMap<Class, ObjectTotals> {
        self.scene.objects()
    }

    /// Makes `moment` the newest one; `None` where it is not later.
    fn advance(&mut self, moment: Moment) -> Option<Vec<Event>> {
        let events = match self.now {
            Some(now) if moment.at <= now.at && now.at - moment.at > STARTED_OVER => self.finish(),
            Some(now) if moment.at <= now.at => return None,
            Some(now) if moment.at - now.at > BLIND => {
                let facts = self.scene.interrupt();
                self.end_all(&facts)
            }
            _ => Vec::new(),
        };
        if let Some(before) = self.before.take() {
            self.rules.values_mut().for_each(|rule| rule.rebase(before, moment.at));
        }
        self.now = Some(moment);
        self.issuer.next_frame(moment.at);
        Some(events)
    }

    fn look(&mut self) -> Vec<Event> {
        let Some(now) = self.now else { return Vec::new() };
        let facts = self.scene.observe(now.at, now.aspect, &self.tracks);
        let view = view(now, self.clock_trusted, &self.plan, &self.scene);
        let mut events = Vec::new();
        for (id, rule) in &mut self.rules {
            let told = rule.step(&view, &facts);
            events.extend(told.into_iter().map(|told| self.issuer.event(id, rule.what(), told, self.clock_trusted)));
        }
        events
    }

    /// Every rule ends what it has open and begins anew.
    fn end_all(&mut self, facts: &[Fact]) -> Vec<Event> {
        let Some(now) = self.now else { return Vec::new() };
        let view = view(now, self.clock_trusted, &self.plan, &self.scene);
        let mut events = Vec::new();
        for (id, rule) in &mut self.rules {
            let told = rule.end(&view, facts);
            events.extend(told.into_iter().map(|told| self.issuer.event(id, rule.what(), told, self.clock_trusted)));
            rule.forget(&self.plan.zones, &self.plan.lines);
        }
        events
    }
}

fn view<'a>(now: Moment, clock_trusted: bool, plan: &'a CameraPlan, scene: &'a Scene) -> View<'a> {
    View { at: now.at, taken: now.taken, clock_trusted, time_zone: &plan.time_zone, scene }
}

/// Without boxes that are none: coordinates or scores that are no numbers, corners the wrong way round. A shape of the
/// frame that is none becomes a square.
fn sound(detections: &Detections) -> Cow<'_, Detections> {
    let is_box =
        |d: &Detection| d.bbox.is_finite() && d.score.is_finite() && d.bbox.x1 <= d.bbox.x2 && d.bbox.y1 <= d.bbox.y2;
    let has_shape = detections.aspect.is_finite() && detections.aspect > 0.0;
    if has_shape && detections.items.iter().all(is_box) {
        return Cow::Borrowed(detections);
    }
    let items = detections.items.iter().copied().filter(is_box).collect();
    let aspect = if has_shape { detections.aspect } else { 1.0 };
    Cow::Owned(Detections { aspect, items, clues: detections.clues.clone(), ..*detections })
}
