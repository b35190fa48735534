//! Runs a [`Graph`] in floats, to see what numbers it makes. Much slower than a quantized one, and the same on every
//! run; nothing is shared, so pictures can be run side by side.

use super::check::check;
use super::graph::{Conv, Graph, Kind, Layer, TensorId, Upsample, neighbour};
use super::kernel::Act;
use anyhow::{Result, ensure};

/// Output channels and pixels that are summed together, so that they stay in registers.
const WIDE: usize = 8;
const TALL: usize = 4;

pub struct Float<'a> {
    graph: &'a Graph,
    /// What lies around the picture, where a convolution reaches beyond it.
    zeros: [f32; 3],
    /// Per layer, as its loop reads them.
    weights: Vec<Vec<f32>>,
    /// Per tensor, the last layer that reads it.
    last: Vec<usize>,
}

/// What the network makes on its way: pixels row by row, their channels together.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// The sums of a convolution with its bias, before the activation. Named by the tensor that is made of them.
    Sums(TensorId, &'a [f32]),
    Tensor(TensorId, &'a [f32]),
}

impl<'a> Float<'a> {
    /// # Errors
    /// What `check` says of the graph.
    pub fn new(graph: &'a Graph, picture_zeros: [u8; 3]) -> Result<Self> {
        check(graph)?;
        let weights = graph.layers.iter().map(|layer| weights(graph, layer)).collect();
        let mut last = vec![0; graph.tensors.len()];
        for (i, layer) in graph.layers.iter().enumerate() {
            layer.inputs.iter().for_each(|input| last[*input] = i);
        }
        Ok(Float { graph, zeros: picture_zeros.map(f32::from), weights, last })
    }

    /// The outputs for one picture of bytes.
    ///
    /// # Errors
    /// A picture of another size.
    pub fn run(&self, picture: &[u8], visit: &mut dyn FnMut(Seen)) -> Result<Vec<Vec<f32>>> {
        let graph = self.graph;
        let first = &graph.tensors[0];
        let (height, width) = (first.height, first.width);
        ensure!(
            picture.len() == height * width * 3,
            "a picture of {} bytes, expected {height} x {width} x 3",
            picture.len()
        );
        let mut outputs: Vec<Vec<f32>> = graph.outputs.iter().map(|o| vec![0.0; o.rows * o.columns]).collect();
        let mut tensors = vec![Vec::new(); graph.tensors.len()];
        tensors[0] = picture.iter().map(|byte| f32::from(*byte)).collect();
        visit(Seen::Tensor(0, &tensors[0]));
        for (i, layer) in graph.layers.iter().enumerate() {
            let mut made = self.layer(i, layer, &tensors, visit);
            let most = graph.tensors[layer.output].most;
            if most.is_finite() {
                made.iter_mut().for_each(|value| *value = value.min(most));
            }
            visit(Seen::Tensor(layer.output, &made));
            for (output, matrix) in graph.outputs.iter().zip(&mut outputs) {
                for piece in output.pieces.iter().filter(|piece| piece.tensor == layer.output) {
                    let channels = graph.tensors[layer.output].channels;
                    let rows = matrix.chunks_exact_mut(output.columns).skip(piece.row);
                    for (row, pixel) in rows.zip(made.chunks_exact(channels)) {
                        row[piece.column..piece.column + channels].copy_from_slice(pixel);
                    }
                }
            }
            tensors[layer.output] = made;
            for input in &layer.inputs {
                if self.last[*input] == i {
                    tensors[*input] = Vec::new();
                }
            }
        }
        Ok(outputs)
    }

    fn layer(&self, index: usize, layer: &Layer, tensors: &[Vec<f32>], visit: &mut dyn FnMut(Seen)) -> Vec<f32> {
        let shape = |tensor: TensorId| {
            let tensor = &self.graph.tensors[tensor];
            [tensor.height, tensor.width, tensor.channels]
        };
        let input = &tensors[layer.inputs[0]];
        let (from, to) = (shape(layer.inputs[0]), shape(layer.output));
        match &layer.kind {
            Kind::Conv(conv) => {
                let zeros = if layer.inputs[0] == 0 { self.zeros.to_vec() } else { vec![0.0; from[2]] };
                let squares = Squares { input, from, to, conv, zeros: &zeros };
                let weights = &self.weights[index];
                let mut made = if conv.depthwise { depthwise(&squares, weights) } else { dense(&squares, weights) };
                visit(Seen::Sums(layer.output, &made));
                made.iter_mut().for_each(|y| *y = activate(conv.act, *y));
                if let Some(added) = layer.inputs.get(1) {
                    made.iter_mut().zip(&tensors[*added]).for_each(|(a, b)| *a += b);
                }
                made
            }
            &Kind::MaxPool { side, stride, pad } => {
                let place =
                    |out: usize, k: usize, size: usize| (out * stride + k).checked_sub(pad).filter(|at| *at < size);
                pool(input, from, to, side, f32::NEG_INFINITY, place, |a, b| if b > a { b } else { a })
            }
            &Kind::AveragePool { side, stride } => {
                let mut made = pool(input, from, to, side, 0.0, |out, k, _| Some(out * stride + k), |a, b| a + b);
                made.iter_mut().for_each(|sum| *sum /= (side * side) as f32);
                made
            }
            Kind::Upsample(how) => upsample(*how, input, from),
            Kind::Add(act) => {
                let other = &tensors[layer.inputs[1]];
                input.iter().zip(other).map(|(a, b)| activate(*act, a + b)).collect()
            }
            Kind::Concat => {
                let mut made = Vec::with_capacity(to.iter().product());
                let parts: Vec<_> = layer.inputs.iter().map(|part| (&tensors[*part], shape(*part)[2])).collect();
                for pixel in 0..to[0] * to[1] {
                    for (part, channels) in &parts {
                        made.extend_from_slice(&part[pixel * channels..][..*channels]);
                    }
                }
                made
            }
        }
    }
}

/// In floats and fast; [`super::kernel::scalar::activate`] is what quantized networks do.
pub fn activate(act: Act, y: f32) -> f32 {
    match act {
        Act::Slope(slope) => y.max(0.0) + slope * y.min(0.0),
        Act::Silu => y * sigmoid(y),
        Act::Sigmoid => sigmoid(y),
        Act::HardSwish => y * (y + 3.0).clamp(0.0, 6.0) / 6.0,
        Act::Table => y,
    }
}

/// Without calls, so that the compiler can do several at once. Within 1e-6 of the logistic function.
fn sigmoid(y: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    let t = (y * -std::f32::consts::LOG2_E).clamp(-60.0, 60.0);
    let z = t + MAGIC;
    let f = (t - (z - MAGIC)) * std::f32::consts::LN_2;
    let power = 1.0 + f * (1.0 + f * (1.0 / 2.0 + f * (1.0 / 6.0 + f * (1.0 / 24.0 + f * (1.0 / 120.0 + f / 720.0)))));
    let e = f32::from_bits(power.to_bits().wrapping_add(z.to_bits() << 23));
    1.0 / (1.0 + e)
}

/// The inputs of a convolution's outputs.
struct Squares<'a> {
    input: &'a [f32],
    from: [usize; 3],
    to: [usize; 3],
    conv: &'a Conv,
    /// What a pixel beyond the picture holds.
    zeros: &'a [f32],
}

