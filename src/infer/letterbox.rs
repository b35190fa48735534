//! A picture of any size becomes the tensor of a network's size: scaled with its proportions kept, the rest padded.
//!
//! Scaling comes first and colour second, whatever the picture is made of: a film's planes are scaled as planes,
//! so a frame of 1080p is never turned into RGB at its full size. A row of colours then goes to its place in the
//! [`Tensor`], which is reals or bytes as the network wants it.
//!
//! Absent: rotation, and cropping. What the camera sees is what the network sees; `pose` cuts out a person first.

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

    /// At a place of one's choice, at least one pixel of it within the input.
    pub fn at(x: u32, y: u32, (width, height): (u32, u32), input: (u32, u32)) -> Self {
        let (x, y) = (x.min(input.0 - 1), y.min(input.1 - 1));
        Fit { x, y, width: width.clamp(1, input.0 - x), height: height.clamp(1, input.1 - y) }
    }

    /// Columns and rows.
    pub fn size(self) -> (u32, u32) {
        (self.width, self.height)
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

/// What a network reads, whatever the layout, the order of channels and the unit it was made for.
pub trait Tensor {
    /// Every pixel becomes this grey, 0..=255.
    fn clear(&mut self, grey: u8);

    /// Pixels of row `y` from column `x` on: red, green and blue, 0.0..=255.0, not rounded.
    fn put(&mut self, y: usize, x: usize, rgb: [&[f32]; 3]);
}

/// Reals: three planes, in the unit that [`Input`] describes.
pub struct Planes<'a> {
    reals: &'a mut [f32],
    /// Pixels per row, and per plane.
    width: usize,
    area: usize,
    /// Of red, green and blue: which plane.
    plane: [usize; 3],
    /// Of red, green and blue: what a byte is multiplied with, and what is added.
    gain: [f32; 3],
    offset: [f32; 3],
}

impl Input {
    /// Which channel of the network red, green and blue are.
    pub fn order(&self) -> [usize; 3] {
        match self.channels {
            Channels::Rgb => [0, 1, 2],
            Channels::Bgr => [2, 1, 0],
        }
    }

    /// Per channel of the network: what a byte is multiplied with, and what is added, to be what it reads.
    pub fn unit(&self) -> ([f32; 3], [f32; 3]) {
        let [low, high] = self.range;
        let gain = std::array::from_fn(|c| (high - low) / 255.0 / self.std[c]);
        (gain, std::array::from_fn(|c| (low - self.mean[c]) / self.std[c]))
    }
}

impl<'a> Planes<'a> {
    pub fn new(input: &Input, reals: &'a mut [f32]) -> Self {
        let (plane, (gain, offset)) = (input.order(), input.unit());
        let area = (input.width * input.height) as usize;
        debug_assert_eq!(reals.len(), 3 * area);
        let of_colour = |list: [f32; 3]| plane.map(|p| list[p]);
        Planes { reals, width: input.width as usize, area, plane, gain: of_colour(gain), offset: of_colour(offset) }
    }
}

impl Tensor for Planes<'_> {
    fn clear(&mut self, grey: u8) {
        for (colour, plane) in self.plane.into_iter().enumerate() {
            self.reals[plane * self.area..][..self.area]
                .fill(f32::from(grey) * self.gain[colour] + self.offset[colour]);
        }
    }

    fn put(&mut self, y: usize, x: usize, rgb: [&[f32]; 3]) {
        for (colour, values) in rgb.into_iter().enumerate() {
            let (gain, offset) = (self.gain[colour], self.offset[colour]);
            let row = &mut self.reals[self.plane[colour] * self.area + y * self.width + x..][..values.len()];
            row.iter_mut().zip(values).for_each(|(real, value)| *real = value * gain + offset);
        }
    }
}

/// Bytes, the channels of a pixel together, row after row.
pub struct Bytes {
    pub bytes: Vec<u8>,
    width: usize,
    order: [usize; 3],
}

impl Bytes {
    pub fn new(input: &Input) -> Self {
        let (width, height) = (input.width as usize, input.height as usize);
        Bytes { bytes: vec![0; 3 * width * height], width, order: input.order() }
    }
}

impl Tensor for Bytes {
    fn clear(&mut self, grey: u8) {
        self.bytes.fill(grey);
    }

    fn put(&mut self, y: usize, x: usize, rgb: [&[f32]; 3]) {
        interleave(&mut self.bytes[3 * (y * self.width + x)..], self.order, rgb);
    }
}

/// Rounds a row of red, green and blue to pixels of three bytes; `order` says which of them each colour is.
pub fn interleave(pixels: &mut [u8], order: [usize; 3], rgb: [&[f32]; 3]) {
    let mut colours = rgb;
    for (channel, colour) in order.into_iter().zip(rgb) {
        colours[channel] = colour;
    }
    let [a, b, c] = colours;
    for (pixel, ((a, b), c)) in pixels.as_chunks_mut::<3>().0.iter_mut().zip(a.iter().zip(b).zip(c)) {
        *pixel = [*a, *b, *c].map(|value| (value + 0.5) as u8);
    }
}

/// Scales pictures for one network. Keeps its buffers from frame to frame.
pub struct Letterbox {
    input: Input,
    scalers: Option<Scalers>,
}

