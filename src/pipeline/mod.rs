//! Detections in, events out: tracker, scene and rules of one camera. Everything to the right of the detector is here,
//! and it is a function of its input and its own state, so what was recorded can be played again with the same result,
//! byte for byte.
//!
//! Absent on purpose: clocks, I/O, threads, and errors: normal operation cannot fail. Frames that are not later than
//! the one before are ignored, and so are boxes that are no boxes.

mod budget;
mod issue;
mod learned;
mod plan;
mod rule;

#[cfg(test)]
mod tests;

pub use crate::scene::line::LineTotals;
pub use crate::scene::{ObjectTotals, ZoneStats};
pub use budget::{BudgetConfig, BudgetState};
pub use plan::CameraPlan;

use crate::clue::{Clues, Pose};
use crate::detection::{Class, Detection, Detections};
use crate::event::{Event, Phase, Place, Severity};
use crate::fact::Fact;
use crate::ids::{LineId, RuleId, TrackId, ZoneId};
use crate::pattern::{Moved, View};
use crate::scene::{self, Scene};
use crate::sight::{Change, Trouble};
use crate::time::{MediaTime, Span, WallTime};
use crate::track::{Track, Tracker, settle};
use budget::Budget;
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
    /// Of those that were looked at in the newest frame.
    poses: BTreeMap<TrackId, Pose>,
    clues: Clues,
    scene: Scene,
    rules: BTreeMap<RuleId, Rule>,
    issuer: Issuer,
    budget: Option<Budget>,
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
            poses: BTreeMap::new(),
            clues: Clues::default(),
            scene: Scene::new(&plan.zones, &plan.lines),
            rules,
            issuer: Issuer::new(&plan),
            budget: plan.budget.clone().map(Budget::new),
            clock_trusted: true,
            now: None,
            before: None,
            plan,
        }
    }

    /// What one frame brings. A frame that is not later than the one before brings nothing, unless it is so much
    /// earlier that film time has started over, which is as good as [`Pipeline::finish`] before it.
    ///
    /// Rules look at what can be recorded, no finer ([`settle`], [`Clues::settled`]): what [`Pipeline::tracks`] and
    /// [`Pipeline::clues`] are afterwards, given to [`Pipeline::see`], gives the same events.
    pub fn step(&mut self, detections: &Detections) -> Vec<Event> {
        let moment = Moment { at: detections.at, taken: detections.taken, aspect: detections.aspect };
        let Some(mut events) = self.advance(moment) else { return Vec::new() };
        let detections = sound(detections);
        let tracks = self.tracker.update(&detections).to_vec();
        self.tracks = settle(tracks, &self.tracks);
        self.clues = detections.clues.settled();
        events.extend(self.look());
        events
    }

    /// As [`Pipeline::step`], with the tracks of the frame given, and no clues.
    pub fn observe(&mut self, moment: Moment, tracks: &[Track]) -> Vec<Event> {
        self.see(moment, tracks, &Clues::default())
    }

    /// As [`Pipeline::step`], with everything that was seen in the frame given as it was recorded.
    pub fn see(&mut self, moment: Moment, tracks: &[Track], clues: &Clues) -> Vec<Event> {
        let Some(mut events) = self.advance(moment) else { return Vec::new() };
        self.tracks.clear();
        self.tracks.extend_from_slice(tracks);
        self.clues.clone_from(clues);
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
        self.poses.clear();
        self.clues = Clues::default();
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
                && (old.zones == self.plan.zones || rule.pattern().memory().is_none())
                && rule.config.watched(&old.zones, &old.lines)
                    == rule.config.watched(&self.plan.zones, &self.plan.lines)
        };
        let (mut kept, mut learned) = (BTreeMap::new(), BTreeMap::new());
        while let Some((id, mut rule)) = rules.pop_first() {
            if stays(&id, &rule) {
                kept.insert(id, rule);
            } else {
                if let Some(now) = self.now {
                    let view = view(now, self.clock_trusted, &self.plan, (&self.scene, &self.poses));
                    let told = rule.end(&view, &facts, &mut judge(&mut self.budget, &id, now.taken));
                    events.extend(
                        told.into_iter().map(|told| self.issuer.event(&id, rule.kind, told, self.clock_trusted)),
                    );
                }
                learned.extend(rule.pattern().memory().map(|bytes| (id, bytes)));
            }
        }
        for (id, config) in &self.plan.rules {
            kept.entry(id.clone()).or_insert_with(|| {
                let mut rule = Rule::new(config, &self.plan.zones, &self.plan.lines);
                if let Some(bytes) = learned.get(id) {
                    // A rule that cannot use it begins anew, and its status says so.
                    let _ = rule.pattern_mut().recall(bytes);
                }
                rule
            });
        }
        self.rules = kept;
        self.budget = Budget::swap(self.budget.take(), self.plan.budget.as_ref());
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
            severity: Severity::Warning,
            score: None,
            strength: None,
        };
        events.push(self.issuer.event(&RuleId::new(TAMPER), change.trouble.kind(), told, self.clock_trusted));
        if change.trouble == Trouble::Moved {
            let moved = match change.until {
                None => Moved::Away,
                Some(_) if change.accepted => Moved::Accepted,
                Some(_) => Moved::Back,
            };
            self.rules.values_mut().for_each(|rule| rule.pattern_mut().moved(moved));
        }
        events
    }

    /// Whether the board knows what time it is; true unless told otherwise.
    pub fn set_clock_trusted(&mut self, trusted: bool) {
        self.clock_trusted = trusted;
    }

    /// Goes on where another pipeline of this camera was, which had seen the source opened so often before and had the
    /// clock's word for this: part of every id.
    pub fn resume(&mut self, opening: u64, clock_trusted: bool) {
        self.issuer.resume(opening);
        self.clock_trusted = clock_trusted;
    }

    /// How often the source was opened before this time.
    pub fn opening(&self) -> u64 {
        self.issuer.opening()
    }

    pub fn plan(&self) -> &CameraPlan {
        &self.plan
    }
    /// Of the newest frame, by id.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }
    /// How those stand that were looked at in the newest frame.
    pub fn poses(&self) -> &BTreeMap<TrackId, Pose> {
        &self.poses
    }
    /// The people of the newest frame of whom a zone wants to know how they stand.
    pub fn asked_for_pose(&self) -> Vec<Track> {
        self.tracks.iter().filter(|track| self.scene.asks_for_pose(track)).cloned().collect()
    }

    /// What else was seen in the newest frame.
    pub fn clues(&self) -> &Clues {
        &self.clues
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
        self.poses = scene::pose::tied(&self.clues.poses, &self.tracks);
        let mut facts = self.scene.observe(now.at, now.aspect, &self.tracks);
        facts.extend(self.scene.observe_goods(now.at, &self.clues.shelves));
        let view = view(now, self.clock_trusted, &self.plan, (&self.scene, &self.poses));
        if let Some(budget) = &mut self.budget {
            budget.advance(now.taken, &self.plan.time_zone, self.clock_trusted);
        }
        let mut events: Vec<Event> = Vec::new();
        for (id, rule) in &mut self.rules {
            let told = rule.step(&view, &facts, &mut judge(&mut self.budget, id, now.taken));
            events.extend(told.into_iter().map(|told| self.issuer.event(id, rule.kind, told, self.clock_trusted)));
        }
        self.alarm(&events);
        events
    }

    /// Every rule ends what it has open and begins anew.
    fn end_all(&mut self, facts: &[Fact]) -> Vec<Event> {
        let Some(now) = self.now else { return Vec::new() };
        let view = view(now, self.clock_trusted, &self.plan, (&self.scene, &self.poses));
        let mut events = Vec::new();
        for (id, rule) in &mut self.rules {
            let told = rule.end(&view, facts, &mut judge(&mut self.budget, id, now.taken));
            events.extend(told.into_iter().map(|told| self.issuer.event(id, rule.kind, told, self.clock_trusted)));
        }
        self.alarm(&events);
        self.rules.values_mut().for_each(|rule| rule.forget(&self.plan.zones, &self.plan.lines));
        events
    }

    /// Whoever learns is told whom an alert is about.
    fn alarm(&mut self, events: &[Event]) {
        for event in events.iter().filter(|event| event.severity.is_alert() && !event.tracks.is_empty()) {
            self.rules.values_mut().for_each(|rule| rule.pattern_mut().alarmed(&event.tracks));
        }
    }
}

