//! Points, boxes, polygons and polylines in fractions of the frame: x to the right, y down, both 0..1
//! inside the picture. Boxes may reach outside of it.

/// A place in the frame, fractions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

impl Point {
    pub const fn new(x: f32, y: f32) -> Self {
        Point { x, y }
    }
}

/// An axis-aligned box, corners in fractions, `x1 <= x2`, `y1 <= y2`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BBox {
    pub x1: f32,
    pub y1: f32,
    pub x2: f32,
    pub y2: f32,
}

impl BBox {
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        BBox { x1, y1, x2, y2 }
    }
    pub fn from_xywh(x: f32, y: f32, w: f32, h: f32) -> Self {
        BBox::new(x, y, x + w, y + h)
    }
    pub fn width(&self) -> f32 {
        self.x2 - self.x1
    }
    pub fn height(&self) -> f32 {
        self.y2 - self.y1
    }
    pub fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }
    pub fn centre(&self) -> Point {
        Point::new((self.x1 + self.x2) / 2.0, (self.y1 + self.y2) / 2.0)
    }
    /// Where somebody stands: the middle of the lower edge. Zones and lines look at this point.
    pub fn foot(&self) -> Point {
        Point::new((self.x1 + self.x2) / 2.0, self.y2)
    }
    pub fn intersection(&self, o: &BBox) -> f32 {
        let w = self.x2.min(o.x2) - self.x1.max(o.x1);
        let h = self.y2.min(o.y2) - self.y1.max(o.y1);
        w.max(0.0) * h.max(0.0)
    }
    /// Intersection over union, 0..1; two empty boxes have none.
    pub fn iou(&self, o: &BBox) -> f32 {
        let i = self.intersection(o);
        let union = self.area() + o.area() - i;
        if union > 0.0 { i / union } else { 0.0 }
    }
    /// The part inside the frame.
    pub fn clamped(&self) -> BBox {
        let c = |v: f32| v.clamp(0.0, 1.0);
        BBox::new(c(self.x1), c(self.y1), c(self.x2), c(self.y2))
    }
    pub fn is_finite(&self) -> bool {
        [self.x1, self.y1, self.x2, self.y2].iter().all(|v| v.is_finite())
    }
    pub fn to_array(self) -> [f32; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }
}

/// Steps in one width or height of the frame: a fifth of what a network of 416 pixels resolves. What is followed is known no
/// finer than this, so that what is recorded is exactly what the rules have looked at.
pub const GRID: f32 = 2048.0;
/// So many steps beyond the frame there is nothing.
const GRID_END: f32 = 1_048_576.0;

/// The nearest step of [`GRID`]; of no number, 0.
pub fn to_grid(fraction: f32) -> i32 {
    (fraction * GRID).round().clamp(-GRID_END, GRID_END) as i32
}

/// Exactly: [`GRID`] is a power of two.
pub fn from_grid(step: i32) -> f32 {
    step as f32 / GRID
}

/// Which side of the directed line `a` to `b` the point lies on, as seen on the screen (y down):
/// negative is the left hand, positive the right hand of somebody who walks from `a` to `b`, in
/// fractions squared. This is the cross product `(b-a) x (p-a)`.
pub fn side(a: Point, b: Point, p: Point) -> f32 {
    (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x)
}

/// Distance from `p` to the segment `a`-`b`, in the unit of the points.
pub fn distance_to_segment(p: Point, a: Point, b: Point) -> f32 {
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let len2 = dx * dx + dy * dy;
    let t = if len2 > 0.0 { (((p.x - a.x) * dx + (p.y - a.y) * dy) / len2).clamp(0.0, 1.0) } else { 0.0 };
    (p.x - a.x - t * dx).hypot(p.y - a.y - t * dy)
}

/// Whether the segments `p`-`q` and `a`-`b` cross or touch.
pub fn segments_cross(p: Point, q: Point, a: Point, b: Point) -> bool {
    let (d1, d2) = (side(a, b, p), side(a, b, q));
    let (d3, d4) = (side(p, q, a), side(p, q, b));
    let opposite = |u: f32, v: f32| (u <= 0.0 && v >= 0.0) || (u >= 0.0 && v <= 0.0);
    if d1 == 0.0 && d2 == 0.0 {
        // All four on one line: they touch where their extents overlap.
        let overlap = |p: f32, q: f32, a: f32, b: f32| p.min(q) <= a.max(b) && a.min(b) <= p.max(q);
        return overlap(p.x, q.x, a.x, b.x) && overlap(p.y, q.y, a.y, b.y);
    }
    opposite(d1, d2) && opposite(d3, d4)
}

