//! A small file beside the database: a number that `seq` has surely not reached yet. Should the database be
//! lost, counting goes on from there, so that no `seq` is ever given twice.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The file is written (and synced) once in so many events.
const AHEAD: u64 = 4096;

#[derive(Debug)]
pub struct Ceiling {
    path: PathBuf,
    value: u64,
}

impl Ceiling {
    /// Absent or unreadable counts as 0: the database alone knows then.
    pub fn open(dir: &Path) -> Self {
        let path = dir.join("seq-ceiling");
        let value = std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        Ceiling { path, value }
    }

    pub fn value(&self) -> u64 {
        self.value
    }

    /// Makes sure that the file names a number above `seq`, on the disk, before `seq` is given to anybody.
    pub fn raise_above(&mut self, seq: u64) -> Result<()> {
        if seq < self.value {
            return Ok(());
        }
        let value = seq + AHEAD;
        let write = || -> std::io::Result<()> {
            let new = self.path.with_extension("new");
            let mut file = File::create(&new)?;
            writeln!(file, "{value}")?;
            file.sync_all()?;
            std::fs::rename(&new, &self.path)?;
            match self.path.parent() {
                Some(dir) => File::open(dir)?.sync_all(),
                None => Ok(()),
            }
        };
        write().with_context(|| format!("cannot write {}", self.path.display()))?;
        self.value = value;
        Ok(())
    }
}
