//! What the appliance remembers: events, counts per minute, totals of lines, and in files of its own the track log
//! ([`TrackStore`]). SQLite in one file of the state folder, in WAL mode. What [`Store::record`] returned is on the disk and survives a power cut.
//!
//! There is no table for the outbox. Every event goes to the broker in order of `seq`, so the outbox is simply
//! the events after a cursor (`delivered`), and [`Outbox`], which has its own connection for the thread of the
//! link, reads them and moves the cursor on. Sending something again is moving back.
//!
//! An event whose id is known already is not recorded again. Ids hold the time of the event, so this tells a
//! repeat only where the source has stamps of its own; what is stamped with the present, as `run` does with
//! recordings, is new each time it is played. The memory of ids is as long as events are kept.
//!
//! A full disk (or one that has become read-only) does not stop the appliance: up to [`HELD_MAX`] events wait
//! in memory, totals and counts too, the disk is tried again with every call, and health says so. Absent on purpose: any reading of
//! the clock by SQL, and any thread; the caller's thread owns the [`Store`].

mod ceiling;
mod config;
mod history;
mod memories;
mod outbox;
mod schema;
mod tally;
mod tidy;
mod tracks;

#[cfg(test)]
mod tests;

use crate::event::{Envelope, Event, Record, to_json};
use crate::ids::{CameraId, LineId};
use crate::time::{Span, Stopwatch, WallTime};
use anyhow::{Context, Result};
use rusqlite::{Connection, TransactionBehavior};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::path::{Path, PathBuf};

pub use config::StoreConfig;
pub use history::{History, Past};
pub use memories::Memories;
pub use outbox::{Backlog, Outbox, Positions, Queued, Session};
pub use tally::{LineTotal, MinuteBlind, MinuteCount};
pub use tracks::{Piece, Tapes, TrackStore};

/// How many events wait in memory while the disk refuses them. Then the oldest are lost, counted and said.
pub const HELD_MAX: usize = 1000;

/// And how many counts per minute: some hours of a few cameras. Then the oldest are lost.
const HELD_MINUTES_MAX: usize = 10_000;

/// The file is looked through for what is too old or too much this often.
const TIDY_EVERY: Span = Span::from_millis(60_000);

/// Everything one call puts on disk in one transaction.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Batch {
    pub events: Vec<Event>,
    /// Absolute totals; a smaller one than recorded is ignored.
    pub lines: Vec<LineTotal>,
    pub minutes: Vec<MinuteCount>,
    /// Added to what is recorded of the same minute.
    pub blind: Vec<MinuteBlind>,
}

/// For `health`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StoreHealth {
    pub recorded: u64,
    /// Why events wait in memory instead of on disk; `None` when all is well.
    pub trouble: Option<String>,
    /// Events that wait in memory.
    pub held: usize,
    /// Events that were lost since the start because the disk refused them for too long.
    pub lost: u64,
    /// Events that were known already and not recorded again, since the start.
    pub repeated: u64,
}

pub struct Store {
    path: PathBuf,
    db: Connection,
    config: StoreConfig,
    boot: String,
    ceiling: ceiling::Ceiling,
    next_seq: u64,
    end_bytes: i64,
    held: VecDeque<Event>,
    /// The newest total of each line that is not on disk yet: whoever handed it over takes it for recorded.
    held_lines: BTreeMap<(CameraId, LineId), LineTotal>,
    held_minutes: VecDeque<MinuteCount>,
    held_blind: VecDeque<MinuteBlind>,
    /// Age is judged only while the clock is trusted.
    clock_trusted: bool,
    lost: u64,
    repeated: u64,
    trouble: Option<String>,
    since_tidy: Option<Stopwatch>,
    /// Held for its lock.
    _lock: File,
}

impl Store {
    /// Opens the state folder, makes it if absent, and begins a new boot. Fails if the folder cannot be
    /// written or another process uses it; a broken database is moved aside and a new one begun.
    pub fn open(dir: &Path, config: &StoreConfig) -> Result<Store> {
        Store::open_inner(dir, config).map_err(|error| {
            if schema::is_full(&error) {
                error.context(format!("the disk of {} is full", dir.display()))
            } else {
                error
            }
        })
    }

