//! Who belongs to whom: optimal assignment of rows to columns.
//!
//! The Hungarian method with potentials and shortest augmenting paths (Jonker-Volgenant's idea), O(rows² · columns).
//! Equal costs are decided by position, so the answer is the same on every machine.

/// Costs of pairing row with column, row by row: all at once in memory, see `MAX_BOXES`.
#[derive(Debug, Clone, Default)]
pub(super) struct Costs {
    columns: usize,
    costs: Vec<f64>,
}

impl Costs {
    pub fn new(rows: usize, columns: usize, mut cost: impl FnMut(usize, usize) -> f64) -> Self {
        let costs = (0..rows * columns).map(|i| cost(i / columns, i % columns)).collect();
        Costs { columns, costs }
    }
    fn rows(&self) -> usize {
        self.costs.len().checked_div(self.columns).unwrap_or(0)
    }
    fn at(&self, row: usize, column: usize) -> f64 {
        self.costs[row * self.columns + column]
    }
}

/// The pairs `(row, column)`, sorted by row, whose costs are below `limit` and that make the sum over all pairs of
/// `cost - limit` least. A cost that is no number pairs with nothing.
pub(super) fn assign(costs: &Costs, limit: f64) -> Vec<(usize, usize)> {
    let (rows, columns) = (costs.rows(), costs.columns);
    // Leaving a pair alone costs nothing, hence everything at or above the limit is worth the same: nothing.
    let gain = |row: usize, column: usize| {
        let cost = costs.at(row, column) - limit;
        if cost < 0.0 { cost } else { 0.0 }
    };
    let mut pairs = if rows <= columns {
        solve(rows, columns, gain)
    } else {
        solve(columns, rows, |column, row| gain(row, column)).into_iter().map(|(c, r)| (r, c)).collect()
    };
    pairs.retain(|&(row, column)| costs.at(row, column) < limit);
    pairs.sort_unstable();
    pairs
}

/// Every row gets a column of its own; `rows <= columns`.
fn solve(rows: usize, columns: usize, cost: impl Fn(usize, usize) -> f64) -> Vec<(usize, usize)> {
    const NOBODY: usize = usize::MAX;
    let mut row_price = vec![0.0; rows];
    let mut column_price = vec![0.0; columns];
    let mut owner = vec![NOBODY; columns];
    // Of the shortest path to each column: its length, the column before it, and whether it is final.
    let mut length = vec![0.0; columns];
    let mut before = vec![NOBODY; columns];
    let mut done = vec![false; columns];

    for newcomer in 0..rows {
        length.fill(f64::INFINITY);
        before.fill(NOBODY);
        done.fill(false);
        let mut row = newcomer;
        let mut from = NOBODY;
        let mut travelled = 0.0;
        let free = loop {
            let (mut nearest, mut nearest_length) = (NOBODY, f64::INFINITY);
            for column in (0..columns).filter(|&c| !done[c]) {
                let reduced = travelled + cost(row, column) - row_price[row] - column_price[column];
                if reduced < length[column] {
                    length[column] = reduced;
                    before[column] = from;
                }
                if length[column] < nearest_length {
                    (nearest, nearest_length) = (column, length[column]);
                }
            }
            debug_assert!(nearest != NOBODY, "there are at least as many columns as rows, and costs are finite");
            done[nearest] = true;
            travelled = nearest_length;
            if owner[nearest] == NOBODY {
                break nearest;
            }
            (row, from) = (owner[nearest], nearest);
        };
        // Prices change such that every pair on the path is tight and none is under its price.
        row_price[newcomer] += travelled;
        for column in (0..columns).filter(|&c| done[c] && c != free) {
            let slack = travelled - length[column];
            column_price[column] -= slack;
            row_price[owner[column]] += slack;
        }
        let mut column = free;
        while before[column] != NOBODY {
            owner[column] = owner[before[column]];
            column = before[column];
        }
        owner[column] = newcomer;
    }
    owner.into_iter().enumerate().filter(|&(_, row)| row != NOBODY).map(|(column, row)| (row, column)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(rows: &[&[f64]], limit: f64) -> Vec<(usize, usize)> {
        let columns = rows.first().map_or(0, |r| r.len());
        assign(&Costs::new(rows.len(), columns, |r, c| rows[r][c]), limit)
    }

    #[test]
    fn small_tables() {
        assert_eq!(pairs(&[], 1.0), []);
        assert_eq!(pairs(&[&[], &[]], 1.0), [], "rows without columns");
        assert_eq!(pairs(&[&[0.1, 0.2], &[0.15, 0.9]], 1.0), [(0, 1), (1, 0)], "the greedy choice is not the best");
        assert_eq!(pairs(&[&[0.9], &[0.2], &[0.5]], 1.0), [(1, 0)], "more rows than columns");
        assert_eq!(pairs(&[&[0.9, 0.3]], 0.25), [], "all over the limit");
        assert_eq!(pairs(&[&[f64::NAN, 0.3], &[f64::NAN, f64::NAN]], 0.5), [(0, 1)], "no number, no pair");
        assert_eq!(pairs(&[&[0.5, 0.5], &[0.5, 0.5]], 1.0), [(0, 0), (1, 1)], "ties go by position");
    }

    /// The least sum of `cost - limit` by trying everything.
    fn exhaustive(costs: &Costs, row: usize, taken: &mut Vec<bool>, limit: f64) -> f64 {
        if row == costs.rows() {
            return 0.0;
        }
        let mut best = exhaustive(costs, row + 1, taken, limit);
        for column in 0..costs.columns {
            if !taken[column] && costs.at(row, column) < limit {
                taken[column] = true;
                best = best.min(costs.at(row, column) - limit + exhaustive(costs, row + 1, taken, limit));
                taken[column] = false;
            }
        }
        best
    }

    proptest! {
        #[test]
        fn nothing_is_better(table in (1usize..6, 1usize..6).prop_flat_map(|(r, c)| {
            (Just(c), prop::collection::vec(0.0f64..1.0, r * c))
        }), limit in 0.2f64..1.2) {
            let (columns, values) = table;
            let costs = Costs::new(values.len() / columns, columns, |r, c| values[r * columns + c]);
            let sum: f64 = assign(&costs, limit).iter().map(|&(r, c)| costs.at(r, c) - limit).sum();
            let best = exhaustive(&costs, 0, &mut vec![false; columns], limit);
            prop_assert!((sum - best).abs() < 1e-9, "{sum} is not {best}");
        }
    }
}
