//! One person, over time.

use super::cue::{Cue, Cues, Look, distance, look};
use super::norm::Norm;
use crate::clue::Pose;
use crate::geometry::Point;
use crate::time::{MediaTime, Span};
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Speed is that since the oldest look within this; a hand was out lately when it was within this.
const LATELY: Span = Span::from_millis(2_000);
/// A score tells of the time from so long before a moment ...
pub const BACK: Span = Span::from_millis(2_500);
/// ... to so long after it.
pub const AHEAD: Span = Span::from_millis(600);
/// Who was never so many lengths of his torso away from where he was first seen is not scored: whoever stands at the
/// till all day has his hands at work there, and what never walks may be no person at all.
const WALKED: f32 = 2.0;
/// Slower is measurement noise.
const SLOWEST: f32 = 1e-3;
/// A share from which a cue is worth a word.
const NOTABLE: f32 = 0.75;

/// What is remembered of a track: some 3 s of looks.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    lately: VecDeque<(MediaTime, Look)>,
    looks: VecDeque<(MediaTime, Cues)>,
    began: Option<Point>,
    /// Lengths of the torso.
    farthest: f32,
}

/// How strange somebody's posture was.
#[derive(Debug, Clone, PartialEq)]
pub struct Strangeness {
    /// 0..1: half is the middle of what is normal. The mean of [`Norm::rate`] over the time.
    pub score: f32,
    /// By [`Cue`]: its mean share over the looks in which it was seen.
    pub shares: [Option<f32>; Cue::ALL.len()],
}

impl Watch {
    /// Takes in a pose; times never go back. `aspect` is the frame's width divided by its height. Gives what there is
    /// to learn from, nothing where the pose is not clear.
    pub fn see(&mut self, at: MediaTime, pose: &Pose, aspect: f32) -> Option<Cues> {
        let look = look(pose, aspect)?;
        let Look { body, mut cues, folded } = look;
        while self.lately.front().is_some_and(|(then, _)| at - *then > LATELY) {
            self.lately.pop_front();
        }
        if let Some((then, before)) = self.lately.front().filter(|(then, _)| at > *then) {
            let pace = distance(body.at, before.body.at) / body.size / (at - *then).secs_f64() as f32;
            cues.0[Cue::Standing as usize] = Some(-pace.max(SLOWEST).log10());
        }
        self.lately.push_back((at, look));
        let reaches = self.lately.iter().filter_map(|(_, look)| look.cues.get(Cue::Reach));
        let out = reaches.fold(f32::NEG_INFINITY, f32::max);
        // A folded arm has a wrist that is seen, so there is at least its reach.
        cues.0[Cue::Fetching as usize] = folded.map(|folded| folded.min(out));
        let began = *self.began.get_or_insert(body.at);
        self.farthest = self.farthest.max(distance(body.at, began) / body.size);
        self.forget(at);
        self.looks.push_back((at, cues));
        Some(cues)
    }

    fn forget(&mut self, now: MediaTime) {
        let window = BACK + AHEAD;
        while self.looks.front().is_some_and(|(then, _)| now - *then > window) {
            self.looks.pop_front();
        }
    }

    /// Of the moment [`AHEAD`] before `now`, when all that was seen until now has been taken in. Nothing where nobody
    /// was seen around it, or who was seen has not walked yet.
    pub fn strangeness(&mut self, now: MediaTime, norm: &Norm) -> Option<Strangeness> {
        self.forget(now);
        if self.looks.is_empty() || self.farthest < WALKED {
            return None;
        }
        let score = self.looks.iter().map(|(_, cues)| norm.rate(cues)).sum::<f32>() / self.looks.len() as f32;
        let shares = Cue::ALL.map(|cue| {
            let seen = self.looks.iter().filter_map(|(_, cues)| cues.get(cue));
            let (count, sum) = seen.fold((0.0, 0.0), |(n, sum), value| (n + 1.0, sum + norm.share(cue, value)));
            (count > 0.0).then(|| sum / count)
        });
        Some(Strangeness { score, shares })
    }
}

