//! What `detect` writes: whole files or nothing, never over one of the pictures it was given.

use crate::bad_input;
use crate::report::Output;
use anyhow::Result;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// `-` on the command line.
pub fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// The pictures given, which are not to be written over.
pub struct Inputs(BTreeSet<PathBuf>);

impl Inputs {
    pub fn new(images: &[PathBuf]) -> Self {
        Inputs(images.iter().filter_map(|path| path.canonicalize().ok()).collect())
    }

    /// Whether a file can be written there, before hours of work are spent on it.
    pub fn check(&self, path: &Path) -> Result<()> {
        self.spare(path)?;
        Output::named(path).map(drop)
    }

    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.spare(path)?;
        let output = if is_stdout(path) { Output::Stdout } else { Output::File(path.into()) };
        output.write(bytes)
    }

    fn spare(&self, path: &Path) -> Result<()> {
        if path.canonicalize().is_ok_and(|path| self.0.contains(&path)) {
            bad_input!("{} is one of the pictures to look at, it would be written over", path.display());
        }
        Ok(())
    }
}

/// A name for each picture's results, different for each though two folders may hold the same name.
pub fn stems(images: &[PathBuf]) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut free = |stem: String| {
        let numbered = (2..).map(|n| format!("{stem}-{n}"));
        let name = std::iter::once(stem.clone()).chain(numbered).find(|name| !taken.contains(name));
        let name = name.expect("numbers do not run out");
        taken.insert(name.clone());
        name
    };
    let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    images.iter().map(|path| free(stem(path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_collide() {
        let images = ["a/x.jpg", "b/x.png", "x-2.jpg", "y"].map(PathBuf::from);
        assert_eq!(stems(&images), ["x", "x-2", "x-2-2", "y"]);
    }

    #[test]
    fn a_picture_is_not_written_over_even_by_another_name() {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("a.jpg");
        std::fs::write(&picture, "pixels").unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&picture, &link).unwrap();
        let inputs = Inputs::new(std::slice::from_ref(&picture));
        assert!(inputs.write(&link, b"{}").is_err());
        assert_eq!(std::fs::read(&picture).unwrap(), b"pixels");
    }
}
