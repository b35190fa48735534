//! One rule at work: pairs the starts and ends of its findings, keeps its cooldown, and says which of them become
//! events.

use crate::event::{Party, Phase, Place, Severity};
use crate::fact::Fact;
use crate::ids::{LineId, TrackId, ZoneId};
use crate::pattern::{Finding, Pattern, RuleConfig, View};
use crate::scene::line::LineConfig;
use crate::scene::zone::ZoneConfig;
use crate::time::{MediaTime, Span, WallTime};
use std::collections::BTreeMap;

/// A finding that is to be told.
pub(super) struct Told {
    pub phase: Phase,
    pub at: WallTime,
    pub ended_at: Option<WallTime>,
    pub tracks: Vec<Party>,
    pub place: Place,
    pub explain: String,
    pub severity: Severity,
    /// How sure, where the rule knows.
    pub score: Option<f32>,
    /// For the alert budget, see [`Finding::strength`].
    pub strength: Option<f32>,
}

/// May lower the severity of what begins or happens, and say why.
pub(super) type Judge<'a> = &'a mut dyn FnMut(&mut Told);

pub(super) struct Rule {
    pub config: RuleConfig,
    pub kind: &'static str,
    pub severity: Severity,
    cooldown: Span,
    pattern: Box<dyn Pattern>,
    /// What has begun and goes on, by subject.
    open: BTreeMap<Option<TrackId>, Open>,
    /// Nothing may begin before.
    quiet_until: Option<MediaTime>,
}

struct Open {
    began: WallTime,
    start: Finding,
    /// False while it waits for the end of the cooldown.
    told: bool,
    /// As its start was told.
    severity: Severity,
}

impl Rule {
    pub fn new(
        config: &RuleConfig,
        zones: &BTreeMap<ZoneId, ZoneConfig>,
        lines: &BTreeMap<LineId, LineConfig>,
    ) -> Self {
        Rule {
            kind: config.kind(),
            severity: config.severity(),
            cooldown: Span::from_secs_f64(config.cooldown_s()),
            pattern: config.start(zones, lines),
            config: config.clone(),
            open: BTreeMap::new(),
            quiet_until: None,
        }
    }

    pub fn is_on(&self) -> bool {
        self.open.values().any(|open| open.told)
    }

    pub fn step(&mut self, view: &View<'_>, facts: &[Fact], judge: Judge<'_>) -> Vec<Told> {
        let mut told = Vec::new();
        for finding in self.pattern.step(view, facts) {
            self.take(finding, view, judge, &mut told);
        }
        for open in self.open.values_mut().filter(|open| !open.told) {
            if self.quiet_until.is_some_and(|until| view.at < until) {
                break;
            }
            open.told = true;
            let mut start = open.as_start();
            judge(&mut start);
            open.severity = start.severity;
            told.push(start);
            self.quiet_until = Some(view.at + self.cooldown);
        }
        told
    }

    /// Watching stops here, for good or for a while: what happened until then is told, nothing begins, what is open
    /// ends.
    pub fn end(&mut self, view: &View<'_>, facts: &[Fact], judge: Judge<'_>) -> Vec<Told> {
        let mut told = Vec::new();
        for finding in self.pattern.step(view, facts) {
            if finding.phase != Phase::Start {
                self.take(finding, view, judge, &mut told);
            }
        }
        for (_, open) in std::mem::take(&mut self.open) {
            if open.told {
                let explain = format!("It still was so when watching ended: {}", open.start.explain);
                told.push(Told { phase: Phase::End, ended_at: Some(view.taken), explain, ..open.as_start() });
            }
        }
        told
    }

    /// As new, but the cooldown goes on, and what was learned stays.
    pub fn forget(&mut self, zones: &BTreeMap<ZoneId, ZoneConfig>, lines: &BTreeMap<LineId, LineConfig>) {
        if !self.pattern.pause() {
            self.pattern = self.config.start(zones, lines);
        }
        self.open.clear();
    }

    pub fn pattern(&self) -> &dyn Pattern {
        &*self.pattern
    }
    pub fn pattern_mut(&mut self) -> &mut dyn Pattern {
        &mut *self.pattern
    }

    /// Film time has started over: `then` was its last moment, `now` is its first.
    pub fn rebase(&mut self, then: MediaTime, now: MediaTime) {
        self.quiet_until = self.quiet_until.map(|until| now + (until - then));
    }

    fn take(&mut self, finding: Finding, view: &View<'_>, judge: Judge<'_>, told: &mut Vec<Told>) {
        let wall = view.taken + (finding.at - view.at);
        let quiet = self.quiet_until.is_some_and(|until| view.at < until);
        match finding.phase {
            Phase::Instant if quiet => return,
            Phase::Instant => {
                let mut instant = Open { severity: self.severity, ..Open::new(wall, finding) }.as_told(Phase::Instant);
                judge(&mut instant);
                told.push(instant);
            }
            Phase::Start => {
                // Told by `step`, if nothing is in the way.
                let open = Open { severity: self.severity, ..Open::new(wall, finding) };
                self.open.entry(open.start.subject).or_insert(open);
                return;
            }
            Phase::End => match self.open.remove(&finding.subject) {
                Some(open) if open.told => told.push(Told {
                    phase: Phase::End,
                    at: open.began,
                    ended_at: Some(wall.max(open.began)),
                    tracks: finding.tracks,
                    place: finding.place,
                    explain: finding.explain,
                    severity: open.severity,
                    score: finding.score.or(open.start.score),
                    strength: None,
                }),
                _ => return,
            },
        }
        self.quiet_until = Some(view.at + self.cooldown);
    }
}

impl Open {
    fn new(began: WallTime, start: Finding) -> Self {
        Open { began, start, told: false, severity: Severity::Info }
    }
    fn as_start(&self) -> Told {
        self.as_told(Phase::Start)
    }
    fn as_told(&self, phase: Phase) -> Told {
        let Finding { tracks, place, explain, score, strength, .. } = self.start.clone();
        let severity = self.severity;
        Told { phase, at: self.began, ended_at: None, tracks, place, explain, severity, score, strength }
    }
}
