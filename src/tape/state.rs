//! What one entry of a tape is told against: the frame before, and what is usual.

use super::bits::{Bits, Torn, Usual};
use super::clues::ClueCoder;
use crate::clue::Clues;
use crate::detection::{Class, SCORE_STEPS};
use crate::geometry::{BBox, from_grid, to_grid};
use crate::ids::TrackId;
use crate::pipeline::Moment;
use crate::time::{MediaTime, Span, WallTime};
use crate::track::{MAX_BOXES, Track, TrackState};

/// Class names are never freed, so bytes that are no tape of ours must not bring as many as they like.
const MAX_CLASSES: usize = 256;

/// An empty place is looked at so often.
pub(super) const IDLE: Span = Span::from_millis(1000);

/// A track in whole numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Cell {
    id: u64,
    class: u32,
    state: u32,
    /// In [`SCORE_STEPS`].
    score: i64,
    /// Left edge, lower edge, width, height; in [`crate::geometry::GRID`].
    place: [i64; 4],
    born: i64,
    seen: i64,
}

/// No place is so far away.
const FAR: u64 = 1 << 32;

const TENTATIVE: u32 = 0;
const CONFIRMED: u32 = 1;
const LOST: u32 = 2;

#[derive(Debug, Clone, Copy, Default)]
struct Known {
    cell: Cell,
    /// Of each number of its place, per millisecond, times 65536.
    speed: [i64; 4],
    /// How far it was from where it was expected, the last time: 0, 1 or 2.
    unrest: usize,
}

/// Both sides of the tape keep one, and both change it in the same way.
#[derive(Debug, Default)]
pub(super) struct State {
    pub at: i64,
    /// From film time to the time of day.
    pub offset: i64,
    pub aspect: f32,
    known: Vec<Known>,
    classes: Vec<Class>,
    clues: ClueCoder,
    interval: i64,
    usual: Usuals,
}

#[derive(Debug, Default)]
struct Usuals {
    interval: Usual,
    odd_interval: Usual,
    offset: Usual,
    new: Usual,
    id: Usual,
    class: Usual,
    age: Usual,
    score: Usual,
    first: [Usual; 4],
    /// By unrest.
    place: [[Usual; 4]; 3],
    pub idle: Usual,
}

