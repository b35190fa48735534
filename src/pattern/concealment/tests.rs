use crate::clue::Clues;
use crate::detection::Class;
use crate::event::Event;
use crate::ids::{RuleId, TrackId, ZoneId};
use crate::pattern::posture::doll::{Doll, pose};
use crate::pattern::story::{plan, rule};
use crate::pipeline::{Moment, Pipeline};
use crate::time::{MediaTime, Span, WallTime};
use crate::track::{Track, TrackState};
use expect_test::{Expect, expect};

const HANGING: [(f32, f32); 2] = [(0.4, 0.0), (-0.4, 0.0)];
const OUT: [(f32, f32); 2] = [(1.2, 0.9), (-0.4, 0.0)];
const FOLDED: [(f32, f32); 2] = [(0.0, 0.5), (-0.4, 0.0)];

/// Somebody whose foot is at `x`, and whose hands are as told at each moment, five looks a second for six seconds.
fn told(x: f32, wrists: impl Fn(f64) -> [(f32, f32); 2]) -> Vec<Event> {
    let mut plan = plan();
    plan.zones.get_mut(&ZoneId::new("shelf")).unwrap().pose = true;
    plan.rules.insert(RuleId::new("r"), rule("kind=concealment zone=shelf"));
    let mut pipeline = Pipeline::new(plan);
    let mut events = Vec::new();
    for n in 0..30 {
        let at = MediaTime::ZERO + Span::from_millis(200 * n);
        let pose = pose(Doll { x, wrists: wrists(at.secs_f64()), ..Doll::default() });
        let (bbox, class, state) = (pose.bbox, Class::PERSON, TrackState::Confirmed);
        let track = Track { id: TrackId(1), class, score: 0.9, bbox, born: MediaTime::ZERO, seen: at, state };
        let clues = Clues { poses: vec![pose], ..Clues::default() };
        let moment = Moment { at, taken: WallTime::EPOCH + (at - MediaTime::ZERO), aspect: 1.0 };
        events.extend(pipeline.see(moment, &[track], &clues));
    }
    events
}

fn check(x: f32, wrists: impl Fn(f64) -> [(f32, f32); 2], expected: Expect) {
    let lines: Vec<String> = told(x, wrists).iter().map(|event| format!("{} {}\n", event.at, event.explain)).collect();
    expected.assert_eq(&lines.concat());
}

#[test]
fn a_reach_and_then_the_hand_at_the_body() {
    let takes = |t: f64| match t {
        2.0..3.0 => OUT,
        3.0..4.5 => FOLDED,
        _ => HANGING,
    };
    check(
        0.3,
        takes,
        expect![[r#"
            1970-01-01T00:00:03.600Z A person reached out at shelf, and 0.2 s later the hand was at the body for 0.6 s: possible concealment. Please review.
        "#]],
    );
    check(0.9, takes, expect![]);
}

#[test]
fn what_everybody_does_is_nothing() {
    check(0.3, |_| HANGING, expect![]);
    check(0.3, |t| if t > 2.0 { FOLDED } else { HANGING }, expect![]);
    check(0.3, |t| if t > 2.0 { OUT } else { HANGING }, expect![]);
    // Taken, looked at for a moment, and put back.
    let looks = |t: f64| match t {
        2.0..2.6 | 3.0..3.6 => OUT,
        2.6..3.0 => FOLDED,
        _ => HANGING,
    };
    check(0.3, looks, expect![]);
}
