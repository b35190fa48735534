//! Finds the convolutional network in a graph of tract and makes a [`Graph`] of it.
//!
//! The graph is read as it was imported, before tract rewrites it: afterwards a 1x1 convolution is an einsum and the
//! batch axis is gone. Every node is evaluated once in symbols (`Value`): what comes out of a convolution is a
//! tensor, of four strided slices put together a picture with its pixels moved to channels, of a reshaped tensor rows
//! of a matrix. `fuse` then joins what one kernel does in one pass.
//!
//! Absent: more than one input, batches, groups other than depthwise, dilation. A node that is none of what is known
//! here is named in the error, with what was expected; [`part()`] then makes what it can of the network's beginning.

mod fuse;
mod part;
mod probe;
#[cfg(test)]
mod tests;

use super::graph::{Conv, Graph, Kind, Output, Piece, Tensor as Map, TensorId};
use super::kernel::Act;
use anyhow::{Context, Result, anyhow, bail, ensure};
use fuse::{Left, Raw, Step};
pub use part::{Part, Stay, part};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops;
use tract_onnx::tract_core::ops::change_axes::AxisOp;

type Node = tract_onnx::tract_core::model::TypedNode;
type PoolSpec = ops::cnn::PoolSpec;

/// The network in a graph with one input `[1, 3, height, width]` and outputs that are matrices `[1, rows, columns]`.
///
/// # Errors
/// The first node that cannot be part of it, by name.
pub fn read(model: &TypedModel) -> Result<Graph> {
    ensure!(model.inputs.len() == 1, "the graph has {} inputs, expected one", model.inputs.len());
    let mut reader = Reader::default();
    let order = model.eval_order().map_err(super::plain)?;
    for id in order {
        let node = &model.nodes[id];
        let value = reader
            .value_of(node)
            .with_context(|| format!("node {} ({}) stays in floats", node.name, node.op().name()))?;
        reader.values.push((OutletId::new(id, 0), value));
    }
    let outputs = model.outputs.iter().map(|outlet| reader.matrix(*outlet)).collect::<Result<_>>()?;
    fuse::graph(reader.raw, outputs).map_err(|Left { name, why }| anyhow!("node {name} stays in floats: {why}"))
}

#[derive(Debug, Clone)]
enum Value {
    Constant(Arc<Tensor>),
    /// `[1, channels, height, width]`
    Map(TensorId),
    /// Every `stride`th row and column of a tensor, from `offset` on.
    Strided {
        of: TensorId,
        stride: [usize; 2],
        offset: [usize; 2],
    },
    /// The channels of several such, one after the other.
    Deep {
        of: TensorId,
        stride: usize,
        offsets: Vec<[usize; 2]>,
    },
    /// `[1, columns, rows]`: levels one after the other, each of tensors whose channels are columns.
    Levels(Vec<Vec<TensorId>>),
    /// The same, turned: `[1, rows, columns]`.
    Matrix(Vec<Vec<TensorId>>),
}

#[derive(Default)]
struct Reader {
    values: Vec<(OutletId, Value)>,
    raw: Raw,
}

impl Reader {
    fn value(&self, outlet: OutletId) -> Result<&Value> {
        // A network has some hundred nodes, and what is read was made lately.
        let found = self.values.iter().rev().find(|(at, _)| *at == outlet);
        Ok(&found.context("it reads the second output of a node")?.1)
    }

    fn map(&self, node: &Node, input: usize) -> Result<TensorId> {
        match self.value(*node.inputs.get(input).context("an input is missing")?)? {
            Value::Map(id) => Ok(*id),
            other => bail!("input {input} is {other:?}, expected a tensor of pixels"),
        }
    }

    fn constant(&self, node: &Node, input: usize) -> Result<Option<Arc<Tensor>>> {
        Ok(match self.value(*node.inputs.get(input).context("an input is missing")?)? {
            Value::Constant(tensor) => Some(tensor.clone()),
            _ => None,
        })
    }

