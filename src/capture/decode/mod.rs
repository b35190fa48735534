//! Films: from a file to pictures with stamps. With `encode`, the only place that names codecs and containers.
//!
//! MP4 with H.264 and GIF are decoded in this process, everything else by the `ffmpeg` program where it is
//! installed. Pictures come in the order they are shown, the first at film time 0.
//!
//! Absent: sound, seeking, pacing (that is `file`'s), and networks (an RTSP camera brings its own access units
//! to `h264`).

mod bytes;
pub mod child;
mod ffmpeg;
mod fragments;
mod gif;
pub mod h264;
pub mod jpeg;
mod mp4;
mod mp4_film;
mod rotate;
mod samples;
pub(super) mod sps;
mod still;

use crate::frame::{Frame, Picture};
use crate::problems::BadInput;
use crate::time::{MediaTime, Span, WallTime};
use anyhow::{Context as _, Result, anyhow, bail};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

pub use still::{Still, read_picture};

/// What a source of pictures may be at most; a picture of so many pixels takes 192 MB as RGB.
const MAX_PIXELS: u64 = 64_000_000;

/// What is known of a film before it is decoded.
#[derive(Debug, Clone, PartialEq)]
struct Facts {
    /// Container and codec, for messages.
    what: String,
    /// Codec and who decodes it, for the status.
    decoder: String,
    frames: Option<u64>,
    fps: Option<f64>,
    duration: Option<Span>,
    recorded: Option<WallTime>,
}

/// One picture and when it is shown.
struct Shown {
    at: MediaTime,
    lasts: Span,
    picture: Picture,
}

trait Decode: Send {
    /// `None`: the film is over. An error: it breaks off here; its text completes the sentence "FILE …".
    fn next(&mut self) -> Result<Option<Shown>>;
}

/// An open film, for those who look at every frame and need not hurry.
pub struct Film {
    path: PathBuf,
    decode: Box<dyn Decode>,
    facts: Facts,
    next_index: u64,
    end: MediaTime,
    is_over: bool,
}

/// Opens a film file.
///
/// # Errors
/// [`BadInput`]: one sentence that names the file, what is wrong with it and what was expected.
pub fn open_video(path: &Path) -> Result<Film> {
    let (decode, facts) = open(path).map_err(|error| BadInput(format!("{} {error:#}", path.display())))?;
    Ok(Film { path: path.into(), decode, facts, next_index: 0, end: MediaTime::ZERO, is_over: false })
}

fn open(path: &Path) -> Result<(Box<dyn Decode>, Facts)> {
    let file = File::open(path).context("cannot be opened")?;
    let about = file.metadata().context("cannot be read")?;
    if about.is_dir() {
        bail!("is a folder, a film is expected");
    }
    if !about.is_file() {
        // Reading a pipe or a device may wait for ever.
        bail!("is no regular file, a film is expected");
    }
    if about.len() == 0 {
        bail!("is empty, a film is expected");
    }
    let mut head = [0; 512];
    let n = (&file).read(&mut head).context("cannot be read")?;
    let head = &head[..n];
    if mp4::is_mp4(head) {
        let movie = mp4::read(&file)?;
        return match mp4_film::Mp4Film::open(file, movie) {
            Ok((film, facts)) => Ok((Box::new(film), facts)),
            Err(mp4_film::NotOurs(what)) => through_ffmpeg(path, &what),
        };
    }
    match kind_of(head) {
        Kind::Gif => gif::Gif::open(path).map(|(gif, facts)| (Box::new(gif) as Box<dyn Decode>, facts)),
        Kind::Still(what) => bail!("is a picture ({what}), a film is expected"),
        Kind::Text => bail!("is a text file, a film is expected"),
        Kind::Film(what) => through_ffmpeg(path, what),
        Kind::Unknown => through_ffmpeg(path, "a film of no kind that is known without it"),
    }
}

fn through_ffmpeg(path: &Path, what: &str) -> Result<(Box<dyn Decode>, Facts)> {
    let Some(found) = ffmpeg::found() else {
        bail!("is {what}; to read it install ffmpeg (MP4 with H.264 and GIF need no other program)");
    };
    let facts = ffmpeg::probe(path)?;
    tracing::debug!(file = %path.display(), what = facts.what, ffmpeg = found.version, "Decoding in a child process.");
    let film = ffmpeg::Ffmpeg::open(path, &facts, found)?;
    Ok((Box::new(film), facts))
}

