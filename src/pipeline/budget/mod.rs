//! At most so many alerts a day: which of a camera's warnings the owner is shown, and which are listed only.
//!
//! Every warning is compared with the recent past of its own rule at this hour: `tail` is the share of them that were
//! as strong or stronger. What is left of today's budget is divided among the rules: each gets the same share of
//! alerts, and what one cannot use (it has fewer warnings) goes to the others, so a rule that speaks once a week is not
//! drowned by one that speaks all day. A rule's threshold is the quantile of its strengths that lets its share pass
//! in what is expected of the rest of the day (`forecast`). So the threshold falls towards evening if there was little, and
//! rises at once when a day turns out to be thrice as busy as its weekday usually is.
//!
//! What does not pass keeps everything but its severity, which becomes `info`, and says why. No local day sees more than
//! the budget, rounded up. A rule without strengths has its alerts drawn by lot, the same lot at every replay.
//!
//! Absent on purpose: rules with severity `alarm` (an intruder at night is told however many alerts there were),
//! what the picture tells of the camera itself, and budgets over several cameras.

mod forecast;
mod tail;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod weeks;

use super::rule::Told;
use crate::event::{Phase, Severity};
use crate::ids::RuleId;
use crate::memory::{Reader, Writer};
use crate::problems::Problems;
use crate::statistics::Hour;
use crate::time::WallTime;
use forecast::{Forecast, Today};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, VecDeque};
use tail::Tail;

/// `[camera.<c>.budget]`
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BudgetConfig {
    /// How many warnings of this camera become alerts on one day, at most; .5 is one every other day. What lies below the
    /// threshold that follows from it is still recorded and published, with severity `info`. Rules whose severity is
    /// `alarm` are not held to it.
    pub alerts_per_day: f64,
}

impl BudgetConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        let fine = (0.01..=1000.0).contains(&self.alerts_per_day);
        let path = format!("{at}.alerts_per_day");
        problems.expect(fine, path, format!("is {:?}, expected a number from 0.01 to 1000", self.alerts_per_day));
    }
}

/// Of complete days, at most the newest four weeks.
#[derive(Debug, Clone, PartialEq)]
pub struct BudgetState {
    pub promised_per_day: f64,
    /// `None` before the first day is over.
    pub achieved_per_day: Option<f64>,
    /// Warnings there were to choose from.
    pub candidates_per_day: Option<f64>,
    pub days: u32,
    pub alerts_today: u32,
    /// Warnings of today that became `info`.
    pub listed_today: u32,
}

/// Days that the achieved rate is the mean of.
const DAYS: usize = 28;
const SPELLING: u64 = 1;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Budget {
    config: BudgetConfig,
    rules: BTreeMap<RuleId, Past>,
    today: Option<Day>,
    /// What a budget that is no whole number has left over.
    carry: f64,
    /// Alerts and candidates of complete days, oldest first.
    days: VecDeque<(u32, u32)>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Default)]
struct Past {
    tail: Tail,
    forecast: Forecast,
    today: Today,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Day {
    day: i64,
    hour: Hour,
    /// The newest frame.
    now: WallTime,
    /// False where the clock was not: nothing is concluded about hours then.
    trusted: bool,
    alerts: u32,
    candidates: u32,
}

impl Day {
    /// How much of the hour has passed, 0..1. Where hours begin at odd minutes it is off by those.
    fn part(&self) -> f64 {
        const HOUR: i64 = 3_600_000_000;
        self.now.micros().rem_euclid(HOUR) as f64 / HOUR as f64
    }
}

impl Budget {
    pub fn new(config: BudgetConfig) -> Self {
        Budget { config, rules: BTreeMap::new(), today: None, carry: 0.0, days: VecDeque::new() }
    }

    /// Another promise changes nothing of what is known.
    pub fn swap(old: Option<Budget>, config: Option<&BudgetConfig>) -> Option<Budget> {
        let config = config?.clone();
        Some(match old {
            Some(old) => Budget { config, ..old },
            None => Budget::new(config),
        })
    }

    /// Told of every frame.
    pub fn advance(&mut self, now: WallTime, zone: &TimeZone, clock_trusted: bool) {
        // The calendar is asked once a minute.
        let minute = |at: WallTime| at.micros().div_euclid(60_000_000);
        if let Some(today) = self.today.as_mut().filter(|today| minute(today.now) == minute(now)) {
            today.now = now;
            today.trusted &= clock_trusted;
            return;
        }
        let (hour, day) = Hour::and_day(now, zone);
        let new = Day { day, hour, now, trusted: clock_trusted, alerts: 0, candidates: 0 };
        match &mut self.today {
            Some(today) if today.day == day => {
                (today.hour, today.now) = (hour, now);
                today.trusted &= clock_trusted;
            }
            Some(_) => {
                self.close_day();
                self.today = Some(new);
            }
            None => self.today = Some(new),
        }
    }

    fn close_day(&mut self) {
        let Some(day) = self.today.take() else { return };
        let left = self.config.alerts_per_day + self.carry - f64::from(day.alerts);
        self.carry = left.clamp(0.0, self.config.alerts_per_day.ceil() - self.config.alerts_per_day);
        if self.days.len() == DAYS {
            self.days.pop_front();
        }
        self.days.push_back((day.alerts, day.candidates));
        for past in self.rules.values_mut() {
            let today = std::mem::take(&mut past.today);
            if day.trusted {
                past.forecast.learn(day.hour.day_of_week(), &today);
            }
        }
    }

    /// Alerts that may still be told today.
    fn left(&self) -> u32 {
        let spent = self.today.map_or(0, |today| today.alerts);
        ((self.config.alerts_per_day + self.carry + 1e-9) as u32).saturating_sub(spent)
    }

