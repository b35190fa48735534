//! Runs ONNX graphs through tract. The only file that knows it.

use super::quant::matcher::{self, Part};
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::model::TypedSimpleState;

/// A network with inputs and one output, all of fixed shape, ready to run.
pub struct Net {
    state: TypedSimpleState,
    inputs: Vec<Arc<Tensor>>,
    output: TValue,
}

impl Net {
    /// Builds the graph in `onnx` for this input and checks that the output has the shape expected.
    pub fn new(onnx: &[u8], input: [usize; 4], output: [usize; 3]) -> Result<Self> {
        Net::guarded(|| imported(onnx, input)?.into_optimized().map_err(|e| unfit(input, e)), output)
    }

    /// What the matcher left of a network, behind what it took.
    pub fn behind(rest: TypedModel, output: [usize; 3]) -> Result<Self> {
        Net::guarded(|| rest.into_optimized().map_err(plain), output)
    }

    /// The graph builder answers some malformed graphs with a panic. A model file is input, so that must not take the
    /// process with it; nothing of the half-built graph survives.
    fn guarded(model: impl FnOnce() -> Result<TypedModel>, output: [usize; 3]) -> Result<Self> {
        let build = || model()?.into_runnable().and_then(|plan| plan.spawn()).map_err(plain);
        let state = catch_unwind(AssertUnwindSafe(build)).unwrap_or_else(|_| bail!("the graph is malformed"))?;
        let facts = state.model().outputs.clone();
        ensure!(facts.len() == 1, "the graph has {} outputs, expected one", facts.len());
        let fact = state.model().outlet_fact(facts[0]).map_err(plain)?;
        let shape = fact.shape.as_concrete().context("the shape of the output is not fixed by that of the input")?;
        ensure!(shape == output, "the output has shape {shape:?}, expected {output:?}");
        ensure!(fact.datum_type == f32::datum_type(), "the output is {:?}, expected F32", fact.datum_type);
        let tensor = |shape: &[usize]| Tensor::zero::<f32>(shape).map_err(plain);
        let input = |outlet: &OutletId| {
            let fact = state.model().outlet_fact(*outlet).map_err(plain)?;
            let shape = fact.shape.as_concrete().context("the shape of an input is not fixed")?;
            Ok(Arc::new(tensor(shape)?))
        };
        let inputs = state.model().inputs.iter().map(input).collect::<Result<_>>()?;
        Ok(Net { inputs, output: tensor(&output)?.into_tvalue(), state })
    }

    /// How many inputs there are.
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// What [`Net::run`] reads. Keeps its values from run to run.
    pub fn input(&mut self, index: usize) -> Result<&mut [f32]> {
        // The last run has let go of it, so this does not copy.
        let tensor = Arc::make_mut(self.inputs.get_mut(index).context("there is no such input")?);
        let view = tensor.to_plain_array_view_mut::<f32>().map_err(plain)?;
        view.into_slice().context("the input tensor is not contiguous")
    }

    pub fn output_shape(&self) -> [usize; 3] {
        let shape = self.output.shape();
        [0, 1, 2].map(|i| shape.get(i).copied().unwrap_or(1))
    }

    pub fn run(&mut self) -> Result<&[f32]> {
        let inputs = self.inputs.iter().map(|input| input.clone().into_tvalue()).collect();
        let mut outputs = self.state.run(inputs).map_err(plain)?;
        self.output = outputs.pop().context("the network gave no output")?;
        self.output.try_as_plain_ram().and_then(|view| view.as_slice::<f32>()).map_err(plain)
    }
}

/// The graph as it was written, its types and shapes known.
fn imported(onnx: &[u8], input: [usize; 4]) -> Result<TypedModel> {
    let model = tract_onnx::onnx()
        .model_for_read(&mut Cursor::new(onnx))
        .map_err(|error| anyhow!("not a readable ONNX graph: {}", plain(error)))?;
    ensure!(model.inputs.len() == 1, "the graph has {} inputs, expected one", model.inputs.len());
    model
        .with_input_fact(0, f32::fact(input).into())
        .and_then(|model| model.into_typed())
        .map_err(|error| unfit(input, error))
}

fn unfit(input: [usize; 4], error: TractError) -> anyhow::Error {
    anyhow!("the graph does not fit an input of {input:?}: {}", plain(error))
}

/// The network in an ONNX file, for the quantizer: all of it, or as much from its beginning as can be had.
///
/// # Errors
/// What cannot be quantized, where nothing of it can.
pub fn graph(onnx: &[u8], input: [usize; 4]) -> Result<Part> {
    let read = catch_unwind(AssertUnwindSafe(|| {
        let typed = imported(onnx, input)?;
        matcher::read(&typed).map(Part::whole).or_else(|error| {
            // What kept all of it from being read says more than what kept a part.
            matcher::part(&typed).map_err(|why| error.context(format!("{why:#}")))
        })
    }));
    read.unwrap_or_else(|_| bail!("the graph is malformed"))
}

/// tract's errors are of its own `anyhow`, tell of graph nodes over several lines, and begin with the outermost.
fn plain(error: TractError) -> anyhow::Error {
    anyhow!("{}", format!("{error:#}").lines().next().unwrap_or_default())
}
