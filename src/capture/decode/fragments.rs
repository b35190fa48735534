//! Fragmented MP4, as recorders write it that may lose power at any time: the index comes in pieces (moof)
//! between the pieces of film.

use super::bytes::Bytes;
use super::mp4::{Sample, VideoTrack, child, children};
use super::samples::Room;
use anyhow::{Context as _, Result};

#[derive(Clone, Copy, Default)]
struct Defaults {
    duration: u32,
    size: u32,
}

/// Adds the samples of one `moof` to the track, and tells whether some lie outside the file. `moof_at` is the
/// offset of the box in the file.
pub(super) fn append(track: &mut VideoTrack, moov: &[u8], moof: &[u8], moof_at: u64, room: &mut Room) -> Result<bool> {
    let mut is_cut = false;
    let defaults = defaults(moov, track.id).unwrap_or_default();
    // Without a base of its own a track's data begins where the data of the track before it ended.
    let mut data_end = moof_at;
    for (name, traf) in children(moof) {
        if &name == b"traf" {
            is_cut |= read_traf(track, traf, defaults, moof_at, &mut data_end, room)?;
        }
    }
    Ok(is_cut)
}

fn defaults(moov: &[u8], track: u32) -> Option<Defaults> {
    children(child(moov, b"mvex")?).filter(|(name, _)| name == b"trex").find_map(|(_, trex)| {
        let mut b = Bytes(trex);
        b.skip(4).ok()?;
        let id = b.u32().ok()?;
        b.skip(4).ok()?; // sample description
        (id == track).then_some(Defaults { duration: b.u32().ok()?, size: b.u32().ok()? })
    })
}

fn read_traf(
    track: &mut VideoTrack,
    traf: &[u8],
    mut defaults: Defaults,
    moof_at: u64,
    data_end: &mut u64,
    room: &mut Room,
) -> Result<bool> {
    let mut tfhd = Bytes(child(traf, b"tfhd").context("tfhd box expected")?);
    let flags = tfhd.u32()?;
    let is_ours = tfhd.u32()? == track.id;
    let mut base = if flags & 0x2_0000 != 0 { moof_at } else { *data_end };
    if flags & 0x1 != 0 {
        base = tfhd.u64()?;
    }
    if flags & 0x2 != 0 {
        tfhd.skip(4)?; // sample description
    }
    if flags & 0x8 != 0 {
        defaults.duration = tfhd.u32()?;
    }
    if flags & 0x10 != 0 {
        defaults.size = tfhd.u32()?;
    }
    let mut decoded = match child(traf, b"tfdt") {
        Some(tfdt) => {
            let mut b = Bytes(tfdt);
            let version = b.u32()?.to_be_bytes()[0];
            i64::try_from(b.u32_or_u64(version)?).unwrap_or(i64::MAX)
        }
        None => track.samples.last().map_or(0, |s| s.shown.saturating_add(s.duration.into())),
    };
    let mut offset = base;
    for (_, trun) in children(traf).filter(|(name, _)| name == b"trun") {
        let mut b = Bytes(trun);
        let flags = b.u32()?;
        let count = b.u32()?;
        if flags & 0x1 != 0 {
            offset = base.saturating_add_signed(b.i32()?.into());
        }
        if flags & 0x4 != 0 {
            b.skip(4)?; // flags of the first sample
        }
        for _ in 0..count {
            let duration = if flags & 0x100 != 0 { b.u32()? } else { defaults.duration };
            let size = if flags & 0x200 != 0 { b.u32()? } else { defaults.size };
            if flags & 0x400 != 0 {
                b.skip(4)?;
            }
            let delay = if flags & 0x800 != 0 { b.i32()? } else { 0 };
            if size == 0 {
                // Ends runs whose count is invented and which have no field per sample.
                break;
            }
            if !room.holds(offset, size) {
                return Ok(true);
            }
            if is_ours {
                track.samples.push(Sample { offset, size, duration, shown: decoded.saturating_add(delay.into()) });
            }
            decoded = decoded.saturating_add(duration.into());
            offset += u64::from(size);
        }
    }
    *data_end = offset;
    Ok(false)
}