    fn shape(&self, node: &Node) -> Result<Vec<usize>> {
        let fact = &node.outputs.first().context("it has no output")?.fact;
        Ok(fact.shape.as_concrete().context("its shape is not fixed by that of the input")?.to_vec())
    }

    /// A new tensor, with the name and shape of what the node makes.
    fn tensor(&mut self, node: &Node) -> Result<TensorId> {
        let &[1, channels, height, width] = &self.shape(node)?[..] else {
            bail!("it makes {:?}, expected one picture of channels", self.shape(node)?);
        };
        self.raw.tensors.push(Map { name: node.name.clone(), height, width, channels, most: f32::INFINITY });
        Ok(self.raw.tensors.len() - 1)
    }

    fn step(&mut self, node: &Node, step: Step, inputs: Vec<TensorId>) -> Result<Value> {
        let output = self.tensor(node)?;
        self.raw.steps.push((step, inputs, output));
        Ok(Value::Map(output))
    }

    fn value_of(&mut self, node: &Node) -> Result<Value> {
        if let Some(known) = &node.outputs[0].fact.konst {
            return Ok(Value::Constant(known.clone()));
        }
        if node.op_is::<ops::source::TypedSource>() {
            return Ok(Value::Map(self.tensor(node)?));
        }
        if let Some(constant) = self.folded(node)? {
            return Ok(Value::Constant(constant));
        }
        if let Some(conv) = node.op_as::<ops::cnn::Conv>() {
            return self.conv(node, conv);
        }
        if let Some(pool) = node.op_as::<ops::cnn::MaxPool>() {
            let (side, stride, pad) = self.square(node, &pool.pool_spec)?;
            ensure!(pool.with_index_outputs.is_none(), "it gives indices");
            return self.step(node, Step::Layer(Kind::MaxPool { side, stride, pad }), vec![self.map(node, 0)?]);
        }
        if let Some(pool) = node.op_as::<ops::cnn::SumPool>() {
            let (side, stride, pad) = self.square(node, &pool.pool_spec)?;
            ensure!(pool.normalize && pad == 0, "it is no mean of pixels of the picture only");
            return self.step(node, Step::Layer(Kind::AveragePool { side, stride }), vec![self.map(node, 0)?]);
        }
        if let Some(binary) = node.op_as::<ops::binary::TypedBinOp>() {
            return self.binary(node, &*binary.0);
        }
        if let Some(element) = node.op_as::<ops::element_wise::ElementWiseOp>() {
            let mini = &element.0;
            let act = if mini.is::<ops::nn::Sigmoid>() {
                Act::Sigmoid
            } else if mini.is::<ops::nn::HardSwish>() {
                Act::HardSwish
            } else if let Some(leaky) = mini.downcast_ref::<ops::nn::LeakyRelu>() {
                Act::Slope(leaky.alpha)
            } else {
                bail!("its function is not known");
            };
            return self.step(node, Step::Act(act), vec![self.map(node, 0)?]);
        }
        if let Some(concat) = node.op_as::<ops::array::TypedConcat>() {
            return self.concat(node, concat.axis);
        }
        if let Some(axes) = node.op_as::<AxisOp>() {
            return self.axes(node, axes);
        }
        self.by_asking(node)
    }

    /// What a node makes of constants only.
    fn folded(&self, node: &Node) -> Result<Option<Arc<Tensor>>> {
        let inputs: Option<TVec<TValue>> = (0..node.inputs.len())
            .map(|i| Ok(self.constant(node, i)?.map(IntoTValue::into_tvalue)))
            .collect::<Result<Option<_>>>()?;
        let Some(inputs) = inputs.filter(|inputs| !inputs.is_empty()) else { return Ok(None) };
        let outputs = node.op().eval_out_of_plan(inputs).map_err(super::plain)?;
        Ok(outputs.and_then(|mut o| o.pop()).map(TValue::into_arc_tensor))
    }

