//! How fast somebody goes, in body heights per second: what is fast in the frame depends on how near the camera is, and
//! the box tells that.
//!
//! Measured over the last second, in both halves of it and from head and from foot, and the smallest is believed: when legs
//! disappear behind a counter the foot point jumps, but the head does not; a box that jumps to somebody else does so
//! once. Known misses: whoever runs straight at a camera that hangs as low as a head, since that head stays where it
//! is; whoever runs for less than a second.

use crate::geometry::{BBox, Point};
use crate::time::{MediaTime, Span};
use std::collections::VecDeque;

/// Over which speed is measured.
const WINDOW: Span = Span::from_millis(1000);
/// Less than this is too little to tell.
const LEAST: Span = Span::from_millis(600);
/// Who was not seen for longer may have been found again at another's place.
const GAP: Span = Span::from_millis(500);
/// Sightings nearer to each other than this count as one, so that a fast camera costs no more memory.
const STEP: Span = Span::from_millis(80);
/// A box nearer to the edge of the frame is cut by it, and its height is none.
const EDGE: f32 = 0.005;

/// Body heights per second, x to the right, y down the frame. A person walks at .6 to .9 and runs from 1.5 on, seen
/// from the side; towards the camera and away from it both are shortened by how steeply it looks down.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Velocity {
    pub x: f32,
    pub y: f32,
}

impl Velocity {
    pub fn speed(self) -> f32 {
        // Not `hypot`, whose last bit differs between machines.
        (self.x * self.x + self.y * self.y).sqrt()
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    /// Of the last second, oldest first.
    seen: VecDeque<Sighting>,
}

#[derive(Debug, Clone, Copy)]
struct Sighting {
    at: MediaTime,
    foot: Point,
    head: Point,
    height: f32,
}

impl Pace {
    pub fn sight(&mut self, bbox: &BBox, aspect: f32, at: MediaTime) {
        let cut = bbox.x1 < EDGE || bbox.y1 < EDGE || bbox.x2 > 1.0 - EDGE || bbox.y2 > 1.0 - EDGE;
        if cut || self.seen.back().is_some_and(|last| at - last.at > GAP) {
            self.seen.clear();
        }
        if cut {
            return;
        }
        let middle = bbox.centre().x * aspect;
        let sighting = Sighting {
            at,
            foot: Point::new(middle, bbox.y2),
            head: Point::new(middle, bbox.y1),
            height: bbox.height(),
        };
        let n = self.seen.len();
        if n >= 2 && self.seen[n - 1].at - self.seen[n - 2].at < STEP {
            self.seen.pop_back();
        }
        self.seen.push_back(sighting);
        while self.seen.len() > 2 && at - self.seen[1].at >= WINDOW {
            self.seen.pop_front();
        }
    }

    /// As of the newest sighting, which must be that of `at`.
    pub fn velocity(&self, at: MediaTime) -> Option<Velocity> {
        let (first, last) = (*self.seen.front()?, *self.seen.back()?);
        let span = last.at - first.at;
        if last.at != at || span < LEAST {
            return None;
        }
        let half = Span::from_micros(span.micros() / 2);
        let middle = *self.seen.iter().find(|sighting| sighting.at - first.at >= half)?;
        let mut slowest: Option<Velocity> = None;
        for (from, to) in [(first, middle), (middle, last)] {
            let seconds = (to.at - from.at).secs_f64() as f32;
            let scale = 1.0 / (seconds * from.height.max(to.height));
            for (a, b) in [(from.foot, to.foot), (from.head, to.head)] {
                let velocity = Velocity { x: (b.x - a.x) * scale, y: (b.y - a.y) * scale };
                if !velocity.x.is_finite() || !velocity.y.is_finite() {
                    return None;
                }
                // What does not even go the same way goes nowhere.
                let against = slowest.is_some_and(|other| velocity.x * other.x + velocity.y * other.y <= 0.0);
                if against {
                    return Some(Velocity::default());
                }
                slowest = slowest.filter(|other| other.speed() <= velocity.speed()).or(Some(velocity));
            }
        }
        slowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told after two seconds at so many frames a second, of a box that is a function of time.
    fn velocity(fps: f64, bbox: impl Fn(f64) -> BBox) -> Option<(f32, f32)> {
        let mut pace = Pace::default();
        let mut at = MediaTime::ZERO;
        for i in 0..=(2.0 * fps) as u32 {
            at = MediaTime::from_secs_f64(f64::from(i) / fps);
            pace.sight(&bbox(at.secs_f64()), 2.0, at);
        }
        assert!(pace.seen.len() < 20, "{}", pace.seen.len());
        pace.velocity(at).map(|v| ((v.x * 100.0).round() / 100.0, (v.y * 100.0).round() / 100.0))
    }

    #[test]
    fn stories() {
        let walker = |x: f32, y: f32, h: f32| BBox::new(x - 0.05, y - h, x + 0.05, y);
        for fps in [5.0, 10.0, 30.0] {
            let told = |bbox: &dyn Fn(f64) -> BBox| velocity(fps, bbox);
            assert_eq!(told(&|_| walker(0.5, 0.6, 0.2)), Some((0.0, 0.0)), "stands");
            let sideways = told(&|t| walker(0.2 + 0.1 * t as f32, 0.6, 0.2));
            assert_eq!(
                sideways,
                Some((1.0, 0.0)),
                "a tenth of a frame twice as wide as high, at a fifth of its height"
            );
            assert_eq!(told(&|t| walker(0.5, 0.4 + 0.1 * t as f32, 0.2)), Some((0.0, 0.5)), "downwards");
            let sits_down = |t: f64| walker(0.5, 0.8 - 0.2 * t as f32, 0.6 - 0.2 * t as f32);
            assert_eq!(told(&sits_down), Some((0.0, 0.0)), "legs disappear behind a counter, the head stays");
            assert_eq!(told(&|t| walker(0.5 + 0.1 * t as f32, 1.0, 0.2)), None, "cut by the edge");
        }
        assert_eq!(velocity(1.0, |_| walker(0.5, 0.6, 0.2)), None, "too seldom seen");
    }

    #[test]
    fn who_came_just_now_or_is_lost_has_none() {
        let mut pace = Pace::default();
        let stand = BBox::new(0.4, 0.4, 0.5, 0.6);
        let ms = |ms| MediaTime::ZERO + Span::from_millis(ms);
        for at in [0, 200, 400] {
            pace.sight(&stand, 1.0, ms(at));
            assert_eq!(pace.velocity(ms(at)), None);
        }
        pace.sight(&stand, 1.0, ms(600));
        assert_eq!(pace.velocity(ms(600)), Some(Velocity::default()));
        assert_eq!(pace.velocity(ms(700)), None, "not seen now");
        pace.sight(&stand, 1.0, ms(1200));
        assert_eq!(pace.velocity(ms(1200)), None, "found again");
    }
}
