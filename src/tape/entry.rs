//! The entries of a block, in either direction.

use super::bits::{Bits, Torn, Usual};
use super::state::State;
use super::{Input, Seen, Setting, Start};
use crate::clue::Clues;
use crate::pipeline::Moment;
use crate::sight::{Change, Trouble};
use crate::time::{MediaTime, WallTime};
use crate::track::Track;

/// Raised when the meaning of a bit changes.
const VERSION: u32 = 1;

/// An entry begins with a bit that says whether it is a frame, and if not with three that say what it is.
const END: u32 = 0;
const IDLE: u32 = 1;
const FINISH: u32 = 2;
const NOTICE: u32 = 3;
const CLOCK: u32 = 4;
const SWAP: u32 = 5;
const CLASS: u32 = 6;

/// Texts are sentences.
const MAX_TEXT: usize = 4096;

/// A look at an empty place a second: a day of them is no block of ours.
const MAX_IDLE: u64 = 100_000;

pub(super) struct Entries<B> {
    pub bits: B,
    pub state: State,
    /// Where the block begins.
    pub began: MediaTime,
}

impl<B: Bits> Entries<B> {
    /// The state at the beginning of a block.
    pub fn start(bits: B, given: &Start) -> Result<(Self, Start), Torn> {
        let mut entries = Entries { bits, state: State::default(), began: given.moment.at };
        let bits = &mut entries.bits;
        if bits.bits(VERSION, 8)? != VERSION {
            return Err(Torn);
        }
        let number = Usual::default().number(bits, given.number)?;
        let chunks_before = Usual::default().number(bits, given.chunks_before)?;
        let opening = Usual::default().number(bits, given.opening)?;
        let clock_trusted = bits.flag(given.clock_trusted)?;
        let at = bits.long(given.moment.at.micros() as u64)? as i64;
        let taken = bits.long(given.moment.taken.micros() as u64)? as i64;
        let aspect = f32::from_bits(bits.bits(given.moment.aspect.to_bits(), 32)?);
        let setting = entries.setting(given.setting)?;
        let state = &mut entries.state;
        (state.at, state.offset, state.aspect) = (at, taken.wrapping_sub(at), aspect);
        let moment = Moment { at: MediaTime::from_micros(at), taken: WallTime::from_micros(taken), aspect };
        Ok((entries, Start { number, chunks_before, opening, clock_trusted, moment, setting }))
    }

    fn setting(&mut self, given: Setting) -> Result<Setting, Torn> {
        Ok(Setting { rules: self.bits.bits(given.rules, 32)?, eyes: self.bits.bits(given.eyes, 32)? })
    }

    fn kind(&mut self, kind: u32) -> Result<u32, Torn> {
        self.bits.flag(false)?;
        self.bits.bits(kind, 3)
    }

    /// Up to this many bytes.
    fn text(&mut self, given: &str, most: usize) -> Result<String, Torn> {
        let given = &given[..given.floor_char_boundary(most)];
        let length = self.bits.bits(given.len() as u32, 16)? as usize;
        if length > most {
            return Err(Torn);
        }
        let mut bytes = Vec::with_capacity(length);
        for i in 0..length {
            bytes.push(self.bits.bits(u32::from(given.as_bytes().get(i).copied().unwrap_or(0)), 8)? as u8);
        }
        String::from_utf8(bytes).map_err(|_| Torn)
    }

    fn notice(&mut self, given: &Change, at: MediaTime, taken: WallTime) -> Result<Input, Torn> {
        let index = Trouble::ALL.iter().position(|trouble| *trouble == given.trouble).unwrap_or(0);
        let index = self.bits.bits(index as u32, 8)?;
        let trouble = *Trouble::ALL.get(index as usize).ok_or(Torn)?;
        let since = MediaTime::from_micros(self.bits.long(given.since.micros() as u64)? as i64);
        let is_over = self.bits.flag(given.until.is_some())?;
        let until = given.until.unwrap_or(MediaTime::ZERO);
        let until = if is_over { Some(self.bits.long(until.micros() as u64)? as i64) } else { None };
        let accepted = self.bits.flag(given.accepted)?;
        let explain = self.text(&given.explain, MAX_TEXT)?;
        let at = MediaTime::from_micros(self.bits.long(at.micros() as u64)? as i64);
        let taken = WallTime::from_micros(self.bits.long(taken.micros() as u64)? as i64);
        let change = Change { trouble, since, until: until.map(MediaTime::from_micros), accepted, explain };
        if change.until.is_none() && change.trouble.withholds() {
            self.state.forget();
        }
        Ok(Input::Notice { change, at, taken })
    }
}

