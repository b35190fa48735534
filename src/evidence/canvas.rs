//! A picture as something embedded-graphics can draw on, and sizes that fit the picture.

use embedded_graphics::Pixel;
use embedded_graphics::mono_font::{MonoFont, MonoTextStyle, ascii};
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;
use embedded_graphics::text::{Baseline, Text};
use image::{Rgb, RgbImage};
use std::convert::Infallible;

/// Clips: what lies outside of the picture is not drawn.
pub struct Canvas<'a>(pub &'a mut RgbImage);

impl OriginDimensions for Canvas<'_> {
    fn size(&self) -> Size {
        Size::new(self.0.width(), self.0.height())
    }
}

impl DrawTarget for Canvas<'_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            if let (Ok(x), Ok(y)) = (u32::try_from(at.x), u32::try_from(at.y))
                && let Some(pixel) = self.0.get_pixel_mut_checked(x, y)
            {
                *pixel = bytes(colour);
            }
        }
        Ok(())
    }

    fn fill_solid(&mut self, area: &Rectangle, colour: Rgb888) -> Result<(), Infallible> {
        self.rows(area, |row| row.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&bytes(colour).0)));
        Ok(())
    }
}

fn bytes(colour: Rgb888) -> Rgb<u8> {
    Rgb([colour.r(), colour.g(), colour.b()])
}

impl Canvas<'_> {
    /// Lets `f` have the visible bytes of each row of an area.
    fn rows(&mut self, area: &Rectangle, mut f: impl FnMut(&mut [u8])) {
        let area = area.intersection(&self.bounding_box());
        let (x, y) = (area.top_left.x as usize, area.top_left.y as usize);
        let (width, height) = (area.size.width as usize, area.size.height as usize);
        let stride = 3 * self.0.width() as usize;
        if width == 0 {
            return;
        }
        for row in self.0.chunks_exact_mut(stride).skip(y).take(height) {
            f(&mut row[3 * x..][..3 * width]);
        }
    }

    /// Mixes a colour in; `strength` 0 leaves the picture as it is, 256 covers it.
    pub fn tint(&mut self, area: &Rectangle, colour: Rgb888, strength: u32) {
        let ink = bytes(colour).0;
        self.rows(area, |row| {
            for pixel in row.chunks_exact_mut(3) {
                for (old, new) in pixel.iter_mut().zip(ink) {
                    *old = ((u32::from(*old) * (256 - strength) + u32::from(new) * strength) >> 8) as u8;
                }
            }
        });
    }

    /// Fills a polygon, row by row between pairs of its edges (even-odd). Corners are in pixels; a pixel belongs
    /// to it when its centre does.
    ///
    /// Why not embedded-graphics: its thick lines overflow an `i32` on a 4K picture, and it fills no polygons.
    pub fn fill(&mut self, corners: &[(f64, f64)], colour: Rgb888, strength: u32) {
        let (width, height) = (f64::from(self.0.width()), f64::from(self.0.height()));
        let rows = corners.iter().fold((height, 0.0), |(top, bottom): (f64, f64), c| (top.min(c.1), bottom.max(c.1)));
        let mut cuts = Vec::new();
        for row in rows.0.max(0.0) as u32..rows.1.min(height).ceil() as u32 {
            let y = f64::from(row) + 0.5;
            let edges = corners.iter().zip(corners.iter().cycle().skip(1));
            cuts.clear();
            cuts.extend(
                edges.filter(|(a, b)| (a.1 > y) != (b.1 > y)).map(|(a, b)| a.0 + (b.0 - a.0) * (y - a.1) / (b.1 - a.1)),
            );
            cuts.sort_unstable_by(f64::total_cmp);
            for pair in cuts.chunks_exact(2) {
                let [from, to] = [pair[0], pair[1]].map(|x| (x - 0.5).ceil().clamp(0.0, width) as u32);
                let span = Rectangle::new(Point::new(from as i32, row as i32), Size::new(to - from, 1));
                self.tint(&span, colour, strength);
            }
        }
    }

    /// A straight line with square ends that reach half its width beyond the points.
    pub fn stroke(&mut self, from: (f64, f64), to: (f64, f64), width: f64, colour: Rgb888) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy);
        if length == 0.0 {
            return;
        }
        let (ux, uy) = (dx / length * width / 2.0, dy / length * width / 2.0);
        let (start, end) = ((from.0 - ux, from.1 - uy), (to.0 + ux, to.1 + uy));
        let corners = [
            (start.0 - uy, start.1 + ux),
            (start.0 + uy, start.1 - ux),
            (end.0 + uy, end.1 - ux),
            (end.0 - uy, end.1 + ux),
        ];
        self.fill(&corners, colour, 256);
    }

    pub fn text(&mut self, at: Point, text: &str, colour: Rgb888, lettering: Lettering) {
        let mut magnified = Magnified { canvas: self, at, scale: lettering.scale };
        let style = MonoTextStyle::new(lettering.font, colour);
        let Ok(_) = Text::with_baseline(text, Point::zero(), style, Baseline::Top).draw(&mut magnified);
    }
}

/// Draws each pixel as a square of `scale` by `scale`.
struct Magnified<'a, 'b> {
    canvas: &'a mut Canvas<'b>,
    at: Point,
    scale: u32,
}

impl Dimensions for Magnified<'_, '_> {
    fn bounding_box(&self) -> Rectangle {
        Rectangle::new(Point::zero(), self.canvas.size())
    }
}

impl DrawTarget for Magnified<'_, '_> {
    type Color = Rgb888;
    type Error = Infallible;

    fn draw_iter<I: IntoIterator<Item = Pixel<Rgb888>>>(&mut self, pixels: I) -> Result<(), Infallible> {
        for Pixel(at, colour) in pixels {
            let square = Rectangle::new(self.at + at * self.scale as i32, Size::new_equal(self.scale));
            self.canvas.fill_solid(&square, colour)?;
        }
        Ok(())
    }
}

/// A bitmap font and how often it is magnified.
#[derive(Clone, Copy)]
pub struct Lettering {
    font: &'static MonoFont<'static>,
    scale: u32,
}

impl Lettering {
    /// Of letters some `height` pixels high, never less than can be read.
    fn of_height(height: u32) -> Self {
        let (font, scale) = match height {
            0..12 => (&ascii::FONT_6X10, 1),
            12..15 => (&ascii::FONT_7X13_BOLD, 1),
            15..18 => (&ascii::FONT_8X13_BOLD, 1),
            18..24 => (&ascii::FONT_9X18_BOLD, 1),
            _ => (&ascii::FONT_9X15_BOLD, (height + 7) / 15),
        };
        Lettering { font, scale }
    }

    pub fn line_height(self) -> u32 {
        self.font.character_size.height * self.scale
    }

    pub fn width_of(self, text: &str) -> u32 {
        self.font.character_size.width * self.scale * text.chars().count() as u32
    }
}

/// How thick and how large things are drawn, so that a thumbnail is not covered by its lines and a 4K
/// picture can be read when it is shown small.
#[derive(Clone, Copy)]
pub struct Sizes {
    pub stroke: u32,
    pub lettering: Lettering,
}

impl Sizes {
    pub fn for_picture(picture: &RgbImage) -> Self {
        let (width, height) = picture.dimensions();
        // The geometric mean, so that a panorama is not drawn on as if it were a thumbnail.
        let side = (f64::from(width) * f64::from(height)).sqrt();
        Sizes { stroke: (side / 300.0).round().max(1.0) as u32, lettering: Lettering::of_height((side / 40.0) as u32) }
    }
}
