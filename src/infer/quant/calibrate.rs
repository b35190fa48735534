//! Pictures become [`Ranges`].

use super::clip::{least_error, least_error_after};
use super::correct::correct;
use super::graph::{Conv, Graph, Kind, TensorId};
use super::kernel::BLOCK;
use super::layout::Layout;
use super::ranges::{Range, Ranges, short};
use super::samples::{Sample, Samples};
use super::scheme::{Curve, Scheme};
use super::{Pictures, Progress};
use anyhow::Result;

/// Looks at the numbers that a network makes of pictures, which should be like those that it will see: a hundred are
/// enough. `picture_zeros` is what the network takes for black around the picture.
///
/// # Errors
/// A graph that is none, or a picture that cannot be had.
pub fn calibrate(
    graph: &Graph,
    picture_zeros: [u8; 3],
    pictures: &Pictures,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Ranges> {
    let samples = Samples::take(graph, picture_zeros, pictures, threads, progress)?;
    let mut ranges = from_samples(graph, &samples, progress)?;
    for curve in [Curve::Exact, Curve::Table] {
        correct(graph, &samples, &mut ranges, curve)?;
    }
    Ok(ranges)
}

/// # Errors
/// None that [`Samples::take`] has not found.
fn from_samples(graph: &Graph, samples: &Samples, progress: &mut dyn FnMut(Progress)) -> Result<Ranges> {
    let mut ranges = Ranges { schema: Ranges::SCHEMA, tensors: Default::default() };
    let of = graph.tensors.len();
    for (tensor, described) in graph.tensors.iter().enumerate() {
        let sample = &samples.tensors[tensor];
        if !sample.values.is_empty() {
            let one = |channel: usize| least_error(sample.channel(channel), sample.ends[channel]).map(short);
            let channels = (0..described.channels).map(one).collect();
            ranges.tensors.insert(described.name.clone(), Range { channels, ..Range::default() });
        }
        progress(Progress { what: "Choosing ranges", done: tensor + 1, of: 2 * of });
    }
    // Which sums a table should hold depends on the bytes that it answers with.
    let scheme = Scheme::new(graph, &Layout::new(graph)?, &ranges, Curve::Table)?;
    for (i, layer) in scheme.graph.layers.iter().enumerate() {
        let tensor = layer.output;
        if let (Kind::Conv(conv), true) = (&layer.kind, scheme.tables[tensor]) {
            let sample = samples.sums[tensor].reordered(&scheme.order(tensor));
            let sums = tables(&scheme, conv, tensor, &sample);
            if let Some(range) = ranges.tensors.get_mut(&graph.tensors[tensor].name) {
                range.sums = sums;
            }
        }
        progress(Progress { what: "Choosing ranges", done: of + i + 1, of: of + graph.layers.len() });
    }
    Ok(ranges)
}

fn tables(scheme: &Scheme, conv: &Conv, tensor: TensorId, sample: &Sample) -> Vec<[f32; 2]> {
    let each = sample.values.len() / sample.ends.len().max(1);
    let blocks = sample.values.chunks(each * BLOCK);
    let steps = scheme.steps[tensor].iter().step_by(BLOCK);
    blocks.zip(steps).map(|(sums, step)| least_error_after(sums, conv.act, *step).map(short)).collect()
}
