//! The automaton at work on one track: every way in which the journey may be on its way at this moment.
//!
//! A journey may have begun several times (at the entrance, and once more there): each beginning is a thread of its
//! own, because only the later one may keep a `within` and only the earlier one may have what was in between. Of two
//! threads in the same state the one that began later and was moved by the earlier visit can do whatever the other
//! can, and the other is dropped, so there are few.

use super::automaton::{Automaton, Spot, Visit};
use crate::ids::ZoneId;
use crate::time::{MediaTime, Span};

/// Visits that are remembered of a track, to be told of; far more than a journey has steps.
const MOST_VISITS: usize = 128;
/// Threads of a track; a safeguard, since there are hardly ever more than states.
const MOST_THREADS: usize = 64;
/// A hand at a shelf while the feet are elsewhere: so long without another touch and that visit is over.
const HANDS_OFF: Span = Span::from_millis(10_000);
/// A stay that is taken up again after so short a time is the same one.
const RESUMED: Span = Span::from_millis(5000);
/// What becomes known is so much older at the most: the hysteresis of zones and a margin.
const LATE: Span = Span::from_millis(2000);

#[derive(Debug, Default)]
pub(super) struct Walk {
    visits: Vec<Live>,
    threads: Vec<Thread>,
    /// Was where nobody may have been before the first step.
    barred: bool,
    next: u32,
    /// When the track ended whose walk this one carries on.
    broke: Option<MediaTime>,
}

#[derive(Debug)]
struct Live {
    visit: Visit,
    /// Only a hand was there: the feet stand outside of the zone, as they do where it is drawn around the goods.
    by_hand: bool,
    /// Has changed since the automaton looked at it last.
    fresh: bool,
    /// The states it has led out of, a bit each: a visit is one step of a journey, not two.
    used: u32,
}

/// A journey under way.
#[derive(Debug, Clone)]
pub(super) struct Thread {
    state: usize,
    pub began: MediaTime,
    /// When the last step was made.
    pub reached: MediaTime,
    /// When the visit began that made it.
    last: MediaTime,
    /// The numbers of the visits that made the steps.
    pub path: Vec<u32>,
}

impl Walk {
    pub fn enter(&mut self, zone: &ZoneId, at: MediaTime) {
        let broken = self.broken(zone, at);
        if let Some(live) = self.open_mut(zone).is_none().then_some(broken).flatten() {
            self.visits[live].visit.open = true;
        }
        if let Some(live) = self.open_mut(zone) {
            live.by_hand = false;
            live.fresh = true;
            live.visit.seen = live.visit.seen.max(at);
            return;
        }
        self.open(Spot::Zone(zone.clone()), at, false);
    }

    pub fn is_seen_in(&mut self, zone: &ZoneId, at: MediaTime) {
        if let Some(live) = self.open_mut(zone)
            && live.visit.seen < at
        {
            live.visit.seen = at;
            live.fresh = true;
        }
    }

    pub fn leave(&mut self, zone: &ZoneId, at: MediaTime) {
        if let Some(live) = self.open_mut(zone).filter(|live| !live.by_hand) {
            live.visit.seen = at.max(live.visit.since);
            live.close();
        }
    }

    pub fn touch(&mut self, zone: &ZoneId, at: MediaTime) {
        if self.open_mut(zone).is_none() {
            self.open(Spot::Zone(zone.clone()), at, true);
        }
        if let Some(live) = self.open_mut(zone) {
            live.visit.touches += 1;
            live.visit.seen = live.visit.seen.max(at);
            live.fresh = true;
        }
    }

    pub fn cross(&mut self, to: Spot, at: MediaTime) {
        self.open(to, at, false);
        if let Some(live) = self.visits.last_mut() {
            live.close();
        }
    }

    /// The track is over, and with it every visit.
    pub fn end(&mut self) {
        self.visits.iter_mut().filter(|live| live.visit.open).for_each(Live::close);
    }

    /// Where the track was at its end, as far as it was in a zone.
    pub fn last_zones(&self, end: MediaTime) -> impl Iterator<Item = &ZoneId> {
        let at_end = self.visits.iter().map(|live| &live.visit).filter(move |visit| visit.seen >= end);
        at_end.filter_map(|visit| match &visit.to {
            Spot::Zone(zone) => Some(zone),
            Spot::Line(..) => None,
        })
    }

    /// Carries on the walk of a track that ended before this one began. A stay at the same place goes on.
    pub fn inherit(&mut self, old: Walk, ended: MediaTime) {
        let own = std::mem::replace(self, old);
        self.broke = Some(ended);
        let shift = self.next;
        self.next += own.next;
        self.barred |= own.barred;
        for mut live in own.visits {
            // What has been told stays told; the rest is looked at once more, with what was before.
            let used = if live.used == u32::MAX { u32::MAX } else { 0 };
            let before = match &live.visit.to {
                Spot::Zone(zone) => self.broken(zone, live.visit.since),
                Spot::Line(..) => None,
            };
            if let Some(before) = before.map(|i| &mut self.visits[i]) {
                before.visit.seen = live.visit.seen;
                before.visit.touches += live.visit.touches;
                before.visit.open = live.visit.open;
                before.by_hand &= live.by_hand;
                before.used |= used;
                before.fresh = true;
            } else {
                live.visit.number += shift;
                (live.fresh, live.used) = (true, used);
                self.visits.push(live);
            }
        }
    }

