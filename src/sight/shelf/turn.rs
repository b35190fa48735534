//! Which of two looks of a place is the one with something in it.
//!
//! Goods have edges and colour; a board or a wall behind them has less. Where a thing stood alone its outline counts,
//! too; among other goods it does not, since a hole has as sharp an outline as a thing, but a hole is dark. And once a
//! place has been seen empty, looking so again outweighs everything else.

use super::cells::{Grid, Look};
use super::light::{Light, unlike};
use crate::clue::ShelfChange;

/// Below so much evidence, in logarithms of how many times more edges there are, nothing is concluded.
const SURE: f32 = 0.35;
/// What having been seen empty weighs.
const MEMORY: f32 = 2.5;
/// Edges and colour below this (steps of 255) are noise.
const NOISE: f32 = 1.5;
const DULL: f32 = 6.0;
/// Neighbours with this part of the edges of the place itself are goods.
const GOODS: f32 = 0.7;

/// One cell of a place that has changed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changed {
    pub cell: usize,
    pub old: Look,
    pub new: Look,
    /// How it looked when it was known to be empty.
    pub empty: Option<Look>,
}

/// `place` by cell, ascending; `around` are looks of cells beside the place that have not changed.
pub(super) fn turn(grid: &Grid, place: &[Changed], around: &[Look]) -> ShelfChange {
    match evidence(grid, place, around) {
        gone if gone > SURE => ShelfChange::Gone,
        gone if gone < -SURE => ShelfChange::There,
        _ => ShelfChange::Altered,
    }
}

/// Positive: it was there before. Negative: it is there now.
fn evidence(grid: &Grid, place: &[Changed], around: &[Look]) -> f32 {
    let is_inner = |changed: &&Changed| {
        let is_in = |n: &usize| place.binary_search_by_key(n, |other| other.cell).is_ok();
        grid.around(changed.cell, 1).filter(is_in).count() >= 8
    };
    let inner: Vec<&Changed> = place.iter().filter(is_inner).collect();
    let all: Vec<&Changed> = place.iter().collect();
    let outlined = more_edges(&all);
    // A place without an inside is all outline.
    let filled = if inner.len() * 6 >= all.len() { more_edges(&inner) } else { outlined };
    let edges_around = mean(around.iter().map(edges));
    let edges_here = mean(all.iter().map(|c| edges(&c.old).max(edges(&c.new))));
    let among_goods = ((edges_around + NOISE) / ((edges_here + NOISE) * GOODS)).clamp(0.0, 1.0);
    let lone = outlined + 0.5 * more(&all, |look| look.u.hypot(look.v), DULL);
    let crowded = filled + 0.5 * more(&inner, |look| look.u.hypot(look.v), DULL) + more(&all, |look| look.y, 20.0);
    (1.0 - among_goods) * lone + among_goods * crowded + MEMORY * remembered(place)
}

fn more_edges(place: &[&Changed]) -> f32 {
    more(place, edges, NOISE)
}

/// Logarithm of how many times more of it there was before.
fn more(place: &[&Changed], of: impl Fn(&Look) -> f32, floor: f32) -> f32 {
    let old = mean(place.iter().map(|c| of(&c.old)));
    let new = mean(place.iter().map(|c| of(&c.new)));
    ((old + floor) / (new + floor)).max(0.01).ln()
}

/// 1 where all of the place looks again as it did empty, -1 where all of it did and no longer does.
fn remembered(place: &[Changed]) -> f32 {
    let is_empty = |empty: &Look, look: &Look| unlike(empty, look, &Light::default()) < 1.0;
    let vote = |c: &Changed| match c.empty.map(|empty| (is_empty(&empty, &c.old), is_empty(&empty, &c.new))) {
        Some((false, true)) => 1.0,
        Some((true, false)) => -1.0,
        _ => 0.0,
    };
    mean(place.iter().map(vote))
}

fn edges(look: &Look) -> f32 {
    look.gx.hypot(look.gy)
}

fn mean(values: impl Iterator<Item = f32>) -> f32 {
    let (sum, n) = values.fold((0.0, 0u32), |(sum, n), value| (sum + value, n + 1));
    if n == 0 { 0.0 } else { sum / n as f32 }
}
