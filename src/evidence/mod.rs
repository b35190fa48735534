//! What a person gets to see: boxes and zones drawn on a picture, regions hidden or cut out, JPEG bytes.
//!
//! What an alert leaves behind as a file is [`case`]; the rest are pure functions on pixels: no files, no clock, no state. Nothing here fails on a box that lies outside
//! of the picture or has no size; it is drawn as far as it can be seen, or not at all.
//!
//! Absent on purpose: no anti-aliasing and no font files. The bitmap fonts of embedded-graphics, drawn in
//! whole multiples, are legible at every size and the same on every machine.

pub mod apply;
mod canvas;
pub mod case;
mod chip;
pub mod draw;
mod edges;
pub mod jpeg;
mod palette;
mod skeleton;

pub use apply::{Op, apply, crop};
pub use draw::{LineMark, Mark, Overlay, ZoneMark, draw};
pub use jpeg::jpeg;

use crate::geometry::BBox;
use image::RgbImage;

/// A box in whole pixels that lies inside its picture and has at least one pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Region {
    /// Every pixel the box touches; `None` where nothing of it can be seen.
    pub fn of(bbox: &BBox, (width, height): (u32, u32)) -> Option<Region> {
        if !bbox.is_finite() {
            return None;
        }
        let seen = bbox.clamped();
        if seen.area() <= 0.0 {
            return None;
        }
        // A fraction that stands for a pixel's edge may miss it by rounding, and no pixel is touched by that.
        const ROUNDING: f64 = 1e-2;
        let low = |v: f32, size: u32| (f64::from(v) * f64::from(size) + ROUNDING).floor() as u32;
        let high = |v: f32, size: u32| ((f64::from(v) * f64::from(size) - ROUNDING).ceil().max(0.0) as u32).min(size);
        let (x, y) = (low(seen.x1, width), low(seen.y1, height));
        let (right, bottom) = (high(seen.x2, width), high(seen.y2, height));
        (x < right && y < bottom).then(|| Region { x, y, width: right - x, height: bottom - y })
    }

    /// A copy of the pixels in it.
    pub fn cut(&self, picture: &RgbImage) -> RgbImage {
        image::imageops::crop_imm(picture, self.x, self.y, self.width, self.height).to_image()
    }

    /// Puts pixels as large as the region back to where they were cut from.
    fn paste(&self, picture: &mut RgbImage, pixels: &RgbImage) {
        image::imageops::replace(picture, pixels, self.x.into(), self.y.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_region_holds_every_pixel_the_box_touches() {
        let check = |bbox: [f32; 4], expected: Option<[u32; 4]>| {
            let [x1, y1, x2, y2] = bbox;
            let region = Region::of(&BBox::new(x1, y1, x2, y2), (100, 50));
            assert_eq!(region.map(|r| [r.x, r.y, r.width, r.height]), expected, "{bbox:?}");
        };
        check([0.0, 0.0, 1.0, 1.0], Some([0, 0, 100, 50]));
        check([0.105, 0.1, 0.2, 0.2], Some([10, 5, 10, 5]));
        check([-3.0, 0.5, 0.01, 7.0], Some([0, 25, 1, 25]));
        check([1.0, 0.0, 1.2, 1.0], None);
        check([0.5, 0.5, 0.5, 0.9], None);
        check([f32::NAN, 0.0, 1.0, 1.0], None);
    }

    proptest! {
        #[test]
        fn a_region_lies_inside(x1 in -2f32..2.0, y1 in -2f32..2.0, w in 0f32..3.0, h in 0f32..3.0, size in (0u32..50, 0u32..50)) {
            if let Some(r) = Region::of(&BBox::from_xywh(x1, y1, w, h), size) {
                prop_assert!(r.width > 0 && r.height > 0);
                prop_assert!(r.x + r.width <= size.0 && r.y + r.height <= size.1);
            }
        }
    }
}
