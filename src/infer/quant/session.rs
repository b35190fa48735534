//! Runs a plan: one picture in, matrices of reals out.

use super::graph::Upsample;
use super::kernel::{Arena, Crew, Isa, Job};
use super::moves::Moves;
use super::places::{Life, lives};
use super::plan::{Conv, Place, Plan, Step, StepKind, Sum, View};
use crate::infer::{Kind, Layer};
use anyhow::{Context, Result, ensure};

/// Most products for one picture: several times what the largest detectors need, and minutes of the slowest kernel.
const MOST_PRODUCTS: u64 = 1 << 38;

pub struct Session {
    arena: Arena,
    crew: Crew,
    work: Vec<Named>,
    moves: Moves,
    products: u64,
}

struct Named {
    name: String,
    /// The buffers that are needed from this step on, and those that are needed no more after it.
    begins: Vec<usize>,
    #[cfg(debug_assertions)]
    ends: Vec<usize>,
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
        let lives = lives(plan.buffers.len(), plan.steps.iter().map(|step| &step.kind));
        Session::of(plan, isa, &lives)
    }

    /// Likewise, with memory for every buffer alone, so that [`Session::pixel`] can be asked for all of them after a
    /// run.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn apart(plan: Plan, isa: Isa) -> Result<Self> {
        let lives = vec![None; plan.buffers.len()];
        Session::of(plan, isa, &lives)
    }

    pub(super) fn of(plan: Plan, isa: Isa, lives: &[Option<Life>]) -> Result<Self> {
        let arena = Arena::new(&plan.buffers, lives, &plan.outputs, isa)?;
        ensure!(plan.buffers.first().is_some_and(|picture| picture.channels == 3), "it reads no picture");
        let mut begins = vec![Vec::new(); plan.steps.len()];
        #[cfg(debug_assertions)]
        let mut ends = begins.clone();
        for (buffer, life) in lives.iter().enumerate().filter_map(|(buffer, life)| Some((buffer, (*life)?))) {
            begins[life.first].push(buffer);
            #[cfg(debug_assertions)]
            ends[life.last].push(buffer);
        }
        let work = plan
            .steps
            .into_iter()
            .enumerate()
            .map(|(index, Step { name, kind })| {
                let reach = reach(&kind);

                // Weights move from the plan to here, so that they are never there twice.
                let work = bind(&arena, kind).with_context(|| format!("its step {name} is malformed"))?;
                Ok(Named {
                    name,
                    begins: std::mem::take(&mut begins[index]),
                    #[cfg(debug_assertions)]
                    ends: std::mem::take(&mut ends[index]),
                    reach,
                    work,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let products = work.iter().fold(0u64, |sum, named: &Named| sum.saturating_add(products(&arena, &named.work)));
        ensure!(
            products <= MOST_PRODUCTS,
            "it needs {products} products for a picture, expected at most {MOST_PRODUCTS}"
        );
        Ok(Session { arena, crew: Crew::new(1)?, work, moves: Moves::default(), products })
    }

    /// Splits the rows of large layers over so many threads. What is computed stays the same, byte for byte.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn set_threads(&mut self, threads: usize) -> Result<()> {
        self.crew = Crew::new(threads)?;
        Ok(())
    }

    pub fn threads(&self) -> usize {
        self.crew.threads()
    }

    /// Bytes of all buffers, as they lie.
    pub fn arena_bytes(&self) -> usize {
        self.arena.length()
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

    /// The bytes of a pixel of a view, as the last run left them. For a session whose buffers lie
    /// [apart](Session::apart); elsewhere others may have been written there since.
    pub fn pixel(&self, view: View, y: usize, x: usize) -> &[u8] {
        self.arena.at(view, y, x)
    }

    fn step(&mut self, index: usize) {
        let Session { arena, crew, work, moves, .. } = self;
        let step = &work[index];
        step.begins.iter().for_each(|buffer| arena.begin(*buffer));
        match &step.work {
            Work::Conv(job) => arena.run(job, crew),
            Work::MaxPool { from, to, side, stride, pad } => moves.max_pool(arena, *from, *to, [*side, *stride, *pad]),
            Work::AveragePool { from, to, side, stride } => moves.average_pool(arena, *from, *to, [*side, *stride]),
            Work::Upsample { how: Upsample::Nearest, from, to } => moves.nearest(arena, *from, *to),
            Work::Upsample { how: Upsample::Bilinear, from, to } => moves.bilinear(arena, *from, *to),
            Work::Add { from, to, sum } => moves.add(arena, *from, *to, sum),
            Work::Copy { from, to } => moves.copy(arena, *from, *to),
            Work::Reals { from, scale, zero, to } => moves.reals(arena, *from, scale, zero, *to),
        }
        #[cfg(debug_assertions)]
        step.ends.iter().for_each(|buffer| arena.end(*buffer));
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
