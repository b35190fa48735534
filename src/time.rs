//! The two clocks. [`MediaTime`] counts from the moment a source opened and orders everything the
//! core does; [`WallTime`] is what a person reads. They are different types so that they never mix.
//!
//! Absent on purpose: nothing but [`WallTime::now`], [`Stopwatch`] and [`CpuTime`] reads a clock of the operating
//! system, and they live here, so the core cannot.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Instant;

/// Microseconds since the source opened (film time). Never goes back within one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(i64);

/// A length of time in microseconds; may be negative as a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WallTime(i64);

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_micros(us: i64) -> Self {
        Span(us)
    }
    pub const fn from_millis(ms: i64) -> Self {
        Span(ms * 1000)
    }
    /// Rounds to the nearest microsecond; saturates on absurd input, NaN becomes zero.
    pub fn from_secs_f64(s: f64) -> Self {
        Span((s * 1e6).round() as i64)
    }
    pub const fn micros(self) -> i64 {
        self.0
    }
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
    /// `None` where the span is negative.
    pub fn to_std(self) -> Option<std::time::Duration> {
        u64::try_from(self.0).ok().map(std::time::Duration::from_micros)
    }
}

impl MediaTime {
    pub const ZERO: MediaTime = MediaTime(0);

    pub const fn from_micros(us: i64) -> Self {
        MediaTime(us)
    }
    pub fn from_secs_f64(s: f64) -> Self {
        MediaTime(Span::from_secs_f64(s).0)
    }
    pub const fn micros(self) -> i64 {
        self.0
    }
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl Add<Span> for MediaTime {
    type Output = MediaTime;
    fn add(self, s: Span) -> MediaTime {
        MediaTime(self.0.saturating_add(s.0))
    }
}

impl Sub for MediaTime {
    type Output = Span;
    fn sub(self, earlier: MediaTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, o: Span) -> Span {
        Span(self.0.saturating_add(o.0))
    }
}

impl Sub for Span {
    type Output = Span;
    fn sub(self, o: Span) -> Span {
        Span(self.0.saturating_sub(o.0))
    }
}

impl WallTime {
    pub const EPOCH: WallTime = WallTime(0);

    /// The only reading of the wall clock in the product.
    pub fn now() -> Self {
        WallTime(jiff::Timestamp::now().as_microsecond())
    }
    pub const fn from_micros(us: i64) -> Self {
        WallTime(us)
    }
    pub const fn micros(self) -> i64 {
        self.0
    }
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }
    /// Accepts RFC 3339 with an offset or `Z`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let at: jiff::Timestamp = text.parse()?;
        Ok(WallTime(at.as_microsecond()))
    }
}

impl Add<Span> for WallTime {
    type Output = WallTime;
    fn add(self, s: Span) -> WallTime {
        WallTime(self.0.saturating_add(s.0))
    }
}

impl Sub for WallTime {
    type Output = Span;
    fn sub(self, earlier: WallTime) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// RFC 3339 in UTC with milliseconds, as every payload spells it: `2026-11-24T10:15:02.120Z`.
impl fmt::Display for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Outside of years -9999..9999 there is nothing sensible to print; the nearest bound is honest enough.
        let at = jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        });
        write!(f, "{at:.3}")
    }
}

impl serde::Serialize for WallTime {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for WallTime {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        WallTime::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// Elapsed real time for pacing, timeouts and measurements; never for anything that reaches an event.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Stopwatch(Instant::now())
    }
    /// One that runs for some seconds already.
    #[cfg(test)]
    pub fn started_before(span: Span) -> Self {
        let past = span.to_std().and_then(|span| Instant::now().checked_sub(span));
        Stopwatch(past.expect("the machine has run for longer"))
    }
    pub fn elapsed(&self) -> Span {
        Span(i64::try_from(self.0.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}

/// Processor time that this process has used so far, all its threads together.
#[derive(Debug, Clone, Copy)]
pub struct CpuTime(std::time::Duration);

impl CpuTime {
    pub fn now() -> Self {
        let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        // Its fields are of other widths on other boards.
        CpuTime(used.try_into().unwrap_or_default())
    }

    /// Nanoseconds used between `earlier` and this: for what takes less than the microseconds of a [`Span`].
    pub fn nanos_since(self, earlier: CpuTime) -> u64 {
        u64::try_from(self.0.saturating_sub(earlier.0).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Sub for CpuTime {
    type Output = Span;
    fn sub(self, earlier: CpuTime) -> Span {
        Span(i64::try_from(self.0.saturating_sub(earlier.0).as_micros()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_reads_back_what_it_prints() {
        let at = WallTime::parse("2026-11-24T10:15:02.120Z").unwrap();
        assert_eq!(at.to_string(), "2026-11-24T10:15:02.120Z");
        assert_eq!(WallTime::EPOCH.to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(WallTime::parse("2026-11-24T11:15:02.12+01:00").unwrap(), at);
    }
}
