//! What the bytes of every tensor mean, and which layers become tables.
//!
//! A convolution does not mind when its input's channels have steps of their own: they fold into its weights. So
//! - what only depthwise convolutions read has a step per channel, as fine as each channel allows: nothing is lost,
//!   since every weight sees one channel only;
//! - what others read has a step per channel that is the mean (of logarithms) of the channel's own and of one that all
//!   share: then neither bytes nor weights lose much;
//! - what comes out of a table has a step per block of channels, since a block shares its table. Where only depthwise
//!   convolutions read it, its channels are first sorted by their range, so that a block's are alike.

use super::clip::Step;
use super::graph::{Conv, Graph, Kind, Layer, TensorId};
use super::kernel::BLOCK;
use super::layout::{Layout, straight};
use super::plan::Sum;
use super::ranges::{Ends, Ranges};
use super::samples::is_curved;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

/// How curved activations are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Curve {
    /// Looked up, where little is lost by it: the fastest.
    #[default]
    Table,
    /// As they are defined.
    Exact,
}

#[derive(Debug, Clone)]
pub struct Scheme {
    /// The network with some channels in another order.
    pub graph: Graph,
    /// Of every tensor, which channel each was; empty where they stayed.
    pub orders: Vec<Vec<usize>>,
    /// Of every tensor, per channel.
    pub steps: Vec<Vec<Step>>,
    /// Whether the layer that makes a tensor is a table.
    pub tables: Vec<bool>,
}

impl Scheme {
    /// # Errors
    /// Ranges that are not those of this network.
    pub fn new(graph: &Graph, layout: &Layout, ranges: &Ranges, curve: Curve) -> Result<Self> {
        let mut orders = vec![Vec::new(); graph.tensors.len()];
        let mut reordered = graph.clone();
        // A block of a table is one of channels as they lie.
        let side_by_side = |tensor: TensorId| layout.slots[tensor].iter().enumerate().all(|(n, slot)| n == *slot);
        let table = |tensor| curve == Curve::Table && can_be_table(graph, tensor) && side_by_side(tensor);
        let tables: Vec<bool> = (0..graph.tensors.len()).map(table).collect();
        for (tensor, table) in tables.iter().enumerate() {
            if *table && only_depthwise(graph, tensor) {
                let channels = &ranges.tensors.get(&graph.tensors[tensor].name).context("no range")?.channels;
                let mut order: Vec<usize> = (0..channels.len()).collect();
                let extent = |channel: &usize| channels[*channel][1] - channels[*channel][0];
                order.sort_by(|a, b| extent(a).total_cmp(&extent(b)).then(a.cmp(b)));
                reorder(&mut reordered, &mut orders, tensor, &order);
            }
        }
        let mut scheme = Scheme { steps: vec![Vec::new(); graph.tensors.len()], graph: reordered, orders, tables };
        // Bytes of the picture are what they are.
        scheme.steps[0] = vec![Step { scale: 1.0, zero: 0 }; graph.tensors[0].channels];
        for layer in &graph.layers {
            let name = &graph.tensors[layer.output].name;
            scheme.steps[layer.output] =
                scheme.steps_of(layer, ranges).with_context(|| format!("the ranges do not fit layer {name}"))?;
        }
        Ok(scheme)
    }

    fn steps_of(&self, layer: &Layer, ranges: &Ranges) -> Result<Vec<Step>> {
        let (graph, tensor) = (&self.graph, layer.output);
        match layer.kind {
            Kind::Concat => return Ok(layer.inputs.iter().flat_map(|part| self.steps[*part].clone()).collect()),
            Kind::MaxPool { .. } | Kind::AveragePool { .. } | Kind::Upsample(_) => {
                return Ok(self.steps[layer.inputs[0]].clone());
            }
            Kind::Conv(_) if straight(graph, tensor).is_some() => return Ok(Vec::new()),
            Kind::Conv(_) | Kind::Add(_) => {}
        }
        let range = ranges.tensors.get(&graph.tensors[tensor].name).context("it has no range")?;
        let count = graph.tensors[tensor].channels;
        ensure!(range.channels.len() == count, "{} channels, expected {count}", range.channels.len());
        let channels: Vec<Ends> = if self.orders[tensor].is_empty() {
            range.channels.clone()
        } else {
            self.orders[tensor].iter().map(|channel| range.channels[*channel]).collect()
        };
        let own = only_depthwise(graph, tensor);
        let mut steps = if self.tables[tensor] {
            let blocks: Vec<Ends> = channels.chunks(BLOCK).map(around).collect();
            let steps = if own { blocks.iter().map(|ends| Step::of(*ends)).collect() } else { between(&blocks) };
            (0..count).map(|channel| steps[channel / BLOCK]).collect()
        } else if own {
            channels.iter().map(|ends| Step::of(*ends)).collect()
        } else {
            between(&channels)
        };
        if let Kind::Add(_) = layer.kind {
            // What is added may not be so much coarser than the sum that it leaves 32 bits.
            let most = (Sum::MOST / Sum::ONE) as f32 / 2.0;
            for (i, step) in steps.iter_mut().enumerate() {
                let coarsest = layer.inputs.iter().map(|input| self.steps[*input][i].scale).fold(0.0, f32::max);
                if step.scale < coarsest / most {
                    *step = Step::with(coarsest / most, channels[i][0]);
                }
            }
        }
        Ok(steps)
    }

