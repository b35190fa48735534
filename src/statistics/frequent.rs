//! Where and when incidents were more frequent than the weeks before let expect: "shelf, Saturdays 17 to 19 h: 5, 1.6
//! expected".
//!
//! # What is tested
//!
//! For each camera, place and kind, each of the 168 spans of two hours in a week: `count` incidents in the span now, in
//! `now` days of that weekday, against `before` incidents in `past` such days of the weeks before. If both are Poisson with
//! the same rate, whatever it is, `count` has the negative binomial distribution with `before + 1` as its size and
//! `(before + 1) * now / past` as its mean: this is the exact comparison of two Poisson counts (the binomial one given
//! their sum), which needs no estimate of the rate, holds with one incident as with a hundred, and is on the safe side
//! where they are few. That incidents come in heaps is measured over all places and hours of the history (`scatter`, the
//! variance beyond Poisson's) and makes the distribution wider.
//!
//! All spans of all places that had incidents are tests, so p is corrected by Benjamini and Hochberg: of what is told, at
//! most the given share is chance. Spans overlap, their counts rise together, which that correction allows for. Of
//! spans that overlap only the most surprising is told.
//!
//! Days on which a camera saw nothing at all are no days. Weekdays with fewer than [`FEWEST_DAYS`] of them before are
//! not tested.
//!
//! Several starts of the same thing are one incident if less than [`APART`] is between them.

use super::{Hour, benjamini_hochberg, negative_binomial_at_least};
use crate::ids::CameraId;
use crate::time::{Span, WallTime};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};

pub const FEWEST_DAYS: u32 = 3;
pub const APART: Span = Span::from_millis(60_000);
/// Hours of a span.
const LONG: usize = 2;
/// Fewer incidents than this are no frequent ones, whatever was before.
const FEWEST: u64 = 3;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incident {
    pub camera: CameraId,
    /// Name of the zone; empty for the whole picture.
    pub place: String,
    pub kind: String,
    pub at: WallTime,
}

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// Of now and before, in any order.
    pub incidents: &'a [Incident],
    /// Camera and local day (days since 1970) on which it saw anything.
    pub watched: &'a BTreeSet<(CameraId, i64)>,
    /// Now: this and later; before: earlier.
    pub from: WallTime,
    pub until: WallTime,
    pub zone: &'a TimeZone,
    /// The share of findings that may be chance.
    pub rate: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Frequent {
    pub camera: CameraId,
    pub place: String,
    pub kind: String,
    /// The first hour of the span.
    pub hour: Hour,
    pub hours: u32,
    pub count: u64,
    /// By the same hours of the weeks before and, as much as one more week of it, by the same hours of all days.
    pub expected: f64,
    /// Of this one test.
    pub p: f64,
    /// With the number of tests in mind.
    pub adjusted: f64,
    /// The newest of them.
    pub newest: WallTime,
    /// Weeks that it was compared with.
    pub weeks: u32,
}

/// By day of the week and hour.
#[derive(Debug, Default, Clone)]
struct Series {
    now: Vec<u64>,
    /// Each past day: day, its weekday, and counts by hour.
    before: BTreeMap<i64, (usize, [u64; 24])>,
    newest: BTreeMap<usize, WallTime>,
}

/// Most surprising first. Empty where there is too little to compare with.
pub fn frequent(question: &Question<'_>) -> Vec<Frequent> {
    let series = series(question);
    let days = days(question);
    let scatter = scatter(&series, &days);
    let (mut found, mut tests) = (Vec::new(), 0);
    for ((camera, place, kind), series) in &series {
        for start in 0..Hour::IN_WEEK {
            let hour = Hour::at(start);
            let (now, past) = days.get(&(camera.clone(), hour.day_of_week())).copied().unwrap_or_default();
            // A span over midnight would belong to two weekdays.
            if hour.of_day() + LONG > 24 || past < FEWEST_DAYS || now == 0 {
                continue;
            }
            tests += 1;
            let span = hour.of_day()..hour.of_day() + LONG;
            let count: u64 = series.now[start..start + LONG].iter().sum();
            if count < FEWEST {
                continue;
            }
            let sum = |day: &[u64; 24]| day[span.clone()].iter().sum::<u64>();
            let of_weekday = series.before.values().filter(|(weekday, _)| *weekday == hour.day_of_week());
            let before: u64 = of_weekday.map(|(_, counts)| sum(counts)).sum();
            let ever: u64 = series.before.values().map(|(_, counts)| sum(counts)).sum();
            let all_days: u32 = (0..7).filter_map(|day| days.get(&(camera.clone(), day))).map(|(_, past)| past).sum();
            let (now, past) = (f64::from(now), f64::from(past));
            let (known, usual) = (before as f64 + 1.0, ever as f64 / f64::from(all_days.max(1)));
            let size = 1.0 / (1.0 / known + scatter * (1.0 / now + 1.0 / past));
            found.push(Frequent {
                camera: camera.clone(),
                place: place.clone(),
                kind: kind.clone(),
                hour,
                hours: LONG as u32,
                count,
                expected: (before as f64 + usual) / (past + 1.0) * now,
                p: negative_binomial_at_least(count, known * now / past, size),
                adjusted: 1.0,
                newest: span
                    .clone()
                    .filter_map(|h| series.newest.get(&(start - hour.of_day() + h)))
                    .max()
                    .copied()
                    .unwrap_or_default(),
                weeks: past as u32,
            });
        }
    }
    let p: Vec<f64> = found.iter().map(|one| one.p).collect();
    for (one, adjusted) in found.iter_mut().zip(benjamini_hochberg(&p, tests)) {
        one.adjusted = adjusted;
    }
    found.retain(|one| one.adjusted <= question.rate);
    found.sort_by(|a, b| {
        a.p.total_cmp(&b.p).then_with(|| (&a.camera, &a.place, a.hour).cmp(&(&b.camera, &b.place, b.hour)))
    });
    without_overlaps(found)
}