    fn open_inner(dir: &Path, config: &StoreConfig) -> Result<Store> {
        let lock = schema::lock(dir)?;
        let path = dir.join(schema::FILE);
        let (db, anew) = schema::open_or_begin_anew(&path)
            .with_context(|| format!("cannot open the event database {}", path.display()))?;
        let ceiling = ceiling::Ceiling::open(dir);
        let known = schema::get(&db, "next_seq")?.unwrap_or(0).max(0) as u64;
        let next_seq = if known == 0 { ceiling.value() + 1 } else { known };
        if known == 0 && next_seq > 1 {
            tracing::warn!(next_seq, "The database is new but the appliance is not: seq goes on with a gap.");
        }
        let end_bytes = db
            .query_row("SELECT end_bytes FROM events ORDER BY seq DESC LIMIT 1", [], |row| row.get(0))
            .or_else(none_is(0))?;
        let boots = schema::get(&db, "boots")?.unwrap_or(0) + 1;
        // Two databases may count the same boot, hence the noise behind it.
        let boot = format!("{boots}-{:06x}", fastrand::u32(..1 << 24));
        schema::set(&db, "boots", boots)?;
        schema::set(&db, "next_seq", next_seq as i64)?;
        schema::set(&db, "boot_seq", next_seq as i64 - 1)?;
        if anew || known == 0 {
            for key in ["delivered", "settled", "dropped_to"] {
                schema::set(&db, key, next_seq as i64 - 1)?;
            }
        }
        let store = Store {
            path,
            db,
            config: config.clone(),
            boot,
            ceiling,
            next_seq,
            end_bytes,
            held: VecDeque::new(),
            held_lines: BTreeMap::new(),
            held_minutes: VecDeque::new(),
            held_blind: VecDeque::new(),
            clock_trusted: true,
            lost: 0,
            repeated: 0,
            trouble: None,
            since_tidy: None,
            _lock: lock,
        };
        tracing::info!(file = %store.path.display(), boot = store.boot, next_seq, "Event database open.");
        Ok(store)
    }

    /// Which start of the appliance this is; `boot` of every record.
    pub fn boot(&self) -> &str {
        &self.boot
    }

    /// Puts events on disk, synced, and gives each its `seq`. Returns what is new on disk: without those whose
    /// id is known already, with those that had to wait since an earlier call. If the disk refuses, nothing is
    /// returned and the events wait in memory. An error is final: the database broke while running, and a
    /// restart is needed, which moves it aside.
    pub fn record(&mut self, events: Vec<Event>) -> Result<Vec<Record>> {
        self.write(Batch { events, ..Batch::default() })
    }

    /// While the clock is not trusted nothing is removed for its age: a clock that is wrong into the future would
    /// give up the whole outbox. It is trusted until told otherwise.
    pub fn set_clock_trusted(&mut self, trusted: bool) {
        self.clock_trusted = trusted;
    }

    /// As [`Store::record`], with counts and totals in the same transaction; they wait in memory like events. An empty batch tries what waits
    /// in memory once more and does the housekeeping.
    pub fn write(&mut self, batch: Batch) -> Result<Vec<Record>> {
        self.held.extend(batch.events);
        self.held_lines.extend(batch.lines.into_iter().map(|t| ((t.camera.clone(), t.line.clone()), t)));
        self.held_minutes.extend(batch.minutes);
        self.held_blind.extend(batch.blind);
        let records = match self.commit() {
            Ok(records) => {
                self.held.clear();
                self.held_lines.clear();
                self.held_minutes.clear();
                self.held_blind.clear();
                if self.trouble.take().is_some() {
                    tracing::info!(recorded = records.len(), lost = self.lost, "Events are on disk again.");
                }
                records
            }
            Err(error) if schema::is_corrupt(&error) => {
                return Err(error.context(format!("the event database {} broke", self.path.display())));
            }
            Err(error) => {
                self.hold(&error);
                return Ok(Vec::new());
            }
        };
        self.tidy();
        Ok(records)
    }

