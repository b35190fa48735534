//! Clues as JSON, in track logs and in evidence.

use super::{Joint, JointSight, Pose, ShelfChange, ShelfSight};
use crate::geometry::{BBox, Point};
use crate::ids::{ZoneId, is_valid_name};
use crate::time::Span;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// [`ShelfSight`].
#[derive(Serialize, Deserialize)]
pub struct Shelf<'a> {
    #[serde(borrow)]
    zone: Cow<'a, str>,
    #[serde(borrow)]
    what: Cow<'a, str>,
    cells: u32,
    of: u32,
    #[serde(rename = "box")]
    bbox: [f32; 4],
    shown_us: i64,
    hidden_us: i64,
}

/// A pose: a box, and x, y and score of each joint.
#[derive(Serialize, Deserialize)]
pub struct Figure {
    #[serde(rename = "box")]
    bbox: [f32; 4],
    joints: [[f32; 3]; Joint::COUNT],
}

impl From<&Pose> for Figure {
    fn from(pose: &Pose) -> Self {
        let joints = pose.joints.map(|joint| [joint.at.x, joint.at.y, joint.score]);
        Figure { bbox: pose.bbox.to_array(), joints }
    }
}

impl From<Figure> for Pose {
    fn from(Figure { bbox: [x1, y1, x2, y2], joints }: Figure) -> Self {
        let joints = joints.map(|[x, y, score]| JointSight { at: Point::new(x, y), score });
        Pose { bbox: BBox::new(x1, y1, x2, y2), joints }
    }
}

impl<'a> Shelf<'a> {
    pub fn of(sight: &'a ShelfSight) -> Self {
        Shelf {
            zone: sight.zone.as_str().into(),
            what: sight.what.name().into(),
            cells: sight.cells,
            of: sight.of,
            bbox: sight.bbox.to_array(),
            shown_us: sight.shown.micros(),
            hidden_us: sight.hidden.micros(),
        }
    }

    /// # Errors
    /// What is wrong with it, and what was expected.
    pub fn sight(self) -> Result<ShelfSight, String> {
        let known = || ShelfChange::ALL.map(ShelfChange::name).join(", ");
        let what = ShelfChange::ALL.into_iter().find(|what| what.name() == self.what);
        let what =
            what.ok_or_else(|| format!("\"{}\" happens to no shelf, expected one of: {}", self.what, known()))?;
        // A day is longer than anything is hidden, and small enough for every sum of times.
        let times = [self.shown_us, self.hidden_us];
        if !times.iter().all(|us| (0..=86_400_000_000).contains(us)) {
            return Err(format!("a shelf has the times {times:?}, expected microseconds, 0 to those of a day"));
        }
        if !is_valid_name(&self.zone) {
            return Err(format!("a shelf is called \"{}\", expected the name of a zone", self.zone));
        }
        let [x1, y1, x2, y2] = self.bbox;
        Ok(ShelfSight {
            zone: ZoneId::new(&self.zone),
            what,
            cells: self.cells,
            of: self.of,
            bbox: BBox::new(x1, y1, x2, y2),
            shown: Span::from_micros(self.shown_us),
            hidden: Span::from_micros(self.hidden_us),
        })
    }
}
