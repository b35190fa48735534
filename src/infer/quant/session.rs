//! Runs a plan: one picture in, matrices of reals out.

use super::graph::{Upsample, neighbour};
use super::kernel::{Arena, Isa, Job};
use super::plan::{Conv, Place, Plan, Step, StepKind, Sum, View};
use crate::infer::{Kind, Layer};
use anyhow::{Context, Result, ensure};

/// Most bytes on their way within a step.
const MOST_SCRATCH: usize = 1 << 28;
/// Most products for one picture: several times what the largest detectors need, and minutes of the slowest kernel.
const MOST_PRODUCTS: u64 = 1 << 38;

pub struct Session {
    arena: Arena,
    work: Vec<Named>,
    /// Rows on their way from one view to another.
    scratch: Vec<u8>,
    products: u64,
}

struct Named {
    name: String,
    /// Rows and columns that it looks at for one output, and its stride.
    reach: [usize; 3],
    work: Work,
}

enum Work {
    Conv(Box<Job>),
    MaxPool { from: View, to: View, side: usize, stride: usize, pad: usize },
    AveragePool { from: View, to: View, side: usize, stride: usize },
    Upsample { how: Upsample, from: View, to: View },
    Add { from: [View; 2], to: View, sum: Sum },
    Copy { from: View, to: View },
    Reals { from: View, scale: Vec<f32>, zero: Vec<f32>, to: Place },
}

impl Session {
    /// # Errors
    /// A plan whose steps do not fit its buffers: the sentence names the step.
    pub fn new(plan: Plan, isa: Isa) -> Result<Self> {
        let arena = Arena::new(&plan.buffers, &plan.outputs, isa)?;
        ensure!(plan.buffers.first().is_some_and(|picture| picture.channels == 3), "it reads no picture");
        let work = plan
            .steps
            .into_iter()
            .map(|Step { name, kind }| {
                let reach = reach(&kind);
                // Weights move from the plan to here, so that they are never there twice.
                let work = bind(&arena, kind).with_context(|| format!("its step {name} is malformed"))?;
                Ok(Named { name, reach, work })
            })
            .collect::<Result<Vec<_>>>()?;
        let products = work.iter().fold(0u64, |sum, named: &Named| sum.saturating_add(products(&arena, &named.work)));
        ensure!(
            products <= MOST_PRODUCTS,
            "it needs {products} products for a picture, expected at most {MOST_PRODUCTS}"
        );
        Ok(Session { arena, work, scratch: Vec::new(), products })
    }

    pub fn isa(&self) -> Isa {
        self.arena.isa()
    }

    /// How much is computed for a picture: products of convolutions, and bytes that other steps look at.
    pub fn products(&self) -> u64 {
        self.products
    }

    /// All bytes and the bits of all reals, to compare them with those of another.
    #[cfg(test)]
    pub fn memory(&self) -> (&[u8], Vec<u32>) {
        self.arena.memory()
    }

    /// One row of the picture: bytes, the channels of a pixel together.
    pub fn line(&mut self, y: usize) -> &mut [u8] {
        self.arena.line_mut(0, y)
    }

    /// Everything with a picture at once: `height * width * 3` bytes.
    pub fn fill(&mut self, picture: &[u8], height: usize) {
        for (y, line) in picture.chunks_exact(picture.len() / height.max(1)).enumerate() {
            self.arena.line_mut(0, y).copy_from_slice(line);
        }
    }

    pub fn run(&mut self) {
        for index in 0..self.work.len() {
            self.step(index);
        }
    }

    /// Runs, and calls `done` after each layer with its number.
    pub fn run_each(&mut self, done: &mut dyn FnMut(usize)) {
        for index in 0..self.work.len() {
            self.step(index);
            done(index);
        }
    }

    /// What [`Session::run`] does, in order.
    pub fn layers(&self) -> Vec<Layer> {
        self.work.iter().map(|named| named.layer(&self.arena)).collect()
    }

    /// Row by row, as the plan says.
    pub fn output(&self, output: usize) -> &[f32] {
        self.arena.output(output)
    }

    /// The bytes of a pixel of a view, as the last run left them.
    pub fn pixel(&self, view: View, y: usize, x: usize) -> &[u8] {
        self.arena.at(view, y, x)
    }

