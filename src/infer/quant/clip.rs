//! Where to cut a range off: a wide one has coarse steps, a narrow one loses what is beyond it.
//!
//! Plain arithmetic only, whose result is defined to the last bit.

use super::kernel::{Act, TABLE, scalar};
use super::ranges::Ends;

/// Factors by which an end is tried nearer to zero.
const TRIES: usize = 30;
const NEARER: f32 = 0.874;
/// Most numbers that a choice is made by.
const ENOUGH: usize = 1 << 14;
/// Adding it leaves no bits behind the point.
const MAGIC: f32 = 12_582_912.0;

/// Steps of a byte over a range that holds zero, and the byte of zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub scale: f32,
    pub zero: u8,
}

impl Step {
    pub fn of([low, high]: Ends) -> Step {
        let (low, high) = (low.min(0.0), high.max(0.0));
        Step::with((high - low) / 255.0, low)
    }

    /// Of a given size, from `low` on.
    pub fn with(scale: f32, low: f32) -> Step {
        let scale = scale.max(1e-6);
        Step { scale, zero: round(-low.min(0.0) / scale).clamp(0.0, 255.0) as u8 }
    }

    pub fn byte(self, real: f32) -> u8 {
        (round(real / self.scale) + f32::from(self.zero)).clamp(0.0, 255.0) as u8
    }

    pub fn real(self, byte: u8) -> f32 {
        (f32::from(byte) - f32::from(self.zero)) * self.scale
    }

    /// What bytes make of a number, added up: the square of the error.
    fn error(self, values: &[f32]) -> f64 {
        let (scale, zero) = (self.scale, f32::from(self.zero));
        let (inverse, least, most) = (1.0 / scale, -zero, 255.0 - zero);
        // Eight sums side by side, so that the compiler can use vectors.
        let mut sums = [0f32; 8];
        let mut total = 0.0;
        for values in values.chunks(1 << 10) {
            let (chunks, rest) = values.as_chunks::<8>();
            let square = |x: f32| {
                let nearest = (x * inverse).clamp(least, most) + MAGIC - MAGIC;
                let error = nearest * scale - x;
                error * error
            };
            for chunk in chunks {
                for n in 0..8 {
                    sums[n] += square(chunk[n]);
                }
            }
            total += rest.iter().map(|x| f64::from(square(*x))).sum::<f64>();
            total += sums.iter().map(|sum| f64::from(*sum)).sum::<f64>();
            sums = [0.0; 8];
        }
        total
    }
}

fn round(x: f32) -> f32 {
    x.round_ties_even()
}

/// The range within `ends` whose bytes have the least squared error over these numbers.
pub fn least_error(values: &[f32], ends: Ends) -> Ends {
    let mut best = [ends[0].min(0.0), ends[1].max(0.0)];
    let thinned: Vec<f32>;
    let values = if values.len() > ENOUGH {
        thinned = values.iter().copied().step_by(values.len().div_ceil(ENOUGH)).collect();
        &thinned
    } else {
        values
    };
    for side in [1, 0, 1] {
        let start = if side == 1 { ends[1].max(0.0) } else { ends[0].min(0.0) };
        let mut least = f64::INFINITY;
        let mut chosen = best;
        let mut tried = best;
        tried[side] = start;
        for _ in 0..TRIES {
            let error = Step::of(tried).error(values);
            if error < least {
                (least, chosen) = (error, tried);
            }
            tried[side] *= NEARER;
        }
        best = chosen;
    }
    best
}

/// What a table finds for each of the 256 sums that it is asked for.
pub struct Found {
    /// From one sum to the next.
    pub scale: f32,
    /// The index of the sum 0.
    pub zero: f32,
}

impl Found {
    pub fn of([low, high]: Ends) -> Found {
        let scale = ((high - low) / 255.0).max(1e-6);
        Found { scale, zero: round(-128.0 - low / scale) }
    }

    /// Where a sum is looked up.
    pub fn index(&self, sum: f32) -> usize {
        (round(sum / self.scale + self.zero).clamp(-128.0, 127.0) + 128.0) as usize
    }

    /// The byte of every index.
    pub fn table(&self, act: Act, step: Step) -> [u8; TABLE] {
        std::array::from_fn(|i| step.byte(scalar::activate(act, (i as f32 - 128.0 - self.zero) * self.scale)))
    }
}

/// The range of sums whose table answers with the least squared error: where the activation is flat, nothing is lost.
pub fn least_error_after(sums: &[f32], act: Act, step: Step) -> Ends {
    let sums: Vec<f32> = sums.iter().copied().step_by(sums.len().div_ceil(ENOUGH / 2).max(1)).collect();
    let wanted: Vec<f32> = sums.iter().map(|y| scalar::activate(act, *y)).collect();
    let most = sums.iter().copied().fold(1.0, f32::max);
    let least = sums.iter().copied().fold(-1.0, f32::min).max(FLAT);
    let mut best = (f64::INFINITY, [least, most]);
    let mut high = most;
    for _ in 0..14 {
        for i in 0..12 {
            let low = (FIRST + (FLAT - FIRST) * i as f32 / 11.0).max(least);
            let error = error_after(&sums, &wanted, act, step, [low, high]);
            if error < best.0 {
                best = (error, [low, high]);
            }
            if low == least {
                break;
            }
        }
        high *= 0.912;
    }
    best.1
}

/// Below it every curved activation is all but flat.
const FLAT: f32 = -8.0;
/// The highest low end that is tried.
const FIRST: f32 = -1.5;

fn error_after(sums: &[f32], wanted: &[f32], act: Act, step: Step, ends: Ends) -> f64 {
    let found = Found::of(ends);
    let reals = found.table(act, step).map(|byte| step.real(byte));
    let inverse = 1.0 / found.scale;
    let mut total = 0.0;
    for (sum, wanted) in sums.iter().zip(wanted) {
        let index = (sum * inverse + found.zero).clamp(-128.0, 127.0) + 128.0 + MAGIC;
        let error = reals[(index.to_bits() & 255) as usize] - wanted;
        total += f64::from(error * error);
    }
    total
}
