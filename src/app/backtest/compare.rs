//! What would have been beside what was.

use super::firing::{Firing, difference};
use super::period::{local, zone};
use super::trial::Trial;
use crate::config::Config;
use crate::ids::CameraId;
use crate::pipeline::TAMPER;
use crate::store::History;
use crate::time::{Span, WallTime};
use anyhow::Result;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::collections::BTreeMap;

pub struct Comparison {
    pub since: WallTime,
    pub zone: TimeZone,
    /// By camera and rule.
    pub rules: BTreeMap<(String, String), Row>,
    /// Every day on which there were pictures, and for how long; all cameras together.
    pub days: BTreeMap<Date, Span>,
    pub new: Vec<Firing>,
    pub gone: Vec<Firing>,
    pub notes: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Row {
    pub kind: String,
    /// False for a rule that only the rules of today have.
    pub is_in_config: bool,
    pub would_fire: BTreeMap<Date, usize>,
    /// By the rules of today.
    pub told: BTreeMap<Date, usize>,
    pub new: usize,
    pub gone: usize,
}

impl Comparison {
    pub fn of(config: &Config, trials: Vec<Trial>, past: Option<&History>, since: WallTime) -> Result<Self> {
        let zone = zone(&config.device.time_zone);
        let mut all = Comparison {
            since,
            zone: zone.clone(),
            rules: BTreeMap::new(),
            days: BTreeMap::new(),
            new: Vec::new(),
            gone: Vec::new(),
            notes: Vec::new(),
        };
        if past.is_none() {
            all.notes
                .push("There is no event database in the state folder: nothing is known of the rules of today.".into());
        }
        for trial in trials {
            let rules = config.camera.get(&trial.camera).into_iter().flat_map(|camera| &camera.rule);
            for (name, rule) in rules {
                let row = Row { kind: rule.kind().into(), is_in_config: true, ..Row::default() };
                all.rules.insert((trial.camera.clone(), name.clone()), row);
            }
            for (day, watched) in &trial.watched_by_day {
                let sum = all.days.entry(*day).or_default();
                *sum = *sum + *watched;
            }
            let mut told = Vec::new();
            if let (Some(past), Some((from, until))) = (past, trial.watched) {
                let events = past.told(&CameraId::new(&trial.camera), from, until)?;
                let firings = events.into_iter().filter_map(Firing::recorded);
                told.extend(firings.filter(|firing| firing.rule != TAMPER));
            }
            let (new, gone) = difference(&trial.firings, &told);
            let day = |firing: &Firing| local(firing.at, &zone).0;
            for firing in &trial.firings {
                *all.row(firing).would_fire.entry(day(firing)).or_default() += 1;
            }
            for firing in &told {
                *all.row(firing).told.entry(day(firing)).or_default() += 1;
            }
            new.iter().for_each(|firing| all.row(firing).new += 1);
            gone.iter().for_each(|firing| all.row(firing).gone += 1);
            all.new.extend(new.into_iter().cloned());
            all.gone.extend(gone.into_iter().cloned());
            all.notes.extend(trial.notes);
        }
        all.new.sort_by_key(|firing| firing.at);
        all.gone.sort_by_key(|firing| firing.at);
        Ok(all)
    }

    fn row(&mut self, firing: &Firing) -> &mut Row {
        let row = self.rules.entry((firing.camera.clone(), firing.rule.clone())).or_default();
        if row.kind.is_empty() {
            row.kind.clone_from(&firing.kind);
        }
        row
    }

    pub fn to_json(&self) -> String {
        let rule = |((camera, rule), row): (&(String, String), &Row)| RuleOut {
            camera: camera.clone(),
            rule: rule.clone(),
            kind: row.kind.clone(),
            in_config: row.is_in_config,
            would_fire: row.would_fire.values().sum(),
            told: row.told.values().sum(),
            new: row.new,
            gone: row.gone,
            per_day: self
                .days
                .keys()
                .map(|day| DayOut {
                    day: day.to_string(),
                    would_fire: row.would_fire.get(day).copied().unwrap_or(0),
                    told: row.told.get(day).copied().unwrap_or(0),
                })
                .collect(),
        };
        let out = Out {
            schema: 1,
            since: self.since,
            watched_h: self.days.iter().map(|(day, span)| (day.to_string(), hours(*span))).collect(),
            rules: self.rules.iter().map(rule).collect(),
            new: self.new.iter().map(FiringOut::of).collect(),
            gone: self.gone.iter().map(FiringOut::of).collect(),
            notes: &self.notes,
        };
        let mut text = serde_json::to_string_pretty(&out).expect("it has string keys and finite numbers only");
        text.push('\n');
        text
    }
}

/// With one decimal.
pub fn hours(span: Span) -> f64 {
    (span.secs_f64() / 360.0).round() / 10.0
}

#[derive(Serialize)]
struct Out<'a> {
    schema: u32,
    since: WallTime,
    watched_h: BTreeMap<String, f64>,
    rules: Vec<RuleOut>,
    new: Vec<FiringOut<'a>>,
    gone: Vec<FiringOut<'a>>,
    notes: &'a [String],
}

#[derive(Serialize)]
struct RuleOut {
    camera: String,
    rule: String,
    kind: String,
    in_config: bool,
    would_fire: usize,
    told: usize,
    new: usize,
    gone: usize,
    per_day: Vec<DayOut>,
}

#[derive(Serialize)]
struct DayOut {
    day: String,
    would_fire: usize,
    told: usize,
}

#[derive(Serialize)]
struct FiringOut<'a> {
    camera: &'a str,
    rule: &'a str,
    kind: &'a str,
    id: &'a str,
    at: WallTime,
    explain: &'a str,
}

impl<'a> FiringOut<'a> {
    fn of(firing: &'a Firing) -> Self {
        let Firing { camera, rule, kind, id, at, explain, .. } = firing;
        FiringOut { camera, rule, kind, id, at: *at, explain }
    }
}
