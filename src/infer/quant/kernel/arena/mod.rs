//! The memory of a running network, and its convolutions bound to places in it.
//!
//! A [`Job`] is made by [`Arena::dense`] or [`Arena::depthwise`] only, which check that all it will read and write
//! lies inside the arena that made it, and that what it writes is not what it reads; that is what makes
//! [`Arena::run`] sound. An arena never changes its size.

mod job;
mod run;

pub use job::Job;

use super::lines::Lines;
use super::{Isa, SLACK};
use crate::infer::quant::places::{Life, Places};
use crate::infer::quant::plan::{Buffer, Place, View};
use anyhow::{Context, Result, ensure};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

/// Largest memory of one network, and of its outputs.
const MOST_BYTES: usize = 1 << 30;
/// More than a network of a thousand layers needs: every pair of them is looked at.
const MOST_BUFFERS: usize = 1 << 12;
/// Pixels and channels of a buffer.
const SIDES: RangeInclusive<usize> = 1..=1 << 14;
/// What the memory of a buffer that nobody needs any more is filled with, in builds that test.
#[cfg(debug_assertions)]
const POISON: u8 = 0xA5;

pub struct Arena {
    id: u64,
    isa: Isa,
    bytes: Lines<u8>,
    rooms: Vec<Room>,
    /// Per buffer whose border has to be written anew, what stands for zero in the pixels of two borders side by side.
    edges: Vec<Vec<u8>>,
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

    /// The end of what may be read of it.
    fn end(&self) -> usize {
        self.at + self.length() + SLACK
    }
}

impl Arena {
    /// Buffers of which no two that live together share memory; those of no `life` keep their bytes.
    pub fn new(buffers: &[Buffer], lives: &[Option<Life>], outputs: &[[usize; 2]], isa: Isa) -> Result<Self> {
        static IDS: AtomicU64 = AtomicU64::new(0);
        ensure!(Isa::available().contains(&isa), "this processor has no {}", isa.name());
        ensure!(buffers.len() <= MOST_BUFFERS, "it has {} buffers, expected at most {MOST_BUFFERS}", buffers.len());
        let mut rooms: Vec<Room> = Vec::new();
        for (i, buffer) in buffers.iter().enumerate() {
            let Buffer { height, width, channels, border, ref zeros } = *buffer;
            let sides = [height, width, channels];
            ensure!(sides.iter().all(|n| SIDES.contains(n)) && border <= 16, "buffer {i} is {sides:?}");
            ensure!(zeros.len() == channels, "buffer {i} has {} zeros for {channels} channels", zeros.len());
            let room = Room { at: 0, height, width, channels, border };
            ensure!(room.length() < MOST_BYTES, "its buffers need more than {MOST_BYTES} bytes");
            rooms.push(room);
        }
        let lengths: Vec<usize> = rooms.iter().map(|room| room.length() + SLACK).collect();
        let places = Places::new(&lengths, lives, MOST_BYTES)?;
        let reals = outputs.iter().map(|[rows, columns]| rows.saturating_mul(*columns));
        let all = reals.clone().fold(0, usize::saturating_add);
        ensure!(
            reals.clone().all(|n| n > 0) && all <= MOST_BYTES / 4,
            "its outputs are of {all} reals, expected some and at most {}",
            MOST_BYTES / 4
        );
        let mut bytes = Lines::zeros(places.length).context("there is not enough memory for its buffers")?;
        let mut edges = Vec::new();
        for (i, (room, buffer)) in rooms.iter_mut().zip(buffers).enumerate() {
            room.at = places.offsets[i];
            let again = places.shared[i] && room.border > 0;
            let pixels = if again { 2 * room.border } else { 0 };
            edges.push(buffer.zeros.iter().copied().cycle().take(pixels * room.channels).collect());
            if !places.shared[i] {
                bytes[room.at..][..room.length()]
                    .chunks_exact_mut(room.channels)
                    .for_each(|pixel| pixel.copy_from_slice(&buffer.zeros));
            }
        }
        let outputs_made = reals.map(|n| vec![0.0; n]).collect();
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Ok(Arena { id, isa, bytes, rooms, edges, outputs: outputs_made, shapes: outputs.to_vec() })
    }

    /// Makes the memory of a buffer its own, before the first step that writes it: others may have written where its
    /// border lies.
    pub fn begin(&mut self, buffer: usize) {
        let (room, edge) = (self.rooms[buffer], &self.edges[buffer]);
        if edge.is_empty() {
            return;
        }
        let mut fill = |from: usize, to: usize| {
            for part in self.bytes[from..to].chunks_mut(edge.len()) {
                part.copy_from_slice(&edge[..part.len()]);
            }
        };
        let beyond = room.width * room.channels;
        fill(room.at, room.pixel(0, 0));
        for y in 1..room.height {
            fill(room.pixel(y - 1, 0) + beyond, room.pixel(y, 0));
        }
        fill(room.pixel(room.height - 1, 0) + beyond, room.at + room.length());
    }

    /// After the last step that reads a buffer. Whoever reads it later sees that it did, in builds that test.
    #[cfg(debug_assertions)]
    pub fn end(&mut self, buffer: usize) {
        let room = self.rooms[buffer];
        (0..room.height).for_each(|y| self.line_mut(buffer, y).fill(POISON));
        // A border that is not written anew is nobody else's.
        if !self.edges[buffer].is_empty() {
            self.bytes[room.at..room.at + room.length()].fill(POISON);
        }
    }

    /// Bytes of all buffers together.
    pub fn length(&self) -> usize {
        self.bytes.len()
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

    /// The pixels of a row of a view.
    pub fn pixels(&self, view: View, y: usize) -> impl Iterator<Item = &[u8]> {
        let room = self.rooms[view.buffer];
        let line = &self.bytes[room.pixel(y, 0)..][..room.width * room.channels];
        line.chunks_exact(room.channels).map(move |pixel| &pixel[view.channel..][..view.channels])
    }

    /// Likewise, to be written.
    pub fn pixels_mut(&mut self, view: View, y: usize) -> impl Iterator<Item = &mut [u8]> {
        let room = self.rooms[view.buffer];
        self.line_mut(view.buffer, y)
            .chunks_exact_mut(room.channels)
            .map(move |p| &mut p[view.channel..][..view.channels])
    }

    /// The pixels of a row of a buffer, all channels.
    pub fn line_mut(&mut self, buffer: usize, y: usize) -> &mut [u8] {
        let room = self.rooms[buffer];
        let from = room.pixel(y, 0);
        &mut self.bytes[from..from + room.width * room.channels]
    }
}
