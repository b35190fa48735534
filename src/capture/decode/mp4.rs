//! The index of an MP4 or QuickTime file: where each access unit of the first video track lies and when it is
//! shown (ISO/IEC 14496-12). The tables of samples are in `samples`, fragments in `fragments`.
//!
//! Only the index is read into memory; samples are read one by one when they are wanted. Every count in the
//! file is held against what is there, so a broken index is an error or a shorter film, never a panic; a file
//! that was cut off still gives the samples before the cut. This is why we do not use a crate that parses
//! MP4: those we know refuse files that were cut, and index out of bounds on tables that contradict each other.
//!
//! Absent: sound, encryption, tracks other than the first video track, edit lists of several parts (all
//! samples are shown then).

use super::bytes::Bytes;
use super::fragments;
use super::rotate::Rotation;
use super::samples::{self, Room};
use crate::time::WallTime;
use anyhow::{Context as _, Result, bail};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

pub type FourCc = [u8; 4];

/// Of a film of days; more is a broken file.
const MAX_INDEX_BYTES: u64 = 512 << 20;

/// One access unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub offset: u64,
    pub size: u32,
    /// In ticks of the track.
    pub duration: u32,
    /// When it is shown, in ticks of the track, before the edit list.
    pub shown: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoTrack {
    pub id: u32,
    /// Ticks per second, at least 1.
    pub timescale: u32,
    pub rotation: Rotation,
    /// `avc1`, `hev1`, `mp4v`, …
    pub codec: FourCc,
    pub avc: Option<AvcConfig>,
    /// In order of decoding.
    pub samples: Vec<Sample>,
    /// What the edit list shows, in ticks.
    pub edit: Range<i64>,
}

/// `avcC`: what the decoder must know before the first sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfig {
    /// Bytes of the length before each NAL unit: 1, 2 or 4.
    pub length_size: usize,
    pub sps: Vec<Vec<u8>>,
    pub pps: Vec<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movie {
    /// When the recording began, if the file says so.
    pub recorded: Option<WallTime>,
    pub video: VideoTrack,
    /// The index promises more bytes than the file has.
    pub is_cut: bool,
}

/// Whether the file begins like an MP4 or QuickTime file.
pub fn is_mp4(head: &[u8]) -> bool {
    matches!(head.get(4..8), Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"moof"))
        || (head.get(4..8) == Some(b"free") && head.get(..2) == Some(&[0, 0]))
}

/// Reads the index. The errors complete the sentence "FILE …".
pub fn read(file: &File) -> Result<Movie> {
    let len = file.metadata().context("cannot be read")?.len();
    let boxes = top_level(file, len)?;
    let Some((_, moov)) = boxes.iter().find(|(name, _)| name == b"moov") else {
        bail!("has no index (moov box): the recording was cut off before it was finished; a complete MP4 is expected");
    };
    if moov.end > len {
        bail!("ends in the middle of its index (moov box); a complete MP4 is expected");
    }
    let moov = read_range(file, moov.clone())?;
    let is_video = |trak: &[u8]| -> bool {
        // version and flags, pre_defined, handler
        child(trak, b"mdia").and_then(|mdia| child(mdia, b"hdlr")).is_some_and(|h| h.get(8..12) == Some(b"vide"))
    };
    let Some((_, trak)) = children(&moov).find(|(name, data)| name == b"trak" && is_video(data)) else {
        bail!("has no video track, a film is expected");
    };
    let mut room = Room::of(len);
    let mut movie = parse_moov(&moov, trak, &mut room).context("has a broken index (moov box)")?;
    for (name, range) in &boxes {
        if name == b"moof" && range.end <= len {
            let moof = read_range(file, range.clone())?;
            // `range` is the payload; offsets count from the header before it.
            movie.is_cut |= fragments::append(&mut movie.video, &moov, &moof, range.start - 8, &mut room)
                .context("has a broken fragment (moof box)")?;
        }
    }
    // What stands behind a whole film, a maker's trailer or zeros, is no box and says nothing about its length.
    movie.is_cut |= boxes.last().is_some_and(|(name, range)| matches!(name, b"mdat" | b"moof") && range.end > len);
    if movie.video.samples.is_empty() {
        bail!("has a video track without a single frame");
    }
    Ok(movie)
}

