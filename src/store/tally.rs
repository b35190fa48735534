//! Counts per minute and totals of lines.

use super::Store;
use crate::detection::Class;
use crate::ids::{CameraId, LineId};
use crate::time::WallTime;
use anyhow::Result;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// Everybody who ever crossed a line, since `since`.
#[derive(Debug, Clone, PartialEq)]
pub struct LineTotal {
    pub camera: CameraId,
    pub line: LineId,
    pub into: u64,
    pub out: u64,
    /// When counting began; kept from the first time on.
    pub since: WallTime,
}

/// How many of a class were seen in one minute.
#[derive(Debug, Clone, PartialEq)]
pub struct MinuteCount {
    pub camera: CameraId,
    /// Minutes since 1970-01-01T00:00Z.
    pub minute: i64,
    pub class: Class,
    pub mean: f64,
    pub max: u32,
}

/// How much of one minute a camera saw nothing, for want of pictures or by what was in them. Minutes of which it saw all
/// are left out; so is the time in which the appliance itself did not run.
#[derive(Debug, Clone, PartialEq)]
pub struct MinuteBlind {
    pub camera: CameraId,
    /// Minutes since 1970-01-01T00:00Z.
    pub minute: i64,
    /// Up to 60.
    pub blind_s: f64,
}

/// Totals never go back. A minute that comes in parts (a restart or a reload fell into it) becomes one: the larger
/// maximum, and the middle of both means, since how long each part was is not known here; blind seconds add up.
pub(super) fn put<'a>(
    db: &Connection,
    lines: impl IntoIterator<Item = &'a LineTotal>,
    minutes: impl IntoIterator<Item = &'a MinuteCount>,
    blind: impl IntoIterator<Item = &'a MinuteBlind>,
) -> rusqlite::Result<()> {
    for total in lines {
        db.prepare_cached(
            "INSERT INTO line_totals VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (camera, line)
             DO UPDATE SET into_ = max(into_, excluded.into_), out_ = max(out_, excluded.out_)",
        )?
        .execute((
            total.camera.as_str(),
            total.line.as_str(),
            i64::try_from(total.into).unwrap_or(i64::MAX),
            i64::try_from(total.out).unwrap_or(i64::MAX),
            total.since.micros(),
        ))?;
    }
    for count in minutes {
        db.prepare_cached(
            "INSERT INTO counts_per_minute VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (camera, minute, class)
             DO UPDATE SET mean = (mean + excluded.mean) / 2, max = max(max, excluded.max)",
        )?
        .execute((count.camera.as_str(), count.minute, count.class.name(), count.mean, count.max))?;
    }
    for blind in blind {
        db.prepare_cached(
            "INSERT INTO blind_per_minute VALUES (?1, ?2, ?3) ON CONFLICT (camera, minute)
             DO UPDATE SET blind_s = min(60.0, blind_s + excluded.blind_s)",
        )?
        .execute((blind.camera.as_str(), blind.minute, blind.blind_s))?;
    }
    Ok(())
}

impl Store {
    /// The totals as they are on disk or wait for it: what a pipeline that starts at nought has to add to.
    pub fn lines(&self) -> Result<BTreeMap<(CameraId, LineId), LineTotal>> {
        let mut query = self.db.prepare("SELECT camera, line, into_, out_, since FROM line_totals")?;
        let totals = query.query_map([], |row| {
            let (camera, line): (String, String) = (row.get(0)?, row.get(1)?);
            let (into, out): (i64, i64) = (row.get(2)?, row.get(3)?);
            Ok(LineTotal {
                camera: CameraId::new(&camera),
                line: LineId::new(&line),
                into: into.max(0) as u64,
                out: out.max(0) as u64,
                since: WallTime::from_micros(row.get(4)?),
            })
        })?;
        let totals = totals.map(|total| total.map(|t| ((t.camera.clone(), t.line.clone()), t)));
        let mut totals = totals.collect::<rusqlite::Result<BTreeMap<_, _>>>()?;
        for (key, held) in &self.held_lines {
            let total = totals.entry(key.clone()).or_insert_with(|| held.clone());
            (total.into, total.out) = (total.into.max(held.into), total.out.max(held.out));
        }
        Ok(totals)
    }

    /// Counts from `from_minute` on, in order of camera, minute and class.
    pub fn minutes(&self, from_minute: i64) -> Result<Vec<MinuteCount>> {
        let mut query = self.db.prepare(
            "SELECT camera, minute, class, mean, max FROM counts_per_minute WHERE minute >= ?1
             ORDER BY camera, minute, class",
        )?;
        let counts = query.query_map([from_minute], |row| {
            let (camera, class): (String, String) = (row.get(0)?, row.get(2)?);
            Ok(MinuteCount {
                camera: CameraId::new(&camera),
                minute: row.get(1)?,
                class: Class::named(&class),
                mean: row.get(3)?,
                max: row.get(4)?,
            })
        })?;
        Ok(counts.collect::<rusqlite::Result<_>>()?)
    }

    /// Minutes from `from_minute` on of which something was missed, in order of camera and minute.
    pub fn blind(&self, from_minute: i64) -> Result<Vec<MinuteBlind>> {
        let mut query = self.db.prepare(
            "SELECT camera, minute, blind_s FROM blind_per_minute WHERE minute >= ?1 ORDER BY camera, minute",
        )?;
        let minutes = query.query_map([from_minute], |row| {
            let camera: String = row.get(0)?;
            Ok(MinuteBlind { camera: CameraId::new(&camera), minute: row.get(1)?, blind_s: row.get(2)? })
        })?;
        Ok(minutes.collect::<rusqlite::Result<_>>()?)
    }
}
