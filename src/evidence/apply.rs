//! What can be done to the things that were found: each operation changes the picture inside their boxes
//! and nowhere else. `annotate` and `count` draw over it.

use super::draw::{Mark, Overlay, draw};
use super::{Region, edges};
use crate::detection::{Class, Detection};
use image::{Rgb, RgbImage, imageops};
use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// A box and a label around each.
    Annotate,
    /// Each as a picture of its own.
    Crop,
    /// Nobody can be recognised, the scene stays natural.
    Blur,
    /// Nobody can be recognised, and one sees that something is hidden.
    Pixelate,
    /// Without colour; the rest keeps its own.
    Grey,
    /// White outlines on black.
    Edges,
    /// Black. The only operation that leaves nothing to reconstruct.
    Mask,
    /// How many of each class, in the upper left corner.
    Count,
}

impl Op {
    pub const ALL: [Op; 8] = [Op::Annotate, Op::Crop, Op::Blur, Op::Pixelate, Op::Grey, Op::Edges, Op::Mask, Op::Count];

    pub fn name(self) -> &'static str {
        match self {
            Op::Annotate => "annotate",
            Op::Crop => "crop",
            Op::Blur => "blur",
            Op::Pixelate => "pixelate",
            Op::Grey => "grey",
            Op::Edges => "edges",
            Op::Mask => "mask",
            Op::Count => "count",
        }
    }

    pub fn named(name: &str) -> Option<Op> {
        Op::ALL.into_iter().find(|op| op.name() == name)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A thing cut out of its picture.
#[derive(Debug, Clone)]
pub struct Cut {
    pub class: Class,
    pub picture: RgbImage,
}

/// Applies the operations one after the other, each to what the one before left: `blur, annotate` writes
/// sharp labels over blurred people, `blur, crop` cuts them out blurred. Gives what `crop` cut out, in the
/// order of `found`.
pub fn apply(picture: &mut RgbImage, ops: &[Op], found: &[Detection]) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for op in ops {
        match op {
            Op::Annotate => {
                draw(picture, &Overlay { marks: found.iter().map(Mark::from).collect(), ..Overlay::default() })
            }
            Op::Crop => cuts.extend(crop(picture, found)),
            Op::Count => {
                let counters = count(found).into_iter().map(|(class, n)| (class.to_string(), n)).collect();
                draw(picture, &Overlay { counters, ..Overlay::default() });
            }
            Op::Blur => each(picture, found, blur),
            Op::Pixelate => each(picture, found, pixelate),
            Op::Grey => each(picture, found, grey),
            Op::Edges => each(picture, found, edges::canny),
            Op::Mask => each(picture, found, |part| RgbImage::new(part.width(), part.height())),
        }
    }
    cuts
}

/// Cuts out each thing of which something can be seen.
pub fn crop(picture: &RgbImage, found: &[Detection]) -> Vec<Cut> {
    let cut = |d: &Detection| {
        let region = Region::of(&d.bbox, picture.dimensions())?;
        Some(Cut { class: d.class, picture: region.cut(picture) })
    };
    found.iter().filter_map(cut).collect()
}

/// How many of each class, by name.
pub fn count(found: &[Detection]) -> BTreeMap<Class, u64> {
    let mut totals = BTreeMap::new();
    for d in found {
        *totals.entry(d.class).or_default() += 1;
    }
    totals
}

/// All parts are cut from the picture as it was: where two boxes overlap, the second is not blurred twice,
/// and edges are not looked for among edges. The largest goes on top, since it hides the most: a small box
/// over a large face must not show it through finer squares.
fn each(picture: &mut RgbImage, found: &[Detection], change: impl Fn(&RgbImage) -> RgbImage) {
    let mut regions: Vec<Region> = found.iter().filter_map(|d| Region::of(&d.bbox, picture.dimensions())).collect();
    regions.sort_by_key(|region| grain(region.width, region.height));
    let parts: Vec<RgbImage> = regions.iter().map(|region| change(&region.cut(picture))).collect();
    for (region, part) in regions.iter().zip(&parts) {
        region.paste(picture, part);
    }
}

/// The size in pixels of what may still be seen of a thing: some three of them lie across a face. A face is at
/// least a third as wide as a person who stands there whole. Of one who is cut off by the picture's border
/// only a strip is left, and the height tells.
fn grain(width: u32, height: u32) -> u32 {
    let (short, long) = (width.min(height), width.max(height));
    (short / 8).max(long / 16).max(4)
}

/// A Gaussian whose width hides about what squares of the same grain do.
fn blur(part: &RgbImage) -> RgbImage {
    imageops::fast_blur(part, grain(part.width(), part.height()) as f32 * 0.8)
}

/// Squares, each in its mean colour.
fn pixelate(part: &RgbImage) -> RgbImage {
    let (width, height) = part.dimensions();
    let side = grain(width, height);
    let mut out = RgbImage::new(width, height);
    for y in (0..height).step_by(side as usize) {
        for x in (0..width).step_by(side as usize) {
            let square = Region { x, y, width: side.min(width - x), height: side.min(height - y) };
            let mean = mean(part, square);
            for row in y..y + square.height {
                for column in x..x + square.width {
                    out.put_pixel(column, row, mean);
                }
            }
        }
    }
    out
}