fn read_range(file: &File, range: Range<u64>) -> Result<Vec<u8>> {
    let len = range.end - range.start;
    if len > MAX_INDEX_BYTES {
        bail!("has an index of {} MB, at most {} MB expected", len >> 20, MAX_INDEX_BYTES >> 20);
    }
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, range.start).context("cannot be read")?;
    Ok(bytes)
}

/// Names and payloads of the outermost boxes. The last may reach beyond the end of the file.
fn top_level(file: &File, len: u64) -> Result<Vec<(FourCc, Range<u64>)>> {
    let mut boxes = Vec::new();
    let mut at = 0u64;
    while at.saturating_add(8) <= len {
        let mut head = [0; 16];
        let n = head.len().min((len - at) as usize);
        file.read_exact_at(&mut head[..n], at).context("cannot be read")?;
        let mut b = Bytes(&head[..n]);
        let (size, name) = (b.u32()?, b.fourcc()?);
        let (header, size) = match size {
            0 => (8, len - at),
            1 if n == 16 => (16, b.u64()?),
            size => (8, u64::from(size)),
        };
        // A size that does not even hold its header: what follows is no MP4 any more (zeros after a crash).
        let Some(end) = at.checked_add(size).filter(|end| *end >= at + header) else { break };
        boxes.push((name, at + header..end));
        at = end;
    }
    Ok(boxes)
}

/// Names and payloads of the boxes inside one that is in memory; ends at the first that does not fit.
pub(super) fn children(data: &[u8]) -> impl Iterator<Item = (FourCc, &[u8])> {
    let mut b = Bytes(data);
    std::iter::from_fn(move || {
        let (size, name) = (b.u32().ok()?, b.fourcc().ok()?);
        let payload = match size {
            0 => b.0.len(),
            1 => usize::try_from(b.u64().ok()?).ok()?.checked_sub(16)?,
            size => (size as usize).checked_sub(8)?,
        };
        Some((name, b.take(payload).ok()?))
    })
}

pub(super) fn child<'a>(data: &'a [u8], name: &FourCc) -> Option<&'a [u8]> {
    children(data).find(|(n, _)| n == name).map(|(_, payload)| payload)
}

pub(super) fn need<'a>(data: &'a [u8], name: &FourCc) -> Result<Bytes<'a>> {
    child(data, name).map(Bytes).with_context(|| format!("{} box expected", text(name)))
}

/// For messages.
pub fn text(name: &FourCc) -> String {
    name.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '?' }).collect()
}

fn parse_moov(moov: &[u8], trak: &[u8], room: &mut Room) -> Result<Movie> {
    let mut mvhd = need(moov, b"mvhd")?;
    let version = mvhd.u32()?.to_be_bytes()[0];
    let created = mvhd.u32_or_u64(version)?;
    mvhd.u32_or_u64(version)?; // modified
    let movie_timescale = mvhd.u32()?.max(1);
    let (video, is_cut) = parse_trak(trak, movie_timescale, room)?;
    Ok(Movie { recorded: recorded(created), video, is_cut })
}

/// Seconds since 1904, 0 where the writer did not know. Before 1970 means that its clock was not set.
fn recorded(created: u64) -> Option<WallTime> {
    let unix_s = i64::try_from(created).ok()?.checked_sub(2_082_844_800)?;
    (unix_s > 0).then(|| unix_s.checked_mul(1_000_000).map(WallTime::from_micros))?
}

fn parse_trak(trak: &[u8], movie_timescale: u32, room: &mut Room) -> Result<(VideoTrack, bool)> {
    let mut tkhd = need(trak, b"tkhd")?;
    let version = tkhd.u32()?.to_be_bytes()[0];
    tkhd.skip(if version == 1 { 16 } else { 8 })?; // created, modified
    let id = tkhd.u32()?;
    tkhd.skip(if version == 1 { 12 } else { 8 } + 16)?; // reserved, duration; reserved, layer, group, volume
    let rotation = rotation(&mut tkhd)?;

    let mdia = need(trak, b"mdia")?.0;
    let mut mdhd = need(mdia, b"mdhd")?;
    let version = mdhd.u32()?.to_be_bytes()[0];
    mdhd.skip(if version == 1 { 16 } else { 8 })?;
    let timescale = mdhd.u32()?.max(1);

    let minf = need(mdia, b"minf")?.0;
    let stbl = need(minf, b"stbl")?.0;
    let (codec, avc) = sample_entry(stbl)?;
    let (samples, is_cut) = samples::read(stbl, room)?;
    let edit = edit(trak, movie_timescale, timescale);
    Ok((VideoTrack { id, timescale, rotation, codec, avc, samples, edit }, is_cut))
}

