//! Whether something moves, from a small grey picture: a background with its noise per pixel, and what differs from it.
//!
//! - What everything has in common is light, not motion: the camera's exposure, a cloud, dusk. It is found as a change
//!   of the dark and of the bright half of the picture, and taken off before anything is compared.
//! - When most of the picture changes between two frames (a lamp, the infrared filter, a camera that was turned), the
//!   background begins anew with what is seen now.
//! - A lone pixel is noise. It counts where most of its 5 x 5 neighbours differ, too: some 40 x 40 pixels of 720p.
//! - What differs moves only as long as it also differs from what was there a moment ago. A box that was put down, or the
//!   place where one stood, is in the mask until it has become background, but it does not move.
//!
//! Pure: time comes with the frames, all constants are seconds. Scored on CDnet's highway by `watchpost eval motion`.
//! Absent: shadows (who throws one is there, too) and colour (night has none).

use crate::sight::Grey;
use crate::time::{MediaTime, Span};

/// How fast background follows what looks like it, and what does not.
const FOLLOW_S: f32 = 4.0;
const ABSORB_S: f32 = 30.0;
/// How fast a pixel's noise is learnt, from what looks like background and from what does not: a branch in the wind or
/// a screen is noise after a while.
const NOISE_S: f32 = 2.0;
const UNREST_S: f32 = 120.0;
/// What "a moment ago" means.
const RECENT_S: f32 = 0.5;
/// Pixels of the mask that must differ from that. Fewer is the edge of somebody who breathes.
const LEAST_MOVING: u32 = 4;
/// What differs by more than so many times a pixel's noise is no noise.
const DEVIATIONS: f32 = 3.0;
/// Steps of 255 that are never motion: less is compression.
const LEAST: f32 = 12.0;
const FIRST_NOISE: f32 = 4.0;
/// Light that changes by more is no change that exposure makes between two frames.
const MOST_LIGHT: f32 = 40.0;
/// More of the picture than this does not move: it has changed.
const ALL: f32 = 0.5;
/// As much more than in the frame before, likewise.
const SUDDEN: f32 = 0.3;
/// As long a background is learnt, whatever differs is no motion to be relied on.
const LEARNING: Span = Span::from_millis(1_000);
/// After a longer gap, or back in time, it begins anew.
const GAP: Span = Span::from_millis(5_000);

/// What the newest frame has brought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// Not enough has been seen to tell.
    Learning,
    /// Nothing moves.
    Still,
    /// Something does.
    Moving,
    /// Everything is different: light was switched, or the camera moved.
    Changed,
}

/// The background of one camera.
#[derive(Debug, Default)]
pub struct Motion {
    size: (usize, usize),
    background: Vec<f32>,
    noise: Vec<f32>,
    recent: Vec<f32>,
    /// 1 where a pixel differs from `recent`.
    stirs: Vec<u8>,
    /// 1 where a pixel differs.
    differs: Vec<u8>,
    /// 255 where something moves.
    mask: Vec<u8>,
    share: f32,
    began: MediaTime,
    newest: MediaTime,
    frames: u32,
}

impl Motion {
    /// Takes the next frame, which was taken at `at`.
    pub fn look(&mut self, grey: &Grey, at: MediaTime) -> Seen {
        let dt = at - self.newest;
        if self.frames == 0 || (grey.width, grey.height) != self.size || dt <= Span::ZERO || dt > GAP {
            self.begin(grey, at);
            return Seen::Learning;
        }
        self.newest = at;
        self.frames += 1;
        let learning = at - self.began < LEARNING;
        let long_light = light(&self.background, grey);
        let late_light = light(&self.recent, grey);
        let dt = dt.secs_f64() as f32;
        let part = |tau: f32| 1.0 - (-dt / tau).exp();
        // At first the mean of all frames so far.
        let mean = 1.0 / self.frames as f32;
        let follow = part(FOLLOW_S).max(mean);
        let absorb = if learning { mean } else { part(ABSORB_S) };
        let (calm, unrest) = (part(NOISE_S), part(UNREST_S));
        let recent = part(RECENT_S);
        let mut different = 0u32;
        let long = self.background.iter_mut().zip(&mut self.noise).zip(&mut self.differs);
        let late = self.recent.iter_mut().zip(&mut self.stirs);
        for ((((background, noise), differs), (late, stirs)), &byte) in long.zip(late).zip(&grey.pixels) {
            let byte = f32::from(byte);
            let least = (DEVIATIONS * *noise).max(LEAST);
            let raw = byte - *background;
            let off = (raw - long_light.at(*background)).abs();
            let is_new = off > least;
            different += u32::from(is_new);
            *differs = u8::from(is_new);
            *background += raw * if is_new { absorb } else { follow };
            // Mean deviation to standard deviation, of a normal distribution.
            *noise += (1.25 * off - *noise) * if is_new { unrest } else { calm };
            let raw = byte - *late;
            *stirs = u8::from((raw - late_light.at(*late)).abs() > least);
            *late += raw * recent;
        }
        let before = std::mem::replace(&mut self.share, different as f32 / grey.pixels.len() as f32);
        if self.share > ALL || self.share - before > SUDDEN {
            self.begin(grey, at);
            return Seen::Changed;
        }
        self.agree();
        let moving = self.mask.iter().zip(&self.stirs).map(|(mask, stirs)| u32::from(mask & stirs)).sum();
        match moving {
            _ if learning => Seen::Learning,
            LEAST_MOVING.. => Seen::Moving,
            _ => Seen::Still,
        }
    }

