//! Stories of journeys. Zones: `entrance` on the left, the `shelf` beside it, `till` and `exit` on the right.

use super::*;
use crate::event::Party;
use crate::geometry::BBox;
use crate::ids::LineId;
use crate::pattern::story::{self, START};
use crate::scene::Scene;
use crate::time::{MediaTime, WallTime};
use expect_test::{Expect, expect};
use std::collections::BTreeMap;

const SHOP: &str = "zone entrance 0,0 0.1,1\nzone till 0.65,0 0.75,1\nzone exit 0.85,0 1,1\n";

fn check(journey: &str, title: &str, actors: &str, expected: Expect) {
    story::check(&format!("kind=journey journey=\"{journey}\""), title, &format!("{SHOP}{actors}"), expected);
}

#[test]
fn stories() {
    let unpaid = "entrance -> shelf(dwell > 20s) -> !checkout -> exit within 10m";
    check(
        unpaid,
        "passes below the till",
        "0s person 0.05,0.5 | 1s 0.05,0.5 | 2s 0.3,0.5 | 30s 0.3,0.5 | 32s 0.62,0.5 | 32.2s 0.8,0.5 | 35s 0.95,0.5 | 37s 0.95,0.5",
        expect![[r#"
            33.7s instant at exit by 1 (33.2s): A person came in at entrance at 10:15:00, was 31 s at shelf, never at checkout, and left at exit after 33 s. Please review.
        "#]],
    );
    check(
        unpaid,
        "pays",
        "0s person 0.05,0.5 | 1s 0.05,0.5 | 2s 0.3,0.5 | 30s 0.3,0.5 | 32s 0.7,0.5 | 40s 0.7,0.5 | 43s 0.95,0.5 | 45s 0.95,0.5",
        expect![],
    );
    check(
        unpaid,
        "does not stay for long",
        "0s person 0.05,0.5 | 1s 0.05,0.5 | 2s 0.3,0.5 | 12s 0.3,0.5 | 12.2s 0.8,0.5 | 15s 0.95,0.5 | 17s 0.95,0.5",
        expect![],
    );
    check(
        unpaid,
        "stays twice, never for long enough",
        "0s person 0.05,0.5 | 1s 0.05,0.5 | 2s 0.3,0.5 | 15s 0.3,0.5 | 15.1s 0.8,0.5 | 17s 0.8,0.5 | 17.1s 0.5,0.5 | 30s 0.5,0.5 | 30.1s 0.95,0.5 | 33s 0.95,0.5",
        expect![],
    );
    check(
        "entrance -> shelf(dwell > 20s) -> !checkout -> exit within 30s",
        "takes too long, but had come to the entrance again",
        "0s person 0.05,0.5 | 8s 0.05,0.5 | 8.2s 0.8,0.5 | 10s 0.8,0.5 | 10.2s 0.05,0.5 | 12s 0.05,0.5 | 14s 0.3,0.5 | 37s 0.3,0.5 | 37.2s 0.95,0.5 | 39s 0.95,0.5",
        expect![[r#"
            37.7s instant at exit by 1 (37.2s): A person came in at entrance at 10:15:10, was 25 s at shelf, never at checkout, and left at exit after 27 s. Please review.
        "#]],
    );
    check(
        "entrance -> shelf(dwell > 20s) -> !checkout -> exit within 30s",
        "takes too long",
        "0s person 0.05,0.5 | 8s 0.05,0.5 | 14s 0.3,0.5 | 37s 0.3,0.5 | 37.2s 0.95,0.5 | 39s 0.95,0.5",
        expect![],
    );
    check(
        unpaid,
        "the track breaks on the way",
        "0s person 0.05,0.5 | 1s 0.05,0.5 | 2s 0.3,0.5 | 15s 0.3,0.5 gone\n16.5s person 0.35,0.5 | 25s 0.35,0.5 | 26s 0.8,0.5 | 27s 0.95,0.5 | 29s 0.95,0.5",
        expect![[r#"
            26.9s instant at exit by 2 (26.4s): A person came in at entrance at 10:15:00, was 24 s at shelf, never at checkout, and left at exit after 26 s. Please review.
        "#]],
    );
    check(
        unpaid,
        "nobody is there for too long",
        "0s person 0.05,0.5 | 1s 0.05,0.5 | 2s 0.3,0.5 | 15s 0.3,0.5 gone\n21s person 0.35,0.5 | 45s 0.35,0.5 | 46s 0.8,0.5 | 47s 0.95,0.5 | 49s 0.95,0.5",
        expect![],
    );
    check(
        unpaid,
        "somebody else appears too far away",
        "0s person 0.05,0.5 | 1s 0.05,0.5 | 2s 0.3,0.3 | 25s 0.3,0.3 gone\n26s person 0.55,0.95 | 30s 0.55,0.95 | 31s 0.8,0.95 | 32s 0.95,0.9 | 34s 0.95,0.9",
        expect![],
    );
    check(
        "shelf -> !till -> entrance",
        "one goes out by the door through which another comes in",
        "0s person 0.3,0.5 | 4s 0.3,0.5 | 5s 0.06,0.5 | 6s 0.06,0.5 gone\n7s person 0.06,0.5 | 10s 0.06,0.5",
        expect![[r#"
            5.4s instant at entrance by 1 (4.9s): A person was 4.8 s at shelf from 10:15:00, never at till, and left at entrance after 4.9 s. Please review.
        "#]],
    );
    check(
        "!till(dwell > 5s) -> shelf(dwell < 5s) -> exit",
        "walks past the till, then looks at the shelf and goes",
        "0s person 0.7,0.5 | 2s 0.7,0.5 | 3s 0.4,0.5 | 5s 0.4,0.5 | 5.1s 0.95,0.5 | 8s 0.95,0.5",
        expect![[r#"
            5.6s instant at exit by 1 (5.1s): A person was never at till for more than 5 s, was 2.6 s at shelf from 10:15:02, and left at exit after 2.7 s. Please review.
        "#]],
    );
    check(
        "!till(dwell > 5s) -> shelf(dwell < 5s) -> exit",
        "paid before",
        "0s person 0.7,0.5 | 8s 0.7,0.5 | 9s 0.4,0.5 | 11s 0.4,0.5 | 11.1s 0.95,0.5 | 14s 0.95,0.5",
        expect![],
    );
    let thrice = "0s person 0.3,0.5 | 4s 0.3,0.5 | 4.1s 0.8,0.5 | 6s 0.8,0.5 | 6.1s 0.3,0.5 | 9s 0.3,0.5 | 9.1s 0.8,0.5 | 12s 0.8,0.5 | 12.1s 0.3,0.5 | 15s 0.3,0.5 | 15.1s 0.8,0.5 | 18s 0.8,0.5 | 18.1s 0.3,0.5 | 20s 0.3,0.5";
    check(
        "shelf x3 within 5m",
        "comes again and again: told once in three",
        thrice,
        expect![[r#"
            12.6s instant at shelf by 1 (12.1s): A person was 3 times at shelf (4 s, 2.9 s, 0.5 s) from 10:15:00 within 12 s. Please review.
        "#]],
    );
    check("shelf x3 within 10s", "never so fast", thrice, expect![]);
    check("shelf(dwell > 3s) x2", "only the first was long enough", thrice, expect![]);
    check(
        "door in -> !shelf -> door out",
        "turns around",
        "0s person 0.8,0.4 | 2s 0.8,0.8 | 4s 0.8,0.4\n0s person 0.8,0.4 | 2s 0.8,0.8 | 3s 0.4,0.8 | 4s 0.4,0.4",
        expect![[r#"
            3.1s instant at door out by 1: A person went in over door at 10:15:01, was never at shelf, and went out over door after 2 s. Please review.
        "#]],
    );
    check(
        "shelf",
        "one step is a journey",
        "0s person 0.05,0.5 | 1s 0.05,0.5 | 2s 0.3,0.5 | 5s 0.3,0.5",
        expect![[r#"
            1.7s instant at shelf by 1 (1.2s): A person was 0.5 s at shelf from 10:15:01. Please review.
        "#]],
    );
}

/// What is told of facts that no camera of the stories sees, each at a second.
fn told(journey: &str, facts: &[(f64, What)]) -> Vec<String> {
    let zones = [("shelf", [0.1, 0.6]), ("exit", [0.8, 1.0])];
    let zones = zones.map(|(kind, [x1, x2])| (ZoneId::new(kind), story::zone(kind, [x1, 0.0], [x2, 1.0]))).into();
    let lines = BTreeMap::new();
    let mut pattern = Journey::new(journey, Classes::All, &Surroundings { zones: &zones, lines: &lines });
    let scene = Scene::new(&zones, &lines);
    let bbox = BBox::new(0.3, 0.3, 0.4, 0.6);
    let who = Party { id: TrackId(1), class: crate::detection::Class::PERSON, score: 0.9, bbox };
    let mut told = Vec::new();
    for tenth in 0..=1000 {
        let at = MediaTime::from_secs_f64(f64::from(tenth) / 10.0);
        let taken = WallTime::parse(START).unwrap() + (at - MediaTime::ZERO);
        let view = View {
            at,
            taken,
            clock_trusted: false,
            time_zone: &jiff::tz::TimeZone::UTC,
            scene: &scene,
            aspect: 1.0,
            poses: &BTreeMap::new(),
        };
        let now = facts.iter().filter(|(second, _)| MediaTime::from_secs_f64(*second) == at);
        let now: Vec<Fact> = now.map(|(_, what)| Fact { at, who, what: what.clone() }).collect();
        // Nobody is followed by the scene: those that are gone are told of, too.
        let gone = Fact { at, who, what: What::Gone };
        let last = facts.last().is_some_and(|(second, _)| MediaTime::from_secs_f64(*second) == at);
        let now: Vec<Fact> = now.into_iter().chain(last.then_some(gone)).collect();
        told.extend(pattern.step(&view, &now).into_iter().map(|finding| finding.explain));
    }
    told
}

#[test]
fn touches_count_during_a_visit() {
    let shelf = ZoneId::new("shelf");
    let (enter, touch) = (What::Entered(shelf.clone()), What::Touched(shelf.clone()));
    let leave = |s: f64| What::Left { zone: shelf.clone(), dwell: crate::time::Span::from_secs_f64(s) };
    let exit = What::Entered(ZoneId::new("exit"));
    let journey = "shelf(touches >= 3) -> exit";
    let visit = |touches: &[f64]| {
        let touches = touches.iter().map(|at| (*at, touch.clone()));
        [(1.0, enter.clone())].into_iter().chain(touches).chain([(20.0, leave(19.0)), (30.0, exit.clone())]).collect()
    };
    let facts: Vec<_> = visit(&[3.0, 4.0, 5.0]);
    expect!["A person was 19 s at shelf with 3 touches and left at exit after 29 s. Please review."]
        .assert_eq(&told(journey, &facts).join("\n"));
    let facts: Vec<_> = visit(&[3.0, 4.0]);
    assert_eq!(told(journey, &facts), [""; 0]);
    expect!["A person was 19 s at shelf with 2 touches and left at exit after 29 s. Please review."]
        .assert_eq(&told("shelf(touches < 3) -> exit", &facts).join("\n"));
    let by_hand = |at: [f64; 3]| at.map(|at| (at, touch.clone())).into_iter().chain([(60.0, exit.clone())]);
    let facts: Vec<_> = by_hand([3.0, 9.0, 15.0]).collect();
    expect!["A person was 12 s at shelf with 3 touches and left at exit after 57 s. Please review."]
        .assert_eq(&told(journey, &facts).join("\n"));
    let facts: Vec<_> = by_hand([3.0, 9.0, 25.0]).collect();
    assert_eq!(told(journey, &facts), [""; 0], "the hand was away for too long: two visits");
}

#[test]
fn wrong_places_are_told_all_at_once() {
    let zones = [("shelf", "shelf"), ("door", "exit")];
    let zones = zones.map(|(name, kind)| (ZoneId::new(name), story::zone(kind, [0.1, 0.0], [0.6, 1.0]))).into();
    let line = crate::scene::line::LineConfig { points: vec![[0.1, 0.6], [0.9, 0.6]], classes: None };
    let lines = [(LineId::new("gate"), line)].into();
    let wrong = |journey: &str| {
        let config =
            JourneyConfig { journey: journey.into(), severity: Severity::Warning, cooldown_s: 0.0, classes: None };
        let mut problems = Problems::default();
        config.check_in("camera.c.rule.r", &Surroundings { zones: &zones, lines: &lines }, &mut problems);
        problems.iter().map(|problem| format!("{problem}\n")).collect::<String>()
    };
    assert_eq!(wrong("shelf -> !gate in -> door -> gate out within 1h"), "");
    expect![[r#"
        camera.c.rule.r.journey: column 1: this camera has no zone of the kind entrance, expected one with that `kind`
            entrance -> shlf(dwell > 3s) -> !checkout -> door in
            ^^^^^^^^
        camera.c.rule.r.journey: column 13: "shlf" is no place of this camera, expected "door", "shelf", "gate" or a kind of zone (shelf, till, checkout, entrance, exit, restricted, queue, other)
            entrance -> shlf(dwell > 3s) -> !checkout -> door in
                        ^^^^
        camera.c.rule.r.journey: column 34: this camera has no zone of the kind checkout, expected one with that `kind`
            entrance -> shlf(dwell > 3s) -> !checkout -> door in
                                             ^^^^^^^^
        camera.c.rule.r.journey: column 46: there is no line "door" at this camera, expected the name of a line, one of "gate"
            entrance -> shlf(dwell > 3s) -> !checkout -> door in
                                                         ^^^^
    "#]].assert_eq(&wrong("entrance -> shlf(dwell > 3s) -> !checkout -> door in"));
    expect![[r#"
        camera.c.rule.r.journey: column 9: a line is crossed in a moment, expected no conditions
            gate in(dwell > 3s, touches > 2) -> exit
                    ^^^^^^^^^^
    "#]]
    .assert_eq(&wrong("gate in(dwell > 3s, touches > 2) -> exit"));
    expect![[r#"
        camera.c.rule.r.journey: column 11: "!door" forbids the step after it, expected another place
            shelf -> !door -> exit
                      ^^^^
    "#]]
    .assert_eq(&wrong("shelf -> !door -> exit"));
    expect![[r#"
        camera.c.rule.r.journey: column 15: "20" is out of place, expected a duration such as 20s, 1.5m or 2h, at most 24h
            shelf(dwell > 20) -> exit
                          ^^
    "#]].assert_eq(&wrong("shelf(dwell > 20) -> exit"));
    let mut problems = Problems::default();
    let around = Surroundings { zones: &zones, lines: &lines };
    for (name, path) in [("door", "a"), ("exit", "b"), ("gate out", "c"), ("till", "d"), ("a -> b", "e"), ("!a", "f")] {
        check_place(name, path, &around, &mut problems);
    }
    expect![[r#"
        d: this camera has no zone of the kind till, expected one with that `kind`
        e: is "a -> b", expected one place
        f: a journey cannot end with "!", expected "->" and where it leads to without it
    "#]]
    .assert_eq(&problems.iter().map(|problem| format!("{problem}\n")).collect::<String>());
}