impl Strangeness {
    /// The cues that made it strange, the strangest first: "hands held higher than in 93 of 100 normal moments".
    /// Empty where none stands out.
    pub fn words(&self) -> String {
        let mut notable: Vec<(f32, Cue)> =
            Cue::ALL.into_iter().filter_map(|cue| Some((self.shares[cue as usize]?, cue))).collect();
        notable.retain(|(share, _)| *share >= NOTABLE);
        notable.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut words = String::new();
        for (share, cue) in notable {
            let what = match cue {
                Cue::Hands => "hands held higher",
                Cue::Reach => "an arm farther out",
                Cue::Head => "the head lower",
                Cue::Standing => "standing more still",
                Cue::Fetching => "a hand brought closer to the body after it was out",
            };
            let gap = if words.is_empty() { "" } else { ", " };
            let hundredth = (share * 100.0).round();
            write!(words, "{gap}{what} than in {hundredth} of 100 normal moments").expect("a string takes everything");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::super::doll::{Doll, pose};
    use super::*;

    /// Walks in from the left for 2 s, then stands at x = .6; looks at 10 a second.
    fn visit(seconds: f64, doll: impl Fn(f64) -> Doll) -> Vec<(MediaTime, Pose)> {
        let step = |n: u32| {
            let t = f64::from(n) / 10.0;
            let x = 0.2 + 0.2 * t.min(2.0) as f32;
            (MediaTime::from_secs_f64(t), pose(Doll { x, ..doll(t) }))
        };
        (0..(seconds * 10.0) as u32).map(step).collect()
    }

    const AT_WORK: [(f32, f32); 2] = [(0.9, 0.8), (0.1, 0.5)];

    /// Not all let their arms hang alike.
    fn normal() -> Norm {
        let mut norm = Norm::default();
        for off in [-0.1, -0.05, 0.0, 0.05, 0.1] {
            let mut watch = Watch::default();
            let doll = Doll { wrists: [(0.4 + off, off), (-0.4 - off, off)], ..Doll::default() };
            for (at, pose) in visit(10.0, |_| doll) {
                norm.learn(&watch.see(at, &pose, 1.0).unwrap());
            }
        }
        norm
    }

    fn scores(visit: &[(MediaTime, Pose)]) -> Vec<Option<Strangeness>> {
        let (norm, mut watch) = (normal(), Watch::default());
        let score = |(at, pose): &(MediaTime, Pose)| {
            watch.see(*at, pose, 1.0);
            watch.strangeness(*at, &norm)
        };
        visit.iter().map(score).collect()
    }

    #[test]
    fn hands_that_go_to_work_are_stranger_than_hands_that_hang() {
        let busy = |t: f64| if t > 5.0 { Doll { wrists: AT_WORK, ..Doll::default() } } else { Doll::default() };
        let (idle, busy) = (scores(&visit(9.0, |_| Doll::default())), scores(&visit(9.0, busy)));
        assert_eq!(idle[..50], busy[..50], "nothing is known of what comes");
        let (idle, busy) = (idle[85].clone().unwrap(), busy[85].clone().unwrap());
        assert!(busy.score > idle.score + 0.2, "{busy:?} beside {idle:?}");
        let words = busy.words();
        assert!(
            words.starts_with("hands held higher than in 100 of 100 normal moments, an arm farther out"),
            "{words}"
        );
        assert_eq!(idle.words(), "");
    }

    #[test]
    fn who_never_walked_has_no_score() {
        let stays = |n: u32| {
            let doll = Doll { x: 0.5 + 0.01 * (n % 3) as f32, wrists: AT_WORK, ..Doll::default() };
            (MediaTime::from_secs_f64(f64::from(n) / 10.0), pose(doll))
        };
        assert!(scores(&(0..200).map(stays).collect::<Vec<_>>()).iter().all(Option::is_none));
        assert!(scores(&visit(3.0, |_| Doll::default()))[20].is_some(), "who walks has one");
    }

    #[test]
    fn a_hand_that_comes_back_is_more_than_one_that_was_at_the_body() {
        const FOLDED: [(f32, f32); 2] = [(0.0, 0.5), (-0.1, 0.5)];
        let fetched = |out: f32| {
            let doll = |t| Doll { wrists: if t < 4.0 { [(out, 0.9), (-0.4, 0.0)] } else { FOLDED }, ..Doll::default() };
            let mut watch = Watch::default();
            let cues = visit(7.0, doll).into_iter().map(|(at, pose)| watch.see(at, &pose, 1.0).unwrap());
            cues.map(|cues| cues.get(Cue::Fetching).unwrap()).collect::<Vec<_>>()
        };
        let (far, near) = (fetched(1.2), fetched(0.3));
        assert!(far[39] < 0.2, "out, not back: {}", far[39]);
        assert!(far[45] > 0.8 && near[45] < 0.45, "{} and {}", far[45], near[45]);
        assert!(far[65] < 0.2, "it was out too long ago: {}", far[65]);
    }

    #[test]
    fn pace_is_per_second_whatever_the_rate() {
        let walk = visit(2.0, |_| Doll::default());
        let (mut every, mut fifth) = (Watch::default(), Watch::default());
        let all: Vec<_> = walk.iter().map(|(at, pose)| every.see(*at, pose, 1.0).unwrap()).collect();
        let few: Vec<_> = walk.iter().step_by(5).map(|(at, pose)| fifth.see(*at, pose, 1.0).unwrap()).collect();
        assert_eq!(all[0].get(Cue::Standing), None, "one look has no pace");
        // .2 of the frame a second, torsos of .1: two lengths a second.
        for cues in [all[15], few[3]] {
            assert!((cues.get(Cue::Standing).unwrap() + 2.0f32.log10()).abs() < 1e-3, "{cues:?}");
        }
    }

    #[test]
    fn a_gap_is_no_memory() {
        let (norm, mut watch) = (normal(), Watch::default());
        for (at, pose) in visit(3.0, |_| Doll::default()) {
            watch.see(at, &pose, 1.0);
        }
        assert!(watch.strangeness(MediaTime::from_secs_f64(6.0), &norm).is_some());
        assert!(watch.strangeness(MediaTime::from_secs_f64(6.1), &norm).is_none());
        assert!(watch.looks.is_empty() && watch.lately.len() <= 21, "what is remembered has a bound");
    }
}
