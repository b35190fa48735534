//! The language of the stories that rules are tested with. An actor is a line of waypoints between which the foot
//! point goes straight, at ten frames a second:
//!
//! ```text
//! 0s person 0.1,0.5 | 2s 0.5,0.5 lost | 3s 0.6,0.5 | 9s 0.6,0.5 gone
//! ```
//!
//! `lost` is not seen from there to the next waypoint; `gone` is how the tracker removes a track that was lost. After
//! its last waypoint an actor is gone. A pause of the camera is a line of its own: `blind 3s 20s`. So is what the eye for
//! goods tells of the shelf, a second after it is to be seen: `goods 5s gone 12/200 0.3,0.4 2s` are 12 of 200 cells around
//! that point, which could not be seen for two seconds before.
//!
//! The camera sees the zone `shelf`, x .1 to .6 over the whole height, and the line `door`, from (.1,.6) to (.9,.6):
//! down is in. `zone exit 0.8,0 1,1` adds a zone of the kind of that name, from corner to corner. Stories skip the tracker, since what they tell are tracks.

use crate::clue::{Clues, ShelfChange, ShelfSight};
use crate::detection::Class;
use crate::event::{Direction, Event, Phase, Place};
use crate::geometry::BBox;
use crate::ids::{CameraId, DeviceId, LineId, RuleId, TrackId, ZoneId};
use crate::pattern::RuleConfig;
use crate::pipeline::{CameraPlan, Moment, Pipeline};
use crate::scene::line::LineConfig;
use crate::scene::zone::{ZoneConfig, ZoneKind};
use crate::time::{MediaTime, Span, WallTime};
use crate::track::{Track, TrackConfig, TrackState};
use expect_test::Expect;

/// When every story begins: a Tuesday.
pub const START: &str = "2026-11-24T10:15:00Z";
const FRAME: Span = Span::from_millis(100);
const HEIGHT: f32 = 0.3;

pub fn check(rule: &str, title: &str, story: &str, expected: Expect) {
    let told = Story::new(rule, story).told();
    println!("{title}\n{told}");
    expected.assert_eq(&told);
}

pub struct Story {
    plan: CameraPlan,
    clock_trusted: bool,
    actors: Vec<Actor>,
    blind: Vec<(MediaTime, MediaTime)>,
    goods: Vec<(MediaTime, ShelfSight)>,
}

struct Actor {
    class: Class,
    way: Vec<Waypoint>,
}

#[derive(Clone, Copy)]
struct Waypoint {
    at: MediaTime,
    x: f32,
    y: f32,
    lost: bool,
}

impl Story {
    pub fn new(rule: &str, story: &str) -> Self {
        let mut plan = plan();
        plan.rules.insert(RuleId::new("r"), self::rule(rule));
        let mut told = Story { plan, clock_trusted: true, actors: Vec::new(), blind: Vec::new(), goods: Vec::new() };
        for line in story.lines().map(str::trim).filter(|l| !l.is_empty()) {
            if let Some(words) = line.strip_prefix("goods ") {
                told.goods.push(goods(words));
                continue;
            }
            match line.strip_prefix("blind ") {
                Some(pause) => {
                    let (from, until) = pause.split_once(' ').expect("blind FROM UNTIL");
                    told.blind.push((seconds(from), seconds(until)));
                }
                None if line.starts_with("zone ") => {
                    let [_, name, from, to] = line.split(' ').collect::<Vec<_>>()[..] else {
                        panic!("zone KIND x,y x,y")
                    };
                    told.plan.zones.insert(ZoneId::new(name), zone(name, corner(from), corner(to)));
                }
                None => told.actors.push(Actor::parse(line)),
            }
        }
        told
    }
    pub fn time_zone(mut self, name: &str) -> Self {
        self.plan.time_zone = jiff::tz::TimeZone::get(name).unwrap();
        self
    }
    pub fn clock_trusted(mut self, trusted: bool) -> Self {
        self.clock_trusted = trusted;
        self
    }

    /// The events in words, one a line.
    pub fn told(self) -> String {
        self.play().1.iter().map(|(now, event)| format!("{}\n", tell(*now, event))).collect()
    }

