//! Whether the picture changes at all.
//!
//! A live sensor has noise, so two pictures of it are never the same. A good encoder may smooth that away for a while,
//! and a source of stills has none: so the picture must have been seen to change before, and what counts as frozen is
//! several times longer than this source has ever stood still and gone on.

use super::grey::Grey;
use crate::time::{MediaTime, Span};

/// Of so many pixels one may differ, by so many levels.
const SAME_BUT_ONE_IN: usize = 500;
const SAME_BUT_BY: u8 = 2;
/// Frozen is so many times the longest stillness that passed.
const TIMES: i64 = 4;

#[derive(Debug, Default)]
pub(super) struct Stillness {
    /// What the picture has looked like, and since when.
    anchor: Option<(MediaTime, Grey)>,
    /// It has been seen to change.
    alive: bool,
    longest: Span,
    declared: bool,
}

impl Stillness {
    /// How long the picture has been the same, where it ever changed.
    pub fn look(&mut self, at: MediaTime, grey: &Grey) -> Option<Span> {
        match &self.anchor {
            Some((since, anchor)) if same(anchor, grey) => self.alive.then(|| at - *since),
            before => {
                if let Some((since, _)) = before {
                    self.alive = true;
                    if !self.declared {
                        self.longest = self.longest.max(at - *since);
                    }
                }
                self.declared = false;
                self.anchor = Some((at, grey.clone()));
                None
            }
        }
    }

    /// The picture has stood still for too long, by the caller's limit and by experience.
    pub fn is_frozen(&mut self, still_for: Option<Span>, limit: Span) -> bool {
        let usual = Span::from_micros(self.longest.micros() * TIMES);
        let frozen = still_for.is_some_and(|still| still >= limit.max(usual));
        self.declared |= frozen;
        frozen
    }

    pub fn since(&self) -> Option<MediaTime> {
        self.anchor.as_ref().map(|(since, _)| *since)
    }

    /// What comes next does not follow what came before.
    pub fn pause(&mut self) {
        self.anchor = None;
        self.declared = false;
    }
}

fn same(a: &Grey, b: &Grey) -> bool {
    if (a.width, a.height) != (b.width, b.height) {
        return false;
    }
    let allowed = a.pixels.len() / SAME_BUT_ONE_IN;
    let mut differ = 0;
    for (a, b) in a.pixels.iter().zip(&b.pixels).filter(|(a, b)| a != b) {
        differ += 1;
        if differ > allowed || a.abs_diff(*b) > SAME_BUT_BY {
            return false;
        }
    }
    true
}
