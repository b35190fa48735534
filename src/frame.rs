//! One picture from a source, in the form it was decoded to.

use crate::time::{MediaTime, WallTime};
use anyhow::Result;
use image::RgbImage;
use std::fmt;
use std::sync::Arc;

/// One picture and the moment it was taken. Cloning is cheap: pixels are shared.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Counts from 0 within one opening of the source, including frames that were dropped on the way.
    pub index: u64,
    /// Film time.
    pub at: MediaTime,
    /// When it was taken; of a film, its recording time plus the film time.
    pub taken: WallTime,
    pub picture: Picture,
}

/// Pixels. Video decoders give planes, and turning all of them into RGB costs more than scaling does, so
/// planes stay planes until somebody needs to see them.
#[derive(Debug, Clone)]
pub enum Picture {
    Rgb(Arc<RgbImage>),
    Yuv420(Arc<Yuv420>),
    /// As the camera compressed it. Whoever needs pixels decodes as few as will do, and a frame that nobody looks at
    /// is never decoded.
    Encoded(Arc<dyn Encoded>),
}

/// A compressed picture. What compresses it is known to `capture::decode` alone.
pub trait Encoded: fmt::Debug + Send + Sync {
    /// Width and height in pixels, of the whole picture.
    fn size(&self) -> (u32, u32);

    /// The whole picture, decoded to the fewest pixels its format can give cheaply that are still `at_least` as wide and
    /// as high; at full size where that is too small as well.
    ///
    /// # Errors
    /// The data is broken; nothing can be seen on it.
    fn planes(&self, at_least: (u32, u32)) -> Result<Yuv420>;
}

/// Planar Y'CbCr, chroma halved in both directions and rounded up. Rows are packed: no stride.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yuv420 {
    pub width: u32,
    pub height: u32,
    /// `width * height` bytes.
    pub y: Vec<u8>,
    /// `ceil(width / 2) * ceil(height / 2)` bytes each.
    pub u: Vec<u8>,
    pub v: Vec<u8>,
    /// Luma and chroma fill 0..255 (JPEG) instead of 16..235 (video).
    pub full_range: bool,
}

impl Yuv420 {
    /// Columns and rows of a chroma plane.
    pub fn chroma_size(width: u32, height: u32) -> (u32, u32) {
        (width.div_ceil(2), height.div_ceil(2))
    }

    /// Whether the planes are as long as the size says.
    pub fn is_consistent(&self) -> bool {
        let (cw, ch) = Self::chroma_size(self.width, self.height);
        let chroma = cw as usize * ch as usize;
        self.y.len() == self.width as usize * self.height as usize && self.u.len() == chroma && self.v.len() == chroma
    }

    /// BT.601, which cameras of this kind and x264's default mean, with integer arithmetic (x 2^16).
    pub fn to_rgb(&self) -> RgbImage {
        let (cw, _) = Self::chroma_size(self.width, self.height);
        let (w, cw) = (self.width as usize, cw as usize);
        let mut rgb = RgbImage::new(self.width, self.height);
        if w == 0 {
            return rgb;
        }
        let (y_offset, y_gain, c_gain) =
            if self.full_range { (0, 65536, 65536.0) } else { (16, 76309, 65536.0 * 255.0 / 224.0) };
        let [rv, gu, gv, bu] = [1.402, 0.344_136, 0.714_136, 1.772].map(|k: f64| (k * c_gain).round() as i32);
        for (row, out) in rgb.chunks_exact_mut(3 * w).enumerate() {
            let luma = &self.y[row * w..][..w];
            let (us, vs) = (&self.u[row / 2 * cw..][..cw], &self.v[row / 2 * cw..][..cw]);
            for (x, (px, &y)) in out.chunks_exact_mut(3).zip(luma).enumerate() {
                let y = (i32::from(y) - y_offset) * y_gain + 32768;
                let (u, v) = (i32::from(us[x / 2]) - 128, i32::from(vs[x / 2]) - 128);
                let to_byte = |c: i32| (c >> 16).clamp(0, 255) as u8;
                px.copy_from_slice(&[to_byte(y + rv * v), to_byte(y - gu * u - gv * v), to_byte(y + bu * u)]);
            }
        }
        rgb
    }
}

impl Picture {
    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        match self {
            Picture::Rgb(rgb) => rgb.dimensions(),
            Picture::Yuv420(yuv) => (yuv.width, yuv.height),
            Picture::Encoded(encoded) => encoded.size(),
        }
    }
    /// Width over height; 1 for an empty picture.
    pub fn aspect(&self) -> f32 {
        let (w, h) = self.size();
        if w == 0 || h == 0 { 1.0 } else { w as f32 / h as f32 }
    }
    /// At full size, for people to see.
    ///
    /// # Errors
    /// It was still compressed, and the data is broken.
    pub fn to_rgb(&self) -> Result<Arc<RgbImage>> {
        Ok(match self {
            Picture::Rgb(rgb) => rgb.clone(),
            Picture::Yuv420(yuv) => Arc::new(yuv.to_rgb()),
            Picture::Encoded(encoded) => Arc::new(encoded.planes(encoded.size())?.to_rgb()),
        })
    }

    /// The same picture in pixels: one that is still compressed is decoded, see [`Encoded::planes`]; of the others
    /// this is a cheap clone of their full size.
    ///
    /// # Errors
    /// It was still compressed, and the data is broken.
    pub fn decoded(&self, at_least: (u32, u32)) -> Result<Picture> {
        Ok(match self {
            Picture::Encoded(encoded) => Picture::Yuv420(Arc::new(encoded.planes(at_least)?)),
            pixels => pixels.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_colour(y: u8, u: u8, v: u8, full_range: bool) -> [u8; 3] {
        let yuv = Yuv420 { width: 3, height: 3, y: vec![y; 9], u: vec![u; 4], v: vec![v; 4], full_range };
        assert!(yuv.is_consistent());
        yuv.to_rgb().get_pixel(2, 2).0
    }

    #[test]
    fn video_range_black_and_white_are_black_and_white() {
        assert_eq!(one_colour(16, 128, 128, false), [0, 0, 0]);
        assert_eq!(one_colour(235, 128, 128, false), [255, 255, 255]);
        assert_eq!(one_colour(255, 128, 128, true), [255, 255, 255]);
    }

    #[test]
    fn primaries_come_back() {
        // Pure red in BT.601 video range is (81, 90, 240).
        let [r, g, b] = one_colour(81, 90, 240, false);
        assert!(r >= 252 && g <= 3 && b <= 3, "{r} {g} {b}");
    }
}
