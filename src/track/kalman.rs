//! Where a box will be: a constant-velocity Kalman filter.
//!
//! The state is centre, size and their speeds. No noise couples the four measured quantities, so the usual
//! eight by eight matrices fall apart into four filters of position and speed: the same arithmetic at a
//! fiftieth of the cost.
//!
//! Lengths are isotropic (x times the aspect of the frame). Noise is proportional to the size of the box and, as in
//! DeepSORT and ByteTrack, given per frame at 30 frames a second; time steps are counted in such frames.

use crate::geometry::BBox;

/// Standard deviation of a measured place, as a part of the box's size.
const MEASURED: f64 = 1.0 / 20.0;

/// How boxes are supposed to move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Motion {
    pub shape: Shape,
    /// Standard deviation that 1/30 s adds to a place, as a part of the box's size.
    pub place: f64,
    /// Standard deviation that 1/30 s adds to a speed, as a part of the box's size per 1/30 s.
    pub speed: f64,
}

/// How a box's size is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Width divided by height, and height: ByteTrack's.
    AspectHeight,
    /// Width and height: better with people who stretch and turn (BoT-SORT).
    WidthHeight,
}

/// A box in motion.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Kalman {
    motion: Motion,
    /// Centre x and y, then width (or aspect ratio) and height.
    axes: [Axis; 4],
}

impl Kalman {
    /// `bbox` has a positive width and height.
    pub fn new(bbox: &BBox, motion: Motion) -> Self {
        let z = measure(bbox, motion.shape);
        let scale = scale(&z, motion.shape);
        let axis = |i: usize| Axis::new(z[i], 2.0 * MEASURED * scale[i], 10.0 / 160.0 * scale[i]);
        let mut axes = [0, 1, 2, 3].map(axis);
        if motion.shape == Shape::AspectHeight {
            axes[2] = Axis::new(z[2], 1e-2, 1e-5);
        }
        Kalman { motion, axes }
    }

    /// `dt` in units of 1/30 s.
    pub fn predict(&mut self, dt: f64) {
        let Motion { shape, place, speed } = self.motion;
        let scale = self.scale();
        for (i, axis) in self.axes.iter_mut().enumerate() {
            match (shape, i) {
                (Shape::AspectHeight, 2) => axis.predict(dt, 1e-2, 1e-5),
                _ => axis.predict(dt, place * scale[i], speed * scale[i]),
            }
        }
    }

    pub fn update(&mut self, bbox: &BBox) {
        let shape = self.motion.shape;
        let z = measure(bbox, shape);
        let scale = self.scale();
        for (i, axis) in self.axes.iter_mut().enumerate() {
            match (shape, i) {
                (Shape::AspectHeight, 2) => axis.update(z[i], 1e-1),
                _ => axis.update(z[i], MEASURED * scale[i]),
            }
        }
    }

    /// A box nobody sees would grow or shrink without end.
    pub fn stop_growing(&mut self) {
        if self.motion.shape == Shape::WidthHeight {
            self.axes[2].speed = 0.0;
        }
        self.axes[3].speed = 0.0;
    }

    /// The frame has moved, not the thing.
    pub fn shift(&mut self, dx: f32, dy: f32) {
        self.axes[0].at += f64::from(dx);
        self.axes[1].at += f64::from(dy);
    }

    pub fn bbox(&self) -> BBox {
        let [cx, cy, w, h] = self.axes.map(|axis| axis.at);
        let w = match self.motion.shape {
            Shape::AspectHeight => w * h,
            Shape::WidthHeight => w,
        };
        // A shrinking box must not turn inside out while nobody looks.
        let (w, h) = (w.max(0.0), h.max(0.0));
        BBox::new((cx - w / 2.0) as f32, (cy - h / 2.0) as f32, (cx + w / 2.0) as f32, (cy + h / 2.0) as f32)
    }

    fn scale(&self) -> [f64; 4] {
        scale(&self.axes.map(|axis| axis.at), self.motion.shape)
    }
}

