//! What a detector makes of the truth: misses, jitter, boxes of nothing, and people hidden by others, which is where
//! tracks change places.

use crate::chance::Chance;
use crate::shop::ASPECT;
use crate::visitor::Visitor;
use std::collections::BTreeMap;
use watchpost::clue::Clues;
use watchpost::detection::{Class, Detection, Detections};
use watchpost::geometry::BBox;
use watchpost::time::{MediaTime, Span, WallTime};

/// How good it is.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    pub name: &'static str,
    /// Of each box in each frame.
    miss: f64,
    /// Deviation of each edge in box heights.
    jitter: f64,
    /// Who is covered by half is missed so often.
    hidden: f64,
    /// Per second and person: not seen for a while, of up to `longest` seconds.
    fades: f64,
    longest: f64,
    /// Boxes of nothing, begun per second; each lasts for up to two.
    ghosts: f64,
}

pub const LEVELS: [Noise; 3] = [
    Noise { name: "low", miss: 0.02, jitter: 0.01, hidden: 0.3, fades: 0.002, longest: 1.0, ghosts: 0.01 },
    Noise { name: "medium", miss: 0.08, jitter: 0.02, hidden: 0.6, fades: 0.01, longest: 1.5, ghosts: 0.05 },
    Noise { name: "high", miss: 0.2, jitter: 0.04, hidden: 0.9, fades: 0.02, longest: 2.5, ghosts: 0.15 },
];

pub struct Detector {
    noise: Noise,
    chance: Chance,
    /// Not seen until then, by visitor.
    faded: BTreeMap<usize, f64>,
    ghosts: Vec<(f64, BBox)>,
}

impl Detector {
    pub fn new(noise: Noise, seed: u64) -> Self {
        Detector { noise, chance: Chance::seeded(seed), faded: BTreeMap::new(), ghosts: Vec::new() }
    }

    /// One frame, `step` seconds after the one before.
    pub fn look(&mut self, visitors: &[Visitor], at: f64, step: f64) -> Detections {
        let (noise, chance) = (self.noise, &mut self.chance);
        let mut truth: Vec<(usize, BBox)> =
            visitors.iter().enumerate().filter_map(|(i, visitor)| Some((i, visitor.bbox(at)?))).collect();
        // The nearest first: whoever comes later may be behind.
        truth.sort_by(|a, b| b.1.y2.total_cmp(&a.1.y2));
        let mut items = Vec::new();
        for (n, (i, bbox)) in truth.iter().enumerate() {
            let covered =
                truth[..n].iter().map(|(_, front)| front.intersection(bbox) / bbox.area()).fold(0.0, f32::max);
            let hidden = covered > 0.5 && chance.happens(noise.hidden);
            if chance.happens(noise.fades * step) {
                self.faded.insert(*i, at + chance.between(0.3, noise.longest));
            }
            let faded = self.faded.get(i).is_some_and(|until| at < *until);
            if hidden || faded || chance.happens(noise.miss) {
                continue;
            }
            let height = f64::from(bbox.height());
            let mut edge = |v: f32| v + (chance.bell() * noise.jitter * height) as f32;
            let bbox = BBox::new(edge(bbox.x1), edge(bbox.y1), edge(bbox.x2), edge(bbox.y2)).clamped();
            let score = (0.85 - 0.4 * f64::from(covered) + 0.05 * chance.bell()).clamp(0.15, 0.98) as f32;
            items.push(Detection { class: visitors[*i].class, score, bbox });
        }
        if chance.happens(noise.ghosts * step) {
            let (x, y, h) = (chance.between(0.1, 0.9), chance.between(0.4, 0.9), chance.between(0.1, 0.3));
            let ghost = BBox::new((x - h / 5.0) as f32, (y - h) as f32, (x + h / 5.0) as f32, y as f32).clamped();
            self.ghosts.push((at + chance.between(0.2, 2.0), ghost));
        }
        self.ghosts.retain(|(until, _)| at < *until);
        for (_, ghost) in &self.ghosts {
            let score = chance.between(0.3, 0.8) as f32;
            items.push(Detection { class: Class::PERSON, score, bbox: *ghost });
        }
        items.sort_by(|a, b| b.score.total_cmp(&a.score));
        let film = MediaTime::from_secs_f64(at);
        Detections {
            at: film,
            taken: WallTime::from_micros(1_764_000_000_000_000) + (film - MediaTime::ZERO) + Span::ZERO,
            aspect: ASPECT as f32,
            items,
            clues: Clues::default(),
        }
    }
}
