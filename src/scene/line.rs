//! A line across the frame and who goes over it.
//!
//! The way of the foot point from one sighting to the next is crossed with each piece of the polyline, so nobody is
//! too fast, nor missed because a frame was, nor because the track was lost while it crossed. What was crossed is
//! counted when the foot point is clear of the line again, at a small distance to it: whoever stands on the line and
//! trembles goes back and forth, which cancels out, and is counted once, when leaving on the other side, or not at
//! all.
//!
//! Known misses: a track that breaks on the line and starts anew beyond it. Known false counts: a foot point that jumps
//! over the line because something hides the legs.

use super::classes::{Classes, check_classes, check_points};
use crate::detection::Class;
use crate::event::Direction;
use crate::geometry::{Point, side};
use crate::ids::TrackId;
use crate::problems::Problems;
use std::collections::BTreeMap;

/// How far away is clear, in heights of the box: a foot point trembles in proportion to its box.
const CLEAR: f32 = 0.05;
/// Bounds of that distance, in heights of the frame.
const CLEAR_MIN: f32 = 0.005;
const CLEAR_MAX: f32 = 0.03;

/// `[camera.<c>.line.<l>]`
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LineConfig {
    /// A polyline in fractions of the frame, x to the right, y down. Walking from the first point to the last, `in` is
    /// from the left hand to the right hand: over a line drawn from left to right, downwards is in.
    pub points: Vec<[f32; 2]>,
    /// Only these classes count; without the key every class does.
    pub classes: Option<Vec<String>>,
}

impl LineConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        let path = format!("{at}.points");
        let count = self.points.len();
        let s = if count == 1 { "" } else { "s" };
        problems.expect(count >= 2, &path, format!("has {count} point{s}, expected at least 2"));
        check_points(&self.points, &path, problems);
        check_classes(self.classes.as_deref(), at, problems);
        for (i, pair) in self.points.windows(2).enumerate() {
            let path = format!("{path}[{}]", i + 1);
            problems.expect(pair[0] != pair[1], path, "is the same as the point before it, expected another one");
        }
    }
}

/// How many went over a line, since the pipeline began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineTotals {
    pub into: u64,
    pub out: u64,
    /// In and out of each class.
    pub by_class: BTreeMap<Class, (u64, u64)>,
}

impl LineTotals {
    pub(super) fn add(&mut self, class: Class, direction: Direction) {
        let of_class = self.by_class.entry(class).or_default();
        let (total, of_class) = match direction {
            Direction::In => (&mut self.into, &mut of_class.0),
            Direction::Out => (&mut self.out, &mut of_class.1),
        };
        *total += 1;
        *of_class += 1;
    }
}

/// A line at work.
#[derive(Debug)]
pub(super) struct Line {
    pub config: LineConfig,
    classes: Classes,
    points: Vec<Point>,
    /// How often a track went in more than out since it was last clear of the line, where that is not zero.
    passages: BTreeMap<TrackId, i32>,
}

impl Line {
    pub fn new(config: LineConfig) -> Self {
        let points = config.points.iter().map(|&[x, y]| Point::new(x, y)).collect();
        let classes = Classes::configured(config.classes.as_deref());
        Line { config, classes, points, passages: BTreeMap::new() }
    }

    /// The foot point went from one sighting to the next. `height` is that of the box; `aspect` makes x and y
    /// comparable. Tells where to, once the track is clear of the line.
    pub fn walk(
        &mut self,
        id: TrackId,
        class: Class,
        [from, to]: [Point; 2],
        height: f32,
        aspect: f32,
    ) -> Option<Direction> {
        let crossed: i32 = self.pieces().map(|(a, b)| crossed(a, b, from, to)).sum();
        if (crossed == 0 && !self.passages.contains_key(&id)) || !self.classes.admit(class) {
            return None;
        }
        *self.passages.entry(id).or_default() += crossed;
        if self.is_clear(to, (CLEAR * height).clamp(CLEAR_MIN, CLEAR_MAX), aspect) { self.end(id) } else { None }
    }

    /// The track is clear of the line, or gone: which way did it go in the end?
    pub fn end(&mut self, id: TrackId) -> Option<Direction> {
        match self.passages.remove(&id)? {
            0 => None,
            1.. => Some(Direction::In),
            _ => Some(Direction::Out),
        }
    }

    fn pieces(&self) -> impl Iterator<Item = (Point, Point)> + '_ {
        self.points.windows(2).map(|pair| (pair[0], pair[1]))
    }

    fn is_clear(&self, p: Point, distance: f32, aspect: f32) -> bool {
        let square = |p: Point| Point::new(p.x * aspect, p.y);
        self.pieces().all(|(a, b)| distance_squared(square(p), square(a), square(b)) > distance * distance)
    }
}

/// 1 if the way from `p` to `q` crosses the piece `a`-`b` from its left hand to its right hand, -1 for the other way,
/// else 0.
///
/// A point exactly on the line counts to its left hand, and a corner to one of the two pieces that meet there, so a
/// way made of many steps crosses exactly as often as the straight one. (`geometry::segments_cross` says yes for a
/// mere touch, which would count twice.)
fn crossed(a: Point, b: Point, p: Point, q: Point) -> i32 {
    let right = |p| side(a, b, p) > 0.0;
    let beyond = |c| side(p, q, c) > 0.0;
    match (right(p), right(q)) {
        (before, after) if before == after => 0,
        _ if beyond(a) == beyond(b) => 0,
        (false, _) => 1,
        (true, _) => -1,
    }
}

/// From `p` to the segment `a`-`b`. Squared and without `hypot`, whose last bit differs between machines.
fn distance_squared(p: Point, a: Point, b: Point) -> f32 {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let length_squared = dx * dx + dy * dy;
    let along = (p.x - a.x) * dx + (p.y - a.y) * dy;
    let t = if length_squared > 0.0 { (along / length_squared).clamp(0.0, 1.0) } else { 0.0 };
    let (x, y) = (p.x - a.x - t * dx, p.y - a.y - t * dy);
    x * x + y * y
}
