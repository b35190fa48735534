use super::*;
use crate::clue::{Clues, Joint, JointSight};
use crate::event::{Envelope, Phase, to_json};
use crate::geometry::{BBox, Point};
use crate::pattern::story::{Story, check, plan, rule};
use crate::problems::Problems;
use crate::sight::Trouble;
use crate::track::TrackState;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn ms(ms: i64) -> MediaTime {
    MediaTime::ZERO + Span::from_millis(ms)
}

fn wall(at: MediaTime) -> WallTime {
    WallTime::parse(crate::pattern::story::START).unwrap() + (at - MediaTime::ZERO)
}

/// Every kind of rule at the camera of the stories.
fn busy_plan() -> CameraPlan {
    let mut plan = plan();
    for (name, words) in [
        ("count", "kind=line_count line=door"),
        ("visits", "kind=dwell zone=shelf min_dwell_s=0"),
        ("linger", "kind=loitering zone=shelf min_dwell_s=1"),
        ("linger-seldom", "kind=loitering zone=shelf min_dwell_s=0 cooldown_s=7"),
        ("keep-out", "kind=restricted_zone zone=shelf classes=person,car"),
        ("night", "kind=after_hours open.mon=08:00-20:00 for_s=0"),
        ("crowd", "kind=crowding at_least=2 for_s=0.5"),
        ("busy", "kind=occupancy zone=shelf more_than=0 for_s=0"),
        ("empty", "kind=occupancy fewer_than=1 for_s=0.3"),
        ("odd", "kind=unusual learn_days=1 rarer_than=0.1"),
        ("way", "kind=journey journey=\"shelf x2 -> !shelf(dwell > 3s) -> door within 1m\""),
        ("again", "kind=repeat_approach zone=shelf times=2 min_dwell_s=0"),
        ("unpaid", "kind=exit_without_checkout checkout=door exit=shelf min_dwell_s=0"),
        ("group", "kind=group_split entrance=shelf apart_s=0 far_heights=0"),
        ("queue", "kind=queue_too_long zone=shelf more_than=0 min_wait_s=0 for_s=0"),
        ("run", "kind=running min_heights_per_s=0.2 for_s=0"),
        ("back", "kind=wrong_way line=door allowed=in"),
        ("stream", "kind=wrong_way zone=shelf towards=1,0 for_s=0"),
        ("slip", "kind=tailgating line=door"),
        ("van", "kind=stopped_vehicle zone=shelf classes=person min_stop_s=0"),
        ("thing", "kind=object_in_zone zone=shelf classes=person for_s=0"),
        ("nobody", "kind=unattended zone=shelf for_s=1"),
    ] {
        plan.rules.insert(RuleId::new(name), rule(words));
    }
    plan.budget = Some(BudgetConfig { alerts_per_day: 20.0 });
    plan
}

fn walker(id: u64, at: MediaTime, x: f32, y: f32) -> Track {
    let bbox = BBox::new(x - 0.05, y - 0.2, x + 0.05, y);
    let state = TrackState::Confirmed;
    Track { id: crate::ids::TrackId(id), class: Class::PERSON, score: 0.9, bbox, born: ms(0), seen: at, state }
}

fn observe(pipeline: &mut Pipeline, at: MediaTime, tracks: &[Track]) -> Vec<Event> {
    pipeline.observe(Moment { at, taken: wall(at), aspect: 1.0 }, tracks)
}

