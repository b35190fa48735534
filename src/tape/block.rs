//! Chunks and blocks in a row of bytes, as a file holds them, whatever has happened to it.

use super::bits::{Reader, Torn};
use super::entry::Entries;
use super::{Input, Start};
use crate::pipeline::Moment;
use crate::time::{MediaTime, WallTime};

const MARK: &[u8; 3] = b"WPT";
const FIRST: u8 = b'K';
const FURTHER: u8 = b'c';
/// Mark, kind, place in the block, length, check sum.
const HEAD: usize = 3 + 1 + 2 + 4 + 4;
/// No recorder makes a longer one.
const MAX_CHUNK: usize = 4 << 20;

/// A chunk in its frame. `place` counts from 0 in its block.
pub(super) fn framed(place: u16, entries: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + entries.len());
    bytes.extend(MARK);
    bytes.push(if place == 0 { FIRST } else { FURTHER });
    bytes.extend(place.to_le_bytes());
    bytes.extend((entries.len() as u32).to_le_bytes());
    let sum = crc32(crc32(!0, &bytes), entries);
    bytes.extend((!sum).to_le_bytes());
    bytes.extend(entries);
    bytes
}

/// The chunk at the beginning of `bytes`: its place in the block and its entries.
fn unframed(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let place = u16::from_le_bytes([head[4], head[5]]);
    let length = u32::from_le_bytes([head[6], head[7], head[8], head[9]]) as usize;
    let sum = u32::from_le_bytes([head[10], head[11], head[12], head[13]]);
    let kind = if place == 0 { FIRST } else { FURTHER };
    let entries = rest.get(..length).filter(|_| length <= MAX_CHUNK && head[..3] == *MARK && head[3] == kind)?;
    (!crc32(crc32(!0, &head[..10]), entries) == sum).then_some((place, entries))
}

/// What of a file could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Bytes before it.
    pub at: u64,
    pub bytes: u64,
}

/// The chunks of one block that are whole and follow each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Block<'a> {
    pub start: Start,
    chunks: Vec<&'a [u8]>,
}

impl Block<'_> {
    pub fn chunks(&self) -> u64 {
        self.chunks.len() as u64
    }

    /// What it holds, and whether all of it could be read.
    pub fn read(&self) -> (Vec<Input>, Result<(), Torn>) {
        let mut found = Vec::new();
        let outcome = self.read_into(&mut found);
        (found, outcome)
    }

    fn read_into(&self, found: &mut Vec<Input>) -> Result<(), Torn> {
        let mut chunks = self.chunks.iter();
        let first = chunks.next().ok_or(Torn)?;
        let (mut entries, _) = Entries::start(Reader::new(first), &NO_START)?;
        entries.read(found)?;
        for chunk in chunks {
            entries.bits = Reader::new(chunk);
            entries.read(found)?;
        }
        Ok(())
    }
}

/// A start to be read over.
const NO_START: Start = Start {
    number: 0,
    chunks_before: 0,
    opening: 0,
    clock_trusted: true,
    moment: Moment { at: MediaTime::ZERO, taken: WallTime::EPOCH, aspect: 1.0 },
    setting: super::Setting { rules: 0, eyes: 0 },
};

/// All blocks in a row of bytes, and what lies between them that is none.
#[derive(Debug, Default)]
pub struct Blocks<'a> {
    pub blocks: Vec<Block<'a>>,
    pub damage: Vec<Damage>,
}

impl<'a> Blocks<'a> {
    pub fn find(bytes: &'a [u8]) -> Self {
        let mut found = Blocks::default();
        // Whether a further chunk belongs to the newest block.
        let mut goes_on = false;
        let mut at = 0;
        while at < bytes.len() {
            let Some((place, entries)) = unframed(&bytes[at..]) else {
                let next = (at + 1..bytes.len()).find(|next| unframed(&bytes[*next..]).is_some());
                found.spoilt(at, next.unwrap_or(bytes.len()));
                at = next.unwrap_or(bytes.len());
                goes_on = false;
                continue;
            };
            let end = at + HEAD + entries.len();
            let newest = found.blocks.last_mut().filter(|_| goes_on);
            match newest {
                _ if place == 0 => match Entries::start(Reader::new(entries), &NO_START) {
                    Ok((_, start)) => {
                        found.blocks.push(Block { start, chunks: vec![entries] });
                        goes_on = true;
                    }
                    Err(Torn) => {
                        found.spoilt(at, end);
                        goes_on = false;
                    }
                },
                Some(block) if block.chunks.len() == usize::from(place) => block.chunks.push(entries),
                _ => {
                    found.spoilt(at, end);
                    goes_on = false;
                }
            }
            at = end;
        }
        found
    }

    fn spoilt(&mut self, from: usize, to: usize) {
        let (at, bytes) = (from as u64, (to - from) as u64);
        match self.damage.last_mut() {
            Some(last) if last.at + last.bytes == at => last.bytes += bytes,
            _ => self.damage.push(Damage { at, bytes }),
        }
    }
}

/// The usual CRC-32, before its final inversion.
fn crc32(mut sum: u32, bytes: &[u8]) -> u32 {
    for byte in bytes {
        sum = CRC[usize::from(sum as u8 ^ byte)] ^ sum >> 8;
    }
    sum
}

const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        let mut sum = i as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { 0xedb8_8320 ^ (sum >> 1) } else { sum >> 1 };
            bit += 1;
        }
        table[i] = sum;
        i += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_the_usual_one() {
        assert_eq!(!crc32(!0, b"123456789"), 0xcbf4_3926);
    }
}
