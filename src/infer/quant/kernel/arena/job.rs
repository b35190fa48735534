//! Convolutions bound to their places.

use super::{Arena, Room, SIDES};
use crate::infer::quant::kernel::pack::MOST_PRODUCTS;
use crate::infer::quant::kernel::{Act, BLOCK, Dense, Depthwise, Epilogue, TABLE};
use crate::infer::quant::plan::{Conv, Place, Target, View};
use anyhow::{Result, ensure};
use std::ops::{Range, RangeInclusive};

/// Rows and columns of a kernel.
const KERNELS: RangeInclusive<usize> = 1..=16;

/// A convolution bound to its places in the arena that made it.
pub struct Job {
    pub(super) arena: u64,
    pub(super) weights: Weights,
    pub(super) epilogue: Epilogue,
    /// The top left input of the first output.
    pub(super) from: usize,
    /// From the inputs of one row of outputs to those of the next.
    pub(super) step: usize,
    /// From one input pixel to the next, times the stride for dense ones.
    pub(super) pixel: usize,
    /// From one input row to the next.
    pub(super) line: usize,
    pub(super) stride: usize,
    pub(super) added: Option<Lane>,
    pub(super) out: To,
    pub(super) height: usize,
    pub(super) width: usize,
    /// What may be read of the buffers that are read, and how many channels are written, padding and all.
    #[cfg(debug_assertions)]
    pub(super) watched: ([Range<usize>; 2], usize),
}

pub(super) enum Weights {
    Dense { weights: Dense, segments: Vec<usize> },
    Depthwise(Depthwise),
}

#[derive(Clone, Copy)]
pub(super) struct Lane {
    pub at: usize,
    pub line: usize,
    pub pixel: usize,
}

#[derive(Clone, Copy)]
pub(super) enum To {
    Bytes(Lane),
    Reals { output: usize, lane: Lane, channels: usize },
}
impl Job {
    /// Rows of outputs.
    pub fn height(&self) -> usize {
        self.height
    }

    pub fn is_depthwise(&self) -> bool {
        matches!(self.weights, Weights::Depthwise(_))
    }

    /// Height, width and channels of what it makes, padding and all.
    pub fn shape(&self) -> [usize; 3] {
        let channels = match &self.weights {
            Weights::Dense { weights, .. } => weights.outputs,
            Weights::Depthwise(weights) => weights.channels,
        };
        [self.height, self.width, channels]
    }

    /// Products of an input and a weight, padding and all.
    pub fn products(&self) -> u64 {
        let pixels = (self.height * self.width) as u64;
        pixels
            * match &self.weights {
                Weights::Dense { weights, .. } => weights.bytes.len() as u64,
                Weights::Depthwise(weights) => (weights.channels * weights.side * weights.side) as u64,
            }
    }
}
impl Arena {
    /// Binds a convolution over all channels to its places.
    pub fn dense(&self, conv: Conv<Dense>, epilogue: Epilogue, added: Option<View>) -> Result<Job> {
        let Conv { mut weights, kernel, stride, pad, from, to } = conv;
        let [_, _, channels] = self.shape(from)?;
        let [rows, columns] = kernel;
        ensure!(kernel.iter().all(|n| KERNELS.contains(n)), "its kernel is {kernel:?}");
        let room = self.rooms[from.buffer];
        // Pixels that lie side by side are read as one.
        let whole = channels == room.channels;
        // Vectors are read whole, and may not reach into channels that somebody writes.
        ensure!(whole || channels.is_multiple_of(BLOCK), "it reads {channels} channels of {}", room.channels);
        let segments: Vec<usize> = if whole {
            (0..rows).map(|ky| ky * room.line()).collect()
        } else {
            (0..rows * columns).map(|k| k / columns * room.line() + k % columns * room.channels).collect()
        };
        let bytes = if whole { columns * channels } else { channels };
        let packed = weights.segments == segments.len() && weights.dwords == bytes.div_ceil(4);
        ensure!(packed, "its weights are packed for {} segments of {} dwords", weights.segments, weights.dwords);
        let length = weights.outputs * weights.segments * weights.dwords * 4;
        ensure!(weights.bytes.len() == length, "its weights are not of the length that their shape asks for");
        ensure!(weights.segments * weights.dwords * 4 <= MOST_PRODUCTS, "its sums may leave 32 bits");
        self.isa.prepare(&mut weights);
        let lengths = [weights.outputs, weights.offsets.len()];
        let conv = Conv { weights: Weights::Dense { weights, segments }, kernel, stride, pad, from, to };
        self.bind(conv, lengths, epilogue, added)
    }

    /// Binds a depthwise convolution to its places.
    pub fn depthwise(&self, conv: Conv<Depthwise>, epilogue: Epilogue, added: Option<View>) -> Result<Job> {
        let Conv { weights, kernel, stride, pad, from, to } = conv;
        let [_, _, channels] = self.shape(from)?;
        let Depthwise { side, channels: outputs, .. } = weights;
        ensure!(kernel == [side, side] && KERNELS.contains(&side), "its kernel is {kernel:?}");
        ensure!(channels == outputs, "it has weights for {outputs} channels of {channels}");
        let length = outputs * side * side.div_ceil(4) * 4;
        ensure!(weights.bytes.len() == length, "its weights are not of the length that their shape asks for");
        let lengths = [outputs, weights.offsets.len()];
        self.bind(
            Conv { weights: Weights::Depthwise(weights), kernel, stride, pad, from, to },
            lengths,
            epilogue,
            added,
        )
    }

