//! Where buffers lie: those that are never needed together share memory.
//!
//! A buffer lives from the first step that writes it to the last that reads it. One that is read before it is written,
//! as the picture is, keeps its bytes from one picture to the next and shares with nobody. The largest buffers are
//! placed first, each into the smallest gap between those that live while it does: within a few per cent of what is
//! alive at the worst moment, for networks of every kind that we know. The same plan is placed alike everywhere.

use super::plan::{StepKind, Target, View};
use anyhow::{Result, ensure};
use std::ops::Range;

/// Where buffers begin: what the processor fetches together.
pub const LINE: usize = 64;

/// The first and the last step that needs a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub first: usize,
    pub last: usize,
}

impl Life {
    fn meets(self, other: Life) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl StepKind {
    /// The views that it reads.
    pub fn reads(&self) -> Vec<View> {
        let two = |from: View, added: &Option<View>| [Some(from), *added].into_iter().flatten().collect();
        match self {
            StepKind::Dense { conv, added, .. } => two(conv.from, added),
            StepKind::Depthwise { conv, added, .. } => two(conv.from, added),
            StepKind::Add { from, .. } => from.to_vec(),
            StepKind::MaxPool { from, .. }
            | StepKind::AveragePool { from, .. }
            | StepKind::Upsample { from, .. }
            | StepKind::Copy { from, .. }
            | StepKind::Reals { from, .. } => vec![*from],
        }
    }

    /// The view that it writes, all pixels; none where it writes to an output.
    pub fn writes(&self) -> Option<View> {
        let bytes = |to: Target| match to {
            Target::Bytes(view) => Some(view),
            Target::Reals { .. } => None,
        };
        match self {
            StepKind::Dense { conv, .. } => bytes(conv.to),
            StepKind::Depthwise { conv, .. } => bytes(conv.to),
            StepKind::MaxPool { to, .. }
            | StepKind::AveragePool { to, .. }
            | StepKind::Upsample { to, .. }
            | StepKind::Add { to, .. }
            | StepKind::Copy { to, .. } => Some(*to),
            StepKind::Reals { .. } => None,
        }
    }
}

/// When each of so many buffers lives; none where it keeps its bytes. Views of buffers that are not there are passed over:
/// they are refused where steps are bound.
pub fn lives<'a>(buffers: usize, steps: impl Iterator<Item = &'a StepKind>) -> Vec<Option<Life>> {
    let mut lives = vec![None; buffers];
    let mut kept = vec![false; buffers];
    let mut written: Vec<Vec<Range<usize>>> = vec![Vec::new(); buffers];
    for (index, step) in steps.enumerate() {
        for view in step.reads().into_iter().filter(|view| view.buffer < buffers) {
            kept[view.buffer] |= !covers(&written[view.buffer], &channels(view));
            touch(&mut lives[view.buffer], index);
        }
        if let Some(view) = step.writes().filter(|view| view.buffer < buffers) {
            let channels = channels(view);
            if !covers(&written[view.buffer], &channels) {
                written[view.buffer].push(channels);
            }
            touch(&mut lives[view.buffer], index);
        }
    }
    lives.into_iter().zip(kept).map(|(life, kept)| life.filter(|_| !kept)).collect()
}

fn touch(life: &mut Option<Life>, index: usize) {
    life.get_or_insert(Life { first: index, last: index }).last = index;
}

fn channels(view: View) -> Range<usize> {
    view.channel..view.channel.saturating_add(view.channels)
}

/// Whether every one of `wanted` is in some of `ranges`.
fn covers(ranges: &[Range<usize>], wanted: &Range<usize>) -> bool {
    let mut at = wanted.start;
    while at < wanted.end {
        match ranges.iter().filter(|range| range.contains(&at)).map(|range| range.end).max() {
            Some(end) => at = end,
            None => return false,
        }
    }
    true
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The first byte of each buffer, a multiple of [`LINE`].
    pub offsets: Vec<usize>,
    /// Of all of them together.
    pub length: usize,
    /// Whether others are written where it lies, while it does not live.
    pub shared: Vec<bool>,
}

