//! A small int8 model with every kind of step, for the fuzzer and the hostile tests to spoil.

use watchpost::infer::quant::file;
use watchpost::infer::quant::graph::Upsample;
use watchpost::infer::quant::kernel::{Act, BLOCK, Dense, Depthwise, Epilogue, TABLE};
use watchpost::infer::quant::plan::{Buffer, Conv, Place, Plan, Step, StepKind, Sum, Target, View};

/// As a file.
pub fn small() -> Vec<u8> {
    file::write(&plan()).expect("a plan can be written")
}

fn view(buffer: usize, channel: usize, channels: usize) -> View {
    View { buffer, channel, channels }
}

fn weights(n: usize) -> Vec<i8> {
    (0..n).map(|i| (i * 37 % 255) as i8 | 1).collect()
}

fn epilogue(act: Act, channels: usize, adds: bool) -> Epilogue {
    Epilogue {
        act,
        mult: vec![0.001; channels],
        bias: vec![0.5; channels],
        scale: vec![20.0; channels],
        zero: vec![100.0; channels],
        add_scale: if adds { vec![0.1; channels] } else { vec![] },
        table: if act == Act::Table { (0..channels / BLOCK * TABLE).map(|i| i as u8).collect() } else { vec![] },
    }
}

fn dense(side: usize, inputs: usize, outputs: usize, from: View, to: Target) -> Conv<Dense> {
    let weights = Dense::new(&weights(outputs * side * side * inputs), outputs, side, side * inputs);
    Conv { weights, kernel: [side; 2], stride: 1, pad: [side / 2; 2], from, to }
}

fn plan() -> Plan {
    let buffer = |height, width, channels, border| Buffer { height, width, channels, border, zeros: vec![7; channels] };
    let stem = dense(3, 3, 16, view(0, 0, 3), Target::Bytes(view(1, 0, 16)));
    let square = Depthwise::new(&weights(16 * 25), 16, 5);
    let (from, to) = (view(1, 0, 16), Target::Bytes(view(1, 16, 16)));
    let filter = Conv { weights: square, kernel: [5; 2], stride: 1, pad: [2; 2], from, to };
    let residual = dense(1, 32, 16, view(1, 0, 32), Target::Bytes(view(6, 0, 16)));
    let place = Place { output: 0, row: 0, column: 1, channels: 5 };
    let answer = dense(1, 48, 16, view(6, 0, 48), Target::Reals { place, height: 12, width: 10 });
    let sum = Sum { scales: [vec![40_000; 16], vec![20_000; 16]], zero: vec![-9; 16], floor: vec![3; 16] };
    let steps = [
        StepKind::Dense { conv: stem, epilogue: epilogue(Act::Slope(0.1), 16, false), added: None },
        StepKind::Depthwise { conv: filter, epilogue: epilogue(Act::Table, 16, false), added: None },
        StepKind::MaxPool { from: view(1, 0, 16), to: view(2, 0, 16), side: 3, stride: 2, pad: 1 },
        StepKind::AveragePool { from: view(1, 16, 16), to: view(3, 0, 16), side: 2, stride: 2 },
        StepKind::Add { from: [view(2, 0, 16), view(3, 0, 16)], to: view(4, 0, 16), sum },
        StepKind::Upsample { how: Upsample::Nearest, from: view(4, 0, 16), to: view(5, 0, 16) },
        StepKind::Upsample { how: Upsample::Bilinear, from: view(4, 0, 16), to: view(6, 16, 16) },
        StepKind::Copy { from: view(5, 0, 16), to: view(6, 32, 16) },
        StepKind::Dense { conv: residual, epilogue: epilogue(Act::Silu, 16, true), added: Some(view(5, 0, 16)) },
        StepKind::Dense { conv: answer, epilogue: epilogue(Act::Sigmoid, 16, false), added: None },
        StepKind::Reals {
            from: view(4, 0, 16),
            scale: vec![0.5; 16],
            zero: vec![-3.0; 16],
            to: Place { output: 1, row: 0, column: 0, channels: 16 },
        },
    ];
    Plan {
        buffers: vec![
            buffer(12, 10, 3, 1),
            buffer(12, 10, 32, 2),
            buffer(6, 5, 16, 0),
            buffer(6, 5, 16, 0),
            buffer(6, 5, 16, 0),
            buffer(12, 10, 16, 0),
            buffer(12, 10, 48, 0),
        ],
        steps: steps.into_iter().enumerate().map(|(i, kind)| Step { name: format!("step {i}"), kind }).collect(),
        outputs: vec![[120, 6], [30, 16]],
    }
}
