//! A small grey picture: small enough to be looked at in passing, large enough that a lens out of focus shows.

use crate::frame::{Picture, Yuv420};
use image::RgbImage;

/// Columns of a small picture at most.
const WIDTH: usize = 160;

/// Brightness 0 (black) to 255 (white), whatever range the source had. Rows are packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

impl Grey {
    /// Each pixel is the mean of a square of the picture; a rest of columns and rows that fills no square is left out.
    /// `None` for a picture of which nothing is left.
    pub fn of(picture: &Picture) -> Option<Self> {
        // A broken picture is told by whoever looks for people on it.
        match picture.decoded((WIDTH as u32, 1)).ok()? {
            Picture::Yuv420(yuv) => Self::of_luma(&yuv),
            Picture::Rgb(rgb) => Self::of_rgb(&rgb),
            Picture::Encoded(_) => unreachable!("it has just been decoded"),
        }
    }

    fn of_luma(yuv: &Yuv420) -> Option<Self> {
        let (width, height) = (yuv.width as usize, yuv.height as usize);
        let mut grey = shrink(width, height, |x, y| u32::from(yuv.y[y * width + x]))?;
        if !yuv.full_range {
            for p in &mut grey.pixels {
                *p = ((i32::from(*p) - 16) * 255 / 219).clamp(0, 255) as u8;
            }
        }
        Some(grey)
    }

    fn of_rgb(rgb: &RgbImage) -> Option<Self> {
        let (width, height) = (rgb.width() as usize, rgb.height() as usize);
        let pixels = rgb.as_raw();
        shrink(width, height, |x, y| {
            let at = 3 * (y * width + x);
            // BT.601 in parts of 256.
            (77 * u32::from(pixels[at]) + 150 * u32::from(pixels[at + 1]) + 29 * u32::from(pixels[at + 2])) >> 8
        })
    }
}

fn shrink(width: usize, height: usize, value: impl Fn(usize, usize) -> u32) -> Option<Grey> {
    let step = width.div_ceil(WIDTH).max(1);
    let (columns, rows) = (width / step, height / step);
    if columns == 0 || rows == 0 {
        return None;
    }
    let area = (step * step) as u32;
    let mut pixels = Vec::with_capacity(columns * rows);
    let mut sums = vec![0u32; columns];
    for row in 0..rows {
        sums.fill(0);
        for y in row * step..(row + 1) * step {
            for (column, sum) in sums.iter_mut().enumerate() {
                for x in column * step..(column + 1) * step {
                    *sum += value(x, y);
                }
            }
        }
        pixels.extend(sums.iter().map(|sum| ((sum + area / 2) / area) as u8));
    }
    Some(Grey { width: columns, height: rows, pixels })
}
