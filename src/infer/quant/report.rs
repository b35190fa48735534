//! What quantizing costs, layer by layer: the numbers of the quantized network against those of the float one.

use super::Pictures;
use super::compile::{Compiled, Options};
use super::float::{Float, Seen};
use super::graph::{Graph, TensorId};
use super::kernel::Isa;
use super::plan::StepKind;
use super::ranges::Ranges;
use super::session::Session;
use anyhow::{Result, ensure};

#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub tensors: Vec<Line>,
    pub outputs: Vec<Error>,
    /// Bytes of weights, of tables, and of the memory that the network runs in.
    pub weights: usize,
    pub tables: usize,
    pub memory: usize,
}

/// Of a tensor that exists as bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub name: String,
    pub table: bool,
    pub error: Error,
}

/// Root mean squares over all pictures.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Error {
    squares: f64,
    errors: f64,
    count: usize,
}

impl Error {
    fn add(&mut self, found: f32, expected: f32) {
        self.squares += f64::from(expected).powi(2);
        self.errors += f64::from(found - expected).powi(2);
        self.count += 1;
    }

    /// In the unit of the tensor.
    pub fn rms(&self) -> f64 {
        (self.errors / self.count.max(1) as f64).sqrt()
    }

    /// Of the tensor's own size: 0 is none, 1 as wrong as zeros.
    pub fn relative(&self) -> f64 {
        (self.errors / self.squares.max(f64::MIN_POSITIVE)).sqrt()
    }
}

/// Runs both networks over the pictures: a few are enough.
///
/// # Errors
/// As for [`super::compile::compile`], or a picture that cannot be had.
pub fn report(graph: &Graph, ranges: &Ranges, options: Options, pictures: &Pictures) -> Result<Report> {
    let compiled = Compiled::new(graph, ranges, options)?;
    let Compiled { plan, scheme, layout, .. } = &compiled;
    let mut session = Session::apart(plan.clone(), Isa::best())?;
    let float = Float::new(graph, options.picture_zeros)?;
    let mut errors = vec![Error::default(); graph.tensors.len()];
    let mut outputs = vec![Error::default(); graph.outputs.len()];
    for i in 0..pictures.count {
        let picture = (pictures.get)(i)?;
        let height = graph.tensors[0].height;
        ensure!(picture.len() == height * graph.tensors[0].width * 3, "picture {} has {} bytes", i + 1, picture.len());
        session.fill(&picture, height);
        session.run();
        let made = float.run(&picture, &mut |seen| {
            let Seen::Tensor(tensor, values) = seen else { return };
            compare(&compiled, &session, tensor, values, &mut errors[tensor]);
        })?;
        for (o, (error, expected)) in outputs.iter_mut().zip(&made).enumerate() {
            session.output(o).iter().zip(expected).for_each(|(found, expected)| error.add(*found, *expected));
        }
    }
    let line = |tensor: TensorId| Line {
        name: graph.tensors[tensor].name.clone(),
        table: scheme.tables[tensor],
        error: errors[tensor],
    };
    let mut report = Report {
        tensors: (1..graph.tensors.len()).filter(|t| layout.views[*t].is_some()).map(line).collect(),
        outputs,
        weights: 0,
        tables: 0,
        memory: Session::new(plan.clone(), Isa::Scalar)?.arena_bytes(),
    };
    for step in &plan.steps {
        let (weights, epilogue) = match &step.kind {
            StepKind::Dense { conv, epilogue, .. } => (conv.weights.packed().0.len(), epilogue),
            StepKind::Depthwise { conv, epilogue, .. } => (conv.weights.packed().0.len(), epilogue),
            _ => continue,
        };
        report.weights += weights;
        report.tables += epilogue.table.len();
    }
    Ok(report)
}

fn compare(compiled: &Compiled, session: &Session, tensor: TensorId, values: &[f32], error: &mut Error) {
    let Some(view) = compiled.layout.views[tensor] else { return };
    let described = &compiled.scheme.graph.tensors[tensor];
    let (slots, steps, order) =
        (&compiled.layout.slots[tensor], &compiled.scheme.steps[tensor], compiled.scheme.order(tensor));
    for (i, pixel) in values.chunks_exact(described.channels).enumerate() {
        let bytes = session.pixel(view, i / described.width, i % described.width);
        for (channel, was) in order.iter().enumerate() {
            error.add(steps[channel].real(bytes[slots[channel]]), pixel[*was]);
        }
    }
}