fn mean(picture: &RgbImage, square: Region) -> Rgb<u8> {
    let mut sums = [0u64; 3];
    for row in square.y..square.y + square.height {
        for column in square.x..square.x + square.width {
            for (sum, v) in sums.iter_mut().zip(picture.get_pixel(column, row).0) {
                *sum += u64::from(v);
            }
        }
    }
    let pixels = (u64::from(square.width) * u64::from(square.height)).max(1);
    Rgb(sums.map(|sum| ((sum + pixels / 2) / pixels) as u8))
}

/// BT.601 luma.
fn grey(part: &RgbImage) -> RgbImage {
    let mut out = part.clone();
    for pixel in out.pixels_mut() {
        let [r, g, b] = pixel.0.map(u32::from);
        *pixel = Rgb([((299 * r + 587 * g + 114 * b + 500) / 1000) as u8; 3]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BBox;
    use proptest::prelude::*;

    fn found(class: &str, [x1, y1, x2, y2]: [f32; 4]) -> Detection {
        Detection { class: Class::named(class), score: 0.9, bbox: BBox::new(x1, y1, x2, y2) }
    }

    /// Fine stripes of strong colours: every operation has something to change in every place.
    fn stripes(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x % 2 * 200 + 30) as u8, (y % 3 * 90) as u8, ((x + y) % 7 * 30) as u8])
        })
    }

    #[test]
    fn operations_change_what_is_inside_the_box_and_nothing_else() {
        let person = [found("person", [0.25, 0.25, 0.75, 0.75])];
        for op in [Op::Blur, Op::Pixelate, Op::Grey, Op::Edges, Op::Mask] {
            let (before, mut after) = (stripes(80, 80), stripes(80, 80));
            apply(&mut after, &[op], &person);
            let inside = |x: u32, y: u32| (20..60).contains(&x) && (20..60).contains(&y);
            let changed = before.enumerate_pixels().filter(|(x, y, p)| after.get_pixel(*x, *y) != *p);
            let (within, outside): (Vec<_>, Vec<_>) = changed.partition(|(x, y, _)| inside(*x, *y));
            assert!(outside.is_empty(), "{op} reaches outside: {:?}", outside.first());
            assert!(within.len() > 800, "{op} leaves most of it: {}", within.len());
        }
    }

    #[test]
    fn what_is_hidden_stays_hidden() {
        // A chessboard of 10 squares stands for the features of a face that fills the box.
        let board = RgbImage::from_fn(100, 100, |x, y| Rgb([if (x / 10 + y / 10) % 2 == 0 { 20 } else { 235 }; 3]));
        for (op, most) in [(Op::Blur, 20), (Op::Pixelate, 120), (Op::Mask, 0)] {
            let mut picture = board.clone();
            apply(&mut picture, &[op], &[found("person", [0.0, 0.0, 1.0, 1.0])]);
            // Not at the rim, where the half squares outside of the box are missing.
            let middle = Region { x: 15, y: 15, width: 70, height: 70 }.cut(&picture);
            let values = || middle.pixels().map(|p| p.0[0]);
            let contrast = values().max().unwrap() - values().min().unwrap();
            assert!(contrast <= most, "{op} leaves a contrast of {contrast}");
        }
    }

    #[test]
    fn a_small_box_over_a_large_one_does_not_uncover_it() {
        let large = found("person", [0.0, 0.0, 1.0, 1.0]);
        let small = found("bottle", [0.4, 0.4, 0.6, 0.6]);
        let pixelated = |things: &[Detection]| {
            let mut picture = stripes(160, 160);
            apply(&mut picture, &[Op::Pixelate], things);
            picture
        };
        assert_eq!(pixelated(&[small, large]), pixelated(&[large]));
        assert_eq!(pixelated(&[large, small]), pixelated(&[large]));
    }

    #[test]
    fn operations_work_on_what_the_one_before_left() {
        let person = [found("person", [0.0, 0.0, 0.5, 1.0])];
        let is_black = |cuts: &[Cut]| cuts[0].picture.pixels().all(|p| p.0 == [0; 3]);
        assert!(is_black(&apply(&mut stripes(40, 40), &[Op::Mask, Op::Crop], &person)));
        assert!(!is_black(&apply(&mut stripes(40, 40), &[Op::Crop, Op::Mask], &person)));
    }

    #[test]
    fn counts_by_class_in_the_order_of_names() {
        let all = [0.0, 0.0, 1.0, 1.0];
        let totals = count(&[found("person", all), found("dog", all), found("person", all)]);
        assert_eq!(format!("{totals:?}"), "{dog: 1, person: 2}");
    }

    #[test]
    fn operations_are_found_by_the_names_they_print() {
        assert!(Op::ALL.into_iter().all(|op| Op::named(op.name()) == Some(op)));
        assert_eq!(Op::named("blurr"), None);
    }

    fn any_fraction() -> impl Strategy<Value = f32> {
        prop_oneof![8 => -0.5f32..1.5, 1 => Just(0.0f32), 1 => Just(1.0f32), 1 => any::<f32>()]
    }

    proptest! {
        #[test]
        fn no_box_and_no_picture_is_too_odd(
            size in (0u32..70, 0u32..70),
            boxes in prop::collection::vec((any_fraction(), any_fraction(), any_fraction(), any_fraction()), 0..4),
        ) {
            let things: Vec<Detection> = boxes.iter().map(|(a, b, c, d)| found("person", [*a, *b, *c, *d])).collect();
            let mut picture = stripes(size.0, size.1);
            let cuts = apply(&mut picture, &Op::ALL, &things);
            prop_assert_eq!(picture.dimensions(), size);
            prop_assert!(cuts.iter().all(|cut| cut.picture.width() > 0 && cut.picture.height() > 0));
        }
    }
}