/// For pictures of one size and kind, at one place.
struct Scalers {
    fit: Fit,
    /// Decoded.
    picture: (u32, u32),
    kind: Kind,
    /// A row of red, green and blue.
    rgb: [Vec<f32>; 3],
}

enum Kind {
    Rgb(Scaler<3>),
    Yuv { luma: Scaler<1>, chroma: Scaler<1>, rows: [Vec<f32>; 3] },
}

impl Letterbox {
    pub fn new(input: &Input) -> Self {
        Letterbox { input: input.clone(), scalers: None }
    }

    /// Fewest columns and rows that a picture of this size must be decoded to, so that nothing is enlarged.
    pub fn enough(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let fit = Fit::new((width.max(1), height.max(1)), (self.input.width, self.input.height), self.input.letterbox);
        (fit.width, fit.height)
    }

    /// Writes `picture` into `tensor`, always the same one, and says where it lies.
    pub fn fill(&mut self, picture: &Picture, tensor: &mut dyn Tensor) -> Result<Fit> {
        let (width, height) = picture.size();
        ensure!(width > 0 && height > 0, "the picture is empty: {width} x {height} pixels");
        let fit = Fit::new((width, height), (self.input.width, self.input.height), self.input.letterbox);
        self.place(picture, fit, tensor)?;
        Ok(fit)
    }

    /// Likewise, to a place of one's choice within the input.
    pub fn place(&mut self, picture: &Picture, fit: Fit, tensor: &mut dyn Tensor) -> Result<()> {
        let (width, height) = picture.size();
        ensure!(width > 0 && height > 0, "the picture is empty: {width} x {height} pixels");
        // Where it lies is decided by its true size; what is decoded of it may be half or a quarter of that.
        let picture = &picture.decoded((fit.width, fit.height))?;
        // While the size stays the same, so do the scalers, and the border around the last picture is right already.
        if !self.scalers.as_ref().is_some_and(|s| s.are_for(picture, fit)) {
            tensor.clear(self.input.pad);
            self.scalers = Some(Scalers::new(picture, fit));
        }
        let Scalers { kind, rgb, .. } = self.scalers.as_mut().context("the scalers were made above")?;
        for y in 0..fit.height as usize {
            match (&mut *kind, picture) {
                (Kind::Rgb(scaler), Picture::Rgb(picture)) => {
                    scaler.row(picture.as_raw(), y, rgb.each_mut().map(|row| &mut row[..]));
                }
                (Kind::Yuv { luma, chroma, rows: [ys, us, vs] }, Picture::Yuv420(yuv)) => {
                    ensure!(
                        yuv.is_consistent(),
                        "the planes of a frame are not as long as {width} x {height} pixels need"
                    );
                    luma.row(&yuv.y, y, [ys]);
                    chroma.row(&yuv.u, y, [us]);
                    chroma.row(&yuv.v, y, [vs]);
                    for (out, [from_y, from_u, from_v, black]) in rgb.iter_mut().zip(to_rgb(yuv.full_range)) {
                        for (out, ((y, u), v)) in out.iter_mut().zip(ys.iter().zip(&*us).zip(&*vs)) {
                            *out = (from_y * y + from_u * u + from_v * v + black).clamp(0.0, 255.0);
                        }
                    }
                }
                _ => unreachable!("the scalers are of the picture's kind, and it is decoded"),
            }
            tensor.put(y + fit.y as usize, fit.x as usize, rgb.each_ref().map(|row| &row[..]));
        }
        Ok(())
    }
}

impl Scalers {
    /// For pictures like this one, which is decoded.
    fn new(picture: &Picture, fit: Fit) -> Self {
        let (size, to) = (picture.size(), (fit.width, fit.height));
        let rows = || std::array::from_fn(|_| vec![0.0; fit.width as usize]);
        let kind = match picture {
            Picture::Rgb(_) => Kind::Rgb(Scaler::new(size, to)),
            Picture::Yuv420(_) | Picture::Encoded(_) => Kind::Yuv {
                luma: Scaler::new(size, to),
                chroma: Scaler::new(Yuv420::chroma_size(size.0, size.1), to),
                rows: rows(),
            },
        };
        Scalers { fit, picture: size, kind, rgb: rows() }
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
        let fit = Letterbox::new(input).fill(picture, &mut Planes::new(input, &mut tensor)).unwrap();
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
        for (width, height, grey) in [(8, 16, 255), (16, 8, 0)] {
            letterbox.fill(&picture(width, height, [grey; 3]), &mut Planes::new(&input, &mut tensor)).unwrap();
        }
        assert_eq!(tensor, filled(&input, &picture(16, 8, [0, 0, 0])).1);
    }

    #[test]
    fn pictures_that_are_none_are_refused() {
        let input = input(Channels::Rgb, Placement::Centred);
        let mut letterbox = Letterbox::new(&input);
        let mut tensor = [0.0; 3 * 64];
        let short = Yuv420 { width: 4, height: 4, y: vec![0; 15], u: vec![0; 4], v: vec![0; 4], full_range: true };
        for picture in [picture(0, 4, [0; 3]), Picture::Yuv420(Arc::new(short))] {
            assert!(letterbox.fill(&picture, &mut Planes::new(&input, &mut tensor)).is_err());
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
