//! What became of goods, in full: it is told once each time, so nothing is gained by telling it against what was.

use super::bits::{Bits, Torn};
use crate::clue::{ShelfChange, ShelfSight};
use crate::geometry::{BBox, from_grid, to_grid};
use crate::ids::{ZoneId, is_valid_name};
use crate::time::Span;

/// Names have 64 bytes at the most.
const NAME: u32 = 7;

/// In either direction: gives what was written or read.
pub(super) fn code(bits: &mut impl Bits, given: &[ShelfSight]) -> Result<Vec<ShelfSight>, Torn> {
    let count = bits.bits(u32::try_from(given.len()).unwrap_or(u32::MAX), 16)? as usize;
    let nothing = ShelfSight {
        zone: ZoneId::new("z"),
        what: ShelfChange::Touched,
        cells: 0,
        of: 0,
        bbox: BBox::new(0.0, 0.0, 0.0, 0.0),
        shown: Span::ZERO,
        hidden: Span::ZERO,
    };
    (0..count).map(|i| one(bits, given.get(i).unwrap_or(&nothing))).collect()
}

fn one(bits: &mut impl Bits, given: &ShelfSight) -> Result<ShelfSight, Torn> {
    let zone = name(bits, given.zone.as_str())?;
    let what = ShelfChange::ALL.iter().position(|what| *what == given.what).unwrap_or(0);
    let what = *ShelfChange::ALL.get(bits.bits(what as u32, 8)? as usize).ok_or(Torn)?;
    let (cells, of) = (bits.bits(given.cells, 32)?, bits.bits(given.of, 32)?);
    let mut edges = given.bbox.to_array();
    for edge in &mut edges {
        *edge = from_grid(bits.bits(to_grid(*edge) as u32, 32)? as i32);
    }
    let [x1, y1, x2, y2] = edges;
    let shown = Span::from_micros(bits.long(given.shown.micros() as u64)? as i64);
    let hidden = Span::from_micros(bits.long(given.hidden.micros() as u64)? as i64);
    Ok(ShelfSight { zone, what, cells, of, bbox: BBox::new(x1, y1, x2, y2), shown, hidden })
}

fn name(bits: &mut impl Bits, given: &str) -> Result<ZoneId, Torn> {
    let length = bits.bits(given.len() as u32, NAME)? as usize;
    let mut bytes = Vec::with_capacity(length);
    for i in 0..length {
        bytes.push(bits.bits(u32::from(given.as_bytes().get(i).copied().unwrap_or(0)), 8)? as u8);
    }
    let name = String::from_utf8(bytes).map_err(|_| Torn)?;
    if is_valid_name(&name) { Ok(ZoneId::new(&name)) } else { Err(Torn) }
}
