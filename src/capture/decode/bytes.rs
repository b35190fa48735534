//! Reading big-endian fields and bits out of a slice that may end at any moment. Nothing here panics or
//! allocates: lengths that a file claims are only ever compared with what is there.

use anyhow::{Result, bail};

/// A reading position in a slice.
#[derive(Clone)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let Some((head, rest)) = self.0.split_at_checked(n) else {
            bail!("{n} more bytes expected, {} left", self.0.len())
        };
        self.0 = rest;
        Ok(head)
    }
    pub fn skip(&mut self, n: usize) -> Result<()> {
        self.take(n).map(drop)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("take gives as many bytes as asked for"))
    }
    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.array::<1>()?[0])
    }
    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }
    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }
    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }
    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array()?))
    }
    /// 64 bits in version 1 of a box, 32 in version 0.
    pub fn u32_or_u64(&mut self, version: u8) -> Result<u64> {
        if version == 1 { self.u64() } else { self.u32().map(u64::from) }
    }
    pub fn fourcc(&mut self) -> Result<[u8; 4]> {
        self.array()
    }
}

/// Bits, most significant first, with the Exp-Golomb codes of H.264.
pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Bits { bytes, at: 0 }
    }
    pub fn bit(&mut self) -> Result<bool> {
        let Some(byte) = self.bytes.get(self.at / 8) else { bail!("it ends at bit {}", self.at) };
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }
    /// At most 32 bits.
    pub fn bits(&mut self, n: u32) -> Result<u32> {
        (0..n).try_fold(0, |v, _| Ok(v << 1 | u32::from(self.bit()?)))
    }
    /// ue(v)
    pub fn unsigned(&mut self) -> Result<u32> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
            if zeros > 31 {
                bail!("an Exp-Golomb code of more than 32 bits at bit {}", self.at);
            }
        }
        Ok((1u32 << zeros) - 1 + self.bits(zeros)?)
    }
    /// se(v)
    pub fn signed(&mut self) -> Result<i32> {
        let code = i64::from(self.unsigned()?);
        Ok((if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 }) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_those_of_the_standard() {
        // 1 | 010 | 011 | 00100 | 00101, table 9-2 of H.264
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([(); 5].map(|()| bits.unsigned().unwrap()), [0, 1, 2, 3, 4]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0010, 0b1000_0000]);
        assert_eq!([(); 5].map(|()| bits.signed().unwrap()), [0, 1, -1, 2, -2]);
    }

    #[test]
    fn an_early_end_is_an_error_and_takes_nothing() {
        let mut bytes = Bytes(&[0, 1, 2]);
        assert!(bytes.u32().is_err());
        assert_eq!(bytes.u16().unwrap(), 1);
        assert!(Bits::new(&[0; 8]).unsigned().is_err());
    }
}
