//! Canny's edges: thin white lines on black.

use image::{GrayImage, RgbImage, imageops};

/// The outlines of what is on the picture. Thresholds follow the picture's own contrast, so that a dim shop
/// shows its edges as well as a bright street.
pub fn canny(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let mut out = RgbImage::new(width, height);
    if width < 3 || height < 3 {
        return out;
    }
    let smooth = imageops::fast_blur(&imageops::grayscale(picture), 1.4);
    let slopes = sobel(&smooth);
    let (low, high) = thresholds(&slopes);
    let mut crest = crests(&slopes, low, width as usize);

    // From each strong crest along the weak ones that touch it.
    let mut open: Vec<usize> = (0..crest.len()).filter(|&i| crest[i] && slopes[i].strength >= high).collect();
    open.iter().for_each(|&i| crest[i] = false);
    let bytes: &mut [u8] = &mut out;
    while let Some(i) = open.pop() {
        bytes[3 * i..][..3].fill(255);
        for next in around(i, width as usize) {
            if std::mem::take(&mut crest[next]) {
                open.push(next);
            }
        }
    }
    out
}

/// The gradient at one pixel.
#[derive(Clone, Copy, Default)]
struct Slope {
    dx: i16,
    dy: i16,
    strength: u16,
}

/// Zero along the border, so every pixel with a slope has eight neighbours.
fn sobel(grey: &GrayImage) -> Vec<Slope> {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let luma: &[u8] = grey;
    let mut slopes = vec![Slope::default(); width * height];
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let at = |dx: usize, dy: usize| i16::from(luma[(y + dy - 1) * width + x + dx - 1]);
            let dx = at(2, 0) + 2 * at(2, 1) + at(2, 2) - at(0, 0) - 2 * at(0, 1) - at(0, 2);
            let dy = at(0, 2) + 2 * at(1, 2) + at(2, 2) - at(0, 0) - 2 * at(1, 0) - at(2, 0);
            slopes[y * width + x] = Slope { dx, dy, strength: dx.unsigned_abs() + dy.unsigned_abs() };
        }
    }
    slopes
}

/// One pixel in eight is steep enough to start an edge, but never one that is no more than noise.
fn thresholds(slopes: &[Slope]) -> (u16, u16) {
    const NOISE: u16 = 32;
    let mut strengths: Vec<u16> = slopes.iter().map(|s| s.strength).collect();
    let place = strengths.len() * 7 / 8;
    let (_, high, _) = strengths.select_nth_unstable(place);
    let high = (*high).max(NOISE);
    (high * 2 / 5, high)
}

/// Pixels that are steeper than their neighbours up and down the slope.
fn crests(slopes: &[Slope], low: u16, width: usize) -> Vec<bool> {
    let is_crest = |(i, s): (usize, &Slope)| {
        if s.strength < low.max(1) {
            return false;
        }
        let (x, y) = (i32::from(s.dx).abs(), i32::from(s.dy).abs());
        // tan 22.5 degrees is 0.414.
        let across = if 1000 * y < 414 * x {
            1
        } else if 1000 * x < 414 * y {
            width
        } else if (s.dx > 0) == (s.dy > 0) {
            width + 1
        } else {
            width - 1
        };
        s.strength > slopes[i - across].strength && s.strength >= slopes[i + across].strength
    };
    slopes.iter().enumerate().map(is_crest).collect()
}

/// The eight neighbours of a pixel that does not lie on the border.
fn around(i: usize, width: usize) -> [usize; 8] {
    [i - width - 1, i - width, i - width + 1, i - 1, i + 1, i + width - 1, i + width, i + width + 1]
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn white(picture: &RgbImage) -> Vec<(u32, u32)> {
        picture.enumerate_pixels().filter(|(_, _, p)| p.0 == [255; 3]).map(|(x, y, _)| (x, y)).collect()
    }

    #[test]
    fn a_step_is_one_thin_line() {
        let step = RgbImage::from_fn(40, 20, |x, _| Rgb([if x < 20 { 30 } else { 200 }; 3]));
        let edge = white(&canny(&step));
        assert!(edge.iter().all(|(x, _)| (19..=20).contains(x)), "{edge:?}");
        assert_eq!(edge.len(), 18, "one pixel in each row but the first and the last");
    }

    #[test]
    fn an_even_surface_has_none() {
        assert!(white(&canny(&RgbImage::from_pixel(30, 30, Rgb([90, 80, 70])))).is_empty());
        assert!(white(&canny(&RgbImage::from_pixel(2, 1, Rgb([90, 80, 70])))).is_empty());
    }
}
