//! A made-up shelf, drawn frame by frame: coloured goods with labels on two boards, hands, people and lamps.

use super::*;
use crate::clue::{Clues, ShelfChange};
use crate::detection::Detection;
use crate::event::Phase;
use crate::frame::Picture;
use crate::geometry::Point;
use crate::ids::RuleId;
use crate::pattern::story::{plan, rule};
use crate::pipeline::Pipeline;
use crate::time::WallTime;
use image::{Rgb, RgbImage};
use std::sync::Arc;

const WIDTH: u32 = 640;
const HEIGHT: u32 = 360;
const COLUMNS: usize = 6;
const SLOTS: usize = 2 * COLUMNS;
/// Pixels of one thing.
const THING: (i32, i32) = (44, 64);

/// What there is at one moment.
#[derive(Clone)]
struct Shop {
    goods: [bool; SLOTS],
    /// Shoulder to shoulder before a dark back, instead of apart before a bright wall.
    crowded: bool,
    /// What every colour is multiplied with.
    lamp: [f32; 3],
    /// Slots with a hand over them.
    hands: Vec<usize>,
    /// Foot points of people, x in pixels, and whether the detector finds them.
    people: Vec<(i32, bool)>,
}

impl Shop {
    fn full() -> Self {
        Shop { goods: [true; SLOTS], crowded: false, lamp: [1.0; 3], hands: vec![], people: vec![] }
    }
    fn with_hands(mut self, hands: &[usize]) -> Self {
        self.hands = hands.to_vec();
        self
    }
    fn without(mut self, slots: &[usize]) -> Self {
        slots.iter().for_each(|slot| self.goods[*slot] = false);
        self
    }

    /// Left upper corner.
    fn place(&self, slot: usize) -> (i32, i32) {
        let (column, row) = ((slot % COLUMNS) as i32, (slot / COLUMNS) as i32);
        let pitch = if self.crowded { THING.0 } else { 80 };
        (100 + column * pitch, 90 + row * 96)
    }

    fn draw(&self, n: u32) -> RgbImage {
        let mut rgb =
            RgbImage::from_pixel(WIDTH, HEIGHT, Rgb(if self.crowded { [52, 46, 42] } else { [186, 180, 168] }));
        for board in [154, 250] {
            fill(&mut rgb, (60, board), (520, 8), [110, 84, 60]);
        }
        for slot in (0..SLOTS).filter(|slot| self.goods[*slot]) {
            let (x, y) = self.place(slot);
            let colour = [[190, 50, 40], [40, 90, 170], [60, 140, 60]][slot % 3];
            fill(&mut rgb, (x, y), THING, colour);
            fill(&mut rgb, (x + 6, y + 14), (THING.0 - 12, 8), [235, 235, 225]);
            fill(&mut rgb, (x + 6, y + 36), (THING.0 - 20, 6), [30, 30, 30]);
        }
        for (i, slot) in self.hands.iter().enumerate() {
            let (x, y) = self.place(*slot);
            // It never holds quite still.
            let shift = ((n + i as u32) % 3) as i32 * 8;
            fill(&mut rgb, (x + 4 + shift, 0), (28, y + 40), [120, 30, 60]);
            fill(&mut rgb, (x + shift, y + 20), (36, 44), [224, 172, 140]);
        }
        for (x, _) in &self.people {
            let sway = (n % 3) as i32 * 3;
            fill(&mut rgb, (x - 30 + sway, 60), (60, 300), [30, 34, 60]);
            fill(&mut rgb, (x - 18 + sway, 20), (36, 40), [214, 160, 130]);
        }
        let mut state = n.wrapping_mul(2_654_435_761) | 1;
        for pixel in rgb.pixels_mut() {
            for (byte, lamp) in pixel.0.iter_mut().zip(self.lamp) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (f32::from(*byte) * lamp + (state >> 28) as f32 - 7.5).clamp(0.0, 255.0) as u8;
            }
        }
        rgb
    }
}

