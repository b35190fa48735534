//! The colour of a class: the same in every picture, on every machine, for every model.

use crate::detection::Class;
use embedded_graphics::pixelcolor::{Rgb888, RgbColor};

/// Bright and far apart, so that a thin line shows on a street as well as on a shelf.
const COLOURS: [[u8; 3]; 16] = [
    [57, 220, 90],   // green
    [255, 106, 61],  // orange
    [64, 156, 255],  // blue
    [255, 214, 41],  // yellow
    [255, 77, 148],  // pink
    [58, 225, 225],  // cyan
    [186, 120, 255], // violet
    [255, 66, 66],   // red
    [170, 235, 60],  // lime
    [255, 168, 38],  // amber
    [110, 118, 255], // indigo
    [255, 150, 190], // rose
    [40, 200, 150],  // jade
    [225, 95, 235],  // magenta
    [140, 205, 255], // sky
    [214, 180, 120], // sand
];

/// By the name's FNV-1a hash, and not by order of appearance: a van is as blue tomorrow as today. The seed
/// was chosen so that what shops and streets are full of has colours of its own.
pub fn colour(class: Class) -> Rgb888 {
    const SEED: u32 = 0x762;
    let hash = class.name().bytes().fold(SEED, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
    let [r, g, b] = COLOURS[(hash ^ hash >> 16) as usize % COLOURS.len()];
    Rgb888::new(r, g, b)
}

/// Black or white, whichever can be read on `ground`.
pub fn ink_on(ground: Rgb888) -> Rgb888 {
    let luma = 299 * u32::from(ground.r()) + 587 * u32::from(ground.g()) + 114 * u32::from(ground.b());
    if luma > 125_000 { Rgb888::BLACK } else { Rgb888::WHITE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    const COMMON: [&str; 13] = [
        "person",
        "bicycle",
        "car",
        "motorcycle",
        "bus",
        "truck",
        "dog",
        "cat",
        "chair",
        "handbag",
        "backpack",
        "suitcase",
        "bottle",
    ];

    #[test]
    fn common_classes_differ() {
        let mut seen = BTreeMap::new();
        for name in COMMON {
            let c = colour(Class::named(name));
            if let Some(other) = seen.insert([c.r(), c.g(), c.b()], name) {
                panic!("{name} has the colour of {other}");
            }
        }
    }
}