    fn step(&mut self, index: usize) {
        let Session { arena, work, scratch, .. } = self;
        match &work[index].work {
            Work::Conv(job) => (0..job.height()).for_each(|y| arena.row(job, y)),
            Work::MaxPool { from, to, side, stride, pad } => {
                max_pool(arena, *from, *to, [*side, *stride, *pad], scratch)
            }
            Work::AveragePool { from, to, side, stride } => average_pool(arena, *from, *to, [*side, *stride]),
            Work::Upsample { how: Upsample::Nearest, from, to } => nearest(arena, *from, *to, scratch),
            Work::Upsample { how: Upsample::Bilinear, from, to } => bilinear(arena, *from, *to, scratch),
            Work::Add { from, to, sum } => add(arena, *from, *to, sum, scratch),
            Work::Copy { from, to } => each_pixel(arena, *from, *to, scratch, |from, to| to.copy_from_slice(from)),
            Work::Reals { from, scale, zero, to } => reals(arena, *from, scale, zero, *to),
        }
    }
}

impl Named {
    fn layer(&self, arena: &Arena) -> Layer {
        let [rows, columns, stride] = self.reach;
        let (kind, what, shape, products) = match &self.work {
            Work::Conv(job) if job.is_depthwise() => (Kind::Depthwise, "depthwise", job.shape(), job.products()),
            Work::Conv(job) => (Kind::Dense, "dense", job.shape(), job.products()),
            Work::MaxPool { to, .. } => (Kind::Other, "max pool", arena.known(*to), 0),
            Work::AveragePool { to, .. } => (Kind::Other, "average pool", arena.known(*to), 0),
            Work::Upsample { how: Upsample::Nearest, to, .. } => (Kind::Other, "nearest", arena.known(*to), 0),
            Work::Upsample { how: Upsample::Bilinear, to, .. } => (Kind::Other, "bilinear", arena.known(*to), 0),
            Work::Add { to, .. } => (Kind::Other, "add", arena.known(*to), 0),
            Work::Copy { to, .. } => (Kind::Other, "copy", arena.known(*to), 0),
            Work::Reals { from, .. } => (Kind::Other, "reals", arena.known(*from), 0),
        };
        let mut what = what.to_string();
        if rows > 0 {
            what += &format!(" {rows}x{columns}");
        }
        if stride > 1 {
            what += &format!(" / {stride}");
        }
        Layer { name: self.name.clone(), kind, what, shape, products }
    }
}

/// Rows, columns and stride, where a step has them; else zeros.
fn reach(kind: &StepKind) -> [usize; 3] {
    match kind {
        StepKind::Dense { conv: Conv { kernel: [rows, columns], stride, .. }, .. } => [*rows, *columns, *stride],
        StepKind::Depthwise { conv: Conv { kernel: [rows, columns], stride, .. }, .. } => [*rows, *columns, *stride],
        StepKind::MaxPool { side, stride, .. } | StepKind::AveragePool { side, stride, .. } => [*side, *side, *stride],
        _ => [0; 3],
    }
}

