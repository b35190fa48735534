//! What rounding does to the mean of a sum is taken off its bias.
//!
//! A weight that is a little too large makes its sum larger for every pixel, since activations are mostly positive; a
//! range that is cut off makes what is beyond it smaller. Such errors do not cancel, and would add up from layer to
//! layer. Only what a layer and its input do themselves is corrected: what comes from further back differs between
//! the things in a picture and the ground behind them, and is no matter of the mean.

use super::clip::{Found, Step};
use super::compile::rows;
use super::graph::{Conv, Graph, Kind, Layer};
use super::kernel::BLOCK;
use super::layout::Layout;
use super::ranges::{Ranges, Shifts};
use super::samples::Samples;
use super::scheme::{Curve, Scheme};
use anyhow::Result;

/// Writes the shifts of one way to compute curves into the ranges: exact ones first.
///
/// # Errors
/// Ranges that are not those of this network.
pub fn correct(graph: &Graph, samples: &Samples, ranges: &mut Ranges, curve: Curve) -> Result<()> {
    let scheme = Scheme::new(graph, &Layout::new(graph)?, ranges, curve)?;
    // Of every tensor, by how much its bytes are more than its reals on the average, per channel as it lies.
    let mut excess: Vec<Vec<f64>> = graph.tensors.iter().map(|tensor| vec![0.0; tensor.channels]).collect();
    for layer in &scheme.graph.layers {
        let tensor = layer.output;
        excess[tensor] = match &layer.kind {
            Kind::Concat => layer.inputs.iter().flat_map(|part| excess[*part].clone()).collect(),
            Kind::MaxPool { .. } | Kind::AveragePool { .. } | Kind::Upsample(_) => excess[layer.inputs[0]].clone(),
            Kind::Conv(_) | Kind::Add(_) => own_excess(&scheme, samples, ranges, layer),
        };
        if let Kind::Conv(conv) = &layer.kind {
            let input = layer.inputs[0];
            let means: Vec<f64> = scheme.order(input).iter().map(|was| samples.tensors[input].means[*was]).collect();
            let order = scheme.order(tensor);
            let mut list = vec![0.0; order.len()];
            for (was, shift) in order.iter().zip(shifts(conv, &scheme.steps[input], &means, &excess[input])) {
                list[*was] = shift;
            }
            let range = ranges.tensors.entry(graph.tensors[tensor].name.clone()).or_default();
            let shifts = Shifts::new(&list);
            if curve == Curve::Exact {
                range.exact = shifts;
            } else if shifts != range.exact {
                range.table = shifts;
            }
        }
    }
    Ok(())
}

/// What has to be added to the sums of a convolution, per output.
fn shifts(conv: &Conv, steps: &[Step], means: &[f64], excess: &[f64]) -> Vec<f64> {
    let each = conv.weights.len() / conv.bias.len();
    let mut all = Vec::new();
    for (n, (weights, row)) in conv.weights.chunks_exact(each).zip(rows(conv, steps)).enumerate() {
        let mut shift = 0.0;
        for (i, (weight, byte)) in weights.iter().zip(&row.bytes).enumerate() {
            let channel = if conv.depthwise { n } else { i % steps.len() };
            let rounded = f64::from(*byte) * f64::from(row.scale) / f64::from(steps[channel].scale);
            shift += f64::from(*weight) * means[channel] - rounded * (means[channel] + excess[channel]);
        }
        all.push(shift);
    }
    all
}

/// By how much what is drawn of a tensor is more in bytes than in reals.
fn own_excess(scheme: &Scheme, samples: &Samples, ranges: &Ranges, layer: &Layer) -> Vec<f64> {
    let tensor = layer.output;
    let sample = &samples.tensors[tensor];
    let range = ranges.tensors.get(&scheme.graph.tensors[tensor].name);
    let (Some(range), false) = (range, scheme.steps[tensor].is_empty()) else {
        return vec![0.0; scheme.graph.tensors[tensor].channels];
    };
    let one = |(n, was): (usize, &usize)| {
        let step = scheme.steps[tensor][n];
        let reals = sample.channel(*was);
        let sum: f64 = match (&layer.kind, scheme.tables[tensor]) {
            (Kind::Conv(conv), true) => {
                let found = Found::of(range.sums[n / BLOCK]);
                let table = found.table(conv.act, step);
                let sums = samples.sums[tensor].channel(*was).iter();
                sums.zip(reals).map(|(sum, real)| f64::from(step.real(table[found.index(*sum)]) - real)).sum()
            }
            _ => reals.iter().map(|real| f64::from(step.real(step.byte(*real)) - real)).sum(),
        };
        sum / reals.len().max(1) as f64
    };
    scheme.order(tensor).iter().enumerate().map(one).collect()
}
