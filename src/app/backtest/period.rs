//! From when on, and days as people at the place count them.

use crate::problems::BadInput;
use crate::time::{Span, WallTime};
use anyhow::Result;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Since {
    Ago(Span),
    Day(Date),
    At(WallTime),
}

impl Since {
    pub fn parse(text: &str) -> Result<Since> {
        let ago = |unit: char, hours: i64| {
            let count: u32 = text.strip_suffix(unit)?.parse().ok().filter(|n| (1..=100_000).contains(n))?;
            Some(Since::Ago(Span::from_millis(i64::from(count) * hours * 3_600_000)))
        };
        let day = || text.parse().ok().filter(|_| text.len() == 10).map(Since::Day);
        let at = || WallTime::parse(text).ok().map(Since::At);
        ago('d', 24).or_else(|| ago('h', 1)).or_else(day).or_else(at).ok_or_else(|| {
            let expected = "expected days or hours back as in 14d or 12h, a date as in 2026-11-10, or a time as in \
                            2026-11-10T08:00:00Z";
            BadInput(format!("--since is \"{text}\", {expected}")).into()
        })
    }

    pub fn before(self, now: WallTime, time_zone: &str) -> WallTime {
        match self {
            Since::Ago(span) => now + (Span::ZERO - span),
            Since::At(at) => at,
            Since::Day(day) => {
                let midnight = day.to_zoned(zone(time_zone)).map(|midnight| midnight.timestamp().as_microsecond());
                midnight.map_or(WallTime::EPOCH, WallTime::from_micros)
            }
        }
    }
}

/// The configuration has been checked.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap_or(TimeZone::UTC)
}

/// The day there, and the time of day.
pub fn local(at: WallTime, zone: &TimeZone) -> (Date, String) {
    let at = Timestamp::from_microsecond(at.micros()).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned(zone.clone());
    (at.date(), at.strftime("%H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let now = WallTime::parse("2026-11-24T10:00:00Z").unwrap();
        let told = match Since::parse(text) {
            Ok(since) => since.before(now, "Europe/Berlin").to_string(),
            Err(error) => error.to_string().split(',').next().unwrap().to_string(),
        };
        assert_eq!(told, expected, "{text}");
    }

    #[test]
    fn days_hours_dates_and_times() {
        check("14d", "2026-11-10T10:00:00.000Z");
        check("12h", "2026-11-23T22:00:00.000Z");
        check("2026-11-10", "2026-11-09T23:00:00.000Z");
        check("2026-11-10T08:00:00+01:00", "2026-11-10T07:00:00.000Z");
        for wrong in ["", "d", "0d", "-1d", "14", "2 weeks", "yesterday", "14ä", "999999999999d"] {
            check(wrong, &format!("--since is \"{wrong}\""));
        }
    }
}