    fn square(&self, node: &Node, spec: &PoolSpec) -> Result<(usize, usize, usize)> {
        let (kernel, stride, pad) = self.geometry(node, spec)?;
        ensure!(kernel[0] == kernel[1] && pad[0] == pad[1], "its window is {kernel:?}, expected a square");
        Ok((kernel[0], stride, pad[0]))
    }

    /// Kernel, stride, and what is padded above and left.
    fn geometry(&self, node: &Node, spec: &PoolSpec) -> Result<([usize; 2], usize, [usize; 2])> {
        let map = &self.raw.tensors[self.map(node, 0)?];
        let (kernel, strides) = (&spec.kernel_shape[..], spec.strides());
        let plain = spec.dilations().iter().all(|d| *d == 1) && spec.data_format == ops::nn::DataFormat::NCHW;
        ensure!(kernel.len() == 2 && plain, "it is dilated, or not over rows and columns of channels");
        ensure!(strides[0] == strides[1], "its strides are {strides:?}, expected the same in both directions");
        let pad = spec.computed_padding(&[map.height, map.width]);
        Ok(([kernel[0], kernel[1]], strides[0], [pad[0].pad_before, pad[1].pad_before]))
    }

    fn conv(&mut self, node: &Node, op: &ops::cnn::Conv) -> Result<Value> {
        let (mut kernel, mut stride, mut pad) = match self.value(node.inputs[0])? {
            Value::Map(_) => self.geometry(node, &op.pool_spec)?,
            Value::Deep { of, stride, .. } => {
                let map = &self.raw.tensors[*of];
                let spec = &op.pool_spec;
                let pads = spec.computed_padding(&[map.height / stride, map.width / stride]);
                ensure!(spec.strides().iter().all(|s| *s == 1), "it strides over moved pixels");
                let kernel = [spec.kernel_shape[0], spec.kernel_shape[1]];
                (kernel, 1, [pads[0].pad_before, pads[1].pad_before])
            }
            other => bail!("it convolves {other:?}"),
        };
        let weights = self.constant(node, 1)?.context("its weights are not constant")?;
        let bias = self.constant(node, 2)?.context("its bias is not constant")?;
        let (outputs, inputs) = (op.pool_spec.output_channels, op.pool_spec.input_channels);
        let depthwise = op.group > 1;
        ensure!(op.group == 1 || (op.group == inputs && outputs == inputs), "it has {} groups", op.group);
        ensure!(op.q_params.is_none() && op.kernel_fmt == ops::cnn::KernelFormat::OIHW, "its weights lie otherwise");
        let weights = reals(&weights)?;
        let bias = reals(&bias)?;
        let per_group = inputs / op.group;
        ensure!(weights.len() == outputs * per_group * kernel[0] * kernel[1], "it has {} weights", weights.len());
        let bias = match bias.len() {
            1 => vec![bias[0]; outputs],
            n if n == outputs => bias,
            n => bail!("it has {n} biases for {outputs} outputs"),
        };
        let [rows, columns] = kernel;
        let at = |o: usize, c: usize, y: usize, x: usize| weights[((o * per_group + c) * rows + y) * columns + x];
        let (from, weights) = match self.value(node.inputs[0])?.clone() {
            Value::Deep { of, stride: moved, offsets } => {
                // A convolution of pixels moved to channels is a larger one of the picture itself.
                let channels = self.raw.tensors[of].channels;
                let (high, wide) = (rows * moved, columns * moved);
                let mut spread = vec![0.0; outputs * high * wide * channels];
                for o in 0..outputs {
                    for (block, [dy, dx]) in offsets.iter().enumerate() {
                        for (c, y, x) in positions(channels, rows, columns) {
                            let to = ((o * high + y * moved + dy) * wide + x * moved + dx) * channels + c;
                            spread[to] = at(o, block * channels + c, y, x);
                        }
                    }
                }
                (kernel, stride, pad) = ([high, wide], moved, [pad[0] * moved, pad[1] * moved]);
                (of, spread)
            }
            _ => {
                let mut turned = Vec::with_capacity(weights.len());
                for o in 0..outputs {
                    for y in 0..rows {
                        for x in 0..columns {
                            turned.extend((0..per_group).map(|c| at(o, c, y, x)));
                        }
                    }
                }
                (self.map(node, 0)?, turned)
            }
        };
        let conv = Conv { weights, bias, depthwise, kernel, stride, pad, act: Act::Slope(1.0) };
        self.step(node, Step::Layer(Kind::Conv(conv)), vec![from])
    }