impl Places {
    /// For buffers of these lengths in bytes, of `most` bytes together.
    ///
    /// # Errors
    /// Buffers that need more.
    pub fn new(lengths: &[usize], lives: &[Option<Life>], most: usize) -> Result<Self> {
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        order.sort_by_key(|buffer| (std::cmp::Reverse(lengths[*buffer]), *buffer));
        let mut offsets = vec![0; lengths.len()];
        let mut length = 0;
        for (i, &buffer) in order.iter().enumerate() {
            let rivals = order[..i].iter().filter(|other| together(lives[buffer], lives[**other]));
            let mut taken: Vec<Range<usize>> = rivals.map(|b| offsets[*b]..offsets[*b] + lengths[*b]).collect();
            taken.sort_by_key(|range| (range.start, range.end));
            let (mut end, mut best): (usize, Option<Range<usize>>) = (0, None);
            for range in taken {
                let gap = end..range.start;
                let better = best.as_ref().is_none_or(|best| gap.len() < best.len());
                if gap.len() >= lengths[buffer] && better {
                    best = Some(gap);
                }
                end = end.max(range.end.next_multiple_of(LINE));
            }
            offsets[buffer] = best.map_or(end, |gap| gap.start);
            let fits = offsets[buffer].checked_add(lengths[buffer]).filter(|end| *end <= most);
            ensure!(fits.is_some(), "its buffers need more than {most} bytes");
            length = length.max(offsets[buffer] + lengths[buffer]);
        }
        let shared = (0..lengths.len())
            .map(|a| (0..lengths.len()).any(|b| a != b && overlap(&offsets, lengths, a, b)))
            .collect();
        let places = Places { offsets, length, shared };
        places.check(lengths, lives)?;
        Ok(places)
    }

    /// Looks at every pair: no two that live together overlap. What places them is cleverer than this is.
    fn check(&self, lengths: &[usize], lives: &[Option<Life>]) -> Result<()> {
        for a in 0..lengths.len() {
            ensure!(self.offsets[a] + lengths[a] <= self.length, "buffer {a} lies beyond the end");
            for b in 0..a {
                let apart = !together(lives[a], lives[b]) || !overlap(&self.offsets, lengths, a, b);
                ensure!(apart, "buffers {b} and {a} lie in the same place");
            }
        }
        Ok(())
    }
}

/// What keeps its bytes lives with everybody.
fn together(a: Option<Life>, b: Option<Life>) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return true };
    a.meets(b)
}

fn overlap(offsets: &[usize], lengths: &[usize], a: usize, b: usize) -> bool {
    offsets[a] < offsets[b] + lengths[b] && offsets[b] < offsets[a] + lengths[a]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn life(first: usize, last: usize) -> Option<Life> {
        Some(Life { first, last })
    }

    #[test]
    fn a_chain_needs_two_places_and_what_is_kept_one_of_its_own() {
        let lives = [None, life(0, 1), life(1, 2), life(2, 3), life(3, 3)];
        let places = Places::new(&[64, 640, 640, 640, 128], &lives, 1 << 20).unwrap();
        assert_eq!(places.offsets, [1280, 0, 640, 0, 640]);
        assert_eq!(places.length, 1344);
        assert_eq!(places.shared, [false, true, true, true, true]);
    }

    #[test]
    fn a_place_that_is_taken_is_seen() {
        let lives = [life(0, 1), life(1, 2), life(3, 4)];
        let at = |offsets: [usize; 3]| Places { offsets: offsets.to_vec(), length: 256, shared: vec![true; 3] };
        assert!(at([0, 128, 64]).check(&[128; 3], &lives).is_ok());
        let error = at([0, 127, 64]).check(&[128; 3], &lives).unwrap_err();
        assert_eq!(error.to_string(), "buffers 0 and 1 lie in the same place");
        assert!(at([0, 129, 0]).check(&[128; 3], &lives).is_err());
    }

    #[test]
    fn too_much_is_refused() {
        let found = Places::new(&[600, 600], &[None, None], 1200);
        assert_eq!(found.unwrap_err().to_string(), "its buffers need more than 1200 bytes");
    }

    proptest! {
        #[test]
        fn no_two_that_live_together_share(
            buffers in prop::collection::vec((1usize..5000, 0usize..30, 0usize..10, 0u8..8), 1..60),
        ) {
            let lengths: Vec<usize> = buffers.iter().map(|(length, ..)| *length).collect();
            let lives: Vec<Option<Life>> = buffers
                .iter()
                .map(|(_, first, more, kept)| (*kept > 0).then_some(Life { first: *first, last: first + more }))
                .collect();
            let places = Places::new(&lengths, &lives, usize::MAX).unwrap();
            // Every byte of every step has at most one owner.
            for step in 0..40 {
                let mut owners = vec![None; places.length];
                for (buffer, life) in lives.iter().enumerate() {
                    if life.is_none_or(|life| (life.first..=life.last).contains(&step)) {
                        for owner in &mut owners[places.offsets[buffer]..][..lengths[buffer]] {
                            prop_assert_eq!(owner.replace(buffer), None);
                        }
                    }
                }
            }
            // And never more than if nobody shared.
            let apart: usize = lengths.iter().map(|length| length.next_multiple_of(LINE)).sum();
            prop_assert!(places.length <= apart);
        }
    }
}