#[test]
fn a_blind_camera_adds_no_dwell() {
    let rule = "kind=loitering zone=shelf min_dwell_s=10";
    check(
        rule,
        "is there before and after, not known between",
        "0s person 0.3,0.5 | 40s 0.3,0.5\nblind 3s 35s",
        expect![],
    );
    check(
        rule,
        "was told before",
        "0s person 0.3,0.5 | 40s 0.3,0.5\nblind 12s 35s",
        expect![[r#"
        10s start at shelf by 1: A person has stayed 10 s at shelf; the limit here is 10 s. Please review.
        35s end at shelf by 1 (10s to 11.9s): A person left shelf after 12 s.
    "#]],
    );
    check(
        "kind=dwell zone=shelf",
        "two visits",
        "0s person 0.3,0.5 | 40s 0.3,0.5\nblind 3s 35s",
        expect![[r#"
        35s instant at shelf by 1 (2.9s): A person stayed 2.9 s at shelf.
        40s instant at shelf by 1: A person stayed 5 s at shelf.
    "#]],
    );
    check(
        "kind=dwell zone=shelf",
        "a short pause is no blindness",
        "0s person 0.3,0.5 | 40s 0.3,0.5\nblind 3s 7s",
        expect![[r#"
            40s instant at shelf by 1: A person stayed 40 s at shelf.
        "#]],
    );
    check(
        "kind=occupancy fewer_than=1 for_s=10",
        "nobody is known to be there, nor not to be",
        "0s person 0.3,0.5 | 1s 0.3,0.5\n36s person 0.3,0.5 | 37s 0.3,0.5\nblind 2s 35s",
        expect![],
    );
    check(
        "kind=line_count line=door",
        "walked over the line unseen",
        "0s person 0.3,0.5 | 40s 0.3,0.9\nblind 3s 35s",
        expect![],
    );
}

#[test]
fn a_covered_camera_adds_no_dwell_and_says_why() {
    let mut plan = plan();
    plan.rules.insert(RuleId::new("visits"), rule("kind=dwell zone=shelf min_dwell_s=0"));
    plan.rules.insert(RuleId::new("linger"), rule("kind=loitering zone=shelf min_dwell_s=2"));
    let mut pipeline = Pipeline::new(plan);
    let stay = |pipeline: &mut Pipeline, from: i64, until: i64| {
        let events = (from..until).map(|i| observe(pipeline, ms(100 * i), &[walker(1, ms(100 * i), 0.3, 0.4)]));
        told(&events.flatten().collect::<Vec<_>>())
    };
    let change = |trouble, since, until: Option<i64>| Change {
        trouble,
        since: ms(since),
        until: until.map(ms),
        accepted: false,
        explain: "words".into(),
    };
    assert_eq!(stay(&mut pipeline, 0, 50), ["linger start"]);
    let blind = pipeline.notice(&change(Trouble::Covered, 5_000, None), ms(15_000), wall(ms(15_000)));
    assert_eq!(told(&blind), ["linger end", "visits instant", "tamper start"]);
    assert!(blind[1].explain.contains("stayed 4.9 s"), "{}", blind[1].explain);
    assert_eq!((blind[2].kind, blind[2].severity), ("camera_covered", Severity::Warning));
    assert_eq!(blind[2].at, wall(ms(5_000)), "when it began, not when it was believed");
    assert_eq!(pipeline.present()[&Class::PERSON], 0);
    let sees = pipeline.notice(&change(Trouble::Covered, 5_000, Some(60_000)), ms(63_000), wall(ms(63_000)));
    assert_eq!((told(&sees), sees[0].ended_at), (vec!["tamper end".to_string()], Some(wall(ms(60_000)))));
    assert_eq!(stay(&mut pipeline, 630, 645), [] as [&str; 0]);
    // The dark hides people, it does not invent them: what is still seen goes on.
    let dark = pipeline.notice(&change(Trouble::Dark, 64_000, None), ms(64_500), wall(ms(64_500)));
    assert_eq!(told(&dark), ["tamper start"]);
    assert_eq!(stay(&mut pipeline, 646, 660), ["linger start"]);
    let ids: BTreeSet<_> = blind.iter().chain(&sees).chain(&dark).map(|event| event.id.clone()).collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn frames_that_are_not_later_are_ignored() {
    let mut pipeline = Pipeline::new(busy_plan());
    for i in 0..20 {
        observe(&mut pipeline, ms(1000 + 100 * i), &[walker(1, ms(1000 + 100 * i), 0.3, 0.4)]);
    }
    for at in [2900, 2899, 1000] {
        assert_eq!(observe(&mut pipeline, ms(at), &[walker(1, ms(at), 0.3, 0.9)]), []);
    }
    assert_eq!(pipeline.tracks()[0].bbox.y2, 0.4, "nor do they leave anything behind");
}

#[test]
fn film_time_may_start_over_after_the_end_and_far_back() {
    for told in [true, false] {
        let mut pipeline = Pipeline::new(busy_plan());
        let mut ids = BTreeSet::new();
        let mut play = |pipeline: &mut Pipeline| {
            let mut ends = 0;
            for i in 0..100 {
                for event in observe(pipeline, ms(100 * i), &[walker(1, ms(100 * i), 0.3, 0.3 + 0.005 * i as f32)]) {
                    ends += usize::from(event.phase == Phase::End);
                    assert!(ids.insert(event.id.clone()), "{event:?}");
                }
            }
            ends
        };
        assert_eq!(play(&mut pipeline), 0);
        let open = pipeline.rules_on().values().filter(|on| **on).count();
        assert!(open > 2);
        let ends = if told { pipeline.finish().len() } else { 0 };
        let ends = ends + play(&mut pipeline);
        assert!(ends >= open, "what was open has ended: {ends}");
        assert_eq!(pipeline.lines().values().map(|totals| totals.into).sum::<u64>(), 2);
        assert_eq!(pipeline.objects()[&Class::PERSON].unique, 2);
    }
}

#[test]
fn nothing_is_left_after_the_end() {
    let (mut pipeline, events) = Story::new("kind=restricted_zone zone=shelf", "0s person 0.3,0.5 | 5s 0.3,0.5").play();
    assert_eq!(events.len(), 2, "start and end");
    assert_eq!(pipeline.finish(), []);
    assert_eq!(pipeline.present()[&Class::PERSON], 0);
    assert_eq!(pipeline.tracks(), []);
    assert_eq!(pipeline.rules_on().into_values().collect::<Vec<_>>(), [false]);
}

#[test]
fn new_rules_at_a_frame_boundary() {
    let mut plan = plan();
    plan.rules.insert(RuleId::new("linger"), rule("kind=loitering zone=shelf min_dwell_s=2"));
    plan.rules.insert(RuleId::new("keep-out"), rule("kind=restricted_zone zone=shelf"));
    plan.rules.insert(RuleId::new("count"), rule("kind=line_count line=door"));
    let mut pipeline = Pipeline::new(plan.clone());
    let walk = |pipeline: &mut Pipeline, from: i64, until: i64| {
        let mut events = Vec::new();
        for i in from..until {
            let y = if i < 10 { 0.4 } else { 0.8 };
            events.extend(observe(pipeline, ms(100 * i), &[walker(1, ms(100 * i), 0.3, y)]));
        }
        told(&events)
    };
    assert_eq!(walk(&mut pipeline, 0, 30), ["keep-out start", "count instant", "linger start"]);

    assert_eq!(pipeline.swap_rules(plan.clone()), [], "nothing changed");
    plan.rules.insert(RuleId::new("linger"), rule("kind=loitering zone=shelf min_dwell_s=4"));
    assert_eq!(told(&pipeline.swap_rules(plan.clone())), ["linger end"], "what changed ends");
    assert_eq!(walk(&mut pipeline, 30, 50), ["linger start"], "tracks and their stay are carried over");

    plan.zones.values_mut().for_each(|zone| zone.polygon[0] = [0.2, 0.0]);
    let ends = pipeline.swap_rules(plan.clone());
    assert_eq!(told(&ends), ["keep-out end", "linger end"], "with a zone change all that looks at it");
    assert!(ends[0].explain.contains("left shelf after 4.9 s"), "{}", ends[0].explain);
    assert_eq!(pipeline.lines().values().map(|totals| totals.into).sum::<u64>(), 1, "lines keep their totals");

    plan.lines.values_mut().for_each(|line| line.points[0] = [0.2, 0.6]);
    pipeline.swap_rules(plan);
    assert_eq!(pipeline.lines().values().map(|totals| totals.into).sum::<u64>(), 0, "another line counts from zero");
    assert_eq!(pipeline.objects()[&Class::PERSON].unique, 1);
}

fn told(events: &[Event]) -> Vec<String> {
    let phase = |phase| match phase {
        Phase::Start => "start",
        Phase::End => "end",
        Phase::Instant => "instant",
    };
    events.iter().map(|event| format!("{} {}", event.rule, phase(event.phase))).collect()
}

#[test]
fn a_plan_with_mistakes_is_told_all_of_them() {
    fn mistakes(toml: &str, expected: Expect) {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Camera {
            #[serde(default)]
            zone: BTreeMap<String, crate::scene::zone::ZoneConfig>,
            #[serde(default)]
            line: BTreeMap<String, crate::scene::line::LineConfig>,
            #[serde(default)]
            rule: BTreeMap<String, String>,
        }
        let camera: Camera = toml::from_str(toml).unwrap();
        let mut plan = CameraPlan::counting_only("d", "c");
        plan.zones = camera.zone.into_iter().map(|(name, zone)| (ZoneId::new(&name), zone)).collect();
        plan.lines = camera.line.into_iter().map(|(name, line)| (LineId::new(&name), line)).collect();
        plan.rules = camera.rule.into_iter().map(|(name, words)| (RuleId::new(&name), rule(&words))).collect();
        let mut problems = Problems::default();
        plan.check("c", &mut problems);
        let told: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
        expected.assert_eq(&told.join("\n"));
        // Nor does it do any harm.
        let mut pipeline = Pipeline::new(plan);
        for i in 0..50 {
            observe(&mut pipeline, ms(100 * i), &[walker(1, ms(100 * i), 0.3, 0.02 * i as f32)]);
        }
        pipeline.finish();
    }
    mistakes(
        "zone.a.polygon = [[0, 0], [1, 0], [1, 1]]\nline.b.points = [[0, 0], [1, 1]]\nrule.r = \"kind=dwell zone=a\"",
        expect![],
    );
    mistakes(
        "zone.a.polygon = [[0, 0], [1, 0]]\nzone.b.polygon = [[0, 0], [0.5, 0.5], [1, 1]]\nzone.c.polygon = [[0, 0], [640, 0], [1, nan], [-0.1, 1]]",
        expect![[r#"
            c.zone.a.polygon: has 2 points, expected at least 3
            c.zone.b.polygon: encloses nothing, expected corners that are not all on one line
            c.zone.c.polygon[1]: [640, 0] lies outside of the frame, expected two numbers from 0 to 1
            c.zone.c.polygon[2]: [1, NaN] lies outside of the frame, expected two numbers from 0 to 1
            c.zone.c.polygon[3]: [-0.1, 1] lies outside of the frame, expected two numbers from 0 to 1"#]],
    );
    mistakes(
        "line.a.points = [[0, 0]]\nline.b.points = [[0, 0], [0, 0]]\nline.c.points = []\nline.c.classes = []\nline.d.points = [[0.5, 0.5], [2, 0]]\nline.d.classes = [\"\"]",
        expect![[r#"
            c.line.a.points: has 1 point, expected at least 2
            c.line.b.points[1]: is the same as the point before it, expected another one
            c.line.c.classes: is empty, expected class names such as "person", or no such key
            c.line.c.points: has 0 points, expected at least 2
            c.line.d.classes[0]: is empty, expected a class name
            c.line.d.points[1]: [2, 0] lies outside of the frame, expected two numbers from 0 to 1"#]],
    );
    mistakes(
        r#"
        zone.till.polygon = [[0, 0], [1, 0], [1, 1]]
        rule.a = "kind=loitering zone=shelf min_dwell_s=-1"
        rule.b = "kind=line_count line=door cooldown_s=nan"
        rule.c = "kind=occupancy more_than=1 fewer_than=2"
        rule.d = "kind=occupancy for_s=1e300"
        rule.e = "kind=crowding at_least=1 zone=tlil"
        rule.f = "kind=after_hours open.mon="
        rule.g = "kind=occupancy fewer_than=0 classes="
        "#,
        expect![[r#"
            c.rule.a.min_dwell_s: is -1.0, expected 0 seconds to a year of them, 31536000
            c.rule.a.zone: there is no zone "shelf" at this camera, expected one of "till"
            c.rule.b.cooldown_s: is NaN, expected 0 seconds to a year of them, 31536000
            c.rule.b.line: there is no line "door" at this camera, expected the name of a line, but this camera has none
            c.rule.c.fewer_than: comes together with `more_than`, expected one of them; make a second rule
            c.rule.d: has no limit, expected `more_than` or `fewer_than`
            c.rule.d.for_s: is 1e300, expected 0 seconds to a year of them, 31536000
            c.rule.e.at_least: is 1, expected 2 or more
            c.rule.e.zone: there is no zone "tlil" at this camera, expected one of "till"
            c.rule.f.open: has no hours, expected at least one day, as in { mon = ["08:00-20:00"] }
            c.rule.g.classes: is empty, expected class names such as "person", or no such key
            c.rule.g.fewer_than: is 0, which never is so, expected 1 or more"#]],
    );
}

/// Any float, with the ones that make trouble more often than chance would have it.
fn number() -> impl Strategy<Value = f32> {
    prop_oneof![
        4 => 0.0f32..1.0,
        1 => prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1e30, -1e30, 1e-40, 1.0]),
        1 => any::<u32>().prop_map(f32::from_bits),
    ]
}

#[derive(Debug, Clone)]
enum Input {
    Frame { after_ms: i64, aspect: f32, boxes: Vec<(u8, f32, [f32; 4])> },
    Finish,
    Swap { drop_rule: usize, move_zone: bool },
}

fn input() -> impl Strategy<Value = Input> {
    let boxes = prop::collection::vec((0u8..3, number(), [number(), number(), number(), number()]), 0..5);
    // People who move a little from frame to frame, so that there are tracks.
    let people = prop::collection::vec((0u8..1, 0.5f32..1.0, (0.0f32..0.1, 0.5f32..0.7)), 0..4).prop_map(|people| {
        let person = |(i, (class, score, (dx, y))): (usize, (u8, f32, (f32, f32)))| {
            let x = 0.25 * i as f32 + dx;
            (class, score, [x, y - 0.4, x + 0.2, y])
        };
        people.into_iter().enumerate().map(person).collect()
    });
    let after_ms =
        prop_oneof![8 => 1i64..400, 1 => -20_000i64..20_000, 1 => Just(0i64), 1 => any::<i64>().prop_map(|v| v >> 12)];
    let frame = |boxes| {
        (after_ms.clone(), number(), boxes).prop_map(|(after_ms, aspect, boxes)| Input::Frame {
            after_ms,
            aspect,
            boxes,
        })
    };
    prop_oneof![
        6 => frame(people.boxed()),
        2 => frame(boxes.boxed()),
        1 => Just(Input::Finish),
        1 => (0usize..9, any::<bool>()).prop_map(|(drop_rule, move_zone)| Input::Swap { drop_rule, move_zone }),
    ]
}

fn play(inputs: &[Input]) -> Vec<Event> {
    let mut pipeline = Pipeline::new(busy_plan());
    let mut at = MediaTime::ZERO;
    let mut events = Vec::new();
    for input in inputs {
        events.extend(match input {
            Input::Frame { after_ms, aspect, boxes } => {
                at = at + Span::from_micros(after_ms.saturating_mul(1000));
                let detection = |&(class, score, [x1, y1, x2, y2]): &(u8, f32, [f32; 4])| Detection {
                    class: [Class::PERSON, Class::named("car"), Class::named("dog")][usize::from(class)],
                    score,
                    bbox: BBox { x1, y1, x2, y2 },
                };
                let items = boxes.iter().map(detection).collect();
                pipeline.step(&Detections { at, taken: wall(at), aspect: *aspect, items, clues: Clues::default() })
            }
            Input::Finish => pipeline.finish(),
            Input::Swap { drop_rule, move_zone } => {
                let mut plan = busy_plan();
                let name = plan.rules.keys().nth(*drop_rule).unwrap().clone();
                plan.rules.remove(&name);
                if *move_zone {
                    plan.zones.values_mut().for_each(|zone| zone.polygon[0] = [0.15, 0.0]);
                }
                pipeline.swap_rules(plan)
            }
        });
        pipeline.zones();
    }
    events.extend(pipeline.finish());
    assert!(pipeline.rules_on().into_values().all(|on| !on));
    events
}

proptest! {
    #[test]
    fn whatever_comes_ids_are_unique_ends_have_starts_and_it_is_the_same_again(
        inputs in prop::collection::vec(input(), 0..60),
    ) {
        let events = play(&inputs);
        let mut ids = BTreeSet::new();
        let mut open = BTreeSet::new();
        for event in &events {
            prop_assert!(ids.insert(event.id.clone()), "twice the same id: {event:?}");
            prop_assert!(event.ended_at.is_none_or(|end| end >= event.at), "ends before it begins: {event:?}");
            prop_assert!((0.0..=1.0).contains(&event.score));
            let key = (event.rule.clone(), event.at);
            match event.phase {
                Phase::Start => _ = open.insert(key),
                Phase::End => prop_assert!(open.contains(&key), "ends without a start: {event:?}"),
                Phase::Instant => {}
            }
        }
        let starts = events.iter().filter(|event| event.phase == Phase::Start).count();
        let ends = events.iter().filter(|event| event.phase == Phase::End).count();
        prop_assert_eq!(starts, ends);
        let json = |events: &[Event]| {
            let envelope = |i| Envelope { seq: i as u64 + 1, boot: "replay", late: false };
            let line = |(i, event): (usize, &Event)| to_json(event, envelope(i));
            events.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
        };
        prop_assert_eq!(json(&events), json(&play(&inputs)));
    }
}

#[test]
fn a_zone_asks_about_who_stands_in_it_and_a_pose_belongs_to_its_track() {
    let mut plan = plan();
    plan.zones.values_mut().for_each(|zone| zone.pose = true);
    let mut pipeline = Pipeline::new(plan);
    let bbox = |x: f32| BBox::new(x - 0.05, 0.3, x + 0.05, 0.6);
    let mut step = |n: i64, posed: &[f32]| {
        let joints = [JointSight { at: Point::new(0.5, 0.5), score: 0.5 }; Joint::COUNT];
        let poses = posed.iter().map(|x| Pose { bbox: bbox(*x), joints }).collect();
        let person = |x: f32| Detection { class: Class::PERSON, score: 0.9, bbox: bbox(x) };
        let (at, items, clues) = (ms(100 * n), vec![person(0.3), person(0.9)], Clues { poses, ..Clues::default() });
        pipeline.step(&Detections { at, taken: wall(at), aspect: 1.5, items, clues });
        let place = |track: &Track| (10.0 * track.bbox.centre().x).round() as u32;
        let asked: Vec<u32> = pipeline.asked_for_pose().iter().map(place).collect();
        let posed = pipeline.tracks().iter().filter(|track| pipeline.poses().contains_key(&track.id)).map(place);
        (asked, posed.collect::<Vec<u32>>())
    };
    (0..9).for_each(|n| drop(step(n, &[])));
    assert_eq!(step(10, &[0.9]), (vec![3], vec![9]));
    assert_eq!(step(11, &[f32::NAN, 0.31]), (vec![3], vec![3]));
    assert_eq!(step(12, &[]), (vec![3], vec![]));
}
