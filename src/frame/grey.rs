//! A small picture of brightness: enough to see that something moves, or that a lens is covered.

use super::{Picture, Yuv420};
use anyhow::{Result, ensure};
use image::RgbImage;

/// Brightness only, one byte a pixel, rows packed. Of a film's planes it is luma as it is stored, 16..235 or 0..255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grey {
    pub width: u32,
    pub height: u32,
    /// `width * height` bytes.
    pub pixels: Vec<u8>,
}

impl Grey {
    /// `picture` at most `width` pixels wide, with its proportions kept; each pixel is the mean of those it covers.
    ///
    /// # Errors
    /// The picture is empty, or it was still compressed and its data is broken.
    pub fn of(picture: &Picture, width: u32) -> Result<Grey> {
        let (w, h) = picture.size();
        ensure!(w > 0 && h > 0 && width > 0, "the picture is empty: {w} x {h} pixels");
        let width = width.min(w);
        let height = ((f64::from(h) * f64::from(width) / f64::from(w)).round() as u32).clamp(1, h);
        let pixels = match picture.decoded((width, height))? {
            Picture::Rgb(rgb) => of_rgb(&rgb, (width, height)),
            Picture::Yuv420(yuv) => of_luma(&yuv, (width, height))?,
            Picture::Encoded(_) => unreachable!("it has just been decoded"),
        };
        Ok(Grey { width, height, pixels })
    }
}

fn of_luma(yuv: &Yuv420, size: (u32, u32)) -> Result<Vec<u8>> {
    ensure!(yuv.is_consistent(), "the planes of a frame are not as long as {}x{} pixels need", yuv.width, yuv.height);
    Ok(mean::<1>(&yuv.y, (yuv.width, yuv.height), size, |[y]| y))
}

fn of_rgb(rgb: &RgbImage, size: (u32, u32)) -> Vec<u8> {
    mean::<3>(rgb, rgb.dimensions(), size, |[r, g, b]| (77 * r + 150 * g + 29 * b) / 256)
}

/// Where `n` parts of `whole` begin and end.
fn parts(whole: u32, n: u32) -> impl Iterator<Item = (usize, usize)> {
    let edge = move |i: u32| (u64::from(i) * u64::from(whole) / u64::from(n)) as usize;
    (0..n).map(move |i| (edge(i), edge(i + 1)))
}

fn mean<const C: usize>(
    pixels: &[u8],
    from: (u32, u32),
    to: (u32, u32),
    brightness: impl Fn([u32; C]) -> u32,
) -> Vec<u8> {
    /// Sums of so many bytes fit 16 bits, which are twice as fast as 32; of higher cells the upper part has to do.
    const MOST_ROWS: usize = 257;
    let stride = from.0 as usize * C;
    let columns: Vec<(usize, usize)> = parts(from.0, to.0).collect();
    let mut sums = vec![0u16; stride];
    let mut out = Vec::with_capacity(to.0 as usize * to.1 as usize);
    for (top, bottom) in parts(from.1, to.1) {
        let rows = (bottom - top).min(MOST_ROWS);
        sums.fill(0);
        for row in pixels[top * stride..][..rows * stride].chunks_exact(stride) {
            sums.iter_mut().zip(row).for_each(|(sum, &byte)| *sum += u16::from(byte));
        }
        for &(left, right) in &columns {
            let mut cell = [0u32; C];
            for pixel in sums[left * C..right * C].as_chunks::<C>().0 {
                cell.iter_mut().zip(pixel).for_each(|(cell, &sum)| *cell += u32::from(sum));
            }
            let area = (rows * (right - left)) as u32;
            out.push(brightness(cell.map(|sum| (sum + area / 2) / area)).min(255) as u8);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn luma(width: u32, height: u32, y: Vec<u8>) -> Picture {
        let (cw, ch) = Yuv420::chroma_size(width, height);
        let chroma = vec![128; (cw * ch) as usize];
        Picture::Yuv420(Arc::new(Yuv420 { width, height, y, u: chroma.clone(), v: chroma, full_range: true }))
    }

    #[test]
    fn each_pixel_is_the_mean_of_its_cell() {
        let grey = Grey::of(&luma(4, 2, vec![0, 10, 20, 30, 40, 50, 60, 71]), 2).unwrap();
        assert_eq!(grey, Grey { width: 2, height: 1, pixels: vec![25, 45] });
        let grey = Grey::of(&luma(5, 1, vec![1, 2, 3, 4, 5]), 2).unwrap();
        assert_eq!(grey.pixels, [2, 4], "cells of two and of three");
    }

    #[test]
    fn small_pictures_are_not_enlarged_and_empty_ones_refused() {
        let grey = Grey::of(&luma(3, 1, vec![1, 2, 3]), 160).unwrap();
        assert_eq!(grey, Grey { width: 3, height: 1, pixels: vec![1, 2, 3] });
        assert!(Grey::of(&luma(0, 0, vec![]), 160).is_err());
        assert!(Grey::of(&luma(4, 4, vec![0; 3]), 160).is_err());
    }

    #[test]
    fn colours_weigh_as_the_eye_sees_them_and_cells_may_be_high() {
        let rgb = |w, h, colour| Picture::Rgb(Arc::new(RgbImage::from_pixel(w, h, image::Rgb(colour))));
        assert_eq!(Grey::of(&rgb(6, 4, [255, 255, 255]), 3).unwrap().pixels, [255; 6]);
        assert_eq!(Grey::of(&rgb(2, 2, [200, 0, 0]), 1).unwrap().pixels, [60]);
        assert_eq!(Grey::of(&rgb(1, 1000, [255, 255, 255]), 1).unwrap().pixels, [255; 1000]);
        assert_eq!(Grey::of(&rgb(1000, 600, [255, 255, 255]), 2).unwrap().pixels, [255; 2]);
    }
}
