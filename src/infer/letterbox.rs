//! A picture of any size becomes the tensor of a network's size: scaled with its proportions kept, the rest padded.
//!
//! Scaling comes first and colour second, whatever the picture is made of: a film's planes are scaled as planes,
//! so a frame of 1080p is never turned into RGB at its full size. The colours go straight to their place in the
//! tensor, with the network's range, mean and deviation applied on the way.
//!
//! Absent: rotation, and cropping. What the camera sees is what the network sees.

use super::manifest::{Channels, Input, Placement};
use super::scale::Scaler;
use crate::frame::{Picture, Yuv420};
use crate::geometry::BBox;
use anyhow::{Context, Result, ensure};

/// Where a picture lies in the input of the network, in whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fit {
    x: u32,
    y: u32,
    width: u32,
    height: u32,
}

impl Fit {
    /// As large as fits. `picture` and `input` are widths and heights above 0.
    pub fn new(picture: (u32, u32), input: (u32, u32), placement: Placement) -> Self {
        let ((w, h), (input_w, input_h)) = (picture, input);
        let scale = (f64::from(input_w) / f64::from(w)).min(f64::from(input_h) / f64::from(h));
        let scaled = |side: u32, most: u32| ((f64::from(side) * scale).round() as u32).clamp(1, most);
        let (width, height) = (scaled(w, input_w), scaled(h, input_h));
        let (x, y) = match placement {
            Placement::TopLeft => (0, 0),
            Placement::Centred => ((input_w - width) / 2, (input_h - height) / 2),
        };
        Fit { x, y, width, height }
    }

    /// A box in pixels of the input as fractions of the picture.
    pub fn to_picture(self, b: BBox) -> BBox {
        let x = |v: f32| (v - self.x as f32) / self.width as f32;
        let y = |v: f32| (v - self.y as f32) / self.height as f32;
        BBox::new(x(b.x1), y(b.y1), x(b.x2), y(b.y2))
    }

    /// The inverse of [`Fit::to_picture`].
    pub fn to_input(self, b: BBox) -> BBox {
        let x = |v: f32| v * self.width as f32 + self.x as f32;
        let y = |v: f32| v * self.height as f32 + self.y as f32;
        BBox::new(x(b.x1), y(b.y1), x(b.x2), y(b.y2))
    }
}

/// Fills the tensors of one network. Keeps its buffers from frame to frame.
pub struct Letterbox {
    input: Input,
    /// Of red, green, blue: what a byte is multiplied with, and what is added, for the tensor.
    gain: [f32; 3],
    offset: [f32; 3],
    /// Of red, green, blue: which plane of the tensor.
    plane: [usize; 3],
    scalers: Option<Scalers>,
}

/// For pictures of one size and kind, at one place.
struct Scalers {
    fit: Fit,
    /// Decoded.
    picture: (u32, u32),
    kind: Kind,
}

enum Kind {
    Rgb(Scaler<3>),
    Yuv { luma: Scaler<1>, chroma: Scaler<1>, rows: [Vec<f32>; 3] },
}

impl Letterbox {
    pub fn new(input: &Input) -> Self {
        let [low, high] = input.range;
        let plane = match input.channels {
            Channels::Rgb => [0, 1, 2],
            Channels::Bgr => [2, 1, 0],
        };
        Letterbox {
            gain: plane.map(|p| (high - low) / 255.0 / input.std[p]),
            offset: plane.map(|p| (low - input.mean[p]) / input.std[p]),
            plane,
            input: input.clone(),
            scalers: None,
        }
    }

    /// Fewest columns and rows that a picture of this size must be decoded to, so that nothing is enlarged.
    pub fn enough(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let fit = Fit::new((width.max(1), height.max(1)), (self.input.width, self.input.height), self.input.letterbox);
        (fit.width, fit.height)
    }

