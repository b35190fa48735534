//! What is special here: rows longer than a chunk, and values too large for the short ways between integers and reals.

use super::super::{Act, Added, BLOCK, Dense, DenseRow, Depthwise, DepthwiseRow, Epilogue, Isa, Out, SLACK, TABLE};

/// Bytes without a pattern that a kernel could have, every fourth an extreme.
fn bytes(count: usize, seed: usize) -> Vec<u8> {
    let mut state = seed as u32 + 1;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 24
    };
    (0..count).map(|_| if next() < 64 { (next() as u8 >> 7) * 255 } else { next() as u8 }).collect()
}

fn weights(count: usize, seed: usize) -> Vec<i8> {
    bytes(count, seed).into_iter().map(|byte| byte.cast_signed().max(-127)).collect()
}

/// Sums of `products` products are brought to `reach` at most, and to as many steps of the output.
fn epilogue(act: Act, channels: usize, products: usize, reach: f32, add: bool, seed: usize) -> Epilogue {
    let list = |least: f32, most: f32, seed: usize| -> Vec<f32> {
        bytes(channels, seed).into_iter().map(|byte| least + (most - least) * f32::from(byte) / 255.0).collect()
    };
    let mult = reach / (255.0 * 127.0 * products as f32);
    Epilogue {
        act,
        mult: list(-mult, mult, seed),
        bias: list(-reach / 8.0, reach / 8.0, seed + 1),
        scale: list(0.5, 1.5, seed + 2),
        zero: list(0.0, 255.0, seed + 3),
        add_scale: if add { list(-1.0, 1.0, seed + 4) } else { vec![] },
        table: if act == Act::Table { bytes(channels / BLOCK * TABLE, seed + 5) } else { vec![] },
    }
}

/// What a kernel writes, over all of a row and what lies around it.
fn written(isa: Isa, width: usize, channels: usize, run: impl Fn(Isa, Out)) -> Vec<u8> {
    let mut room = vec![77; (width + 2) * channels];
    run(isa, Out::Bytes { to: room[channels..].as_mut_ptr(), pixel: channels });
    room
}

fn check(what: &str, width: usize, channels: usize, run: impl Fn(Isa, Out)) {
    let expected = written(Isa::Scalar, width, channels, &run);
    for isa in Isa::available() {
        assert_eq!(written(isa, width, channels, &run), expected, "{} {what}", isa.name());
    }
}

/// The last of these is out of every short way's reach.
const REACHES: [f32; 5] = [300.0, 4e3, 3e4, 6e4, 1e9];
const ACTS: [(Act, bool); 6] = [
    (Act::Table, false),
    (Act::Table, true),
    (Act::Slope(0.1), false),
    (Act::Slope(1.0), false),
    (Act::Slope(0.0), true),
    (Act::Silu, false),
];

#[test]
fn long_dense_rows_and_large_values_are_the_same_bytes() {
    let mut seed = 0;
    for width in [39, 40, 41, 83, 104] {
        for (act, add) in ACTS {
            // The second has the most products that fit into 22 bits, the third more; the others end in three dwords, in
            // two, and again in three.
            let inputs = |reach| [18, 128, 132].map(|input| (reach, input));
            let ends = [9, 40, 44].map(|input| (REACHES[0], input));
            for (reach, input) in REACHES.into_iter().flat_map(inputs).chain(ends) {
                seed += 10;
                let mut weights = weights(32 * input, seed);
                // The greatest sum there can be, and the least.
                weights[..input].fill(127);
                weights[input..2 * input].fill(-127);
                let dense = Dense::new(&weights, 32, 1, input);
                let epilogue = epilogue(act, 32, input, reach, add, seed + 1);
                let mut from = bytes(width * input + SLACK, seed + 7);
                from[..input].fill(255);
                let beside = bytes(width * 32, seed + 8);
                let added = Added { from: if add { beside.as_ptr() } else { std::ptr::null() }, pixel: 32 };
                let what = format!("{act:?} width {width} input {input} reach {reach}");
                check(&what, width, 32, |isa, out| {
                    let (weights, epilogue, from) = (&dense, &epilogue, from.as_ptr());
                    let row = DenseRow { weights, epilogue, from, pixel: input, segments: &[0], width, added, out };
                    // SAFETY: the processor has the instructions, and all is as large as the row.
                    unsafe { isa.dense(&row) };
                });
            }
        }
    }
}

#[test]
fn long_depthwise_rows_and_large_values_are_the_same_bytes() {
    let mut seed = 1;
    for (width, stride) in [(39, 1), (41, 2), (83, 1), (104, 2), (45, 3)] {
        for (act, add) in ACTS {
            for (reach, side) in REACHES.into_iter().flat_map(|reach| [3, 5].map(|side| (reach, side))) {
                seed += 10;
                let depthwise = Depthwise::new(&weights(32 * side * side, seed), 32, side);
                let epilogue = epilogue(act, 32, side * side, reach, add, seed + 1);
                let line = ((width - 1) * stride + side) * 32;
                let from = bytes(side * line + SLACK, seed + 7);
                let beside = bytes(width * 32, seed + 8);
                let added = Added { from: if add { beside.as_ptr() } else { std::ptr::null() }, pixel: 32 };
                let what = format!("{act:?} width {width} stride {stride} side {side} reach {reach}");
                check(&what, width, 32, |isa, out| {
                    let (weights, epilogue, from) = (&depthwise, &epilogue, from.as_ptr());
                    let row = DepthwiseRow { weights, epilogue, from, pixel: 32, line, stride, width, added, out };
                    // SAFETY: the processor has the instructions, and all is as large as the row.
                    unsafe { isa.depthwise(&row) };
                });
            }
        }
    }
}