fn view<'a>(
    now: Moment,
    clock_trusted: bool,
    plan: &'a CameraPlan,
    (scene, poses): (&'a Scene, &'a BTreeMap<TrackId, Pose>),
) -> View<'a> {
    let Moment { at, taken, aspect } = now;
    View { at, taken, clock_trusted, time_zone: &plan.time_zone, aspect, scene, poses }
}

/// Asks the budget, where there is one, whether what a rule tells may be an alert.
fn judge<'a>(budget: &'a mut Option<Budget>, id: &'a RuleId, now: WallTime) -> impl FnMut(&mut Told) + 'a {
    move |told| {
        if let Some(budget) = budget {
            budget.judge(id, now, told);
        }
    }
}

/// Without boxes that are none: coordinates or scores that are no numbers, corners the wrong way round. A shape of the
/// frame that is none becomes a square.
fn sound(detections: &Detections) -> Cow<'_, Detections> {
    let is_box =
        |d: &Detection| d.bbox.is_finite() && d.score.is_finite() && d.bbox.x1 <= d.bbox.x2 && d.bbox.y1 <= d.bbox.y2;
    let has_shape = detections.aspect.is_finite() && detections.aspect > 0.0;
    if has_shape && detections.items.iter().all(is_box) && detections.clues.poses.iter().all(Pose::is_finite) {
        return Cow::Borrowed(detections);
    }
    let items = detections.items.iter().copied().filter(is_box).collect();
    let aspect = if has_shape { detections.aspect } else { 1.0 };
    let mut clues = detections.clues.clone();
    clues.poses.retain(Pose::is_finite);
    Cow::Owned(Detections { aspect, items, clues, ..*detections })
}
