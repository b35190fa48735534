//! The memory of a running network, and its convolutions bound to places in it.
//!
//! A [`Job`] is made by [`Arena::dense`] or [`Arena::depthwise`] only, which check that all it will read and write
//! lies inside the arena that made it; that is what makes [`Arena::row`] sound. An arena never changes its size.

use super::Act;
use super::pack::MOST_PRODUCTS;
#[cfg(debug_assertions)]
use super::scalar;
use super::{Added, BLOCK, Dense, DenseRow, Depthwise, DepthwiseRow, Epilogue, Isa, Out, SLACK, TABLE};
use crate::infer::quant::plan::{Buffer, Conv, Place, Target, View};
use anyhow::{Context, Result, ensure};
#[cfg(debug_assertions)]
use std::ops::Range;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest memory of one network, and of its outputs.
const MOST_BYTES: usize = 1 << 30;
/// Pixels and channels of a buffer.
const SIDES: RangeInclusive<usize> = 1..=1 << 14;
/// Rows and columns of a kernel.
const KERNELS: RangeInclusive<usize> = 1..=16;

pub struct Arena {
    id: u64,
    isa: Isa,
    bytes: Vec<u8>,
    rooms: Vec<Room>,
    outputs: Vec<Vec<f32>>,
    shapes: Vec<[usize; 2]>,
}

/// Where a buffer lies.
#[derive(Debug, Clone, Copy)]
struct Room {
    at: usize,
    height: usize,
    width: usize,
    channels: usize,
    border: usize,
}

impl Room {
    fn line(&self) -> usize {
        (self.width + 2 * self.border) * self.channels
    }

    fn length(&self) -> usize {
        self.line().saturating_mul(self.height + 2 * self.border)
    }

    /// Of a pixel of the picture, not of the border.
    fn pixel(&self, y: usize, x: usize) -> usize {
        self.at + (y + self.border) * self.line() + (x + self.border) * self.channels
    }
}

/// A convolution bound to its places in the arena that made it.
pub struct Job {
    arena: u64,
    weights: Weights,
    epilogue: Epilogue,
    /// The top left input of the first output.
    from: usize,
    /// From the inputs of one row of outputs to those of the next.
    step: usize,
    /// From one input pixel to the next, times the stride for dense ones.
    pixel: usize,
    /// From one input row to the next.
    line: usize,
    stride: usize,
    added: Option<Lane>,
    out: To,
    height: usize,
    width: usize,
    /// The buffers that are read, and how many channels are written, padding and all.
    #[cfg(debug_assertions)]
    watched: ([usize; 2], usize),
}

enum Weights {
    Dense { weights: Dense, segments: Vec<usize> },
    Depthwise(Depthwise),
}

#[derive(Clone, Copy)]
struct Lane {
    at: usize,
    line: usize,
    pixel: usize,
}