/// Writing cannot fail: what goes in is what [`Entries::frame`] and its neighbours check on the way out.
impl<B: Bits> Entries<B> {
    pub fn frame(&mut self, moment: Moment, tracks: &[Track], clues: &Clues) {
        for class in self.state.unnamed(tracks) {
            let _ = self.kind(CLASS).and_then(|_| self.text(class.name(), 255));
        }
        let _ = self.bits.flag(true);
        let _ = self.state.frame(&mut self.bits, moment, tracks, clues);
    }

    /// Looks at an empty place that followed the newest frame.
    pub fn idle(&mut self, looks: u64) {
        let _ = self.kind(IDLE).and_then(|_| self.state.idle_run(&mut self.bits, looks));
    }

    pub fn other(&mut self, input: &Input) {
        let _ = match input {
            Input::Frame(Seen { moment, tracks, clues }) => {
                self.frame(*moment, tracks, clues);
                Ok(())
            }
            Input::Finish => self.kind(FINISH).map(|_| self.state.forget()),
            Input::Notice { change, at, taken } => {
                self.kind(NOTICE).and_then(|_| self.notice(change, *at, *taken)).map(|_| ())
            }
            Input::Clock { trusted } => self.kind(CLOCK).and_then(|_| self.bits.flag(*trusted)).map(|_| ()),
            Input::Swap { setting, finished } => {
                let swapped = self.kind(SWAP).and_then(|_| self.setting(*setting));
                swapped.and_then(|_| self.bits.flag(*finished)).map(|_| {
                    if *finished {
                        self.state.forget()
                    }
                })
            }
        };
    }

    pub fn end(&mut self) {
        let _ = self.kind(END);
    }

    /// Reads the entries of one chunk.
    pub fn read(&mut self, found: &mut Vec<Input>) -> Result<(), Torn> {
        let nowhere = self.state.moment();
        loop {
            if self.bits.flag(false)? {
                let (moment, tracks, clues) = self.state.frame(&mut self.bits, nowhere, &[], &Clues::default())?;
                found.push(Input::Frame(Seen { moment, tracks, clues }));
                continue;
            }
            match self.bits.bits(0, 3)? {
                END => return Ok(()),
                IDLE => {
                    let looks = self.state.idle_run(&mut self.bits, 0)?;
                    if looks > MAX_IDLE || !self.state.is_empty() {
                        return Err(Torn);
                    }
                    for _ in 0..looks {
                        let moment = self.state.idle();
                        found.push(Input::Frame(Seen { moment, tracks: Vec::new(), clues: Clues::default() }));
                    }
                }
                FINISH => {
                    self.state.forget();
                    found.push(Input::Finish);
                }
                NOTICE => {
                    let none = Change {
                        trouble: Trouble::ALL[0],
                        since: MediaTime::ZERO,
                        until: None,
                        accepted: false,
                        explain: String::new(),
                    };
                    found.push(self.notice(&none, MediaTime::ZERO, WallTime::EPOCH)?);
                }
                CLOCK => found.push(Input::Clock { trusted: self.bits.flag(false)? }),
                SWAP => {
                    let setting = self.setting(Setting::default())?;
                    let finished = self.bits.flag(false)?;
                    if finished {
                        self.state.forget();
                    }
                    found.push(Input::Swap { setting, finished });
                }
                CLASS => {
                    let name = self.text("", 255)?;
                    self.state.name(&name)?;
                }
                _ => return Err(Torn),
            }
        }
    }
}
