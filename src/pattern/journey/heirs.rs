//! A track that breaks and goes on under another number: the journey of the one is carried on by the other.
//!
//! Whoever appears shortly after another vanished, so near that a walker could have come there, is taken for the same. It
//! is a guess about seconds and steps in one picture, not about who somebody is. Where one vanished at an entrance or an
//! exit, or at the edge of the picture, they have gone, and whoever comes next is somebody else.

use super::run::Walk;
use crate::event::Party;
use crate::fact::{Fact, What};
use crate::ids::TrackId;
use crate::scene::Scene;
use crate::time::{MediaTime, Span};

/// From the last sighting of the one to the first of the other.
const LONGEST: Span = Span::from_millis(3000);
/// So long after its last sighting a track is told to be gone, and some more.
const KEPT: Span = Span::from_millis(8000);
/// How far apart, in body heights, and how much farther in each second.
const NEAR: f32 = 0.3;
const PER_SECOND: f32 = 0.5;
/// A box nearer to the edge of the frame is leaving it or coming in.
const EDGE: f32 = 0.01;

#[derive(Default)]
pub(super) struct Heirs {
    ended: Vec<(Party, MediaTime, Walk)>,
    born: Vec<(Party, MediaTime)>,
}

impl Heirs {
    pub fn appeared(&mut self, fact: &Fact) {
        if fact.what == What::Appeared && !is_at_edge(&fact.who) {
            self.born.push((fact.who, fact.at));
        }
    }

    pub fn ended(&mut self, who: Party, at: MediaTime, walk: Walk) {
        if !is_at_edge(&who) {
            self.ended.push((who, at, walk));
        }
    }

    /// Who carries on whose walk, and when that one ended: the nearest pair first.
    pub fn pairs(&mut self, scene: &Scene, now: MediaTime) -> Vec<(TrackId, Walk, MediaTime)> {
        let mut pairs = Vec::new();
        while let Some((e, b)) = self.nearest(scene) {
            let (_, at, walk) = self.ended.remove(e);
            pairs.push((self.born.remove(b).0.id, walk, at));
        }
        self.ended.retain(|(_, at, _)| now - *at <= KEPT);
        self.born.retain(|(_, at)| now - *at <= KEPT);
        pairs
    }

    fn nearest(&self, scene: &Scene) -> Option<(usize, usize)> {
        let mut best: Option<(f32, (usize, usize))> = None;
        for (e, (old, ended, _)) in self.ended.iter().enumerate() {
            for (b, (new, born)) in self.born.iter().enumerate() {
                let gap = *born - *ended;
                if gap <= Span::ZERO || gap > LONGEST || old.class != new.class {
                    continue;
                }
                let apart = scene.apart(old, new);
                let reach = NEAR + PER_SECOND * gap.secs_f64() as f32;
                let lives = || scene.followed().any(|who| who.id == new.id);
                if apart <= reach && best.is_none_or(|(least, _)| apart < least) && lives() {
                    best = Some((apart, (e, b)));
                }
            }
        }
        best.map(|(_, pair)| pair)
    }
}

fn is_at_edge(who: &Party) -> bool {
    let b = who.bbox;
    b.x1 < EDGE || b.y1 < EDGE || b.x2 > 1.0 - EDGE || b.y2 > 1.0 - EDGE
}
