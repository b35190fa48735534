//! What `bench` decodes, again and again.

use crate::capture::{Film, FilmWriter, jpeg, open_video};
use crate::evidence;
use crate::frame::{Frame, Picture};
use crate::infer::{Cost, Meter};
use crate::time::{MediaTime, Span, WallTime};
use anyhow::{Context, Result};
use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MADE_UP: (u32, u32) = (1280, 720);
const MADE_UP_FRAMES: u32 = 24;

pub(super) enum Reel {
    Film(Box<Looped>),
    Jpegs(Jpegs),
}

impl Reel {
    /// A film, or JPEGs; made up where no file is given.
    pub fn open(video: Option<&Path>, mjpeg: Option<Option<&Path>>) -> Result<Self> {
        Ok(match mjpeg {
            Some(file) => Reel::Jpegs(Jpegs::open(file)?),
            None => Reel::Film(Box::new(Looped::open(video)?)),
        })
    }

    pub fn next(&mut self) -> Result<(Frame, Cost)> {
        match self {
            Reel::Film(film) => film.next(),
            Reel::Jpegs(jpegs) => jpegs.next(),
        }
    }

    pub fn what(&self) -> &str {
        match self {
            Reel::Film(film) => &film.what,
            Reel::Jpegs(jpegs) => jpegs.what,
        }
    }
}

/// Frames as a camera compresses them.
pub(super) struct Jpegs {
    frames: Vec<Vec<u8>>,
    index: u64,
    what: &'static str,
}

impl Jpegs {
    fn open(file: Option<&Path>) -> Result<Self> {
        let Some(path) = file else {
            let frame = |i| evidence::jpeg(&Picture::Rgb(Arc::new(made_up_picture(i))), evidence::jpeg::QUALITY);
            let frames = (0..MADE_UP_FRAMES).map(frame).collect::<Result<_>>()?;
            return Ok(Jpegs { frames, index: 0, what: "made-up MJPEG" });
        };
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let (mut rest, mut frames) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let length = jpeg::length(rest).with_context(|| format!("{}: frame {}", path.display(), frames.len()))?;
            let (frame, after) = rest.split_at(length);
            frames.push(frame.to_vec());
            rest = after;
        }
        Ok(Jpegs { frames, index: 0, what: "MJPEG" })
    }

    /// Ten a second.
    fn next(&mut self) -> Result<(Frame, Cost)> {
        let frame =
            self.frames.get(self.index as usize % self.frames.len().max(1)).context("there are no frames")?.clone();
        let mut meter = Meter::start();
        let picture = jpeg::picture(frame)?;
        let cost = meter.lap();
        let (index, at) = (self.index, MediaTime::from_micros(self.index as i64 * 100_000));
        self.index += 1;
        Ok((Frame { index, at, taken: WallTime::EPOCH, picture }, cost))
    }
}

/// A film that begins again when it is over.
pub(super) struct Looped {
    path: PathBuf,
    film: Film,
    what: String,
    /// Where the film's beginning lies in our time.
    start: Span,
    /// Removed with us.
    _made_up: Option<Removed>,
}

struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0); // it lies in the temporary folder, which the system empties anyway
    }
}

impl Looped {
    fn open(video: Option<&Path>) -> Result<Self> {
        let made_up = if video.is_none() { Some(make_up()?) } else { None };
        let path = video.map(Path::to_path_buf).or_else(|| made_up.as_ref().map(|m| m.0.clone())).unwrap_or_default();
        let film = open_video(&path)?;
        let what = if made_up.is_some() { "made-up H.264 film".into() } else { film.what().to_string() };
        Ok(Looped { path, film, what, start: Span::ZERO, _made_up: made_up })
    }

    fn next(&mut self) -> Result<(Frame, Cost)> {
        let mut meter = Meter::start();
        let mut frame = self.film.next_frame()?;
        if frame.is_none() {
            self.start = self.start + (self.film.end() - MediaTime::ZERO);
            self.film = open_video(&self.path)?;
            meter.lap();
            frame = self.film.next_frame()?;
        }
        let decode = meter.lap();
        let mut frame = frame.with_context(|| format!("{} has no pictures", self.path.display()))?;
        frame.at = frame.at + self.start;
        Ok((frame, decode))
    }
}

/// A film of a textured scene with blocks that move through it, as long as a few seconds of a slow camera.
fn make_up() -> Result<Removed> {
    let path = std::env::temp_dir().join(format!("watchpost-bench-{}.mp4", std::process::id()));
    let cannot = || format!("cannot make up a film at {}", path.display());
    let file = std::fs::File::options().read(true).write(true).create_new(true).open(&path).with_context(cannot)?;
    let made_up = Removed(path.clone());
    let mut film = FilmWriter::new(file, MADE_UP)?;
    for i in 0..MADE_UP_FRAMES {
        film.push(MediaTime::from_micros(i64::from(i) * 100_000), &made_up_picture(i)).with_context(cannot)?;
    }
    film.finish().with_context(cannot)?;
    Ok(made_up)
}

fn made_up_picture(i: u32) -> RgbImage {
    RgbImage::from_fn(MADE_UP.0, MADE_UP.1, |x, y| {
        let in_block = (x + 1280 - 12 * i) % 320 < 60 && (y + 4 * i) % 240 < 150;
        let grain = (x.wrapping_mul(73) ^ y.wrapping_mul(151)) % 23;
        let [r, g, b] = if in_block { [200 - y / 8, 60, 40] } else { [90 + x / 16, 110, 70 + y / 8] };
        Rgb([r + grain, g + grain, b + grain].map(|v| v.min(255) as u8))
    })
}
