use super::*;
use crate::clue::{Joint, JointSight, Pose, ShelfChange, ShelfSight};
use crate::detection::{Class, Detection, Detections};
use crate::event::Event;
use crate::geometry::{BBox, Point};
use crate::ids::{RuleId, ZoneId};
use crate::pattern::story;
use crate::pipeline::{CameraPlan, Pipeline};
use crate::sight::Trouble;
use crate::time::Span;
use proptest::prelude::*;

const RULES: &[(&str, &str)] = &[
    ("passage", "kind=line_count line=door"),
    ("stay", "kind=dwell zone=shelf"),
    ("linger", "kind=loitering zone=shelf min_dwell_s=4.0"),
    ("full", "kind=occupancy zone=shelf more_than=1 for_s=1.0"),
    ("keep-out", "kind=restricted_zone zone=shelf cooldown_s=3.0"),
    ("crowd", "kind=crowding at_least=3 for_s=0.5"),
];

fn plan() -> CameraPlan {
    let mut plan = story::plan();
    plan.rules = RULES.iter().map(|(name, rule)| (RuleId::new(name), story::rule(rule))).collect();
    plan
}

/// A camera as it runs: what it does to the pipeline goes onto the tape as well.
struct Live {
    pipeline: Pipeline,
    recorder: Recorder,
    events: Vec<Event>,
    tape: Vec<u8>,
    chunks: Vec<usize>,
    inputs: Vec<Input>,
}

impl Live {
    fn new() -> Self {
        Live {
            pipeline: Pipeline::new(plan()),
            recorder: Recorder::new(Setting::default(), WallTime::EPOCH),
            events: Vec::new(),
            tape: Vec::new(),
            chunks: Vec::new(),
            inputs: Vec::new(),
        }
    }

    fn step(&mut self, seen: &Detections) {
        self.events.extend(self.pipeline.step(seen));
        let moment = Moment { at: seen.at, taken: seen.taken, aspect: seen.aspect };
        let (tracks, clues) = (self.pipeline.tracks().to_vec(), self.pipeline.clues().clone());
        self.recorder.frame(moment, &tracks, &clues, self.pipeline.opening());
        self.inputs.push(Input::Frame(Seen { moment, tracks, clues }));
        let due = self.recorder.due();
        self.write(due);
    }

    fn other(&mut self, input: Input) {
        let events = match &input {
            Input::Finish => self.pipeline.finish(),
            Input::Notice { change, at, taken } => self.pipeline.notice(change, *at, *taken),
            Input::Clock { trusted } => {
                self.pipeline.set_clock_trusted(*trusted);
                Vec::new()
            }
            Input::Frame(_) | Input::Swap { .. } => panic!("not here"),
        };
        self.events.extend(events);
        self.recorder.other(&input, self.pipeline.opening());
        self.inputs.push(input);
    }

    fn write(&mut self, chunk: Option<Chunk>) {
        if let Some(chunk) = chunk {
            self.chunks.push(self.tape.len());
            self.tape.extend(chunk.bytes);
        }
    }

    fn end(&mut self) {
        self.other(Input::Finish);
        let rest = self.recorder.flush();
        self.write(rest);
    }
}

