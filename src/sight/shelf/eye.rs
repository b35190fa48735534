//! One zone: what each of its cells is known to look like, and which of them have changed for good.

use super::REST_S;
use super::cells::{Grid, Look};
use super::light::{Light, unlike, unlike_nearby};
use super::touch::{Touches, blobs};
use super::turn::{Changed, turn};
use crate::clue::ShelfChange;
use crate::frame::Picture;
use crate::geometry::{BBox, Polygon};
use crate::time::Span;
use anyhow::Result;

/// So many cells are goods; fewer are compression, or a lens that breathes.
const LEAST: usize = 8;
/// After somebody stood before a cell it rests for so much longer: a person may be missed for a moment.
const AFTER_BODY_S: f32 = 1.0;
/// What reaches in from outside of the zone may be an arm that holds still: it rests for so long.
const FROM_OUTSIDE_S: f32 = 2.5;
/// More unrest than in so many cells beside a changed place means that it is not all to be seen yet ...
const RESTLESS: usize = 3;
/// ... which delays its judgement for so long at most.
const PATIENCE_S: f32 = 10.0;
/// More of the zone than this moves at once: light, or the camera.
const FLASH: f32 = 0.6;
/// After that it is looked at for so long, and if this part of it has changed, it is learned anew.
const DOUBT_S: f32 = 3.0;
const ANOTHER_LIGHT: f32 = 0.4;
/// The known look follows what looks like it in so many seconds, and what is too little to be goods.
const FOLLOW_S: f32 = 60.0;
const ABSORB_S: f32 = 20.0;
/// How fast a cell's unrest is learned: a screen or a fan moves all the time.
const NOISE_S: f32 = 20.0;
const NOISES: f32 = 4.0;
/// Of the mean of several looks, which is calmer.
const MEAN_NOISES: f32 = 2.0;
/// Looks that a resting cell is the mean of.
const LOOKS: f32 = 8.0;

/// A [`crate::clue::ShelfSight`] without its zone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub what: ShelfChange,
    pub cells: u32,
    pub of: u32,
    pub bbox: BBox,
    pub shown: Span,
    pub hidden: Span,
}

#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    /// How it looks; `None` until it has rested for the first time.
    known: Option<Look>,
    /// How it looked when something had just been taken from it.
    empty: Option<Look>,
    last: Look,
    /// Mean since it came to rest.
    rest: Look,
    /// How much it moves at all times, in units of what counts as moving.
    noise: f32,
    /// How long it has been at rest; negative where it must rest longer.
    still_s: f32,
    /// Since it was last seen at rest and as it is known.
    hidden_s: f32,
    /// Whether anything moved there since then.
    stirred: bool,
    /// It is at rest and looks different.
    differs: bool,
}

/// What the light did from one look to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Step {
    None,
    /// It was switched.
    Light,
    /// So much has changed that nothing is known any more.
    All,
}

#[derive(Debug)]
pub(super) struct Eye {
    area: Polygon,
    grid: Option<Grid>,
    cells: Vec<Cell>,
    touches: Touches,
    /// Of the known looks against the present ones.
    light: Light,
    /// For so long it is unclear whether everything has changed.
    doubt_s: f32,
}

impl Eye {
    pub fn new(area: Polygon) -> Self {
        Eye {
            area,
            grid: None,
            cells: Vec::new(),
            touches: Touches::default(),
            light: Light::default(),
            doubt_s: DOUBT_S,
        }
    }

    pub fn area(&self) -> &Polygon {
        &self.area
    }

    /// What has become certain with this look, `since_last` after the one before; `None` where it is not known what
    /// was in between. `people` are boxes, fractions of the frame.
    pub fn look(&mut self, picture: &Picture, people: &[BBox], since_last: Option<Span>) -> Result<Vec<Told>> {
        if self.grid.as_ref().is_none_or(|grid| !grid.is_for(picture.size())) {
            self.grid = Grid::new(&self.area, picture.size());
            self.cells = vec![Cell::default(); self.grid.as_ref().map_or(0, Grid::len)];
            self.touches.clear();
            self.doubt_s = DOUBT_S;
        }
        let Some(grid) = self.grid.take() else { return Ok(Vec::new()) };
        let looks = grid.look(picture);
        let told = looks.map(|looks| match since_last {
            Some(since) => self.judge(&grid, &looks, people, since.secs_f64() as f32),
            None => {
                self.begin(&looks);
                Vec::new()
            }
        });
        self.grid = Some(grid);
        told
    }

    /// The first look after a pause: nothing is at rest yet.
    fn begin(&mut self, looks: &[Look]) {
        for (cell, look) in self.cells.iter_mut().zip(looks) {
            (cell.last, cell.still_s, cell.stirred, cell.differs) = (*look, 0.0, true, false);
        }
        self.touches.clear();
        self.doubt_s = DOUBT_S;
    }

