//! How long visits last: the median and the 95th percentile.
//!
//! Exact over the newest [`KEPT`] visits: an appliance runs for months in the same memory, and what was usual in spring
//! says little about today. Absent: sketches; they would save 30 kB a zone and cost exactness on every film.

use crate::time::Span;
use std::collections::VecDeque;

/// Visits that are remembered.
pub const KEPT: usize = 4096;

#[derive(Debug, Clone, Default)]
pub(super) struct Dwell {
    newest: VecDeque<Span>,
    /// Kept up to date, since it is read far more often than it changes.
    p50_p95: Option<(Span, Span)>,
}

impl Dwell {
    pub fn add(&mut self, dwell: Span) {
        if self.newest.len() == KEPT {
            self.newest.pop_front();
        }
        self.newest.push_back(dwell);
        let mut sorted: Vec<Span> = self.newest.iter().copied().collect();
        sorted.sort_unstable();
        self.p50_p95 = Some((percentile(&sorted, 50), percentile(&sorted, 95)));
    }

    /// `None` before the first visit.
    pub fn p50_p95(&self) -> Option<(Span, Span)> {
        self.p50_p95
    }
}

/// Linear between the two nearest ranks, as spreadsheets and numpy have it. `sorted` is not empty.
fn percentile(sorted: &[Span], percent: i64) -> Span {
    // In whole hundredths of a rank, so every machine finds the same microsecond.
    let hundredths = (sorted.len() as i64 - 1) * percent;
    let (rank, part) = ((hundredths / 100) as usize, hundredths % 100);
    let low = sorted[rank].micros();
    let high = sorted[(rank + 1).min(sorted.len() - 1)].micros();
    Span::from_micros(low + (high - low) / 100 * part + (high - low) % 100 * part / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p50_p95(seconds: impl IntoIterator<Item = i64>) -> Option<(f64, f64)> {
        let mut dwell = Dwell::default();
        seconds.into_iter().for_each(|s| dwell.add(Span::from_millis(s * 1000)));
        dwell.p50_p95().map(|(p50, p95)| (p50.secs_f64(), p95.secs_f64()))
    }

    #[test]
    fn percentiles_are_those_of_a_spreadsheet() {
        assert_eq!(p50_p95([]), None);
        assert_eq!(p50_p95([7]), Some((7.0, 7.0)));
        assert_eq!(p50_p95([10, 0]), Some((5.0, 9.5)));
        assert_eq!(p50_p95([3, 1, 2]), Some((2.0, 2.9)));
        assert_eq!(p50_p95(0..=100), Some((50.0, 95.0)));
    }

    #[test]
    fn months_take_no_more_memory_than_a_day_and_the_newest_count() {
        let mut dwell = Dwell::default();
        for i in 0..2 * KEPT as i64 {
            dwell.add(Span::from_millis(if i < KEPT as i64 { 1000 } else { 9000 }));
        }
        assert_eq!(dwell.newest.len(), KEPT);
        assert_eq!(dwell.p50_p95(), Some((Span::from_millis(9000), Span::from_millis(9000))));
    }
}
