//! What is counted, as numbers. The frame is cut into 16 by 9 cells for where somebody stands or walks, in 8 by 5 blocks
//! for which way and how fast, and in 4 by 3 areas for how long; zones have their own length of stay.
//!
//! Free on purpose: keys from 4000 on, for postures.

use crate::geometry::Point;

const COLUMNS: usize = 16;
const ROWS: usize = 9;
pub(super) const CELLS: usize = COLUMNS * ROWS;

/// Tracks, each once.
pub(super) const TRACKS: u16 = 0;
/// Hours in which the camera saw.
pub(super) const WATCHED: u16 = 1;
const STAND: u16 = 16;
const WALK: u16 = STAND + CELLS as u16;
const WAY: u16 = WALK + CELLS as u16;
const PACE: u16 = WAY + 40 * 8;
const STAY: u16 = 1200;
/// Zones beyond have no length of stay of their own.
pub(super) const ZONES: usize = 64;
const AREAS: usize = 12;
const END: u16 = STAY + ((AREAS + ZONES) * STAYS) as u16;

/// Lengths of stay: the lower edges are 4, 6, 8, 12, 16, ... seconds.
pub(super) const STAYS: usize = 22;
/// Lower edges in body heights a second; below the first one stands.
pub(super) const PACES: [f32; 9] = [0.2, 0.4, 0.6, 0.9, 1.3, 1.9, 2.7, 3.8, 5.4];

/// Where a foot point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cell {
    x: u8,
    y: u8,
}

/// Where a stay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spot {
    Area(u8),
    Zone(u8),
}

impl Cell {
    pub fn of(foot: Point) -> Self {
        // A foot point may lie outside of the frame; a cast of what is no number is 0.
        let index = |v: f32, n: usize| ((v * n as f32) as i64).clamp(0, n as i64 - 1) as u8;
        Cell { x: index(foot.x, COLUMNS), y: index(foot.y, ROWS) }
    }
    fn index(self) -> u16 {
        u16::from(self.y) * COLUMNS as u16 + u16::from(self.x)
    }
    pub fn stands(self) -> u16 {
        STAND + self.index()
    }
    pub fn walks(self) -> u16 {
        WALK + self.index()
    }
    fn block(self) -> u16 {
        u16::from(self.y / 2) * 8 + u16::from(self.x / 2)
    }
    /// `way` is an eighth of the circle, 0 to the right, 2 downwards.
    pub fn goes(self, way: u8) -> u16 {
        WAY + self.block() * 8 + u16::from(way % 8)
    }
    pub fn pace(self, pace: usize) -> u16 {
        PACE + self.block() * PACES.len() as u16 + pace.min(PACES.len() - 1) as u16
    }
    pub fn area(self) -> Spot {
        Spot::Area((self.y / 3).min(2) * 4 + self.x / 4)
    }
    /// The cell and its neighbours with their weights, which sum up to one: a cell at the border lends nothing outwards.
    pub fn around(self) -> impl Iterator<Item = (Cell, f64)> {
        let near = |v: u8, n: usize| {
            let steps = [(-1i16, 0.25), (0, 0.5), (1, 0.25)];
            steps.map(|(step, weight)| ((i16::from(v) + step).clamp(0, n as i16 - 1) as u8, weight))
        };
        let (xs, ys) = (near(self.x, COLUMNS), near(self.y, ROWS));
        ys.into_iter().flat_map(move |(y, by)| xs.into_iter().map(move |(x, wx)| (Cell { x, y }, wx * by)))
    }
}

impl Spot {
    pub fn stay(self, length: usize) -> u16 {
        let spot = match self {
            Spot::Area(area) => usize::from(area),
            Spot::Zone(zone) => AREAS + usize::from(zone),
        };
        STAY + (spot * STAYS + length.min(STAYS - 1)) as u16
    }
}

/// The zone that a key is about, and the same key of another zone.
pub(super) fn zone_of(key: u16) -> Option<(usize, usize)> {
    let first = STAY + (AREAS * STAYS) as u16;
    (first..END).contains(&key).then(|| (usize::from(key - first) / STAYS, usize::from(key - first) % STAYS))
}

/// The bin of a stay, if it is long enough to be one.
pub(super) fn length(seconds: f64) -> Option<usize> {
    (0..STAYS).rev().find(|bin| seconds >= edge(*bin))
}

/// Its lower edge in seconds.
pub(super) fn edge(bin: usize) -> f64 {
    let whole = (1u64 << (bin / 2)) as f64;
    if bin.is_multiple_of(2) { 4.0 * whole } else { 6.0 * whole }
}

pub(super) fn pace(heights_per_second: f32) -> Option<usize> {
    PACES.iter().rposition(|edge| heights_per_second >= *edge)
}

/// The eighth of the circle a step goes to; x and y in the same unit.
pub(super) fn way(dx: f32, dy: f32) -> u8 {
    // tan of an eighth of a right angle's half: which of the two axes, or both.
    const TAN: f32 = 0.414_213_57;
    let (sideways, along) = (dx.abs() >= dy.abs() * TAN, dy.abs() >= dx.abs() * TAN);
    match (sideways && dx > 0.0, sideways && dx < 0.0, along && dy > 0.0, along && dy < 0.0) {
        (true, _, true, _) => 1,
        (_, true, true, _) => 3,
        (_, true, _, true) => 5,
        (true, _, _, true) => 7,
        (true, ..) => 0,
        (_, _, true, _) => 2,
        (_, true, ..) => 4,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_things_have_the_same_number() {
        let cells = (0..9).flat_map(|y| (0..16).map(move |x| Cell { x, y }));
        let mut keys = vec![TRACKS, WATCHED];
        keys.extend(cells.clone().flat_map(|cell| [cell.stands(), cell.walks()]));
        let blocks = cells.filter(|cell| cell.x % 2 == 0 && cell.y % 2 == 0);
        keys.extend(blocks.clone().flat_map(|cell| (0..8).map(move |way| cell.goes(way))));
        keys.extend(blocks.flat_map(|cell| (0..9).map(move |pace| cell.pace(pace))));
        let spots = (0..12).map(Spot::Area).chain((0..64).map(Spot::Zone));
        keys.extend(spots.flat_map(|spot| (0..STAYS).map(move |length| spot.stay(length))));
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
        assert!(*keys.last().unwrap() < 4000);
        assert_eq!(zone_of(Spot::Zone(63).stay(21)), Some((63, 21)));
        assert_eq!((zone_of(Spot::Area(11).stay(21)), zone_of(END)), (None, None));
    }

    #[test]
    fn ways_paces_and_lengths() {
        let ways: Vec<u8> =
            (0..8).map(|i| (f64::from(i) * 0.785 + 0.1).sin_cos()).map(|(y, x)| way(x as f32, y as f32)).collect();
        assert_eq!(ways, [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!((length(3.9), length(4.0), length(94.0), length(1e9)), (None, Some(0), Some(8), Some(21)));
        assert_eq!((edge(8), edge(9), pace(0.1), pace(1.0), pace(f32::INFINITY)), (64.0, 96.0, None, Some(3), Some(8)));
        let corner = Cell::of(Point::new(-1.0, f32::NAN));
        assert_eq!(corner, Cell { x: 0, y: 0 });
        assert_eq!(corner.around().map(|(_, weight)| weight).sum::<f64>(), 1.0);
        assert_eq!(Cell::of(Point::new(2.0, 1.0)), Cell { x: 15, y: 8 });
    }
}
