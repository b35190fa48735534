//! From one step per node to one layer per kernel.

use crate::infer::quant::graph::{Conv, Graph, Kind, Layer, Output, Piece, Tensor, TensorId};
use crate::infer::quant::kernel::Act;
use anyhow::{Result, bail, ensure};

/// The network as it was read.
#[derive(Debug, Default)]
pub struct Raw {
    pub tensors: Vec<Tensor>,
    /// What is done, to which tensors, and which it makes; in order.
    pub steps: Vec<(Step, Vec<TensorId>, TensorId)>,
}

#[derive(Debug, Clone)]
pub enum Step {
    Layer(Kind),
    Act(Act),
    /// Values above are cut.
    Most(f32),
    /// The product of two tensors.
    Mul,
    /// Per channel.
    Affine {
        factor: Vec<f32>,
        term: Vec<f32>,
    },
    /// As many channels as the output has.
    Channels {
        from: usize,
    },
}

/// What is left over that no kernel does.
#[derive(Debug)]
pub struct Left {
    /// Of its node.
    pub name: String,
    pub why: String,
}

/// # Errors
/// The first of what no kernel does.
pub fn graph(mut raw: Raw, mut outputs: Vec<Output>) -> Result<Graph, Left> {
    silu(&mut raw);
    drop_unread(&mut raw, &outputs);
    split_channels(&mut raw, &outputs);
    while join_next(&mut raw, &mut outputs) {}
    drop_unread(&mut raw, &outputs);
    let mut layers = Vec::new();
    for (step, inputs, output) in raw.steps {
        let left = |why: &str| Err(Left { name: raw.tensors[output].name.clone(), why: why.into() });
        let kind = match step {
            Step::Layer(kind) => kind,
            // Nothing to join it with: one tap per channel.
            Step::Act(act) => Kind::Conv(one_tap(vec![1.0; raw.tensors[output].channels], None, act)),
            Step::Affine { factor, term } => Kind::Conv(one_tap(factor, Some(term), Act::Slope(1.0))),
            Step::Most(_) => return left("it cuts off what is no activation's output"),
            Step::Mul => return left("it multiplies two tensors"),
            Step::Channels { .. } => return left("it takes channels of what is read as a whole"),
        };
        layers.push(Layer { kind, inputs, output });
    }
    let mut graph = Graph { tensors: raw.tensors, layers, outputs };
    renumber(&mut graph).map_err(|error| Left { name: "the graph".into(), why: format!("{error:#}") })?;
    Ok(graph)
}

fn one_tap(weights: Vec<f32>, bias: Option<Vec<f32>>, act: Act) -> Conv {
    let bias = bias.unwrap_or_else(|| vec![0.0; weights.len()]);
    Conv { weights, bias, depthwise: true, kernel: [1, 1], stride: 1, pad: [0, 0], act }
}

impl Raw {
    fn maker(&self, tensor: TensorId) -> Option<usize> {
        self.steps.iter().position(|(_, _, output)| *output == tensor)
    }

    fn readers(&self, tensor: TensorId) -> usize {
        self.steps.iter().map(|(_, inputs, _)| inputs.iter().filter(|i| **i == tensor).count()).sum()
    }

    /// Whether the tensor is read by one step only, and is nobody's answer.
    fn passes(&self, tensor: TensorId, outputs: &[Output]) -> bool {
        self.readers(tensor) == 1 && !is_answer(tensor, outputs)
    }
}

fn is_answer(tensor: TensorId, outputs: &[Output]) -> bool {
    outputs.iter().flat_map(|output| &output.pieces).any(|piece| piece.tensor == tensor)
}

/// `x * sigmoid(x)`
fn silu(raw: &mut Raw) {
    for i in 0..raw.steps.len() {
        let (Step::Mul, inputs, _) = &raw.steps[i] else { continue };
        let gate = |tensor: TensorId| match raw.maker(tensor).map(|m| &raw.steps[m]) {
            Some((Step::Act(Act::Sigmoid), of, _)) => Some(of[0]),
            _ => None,
        };
        let (a, b) = (inputs[0], inputs[1]);
        if gate(b) == Some(a) {
            (raw.steps[i].0, raw.steps[i].1) = (Step::Act(Act::Silu), vec![a]);
        } else if gate(a) == Some(b) {
            (raw.steps[i].0, raw.steps[i].1) = (Step::Act(Act::Silu), vec![b]);
        }
    }
}

fn drop_unread(raw: &mut Raw, outputs: &[Output]) {
    for i in (0..raw.steps.len()).rev() {
        let output = raw.steps[i].2;
        if raw.readers(output) == 0 && !is_answer(output, outputs) {
            raw.steps.remove(i);
        }
    }
}

