//! Boxes, zones, lines and counters on a picture.

use super::Region;
use super::canvas::{Canvas, Sizes};
use super::chip::Chips;
use super::palette::colour;
use super::skeleton::bones;
use crate::clue::Pose;
use crate::detection::{Class, Detection};
use crate::geometry::{BBox, Point, Polygon};
use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::{Point as Pixel, Size};
use embedded_graphics::primitives::{PrimitiveStyleBuilder, Rectangle, StrokeAlignment, StyledDrawable};
use image::RgbImage;

/// What is to be seen on a picture beside its pixels. Boxes are drawn over lines, lines over zones.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    pub zones: Vec<ZoneMark>,
    pub lines: Vec<LineMark>,
    pub marks: Vec<Mark>,
    /// Over the boxes they belong to.
    pub poses: Vec<Pose>,
    /// Rows of a panel in the upper left corner: what and how many.
    pub counters: Vec<(String, u64)>,
}

/// A box with a few words.
#[derive(Debug, Clone)]
pub struct Mark {
    pub class: Class,
    pub bbox: BBox,
    pub label: String,
}

impl From<&Detection> for Mark {
    fn from(d: &Detection) -> Self {
        Mark { class: d.class, bbox: d.bbox, label: format!("{} {:.0}%", d.class, 100.0 * d.score) }
    }
}

#[derive(Debug, Clone)]
pub struct ZoneMark {
    pub area: Polygon,
    pub label: String,
    /// Somebody is in it, or its rule has fired.
    pub active: bool,
}

/// A polyline with an arrow that shows which way is in: from the left hand to the right hand of somebody
/// who walks along it.
#[derive(Debug, Clone)]
pub struct LineMark {
    pub points: Vec<Point>,
    pub label: String,
}

impl ZoneMark {
    fn colour(&self) -> Rgb888 {
        if self.active { Rgb888::new(255, 70, 60) } else { Rgb888::new(80, 170, 255) }
    }
}

const LINE: Rgb888 = Rgb888::new(255, 230, 60);
const BONE: Rgb888 = Rgb888::new(90, 255, 120);
/// Under every stroke, so that a bright line shows on a bright floor.
const SHADOW: Rgb888 = Rgb888::new(16, 16, 16);

/// Draws on the picture. An empty picture stays empty.
pub fn draw(picture: &mut RgbImage, overlay: &Overlay) {
    if picture.width() == 0 || picture.height() == 0 {
        return;
    }
    let sizes = Sizes::for_picture(picture);
    let mut pen = Pen { size: picture.dimensions(), stroke: sizes.stroke, canvas: Canvas(picture) };
    let mut chips = Chips::new(&pen.canvas, sizes);

    overlay.zones.iter().for_each(|zone| pen.zone(zone));
    overlay.lines.iter().for_each(|line| pen.line(line));
    // Every box before the first label: labels look for places where they hide none.
    let boxes: Vec<_> = overlay.marks.iter().filter_map(|mark| Some((mark, pen.place(&mark.bbox)?))).collect();
    for (mark, area) in boxes.iter().rev() {
        pen.frame(*area, colour(mark.class));
        chips.keep_visible(*area);
    }
    for (from, to) in overlay.poses.iter().flat_map(bones) {
        let ends = [from, to].map(|p| pen.pixel(p));
        pen.path(&ends, BONE);
    }
    let rows: Vec<_> = overlay.counters.iter().map(|(what, n)| format!("{what} {n}")).collect();
    chips.panel(&mut pen.canvas, &rows);
    for zone in &overlay.zones {
        let highest = zone.area.corners().iter().min_by(|a, b| a.y.total_cmp(&b.y));
        if let Some(corner) = highest {
            let spot = pen.spot(*corner);
            chips.label(&mut pen.canvas, spot, &zone.label, zone.colour());
        }
    }
    for line in &overlay.lines {
        if let Some(first) = line.points.first() {
            let spot = pen.spot(*first);
            chips.label(&mut pen.canvas, spot, &line.label, LINE);
        }
    }
    for (mark, area) in &boxes {
        chips.label(&mut pen.canvas, *area, &mark.label, colour(mark.class));
    }
}

struct Pen<'a> {
    canvas: Canvas<'a>,
    size: (u32, u32),
    stroke: u32,
}

