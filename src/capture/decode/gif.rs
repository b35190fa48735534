//! GIF films, through the `image` crate.

use super::{Decode, Facts, Shown, check_size};
use crate::frame::Picture;
use crate::time::{MediaTime, Span};
use anyhow::{Context as _, Result, anyhow, ensure};
use image::codecs::gif::GifDecoder;
use image::{AnimationDecoder as _, DynamicImage, ImageDecoder as _, Limits};
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

/// Several pictures are in memory at once, of four bytes a pixel.
const MAX_PIXELS: u64 = 16_000_000;

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
        let mut decoder = GifDecoder::new(BufReader::new(file)).map_err(undecodable)?;
        let (width, height) = decoder.dimensions();
        check_size(width, height)?;
        let most = MAX_PIXELS / 1_000_000;
        ensure!(
            u64::from(width) * u64::from(height) <= MAX_PIXELS,
            "is a GIF of {width}x{height}, at most {most} megapixels expected"
        );
        // A frame may claim to be larger than the whole; without limits it would be believed.
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(4 * 4 * MAX_PIXELS);
        decoder.set_limits(limits).map_err(undecodable)?;
        // The decoder waits until its picture is taken; when we are gone its next send fails and it ends.
        let (to_us, frames) = sync_channel(0);
        std::thread::Builder::new()
            .name("gif".into())
            .spawn(move || decoder.into_frames().try_for_each(|frame| to_us.send(frame)))
            .context("cannot start a thread")?;
        let facts = Facts {
            what: "GIF".into(),
            decoder: "GIF in the program".into(),
            frames: None,
            fps: None,
            duration: None,
            recorded: None,
        };
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
