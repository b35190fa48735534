//! What the dense kernel does at its best: a yardstick for the layers of a network, made of our own kernel, so that
//! it is what this processor gives us and not what its data sheet says.
//!
//! The best is a 1x1 convolution with long sums over a row that lies in the first cache with its weights: little is
//! spent on turning sums into bytes, and nothing on waiting for memory.

use super::kernel::{Act, BLOCK, Dense, Epilogue, Isa};
use super::plan::{Buffer, Conv, Plan, Step, StepKind, Target, View};
use super::session::Session;
use anyhow::Result;

/// Input channels, output channels and pixels of what is tried: 24 to 40 kB each. Which is the fastest depends on how
/// many registers there are.
const SHAPES: [[usize; 3]; 4] = [[256, 64, 48], [512, 32, 48], [256, 96, 32], [512, 48, 24]];

/// One convolution, to be run again and again.
pub struct Loop {
    /// In words.
    pub what: String,
    /// Of one run.
    pub products: u64,
    session: Session,
}

impl Loop {
    pub fn all(isa: Isa) -> Result<Vec<Loop>> {
        SHAPES.into_iter().map(|shape| Loop::new(shape, isa)).collect()
    }

    fn new([inputs, outputs, width]: [usize; 3], isa: Isa) -> Result<Self> {
        let session = Session::new(plan([inputs, outputs, width]), isa)?;
        let what = format!("1x1 convolution of {inputs} to {outputs} channels over {width} pixels");
        Ok(Loop { what, products: (inputs * outputs * width) as u64, session })
    }

    pub fn run(&mut self) {
        self.session.run();
    }
}

fn plan([inputs, outputs, width]: [usize; 3]) -> Plan {
    let buffer = |width, channels| Buffer { height: 1, width, channels, border: 0, zeros: vec![7; channels] };
    let view = |buffer, channels| View { buffer, channel: 0, channels };
    // Of either sign and small, as trained weights are.
    let weights: Vec<i8> = (0..outputs * inputs).map(|i| (i * 37 % 61) as i8 - 30).collect();
    let constant = |value| vec![value; outputs.next_multiple_of(BLOCK)];
    let epilogue = Epilogue {
        act: Act::Slope(0.0),
        mult: constant(1e-3),
        bias: constant(0.0),
        scale: constant(1.0),
        zero: constant(0.0),
        add_scale: vec![],
        table: vec![],
    };
    let conv = Conv {
        weights: Dense::new(&weights, outputs, 1, inputs),
        kernel: [1, 1],
        stride: 1,
        pad: [0, 0],
        from: view(1, inputs),
        to: Target::Bytes(view(2, outputs)),
    };
    let kind = StepKind::Dense { conv, epilogue, added: None };
    Plan {
        // A plan begins with a picture.
        buffers: vec![buffer(1, 3), buffer(width, inputs), buffer(width, outputs)],
        steps: vec![Step { name: "peak".into(), kind }],
        outputs: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_runs_every_shape() {
        for isa in Isa::available() {
            for mut one in Loop::all(isa).unwrap() {
                one.run();
                let layers = one.session.layers();
                assert_eq!(layers.len(), 1, "{}", one.what);
                assert_eq!(layers[0].products, one.products, "{} on {}", one.what, isa.name());
            }
        }
    }
}