fn fill(rgb: &mut RgbImage, (x, y): (i32, i32), (w, h): (i32, i32), colour: [u8; 3]) {
    for y in y.max(0)..(y + h).min(HEIGHT as i32) {
        for x in x.max(0)..(x + w).min(WIDTH as i32) {
            rgb.put_pixel(x as u32, y as u32, Rgb(colour));
        }
    }
}

fn shelf() -> (ZoneId, Polygon) {
    let corners = [[0.1, 0.18], [0.92, 0.18], [0.92, 0.74], [0.1, 0.74]];
    (ZoneId::new("shelf"), Polygon::new(corners.iter().map(|&[x, y]| Point::new(x, y)).collect()).unwrap())
}

/// Five frames a second; what the shop is like at each second is `scene`.
fn film(seconds: f32, scene: impl Fn(f32) -> Shop) -> Vec<(Shop, Detections)> {
    let mut shelves = Shelves::new([shelf()]);
    let frames = (seconds * 5.0) as u32;
    let see = |n: u32| {
        let at = MediaTime::from_secs_f64(f64::from(n) / 5.0);
        let shop = scene(n as f32 / 5.0);
        let picture = Picture::Rgb(Arc::new(shop.draw(n)));
        let person = |x: i32| {
            let (x, w) = (x as f32 / WIDTH as f32, 33.0 / WIDTH as f32);
            Detection { class: Class::PERSON, score: 0.9, bbox: BBox::new(x - w, 0.04, x + w, 1.0) }
        };
        let items = shop.people.iter().filter(|(_, found)| *found).map(|(x, _)| person(*x)).collect();
        let frame = Frame { index: u64::from(n), at, taken: WallTime::EPOCH + (at - MediaTime::ZERO), picture };
        let mut found = Detections { at, taken: frame.taken, aspect: 16.0 / 9.0, items, clues: Clues::default() };
        shelves.see(&frame, &mut found).unwrap();
        (shop, found)
    };
    (0..frames).map(see).collect()
}

/// `gone 2`, with the slots of the place, one a line; touches where they are asked for.
fn told(film: &[(Shop, Detections)], touches: bool) -> Vec<String> {
    let mut lines = Vec::new();
    for (shop, found) in film {
        for sight in &found.clues.shelves {
            let is_in = |slot: &usize| {
                let (x, y) = shop.place(*slot);
                let x = (x + THING.0 / 2) as f32 / WIDTH as f32;
                let y = (y + THING.1 / 2) as f32 / HEIGHT as f32;
                (sight.bbox.x1..sight.bbox.x2).contains(&x) && (sight.bbox.y1..sight.bbox.y2).contains(&y)
            };
            let slots: Vec<String> = (0..SLOTS).filter(is_in).map(|slot| slot.to_string()).collect();
            if sight.what != ShelfChange::Touched || touches {
                lines.push(format!("{} {}", sight.what.name(), slots.join("+")));
            }
        }
    }
    lines
}

/// A hand over a slot from `at` on for 1.4 s.
fn reaches(t: f32, at: f32) -> bool {
    (at..at + 1.4).contains(&t)
}

/// One thing is taken at 6 s and put back at 12 s.
fn taken_and_put_back(t: f32, slot: usize, crowded: bool) -> Shop {
    let shop = Shop { crowded, ..Shop::full() };
    let shop = if (6.0..12.0).contains(&t) { shop.without(&[slot]) } else { shop };
    if reaches(t, 5.2) || reaches(t, 11.2) { shop.with_hands(&[slot]) } else { shop }
}

#[test]
fn one_thing_is_taken_and_put_back() {
    for (crowded, slot) in [(false, 2), (false, 9), (true, 3), (true, 7)] {
        let film = film(18.0, |t| taken_and_put_back(t, slot, crowded));
        let expected = [format!("gone {slot}"), format!("there {slot}")];
        assert_eq!(told(&film, false), expected, "crowded: {crowded}");
        let touches = told(&film, true).iter().filter(|line| line.starts_with("touched")).count();
        assert_eq!(touches, 2, "crowded: {crowded}: {:?}", told(&film, true));
    }
}

