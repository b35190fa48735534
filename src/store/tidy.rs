//! What is kept and for how long. Age is judged by rows whose clock was trusted only: a board that starts in
//! 1970 and then hears the time must not throw away the morning as if it were half a century old. And while the
//! clock of the present is not trusted nothing is old at all. Rows are in
//! order of recording, so all that lies before an old row is old too.

use super::{StoreConfig, schema};
use crate::time::{Span, WallTime};
use anyhow::Result;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

/// So many rows go at a time, so that nobody waits long for the file.
const ROWS_AT_ONCE: i64 = 5000;

/// Counts per minute are small: a year of them is kept whatever happens to events.
const KEEP_MINUTES_DAYS: i64 = 400;

/// A command that comes a second time within this is not carried out again.
pub const COMMAND_MEMORY: Span = Span::from_millis(10 * 60_000);

/// Gives up what has waited too long in the outbox, then clears away delivered events that are too old or too
/// many. `now`: if the clock is trusted; without it only size counts. `end_bytes` is that of the newest event.
pub fn tidy(db: &mut Connection, config: &StoreConfig, now: Option<WallTime>, end_bytes: i64) -> Result<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let meta = |key: &str| schema::get(&tx, key).map(|value| value.unwrap_or(0));
    let (delivered, settled, dropped_to) = (meta("delivered")?, meta("settled")?, meta("dropped_to")?);

    let last_older = |days| now.map_or(Ok(0), |now| last_older(&tx, now, days));
    let gone = last_older(config.outbox_max_days)?.max(last_beyond(&tx, end_bytes, config.outbox_max_mb)?);
    let waiting_from = delivered.max(dropped_to);
    if gone > waiting_from {
        let dropped: i64 =
            tx.query_row("SELECT count(*) FROM events WHERE seq > ?1 AND seq <= ?2", (waiting_from, gone), |r| {
                r.get(0)
            })?;
        let total = meta("dropped")? + dropped;
        schema::set(&tx, "dropped_to", gone)?;
        schema::set(&tx, "dropped", total)?;
        tracing::warn!(
            dropped,
            total,
            up_to_seq = gone,
            "Undelivered events were given up: the outbox is too old or too big."
        );
    }

    // What may have to be sent again stays, however long ago it was.
    let free_to = settled.max(gone.max(dropped_to));
    let old = last_older(config.keep_days)?.max(last_beyond(&tx, end_bytes, config.keep_mb)?).min(free_to);
    tx.execute(
        "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq <= ?1 ORDER BY seq LIMIT ?2)",
        (old, ROWS_AT_ONCE),
    )?;
    if let Some(now) = now {
        let minute = now.micros().div_euclid(60_000_000) - KEEP_MINUTES_DAYS * 24 * 60;
        tx.execute("DELETE FROM counts_per_minute WHERE minute < ?1", [minute])?;
        tx.execute("DELETE FROM blind_per_minute WHERE minute < ?1", [minute])?;
        tx.execute("DELETE FROM commands WHERE abs(at - ?1) > ?2", (now.micros(), COMMAND_MEMORY.micros()))?;
    }
    tx.commit()?;
    Ok(())
}

/// The newest row that is surely older than so many days; 0 if none is.
fn last_older(db: &Connection, now: WallTime, days: u32) -> Result<i64> {
    let before = now + Span::from_millis(-i64::from(days) * 86_400_000);
    let seq: Option<i64> = db.query_row(
        "SELECT max(seq) FROM events WHERE clock_trusted AND recorded_at < ?1",
        [before.micros()],
        |row| row.get(0),
    )?;
    Ok(seq.unwrap_or(0))
}

/// The newest row that does not fit when only the last `mb` are kept; 0 if all fit.
fn last_beyond(db: &Connection, end_bytes: i64, mb: u32) -> Result<i64> {
    let limit = end_bytes - i64::from(mb) * 1_000_000;
    // The row in which the limit lies, or the first one behind it.
    let at_limit: Option<(i64, i64)> = db
        .query_row(
            "SELECT seq, end_bytes - length(CAST(payload AS BLOB)) FROM events WHERE end_bytes >= ?1
             ORDER BY end_bytes LIMIT 1",
            [limit],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    Ok(at_limit.map_or(0, |(seq, start)| if start < limit { seq } else { seq - 1 }))
}