    /// The stay there that the end of the other track interrupted, if it is not too long ago.
    fn broken(&self, zone: &ZoneId, at: MediaTime) -> Option<usize> {
        let broke = self.broke.filter(|broke| at - *broke <= RESUMED)?;
        let interrupted = |live: &Live| {
            let visit = &live.visit;
            let here = matches!(&visit.to, Spot::Zone(other) if other == zone);
            here && !visit.open && visit.since <= broke && broke <= visit.seen
        };
        self.visits.iter().rposition(interrupted)
    }

    pub fn visit(&self, number: u32) -> Option<&Visit> {
        self.visits.iter().map(|live| &live.visit).find(|visit| visit.number == number)
    }

    /// What the newest facts lead to; the journey that is complete by them, if one is. After that all begins anew, and
    /// no visit counts twice.
    pub fn advance(&mut self, automaton: &Automaton, now: MediaTime) -> Option<Thread> {
        let states = &automaton.states;
        for live in self.visits.iter_mut().filter(|live| live.by_hand && live.visit.open) {
            if now - live.visit.seen > HANDS_OFF {
                live.close();
            }
        }
        let mut done: Option<Thread> = None;
        for i in 0..self.visits.len() {
            if !std::mem::take(&mut self.visits[i].fresh) {
                continue;
            }
            let visit = self.visits[i].visit.clone();
            self.threads.retain(|thread| !thread.is_forbidden(&visit, automaton));
            self.barred |= states.first().is_some_and(|first| first.guards.iter().any(|guard| guard.admits(&visit)));
            let mut moved: Vec<Thread> = Vec::new();
            let seed =
                Thread { state: 0, began: visit.since, reached: visit.since, last: visit.since, path: Vec::new() };
            let waiting = self.threads.iter().chain((!self.barred).then_some(&seed));
            for thread in waiting.filter(|thread| self.visits[i].used & (1 << thread.state) == 0) {
                moved.extend(thread.moved_by(&visit, automaton));
            }
            for thread in moved {
                self.visits[i].used |= 1 << (thread.state - 1);
                if thread.state < states.len() {
                    self.insert(thread);
                } else if done.as_ref().is_none_or(|other| thread.began > other.began) {
                    done = Some(thread);
                }
            }
        }
        if done.is_some() {
            self.threads.clear();
            self.visits.iter_mut().for_each(|live| live.used = u32::MAX);
        }
        let may_come =
            |thread: &Thread| states[thread.state].deadline.is_none_or(|most| now - thread.began <= most + LATE);
        self.threads.retain(may_come);
        done
    }

    fn insert(&mut self, thread: Thread) {
        if self.threads.iter().any(|other| other.can_all_of(&thread)) {
            return;
        }
        self.threads.retain(|other| !thread.can_all_of(other));
        if self.threads.len() == MOST_THREADS {
            self.threads.remove(0);
        }
        self.threads.push(thread);
    }

    fn open(&mut self, to: Spot, at: MediaTime, by_hand: bool) {
        if self.visits.len() == MOST_VISITS
            && let Some(oldest) = self.visits.iter().position(|live| !live.visit.open)
        {
            self.visits.remove(oldest);
        }
        let visit = Visit { number: self.next, to, since: at, seen: at, touches: 0, open: true };
        self.visits.push(Live { visit, by_hand, fresh: true, used: 0 });
        self.next += 1;
    }

    fn open_mut(&mut self, zone: &ZoneId) -> Option<&mut Live> {
        let here = |live: &&mut Live| live.visit.open && matches!(&live.visit.to, Spot::Zone(z) if z == zone);
        self.visits.iter_mut().rev().find(here)
    }
}

impl Live {
    fn close(&mut self) {
        self.visit.open = false;
        self.fresh = true;
    }
}

impl Thread {
    /// A visit that goes on, or that ended after the last step was made.
    fn is_forbidden(&self, visit: &Visit, automaton: &Automaton) -> bool {
        let between = visit.open || visit.seen >= self.reached;
        let another = self.path.last() != Some(&visit.number);
        between && another && automaton.states[self.state].guards.iter().any(|guard| guard.admits(visit))
    }

    fn moved_by(&self, visit: &Visit, automaton: &Automaton) -> Option<Thread> {
        let state = &automaton.states[self.state];
        let another = visit.since >= self.last && !self.path.contains(&visit.number);
        if !another || !state.step.admits(visit) {
            return None;
        }
        // Who enters has done so when first seen inside; who stays, when the stay was long enough.
        let reached = if state.step.conditions.is_empty() { visit.since } else { visit.seen };
        let in_time = state.deadline.is_none_or(|most| reached - self.began <= most);
        in_time.then(|| {
            let path = self.path.iter().copied().chain([visit.number]).collect();
            Thread { state: self.state + 1, began: self.began, reached, last: visit.since, path }
        })
    }

    fn can_all_of(&self, other: &Thread) -> bool {
        self.state == other.state && self.began >= other.began && self.last <= other.last
    }
}
