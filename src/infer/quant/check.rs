//! Whether a [`Graph`] is one: everything after this may index without asking.

use super::graph::{Conv, Graph, Kind, Layer};
use anyhow::{Context, Result, ensure};

/// # Errors
/// One sentence that names the layer and what does not fit.
pub fn check(graph: &Graph) -> Result<()> {
    let picture = graph.tensors.first().context("the network has no picture")?;
    ensure!(picture.channels == 3, "its picture has {} channels, expected 3", picture.channels);
    for tensor in &graph.tensors {
        let sides = [tensor.height, tensor.width, tensor.channels];
        ensure!(sides.iter().all(|n| (1..=1 << 14).contains(n)), "tensor {} is {sides:?}", tensor.name);
        ensure!(tensor.most > 0.0, "tensor {} is cut at {}", tensor.name, tensor.most);
    }
    let mut names: Vec<&str> = graph.tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    ensure!(names.windows(2).all(|pair| pair[0] != pair[1]), "two of its tensors have the same name");
    let mut made = vec![false; graph.tensors.len()];
    made[0] = true;
    for (i, layer) in graph.layers.iter().enumerate() {
        ensure!(layer.inputs.iter().all(|input| made.get(*input) == Some(&true)), "layer {i} comes before its input");
        ensure!(made.get(layer.output) == Some(&false), "layer {i} makes no tensor of its own");
        made[layer.output] = true;
        check_layer(graph, layer).with_context(|| format!("layer {}", graph.tensors[layer.output].name))?;
    }
    ensure!(made.iter().all(|made| *made), "one of its tensors is made by no layer");
    for output in &graph.outputs {
        for piece in &output.pieces {
            let tensor = graph.tensors.get(piece.tensor).context("an output has a piece of no tensor")?;
            let fits = piece.row.saturating_add(tensor.height * tensor.width) <= output.rows
                && piece.column.saturating_add(tensor.channels) <= output.columns;
            ensure!(fits, "{} does not fit into its output", tensor.name);
        }
    }
    Ok(())
}

fn check_layer(graph: &Graph, layer: &Layer) -> Result<()> {
    let shape = |tensor: usize| {
        let tensor = &graph.tensors[tensor];
        [tensor.height, tensor.width, tensor.channels]
    };
    let to = shape(layer.output);
    let inputs: Vec<[usize; 3]> = layer.inputs.iter().map(|input| shape(*input)).collect();
    let count = match layer.kind {
        Kind::Conv(_) => 1..=2,
        Kind::Add(_) => 2..=2,
        Kind::Concat => 1..=usize::MAX,
        _ => 1..=1,
    };
    ensure!(count.contains(&inputs.len()), "has {} inputs", inputs.len());
    let from = inputs[0];
    let fits = match &layer.kind {
        Kind::Conv(conv) => {
            check_conv(conv, from, to)?;
            inputs.get(1).is_none_or(|added| *added == to)
        }
        // A square must hold a pixel of the picture.
        &Kind::MaxPool { side, stride, pad } => {
            let fits = |from: usize, to: usize| (to - 1) * stride < from + pad;
            pad < side
                && side <= 64
                && (1..=64).contains(&stride)
                && fits(from[0], to[0])
                && fits(from[1], to[1])
                && from[2] == to[2]
        }
        &Kind::AveragePool { side, stride } => {
            let fits = |from: usize, to: usize| (to - 1) * stride + side <= from;
            (1..=64).contains(&side) && stride <= 64 && fits(from[0], to[0]) && fits(from[1], to[1]) && from[2] == to[2]
        }
        Kind::Upsample(_) => to == [2 * from[0], 2 * from[1], from[2]],
        Kind::Add(_) => inputs[1] == from && from == to,
        Kind::Concat => {
            inputs.iter().all(|part| part[..2] == to[..2]) && inputs.iter().map(|part| part[2]).sum::<usize>() == to[2]
        }
    };
    ensure!(fits, "makes {to:?} of {inputs:?}");
    Ok(())
}

fn check_conv(conv: &Conv, from: [usize; 3], to: [usize; 3]) -> Result<()> {
    let [rows, columns] = conv.kernel;
    let inputs = if conv.depthwise { 1 } else { from[2] };
    ensure!(!conv.depthwise || from[2] == to[2], "is depthwise from {} to {} channels", from[2], to[2]);
    ensure!((1..=16).contains(&rows) && (1..=16).contains(&columns), "has a kernel of {rows} x {columns}");
    ensure!((1..=8).contains(&conv.stride), "has a stride of {}", conv.stride);
    let expected = to[2] * rows * columns * inputs;
    ensure!(conv.weights.len() == expected, "has {} weights, expected {expected}", conv.weights.len());
    ensure!(conv.bias.len() == to[2], "has {} biases, expected {}", conv.bias.len(), to[2]);
    ensure!(conv.weights.iter().chain(&conv.bias).all(|w| w.is_finite()), "has weights that are no numbers");
    for side in 0..2 {
        ensure!(conv.pad[side] < conv.kernel[side], "is padded by {:?}", conv.pad);
        // The last square must begin within the picture.
        ensure!((to[side] - 1) * conv.stride < from[side] + conv.pad[side], "makes {to:?} of {from:?}");
    }
    Ok(())
}
