//! Plays a tape to a pipeline: block by block, input by input.

use super::{Input, Setting, Start};
use crate::event::Event;
use crate::pipeline::{CameraPlan, Pipeline};

pub struct Player {
    plan: CameraPlan,
    pipeline: Pipeline,
    /// Number and length of the block before.
    before: Option<(u64, u64)>,
    setting: Setting,
    gaps: u64,
}

impl Player {
    /// With the rules of `plan` all the way: those that were in force when the tape was made have no say.
    pub fn new(plan: CameraPlan) -> Self {
        Player { pipeline: Pipeline::new(plan.clone()), plan, before: None, setting: Setting::default(), gaps: 0 }
    }

    /// To be called before the inputs of a block, which has so many chunks. Where something is missing between it and
    /// the block before, what is open ends.
    pub fn block(&mut self, start: &Start, chunks: u64) -> Vec<Event> {
        self.setting = start.setting;
        let before = self.before.replace((start.number, chunks));
        let goes_on = before == start.number.checked_sub(1).map(|number| (number, start.chunks_before));
        if goes_on && before.is_some() {
            return Vec::new();
        }
        if start.number == 0 {
            // As it was then: whatever the program had open when it stopped without a word was never ended.
            self.pipeline = Pipeline::new(self.plan.clone());
            self.pipeline.resume(start.opening, start.clock_trusted);
            return Vec::new();
        }
        self.gaps += u64::from(before.is_some());
        let events = self.pipeline.finish();
        self.pipeline.resume(start.opening, start.clock_trusted);
        events
    }

    pub fn play(&mut self, input: &Input) -> Vec<Event> {
        match input {
            Input::Frame(seen) => self.pipeline.see(seen.moment, &seen.tracks, &seen.clues),
            Input::Finish => self.pipeline.finish(),
            Input::Notice { change, at, taken } => self.pipeline.notice(change, *at, *taken),
            Input::Clock { trusted } => {
                self.pipeline.set_clock_trusted(*trusted);
                Vec::new()
            }
            Input::Swap { setting, finished } => {
                self.setting = *setting;
                if *finished { self.pipeline.finish() } else { Vec::new() }
            }
        }
    }

    /// What the configuration was at this place of the tape.
    pub fn setting(&self) -> Setting {
        self.setting
    }

    /// How often something was missing.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }
}