    /// Writes `picture` into `tensor` (channels, rows, columns), always the same one, and says where it lies.
    pub fn fill(&mut self, picture: &Picture, tensor: &mut [f32]) -> Result<Fit> {
        let (width, height) = picture.size();
        ensure!(width > 0 && height > 0, "the picture is empty: {width} x {height} pixels");
        let area = (self.input.width * self.input.height) as usize;
        debug_assert_eq!(tensor.len(), 3 * area);
        let fit = Fit::new((width, height), (self.input.width, self.input.height), self.input.letterbox);
        // Where it lies is decided by its true size; what is decoded of it may be half or a quarter of that.
        let picture = &picture.decoded((fit.width, fit.height))?;
        // While the size stays the same, so do the scalers, and the border around the last picture is right already.
        if !self.scalers.as_ref().is_some_and(|s| s.are_for(picture, fit)) {
            for (colour, &plane) in self.plane.iter().enumerate() {
                tensor[plane * area..][..area]
                    .fill(f32::from(self.input.pad) * self.gain[colour] + self.offset[colour]);
            }
            self.scalers = Some(Scalers::new(picture, fit));
        }
        let Letterbox { input, gain, offset, plane, scalers } = self;
        let kind = &mut scalers.as_mut().context("the scalers were made above")?.kind;
        for y in 0..fit.height as usize {
            let start = (y + fit.y as usize) * input.width as usize + fit.x as usize;
            // Red, green and blue of this row, wherever their planes are.
            let mut planes = tensor.chunks_exact_mut(area).map(|plane| &mut plane[start..][..fit.width as usize]);
            let mut out: [&mut [f32]; 3] = std::array::from_fn(|_| planes.next().unwrap_or_default());
            if plane[0] != 0 {
                out.reverse();
            }
            match (&mut *kind, picture) {
                (Kind::Rgb(scaler), Picture::Rgb(rgb)) => {
                    scaler.row(rgb.as_raw(), y, out.each_mut().map(|row| &mut **row))
                }
                (Kind::Yuv { luma, chroma, rows: [ys, us, vs] }, Picture::Yuv420(yuv)) => {
                    ensure!(
                        yuv.is_consistent(),
                        "the planes of a frame are not as long as {width} x {height} pixels need"
                    );
                    luma.row(&yuv.y, y, [ys]);
                    chroma.row(&yuv.u, y, [us]);
                    chroma.row(&yuv.v, y, [vs]);
                    for (out, [from_y, from_u, from_v, black]) in out.iter_mut().zip(to_rgb(yuv.full_range)) {
                        for (out, ((y, u), v)) in out.iter_mut().zip(ys.iter().zip(&*us).zip(&*vs)) {
                            *out = (from_y * y + from_u * u + from_v * v + black).clamp(0.0, 255.0);
                        }
                    }
                }
                _ => unreachable!("the scalers are of the picture's kind, and it is decoded"),
            }
            for ((out, gain), offset) in out.into_iter().zip(&*gain).zip(&*offset) {
                out.iter_mut().for_each(|value| *value = *value * *gain + *offset);
            }
        }
        Ok(fit)
    }
}

impl Scalers {
    /// For pictures like this one, which is decoded.
    fn new(picture: &Picture, fit: Fit) -> Self {
        let (size, to) = (picture.size(), (fit.width, fit.height));
        let kind = match picture {
            Picture::Rgb(_) => Kind::Rgb(Scaler::new(size, to)),
            Picture::Yuv420(_) | Picture::Encoded(_) => Kind::Yuv {
                luma: Scaler::new(size, to),
                chroma: Scaler::new(Yuv420::chroma_size(size.0, size.1), to),
                rows: std::array::from_fn(|_| vec![0.0; fit.width as usize]),
            },
        };
        Scalers { fit, picture: size, kind }
    }

    fn are_for(&self, picture: &Picture, fit: Fit) -> bool {
        let same_kind =
            matches!((&self.kind, picture), (Kind::Rgb(_), Picture::Rgb(_)) | (Kind::Yuv { .. }, Picture::Yuv420(_)));
        same_kind && self.picture == picture.size() && self.fit == fit
    }
}