#[derive(Clone, Copy)]
enum To {
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
    /// Borders are filled here and never written again.
    pub fn new(buffers: &[Buffer], outputs: &[[usize; 2]], isa: Isa) -> Result<Self> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        ensure!(Isa::available().contains(&isa), "this processor has no {}", isa.name());
        let mut rooms: Vec<Room> = Vec::new();
        let mut length = 0;
        for (i, buffer) in buffers.iter().enumerate() {
            let Buffer { height, width, channels, border, ref zeros } = *buffer;
            let sides = [height, width, channels];
            ensure!(sides.iter().all(|n| SIDES.contains(n)) && border <= 16, "buffer {i} is {sides:?}");
            ensure!(zeros.len() == channels, "buffer {i} has {} zeros for {channels} channels", zeros.len());
            let room = Room { at: length, height, width, channels, border };
            length = length.saturating_add(room.length() + SLACK);
            ensure!(length <= MOST_BYTES, "its buffers need more than {MOST_BYTES} bytes");
            rooms.push(room);
        }
        let reals = outputs.iter().map(|[rows, columns]| rows.saturating_mul(*columns));
        let all = reals.clone().fold(0, usize::saturating_add);
        ensure!(
            reals.clone().all(|n| n > 0) && all <= MOST_BYTES / 4,
            "its outputs are of {all} reals, expected some and at most {}",
            MOST_BYTES / 4
        );
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).context("there is not enough memory for its buffers")?;
        for (room, buffer) in rooms.iter().zip(buffers) {
            bytes.extend(buffer.zeros.iter().copied().cycle().take(room.length()));
            bytes.resize(bytes.len() + SLACK, 0);
        }
        let outputs_made = reals.map(|n| vec![0.0; n]).collect();
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Ok(Arena { id, isa, bytes, rooms, outputs: outputs_made, shapes: outputs.to_vec() })
    }

    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// All there is, to compare it with that of another.
    #[cfg(test)]
    pub fn memory(&self) -> (&[u8], Vec<u32>) {
        (&self.bytes, self.outputs.iter().flatten().map(|real| real.to_bits()).collect())
    }

    pub fn output(&self, output: usize) -> &[f32] {
        &self.outputs[output]
    }

    pub fn output_row_mut(&mut self, output: usize, row: usize) -> &mut [f32] {
        let columns = self.shapes[output][1];
        &mut self.outputs[output][row * columns..][..columns]
    }

    /// Whether rows and columns of a place are in an output.
    pub fn place(&self, place: Place, rows: usize) -> Result<()> {
        let shape = self.shapes.get(place.output).copied();
        let shape = shape.with_context(|| format!("there is no output {}", place.output))?;
        let within = |at: usize, n: usize, size: usize| n > 0 && at.checked_add(n).is_some_and(|end| end <= size);
        let fits = within(place.row, rows, shape[0]) && within(place.column, place.channels, shape[1]);
        ensure!(fits, "it does not fit into an output of {shape:?}");
        Ok(())
    }

    /// Height, width and channels of a view, when it is one.
    pub fn shape(&self, view: View) -> Result<[usize; 3]> {
        let room = self.rooms.get(view.buffer);
        let fits = room.is_some_and(|r| view.channels > 0 && view.channel.saturating_add(view.channels) <= r.channels);
        ensure!(fits, "{view:?} is in no buffer");
        let room = self.rooms[view.buffer];
        Ok([room.height, room.width, view.channels])
    }

    /// Likewise, of a view that was asked for before.
    pub fn known(&self, view: View) -> [usize; 3] {
        let room = self.rooms[view.buffer];
        [room.height, room.width, view.channels]
    }

    /// The channels of a pixel of a view that [`Arena::shape`] knows.
    pub fn at(&self, view: View, y: usize, x: usize) -> &[u8] {
        let from = self.rooms[view.buffer].pixel(y, x) + view.channel;
        &self.bytes[from..from + view.channels]
    }

    pub fn at_mut(&mut self, view: View, y: usize, x: usize) -> &mut [u8] {
        let from = self.rooms[view.buffer].pixel(y, x) + view.channel;
        &mut self.bytes[from..from + view.channels]
    }

    /// The pixels of a row of a buffer, all channels.
    pub fn line_mut(&mut self, buffer: usize, y: usize) -> &mut [u8] {
        let room = self.rooms[buffer];
        let from = room.pixel(y, 0);
        &mut self.bytes[from..from + room.width * room.channels]
    }

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
            let apart = |a: View, b: View| {
                a.buffer != b.buffer || a.channel + a.channels <= b.channel || b.channel + b.channels <= a.channel
            };
            let apart = apart(from, to) && added.is_none_or(|added| apart(added, to));
            ensure!(apart, "it writes where it reads");
        }
        let line = room.line();
        let first = room.at + (room.border - pad[0]) * line + (room.border - pad[1]) * room.channels + from.channel;
        let dense = matches!(weights, Weights::Dense { .. });
        let pixel = room.channels * if dense { stride } else { 1 };
        let arena = self.id;
        #[cfg(debug_assertions)]
        let watched = ([from.buffer, added.unwrap_or(from).buffer], outputs);
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

    /// Runs one row of outputs of a job.
    ///
    /// # Panics
    /// On a job of another arena, or a row that it does not have.
    pub fn row(&mut self, job: &Job, y: usize) {
        assert!(job.arena == self.id && y < job.height, "a row of a job of this arena");
        let bytes = self.bytes.as_mut_ptr();
        // SAFETY: `bind` has checked, against this arena's places, that the inputs of every output of the job (each
        // within the border), what is added and what is written lie within `bytes` or the output named; vectors that
        // reach past the last pixel stay within SLACK. Nothing else uses the memory: the arena is borrowed mutably.
        unsafe {
            let added = job.added.map_or(Added { from: std::ptr::null(), pixel: 0 }, |lane| Added {
                from: bytes.add(lane.at + y * lane.line),
                pixel: lane.pixel,
            });
            let out = match job.out {
                To::Bytes(lane) => Out::Bytes { to: bytes.add(lane.at + y * lane.line), pixel: lane.pixel },
                To::Reals { output, lane, channels } => {
                    let to = self.outputs[output].as_mut_ptr().add(lane.at + y * lane.line);
                    Out::Reals { to, pixel: lane.pixel, channels }
                }
            };
            let Job { ref epilogue, pixel, line, stride, width, .. } = *job;
            let from = bytes.add(job.from + y * job.step).cast_const();
            match &job.weights {
                Weights::Dense { weights, segments } => {
                    let row = DenseRow { weights, epilogue, from, pixel, segments, width, added, out };
                    #[cfg(debug_assertions)]
                    if self.isa == Isa::Scalar {
                        return scalar::dense(&row, &self.watch(job, out));
                    }
                    self.isa.dense(&row);
                }
                Weights::Depthwise(weights) => {
                    let row = DepthwiseRow { weights, epilogue, from, pixel, line, stride, width, added, out };
                    #[cfg(debug_assertions)]
                    if self.isa == Isa::Scalar {
                        return scalar::depthwise(&row, &self.watch(job, out));
                    }
                    self.isa.depthwise(&row);
                }
            }
        }
    }
}

#[cfg(debug_assertions)]
impl Arena {
    /// What a row of a job may touch.
    fn watch(&self, job: &Job, out: Out) -> scalar::Watched {
        let (read, outputs) = job.watched;
        let read = read.map(|buffer| {
            let Range { start, .. } = self.bytes.as_ptr_range();
            let at = start.wrapping_add(self.rooms[buffer].at);
            at..at.wrapping_add(self.rooms[buffer].length() + SLACK)
        });
        let (mut written, mut written_reals) = (read[0].start..read[0].start, std::ptr::null()..std::ptr::null());
        match out {
            Out::Bytes { to, pixel } => {
                let to = to.cast_const();
                written = to..to.wrapping_add((job.width - 1) * pixel + outputs);
                // The slack of the last is nobody's.
                let all = self.bytes.as_ptr_range();
                assert!(all.start <= written.start && written.end <= all.end.wrapping_sub(SLACK), "a row in the arena");
            }
            Out::Reals { to, pixel, channels } => {
                let to = to.cast_const();
                written_reals = to..to.wrapping_add((job.width - 1) * pixel + channels);
                let inside = |all: &Vec<f32>| {
                    let all = all.as_ptr_range();
                    all.start <= written_reals.start && written_reals.end <= all.end
                };
                assert!(self.outputs.iter().any(inside), "a row in an output");
            }
        }
        scalar::Watched { read, written, written_reals }
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
