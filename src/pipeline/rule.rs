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
}

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

    /// Kind and severity of its events.
    pub fn what(&self) -> (&'static str, Severity) {
        (self.kind, self.severity)
    }

    pub fn is_on(&self) -> bool {
        self.open.values().any(|open| open.told)
    }

    pub fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Told> {
        let mut told = Vec::new();
        for finding in self.pattern.step(view, facts) {
            self.take(finding, view, &mut told);
        }
        for open in self.open.values_mut().filter(|open| !open.told) {
            if self.quiet_until.is_some_and(|until| view.at < until) {
                break;
            }
            open.told = true;
            told.push(open.as_start());
            self.quiet_until = Some(view.at + self.cooldown);
        }
        told
    }

    /// Watching stops here, for good or for a while: what happened until then is told, nothing begins, what is open
    /// ends.
    pub fn end(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Told> {
        let mut told = Vec::new();
        for finding in self.pattern.step(view, facts) {
            if finding.phase != Phase::Start {
                self.take(finding, view, &mut told);
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

    /// As new, but the cooldown goes on.
    pub fn forget(&mut self, zones: &BTreeMap<ZoneId, ZoneConfig>, lines: &BTreeMap<LineId, LineConfig>) {
        self.pattern = self.config.start(zones, lines);
        self.open.clear();
    }

    /// Film time has started over: `then` was its last moment, `now` is its first.
    pub fn rebase(&mut self, then: MediaTime, now: MediaTime) {
        self.quiet_until = self.quiet_until.map(|until| now + (until - then));
    }

    fn take(&mut self, finding: Finding, view: &View<'_>, told: &mut Vec<Told>) {
        let wall = view.taken + (finding.at - view.at);
        let quiet = self.quiet_until.is_some_and(|until| view.at < until);
        match finding.phase {
            Phase::Instant if quiet => return,
            Phase::Instant => told.push(Open { began: wall, start: finding, told: true }.as_told(Phase::Instant)),
            Phase::Start => {
                // Told by `step`, if nothing is in the way.
                self.open.entry(finding.subject).or_insert(Open { began: wall, start: finding, told: false });
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
                }),
                _ => return,
            },
        }
        self.quiet_until = Some(view.at + self.cooldown);
    }
}

impl Open {
    fn as_start(&self) -> Told {
        self.as_told(Phase::Start)
    }
    fn as_told(&self, phase: Phase) -> Told {
        let Finding { tracks, place, explain, .. } = self.start.clone();
        Told { phase, at: self.began, ended_at: None, tracks, place, explain }
    }
}
