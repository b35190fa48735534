//! A person cut out of a frame: a square around the box, so that proportions stay, with a margin, since boxes cut hands
//! and feet off. What of the square lies outside of the frame stays as empty as the border of a letterbox.

use crate::frame::{Picture, Yuv420};
use crate::geometry::{BBox, Point};
use crate::infer::letterbox::Fit;
use anyhow::{Result, ensure};
use image::imageops::crop_imm;
use std::sync::Arc;

/// The square's side, in longer sides of the box.
pub const MARGIN: f32 = 1.25;

/// What is cut out, and where it lies in a square input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Crop {
    /// Of the frame, in fractions; within it.
    part: BBox,
    fit: Fit,
}

impl Crop {
    /// Of a frame of so many pixels for an input of `side` by `side`; `None` where no pixel of the box is in the frame.
    pub fn new(bbox: BBox, (width, height): (u32, u32), side: u32, margin: f32) -> Option<Self> {
        let (w, h) = (width as f32, height as f32);
        let seen = bbox.clamped();
        if !bbox.is_finite() || seen.width() * w < 1.0 || seen.height() * h < 1.0 {
            return None;
        }
        let (centre, longer) = (seen.centre(), (seen.width() * w).max(seen.height() * h) * margin);
        let (half_x, half_y) = (longer / 2.0 / w, longer / 2.0 / h);
        let square = BBox::new(centre.x - half_x, centre.y - half_y, centre.x + half_x, centre.y + half_y);
        let part = on_pixels(square.clamped(), (width, height));
        let place = |at: f32, start: f32, size: f32| (at - start) / size * side as f32;
        let [x1, x2] = [part.x1, part.x2].map(|x| place(x, square.x1, square.width()).round().max(0.0) as u32);
        let [y1, y2] = [part.y1, part.y2].map(|y| place(y, square.y1, square.height()).round().max(0.0) as u32);
        let size = (x2.saturating_sub(x1), y2.saturating_sub(y1));
        Some(Crop { part, fit: Fit::at(x1, y1, size, (side, side)) })
    }

    pub fn fit(&self) -> Fit {
        self.fit
    }

    /// Fewest columns and rows the whole frame must be decoded to, so that this part of it is not enlarged.
    pub fn enough(&self) -> (u32, u32) {
        let (width, height) = self.fit.size();
        let whole = |input: u32, part: f32| (input as f32 / part - 0.01).ceil() as u32;
        (whole(width, self.part.width()), whole(height, self.part.height()))
    }

    /// The part of a frame, which is decoded to whatever size.
    ///
    /// # Errors
    /// A frame that contradicts itself, or is still compressed.
    pub fn cut(&self, frame: &Picture) -> Result<Picture> {
        let (width, height) = frame.size();
        let [x1, y1, x2, y2] = pixels(self.part, (width, height));
        match frame {
            Picture::Rgb(rgb) => Ok(Picture::Rgb(Arc::new(crop_imm(&**rgb, x1, y1, x2 - x1, y2 - y1).to_image()))),
            Picture::Yuv420(yuv) => {
                ensure!(yuv.is_consistent(), "the planes of a frame are not as long as {width} x {height} pixels need");
                let chroma = |plane: &[u8]| {
                    cut_plane(
                        plane,
                        Yuv420::chroma_size(width, height).0,
                        [x1 / 2, y1 / 2, x2.div_ceil(2), y2.div_ceil(2)],
                    )
                };
                let (y, u, v) = (cut_plane(&yuv.y, width, [x1, y1, x2, y2]), chroma(&yuv.u), chroma(&yuv.v));
                let size = (x2 - x1, y2 - y1);
                Ok(Picture::Yuv420(Arc::new(Yuv420 {
                    width: size.0,
                    height: size.1,
                    y,
                    u,
                    v,
                    full_range: yuv.full_range,
                })))
            }
            Picture::Encoded(_) => anyhow::bail!("the frame is still compressed"),
        }
    }

    /// A place in fractions of the input as fractions of the frame.
    pub fn to_frame(self, at: Point, side: u32) -> Point {
        let (x, y) = (at.x * side as f32, at.y * side as f32);
        let inside = self.fit.to_picture(BBox::new(x, y, x, y));
        let (part, w, h) = (&self.part, self.part.width(), self.part.height());
        Point::new(part.x1 + inside.x1 * w, part.y1 + inside.y1 * h)
    }
}

/// The box grown to whole pixels, the first ones even: pixels of a video come in pairs of both directions.
fn pixels(part: BBox, (width, height): (u32, u32)) -> [u32; 4] {
    let range = |from: f32, to: f32, size: u32| {
        // A fraction of a pixel's hundredth is what came of rounding.
        let first = ((from * size as f32 + 0.01).floor().max(0.0) as u32).min(size - 1) & !1;
        (first, ((to * size as f32 - 0.01).ceil().max(0.0) as u32).clamp(first + 1, size))
    };
    let ((x1, x2), (y1, y2)) = (range(part.x1, part.x2, width), range(part.y1, part.y2, height));
    [x1, y1, x2, y2]
}

