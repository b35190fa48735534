//! Writes the tape of one camera: entries come in as they happen, chunks go out when they are due.

use super::bits::Writer;
use super::block::framed;
use super::entry::Entries;
use super::{Input, Setting, Start};
use crate::clue::Clues;
use crate::pipeline::Moment;
use crate::time::{MediaTime, Span, WallTime};
use crate::track::Track;

/// A power cut takes at most so much with it while somebody is there, and this much while nobody is.
pub const CHUNK: Span = Span::from_millis(10_000);
pub const IDLE_CHUNK: Span = Span::from_millis(120_000);
/// A chunk that is larger is due at once.
const LARGE: usize = 64 << 10;
/// What a damaged chunk makes useless, at the most.
pub const BLOCK: Span = Span::from_millis(15 * 60_000);

/// Bytes for the end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    pub bytes: Vec<u8>,
    /// It can be read without what was written before.
    pub is_first: bool,
    /// When it was recorded, and whether that is known.
    pub taken: WallTime,
    pub clock_trusted: bool,
}

pub struct Recorder {
    entries: Option<Entries<Writer>>,
    /// Of the block that goes on, or of the one that comes next.
    start: Start,
    /// Chunks of this block that have gone out.
    chunks: u16,
    /// Looks at an empty place that are not told yet.
    idle: u64,
    /// There is something in this chunk, and somebody.
    pending: bool,
    busy: bool,
    began: MediaTime,
}

impl Recorder {
    /// For a pipeline that begins; `now` stands in the first block until there is a frame.
    pub fn new(setting: Setting, now: WallTime) -> Self {
        let moment = Moment { at: MediaTime::ZERO, taken: now, aspect: 1.0 };
        Recorder {
            entries: None,
            start: Start { number: 0, chunks_before: 0, opening: 0, clock_trusted: true, moment, setting },
            chunks: 0,
            idle: 0,
            pending: false,
            busy: false,
            began: MediaTime::ZERO,
        }
    }

    /// What the rules saw of one frame. `opening` is the pipeline's after it, here and below.
    pub fn frame(&mut self, moment: Moment, tracks: &[Track], clues: &Clues, opening: u64) {
        if self.entries.is_none() && self.start.number == 0 {
            self.start.moment = moment;
        }
        let is_nobody = tracks.is_empty() && clues.is_empty();
        let entries = open(&mut self.entries, &self.start);
        if !self.pending {
            self.began = moment.at;
        }
        if is_nobody && entries.state.is_next_idle(moment) {
            entries.state.idle();
            self.idle += 1;
        } else {
            told(entries, &mut self.idle);
            entries.frame(moment, tracks, clues);
        }
        self.pending = true;
        self.busy |= !is_nobody;
        (self.start.moment, self.start.opening) = (moment, opening);
    }

    /// Anything else that enters the pipeline.
    pub fn other(&mut self, input: &Input, opening: u64) {
        if let Input::Frame(seen) = input {
            return self.frame(seen.moment, &seen.tracks, &seen.clues, opening);
        }
        let entries = open(&mut self.entries, &self.start);
        told(entries, &mut self.idle);
        entries.other(input);
        match input {
            Input::Clock { trusted } => self.start.clock_trusted = *trusted,
            Input::Swap { setting, .. } => self.start.setting = *setting,
            Input::Frame(_) | Input::Finish | Input::Notice { .. } => {}
        }
        if !self.pending {
            self.began = self.start.moment.at;
        }
        self.pending = true;
        // It is rare and worth something.
        self.busy = true;
        self.start.opening = opening;
    }

    /// What is to be written now, if anything is.
    pub fn due(&mut self) -> Option<Chunk> {
        let entries = self.entries.as_ref()?;
        let age = self.start.moment.at - self.began;
        let patience = if self.busy { CHUNK } else { IDLE_CHUNK };
        // Film time that has started over says nothing about age.
        let is_due = age >= patience || age < Span::ZERO || entries.bits.len() >= LARGE;
        if is_due { self.flush() } else { None }
    }

    /// What is not written yet.
    pub fn flush(&mut self) -> Option<Chunk> {
        if !self.pending {
            return None;
        }
        let entries = self.entries.as_mut()?;
        told(entries, &mut self.idle);
        entries.end();
        let place = self.chunks;
        let bytes = framed(place, &entries.bits.take());
        self.chunks += 1;
        (self.pending, self.busy) = (false, false);
        let length = self.start.moment.at - self.block_began();
        if length >= BLOCK || length < Span::ZERO || self.chunks == u16::MAX {
            self.begin_block();
        }
        let (taken, clock_trusted) = (self.start.moment.taken, self.start.clock_trusted);
        Some(Chunk { bytes, is_first: place == 0, taken, clock_trusted })
    }

    fn block_began(&self) -> MediaTime {
        self.entries.as_ref().map_or(self.start.moment.at, |entries| entries.began)
    }

    /// What comes next can be read without what was written before. To be called when some of that was lost, after
    /// [`Recorder::flush`].
    pub fn begin_block(&mut self) {
        if self.entries.take().is_some() {
            self.start.number += 1;
            self.start.chunks_before = u64::from(self.chunks);
            self.chunks = 0;
        }
        self.idle = 0;
        (self.pending, self.busy) = (false, false);
    }
}

fn open<'a>(entries: &'a mut Option<Entries<Writer>>, start: &Start) -> &'a mut Entries<Writer> {
    entries.get_or_insert_with(|| {
        Entries::start(Writer::default(), start).map_or_else(|_| unreachable!("writing does not fail"), |(e, _)| e)
    })
}

fn told(entries: &mut Entries<Writer>, idle: &mut u64) {
    if *idle > 0 {
        entries.idle(std::mem::take(idle));
    }
}