    /// Plays the story to its end: each event with the moment it became known.
    pub fn play(self) -> (Pipeline, Vec<(MediaTime, Event)>) {
        let mut pipeline = Pipeline::new(self.plan);
        pipeline.set_clock_trusted(self.clock_trusted);
        let start = WallTime::parse(START).unwrap();
        let end = self.actors.iter().filter_map(|a| a.way.last()).map(|w| w.at).max().unwrap_or_default();
        let end = self.goods.iter().map(|(at, _)| *at + FRAME).fold(end, MediaTime::max);
        let mut events = Vec::new();
        let mut at = MediaTime::ZERO;
        while at <= end {
            if !self.blind.iter().any(|&(from, until)| from <= at && at < until) {
                let tracks: Vec<Track> = self
                    .actors
                    .iter()
                    .enumerate()
                    .filter_map(|(i, actor)| actor.track(TrackId(i as u64 + 1), at))
                    .collect();
                let moment = Moment { at, taken: start + (at - MediaTime::ZERO), aspect: 1.0 };
                let now = self.goods.iter().filter(|(told, _)| *told == at);
                let clues = Clues { shelves: now.map(|(_, sight)| sight.clone()).collect(), ..Clues::default() };
                events.extend(pipeline.see(moment, &tracks, &clues).into_iter().map(|event| (at, event)));
            }
            at = at + FRAME;
        }
        events.extend(pipeline.finish().into_iter().map(|event| (end, event)));
        (pipeline, events)
    }
}

impl Actor {
    fn parse(line: &str) -> Self {
        let mut class = Class::PERSON;
        let way = line.split('|').map(|waypoint| {
            let mut words = waypoint.split_whitespace();
            let at = seconds(words.next().expect("a waypoint begins with its time"));
            let mut place = words.next().expect("a waypoint has a place");
            if !place.contains(',') {
                class = Class::named(place);
                place = words.next().expect("a waypoint has a place");
            }
            let (x, y) = place.split_once(',').expect("x,y");
            let lost = match words.next() {
                Some("lost" | "gone") => true,
                None => false,
                Some(other) => panic!("unknown word {other}"),
            };
            Waypoint { at, x: x.parse().unwrap(), y: y.parse().unwrap(), lost }
        });
        let way = way.collect();
        Actor { class, way }
    }

    fn track(&self, id: TrackId, at: MediaTime) -> Option<Track> {
        let next = self.way.iter().position(|w| w.at > at);
        let (from, to) = match next {
            Some(0) => return None,
            Some(i) => (self.way[i - 1], self.way[i]),
            None => self.way.last().filter(|w| w.at == at).map(|w| (*w, *w))?,
        };
        let part =
            if to.at > from.at { ((at - from.at).secs_f64() / (to.at - from.at).secs_f64()) as f32 } else { 0.0 };
        let (x, y) = (from.x + (to.x - from.x) * part, from.y + (to.y - from.y) * part);
        let lost = from.lost && at > from.at || to.lost && at == to.at && next.is_none();
        Some(Track {
            id,
            class: self.class,
            score: 0.9,
            bbox: BBox::new(x - 0.05, y - HEIGHT, x + 0.05, y),
            born: self.way[0].at,
            seen: if lost { from.at } else { at },
            state: if lost { TrackState::Lost } else { TrackState::Confirmed },
        })
    }
}

/// The camera of the stories, without rules.
pub fn plan() -> CameraPlan {
    let shelf = ZoneConfig {
        polygon: vec![[0.1, 0.0], [0.6, 0.0], [0.6, 1.0], [0.1, 1.0]],
        kind: ZoneKind::Shelf,
        classes: None,
        watch_goods: true,
        pose: false,
    };
    let door = LineConfig { points: vec![[0.1, 0.6], [0.9, 0.6]], classes: None };
    CameraPlan {
        device: DeviceId::new("till-3"),
        camera: CameraId::new("entrance"),
        time_zone: jiff::tz::TimeZone::UTC,
        tracker: TrackConfig::default(),
        zones: [(ZoneId::new("shelf"), shelf)].into(),
        lines: [(LineId::new("door"), door)].into(),
        rules: Default::default(),
        budget: None,
    }
}

fn corner(text: &str) -> [f32; 2] {
    let (x, y) = text.split_once(',').expect("x,y");
    [x.parse().unwrap(), y.parse().unwrap()]
}

