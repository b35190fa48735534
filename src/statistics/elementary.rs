//! exp, ln and ln gamma to some 1e-13, in arithmetic that every board does alike.

use std::f64::consts::LN_2;

/// 0 far below, the largest number far above.
pub fn exp(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let halvings = (x / LN_2).round().clamp(-1080.0, 1024.0);
    let rest = x.clamp(-750.0, 710.0) - halvings * LN_2;
    // |rest| <= ln(2)/2: the 18th term is below 1e-24.
    let (mut sum, mut term) = (1.0, 1.0);
    for n in 1..18 {
        term *= rest / f64::from(n);
        sum += term;
    }
    let half = |n: i32| if n >= 0 { doubled(n) } else { 1.0 / doubled(-n) };
    // In two steps, since the smallest numbers lie beyond one over the largest.
    let (first, second) = (halvings as i32 / 2, halvings as i32 - halvings as i32 / 2);
    (sum * half(first) * half(second)).min(f64::MAX)
}

fn doubled(times: i32) -> f64 {
    f64::from_bits((1023 + times.clamp(0, 1023)) as u64 * (1 << 52))
}

/// Natural logarithm; minus infinity at 0, not a number below.
pub fn ln(x: f64) -> f64 {
    if x <= 0.0 || !x.is_finite() {
        return if x == 0.0 {
            f64::NEG_INFINITY
        } else if x > 0.0 {
            x
        } else {
            f64::NAN
        };
    }
    if x < f64::MIN_POSITIVE {
        return ln(x * doubled(60)) - 60.0 * LN_2;
    }
    let bits = x.to_bits();
    let (mut exponent, mut mantissa) =
        ((bits >> 52) as i32 - 1023, f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        (exponent, mantissa) = (exponent + 1, mantissa / 2.0);
    }
    // ln m = 2 artanh((m - 1)/(m + 1)), whose argument is below .172.
    let z = (mantissa - 1.0) / (mantissa + 1.0);
    let (mut sum, mut power) = (0.0, z);
    for n in 0..12 {
        sum += power / f64::from(2 * n + 1);
        power *= z * z;
    }
    2.0 * sum + f64::from(exponent) * LN_2
}

pub fn log2(x: f64) -> f64 {
    ln(x) / LN_2
}

/// The logarithm of (x - 1)!, for positive x.
pub fn ln_gamma(x: f64) -> f64 {
    // Stirling's series from 10 on; what is below goes up by x gamma(x) = gamma(x + 1).
    let (mut x, mut below) = (x.max(1e-300), 1.0);
    while x < 10.0 {
        below *= x;
        x += 1.0;
    }
    let square = x * x;
    let series = (1.0 / 12.0
        - (1.0 / 360.0 - (1.0 / 1260.0 - (1.0 / 1680.0 - 1.0 / (1188.0 * square)) / square) / square) / square)
        / x;
    (x - 0.5) * ln(x) - x + 0.5 * ln(std::f64::consts::TAU) + series - ln(below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_agree_with_the_library() {
        for i in -1400..=1400 {
            let x = f64::from(i) / 2.0;
            let (ours, theirs) = (exp(x), x.exp());
            assert!((ours - theirs).abs() <= 1e-12 * theirs, "exp {x}: {ours} {theirs}");
        }
        for x in [1e-310, 1e-9, 0.1, 0.5, 0.999, 1.0, 1.41, 1.5, 2.0, 3.0, 1234.5, 1e12, 1e300] {
            let (ours, theirs) = (ln(x), x.ln());
            assert!((ours - theirs).abs() <= 1e-13 * (1.0 + theirs.abs()), "ln {x}: {ours} {theirs}");
        }
        assert_eq!((exp(-2000.0), exp(2000.0), ln(0.0)), (0.0, f64::MAX, f64::NEG_INFINITY));
        assert!(ln(-1.0).is_nan());
        let mut factorial = 0.0;
        for n in 1..200 {
            assert!((ln_gamma(f64::from(n)) - factorial).abs() < 1e-10, "gamma {n}");
            factorial += f64::from(n).ln();
        }
        // gamma(1/2) is the root of pi.
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-12);
    }
}
