//! Where the edges of a picture run, in a form that light does not change much.
//!
//! The gradient `(gx, gy)` of each pixel is turned to twice its angle and compressed: `v = (gx² - gy², 2 gx gy) / |g| /
//! (|g| + K)`. Twice the angle makes an edge from dark to light the same as one from light to dark, as infrared has it;
//! the compression makes a strong edge count about the same in half the light; and since noise has gradients of every
//! direction, means of `v` over time keep what stands still and lose noise and passers-by. Correlated cell by cell, the
//! present edges tell whether the camera still sees what it used to see.
//! (Double angles: Granlund 1978, "In search of a general picture processing operator".)

use super::grey::Grey;

/// Gradients of so many levels of grey count half.
const K: f32 = 6.0;
/// An edge of the reference is firm from here on (|v| is below 1).
const FIRM: f32 = 0.25;
/// Columns and rows of cells.
const CELLS: (usize, usize) = (8, 6);
/// A cell is judged where so many of its pixels, in parts of 256, are firm.
const FIRM_PER_CELL: usize = 8;
/// At least so many cells must be fit to be judged.
const CELLS_NEEDED: usize = 8;
/// Pixels that are no further away than this show blur.
const FAR: usize = 4;
/// A cell where now and then correlate by less is another view.
const LIKE: f32 = 0.25;
/// Sharpness is told by the cells that are not lost where these are one in so many.
const LEFT_OVER: usize = 6;
/// Shifts are looked for up to this part of the width and height.
const REACH: f32 = 0.3;

/// Not `hypot`, whose last bit differs between C libraries.
fn length(v: [f32; 2]) -> f32 {
    (v[0] * v[0] + v[1] * v[1]).sqrt()
}

/// `v` of every pixel; the frame's border has none.
#[derive(Debug, Clone)]
pub struct Edges {
    pub width: usize,
    pub height: usize,
    v: Vec<[f32; 2]>,
    /// How sharp the pixel's edge is: the step to its neighbours against the step over [`FAR`] pixels. `None` where
    /// there is no step to speak of.
    near: Vec<f32>,
    far: Vec<f32>,
}

/// The present against the past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Likeness {
    /// Part of the judged cells that lately show something else than they used to, 0..1.
    pub lost: f32,
    /// The same of this one picture.
    pub lost_now: f32,
    /// Edges of this picture against those of the reference, where these are firm; 1: as many.
    pub kept: f32,
    /// Edges of the whole newest mean against those of the whole reference: what stands still now.
    pub still: f32,
    /// Sharpness against what it used to be, the middle one of the cells that are not lost; 1: as sharp. Where hardly a
    /// cell is left, the middle one of all.
    pub sharp: f32,
}

impl Edges {
    pub fn of(grey: &Grey) -> Self {
        let (w, h) = (grey.width, grey.height);
        let p = |x: usize, y: usize| f32::from(grey.pixels[y * w + x]);
        let mut edges =
            Edges { width: w, height: h, v: vec![[0.0; 2]; w * h], near: vec![0.0; w * h], far: vec![0.0; w * h] };
        for y in 1..h.saturating_sub(1) {
            for x in 1..w.saturating_sub(1) {
                let (gx, gy) = (p(x + 1, y) - p(x - 1, y), p(x, y + 1) - p(x, y - 1));
                let g = length([gx, gy]);
                if g > 0.0 {
                    let scale = 1.0 / (g * (g + K));
                    edges.v[y * w + x] = [(gx * gx - gy * gy) * scale, 2.0 * gx * gy * scale];
                }
                if x >= FAR && x + FAR < w && y >= FAR && y + FAR < h {
                    let far = length([p(x + FAR, y) - p(x - FAR, y), p(x, y + FAR) - p(x, y - FAR)]);
                    edges.near[y * w + x] = g;
                    edges.far[y * w + x] = far;
                }
            }
        }
        edges
    }

    /// Moves towards `newest` by that part of the way.
    pub fn blend(&mut self, newest: &Edges, part: f32) {
        for (mine, new) in self.v.iter_mut().zip(&newest.v) {
            mine[0] += (new[0] - mine[0]) * part;
            mine[1] += (new[1] - mine[1]) * part;
        }
        let follow = |mine: &mut [f32], new: &[f32]| {
            mine.iter_mut().zip(new).for_each(|(mine, new)| *mine += (new - *mine) * part);
        };
        follow(&mut self.near, &newest.near);
        follow(&mut self.far, &newest.far);
    }

    fn strength(&self) -> f32 {
        self.v.iter().map(|v| length(*v)).sum()
    }

