//! One time that a rule has fired, or would have.

use crate::event::{Event, EventTold, Phase};
use crate::time::{Span, WallTime};
use std::collections::BTreeSet;

/// Of the same people, both are about the same thing when they lie no further apart.
const SAME_PEOPLE: Span = Span::from_millis(10 * 60_000);
/// And of nobody in particular.
const SAME_PLACE: Span = Span::from_millis(60_000);

#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    pub camera: String,
    pub rule: String,
    pub kind: String,
    pub id: String,
    pub at: WallTime,
    pub tracks: Vec<u64>,
    pub explain: String,
}

impl Firing {
    /// `None` for the end of something.
    pub fn of(event: &Event) -> Option<Firing> {
        (event.phase != Phase::End).then(|| Firing {
            camera: event.camera.to_string(),
            rule: event.rule.to_string(),
            kind: event.kind.to_string(),
            id: event.id.to_string(),
            at: event.at,
            tracks: event.tracks.iter().map(|track| track.id.0).collect(),
            explain: event.explain.clone(),
        })
    }

    pub fn recorded(event: EventTold) -> Option<Firing> {
        (event.phase != Phase::End).then(|| Firing {
            camera: event.camera,
            rule: event.rule,
            kind: event.kind,
            id: event.id,
            at: event.at,
            tracks: event.tracks.iter().map(|track| track.id).collect(),
            explain: event.explain,
        })
    }

    fn is_about(&self, other: &Firing) -> bool {
        let apart = (self.at - other.at).max(other.at - self.at);
        let nobody = self.tracks.is_empty() && other.tracks.is_empty();
        (self.camera == other.camera && self.rule == other.rule)
            && (nobody && apart <= SAME_PLACE
                || apart <= SAME_PEOPLE && self.tracks.iter().any(|track| other.tracks.contains(track)))
    }
}

/// What of `new` has no counterpart in `old`, and the other way round. The same event has the same id; what another rule
/// tells of the same people at about the same time counts as the same, too, however it is put.
pub fn difference<'a>(new: &'a [Firing], old: &'a [Firing]) -> (Vec<&'a Firing>, Vec<&'a Firing>) {
    let known: BTreeSet<&str> = old.iter().map(|firing| firing.id.as_str()).collect();
    let still: BTreeSet<&str> = new.iter().map(|firing| firing.id.as_str()).collect();
    let mut appeared = Vec::new();
    let mut gone: Vec<&Firing> = old.iter().filter(|firing| !still.contains(firing.id.as_str())).collect();
    gone.sort_by_key(|firing| firing.at);
    let mut rest: Vec<&Firing> = new.iter().filter(|firing| !known.contains(firing.id.as_str())).collect();
    rest.sort_by_key(|firing| firing.at);
    for firing in rest {
        let from = gone.partition_point(|old| old.at < firing.at + (Span::ZERO - SAME_PEOPLE));
        let until = gone.partition_point(|old| old.at <= firing.at + SAME_PEOPLE);
        let apart = |i: &usize| (gone[*i].at - firing.at).max(firing.at - gone[*i].at);
        match (from..until).filter(|i| gone[*i].is_about(firing)).min_by_key(apart) {
            Some(twin) => _ = gone.remove(twin),
            None => appeared.push(firing),
        }
    }
    (appeared, gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firing(id: &str, at: i64, tracks: &[u64]) -> Firing {
        Firing {
            camera: "c".into(),
            rule: "r".into(),
            kind: "loitering".into(),
            id: id.into(),
            at: WallTime::from_micros(at * 1_000_000),
            tracks: tracks.into(),
            explain: String::new(),
        }
    }

    #[test]
    fn the_same_people_a_little_later_are_no_news() {
        let old = [firing("a", 0, &[1]), firing("b", 100, &[2]), firing("c", 200, &[]), firing("d", 5000, &[2])];
        let new = [firing("a", 0, &[1]), firing("e", 115, &[2, 3]), firing("f", 290, &[]), firing("g", 5000, &[9])];
        let (appeared, gone) = difference(&new, &old);
        let ids = |list: Vec<&Firing>| list.iter().map(|firing| firing.id.clone()).collect::<String>();
        assert_eq!((ids(appeared).as_str(), ids(gone).as_str()), ("fg", "cd"));
    }
}