/// A closed area with at least three corners.
#[derive(Debug, Clone, PartialEq)]
pub struct Polygon(Vec<Point>);

impl Polygon {
    /// `None` for fewer than three corners, for coordinates that are no numbers, or for no area at all.
    pub fn new(corners: Vec<Point>) -> Option<Self> {
        let finite = corners.iter().all(|p| p.x.is_finite() && p.y.is_finite());
        let polygon = Polygon(corners);
        (polygon.0.len() >= 3 && finite && polygon.area() > 1e-6).then_some(polygon)
    }
    pub fn corners(&self) -> &[Point] {
        &self.0
    }
    fn edges(&self) -> impl Iterator<Item = (Point, Point)> + '_ {
        self.0.iter().copied().zip(self.0.iter().copied().cycle().skip(1))
    }
    /// Shoelace formula, fractions squared.
    pub fn area(&self) -> f32 {
        self.edges().map(|(a, b)| a.x * b.y - b.x * a.y).sum::<f32>().abs() / 2.0
    }
    /// Even-odd rule. A point on an edge belongs to exactly one of two polygons that share it.
    pub fn contains(&self, p: Point) -> bool {
        self.edges()
            .filter(|(a, b)| (a.y > p.y) != (b.y > p.y) && p.x < (b.x - a.x) * (p.y - a.y) / (b.y - a.y) + a.x)
            .count()
            % 2
            == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn point() -> impl Strategy<Value = Point> {
        (0.0f32..1.0, 0.0f32..1.0).prop_map(|(x, y)| Point::new(x, y))
    }

    fn bbox() -> impl Strategy<Value = BBox> {
        (0.0f32..1.0, 0.0f32..1.0, 0.01f32..1.0, 0.01f32..1.0).prop_map(|(x, y, w, h)| BBox::from_xywh(x, y, w, h))
    }

    #[test]
    fn downwards_over_a_line_drawn_to_the_right_goes_from_negative_to_positive() {
        let (a, b) = (Point::new(0.1, 0.5), Point::new(0.9, 0.5));
        assert!(side(a, b, Point::new(0.5, 0.4)) < 0.0);
        assert!(side(a, b, Point::new(0.5, 0.6)) > 0.0);
    }

    #[test]
    fn polygons_that_are_none() {
        let p = Point::new;
        assert!(Polygon::new(vec![p(0.0, 0.0), p(1.0, 1.0)]).is_none(), "two points");
        assert!(Polygon::new(vec![p(0.0, 0.0), p(0.5, 0.5), p(1.0, 1.0)]).is_none(), "no area");
        assert!(Polygon::new(vec![p(0.0, 0.0), p(f32::NAN, 0.5), p(1.0, 1.0)]).is_none(), "not a number");
    }

    proptest! {
        #[test]
        fn iou_is_symmetric_and_a_fraction(a in bbox(), b in bbox()) {
            prop_assert_eq!(a.iou(&b), b.iou(&a));
            prop_assert!((0.0..=1.0 + 1e-6).contains(&a.iou(&b)));
            prop_assert!((a.iou(&a) - 1.0).abs() < 1e-3);
        }

        #[test]
        fn crossing_does_not_depend_on_direction(p in point(), q in point(), a in point(), b in point()) {
            let crosses = segments_cross(p, q, a, b);
            prop_assert_eq!(crosses, segments_cross(q, p, a, b));
            prop_assert_eq!(crosses, segments_cross(a, b, p, q));
        }

        #[test]
        fn every_point_lies_in_exactly_one_half_of_the_frame(p in point(), cut in 0.05f32..0.95) {
            let at = Point::new;
            let left = Polygon::new(vec![at(0.0, 0.0), at(cut, 0.0), at(cut, 1.0), at(0.0, 1.0)]).unwrap();
            let right = Polygon::new(vec![at(cut, 0.0), at(1.0, 0.0), at(1.0, 1.0), at(cut, 1.0)]).unwrap();
            prop_assert_eq!(u8::from(left.contains(p)) + u8::from(right.contains(p)), 1);
        }
    }
}