    fn binary(&mut self, node: &Node, op: &dyn ops::binary::BinMiniOp) -> Result<Value> {
        let constants = [self.constant(node, 0)?, self.constant(node, 1)?];
        let Some(at) = constants.iter().position(Option::is_some) else {
            let inputs = vec![self.map(node, 0)?, self.map(node, 1)?];
            let step = if op.is::<ops::math::Add>() {
                Step::Layer(Kind::Add(Act::Slope(1.0)))
            } else if op.is::<ops::math::Mul>() {
                Step::Mul
            } else {
                bail!("it is neither a sum nor a product");
            };
            return self.step(node, step, inputs);
        };
        let map = self.map(node, 1 - at)?;
        let constant = reals(constants[at].as_ref().expect("found above"))?;
        let channels = self.raw.tensors[map].channels;
        let all = constant.first().copied().filter(|first| constant.iter().all(|c| c == first));
        if op.is::<ops::math::Max>() && all == Some(0.0) {
            return self.step(node, Step::Act(Act::Slope(0.0)), vec![map]);
        }
        if let (true, Some(most)) = (op.is::<ops::math::Min>(), all) {
            return self.step(node, Step::Most(most), vec![map]);
        }
        let list = match (all, constant.len()) {
            (Some(one), _) => vec![one; channels],
            (None, n) if n == channels => constant,
            _ => bail!("its constant has {} values for {channels} channels", constant.len()),
        };
        let step = if op.is::<ops::math::Add>() {
            Step::Affine { factor: vec![1.0; channels], term: list }
        } else if op.is::<ops::math::Mul>() {
            Step::Affine { factor: list, term: vec![0.0; channels] }
        } else if op.is::<ops::math::Sub>() && at == 1 {
            Step::Affine { factor: vec![1.0; channels], term: list.iter().map(|v| -v).collect() }
        } else if op.is::<ops::math::Div>() && at == 1 {
            Step::Affine { factor: list.iter().map(|v| 1.0 / v).collect(), term: vec![0.0; channels] }
        } else {
            bail!("what it does with its constant is not known");
        };
        self.step(node, step, vec![map])
    }

    fn concat(&mut self, node: &Node, axis: usize) -> Result<Value> {
        let parts = node.inputs.iter().map(|i| self.value(*i).cloned()).collect::<Result<Vec<_>>>()?;
        match (&parts[0], axis) {
            (Value::Map(_), 1) => {
                let inputs = (0..parts.len()).map(|i| self.map(node, i)).collect::<Result<_>>()?;
                self.step(node, Step::Layer(Kind::Concat), inputs)
            }
            (&Value::Strided { of, stride, .. }, 1) => {
                let offset = |part: &Value| match part {
                    Value::Strided { of: o, stride: s, offset } if (*o, *s) == (of, stride) => Ok(*offset),
                    other => bail!("it joins {other:?}"),
                };
                ensure!(stride[0] == stride[1], "it joins {parts:?}");
                Ok(Value::Deep { of, stride: stride[0], offsets: parts.iter().map(offset).collect::<Result<_>>()? })
            }
            (Value::Levels(_), 2) => {
                let mut levels = Vec::new();
                for part in parts {
                    let Value::Levels(more) = part else { bail!("it joins {part:?}") };
                    levels.extend(more);
                }
                Ok(Value::Levels(levels))
            }
            (Value::Matrix(_), 1) => {
                let mut levels = Vec::new();
                for part in parts {
                    let Value::Matrix(more) = part else { bail!("it joins {part:?}") };
                    levels.extend(more);
                }
                Ok(Value::Matrix(levels))
            }
            (other, _) => bail!("it joins {other:?} along axis {axis}"),
        }
    }

