//! The rules of one camera, played over its track log.

use super::firing::Firing;
use super::period::{local, zone};
use crate::config::Config;
use crate::event::Event;
use crate::pipeline::TAMPER;
use crate::store::Tapes;
use crate::tape::{Input, Player};
use crate::time::{Span, WallTime};
use anyhow::Result;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// Rules begin so long before the period, so that they know who is there and what is usual.
const WARM_UP: Span = Span::from_millis(24 * 3_600_000);
/// Between two frames that are further apart nobody watched.
const PAUSE: Span = Span::from_millis(5_000);

pub struct Trial {
    pub camera: String,
    pub firings: Vec<Firing>,
    /// The first and the last frame of the period; `None` where there is none.
    pub watched: Option<(WallTime, WallTime)>,
    /// Time with pictures, by day.
    pub watched_by_day: BTreeMap<Date, Span>,
    /// What a person should know of the result, in sentences.
    pub notes: Vec<String>,
}

impl Trial {
    pub fn run(config: &Config, name: &str, tapes: &Tapes, since: WallTime) -> Result<Trial> {
        let setting = config.setting(name);
        let zone = zone(&config.device.time_zone);
        let mut player = Player::new(config.camera_plan(Some(name))?);
        let mut trial = Trial {
            camera: name.into(),
            firings: Vec::new(),
            watched: None,
            watched_by_day: BTreeMap::new(),
            notes: Vec::new(),
        };
        let mut before: Option<WallTime> = None;
        let (mut eyes_differ, mut rules, mut rules_changed) = (None, None, None);
        let mut day: Option<(i64, Date)> = None;
        let take = |trial: &mut Trial, events: Vec<Event>| {
            let firings = events.iter().filter(|event| event.at >= since && event.rule.as_str() != TAMPER);
            trial.firings.extend(firings.filter_map(Firing::of));
        };
        let wrong = tapes.play(since + (Span::ZERO - WARM_UP), |piece| {
            take(&mut trial, player.block(&piece.start, piece.chunks));
            for input in &piece.inputs {
                take(&mut trial, player.play(input));
                let Input::Frame(seen) = input else { continue };
                let taken = seen.moment.taken;
                let pause = before.replace(taken).map_or(Span::ZERO, |before| taken - before);
                if taken < since {
                    continue;
                }
                let now = player.setting();
                if now.eyes != setting.eyes {
                    eyes_differ.get_or_insert(taken);
                }
                if rules.replace(now.rules).is_some_and(|rules| rules != now.rules) {
                    rules_changed = Some(taken);
                }
                trial.watched = Some(trial.watched.map_or((taken, taken), |(a, b)| (a.min(taken), b.max(taken))));
                // A time zone is asked once a quarter of an hour: no day begins within one.
                let quarter = taken.micros().div_euclid(900_000_000);
                let date = match day {
                    Some((known, date)) if known == quarter => date,
                    _ => local(taken, &zone).0,
                };
                day = Some((quarter, date));
                if pause > Span::ZERO && pause <= PAUSE {
                    let watched = trial.watched_by_day.entry(date).or_default();
                    *watched = *watched + pause;
                }
            }
            true
        })?;
        trial.notes.extend(wrong);
        trial.say(&player, eyes_differ, rules_changed, &zone);
        Ok(trial)
    }

    fn say(
        &mut self,
        player: &Player,
        eyes_differ: Option<WallTime>,
        rules_changed: Option<WallTime>,
        zone: &jiff::tz::TimeZone,
    ) {
        let camera = self.camera.clone();
        let when = |at: WallTime| {
            let (day, time) = local(at, zone);
            format!("{day} {time}")
        };
        match self.watched {
            None => self.notes.push(format!("{camera}: no track of this camera was recorded in that time.")),
            Some((from, until)) => {
                self.notes.push(format!("{camera}: recorded from {} to {}.", when(from), when(until)));
            }
        }
        if player.gaps() > 0 {
            let gaps = player.gaps();
            self.notes.push(format!(
                "{camera}: parts of the track log are missing in {gaps} places; rules begin anew there."
            ));
        }
        if let Some(at) = eyes_differ {
            self.notes.push(format!(
                "{camera}: from {} on, tracks were recorded with another [model], [tracker], crop, rotation or mask, or with \
                 other zones in which it is looked at goods or at how people stand, than in this configuration. These \
                 cannot be tried here: what was seen stays as it was recorded.",
                when(at)
            ));
        }
        if let Some(at) = rules_changed {
            self.notes.push(format!(
                "{camera}: its rules were changed in that time, the last time at {}: what stands under \"told\" comes from \
                 several configurations.",
                when(at)
            ));
        }
    }
}
