//! What a camera's rules have learned, as bytes that survive a restart: by name of who learned it, sealed with a
//! version and a digest. Each owner spells its own part with [`Writer`] and [`Reader`], and begins it with a version.
//!
//! Absent on purpose: files (`store` keeps them), and any notion of what is in a part.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The first bytes of a sealed memory; another spelling gets another number.
const MAGIC: &[u8] = b"watchpost-memory 1\n";
const DIGEST: usize = 32;

/// By the name of its owner: `rule/<id>`, `budget`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Of what the picture was when it was learned, in words of whoever keeps the memory: another view, another memory.
    pub view: String,
    pub parts: BTreeMap<String, Vec<u8>>,
}

impl Memory {
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Magic, SHA-256 of what follows, view, number of parts, and each with its name; lengths stand before.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Writer::default();
        body.text(&self.view);
        body.number(self.parts.len() as u64);
        for (name, part) in &self.parts {
            body.text(name);
            body.bytes(part);
        }
        let body = body.done();
        [MAGIC, &Sha256::digest(&body), &body].concat()
    }

    /// # Errors
    /// A part of a sentence: what is wrong with these bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let Some(sealed) = bytes.strip_prefix(MAGIC) else {
            let known = String::from_utf8_lossy(MAGIC);
            return Err(format!("it does not begin with \"{}\"", known.trim_end()));
        };
        let Some((digest, body)) = sealed.split_at_checked(DIGEST) else { return Err("it is cut off".into()) };
        if Sha256::digest(body).as_slice() != digest {
            return Err("its digest does not fit what is in it".into());
        }
        let read = || {
            let mut reader = Reader::new(body);
            let mut memory = Memory { view: reader.text()?.to_owned(), parts: BTreeMap::new() };
            for _ in 0..reader.number()? {
                memory.parts.insert(reader.text()?.to_owned(), reader.bytes()?.to_vec());
            }
            reader.is_done().then_some(memory)
        };
        read().ok_or_else(|| "its parts do not fit into it".into())
    }
}

/// Numbers one after the other; whole ones take as many bytes as they need, seven bits in each.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
    /// Small ones of either sign are short.
    pub fn signed(&mut self, value: i64) {
        self.number((value << 1 ^ value >> 63) as u64);
    }
    /// Every bit of it.
    pub fn float(&mut self, value: f64) {
        self.0.extend(value.to_le_bytes());
    }
    /// A count that is not negative, to a 32nd.
    pub fn count(&mut self, value: f32) {
        self.number((value.max(0.0) * 32.0).round() as u64);
    }
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what [`Writer`] wrote; `None` where there is no more, or something else.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader(bytes)
    }
    pub fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let (first, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(first & 0x7f).checked_shl(shift)?;
            if first & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
    pub fn signed(&mut self) -> Option<i64> {
        let value = self.number()?;
        Some((value >> 1) as i64 ^ -((value & 1) as i64))
    }
    /// A finite one.
    pub fn float(&mut self) -> Option<f64> {
        let (first, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(f64::from_le_bytes(*first)).filter(|value| value.is_finite())
    }
    /// At most some millions: nothing here was counted so often.
    pub fn count(&mut self) -> Option<f32> {
        let value = self.number()?;
        (value < 1 << 32).then_some(value as f32 / 32.0)
    }
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }
    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
    pub fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Memory {
        let parts = [("budget".into(), vec![1, 2, 3]), ("rule/odd".into(), vec![0; 300])];
        Memory { view: "turned by 90".into(), parts: parts.into() }
    }

    #[test]
    fn what_is_sealed_is_read_again() {
        assert_eq!(Memory::from_bytes(&example().to_bytes()).unwrap(), example());
        let mut writer = Writer::default();
        writer.number(u64::MAX);
        [0, -1, 63, -64, i64::MIN, i64::MAX].into_iter().for_each(|v| writer.signed(v));
        writer.count(7.03125);
        writer.float(-0.1);
        let bytes = writer.done();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.number(), Some(u64::MAX));
        assert_eq!([(); 6].map(|()| reader.signed().unwrap()), [0, -1, 63, -64, i64::MIN, i64::MAX]);
        assert_eq!((reader.count(), reader.float(), reader.is_done()), (Some(7.03125), Some(-0.1), true));
        assert_eq!(reader.number(), None);
    }

    #[test]
    fn every_broken_byte_and_every_cut_is_noticed() {
        let good = example().to_bytes();
        for i in 0..good.len() {
            let mut bad = good.clone();
            bad[i] ^= 0x10;
            assert!(Memory::from_bytes(&bad).is_err(), "byte {i}");
            assert!(Memory::from_bytes(&good[..i]).is_err(), "cut at {i}");
        }
        assert!(Memory::from_bytes(&[&good[..], b"x"].concat()).is_err());
    }
}
