//! What is normal: how often each cue had which value.

use super::cue::{Cue, Cues};

const STEPS: usize = 64;
/// So many looks are remembered; then all of them are halved, so that what was normal last year fades. Two weeks of a
/// busy camera at 5 looks a second.
const MOST: f64 = 4e6;

/// For each cue, how many looks fell below each of 65 steps over its range: 3 KB, whatever was learnt.
///
/// Learns from people of whom nobody says what they did. One thief among thousands moves it by nothing, but do not
/// teach it those whom an alert was about.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    below: [[f64; STEPS + 1]; Cue::ALL.len()],
}

impl Default for Norm {
    fn default() -> Self {
        Norm { below: [[0.0; STEPS + 1]; Cue::ALL.len()] }
    }
}

impl Norm {
    pub fn learn(&mut self, cues: &Cues) {
        for cue in Cue::ALL {
            let Some(value) = cues.get(cue) else { continue };
            let below = &mut self.below[cue as usize];
            let step = (place(cue, value) as usize).min(STEPS - 1);
            below[step + 1..].iter_mut().for_each(|count| *count += 1.0);
            if below[STEPS] >= MOST {
                below.iter_mut().for_each(|count| *count /= 2.0);
            }
        }
    }

    /// How many looks it knows, of the cue that was seen best.
    pub fn looks(&self) -> f64 {
        self.below.iter().map(|below| below[STEPS]).fold(0.0, f64::max)
    }

    /// The share of normal looks with less of this, 0..1; between two steps on a straight line. Half where nothing was
    /// learnt.
    pub fn share(&self, cue: Cue, value: f32) -> f32 {
        let below = &self.below[cue as usize];
        if below[STEPS] <= 0.0 {
            return 0.5;
        }
        let place = place(cue, value);
        let step = (place as usize).min(STEPS - 1);
        let part = f64::from(place) - step as f64;
        ((below[step] + (below[step + 1] - below[step]) * part) / below[STEPS]) as f32
    }

    /// How strange one look is, 0..1: the mean share over the cues. One that is hidden counts as ordinary, a half.
    pub fn rate(&self, cues: &Cues) -> f32 {
        let share = |cue: Cue| cues.get(cue).map_or(0.5, |value| self.share(cue, value));
        Cue::ALL.into_iter().map(share).sum::<f32>() / Cue::ALL.len() as f32
    }
}

/// 0..[`STEPS`]. What lies beyond an end is in the middle of the last step there: many who stand like nailed down are
/// not all stiller than the others.
fn place(cue: Cue, value: f32) -> f32 {
    let (least, most) = cue.range();
    ((value - least) / (most - least) * STEPS as f32).clamp(0.5, STEPS as f32 - 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hands(value: f32) -> Cues {
        Cues([Some(value), None, None, None, None])
    }

    #[test]
    fn the_share_is_what_lies_below() {
        let mut norm = Norm::default();
        assert_eq!((norm.share(Cue::Hands, 9.0), norm.looks()), (0.5, 0.0), "nothing learnt");
        for step in 0..1000 {
            norm.learn(&hands(step as f32 / 1000.0));
        }
        assert_eq!(norm.looks(), 1000.0);
        for (value, expected) in [(-5.0, 0.0), (0.0, 0.0), (0.25, 0.25), (0.5, 0.5), (0.9, 0.9), (7.0, 1.0)] {
            assert!((norm.share(Cue::Hands, value) - expected).abs() < 0.03, "{value}");
        }
        assert_eq!(norm.rate(&hands(7.0)), (1.0 + 4.0 * 0.5) / 5.0, "what is hidden is ordinary");
    }

    #[test]
    fn absurd_values_are_the_ends_and_order_does_not_matter() {
        let (mut one, mut other) = (Norm::default(), Norm::default());
        for value in [f32::NAN, f32::INFINITY, -1e30, 0.3, 0.9] {
            one.learn(&hands(value));
        }
        for value in [0.9, 0.3, -1e30, f32::INFINITY, f32::NAN] {
            other.learn(&hands(value));
        }
        assert_eq!(one, other);
        assert!((0.0..=1.0).contains(&one.share(Cue::Hands, 0.5)));
    }

    #[test]
    fn what_was_normal_fades() {
        let mut norm = Norm::default();
        norm.learn(&hands(0.0));
        norm.learn(&hands(1.0));
        norm.below[0].iter_mut().for_each(|count| *count *= MOST / 2.0 - 1.0);
        assert_eq!(norm.looks(), MOST - 2.0);
        for _ in 0..102 {
            norm.learn(&hands(1.0));
        }
        assert_eq!(norm.looks(), MOST / 2.0 + 100.0, "halved on the way");
        let share = norm.share(Cue::Hands, 0.5);
        assert!(share < 0.5 && share > 0.4999, "the shares are kept: {share}");
    }
}
