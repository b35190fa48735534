//! Labels: a few words on a coloured ground, put where they hide least.

use super::canvas::{Canvas, Sizes};
use super::palette::ink_on;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};
use embedded_graphics::prelude::*;
use embedded_graphics::primitives::Rectangle;

fn pixels(size: Size) -> u64 {
    u64::from(size.width) * u64::from(size.height)
}

/// Places one label after another and keeps them off each other and off small things.
pub struct Chips {
    bounds: Rectangle,
    sizes: Sizes,
    /// What had better stay visible, with the price of covering one pixel of it.
    precious: Vec<(Rectangle, u64)>,
}

impl Chips {
    pub fn new(canvas: &Canvas<'_>, sizes: Sizes) -> Self {
        Chips { bounds: canvas.bounding_box(), sizes, precious: Vec::new() }
    }

    /// The size of a chip with this text, at most as wide as the picture.
    fn measure(&self, text: &str) -> (Size, u32) {
        let lettering = self.sizes.lettering;
        let pad = (lettering.line_height() / 6).max(1);
        (Size::new(lettering.width_of(text) + 2 * pad, lettering.line_height() + pad), pad)
    }

    /// Something is drawn here. A small box is lost under a label, a large one hardly notices.
    pub fn keep_visible(&mut self, area: Rectangle) {
        let (label, _) = self.measure("person");
        let price = (8 * pixels(label) / pixels(area.size).max(1)).min(8);
        self.precious.push((area, price));
    }

    /// Puts `text` beside `target`: the first of the usual places that covers least. In a crowd there may be no
    /// place that does not hide somebody else or what is said of them; then the colour of the box must do.
    pub fn label(&mut self, canvas: &mut Canvas<'_>, target: Rectangle, text: &str, ground: Rgb888) {
        if text.is_empty() {
            return;
        }
        let text = self.fitting(text);
        let (size, pad) = self.measure(&text);
        let (w, h) = (size.width as i32, size.height as i32);
        let (left, top) = (target.top_left.x, target.top_left.y);
        let (right, bottom) = (left + target.size.width as i32, top + target.size.height as i32);
        let places = [
            Point::new(left, top - h),
            Point::new(right - w, top - h),
            Point::new(left, bottom),
            Point::new(right - w, bottom),
            Point::new(right, top),
            Point::new(left - w, top),
            Point::new(right, bottom - h),
            Point::new(left - w, bottom - h),
            Point::new(left, top),
            Point::new(left, bottom - h),
            Point::new(left, top - 2 * h),
            Point::new(left, bottom + h),
        ];
        let candidates = places.into_iter().map(|at| Rectangle::new(self.inside(at, size), size));
        // `min_by_key` takes the first of equals, and the list above is in the order people expect.
        let priced = candidates.map(|area| (self.cost(&area, &target), area));
        let Some((cost, best)) = priced.min_by_key(|(cost, _)| *cost) else { return };
        if cost > 2 * pixels(size) {
            return;
        }
        self.fill(canvas, best, pad, &text, ground);
        self.precious.push((best, 16));
    }

    fn fill(&self, canvas: &mut Canvas<'_>, area: Rectangle, pad: u32, text: &str, ground: Rgb888) {
        let Ok(()) = canvas.fill_solid(&area, ground);
        let at = area.top_left + Point::new(pad as i32, pad as i32 / 2);
        canvas.text(at, text, ink_on(ground), self.sizes.lettering);
    }

    /// What a label here would hide. Covering its own target counts like covering another's box.
    fn cost(&self, area: &Rectangle, target: &Rectangle) -> u64 {
        let hidden = |other: &Rectangle| pixels(area.intersection(other).size);
        let others: u64 = self.precious.iter().map(|(other, price)| price * hidden(other)).sum();
        others + hidden(target)
    }

    /// Moves a chip into the picture.
    fn inside(&self, at: Point, size: Size) -> Point {
        let clamp = |v: i32, size: u32, whole: u32| v.min(whole as i32 - size as i32).max(0);
        Point::new(clamp(at.x, size.width, self.bounds.size.width), clamp(at.y, size.height, self.bounds.size.height))
    }

    /// As much of the text as the picture is wide; nothing is gained by half a letter.
    fn fitting(&self, text: &str) -> String {
        let mut text = text.to_owned();
        while text.chars().count() > 1 && self.measure(&text).0.width > self.bounds.size.width {
            text.pop();
        }
        text
    }

    /// Rows of text on a dark ground in the upper left corner; what does not fit is said to be missing.
    pub fn panel(&mut self, canvas: &mut Canvas<'_>, rows: &[String]) {
        let lettering = self.sizes.lettering;
        let pad = (lettering.line_height() / 3) as i32;
        let advance = lettering.line_height() as i32 + pad / 2;
        let room = ((self.bounds.size.height as i32 - 2 * pad) / advance).max(1) as usize;
        let mut shown: Vec<_> = rows.iter().map(|text| self.fitting(text)).collect();
        if shown.len() > room {
            shown.truncate(room);
            let missing = rows.len() - room + 1;
            if let Some(last) = shown.last_mut() {
                *last = format!("+{missing} more");
            }
        }
        let Some(widest) = shown.iter().map(|text| lettering.width_of(text)).max() else { return };
        let size = Size::new(widest + 2 * pad as u32, (shown.len() as i32 * advance + 2 * pad - pad / 2) as u32);
        let area = Rectangle::new(Point::zero(), size);
        canvas.tint(&area, Rgb888::BLACK, 180);
        for (row, text) in shown.iter().enumerate() {
            canvas.text(Point::new(pad, pad + row as i32 * advance), text, Rgb888::WHITE, lettering);
        }
        self.precious.push((area, 16));
    }
}
