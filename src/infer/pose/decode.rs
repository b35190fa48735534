//! From MoveNet's maps to joints: the end of its published graph, which no runtime here has the operators for.
//!
//! Each of 48 x 48 cells says how likely each joint is in it, how likely a person's centre, where the joints of a person
//! with its centre there would be (roughly), and where exactly in the cell a joint lies. The person nearest to the middle
//! is taken, and of each joint the likeliest cell near to where that person should have it.
//!
//! Pure, and safe on any numbers: what is not finite is taken for nought.

use crate::clue::{Joint, JointSight};
use crate::geometry::Point;

const JOINTS: usize = Joint::COUNT;
/// Columns of a cell: a score per joint, that of a centre, two numbers per joint from the centre, two within the cell.
pub const COLUMNS: usize = JOINTS + 1 + 4 * JOINTS;
const CENTRE: usize = JOINTS;
const REGRESSED: usize = JOINTS + 1;
const OFFSET: usize = REGRESSED + 2 * JOINTS;
/// Cells that a distance is prolonged by before scores are divided by it.
const NEAR: f32 = 1.8;

/// Joints in fractions of the input; they may lie outside of it. `output` is `side * side` rows of [`COLUMNS`].
pub fn decode(output: &[f32], side: usize) -> [JointSight; JOINTS] {
    let rows = output.as_chunks::<COLUMNS>().0;
    let middle = (side / 2) as f32;
    let centre = likeliest(rows, side, CENTRE, [middle; 2]);
    let from = [centre / side, centre % side].map(|at| at as f32);
    std::array::from_fn(|joint| {
        let pair = |cell: usize, column: usize| {
            [0, 1].map(|i| rows.get(cell).map_or(0.0, |row| finite(row[column + 2 * joint + i])))
        };
        let [dy, dx] = pair(centre, REGRESSED);
        let cell = likeliest(rows, side, joint, [from[0] + dy, from[1] + dx]);
        let [dy, dx] = pair(cell, OFFSET);
        let fraction = |at: usize, offset: f32| (at as f32 + offset) / side as f32;
        JointSight {
            at: Point::new(fraction(cell % side, dx), fraction(cell / side, dy)),
            score: rows.get(cell).map_or(0.0, |row| finite(row[joint]).clamp(0.0, 1.0)),
        }
    })
}

/// The cell with the best score in a column, near to a place (row, column) rather than far from it.
fn likeliest(rows: &[[f32; COLUMNS]], side: usize, column: usize, [y, x]: [f32; 2]) -> usize {
    let (mut best, mut most) = (0, f32::NEG_INFINITY);
    for (cell, row) in rows.iter().enumerate() {
        let score = finite(row[column]);
        // Roots are dear, and most cells hold nothing: what would lose at the place itself loses here.
        if score <= most * NEAR {
            continue;
        }
        let (dy, dx) = ((cell / side) as f32 - y, (cell % side) as f32 - x);
        let weighed = score / ((dy * dy + dx * dx).sqrt() + NEAR);
        if weighed > most {
            (best, most) = (cell, weighed);
        }
    }
    best
}

fn finite(value: f32) -> f32 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIDE: usize = 8;

    /// Numbers of some cells (row, column), each with its column; all else is nought.
    fn output(set: &[([usize; 2], usize, f32)]) -> Vec<f32> {
        let mut output = vec![0.0; SIDE * SIDE * COLUMNS];
        for ([y, x], column, value) in set {
            output[(y * SIDE + x) * COLUMNS + column] = *value;
        }
        output
    }

    fn wrist(set: &[([usize; 2], usize, f32)]) -> JointSight {
        decode(&output(set), SIDE)[Joint::LeftWrist as usize]
    }

    const WRIST: usize = Joint::LeftWrist as usize;
    const FROM_CENTRE: usize = REGRESSED + 2 * WRIST;
    const WITHIN: usize = OFFSET + 2 * WRIST;

    #[test]
    fn a_joint_is_where_its_score_is_and_its_offset_says() {
        let found = wrist(&[([2, 5], WRIST, 0.7), ([2, 5], WITHIN, 0.25), ([2, 5], WITHIN + 1, 0.5)]);
        assert_eq!((found.at, found.score), (Point::new(5.5 / 8.0, 2.25 / 8.0), 0.7));
    }

    #[test]
    fn of_two_people_the_one_in_the_middle_has_the_joint() {
        // Both wrists are as likely; the centre in the middle says that its wrist is two rows up.
        let both = [([2, 4], WRIST, 0.7), ([6, 7], WRIST, 0.7), ([4, 4], CENTRE, 0.5), ([4, 4], FROM_CENTRE, -2.0)];
        assert_eq!(wrist(&both).at, Point::new(4.0 / 8.0, 2.0 / 8.0));
        // A likelier centre at the border, with its wrist beside it, loses to the middle; alone it has its own.
        let edge = [([7, 7], CENTRE, 0.9), ([7, 7], FROM_CENTRE, -1.0)];
        assert_eq!(wrist(&[&both[..], &edge].concat()).at, Point::new(4.0 / 8.0, 2.0 / 8.0));
        assert_eq!(wrist(&[&both[..2], &edge].concat()).at, Point::new(7.0 / 8.0, 6.0 / 8.0));
    }

    #[test]
    fn a_joint_much_likelier_far_away_is_taken_all_the_same() {
        let found = wrist(&[([4, 4], CENTRE, 0.5), ([4, 5], WRIST, 0.1), ([0, 0], WRIST, 0.9)]);
        assert_eq!(found.at, Point::new(0.0, 0.0));
    }

    proptest! {
        #[test]
        fn any_numbers_give_joints_that_are_numbers(
            values in proptest::collection::vec(prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), -9.0f32..9.0], 64),
            length in 0usize..=SIDE * SIDE * COLUMNS,
        ) {
            let output: Vec<f32> = values.iter().copied().cycle().take(length).collect();
            for joint in decode(&output, SIDE) {
                prop_assert!(joint.at.x.is_finite() && joint.at.y.is_finite() && (0.0..=1.0).contains(&joint.score));
            }
        }
    }
}
