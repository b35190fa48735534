//! What the cameras' rules have learned: a file of some kilobytes each, `memory/<camera>.memory` in the state folder.
//!
//! A file is replaced as a whole or not at all, and only if something has changed: who learns all day is written once
//! an hour by whoever owns this. One that is broken, or learned from another view, is moved aside (`.aside`, the one
//! before it goes) and said so; learning then begins anew.

use crate::ids::CameraId;
use crate::memory::Memory;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub struct Memories {
    dir: PathBuf,
    /// As it is on the disk.
    written: BTreeMap<CameraId, Memory>,
}

impl Memories {
    pub fn new(state_dir: &Path) -> Self {
        Memories { dir: state_dir.join("memory"), written: BTreeMap::new() }
    }

    fn path(&self, camera: &CameraId) -> PathBuf {
        self.dir.join(format!("{camera}.memory"))
    }

    /// What was saved of this camera with this view; `None` where nothing was, or nothing that can be used.
    pub fn load(&mut self, camera: &CameraId, view: &str) -> Option<Memory> {
        let path = self.path(camera);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "What was learned of a camera cannot be read, it is learned anew.");
                return None;
            }
        };
        let why = match Memory::from_bytes(&bytes) {
            Ok(memory) if memory.view == view => {
                self.written.insert(camera.clone(), memory.clone());
                return Some(memory);
            }
            Ok(_) => "it was learned with another rotate, crop or mask".into(),
            Err(broken) => broken,
        };
        let aside = path.with_extension("memory.aside");
        let moved = std::fs::rename(&path, &aside);
        tracing::warn!(
            file = %path.display(), kept_as = %aside.display(), moved = moved.is_ok(), why,
            "What was learned of a camera cannot be used: it was moved aside and is learned anew."
        );
        None
    }

    /// Synced when it returns. `true` if there was anything new to write.
    pub fn save(&mut self, camera: &CameraId, memory: Memory) -> Result<bool> {
        if memory.is_empty() || self.written.get(camera) == Some(&memory) {
            return Ok(false);
        }
        let path = self.path(camera);
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(&self.dir)?;
            let new = path.with_extension("memory.new");
            let mut file = File::create(&new)?;
            file.write_all(&memory.to_bytes())?;
            file.sync_all()?;
            std::fs::rename(&new, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
        self.written.insert(camera.clone(), memory);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(byte: u8) -> Memory {
        Memory { view: "straight".into(), parts: [("budget".to_string(), vec![byte; 100])].into() }
    }

    #[test]
    fn it_survives_a_restart_and_is_written_only_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let camera = CameraId::new("door");
        let mut memories = Memories::new(folder.path());
        assert_eq!(memories.load(&camera, "straight"), None);
        assert!(memories.save(&camera, memory(1)).unwrap());
        assert!(!memories.save(&camera, memory(1)).unwrap());
        assert!(!memories.save(&camera, Memory::default()).unwrap(), "nothing learned, nothing written");
        let mut again = Memories::new(folder.path());
        assert_eq!(again.load(&camera, "straight"), Some(memory(1)));
        assert!(!again.save(&camera, memory(1)).unwrap());
        assert!(again.save(&camera, memory(2)).unwrap());
        assert_eq!(std::fs::read_dir(folder.path().join("memory")).unwrap().count(), 1, "nothing is left beside it");
        assert_eq!(Memories::new(folder.path()).load(&camera, "straight"), Some(memory(2)));
    }

    #[test]
    fn what_cannot_be_used_is_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let (camera, file) = (CameraId::new("door"), folder.path().join("memory/door.memory"));
        let mut memories = Memories::new(folder.path());
        memories.save(&camera, memory(1)).unwrap();
        assert_eq!(memories.load(&camera, "turned"), None, "another view");
        assert!(!file.exists() && file.with_extension("memory.aside").exists());
        let mut memories = Memories::new(folder.path());
        memories.save(&camera, memory(1)).unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[60] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        assert_eq!(memories.load(&camera, "straight"), None, "a broken byte");
        assert_eq!(std::fs::read(file.with_extension("memory.aside")).unwrap(), bytes);
        assert!(memories.save(&camera, memory(3)).unwrap(), "and learning goes on");
    }
}
