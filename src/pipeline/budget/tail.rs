//! How strong the findings of a rule were lately: the newest ones, each with its hour.

use crate::memory::{Reader, Writer};
use crate::statistics::Hour;
use std::collections::VecDeque;

/// Findings that are remembered.
const KEPT: usize = 400;
/// What a finding of another hour counts beside one of this hour; of the hours beside it half of one.
const FAR: f64 = 0.1;

#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Tail {
    newest: VecDeque<(u8, f32)>,
}

impl Tail {
    pub fn add(&mut self, hour: Hour, strength: f32) {
        if self.newest.len() == KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back((hour.of_day() as u8, strength));
    }

    /// The share of findings that are as strong or stronger at this hour of the day. Among equals `lot` (0..1) decides,
    /// so that this is evenly spread between 0 and 1 as long as nothing changes, be strengths equal or not.
    pub fn of(&self, hour: Hour, strength: f32, lot: f64) -> f64 {
        let (mut all, mut above, mut equal) = (1.0, 0.0, 1.0);
        for (of_day, other) in &self.newest {
            let apart = (i32::from(*of_day) - hour.of_day() as i32).rem_euclid(24);
            let weight = match apart.min(24 - apart) {
                0 => 1.0,
                1 => 0.5,
                _ => FAR,
            };
            all += weight;
            match other.total_cmp(&strength) {
                std::cmp::Ordering::Greater => above += weight,
                std::cmp::Ordering::Equal => equal += weight,
                std::cmp::Ordering::Less => {}
            }
        }
        (above + lot * equal) / all
    }

    pub fn write(&self, out: &mut Writer) {
        out.number(self.newest.len() as u64);
        for (hour, strength) in &self.newest {
            out.number(u64::from(*hour));
            out.number(u64::from(strength.to_bits()));
        }
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut tail = Tail::default();
        for _ in 0..reader.number()? {
            let hour = Hour::at(usize::try_from(reader.number()?).ok()?);
            tail.add(hour, f32::from_bits(u32::try_from(reader.number()?).ok()?));
        }
        Some(tail)
    }
}