fn on_pixels(part: BBox, (width, height): (u32, u32)) -> BBox {
    let [x1, y1, x2, y2] = pixels(part, (width, height));
    let (w, h) = (width as f32, height as f32);
    BBox::new(x1 as f32 / w, y1 as f32 / h, x2 as f32 / w, y2 as f32 / h)
}

fn cut_plane(plane: &[u8], stride: u32, [x1, y1, x2, y2]: [u32; 4]) -> Vec<u8> {
    let rows = plane.chunks_exact(stride as usize).skip(y1 as usize).take((y2 - y1) as usize);
    rows.flat_map(|row| &row[x1 as usize..x2 as usize]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};
    use proptest::prelude::*;

    #[test]
    fn a_square_around_the_box_and_what_is_outside_of_the_frame_stays_empty() {
        // 40 wide, 80 high: a square of 100 around (320, 240).
        let crop =
            Crop::new(BBox::new(300.0 / 640.0, 200.0 / 480.0, 340.0 / 640.0, 280.0 / 480.0), (640, 480), 200, 1.25);
        let crop = crop.unwrap();
        assert_eq!((crop.fit(), crop.enough()), (Fit::at(0, 0, (200, 200), (200, 200)), (1280, 960)));
        // In the corner three quarters of it are outside.
        let crop = Crop::new(BBox::new(-1.0, -1.0, 0.0625, 0.125), (640, 480), 200, 2.0).unwrap();
        let fit = crop.fit();
        assert_eq!(fit, Fit::at(67, 50, (133, 150), (200, 200)), "40 x 60 pixels, in a square of 120");
    }

    #[test]
    fn a_box_that_is_not_in_the_frame_is_not_looked_at() {
        let nan = f32::NAN;
        for [x1, y1, x2, y2] in
            [[1.1, 0.0, 1.2, 1.0], [0.5, 0.5, 0.5, 0.9], [0.1, 0.1, 0.1001, 0.9], [nan, 0.0, 1.0, 1.0]]
        {
            assert_eq!(Crop::new(BBox::new(x1, y1, x2, y2), (640, 480), 192, 1.25), None, "{x1} {y1} {x2} {y2}");
        }
    }

    /// The colour tells the place: 4 pixels a step.
    fn ramp(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([(x / 4) as u8, (y / 4) as u8, 128]))
    }

    #[test]
    fn planes_are_cut_where_rgb_is() {
        let (width, height) = (101, 81);
        let plane = |w: u32, h: u32, step: u32| (0..w * h).map(|i| (step * (i % w) + i / w) as u8).collect::<Vec<_>>();
        let (cw, ch) = Yuv420::chroma_size(width, height);
        let (y, u, v) = (plane(width, height, 2), plane(cw, ch, 1), plane(cw, ch, 3));
        let yuv = Yuv420 { width, height, y, u, v, full_range: true };
        let whole = Picture::Rgb(Arc::new(yuv.to_rgb()));
        for bbox in [BBox::new(0.3, 0.3, 0.5, 0.6), BBox::new(0.8, 0.7, 1.0, 1.0), BBox::new(0.0, 0.0, 1.0, 1.0)] {
            let crop = Crop::new(bbox, (width, height), 96, 1.25).unwrap();
            let Picture::Yuv420(part) = crop.cut(&Picture::Yuv420(Arc::new(yuv.clone()))).unwrap() else { panic!() };
            let Picture::Rgb(expected) = crop.cut(&whole).unwrap() else { panic!() };
            assert!(part.is_consistent() && part.to_rgb() == *expected, "{bbox:?}");
        }
    }

    proptest! {
        /// What a pixel of the input shows is where it is said to be in the frame, at whatever size that was decoded.
        #[test]
        fn places_come_back_from_the_input(
            (x, y, w, h) in (-0.2f32..0.9, -0.2f32..0.9, 0.1f32..0.9, 0.1f32..0.9),
            margin in 1.0f32..2.0,
            half in any::<bool>(),
        ) {
            let full = (800, 600);
            let Some(crop) = Crop::new(BBox::from_xywh(x, y, w, h), full, 192, margin) else { return Ok(()) };
            let size = if half { (400, 300) } else { full };
            let Picture::Rgb(part) = crop.cut(&Picture::Rgb(Arc::new(ramp(size.0, size.1)))).unwrap() else { panic!() };
            let (fit, on_part) = (crop.fit(), part.dimensions());
            for inside in [[0.1, 0.2], [0.5, 0.5], [0.9, 0.7]] {
                let pixel = part.get_pixel((on_part.0 as f32 * inside[0]) as u32, (on_part.1 as f32 * inside[1]) as u32);
                let b = fit.to_input(BBox::new(inside[0], inside[1], inside[0], inside[1]));
                let there = crop.to_frame(Point::new(b.x1 / 192.0, b.y1 / 192.0), 192);
                let seen = [f32::from(pixel.0[0]), f32::from(pixel.0[1])].map(|step| 4.0 * step + 2.0);
                let off = [there.x * size.0 as f32 - seen[0], there.y * size.1 as f32 - seen[1]];
                prop_assert!(off.iter().all(|off| off.abs() <= 5.0), "{off:?} of {crop:?}");
            }
        }
    }
}