#[test]
fn when_it_happened_is_told_with_it() {
    let film = film(18.0, |t| taken_and_put_back(t, 2, false));
    let gone = film.iter().find(|(_, found)| found.clues.shelves.iter().any(|s| s.what == ShelfChange::Gone)).unwrap();
    let sight = gone.1.clues.shelves.iter().find(|s| s.what == ShelfChange::Gone).unwrap();
    let shown = (gone.1.at - MediaTime::ZERO).secs_f64() - sight.shown.secs_f64();
    assert!((6.2..7.2).contains(&shown), "the hand is away at 6.6 s: {shown}");
    let began = shown - sight.hidden.secs_f64();
    assert!((4.8..5.6).contains(&began), "and came at 5.2 s: {began}");
    let part = f64::from(sight.cells) / f64::from(sight.of);
    let true_part = f64::from(THING.0 * THING.1) / (0.82 * 0.56 * f64::from(WIDTH * HEIGHT));
    assert!((0.9 * true_part..1.8 * true_part).contains(&part), "{part} of {true_part}");
}

#[test]
fn a_hand_that_takes_nothing_touches() {
    let film = film(12.0, |t| if reaches(t, 5.0) { Shop::full().with_hands(&[4]) } else { Shop::full() });
    let told = told(&film, true);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("touched"), "{told:?}");
}

#[test]
fn light_takes_nothing() {
    type Lamp = fn(f32) -> [f32; 3];
    let lamps: [(&str, Lamp); 4] = [
        ("dusk", |t| [1.0 - 0.02 * t; 3]),
        ("a lamp is switched on", |t| if t < 8.0 { [0.6; 3] } else { [1.0; 3] }),
        ("a warm lamp is switched on", |t| if t < 8.0 { [0.9; 3] } else { [1.15, 1.0, 0.8] }),
        ("exposure hunts", |t| [1.0 + 0.2 * (t * 1.5).sin(); 3]),
    ];
    for (story, lamp) in lamps {
        let film = film(20.0, |t| Shop { lamp: lamp(t), ..Shop::full() });
        assert_eq!(told(&film, true), [""; 0], "{story}");
    }
    // And what is taken afterwards is seen all the same.
    let film = film(24.0, |t| {
        let lamp = if t < 1.5 { [0.7; 3] } else { [1.1, 1.0, 0.9] };
        Shop { lamp, ..taken_and_put_back(t - 4.0, 2, false) }
    });
    assert_eq!(told(&film, false), ["gone 2", "there 2"]);
}

#[test]
fn whoever_walks_by_takes_nothing() {
    for found in [true, false] {
        let walks = |t: f32| {
            let people = if (5.0..11.0).contains(&t) { vec![((t - 5.0) * 130.0) as i32 - 60] } else { vec![] };
            Shop { people: people.into_iter().map(|x| (x, found)).collect(), ..Shop::full() }
        };
        assert_eq!(told(&film(16.0, walks), true), [""; 0], "found by the detector: {found}");
    }
}

#[test]
fn what_somebody_hides_is_judged_when_he_has_gone() {
    // He stands before slots 1 and 7 for ten seconds; 7 is missing afterwards.
    let scene = |t: f32| {
        let shop = if t < 10.0 { Shop::full() } else { Shop::full().without(&[7]) };
        let people = if (5.0..15.0).contains(&t) { vec![(202, true)] } else { vec![] };
        Shop { people, ..shop }
    };
    let film = film(22.0, scene);
    let first = film.iter().find(|(_, found)| !found.clues.shelves.is_empty()).unwrap();
    assert!(first.1.at > MediaTime::from_secs_f64(15.5), "not while he stands there");
    assert_eq!(told(&film, false), ["gone 7"]);
    let hidden = first.1.clues.shelves[0].hidden.secs_f64();
    assert!((9.0..12.5).contains(&hidden), "{hidden}");
}

