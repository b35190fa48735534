//! What of a camera's picture is seen: turned, cut, and with places that are nobody's business made black.
//!
//! It stands between the source and everything else, so what lies beneath a mask is in no detection, snapshot, evidence
//! or film. In this order: `rotate`, then `crop` of the turned picture, then `mask` on what is left. Lines, zones and
//! masks are all drawn in the picture as it is seen after that.
//!
//! Masks err on the side of privacy: a pixel is black if the polygon so much as touches it, and so is every chroma sample
//! that has a part in it. Planes stay planes. Absent: masks that blur or pixelate, since both can be undone.

use super::Source;
use crate::frame::{Frame, Picture, Yuv420};
use crate::geometry::{Point, Polygon, segments_cross};
use crate::problems::Problems;
use anyhow::Result;
use image::RgbImage;
use std::borrow::Cow;
use std::sync::Arc;

/// `rotate`, `crop` and `mask` of a camera.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ViewConfig {
    /// Degrees clockwise.
    pub rotate: Option<u16>,
    /// x1, y1, x2, y2 in fractions of the turned picture.
    pub crop: Option<[f32; 4]>,
    /// Polygons in fractions of the picture as it is seen.
    pub mask: Vec<Vec<[f32; 2]>>,
}

/// A part of the picture that is smaller than this shows nothing.
const SMALLEST_CROP: f32 = 0.01;

impl ViewConfig {
    /// `at` is the dotted path of the camera.
    pub fn check(&self, at: &str, problems: &mut Problems) {
        let turns = [0, 90, 180, 270];
        if let Some(rotate) = self.rotate.filter(|rotate| !turns.contains(rotate)) {
            problems.add(format!("{at}.rotate"), format!("is {rotate}, expected 0, 90, 180 or 270 degrees clockwise"));
        }
        if let Some([x1, y1, x2, y2]) = self.crop {
            let inside = [x1, y1, x2, y2].iter().all(|v| (0.0..=1.0).contains(v));
            let fine = inside && x2 - x1 >= SMALLEST_CROP && y2 - y1 >= SMALLEST_CROP;
            let expected = "expected [x1, y1, x2, y2] from 0 to 1 with x1 < x2 and y1 < y2";
            problems.expect(fine, format!("{at}.crop"), format!("is [{x1}, {y1}, {x2}, {y2}], {expected}"));
        }
        for (i, polygon) in self.mask.iter().enumerate() {
            let at = format!("{at}.mask[{i}]");
            let inside = polygon.iter().flatten().all(|v| (0.0..=1.0).contains(v));
            problems.expect(inside, at.clone(), "reaches out of the picture, expected numbers from 0 to 1");
            if inside {
                problems.expect(
                    area(polygon).is_some(),
                    at,
                    "encloses nothing, expected at least 3 corners around an area",
                );
            }
        }
    }

    /// Whether it leaves every picture as it is.
    pub fn is_plain(&self) -> bool {
        self.rotate.unwrap_or(0) == 0 && self.crop.is_none() && self.mask.is_empty()
    }
}

fn area(polygon: &[[f32; 2]]) -> Option<Polygon> {
    Polygon::new(polygon.iter().map(|[x, y]| Point::new(*x, *y)).collect())
}

/// [`ViewConfig`] at work.
#[derive(Debug, Default)]
pub struct View {
    config: ViewConfig,
    masks: Vec<Polygon>,
    /// What is black in a picture of the size it was made for.
    black: Option<(u32, u32, Vec<bool>)>,
}

impl View {
    pub fn new(config: ViewConfig) -> Self {
        let masks = config.mask.iter().filter_map(|polygon| area(polygon)).collect();
        View { config, masks, black: None }
    }

    /// The frame as it is to be seen.
    ///
    /// # Errors
    /// It is still compressed and its data is broken: nothing of it may be seen.
    pub fn apply(&mut self, mut frame: Frame) -> Result<Frame> {
        if !self.config.is_plain() {
            // At full size, whoever looks: a mask must not depend on it.
            frame.picture = self.see(frame.picture.decoded(frame.picture.size())?);
        }
        Ok(frame)
    }

