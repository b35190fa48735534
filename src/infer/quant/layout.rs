//! Where the tensors of a network lie: buffers, and views of them.
//!
//! The parts of a concatenation are written where the concatenation is read. A tensor that is part of a second one is
//! copied there. Which buffers share memory is said by `places`.

use super::graph::{Conv, Graph, Kind, Layer, Piece, TensorId};
use super::kernel::BLOCK;
use super::plan::{Buffer, View};
use anyhow::{Context, Result, ensure};

#[derive(Debug, Clone)]
pub struct Layout {
    /// What stands for zero in them is still to be said.
    pub buffers: Vec<Buffer>,
    /// Of every tensor; none where a convolution's answer goes straight to an output.
    pub views: Vec<Option<View>>,
    /// Which channel of its view each channel of a tensor is. The others are padding.
    pub slots: Vec<Vec<usize>>,
}

impl Layout {
    /// # Errors
    /// Channels that cannot be brought beside each other without moving them. The graph is a checked one.
    pub fn new(graph: &Graph) -> Result<Self> {
        let mut widths = vec![0; graph.tensors.len()];
        let mut slots = vec![Vec::new(); graph.tensors.len()];
        (widths[0], slots[0]) = (graph.tensors[0].channels, (0..graph.tensors[0].channels).collect());
        for layer in &graph.layers {
            let (width, places) = arrange(graph, layer, &widths, &slots)
                .with_context(|| format!("layer {}", graph.tensors[layer.output].name))?;
            (widths[layer.output], slots[layer.output]) = (width, places);
        }
        let mut layout = Layout { buffers: Vec::new(), views: vec![None; graph.tensors.len()], slots };
        let owners = owners(graph);
        for tensor in (0..graph.tensors.len()).filter(|tensor| owners[*tensor].is_none()) {
            if straight(graph, tensor).is_none() {
                let (height, width) = (graph.tensors[tensor].height, graph.tensors[tensor].width);
                let (buffer, channels) = (layout.buffers.len(), widths[tensor]);
                layout.buffers.push(Buffer { height, width, channels, border: 0, zeros: vec![0; channels] });
                layout.place(graph, &owners, &widths, tensor, View { buffer, channel: 0, channels });
            }
        }
        for layer in &graph.layers {
            if let (Kind::Conv(conv), Some(view)) = (&layer.kind, layout.views[layer.inputs[0]]) {
                let border = &mut layout.buffers[view.buffer].border;
                *border = reach(graph, layer, conv).max(*border);
            }
        }
        Ok(layout)
    }

    /// Gives a tensor its view, and its parts theirs.
    fn place(&mut self, graph: &Graph, owners: &[Option<TensorId>], widths: &[usize], tensor: TensorId, view: View) {
        self.views[tensor] = Some(view);
        let Some(layer) = graph.maker(tensor).filter(|layer| matches!(layer.kind, Kind::Concat)) else { return };
        let mut channel = view.channel;
        for (i, part) in layer.inputs.iter().enumerate() {
            // Where a tensor is a part twice, the first place is its own.
            if owners[*part] == Some(tensor) && !layer.inputs[..i].contains(part) {
                let to = View { buffer: view.buffer, channel, channels: widths[*part] };
                self.place(graph, owners, widths, *part, to);
            }
            channel += widths[*part];
        }
    }

    /// Where the parts of a concatenation lie that are not in their place, and that place.
    pub fn copies(&self, layer: &Layer) -> Vec<[View; 2]> {
        let (Kind::Concat, Some(whole)) = (&layer.kind, self.views[layer.output]) else { return Vec::new() };
        let mut channel = whole.channel;
        let mut copies = Vec::new();
        for from in layer.inputs.iter().filter_map(|part| self.views[*part]) {
            let to = View { buffer: whole.buffer, channel, channels: from.channels };
            channel += from.channels;
            if from != to {
                copies.push([from, to]);
            }
        }
        copies
    }
}

/// The output, and the place in it, that a convolution writes its reals to: where nobody else wants its answer.
pub fn straight(graph: &Graph, tensor: TensorId) -> Option<(usize, Piece)> {
    let layer = graph.maker(tensor)?;
    let Kind::Conv(conv) = &layer.kind else { return None };
    let mut pieces =
        graph.outputs.iter().enumerate().flat_map(|(i, output)| output.pieces.iter().map(move |p| (i, *p)));
    let mine = pieces.by_ref().find(|(_, piece)| piece.tensor == tensor)?;
    let alone = !pieces.any(|(_, piece)| piece.tensor == tensor) && graph.readers(tensor).next().is_none();
    let plain = !conv.depthwise && layer.inputs.len() == 1 && !graph.tensors[tensor].most.is_finite();
    (alone && plain).then_some(mine)
}

/// The concatenation that each tensor is stored as a part of: the first that it is part of.
fn owners(graph: &Graph) -> Vec<Option<TensorId>> {
    let mut owners = vec![None; graph.tensors.len()];
    for layer in graph.layers.iter().filter(|layer| matches!(layer.kind, Kind::Concat)) {
        for part in &layer.inputs {
            owners[*part].get_or_insert(layer.output);
        }
    }
    owners
}

/// The padded channels of what a layer makes, and which of them are used.
fn arrange(graph: &Graph, layer: &Layer, widths: &[usize], slots: &[Vec<usize>]) -> Result<(usize, Vec<usize>)> {
    let as_in = |tensor: TensorId| (widths[tensor], slots[tensor].clone());
    let of_picture = layer.inputs.iter().position(|input| *input == 0);
    let dense = matches!(&layer.kind, Kind::Conv(conv) if !conv.depthwise);
    ensure!(of_picture.is_none_or(|i| i == 0 && dense), "only convolutions over all channels can read the picture");
    Ok(match &layer.kind {
        // Its outputs may be put wherever a tensor that is added wants them.
        Kind::Conv(conv) if !conv.depthwise => match layer.inputs.get(1) {
            Some(added) => as_in(*added),
            None => {
                let channels = graph.tensors[layer.output].channels;
                (channels.next_multiple_of(BLOCK), (0..channels).collect())
            }
        },
        Kind::Concat => {
            let mut width = 0;
            let mut places = Vec::new();
            for part in &layer.inputs {
                places.extend(slots[*part].iter().map(|slot| width + slot));
                width += widths[*part];
            }
            (width, places)
        }
        _ => {
            let first = as_in(layer.inputs[0]);
            let alike = layer.inputs.iter().all(|input| as_in(*input) == first);
            ensure!(
                alike,
                "the tensors that are added lie differently, as parts of no multiple of {BLOCK} channels do"
            );
            first
        }
    })
}

/// How many pixels beyond the picture a convolution reads, on the side where these are most.
fn reach(graph: &Graph, layer: &Layer, conv: &Conv) -> usize {
    let (from, to) = (&graph.tensors[layer.inputs[0]], &graph.tensors[layer.output]);
    let beyond = |side: usize, from: usize, to: usize| {
        ((to - 1) * conv.stride + conv.kernel[side]).saturating_sub(conv.pad[side] + from).max(conv.pad[side])
    };
    beyond(0, from.height, to.height).max(beyond(1, from.width, to.width))
}