fn without_overlaps(found: Vec<Frequent>) -> Vec<Frequent> {
    let mut kept: Vec<Frequent> = Vec::new();
    for one in found {
        let same = |other: &Frequent| {
            (&other.camera, &other.place, &other.kind) == (&one.camera, &one.place, &one.kind)
                && other.hour.of_week().abs_diff(one.hour.of_week()) < LONG
        };
        if !kept.iter().any(same) {
            kept.push(one);
        }
    }
    kept
}

type Key = (CameraId, String, String);

fn series(question: &Question<'_>) -> BTreeMap<Key, Series> {
    let mut sorted: Vec<&Incident> = question.incidents.iter().filter(|one| one.at < question.until).collect();
    sorted.sort();
    let mut all: BTreeMap<Key, Series> = BTreeMap::new();
    let mut newest: Option<&Incident> = None;
    for one in sorted {
        let key = |one: &Incident| (one.camera.clone(), one.place.clone(), one.kind.clone());
        let again = newest.is_some_and(|before| key(before) == key(one) && one.at - before.at < APART);
        newest = Some(one);
        if again {
            continue;
        }
        let series = all.entry(key(one)).or_default();
        series.now.resize(Hour::IN_WEEK, 0);
        let (hour, day) = Hour::and_day(one.at, question.zone);
        if one.at >= question.from {
            series.now[hour.of_week()] += 1;
            series.newest.insert(hour.of_week(), one.at);
        } else {
            series.before.entry(day).or_insert((hour.day_of_week(), [0; 24])).1[hour.of_day()] += 1;
        }
    }
    all
}

/// By camera and day of the week: days of it now, and before.
fn days(question: &Question<'_>) -> BTreeMap<(CameraId, usize), (u32, u32)> {
    let mut days: BTreeMap<(CameraId, usize), (u32, u32)> = BTreeMap::new();
    let first = Hour::and_day(question.from, question.zone).1;
    let last = Hour::and_day(question.until + Span::from_micros(-1), question.zone).1;
    for (camera, day) in question.watched.iter().filter(|(_, day)| *day <= last) {
        // 1970-01-01 was a Thursday.
        let weekday = (day + 3).rem_euclid(7) as usize;
        let (now, before) = days.entry((camera.clone(), weekday)).or_default();
        *if *day >= first { now } else { before } += 1;
    }
    days
}