impl State {
    pub fn moment(&self) -> Moment {
        Moment {
            at: MediaTime::from_micros(self.at),
            taken: WallTime::from_micros(self.at.saturating_add(self.offset)),
            aspect: self.aspect,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether `moment` is what follows where nothing goes on.
    pub fn is_next_idle(&self, moment: Moment) -> bool {
        let after = self.at.checked_add(IDLE.micros());
        self.is_empty()
            && after == Some(moment.at.micros())
            && moment.taken - WallTime::EPOCH == Span::from_micros(moment.at.micros().saturating_add(self.offset))
            && moment.aspect.to_bits() == self.aspect.to_bits()
    }

    /// One look at an empty place.
    pub fn idle(&mut self) -> Moment {
        self.at = self.at.saturating_add(IDLE.micros());
        self.moment()
    }

    /// How many looks at an empty place follow each other.
    pub fn idle_run(&mut self, bits: &mut impl Bits, looks: u64) -> Result<u64, Torn> {
        self.usual.idle.number(bits, looks)
    }

    /// The tracker has forgotten everybody.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// One frame, in either direction: gives what was written or read.
    pub fn frame(
        &mut self,
        bits: &mut impl Bits,
        moment: Moment,
        tracks: &[Track],
        clues: &Clues,
    ) -> Result<(Moment, Vec<Track>, Clues), Torn> {
        let given = self.cells(tracks);
        let before = self.at;
        self.interval(bits, moment.at.micros())?;
        let offset = (moment.taken - WallTime::EPOCH).micros().saturating_sub(moment.at.micros());
        let keeps = |(known, cell): (&Known, &Cell)| known.cell.id == cell.id && self.is_plain(&known.cell, cell);
        let ordinary = bits.flag(
            offset == self.offset
                && moment.aspect.to_bits() == self.aspect.to_bits()
                && given.len() == self.known.len()
                && self.known.iter().zip(&given).all(keeps)
                && clues.is_empty(),
        )?;
        if !ordinary && bits.flag(offset != self.offset || moment.aspect.to_bits() != self.aspect.to_bits())? {
            let drift = micros(bits, &mut self.usual.offset, None, offset.wrapping_sub(self.offset))?;
            self.offset = self.offset.wrapping_add(drift);
            self.aspect = f32::from_bits(bits.bits(moment.aspect.to_bits(), 32)?);
        }
        let elapsed = (self.at.saturating_sub(before) / 1000).clamp(1, 2000);
        let mut next = given.iter().peekable();
        let mut now = Vec::with_capacity(self.known.len());
        for mut known in std::mem::take(&mut self.known) {
            let cell = next.next_if(|cell| cell.id == known.cell.id);
            if ordinary || bits.flag(cell.is_some())? {
                self.go_on(bits, &mut known, cell.unwrap_or(&Cell::default()), elapsed, ordinary)?;
                now.push(known);
            }
        }
        let news = if ordinary { 0 } else { self.usual.new.number(bits, next.len() as u64)? };
        if now.len() as u64 + news > MAX_BOXES as u64 {
            return Err(Torn);
        }
        for _ in 0..news {
            let newest = now.last().map_or(0, |known: &Known| known.cell.id);
            let cell = self.begin(bits, newest, next.next().unwrap_or(&Cell::default()))?;
            now.push(Known { cell, ..Known::default() });
        }
        self.known = now;
        let clues = if ordinary { Clues::default() } else { self.clues.code(bits, clues)? };
        let tracks = self.known.iter().map(|known| self.track(&known.cell)).collect::<Result<_, Torn>>()?;
        Ok((self.moment(), tracks, clues))
    }

    fn interval(&mut self, bits: &mut impl Bits, at: i64) -> Result<(), Torn> {
        let usual = self.interval - self.interval % 1000;
        let expected = self.at.wrapping_add(usual);
        let odd = Some(&mut self.usual.odd_interval);
        let late = micros(bits, &mut self.usual.interval, odd, at.wrapping_sub(expected))?;
        let before = std::mem::replace(&mut self.at, expected.wrapping_add(late));
        let interval = self.at.saturating_sub(before).clamp(0, 2_000_000);
        self.interval += (interval - self.interval) / 8;
        Ok(())
    }

    /// A track that was there in the frame before.
    fn go_on(
        &mut self,
        bits: &mut impl Bits,
        known: &mut Known,
        given: &Cell,
        elapsed: i64,
        ordinary: bool,
    ) -> Result<(), Torn> {
        let old = known.cell;
        let mut cell = Cell { seen: if old.state == LOST { old.seen } else { self.at }, ..old };
        if !ordinary && !bits.flag(self.is_plain(&old, given))? {
            cell.state = bits.bits(given.state, 2)?;
            cell.seen = if cell.state == LOST { old.seen } else { self.at };
            if bits.flag((given.class, given.born, given.seen) != (old.class, old.born, cell.seen))? {
                cell.class = self.class(bits, given.class)?;
                cell.born = bits.long(given.born as u64)? as i64;
                cell.seen = bits.long(given.seen as u64)? as i64;
            }
        }
        if bits.flag(given.score != old.score)? {
            cell.score = old.score + self.usual.score.signed(bits, given.score - old.score)?.clamp(-64, 64);
        }
        let expected: [i64; 4] = std::array::from_fn(|i| old.place[i] + ((known.speed[i] * elapsed + 32_768) >> 16));
        cell.place = expected;
        let surprise = bits.flag(given.place != expected)?;
        if surprise {
            let usual = &mut self.usual.place[known.unrest];
            for i in 0..4 {
                let off = usual[i].signed(bits, given.place[i].wrapping_sub(expected[i]))?;
                cell.place[i] = expected[i].wrapping_add(off);
            }
        }
        if cell.place.iter().any(|p| p.unsigned_abs() >= FAR) {
            return Err(Torn);
        }
        let far = cell.place.iter().zip(expected).map(|(is, was)| (is - was).abs()).max().unwrap_or(0);
        known.unrest = if far <= 2 { 0 } else { 1 + usize::from(far > 8) };
        for i in 0..4 {
            let speed = ((cell.place[i] - old.place[i]) << 16) / elapsed;
            known.speed[i] += (speed - known.speed[i]) / 2;
        }
        known.cell = cell;
        Ok(())
    }

    /// A track that is new; ids go up.
    fn begin(&mut self, bits: &mut impl Bits, newest: u64, given: &Cell) -> Result<Cell, Torn> {
        let usual = &mut self.usual;
        let id = newest.wrapping_add(usual.id.number(bits, given.id.wrapping_sub(newest))?);
        let class = self.class(bits, given.class)?;
        let usual = &mut self.usual;
        let state = bits.bits(given.state, 2)?;
        let score = usual.score.signed(bits, given.score)?.clamp(0, 64);
        let mut place = given.place;
        for (usual, edge) in usual.first.iter_mut().zip(&mut place) {
            *edge = usual.signed(bits, *edge)?;
        }
        if place.iter().any(|p| p.unsigned_abs() >= FAR) {
            return Err(Torn);
        }
        let seen = self.at.wrapping_sub(micros(bits, &mut usual.age, None, self.at.wrapping_sub(given.seen))?);
        let born = seen.wrapping_sub(micros(bits, &mut usual.age, None, seen.wrapping_sub(given.born))?);
        Ok(Cell { id, class, state, score, place, born, seen })
    }

    fn class(&mut self, bits: &mut impl Bits, class: u32) -> Result<u32, Torn> {
        let index = self.usual.class.number(bits, u64::from(class))?;
        u32::try_from(index).map_err(|_| Torn)
    }

    /// Whether all but place and score of `now` follows from `before`.
    fn is_plain(&self, before: &Cell, now: &Cell) -> bool {
        let seen = if before.state == LOST { before.seen } else { self.at };
        (now.class, now.state, now.born, now.seen) == (before.class, before.state, before.born, seen)
    }

    /// By id, each once.
    fn cells(&self, tracks: &[Track]) -> Vec<Cell> {
        let mut cells: Vec<Cell> = tracks.iter().map(|track| self.cell(track)).collect();
        if !cells.is_sorted_by(|a, b| a.id < b.id) {
            cells.sort_by_key(|cell| cell.id);
            cells.dedup_by_key(|cell| cell.id);
        }
        cells.truncate(MAX_BOXES);
        cells
    }

    fn cell(&self, track: &Track) -> Cell {
        let class = self.classes.iter().position(|known| *known == track.class);
        let [x1, y1, x2, y2] = track.bbox.to_array().map(|v| i64::from(to_grid(v)));
        Cell {
            id: track.id.0,
            class: class.unwrap_or(0) as u32,
            state: match track.state {
                TrackState::Tentative => TENTATIVE,
                TrackState::Confirmed => CONFIRMED,
                TrackState::Lost => LOST,
            },
            score: (track.score * SCORE_STEPS).round() as i64,
            place: [x1, y2, x2 - x1, y2 - y1],
            born: track.born.micros(),
            seen: track.seen.micros(),
        }
    }

    fn track(&self, cell: &Cell) -> Result<Track, Torn> {
        let [x1, y2, width, height] = cell.place;
        let step = |v: i64| i32::try_from(v).map(from_grid).map_err(|_| Torn);
        Ok(Track {
            id: TrackId(cell.id),
            class: *self.classes.get(cell.class as usize).ok_or(Torn)?,
            score: cell.score as f32 / SCORE_STEPS,
            bbox: BBox::new(step(x1)?, step(y2 - height)?, step(x1 + width)?, step(y2)?),
            born: MediaTime::from_micros(cell.born),
            seen: MediaTime::from_micros(cell.seen),
            state: match cell.state {
                TENTATIVE => TrackState::Tentative,
                CONFIRMED => TrackState::Confirmed,
                LOST => TrackState::Lost,
                _ => return Err(Torn),
            },
        })
    }

    /// Classes of these tracks that have no number yet get one, which the tape must say before the frame.
    pub fn unnamed(&mut self, tracks: &[Track]) -> Vec<Class> {
        let mut new = Vec::new();
        for track in tracks {
            if !self.classes.contains(&track.class) && self.classes.len() < MAX_CLASSES {
                self.classes.push(track.class);
                new.push(track.class);
            }
        }
        new
    }

    /// Reads the name of a class.
    pub fn name(&mut self, name: &str) -> Result<(), Torn> {
        if self.classes.len() >= MAX_CLASSES {
            return Err(Torn);
        }
        self.classes.push(Class::named(name));
        Ok(())
    }
}

/// Times are whole milliseconds where nothing is odd.
fn micros(bits: &mut impl Bits, usual: &mut Usual, odd: Option<&mut Usual>, value: i64) -> Result<i64, Torn> {
    if bits.flag(value % 1000 == 0)? {
        return Ok(usual.signed(bits, value / 1000)?.wrapping_mul(1000));
    }
    odd.unwrap_or(&mut Usual::default()).signed(bits, value)
}