impl Squares<'_> {
    /// The pixel that an output reads with one weight of the square.
    fn pixel(&self, output: usize, k: usize) -> &[f32] {
        let ([height, width, channels], conv) = (self.from, self.conv);
        let at = |out: usize, k: usize, pad: usize| (out * conv.stride + k).wrapping_sub(pad);
        let y = at(output / self.to[1], k / conv.kernel[1], conv.pad[0]);
        let x = at(output % self.to[1], k % conv.kernel[1], conv.pad[1]);
        if y < height && x < width { &self.input[(y * width + x) * channels..][..channels] } else { self.zeros }
    }
}

/// Dense: `[outputs / WIDE][rows][columns][inputs][WIDE]`; depthwise: `[rows][columns][channels]`.
fn weights(graph: &Graph, layer: &Layer) -> Vec<f32> {
    let Kind::Conv(conv) = &layer.kind else { return Vec::new() };
    let outputs = graph.tensors[layer.output].channels;
    let each = conv.weights.len() / outputs;
    if conv.depthwise {
        return (0..conv.weights.len()).map(|i| conv.weights[i % outputs * each + i / outputs]).collect();
    }
    let mut turned = vec![0.0; outputs.next_multiple_of(WIDE) * each];
    for (output, weights) in conv.weights.chunks_exact(each).enumerate() {
        let block = &mut turned[output / WIDE * WIDE * each..][..WIDE * each];
        block.iter_mut().skip(output % WIDE).step_by(WIDE).zip(weights).for_each(|(to, weight)| *to = *weight);
    }
    turned
}