/// How much more the counts of the same span vary from week to week than Poisson's would, as a part of their squared
/// mean: by moments, over all places and spans together, since each alone has seen too little. 0 where they do not.
fn scatter(series: &BTreeMap<Key, Series>, days: &BTreeMap<(CameraId, usize), (u32, u32)>) -> f64 {
    let (mut beyond, mut squares) = (0.0, 0.0);
    for ((camera, ..), series) in series {
        for start in (0..Hour::IN_WEEK).step_by(LONG) {
            let hour = Hour::at(start);
            let past = days.get(&(camera.clone(), hour.day_of_week())).map_or(0, |(_, past)| *past);
            if past < FEWEST_DAYS {
                continue;
            }
            let of_weekday = series.before.values().filter(|(weekday, _)| *weekday == hour.day_of_week());
            let counts: Vec<f64> =
                of_weekday.map(|(_, c)| c[hour.of_day()..hour.of_day() + LONG].iter().sum::<u64>() as f64).collect();
            let n = f64::from(past).max(counts.len() as f64);
            let mean = counts.iter().sum::<f64>() / n;
            let variance = (counts.iter().map(|c| c * c).sum::<f64>() - n * mean * mean) / (n - 1.0);
            beyond += variance - mean;
            squares += mean * mean - variance / n;
        }
    }
    if squares > 0.0 { (beyond / squares).max(0.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: i64 = 7 * 86_400;

    struct World {
        chance: fastrand::Rng,
        incidents: Vec<Incident>,
        watched: BTreeSet<(CameraId, i64)>,
    }

    /// 2026-01-05 is a Monday; twelve weeks before it and one after.
    fn monday() -> WallTime {
        WallTime::parse("2026-01-05T00:00:00Z").unwrap()
    }

    impl World {
        /// `heaps`: 0 is Poisson, else each span has a factor of its own in each week, with that variance.
        fn new(seed: u64, weekly: f64, heaps: f64) -> Self {
            let mut world =
                World { chance: fastrand::Rng::with_seed(seed), incidents: Vec::new(), watched: BTreeSet::new() };
            let first = Hour::and_day(monday(), &TimeZone::UTC).1;
            for camera in ["a", "b"] {
                world.watched.extend((-84..7).map(|day| (CameraId::new(camera), first + day)));
                for place in ["shelf", "door", ""] {
                    for week in -12..1 {
                        for slot in 0..84i64 {
                            let open = (4..10).contains(&(slot % 12));
                            // A busy evening each day, and twice as many on Saturdays.
                            let busy = if slot % 12 == 8 { 3.0 } else { 1.0 } * if slot / 12 == 5 { 2.0 } else { 1.0 };
                            let heap = if heaps == 0.0 {
                                1.0
                            } else if world.chance.f64() < heaps / (1.0 + heaps) {
                                0.0
                            } else {
                                1.0 + heaps
                            };
                            let mean = if open { weekly / 70.0 * busy * heap } else { 0.0 };
                            world.plant(camera, place, week, slot * 2, mean);
                        }
                    }
                }
            }
            world
        }
        /// Poisson, within two hours from that one on.
        fn plant(&mut self, camera: &str, place: &str, week: i64, hour: i64, mean: f64) {
            let mut left = mean;
            loop {
                left += self.chance.f64().max(1e-12).ln();
                if left <= 0.0 {
                    return;
                }
                let second = week * WEEK + hour * 3600 + self.chance.i64(0..7200);
                let at = monday() + Span::from_millis(second * 1000);
                let (camera, kind) = (CameraId::new(camera), "loitering".into());
                self.incidents.push(Incident { camera, place: place.into(), kind, at });
            }
        }
        fn ask(&self, rate: f64) -> Vec<Frequent> {
            let until = monday() + Span::from_millis(WEEK * 1000);
            frequent(&Question {
                incidents: &self.incidents,
                watched: &self.watched,
                from: monday(),
                until,
                zone: &TimeZone::UTC,
                rate,
            })
        }
    }

    #[test]
    fn where_nothing_changed_hardly_anything_is_told() {
        for (name, weekly, heaps) in
            [("few", 5.0, 0.0), ("some", 40.0, 0.0), ("many", 200.0, 0.0), ("in heaps", 60.0, 1.0)]
        {
            let told = (0..200).filter(|seed| !World::new(*seed, weekly, heaps).ask(0.1).is_empty()).count();
            println!("{name}: weeks with a finding, all of them chance: {told} of 200 at a rate of .1");
            // Under the null every finding is a false one, so the share of weeks with any is held to the rate.
            assert!(told <= 20 + 9, "{name}: {told}");
        }
    }

    #[test]
    fn a_planted_cluster_is_found_and_named() {
        for (more, least) in [(8.0, 0), (12.0, 20), (18.0, 48)] {
            let (mut found, mut false_ones, mut told) = (0, 0, 0);
            for seed in 0..60 {
                let mut world = World::new(1000 + seed, 40.0, 0.0);
                // Saturday, 17 to 19 h, where 2.3 are usual.
                world.plant("a", "shelf", 0, 5 * 24 + 17, more);
                let findings = world.ask(0.1);
                let is_it = |one: &&Frequent| {
                    (one.camera.as_str(), one.place.as_str()) == ("a", "shelf")
                        && (16..=18).contains(&(one.hour.of_week() as i32 - 120))
                };
                found += usize::from(findings.iter().any(|one| is_it(&one)));
                false_ones += findings.iter().filter(|one| !is_it(one)).count();
                told += findings.len();
            }
            println!(
                "{more} more than usual: found in {found} of 60 weeks; {false_ones} of {told} findings were something else"
            );
            assert!(found >= least, "{more}: {found}");
            assert!(false_ones * 10 <= told.max(20), "{false_ones} of {told}");
        }
    }

    #[test]
    fn little_history_says_little() {
        let mut world = World::new(1, 40.0, 0.0);
        world.plant("a", "shelf", 0, 5 * 24 + 17, 12.0);
        let first = Hour::and_day(monday(), &TimeZone::UTC).1;
        world.watched.retain(|(_, day)| *day >= first - 14);
        assert!(world.ask(0.1).is_empty(), "two weeks are no history");
        let mut burst = World::new(2, 0.0, 0.0);
        for second in 0..20 {
            let at = monday() + Span::from_millis(second * 40_000);
            let (camera, kind) = (CameraId::new("a"), "loitering".into());
            burst.incidents.push(Incident { camera, place: String::new(), kind, at });
        }
        assert!(burst.ask(0.1).is_empty(), "twenty starts within a quarter of an hour are one incident");
    }
}
