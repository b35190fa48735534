//! Plans and files that do not fit themselves are refused with a sentence, and what a plan may touch is looked at.

use super::file;
use super::graph::{Graph, Kind, Upsample};
use super::kernel::{Act, Dense, Epilogue, Isa, SLACK};
use super::places::{Life, lives};
use super::plan::{Buffer, Conv, Place, Plan, Step, StepKind, Sum, Target, View};
use super::scheme::Curve;
use super::session::Session;
use super::tests::{Net, picture, plan};
use serde_json::{Value, json};

const NANODET: &[u8] = include_bytes!("../../../models/nanodet-g/int8/nanodet-g.int8");

/// A network that makes every kind of step.
fn every_kind() -> Graph {
    let mut net = Net::new(16, 16);
    let stem = net.conv(&[0], Some(24), 3, 1, Act::Slope(0.1));
    let residual = net.conv(&[stem, stem], Some(24), 3, 1, Act::Silu);
    let filtered = net.depthwise(residual, 5, Act::Silu);
    let pooled = net.push(Kind::MaxPool { side: 3, stride: 2, pad: 1 }, &[filtered], 8, 8, 24);
    let mean = net.push(Kind::AveragePool { side: 2, stride: 2 }, &[stem], 8, 8, 24);
    let sum = net.push(Kind::Add(Act::Slope(0.0)), &[pooled, mean], 8, 8, 24);
    let smooth = net.push(Kind::Upsample(Upsample::Bilinear), &[sum], 16, 16, 24);
    let other = net.push(Kind::Upsample(Upsample::Nearest), &[mean], 16, 16, 24);
    let all = net.concat(&[smooth, other, stem, smooth]);
    let last = net.conv(&[all], Some(20), 3, 2, Act::HardSwish);
    let answer = net.dense(last, 5, Act::Sigmoid);
    net.output(&[answer]);
    net.output(&[sum]);
    net.graph
}

/// The first step of this name, of a plan that has it.
fn step<'a>(plan: &'a mut Plan, kind: &str) -> &'a mut StepKind {
    let found = plan.steps.iter_mut().map(|step| &mut step.kind).find(|step| name(step) == kind);
    found.unwrap_or_else(|| panic!("a step {kind}"))
}

fn name(kind: &StepKind) -> &'static str {
    match kind {
        StepKind::Dense { conv, .. } if matches!(conv.to, Target::Reals { .. }) => "answer",
        StepKind::Dense { added: Some(_), .. } => "residual",
        StepKind::Dense { .. } => "dense",
        StepKind::Depthwise { .. } => "depthwise",
        StepKind::MaxPool { .. } => "max",
        StepKind::AveragePool { .. } => "average",
        StepKind::Upsample { how: Upsample::Nearest, .. } => "nearest",
        StepKind::Upsample { how: Upsample::Bilinear, .. } => "bilinear",
        StepKind::Add { .. } => "add",
        StepKind::Copy { .. } => "copy",
        StepKind::Reals { .. } => "reals",
    }
}

const KINDS: [&str; 11] =
    ["dense", "residual", "answer", "depthwise", "max", "average", "nearest", "bilinear", "add", "copy", "reals"];

fn conv<'a>(plan: &'a mut Plan, kind: &str) -> (&'a mut Conv<Dense>, &'a mut Epilogue, &'a mut Option<View>) {
    match step(plan, kind) {
        StepKind::Dense { conv, epilogue, added } => (conv, epilogue, added),
        other => panic!("{} is no convolution over all channels", name(other)),
    }
}

fn place(plan: &mut Plan) -> (&mut Place, &mut usize, &mut usize) {
    match &mut conv(plan, "answer").0.to {
        Target::Reals { place, height, width } => (place, height, width),
        Target::Bytes(_) => panic!("an answer is in reals"),
    }
}

/// Two buffers more, and steps from the first to the second.
fn append(plan: &mut Plan, shapes: [[usize; 3]; 2], times: usize, kind: impl Fn(View, View) -> StepKind) {
    let views = shapes.map(|[height, width, channels]| {
        plan.buffers.push(Buffer { height, width, channels, border: 0, zeros: vec![0; channels] });
        View { buffer: plan.buffers.len() - 1, channel: 0, channels }
    });
    for _ in 0..times {
        plan.steps.push(Step { name: "more".into(), kind: kind(views[0], views[1]) });
    }
}

