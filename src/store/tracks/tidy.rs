//! What of the track log is kept: as with events, age is judged by files whose clock was trusted, and while the present
//! one is not trusted nothing is old. Files are in the order of recording, so all before an old one is old too.

use super::{ENDING, FILE_SPAN, StoreConfig};
use crate::tape::{Blocks, Start};
use crate::time::{Span, WallTime};
use anyhow::{Context, Result};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A first chunk is no longer.
const HEAD: u64 = 256 << 10;

pub(super) struct Found {
    pub path: PathBuf,
    pub number: u64,
    pub bytes: u64,
}

impl Found {
    /// How its first block begins; `None` where that cannot be read.
    pub fn start(&self) -> Option<Start> {
        let mut head = Vec::new();
        File::open(&self.path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
        Some(Blocks::find(&head).blocks.first()?.start)
    }
}

/// The files of one camera, in order. No folder is no file.
pub(super) fn files(folder: &Path) -> Result<Vec<Found>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("cannot read the folder {}", folder.display())),
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let (Some(number), true) = (number, path.extension().is_some_and(|ending| ending == ENDING)) {
            let bytes = entry.metadata().map_or(0, |about| about.len());
            found.push(Found { path, number, bytes });
        }
    }
    found.sort_by_key(|file| file.number);
    Ok(found)
}

/// Removes what is too old, if `now` is known, and then what is too much.
pub(super) fn tidy(tracks: &Path, config: &StoreConfig, now: Option<WallTime>) -> Result<()> {
    let oldest = now.map(|now| now + Span::from_millis(-i64::from(config.keep_tracks_days) * 86_400_000));
    let mut kept = Vec::new();
    let folders = std::fs::read_dir(tracks).with_context(|| format!("cannot read the folder {}", tracks.display()))?;
    for folder in folders.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let files = files(&folder)?;
        let starts: Vec<Option<Start>> = files.iter().map(Found::start).collect();
        let is_before = |start: &Option<Start>, limit: WallTime| {
            start.is_some_and(|start| start.clock_trusted && start.moment.taken < limit)
        };
        // A file is over where the next one begins; the newest, when it is of an age that no file reaches.
        let over = |i: usize, limit: WallTime| match starts.get(i + 1) {
            Some(next) => is_before(next, limit),
            None => is_before(&starts[i], limit + Span::from_millis(-2 * FILE_SPAN.micros() / 1000)),
        };
        let gone = oldest.map_or(0, |limit| (0..files.len()).rev().find(|i| over(*i, limit)).map_or(0, |i| i + 1));
        let count = files.len();
        for (i, file) in files.into_iter().enumerate() {
            if i < gone {
                remove(&file.path)?;
            } else {
                let began = starts[i].map_or(WallTime::EPOCH, |start| start.moment.taken);
                kept.push((i + 1 == count, began, file));
            }
        }
    }
    let mut bytes: u64 = kept.iter().map(|(.., file)| file.bytes).sum();
    // Those that are written to come last.
    kept.sort_by(|(newest, began, a), (other, later, b)| (newest, began, &a.path).cmp(&(other, later, &b.path)));
    for (_, _, file) in kept.iter().filter(|(is_newest, ..)| !is_newest) {
        if bytes <= u64::from(config.keep_tracks_mb) * 1_000_000 {
            break;
        }
        remove(&file.path)?;
        bytes -= file.bytes;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))
}
