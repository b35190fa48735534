//! The sample table of a track: size, place and time of each access unit, spelt in five boxes that must agree
//! (ISO/IEC 14496-12, 8.6 and 8.7). They are unrolled as far as they agree and lie inside the file.

use super::bytes::Bytes;
use super::mp4::{FourCc, Sample, child, need};
use anyhow::{Context as _, Result, bail};

/// Run-length coded values: `count` times the same. After the last run its value goes on.
struct Runs<'a> {
    entries: Bytes<'a>,
    left: u32,
    value: u32,
}

impl<'a> Runs<'a> {
    fn of(stbl: &'a [u8], name: &FourCc) -> Option<Self> {
        let mut entries = Bytes(child(stbl, name)?);
        entries.skip(8).ok()?;
        Some(Runs { entries, left: 0, value: 0 })
    }
    fn next(&mut self) -> u32 {
        while self.left == 0 {
            let (Ok(left), Ok(value)) = (self.entries.u32(), self.entries.u32()) else { return self.value };
            (self.left, self.value) = (left, value);
        }
        self.left -= 1;
        self.value
    }
}

/// What the samples of a file may still take. They do not overlap, so all together are no longer than the file: a
/// table of a few bytes cannot promise thousands of millions of them.
pub(super) struct Room {
    file_len: u64,
    left: u64,
}

impl Room {
    pub fn of(file_len: u64) -> Self {
        Room { file_len, left: file_len }
    }
    /// Whether there is this sample, after all that were asked for before.
    pub fn holds(&mut self, offset: u64, size: u32) -> bool {
        let Some(left) = self.left.checked_sub(size.into()) else { return false };
        self.left = left;
        offset.saturating_add(size.into()) <= self.file_len
    }
}

/// All samples that lie inside the file, and whether some did not.
pub(super) fn read(stbl: &[u8], room: &mut Room) -> Result<(Vec<Sample>, bool)> {
    let mut stsz = need(stbl, b"stsz")?;
    stsz.skip(4)?;
    let (same_size, count) = (stsz.u32()?, stsz.u32()?);
    let mut durations = Runs::of(stbl, b"stts").context("stts box expected")?;
    let mut delays = Runs::of(stbl, b"ctts");
    let (mut chunks, wide) = match (child(stbl, b"stco"), child(stbl, b"co64")) {
        (Some(stco), _) => (Bytes(stco), false),
        (None, Some(co64)) => (Bytes(co64), true),
        (None, None) => bail!("stco or co64 box expected"),
    };
    chunks.skip(8)?;
    let mut runs = need(stbl, b"stsc")?;
    runs.skip(8)?;
    // (first chunk, samples per chunk), chunks from 1
    let mut next_run = || -> Option<(u32, u32)> {
        let run = (runs.u32().ok()?, runs.u32().ok()?);
        runs.skip(4).ok()?;
        Some(run)
    };
    let mut per_chunk = 0;
    let mut upcoming = next_run();
    let mut samples = Vec::new();
    let mut decoded = 0i64;
    for chunk in 1.. {
        if samples.len() >= count as usize {
            break;
        }
        let Ok(mut offset) = (if wide { chunks.u64() } else { chunks.u32().map(u64::from) }) else { break };
        while let Some((_, n)) = upcoming.filter(|(first, _)| *first <= chunk) {
            per_chunk = n;
            upcoming = next_run();
        }
        for _ in 0..per_chunk.min(count - samples.len() as u32) {
            let Ok(size) = (if same_size > 0 { Ok(same_size) } else { stsz.u32() }) else { return Ok((samples, true)) };
            let duration = durations.next();
            // Version 0 says unsigned, but writers put negative numbers there as well.
            let delay = delays.as_mut().map_or(0, Runs::next) as i32;
            if !room.holds(offset, size) {
                return Ok((samples, true));
            }
            samples.push(Sample { offset, size, duration, shown: decoded.saturating_add(delay.into()) });
            decoded = decoded.saturating_add(duration.into());
            offset += u64::from(size);
        }
    }
    Ok((samples, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &str, payload: &[u8]) -> Vec<u8> {
        [&(payload.len() as u32 + 8).to_be_bytes(), name.as_bytes(), payload].concat()
    }
    fn table(name: &str, words: &[u32]) -> Vec<u8> {
        let words = words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
        boxed(name, &[&[0; 4], words.as_slice()].concat())
    }

    #[test]
    fn tables_spell_out_where_each_sample_lies_and_when_it_is_shown() {
        // Three samples in two chunks, I P B: B is shown before P.
        let stbl = [
            table("stsz", &[0, 3, 100, 50, 20]),
            table("stts", &[1, 3, 10]),
            table("ctts", &[3, 1, 10, 1, 20, 1, 0]),
            table("stsc", &[2, 1, 2, 1, 2, 1, 1]),
            table("stco", &[2, 1000, 5000]),
        ]
        .concat();
        let (samples, cut) = read(&stbl, &mut Room::of(10_000)).unwrap();
        let seen: Vec<_> = samples.iter().map(|s| (s.offset, s.size, s.shown)).collect();
        assert_eq!(seen, [(1000, 100, 10), (1100, 50, 30), (5000, 20, 20)]);
        assert!(!cut);

        let (samples, cut) = read(&stbl, &mut Room::of(5010)).unwrap();
        assert_eq!((samples.len(), cut), (2, true), "the file ends in the third sample");
    }

    #[test]
    fn tables_that_contradict_each_other_give_what_they_agree_on() {
        let stbl = [
            table("stsz", &[7, u32::MAX]),
            table("stts", &[1, 1, 10]),
            table("stsc", &[1, 1, u32::MAX, 1]),
            table("stco", &[9, 0]),
        ]
        .concat();
        let (samples, cut) = read(&stbl, &mut Room::of(70)).unwrap();
        assert_eq!((samples.len(), cut), (10, true));
        assert_eq!(samples[9].shown, 90, "the last duration goes on");
    }

    #[test]
    fn chunks_that_all_lie_in_one_place_are_no_longer_than_the_file() {
        let chunks: Vec<u32> = std::iter::once(4000).chain(std::iter::repeat_n(0, 4000)).collect();
        let stbl = [
            table("stsz", &[1, u32::MAX]),
            table("stts", &[1, u32::MAX, 10]),
            table("stsc", &[1, 1, 50_000, 1]),
            table("stco", &chunks),
        ]
        .concat();
        let (samples, cut) = read(&stbl, &mut Room::of(60_000)).unwrap();
        assert_eq!((samples.len(), cut), (60_000, true), "and not 200 million");
    }
}
