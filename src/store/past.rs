//! What the event database says of the past, beside the appliance that writes it: nothing here changes it.

use super::schema;
use crate::event::{EventTold, told_from_json};
use crate::ids::CameraId;
use crate::problems::BadInput;
use crate::time::WallTime;
use anyhow::{Context, Result};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;

pub struct EventLog {
    db: Connection,
}

impl EventLog {
    /// `None` where the state folder has no event database.
    ///
    /// # Errors
    /// [`BadInput`] for a database that this version cannot read.
    pub fn open(dir: &Path) -> Result<Option<EventLog>> {
        let path = dir.join(schema::FILE);
        if !path.exists() {
            return Ok(None);
        }
        let open = || -> rusqlite::Result<(Connection, i64)> {
            let db =
                Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            db.busy_timeout(std::time::Duration::from_secs(10))?;
            let version = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
            Ok((db, version))
        };
        let (db, version) =
            open().map_err(|error| BadInput(format!("cannot read the event database {}: {error}", path.display())))?;
        if version > schema::VERSION {
            return Err(BadInput(format!("{} was written by a newer watchpost", path.display())).into());
        }
        Ok(Some(EventLog { db }))
    }

    /// The events of a camera in that time, in order; those of another spelling are left out.
    pub fn events(&self, camera: &CameraId, from: WallTime, until: WallTime) -> Result<Vec<EventTold>> {
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
}
