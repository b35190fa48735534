//! Still pictures and GIF films, through the `image` crate.
//!
//! A picture's size is known before its pixels are decoded, and one that would take more memory than a board
//! has is refused then.

use super::{Decode, Facts, Shown, check_size};
use crate::frame::Picture;
use crate::time::{MediaTime, Span};
use anyhow::{Context as _, Result, anyhow};
use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder as _, DynamicImage, ImageDecoder as _, ImageReader, RgbImage};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Decodes one picture and turns it as its EXIF data says. Transparency is dropped.
///
/// # Errors
/// A sentence that names the file and what was expected.
pub fn read_picture(path: &Path) -> Result<RgbImage> {
    let read = || -> Result<RgbImage> {
        if path.is_dir() {
            anyhow::bail!("is a folder, a picture is expected");
        }
        // Without the path, or a wrong file would be what its name says.
        let file = BufReader::new(File::open(path).context("cannot be opened")?);
        let reader = ImageReader::new(file).with_guessed_format().context("cannot be read")?;
        if reader.format().is_none() {
            anyhow::bail!("is no picture of a known kind, JPEG, PNG, GIF or BMP expected");
        }
        let mut decoder = reader.into_decoder().map_err(undecodable)?;
        let (width, height) = decoder.dimensions();
        check_size(width, height)?;
        let orientation = decoder.orientation().unwrap_or(image::metadata::Orientation::NoTransforms);
        let mut picture = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
        picture.apply_orientation(orientation);
        Ok(picture.into_rgb8())
    };
    read().with_context(|| path.display().to_string())
}

/// The messages of the crate have several lines.
fn undecodable(error: image::ImageError) -> anyhow::Error {
    let text = error.to_string();
    anyhow!("cannot be decoded: {}", text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The frames of a GIF, composed as a browser shows them.
///
/// The decoder may not move between threads, as a source must, so it stays on one of its own.
pub struct Gif {
    frames: Receiver<image::ImageResult<image::Frame>>,
    at: Span,
    shown: u64,
}

impl Gif {
    pub fn open(path: &Path) -> Result<(Self, Facts)> {
        let file = File::open(path).context("cannot be opened")?;
        let decoder = GifDecoder::new(BufReader::new(file)).map_err(undecodable)?;
        let (width, height) = decoder.dimensions();
        check_size(width, height)?;
        // If it is full the decoder waits; when we are gone its next send fails and it ends.
        let (to_us, frames) = sync_channel(2);
        std::thread::Builder::new()
            .name("gif".into())
            .spawn(move || decoder.into_frames().try_for_each(|frame| to_us.send(frame)))
            .context("cannot start a thread")?;
        let facts = Facts { what: "GIF".into(), frames: None, fps: None, duration: None, recorded: None };
        Ok((Gif { frames, at: Span::ZERO, shown: 0 }, facts))
    }
}

impl Decode for Gif {
    fn next(&mut self) -> Result<Option<Shown>> {
        let Ok(frame) = self.frames.recv() else { return Ok(None) };
        let frame = frame.map_err(undecodable).with_context(|| match self.shown {
            0 => "gives not a single picture".to_owned(),
            n => format!("breaks off after {n} frames at {:.1} s", self.at.secs_f64()),
        })?;
        let (numerator, denominator) = frame.delay().numer_denom_ms();
        let lasts = delay(f64::from(numerator) / f64::from(denominator.max(1)));
        let at = MediaTime::ZERO + self.at;
        self.at = self.at + lasts;
        self.shown += 1;
        let picture = DynamicImage::from(frame.into_buffer()).into_rgb8();
        Ok(Some(Shown { at, lasts, picture: Picture::Rgb(Arc::new(picture)) }))
    }
}

/// As browsers do: what says "at once" was meant as "at the usual speed".
fn delay(ms: f64) -> Span {
    if ms < 20.0 { Span::from_millis(100) } else { Span::from_secs_f64(ms / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_picture_gets_one_sentence_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("empty.jpg"), b"").unwrap();
        std::fs::write(path("text.png"), b"hello").unwrap();
        let mut png = Vec::new();
        RgbImage::new(8, 8).write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
        std::fs::write(path("cut.png"), &png[..png.len() / 2]).unwrap();
        // The size stands in the header: 20000 x 20000.
        png[16..24].copy_from_slice(&[0, 0, 0x4e, 0x20, 0, 0, 0x4e, 0x20]);
        // Its check sum, or it would be refused for that.
        let sum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&sum.to_be_bytes());
        std::fs::write(path("huge.png"), &png).unwrap();
        for (name, expected) in [
            ("empty.jpg", "is no picture of a known kind, JPEG, PNG, GIF or BMP expected"),
            ("text.png", "is no picture of a known kind"),
            ("cut.png", "cannot be decoded"),
            ("huge.png", "is 20000x20000, at most 64 megapixels expected"),
            ("", "is a folder, a picture is expected"),
            ("none.png", "cannot be opened"),
        ] {
            let error = format!("{:#}", read_picture(&path(name)).unwrap_err());
            assert!(error.contains(expected) && error.starts_with(folder.path().to_str().unwrap()), "{name}: {error}");
        }
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
        })
    }
}