    /// Of the newest frame: 255 where something moves, else 0; as large as the picture was.
    pub fn mask(&self) -> &[u8] {
        &self.mask
    }

    fn begin(&mut self, grey: &Grey, at: MediaTime) {
        let n = grey.pixels.len();
        self.size = (grey.width, grey.height);
        for plane in [&mut self.background, &mut self.recent] {
            plane.clear();
            plane.extend(grey.pixels.iter().map(|&byte| f32::from(byte)));
        }
        for plane in [&mut self.differs, &mut self.stirs, &mut self.mask] {
            plane.clear();
            plane.resize(n, 0);
        }
        self.noise.clear();
        self.noise.resize(n, FIRST_NOISE);
        (self.share, self.began, self.newest, self.frames) = (0.0, at, at, 1);
    }

    /// Fills the mask with what most of the 5 x 5 neighbours agree on.
    fn agree(&mut self) {
        const REACH: usize = 2;
        const MOST: u8 = 13;
        let (w, h) = self.size;
        let mut columns = vec![0u8; w + 2 * REACH];
        for y in 0..h {
            columns.fill(0);
            for row in y.saturating_sub(REACH)..(y + REACH + 1).min(h) {
                let differs = &self.differs[row * w..][..w];
                columns[REACH..][..w].iter_mut().zip(differs).for_each(|(sum, &one)| *sum += one);
            }
            let mask = &mut self.mask[y * w..][..w];
            for (mask, around) in mask.iter_mut().zip(columns.windows(2 * REACH + 1)) {
                *mask = 255 * u8::from(around.iter().sum::<u8>() >= MOST);
            }
        }
    }
}

/// What everything has in common against `background`. Medians, so that what moves has no say as long as it is less than
/// half of the dark and of the bright pixels.
fn light(background: &[f32], grey: &Grey) -> Light {
    let middle = background.iter().sum::<f32>() / background.len() as f32;
    let mut halves = [Half::default(), Half::default()];
    for (&background, &byte) in background.iter().zip(&grey.pixels) {
        halves[usize::from(background > middle)].add(background, f32::from(byte) - background);
    }
    let [dark, bright] = halves.map(|half| half.mean_and_median());
    match (dark, bright) {
        (Some((b0, d0)), Some((b1, d1))) if b1 - b0 > 16.0 => Light::through((b0, d0), (b1, d1)),
        (Some((b, d)), _) | (_, Some((b, d))) => Light::through((b, d), (b + 1.0, d)),
        (None, None) => Light::through((0.0, 0.0), (1.0, 0.0)),
    }
}

/// By how much everything is brighter, as a line over brightness: exposure multiplies, fog adds.
struct Light {
    at_black: f32,
    per_step: f32,
}

impl Light {
    fn through((b0, d0): (f32, f32), (b1, d1): (f32, f32)) -> Self {
        let per_step = (d1 - d0) / (b1 - b0);
        Light { at_black: d0 - per_step * b0, per_step }
    }
    fn at(&self, background: f32) -> f32 {
        (self.at_black + self.per_step * background).clamp(-MOST_LIGHT, MOST_LIGHT)
    }
}

/// Of the pixels of similar brightness: how often they differ by how much.
struct Half {
    by_difference: [u32; 511],
    background: f32,
    n: u32,
}

impl Default for Half {
    fn default() -> Self {
        Half { by_difference: [0; 511], background: 0.0, n: 0 }
    }
}