/// A rectangle of the kind of this name.
pub fn zone(kind: &str, [x1, y1]: [f32; 2], [x2, y2]: [f32; 2]) -> ZoneConfig {
    let polygon = vec![[x1, y1], [x2, y1], [x2, y2], [x1, y2]];
    ZoneConfig {
        polygon,
        kind: toml::Value::from(kind).try_into().unwrap(),
        classes: None,
        watch_goods: false,
        pose: false,
    }
}

/// `kind=loitering zone=shelf min_dwell_s=45`: a rule in one line. What has blanks in it stands in quotes.
pub fn rule(words: &str) -> RuleConfig {
    let mut kind = "";
    let mut table = toml::Table::new();
    let mut quoted = false;
    let apart = words.split(|letter: char| {
        quoted ^= letter == '"';
        letter == ' ' && !quoted
    });
    for word in apart.filter(|word| !word.is_empty()) {
        let (key, value) = word.split_once('=').expect("key=value");
        let value = value.trim_matches('"');
        let texts = || value.split_terminator(',').map(|v| toml::Value::String(v.into())).collect::<Vec<_>>().into();
        match (key, key.split_once('.')) {
            ("kind", _) => kind = value,
            ("towards", _) => _ = table.insert(key.into(), corner(value).map(f64::from).to_vec().into()),
            ("classes", _) => _ = table.insert(key.into(), texts()),
            _ if ["true", "false"].contains(&value) => _ = table.insert(key.into(), (value == "true").into()),
            (_, Some((outer, inner))) => {
                let outer = table.entry(outer).or_insert_with(|| toml::Table::new().into());
                outer.as_table_mut().unwrap().insert(inner.into(), texts());
            }
            _ => {
                let text = value;
                let value = value.parse::<i64>().map(toml::Value::from).or(value.parse::<f64>().map(toml::Value::from));
                let value = value.unwrap_or_else(|_| text.into());
                table.insert(key.into(), value);
            }
        }
    }
    toml::Table::from_iter([(kind.to_string(), table.into())]).try_into().unwrap()
}

/// `5s gone 12/200 0.3,0.4 2s`
fn goods(words: &str) -> (MediaTime, ShelfSight) {
    let words: Vec<&str> = words.split_whitespace().collect();
    let what = ShelfChange::ALL.into_iter().find(|what| what.name() == words[1]).expect("what the eye tells");
    let (cells, of) = words[2].split_once('/').expect("cells/of");
    let (x, y) = words[3].split_once(',').expect("x,y");
    let (x, y): (f32, f32) = (x.parse().unwrap(), y.parse().unwrap());
    let sight = ShelfSight {
        zone: ZoneId::new("shelf"),
        what,
        cells: cells.parse().unwrap(),
        of: of.parse().unwrap(),
        bbox: BBox::new(x - 0.03, y - 0.05, x + 0.03, y + 0.05),
        shown: Span::from_millis(1_000),
        hidden: words.get(4).map_or(Span::ZERO, |word| seconds(word) - MediaTime::ZERO),
    };
    (seconds(words[0]), sight)
}

/// `5s end at shelf by 1 (0.1s to 4.5s): A person left shelf after 4.4 s.`: first when it is told, in brackets when it
/// was.
fn tell(now: MediaTime, event: &Event) -> String {
    let film_s = |at: WallTime| (at - WallTime::parse(START).unwrap()).secs_f64();
    let (told, at) = (now.secs_f64(), film_s(event.at));
    let when = match event.ended_at {
        Some(end) => format!(" ({at}s to {}s)", film_s(end)),
        None if at == told => String::new(),
        None => format!(" ({at}s)"),
    };
    let phase = match event.phase {
        Phase::Start => "start",
        Phase::End => "end",
        Phase::Instant => "instant",
    };
    let place = match &event.place {
        Place::Frame => String::new(),
        Place::Zone(zone) => format!(" at {zone}"),
        Place::Line(line, Direction::In) => format!(" at {line} in"),
        Place::Line(line, Direction::Out) => format!(" at {line} out"),
    };
    let who: Vec<String> = event.tracks.iter().map(|track| track.id.to_string()).collect();
    let by = if who.is_empty() { String::new() } else { format!(" by {}", who.join("+")) };
    format!("{told}s {phase}{place}{by}{when}: {}", event.explain)
}

fn seconds(word: &str) -> MediaTime {
    let seconds = word.strip_suffix('s').and_then(|s| s.parse().ok());
    MediaTime::from_secs_f64(seconds.expect("seconds with an s"))
}
