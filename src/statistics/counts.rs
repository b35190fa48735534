//! How surprising a count is, and what is left of many surprises when one has looked in many places.

use super::{exp, ln, ln_gamma};

/// The chance of `count` or more, where `expected` are. Not above 1.
pub fn poisson_at_least(count: u64, expected: f64) -> f64 {
    if count == 0 {
        return 1.0;
    }
    if expected <= 0.0 {
        return 0.0;
    }
    let log = |k: u64| k as f64 * ln(expected) - expected - ln_gamma(k as f64 + 1.0);
    tail(count, expected, |k| exp(log(k)))
}

/// The same for counts that scatter more than Poisson's: variance `mean + mean² / size`. A rate that is itself known
/// from `size` incidents in other hours only gives counts of this kind.
pub fn negative_binomial_at_least(count: u64, mean: f64, size: f64) -> f64 {
    if count == 0 {
        return 1.0;
    }
    if mean <= 0.0 || size <= 0.0 {
        return if mean <= 0.0 { 0.0 } else { 1.0 };
    }
    let (stay, go) = (ln(size / (size + mean)), ln(mean / (size + mean)));
    let log = |k: u64| {
        let k = k as f64;
        ln_gamma(k + size) - ln_gamma(size) - ln_gamma(k + 1.0) + size * stay + k * go
    };
    tail(count, mean, |k| exp(log(k)))
}

/// Sums the shorter side: above the mean upwards, so that small chances are not a difference of large ones.
fn tail(count: u64, mean: f64, chance: impl Fn(u64) -> f64) -> f64 {
    if (count as f64) <= mean {
        let below: f64 = (0..count).map(&chance).sum();
        return (1.0 - below).clamp(0.0, 1.0);
    }
    let mut sum = 0.0;
    for k in count..count.saturating_add(100_000) {
        let part = chance(k);
        sum += part;
        if part <= sum * 1e-15 {
            break;
        }
    }
    sum.clamp(0.0, 1.0)
}

/// Which of many tests may be called findings when at most the share `rate` of all that are called so may be chance
/// (Benjamini and Hochberg). `tests` is how many there were in all: those that are not in `p` are taken to be 1. It
/// gives the adjusted p of each, in the order of `p`: a finding is what is at most `rate`. Holds for independent tests
/// and for those that rise together.
pub fn benjamini_hochberg(p: &[f64], tests: usize) -> Vec<f64> {
    let tests = tests.max(p.len()) as f64;
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|a, b| p[*a].total_cmp(&p[*b]).then(a.cmp(b)));
    let mut adjusted = vec![1.0; p.len()];
    let mut least: f64 = 1.0;
    for (rank, index) in order.into_iter().enumerate().rev() {
        least = least.min(p[index] * tests / (rank + 1) as f64);
        adjusted[index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() <= 1e-6 * b, "{a} is not {b}");
    }

    #[test]
    fn tails_are_those_of_the_tables() {
        // Summed by hand in another language.
        near(poisson_at_least(5, 1.6), 0.0236822780493);
        near(poisson_at_least(1, 0.01), 0.009950166251);
        near(poisson_at_least(50, 20.0), 1.2458926079719381e-8);
        near(negative_binomial_at_least(5, 1.6, 1e9), poisson_at_least(5, 1.6));
        assert!(negative_binomial_at_least(5, 1.6, 8.0) > poisson_at_least(5, 1.6));
        assert_eq!((poisson_at_least(0, 3.0), poisson_at_least(3, 0.0)), (1.0, 0.0));
        // Size 1 is geometric: the chance of k or more is (m / (1 + m))^k.
        near(negative_binomial_at_least(4, 2.0, 1.0), (2.0f64 / 3.0).powi(4));
    }

    #[test]
    fn findings_are_corrected_for_how_often_was_looked() {
        // The example of many textbooks.
        let adjusted = benjamini_hochberg(&[0.01, 0.04, 0.03, 0.005], 4);
        for (ours, theirs) in adjusted.iter().zip([0.02, 0.04, 0.04, 0.02]) {
            near(*ours, theirs);
        }
        near(benjamini_hochberg(&[0.001], 100)[0], 0.1);
        assert!(benjamini_hochberg(&[], 5).is_empty());
    }
}
