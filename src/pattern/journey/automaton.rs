//! Steps with the places of one camera put in: what must happen in which state, and what must not.

use super::fault::Fault;
use super::lexer::Compare;
use super::parser::{Condition, MOST_STEPS, Measure, Step, Stop};
use crate::event::Direction;
use crate::ids::{LineId, ZoneId};
use crate::pattern::Surroundings;
use crate::scene::zone::ZoneKind;
use crate::time::{MediaTime, Span};
use std::collections::BTreeMap;

/// Kinds of zones as they are written in a journey. `checkout` is what many call a till.
const KINDS: [(&str, ZoneKind); 8] = [
    ("shelf", ZoneKind::Shelf),
    ("till", ZoneKind::Till),
    ("checkout", ZoneKind::Till),
    ("entrance", ZoneKind::Entrance),
    ("exit", ZoneKind::Exit),
    ("restricted", ZoneKind::Restricted),
    ("queue", ZoneKind::Queue),
    ("other", ZoneKind::Other),
];

/// State `i` waits for step `i`.
#[derive(Debug, Clone, Default)]
pub(super) struct Automaton {
    pub states: Vec<State>,
    /// Every zone that matters, with its kind.
    pub zones: BTreeMap<ZoneId, ZoneKind>,
}

#[derive(Debug, Clone)]
pub(super) struct State {
    pub guards: Vec<Test>,
    pub step: Test,
    /// Of the step as it was written: repetitions are states of their own.
    pub written: usize,
    /// From the beginning of the journey to this step, at most: the tightest `within` from here on.
    pub deadline: Option<Span>,
}

#[derive(Debug, Clone)]
pub(super) struct Test {
    pub place: Place,
    pub conditions: Vec<Condition>,
    /// The place as the user wrote it.
    pub name: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    Zones(Vec<ZoneId>),
    Line(LineId, Option<Direction>),
}

/// A stay in a zone, or the moment in which a line was crossed.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub number: u32,
    pub to: Spot,
    pub since: MediaTime,
    /// Newest sighting inside.
    pub seen: MediaTime,
    pub touches: i64,
    pub open: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Spot {
    Zone(ZoneId),
    Line(LineId, Direction),
}

impl Automaton {
    /// All that is wrong with the places, in the order of the line.
    pub fn new(steps: &[Step], around: &Surroundings<'_>) -> Result<Automaton, Vec<Fault>> {
        let (mut automaton, mut faults) = (Automaton::default(), Vec::new());
        let test = |stop: &Stop, faults: &mut Vec<Fault>| match resolve(stop, around) {
            Ok(test) => Some(test),
            Err(fault) => {
                faults.push(fault);
                None
            }
        };
        for (written, step) in steps.iter().enumerate() {
            let mut guards: Vec<Test> = step.guards.iter().filter_map(|guard| test(guard, &mut faults)).collect();
            let Some(test) = test(&step.stop, &mut faults) else { continue };
            if let Some((_, guard)) = guards.iter().zip(&step.guards).find(|(guard, _)| guard.shuts_out(&test)) {
                let what = format!("\"!{}\" forbids the step after it, expected another place", guard.place);
                faults.push(Fault { column: guard.column, width: guard.place.chars().count(), what });
            }
            for _ in 0..step.times {
                let guards = std::mem::take(&mut guards);
                automaton.states.push(State { guards, step: test.clone(), written, deadline: None });
            }
            if let Some(last) = automaton.states.last_mut() {
                last.deadline = step.within;
            }
        }
        let mut tightest: Option<Span> = None;
        for state in automaton.states.iter_mut().rev() {
            tightest = [tightest, state.deadline].into_iter().flatten().min();
            state.deadline = tightest;
            for test in state.guards.iter().chain([&state.step]) {
                if let Place::Zones(zones) = &test.place {
                    let kinds = zones.iter().filter_map(|id| Some((id.clone(), around.zones.get(id)?.kind)));
                    automaton.zones.extend(kinds);
                }
            }
        }
        automaton.states.truncate(MOST_STEPS);
        if faults.is_empty() { Ok(automaton) } else { Err(faults) }
    }

    pub fn concerns_line(&self, line: &LineId) -> bool {
        let is_it = |test: &Test| matches!(&test.place, Place::Line(ours, _) if ours == line);
        self.states.iter().any(|state| is_it(&state.step) || state.guards.iter().any(is_it))
    }
}

fn resolve(stop: &Stop, around: &Surroundings<'_>) -> Result<Test, Fault> {
    let fault = |what: String| Fault { column: stop.column, width: stop.place.chars().count(), what };
    let name = &stop.place;
    let (zone, line) = (ZoneId::new(name), LineId::new(name));
    let kind = KINDS.iter().find(|(word, _)| word == name).map(|(_, kind)| *kind);
    let place = if stop.direction.is_some() || (!around.zones.contains_key(&zone) && around.lines.contains_key(&line)) {
        if !around.lines.contains_key(&line) {
            let lines = list(around.lines.keys().map(LineId::as_str));
            let expected = if lines.is_empty() { "but this camera has none".into() } else { format!("one of {lines}") };
            return Err(fault(format!(
                "there is no line \"{name}\" at this camera, expected the name of a line, {expected}"
            )));
        }
        if let Some(condition) = stop.conditions.first() {
            let what = "a line is crossed in a moment, expected no conditions".into();
            return Err(Fault { column: condition.column, width: condition.width, what });
        }
        Place::Line(line, stop.direction)
    } else if around.zones.contains_key(&zone) {
        Place::Zones(vec![zone])
    } else if let Some(kind) = kind {
        let of_kind: Vec<ZoneId> =
            around.zones.iter().filter(|(_, z)| z.kind == kind).map(|(id, _)| id.clone()).collect();
        if of_kind.is_empty() {
            return Err(fault(format!("this camera has no zone of the kind {name}, expected one with that `kind`")));
        }
        Place::Zones(of_kind)
    } else {
        let names = list(around.zones.keys().map(ZoneId::as_str).chain(around.lines.keys().map(LineId::as_str)));
        let or = if names.is_empty() { String::new() } else { format!("{names} or ") };
        let kinds: Vec<&str> = KINDS.iter().map(|(word, _)| *word).collect();
        return Err(fault(format!(
            "\"{name}\" is no place of this camera, expected {or}a kind of zone ({})",
            kinds.join(", ")
        )));
    };
    Ok(Test { place, conditions: stop.conditions.clone(), name: name.clone() })
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

impl Test {
    /// Whether the visit is of this kind as far as is known: what it must not exceed is certain when it is over.
    pub fn admits(&self, visit: &Visit) -> bool {
        let there = match (&self.place, &visit.to) {
            (Place::Zones(zones), Spot::Zone(zone)) => zones.contains(zone),
            (Place::Line(ours, way), Spot::Line(line, went)) => ours == line && way.is_none_or(|way| way == *went),
            _ => false,
        };
        there && self.conditions.iter().all(|condition| condition.holds(visit))
    }

    /// Whether whoever does the other thing has done this.
    fn shuts_out(&self, other: &Test) -> bool {
        self.conditions.is_empty() && self.place == other.place
    }
}

impl Condition {
    fn holds(&self, visit: &Visit) -> bool {
        let value = match self.measure {
            Measure::Dwell => (visit.seen - visit.since).micros(),
            Measure::Touches => visit.touches,
        };
        match self.compare {
            Compare::Over => value > self.limit,
            Compare::AtLeast => value >= self.limit,
            Compare::Under => !visit.open && value < self.limit,
            Compare::AtMost => !visit.open && value <= self.limit,
        }
    }
}
