//! What a node does, told by what it makes of numbered pixels.

use super::Node;
use crate::infer::quant::graph::Upsample;
use crate::infer::quant::plain;
use anyhow::{Context, Result, bail, ensure};
use std::sync::Arc;
use tract_onnx::prelude::*;

pub enum Answer {
    /// Every so many rows and columns, from an offset on.
    Pixels {
        stride: [usize; 2],
        offset: [usize; 2],
    },
    /// Consecutive channels.
    Channels {
        from: usize,
    },
    Twice(Upsample),
}

/// Whole numbers up to here are exact in single precision.
const MOST_PIXELS: usize = 1 << 24;

/// `shape` is that of its first input: channels, height, width. `others` are its other inputs.
pub fn ask(node: &Node, [channels, height, width]: [usize; 3], others: &[Arc<Tensor>]) -> Result<Answer> {
    let count = channels * height * width;
    ensure!(count < MOST_PIXELS, "its input has {count} values");
    let asked = |f: &dyn Fn(usize) -> f32| -> Result<(Vec<usize>, Vec<f32>)> {
        let numbers: Vec<f32> = (0..count).map(f).collect();
        let tensor = Tensor::from_shape(&[1, channels, height, width], &numbers).map_err(plain)?;
        let inputs = std::iter::once(tensor.into_tvalue()).chain(others.iter().map(|o| o.clone().into_tvalue()));
        let mut outputs = node.op().eval_out_of_plan(inputs.collect()).map_err(plain)?.context("it is not known")?;
        let output = outputs.pop().context("it makes nothing")?;
        Ok((output.shape().to_vec(), super::reals(&output)?))
    };
    let (shape, found) = asked(&|i| i as f32)?;
    let &[1, c, h, w] = &shape[..] else { bail!("it makes {shape:?}, expected one picture of channels") };
    ensure!(found.len() == c * h * w && !found.is_empty(), "it makes {shape:?}");
    if (c, h, w) == (channels, 2 * height, 2 * width) {
        // Numbers without a pattern, since any interpolation continues a ramp.
        let number = |i: usize| ((i * 7919) % 251) as f32;
        let (_, found) = asked(&number)?;
        for how in [Upsample::Nearest, Upsample::Bilinear] {
            let expected = (0..found.len()).map(|o| {
                let (plane, y, x) = (o / (h * w), o / w % h, o % w);
                let at = |y: usize, x: usize| number((plane * height + y) * width + x);
                how.pixel(y, x, height, width, at)
            });
            if expected.zip(&found).all(|(expected, found)| (expected - found).abs() < 1e-3) {
                return Ok(Answer::Twice(how));
            }
        }
        bail!("it doubles in a way that is not known, expected nearest or linear between centres");
    }
    let first = found[0] as usize;
    let (from, offset) = (first / (height * width), [first / width % height, first % width]);
    let beside = |i: usize, unit: usize| found.get(i).map_or(1, |v| (*v as usize).saturating_sub(first) / unit.max(1));
    let stride = [if h > 1 { beside(w, width) } else { 1 }, if w > 1 { beside(1, 1) } else { 1 }];
    let expected = |o: usize| {
        let (plane, y, x) = (from + o / (h * w), offset[0] + o / w % h * stride[0], offset[1] + o % w * stride[1]);
        ((plane * height + y) * width + x) as f32
    };
    ensure!((0..found.len()).all(|o| found[o] == expected(o)), "it moves pixels in a way that is not known");
    match ((c, h, w) == (c, height, width), c == channels) {
        (true, false) => Ok(Answer::Channels { from }),
        (_, true) if h * stride[0] == height && w * stride[1] == width => Ok(Answer::Pixels { stride, offset }),
        _ => bail!("it takes {c} of {channels} channels, {h} of {height} rows and {w} of {width} columns"),
    }
}