    fn judge(&mut self, grid: &Grid, looks: &[Look], people: &[BBox], dt: f32) -> Vec<Told> {
        let body: Vec<bool> = (0..grid.len()).map(|cell| is_before(people, &grid.cell_box(cell))).collect();
        let (stirs, light) = self.stirring(looks, &body, dt);
        let flash = light == Step::All;
        if flash {
            self.doubt_s = DOUBT_S;
            self.touches.clear();
        }
        let mut told = Vec::new();
        let cores = bodies(people, grid.aspect());
        let core: Vec<bool> = (0..grid.len()).map(|cell| is_before(&cores, &grid.cell_box(cell))).collect();
        let hands: Vec<bool> = stirs.iter().map(|stirs| *stirs && light == Step::None).collect();
        for touch in self.touches.look(grid, &hands, &core, dt) {
            told.push(tell(grid, ShelfChange::Touched, &touch.cells, touch.ago, touch.lasted));
        }
        self.rest(looks, &stirs, &body, light, dt);
        self.compare(grid, dt);
        if self.doubt_s > 0.0 {
            self.doubt_s -= dt;
            if self.doubt_s <= 0.0 {
                self.learn_anew_if_all_is_different();
            }
            return told;
        }
        told.extend(self.conclude(grid));
        told
    }

    /// Which cells have moved since the last look, and whether it may have been light.
    fn stirring(&mut self, looks: &[Look], body: &[bool], dt: f32) -> (Vec<bool>, Step) {
        let open = || self.cells.iter().zip(looks).zip(body).filter(|(_, body)| !**body);
        let step = Light::between(open().map(|((cell, look), _)| (&cell.last, look))).unwrap_or_default();
        let mut stirs = vec![false; looks.len()];
        let (mut visible, mut moving) = (0u32, 0u32);
        let part = 1.0 - (-dt / NOISE_S).exp();
        for (((cell, look), &body), stirs) in self.cells.iter_mut().zip(looks).zip(body).zip(&mut stirs) {
            let change = unlike(&cell.last, look, &step);
            *stirs = change > (NOISES * cell.noise).max(1.0);
            cell.last = *look;
            if !body {
                cell.noise += (change.min(3.0) - cell.noise) * part;
                visible += 1;
                moving += u32::from(*stirs);
            }
        }
        let light = match step.is_switched() {
            _ if visible > 0 && moving as f32 > FLASH * visible as f32 => Step::All,
            true => Step::Light,
            false => Step::None,
        };
        (stirs, light)
    }

    fn rest(&mut self, looks: &[Look], stirs: &[bool], body: &[bool], light: Step, dt: f32) {
        for (((cell, look), &stirs), &body) in self.cells.iter_mut().zip(looks).zip(stirs).zip(body) {
            cell.hidden_s += dt;
            if stirs || body {
                cell.still_s = if body { -AFTER_BODY_S } else { cell.still_s.min(0.0) };
                // What light alone has changed is no goods.
                cell.stirred |= body || light != Step::Light;
                cell.rest = *look;
                continue;
            }
            cell.still_s += dt;
            let looks_so_far = (cell.still_s.max(0.0) / dt).clamp(1.0, LOOKS);
            cell.rest.follow(look, 1.0 / looks_so_far);
        }
    }

    /// Tells for each cell whether it differs; what does not follows.
    fn compare(&mut self, grid: &Grid, dt: f32) {
        let resting = self.cells.iter().filter(|cell| cell.still_s >= REST_S);
        let pairs = resting.filter_map(|cell| Some((cell.known.as_ref()?, &cell.rest)));
        if let Some(light) = Light::between(pairs) {
            self.light = light;
        }
        let known: Vec<Option<Look>> = self.cells.iter().map(|cell| cell.known).collect();
        let (follow, absorb) = (1.0 - (-dt / FOLLOW_S).exp(), 1.0 - (-dt / ABSORB_S).exp());
        for (i, cell) in self.cells.iter_mut().enumerate() {
            cell.differs = false;
            if cell.still_s < REST_S {
                continue;
            }
            let Some(old) = cell.known.as_mut() else {
                (cell.known, cell.hidden_s, cell.stirred) = (Some(cell.rest), 0.0, false);
                continue;
            };
            let change = unlike_nearby(grid, |n| known[n].as_ref(), i, &cell.rest, &self.light).unwrap_or(0.0);
            let rest = cell.rest;
            if change > (MEAN_NOISES * cell.noise).max(1.0) {
                cell.differs = true;
                // Crept in without anything having moved, which is light, or has been too little for too long.
                if !cell.stirred || cell.still_s > PATIENCE_S {
                    old.follow(&rest, absorb);
                }
            } else {
                old.follow(&rest, follow);
                (cell.hidden_s, cell.stirred) = (0.0, false);
            }
        }
    }

