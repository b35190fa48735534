//! Every kernel that this processor can run against the definition: the same bytes, and none outside the row.

use super::*;

/// A small generator, so that a failure is the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// -1..=1
    fn real(&mut self) -> f32 {
        self.next() as f32 / 2f32.powi(30) - 1.0
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        // Extremes are where products saturate, so they are frequent.
        (0..n).map(|_| if self.below(4) == 0 { self.one_of(&[0, 255]) } else { self.next() as u8 }).collect()
    }

    fn weights(&mut self, n: usize, most: i32) -> Vec<i8> {
        let any = |dice: &mut Self| (dice.below(2 * most as usize + 1) as i32 - most) as i8;
        (0..n).map(|_| if self.below(4) == 0 { self.one_of(&[most as i8, -most as i8]) } else { any(self) }).collect()
    }
}

const ACTS: [Act; 7] =
    [Act::Slope(1.0), Act::Slope(0.0), Act::Slope(0.1), Act::Silu, Act::Sigmoid, Act::HardSwish, Act::Table];

/// Constants that bring sums of up to `most` into the middle of the activation and of the bytes.
fn epilogue(dice: &mut Dice, act: Act, channels: usize, most: f32, added: bool) -> Epilogue {
    let mut list = |of: &mut dyn FnMut(&mut Dice) -> f32| (0..channels).map(|_| of(dice)).collect::<Vec<_>>();
    let reach = if act == Act::Table { 160.0 } else { 9.0 };
    let mult = list(&mut |d| (0.2 + d.real().abs()) * reach / most);
    let bias = list(&mut |d| d.real() * reach / 4.0);
    let tabled_and_added = act == Act::Table && added;
    let scale = list(&mut |d| if tabled_and_added { 0.5 + d.real().abs() } else { 8.0 + 30.0 * d.real().abs() });
    let zero = list(&mut |d| (60.0 * d.real() + 60.0).round());
    let add_scale = if added { list(&mut |d| d.real() * if tabled_and_added { 0.5 } else { 0.02 }) } else { vec![] };
    let table = if act == Act::Table { dice.bytes(channels / BLOCK * TABLE) } else { vec![] };
    Epilogue { act, mult, bias, scale, zero, add_scale, table }
}

/// Room for what a row may write, with room around it that must stay as it is.
#[derive(Debug, Clone, PartialEq)]
struct Room {
    bytes: Vec<u8>,
    reals: Vec<f32>,
}

impl Room {
    fn new(width: usize, pixel: usize) -> Self {
        Room { bytes: vec![77; (width + 2) * pixel], reals: vec![-77.5; (width + 2) * pixel] }
    }

    fn out(&mut self, pixel: usize, reals: Option<usize>) -> Out {
        // SAFETY: one pixel's room lies before the first.
        unsafe {
            match reals {
                Some(channels) => Out::Reals { to: self.reals.as_mut_ptr().add(pixel), pixel, channels },
                None => Out::Bytes { to: self.bytes.as_mut_ptr().add(pixel), pixel },
            }
        }
    }

    fn check(&self, expected: &Room, what: &str) {
        assert_eq!(self.bytes, expected.bytes, "{what}");
        let bits = |reals: &[f32]| reals.iter().map(|r| r.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&self.reals), bits(&expected.reals), "{what}");
    }
}

fn others() -> Vec<Isa> {
    let all = Isa::available();
    eprintln!("kernels: {}", all.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", "));
    all.into_iter().filter(|isa| *isa != Isa::Scalar).collect()
}

#[test]
fn dense_rows_are_the_same_bytes_in_every_kernel() {
    let others = others();
    for seed in 0..600 {
        let mut dice = Dice(seed);
        let outputs = 1 + dice.below(if seed % 3 == 0 { 100 } else { 33 });
        let segments = dice.one_of(&[1, 1, 1, 3, 6, 9]);
        let bytes = dice.one_of(&[3, 4, 16, 18, 32, 48, 64, 96, 144, 256]);
        let width = dice.one_of(&[1, 2, 3, 4, 5, 7, 8, 12, 13, 14, 16, 26, 27, 40, 70]);
        let act = dice.one_of(&ACTS);
        let most = dice.one_of(&[127, 127, 64]);
        let mut weights = Dense::new(&dice.weights(outputs * segments * bytes, most), outputs, segments, bytes);
        let pixel = dice.one_of(&[bytes, bytes.div_ceil(2), bytes + 16]);
        let reals = (act != Act::Table && dice.below(4) == 0).then_some(outputs);
        let add = reals.is_none() && dice.below(3) == 0;
        let reach = 255.0 * most as f32 * ((segments * bytes) as f32).sqrt();
        let epilogue = epilogue(&mut dice, act, weights.outputs, reach, add);
        let line = width * pixel + 4 * weights.dwords;
        let input = dice.bytes(segments * line + SLACK);
        let segments: Vec<usize> = (0..segments).map(|s| s * line).collect();
        let to = weights.outputs + dice.one_of(&[0, 16, 48]);
        let beside = dice.bytes((width + 1) * to);
        let added = Added { from: if add { beside.as_ptr() } else { std::ptr::null() }, pixel: to };
        others.iter().for_each(|isa| isa.prepare(&mut weights));
        let run = |isa: Isa| {
            let mut room = Room::new(width, to);
            let out = room.out(to, reals);
            let (weights, epilogue, segments, from) = (&weights, &epilogue, &segments[..], input.as_ptr());
            let row = DenseRow { weights, epilogue, from, pixel, segments, width, added, out };
            // SAFETY: the processor has the instructions, and the room is measured by the row.
            unsafe { isa.dense(&row) };
            room
        };
        let expected = run(Isa::Scalar);
        for isa in &others {
            run(*isa).check(&expected, &format!("{} {act:?} seed {seed}", isa.name()));
        }
    }
}

