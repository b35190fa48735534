//! Sums that fade, kept thrice: of each hour of the week, of each hour of the day, and of all hours. A question about an
//! hour is answered by that hour as far as it has seen enough, else by the same hour of all days, else by all hours.
//!
//! What is counted is a number, see `keys`. Most hours of most keys are never seen, so only what was seen is kept.

use crate::memory::{Reader, Writer};
use crate::statistics::Hour;
use std::collections::BTreeMap;

/// The wider level counts as so many tracks of the narrower one.
pub(super) const BORROWED: f64 = 8.0;
/// Sums below this are forgotten.
const LEAST: f32 = 0.04;
/// More sums are not kept: the smallest go. Some 150 kB at the very most; a shop has a tenth of it.
const MOST: usize = 50_000;

const DAY: u8 = 168;
const ALL: u8 = 192;

/// Which hours a sum is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    OfWeek(Hour),
    OfDay(Hour),
    All,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counts {
    /// By key and hours, in that order.
    sums: BTreeMap<(u16, u8), f32>,
}

impl Counts {
    pub fn add(&mut self, key: u16, hour: Hour, what: f32) {
        for slot in [hour.of_week() as u8, DAY + hour.of_day() as u8, ALL] {
            *self.sums.entry((key, slot)).or_default() += what;
        }
    }

    /// Of hours, with half of the hour before and half of the one after: nobody comes by the clock.
    pub fn get(&self, key: u16, level: Level) -> f64 {
        let at = |slot: usize| f64::from(self.sums.get(&(key, slot as u8)).copied().unwrap_or(0.0));
        match level {
            Level::OfWeek(hour) => {
                let hour = hour.of_week();
                at(hour) + (at((hour + 1) % 168) + at((hour + 167) % 168)) / 2.0
            }
            Level::OfDay(hour) => {
                let (base, hour) = (usize::from(DAY), hour.of_day());
                at(base + hour) + (at(base + (hour + 1) % 24) + at(base + (hour + 23) % 24)) / 2.0
            }
            Level::All => at(ALL.into()),
        }
    }

    /// A share of something, by the levels: what the widest one says is worth `borrowed` of what `of` counts, and so on
    /// down to the hour of the week.
    pub fn share(
        &self,
        hour: Hour,
        prior: f64,
        borrowed: f64,
        part: impl Fn(Level) -> f64,
        of: impl Fn(Level) -> f64,
    ) -> f64 {
        [Level::All, Level::OfDay(hour), Level::OfWeek(hour)]
            .into_iter()
            .fold(prior, |wider, level| (part(level) + borrowed * wider) / (of(level) + borrowed))
    }

    pub fn fade(&mut self, keep: f32) {
        self.sums.retain(|_, sum| {
            *sum *= keep;
            *sum >= LEAST
        });
        if self.sums.len() > MOST {
            let mut sizes: Vec<f32> = self.sums.values().copied().collect();
            sizes.sort_by(f32::total_cmp);
            let least = sizes[sizes.len() - MOST];
            self.sums.retain(|_, sum| *sum > least);
        }
    }

    /// Keys that are called otherwise now; `None` is forgotten.
    pub fn rename(&mut self, name: impl Fn(u16) -> Option<u16>) {
        let old = std::mem::take(&mut self.sums);
        self.sums = old.into_iter().filter_map(|((key, slot), sum)| Some(((name(key)?, slot), sum))).collect();
    }

    pub fn write(&self, out: &mut Writer) {
        out.number(self.sums.len() as u64);
        let mut before = 0;
        for ((key, slot), sum) in &self.sums {
            let place = u64::from(*key) * 256 + u64::from(*slot);
            out.number(place - before);
            out.count(*sum);
            before = place;
        }
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let (mut counts, mut place) = (Counts::default(), 0u64);
        for _ in 0..reader.number()? {
            place = place.checked_add(reader.number()?)?;
            let (key, slot) = (u16::try_from(place / 256).ok()?, (place % 256) as u8);
            counts.sums.insert((key, slot), reader.count()?);
        }
        Some(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_that_was_never_seen_is_judged_by_the_others() {
        let mut counts = Counts::default();
        let (tuesday_10, friday_10, friday_22) = (Hour::at(34), Hour::at(4 * 24 + 10), Hour::at(4 * 24 + 22));
        for _ in 0..100 {
            counts.add(0, tuesday_10, 1.0);
            counts.add(0, friday_22, 1.0);
        }
        for _ in 0..80 {
            counts.add(1, tuesday_10, 1.0);
        }
        let share =
            |hour| counts.share(hour, 0.01, BORROWED, |level| counts.get(1, level), |level| counts.get(0, level));
        assert!((0.75..0.82).contains(&share(tuesday_10)), "{}", share(tuesday_10));
        assert!((0.7..0.82).contains(&share(friday_10)), "as on other days at ten: {}", share(friday_10));
        assert!(share(friday_22) < 0.01, "{}", share(friday_22));
        assert!((0.3..0.45).contains(&share(Hour::at(15))), "as at any time: {}", share(Hour::at(15)));
    }

    #[test]
    fn what_fades_is_forgotten_and_what_is_written_is_read() {
        let mut counts = Counts::default();
        counts.add(7, Hour::at(3), 1.0);
        counts.add(900, Hour::at(167), 2.5);
        counts.fade(0.5);
        let mut out = Writer::default();
        counts.write(&mut out);
        let bytes = out.done();
        assert_eq!(Counts::read(&mut Reader::new(&bytes)), Some(counts.clone()));
        counts.fade(0.05);
        assert_eq!((counts.get(7, Level::All), counts.get(900, Level::All)), (0.0, 0.0625));
    }
}
