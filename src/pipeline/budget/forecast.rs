//! How many warnings of a rule are to be expected in the rest of the day: from the same hours of the same weekday, else of
//! all days, and from how today compares with that so far.

use crate::memory::{Reader, Writer};
use crate::statistics::{Hour, faded};

/// What is older counts less: half of it after so many days.
const HALF_LIFE_DAYS: f64 = 14.0;
/// Other days of the week count as so many of this one, and other hours as so many of this one.
const BORROWED: f64 = 0.4;
/// So many expected warnings must have had their time before today is believed as much as what is usual.
const DOUBT: f64 = 4.0;

/// Counts of complete days.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Forecast {
    /// By hour of the week; empty before the first day.
    counts: Vec<f32>,
    /// Days seen, by day of the week.
    days: [f32; 7],
    /// How the newest days compared with what was expected of them.
    pace: Option<f64>,
}

/// One day's counts, by hour.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Today([u32; 24]);

impl Today {
    pub fn add(&mut self, hour: Hour) {
        self.0[hour.of_day()] += 1;
    }
    pub fn write(&self, out: &mut Writer) {
        self.0.iter().for_each(|count| out.number(u64::from(*count)));
    }
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut today = Today::default();
        for count in &mut today.0 {
            *count = reader.number().and_then(|number| u32::try_from(number).ok())?;
        }
        Some(today)
    }
}

impl Forecast {
    pub fn learn(&mut self, day_of_week: usize, today: &Today) {
        if !self.counts.is_empty() {
            self.pace = Some(self.pace_of(day_of_week, 24.0, today));
        }
        self.counts.resize(Hour::IN_WEEK, 0.0);
        let keep = faded(1.0, HALF_LIFE_DAYS) as f32;
        self.counts.iter_mut().chain(&mut self.days).for_each(|count| *count *= keep);
        for (hour, count) in today.0.iter().enumerate() {
            self.counts[day_of_week * 24 + hour] += *count as f32;
        }
        self.days[day_of_week] += 1.0;
    }

    /// Warnings from now to midnight; 0 where nothing is known yet.
    pub fn rest_of_day(&self, hour: Hour, part: f64, today: &Today) -> f64 {
        if self.counts.is_empty() {
            return 0.0;
        }
        let (day, now) = (hour.day_of_week(), hour.of_day());
        let rest = self.usual(day, now) * (1.0 - part) + (now + 1..24).map(|hour| self.usual(day, hour)).sum::<f64>();
        rest * self.pace_of(day, now as f64 + part, today)
    }

    /// Warnings in one hour of such a day.
    fn usual(&self, day: usize, hour: usize) -> f64 {
        let count = |index: usize| f64::from(self.counts[index]);
        let days: f64 = self.days.iter().map(|days| f64::from(*days)).sum();
        let all = self.counts.iter().map(|count| f64::from(*count)).sum::<f64>() / (24.0 * days.max(1e-9));
        let of_day: f64 = (0..7).map(|day| count(day * 24 + hour)).sum();
        let of_day = (of_day + BORROWED * all) / (days + BORROWED);
        (count(day * 24 + hour) + BORROWED * of_day) / (f64::from(self.days[day]) + BORROWED)
    }

    /// How the day compares with what is usual, `passed` hours after its beginning.
    fn pace_of(&self, day: usize, passed: f64, today: &Today) -> f64 {
        let whole = (passed as usize).min(24);
        let mut expected: f64 = (0..whole).map(|hour| self.usual(day, hour)).sum();
        if whole < 24 {
            expected += self.usual(day, whole) * (passed - whole as f64);
        }
        let seen: u32 = today.0[..(whole + 1).min(24)].iter().sum();
        // What the newest days were like goes on, but not for ever: the counts themselves follow.
        let before = (1.0 + self.pace.unwrap_or(1.0)) / 2.0;
        ((f64::from(seen) + DOUBT * before) / (expected + DOUBT)).max(0.05)
    }

    pub fn write(&self, out: &mut Writer) {
        out.number(u64::from(!self.counts.is_empty()));
        self.counts.iter().chain(&self.days).for_each(|count| out.number(u64::from(count.to_bits())));
        out.float(self.pace.unwrap_or(-1.0));
    }

    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut forecast = Forecast::default();
        if reader.number()? == 1 {
            forecast.counts.resize(Hour::IN_WEEK, 0.0);
        }
        for count in forecast.counts.iter_mut().chain(&mut forecast.days) {
            *count = f32::from_bits(u32::try_from(reader.number()?).ok()?);
            if !(0.0..1e9).contains(count) {
                return None;
            }
        }
        forecast.pace = Some(reader.float()?).filter(|pace| *pace >= 0.0);
        Some(forecast)
    }
}