#[test]
fn depthwise_rows_are_the_same_bytes_in_every_kernel() {
    let others = others();
    for seed in 0..600 {
        let mut dice = Dice(seed);
        let channels = 1 + dice.below(80);
        let side = dice.one_of(&[3, 3, 5, 7, 1, 2]);
        let stride = dice.one_of(&[1, 2, 3]);
        let width = dice.one_of(&[1, 2, 3, 4, 5, 7, 8, 13, 16, 27, 45, 131]);
        let act = dice.one_of(&ACTS);
        let weights = Depthwise::new(&dice.weights(channels * side * side, 127), channels, side);
        let pixel = weights.channels + dice.one_of(&[0, 16]);
        let reals = (act != Act::Table && dice.below(4) == 0).then_some(channels);
        let add = reals.is_none() && dice.below(3) == 0;
        let epilogue = epilogue(&mut dice, act, weights.channels, 255.0 * 127.0 * side as f32, add);
        let line = ((width - 1) * stride + side) * pixel;
        let input = dice.bytes(side * line + SLACK);
        let to = weights.channels + dice.one_of(&[0, 16, 48]);
        let beside = dice.bytes((width + 1) * to);
        let added = Added { from: if add { beside.as_ptr() } else { std::ptr::null() }, pixel: to };
        let run = |isa: Isa| {
            let mut room = Room::new(width, to);
            let out = room.out(to, reals);
            let (weights, epilogue, from) = (&weights, &epilogue, input.as_ptr());
            let row = DepthwiseRow { weights, epilogue, from, pixel, line, stride, width, added, out };
            // SAFETY: the processor has the instructions, and the room is measured by the row.
            unsafe { isa.depthwise(&row) };
            room
        };
        let expected = run(Isa::Scalar);
        for isa in &others {
            run(*isa).check(&expected, &format!("{} {act:?} seed {seed}", isa.name()));
        }
    }
}

/// Where reals leave 32 bits, conversions to integers differ between processors.
#[test]
fn sums_beyond_all_bounds_are_the_same_bytes_in_every_kernel() {
    let others = others();
    for seed in 0..400 {
        let mut dice = Dice(seed);
        let (outputs, width) = (32, 9);
        let bytes = dice.one_of(&[16, 48]);
        let (act, add) = (dice.one_of(&ACTS), dice.below(2) == 0);
        let mut weights = Dense::new(&dice.weights(outputs * bytes, 127), outputs, 1, bytes);
        others.iter().for_each(|isa| isa.prepare(&mut weights));
        let mut epilogue = epilogue(&mut dice, act, outputs, 1.0, add);
        for list in [&mut epilogue.mult, &mut epilogue.bias, &mut epilogue.scale, &mut epilogue.zero] {
            list.iter_mut().for_each(|real| *real *= dice.one_of(&[1.0, 1e-3, -1e7, 1e7]));
        }
        let input = dice.bytes(width * bytes + SLACK);
        let beside = dice.bytes(width * outputs);
        let added = Added { from: if add { beside.as_ptr() } else { std::ptr::null() }, pixel: outputs };
        let run = |isa: Isa| {
            let mut room = Room::new(width, outputs);
            let out = room.out(outputs, None);
            let (weights, epilogue, from) = (&weights, &epilogue, input.as_ptr());
            let row = DenseRow { weights, epilogue, from, pixel: bytes, segments: &[0], width, added, out };
            // SAFETY: the processor has the instructions, and the room is measured by the row.
            unsafe { isa.dense(&row) };
            room
        };
        let expected = run(Isa::Scalar);
        for isa in &others {
            run(*isa).check(&expected, &format!("{} {act:?} seed {seed}", isa.name()));
        }
    }
}

#[test]
fn the_sigmoid_is_the_logistic_function() {
    for i in -4000..=4000 {
        let y = i as f32 / 100.0;
        let exact = 1.0 / (1.0 + (-f64::from(y)).exp());
        assert!((f64::from(scalar::sigmoid(y)) - exact).abs() < 1e-4, "{y}");
    }
}

/// The definition itself, against sums written out by hand.
#[test]
fn a_row_is_a_convolution() {
    // Two outputs of three inputs: 1,2,3 and -1,0,1, over two pixels 10,20,30 and 1,2,3.
    let weights = Dense::new(&[1, 2, 3, -1, 0, 1], 2, 1, 3);
    let list = |of: f32| vec![of; BLOCK];
    let epilogue = Epilogue {
        act: Act::Slope(0.0),
        mult: list(0.5),
        bias: list(1.0),
        scale: list(1.0),
        zero: list(3.0),
        add_scale: vec![],
        table: vec![],
    };
    let mut input = vec![10, 20, 30, 1, 2, 3];
    input.resize(6 + SLACK, 9);
    let mut room = Room::new(2, BLOCK);
    let out = room.out(BLOCK, None);
    let added = Added { from: std::ptr::null(), pixel: 0 };
    let (weights, epilogue, from) = (&weights, &epilogue, input.as_ptr());
    let row = DenseRow { weights, epilogue, from, pixel: 3, segments: &[0], width: 2, added, out };
    // SAFETY: as above.
    unsafe { Isa::Scalar.dense(&row) };
    // 140/2+1+3; 20/2+1+3; 14/2+1+3; 2/2+1+3; padding: 0+1+3.
    let of = |pixel: usize, n: usize| room.bytes[(1 + pixel) * BLOCK + n];
    assert_eq!([of(0, 0), of(0, 1), of(1, 0), of(1, 1), of(1, 15)], [74, 14, 11, 5, 4]);
}