/// Some minutes of a shop, made of one number: people who come, tremble, stay, cross and go; frames that are late or
/// missing; cameras that are covered or opened anew; a clock that is put right.
fn shop(seed: u64, seconds: u64) -> Live {
    let mut dice = fastrand::Rng::with_seed(seed);
    let mut live = Live::new();
    let mut people: Vec<[f32; 4]> = Vec::new();
    let (mut at, mut drift) = (0i64, 1_700_000_000_000_000i64);
    while at < seconds as i64 * 1_000_000 {
        at += match dice.u32(..200) {
            0 => 7_000_000,
            1..10 => 300_000 + dice.i64(0..5000),
            _ => 100_000,
        };
        drift += if dice.u32(..500) == 0 { 1234 } else { 0 };
        if dice.u32(..60) == 0 && people.len() < 5 {
            let lane = dice.f32();
            people.push([0.0, lane, dice.f32() * 0.02, (dice.f32() - 0.5) * 0.01]);
        }
        people.retain_mut(|[x, y, dx, dy]| {
            (*x, *y) = (*x + *dx, (*y + *dy).clamp(0.0, 1.2));
            if dice.u32(..40) == 0 {
                *dx = (dice.f32() - 0.2) * 0.02;
            }
            *x < 1.1 && *x > -0.1
        });
        let mut seen = Detections {
            at: MediaTime::from_micros(at),
            taken: WallTime::from_micros(at + drift),
            aspect: if at > 40_000_000 { 16.0 / 9.0 } else { 1.25 },
            items: Vec::new(),
            clues: Clues::default(),
        };
        for [x, y, dx, _] in &people {
            let (x, y) = (x + dice.f32() * 0.004, y + dice.f32() * 0.004);
            let class = if *dx > 0.015 { Class::named("dog") } else { Class::PERSON };
            if dice.u32(..10) > 0 {
                let bbox = BBox::new(x - 0.05, y - 0.3, x + 0.05, y);
                seen.items.push(Detection { class, score: 0.5 + dice.f32() / 2.0, bbox });
            }
            if dice.u32(..5) == 0 {
                let mut joint = || JointSight { at: Point::new(x, y - dice.f32() * 0.3), score: dice.f32() };
                let joints: [JointSight; Joint::COUNT] = std::array::from_fn(|_| joint());
                seen.clues.poses.push(Pose { bbox: BBox::new(x - 0.05, y - 0.3, x + 0.05, y), joints });
            }
        }
        if dice.u32(..40) == 0 {
            let (x, y) = (dice.f32(), dice.f32());
            seen.clues.shelves.push(ShelfSight {
                zone: ZoneId::new("shelf"),
                what: ShelfChange::ALL[dice.usize(..4)],
                cells: dice.u32(1..30),
                of: 40,
                bbox: BBox::new(x, y, x + 0.1, y + 0.2),
                shown: Span::from_micros(dice.i64(0..9_000_000)),
                hidden: Span::from_micros(dice.i64(0..9_000_000)),
            });
        }
        live.step(&seen);
        match dice.u32(..700) {
            0 => live.other(Input::Finish),
            1 => live.other(Input::Clock { trusted: dice.bool() }),
            2 => {
                let (trouble, began) = (Trouble::ALL[dice.usize(..6)], seen.at + Span::from_millis(-900));
                let until = dice.bool().then_some(seen.at);
                let explain = "The camera at c is almost black: ¿why? Please review.".into();
                let change = crate::sight::Change { trouble, since: began, until, accepted: false, explain };
                live.other(Input::Notice { change, at: seen.at, taken: seen.taken });
            }
            3 => at -= 6_000_000,
            4 | 5 => {
                let rest = live.recorder.flush();
                live.write(rest);
                if dice.bool() {
                    live.recorder.begin_block();
                }
            }
            _ => {}
        }
    }
    live.end();
    live
}

