//! The mathematics of what is rare, made of sums, products and quotients alone: the logarithm of a system's library
//! differs in its last bit from board to board, and what is decided here must not.
//!
//! Absent on purpose: clocks, and anything that watches.

mod counts;
mod elementary;
pub mod frequent;
mod hour;

pub use counts::{benjamini_hochberg, negative_binomial_at_least, poisson_at_least};
pub use elementary::{exp, ln, ln_gamma, log2};
pub use hour::Hour;

/// What is left of one after so many days of a half-life; both in days.
pub fn faded(days: f64, half_life_days: f64) -> f64 {
    exp(-std::f64::consts::LN_2 * days / half_life_days.max(1e-6))
}
