//! Opening hours: spans of local time for each day of the week. A span may reach over midnight, and then belongs to
//! the day it begins on.

use crate::problems::Problems;
use jiff::civil::{DateTime, Weekday};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// When it is open; a day that is left out is closed.
#[derive(Debug, Clone, PartialEq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OpeningHours {
    pub mon: Vec<Hours>,
    pub tue: Vec<Hours>,
    pub wed: Vec<Hours>,
    pub thu: Vec<Hours>,
    pub fri: Vec<Hours>,
    pub sat: Vec<Hours>,
    pub sun: Vec<Hours>,
}

/// One span, `"08:00-20:00"`; `"22:00-02:00"` reaches over midnight, `"00:00-24:00"` is the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hours {
    /// Minutes since midnight; the end is excluded, and may be less than the start.
    from: u16,
    until: u16,
}

const DAY: u16 = 24 * 60;

impl OpeningHours {
    pub fn are_open(&self, local: DateTime) -> bool {
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        let today = self.on(local.weekday()).iter().any(|h| h.covers_today(minute));
        today || self.on(local.weekday().previous()).iter().any(|h| h.covers_tomorrow(minute))
    }

    fn on(&self, day: Weekday) -> &[Hours] {
        match day {
            Weekday::Monday => &self.mon,
            Weekday::Tuesday => &self.tue,
            Weekday::Wednesday => &self.wed,
            Weekday::Thursday => &self.thu,
            Weekday::Friday => &self.fri,
            Weekday::Saturday => &self.sat,
            Weekday::Sunday => &self.sun,
        }
    }

    pub fn check(&self, at: &str, problems: &mut Problems) {
        let days = [&self.mon, &self.tue, &self.wed, &self.thu, &self.fri, &self.sat, &self.sun];
        let none = days.iter().all(|day| day.is_empty());
        problems.expect(!none, at, "has no hours, expected at least one day, as in { mon = [\"08:00-20:00\"] }");
    }
}

impl Hours {
    fn over_midnight(self) -> bool {
        self.until < self.from
    }
    fn covers_today(self, minute: u16) -> bool {
        minute >= self.from && (self.over_midnight() || minute < self.until)
    }
    fn covers_tomorrow(self, minute: u16) -> bool {
        self.over_midnight() && minute < self.until
    }
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let minutes = |clock: &str| {
            let (hour, minute) = clock.trim().split_once(':')?;
            let digits =
                |s: &str| (s.len() == 2 && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse::<u16>().ok());
            let (hour, minute) = (digits(hour)??, digits(minute)??);
            (minute < 60 && hour * 60 + minute <= DAY).then_some(hour * 60 + minute)
        };
        let span = text.split_once('-').and_then(|(from, until)| Some((minutes(from)?, minutes(until)?)));
        match span {
            Some((from, until)) if from < DAY && from != until => Ok(Hours { from, until }),
            _ => Err(format!("\"{text}\" is no span of hours, expected one such as \"08:00-20:00\"")),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, until) = (self.from, self.until);
        write!(f, "{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, until / 60, until % 60)
    }
}

impl<'de> serde::Deserialize<'de> for Hours {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Hours {
    fn schema_name() -> Cow<'static, str> {
        "Hours".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A span of local time, over midnight if its end is before its start.",
            "type": "string",
            "pattern": "^\\d\\d:\\d\\d-\\d\\d:\\d\\d$",
            "examples": ["08:00-20:00", "22:00-02:00", "00:00-24:00"]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_span() {
        for good in ["08:00-20:00", "22:00-02:00", "00:00-24:00", "18:30-00:00"] {
            assert_eq!(good.parse::<Hours>().unwrap().to_string(), good);
        }
        for bad in ["", "8-20", "08:00", "08:00-08:00", "24:00-02:00", "08:60-09:00", "25:00-26:00", "+8:00-09:00", "é"]
        {
            assert!(bad.parse::<Hours>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_week() {
        let spans = |s: &[&str]| s.iter().map(|h| h.parse().unwrap()).collect::<Vec<Hours>>();
        let hours = OpeningHours {
            mon: spans(&["08:00-12:30", "13:30-18:00"]),
            fri: spans(&["20:00-02:00"]),
            sun: spans(&["22:00-06:00"]),
            ..Default::default()
        };
        // 2026-11-23 is a Monday.
        let open = |at: &str| hours.are_open(at.parse().unwrap());
        assert!(open("2026-11-23T08:00:00"));
        assert!(!open("2026-11-23T07:59:59"));
        assert!(!open("2026-11-23T12:30:00"), "lunch");
        assert!(open("2026-11-23T17:59:59"));
        assert!(open("2026-11-23T05:00:00"), "Sunday's night reaches into Monday");
        assert!(!open("2026-11-24T12:00:00"), "Tuesday is closed");
        assert!(open("2026-11-27T23:00:00"));
        assert!(open("2026-11-28T01:59:00"), "Friday's night reaches into Saturday");
        assert!(!open("2026-11-28T02:00:00"));
        assert!(!open("2026-11-27T01:00:00"), "but not Thursday's into Friday");
    }
}
