//! Steps that are no convolutions: bytes are moved, compared or added, row by row, a row at a time as one list, so that
//! the compiler makes vectors of it.

use super::graph::neighbour;
use super::kernel::Arena;
use super::plan::{Place, Sum, View};

/// Rows on their way from one view to another.
#[derive(Default)]
pub struct Moves {
    row: Vec<u8>,
    other: Vec<u8>,
    sums: Vec<u32>,
}

impl Moves {
    /// Rows first, each beside as many zeros as columns reach beyond it, then columns of what those made.
    pub fn max_pool(&mut self, arena: &mut Arena, from: View, to: View, [side, stride, pad]: [usize; 3]) {
        let ([height, width, channels], [out_height, out_width, _]) = (arena.known(from), arena.known(to));
        let Moves { row, other, .. } = self;
        for y in 0..out_height {
            row.clear();
            row.resize((pad + width + side) * channels, 0);
            for y in (y * stride).saturating_sub(pad)..(y * stride + side - pad).min(height) {
                let highest = row[pad * channels..].chunks_exact_mut(channels);
                highest.zip(arena.pixels(from, y)).for_each(|(highest, pixel)| raise(highest, pixel));
            }
            // Of all columns, also those that a stride passes over: that is quicker than one by one.
            let length = ((out_width - 1) * stride + 1) * channels;
            other.clear();
            other.extend_from_slice(&row[..length]);
            (1..side).for_each(|x| raise(other, &row[x * channels..][..length]));
            let highest = other.chunks_exact(channels).step_by(stride);
            arena.pixels_mut(to, y).zip(highest).for_each(|(pixel, highest)| pixel.copy_from_slice(highest));
        }
    }

    pub fn average_pool(&mut self, arena: &mut Arena, from: View, to: View, [side, stride]: [usize; 2]) {
        let ([_, width, channels], [out_height, _, _]) = (arena.known(from), arena.known(to));
        let Moves { row, sums, .. } = self;
        let count = (side * side) as u64;
        // Sums are below 2^21 and counts at most 2^12, so that this is the quotient without a division.
        let factor = (1 << 40) / count + 1;
        for y in 0..out_height {
            sums.clear();
            sums.resize(width * channels, 0);
            for k in 0..side {
                gather(arena, from, y * stride + k, row);
                sums.iter_mut().zip(&*row).for_each(|(sum, byte)| *sum += u32::from(*byte));
            }
            for (x, pixel) in arena.pixels_mut(to, y).enumerate() {
                let square = &sums[x * stride * channels..][..side * channels];
                for (n, byte) in pixel.iter_mut().enumerate() {
                    let sum: u32 = square[n..].iter().step_by(channels).sum();
                    *byte = (((u64::from(sum) + count / 2) * factor) >> 40) as u8;
                }
            }
        }
    }

    pub fn nearest(&mut self, arena: &mut Arena, from: View, to: View) {
        let [height, _, channels] = arena.known(from);
        for y in 0..height {
            gather(arena, from, y, &mut self.row);
            for y in [2 * y, 2 * y + 1] {
                let twice = self.row.chunks_exact(channels).flat_map(|pixel| [pixel; 2]);
                arena.pixels_mut(to, y).zip(twice).for_each(|(to, pixel)| to.copy_from_slice(pixel));
            }
        }
    }

    /// Output centres lie a quarter of a pixel from those of the input: 9, 3, 3 and 1 sixteenths of the four around.
    pub fn bilinear(&mut self, arena: &mut Arena, from: View, to: View) {
        let [height, width, channels] = arena.known(from);
        let Moves { row, other, .. } = self;
        for y in 0..2 * height {
            gather(arena, from, y / 2, row);
            gather(arena, from, neighbour(y, height), other);
            for (x, pixel) in arena.pixels_mut(to, y).enumerate() {
                let (at, beside) = (x / 2 * channels, neighbour(x, width) * channels);
                let (a, b) = (&row[at..][..channels], &row[beside..][..channels]);
                let (c, d) = (&other[at..][..channels], &other[beside..][..channels]);
                for (byte, (((a, b), c), d)) in pixel.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
                    let sum = 9 * u16::from(*a) + 3 * (u16::from(*b) + u16::from(*c)) + u16::from(*d);
                    *byte = ((sum + 8) >> 4) as u8;
                }
            }
        }
    }

    pub fn add(&mut self, arena: &mut Arena, [a, b]: [View; 2], to: View, sum: &Sum) {
        let [height, _, channels] = arena.known(to);
        let Moves { row, other, .. } = self;
        let Sum { scales: [scale_a, scale_b], zero, floor } = sum;
        for y in 0..height {
            gather(arena, a, y, row);
            gather(arena, b, y, other);
            let both = row.chunks_exact(channels).zip(other.chunks_exact(channels));
            for (pixel, (a, b)) in arena.pixels_mut(to, y).zip(both) {
                let bytes = pixel.iter_mut().zip(a.iter().zip(b));
                let constants = scale_a.iter().zip(scale_b).zip(zero.iter().zip(floor));
                for ((byte, (a, b)), ((scale_a, scale_b), (zero, floor))) in bytes.zip(constants) {
                    let sum = i32::from(*a) * scale_a + i32::from(*b) * scale_b + zero + Sum::ONE / 2;
                    *byte = (sum >> 16).clamp(i32::from(*floor), 255) as u8;
                }
            }
        }
    }

    pub fn copy(&mut self, arena: &mut Arena, from: View, to: View) {
        let [height, _, channels] = arena.known(to);
        for y in 0..height {
            gather(arena, from, y, &mut self.row);
            let pixels = self.row.chunks_exact(channels);
            arena.pixels_mut(to, y).zip(pixels).for_each(|(to, pixel)| to.copy_from_slice(pixel));
        }
    }

    pub fn reals(&mut self, arena: &mut Arena, from: View, scale: &[f32], zero: &[f32], to: Place) {
        let [height, width, channels] = arena.known(from);
        for y in 0..height {
            gather(arena, from, y, &mut self.row);
            for (x, pixel) in self.row.chunks_exact(channels).enumerate() {
                let row = arena.output_row_mut(to.output, to.row + y * width + x);
                let row = &mut row[to.column..to.column + to.channels];
                for ((real, byte), (scale, zero)) in row.iter_mut().zip(pixel).zip(scale.iter().zip(zero)) {
                    // Two roundings, alike on every processor without asking it for a fused operation.
                    *real = f32::from(*byte) * scale + zero;
                }
            }
        }
    }
}

/// The pixels of a row of a view, their channels together, without what lies between.
fn gather(arena: &Arena, view: View, y: usize, row: &mut Vec<u8>) {
    row.clear();
    arena.pixels(view, y).for_each(|pixel| row.extend_from_slice(pixel));
}

fn raise(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = (*to).max(*from));
}
