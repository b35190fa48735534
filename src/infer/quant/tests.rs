//! Small networks of every kind of layer: what bytes answer against what floats answer.

use super::calibrate::calibrate;
use super::compile::{Options, compile};
use super::float::Float;
use super::graph::{Conv, Graph, Kind, Layer, Output, Piece, Tensor, TensorId, Upsample};
use super::kernel::{Act, Isa};
use super::layout::Layout;
use super::plan::{Plan, StepKind, View};
use super::ranges::Ranges;
use super::scheme::{Curve, Scheme};
use super::session::Session;
use super::{Pictures, Progress};

/// A small generator, so that a failure is the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// -1..=1
    fn real(&mut self) -> f32 {
        self.next() as f32 / 2f32.powi(30) - 1.0
    }
}

/// A network that is put together layer by layer.
pub(super) struct Net {
    pub(super) graph: Graph,
    dice: Dice,
}

impl Net {
    pub(super) fn new(height: usize, width: usize) -> Self {
        let picture = Tensor { name: "picture".into(), height, width, channels: 3, most: f32::INFINITY };
        Net { graph: Graph { tensors: vec![picture], ..Graph::default() }, dice: Dice(7) }
    }

    pub(super) fn push(
        &mut self,
        kind: Kind,
        inputs: &[TensorId],
        height: usize,
        width: usize,
        channels: usize,
    ) -> TensorId {
        let output = self.graph.tensors.len();
        let name = format!("t{output}");
        self.graph.tensors.push(Tensor { name, height, width, channels, most: f32::INFINITY });
        self.graph.layers.push(Layer { kind, inputs: inputs.to_vec(), output });
        output
    }

    /// Channels differ in range, as they do in trained networks. Padded so that a stride of 1 keeps the size.
    pub(super) fn conv(
        &mut self,
        inputs: &[TensorId],
        channels: Option<usize>,
        side: usize,
        stride: usize,
        act: Act,
    ) -> TensorId {
        let from = self.graph.tensors[inputs[0]].clone();
        let (outputs, each) = (channels.unwrap_or(from.channels), channels.map_or(1, |_| from.channels));
        let taps = side * side;
        let size = if inputs[0] == 0 { 0.01 } else { 1.0 } * 1.5 / ((taps * each) as f32).sqrt();
        let mut weights = Vec::new();
        for _ in 0..outputs {
            let gain = size * 3f32.powf(self.dice.real());
            weights.extend((0..taps * each).map(|_| gain * self.dice.real()));
        }
        let bias = (0..outputs).map(|_| self.dice.real()).collect();
        let pad = [side / 2; 2];
        let conv = Conv { weights, bias, depthwise: channels.is_none(), kernel: [side; 2], stride, pad, act };
        let out = |size: usize| (size + 2 * (side / 2) - side) / stride + 1;
        self.push(Kind::Conv(conv), inputs, out(from.height), out(from.width), outputs)
    }

    pub(super) fn dense(&mut self, input: TensorId, channels: usize, act: Act) -> TensorId {
        self.conv(&[input], Some(channels), 1, 1, act)
    }

    pub(super) fn depthwise(&mut self, input: TensorId, side: usize, act: Act) -> TensorId {
        self.conv(&[input], None, side, 1, act)
    }

    pub(super) fn concat(&mut self, inputs: &[TensorId]) -> TensorId {
        let first = self.graph.tensors[inputs[0]].clone();
        let channels = inputs.iter().map(|input| self.graph.tensors[*input].channels).sum();
        self.push(Kind::Concat, inputs, first.height, first.width, channels)
    }

    /// A matrix of these, below each other.
    pub(super) fn output(&mut self, tensors: &[TensorId]) {
        let mut output = Output { rows: 0, columns: 0, pieces: Vec::new() };
        for tensor in tensors {
            let t = &self.graph.tensors[*tensor];
            output.pieces.push(Piece { tensor: *tensor, row: output.rows, column: 0 });
            output.rows += t.height * t.width;
            output.columns = output.columns.max(t.channels);
        }
        self.graph.outputs.push(output);
    }
}

/// Squares of colours, as pictures are: neighbours are alike.
pub(super) fn picture(graph: &Graph, seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let (height, width) = (graph.tensors[0].height, graph.tensors[0].width);
    let colours: Vec<[i32; 3]> = (0..64).map(|_| [0; 3].map(|_| (dice.next() % 256) as i32)).collect();
    let mut bytes = Vec::new();
    for i in 0..height * width {
        let colour = colours[(i / width / 4 * 8 + i % width / 4) % 64];
        bytes.extend(colour.map(|c| (c + (dice.next() % 16) as i32 - 8).clamp(0, 255) as u8));
    }
    bytes
}