/// The events of a rule, as `start` or `end`, and their sentences.
fn events(rule_words: &str, film: &[(Shop, Detections)]) -> Vec<(Phase, String)> {
    let mut plan = plan();
    plan.rules.insert(RuleId::new("r"), rule(rule_words));
    let mut pipeline = Pipeline::new(plan);
    film.iter().flat_map(|(_, found)| pipeline.step(found)).map(|event| (event.phase, event.explain)).collect()
}

/// Every 0.8 s a hand over the next slot, from the sixth second on; `first` and `then` tell whether goods are there.
fn one_after_the_other(t: f32, first: bool) -> Shop {
    let mut shop = Shop { people: vec![(590, true)], ..Shop::full() };
    let done = ((t - 6.0) / 0.8).floor();
    for slot in 0..SLOTS {
        shop.goods[slot] = first == ((slot as f32) > done);
    }
    if (0.0..SLOTS as f32).contains(&done) {
        let slot = done as usize;
        // The hand covers the change.
        shop.hands = vec![slot];
    }
    shop
}

#[test]
fn a_sweep_is_told_and_a_restock_is_not() {
    let rule = "kind=shelf_sweep zone=shelf min_share=0.15 within_s=15";
    let sweep = film(36.0, |t| one_after_the_other(t, true));
    let told_of = events(rule, &sweep);
    assert_eq!(told_of.iter().map(|(phase, _)| *phase).collect::<Vec<_>>(), [Phase::Start, Phase::End], "{told_of:?}");
    assert!(told_of[0].1.contains("with 1 person beside it"), "{told_of:?}");
    let restock = film(36.0, |t| one_after_the_other(t, false));
    assert_eq!(events(rule, &restock), [], "{:?}", told(&restock, false));
    let filled: u32 = restock
        .iter()
        .flat_map(|(_, f)| &f.clues.shelves)
        .filter(|s| s.what == ShelfChange::There)
        .map(|s| s.cells)
        .sum();
    assert!(filled > 400, "it was filled: {filled} cells");
    // One piece, put back, is no sweep either.
    assert_eq!(events(rule, &film(18.0, |t| taken_and_put_back(t, 2, false))), []);
}

#[test]
fn a_pause_and_another_picture_are_no_change() {
    let mut shelves = Shelves::new([shelf()]);
    let mut see = |s: f64, shop: &Shop, rgb: Option<RgbImage>| {
        let at = MediaTime::from_secs_f64(s);
        let picture = Picture::Rgb(Arc::new(rgb.unwrap_or_else(|| shop.draw((s * 5.0) as u32))));
        let frame = Frame { index: 0, at, taken: WallTime::EPOCH, picture };
        let mut found = Detections { at, taken: frame.taken, aspect: 1.78, items: vec![], clues: Clues::default() };
        shelves.see(&frame, &mut found).unwrap();
        found.clues.shelves.len()
    };
    let full = Shop::full();
    assert_eq!((0..50).map(|n| see(f64::from(n) * 0.2, &full, None)).sum::<usize>(), 0);
    // Ten minutes later two are gone: that is told, though nobody saw how.
    let later = full.clone().without(&[1, 4]);
    assert_eq!((0..50).map(|n| see(610.0 + f64::from(n) * 0.2, &later, None)).sum::<usize>(), 2);
    // Another size, another view, and time that starts over.
    let other = RgbImage::from_fn(400, 300, |x, y| Rgb([(x / 2) as u8, (y / 2) as u8, 90]));
    assert_eq!((0..50).map(|n| see(630.0 + f64::from(n) * 0.2, &full, Some(other.clone()))).sum::<usize>(), 0);
    let elsewhere = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb([(y / 2) as u8, (x / 4) as u8, 40]));
    assert_eq!((0..50).map(|n| see(f64::from(n) * 0.2, &full, None)).sum::<usize>(), 0);
    assert_eq!((50..120).map(|n| see(f64::from(n) * 0.2, &full, Some(elsewhere.clone()))).sum::<usize>(), 0);
}
