//! The outbox as the link sees it: the events after a cursor, through a connection of its own.

use super::schema::{self, Sync};
use super::tidy::COMMAND_MEMORY;
use crate::time::WallTime;
use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension};
use std::path::Path;

/// An event that waits for delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Queued {
    pub seq: u64,
    /// Severity warning or alarm: goes to the `alert` topic too.
    pub alert: bool,
    /// As the contract spells it, with `late` false.
    pub payload: String,
}

/// Where delivery stands; all of them are a `seq`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions {
    /// Everything up to here was acknowledged by the broker.
    pub delivered: u64,
    /// And this part of it so long ago that the broker has surely handed it on. What lies between is sent
    /// again after an outage.
    pub settled: u64,
    /// Everything up to here was given up because the outbox was too old or too big.
    pub dropped_to: u64,
    /// The newest event of all boots before this one.
    pub boot_seq: u64,
    /// The newest event.
    pub last: u64,
}

/// What waits, for `health`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Backlog {
    pub rows: u64,
    pub bytes: u64,
    /// How many were given up, ever; each is a gap in the `seq` that subscribers see.
    pub dropped: u64,
}

/// How we stand with the broker and, through it, with its subscribers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// We have never met.
    Never = 0,
    /// Events flow, and it has kept a session for us. If it does not know us the next time, it has lost its memory.
    Kept = 1,
    /// There was an outage, and subscribers have not had the time to return yet. That the broker knows us says
    /// nothing of them: it may be from an attempt that we did not survive, or from before they were there.
    Lost = 2,
}

pub struct Outbox {
    db: Connection,
}

impl Outbox {
    /// `dir` is the state folder that a [`super::Store`] of this process has opened.
    pub fn open(dir: &Path) -> Result<Outbox> {
        let path = dir.join(schema::FILE);
        let db =
            schema::open(&path, Sync::Lazy).with_context(|| format!("cannot open the outbox in {}", path.display()))?;
        Ok(Outbox { db })
    }

    /// The next events after `seq` that were not given up, oldest first.
    pub fn after(&self, seq: u64, limit: usize) -> Result<Vec<Queued>> {
        let mut query = self.db.prepare_cached(
            "SELECT seq, severity, payload FROM events
             WHERE seq > max(?1, coalesce((SELECT value FROM meta WHERE key = 'dropped_to'), 0))
             ORDER BY seq LIMIT ?2",
        )?;
        let rows = query.query_map((seq as i64, limit as i64), |row| {
            let (seq, severity): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Queued { seq: seq.max(0) as u64, alert: severity > 0, payload: row.get(2)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    pub fn positions(&self) -> Result<Positions> {
        let meta = |key: &str| schema::get(&self.db, key).map(|value| value.unwrap_or(0).max(0) as u64);
        Ok(Positions {
            delivered: meta("delivered")?,
            settled: meta("settled")?,
            dropped_to: meta("dropped_to")?,
            boot_seq: meta("boot_seq")?,
            last: meta("next_seq")?.saturating_sub(1),
        })
    }

    /// Moves the cursor. A power cut may take the last moves back: that only makes duplicates.
    pub fn save(&mut self, delivered: u64, settled: u64) -> Result<()> {
        let tx = self.db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        schema::set(&tx, "delivered", delivered as i64)?;
        schema::set(&tx, "settled", settled as i64)?;
        tx.commit()?;
        Ok(())
    }

    /// What lies after `delivered`.
    pub fn backlog(&self, delivered: u64) -> Result<Backlog> {
        let at = self.positions()?;
        let from = delivered.max(at.dropped_to);
        // end_bytes runs on through the life of the file: one subtraction is the size of what lies between.
        let newest = "SELECT end_bytes FROM events ORDER BY seq DESC LIMIT 1";
        let first = "SELECT end_bytes - length(CAST(payload AS BLOB)) FROM events WHERE seq > ?1 ORDER BY seq LIMIT 1";
        let end: Option<i64> = self.db.prepare_cached(newest)?.query_row([], |r| r.get(0)).optional()?;
        let start: Option<i64> = self.db.prepare_cached(first)?.query_row([from as i64], |r| r.get(0)).optional()?;
        let bytes = end.zip(start).map_or(0, |(end, start)| end - start);
        Ok(Backlog {
            rows: at.last.saturating_sub(from),
            bytes: bytes.max(0) as u64,
            dropped: schema::get(&self.db, "dropped")?.unwrap_or(0).max(0) as u64,
        })
    }

    pub fn session(&self) -> Result<Session> {
        Ok(match schema::get(&self.db, "session")? {
            None | Some(0) => Session::Never,
            Some(1) => Session::Kept,
            Some(_) => Session::Lost,
        })
    }

    pub fn set_session(&self, session: Session) -> Result<()> {
        Ok(schema::set(&self.db, "session", session as i64)?)
    }

    /// True the first time an id is seen within `COMMAND_MEMORY`; remembers it, also across restarts.
    pub fn is_new_command(&self, id: &str, now: WallTime) -> Result<bool> {
        let sql = "INSERT INTO commands VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET at = excluded.at
                   WHERE abs(excluded.at - at) > ?3";
        let changed = self.db.prepare_cached(sql)?.execute((id, now.micros(), COMMAND_MEMORY.micros()))?;
        Ok(changed == 1)
    }

    /// Nothing came of a command: the same id may come again.
    pub fn forget_command(&self, id: &str) -> Result<()> {
        self.db.prepare_cached("DELETE FROM commands WHERE id = ?1")?.execute([id])?;
        Ok(())
    }

    pub fn note(&self, key: &str) -> Result<Option<String>> {
        let mut query = self.db.prepare_cached("SELECT value FROM notes WHERE key = ?1")?;
        Ok(query.query_row([key], |row| row.get(0)).optional()?)
    }

    pub fn set_note(&self, key: &str, value: &str) -> Result<()> {
        self.db.prepare_cached("INSERT OR REPLACE INTO notes VALUES (?1, ?2)")?.execute([key, value])?;
        Ok(())
    }
}
