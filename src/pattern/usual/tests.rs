//! A simulated shop of one camera: people come in at the left, go to the shelf, stay a while, and leave at the right. On
//! weekdays from nine to seven, on Saturdays till five.

use crate::detection::Class;
use crate::event::{Event, Phase, Severity};
use crate::geometry::BBox;
use crate::ids::{RuleId, TrackId};
use crate::memory::Memory;
use crate::pattern::story::{plan, rule};
use crate::pipeline::{CameraPlan, Moment, Pipeline};
use crate::problems::Problems;
use crate::sight::{Change, Trouble};
use crate::time::{MediaTime, Span, WallTime};
use crate::track::{Track, TrackState};
use expect_test::expect;

/// A Monday, at midnight.
const START: &str = "2026-01-05T00:00:00Z";

/// Second, x, y.
type Way = Vec<(i64, f32, f32)>;

struct Shop {
    pipeline: Pipeline,
    chance: fastrand::Rng,
    /// Seconds since the start.
    now: i64,
    next: u64,
    /// Ways that are walked: where at which second, the last one is where it ends.
    people: Vec<(u64, Way)>,
    told: Vec<Event>,
}

fn odd_plan() -> CameraPlan {
    let mut plan = plan();
    plan.rules.insert(RuleId::new("odd"), rule("kind=unusual rarer_than=0.01 learn_days=6"));
    plan
}

impl Shop {
    fn new(seed: u64) -> Self {
        let pipeline = Pipeline::new(odd_plan());
        Shop { pipeline, chance: fastrand::Rng::with_seed(seed), now: 0, next: 1, people: Vec::new(), told: Vec::new() }
    }

    fn somebody(&mut self, way: &[(i64, f32, f32)]) -> u64 {
        let way = way.iter().map(|(after, x, y)| (self.now + after, *x, *y)).collect();
        self.next += 1;
        self.people.push((self.next, way));
        self.next
    }

    fn customer(&mut self) {
        let mut about = |middle: f32, spread: f32| middle + spread * (self.chance.f32() - 0.5);
        let (enters, shelf, leaves) = (about(0.75, 0.1), (about(0.35, 0.15), about(0.5, 0.1)), about(0.7, 0.1));
        // Most stay for some seconds, a few for half a minute.
        let stays = (4.0 + about(0.5, 1.0).max(0.01).powi(3) * 32.0) as i64;
        let pace = 4 + self.chance.i64(0..4);
        self.somebody(&[
            (0, 0.02, enters),
            (pace, shelf.0, shelf.1),
            (pace + stays, shelf.0, shelf.1),
            (pace + stays + 7, 0.98, leaves),
        ]);
    }

    /// Frames once a second while somebody is there, every four seconds else, until then. `ordinary`: with customers.
    fn until(&mut self, second: i64, ordinary: bool) {
        let start = WallTime::parse(START).unwrap();
        while self.now < second {
            let (day, hour) = (self.now / 86_400 % 7, self.now / 3600 % 24);
            let open = day < 6 && hour >= 9 && hour < if day < 5 { 19 } else { 17 };
            if ordinary && open && self.chance.i64(0..180) == 0 {
                self.customer();
            }
            let now = self.now;
            self.people.retain(|(_, way)| way.last().unwrap().0 >= now);
            if self.people.is_empty() && now % 4 != 0 {
                self.now += 1;
                continue;
            }
            let tracks: Vec<Track> = self.people.iter().filter_map(|(id, way)| track(*id, way, now)).collect();
            let at = MediaTime::ZERO + Span::from_millis(1000 * now);
            let moment = Moment { at, taken: start + (at - MediaTime::ZERO), aspect: 1.6 };
            self.told.extend(self.pipeline.observe(moment, &tracks));
            self.now += 1;
        }
    }

    fn days(&mut self, days: i64) {
        let midnight = (self.now + 86_399) / 86_400 * 86_400;
        self.until(midnight + 86_400 * days, true);
    }

    /// What is told of somebody who comes at that hour of today and walks so, in a shop that is else empty.
    fn visit(&mut self, hour: i64, way: &[(i64, f32, f32)]) -> String {
        self.until(self.now / 86_400 * 86_400 + hour * 3600, false);
        self.told.clear();
        let who = self.somebody(way);
        self.until(self.now + way.last().unwrap().0 + 10, false);
        let is_his = |event: &&Event| event.phase == Phase::Start && event.tracks[0].id == TrackId(who);
        let words: Vec<String> = self.told.iter().filter(is_his).map(|event| event.explain.clone()).collect();
        assert!(words.len() <= 1, "told once: {words:?}");
        // Without how much was seen, which moves with every change of the simulation.
        words.concat().split(" Of ").next().unwrap_or_default().to_string()
    }
}