    fn see(&mut self, picture: Picture) -> Picture {
        match picture {
            Picture::Encoded(_) => unreachable!("it has just been decoded"),
            Picture::Yuv420(yuv) => {
                let mut seen = self.turn_and_cut_planes(&yuv);
                let black = self.black(seen.width, seen.height);
                blacken_planes(&mut seen, black);
                Picture::Yuv420(Arc::new(seen))
            }
            Picture::Rgb(rgb) => {
                let mut seen = self.turn_and_cut_rgb(&rgb);
                let black = self.black(seen.width(), seen.height());
                for (pixel, _) in seen.pixels_mut().zip(black).filter(|(_, black)| **black) {
                    pixel.0 = [0; 3];
                }
                Picture::Rgb(Arc::new(seen))
            }
        }
    }

    fn turn(&self) -> Turn {
        match self.config.rotate {
            Some(90) => Turn::Quarter,
            Some(180) => Turn::Half,
            Some(270) => Turn::ThreeQuarters,
            _ => Turn::None,
        }
    }

    /// x, y, width and height of the part of a turned picture that is kept, in pixels; even where it begins, so that
    /// chroma stays whole.
    fn part(&self, width: usize, height: usize) -> [usize; 4] {
        let [x1, y1, x2, y2] = self.config.crop.unwrap_or([0.0, 0.0, 1.0, 1.0]);
        let span = |from: f32, to: f32, size: usize| {
            let first = ((from * size as f32) as usize).min(size.saturating_sub(1)) & !1;
            let end = ((to * size as f32).round() as usize).clamp(first + 1, size.max(first + 1));
            (first, end - first)
        };
        let ((x, w), (y, h)) = (span(x1, x2, width), span(y1, y2, height));
        [x, y, w, h]
    }

    fn turn_and_cut_planes(&self, yuv: &Yuv420) -> Yuv420 {
        let turn = self.turn();
        let (w, h) = (yuv.width as usize, yuv.height as usize);
        let (cw, ch) = (w.div_ceil(2), h.div_ceil(2));
        if w == 0 || h == 0 || !yuv.is_consistent() {
            return yuv.clone();
        }
        let (tw, th) = turn.size(w, h);
        let [x, y, width, height] = self.part(tw, th);
        let chroma = [x / 2, y / 2, width.div_ceil(2), height.div_ceil(2)];
        Yuv420 {
            width: width as u32,
            height: height as u32,
            y: turn.cut(&yuv.y, w, h, [x, y, width, height]),
            u: turn.cut(&yuv.u, cw, ch, chroma),
            v: turn.cut(&yuv.v, cw, ch, chroma),
            full_range: yuv.full_range,
        }
    }

    fn turn_and_cut_rgb(&self, rgb: &RgbImage) -> RgbImage {
        let turn = self.turn();
        let (w, h) = (rgb.width() as usize, rgb.height() as usize);
        if w == 0 || h == 0 {
            return rgb.clone();
        }
        let (tw, th) = turn.size(w, h);
        let [x, y, width, height] = self.part(tw, th);
        let pixels: Vec<[u8; 3]> = rgb.pixels().map(|pixel| pixel.0).collect();
        let cut = turn.cut(&pixels, w, h, [x, y, width, height]);
        let bytes = cut.into_iter().flatten().collect();
        RgbImage::from_raw(width as u32, height as u32, bytes).unwrap_or_default()
    }

    /// Which pixels of a picture of this size are black, row by row. Pictures of a camera rarely change their size.
    fn black(&mut self, width: u32, height: u32) -> &[bool] {
        if self.black.as_ref().is_none_or(|(w, h, _)| (*w, *h) != (width, height)) {
            let mut black = vec![false; width as usize * height as usize];
            for mask in &self.masks {
                draw(mask, width as usize, height as usize, &mut black);
            }
            self.black = Some((width, height, black));
        }
        self.black.as_ref().map_or(&[], |(_, _, black)| black)
    }
}

