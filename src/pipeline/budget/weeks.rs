//! Simulated weeks: does the promise hold? Numbers stand in the README, marked as simulated.

use super::tests::Camera;
use crate::event::Severity;

/// Warnings of two rules: how many a day at a rate of 1, by day of the week, and how they spread over the hours.
const PER_DAY: [f64; 7] = [30.0, 28.0, 30.0, 34.0, 45.0, 60.0, 12.0];

struct Week {
    alerts: u32,
    most: u32,
    /// Mean tail of what was told among all that was there: .5 is no choice at all.
    rank: f64,
}

/// `rate(week)` multiplies how many there are, `strength(week)` how strong they are.
fn weeks(seed: u64, rate: impl Fn(usize) -> f64, strength: impl Fn(usize) -> f64) -> Vec<Week> {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut camera = Camera::new(3.0);
    let mut told = Vec::new();
    for week in 0..16 {
        let (mut alerts, mut most, mut ranks) = (0, 0, Vec::new());
        for (day, usual) in PER_DAY.iter().enumerate() {
            // Days differ from one another more than chance alone has it: the weather.
            let weather = 0.7 + 0.6 * chance.f64();
            let expected = usual * rate(week) * weather;
            let mut moments: Vec<f64> = Vec::new();
            let mut left = expected;
            // Poisson, by the gaps between.
            while left > 0.0 {
                left += chance.f64().max(1e-12).ln();
                // Most come at noon and in the evening.
                let peak = if chance.bool() { 12.0 } else { 18.0 };
                moments.push(if chance.f64() < 0.6 {
                    peak + 2.0 * (chance.f64() - 0.5)
                } else {
                    9.0 + 11.0 * chance.f64()
                });
            }
            moments.pop();
            moments.sort_by(f64::total_cmp);
            let (mut today, mut all) = (Vec::new(), Vec::new());
            for hour in moments {
                camera.at((week * 7 + day) as i64, hour);
                let strong = strength(week) * (1.0 + hour / 24.0) * -chance.f64().max(1e-12).ln();
                let (rule, value) = if chance.f64() < 0.4 { ("odd", Some(strong as f32)) } else { ("linger", None) };
                let (severity, _) = camera.asks(rule, value);
                if rule == "odd" {
                    all.push(strong);
                }
                if severity == Severity::Warning {
                    today.push((rule, strong));
                }
            }
            alerts += today.len() as u32;
            most = most.max(today.len() as u32);
            for (_, strong) in today.iter().filter(|(rule, _)| *rule == "odd") {
                ranks.push(all.iter().filter(|other| *other > strong).count() as f64 / all.len() as f64);
            }
        }
        told.push(Week { alerts, most, rank: ranks.iter().sum::<f64>() / ranks.len().max(1) as f64 });
    }
    told
}

#[test]
fn the_promise_holds_over_weekends_and_drift() {
    type Course = fn(usize) -> f64;
    let scenarios: [(&str, Course, Course); 4] = [
        ("weekdays and weekends", |_| 1.0, |_| 1.0),
        ("thrice as many from one week on", |week| if week < 8 { 1.0 } else { 3.0 }, |_| 1.0),
        ("a third of them from one week on", |week| if week < 8 { 1.0 } else { 0.34 }, |_| 1.0),
        ("a slow drift of rate and strength", |week| 1.0 + 0.1 * week as f64, |week| 1.0 + 0.05 * week as f64),
    ];
    println!("scenario | achieved of promised, weeks 2 to 16 | least and most of a week | most on a day | mean tail");
    for (name, rate, strength) in scenarios {
        let runs: Vec<Vec<Week>> = (0..20).map(|seed| weeks(seed, rate, strength)).collect();
        let later = || runs.iter().flat_map(|run| &run[1..]);
        let share = |alerts: u32| f64::from(alerts) / 21.0;
        let mean = later().map(|week| share(week.alerts)).sum::<f64>() / later().count() as f64;
        // Of twenty runs, week by week: what an owner of many boxes sees.
        let by_week: Vec<f64> =
            (1..16).map(|w| runs.iter().map(|run| share(run[w].alerts)).sum::<f64>() / runs.len() as f64).collect();
        let (least, most) = by_week.iter().fold((9.0f64, 0.0f64), |(l, m), v| (l.min(*v), m.max(*v)));
        let on_a_day = later().map(|week| week.most).max().unwrap();
        let rank = later().map(|week| week.rank).sum::<f64>() / later().count() as f64;
        println!("{name} | {mean:.3} | {least:.3} to {most:.3} | {on_a_day} | {rank:.3}");
        assert!((0.8..=1.2).contains(&least) && (0.8..=1.2).contains(&most), "{name}: {least} to {most}");
        assert!(on_a_day <= 3, "{name}: {on_a_day} on one day");
        let bad = later().filter(|week| !(0.8..=1.2).contains(&share(week.alerts))).count();
        println!("  single weeks of single runs outside of 20 %: {bad} of {}", later().count());
        assert!(rank < 0.3, "{name}: what was told was not the strongest: {rank}");
    }
}
