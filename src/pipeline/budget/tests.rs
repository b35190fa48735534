use super::*;
use crate::event::Place;
use crate::time::Span;

fn told(strength: Option<f32>) -> Told {
    Told {
        phase: Phase::Instant,
        at: WallTime::EPOCH,
        ended_at: None,
        tracks: Vec::new(),
        place: Place::Frame,
        explain: "Something.".into(),
        severity: Severity::Warning,
        score: None,
        strength,
    }
}

pub(super) struct Camera {
    budget: Budget,
    now: WallTime,
}

impl Camera {
    pub fn new(alerts_per_day: f64) -> Self {
        Camera {
            budget: Budget::new(BudgetConfig { alerts_per_day }),
            now: WallTime::parse("2026-01-05T00:00:00Z").unwrap(),
        }
    }
    pub fn at(&mut self, day: i64, hour: f64) -> &mut Self {
        let midnight = WallTime::parse("2026-01-05T00:00:00Z").unwrap();
        self.now = midnight + Span::from_secs_f64(86_400.0 * day as f64 + 3600.0 * hour);
        self.budget.advance(self.now, &TimeZone::UTC, true);
        self
    }
    pub fn asks(&mut self, rule: &str, strength: Option<f32>) -> (Severity, String) {
        let mut told = told(strength);
        self.budget.judge(&RuleId::new(rule), self.now, &mut told);
        (told.severity, told.explain)
    }
    /// A day with a warning of each strength, an hour apart; how many became alerts.
    fn day(&mut self, day: i64, rule: &str, strengths: &[f32]) -> Vec<f32> {
        let hours = (0..).map(|i| 8.0 + 14.0 * f64::from(i) / strengths.len() as f64);
        let told = strengths
            .iter()
            .zip(hours)
            .filter(|(strength, hour)| self.at(day, *hour).asks(rule, Some(**strength)).0 == Severity::Warning);
        told.map(|(strength, _)| *strength).collect()
    }
}

#[test]
fn the_strongest_of_the_day_are_told_once_days_are_known() {
    let mut camera = Camera::new(2.0);
    let mut strengths: Vec<f32> = (0..40).map(|i| (i * 7 % 40) as f32).collect();
    let first = camera.day(0, "odd", &strengths);
    assert_eq!(first.len(), 2, "before anything is known, the first ones");
    let mut told = Vec::new();
    for day in 1..29 {
        strengths.rotate_left(11);
        let today = camera.day(day, "odd", &strengths);
        assert!(today.len() <= 2, "{today:?}");
        told.extend(today);
    }
    let mean = told.iter().sum::<f32>() / told.len() as f32;
    assert!(told.len() >= 50, "{} of 56", told.len());
    assert!(mean > 34.0, "the mean of all is 19.5, of the two strongest 38.5; told were {mean}");
    let state = camera.at(29, 1.0).budget.state();
    assert_eq!((state.promised_per_day, state.days, state.candidates_per_day), (2.0, 28, Some(40.0)));
    assert_eq!(state.achieved_per_day, Some(told.len() as f64 / 28.0));
}

#[test]
fn what_is_seldom_is_not_drowned_by_what_is_frequent() {
    let mut camera = Camera::new(3.0);
    let mut seldom = 0;
    for day in 0..21 {
        for i in 0..60 {
            camera.at(day, 8.0 + 0.2 * f64::from(i));
            camera.asks("linger", Some((i * 17 % 60) as f32));
            if i == 37 && day % 2 == 0 {
                let (severity, explain) = camera.asks("conceal", None);
                seldom += u32::from(severity == Severity::Warning && day > 2);
                assert!(day <= 2 || severity == Severity::Warning, "day {day}: {explain}");
            }
        }
    }
    assert_eq!(seldom, 9);
}

#[test]
fn alarms_ends_and_info_are_left_alone() {
    let mut camera = Camera::new(0.01);
    camera.at(0, 9.0);
    for (severity, phase) in
        [(Severity::Alarm, Phase::Start), (Severity::Info, Phase::Instant), (Severity::Warning, Phase::End)]
    {
        let mut told = Told { severity, phase, ..told(None) };
        camera.budget.judge(&RuleId::new("r"), camera.now, &mut told);
        assert_eq!((told.severity, told.explain.as_str()), (severity, "Something."));
    }
    let (severity, explain) = camera.asks("r", None);
    assert_eq!(severity, Severity::Info);
    assert_eq!(explain, "Something. Listed only: the budget of 0.01 alerts a day is used up.");
}

#[test]
fn half_an_alert_a_day_is_one_every_other_day() {
    let mut camera = Camera::new(0.5);
    let alerts: usize = (0..20).map(|day| camera.day(day, "r", &[1.0, 2.0, 3.0, 1.5]).len()).sum();
    assert!((9..=10).contains(&alerts), "{alerts}");
}

#[test]
fn a_restart_changes_nothing_and_a_broken_memory_is_refused() {
    let mut camera = Camera::new(3.0);
    let strengths: Vec<f32> = (0..30).map(|i| (i * 13 % 30) as f32).collect();
    (0..9).for_each(|day| _ = camera.day(day, "odd", &strengths));
    let memory = camera.budget.memory();
    let mut again = Camera::new(3.0);
    again.budget.recall(&memory).unwrap();
    assert_eq!(again.budget, camera.budget);
    assert_eq!(again.budget.memory(), memory);
    for cut in 0..memory.len() {
        assert!(again.budget.recall(&memory[..cut]).is_err(), "cut at {cut}");
        assert_eq!(again.budget, camera.budget, "nothing is taken over");
    }
    assert!(memory.len() < 4096, "{} bytes", memory.len());
}

#[test]
fn days_without_a_clock_teach_nothing() {
    let mut camera = Camera::new(3.0);
    camera.budget.advance(WallTime::EPOCH, &TimeZone::UTC, false);
    camera.now = WallTime::EPOCH;
    camera.asks("r", None);
    camera.at(0, 1.0);
    assert!(camera.budget.rules[&RuleId::new("r")].forecast == Forecast::default());
}
