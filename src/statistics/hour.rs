//! The hour of the week at a place, as clocks show it there.

use crate::time::WallTime;
use jiff::tz::TimeZone;

/// Hours since the midnight before Monday, 0 to 167.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hour(u8);

impl Hour {
    pub const IN_WEEK: usize = 168;

    /// Moments far outside of the calendar are taken for the epoch.
    pub fn of(at: WallTime, zone: &TimeZone) -> Self {
        Hour::and_day(at, zone).0
    }

    /// And the date there, in days since 1970-01-01.
    pub fn and_day(at: WallTime, zone: &TimeZone) -> (Self, i64) {
        let at = jiff::Timestamp::from_microsecond(at.micros()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let local = zone.to_datetime(at);
        let day = u8::try_from(local.weekday().to_monday_zero_offset()).unwrap_or(0);
        let hour = day * 24 + u8::try_from(local.hour()).unwrap_or(0);
        let epoch = jiff::civil::date(1970, 1, 1);
        let day = local.date().since((jiff::Unit::Day, epoch)).map_or(0, |span| i64::from(span.get_days()));
        (Hour(hour), day)
    }

    /// The first moment of a local day; days since 1970-01-01.
    pub fn midnight(day: i64, zone: &TimeZone) -> WallTime {
        let epoch = jiff::civil::date(1970, 1, 1);
        let date = epoch.saturating_add(jiff::Span::new().days(day.clamp(-700_000, 2_900_000)));
        let first = date.to_zoned(zone.clone()).map(|at| at.timestamp().as_microsecond());
        WallTime::from_micros(first.unwrap_or(day.saturating_mul(86_400_000_000)))
    }

    pub fn at(of_week: usize) -> Self {
        Hour((of_week % Hour::IN_WEEK) as u8)
    }
    pub fn of_week(self) -> usize {
        usize::from(self.0)
    }
    pub fn of_day(self) -> usize {
        usize::from(self.0 % 24)
    }
    /// Monday is 0.
    pub fn day_of_week(self) -> usize {
        usize::from(self.0 / 24)
    }
    pub fn day_name(self) -> &'static str {
        ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"][self.day_of_week() % 7]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hour_is_that_of_the_place() {
        let at = WallTime::parse("2026-11-22T23:30:00Z").unwrap();
        let (hour, day) = Hour::and_day(at, &TimeZone::UTC);
        assert_eq!((hour.day_name(), hour.of_day(), hour.of_week(), day), ("Sunday", 23, 167, 20_779));
        let (hour, day) = Hour::and_day(at, &TimeZone::get("Europe/Berlin").unwrap());
        assert_eq!((hour.day_name(), hour.of_week(), day), ("Monday", 0, 20_780));
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        assert_eq!(Hour::midnight(20_780, &berlin), WallTime::parse("2026-11-23T00:00:00+01:00").unwrap());
    }
}
