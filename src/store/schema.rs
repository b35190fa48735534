//! The file `events.db`: how it is opened, what is in it, and what happens when it is broken.

use crate::time::{Span, Stopwatch};
use anyhow::{Context, Result, bail};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::File;
use std::path::{Path, PathBuf};

pub const FILE: &str = "events.db";

/// One step per version of the schema; `user_version` counts the steps a file has seen. Steps are only ever
/// added.
const STEPS: &[&str] = &[
    "
    -- Numbers with a name: next_seq, delivered, settled, dropped_to, dropped, boots, boot_seq, session, ...
    CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

    -- The payload is the event as the contract spells it, seq and boot included. end_bytes is the sum of all
    -- payloads up to and including this one since the file began, so that the size of any stretch of events
    -- is one subtraction. Times are microseconds since 1970.
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, boot TEXT NOT NULL, at INTEGER NOT NULL,
        recorded_at INTEGER NOT NULL, clock_trusted INTEGER NOT NULL, camera TEXT NOT NULL, rule TEXT NOT NULL,
        kind TEXT NOT NULL, severity INTEGER NOT NULL, end_bytes INTEGER NOT NULL, payload TEXT NOT NULL);
    CREATE INDEX events_by_size ON events (end_bytes);
    CREATE INDEX events_by_age ON events (recorded_at) WHERE clock_trusted;

    CREATE TABLE counts_per_minute (
        camera TEXT NOT NULL, minute INTEGER NOT NULL, class TEXT NOT NULL, mean REAL NOT NULL,
        max INTEGER NOT NULL, PRIMARY KEY (camera, minute, class)) WITHOUT ROWID;
    CREATE TABLE line_totals (
        camera TEXT NOT NULL, line TEXT NOT NULL, into_ INTEGER NOT NULL, out_ INTEGER NOT NULL,
        since INTEGER NOT NULL, PRIMARY KEY (camera, line)) WITHOUT ROWID;
    -- Commands that were carried out, so that a broker that repeats one does not have it done twice.
    CREATE TABLE commands (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
",
    "
    -- Seconds of a minute in which a camera saw nothing: what was counted in it lacks them.
    CREATE TABLE blind_per_minute (
        camera TEXT NOT NULL, minute INTEGER NOT NULL, blind_s REAL NOT NULL,
        PRIMARY KEY (camera, minute)) WITHOUT ROWID;
",
];

/// Of the newest schema.
pub const VERSION: i64 = STEPS.len() as i64;

/// How hard a commit is pressed onto the disk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sync {
    /// On the disk when the commit returns: for events.
    Full,
    /// A power cut may take back the last commits, in order: for what can be repeated.
    Lazy,
}

/// Opens an existing or new database and brings its schema up to date.
pub fn open(path: &Path, sync: Sync) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(std::time::Duration::from_secs(10))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", if sync == Sync::Full { "FULL" } else { "NORMAL" })?;
    db.pragma_update(None, "journal_size_limit", 4 << 20)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let version = usize::try_from(version).unwrap_or(usize::MAX);
    if version > STEPS.len() {
        bail!(
            "{} was written by a newer watchpost (schema {version}, this one knows {}); install that version again",
            path.display(),
            STEPS.len()
        );
    }
    if version < STEPS.len() {
        let step = db.transaction()?;
        for sql in &STEPS[version..] {
            step.execute_batch(sql)?;
        }
        step.pragma_update(None, "user_version", STEPS.len() as i64)?;
        step.commit()?;
    }
    Ok(db)
}

/// Opens for the store. A file that is broken is moved aside and a new one is begun; `true` if so.
pub fn open_or_begin_anew(path: &Path) -> Result<(Connection, bool)> {
    let broken = match open_checked(path) {
        Ok(db) => return Ok((db, false)),
        Err(error) if is_corrupt(&error) => error,
        Err(error) => return Err(error),
    };
    let aside = move_aside(path)?;
    tracing::error!(
        error = format!("{broken:#}"), file = %path.display(), kept_as = %aside.display(),
        "The event database is broken: it was moved aside and a new one begun. Undelivered events in it are not sent."
    );
    Ok((open(path, Sync::Full)?, true))
}

fn open_checked(path: &Path) -> Result<Connection> {
    let db = open(path, Sync::Full)?;
    // After a clean end the file is believed: reading all of it costs seconds on an SD card.
    let clean: Option<i64> = get(&db, "clean_end")?;
    if clean != Some(1) {
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(corrupt(&verdict));
        }
    }
    set(&db, "clean_end", 0)?;
    Ok(db)
}

fn corrupt(what: &str) -> anyhow::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(what.to_owned())).into()
}

/// `events.db` becomes `events.db.broken-1` (or the next free number), its journal likewise.
fn move_aside(path: &Path) -> Result<PathBuf> {
    let with = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = (1..).map(|n| with(&format!(".broken-{n}"))).find(|p| !p.exists()).expect("some number is free");
    std::fs::rename(path, &aside).with_context(|| format!("cannot move {} aside", path.display()))?;
    for suffix in ["-wal", "-shm"] {
        let mut to = aside.as_os_str().to_owned();
        to.push(suffix);
        // They need not exist.
        let _ = std::fs::rename(with(suffix), to);
    }
    Ok(aside)
}

pub fn is_corrupt(error: &anyhow::Error) -> bool {
    matches!(code(error), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

pub fn is_full(error: &anyhow::Error) -> bool {
    code(error) == Some(ErrorCode::DiskFull)
        || error
            .chain()
            .filter_map(|e| e.downcast_ref::<std::io::Error>())
            .any(|e| matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded))
}

fn code(error: &anyhow::Error) -> Option<ErrorCode> {
    error.chain().find_map(|e| e.downcast_ref::<rusqlite::Error>()?.sqlite_error_code())
}

pub fn get(db: &Connection, key: &str) -> rusqlite::Result<Option<i64>> {
    use rusqlite::OptionalExtension;
    db.prepare_cached("SELECT value FROM meta WHERE key = ?1")?.query_row([key], |row| row.get(0)).optional()
}

pub fn set(db: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value")?
        .execute((key, value))?;
    Ok(())
}

/// Takes the state folder for this process; the kernel gives it back when the process ends, however it ends.
pub fn lock(dir: &Path) -> Result<File> {
    std::fs::create_dir_all(dir).with_context(|| format!("cannot make the state folder {}", dir.display()))?;
    let path = dir.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).with_context(|| {
        format!("cannot write to the state folder {}, expected a folder this user may write to", dir.display())
    })?;
    // A process that is about to end, or a child between fork and exec, lets go within moments.
    let asked = Stopwatch::start();
    while rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_err() {
        if asked.elapsed() > PATIENCE {
            bail!("another watchpost is using the state folder {}", dir.display());
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(file)
}

const PATIENCE: Span = Span::from_millis(1_000);
