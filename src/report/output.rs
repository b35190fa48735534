//! Where results go: standard output, or a file that is written beside its place and then put there, so that
//! nobody ever sees half of one.

use crate::bad_input;
use crate::problems::BadInput;
use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    Stdout,
    File(PathBuf),
}

impl Output {
    /// `-` is standard output. Tells at once, before any long work, where a file could not be written.
    pub fn named(path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Output::Stdout);
        }
        let folder = folder_of(path);
        if !folder.is_dir() {
            bad_input!("{} cannot be written: there is no folder {}", path.display(), folder.display());
        }
        if path.is_dir() || path.file_name().is_none() {
            bad_input!("{} is a folder, the name of a file to write is expected", path.display());
        }
        // A folder without permission would be noticed only at the end; trying is the one honest test.
        if !is_device(path) {
            Part::beside(path).map_err(|error| BadInput(format!("{error:#}")))?;
        }
        Ok(Output::File(path.into()))
    }

    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        match self {
            Output::Stdout => {
                let mut out = std::io::stdout().lock();
                out.write_all(bytes).and_then(|()| out.flush()).context("cannot write to standard output")
            }
            // Putting a file in the place of a device would break the device.
            Output::File(path) if is_device(path) => std::fs::write(path, bytes).with_context(|| cannot_write(path)),
            Output::File(path) => {
                let part = Part::beside(path)?;
                (&part.file).write_all(bytes).with_context(|| cannot_write(path))?;
                part.put()
            }
        }
    }
}

/// A file that is being written: it is put in its place as a whole, or leaves nothing.
pub struct Part {
    pub file: File,
    part: PathBuf,
    path: PathBuf,
}

impl Part {
    /// Beside its place, since only within one file system a rename is one step.
    pub fn beside(path: &Path) -> Result<Self> {
        // Through a link to the file it stands for, or the link would be replaced.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
        let file = File::create(&part).with_context(|| cannot_write(path))?;
        Ok(Part { file, part, path: path.clone() })
    }
    pub fn put(self) -> Result<()> {
        std::fs::rename(&self.part, &self.path).with_context(|| cannot_write(&self.path))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After `put` there is nothing to remove; else an error was told, and half a file is no file.
        let _ = std::fs::remove_file(&self.part);
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}

fn is_device(path: &Path) -> bool {
    path.exists() && !path.is_file()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_cannot_be_written_is_told_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, expected) in [("no/such/out.json", "there is no folder"), (".", "is a folder")] {
            let error = Output::named(&path(name)).unwrap_err();
            assert!(error.is::<BadInput>() && error.to_string().contains(expected), "{error}");
        }
        assert_eq!(Output::named(Path::new("-")).unwrap(), Output::Stdout);
    }

    #[test]
    fn a_file_is_there_as_a_whole_and_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        let output = Output::named(&path).unwrap();
        output.write(b"one").unwrap();
        output.write(b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(Part::beside(&path).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "what was not put leaves nothing");
        Output::named(Path::new("/dev/null")).unwrap().write(b"gone").unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