impl Half {
    fn add(&mut self, background: f32, difference: f32) {
        // Truncation, for speed; the half that it takes off is put back below.
        self.by_difference[((difference + 255.0) as usize).min(510)] += 1;
        self.background += background;
        self.n += 1;
    }

    fn mean_and_median(&self) -> Option<(f32, f32)> {
        let mut below = 0;
        let median = self.by_difference.iter().position(|n| {
            below += n;
            below * 2 > self.n
        })?;
        Some((self.background / self.n as f32, median as f32 - 254.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A textured room, the same noise for the same frame on every machine.
    fn room(frame: i64, light: f32, boxes: &[(usize, usize)]) -> Grey {
        let (width, height) = (160, 90);
        let mut state = (frame as u32).wrapping_mul(2_654_435_761) | 1;
        let pixels = (0..width * height).map(|i| {
            let (x, y) = (i % width, i / width);
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 29) as f32 - 3.5;
            let is_person =
                boxes.iter().any(|&(left, top)| (left..left + 8).contains(&x) && (top..top + 20).contains(&y));
            let scene = if is_person { 30.0 } else { 60.0 + (x / 10 * 37 % 90) as f32 + y as f32 / 3.0 };
            (scene * light + noise).clamp(0.0, 255.0) as u8
        });
        Grey { width, height, pixels: pixels.collect() }
    }

    /// Ten frames a second; what is seen from `from` on, as one letter a frame.
    fn story(seconds: f32, mut scene: impl FnMut(f32) -> (f32, Vec<(usize, usize)>)) -> String {
        let mut motion = Motion::default();
        let frames = (seconds * 10.0) as i64;
        let look = |n: i64| {
            let (light, boxes) = scene(n as f32 / 10.0);
            match motion.look(&room(n, light, &boxes), MediaTime::from_micros(n * 100_000)) {
                Seen::Learning => 'l',
                Seen::Still => '.',
                Seen::Moving => 'M',
                Seen::Changed => 'C',
            }
        };
        (0..frames).map(look).collect()
    }

    #[test]
    fn noise_is_not_motion() {
        assert_eq!(story(20.0, |_| (1.0, vec![])), "l".repeat(10) + &".".repeat(190));
    }

    #[test]
    fn somebody_walks_through_and_is_seen_from_the_first_frame_to_the_last() {
        let told = story(6.0, |t| {
            (1.0, if (2.0..5.0).contains(&t) { vec![(((t - 2.0) * 40.0) as usize, 40)] } else { vec![] })
        });
        assert_eq!(told, "l".repeat(10) + &".".repeat(10) + &"M".repeat(30) + &".".repeat(10));
    }

    #[test]
    fn a_lamp_is_no_motion_and_motion_is_seen_a_second_later() {
        let walks = |t: f32| if t < 5.0 { vec![] } else { vec![(((t - 5.0) * 40.0) as usize, 30)] };
        let told = story(8.0, |t| (if t < 3.0 { 1.0 } else { 1.6 }, walks(t)));
        assert_eq!(&told[..30], "l".repeat(10) + &".".repeat(20));
        // Said once, or understood as light and never.
        assert!(!told[30..50].contains('M') && told[30..50].ends_with("........"), "{told}");
        assert_eq!(&told[50..], "M".repeat(30));
    }

    #[test]
    fn exposure_that_drifts_is_no_motion() {
        let told = story(30.0, |t| (1.0 + 0.3 * (t / 5.0).sin(), vec![]));
        assert_eq!(told, "l".repeat(10) + &".".repeat(290));
    }

    #[test]
    fn what_is_put_down_rests_soon() {
        let told = story(60.0, |t| (1.0, if t < 5.0 { vec![] } else { vec![(60, 30)] }));
        assert_eq!(&told[45..55], ".....MMMMM");
        assert_eq!(&told[70..], ".".repeat(530));
    }

    #[test]
    fn another_size_and_another_time_begin_anew() {
        let mut motion = Motion::default();
        let at = |s: i64| MediaTime::from_micros(s * 1_000_000);
        for s in 0..5 {
            motion.look(&room(s, 1.0, &[]), at(s));
        }
        assert_eq!(motion.look(&room(5, 1.0, &[]), at(5)), Seen::Still);
        assert_eq!(motion.look(&room(6, 1.0, &[]), at(5)), Seen::Learning);
        assert_eq!(motion.look(&room(7, 1.0, &[]), at(50)), Seen::Learning);
        assert_eq!(motion.look(&Grey { width: 2, height: 1, pixels: vec![0, 0] }, at(51)), Seen::Learning);
        assert_eq!(motion.mask(), [0, 0]);
    }
}
