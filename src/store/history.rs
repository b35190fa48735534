//! What was recorded, read again: through a connection that writes nothing, so that a report can be made while the
//! appliance runs.

use super::schema;
use crate::event::{Phase, Severity};
use crate::ids::CameraId;
use crate::time::WallTime;
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

pub struct History {
    db: Connection,
}

/// One event of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    pub seq: u64,
    pub at: WallTime,
    pub ended_at: Option<WallTime>,
    pub camera: CameraId,
    pub kind: String,
    pub rule: String,
    pub phase: Phase,
    pub severity: Severity,
    /// Name of the zone or line; empty for the whole picture.
    pub place: String,
    pub explain: String,
}

#[derive(serde::Deserialize)]
struct Payload {
    phase: Phase,
    severity: Severity,
    ended_at: Option<WallTime>,
    place: PlaceIn,
    explain: String,
}

#[derive(serde::Deserialize)]
struct PlaceIn {
    zone: Option<String>,
    line: Option<String>,
}

impl History {
    /// # Errors
    /// There is no database in the folder, or it is no such one.
    pub fn open(dir: &Path) -> Result<History> {
        let path = dir.join(schema::FILE);
        if !path.is_file() {
            bail!("there is no {} in {}, expected the state folder of an appliance", schema::FILE, dir.display());
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> Result<Connection> {
            let db = Connection::open_with_flags(&path, flags)?;
            db.busy_timeout(std::time::Duration::from_secs(10))?;
            db.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
            Ok(db)
        };
        Ok(History { db: open().with_context(|| format!("cannot read {}", path.display()))? })
    }

    /// Events that began or happened from `from` until before `until` while the clock was trusted, in order of recording.
    pub fn events(&self, from: WallTime, until: WallTime, mut each: impl FnMut(Past)) -> Result<()> {
        let mut query = self.db.prepare(
            "SELECT seq, at, camera, kind, rule, payload FROM events
             WHERE at >= ?1 AND at < ?2 AND clock_trusted ORDER BY seq",
        )?;
        let mut rows = query.query((from.micros(), until.micros()))?;
        while let Some(row) = rows.next()? {
            let payload: Payload = match serde_json::from_str(&row.get::<_, String>(5)?) {
                Ok(payload) => payload,
                // Written by another version: what it means is not known here.
                Err(_) => continue,
            };
            let camera: String = row.get(2)?;
            each(Past {
                seq: row.get::<_, i64>(0)?.max(0) as u64,
                at: WallTime::from_micros(row.get(1)?),
                ended_at: payload.ended_at,
                camera: CameraId::new(&camera),
                kind: row.get(3)?,
                rule: row.get(4)?,
                phase: payload.phase,
                severity: payload.severity,
                place: payload.place.zone.or(payload.place.line).unwrap_or_default(),
                explain: payload.explain,
            });
        }
        Ok(())
    }

    /// Minutes in which a camera saw anything of a class (minutes since 1970), and the most at once, in order.
    pub fn minutes(
        &self,
        from: WallTime,
        until: WallTime,
        mut each: impl FnMut(CameraId, i64, &str, u32),
    ) -> Result<()> {
        let mut query = self.db.prepare(
            "SELECT camera, minute, class, max FROM counts_per_minute WHERE minute >= ?1 AND minute < ?2
             ORDER BY camera, minute, class",
        )?;
        let minute = |at: WallTime| at.micros().div_euclid(60_000_000);
        let mut rows = query.query((minute(from), minute(until)))?;
        while let Some(row) = rows.next()? {
            let (camera, class): (String, String) = (row.get(0)?, row.get(2)?);
            each(CameraId::new(&camera), row.get(1)?, &class, row.get(3)?);
        }
        Ok(())
    }
}