/// What is done to a plan that was right, and what is said about it.
type Fault = (&'static str, fn(&mut Plan));

const HUGE: usize = usize::MAX;

const CONVOLUTIONS: &[Fault] = &[
    ("its kernel is", |p| conv(p, "dense").0.kernel = [HUGE, 1]),
    ("its kernel is", |p| conv(p, "dense").0.kernel = [1 << 40, 1 << 40]),
    ("its kernel is", |p| conv(p, "residual").0.kernel = [3, 0]),
    ("its kernel is", |p| conv(p, "answer").0.kernel = [17, 1]),
    ("its weights are packed for", |p| conv(p, "residual").0.kernel = [3, 2]),
    ("its weights are packed for", |p| conv(p, "dense").0.weights = Dense::new(&[1; 32 * 9], 32, 1, 9)),
    ("its constants are", |p| conv(p, "dense").0.weights = Dense::new(&[1; 16 * 27], 16, 3, 9)),
    ("is in no buffer", |p| conv(p, "dense").0.from.buffer = 99),
    ("is in no buffer", |p| conv(p, "dense").0.from.channel = HUGE),
    ("is in no buffer", |p| conv(p, "residual").0.from.channels = 0),
    ("is in no buffer", |p| conv(p, "residual").0.from.channels = HUGE),
    ("it reads 8 channels of", |p| conv(p, "residual").0.from.channels = 8),
    ("beyond the border", |p| conv(p, "dense").0.stride = 0),
    ("beyond the border", |p| conv(p, "dense").0.stride = 2),
    ("beyond the border", |p| conv(p, "dense").0.stride = HUGE),
    ("beyond the border", |p| conv(p, "dense").0.pad = [HUGE, 0]),
    ("beyond the border", |p| conv(p, "dense").0.pad = [0, 0]),
    ("beyond the border", |p| p.buffers[0].border = 0),
    ("is in no buffer", |p| conv(p, "dense").0.to = Target::Bytes(View { buffer: HUGE, channel: 0, channels: 32 })),
    ("writes where it reads", |p| {
        let (conv, ..) = conv(p, "residual");
        conv.to = Target::Bytes(conv.from);
    }),
    ("is in no buffer", |p| {
        let (conv, _, added) = conv(p, "residual");
        let Target::Bytes(to) = conv.to else { return };
        *added = Some(View { channel: HUGE, ..to });
    }),
    ("writes where it reads", |p| {
        let (conv, _, added) = conv(p, "residual");
        let Target::Bytes(to) = conv.to else { return };
        *added = Some(to);
    }),
    ("it needs a tensor", |p| *conv(p, "residual").2 = Some(View { buffer: 0, channel: 0, channels: 3 })),
    ("its constants are", |p| *conv(p, "residual").2 = None),
    ("its constants are", |p| conv(p, "dense").1.mult.truncate(9)),
    ("its constants are", |p| conv(p, "dense").1.zero.truncate(9)),
    ("its constants are", |p| conv(p, "residual").1.add_scale.push(1.0)),
    ("its constants are", |p| {
        let StepKind::Depthwise { epilogue, .. } = step(p, "depthwise") else { return };
        epilogue.table.truncate(9);
    }),
    ("its constants are", |p| conv(p, "dense").1.act = Act::Table),
    ("no finite number", |p| conv(p, "dense").1.bias[31] = f32::NAN),
    ("no finite number", |p| conv(p, "dense").1.scale[0] = f32::INFINITY),
    ("no finite number", |p| conv(p, "dense").1.act = Act::Slope(1e10)),
    ("its kernel is", |p| {
        let StepKind::Depthwise { conv, .. } = step(p, "depthwise") else { return };
        conv.kernel = [5, HUGE];
    }),
    ("it has weights for 32 channels of 16", |p| {
        let StepKind::Depthwise { conv, .. } = step(p, "depthwise") else { return };
        conv.from.channels = 16;
    }),
    ("beyond the border", |p| {
        let StepKind::Depthwise { conv, .. } = step(p, "depthwise") else { return };
        conv.stride = 2;
    }),
];

const OUTPUTS: &[Fault] = &[
    ("there is no output 9", |p| place(p).0.output = 9),
    // Of nothing, which fits everywhere.
    ("its answer is", |p| {
        let (place, height, _) = place(p);
        (*place, *height) = (Place { output: 9, row: 0, column: 0, channels: 0 }, 0);
    }),
    ("does not fit into an output", |p| place(p).0.channels = 0),
    ("does not fit into an output", |p| place(p).0.channels = 6),
    ("its answer is", |p| place(p).0.channels = 33),
    ("does not fit into an output", |p| place(p).0.row = 1),
    ("does not fit into an output", |p| place(p).0.row = HUGE),
    ("does not fit into an output", |p| place(p).0.column = HUGE),
    ("does not fit into an output", |p| *place(p).1 = 9),
    ("its answer is", |p| *place(p).1 = HUGE),
    ("its answer is", |p| *place(p).2 = 0),
    ("its outputs are of", |p| p.outputs[0] = [0, HUGE]),
    ("its outputs are of", |p| p.outputs[0] = [HUGE, HUGE]),
    ("its outputs are of", |p| p.outputs.extend([[1 << 14, 1 << 10]; 17])),
    ("there is no output", |p| p.outputs.clear()),
];

const BUFFERS: &[Fault] = &[
    ("it reads no picture", |p| p.buffers.clear()),
    ("it reads no picture", |p| p.buffers.swap(0, 1)),
    ("buffer 1 is", |p| p.buffers[1].height = 0),
    ("buffer 1 is", |p| p.buffers[1].width = (1 << 14) + 1),
    ("buffer 1 is", |p| p.buffers[1].border = HUGE),
    ("zeros for", |p| p.buffers[1].zeros.truncate(9)),
    ("zeros for", |p| p.buffers[1].zeros.clear()),
    ("its buffers need more than", |p| (p.buffers[1].height, p.buffers[1].width) = (1 << 14, 1 << 14)),
];

const OTHERS: &[Fault] = &[
    ("pixels every", |p| pool(p, |[_, stride, _]| *stride = HUGE)),
    ("pixels every", |p| pool(p, |[_, stride, _]| *stride = 0)),
    ("pixels every", |p| pool(p, |[side, ..]| *side = HUGE)),
    ("pixels every", |p| pool(p, |[.., pad]| *pad = 3)),
    ("it pools beyond", |p| pool(p, |[_, stride, _]| *stride = 3)),
    ("pixels every", |p| mean(p, |[side, _]| *side = 0)),
    ("pixels every", |p| mean(p, |[_, stride]| *stride = HUGE)),
    ("it pools beyond", |p| mean(p, |[side, _]| *side = 3)),
    ("products for a picture", |p| {
        append(p, [[1087, 1087, 16], [1024, 1024, 16]], 5, |from, to| StepKind::AveragePool {
            from,
            to,
            side: 64,
            stride: 1,
        });
    }),
    ("it makes", |p| {
        let StepKind::Upsample { from, to, .. } = step(p, "nearest") else { return };
        *to = *from;
    }),
    ("it makes", |p| {
        let StepKind::Upsample { from, to, .. } = step(p, "bilinear") else { return };
        *from = *to;
    }),
    ("it copies", |p| {
        let StepKind::Copy { to, .. } = step(p, "copy") else { return };
        to.channels = 16;
    }),
    ("it adds", |p| {
        let StepKind::Add { to, .. } = step(p, "add") else { return };
        to.channels = 16;
    }),
    ("beyond what it may be", |p| sum(p, |sum| sum.scales[1][3] = -1)),
    ("beyond what it may be", |p| sum(p, |sum| sum.scales[0][3] = Sum::MOST + 1)),
    ("beyond what it may be", |p| sum(p, |sum| sum.zero[0] = i32::MIN)),
    ("its constants are", |p| sum(p, |sum| sum.floor.clear())),
    ("no finite number", |p| reals(p, |scale, _| scale[0] = f32::NAN)),
    ("its constants are", |p| reals(p, |scale, _| scale.clear())),
    ("its constants are", |p| reals(p, |_, to| to.channels = 33)),
    ("does not fit into an output", |p| reals(p, |_, to| to.row = HUGE)),
    ("there is no output", |p| reals(p, |_, to| to.output = HUGE)),
];

fn pool(plan: &mut Plan, f: impl FnOnce([&mut usize; 3])) {
    let StepKind::MaxPool { side, stride, pad, .. } = step(plan, "max") else { return };
    f([side, stride, pad]);
}

fn mean(plan: &mut Plan, f: impl FnOnce([&mut usize; 2])) {
    let StepKind::AveragePool { side, stride, .. } = step(plan, "average") else { return };
    f([side, stride]);
}

fn sum(plan: &mut Plan, f: impl FnOnce(&mut Sum)) {
    let StepKind::Add { sum, .. } = step(plan, "add") else { return };
    f(sum);
}

fn reals(plan: &mut Plan, f: impl FnOnce(&mut Vec<f32>, &mut Place)) {
    let StepKind::Reals { scale, to, .. } = step(plan, "reals") else { return };
    f(scale, to);
}

#[test]
fn a_plan_that_does_not_fit_itself_is_refused_with_a_sentence() {
    let right = plan(&every_kind(), Curve::Table);
    Session::new(right.clone(), Isa::Scalar).unwrap();
    for (table, faults) in
        [("convolutions", CONVOLUTIONS), ("outputs", OUTPUTS), ("buffers", BUFFERS), ("others", OTHERS)]
    {
        for (i, (expected, spoil)) in faults.iter().enumerate() {
            let mut plan = right.clone();
            spoil(&mut plan);
            let Err(error) = Session::new(plan, Isa::Scalar) else { panic!("fault {i} of {table} is not found") };
            let text = format!("{error:#}");
            assert!(text.contains(expected) && !text.contains('\n'), "{i} of {table}: {text:?}, expected {expected:?}");
        }
    }
}

/// A file whose description has something else in one place.
fn described(file: &[u8], pointer: &str, value: Value) -> Vec<u8> {
    let length = u32::from_le_bytes(file[8..12].try_into().unwrap()) as usize;
    let mut description: Value = serde_json::from_slice(&file[12..12 + length]).unwrap();
    *description.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} in a description")) = value;
    let text = description.to_string();
    [&file[..8], &(text.len() as u32).to_le_bytes(), text.as_bytes(), &file[12 + length..]].concat()
}

