//! A folder of pictures that plays like a camera, in the order of their names, once.
//!
//! A picture that cannot be read is reported and passed over. Absent: watching for pictures that come later.

use super::{Source, read_picture};
use crate::frame::{Frame, Picture};
use crate::problems::{BadInput, Problems};
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use anyhow::Result;
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FolderConfig {
    /// Holds JPEG, PNG, GIF or BMP files; a relative path starts at the configuration file.
    pub path: PathBuf,
    /// Pictures per second.
    #[serde(default = "one")]
    pub fps: f64,
}

fn one() -> f64 {
    1.0
}

impl FolderConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        problems.expect(!self.path.as_os_str().is_empty(), format!("{at}.path"), "is empty, a folder is expected");
        let is_rate = self.fps > 0.0 && self.fps <= 1000.0;
        problems.expect(
            is_rate,
            format!("{at}.fps"),
            format!("is {}, more than 0 and at most 1000 expected", self.fps),
        );
    }
}

pub struct FolderSource {
    config: FolderConfig,
    stop: Stop,
    /// Those still to come, the next one last.
    coming: Vec<PathBuf>,
    index: u64,
    opened: WallTime,
    clock: Stopwatch,
}

impl FolderSource {
    pub fn open(config: &FolderConfig, stop: &Stop) -> Result<Self> {
        let mut coming = pictures_in(&config.path)?;
        coming.reverse();
        Ok(FolderSource {
            config: config.clone(),
            stop: stop.clone(),
            coming,
            index: 0,
            opened: WallTime::now(),
            clock: Stopwatch::start(),
        })
    }
}

/// The pictures in a folder, by name; at least one.
pub fn pictures_in(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(path)
        .map_err(|error| BadInput(format!("{} cannot be read as a folder of pictures: {error}", path.display())))?;
    let is_picture = |path: &PathBuf| {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        matches!(extension.as_str(), "jpg" | "jpeg" | "png" | "gif" | "bmp")
    };
    let mut pictures: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_picture).collect();
    if pictures.is_empty() {
        crate::bad_input!("{} has no pictures, JPEG, PNG, GIF or BMP files expected", path.display());
    }
    pictures.sort_unstable();
    Ok(pictures)
}

impl Source for FolderSource {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        loop {
            if self.stop.is_set() {
                return Ok(None);
            }
            let Some(path) = self.coming.pop() else { return Ok(None) };
            let index = self.index;
            self.index += 1;
            let picture = match read_picture(&path) {
                Ok(picture) => Picture::Rgb(picture),
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "Passed over a picture.");
                    continue;
                }
            };
            let since_opened = Span::from_secs_f64(index as f64 / self.config.fps);
            if self.stop.wait(since_opened - self.clock.elapsed()) {
                return Ok(None);
            }
            return Ok(Some(Frame {
                index,
                at: MediaTime::ZERO + since_opened,
                taken: self.opened + since_opened,
                picture,
            }));
        }
    }
    fn describe(&self) -> String {
        format!("folder {}", self.config.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    #[test]
    fn pictures_come_by_name_and_broken_ones_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        for (name, width) in [("b.PNG", 2), ("a.png", 1), ("d.png", 4)] {
            let mut png = Vec::new();
            RgbImage::new(width, 1).write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
            std::fs::write(folder.path().join(name), png).unwrap();
        }
        std::fs::write(folder.path().join("c.jpg"), "no picture").unwrap();
        std::fs::write(folder.path().join("readme.txt"), "no picture either").unwrap();
        let config = FolderConfig { path: folder.path().into(), fps: 1000.0 };
        let mut source = FolderSource::open(&config, &Stop::new()).unwrap();
        let mut seen = Vec::new();
        while let Some(frame) = source.next_frame().unwrap() {
            seen.push((frame.index, frame.at.micros(), frame.picture.size().0));
        }
        assert_eq!(seen, [(0, 0, 1), (1, 1000, 2), (3, 3000, 4)]);
    }

    #[test]
    fn a_folder_without_pictures_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let config = FolderConfig { path: folder.path().into(), fps: 1.0 };
        let error = FolderSource::open(&config, &Stop::new()).err().unwrap();
        assert!(error.to_string().ends_with("has no pictures, JPEG, PNG, GIF or BMP files expected"), "{error}");
    }
}
