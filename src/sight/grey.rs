//! A small grey picture: small enough to be looked at in passing, large enough that a lens out of focus shows, and that
//! somebody at the far end of a shop who moves is more than a pixel.

use crate::frame::{Picture, Yuv420};
use anyhow::{Context as _, Result, ensure};

/// Columns of a small picture at most.
pub const WIDTH: usize = 160;

/// Brightness 0 (black) to 255 (white), whatever range the source had. Rows are packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    pub width: usize,
    pub height: usize,
    /// `width * height` of them.
    pub pixels: Vec<u8>,
}

impl Grey {
    /// Each pixel is the mean of a square of the picture; a rest of columns and rows that fills no square is left out.
    ///
    /// # Errors
    /// Nothing is left of the picture, or it was still compressed and its data is broken.
    pub fn of(picture: &Picture) -> Result<Self> {
        match picture.decoded((WIDTH as u32, 1))? {
            Picture::Yuv420(yuv) => of_luma(&yuv),
            Picture::Rgb(rgb) => {
                // BT.601 in parts of 256.
                let brightness = |[r, g, b]: [u32; 3]| (77 * r + 150 * g + 29 * b) >> 8;
                shrink(rgb.as_raw(), (rgb.width() as usize, rgb.height() as usize), brightness)
            }
            Picture::Encoded(_) => unreachable!("it has just been decoded"),
        }
    }
}

fn of_luma(yuv: &Yuv420) -> Result<Grey> {
    ensure!(yuv.is_consistent(), "the planes of a frame are not as long as {}x{} pixels need", yuv.width, yuv.height);
    let mut grey = shrink(&yuv.y, (yuv.width as usize, yuv.height as usize), |[y]| y)?;
    if !yuv.full_range {
        for p in &mut grey.pixels {
            *p = ((i32::from(*p) - 16) * 255 / 219).clamp(0, 255) as u8;
        }
    }
    Ok(grey)
}

/// `brightness` is that of the mean of a square's pixels of `C` bytes.
fn shrink<const C: usize>(
    pixels: &[u8],
    (width, height): (usize, usize),
    brightness: impl Fn([u32; C]) -> u32,
) -> Result<Grey> {
    let step = width.div_ceil(WIDTH).max(1);
    let (columns, rows) = (width / step, height / step);
    ensure!(columns > 0 && rows > 0, "the picture is too small: {width}x{height} pixels");
    // Sums of columns fit 16 bits, which are twice as fast as 32, in any picture that is narrower than this.
    ensure!(step <= 257, "the picture is too wide: {width}x{height} pixels");
    let (area, stride) = ((step * step) as u32, width * C);
    let taken = pixels.get(..rows * step * stride).context("a picture has fewer pixels than its size says")?;
    let mut grey = Vec::with_capacity(columns * rows);
    let mut sums = vec![0u16; stride];
    for strip in taken.chunks_exact(step * stride) {
        sums.fill(0);
        for row in strip.chunks_exact(stride) {
            sums.iter_mut().zip(row).for_each(|(sum, &byte)| *sum += u16::from(byte));
        }
        for square in sums.chunks_exact(step * C) {
            let mut mean = [0u32; C];
            for pixel in square.as_chunks::<C>().0 {
                mean.iter_mut().zip(pixel).for_each(|(mean, &sum)| *mean += u32::from(sum));
            }
            grey.push(brightness(mean.map(|sum| (sum + area / 2) / area)).min(255) as u8);
        }
    }
    Ok(Grey { width: columns, height: rows, pixels: grey })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};
    use std::sync::Arc;

    fn luma(width: u32, height: u32, y: Vec<u8>, full_range: bool) -> Picture {
        let (cw, ch) = Yuv420::chroma_size(width, height);
        let chroma = vec![128; (cw * ch) as usize];
        Picture::Yuv420(Arc::new(Yuv420 { width, height, y, u: chroma.clone(), v: chroma, full_range }))
    }

    #[test]
    fn each_pixel_is_the_mean_of_a_square() {
        // In squares of 3: two columns and two rows are a rest.
        let (width, height) = (323, 5);
        let shade = |x: u32| if x % 4 < 2 { 10 } else { 22 };
        let y = (0..width * height).map(|i| shade(i % width)).collect();
        let grey = Grey::of(&luma(width, height, y, true)).unwrap();
        assert_eq!((grey.width, grey.height), (107, 1));
        assert_eq!(grey.pixels[..5], [14, 14, 18, 18, 14]);
        assert!(grey.pixels.iter().all(|pixel| [14, 18].contains(pixel)));
    }

    #[test]
    fn black_and_white_are_0_and_255_in_any_range() {
        let video = luma(3, 1, vec![16, 126, 235], false);
        assert_eq!(Grey::of(&video).unwrap(), Grey { width: 3, height: 1, pixels: vec![0, 128, 255] });
        assert_eq!(Grey::of(&luma(3, 1, vec![0, 128, 255], true)).unwrap().pixels, [0, 128, 255]);
        let rgb = |colour| Picture::Rgb(Arc::new(RgbImage::from_pixel(640, 8, Rgb(colour))));
        assert_eq!(Grey::of(&rgb([255; 3])).unwrap().pixels, [255; 320]);
        assert_eq!(Grey::of(&rgb([200, 0, 0])).unwrap().pixels, [60; 320], "as the eye sees it");
    }

    #[test]
    fn what_has_nothing_to_show_is_refused() {
        assert!(Grey::of(&luma(0, 0, vec![], true)).is_err());
        assert!(Grey::of(&luma(1000, 3, vec![0; 3000], true)).is_err(), "not one square");
        assert!(Grey::of(&luma(4, 4, vec![0; 3], true)).is_err(), "its plane is too short");
        assert!(Grey::of(&luma(100_000, 1000, vec![0; 100_000_000], true)).is_err(), "no camera is that wide");
    }
}
