//! Runs the real binary, in a folder of its own, and judges how it complains.

// Each test file uses its own part of this.
#![allow(dead_code)]

use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A folder that a test may fill, gone when the test is.
pub struct Desk(TempDir);

/// How a run ended.
pub struct Outcome {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Desk {
    pub fn new() -> Self {
        Desk(tempfile::tempdir().expect("a folder for temporary files"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn put(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.path(name), bytes).unwrap();
        self
    }

    pub fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs `watchpost` here with the words of `line`, with a clean environment beside `PATH`.
    pub fn run(&self, line: &str) -> Outcome {
        self.run_with(line, &[])
    }

    pub fn run_with(&self, line: &str, environment: &[(&str, &str)]) -> Outcome {
        let output = self.command(line).envs(environment.iter().copied()).output().expect("the binary starts");
        Outcome {
            status: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// For runs that somebody has to look after.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
        command.args(line.split_whitespace()).current_dir(self.0.path()).env_clear().stdin(Stdio::null());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        // A cache of prepared models, if the binary keeps one, is shared by all runs of all tests.
        command.env("XDG_CACHE_HOME", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"));
        // Nor does what `models pull` got on this machine. Nothing is there.
        command.env("STATE_DIRECTORY", self.path("no-state"));
        command
    }
}

impl Outcome {
    /// One sentence with these words and this exit status, and nothing that looks like a crash.
    pub fn complains(&self, status: i32, words: &[&str], what: &str) {
        let said = self.stderr.trim_end();
        assert_eq!(said.lines().count(), 1, "{what}: one sentence expected, got:\n{said}");
        self.says(status, words, what);
    }

    /// The same for complaints of several lines.
    pub fn says(&self, status: i32, words: &[&str], what: &str) {
        let said = &self.stderr;
        assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{what}: {said}");
        assert_eq!(self.status, status, "{what}: {said}");
        for word in words {
            assert!(said.contains(word), "{what}: \"{word}\" is missing in: {said}");
        }
    }

    pub fn is_fine(&self, what: &str) -> &Self {
        assert_eq!((self.status, self.stderr.as_str()), (0, ""), "{what}: {}", self.stdout);
        self
    }
}

/// A picture nobody has to ship: a sky, a floor, and something that stands on it.
pub fn scene(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let (u, v) = (x as f32 / width as f32, y as f32 / height as f32);
        let stands = (0.4..0.6).contains(&u) && (0.3..0.9).contains(&v);
        Rgb(if stands {
            [200, (60.0 + 100.0 * v) as u8, 40]
        } else if v < 0.6 {
            [120, 170, (255.0 - 80.0 * v) as u8]
        } else {
            [90, (80.0 + 40.0 * u) as u8, 70]
        })
    })
}

pub fn encoded(picture: &RgbImage, format: image::ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn jpeg(width: u32, height: u32) -> Vec<u8> {
    encoded(&scene(width, height), image::ImageFormat::Jpeg)
}

/// A PNG that says it is this large and has a few bytes to show for it.
pub fn png_that_claims(width: u32, height: u32) -> Vec<u8> {
    let mut png = encoded(&RgbImage::new(1, 1), image::ImageFormat::Png);
    png[16..20].copy_from_slice(&width.to_be_bytes());
    png[20..24].copy_from_slice(&height.to_be_bytes());
    // The header's checksum covers its name and its 13 bytes.
    let crc = png[12..29].iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xEDB8_8320 } else { c >> 1 })
    });
    png[29..33].copy_from_slice(&(!crc).to_be_bytes());
    png
}

/// The folder of pictures, films and models that are not part of the project; `None` where there is none.
pub fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("WATCHPOST_SHARED").map_or(beside, PathBuf::from);
    if !folder.join("data").is_dir() {
        println!("skipped: no shared data");
        return None;
    }
    Some(folder)
}
