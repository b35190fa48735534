//! The way back: pictures become an MP4 film with H.264, without any other program.
//!
//! Absent: sound, and files that appear in their place only when they are whole; that is `report`'s.

mod mp4;

use crate::problems::BadInput;
use crate::time::{MediaTime, Span};
use anyhow::{Context as _, Result, anyhow};
use image::RgbImage;
use mp4::Mp4Writer;
use openh264::OpenH264API;
use openh264::encoder::{
    BitRate, Complexity, Encoder, EncoderConfig, FrameRate, IntraFramePeriod, QpRange, RateControlMode, VuiConfig,
};
use openh264::formats::{RgbSliceU8, YUVBuffer};
use std::fs::File;

/// 16 by 16 pixels each: OpenH264 takes no more, which is level 5.2.
const MAX_MACROBLOCKS: u32 = 36_864;
/// How long a film's only picture is shown.
const ONLY: Span = Span::from_millis(100);

pub struct FilmWriter {
    encoder: Encoder,
    mp4: Mp4Writer,
    size: (u32, u32),
    /// The newest picture, encoded but not written: how long it is shown is known when the next one comes.
    pending: Option<(MediaTime, Vec<u8>)>,
    shown_before: Span,
}

impl FilmWriter {
    /// All pictures are cut to this size, made even.
    ///
    /// # Errors
    /// [`BadInput`] for pictures too small or too large to be encoded.
    pub fn new(file: File, (width, height): (u32, u32)) -> Result<Self> {
        let size = (width & !1, height & !1);
        if size.0.min(size.1) < 16 || size.0.max(size.1) > 4096 {
            let expected = "16x16 to 4096x4096 expected";
            return Err(BadInput(format!("pictures of {width}x{height} cannot be made a film, {expected}")).into());
        }
        if size.0.div_ceil(16) * size.1.div_ceil(16) > MAX_MACROBLOCKS {
            let expected = "at most 9.4 megapixels (4096x2304) expected";
            return Err(BadInput(format!("pictures of {width}x{height} cannot be made a film, {expected}")).into());
        }
        let config = EncoderConfig::new()
            // Constant quality: drawn lines stay sharp, and nobody waits for a bit rate.
            .rate_control_mode(RateControlMode::Off)
            .qp(QpRange::new(26, 26))
            .bitrate(BitRate::from_bps(20_000_000))
            .max_frame_rate(FrameRate::from_hz(30.0))
            .complexity(Complexity::Low)
            .skip_frames(false)
            .intra_frame_period(IntraFramePeriod::from_num_frames(250))
            .vui(VuiConfig::bt601());
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(|error| anyhow!("the H.264 encoder does not start: {error}"))?;
        let mp4 = Mp4Writer::new(file, (size.0 as u16, size.1 as u16))?;
        Ok(FilmWriter { encoder, mp4, size, pending: None, shown_before: ONLY })
    }

    /// The next picture, shown from `at` on.
    pub fn push(&mut self, at: MediaTime, picture: &RgbImage) -> Result<()> {
        self.flush(at)?;
        let encoded = self.encode(picture)?;
        self.pending = Some((at, encoded));
        Ok(())
    }

    /// Writes the index; without it the file is no film.
    pub fn finish(mut self) -> Result<()> {
        if let Some((at, _)) = self.pending {
            // The last is shown as long as the one before.
            self.flush(at + self.shown_before)?;
        }
        self.mp4.finish().context("cannot finish the film")
    }

    fn flush(&mut self, until: MediaTime) -> Result<()> {
        let Some((at, encoded)) = self.pending.take() else { return Ok(()) };
        // Time that went back is a broken stamp.
        self.shown_before = (until - at).max(Span::ZERO);
        let micros = u32::try_from(self.shown_before.micros()).unwrap_or(u32::MAX);
        self.mp4.write(nals(&encoded), micros).context("cannot write the film")
    }

    /// Annex B.
    fn encode(&mut self, picture: &RgbImage) -> Result<Vec<u8>> {
        let (w, h) = self.size;
        let cut;
        let picture = if picture.dimensions() == self.size {
            picture
        } else {
            let mut canvas = RgbImage::new(w, h);
            image::imageops::replace(&mut canvas, picture, 0, 0);
            cut = canvas;
            &cut
        };
        let rgb = RgbSliceU8::new(picture.as_raw(), (w as usize, h as usize));
        let yuv = YUVBuffer::from_rgb8_source(rgb);
        let encoded = self.encoder.encode(&yuv).map_err(|error| anyhow!("the H.264 encoder fails: {error}"))?;
        Ok(encoded.to_vec())
    }
}

/// NAL units of Annex B without their start codes. Emulation prevention makes 00 00 01 unmistakable.
fn nals(annex_b: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut starts: Vec<usize> =
        annex_b.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(at, _)| at + 3).collect();
    starts.push(annex_b.len() + 3);
    let ranges: Vec<_> = starts.windows(2).map(|pair| pair[0]..pair[1] - 3).collect();
    ranges.into_iter().map(|range| {
        let nal = &annex_b[range];
        // The zero of a start code of four bytes, and padding.
        let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        &nal[..end]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::open_video;
    use image::Rgb;

    #[test]
    fn what_was_written_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.mp4");
        let picture =
            |n: u32| RgbImage::from_fn(65, 48, |x, _| if x / 8 == n { Rgb([220, 40, 40]) } else { Rgb([60; 3]) });
        let stamps = [0, 40_000, 80_000, 200_000];
        let mut film = FilmWriter::new(File::create(&path).unwrap(), (65, 48)).unwrap();
        for (n, at) in stamps.iter().enumerate() {
            film.push(MediaTime::from_micros(*at), &picture(n as u32)).unwrap();
        }
        film.finish().unwrap();

        let mut film = open_video(&path).unwrap();
        assert_eq!((film.frames(), film.what()), (Some(4), "MP4, H.264"));
        for (n, at) in stamps.iter().enumerate() {
            let frame = film.next_frame().unwrap().unwrap();
            assert_eq!((frame.at.micros(), frame.picture.size()), (*at, (64, 48)));
            let [r, g, b] = frame.picture.to_rgb().unwrap().get_pixel(n as u32 * 8 + 4, 20).0;
            assert!(r.abs_diff(220) < 20 && g.abs_diff(40) < 20 && b.abs_diff(40) < 20, "{r} {g} {b}");
        }
        assert!(film.next_frame().unwrap().is_none());
        assert_eq!(film.end().micros(), 320_000, "the last is shown as long as the one before");
    }

    #[test]
    fn pictures_too_small_or_too_large_for_the_encoder_are_bad_input() {
        for size in [(8, 8), (4098, 16), (4096, 2320)] {
            let film = FilmWriter::new(tempfile::tempfile().unwrap(), size);
            assert!(film.err().unwrap().is::<BadInput>(), "{size:?}");
        }
        FilmWriter::new(tempfile::tempfile().unwrap(), (4096, 2304)).unwrap();
    }
}
