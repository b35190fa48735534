//! Something moves in the zone and is gone again: a touch, if it came in and went out on the same side.
//!
//! A body in front of the goods moves, too: what moves within the box of a person who stretches out no arm is no touch.
//! Whoever reaches straight away from the camera is therefore missed; that is for those who look at poses.
//!
//! Whoever walks by comes in on one side and goes out on the other, so what travels further than it is wide is no touch.

use super::cells::Grid;
use crate::time::Span;

/// A hand is as large as this, in cells.
const LEAST: usize = 5;
/// And stays for so long.
const SHORTEST_S: f32 = 0.3;
/// Nothing of it has moved for so long: it is over.
const OVER_S: f32 = 1.2;
/// Cells that are so near belong together.
const REACH: usize = 2;

/// Something that moves, or did a moment ago.
#[derive(Debug, Clone)]
struct Mover {
    /// Cells it has covered.
    cells: Vec<bool>,
    largest: usize,
    first: (f32, f32),
    last: (f32, f32),
    widest: f32,
    age_s: f32,
    quiet_s: f32,
    /// It moved in front of somebody's body: that is the body.
    bodily: usize,
    moved: usize,
}

/// A touch that is over.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Touch {
    pub cells: Vec<usize>,
    /// How long it took, and how long ago it ended.
    pub lasted: Span,
    pub ago: Span,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Touches {
    movers: Vec<Mover>,
}

impl Touches {
    pub fn clear(&mut self) {
        self.movers.clear();
    }

    /// `stirs` and `body`, by cell: what moves, and where people's bodies are; `dt` seconds after the look before.
    pub fn look(&mut self, grid: &Grid, stirs: &[bool], body: &[bool], dt: f32) -> Vec<Touch> {
        for mover in &mut self.movers {
            mover.quiet_s += dt;
            mover.age_s += dt;
        }
        for blob in blobs(grid, REACH, |cell| stirs[cell]) {
            if blob.len() >= LEAST {
                self.take(grid, &blob, body, dt);
            }
        }
        let mut touches = Vec::new();
        self.movers.retain(|mover| {
            let over = mover.quiet_s >= OVER_S;
            if over && mover.is_touch() {
                let cells = mover.cells.iter().enumerate().filter(|(_, is)| **is).map(|(cell, _)| cell).collect();
                let span = |s: f32| Span::from_secs_f64(f64::from(s));
                touches.push(Touch { cells, lasted: span(mover.lasted_s()), ago: span(mover.quiet_s) });
            }
            !over
        });
        touches
    }

    fn take(&mut self, grid: &Grid, blob: &[usize], body: &[bool], dt: f32) {
        let belongs = |mover: &Mover| blob.iter().any(|&c| mover.cells[c] || grid.around(c, 1).any(|n| mover.cells[n]));
        let mut mover: Option<Mover> = None;
        // What has met is one from now on.
        self.movers.retain(|old| {
            let is = belongs(old);
            if is {
                match &mut mover {
                    Some(mover) => mover.join(old),
                    None => mover = Some(old.clone()),
                }
            }
            !is
        });
        let (centre, width) = centre(grid, blob);
        let mut mover = mover.unwrap_or_else(|| Mover {
            cells: vec![false; grid.len()],
            largest: 0,
            first: centre,
            last: centre,
            widest: 0.0,
            age_s: dt,
            quiet_s: 0.0,
            bodily: 0,
            moved: 0,
        });
        mover.quiet_s = 0.0;
        mover.largest = mover.largest.max(blob.len());
        mover.last = centre;
        mover.widest = mover.widest.max(width);
        mover.moved += blob.len();
        mover.bodily += blob.iter().filter(|&&cell| body[cell]).count();
        blob.iter().for_each(|&cell| mover.cells[cell] = true);
        self.movers.push(mover);
    }
}

impl Mover {
    fn join(&mut self, other: &Mover) {
        self.cells.iter_mut().zip(&other.cells).for_each(|(mine, theirs)| *mine |= theirs);
        self.largest = self.largest.max(other.largest);
        self.widest = self.widest.max(other.widest);
        if other.age_s > self.age_s {
            (self.first, self.age_s) = (other.first, other.age_s);
        }
        self.bodily += other.bodily;
        self.moved += other.moved;
        self.quiet_s = self.quiet_s.min(other.quiet_s);
    }

    fn lasted_s(&self) -> f32 {
        self.age_s - self.quiet_s
    }

    fn is_touch(&self) -> bool {
        let travelled = (self.last.0 - self.first.0).abs();
        let walked_by = travelled > self.widest;
        self.lasted_s() >= SHORTEST_S && self.largest >= LEAST && !walked_by && self.bodily * 2 <= self.moved
    }
}

/// Middle of some cells, and how wide they reach, in cells.
fn centre(grid: &Grid, cells: &[usize]) -> ((f32, f32), f32) {
    let (mut x, mut y) = (0.0, 0.0);
    let (mut left, mut right) = (usize::MAX, 0);
    for &cell in cells {
        let (column, row) = grid.places[cell];
        (x, y) = (x + column as f32, y + row as f32);
        (left, right) = (left.min(column), right.max(column));
    }
    let n = cells.len().max(1) as f32;
    ((x / n, y / n), (right + 1).saturating_sub(left) as f32)
}

/// Cells that are true, in groups of those that are within `reach` of each other; in order of their first cells.
pub(super) fn blobs(grid: &Grid, reach: usize, is: impl Fn(usize) -> bool) -> Vec<Vec<usize>> {
    let mut seen = vec![false; grid.len()];
    let mut found = Vec::new();
    for start in 0..grid.len() {
        if seen[start] || !is(start) {
            continue;
        }
        seen[start] = true;
        let mut blob = vec![start];
        let mut next = 0;
        while let Some(&cell) = blob.get(next) {
            next += 1;
            for near in grid.around(cell, reach) {
                if !seen[near] && is(near) {
                    seen[near] = true;
                    blob.push(near);
                }
            }
        }
        blob.sort_unstable();
        found.push(blob);
    }
    found
}
