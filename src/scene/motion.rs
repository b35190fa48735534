//! Whether somebody stands still: the foot point has stayed within a small circle for a while. The circle grows with
//! the box, because a box that is large in the frame trembles more.

use crate::geometry::Point;
use crate::time::{MediaTime, Span};

/// Radius of the circle in heights of the box.
const RADIUS: f32 = 0.15;
/// How long the foot point must rest.
const REST: Span = Span::from_millis(2000);

#[derive(Debug, Clone, Copy)]
pub(super) struct Motion {
    anchor: Point,
    since: MediaTime,
    stopped: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    Stopped { since: MediaTime },
    Moving,
}

impl Motion {
    pub fn new(foot: Point, at: MediaTime) -> Self {
        Motion { anchor: foot, since: at, stopped: false }
    }

    /// `height` is that of the box, in fractions as everything else; `aspect` makes x and y comparable.
    pub fn sight(&mut self, foot: Point, height: f32, aspect: f32, at: MediaTime) -> Option<Change> {
        let (dx, dy) = ((foot.x - self.anchor.x) * aspect, foot.y - self.anchor.y);
        let radius = RADIUS * height;
        if dx * dx + dy * dy > radius * radius {
            let moving = self.stopped.then_some(Change::Moving);
            *self = Motion::new(foot, at);
            return moving;
        }
        let rests = !self.stopped && at - self.since >= REST;
        self.stopped |= rests;
        rests.then_some(Change::Stopped { since: self.since })
    }
}