fn ranges(graph: &Graph, threads: usize) -> Ranges {
    let get = |i: usize| Ok(picture(graph, 100 + i as u64));
    calibrate(graph, ZEROS, &Pictures { count: 12, get: &get }, threads, &mut |_: Progress| ()).unwrap()
}

const ZEROS: [u8; 3] = [10, 120, 200];

pub(super) fn plan(graph: &Graph, curve: Curve) -> Plan {
    compile(graph, &ranges(graph, 2), Options { curve, picture_zeros: ZEROS }).unwrap()
}

/// The error of the outputs of both ways to compute curves, of their size: root mean squares.
fn check(graph: &Graph, most: f32) {
    for curve in [Curve::Exact, Curve::Table] {
        let mut session = Session::new(plan(graph, curve), Isa::Scalar).unwrap();
        let float = Float::new(graph, ZEROS).unwrap();
        let (mut wrong, mut size) = (0.0, 0.0);
        for seed in 0..4 {
            let picture = picture(graph, seed);
            let expected = float.run(&picture, &mut |_| ()).unwrap();
            session.fill(&picture, graph.tensors[0].height);
            session.run();
            for (i, expected) in expected.iter().enumerate() {
                assert!(expected.iter().any(|x| *x != 0.0));
                for (found, expected) in session.output(i).iter().zip(expected) {
                    wrong += (found - expected).powi(2);
                    size += expected.powi(2);
                }
            }
        }
        let error = (wrong / size).sqrt();
        assert!(error < most, "{curve:?}: {error} of the size of the outputs, expected less than {most}");
        // Bytes are never exact: an error of nothing would mean that nothing was compared.
        assert!(error > 1e-5, "{curve:?}: {error}");
    }
}

#[test]
fn dense_layers_answer_as_floats_do() {
    let mut net = Net::new(13, 18);
    let stem = net.conv(&[0], Some(20), 3, 2, Act::Silu);
    let next = net.conv(&[stem], Some(33), 3, 1, Act::Silu);
    let last = net.dense(next, 7, Act::Sigmoid);
    let beside = net.dense(next, 4, Act::Slope(1.0));
    net.output(&[last, beside]);
    check(&net.graph, 0.02);
}

#[test]
fn depthwise_layers_answer_as_floats_do() {
    for act in [Act::Silu, Act::HardSwish, Act::Slope(0.0), Act::Slope(0.1)] {
        let mut net = Net::new(16, 12);
        let stem = net.conv(&[0], Some(16), 6, 2, act);
        let first = net.depthwise(stem, 3, act);
        let wide = net.dense(first, 72, act);
        let filtered = net.depthwise(wide, 5, act);
        let last = net.dense(filtered, 24, act);
        net.output(&[last]);
        check(&net.graph, 0.08);
    }
}

#[test]
fn sums_and_pools_answer_as_floats_do() {
    let mut net = Net::new(16, 16);
    let stem = net.conv(&[0], Some(24), 3, 1, Act::Slope(0.1));
    let residual = net.conv(&[stem, stem], Some(24), 3, 1, Act::Silu);
    let pooled = net.push(Kind::MaxPool { side: 3, stride: 2, pad: 1 }, &[residual], 8, 8, 24);
    let same = net.push(Kind::MaxPool { side: 5, stride: 1, pad: 2 }, &[pooled], 8, 8, 24);
    let mean = net.push(Kind::AveragePool { side: 2, stride: 2 }, &[stem], 8, 8, 24);
    let sum = net.push(Kind::Add(Act::Slope(0.0)), &[same, mean], 8, 8, 24);
    let smooth = net.push(Kind::Upsample(Upsample::Bilinear), &[sum], 16, 16, 24);
    let other = net.push(Kind::Upsample(Upsample::Nearest), &[mean], 16, 16, 24);
    let all = net.push(Kind::Add(Act::Slope(1.0)), &[smooth, other], 16, 16, 24);
    // A sum that is an output, and one that is read.
    let last = net.dense(all, 5, Act::Slope(1.0));
    net.output(&[all]);
    net.output(&[last]);
    check(&net.graph, 0.02);
}

#[test]
fn concatenations_answer_as_floats_do() {
    let mut net = Net::new(12, 12);
    let stem = net.conv(&[0], Some(20), 3, 2, Act::Silu);
    let a = net.dense(stem, 24, Act::Silu);
    let b = net.dense(stem, 40, Act::Silu);
    let inner = net.concat(&[a, b]);
    // Nested, twice in the same, in two, and read by all kinds of convolutions.
    let outer = net.concat(&[inner, stem, a, stem]);
    let c = net.conv(&[outer], Some(16), 3, 1, Act::Silu);
    let d = net.conv(&[inner], Some(24), 3, 1, Act::Silu);
    let e = net.depthwise(inner, 3, Act::Silu);
    let f = net.dense(e, 24, Act::Silu);
    let g = net.conv(&[e, inner], Some(64), 1, 1, Act::Silu);
    net.output(&[c, d, f, g, inner]);
    check(&net.graph, 0.03);
}

