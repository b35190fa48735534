//! The track log as it is read: beside the appliance that writes it, without asking it for anything.

use super::{FOLDER, camera_folder, tidy};
use crate::ids::CameraId;
use crate::tape::{Blocks, Input, Start};
use crate::time::WallTime;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

/// Blocks that are read ahead.
const AHEAD: usize = 4;

/// The track log of one camera.
pub struct Tapes {
    folder: PathBuf,
}

/// Some minutes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub start: Start,
    /// For [`crate::tape::Player::block`].
    pub chunks: u64,
    pub inputs: Vec<Input>,
}

impl Tapes {
    /// `dir` is a state folder.
    pub fn of(dir: &Path, camera: &CameraId) -> Tapes {
        Tapes { folder: camera_folder(&dir.join(FOLDER), camera) }
    }

    /// Every camera of which something was recorded, by name.
    pub fn cameras(dir: &Path) -> Vec<CameraId> {
        let entries = std::fs::read_dir(dir.join(FOLDER)).into_iter().flatten().flatten();
        let name = |entry: std::fs::DirEntry| Some(CameraId::new(entry.file_name().to_str()?.strip_prefix("camera-")?));
        let mut cameras: Vec<CameraId> = entries.filter_map(name).collect();
        cameras.sort();
        cameras
    }

    /// Everything from the block in which `from` lies to the one in which `until` lies, for somebody who wants to know
    /// what was before and after a moment. What cannot be read is left out.
    pub fn between(&self, from: WallTime, until: WallTime) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        self.play(from, |piece| {
            let goes_on = piece.start.moment.taken <= until;
            if goes_on {
                pieces.push(piece);
            }
            goes_on
        })?;
        Ok(pieces)
    }

    /// Gives `each` the pieces from the one in which `from` lies, in the order of recording, until it wants no more. What
    /// could not be read is told: `FILE: what is wrong`.
    ///
    /// # Errors
    /// The folder or a file cannot be read.
    pub fn play(&self, from: WallTime, mut each: impl FnMut(Piece) -> bool) -> Result<Vec<String>> {
        let files = tidy::files(&self.folder)?;
        // Files are in order of recording; one whose clock ran wrong tells nothing about those before it.
        let is_later = |file: &tidy::Found| file.start().is_some_and(|s| !s.clock_trusted || s.moment.taken > from);
        let first = files.iter().rposition(|file| !is_later(file)).unwrap_or(0);
        let (send, pieces) = sync_channel(AHEAD);
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut wrong = Vec::new();
                for file in &files[first.min(files.len())..] {
                    // Tidied away meanwhile, it is too old for anybody.
                    let bytes = match std::fs::read(&file.path) {
                        Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                        bytes => bytes.with_context(|| format!("cannot read {}", file.path.display()))?,
                    };
                    if !read(&file.path, &bytes, from, &mut wrong, |piece| send.send(piece).is_ok()) {
                        break;
                    }
                }
                Ok(wrong)
            });
            for piece in pieces {
                if !each(piece) {
                    // Dropping the receiver stops the reader.
                    break;
                }
            }
            reader.join().unwrap_or_else(|_| Err(anyhow::anyhow!("the reader of {} panicked", self.folder.display())))
        })
    }
}

/// False if nobody wants more.
fn read(
    path: &Path,
    bytes: &[u8],
    from: WallTime,
    wrong: &mut Vec<String>,
    mut each: impl FnMut(Piece) -> bool,
) -> bool {
    let Blocks { blocks, damage } = Blocks::find(bytes);
    let torn = damage.last().filter(|last| last.at + last.bytes == bytes.len() as u64);
    for part in damage.iter().filter(|part| Some(*part) != torn) {
        wrong.push(format!(
            "{}: {} bytes behind byte {} are no track log of this version, the rest is used",
            path.display(),
            part.bytes,
            part.at
        ));
    }
    if let Some(part) = torn {
        wrong.push(format!("{}: its last {} bytes break off and are left out", path.display(), part.bytes));
    }
    let first = blocks.iter().rposition(|block| block.start.moment.taken <= from).unwrap_or(0);
    for block in &blocks[first.min(blocks.len())..] {
        let (inputs, outcome) = block.read();
        if outcome.is_err() {
            let at = block.start.moment.taken;
            wrong.push(format!("{}: the block of {at} cannot be read to its end", path.display()));
        }
        // A block of which a part is missing shows it to who plays the next one.
        let chunks = if outcome.is_ok() { block.chunks() } else { 0 };
        if !each(Piece { start: block.start, chunks, inputs }) {
            return false;
        }
    }
    true
}