    /// A channel of the network as it was, for each of a tensor's.
    pub fn order(&self, tensor: TensorId) -> Vec<usize> {
        let order = &self.orders[tensor];
        if order.is_empty() { (0..self.graph.tensors[tensor].channels).collect() } else { order.clone() }
    }
}

/// The range that holds all of them.
fn around(all: &[Ends]) -> Ends {
    all.iter().fold([0.0, 0.0], |ends, one| [ends[0].min(one[0]), ends[1].max(one[1])])
}

/// Steps halfway (in logarithms) between each one's own and that of the widest.
fn between(all: &[Ends]) -> Vec<Step> {
    let extent = |ends: &Ends| (ends[1].max(0.0) - ends[0].min(0.0)).max(1e-3);
    let widest = all.iter().map(extent).fold(0.0, f32::max);
    all.iter().map(|ends| Step::with((extent(ends) * widest).sqrt() / 255.0, ends[0])).collect()
}

/// The layers that see a tensor, be it as a part of something.
fn readers(graph: &Graph, tensor: TensorId) -> Vec<&Layer> {
    let mut found = Vec::new();
    for layer in graph.readers(tensor) {
        if matches!(layer.kind, Kind::Concat) { found.extend(readers(graph, layer.output)) } else { found.push(layer) }
    }
    found
}

/// Whether every weight that a tensor meets is for one of its channels only.
fn only_depthwise(graph: &Graph, tensor: TensorId) -> bool {
    let readers = readers(graph, tensor);
    let depthwise =
        |layer: &&Layer| matches!(&layer.kind, Kind::Conv(conv) if conv.depthwise) && layer.inputs.len() == 1;
    !readers.is_empty() && !graph.is_output(tensor) && readers.iter().all(depthwise)
}

fn can_be_table(graph: &Graph, tensor: TensorId) -> bool {
    let Some(layer) = graph.maker(tensor) else { return false };
    let Kind::Conv(conv) = &layer.kind else { return false };
    is_curved(conv.act)
        && straight(graph, tensor).is_none()
        && layer.inputs.len() == 1
        && (!only_depthwise(graph, tensor) || can_be_sorted(graph, layer))
}

/// Whether the channels of what a layer makes can be put into another order without anybody else noticing.
fn can_be_sorted(graph: &Graph, layer: &Layer) -> bool {
    let is_dense = |layer: &Layer| matches!(&layer.kind, Kind::Conv(conv) if !conv.depthwise);
    let reads_once = |layer: &Layer, tensor: TensorId| layer.inputs[0] == tensor && layer.inputs.len() == 1;
    let tensor = layer.output;
    is_dense(layer)
        && layer.inputs.len() == 1
        && graph.tensors[tensor].channels > BLOCK
        && graph.readers(tensor).all(|reader| {
            let made = reader.output;
            matches!(&reader.kind, Kind::Conv(conv) if conv.depthwise)
                && reads_once(reader, tensor)
                && !graph.is_output(made)
                && graph
                    .readers(made)
                    .all(|next| is_dense(next) && next.inputs[0] == made && next.inputs.get(1) != Some(&made))
        })
}

/// Puts the channels of a tensor into an order, and those of the depthwise convolutions behind it.
fn reorder(graph: &mut Graph, orders: &mut [Vec<usize>], tensor: TensorId, order: &[usize]) {
    let mut made: Vec<TensorId> = vec![tensor];
    made.extend(graph.readers(tensor).map(|reader| reader.output));
    for layer in &mut graph.layers {
        let Kind::Conv(conv) = &mut layer.kind else { continue };
        if made.contains(&layer.output) {
            reorder_outputs(conv, order);
            orders[layer.output] = order.to_vec();
        } else if made.contains(&layer.inputs[0]) {
            let each = order.len();
            conv.weights = conv.weights.chunks_exact(each).flat_map(|tap| order.iter().map(|c| tap[*c])).collect();
        }
    }
}

fn reorder_outputs(conv: &mut Conv, order: &[usize]) {
    let each = conv.weights.len() / order.len();
    conv.weights = order.iter().flat_map(|n| &conv.weights[n * each..][..each]).copied().collect();
    conv.bias = order.iter().map(|n| conv.bias[*n]).collect();
}