fn bind(arena: &Arena, kind: StepKind) -> Result<Work> {
    let shape = |view: View| arena.shape(view);
    let work = match kind {
        StepKind::Dense { conv, epilogue, added } => Work::Conv(Box::new(arena.dense(conv, epilogue, added)?)),
        StepKind::Depthwise { conv, epilogue, added } => Work::Conv(Box::new(arena.depthwise(conv, epilogue, added)?)),
        StepKind::MaxPool { from, to, side, stride, pad } => {
            let ([h, w, c], [oh, ow, oc]) = (shape(from)?, shape(to)?);
            ensure!(
                (1..=64).contains(&side) && (1..=64).contains(&stride) && pad < side,
                "its square is of {side} pixels every {stride}"
            );
            let fits = |size: usize, out: usize| (out - 1) * stride < size + pad;
            ensure!(c == oc && fits(h, oh) && fits(w, ow), "it pools beyond its input");
            ensure!(h * ow <= MOST_SCRATCH / c, "it pools {h} rows to {ow} columns, which is too much at once");
            Work::MaxPool { from, to, side, stride, pad }
        }
        StepKind::AveragePool { from, to, side, stride } => {
            let ([h, w, c], [oh, ow, oc]) = (shape(from)?, shape(to)?);
            ensure!(
                (1..=64).contains(&side) && (1..=64).contains(&stride),
                "its square is of {side} pixels every {stride}"
            );
            let fits = |size: usize, out: usize| (out - 1) * stride + side <= size;
            ensure!(c == oc && fits(h, oh) && fits(w, ow), "it pools beyond its input");
            Work::AveragePool { from, to, side, stride }
        }
        StepKind::Upsample { how, from, to } => {
            let ([h, w, c], found) = (shape(from)?, shape(to)?);
            ensure!(found == [2 * h, 2 * w, c], "it makes {found:?} of {:?}", [h, w, c]);
            Work::Upsample { how, from, to }
        }
        StepKind::Add { from, to, sum } => {
            let shapes = [shape(from[0])?, shape(from[1])?, shape(to)?];
            let channels = shapes[2][2];
            ensure!(shapes[0] == shapes[1] && shapes[1] == shapes[2], "it adds {shapes:?}");
            let lengths = [sum.scales[0].len(), sum.scales[1].len(), sum.zero.len(), sum.floor.len()];
            ensure!(lengths == [channels; 4], "its constants are {lengths:?} long, expected {channels}");
            let scales = sum.scales.iter().flatten().all(|s| (0..=Sum::MOST).contains(s));
            let zeros = sum.zero.iter().all(|z| z.unsigned_abs() <= 256 * Sum::MOST.unsigned_abs());
            ensure!(scales && zeros, "one of its constants is beyond what it may be");
            Work::Add { from, to, sum }
        }
        StepKind::Copy { from, to } => {
            ensure!(shape(from)? == shape(to)?, "it copies {:?} to {:?}", shape(from)?, shape(to)?);
            Work::Copy { from, to }
        }
        StepKind::Reals { from, scale, zero, to } => {
            let [height, width, channels] = shape(from)?;
            let lengths = [scale.len(), zero.len()];
            ensure!(lengths == [channels; 2] && to.channels <= channels, "its constants are {lengths:?} long");
            let finite = scale.iter().chain(&zero).all(|constant| constant.abs() <= 1e9);
            ensure!(finite, "one of its constants is no finite number of a useful size");
            arena.place(to, height * width)?;
            Work::Reals { from, scale, zero, to }
        }
    };
    Ok(work)
}

/// How much a step computes: products, or bytes looked at.
fn products(arena: &Arena, work: &Work) -> u64 {
    let bytes = |view: View| arena.known(view).iter().map(|n| *n as u64).product::<u64>();
    match work {
        Work::Conv(job) => job.products(),
        Work::MaxPool { from, to, side, .. } => (bytes(*from) + bytes(*to)) * *side as u64,
        Work::AveragePool { to, side, .. } => bytes(*to) * (side * side) as u64,
        Work::Upsample { to, .. } | Work::Add { to, .. } | Work::Copy { to, .. } => bytes(*to),
        Work::Reals { from, .. } => bytes(*from),
    }
}

/// The pixels of a row of a view, their channels together, without what lies between.
fn gather(arena: &Arena, view: View, y: usize, width: usize, row: &mut Vec<u8>) {
    row.clear();
    (0..width).for_each(|x| row.extend_from_slice(arena.at(view, y, x)));
}

fn each_pixel(arena: &mut Arena, from: View, to: View, scratch: &mut Vec<u8>, f: impl Fn(&[u8], &mut [u8])) {
    let [height, width, channels] = arena.known(to);
    for y in 0..height {
        gather(arena, from, y, width, scratch);
        for (x, pixel) in scratch.chunks_exact(channels).enumerate() {
            f(pixel, arena.at_mut(to, y, x));
        }
    }
}

fn raise(to: &mut [u8], from: &[u8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = (*to).max(*from));
}

/// Columns first, into `scratch`, then rows of what those made.
fn max_pool(arena: &mut Arena, from: View, to: View, [side, stride, pad]: [usize; 3], scratch: &mut Vec<u8>) {
    let ([height, width, channels], [out_height, out_width, _]) = (arena.known(from), arena.known(to));
    scratch.clear();
    scratch.resize(height * out_width * channels, 0);
    let range = |out: usize, size: usize| (out * stride).saturating_sub(pad)..(out * stride + side - pad).min(size);
    for (i, pixel) in scratch.chunks_exact_mut(channels).enumerate() {
        let (y, x) = (i / out_width, i % out_width);
        range(x, width).for_each(|x| raise(pixel, arena.at(from, y, x)));
    }
    for y in 0..out_height {
        for x in 0..out_width {
            let pixel = arena.at_mut(to, y, x);
            pixel.fill(0);
            range(y, height).for_each(|y| raise(pixel, &scratch[(y * out_width + x) * channels..][..channels]));
        }
    }
}