/// The matrix is 16.16: a b u c d v x y w.
fn rotation(tkhd: &mut Bytes<'_>) -> Result<Rotation> {
    let (a, b) = (tkhd.i32()?, tkhd.i32()?);
    tkhd.skip(4)?;
    let (c, d) = (tkhd.i32()?, tkhd.i32()?);
    Ok(match (a.signum(), b.signum(), c.signum(), d.signum()) {
        (0, 1, -1, 0) => Rotation::Quarter,
        (-1, 0, 0, -1) => Rotation::Half,
        (0, -1, 1, 0) => Rotation::ThreeQuarters,
        _ => Rotation::None,
    })
}

/// The part of the track that is shown. A delayed start (an empty edit) does not matter: film time begins
/// with the first picture.
fn edit(trak: &[u8], movie_timescale: u32, timescale: u32) -> Range<i64> {
    let everything = i64::MIN..i64::MAX;
    let Some(elst) = child(trak, b"edts").and_then(|edts| child(edts, b"elst")) else { return everything };
    let read = || -> Result<Vec<(u64, i64)>> {
        let mut b = Bytes(elst);
        let version = b.u32()?.to_be_bytes()[0];
        let mut edits = Vec::new();
        for _ in 0..b.u32()? {
            let duration = b.u32_or_u64(version)?;
            let start = if version == 1 { b.u64()? as i64 } else { i64::from(b.i32()?) };
            b.skip(4)?; // rate
            edits.push((duration, start));
        }
        Ok(edits)
    };
    let edits: Vec<_> = read().unwrap_or_default().into_iter().filter(|(_, start)| *start >= 0).collect();
    let &[(duration, start)] = edits.as_slice() else { return everything };
    let ticks = i128::from(duration) * i128::from(timescale) / i128::from(movie_timescale);
    let end = if duration == 0 { i64::MAX } else { start.saturating_add(i64::try_from(ticks).unwrap_or(i64::MAX)) };
    start..end
}

fn sample_entry(stbl: &[u8]) -> Result<(FourCc, Option<AvcConfig>)> {
    let mut stsd = need(stbl, b"stsd")?;
    stsd.skip(8)?; // version and flags, number of entries
    let Some((codec, entry)) = children(stsd.0).next() else { bail!("stsd box: a sample entry expected") };
    if !matches!(&codec, b"avc1" | b"avc3") {
        return Ok((codec, None));
    }
    let mut fields = Bytes(entry);
    fields.skip(78)?; // VisualSampleEntry
    let avc = avc_config(need(fields.0, b"avcC")?).context("avcC box")?;
    Ok((codec, Some(avc)))
}

fn avc_config(mut b: Bytes<'_>) -> Result<AvcConfig> {
    b.skip(4)?; // version, profile, compatibility, level
    let length_size = usize::from(b.u8()? & 3) + 1;
    if length_size == 3 {
        bail!("NAL units with lengths of 3 bytes, 1, 2 or 4 expected");
    }
    let sps_count = b.u8()? & 0x1f;
    let sps = units(&mut b, sps_count)?;
    let pps_count = b.u8()?;
    let pps = units(&mut b, pps_count)?;
    Ok(AvcConfig { length_size, sps, pps })
}

fn units(b: &mut Bytes<'_>, count: u8) -> Result<Vec<Vec<u8>>> {
    (0..count)
        .map(|_| {
            let len = b.u16()?;
            Ok(b.take(len.into())?.to_vec())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_year_1904_and_an_unset_clock_are_no_recording_times() {
        assert_eq!(recorded(0), None);
        assert_eq!(recorded(2_082_844_800), None);
        assert_eq!(recorded(u64::MAX), None);
        assert_eq!(recorded(2_082_844_801), Some(WallTime::from_micros(1_000_000)));
    }
}