    /// How `now` (one picture) and `lately` (the mean of the last ones) are like this reference. `None` where the
    /// reference has too few edges to tell.
    pub fn likeness(&self, now: &Edges, lately: &Edges) -> Option<Likeness> {
        let (mut judged, mut lost, mut lost_now) = (0, 0, 0);
        let (mut was, mut is) = (0.0, 0.0);
        let mut sharpness = [Vec::new(), Vec::new()];
        for cell in 0..CELLS.0 * CELLS.1 {
            let (column, row) = (cell % CELLS.0, cell / CELLS.0);
            let xs = column * self.width / CELLS.0..(column + 1) * self.width / CELLS.0;
            let ys = row * self.height / CELLS.1..(row + 1) * self.height / CELLS.1;
            let (mut firm, mut area) = (0, 0);
            let mut then2 = 0.0f32;
            // Of lately and of now: the product with the reference, and their own square.
            let (mut both, mut own2) = ([0.0f32; 2], [0.0f32; 2]);
            let (mut was_here, mut is_here) = (0.0, 0.0);
            let mut blur = [0.0f32; 4];
            for y in ys {
                for at in y * self.width + xs.start..y * self.width + xs.end {
                    area += 1;
                    let r = self.v[at];
                    then2 += r[0] * r[0] + r[1] * r[1];
                    for (i, s) in [lately.v[at], now.v[at]].into_iter().enumerate() {
                        both[i] += r[0] * s[0] + r[1] * s[1];
                        own2[i] += s[0] * s[0] + s[1] * s[1];
                    }
                    let strength = length(r);
                    if strength < FIRM {
                        continue;
                    }
                    firm += 1;
                    was_here += strength;
                    is_here += length(now.v[at]);
                    blur[0] += self.near[at];
                    blur[1] += self.far[at];
                    blur[2] += lately.near[at];
                    blur[3] += lately.far[at];
                }
            }
            if firm * 256 < FIRM_PER_CELL * area || area == 0 {
                continue;
            }
            judged += 1;
            was += was_here;
            is += is_here;
            let [is_lost, is_lost_now] = [0, 1].map(|i| own2[i] == 0.0 || both[i] < LIKE * (then2 * own2[i]).sqrt());
            lost += usize::from(is_lost);
            lost_now += usize::from(is_lost_now);
            if blur[1] > 0.0 && blur[3] > 0.0 && blur[0] > 0.0 {
                sharpness[usize::from(is_lost)].push(blur[2] / blur[3] / (blur[0] / blur[1]));
            }
        }
        if judged < CELLS_NEEDED {
            return None;
        }
        let [mut sharpness, of_lost] = sharpness;
        if sharpness.len() * LEFT_OVER < judged {
            sharpness.extend(of_lost);
        }
        sharpness.sort_unstable_by(f32::total_cmp);
        Some(Likeness {
            lost: lost as f32 / judged as f32,
            lost_now: lost_now as f32 / judged as f32,
            kept: is / was,
            still: lately.strength() / self.strength(),
            sharp: sharpness.get(sharpness.len() / 2).copied().unwrap_or(1.0),
        })
    }
}

/// Where the reference is found in the present picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    /// Fractions of the frame, to the right and down.
    pub dx: f32,
    pub dy: f32,
    /// Correlation there and in place, -1..1.
    pub there: f32,
    pub in_place: f32,
}

impl Edges {
    /// Looks for this reference in `lately`, coarse to fine.
    pub fn shift_to(&self, lately: &Edges) -> Shift {
        let halves = [self.halved(), lately.halved()];
        let quarters = [halves[0].halved(), halves[1].halved()];
        let [w, h] = [quarters[0].width as i32, quarters[0].height as i32];
        let reach = |size: i32| (size as f32 * REACH) as i32;
        let mut best = (f32::MIN, 0, 0);
        for dy in -reach(h)..=reach(h) {
            for dx in -reach(w)..=reach(w) {
                let found = quarters[0].correlation(&quarters[1], dx, dy);
                if found > best.0 {
                    best = (found, dx, dy);
                }
            }
        }
        let (_, dx, dy) = best;
        let mut best = (f32::MIN, 0, 0);
        for y in 2 * dy - 2..=2 * dy + 2 {
            for x in 2 * dx - 2..=2 * dx + 2 {
                let found = halves[0].correlation(&halves[1], x, y);
                if found > best.0 {
                    best = (found, x, y);
                }
            }
        }
        Shift {
            dx: best.1 as f32 / halves[0].width.max(1) as f32,
            dy: best.2 as f32 / halves[0].height.max(1) as f32,
            there: best.0,
            in_place: halves[0].correlation(&halves[1], 0, 0),
        }
    }

    /// Every pixel the mean of four. Sharpness is left out.
    fn halved(&self) -> Edges {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut v = Vec::with_capacity(width * height);
        for y in 0..height {
            for x in 0..width {
                let at = 2 * y * self.width + 2 * x;
                let four = [at, at + 1, at + self.width, at + self.width + 1].map(|at| self.v[at]);
                v.push([0, 1].map(|i| four.iter().map(|v| v[i]).sum::<f32>() / 4.0));
            }
        }
        Edges { width, height, v, near: Vec::new(), far: Vec::new() }
    }

    /// Of what of this lies, moved by `dx` and `dy` pixels, in `other`, which is of the same size.
    fn correlation(&self, other: &Edges, dx: i32, dy: i32) -> f32 {
        let range = |d: i32, size: usize| (-d).max(0) as usize..(size as i32 - d.max(0)).max(0) as usize;
        let (mut both, mut mine2, mut its2) = (0.0f32, 0.0f32, 0.0f32);
        for y in range(dy, self.height) {
            let mine = &self.v[y * self.width..][range(dx, self.width)];
            let its = &other.v[(y as i32 + dy) as usize * self.width..][range(-dx, self.width)];
            for (a, b) in mine.iter().zip(its) {
                both += a[0] * b[0] + a[1] * b[1];
                mine2 += a[0] * a[0] + a[1] * a[1];
                its2 += b[0] * b[0] + b[1] * b[1];
            }
        }
        let scale = (mine2 * its2).sqrt();
        if scale > 0.0 { both / scale } else { 0.0 }
    }
}