fn played(tape: &[u8]) -> (Vec<Event>, Vec<Input>, Player) {
    let mut player = Player::new(plan());
    let (mut events, mut inputs) = (Vec::new(), Vec::new());
    for block in &Blocks::find(tape).blocks {
        let (found, outcome) = block.read();
        outcome.unwrap();
        events.extend(player.block(&block.start, block.chunks()));
        for input in &found {
            events.extend(player.play(input));
        }
        inputs.extend(found);
    }
    (events, inputs, player)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_tape_gives_what_was_put_on_it_and_the_same_events(seed: u64, seconds in 5u64..240) {
        let live = shop(seed, seconds);
        let (events, inputs, player) = played(&live.tape);
        prop_assert_eq!(inputs.len(), live.inputs.len());
        for (i, (is, was)) in inputs.iter().zip(&live.inputs).enumerate() {
            prop_assert_eq!(is, was, "input {}", i);
        }
        prop_assert_eq!(events, live.events);
        prop_assert_eq!(player.gaps(), 0);
        prop_assert_eq!(player.pipeline().opening(), live.pipeline.opening());
    }

    #[test]
    fn spoilt_bytes_are_never_a_panic_and_cost_their_block_only(
        seed: u64, spoils in prop::collection::vec((0.0f64..1.0, any::<u8>()), 1..4), cut in 0.0f64..1.0
    ) {
        let live = shop(seed, 60);
        let mut tape = live.tape.clone();
        tape.truncate((cut.sqrt() * tape.len() as f64) as usize);
        for (place, byte) in &spoils {
            let at = (place * tape.len() as f64) as usize;
            if let Some(there) = tape.get_mut(at) {
                *there = *byte;
            }
        }
        let found = Blocks::find(&tape);
        let whole = Blocks::find(&live.tape);
        let unused: u64 = found.damage.iter().map(|damage| damage.bytes).sum();
        prop_assert!(unused <= tape.len() as u64);
        for block in &found.blocks {
            // What passes the check sum is what was written.
            let twin = whole.blocks.iter().find(|twin| twin.start == block.start).unwrap();
            let ((part, outcome), (all, _)) = (block.read(), twin.read());
            prop_assert!(outcome.is_ok());
            prop_assert!(all.starts_with(&part));
        }
    }

    #[test]
    fn bytes_that_pass_every_check_and_mean_nothing_are_refused(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let live = shop(7, 8);
        let whole = Blocks::find(&live.tape);
        let mut start = live.tape[whole.blocks[0].start.number as usize + 14..].to_vec();
        start.truncate(40);
        start.extend(noise);
        let tape = block::framed(0, &start);
        for block in &Blocks::find(&tape).blocks {
            let _ = block.read();
        }
    }
}

#[test]
fn a_torn_end_costs_the_newest_seconds() {
    let live = shop(3, 120);
    let last = *live.chunks.last().unwrap();
    assert!(live.chunks.len() > 8, "{}", live.chunks.len());
    let torn = &live.tape[..live.tape.len() - 1];
    let (_, inputs, _) = played(torn);
    assert!(live.inputs.starts_with(&inputs));
    assert!(live.inputs.len() - inputs.len() < 110, "{} of {}", inputs.len(), live.inputs.len());
    let damage = Blocks::find(torn).damage;
    assert_eq!(damage, [Damage { at: last as u64, bytes: (live.tape.len() - 1 - last) as u64 }]);
}

#[test]
fn a_lost_chunk_is_a_gap_and_ids_go_on_behind_it() {
    let mut live = Live::new();
    let one = |at: i64, x: f32| Detections {
        at: MediaTime::from_micros(at * 100_000),
        taken: WallTime::from_micros(at * 100_000),
        aspect: 1.0,
        items: vec![Detection { class: Class::PERSON, score: 0.9, bbox: BBox::new(x - 0.05, 0.5, x + 0.05, 0.9) }],
        clues: Clues::default(),
    };
    for at in 0..2400 {
        live.step(&one(at, if at % 300 < 200 { 0.3 } else { 0.8 }));
        if at == 700 {
            live.other(Input::Finish);
        }
        if at == 900 {
            // The disk was full.
            assert!(live.recorder.flush().is_some());
            live.recorder.begin_block();
        }
    }
    live.end();
    let (events, _, player) = played(&live.tape);
    assert_eq!(player.gaps(), 1);
    let behind =
        |events: &[Event]| events.iter().filter(|e| e.at > WallTime::from_micros(122_000_000)).cloned().collect();
    let (is, was): (Vec<Event>, Vec<Event>) = (behind(&events), behind(&live.events));
    assert!(was.len() > 3);
    assert_eq!(is, was);
}

#[test]
fn an_empty_shop_costs_almost_nothing() {
    let mut live = Live::new();
    for second in 0..24 * 3600 {
        let nobody = Detections {
            at: MediaTime::from_micros(second * 1_000_000 + 17_000),
            taken: WallTime::from_micros(1_700_000_000_123_000 + second * 1_000_000),
            aspect: 16.0 / 9.0,
            items: Vec::new(),
            clues: Clues::default(),
        };
        live.step(&nobody);
    }
    live.end();
    assert!(live.tape.len() < 25_000, "{} bytes a day", live.tape.len());
    assert_eq!(played(&live.tape).1, live.inputs);
}