    fn learn_anew_if_all_is_different(&mut self) {
        let resting = self.cells.iter().filter(|cell| cell.still_s >= REST_S);
        let (n, different) = resting.fold((0u32, 0u32), |(n, d), cell| (n + 1, d + u32::from(cell.differs)));
        if different as f32 <= ANOTHER_LIGHT * n as f32 {
            return;
        }
        for cell in &mut self.cells {
            let at_rest = cell.still_s >= REST_S;
            cell.known = at_rest.then_some(cell.rest);
            (cell.empty, cell.differs, cell.stirred, cell.hidden_s) = (None, false, false, 0.0);
        }
        self.light = Light::default();
    }

    /// The places that have changed, rest, and have nothing moving beside them.
    fn conclude(&mut self, grid: &Grid) -> Vec<Told> {
        let mut told = Vec::new();
        for place in blobs(grid, 2, |cell| self.cells[cell].differs && self.cells[cell].stirred) {
            if place.len() < LEAST || !self.is_at_rest(grid, &place) {
                continue;
            }
            told.push(self.accept(grid, &place));
        }
        told
    }

    fn is_at_rest(&self, grid: &Grid, place: &[usize]) -> bool {
        let cells = || place.iter().map(|&cell| &self.cells[cell]);
        let longest = cells().map(|cell| cell.still_s).fold(0.0, f32::max);
        let shortest = cells().map(|cell| cell.still_s).fold(f32::MAX, f32::min);
        if longest >= PATIENCE_S {
            return true;
        }
        let at_border = place.iter().filter(|&&cell| grid.is_border(cell)).count();
        if at_border >= 2 && shortest < FROM_OUTSIDE_S {
            return false;
        }
        let is_restless = |cell: &usize| self.cells[*cell].still_s < REST_S;
        let mut beside: Vec<usize> = place.iter().flat_map(|&cell| grid.around(cell, 3)).filter(is_restless).collect();
        beside.sort_unstable();
        beside.dedup();
        beside.len() <= RESTLESS
    }

    /// Says what happened to a place; what is seen there is known from now on.
    fn accept(&mut self, grid: &Grid, place: &[usize]) -> Told {
        let changed: Vec<Changed> = place
            .iter()
            .filter_map(|&cell| {
                let Cell { known, empty, rest, .. } = self.cells[cell];
                Some(Changed { cell, old: known?, new: rest, empty })
            })
            .collect();
        let mut beside: Vec<usize> = place.iter().flat_map(|&cell| grid.around(cell, 3)).collect();
        beside.sort_unstable();
        beside.dedup();
        beside.retain(|cell| place.binary_search(cell).is_err());
        let far = |cell: &&usize| !grid.around(**cell, 1).any(|near| place.binary_search(&near).is_ok());
        let around: Vec<Look> = beside.iter().filter(far).filter_map(|&cell| self.cells[cell].known).collect();
        let what = turn(grid, &changed, &around);
        let shown = place.iter().map(|&cell| self.cells[cell].still_s).fold(f32::MAX, f32::min);
        let mut hidden: Vec<f32> = place.iter().map(|&cell| self.cells[cell].hidden_s).collect();
        let middle = hidden.len() / 2;
        let hidden = (*hidden.select_nth_unstable_by(middle, f32::total_cmp).1 - shown).max(0.0);
        // The outline of a thing reaches into cells beside it that do not differ by enough.
        beside.retain(|&cell| self.cells[cell].still_s >= REST_S && self.cells[cell].differs);
        for &cell in place.iter().chain(&beside) {
            let cell = &mut self.cells[cell];
            match what {
                ShelfChange::Gone => cell.empty = Some(cell.rest),
                ShelfChange::There => cell.empty = cell.known,
                ShelfChange::Touched | ShelfChange::Altered => {}
            }
            (cell.known, cell.hidden_s, cell.stirred, cell.differs) = (Some(cell.rest), 0.0, false, false);
        }
        let span = |s: f32| Span::from_secs_f64(f64::from(s));
        tell(grid, what, place, span(shown), span(hidden))
    }
}

fn tell(grid: &Grid, what: ShelfChange, cells: &[usize], shown: Span, hidden: Span) -> Told {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Told { what, cells: count(cells.len()), of: count(grid.len()), bbox: grid.bbox(cells), shown, hidden }
}

fn is_before(people: &[BBox], cell: &BBox) -> bool {
    people.iter().any(|person| person.intersection(cell) > 0.0)
}

/// Where people's bodies are. A box that is wider than anybody stands has an arm in it, at one side or the other.
fn bodies(people: &[BBox], aspect: f32) -> Vec<BBox> {
    const SLIM: f32 = 0.5;
    let body = |person: &BBox| {
        let stretched = person.width() * aspect > SLIM * person.height();
        // Boxes tremble.
        let inset = person.width() * if stretched { 0.25 } else { -0.1 };
        BBox::new(person.x1 + inset, person.y1, person.x2 - inset, person.y2)
    };
    people.iter().map(body).collect()
}