#[derive(Debug, PartialEq)]
enum Kind {
    Gif,
    Still(&'static str),
    Film(&'static str),
    Text,
    Unknown,
}

/// By the first bytes, never by the name.
fn kind_of(head: &[u8]) -> Kind {
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    match () {
        () if at(0, b"GIF8") => Kind::Gif,
        () if at(0, b"\xff\xd8\xff") => Kind::Still("JPEG"),
        () if at(0, b"\x89PNG") => Kind::Still("PNG"),
        () if at(0, b"BM") && at(6, &[0; 4]) => Kind::Still("BMP"),
        () if at(0, b"RIFF") && at(8, b"AVI ") => Kind::Film("an AVI film"),
        () if at(0, b"RIFF") && at(8, b"WEBP") => Kind::Still("WebP"),
        () if at(0, b"\x1a\x45\xdf\xa3") => Kind::Film("a Matroska or WebM film"),
        () if at(0, b"FLV") => Kind::Film("a Flash film"),
        () if at(0, b"\x30\x26\xb2\x75") => Kind::Film("a Windows Media film"),
        () if at(0, b"OggS") => Kind::Film("an Ogg film"),
        () if at(0, b"\0\0\x01\xba") => Kind::Film("an MPEG program stream"),
        () if at(0, b"\x47") && at(188, b"\x47") => Kind::Film("an MPEG transport stream"),
        () if at(0, b"\0\0\0\x01") || at(0, b"\0\0\x01") => Kind::Film("a bare video stream"),
        () if looks_like_text(head) => Kind::Text,
        () => Kind::Unknown,
    }
}

/// ffmpeg would make a film of text (ANSI art).
fn looks_like_text(head: &[u8]) -> bool {
    // A character may be cut in two at the end of what was read.
    let whole = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or(""),
        Err(_) => return false,
    };
    !whole.is_empty() && whole.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

/// The error completes the sentence "FILE …".
pub(super) fn check_size(width: u32, height: u32) -> Result<()> {
    if width == 0 || height == 0 {
        bail!("has pictures without a pixel ({width}x{height})");
    }
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        bail!("is {width}x{height}, at most {} megapixels expected", MAX_PIXELS / 1_000_000);
    }
    Ok(())
}

impl Film {
    /// `None`: the film is over.
    ///
    /// # Errors
    /// The film breaks off; all its frames before the break have been given. Then it is over.
    pub fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.is_over {
            return Ok(None);
        }
        match self.decode.next() {
            Ok(Some(Shown { at, lasts, picture })) => {
                let index = self.next_index;
                self.next_index += 1;
                self.end = at + lasts;
                let taken = self.recorded().unwrap_or(WallTime::EPOCH) + (at - MediaTime::ZERO);
                Ok(Some(Frame { index, at, taken, picture }))
            }
            Ok(None) => {
                self.is_over = true;
                Ok(None)
            }
            Err(error) => {
                self.is_over = true;
                Err(anyhow!("{} {error:#}", self.path.display()))
            }
        }
    }
    /// How many frames it has, where its header tells; a film that was cut has fewer.
    pub fn frames(&self) -> Option<u64> {
        self.facts.frames
    }
    /// Frames per second on average, where its header tells.
    pub fn fps(&self) -> Option<f64> {
        self.facts.fps
    }
    pub fn duration(&self) -> Option<Span> {
        self.facts.duration
    }
    /// When the recording began, if the file says so.
    pub fn recorded(&self) -> Option<WallTime> {
        self.facts.recorded
    }
    /// Where the last frame that was given ends; the length of the film once it is over.
    pub fn end(&self) -> MediaTime {
        self.end
    }
    /// Codec and what decodes it, in words.
    pub fn decoder(&self) -> &str {
        &self.facts.decoder
    }
    /// Container and codec, in words.
    pub fn what(&self) -> &str {
        &self.facts.what
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_first_bytes() {
        for (head, kind) in [
            (b"GIF89a".as_slice(), Kind::Gif),
            (b"RIFF\x10\0\0\0AVI LIST", Kind::Film("an AVI film")),
            (b"\xff\xd8\xff\xe0", Kind::Still("JPEG")),
            ("Grüße, das ist kein Film.\n".as_bytes(), Kind::Text),
            (&"ü".as_bytes()[..1], Kind::Unknown),
            (&[0; 400], Kind::Unknown),
        ] {
            assert_eq!(kind_of(head), kind, "{head:?}");
        }
    }
}