impl Pen<'_> {
    /// A place in pixels. Far outside is as good as infinitely far, and keeps drawing finite.
    fn pixel(&self, p: Point) -> (f64, f64) {
        let scale =
            |v: f32, size: u32| if v.is_finite() { f64::from(v.clamp(-1.0, 2.0)) * f64::from(size) } else { 0.0 };
        (scale(p.x, self.size.0), scale(p.y, self.size.1))
    }

    /// The same as something without extent that a label can be put beside.
    fn spot(&self, p: Point) -> Rectangle {
        let (x, y) = self.pixel(p);
        Rectangle::new(Pixel::new(x as i32, y as i32), Size::zero())
    }

    fn place(&self, bbox: &BBox) -> Option<Rectangle> {
        let r = Region::of(bbox, self.size)?;
        Some(Rectangle::new(Pixel::new(r.x as i32, r.y as i32), Size::new(r.width, r.height)))
    }

    fn shadow(&self) -> u32 {
        self.stroke.div_ceil(3)
    }

    /// The outline of a box, drawn inwards, with a thin shadow on both sides of it.
    fn frame(&mut self, area: Rectangle, colour: Rgb888) {
        let outline = |colour, width, alignment| {
            PrimitiveStyleBuilder::new().stroke_color(colour).stroke_width(width).stroke_alignment(alignment).build()
        };
        // Of a box a few pixels wide the inside must stay to be seen.
        let room = area.size.width.min(area.size.height) / 4;
        let inner = outline(SHADOW, (self.stroke + self.shadow()).min(room), StrokeAlignment::Inside);
        let outer = outline(SHADOW, self.shadow(), StrokeAlignment::Outside);
        let stroke = outline(colour, self.stroke.min(room.max(1)), StrokeAlignment::Inside);
        for style in [inner, outer, stroke] {
            let Ok(()) = area.draw_styled(&style, &mut self.canvas);
        }
    }

    /// Lines from point to point over their shadow, so that no shadow falls on a line.
    fn path(&mut self, points: &[(f64, f64)], colour: Rgb888) {
        let width = f64::from(self.stroke);
        for (colour, width) in [(SHADOW, width + 2.0 * f64::from(self.shadow())), (colour, width)] {
            points.windows(2).for_each(|pair| self.canvas.stroke(pair[0], pair[1], width, colour));
        }
    }

    fn zone(&mut self, zone: &ZoneMark) {
        let colour = zone.colour();
        let mut corners: Vec<_> = zone.area.corners().iter().map(|p| self.pixel(*p)).collect();
        self.canvas.fill(&corners, colour, 56);
        corners.extend(corners.first().copied());
        self.path(&corners, colour);
    }

    fn line(&mut self, line: &LineMark) {
        let points: Vec<_> = line.points.iter().map(|p| self.pixel(*p)).collect();
        self.path(&points, LINE);
        let length = |pair: &[(f64, f64)]| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1);
        let longest = points.windows(2).max_by(|a, b| length(a).total_cmp(&length(b)));
        if let Some(pair) = longest.filter(|pair| length(pair) > 0.0) {
            self.arrow(pair[0], pair[1], length(pair));
        }
    }

    /// From the middle of the segment to the right hand of somebody who walks along it.
    fn arrow(&mut self, from: (f64, f64), to: (f64, f64), length: f64) {
        let (ux, uy) = ((to.0 - from.0) / length, (to.1 - from.1) / length);
        let middle = ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0);
        // `across` pixels to the right hand and `along` pixels ahead.
        let at = |across: f64, along: f64| (middle.0 - uy * across + ux * along, middle.1 + ux * across + uy * along);
        let unit = f64::from(self.stroke);
        let edge = f64::from(self.shadow());
        let head = |grown: f64| {
            [
                at(15.0 * unit + 2.0 * grown, 0.0),
                at(7.0 * unit - grown, 5.0 * unit + 2.0 * grown),
                at(7.0 * unit - grown, -5.0 * unit - 2.0 * grown),
            ]
        };
        self.canvas.fill(&head(edge), SHADOW, 256);
        self.path(&[middle, at(8.0 * unit, 0.0)], LINE);
        self.canvas.fill(&head(0.0), LINE, 256);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use proptest::prelude::*;

    const GREY: Rgb<u8> = Rgb([128; 3]);

    fn drawn(width: u32, height: u32, overlay: &Overlay) -> RgbImage {
        let mut picture = RgbImage::from_pixel(width, height, GREY);
        draw(&mut picture, overlay);
        picture
    }

    fn mark(class: &str, [x1, y1, x2, y2]: [f32; 4]) -> Mark {
        Mark { class: Class::named(class), bbox: BBox::new(x1, y1, x2, y2), label: format!("{class} 87%") }
    }

    /// Columns and rows of all pixels with this colour: left, top, right, bottom.
    fn extent(picture: &RgbImage, [r, g, b]: [u8; 3]) -> Option<[u32; 4]> {
        let mut hits = picture.enumerate_pixels().filter(|(_, _, p)| p.0 == [r, g, b]).map(|(x, y, _)| [x, y, x, y]);
        let first = hits.next()?;
        Some(hits.fold(first, |e, p| [e[0].min(p[0]), e[1].min(p[1]), e[2].max(p[2]), e[3].max(p[3])]))
    }

    fn bytes(colour: Rgb888) -> [u8; 3] {
        use embedded_graphics::pixelcolor::RgbColor;
        [colour.r(), colour.g(), colour.b()]
    }

    #[test]
    fn the_same_on_a_thumbnail_and_on_4k_in_the_right_size() {
        let chip_height = |width, height| {
            let one = Overlay { marks: vec![mark("person", [0.25, 0.5, 0.75, 1.0])], ..Overlay::default() };
            let [_, top, _, _] = extent(&drawn(width, height, &one), bytes(colour(Class::PERSON))).unwrap();
            height / 2 - top
        };
        assert!((10..16).contains(&chip_height(320, 240)), "{}", chip_height(320, 240));
        assert!((60..120).contains(&chip_height(3840, 2160)), "{}", chip_height(3840, 2160));
    }

    #[test]
    fn the_arrow_shows_the_right_hand_of_who_walks_along_the_line() {
        let tip = |points: [Point; 2]| {
            let line = LineMark { points: points.to_vec(), label: String::new() };
            extent(&drawn(200, 200, &Overlay { lines: vec![line], ..Overlay::default() }), bytes(LINE)).unwrap()
        };
        let p = Point::new;
        let [_, above, _, below] = tip([p(0.2, 0.5), p(0.8, 0.5)]);
        assert!(below > 108 && above > 92, "from left to right, downwards is in: {above} {below}");
        let [_, above, _, below] = tip([p(0.8, 0.5), p(0.2, 0.5)]);
        assert!(above < 92 && below < 108, "from right to left, upwards is in: {above} {below}");
        let [left, _, right, _] = tip([p(0.5, 0.2), p(0.5, 0.8)]);
        assert!(left < 92 && right < 108, "downwards, the left of the screen is in: {left} {right}");
    }

    #[test]
    fn a_label_stays_in_the_picture_and_off_a_small_thing() {
        let person = colour(Class::PERSON);
        for at in [[0.0, 0.0, 0.05, 0.05], [0.95, 0.95, 1.0, 1.0], [0.95, 0.0, 1.0, 0.05], [0.0, 0.95, 0.05, 1.0]] {
            let picture = drawn(400, 300, &Overlay { marks: vec![mark("person", at)], ..Overlay::default() });
            let [left, top, right, bottom] = extent(&picture, bytes(person)).unwrap();
            assert!(right - left > 60 && bottom - top > 20, "{at:?}: the whole of the label can be read");
            let r = Region::of(&BBox::new(at[0], at[1], at[2], at[3]), (400, 300)).unwrap();
            assert_eq!(*picture.get_pixel(r.x + r.width / 2, r.y + r.height / 2), GREY, "{at:?}: it is not covered");
        }
    }

    #[test]
    fn a_zone_is_tinted_inside_and_nowhere_else() {
        let corners = vec![Point::new(0.2, 0.2), Point::new(0.8, 0.2), Point::new(0.8, 0.8), Point::new(0.2, 0.8)];
        let zone = |active| ZoneMark { area: Polygon::new(corners.clone()).unwrap(), label: String::new(), active };
        let picture = |active| drawn(300, 300, &Overlay { zones: vec![zone(active)], ..Overlay::default() });
        assert!(picture(false).get_pixel(150, 150).0[2] > 128 && picture(true).get_pixel(150, 150).0[0] > 128);
        assert_eq!(*picture(true).get_pixel(30, 150), GREY);
    }

    #[test]
    fn counters_that_do_not_fit_are_said_to_be_missing() {
        let counters = (0..100).map(|i| (format!("line {i} in"), i)).collect();
        let overlay = Overlay { counters, ..Overlay::default() };
        assert_eq!(drawn(100, 100, &overlay).dimensions(), (100, 100));
        assert_eq!(drawn(3, 2, &overlay).dimensions(), (3, 2));
    }

    fn any_fraction() -> impl Strategy<Value = f32> {
        prop_oneof![8 => -0.5f32..1.5, 1 => Just(0.0f32), 1 => any::<f32>()]
    }

    proptest! {
        #[test]
        fn nothing_is_too_odd_to_draw(
            size in prop_oneof![4 => (0u32..60, 0u32..60), 1 => Just((3840u32, 4u32)), 1 => Just((1u32, 2160u32))],
            corners in prop::collection::vec((any_fraction(), any_fraction()), 0..6),
            label in ".{0,12}",
        ) {
            let points: Vec<Point> = corners.iter().map(|(x, y)| Point::new(*x, *y)).collect();
            let marks = points.windows(2).map(|p| Mark { label: label.clone(), ..mark("dog", [p[0].x, p[0].y, p[1].x, p[1].y]) }).collect();
            let zones = Polygon::new(points.clone()).map(|area| ZoneMark { area, label: label.clone(), active: true });
            let lines = vec![LineMark { points, label: label.clone() }];
            let counters = vec![(label, 3)];
            let overlay = Overlay { zones: zones.into_iter().collect(), lines, marks, counters, ..Overlay::default() };
            prop_assert_eq!(drawn(size.0, size.1, &overlay).dimensions(), size);
        }
    }
}