    /// Lowers what does not fit into the budget. Only warnings that begin or happen are candidates.
    pub fn judge(&mut self, rule: &RuleId, now: WallTime, told: &mut Told) {
        if told.severity != Severity::Warning || told.phase == Phase::End {
            return;
        }
        let Some(today) = self.today else { return };
        let hour = today.hour;
        let strength = told.strength.unwrap_or(0.0);
        let past = self.rules.entry(rule.clone()).or_default();
        let tail = past.tail.of(hour, strength, lot(rule, now, told));
        past.tail.add(hour, strength);
        past.today.add(hour);
        let left = self.left();
        let passes = match left {
            0 => 0.0,
            _ => self.share(rule, &today, f64::from(left)),
        };
        let alert = tail <= passes;
        if let Some(today) = &mut self.today {
            today.candidates += 1;
            today.alerts += u32::from(alert);
        }
        if !alert {
            told.severity = Severity::Info;
            told.explain.push_str(&self.why_not(left, tail, passes));
        }
    }

    /// Which share of the rule's warnings may pass for the rest of the day, 0..1.
    fn share(&self, rule: &RuleId, today: &Day, left: f64) -> f64 {
        let expected = |past: &Past| past.forecast.rest_of_day(today.hour, today.part(), &past.today);
        let mut all: Vec<f64> = self.rules.values().map(expected).collect();
        let Some(ours) = self.rules.get(rule).map(expected).filter(|ours| *ours > 0.0) else { return 1.0 };
        // Each rule gets `level` alerts, or as many warnings as it has: the smallest are served first.
        all.sort_by(f64::total_cmp);
        let (mut left, mut level) = (left, f64::INFINITY);
        for (i, expected) in all.iter().enumerate() {
            let even = left / (all.len() - i) as f64;
            if *expected > even {
                level = even;
                break;
            }
            left -= expected;
        }
        (level / ours).min(1.0)
    }

    fn why_not(&self, left: u32, tail: f64, passes: f64) -> String {
        let budget = self.config.alerts_per_day;
        if left == 0 {
            return format!(" Listed only: the budget of {budget} alerts a day is used up.");
        }
        let percent = |part: f64| format!("{} %", (part * 1000.0).round() / 10.0);
        format!(
            " Listed only: {} of such findings were as strong lately at this hour, and the budget of {budget} alerts a day takes the strongest {} now.",
            percent(tail),
            percent(passes)
        )
    }

    pub fn state(&self) -> BudgetState {
        let days = self.days.len();
        let mean = |sum: u32| (days > 0).then(|| f64::from(sum) / days as f64);
        BudgetState {
            promised_per_day: self.config.alerts_per_day,
            achieved_per_day: mean(self.days.iter().map(|day| day.0).sum()),
            candidates_per_day: mean(self.days.iter().map(|day| day.1).sum()),
            days: days as u32,
            alerts_today: self.today.map_or(0, |today| today.alerts),
            listed_today: self.today.map_or(0, |today| today.candidates - today.alerts.min(today.candidates)),
        }
    }

    pub fn memory(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.number(SPELLING);
        out.float(self.carry);
        out.number(self.days.len() as u64);
        for (alerts, candidates) in &self.days {
            out.number(u64::from(*alerts));
            out.number(u64::from(*candidates));
        }
        out.number(u64::from(self.today.is_some()));
        if let Some(today) = &self.today {
            out.signed(today.day);
            out.number(today.hour.of_week() as u64);
            out.signed(today.now.micros());
            for number in [u64::from(today.trusted), today.alerts.into(), today.candidates.into()] {
                out.number(number);
            }
        }
        out.number(self.rules.len() as u64);
        for (id, past) in &self.rules {
            out.text(id.as_str());
            past.tail.write(&mut out);
            past.forecast.write(&mut out);
            past.today.write(&mut out);
        }
        out.done()
    }

    pub fn recall(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut reader = Reader::new(bytes);
        if reader.number() != Some(SPELLING) {
            return Err("it was written by another version".into());
        }
        let mut read = || {
            let mut new = Budget::new(self.config.clone());
            new.carry = reader.float()?.clamp(0.0, 1.0);
            for _ in 0..reader.number()?.min(DAYS as u64) {
                new.days.push_back((small(&mut reader)?, small(&mut reader)?));
            }
            if reader.number()? == 1 {
                new.today = Some(Day {
                    day: reader.signed()?,
                    hour: Hour::at(small(&mut reader)? as usize),
                    now: WallTime::from_micros(reader.signed()?),
                    trusted: reader.number()? == 1,
                    alerts: small(&mut reader)?,
                    candidates: small(&mut reader)?,
                });
            }
            for _ in 0..reader.number()? {
                let id = RuleId::new(reader.text()?);
                let tail = Tail::read(&mut reader)?;
                let past = Past { tail, forecast: Forecast::read(&mut reader)?, today: Today::read(&mut reader)? };
                new.rules.insert(id, past);
            }
            reader.is_done().then_some(new)
        };
        *self = read().ok_or("it does not end where it should")?;
        Ok(())
    }
}

fn small(reader: &mut Reader<'_>) -> Option<u32> {
    reader.number().and_then(|number| u32::try_from(number).ok())
}

/// 0..1, from what happened and nothing else.
fn lot(rule: &RuleId, now: WallTime, told: &Told) -> f64 {
    let tracks = told.tracks.iter().flat_map(|track| track.id.0.to_le_bytes());
    let bytes = rule.as_str().bytes().chain(now.micros().to_le_bytes()).chain(tracks);
    // FNV-1a, and a stir, since its upper bits are those that count here.
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    ((hash ^ hash >> 33) >> 11) as f64 / (1u64 << 53) as f64
}