fn measure(b: &BBox, shape: Shape) -> [f64; 4] {
    let [x1, y1, x2, y2] = b.to_array().map(f64::from);
    let (w, h) = (x2 - x1, y2 - y1);
    let third = match shape {
        Shape::AspectHeight => w / h,
        Shape::WidthHeight => w,
    };
    [(x1 + x2) / 2.0, (y1 + y2) / 2.0, third, h]
}

/// The size each quantity's noise is proportional to.
fn scale(state: &[f64; 4], shape: Shape) -> [f64; 4] {
    let [_, _, w, h] = *state;
    match shape {
        Shape::AspectHeight => [h; 4],
        Shape::WidthHeight => [w, h, w, h],
    }
}

/// One measured quantity and its speed per 1/30 s.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    at: f64,
    speed: f64,
    /// Variance of `at`, covariance of both, variance of `speed`.
    var: [f64; 3],
}

impl Axis {
    fn new(at: f64, place: f64, speed: f64) -> Self {
        Axis { at, speed: 0.0, var: [place * place, 0.0, speed * speed] }
    }

    fn predict(&mut self, dt: f64, place: f64, speed: f64) {
        let [p, c, v] = self.var;
        self.at += dt * self.speed;
        // Process noise grows with the time passed, so that a second is as uncertain at 5 fps as at 30.
        self.var = [p + dt * (2.0 * c + dt * v) + dt * place * place, c + dt * v, v + dt * speed * speed];
    }

    fn update(&mut self, measured: f64, noise: f64) {
        let [p, c, v] = self.var;
        let total = p + noise * noise;
        if total <= 0.0 {
            return; // a box that has shrunk to nothing knows no uncertainty either
        }
        let (gain, gain_speed) = (p / total, c / total);
        let error = measured - self.at;
        self.at += gain * error;
        self.speed += gain_speed * error;
        self.var = [p - gain * p, c - gain * c, v - gain_speed * c];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOTION: Motion = Motion { shape: Shape::WidthHeight, place: 1.0 / 40.0, speed: 1.0 / 320.0 };

    /// Walks `speed` per 1/30 s for two seconds at this rate; what is predicted for half a second later?
    fn walk(fps: f64, speed: f64) -> f32 {
        let at = |t: f64| BBox::from_xywh((speed * 30.0 * t) as f32, 0.3, 0.1, 0.2);
        let mut kalman = Kalman::new(&at(0.0), MOTION);
        for i in 1..=(2.0 * fps) as i32 {
            kalman.predict(30.0 / fps);
            kalman.update(&at(f64::from(i) / fps));
        }
        kalman.predict(15.0);
        kalman.bbox().x1 - at(2.5).x1
    }

    #[test]
    fn a_steady_walk_is_predicted_at_every_frame_rate() {
        for fps in [5.0, 10.0, 15.0, 30.0, 60.0] {
            assert!(walk(fps, 0.004).abs() < 0.02, "{fps} fps: off by {}", walk(fps, 0.004));
        }
    }

    #[test]
    fn uncertainty_of_a_second_does_not_depend_on_the_steps() {
        let after = |steps: i32| {
            let mut axis = Axis::new(0.0, 0.0, 0.0);
            (0..steps).for_each(|_| axis.predict(30.0 / f64::from(steps), 0.1, 0.0));
            axis.var[0]
        };
        assert!((after(5) - after(30)).abs() < 1e-9);
    }

    #[test]
    fn both_shapes_give_back_the_box_they_were_given() {
        let bbox = BBox::new(0.1, 0.2, 0.3, 0.8);
        for shape in [Shape::AspectHeight, Shape::WidthHeight] {
            let back = Kalman::new(&bbox, Motion { shape, ..MOTION }).bbox();
            let off = back.to_array().iter().zip(bbox.to_array()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1e-6, "{shape:?}: {back:?}");
        }
    }
}