fn dense(squares: &Squares, weights: &[f32]) -> Vec<f32> {
    let Squares { from, to, conv, .. } = squares;
    let (pixels, outputs) = (to[0] * to[1], to[2]);
    let taps = conv.kernel[0] * conv.kernel[1];
    let each = taps * from[2];
    let mut bias = conv.bias.clone();
    bias.resize(outputs.next_multiple_of(WIDE), 0.0);
    let mut made = vec![0.0; pixels * outputs];
    // The inputs of TALL pixels, side by side.
    let mut inputs = vec![0.0; each * TALL];
    for first in (0..pixels).step_by(TALL) {
        let count = TALL.min(pixels - first);
        for p in 0..count {
            for k in 0..taps {
                let to = inputs[k * from[2] * TALL + p..].iter_mut().step_by(TALL);
                to.zip(squares.pixel(first + p, k)).for_each(|(to, x)| *to = *x);
            }
        }
        for (n, (weights, bias)) in weights.chunks_exact(each * WIDE).zip(bias.chunks_exact(WIDE)).enumerate() {
            let sums = tile(&inputs, weights, bias);
            let wide = WIDE.min(outputs - n * WIDE);
            for (p, sums) in sums.iter().enumerate().take(count) {
                made[(first + p) * outputs + n * WIDE..][..wide].copy_from_slice(&sums[..wide]);
            }
        }
    }
    made
}

fn tile(inputs: &[f32], weights: &[f32], bias: &[f32]) -> [[f32; WIDE]; TALL] {
    let mut sums = [[0.0; WIDE]; TALL];
    for sums in &mut sums {
        sums.copy_from_slice(bias);
    }
    for (inputs, weights) in inputs.as_chunks::<TALL>().0.iter().zip(weights.as_chunks::<WIDE>().0) {
        for p in 0..TALL {
            for n in 0..WIDE {
                sums[p][n] += inputs[p] * weights[n];
            }
        }
    }
    sums
}

fn depthwise(squares: &Squares, weights: &[f32]) -> Vec<f32> {
    let channels = squares.to[2];
    let mut made = Vec::with_capacity(squares.to.iter().product());
    for output in 0..squares.to[0] * squares.to[1] {
        let start = made.len();
        made.extend_from_slice(&squares.conv.bias);
        for (k, weights) in weights.chunks_exact(channels).enumerate() {
            let inputs = squares.pixel(output, k).iter().zip(weights);
            made[start..].iter_mut().zip(inputs).for_each(|(sum, (x, w))| *sum += x * w);
        }
    }
    made
}

fn pool(
    input: &[f32],
    [height, width, channels]: [usize; 3],
    to: [usize; 3],
    side: usize,
    start: f32,
    place: impl Fn(usize, usize, usize) -> Option<usize>,
    join: impl Fn(f32, f32) -> f32,
) -> Vec<f32> {
    let mut made = vec![start; to.iter().product()];
    for (i, pixel) in made.chunks_exact_mut(channels).enumerate() {
        for k in 0..side * side {
            let (y, x) = (place(i / to[1], k / side, height), place(i % to[1], k % side, width));
            if let (Some(y), Some(x)) = (y, x) {
                let from = &input[(y * width + x) * channels..][..channels];
                pixel.iter_mut().zip(from).for_each(|(a, b)| *a = join(*a, *b));
            }
        }
    }
    made
}

fn upsample(how: Upsample, input: &[f32], [height, width, channels]: [usize; 3]) -> Vec<f32> {
    let pixel = |y: usize, x: usize| &input[(y * width + x) * channels..][..channels];
    let mut made = Vec::with_capacity(4 * input.len());
    for y in 0..2 * height {
        for x in 0..2 * width {
            let near = pixel(y / 2, x / 2);
            if how == Upsample::Nearest {
                made.extend_from_slice(near);
                continue;
            }
            let (far_y, far_x) = (neighbour(y, height), neighbour(x, width));
            let (a, b, c) = (pixel(y / 2, far_x), pixel(far_y, x / 2), pixel(far_y, far_x));
            made.extend((0..channels).map(|n| (9.0 * near[n] + 3.0 * (a[n] + b[n]) + c[n]) / 16.0));
        }
    }
    made
}
