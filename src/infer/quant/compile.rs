//! A network and its ranges become a [`Plan`].

use super::check::check;
use super::clip::{Found, Step as Bytes};
use super::graph::{Conv, Graph, Kind, Layer, TensorId};
use super::kernel::{Act, BLOCK, Dense, Depthwise, Epilogue, TABLE};
use super::layout::{Layout, straight};
use super::plan::{self, Place, Plan, Step, StepKind, Sum, Target, View};
use super::ranges::{Ends, Ranges};
use super::scheme::{Curve, Scheme};
use super::weights::{Quantized, quantize};
use anyhow::{Context, Result, bail, ensure};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    pub curve: Curve,
    /// Bytes that stand for what the network takes for zero around the picture: its mean, where that is taken off.
    pub picture_zeros: [u8; 3],
}

/// The same on every machine.
///
/// # Errors
/// One sentence that names the layer that cannot be quantized, or whose range is missing.
pub fn compile(graph: &Graph, ranges: &Ranges, options: Options) -> Result<Plan> {
    Ok(Compiled::new(graph, ranges, options)?.plan)
}

/// A plan, and what its bytes mean.
pub struct Compiled {
    pub plan: Plan,
    pub scheme: Scheme,
    pub layout: Layout,
    options: Options,
}

impl Compiled {
    /// # Errors
    /// As [`compile`].
    pub fn new(graph: &Graph, ranges: &Ranges, options: Options) -> Result<Self> {
        check(graph)?;
        let mut layout = Layout::new(graph)?;
        let scheme = Scheme::new(graph, &layout, ranges, options.curve)?;
        layout.buffers[0].zeros = options.picture_zeros.to_vec();
        for tensor in 1..graph.tensors.len() {
            if let Some(view) = layout.views[tensor] {
                for (slot, step) in layout.slots[tensor].iter().zip(&scheme.steps[tensor]) {
                    layout.buffers[view.buffer].zeros[view.channel + slot] = step.zero;
                }
            }
        }
        let outputs = graph.outputs.iter().map(|output| [output.rows, output.columns]).collect();
        let plan = Plan { buffers: layout.buffers.clone(), steps: Vec::new(), outputs };
        let mut compiled = Compiled { plan, scheme, layout, options };
        for index in 0..graph.layers.len() {
            let steps = compiled.steps(ranges, index)?;
            compiled.plan.steps.extend(steps);
        }
        Ok(compiled)
    }

    /// The steps that a layer becomes.
    ///
    /// # Errors
    /// As [`compile`].
    pub fn steps(&self, ranges: &Ranges, index: usize) -> Result<Vec<Step>> {
        let Compiled { scheme, layout, options, .. } = self;
        let layer = &scheme.graph.layers[index];
        let name = &scheme.graph.tensors[layer.output].name;
        let compiler = Compiler { graph: &scheme.graph, scheme, layout, ranges, curve: options.curve };
        let kinds = compiler.layer(layer).with_context(|| format!("layer {name} cannot be quantized"))?;
        Ok(kinds.into_iter().map(|kind| Step { name: name.clone(), kind }).collect())
    }
}

struct Compiler<'a> {
    graph: &'a Graph,
    scheme: &'a Scheme,
    layout: &'a Layout,
    ranges: &'a Ranges,
    curve: Curve,
}