fn average_pool(arena: &mut Arena, from: View, to: View, [side, stride]: [usize; 2]) {
    let [height, width, channels] = arena.known(to);
    let count = (side * side) as u32;
    let mut sums = vec![0u32; channels];
    for y in 0..height {
        for x in 0..width {
            sums.fill(count / 2);
            for k in 0..side * side {
                let pixel = arena.at(from, y * stride + k / side, x * stride + k % side);
                sums.iter_mut().zip(pixel).for_each(|(sum, byte)| *sum += u32::from(*byte));
            }
            let pixel = arena.at_mut(to, y, x);
            pixel.iter_mut().zip(&sums).for_each(|(byte, sum)| *byte = (sum / count) as u8);
        }
    }
}

fn nearest(arena: &mut Arena, from: View, to: View, scratch: &mut Vec<u8>) {
    let [height, width, channels] = arena.known(from);
    for y in 0..height {
        gather(arena, from, y, width, scratch);
        for (x, pixel) in scratch.chunks_exact(channels).enumerate() {
            for corner in 0..4 {
                arena.at_mut(to, 2 * y + corner / 2, 2 * x + corner % 2).copy_from_slice(pixel);
            }
        }
    }
}

/// Output centres lie a quarter of a pixel from those of the input: 9, 3, 3 and 1 sixteenths of the four around.
fn bilinear(arena: &mut Arena, from: View, to: View, scratch: &mut Vec<u8>) {
    let [height, width, channels] = arena.known(from);
    let mut far = Vec::new();
    for y in 0..2 * height {
        gather(arena, from, y / 2, width, scratch);
        gather(arena, from, neighbour(y, height), width, &mut far);
        for x in 0..2 * width {
            let (at, beside) = (x / 2 * channels, neighbour(x, width) * channels);
            let pixel = arena.at_mut(to, y, x);
            let (a, b) = (&scratch[at..][..channels], &scratch[beside..][..channels]);
            let (c, d) = (&far[at..][..channels], &far[beside..][..channels]);
            for (byte, (((a, b), c), d)) in pixel.iter_mut().zip(a.iter().zip(b).zip(c).zip(d)) {
                let sum = 9 * u16::from(*a) + 3 * (u16::from(*b) + u16::from(*c)) + u16::from(*d);
                *byte = ((sum + 8) >> 4) as u8;
            }
        }
    }
}

fn add(arena: &mut Arena, [a, b]: [View; 2], to: View, sum: &Sum, scratch: &mut Vec<u8>) {
    let [height, width, channels] = arena.known(to);
    let Sum { scales: [scale_a, scale_b], zero, floor } = sum;
    let mut other = Vec::new();
    for y in 0..height {
        gather(arena, a, y, width, scratch);
        gather(arena, b, y, width, &mut other);
        for (x, (a, b)) in scratch.chunks_exact(channels).zip(other.chunks_exact(channels)).enumerate() {
            let pixel = arena.at_mut(to, y, x);
            for n in 0..channels {
                let sum = i32::from(a[n]) * scale_a[n] + i32::from(b[n]) * scale_b[n] + zero[n] + Sum::ONE / 2;
                pixel[n] = (sum >> 16).clamp(i32::from(floor[n]), 255) as u8;
            }
        }
    }
}

fn reals(arena: &mut Arena, from: View, scale: &[f32], zero: &[f32], to: Place) {
    let [height, width, _] = arena.known(from);
    let mut pixel = Vec::new();
    for i in 0..height * width {
        pixel.clear();
        pixel.extend_from_slice(&arena.at(from, i / width, i % width)[..to.channels]);
        let row = arena.output_row_mut(to.output, to.row + i);
        let row = &mut row[to.column..to.column + to.channels];
        for (n, (real, byte)) in row.iter_mut().zip(&pixel).enumerate() {
            // Two roundings, alike on every processor without asking it for a fused operation.
            *real = f32::from(*byte) * scale[n] + zero[n];
        }
    }
}
