//! What was recorded, read again: through a connection that writes nothing, so that a report can be made while the
//! appliance runs.

use super::schema;
use crate::event::{EventTold, Phase, Severity, told_from_json};
use crate::ids::CameraId;
use crate::problems::BadInput;
use crate::time::WallTime;
use anyhow::{Context, Result};
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
    /// As [`History::find`], and where there is none.
    pub fn open(dir: &Path) -> Result<History> {
        let expected =
            || format!("there is no {} in {}, expected the state folder of an appliance", schema::FILE, dir.display());
        History::find(dir)?.with_context(expected)
    }

    /// `None` where the folder has no event database.
    ///
    /// # Errors
    /// [`BadInput`] for a file that is no such database, or one of a newer version.
    pub fn find(dir: &Path) -> Result<Option<History>> {
        let path = dir.join(schema::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let open = || -> rusqlite::Result<(Connection, i64)> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let db = Connection::open_with_flags(&path, flags)?;
            db.busy_timeout(std::time::Duration::from_secs(10))?;
            db.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
            let version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((db, version))
        };
        let (db, version) =
            open().map_err(|error| BadInput(format!("cannot read the event database {}: {error}", path.display())))?;
        if version > schema::VERSION {
            return Err(BadInput(format!("{} was written by a newer watchpost", path.display())).into());
        }
        Ok(Some(History { db }))
    }

    /// The events of a camera in that time as they were published, in order; those of another spelling are left out.
    pub fn told(&self, camera: &CameraId, from: WallTime, until: WallTime) -> Result<Vec<EventTold>> {
        let mut query = self
            .db
            .prepare("SELECT payload FROM events WHERE camera = ?1 AND at >= ?2 AND at <= ?3 ORDER BY seq")
            .context("cannot read the event database")?;
        let rows = query.query_map((camera.as_str(), from.micros(), until.micros()), |row| row.get::<_, String>(0))?;
        let mut events = Vec::new();
        for payload in rows {
            events.extend(told_from_json(&payload.context("cannot read the event database")?).ok());
        }
        Ok(events)
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
