//! Two looks at the same cell: are they of the same thing, in whatever light?
//!
//! Exposure and white balance change everything at once: what most cells have in common is taken off. A shadow or a
//! lamp nearby changes brightness but neither colour nor edges: brightness alone must change by half to count, colour
//! and edges are compared as they would be at equal brightness. An edge may move by a cell: lenses breathe when they
//! focus, and shelves shake.

use super::cells::{Grid, Look};

/// Colour that differs by so many steps of 255 is another one.
const COLOUR: f32 = 7.0;
/// As do edges by so many, and by this part of the stronger ones.
const EDGES: f32 = 3.0;
const EDGES_PART: f32 = 0.35;
/// And brightness by this factor, as a logarithm.
const BRIGHTNESS: f32 = 0.5;
/// So dark a cell is compared as if it were brighter, or noise would be colour.
const DIM: f32 = 8.0;

/// What all cells have in common from one look to another.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Light {
    /// Logarithm of how much brighter it is.
    gain: f32,
    u: f32,
    v: f32,
}

/// Light that changes by more within one look was switched: a logarithm, and steps of 255.
const SWITCHED: f32 = 0.08;
const SWITCHED_COLOUR: f32 = 3.0;

impl Light {
    /// Whether this is more than exposure does on its own from one look to the next.
    pub fn is_switched(&self) -> bool {
        self.gain.abs() > SWITCHED || self.u.hypot(self.v) > SWITCHED_COLOUR
    }

    /// From pairs of an earlier and a later look; `None` for too few to tell.
    pub fn between<'a>(pairs: impl Iterator<Item = (&'a Look, &'a Look)>) -> Option<Light> {
        let (mut gain, mut u, mut v) = (Vec::new(), Vec::new(), Vec::new());
        for (from, to) in pairs {
            gain.push(((to.y + DIM) / (from.y + DIM)).max(0.01).ln());
            u.push(to.u - from.u);
            v.push(to.v - from.v);
        }
        const LEAST: usize = 8;
        (gain.len() >= LEAST).then(|| Light { gain: median(&mut gain), u: median(&mut u), v: median(&mut v) })
    }
}

fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// How different two looks are once the light is taken off: above 1 it is another thing.
pub(super) fn unlike(from: &Look, to: &Look, light: &Light) -> f32 {
    let (colour, edges) = parts(from, to, light);
    colour.max(edges)
}

/// As [`unlike`] for a cell of a grid, `from` being all its cells: an edge that was next door is no difference.
pub(super) fn unlike_nearby<'a>(
    grid: &Grid,
    from: impl Fn(usize) -> Option<&'a Look>,
    cell: usize,
    to: &Look,
    light: &Light,
) -> Option<f32> {
    let known = from(cell)?;
    let (colour, edges) = parts(known, to, light);
    if edges <= 1.0 {
        return Some(colour.max(edges));
    }
    let (mut low, mut high) = ((known.gx, known.gy), (known.gx, known.gy));
    for other in grid.around(cell, 1).filter_map(from) {
        low = (low.0.min(other.gx), low.1.min(other.gy));
        high = (high.0.max(other.gx), high.1.max(other.gy));
    }
    let brighter = brightness(known, to);
    let nearest = ((to.gx / brighter).clamp(low.0, high.0), (to.gy / brighter).clamp(low.1, high.1));
    Some(colour.max(edge_difference(nearest, (to.gx, to.gy), brighter)))
}

fn parts(from: &Look, to: &Look, light: &Light) -> (f32, f32) {
    let brighter = brightness(from, to);
    // Both as they would be at the brightness between the two.
    let half = brighter.sqrt();
    let (u, v) = ((to.u - light.u) / half - from.u * half, (to.v - light.v) / half - from.v * half);
    let shade = (brighter.ln() - light.gain).abs() / BRIGHTNESS;
    ((u.hypot(v) / COLOUR).max(shade), edge_difference((from.gx, from.gy), (to.gx, to.gy), brighter))
}

fn brightness(from: &Look, to: &Look) -> f32 {
    ((to.y + DIM) / (from.y + DIM)).clamp(0.25, 4.0)
}

fn edge_difference(from: (f32, f32), to: (f32, f32), brighter: f32) -> f32 {
    let half = brighter.sqrt();
    let (from, to) = ((from.0 * half, from.1 * half), (to.0 / half, to.1 / half));
    let stronger = from.0.hypot(from.1).max(to.0.hypot(to.1));
    (to.0 - from.0).hypot(to.1 - from.1) / (EDGES + EDGES_PART * stronger)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RED: Look = Look { y: 100.0, u: -20.0, v: 40.0, gx: 6.0, gy: 4.0 };

    fn lit(look: &Look, gain: f32, u: f32) -> Look {
        Look { y: look.y * gain, u: look.u * gain + u, v: look.v * gain, gx: look.gx * gain, gy: look.gy * gain }
    }

    #[test]
    fn the_same_thing_in_another_light_is_the_same() {
        for gain in [0.7, 0.9, 1.3] {
            let wall = Look { y: 150.0, ..Look::default() };
            let pairs: Vec<(Look, Look)> = (0..20).map(|_| (wall, lit(&wall, gain, 3.0))).collect();
            let light = Light::between(pairs.iter().map(|(a, b)| (a, b))).unwrap();
            assert!(unlike(&RED, &lit(&RED, gain, 3.0), &light) < 1.0, "gain {gain}: {light:?}");
            assert!(unlike(&RED, &Look { u: -20.0, v: 15.0, ..lit(&RED, gain, 0.0) }, &light) > 1.0, "another colour");
            assert!(unlike(&RED, &Look { gx: 20.0, ..lit(&RED, gain, 3.0) }, &light) > 1.0, "another pattern");
        }
    }

    #[test]
    fn a_shadow_is_no_thing_but_a_black_thing_is_one() {
        let still = Light::default();
        assert!(unlike(&RED, &lit(&RED, 0.7, 0.0), &still) < 1.0);
        let black = Look { y: 15.0, ..Look::default() };
        let white = Look { y: 200.0, ..Look::default() };
        assert!(unlike(&white, &black, &still) > 1.0);
        assert!(Light::between([(&white, &black)].into_iter()).is_none(), "one cell does not tell light");
    }
}
