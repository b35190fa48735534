//! A network of convolutions in floats, as layers over tensors: what the quantizer reads.
//!
//! [`super::matcher`] makes it of a graph of tract. Everything that a convolution's kernel does in one pass is one
//! layer here: bias, activation, a tensor added after it.

use super::kernel::Act;

/// Index of a tensor in [`Graph::tensors`].
pub type TensorId = usize;

#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// The first is the picture: bytes 0..=255 of the channels that the model's manifest names, height by width.
    pub tensors: Vec<Tensor>,
    /// In an order in which they can be run. Every tensor but the first is the output of exactly one.
    pub layers: Vec<Layer>,
    pub outputs: Vec<Output>,
}

/// Pixels beside each other with their channels together (NHWC), one picture at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Of the layer that makes it, unique.
    pub name: String,
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Values above are cut to this, as by ReLU6; else infinite. Its bytes need not reach further.
    pub most: f32,
}

#[derive(Debug, Clone)]
pub struct Layer {
    pub kind: Kind,
    pub inputs: Vec<TensorId>,
    pub output: TensorId,
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// `inputs[0]` is convolved; `inputs[1]`, where it is there, is added after the activation.
    Conv(Conv),
    /// The largest of a square; outside the picture is nothing.
    MaxPool { side: usize, stride: usize, pad: usize },
    /// The mean of a square, none of it outside the picture.
    AveragePool { side: usize, stride: usize },
    /// Twice as high and wide.
    Upsample(Upsample),
    /// The sum of two, then an activation (never a table).
    Add(Act),
    /// The channels of all inputs, one after the other.
    Concat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upsample {
    Nearest,
    /// Linear between the centres of pixels ("half pixel"), the border repeated.
    Bilinear,
}

#[derive(Debug, Clone)]
pub struct Conv {
    /// Dense `[outputs][rows][columns][inputs]`; depthwise `[channels][rows][columns]`.
    pub weights: Vec<f32>,
    /// Per output.
    pub bias: Vec<f32>,
    pub depthwise: bool,
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    pub stride: usize,
    /// Rows above and columns left of the picture that are taken as zero; below and right as many as the output needs.
    pub pad: [usize; 2],
    /// Never [`Act::Table`].
    pub act: Act,
}

/// A matrix of reals that the network answers, put together from tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub rows: usize,
    pub columns: usize,
    pub pieces: Vec<Piece>,
}

/// A tensor's pixels, row by row, are consecutive rows of the matrix; its channels are columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub tensor: TensorId,
    /// Of its first pixel.
    pub row: usize,
    /// Of its first channel.
    pub column: usize,
}

impl Graph {
    /// The layer that makes a tensor; none makes the picture.
    pub fn maker(&self, tensor: TensorId) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.output == tensor)
    }

    /// The layers that read a tensor. A concatenation is one of them.
    pub fn readers(&self, tensor: TensorId) -> impl Iterator<Item = &Layer> {
        self.layers.iter().filter(move |layer| layer.inputs.contains(&tensor))
    }

    /// Whether a tensor is part of an output.
    pub fn is_output(&self, tensor: TensorId) -> bool {
        self.outputs.iter().any(|output| output.pieces.iter().any(|piece| piece.tensor == tensor))
    }
}

impl Upsample {
    /// Pixel `y`, `x` of a map of twice `height` by `width`, of the pixels `at` this.
    pub fn pixel(self, y: usize, x: usize, height: usize, width: usize, at: impl Fn(usize, usize) -> f32) -> f32 {
        match self {
            Upsample::Nearest => at(y / 2, x / 2),
            Upsample::Bilinear => {
                let (below, beside) = (neighbour(y, height), neighbour(x, width));
                let (y, x) = (y / 2, x / 2);
                (9.0 * at(y, x) + 3.0 * (at(y, beside) + at(below, x)) + at(below, beside)) / 16.0
            }
        }
    }
}

/// Of two pixels that one of twice as many lies between, the further one: it lies a quarter of a pixel from the centre
/// of `o / 2`. The border is repeated.
pub fn neighbour(o: usize, size: usize) -> usize {
    if o.is_multiple_of(2) { (o / 2).saturating_sub(1) } else { (o / 2 + 1).min(size - 1) }
}

impl Graph {
    /// Lets the network read bytes where it was made for reals `byte * gain + offset`, per channel of the picture, and
    /// says which byte stands for a real zero, as it lies around the picture.
    pub fn read_bytes(&mut self, gain: [f32; 3], offset: [f32; 3]) -> [u8; 3] {
        for layer in &mut self.layers {
            let Kind::Conv(conv) = &mut layer.kind else { continue };
            if layer.inputs.first() != Some(&0) {
                continue;
            }
            let per_output = conv.weights.len() / conv.bias.len();
            for (n, weights) in conv.weights.chunks_exact_mut(per_output).enumerate() {
                for (i, weight) in weights.iter_mut().enumerate() {
                    let channel = if conv.depthwise { n } else { i % 3 };
                    conv.bias[n] += *weight * offset[channel];
                    *weight *= gain[channel];
                }
            }
        }
        std::array::from_fn(|c| (-offset[c] / gain[c]).round().clamp(0.0, 255.0) as u8)
    }
}
