//! Access units to pictures: H.264 and JPEG in this process, H.265, rare kinds of H.264 and whatever is wished so by an
//! ffmpeg child. What cannot be decoded is lost with everything up to the next keyframe; the parameter sets before a
//! keyframe say when a camera changes its size, and the decoder begins anew with it.

use super::Decoder;
use super::queue::{AccessUnit, Codec};
use crate::capture::decode::child::ChildDecoder;
use crate::capture::decode::h264::{H264, Stamp};
use crate::capture::decode::{check_size, jpeg, sps};
use crate::frame::{Frame, Picture, Yuv420};
use crate::time::{MediaTime, WallTime};
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pictures that are in a decoder or on the way to and from it.
const MOST_INSIDE: usize = 64;

/// Broken ones in a row that are taken for noise on the way.
const MAX_BROKEN: u32 = 250;

#[derive(Default)]
pub struct Video {
    /// What is wished.
    decoder: Decoder,
    h264: Option<H264>,
    child: Option<ChildDecoder>,
    /// What decodes, in words.
    by: Option<String>,
    /// The sequence parameter set the decoder began with.
    sps: Vec<u8>,
    /// Of access units that went in: which, and when taken.
    inside: BTreeMap<i64, (u64, WallTime)>,
    /// After a loss, until the next keyframe.
    waits: bool,
    /// In a row, and in all those that came of this stream.
    broken: u32,
    lost: u64,
}

impl Video {
    pub fn new(decoder: Decoder) -> Self {
        Video { decoder, ..Video::default() }
    }

    /// What decodes, in words; none before the first picture or keyframe.
    pub fn decoder(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// Access units that were broken, or refer to one that was.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// `None`: it needs more, or this one is lost.
    ///
    /// # Errors
    /// Nothing will come of this stream.
    pub fn decode(&mut self, codec: Codec, unit: AccessUnit) -> Result<Option<Frame>> {
        let shown = match codec {
            Codec::Jpeg => {
                self.by.get_or_insert_with(|| format!("{codec} in the program"));
                jpeg::picture(unit.data)
                    .map(|picture| Some(Frame { index: unit.index, at: unit.at, taken: unit.taken, picture }))
            }
            Codec::H264 | Codec::H265 => {
                if unit.is_keyframe {
                    self.begin(codec, &unit.data)?;
                    self.waits = false;
                }
                if self.waits {
                    self.lost += 1;
                    return Ok(None);
                }
                if self.child.is_some() {
                    return self.by_child(unit);
                }
                self.h264(&unit)
            }
        };
        match shown {
            Ok(shown) => {
                self.broken = 0;
                Ok(shown)
            }
            Err(error) => {
                self.broken += 1;
                self.lost += 1;
                self.waits = true;
                if self.broken >= MAX_BROKEN {
                    return Err(error.context(format!("{} broken pictures in a row", self.broken)));
                }
                Ok(None)
            }
        }
    }

    fn begin(&mut self, codec: Codec, data: &[u8]) -> Result<()> {
        if self.child.is_some() {
            // It reads the parameter sets itself, and scales what has another size.
            return Ok(());
        }
        if codec == Codec::H265 {
            return self.begin_child(codec).context("it sends H.265");
        }
        let Some(nal) = nal_units(data).find(|nal| nal.first().is_some_and(|header| header & 0x1f == 7)) else {
            return Ok(());
        };
        if self.h264.is_some() && nal == self.sps {
            return Ok(());
        }
        let sps = sps::parse(nal).context("its H.264 header cannot be read")?;
        check_size(sps.width, sps.height)?;
        if !sps.openh264_can {
            return self.begin_child(codec).context("it sends H.264 of a rare kind");
        }
        if self.decoder != Decoder::Program {
            return self.begin_child(codec);
        }
        self.by = Some(format!("{codec} in the program"));
        self.h264 = Some(H264::new(sps.full_range)?);
        self.sps = nal.to_vec();
        self.inside.clear();
        Ok(())
    }

    fn begin_child(&mut self, codec: Codec) -> Result<()> {
        let (format, by_hardware) =
            if codec == Codec::H265 { ("hevc", "hevc_v4l2m2m") } else { ("h264", "h264_v4l2m2m") };
        let is_hardware = self.decoder == Decoder::Hardware;
        self.child = Some(ChildDecoder::start(format, is_hardware.then_some(by_hardware))?);
        self.by = Some(format!("{codec} through ffmpeg{}", if is_hardware { ", by the board's decoder" } else { "" }));
        Ok(())
    }

    fn h264(&mut self, unit: &AccessUnit) -> Result<Option<Frame>> {
        // Before the first keyframe.
        let Some(decoder) = &mut self.h264 else { return Ok(None) };
        let shown = unit.at.micros();
        let out = decoder.decode(&unit.data, Stamp { shown, duration: 0 })?;
        self.goes_in(shown, (unit.index, unit.taken));
        Ok(out.and_then(|(_, picture)| {
            // Pictures come out sorted, so the earliest is the one.
            let (at, _) = self.inside.first_key_value()?;
            self.comes_out(*at, picture)
        }))
    }

    /// # Errors
    /// The child has ended, with what was in it.
    fn by_child(&mut self, unit: AccessUnit) -> Result<Option<Frame>> {
        let Some(child) = &mut self.child else { return Ok(None) };
        let (stamp, known) = (unit.at.micros(), (unit.index, unit.taken));
        let (is_in, out) = match child.put(unit.data, stamp).and_then(|is_in| Ok((is_in, child.newest()?))) {
            Ok(done) => done,
            Err(error) => {
                let in_vain = self.decoder == Decoder::Hardware && !child.has_given();
                // A new one begins with the next keyframe.
                self.child = None;
                if in_vain {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "The board's decoder gives nothing, doing without it."
                    );
                    (self.decoder, self.waits) = (Decoder::Program, true);
                    self.lost += 1;
                    return Ok(None);
                }
                return Err(error);
            }
        };
        self.waits = !is_in;
        if is_in {
            self.goes_in(stamp, known);
        }
        Ok(out.and_then(|(at, picture)| self.comes_out(at, picture)))
    }

