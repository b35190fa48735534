//! A journey in words: "A person came in at door at 10:02:11, was 34 s at spirits with 3 touches, never at checkout, and
//! left at exit after 4 min. Please review."

use super::automaton::{Automaton, Spot, State, Test, Visit};
use super::lexer::Compare;
use super::parser::{Condition, Measure};
use super::run::{Thread, Walk};
use crate::event::Direction;
use crate::pattern::after_hours::local;
use crate::pattern::{View, words};
use crate::scene::zone::ZoneKind;
use crate::time::{MediaTime, Span};

/// Of a thread that went through all states.
pub(super) fn tell(who: &str, thread: &Thread, walk: &Walk, automaton: &Automaton, view: &View<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let states = &automaton.states;
    let mut next = 0;
    while next < states.len() {
        let state = &states[next];
        let times = states[next..].iter().take_while(|s| s.written == state.written).count();
        let numbers = thread.path.get(next..next + times).unwrap_or_default();
        let visits: Vec<&Visit> = numbers.iter().filter_map(|number| walk.visit(*number)).collect();
        let (first, last) = (next == 0, next + times == states.len());
        // What must not have been all the time is told once, where it matters in the end.
        let later = |name: &str| states[next + 1..].iter().flat_map(|s| &s.guards).any(|guard| guard.name == name);
        for guard in state.guards.iter().filter(|guard| !later(&guard.name)) {
            let after_was = parts.last().is_some_and(|part| part.starts_with("was "));
            parts.push(never(guard, after_was));
        }
        let mut part = visited(state, times, &visits, automaton, last && !first);
        if let Some(clock) = clock(thread.began, view).filter(|_| first) {
            let from = if part.starts_with("was ") { "from" } else { "at" };
            part += &format!(" {from} {clock}");
        }
        if last && states.len() > 1 {
            let joint = if first { " within" } else { " after" };
            part += &format!("{joint} {}", words::lasting(thread.reached - thread.began));
        }
        parts.push(part);
        next += times;
    }
    let done = match &parts[..] {
        [] => "was there".into(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [some @ .., last] => format!("{}, and {last}", some.join(", ")),
    };
    format!("{who} {done}. Please review.")
}

fn visited(state: &State, times: usize, visits: &[&Visit], automaton: &Automaton, leaves: bool) -> String {
    let Some(visit) = visits.first() else {
        let again = if times > 1 { format!("{times} times ") } else { String::new() };
        return format!("was {again}at {}", state.step.name);
    };
    match &visit.to {
        Spot::Line(line, _) if times > 1 => format!("went {times} times over {line}"),
        Spot::Line(line, Direction::In) => format!("went in over {line}"),
        Spot::Line(line, Direction::Out) => format!("went out over {line}"),
        Spot::Zone(zone) => {
            let kind = automaton.zones.get(zone).copied().unwrap_or_default();
            if times > 1 {
                let stays: Vec<String> = visits.iter().map(|visit| stay(visit)).collect();
                let same = visits.iter().all(|other| other.to == visit.to);
                let place = if same { zone.as_str() } else { &state.step.name };
                return format!("was {times} times at {place} ({})", stays.join(", "));
            }
            // What they did there matters where the rule asks for it, and where they are gone again.
            let asked = !state.step.conditions.is_empty();
            match kind {
                ZoneKind::Exit | ZoneKind::Entrance if leaves && !asked => format!("left at {zone}"),
                ZoneKind::Entrance if !leaves && !asked => format!("came in at {zone}"),
                _ if leaves && !asked => format!("came to {zone}"),
                _ => format!("was {} at {zone}{}", words::seconds(visit.seen - visit.since), touches(visit)),
            }
        }
    }
}

fn stay(visit: &Visit) -> String {
    format!("{}{}", words::seconds(visit.seen - visit.since), touches(visit))
}

fn touches(visit: &Visit) -> String {
    match visit.touches {
        0 => String::new(),
        1 => " with 1 touch".into(),
        n => format!(" with {n} touches"),
    }
}

fn never(guard: &Test, after_was: bool) -> String {
    let was = if after_was { "" } else { "was " };
    let conditions: Vec<String> = guard.conditions.iter().map(condition).collect();
    let so = if conditions.is_empty() { String::new() } else { format!(" {}", conditions.join(" and ")) };
    match &guard.place {
        super::automaton::Place::Zones(_) => format!("{was}never at {}{so}", guard.name),
        super::automaton::Place::Line(..) => format!("never went over {}", guard.name),
    }
}

fn condition(condition: &Condition) -> String {
    match condition.measure {
        Measure::Dwell => {
            let limit = words::seconds(Span::from_micros(condition.limit));
            match condition.compare {
                Compare::Over => format!("for more than {limit}"),
                Compare::AtLeast => format!("for {limit} or more"),
                Compare::Under => format!("for less than {limit}"),
                Compare::AtMost => format!("for {limit} or less"),
            }
        }
        Measure::Touches => {
            let limit = condition.limit;
            match condition.compare {
                Compare::Over => format!("with more than {limit} touches"),
                Compare::AtLeast => format!("with {limit} touches or more"),
                Compare::Under => format!("with fewer than {limit} touches"),
                Compare::AtMost => format!("with {limit} touches or fewer"),
            }
        }
    }
}

/// Nothing while nobody knows what time it is.
fn clock(at: MediaTime, view: &View<'_>) -> Option<String> {
    if !view.clock_trusted {
        return None;
    }
    let local = local(view.taken + (at - view.at), view.time_zone);
    Some(local.strftime("%H:%M:%S").to_string())
}