#[test]
fn cut_activations_stay_cut() {
    let mut net = Net::new(12, 12);
    let stem = net.conv(&[0], Some(24), 3, 1, Act::Slope(0.0));
    let last = net.dense(stem, 16, Act::Slope(0.0));
    net.graph.tensors[stem].most = 1.5;
    net.graph.tensors[last].most = 0.5;
    net.output(&[last]);
    check(&net.graph, 0.02);
}

#[test]
fn parts_of_a_concatenation_share_a_buffer() {
    let mut net = Net::new(12, 12);
    let a = net.conv(&[0], Some(24), 3, 1, Act::Silu);
    let b = net.conv(&[a], Some(16), 5, 1, Act::Silu);
    let inner = net.concat(&[a, b]);
    let c = net.conv(&[inner], Some(8), 3, 1, Act::Silu);
    let outer = net.concat(&[c, inner, a]);
    let last = net.dense(outer, 3, Act::Slope(1.0));
    net.output(&[last]);
    let layout = Layout::new(&net.graph).unwrap();
    let view = |tensor: TensorId| layout.views[tensor].map(|v| (v.buffer, v.channel, v.channels));
    assert_eq!(
        [0, a, b, inner, c, outer, last].map(view),
        [
            Some((0, 0, 3)),
            Some((1, 16, 32)),
            Some((1, 48, 16)),
            Some((1, 16, 48)),
            Some((1, 0, 16)),
            Some((1, 0, 96)),
            None
        ]
    );
    let sizes: Vec<_> = layout.buffers.iter().map(|b| (b.height, b.width, b.channels, b.border)).collect();
    assert_eq!(sizes, [(12, 12, 3, 1), (12, 12, 96, 2)]);
    let copies: Vec<_> = net.graph.layers.iter().flat_map(|layer| layout.copies(layer)).collect();
    let part = |channel: usize| View { buffer: 1, channel, channels: 32 };
    assert_eq!(copies, [[part(16), part(64)]]);
    assert_eq!(layout.slots[inner][..25], [(0..24).collect::<Vec<_>>(), vec![32]].concat());
}

/// What weights and bytes of a layer make of its mean does not show in what it answers.
#[test]
fn means_stay_where_they_are() {
    let mut net = Net::new(16, 16);
    let stem = net.conv(&[0], Some(32), 3, 1, Act::Silu);
    let wide = net.conv(&[stem], Some(48), 3, 1, Act::Silu);
    let last = net.dense(wide, 24, Act::Slope(1.0));
    net.output(&[last]);
    let ranges = ranges(&net.graph, 2);
    let mut without = ranges.clone();
    without.tensors.values_mut().for_each(|range| (range.table, range.exact) = Default::default());
    let float = Float::new(&net.graph, ZEROS).unwrap();
    for curve in [Curve::Exact, Curve::Table] {
        // How far the mean of each column is from that of the floats, over the pictures that were calibrated with.
        let offset = |ranges: &Ranges| {
            let plan = compile(&net.graph, ranges, Options { curve, picture_zeros: ZEROS }).unwrap();
            let mut session = Session::new(plan.clone(), Isa::Scalar).unwrap();
            let mut sums = [0f64; 24];
            for i in 0..12 {
                let picture = picture(&net.graph, 100 + i);
                session.fill(&picture, 16);
                session.run();
                let expected = float.run(&picture, &mut |_| ()).unwrap();
                for (n, (found, expected)) in session.output(0).iter().zip(&expected[0]).enumerate() {
                    sums[n % 24] += f64::from(found - expected);
                }
            }
            sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt()
        };
        let (with, without) = (offset(&ranges), offset(&without));
        assert!(with < 0.5 * without, "{curve:?}: {with} with shifts, {without} without");
    }
}