impl Compiler<'_> {
    fn layer(&self, layer: &Layer) -> Result<Vec<StepKind>> {
        let mut kinds = match &layer.kind {
            Kind::Conv(conv) => vec![self.conv(layer, conv)?],
            Kind::Concat => {
                let copies = self.layout.copies(layer);
                copies.into_iter().map(|[from, to]| StepKind::Copy { from, to }).collect()
            }
            Kind::Add(act) => vec![self.add(layer, *act)?],
            kind => {
                let (from, to) = (self.view(layer.inputs[0])?, self.view(layer.output)?);
                vec![match *kind {
                    Kind::MaxPool { side, stride, pad } => StepKind::MaxPool { from, to, side, stride, pad },
                    Kind::AveragePool { side, stride } => StepKind::AveragePool { from, to, side, stride },
                    Kind::Upsample(how) => StepKind::Upsample { how, from, to },
                    _ => bail!("it is of an unknown kind"),
                }]
            }
        };
        if straight(self.graph, layer.output).is_none() {
            self.reals(layer.output, &mut kinds)?;
        }
        Ok(kinds)
    }

    fn view(&self, tensor: TensorId) -> Result<View> {
        self.layout.views[tensor].context("it reads what is nowhere")
    }

    fn conv(&self, layer: &Layer, conv: &Conv) -> Result<StepKind> {
        let from = self.view(layer.inputs[0])?;
        let outputs = self.graph.tensors[layer.output].channels;
        let steps = &self.scheme.steps[layer.inputs[0]];
        let taps = conv.kernel[0] * conv.kernel[1];
        // Channels of the output as they lie, and of what one output reads.
        let slots = &self.layout.slots[layer.output];
        let width = match self.layout.views[layer.output] {
            Some(view) => view.channels,
            None => outputs.next_multiple_of(BLOCK),
        };
        let (inputs, input_width) =
            if conv.depthwise { (&[0][..], 1) } else { (&self.layout.slots[layer.inputs[0]][..], from.channels) };
        let mut bytes = vec![0; width * taps * input_width];
        let mut sums = Sums { mult: vec![0.0; outputs], bias: vec![0.0; outputs] };
        let shifts = self.shifts(layer.output)?;
        for (n, row) in rows(conv, steps).into_iter().enumerate() {
            let zero = |i: usize| steps[if conv.depthwise { n } else { i % inputs.len() }].zero;
            let zeros: i32 = row.bytes.iter().enumerate().map(|(i, byte)| i32::from(*byte) * i32::from(zero(i))).sum();
            sums.mult[n] = row.scale;
            let bias = f64::from(conv.bias[n]) + f64::from(shifts[n]);
            sums.bias[n] = (bias - f64::from(row.scale) * f64::from(zeros)) as f32;
            let to = &mut bytes[slots[n] * taps * input_width..][..taps * input_width];
            for (i, byte) in row.bytes.iter().enumerate() {
                to[i / inputs.len() * input_width + inputs[i % inputs.len()]] = *byte;
            }
        }
        let epilogue = self.epilogue(layer, conv, sums, width)?;
        let added = layer.inputs.get(1).map(|added| self.view(*added)).transpose()?;
        let to = self.target(layer)?;
        let Conv { kernel, stride, pad, .. } = *conv;
        if conv.depthwise {
            ensure!(kernel[0] == kernel[1], "its kernel is no square");
            let weights = Depthwise::new(&bytes, width, kernel[0]);
            return Ok(StepKind::Depthwise {
                conv: plan::Conv { weights, kernel, stride, pad, from, to },
                epilogue,
                added,
            });
        }
        // Pixels that lie side by side are read as one.
        let whole = from.channels == self.layout.buffers[from.buffer].channels;
        let segments = if whole { kernel[0] } else { taps };
        let weights = Dense::new(&bytes, width, segments, taps * input_width / segments);
        Ok(StepKind::Dense { conv: plan::Conv { weights, kernel, stride, pad, from, to }, epilogue, added })
    }

    /// What is added to every bias.
    fn shifts(&self, tensor: TensorId) -> Result<Vec<f32>> {
        let order = self.scheme.order(tensor);
        let Some(range) = self.ranges.tensors.get(&self.graph.tensors[tensor].name) else {
            return Ok(vec![0.0; order.len()]);
        };
        let shifts = range.shifts(self.curve);
        ensure!(shifts.is_empty() || shifts.len() == order.len(), "it has {} shifts", shifts.len());
        Ok(order.iter().map(|channel| shifts.get(*channel)).collect())
    }

    fn target(&self, layer: &Layer) -> Result<Target> {
        let Some((output, piece)) = straight(self.graph, layer.output) else {
            return Ok(Target::Bytes(self.view(layer.output)?));
        };
        let tensor = &self.graph.tensors[layer.output];
        let place = Place { output, row: piece.row, column: piece.column, channels: tensor.channels };
        Ok(Target::Reals { place, height: tensor.height, width: tensor.width })
    }

    fn epilogue(&self, layer: &Layer, conv: &Conv, sums: Sums, width: usize) -> Result<Epilogue> {
        let tensor = layer.output;
        let slots = &self.layout.slots[tensor];
        let spread = |values: &dyn Fn(usize) -> f32| {
            let mut all = vec![0.0; width];
            slots.iter().enumerate().for_each(|(n, slot)| all[*slot] = values(n));
            all
        };
        let Sums { mult, bias } = sums;
        if self.scheme.tables[tensor] {
            let range = self.ranges.tensors.get(&self.graph.tensors[tensor].name).context("it has no range")?;
            return self.table(tensor, conv.act, &range.sums, Sums { mult, bias }, width);
        }
        let steps = &self.scheme.steps[tensor];
        let (mut scale, mut zero, mut add_scale) = (vec![1.0; width], vec![0.0; width], Vec::new());
        if !steps.is_empty() {
            scale = spread(&|n| 1.0 / steps[n].scale);
            zero = spread(&|n| f32::from(steps[n].zero));
        }
        if let Some(added) = layer.inputs.get(1) {
            let others = &self.scheme.steps[*added];
            zero = spread(&|n| f32::from(steps[n].zero) - f32::from(others[n].zero) * others[n].scale / steps[n].scale);
            add_scale = spread(&|n| others[n].scale);
        }
        Ok(Epilogue {
            act: conv.act,
            mult: spread(&|n| mult[n]),
            bias: spread(&|n| bias[n]),
            scale,
            zero,
            add_scale,
            table: Vec::new(),
        })
    }

    /// Only layers whose channels lie side by side are tables.
    fn table(&self, tensor: TensorId, act: Act, ranges: &[Ends], sums: Sums, width: usize) -> Result<Epilogue> {
        let steps = &self.scheme.steps[tensor];
        ensure!(ranges.len() == steps.len().div_ceil(BLOCK), "it has ranges for {} tables", ranges.len());
        let founds: Vec<Found> = ranges.iter().map(|ends| Found::of(*ends)).collect();
        let mut table = Vec::with_capacity(width / BLOCK * TABLE);
        for (found, step) in founds.iter().zip(steps.iter().step_by(BLOCK)) {
            table.extend_from_slice(&found.table(act, *step));
        }
        let spread = |value: &dyn Fn(usize, &Found) -> f32| {
            let mut all: Vec<f32> = (0..steps.len()).map(|n| value(n, &founds[n / BLOCK])).collect();
            all.resize(width, 0.0);
            all
        };
        Ok(Epilogue {
            act: Act::Table,
            mult: spread(&|n, found| sums.mult[n] / found.scale),
            bias: spread(&|n, found| sums.bias[n] / found.scale + found.zero),
            scale: vec![1.0; width],
            zero: vec![0.0; width],
            add_scale: Vec::new(),
            table,
        })
    }

    fn add(&self, layer: &Layer, act: Act) -> Result<StepKind> {
        let rectified = match act {
            Act::Slope(1.0) => false,
            Act::Slope(0.0) => true,
            act => bail!("a sum cannot have the activation {act:?}"),
        };
        let from = [self.view(layer.inputs[0])?, self.view(layer.inputs[1])?];
        let to = self.view(layer.output)?;
        let steps = &self.scheme.steps[layer.output];
        let mut sum = Sum {
            scales: [vec![0; to.channels], vec![0; to.channels]],
            zero: vec![0; to.channels],
            floor: vec![0; to.channels],
        };
        for (n, slot) in self.layout.slots[layer.output].iter().enumerate() {
            let step = steps[n];
            sum.zero[*slot] = i32::from(step.zero) * Sum::ONE;
            for (scales, input) in sum.scales.iter_mut().zip(&layer.inputs) {
                let other = self.scheme.steps[*input][n];
                let ratio = other.scale / step.scale * Sum::ONE as f32;
                scales[*slot] = (ratio.round_ties_even() as i32).clamp(0, Sum::MOST);
                sum.zero[*slot] -= i32::from(other.zero) * scales[*slot];
            }
            sum.floor[*slot] = if rectified { step.zero } else { 0 };
        }
        Ok(StepKind::Add { from, to, sum })
    }

    /// Steps that turn a tensor's bytes into reals, wherever it is a piece of an output.
    fn reals(&self, tensor: TensorId, kinds: &mut Vec<StepKind>) -> Result<()> {
        let pieces = self.graph.outputs.iter().enumerate().flat_map(|(i, o)| o.pieces.iter().map(move |p| (i, p)));
        for (output, piece) in pieces.filter(|(_, piece)| piece.tensor == tensor) {
            let (view, slots, steps) = (self.view(tensor)?, &self.layout.slots[tensor], &self.scheme.steps[tensor]);
            let mut first = 0;
            // Channels that lie side by side go together.
            while first < slots.len() {
                let count = (first..slots.len()).take_while(|n| slots[*n] - slots[first] == n - first).count();
                let from =
                    View { channel: view.channel + slots[first], channels: count.next_multiple_of(BLOCK), ..view };
                let mut scale: Vec<f32> = steps[first..][..count].iter().map(|step| step.scale).collect();
                let mut zero: Vec<f32> = steps[first..][..count].iter().map(|s| -f32::from(s.zero) * s.scale).collect();
                scale.resize(from.channels, 0.0);
                zero.resize(from.channels, 0.0);
                let place = Place { output, row: piece.row, column: piece.column + first, channels: count };
                kinds.push(StepKind::Reals { from, scale, zero, to: place });
                first += count;
            }
        }
        Ok(())
    }
}

/// The weights of every output in bytes, with the steps of what they are multiplied with folded in.
pub fn rows(conv: &Conv, steps: &[Bytes]) -> Vec<Quantized> {
    let each = conv.weights.len() / conv.bias.len();
    let row = |(n, weights): (usize, &[f32])| {
        let step = |i: usize| if conv.depthwise { steps[n] } else { steps[i % steps.len()] };
        quantize(&weights.iter().enumerate().map(|(i, w)| w * step(i).scale).collect::<Vec<f32>>())
    };
    conv.weights.chunks_exact(each).enumerate().map(row).collect()
}

/// What turns sums into reals, per output.
struct Sums {
    mult: Vec<f32>,
    bias: Vec<f32>,
}