/// A convolution of which only parts are read becomes several, one for each part.
fn split_channels(raw: &mut Raw, outputs: &[Output]) {
    let mut i = 0;
    while i < raw.steps.len() {
        let (Step::Layer(Kind::Conv(conv)), from, output) = raw.steps[i].clone() else {
            i += 1;
            continue;
        };
        let readers: Vec<usize> = (0..raw.steps.len()).filter(|r| raw.steps[*r].1.contains(&output)).collect();
        let parts = readers.iter().all(|r| matches!(raw.steps[*r].0, Step::Channels { .. }));
        if readers.is_empty() || !parts || is_answer(output, outputs) {
            i += 1;
            continue;
        }
        let per_output = conv.weights.len() / conv.bias.len();
        for r in readers {
            let Step::Channels { from: first } = raw.steps[r].0 else { continue };
            let range = first..first + raw.tensors[raw.steps[r].2].channels;
            let weights = conv.weights[range.start * per_output..range.end * per_output].to_vec();
            let part = Conv { weights, bias: conv.bias[range].to_vec(), ..conv.clone() };
            if conv.depthwise {
                // Its inputs are parts of channels as well, which nothing here cuts out.
                return;
            }
            (raw.steps[r].0, raw.steps[r].1) = (Step::Layer(Kind::Conv(part)), from.clone());
        }
        raw.steps.remove(i);
    }
}

/// Joins one step with the one that makes its input, if there is such.
fn join_next(raw: &mut Raw, outputs: &mut [Output]) -> bool {
    for i in 0..raw.steps.len() {
        let (step, inputs, output) = raw.steps[i].clone();
        for (at, input) in inputs.iter().enumerate() {
            let Some(m) = raw.maker(*input).filter(|_| raw.passes(*input, outputs)) else { continue };
            let Some((maker, others)) = joined(&raw.steps[m].0, &step, &raw.tensors[*input], &inputs, at) else {
                continue;
            };
            let mut from = raw.steps[m].1.clone();
            from.extend(others);
            if let Step::Most(most) = step {
                raw.tensors[output].most = most;
            }
            // At the later place, where what is added is there already.
            raw.steps[i] = (maker, from, output);
            raw.steps.remove(m);
            return true;
        }
    }
    false
}

/// What `maker` and then `step` are together, and which other tensors that reads.
fn joined(
    maker: &Step,
    step: &Step,
    between: &Tensor,
    inputs: &[TensorId],
    at: usize,
) -> Option<(Step, Vec<TensorId>)> {
    let plain = Act::Slope(1.0);
    let alone = |kind: Kind| Some((Step::Layer(kind), vec![]));
    match (maker, step) {
        (Step::Layer(Kind::Conv(conv)), Step::Act(act)) if conv.act == plain && between.most == f32::INFINITY => {
            alone(Kind::Conv(Conv { act: *act, ..conv.clone() }))
        }
        (Step::Layer(Kind::Add(before)), Step::Act(act @ Act::Slope(_))) if *before == plain => alone(Kind::Add(*act)),
        (Step::Layer(Kind::Conv(conv)), Step::Most(most)) if conv.act == Act::Slope(0.0) && *most > 0.0 => {
            alone(Kind::Conv(conv.clone()))
        }
        (Step::Layer(Kind::Conv(conv)), Step::Affine { factor, term }) if conv.act == plain => {
            let per_output = conv.weights.len() / conv.bias.len();
            let mut conv = conv.clone();
            for (n, weights) in conv.weights.chunks_exact_mut(per_output).enumerate() {
                weights.iter_mut().for_each(|w| *w *= factor[n]);
                conv.bias[n] = conv.bias[n] * factor[n] + term[n];
            }
            alone(Kind::Conv(conv))
        }
        // What is cut off, or added to already, has its own rounding: a sum of its own.
        (Step::Layer(Kind::Conv(conv)), Step::Layer(Kind::Add(after)))
            if *after == plain && inputs.len() == 2 && inputs[0] != inputs[1] && between.most == f32::INFINITY =>
        {
            Some((Step::Layer(Kind::Conv(conv.clone())), vec![inputs[1 - at]]))
        }
        _ => None,
    }
}

/// Leaves out tensors that nobody makes.
fn renumber(graph: &mut Graph) -> Result<()> {
    let mut made = vec![0];
    made.extend(graph.layers.iter().map(|layer| layer.output));
    let new = |old: TensorId| made.iter().position(|m| *m == old);
    ensure!(graph.layers.iter().flat_map(|l| &l.inputs).all(|i| new(*i).is_some()), "a layer reads what nobody makes");
    for layer in &mut graph.layers {
        layer.inputs.iter_mut().for_each(|i| *i = new(*i).unwrap_or_default());
        layer.output = new(layer.output).unwrap_or_default();
    }
    for Piece { tensor, .. } in graph.outputs.iter_mut().flat_map(|o| &mut o.pieces) {
        let Some(found) = new(*tensor) else { bail!("the answer is made of what nobody makes") };
        *tensor = found;
    }
    graph.tensors = made.iter().map(|id| graph.tensors[*id].clone()).collect();
    Ok(())
}