/// The channels of the one tensor that has tables and is read by a depthwise convolution only.
#[test]
fn channels_of_a_block_are_alike() {
    let mut net = Net::new(12, 12);
    let stem = net.conv(&[0], Some(16), 3, 1, Act::Slope(0.1));
    let wide = net.dense(stem, 48, Act::Silu);
    let filtered = net.depthwise(wide, 3, Act::Silu);
    let last = net.dense(filtered, 8, Act::Slope(1.0));
    net.output(&[last]);
    let ranges = ranges(&net.graph, 1);
    let layout = Layout::new(&net.graph).unwrap();
    let scheme = Scheme::new(&net.graph, &layout, &ranges, Curve::Table).unwrap();
    let extent = |channel: &usize| ranges.tensors["t2"].channels[*channel].map(f32::abs).iter().sum::<f32>();
    assert!(scheme.orders[wide].is_sorted_by_key(extent), "{:?}", scheme.orders[wide]);
    assert_eq!(scheme.orders[wide], scheme.orders[filtered]);
    assert!(scheme.orders[stem].is_empty() && scheme.orders[last].is_empty());
    let scales: Vec<f32> = scheme.steps[wide].iter().map(|step| step.scale).collect();
    assert!(scales.is_sorted() && scales[0] < scales[47] && scales[32] == scales[47], "{scales:?}");
    assert_eq!(scheme.tables, [false, false, true, true, false]);
}

#[test]
fn ranges_are_the_same_on_any_number_of_threads_and_can_be_written_down() {
    let mut net = Net::new(12, 12);
    let stem = net.conv(&[0], Some(20), 3, 2, Act::Silu);
    let next = net.dense(stem, 33, Act::Silu);
    let last = net.dense(next, 3, Act::Slope(1.0));
    net.output(&[last]);
    let found = ranges(&net.graph, 1);
    let text = found.to_text();
    assert_eq!(text, ranges(&net.graph, 3).to_text());
    let read = Ranges::parse(&text).unwrap();
    assert_eq!(read, found);
    assert_eq!(read.tensors.keys().collect::<Vec<_>>(), ["t1", "t2", "t3"]);
    let options = Options { curve: Curve::Table, picture_zeros: ZEROS };
    let plan = format!("{:?}", compile(&net.graph, &found, options).unwrap());
    assert_eq!(plan, format!("{:?}", compile(&net.graph, &read, options).unwrap()));
}

#[test]
fn what_does_not_fit_is_named() {
    let mut net = Net::new(12, 12);
    let stem = net.conv(&[0], Some(20), 3, 2, Act::Silu);
    let next = net.dense(stem, 33, Act::Silu);
    let last = net.dense(next, 3, Act::Slope(1.0));
    net.output(&[last]);
    let ranges = ranges(&net.graph, 1);
    let options = Options { curve: Curve::Table, picture_zeros: ZEROS };
    let check = |graph: &Graph, ranges: &Ranges, expected: &str| {
        let error = format!("{:#}", compile(graph, ranges, options).unwrap_err());
        assert!(error.contains(expected), "{error:?}, expected {expected:?}");
    };
    let mut less = ranges.clone();
    less.tensors.remove("t2");
    check(&net.graph, &less, "t2");
    let mut shorter = ranges.clone();
    shorter.tensors.get_mut("t1").unwrap().channels.pop();
    check(&net.graph, &shorter, "19 channels, expected 20");
    let mut tables = ranges.clone();
    tables.tensors.get_mut("t2").unwrap().sums.pop();
    check(&net.graph, &tables, "t2");
    let mut graph = net.graph.clone();
    graph.layers.swap(1, 2);
    check(&graph, &ranges, "before its input");
    let mut graph = net.graph.clone();
    graph.tensors[next].channels = 32;
    check(&graph, &ranges, "t2");
    for text in
        ["", "{}", "{\"schema\": 1, \"tensors\": {}}", "{\"schema\": 2, \"tensors\": {\"a\": {\"channels\": \"1\"}}}"]
    {
        assert!(Ranges::parse(text).is_err(), "{text}");
    }
    let backwards = "{\"schema\": 2, \"tensors\": {\"a\": {\"channels\": \"1:-1\"}}}";
    assert!(format!("{:#}", Ranges::parse(backwards).unwrap_err()).contains("range of a"));
}

/// Outputs that nobody else reads are written as reals by their convolution.
#[test]
fn outputs_are_not_rounded_to_bytes() {
    let mut net = Net::new(8, 8);
    let stem = net.conv(&[0], Some(16), 3, 1, Act::Silu);
    let a = net.dense(stem, 8, Act::Sigmoid);
    let b = net.dense(a, 8, Act::Slope(1.0));
    net.output(&[a, b]);
    let plan = plan(&net.graph, Curve::Table);
    let reals = |kind: &StepKind| match kind {
        StepKind::Dense { conv, .. } => matches!(conv.to, super::plan::Target::Reals { .. }),
        StepKind::Reals { .. } => true,
        _ => false,
    };
    let steps: Vec<_> = plan.steps.iter().map(|step| (step.name.as_str(), reals(&step.kind))).collect();
    assert_eq!(steps, [("t1", false), ("t2", false), ("t2", true), ("t3", true)]);
}
