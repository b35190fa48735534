//! The track log on disk: the tapes of all cameras ([`crate::tape`]), in files of some megabytes below `tracks/` of the
//! state folder. They are no part of the event database: they are written all the time, may be lost without an event
//! being lost, and a database that broke does not take them along.
//!
//! A thread of its own writes and syncs, so that a slow card keeps no frame waiting. It has [`WAITING`] chunks to catch up
//! with; what comes beyond that is lost, counted and said, and so is what a full disk refuses. The camera's next block
//! begins behind the gap. What a power cut tears off is the end of the newest chunk, and a file goes on behind it.

mod read;
mod tidy;

#[cfg(test)]
mod tests;

use super::StoreConfig;
use crate::ids::CameraId;
use crate::tape::Chunk;
use crate::time::{Span, Stopwatch, WallTime};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

pub use read::{Piece, Tapes};

/// Chunks that may wait for the disk: minutes of a few cameras.
pub const WAITING: usize = 64;

/// The first block that begins behind this size, or so long after the file's first, begins another file.
const FILE_BYTES: u64 = 2_000_000;
const FILE_SPAN: Span = Span::from_millis(24 * 3_600_000);

const TIDY_EVERY: Span = Span::from_millis(10 * 60_000);

const FOLDER: &str = "tracks";
const ENDING: &str = "tape";

/// The writing side.
pub struct TrackStore {
    queue: SyncSender<(CameraId, Chunk)>,
    lost: Arc<Lost>,
    thread: JoinHandle<()>,
}

/// Cameras of which something is missing on disk that they do not know of yet.
#[derive(Default)]
struct Lost(Mutex<BTreeSet<CameraId>>);

impl Lost {
    fn cameras(&self) -> MutexGuard<'_, BTreeSet<CameraId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TrackStore {
    /// `None` where the configuration wants no tracks kept. Nothing is written before the first chunk.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn open(dir: &Path, config: &StoreConfig) -> Result<Option<TrackStore>> {
        if config.keep_tracks_days == 0 || config.keep_tracks_mb == 0 {
            return Ok(None);
        }
        let (queue, chunks) = sync_channel(WAITING);
        let lost = Arc::new(Lost::default());
        let writer = Writer {
            folder: dir.join(FOLDER),
            config: config.clone(),
            open: BTreeMap::new(),
            lost: lost.clone(),
            since_tidy: None,
            trouble: false,
        };
        let thread = std::thread::Builder::new().name("tracks".into());
        let thread = thread.spawn(move || writer.run(&chunks)).context("cannot start the thread that writes tracks")?;
        Ok(Some(TrackStore { queue, lost, thread }))
    }

    /// On its way to the disk. False if this chunk or one before it was lost: then the next one has to be readable
    /// without what was before.
    pub fn write(&self, camera: &CameraId, chunk: Chunk) -> bool {
        let sent = self.queue.try_send((camera.clone(), chunk)).is_ok();
        if !sent {
            tracing::warn!(%camera, "The disk is too slow for the track log, a part of it is lost.");
        }
        let known = !self.lost.cameras().remove(camera);
        sent && known
    }

    /// Everything that waits is written.
    pub fn close(self) {
        drop(self.queue);
        if self.thread.join().is_err() {
            tracing::error!("The thread that writes tracks had panicked.");
        }
    }
}

struct Writer {
    folder: PathBuf,
    config: StoreConfig,
    open: BTreeMap<CameraId, Open>,
    lost: Arc<Lost>,
    since_tidy: Option<Stopwatch>,
    /// Said already.
    trouble: bool,
}

/// A camera's newest file.
struct Open {
    file: Option<File>,
    number: u64,
    bytes: u64,
    /// When its first block began.
    began: WallTime,
}

impl Writer {
    fn run(mut self, chunks: &Receiver<(CameraId, Chunk)>) {
        while let Ok((camera, chunk)) = chunks.recv() {
            match self.write(&camera, &chunk) {
                Ok(()) if std::mem::take(&mut self.trouble) => tracing::info!("Tracks are on disk again."),
                Ok(()) => {}
                Err(error) => {
                    self.lost.cameras().insert(camera);
                    if !std::mem::replace(&mut self.trouble, true) {
                        tracing::error!(error = format!("{error:#}"), "Tracks cannot be recorded, will try again.");
                    }
                }
            }
            self.tidy(&chunk);
        }
    }

    fn write(&mut self, camera: &CameraId, chunk: &Chunk) -> Result<()> {
        let folder = camera_folder(&self.folder, camera);
        let open = match self.open.entry(camera.clone()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Open::newest(&folder)),
        };
        if chunk.is_first {
            let is_old = chunk.taken - open.began >= FILE_SPAN || open.began - chunk.taken >= FILE_SPAN;
            if open.bytes >= FILE_BYTES || is_old && open.bytes > 0 {
                *open = Open { file: None, number: open.number + 1, bytes: 0, began: chunk.taken };
            }
        } else if open.file.is_none() {
            // What it goes on from is not there, and its camera knows.
            return Ok(());
        }
        let path = folder.join(file_name(open.number));
        let wrote = open.append(&path, chunk);
        if wrote.is_err() {
            // Without its torn end, if the disk allows as much. Only a first chunk opens the file again.
            let _ = open.file.take().map(|file| file.set_len(open.bytes));
        }
        wrote.with_context(|| format!("cannot write {}", path.display()))
    }

    fn tidy(&mut self, newest: &Chunk) {
        if self.since_tidy.as_ref().is_some_and(|watch| watch.elapsed() < TIDY_EVERY) {
            return;
        }
        self.since_tidy = Some(Stopwatch::start());
        let now = newest.clock_trusted.then(WallTime::now);
        if let Err(error) = tidy::tidy(&self.folder, &self.config, now) {
            tracing::warn!(error = format!("{error:#}"), "Old tracks could not be cleared away, will try again.");
        }
    }
}

impl Open {
    fn newest(folder: &Path) -> Open {
        let newest = tidy::files(folder).unwrap_or_default().pop();
        let began = newest.as_ref().and_then(|file| file.start());
        match newest {
            Some(file) => Open {
                file: None,
                number: file.number,
                // A file that does not tell how it begins is left alone.
                bytes: if began.is_some() { file.bytes } else { u64::MAX },
                began: began.map_or(WallTime::EPOCH, |start| start.moment.taken),
            },
            None => Open { file: None, number: 1, bytes: 0, began: WallTime::EPOCH },
        }
    }

    fn append(&mut self, path: &Path, chunk: &Chunk) -> std::io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                if self.bytes == 0 {
                    self.began = chunk.taken;
                }
                self.file.insert(OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        file.write_all(&chunk.bytes)?;
        file.sync_data()?;
        self.bytes += chunk.bytes.len() as u64;
        Ok(())
    }
}

fn camera_folder(tracks: &Path, camera: &CameraId) -> PathBuf {
    // A camera may be called "..".
    tracks.join(format!("camera-{camera}"))
}

fn file_name(number: u64) -> String {
    format!("{number:08}.{ENDING}")
}