    fn bind(
        &self,
        conv: Conv<Weights>,
        [outputs, offsets]: [usize; 2],
        epilogue: Epilogue,
        added: Option<View>,
    ) -> Result<Job> {
        let Conv { weights, kernel, stride, pad, from, to } = conv;
        let room = self.rooms[from.buffer];
        ensure!(outputs > 0 && outputs % BLOCK == 0 && offsets == outputs, "it has {outputs} outputs");
        ensure!((1..=8).contains(&stride) && pad.iter().all(|p| *p <= room.border), "it reaches beyond the border");
        check_epilogue(&epilogue, outputs, added.is_some(), matches!(to, Target::Reals { .. }))?;
        let (out, [height, width]) = self.target(to, outputs)?;
        // What the last output reads must lie within the border as well.
        for (outputs, size, kernel, pad) in
            [(height, room.height, kernel[0], pad[0]), (width, room.width, kernel[1], pad[1])]
        {
            let last = (outputs - 1) * stride + kernel;
            ensure!(last <= size + pad + room.border, "it reaches beyond the border");
        }
        let beside = added.map(|view| self.same_shape(view, [height, width, outputs])).transpose()?;
        if let Target::Bytes(to) = to {
            let apart = self.apart(from, to) && added.is_none_or(|added| self.apart(added, to));
            ensure!(apart, "it writes where it reads");
        }
        let line = room.line();
        let first = room.at + (room.border - pad[0]) * line + (room.border - pad[1]) * room.channels + from.channel;
        let dense = matches!(weights, Weights::Dense { .. });
        let pixel = room.channels * if dense { stride } else { 1 };
        let arena = self.id;
        #[cfg(debug_assertions)]
        let watched = ([from, added.unwrap_or(from)].map(|view| self.whole(view.buffer)), outputs);
        Ok(Job {
            #[cfg(debug_assertions)]
            watched,
            arena,
            weights,
            epilogue,
            from: first,
            step: line * stride,
            pixel,
            line,
            stride,
            added: beside,
            out,
            height,
            width,
        })
    }

    /// Whether views that were asked for before have no byte in common.
    fn apart(&self, a: View, b: View) -> bool {
        if a.buffer == b.buffer {
            return a.channel + a.channels <= b.channel || b.channel + b.channels <= a.channel;
        }
        let (a, b) = (self.whole(a.buffer), self.whole(b.buffer));
        a.end <= b.start || b.end <= a.start
    }

    /// All that may be read of a buffer.
    fn whole(&self, buffer: usize) -> Range<usize> {
        let room: Room = self.rooms[buffer];
        room.at..room.end()
    }

    fn same_shape(&self, view: View, expected: [usize; 3]) -> Result<Lane> {
        let found = self.shape(view)?;
        ensure!(found == expected, "it needs a tensor of {expected:?}, found {found:?}");
        let room = self.rooms[view.buffer];
        Ok(Lane { at: room.pixel(0, 0) + view.channel, line: room.line(), pixel: room.channels })
    }

    fn target(&self, target: Target, outputs: usize) -> Result<(To, [usize; 2])> {
        match target {
            Target::Bytes(view) => {
                let [height, width, _] = self.shape(view)?;
                let lane = self.same_shape(view, [height, width, outputs])?;
                Ok((To::Bytes(lane), [height, width]))
            }
            Target::Reals { place, height, width } => {
                let fits = SIDES.contains(&height) && SIDES.contains(&width) && place.channels <= outputs;
                ensure!(fits, "its answer is {place:?} of {height} x {width} pixels");
                self.place(place, height * width)?;
                let Place { output, row, column, channels } = place;
                let columns = self.shapes[output][1];
                let lane = Lane { at: row * columns + column, line: width * columns, pixel: columns };
                Ok((To::Reals { output, lane, channels }, [height, width]))
            }
        }
    }
}

fn check_epilogue(epilogue: &Epilogue, outputs: usize, adds: bool, reals: bool) -> Result<()> {
    let Epilogue { act, mult, bias, scale, zero, add_scale, table } = epilogue;
    let added = if adds { outputs } else { 0 };
    let tabled = if *act == Act::Table { outputs / BLOCK * TABLE } else { 0 };
    let lengths = [mult.len(), bias.len(), scale.len(), zero.len(), add_scale.len(), table.len()];
    let expected = [outputs, outputs, outputs, outputs, added, tabled];
    ensure!(lengths == expected, "its constants are {lengths:?} long, expected {expected:?}");
    let all = [mult, bias, scale, zero, add_scale].into_iter().flatten();
    let slope = if let Act::Slope(slope) = act { *slope } else { 0.0 };
    // Bounded, so that nothing becomes infinite on the way: 2^31 * 2^30 * 2^30 is far from the largest real.
    let finite = all.chain([&slope]).all(|constant| constant.abs() <= 1e9);
    ensure!(finite, "one of its constants is no finite number of a useful size");
    ensure!(!reals || (*act != Act::Table && !adds), "its answer is in reals after a table or a sum");
    Ok(())
}