fn track(id: u64, way: &[(i64, f32, f32)], now: i64) -> Option<Track> {
    let to = way.iter().position(|w| w.0 > now).unwrap_or(way.len() - 1);
    if now < way[0].0 || to == 0 {
        return None;
    }
    let (a, b) = (way[to - 1], way[to]);
    let part = (now - a.0) as f32 / (b.0 - a.0).max(1) as f32;
    let (x, y) = (a.1 + (b.1 - a.1) * part, a.2 + (b.2 - a.2) * part);
    let second = |s: i64| MediaTime::ZERO + Span::from_millis(1000 * s);
    Some(Track {
        id: TrackId(id),
        class: Class::PERSON,
        score: 0.9,
        bbox: BBox::new(x - 0.04, y - 0.25, x + 0.04, y),
        born: second(way[0].0),
        seen: second(now),
        state: TrackState::Confirmed,
    })
}

#[test]
fn what_is_rare_is_told_in_words_and_an_ordinary_week_is_not() {
    let mut shop = Shop::new(1);
    shop.days(6);
    assert!(shop.told.is_empty(), "it says nothing in the days it learns: {:?}", shop.told);
    let status = shop.pipeline.statuses()[&RuleId::new("odd")].clone();
    assert!(status.starts_with("knows ") && status.ends_with(" tracks of 6 days"), "{status}");
    shop.days(15);
    let starts = shop.told.iter().filter(|event| event.phase == Phase::Start).count();
    let tracks = shop.next;
    println!("{starts} of {tracks} ordinary tracks were told");
    assert!(starts as f64 <= 0.015 * tracks as f64, "{starts} of {tracks}");
    println!("{} bytes", shop.pipeline.memory().to_bytes().len());
    assert!(shop.pipeline.memory().to_bytes().len() < 40_000);

    // A Monday; the shelf is .1 to .6, the usual way from the left to the right.
    let stands = shop.visit(10, &[(0, 0.02, 0.75), (4, 0.35, 0.5), (10, 0.35, 0.5), (14, 0.9, 0.3), (40, 0.9, 0.3)]);
    let backwards = shop.visit(11, &[(0, 0.98, 0.7), (7, 0.35, 0.5), (12, 0.35, 0.5), (18, 0.02, 0.75)]);
    let stays = shop.visit(12, &[(0, 0.02, 0.75), (5, 0.35, 0.5), (200, 0.35, 0.5), (207, 0.98, 0.7)]);
    let runs = shop.visit(13, &[(0, 0.02, 0.75), (2, 0.42, 0.6), (3, 0.62, 0.63), (5, 0.98, 0.7)]);
    let usual = shop.visit(14, &[(0, 0.02, 0.75), (5, 0.35, 0.5), (14, 0.35, 0.5), (21, 0.98, 0.7)]);
    let night = shop.visit(23, &[(0, 0.02, 0.75), (5, 0.35, 0.5), (14, 0.35, 0.5), (21, 0.98, 0.7)]);
    expect![[r#"
        A person walks where nobody walks at this hour.
        A person walks against the usual direction: less than 0.1 % of those who walk here go this way.
        A person has stayed 48 s at shelf; 12 s is usual here at this hour.
        A person goes 1.3 body heights a second; 0.4 is usual here at this hour.

        A person is here on a Monday between 23:00 and 0:00, when hardly anybody is: fewer than one in 100 such hours.
    "#]]
    .assert_eq(&[stands, backwards, stays, runs, usual, night].map(|words| words + "\n").concat());
}

#[test]
fn the_same_recording_and_the_same_memory_give_the_same_events() {
    let mut first = Shop::new(2);
    first.days(8);
    first.told.clear();
    let memory = Memory::from_bytes(&first.pipeline.memory().to_bytes()).unwrap();
    let play = |memory: &Memory| {
        let mut shop = Shop::new(3);
        shop.now = 8 * 86_400;
        assert_eq!(shop.pipeline.recall(memory), [""; 0]);
        shop.visit(10, &[(0, 0.02, 0.75), (4, 0.9, 0.3), (40, 0.9, 0.3)]);
        shop.until(8 * 86_400 + 12 * 3600, true);
        let after = shop.pipeline.memory();
        (shop.told, after)
    };
    let once = play(&memory);
    assert!(!once.0.is_empty() && once.0.iter().all(|event| event.kind == "unusual"));
    assert_eq!(once, play(&memory));
    assert_ne!(once.1, memory, "it has gone on learning");
    assert!(play(&Memory::default()).0.is_empty(), "with nothing learned it says nothing");
}

#[test]
fn a_moved_camera_neither_learns_nor_speaks_and_a_new_view_is_learned_anew() {
    let mut shop = Shop::new(4);
    shop.days(7);
    let learned = shop.pipeline.memory();
    let odd = RuleId::new("odd");
    let notice = |shop: &mut Shop, over: bool, accepted: bool| {
        let at = MediaTime::ZERO + Span::from_millis(1000 * shop.now);
        let until = over.then_some(at);
        let change = Change { trouble: Trouble::Moved, since: at, until, accepted, explain: "moved".into() };
        shop.pipeline.notice(&change, at, WallTime::parse(START).unwrap() + (at - MediaTime::ZERO));
    };
    notice(&mut shop, false, false);
    assert!(shop.pipeline.statuses()[&odd].contains("moved: nothing is learned"));
    shop.told.clear();
    shop.until(shop.now + 11 * 3600, true);
    assert!(shop.told.is_empty());
    notice(&mut shop, true, false);
    let without_state = |memory: &Memory| memory.parts["rule/odd"].len();
    assert_eq!(without_state(&shop.pipeline.memory()), without_state(&learned), "nothing was learned meanwhile");
    notice(&mut shop, false, false);
    let mut restarted = Pipeline::new(odd_plan());
    restarted.recall(&shop.pipeline.memory());
    assert!(restarted.statuses()[&odd].starts_with("learns, anew"), "{:?}", restarted.statuses());
    notice(&mut shop, true, true);
    assert!(shop.pipeline.statuses()[&odd].starts_with("learns, anew, since the camera was moved"));
}

#[test]
fn nothing_is_learned_from_whoever_was_part_of_an_alert() {
    let sizes = ["info", "warning"].map(|severity| {
        let mut plan = odd_plan();
        let linger = format!("kind=loitering zone=shelf min_dwell_s=2 severity={severity}");
        plan.rules.insert(RuleId::new("linger"), rule(&linger));
        let mut shop = Shop { pipeline: Pipeline::new(plan), ..Shop::new(5) };
        shop.days(2);
        shop.pipeline.memory().parts["rule/odd"].len()
    });
    assert!(sizes[1] * 3 < sizes[0], "everybody lingers, and so nobody is usual: {sizes:?}");
}

#[test]
fn a_memory_of_something_else_is_refused_with_a_sentence() {
    let mut shop = Shop::new(6);
    shop.days(1);
    let memory = shop.pipeline.memory();
    let mut other = odd_plan();
    other.rules.insert(RuleId::new("odd"), rule("kind=unusual classes=car"));
    let refused = Pipeline::new(other).recall(&memory);
    assert_eq!(
        refused,
        ["What rule odd had learned cannot be used, it begins anew: it was learned from other classes"]
    );
    let mut pipeline = Pipeline::new(odd_plan());
    let bytes = &memory.parts["rule/odd"];
    for cut in (0..bytes.len()).step_by(7) {
        let cut = Memory { parts: [("rule/odd".to_string(), bytes[..cut].to_vec())].into(), ..Memory::default() };
        assert_eq!(pipeline.recall(&cut).len(), 1);
    }
    assert_eq!(pipeline.memory(), Pipeline::new(odd_plan()).memory(), "nothing is taken over");
}

#[test]
fn mistakes_are_told() {
    let mut plan = plan();
    plan.rules.insert(RuleId::new("odd"), rule("kind=unusual rarer_than=0.5 learn_days=0 half_life_days=0.5"));
    let mut problems = Problems::default();
    plan.check("camera.c", &mut problems);
    let told: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
    expect![[r#"
        camera.c.rule.odd.half_life_days: is 0.5, expected 1 to 3650
        camera.c.rule.odd.learn_days: is 0, expected 1 to 365
        camera.c.rule.odd.rarer_than: is 0.5, expected a share from 0.0001 to 0.1"#]]
    .assert_eq(&told.join("\n"));
    assert_eq!(plan.rules[&RuleId::new("odd")].severity(), Severity::Warning);
}