    fn axes(&mut self, node: &Node, op: &AxisOp) -> Result<Value> {
        match (self.value(node.inputs[0])?.clone(), op) {
            (Value::Map(id), AxisOp::Reshape(2, from, to)) if from.len() == 2 && to.len() == 1 => {
                // The parts of a concatenation are columns beside each other: nothing need put them together first.
                let maker = self.raw.steps.iter().find(|(_, _, output)| *output == id);
                let parts = match maker {
                    Some((Step::Layer(Kind::Concat), inputs, _)) => inputs.clone(),
                    _ => vec![id],
                };
                Ok(Value::Levels(vec![parts]))
            }
            (Value::Levels(levels), AxisOp::Move(1, 2) | AxisOp::Move(2, 1)) => Ok(Value::Matrix(levels)),
            (value, op) => bail!("it turns {value:?} by {op:?}"),
        }
    }

    /// Slices and resizes have many forms, so the node itself is asked what it does.
    fn by_asking(&mut self, node: &Node) -> Result<Value> {
        let (of, moved, start) = match *self.value(*node.inputs.first().context("it reads nothing")?)? {
            Value::Map(id) => (id, [1, 1], [0, 0]),
            Value::Strided { of, stride, offset } => (of, stride, offset),
            ref other => bail!("it reads {other:?}"),
        };
        let map = &self.raw.tensors[of];
        let shape = [map.channels, map.height / moved[0], map.width / moved[1]];
        let others: Vec<_> = (1..node.inputs.len())
            .map(|i| self.constant(node, i)?.context("one of its inputs is not constant"))
            .collect::<Result<_>>()?;
        match probe::ask(node, shape, &others)? {
            // Rows are taken by one node and columns by the next.
            probe::Answer::Pixels { stride, offset } => {
                let offset = std::array::from_fn(|i| start[i] + moved[i] * offset[i]);
                Ok(Value::Strided { of, stride: std::array::from_fn(|i| moved[i] * stride[i]), offset })
            }
            probe::Answer::Channels { from } if moved == [1, 1] => self.step(node, Step::Channels { from }, vec![of]),
            probe::Answer::Twice(how) if moved == [1, 1] => self.step(node, Step::Layer(Kind::Upsample(how)), vec![of]),
            _ => bail!("it takes a part of pixels that were moved before"),
        }
    }

    fn matrix(&self, outlet: OutletId) -> Result<Output> {
        let Value::Matrix(levels) = self.value(outlet)? else {
            bail!("the graph's output is {:?}, expected rows of a matrix", self.value(outlet)?);
        };
        let (mut pieces, mut row, mut columns) = (Vec::new(), 0, 0);
        for level in levels {
            let mut column = 0;
            let mut pixels = 0;
            for tensor in level {
                pieces.push(Piece { tensor: *tensor, row, column });
                let map = &self.raw.tensors[*tensor];
                column += map.channels;
                pixels = map.height * map.width;
            }
            ensure!(columns == 0 || column == columns, "its levels have {columns} and {column} columns");
            (columns, row) = (column, row + pixels);
        }
        Ok(Output { rows: row, columns, pieces })
    }
}

fn positions(channels: usize, rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..channels * rows * columns).map(move |i| (i / (rows * columns), i / columns % rows, i % columns))
}

fn reals(tensor: &Tensor) -> Result<Vec<f32>> {
    let reals = tensor.cast_to::<f32>().map_err(super::plain)?;
    let view = reals.try_as_plain_ram().and_then(|view| view.as_slice::<f32>().map(<[f32]>::to_vec));
    view.map_err(super::plain)
}