#[test]
fn a_file_that_is_no_plan_is_refused_with_a_sentence() {
    let right = file::write(&plan(&every_kind(), Curve::Table)).unwrap();
    file::read(&right).unwrap();
    let first = |field: &str, value: Value| described(&right, &format!("/steps/0/1/conv/{field}"), value);
    let with = |at: usize, bytes: &[u8]| {
        let mut file = right.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let faults: Vec<(&str, Vec<u8>)> = vec![
        ("too short", vec![]),
        ("too short", right[..11].to_vec()),
        ("begins otherwise", with(0, b"w")),
        ("version 2", with(7, &[2])),
        ("description of 4294967295 bytes", with(8, &[255; 4])),
        ("description cannot be read", with(12, b"[")),
        ("description cannot be read", first("stride", json!(-1))),
        ("description cannot be read", first("stride", json!(1.5))),
        ("description cannot be read", described(&right, "/outputs", json!({}))),
        ("do not lie in", right[..right.len() - 1].to_vec()),
        ("do not lie in", first("mult", json!([usize::MAX, 8]))),
        ("do not lie in", first("mult", json!([8, usize::MAX]))),
        ("are no floats", first("mult", json!([0, 3]))),
        // Everything twice would be a small file of a large plan.
        ("somebody else's", first("mult", json!([0, right.len() / 8 * 4]))),
        ("weights for a shape", first("weights/dense/segments", json!(2))),
        ("its weights are", first("weights/dense/segments", json!(1u64 << 40))),
        ("its weights are", first("weights/dense/outputs", json!(0))),
        ("multiple of 16", first("weights/dense/outputs", json!(8))),
        ("cannot be printed", described(&right, "/steps/0/0", json!("a\nb"))),
        ("cannot be printed", described(&right, "/steps/0/0", json!("a".repeat(201)))),
    ];
    for (i, (expected, file)) in faults.iter().enumerate() {
        let Err(error) = file::read(file) else { panic!("fault {i} is not found") };
        let text = format!("{error:#}");
        assert!(text.contains(expected) && !text.contains('\n'), "{i}: {text:?}, expected {expected:?}");
    }
}

/// The definition looks at every place it touches (in builds that test); the others leave the same memory behind, all
/// buffers with their borders and what lies between them, on any number of threads. And nobody's answer depends on which
/// buffers share memory.
fn leaves_the_same_memory_everywhere(plan: &Plan, picture: &[u8]) {
    let height = plan.buffers[0].height;
    let mut expected = Session::new(plan.clone(), Isa::Scalar).unwrap();
    expected.fill(picture, height);
    let before = expected.memory().0.to_vec();
    expected.run();
    assert_ne!(expected.memory().0, before, "something is computed");
    for isa in Isa::available().into_iter().skip(1) {
        let mut found = Session::new(plan.clone(), isa).unwrap();
        found.fill(picture, height);
        // More than once, so that nothing depends on what was there before.
        for threads in [1, 1, 2, 3] {
            found.set_threads(threads).unwrap();
            found.run();
            assert!(found.memory() == expected.memory(), "{} on {threads} threads", isa.name());
        }
    }
    let mut apart = Session::apart(plan.clone(), Isa::best()).unwrap();
    apart.fill(picture, height);
    apart.run();
    assert_eq!(apart.memory().1, expected.memory().1, "buffers that share memory");
    assert!(expected.arena_bytes() < apart.arena_bytes());
}

#[test]
fn every_kind_of_step_stays_within_its_bounds() {
    let graph = every_kind();
    for curve in [Curve::Table, Curve::Exact] {
        let plan = plan(&graph, curve);
        for kind in KINDS {
            assert!(plan.steps.iter().any(|step| name(&step.kind) == kind), "there is a step {kind}");
        }
        leaves_the_same_memory_everywhere(&plan, &picture(&graph, 3));
    }
}

#[test]
fn the_embedded_network_stays_within_its_bounds() {
    let plan = file::read(NANODET).unwrap();
    let picture: Vec<u8> = (0..416 * 416 * 3u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    leaves_the_same_memory_everywhere(&plan, &picture);
}

/// No more than a tenth above what is alive at the worst moment, besides the picture.
#[test]
fn buffers_share_their_memory() {
    let plan = file::read(NANODET).unwrap();
    let lives = lives(plan.buffers.len(), plan.steps.iter().map(|step| &step.kind));
    let length = |b: &Buffer| (b.height + 2 * b.border) * (b.width + 2 * b.border) * b.channels + SLACK;
    let alive = |step: usize| {
        let needed = |life: &Option<Life>| life.is_none_or(|life| (life.first..=life.last).contains(&step));
        plan.buffers.iter().zip(&lives).filter(|(_, life)| needed(life)).map(|(b, _)| length(b)).sum::<usize>()
    };
    let least = (0..plan.steps.len()).map(alive).max().unwrap();
    let found = Session::new(plan.clone(), Isa::Scalar).unwrap().arena_bytes();
    assert!(found >= least && found <= least / 10 * 11, "{found} bytes, {least} are alive at once");
}

/// A buffer that is thought dead while somebody still reads it changes the answer, or is refused.
#[test]
#[cfg_attr(not(debug_assertions), ignore = "only debug builds spoil what is dead")]
fn what_is_dead_is_poisoned() {
    let graph = every_kind();
    let plan = plan(&graph, Curve::Table);
    let lives = lives(plan.buffers.len(), plan.steps.iter().map(|step| &step.kind));
    let answer = |lives: &[Option<Life>]| {
        let mut session = Session::of(plan.clone(), Isa::best(), lives)?;
        session.fill(&picture(&graph, 3), 16);
        session.run();
        anyhow::Ok(session.memory().1)
    };
    let right = answer(&lives).unwrap();
    let (mut poisoned, mut refused) = (0, 0);
    for (buffer, life) in lives.iter().enumerate() {
        if let Some(Life { first, last }) = *life
            && first < last
        {
            let mut wrong = lives.clone();
            wrong[buffer] = Some(Life { first, last: last - 1 });
            match answer(&wrong) {
                Ok(found) => {
                    assert!(found != right, "buffer {buffer}");
                    poisoned += 1;
                }
                Err(error) => {
                    assert!(format!("{error:#}").contains("writes where it reads"), "{error:#}");
                    refused += 1;
                }
            }
        }
    }
    assert!(poisoned > 3 && refused > 0, "{poisoned} and {refused}");
}

/// What is read before it is written stays, from picture to picture.
#[test]
fn a_buffer_that_is_read_first_shares_with_nobody() {
    let mut plan = plan(&every_kind(), Curve::Table);
    let lives = |plan: &Plan| lives(plan.buffers.len(), plan.steps.iter().map(|step| &step.kind));
    let kept = |plan: &Plan| lives(plan).iter().filter(|life| life.is_none()).count();
    assert_eq!((kept(&plan), lives(&plan)[0]), (1, None), "the picture alone");
    plan.steps.remove(0);
    assert_eq!(kept(&plan), 2);
}
