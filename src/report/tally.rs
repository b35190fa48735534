//! Counts what the pipeline shows, minute by minute of film time.

use crate::detection::Class;
use crate::event::Event;
use crate::ids::{LineId, ZoneId};
use crate::pipeline::{LineTotals, ObjectTotals, Pipeline, ZoneStats};
use crate::time::{MediaTime, WallTime};
use std::collections::BTreeMap;

/// What was looked at, and with what.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// As named on the command line.
    pub video: String,
    /// Decoded frames.
    pub frames: u64,
    /// Film time from the first frame to the end of the last.
    pub seconds: f64,
    pub model: String,
    /// When the film was taken, if anybody knows.
    pub recorded: Option<WallTime>,
    /// Times of day are meant in it.
    pub time_zone: jiff::tz::TimeZone,
    /// Every n-th frame was looked at.
    pub every: u64,
    /// How many frames the network looked at.
    pub looks: u64,
    /// The film did not break off.
    pub complete: bool,
}

/// One class in one minute of film time, where it was seen at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Minute {
    /// From 0.
    pub minute: u64,
    pub class: Class,
    /// How many were there at once, on average over the frames of the minute that were looked at.
    pub mean: f64,
    pub max: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub about: About,
    pub objects: BTreeMap<Class, ObjectTotals>,
    pub lines: BTreeMap<LineId, LineTotals>,
    pub zones: BTreeMap<ZoneId, ZoneStats>,
    /// By minute, then class.
    pub per_minute: Vec<Minute>,
    pub events: Vec<Event>,
}

#[derive(Debug, Default)]
pub struct Tally {
    minutes: BTreeMap<u64, InMinute>,
    events: Vec<Event>,
}

#[derive(Debug, Default)]
struct InMinute {
    frames: u64,
    /// Sum over the frames and maximum.
    classes: BTreeMap<Class, (u64, usize)>,
}

impl Tally {
    /// After a step of the pipeline: who is there.
    pub fn frame(&mut self, at: MediaTime, present: &BTreeMap<Class, usize>) {
        let minute = (at - MediaTime::ZERO).micros().max(0) as u64 / 60_000_000;
        let minute = self.minutes.entry(minute).or_default();
        minute.frames += 1;
        for (&class, &n) in present.iter().filter(|(_, n)| **n > 0) {
            let (sum, max) = minute.classes.entry(class).or_default();
            *sum += n as u64;
            *max = n.max(*max);
        }
    }

    pub fn events(&mut self, events: &[Event]) {
        self.events.extend_from_slice(events);
    }

    /// When the pipeline has finished.
    pub fn report(self, about: About, pipeline: &Pipeline) -> Report {
        Report {
            about,
            objects: pipeline.objects().clone(),
            lines: pipeline.lines().clone(),
            zones: pipeline.zones(),
            per_minute: self.per_minute(),
            events: self.events,
        }
    }

    fn per_minute(&self) -> Vec<Minute> {
        let row = |minute: u64, of: &InMinute, class: Class, (sum, max): (u64, usize)| Minute {
            minute,
            class,
            mean: sum as f64 / of.frames as f64,
            max,
        };
        self.minutes
            .iter()
            .flat_map(|(&minute, of)| of.classes.iter().map(move |(&class, &counts)| row(minute, of, class, counts)))
            .collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::event::{Direction, EventId, Party, Phase, Place, Severity};
    use crate::geometry::BBox;
    use crate::ids::{CameraId, DeviceId, RuleId, TrackId};
    use crate::time::Span;

    #[test]
    fn a_minute_knows_its_mean_and_its_most() {
        let (person, car) = (Class::PERSON, Class::named("car"));
        let mut tally = Tally::default();
        for (at_s, present) in [
            (0.0, vec![(person, 1), (car, 0)]),
            (30.0, vec![(person, 3)]),
            (59.9, vec![]),
            (60.0, vec![(car, 2)]),
            (200.0, vec![(person, 0)]),
        ] {
            tally.frame(MediaTime::from_secs_f64(at_s), &present.into_iter().collect());
        }
        let rows: Vec<_> = tally.per_minute().iter().map(|m| (m.minute, m.class.name(), m.mean, m.max)).collect();
        assert_eq!(rows, [(0, "person", 4.0 / 3.0, 3), (1, "car", 2.0, 2)]);
    }

    /// One of everything, for the tests of the writers.
    pub fn example() -> Report {
        let start = WallTime::parse("2026-11-24T10:15:00Z").unwrap();
        let person = Class::PERSON;
        let event = |second: i64, kind, phase, place, explain: &str| Event {
            id: EventId::derive(start, &[explain]),
            device: DeviceId::new("till-3"),
            camera: CameraId::new("entrance"),
            kind,
            rule: RuleId::new("linger"),
            phase,
            severity: Severity::Warning,
            at: start + Span::from_millis(second * 1000),
            ended_at: (phase == Phase::End).then(|| start + Span::from_millis(second * 1000 + 500)),
            clock_trusted: true,
            tracks: vec![Party { id: TrackId(7), class: person, score: 0.8, bbox: BBox::new(0.1, 0.2, 0.3, 0.9) }],
            place,
            score: 0.925,
            explain: explain.into(),
        };
        let shelf = || Place::Zone(ZoneId::new("shelf"));
        Report {
            about: About {
                video: "shop, \"front\".mp4".into(),
                frames: 1800,
                seconds: 120.04,
                model: "nanodet-g-int8".into(),
                recorded: Some(start),
                time_zone: jiff::tz::TimeZone::get("Europe/Berlin").unwrap(),
                every: 1,
                looks: 1750,
                complete: true,
            },
            objects: [(person, 19, 8), (Class::named("handbag"), 4, 2)]
                .map(|(class, unique, max_at_once)| (class, ObjectTotals { unique, max_at_once }))
                .into(),
            lines: [(LineId::new("door"), LineTotals { into: 14, out: 18, by_class: [(person, (14, 18))].into() })]
                .into(),
            zones: [
                (
                    ZoneId::new("shelf"),
                    ZoneStats { now: 0, visits: 9, dwell_p50_s: Some(4.2), dwell_p95_s: Some(21.0) },
                ),
                (ZoneId::new("till"), ZoneStats::default()),
            ]
            .into(),
            per_minute: vec![
                Minute { minute: 0, class: person, mean: 4.2, max: 7 },
                Minute { minute: 1, class: Class::named("handbag"), mean: 1.0 / 3.0, max: 2 },
                Minute { minute: 1, class: person, mean: 5.0, max: 8 },
            ],
            events: vec![
                event(12, "loitering", Phase::Start, shelf(), "A person has stayed 94 s at shelf. Please review."),
                event(30, "loitering", Phase::End, shelf(), "The person has left shelf."),
                event(
                    90,
                    "line_count",
                    Phase::Instant,
                    Place::Line(LineId::new("door"), Direction::In),
                    "A person came in.",
                ),
            ],
        }
    }
}
