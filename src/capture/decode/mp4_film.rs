//! MP4 with H.264 in this process: the index says where an access unit lies, OpenH264 makes a picture of it.

use super::h264::{H264, Stamp, append_annex_b, append_nal};
use super::mp4::{AvcConfig, Movie, VideoTrack, text};
use super::{Decode, Facts, Shown, check_size, sps};
use crate::frame::{Picture, Yuv420};
use crate::time::{MediaTime, Span};
use anyhow::{Context as _, Result, bail};
use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

/// An MP4 that this process cannot decode; what it is, for a message.
pub struct NotOurs(pub String);

pub struct Mp4Film {
    file: File,
    track: VideoTrack,
    length_size: usize,
    decoder: H264,
    /// The sample that is decoded next.
    at: usize,
    /// Parameter sets that the decoder must see first, then the access unit.
    access_unit: Vec<u8>,
    sample: Vec<u8>,
    /// What came out at the end at once.
    rest: VecDeque<(Stamp, Yuv420)>,
    /// Ticks of the first picture.
    start: i64,
    is_cut: bool,
    trouble: Trouble,
}

/// What could not be decoded.
#[derive(Default)]
struct Trouble {
    shown: u64,
    lost: u64,
    /// Where and why for the first time.
    first: Option<(i64, String)>,
}

impl Mp4Film {
    pub fn open(file: File, movie: Movie) -> Result<(Self, Facts), NotOurs> {
        let Movie { recorded, video: track, is_cut } = movie;
        let what = format!("MP4, {}", codec_name(&track));
        let not_ours = |why: String| NotOurs(format!("an MP4 film with {why}"));
        let Some(AvcConfig { length_size, sps, pps }) = track.avc.clone() else {
            return Err(not_ours(format!("{} video", codec_name(&track))));
        };
        // Parameter sets may also come with the samples (avc3); then we see when we decode.
        let mut full_range = false;
        if let Some(sps) = sps.first() {
            let sps = sps::parse(sps).map_err(|error| not_ours(format!("an unreadable H.264 header ({error:#})")))?;
            let profile_ok = sps.openh264_can && check_size(sps.width, sps.height).is_ok();
            if !profile_ok {
                return Err(not_ours(format!("H.264 of a kind that is rare ({}x{})", sps.width, sps.height)));
            }
            full_range = sps.full_range;
        }
        let mut access_unit = Vec::new();
        for nal in sps.iter().chain(&pps) {
            append_nal(&mut access_unit, nal);
        }
        let decoder = H264::new(full_range).map_err(|error| not_ours(format!("H.264 ({error:#})")))?;
        let shown = || track.samples.iter().filter(|s| track.edit.contains(&s.shown));
        let start = shown().map(|s| s.shown).min().unwrap_or(0);
        let end = shown().map(|s| s.shown.saturating_add(s.duration.into())).max().unwrap_or(0);
        let frames = shown().count() as u64;
        let duration = span(end.saturating_sub(start), track.timescale);
        let facts = Facts {
            what,
            decoder: "H.264 in the program".into(),
            frames: Some(frames),
            fps: (duration > Span::ZERO).then(|| frames as f64 / duration.secs_f64()),
            duration: Some(duration),
            recorded,
        };
        let film = Mp4Film {
            file,
            length_size,
            decoder,
            at: 0,
            access_unit,
            sample: Vec::new(),
            rest: VecDeque::new(),
            start,
            is_cut,
            trouble: Trouble::default(),
            track,
        };
        Ok((film, facts))
    }

    /// Feeds the next sample. `None`: there is no more.
    fn feed(&mut self) -> Option<Result<Option<(Stamp, Yuv420)>>> {
        let sample = *self.track.samples.get(self.at)?;
        self.at += 1;
        let stamp = Stamp { shown: sample.shown, duration: sample.duration };
        let mut decode = || {
            self.sample.resize(sample.size as usize, 0);
            self.file.read_exact_at(&mut self.sample, sample.offset).context("cannot be read")?;
            append_annex_b(&mut self.access_unit, &self.sample, self.length_size)?;
            self.decoder.decode(&self.access_unit, stamp)
        };
        let outcome = decode();
        self.access_unit.clear();
        if let Err(error) = &outcome {
            self.trouble.lost += 1;
            self.trouble.first.get_or_insert_with(|| (sample.shown, format!("{error:#}")));
        }
        Some(outcome)
    }

    /// The sentence at the end of a film of which something is missing.
    fn end(&mut self) -> Result<Option<Shown>> {
        let Trouble { shown, lost, first } = std::mem::take(&mut self.trouble);
        if let Some((at, why)) = first {
            let at_s = span(at.saturating_sub(self.start), self.track.timescale).secs_f64();
            if shown == 0 {
                bail!("gives not a single picture ({why})");
            }
            bail!("is damaged: {lost} of its frames cannot be decoded, the first at {at_s:.1} s ({why})");
        }
        if std::mem::take(&mut self.is_cut) {
            let last = self.track.samples.iter().map(|s| s.shown).max().unwrap_or(0);
            let at_s = span(last.saturating_sub(self.start), self.track.timescale).secs_f64();
            bail!("breaks off after {shown} frames at {at_s:.1} s: the file is shorter than its index says");
        }
        Ok(None)
    }
}

impl Decode for Mp4Film {
    fn next(&mut self) -> Result<Option<Shown>> {
        let (stamp, picture) = loop {
            let out = match self.feed() {
                Some(Ok(out)) => out,
                Some(Err(_)) => continue,
                None => {
                    if self.at == self.track.samples.len() {
                        self.at += 1;
                        self.rest = self.decoder.rest().into();
                    }
                    let Some(out) = self.rest.pop_front() else { return self.end() };
                    Some(out)
                }
            };
            if let Some((stamp, picture)) = out
                && self.track.edit.contains(&stamp.shown)
            {
                break (stamp, picture);
            }
        };
        self.trouble.shown += 1;
        Ok(Some(Shown {
            at: MediaTime::ZERO + span(stamp.shown.saturating_sub(self.start), self.track.timescale),
            lasts: span(stamp.duration.into(), self.track.timescale),
            picture: Picture::Yuv420(Arc::new(self.track.rotation.apply(picture))),
        }))
    }
}

fn span(ticks: i64, timescale: u32) -> Span {
    let micros = i128::from(ticks) * 1_000_000 / i128::from(timescale);
    Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

fn codec_name(track: &VideoTrack) -> String {
    match &track.codec {
        b"avc1" | b"avc3" => "H.264".into(),
        b"hvc1" | b"hev1" => "H.265".into(),
        b"mp4v" => "MPEG-4".into(),
        b"av01" => "AV1".into(),
        b"vp08" => "VP8".into(),
        b"vp09" => "VP9".into(),
        other => text(other),
    }
}
