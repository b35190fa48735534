//! Writes MP4 with one track of H.264 (ISO/IEC 14496-12, -15): the pictures as they come, the index at the end.
//!
//! Absent: B-frames, sound, and files that can be read before they are finished.

use anyhow::{Context as _, Result};
use std::fs::File;
use std::io::{BufWriter, Seek as _, SeekFrom, Write as _};

/// Microseconds, so that no stamp is rounded.
const TICKS_PER_S: u32 = 1_000_000;

struct Sample {
    size: u32,
    duration: u32,
    is_key: bool,
}

pub struct Mp4Writer {
    file: BufWriter<File>,
    size: (u16, u16),
    parameter_sets: Vec<Vec<u8>>,
    samples: Vec<Sample>,
    written: u64,
}

const DATA_AT: u64 = 32 + 16;

impl Mp4Writer {
    pub fn new(file: File, size: (u16, u16)) -> Result<Self> {
        let mut file = BufWriter::new(file);
        let ftyp = boxed(b"ftyp", &[b"isom\0\0\x02\0isomiso2avc1mp41".as_slice()]);
        debug_assert_eq!(ftyp.len(), 32);
        file.write_all(&ftyp)?;
        // Its size is written when it is known; 64 bits, since films are long.
        file.write_all(&[0, 0, 0, 1, b'm', b'd', b'a', b't'])?;
        file.write_all(&[0; 8])?;
        Ok(Mp4Writer { file, size, parameter_sets: Vec::new(), samples: Vec::new(), written: 0 })
    }

    /// One picture: its NAL units without start codes, and how long it is shown.
    pub fn write<'a>(&mut self, nals: impl Iterator<Item = &'a [u8]>, duration_us: u32) -> Result<()> {
        let mut sample = Sample { size: 0, duration: duration_us, is_key: false };
        for nal in nals {
            match nal.first().map(|header| header & 0x1f) {
                // Parameter sets belong into the index, once.
                Some(7 | 8) => {
                    if !self.parameter_sets.iter().any(|known| known == nal) {
                        self.parameter_sets.push(nal.to_vec());
                    }
                    continue;
                }
                Some(5) => sample.is_key = true,
                _ => {}
            }
            let length = u32::try_from(nal.len()).context("a picture of more than 4 GB")?;
            self.file.write_all(&length.to_be_bytes())?;
            self.file.write_all(nal)?;
            sample.size += 4 + length;
        }
        self.written += u64::from(sample.size);
        self.samples.push(sample);
        Ok(())
    }

    /// Writes the index. Without this the file cannot be read.
    pub fn finish(mut self) -> Result<()> {
        let moov = self.moov();
        self.file.write_all(&moov)?;
        self.file.seek(SeekFrom::Start(DATA_AT - 8))?;
        self.file.write_all(&(self.written + 16).to_be_bytes())?;
        self.file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
        Ok(())
    }

    fn moov(&self) -> Vec<u8> {
        let duration: u64 = self.samples.iter().map(|s| u64::from(s.duration)).sum();
        let duration = &duration.to_be_bytes();
        let scale = &TICKS_PER_S.to_be_bytes();
        let (zeros, matrix) = (&[0; 16], matrix());
        let (w, h) = (self.size.0.to_be_bytes(), self.size.1.to_be_bytes());
        let version_1 = &[1, 0, 0, 0];
        let rate_and_volume = &[0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let next_track = &2u32.to_be_bytes();
        let predefined = &[0; 24];
        let mvhd =
            boxed(b"mvhd", &[version_1, zeros, scale, duration, rate_and_volume, &matrix, predefined, next_track]);
        let enabled = &[1, 0, 0, 3];
        let track = &[0, 0, 0, 1, 0, 0, 0, 0];
        let tkhd = boxed(b"tkhd", &[enabled, zeros, track, duration, zeros, &matrix, &w, &[0; 2], &h, &[0; 2]]);
        let mdhd = boxed(b"mdhd", &[version_1, zeros, scale, duration, &[0x55, 0xc4, 0, 0]]);
        let hdlr = boxed(b"hdlr", &[&[0; 8], b"vide", &[0; 12], b"video\0"]);
        let vmhd = boxed(b"vmhd", &[&[0, 0, 0, 1], &[0; 8]]);
        let here = boxed(b"url ", &[&[0, 0, 0, 1]]);
        let dinf = boxed(b"dinf", &[&boxed(b"dref", &[&[0; 4], &1u32.to_be_bytes(), &here])]);
        let minf = boxed(b"minf", &[&vmhd, &dinf, &self.stbl()]);
        let mdia = boxed(b"mdia", &[&mdhd, &hdlr, &minf]);
        boxed(b"moov", &[&mvhd, &boxed(b"trak", &[&tkhd, &mdia])])
    }

    fn stbl(&self) -> Vec<u8> {
        let words = |words: &mut dyn Iterator<Item = u32>| words.flat_map(u32::to_be_bytes).collect::<Vec<u8>>();
        let count = self.samples.len() as u32;
        let keys = self.samples.iter().zip(1u32..).filter(|(s, _)| s.is_key).map(|(_, n)| n).collect::<Vec<_>>();
        let durations = self.samples.iter().flat_map(|s| [1, s.duration]);
        let stts = words(&mut [0, count].into_iter().chain(durations));
        let stss = words(&mut [0, keys.len() as u32].into_iter().chain(keys));
        let stsc = words(&mut [0, 1, 1, count, 1].into_iter());
        let stsz = words(&mut [0, 0, count].into_iter().chain(self.samples.iter().map(|s| s.size)));
        // All samples are one chunk.
        let stco = words(&mut [0, 1, DATA_AT as u32].into_iter());
        let (w, h) = (self.size.0.to_be_bytes(), self.size.1.to_be_bytes());
        let entry = [
            &[0; 6],
            [0u8, 1].as_slice(),
            &[0; 16],
            &w,
            &h,
            &[0, 0x48, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0, 1],
            &[0; 32],
            &[0, 0x18, 0xff, 0xff],
            &boxed(b"avcC", &[&self.avcc()]),
        ];
        let stsd = boxed(b"stsd", &[&[0; 4], &1u32.to_be_bytes(), &boxed(b"avc1", &entry)]);
        let tables = [(b"stts", stts), (b"stss", stss), (b"stsc", stsc), (b"stsz", stsz), (b"stco", stco)];
        let tables = tables.map(|(name, payload)| boxed(name, &[&payload])).concat();
        boxed(b"stbl", &[&stsd, &tables])
    }

    fn avcc(&self) -> Vec<u8> {
        let of = |kind: u8| self.parameter_sets.iter().filter(move |nal| nal[0] & 0x1f == kind);
        let profile = of(7).next().and_then(|sps| sps.get(1..4)).unwrap_or(&[66, 0, 30]);
        let mut avcc = [&[1], profile, &[0xff]].concat();
        for (kind, reserved) in [(7, 0xe0), (8, 0)] {
            avcc.push(reserved | of(kind).count() as u8);
            for nal in of(kind) {
                avcc.extend_from_slice(&(nal.len() as u16).to_be_bytes());
                avcc.extend_from_slice(nal);
            }
        }
        avcc
    }
}

fn boxed(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let size = 8 + parts.iter().map(|p| p.len()).sum::<usize>();
    let mut out = Vec::with_capacity(size);
    out.extend_from_slice(&(size as u32).to_be_bytes());
    out.extend_from_slice(name);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

/// Shown as it is.
fn matrix() -> Vec<u8> {
    [0x1_0000u32, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000].iter().flat_map(|v| v.to_be_bytes()).collect()
}
