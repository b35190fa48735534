//! A network of which only the beginning can be computed in bytes: from the picture as far as every node is known, and the
//! rest in floats behind it.
//!
//! The two meet at tensors of pixels ([`Part::cut`]). What is unknown stays in floats, and so does whatever reads it, and
//! nodes that only move pixels to where such a reader wants them.
//!
//! Absent: a second region behind the floats. A network that leaves the known early gains little.

use super::{Node, Reader, Value, fuse};
use crate::infer::quant::graph::{Graph, Kind, Output, Piece, TensorId};
use crate::infer::quant::plain;
use anyhow::{Context, Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tract_onnx::prelude::*;

pub struct Part {
    /// Its outputs are the tensors of `cut`, in this order: a row for each pixel, a column for each channel.
    pub graph: Graph,
    /// What stays in floats of its own accord, in order.
    pub stays: Vec<Stay>,
    /// Everything behind: as many inputs `[1, channels, height, width]` as `graph` has outputs. None where nothing is.
    pub rest: Option<TypedModel>,
}

impl Part {
    pub fn whole(graph: Graph) -> Self {
        Part { graph, stays: Vec::new(), rest: None }
    }
}

/// A node that is not part of the integer network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    pub node: String,
    /// What it does, as the importer calls it.
    pub op: String,
    pub why: String,
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} ({}) stays in floats: {}", self.node, self.op, self.why)
    }
}

/// # Errors
/// Where nothing can be won: no convolution before what is unknown, or a picture that is also read in floats.
pub fn part(model: &TypedModel) -> Result<Part> {
    ensure!(model.inputs.len() == 1, "the graph has {} inputs, expected one", model.inputs.len());
    let order = model.eval_order().map_err(plain)?;
    // By node: why it stays. Nodes that follow from others have an empty reason.
    let mut stays = BTreeMap::<usize, String>::new();
    loop {
        let mut reader = Reader::default();
        for id in &order {
            let node = &model.nodes[*id];
            if stays.contains_key(id) || node.inputs.iter().any(|input| reader.value(*input).is_err()) {
                continue;
            }
            match reader.value_of(node) {
                Ok(value) => reader.values.push((OutletId::new(*id, 0), value)),
                Err(error) => drop(stays.insert(*id, format!("{error:#}"))),
            }
        }
        let cut = match cut(model, &order, &reader)? {
            Cut::At(cut) => cut,
            Cut::Before(nodes) => {
                stays.extend(nodes.into_iter().map(|id| (id, String::new())));
                continue;
            }
        };
        let map = |(_, tensor): &(OutletId, TensorId)| {
            let map = &reader.raw.tensors[*tensor];
            let pieces = vec![Piece { tensor: *tensor, row: 0, column: 0 }];
            Output { rows: map.height * map.width, columns: map.channels, pieces }
        };
        let outputs = cut.iter().map(map).collect();
        match fuse::graph(std::mem::take(&mut reader.raw), outputs) {
            Ok(graph) => {
                let known = graph.layers.iter().any(|layer| matches!(layer.kind, Kind::Conv(_)));
                let stays = told(model, &order, &stays);
                let first = stays.first().map(ToString::to_string).unwrap_or_default();
                ensure!(known, "nothing before it can be computed in bytes: {first}");
                let cut: Vec<OutletId> = cut.iter().map(|(outlet, _)| *outlet).collect();
                return Ok(Part { graph, stays, rest: Some(rest(model, &order, &reader, &cut)?) });
            }
            Err(fuse::Left { name, why }) => {
                let id = order.iter().find(|id| model.nodes[**id].name == name);
                let Some(id) = id.filter(|id| !stays.contains_key(id)) else { bail!("{name}: {why}") };
                stays.insert(*id, why);
            }
        }
    }
}

enum Cut {
    At(Vec<(OutletId, TensorId)>),
    /// These nodes would have to hand over what is no tensor of pixels.
    Before(BTreeSet<usize>),
}

/// Where floats read what bytes made.
fn cut(model: &TypedModel, order: &[usize], reader: &Reader) -> Result<Cut> {
    let inside = |id: usize| reader.value(OutletId::new(id, 0)).is_ok();
    let outside = order.iter().filter(|id| !inside(**id)).flat_map(|id| model.nodes[*id].inputs.iter());
    let mut read: Vec<OutletId> = outside.chain(&model.outputs).copied().filter(|o| reader.value(*o).is_ok()).collect();
    read.sort_unstable();
    read.dedup();
    let (mut at, mut before) = (Vec::new(), BTreeSet::new());
    for outlet in read {
        match reader.value(outlet)? {
            Value::Constant(_) => {}
            Value::Map(0) => bail!("the picture is read in floats as well"),
            Value::Map(tensor) => at.push((outlet, *tensor)),
            _ => drop(before.insert(outlet.node)),
        }
    }
    Ok(if before.is_empty() { Cut::At(at) } else { Cut::Before(before) })
}

fn told(model: &TypedModel, order: &[usize], stays: &BTreeMap<usize, String>) -> Vec<Stay> {
    let reason = |id: &usize| Some((&model.nodes[*id], stays.get(id).filter(|why| !why.is_empty())?));
    let told = |(node, why): (&Node, &String)| Stay {
        node: node.name.clone(),
        op: node.op().name().into_owned(),
        why: why.clone(),
    };
    order.iter().filter_map(reason).map(told).collect()
}

/// The nodes behind the cut, as a network of their own.
fn rest(model: &TypedModel, order: &[usize], reader: &Reader, cut: &[OutletId]) -> Result<TypedModel> {
    let mut rest = TypedModel::default();
    let mut moved = BTreeMap::<OutletId, OutletId>::new();
    for outlet in cut {
        let node = &model.nodes[outlet.node];
        let fact = model.outlet_fact(*outlet).map_err(plain)?.datum_type.fact(shape(model, *outlet)?);
        moved.insert(*outlet, rest.add_source(format!("{}.reals", node.name), fact).map_err(plain)?);
    }
    for id in order {
        let node = &model.nodes[*id];
        if reader.value(OutletId::new(*id, 0)).is_ok() {
            continue;
        }
        let mut inputs = Vec::new();
        for (i, input) in node.inputs.iter().enumerate() {
            if let (None, Ok(Value::Constant(tensor))) = (moved.get(input), reader.value(*input)) {
                let name = format!("{}.{i}", node.name);
                moved.insert(*input, rest.add_const(name, tensor.clone()).map_err(plain)?);
            }
            inputs.push(*moved.get(input).context("it reads what nobody makes")?);
        }
        let made = rest.wire_node(&node.name, node.op.clone(), &inputs).map_err(plain)?;
        moved.extend(made.iter().enumerate().map(|(slot, made)| (OutletId::new(*id, slot), *made)));
    }
    let outputs: Option<Vec<OutletId>> = model.outputs.iter().map(|outlet| moved.get(outlet).copied()).collect();
    rest.select_output_outlets(&outputs.context("an output is a constant")?).map_err(plain)?;
    Ok(rest)
}

fn shape(model: &TypedModel, outlet: OutletId) -> Result<Vec<usize>> {
    let fact = model.outlet_fact(outlet).map_err(plain)?;
    Ok(fact.shape.as_concrete().context("its shape is not fixed by that of the input")?.to_vec())
}
