//! H.264 through OpenH264, in this process. Pictures come out in the order they are shown.
//!
//! OpenH264 holds pictures back while B-frames may still come before them. Asked to flush after each access
//! unit (the default of the crate) it drops nearly everything of such a film, so it is never asked before the
//! end.

use crate::frame::Yuv420;
use anyhow::{Result, anyhow, bail};
use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource as _;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When a picture is shown and for how long, in ticks of its track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    pub shown: i64,
    pub duration: u32,
}

/// The most pictures that H.264 lets a decoder hold back: an older one got lost in it.
const MOST_INSIDE: usize = 16;

pub struct H264 {
    decoder: Decoder,
    full_range: bool,
    /// Stamps of pictures that went in and have not come out. OpenH264 does not carry them along, but
    /// pictures come out sorted, so the smallest belongs to the next one.
    inside: BinaryHeap<Reverse<Stamp>>,
}

impl H264 {
    pub fn new(full_range: bool) -> Result<Self> {
        let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
        let decoder = Decoder::with_api_config(OpenH264API::from_source(), config)
            .map_err(|error| anyhow!("cannot start the H.264 decoder: {error}"))?;
        Ok(H264 { decoder, full_range, inside: BinaryHeap::new() })
    }

    /// `access_unit` is one whole picture in Annex B form. Gives the picture that is due, if one is. After an
    /// error the access unit is lost, and often those that refer to it; the next keyframe heals it.
    pub fn decode(&mut self, access_unit: &[u8], stamp: Stamp) -> Result<Option<(Stamp, Yuv420)>> {
        match self.decoder.decode(access_unit) {
            Ok(picture) => {
                self.inside.push(Reverse(stamp));
                if self.inside.len() > MOST_INSIDE {
                    self.inside.pop();
                }
                match picture {
                    None => Ok(None),
                    Some(picture) => {
                        let picture = copy(&picture, self.full_range)?;
                        Ok(self.inside.pop().map(|Reverse(stamp)| (stamp, picture)))
                    }
                }
            }
            // Its own words are numbers, and the same for everything that can be wrong.
            Err(_) => bail!("broken H.264 data"),
        }
    }

    /// What is still inside at the end of the film.
    pub fn rest(&mut self) -> Vec<(Stamp, Yuv420)> {
        let pictures = self.decoder.flush_remaining().unwrap_or_default();
        let pictures: Vec<_> = pictures.iter().filter_map(|p| copy(p, self.full_range).ok()).collect();
        let stamps = std::iter::from_fn(|| self.inside.pop().map(|Reverse(stamp)| stamp));
        stamps.zip(pictures).collect()
    }
}

/// Rows without their padding.
fn copy(picture: &DecodedYUV<'_>, full_range: bool) -> Result<Yuv420> {
    let (w, h) = picture.dimensions();
    let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
    let (ys, us, vs) = picture.strides();
    let plane = |from: &[u8], stride: usize, w: usize, h: usize| -> Result<Vec<u8>> {
        if w == 0 || w > stride || from.len() < stride * (h - 1) + w {
            bail!("the H.264 decoder gave a plane of {} bytes for {w}x{h}", from.len());
        }
        let mut plane = Vec::with_capacity(w * h);
        for row in from.chunks(stride).take(h) {
            plane.extend_from_slice(&row[..w]);
        }
        Ok(plane)
    };
    if h == 0 {
        bail!("the H.264 decoder gave an empty picture");
    }
    Ok(Yuv420 {
        width: w as u32,
        height: h as u32,
        y: plane(picture.y(), ys, w, h)?,
        u: plane(picture.u(), us, cw, ch)?,
        v: plane(picture.v(), vs, cw, ch)?,
        full_range,
    })
}

/// Turns NAL units with a length before each, as MP4 holds them, into Annex B (start codes), after `out`.
pub fn append_annex_b(out: &mut Vec<u8>, mut sample: &[u8], length_size: usize) -> Result<()> {
    while !sample.is_empty() {
        let Some((length, rest)) = sample.split_at_checked(length_size) else {
            bail!("{} stray bytes after its last NAL unit", sample.len());
        };
        let length = length.iter().fold(0usize, |n, &byte| n << 8 | usize::from(byte));
        let Some((nal, rest)) = rest.split_at_checked(length) else {
            bail!("a NAL unit of {length} bytes where {} are left", rest.len());
        };
        append_nal(out, nal);
        sample = rest;
    }
    Ok(())
}

pub fn append_nal(out: &mut Vec<u8>, nal: &[u8]) {
    out.extend_from_slice(&[0, 0, 0, 1]);
    out.extend_from_slice(nal);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_become_start_codes() {
        let mut out = Vec::new();
        append_annex_b(&mut out, &[0, 2, 7, 8, 0, 1, 9], 2).unwrap();
        assert_eq!(out, [0, 0, 0, 1, 7, 8, 0, 0, 0, 1, 9]);
        assert!(append_annex_b(&mut out, &[0, 0, 0, 9, 1], 4).is_err(), "longer than the sample");
        assert!(append_annex_b(&mut out, &[0, 0], 4).is_err());
    }
}
