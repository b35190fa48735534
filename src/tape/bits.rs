//! Bits in and out, and numbers that cost as many of them as they are unusual.
//!
//! One function codes in both directions: [`Bits`] takes the value to write and gives back the value that was read, so
//! what writes and what reads cannot drift apart. A reader ignores what it is given.

/// What was to be read is not there: the bytes break off, or are none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Torn;

pub trait Bits {
    /// The lowest `count` bits of `value`, at most 32.
    fn bits(&mut self, value: u32, count: u32) -> Result<u32, Torn>;

    /// So many ones and a nought.
    fn unary(&mut self, value: u32) -> Result<u32, Torn>;

    fn flag(&mut self, value: bool) -> Result<bool, Torn> {
        Ok(self.bits(u32::from(value), 1)? == 1)
    }

    fn long(&mut self, value: u64) -> Result<u64, Torn> {
        let high = self.bits((value >> 32) as u32, 32)?;
        let low = self.bits(value as u32, 32)?;
        Ok(u64::from(high) << 32 | u64::from(low))
    }
}

#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
    /// Bits that make no byte yet, the newest lowest.
    rest: u64,
    count: u32,
}

impl Writer {
    /// Everything so far, filled up with noughts to a byte.
    pub fn take(&mut self) -> Vec<u8> {
        if self.count > 0 {
            self.bytes.push((self.rest << (8 - self.count)) as u8);
        }
        (self.rest, self.count) = (0, 0);
        std::mem::take(&mut self.bytes)
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

impl Bits for Writer {
    fn bits(&mut self, value: u32, count: u32) -> Result<u32, Torn> {
        let value = u64::from(value) & ((1u64 << count) - 1);
        self.rest = self.rest << count | value;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            self.bytes.push((self.rest >> self.count) as u8);
        }
        self.rest &= (1 << self.count) - 1;
        Ok(value as u32)
    }

    fn unary(&mut self, value: u32) -> Result<u32, Torn> {
        for _ in 0..value {
            self.bits(1, 1)?;
        }
        self.bits(0, 1)?;
        Ok(value)
    }
}

#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    rest: u64,
    count: u32,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes, rest: 0, count: 0 }
    }

    /// At least 32 bits, unless that is the end.
    fn fill(&mut self) {
        while self.count <= 48 {
            let Some((first, others)) = self.bytes.split_first() else { return };
            self.rest = self.rest << 8 | u64::from(*first);
            self.count += 8;
            self.bytes = others;
        }
    }
}

impl Bits for Reader<'_> {
    fn bits(&mut self, _: u32, count: u32) -> Result<u32, Torn> {
        if self.count < count {
            self.fill();
        }
        self.count = self.count.checked_sub(count).ok_or(Torn)?;
        Ok((self.rest >> self.count & ((1u64 << count) - 1)) as u32)
    }

    fn unary(&mut self, _: u32) -> Result<u32, Torn> {
        let mut ones = 0;
        loop {
            if self.count == 0 {
                self.fill();
            }
            if self.count == 0 || ones > LONGEST {
                return Err(Torn);
            }
            let left = self.rest << (64 - self.count);
            let run = left.leading_ones();
            if run < self.count {
                self.count -= run + 1;
                return Ok(ones + run);
            }
            ones += self.count;
            self.count = 0;
        }
    }
}

/// A number whose unary part would be longer is written in full behind so many ones.
const LONGEST: u32 = 20;

/// A number that is usually as large as it was lately (Golomb-Rice): its lower bits in full, the others in unary.
#[derive(Debug, Clone, Copy)]
pub struct Usual {
    sum: u32,
    count: u32,
}

impl Default for Usual {
    fn default() -> Self {
        Usual { sum: 4, count: 2 }
    }
}

impl Usual {
    #[inline]
    pub fn number(&mut self, bits: &mut impl Bits, value: u64) -> Result<u64, Torn> {
        // So many lower bits that about one is left for the others.
        let mean = self.sum.saturating_sub(1) / self.count;
        let low = 32 - mean.leading_zeros();
        let high = bits.unary((value >> low).min(u64::from(LONGEST)) as u32)?;
        let value = if high >= LONGEST {
            bits.long(value)?
        } else {
            u64::from(high) << low | u64::from(bits.bits(value as u32, low)?)
        };
        self.sum += value.min(1 << 20) as u32;
        self.count += 1;
        if self.count >= 40 {
            (self.sum, self.count) = (self.sum / 2, self.count / 2);
        }
        Ok(value)
    }

    /// As [`Usual::number`], of either sign.
    #[inline]
    pub fn signed(&mut self, bits: &mut impl Bits, value: i64) -> Result<i64, Torn> {
        let folded = self.number(bits, (value << 1 ^ value >> 63) as u64)?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers in prop::collection::vec(prop_oneof![-3i64..3, -5000i64..5000, any::<i64>()], 0..200)) {
            let mut writer = Writer::default();
            let (mut usual, mut flags) = (Usual::default(), 0);
            for n in &numbers {
                usual.signed(&mut writer, *n).unwrap();
                writer.flag(n % 3 == 0).unwrap();
            }
            let bytes = writer.take();
            let (mut reader, mut usual) = (Reader::new(&bytes), Usual::default());
            for n in &numbers {
                prop_assert_eq!(usual.signed(&mut reader, 0), Ok(*n));
                prop_assert_eq!(reader.flag(false), Ok(n % 3 == 0));
                flags += 1;
            }
            prop_assert_eq!(flags, numbers.len());
        }

        #[test]
        fn noise_is_torn_sooner_or_later(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (mut reader, mut usual) = (Reader::new(&bytes), Usual::default());
            let read = (0..10_000).take_while(|_| usual.signed(&mut reader, 0).is_ok()).count();
            prop_assert!(read <= bytes.len() * 8);
        }
    }

    #[test]
    fn what_is_usual_is_cheap() {
        let cost = |of: &dyn Fn(i64) -> i64| {
            let (mut writer, mut usual) = (Writer::default(), Usual::default());
            (0..1000).for_each(|n| assert!(usual.signed(&mut writer, of(n)).is_ok()));
            writer.take().len()
        };
        assert!(cost(&|_| 0) < 130, "a bit each: {}", cost(&|_| 0));
        assert!(cost(&|n| n % 5 - 2) < 420, "{}", cost(&|n| n % 5 - 2));
    }
}