/// For red, green and blue: what is taken of luma and of both chromas, and what is added. BT.601 as in
/// [`Yuv420::to_rgb`], but in floats: what is scaled needs no second rounding.
fn to_rgb(full_range: bool) -> [[f32; 4]; 3] {
    let (y_offset, y_gain, c_gain) = if full_range { (0.0, 1.0, 1.0) } else { (16.0, 255.0 / 219.0, 255.0 / 224.0) };
    [[0.0, 1.402], [-0.344_136, -0.714_136], [1.772, 0.0]].map(|mix: [f32; 2]| {
        let [u, v] = mix.map(|k| k * c_gain);
        [y_gain, u, v, -y_offset * y_gain - 128.0 * (u + v)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infer::manifest::Layout;
    use image::{Rgb, RgbImage};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn input(channels: Channels, letterbox: Placement) -> Input {
        let (range, mean, std) = ([0.0, 1.0], [0.5, 0.0, 0.0], [0.5, 1.0, 1.0]);
        Input { width: 8, height: 8, layout: Layout::Nchw, channels, range, mean, std, letterbox, pad: 51 }
    }

    fn filled(input: &Input, picture: &Picture) -> (Fit, Vec<f32>) {
        let mut tensor = vec![f32::NAN; 3 * 64];
        let fit = Letterbox::new(input).fill(picture, &mut tensor).unwrap();
        (fit, tensor)
    }

    fn assert_close(found: [f32; 4], expected: [f32; 4]) {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?}, expected {expected:?}");
    }

    fn picture(width: u32, height: u32, colour: [u8; 3]) -> Picture {
        Picture::Rgb(Arc::new(RgbImage::from_pixel(width, height, Rgb(colour))))
    }

    #[test]
    fn a_wide_picture_leaves_a_border_above_and_below() {
        let (fit, tensor) = filled(&input(Channels::Rgb, Placement::Centred), &picture(16, 8, [255, 102, 0]));
        assert_eq!(fit, Fit { x: 0, y: 2, width: 8, height: 4 });
        let at = |plane: usize, row: usize| tensor[plane * 64 + row * 8 + 3];
        // The first channel's mean is .5 and its deviation .5: 255 becomes 1, and the pad 51 becomes -.6.
        assert_close([at(0, 1), at(0, 2), at(0, 5), at(0, 6)], [-0.6, 1.0, 1.0, -0.6]);
        assert_close([at(1, 1), at(1, 2), at(2, 1), at(2, 2)], [0.2, 0.4, 0.2, 0.0]);
    }

    #[test]
    fn bgr_turns_the_planes_round_and_top_left_pads_below() {
        let (fit, tensor) = filled(&input(Channels::Bgr, Placement::TopLeft), &picture(16, 8, [0, 102, 255]));
        assert_eq!(fit, Fit { x: 0, y: 0, width: 8, height: 4 });
        assert_close([tensor[0], tensor[64], tensor[128], 0.0], [1.0, 0.4, 0.0, 0.0]);
        assert_close([tensor[4 * 8], tensor[64 + 4 * 8], 0.0, 0.0], [-0.6, 0.2, 0.0, 0.0]);
    }

    #[test]
    fn planes_and_rgb_give_the_same_tensor() {
        let (y, u, v) = (vec![81; 20 * 10], vec![90; 50], vec![240; 50]);
        let yuv = Yuv420 { width: 20, height: 10, y, u, v, full_range: false };
        let rgb = Picture::Rgb(Arc::new(yuv.to_rgb()));
        let input = input(Channels::Bgr, Placement::Centred);
        let (a, b) = (filled(&input, &Picture::Yuv420(Arc::new(yuv))), filled(&input, &rgb));
        assert_eq!(a.0, b.0);
        assert!(a.1.iter().zip(&b.1).all(|(a, b)| (a - b).abs() < 0.01));
    }

    #[test]
    fn the_border_is_renewed_when_the_size_changes() {
        let input = input(Channels::Rgb, Placement::Centred);
        let mut letterbox = Letterbox::new(&input);
        let mut tensor = vec![0.0; 3 * 64];
        letterbox.fill(&picture(8, 16, [255, 255, 255]), &mut tensor).unwrap();
        letterbox.fill(&picture(16, 8, [0, 0, 0]), &mut tensor).unwrap();
        assert_eq!(tensor, filled(&input, &picture(16, 8, [0, 0, 0])).1);
    }

    #[test]
    fn pictures_that_are_none_are_refused() {
        let mut letterbox = Letterbox::new(&input(Channels::Rgb, Placement::Centred));
        let short = Yuv420 { width: 4, height: 4, y: vec![0; 15], u: vec![0; 4], v: vec![0; 4], full_range: true };
        for picture in [picture(0, 4, [0; 3]), Picture::Yuv420(Arc::new(short))] {
            assert!(letterbox.fill(&picture, &mut [0.0; 3 * 64]).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_box_comes_back_from_the_input(
            size in (1u32..5000, 1u32..5000),
            corners in (0.0f32..1.0, 0.0f32..1.0, 0.0f32..1.0, 0.0f32..1.0),
            centred in any::<bool>(),
        ) {
            let placement = if centred { Placement::Centred } else { Placement::TopLeft };
            let fit = Fit::new(size, (416, 320), placement);
            prop_assert!(fit.x + fit.width <= 416 && fit.y + fit.height <= 320);
            prop_assert!(fit.width == 416 || fit.height == 320);
            let there = BBox::new(corners.0, corners.1, corners.2, corners.3);
            let back = fit.to_picture(fit.to_input(there));
            let error = there.to_array().iter().zip(back.to_array()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            // A side of one pixel far from the corner costs digits.
            prop_assert!(error < 1e-3, "{error} of {fit:?}");
        }
    }
}