    pub fn health(&self) -> StoreHealth {
        StoreHealth {
            recorded: self.next_seq - 1,
            trouble: self.trouble.clone(),
            held: self.held.len(),
            lost: self.lost,
            repeated: self.repeated,
        }
    }

    /// Tries what waits in memory for the last time and marks a clean end.
    pub fn close(mut self) -> Result<()> {
        self.write(Batch::default())?;
        if self.trouble.is_some() {
            tracing::error!(
                lost = self.held.len(),
                "Stopping while the disk refuses events and totals: they are lost."
            );
        }
        schema::set(&self.db, "clean_end", 1)?;
        Ok(())
    }

    fn commit(&mut self) -> Result<Vec<Record>> {
        let no_counts = self.held_lines.is_empty() && self.held_minutes.is_empty() && self.held_blind.is_empty();
        if self.held.is_empty() && no_counts {
            return Ok(Vec::new());
        }
        self.ceiling.raise_above(self.next_seq + self.held.len() as u64)?;
        let tx = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (mut seq, mut end_bytes, mut repeated) = (self.next_seq, self.end_bytes, 0);
        let mut records = Vec::with_capacity(self.held.len());
        let now = WallTime::now();
        for event in &self.held {
            let payload = to_json(event, Envelope { seq, boot: &self.boot, late: false });
            let end = end_bytes + payload.len() as i64;
            let new = tx
                .prepare_cached("INSERT OR IGNORE INTO events VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)")?
                .execute(rusqlite::params![
                    seq as i64,
                    event.id.as_str(),
                    self.boot,
                    event.at.micros(),
                    now.micros(),
                    event.clock_trusted,
                    event.camera.as_str(),
                    event.rule.as_str(),
                    event.kind,
                    event.severity as i64,
                    end,
                    payload,
                ])?;
            if new == 0 {
                repeated += 1;
                continue;
            }
            records.push(Record { seq, boot: self.boot.clone(), event: event.clone() });
            (seq, end_bytes) = (seq + 1, end);
        }
        if seq != self.next_seq {
            schema::set(&tx, "next_seq", seq as i64)?;
        }
        tally::put(&tx, self.held_lines.values(), &self.held_minutes, &self.held_blind)?;
        tx.commit()?;
        (self.next_seq, self.end_bytes) = (seq, end_bytes);
        self.repeated += repeated;
        Ok(records)
    }

    fn hold(&mut self, error: &anyhow::Error) {
        let what = if schema::is_full(error) {
            format!("the disk of {} is full", self.path.display())
        } else {
            format!("cannot write {}: {error:#}", self.path.display())
        };
        let excess = self.held.len().saturating_sub(HELD_MAX);
        self.held.drain(..excess);
        self.lost += excess as u64;
        let minutes_beyond = self.held_minutes.len().saturating_sub(HELD_MINUTES_MAX);
        self.held_minutes.drain(..minutes_beyond);
        let blind_beyond = self.held_blind.len().saturating_sub(HELD_MINUTES_MAX);
        self.held_blind.drain(..blind_beyond);
        if self.trouble.as_ref() != Some(&what) {
            tracing::error!(trouble = what, held = self.held.len(), "Events wait in memory.");
        } else if excess > 0 {
            tracing::error!(lost = self.lost, "Too many events wait in memory, the oldest are lost.");
        }
        self.trouble = Some(what);
    }

    /// Housekeeping must not stand between an event and the disk: its errors are told and left.
    fn tidy(&mut self) {
        if self.since_tidy.as_ref().is_some_and(|watch| watch.elapsed() < TIDY_EVERY) {
            return;
        }
        self.since_tidy = Some(Stopwatch::start());
        let now = self.clock_trusted.then(WallTime::now);
        if let Err(error) = tidy::tidy(&mut self.db, &self.config, now, self.end_bytes) {
            tracing::warn!(error = format!("{error:#}"), "Old events could not be cleared away, will try again.");
        }
    }
}

fn none_is<T>(value: T) -> impl FnOnce(rusqlite::Error) -> rusqlite::Result<T> {
    |error| match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(value),
        error => Err(error),
    }
}