    fn goes_in(&mut self, at: i64, known: (u64, WallTime)) {
        self.inside.insert(at, known);
        while self.inside.len() > MOST_INSIDE {
            self.inside.pop_first();
        }
    }

    fn comes_out(&mut self, at: i64, picture: Yuv420) -> Option<Frame> {
        // Those before it were passed over.
        self.inside = self.inside.split_off(&at);
        let (index, taken) = self.inside.remove(&at)?;
        Some(Frame { index, at: MediaTime::from_micros(at), taken, picture: Picture::Yuv420(Arc::new(picture)) })
    }
}

/// Whether an H.265 access unit is a picture to begin with (IDR, CRA or BLA). Many cameras send one IDR at the beginning
/// and CRA pictures after that.
pub fn is_open_entry(annex_b: &[u8]) -> bool {
    let mut kinds = nal_units(annex_b).filter_map(|nal| nal.first().map(|header| header >> 1 & 0x3f));
    // All slices of a picture are of one kind.
    kinds.find(|kind| *kind < 32).is_some_and(|kind| (16..=23).contains(&kind))
}

/// Annex B: what stands between start codes.
fn nal_units(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> = data.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(i, _)| i).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([data.len()]).collect();
    starts.into_iter().zip(ends).map(move |(start, end)| {
        let nal = &data[start + 3..end];
        // Of the next start code's zeros; no NAL unit ends with one.
        &nal[..nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nal_units_stand_between_start_codes() {
        let found: Vec<&[u8]> = nal_units(&[0, 0, 0, 1, 0x67, 5, 0, 0, 0, 1, 0x68, 0, 0, 1, 0x65, 9]).collect();
        assert_eq!(found, [&[0x67, 5][..], &[0x68], &[0x65, 9]]);
        assert_eq!(nal_units(&[1, 2]).count(), 0);
    }

    #[test]
    fn a_cra_picture_is_one_to_begin_with() {
        // Delimiter (35) and CRA (21); IDR (19); a trailing picture (1); nothing but parameters (33).
        assert!(is_open_entry(&[0, 0, 1, 35 << 1, 1, 0x50, 0, 0, 1, 21 << 1, 1, 9]));
        assert!(is_open_entry(&[0, 0, 0, 1, 19 << 1, 1, 9]));
        assert!(!is_open_entry(&[0, 0, 1, 1 << 1, 1, 9]));
        assert!(!is_open_entry(&[0, 0, 1, 33 << 1, 1, 9]) && !is_open_entry(&[]));
    }
}