/// Marks every pixel that the polygon touches.
fn draw(mask: &Polygon, width: usize, height: usize, black: &mut [bool]) {
    let corners = mask.corners();
    let edges: Vec<(Point, Point)> = corners.iter().copied().zip(corners.iter().copied().cycle().skip(1)).collect();
    let (w, h) = (width as f32, height as f32);
    let bounds = |of: fn(&Point) -> f32, size: f32| {
        let (low, high) = corners.iter().map(of).fold((1.0f32, 0.0f32), |(a, b), v| (a.min(v), b.max(v)));
        // A pixel further than needed on each side, against rounding.
        ((low * size - 1.0).max(0.0) as usize, ((high * size + 2.0).min(size)) as usize)
    };
    let ((x1, x2), (y1, y2)) = (bounds(|p| p.x, w), bounds(|p| p.y, h));
    for y in y1..y2 {
        let (top, bottom) = (y as f32 / h, (y + 1) as f32 / h);
        let near: Vec<_> = edges.iter().filter(|(a, b)| a.y.min(b.y) <= bottom && a.y.max(b.y) >= top).collect();
        for x in x1..x2 {
            let (left, right) = (x as f32 / w, (x + 1) as f32 / w);
            let at = [(left, top), (right, top), (right, bottom), (left, bottom)].map(|(x, y)| Point::new(x, y));
            let touches = |(a, b): &&(Point, Point)| {
                let inside = (left..=right).contains(&a.x) && (top..=bottom).contains(&a.y);
                inside || (0..4).any(|i| segments_cross(at[i], at[(i + 1) % 4], *a, *b))
            };
            black[y * width + x] |= at.iter().any(|p| mask.contains(*p)) || near.iter().any(touches);
        }
    }
}

/// Black is luma 0 or 16 and no colour; a chroma sample stands for four pixels and goes with any of them.
fn blacken_planes(yuv: &mut Yuv420, black: &[bool]) {
    let (w, cw) = (yuv.width as usize, yuv.width.div_ceil(2) as usize);
    let dark = if yuv.full_range { 0 } else { 16 };
    for (i, _) in black.iter().enumerate().filter(|(_, black)| **black) {
        yuv.y[i] = dark;
        let chroma = i / w / 2 * cw + i % w / 2;
        (yuv.u[chroma], yuv.v[chroma]) = (128, 128);
    }
}

/// Clockwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    None,
    Quarter,
    Half,
    ThreeQuarters,
}

impl Turn {
    fn size(self, w: usize, h: usize) -> (usize, usize) {
        if matches!(self, Turn::Quarter | Turn::ThreeQuarters) { (h, w) } else { (w, h) }
    }

    /// The part `[x, y, width, height]` of the turned plane; `from` has `w` columns and `h` rows.
    fn cut<T: Copy>(self, from: &[T], w: usize, h: usize, part: [usize; 4]) -> Vec<T> {
        let [x0, y0, width, height] = part;
        let mut out = Vec::with_capacity(width * height);
        for y in y0..y0 + height {
            for x in x0..x0 + width {
                let (x, y) = match self {
                    Turn::None => (x, y),
                    Turn::Quarter => (y, h - 1 - x),
                    Turn::Half => (w - 1 - x, h - 1 - y),
                    Turn::ThreeQuarters => (w - 1 - y, x),
                };
                out.push(from[y * w + x]);
            }
        }
        out
    }
}

/// Broken pictures in a row that are taken for noise on the cable.
const MAX_BROKEN: u32 = 30;

/// A source seen through a [`View`].
pub struct Viewed {
    source: Box<dyn Source>,
    view: View,
    broken: u32,
    lost: u64,
}

impl Viewed {
    /// The source itself where there is nothing to change.
    pub fn wrap(source: Box<dyn Source>, config: ViewConfig) -> Box<dyn Source> {
        if config.is_plain() {
            source
        } else {
            Box::new(Viewed { source, view: View::new(config), broken: 0, lost: 0 })
        }
    }
}

impl Source for Viewed {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let Some(frame) = self.source.next_frame()? else { return Ok(None) };
            match self.view.apply(frame) {
                Ok(frame) => {
                    self.broken = 0;
                    return Ok(Some(frame));
                }
                Err(error) => {
                    self.broken += 1;
                    self.lost += 1;
                    if self.broken >= MAX_BROKEN {
                        return Err(
                            error.context(format!("{}: {MAX_BROKEN} broken pictures in a row", self.describe()))
                        );
                    }
                }
            }
        }
    }

    fn describe(&self) -> String {
        self.source.describe()
    }
    fn lost(&self) -> u64 {
        self.source.lost() + self.lost
    }
    fn decoder(&self) -> Option<Cow<'_, str>> {
        self.source.decoder()
    }
}
