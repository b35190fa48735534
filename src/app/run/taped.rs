//! What one camera's pipeline is told goes onto its tape as well, and from there to the disk.

use crate::ids::CameraId;
use crate::pipeline::{Moment, Pipeline};
use crate::store::TrackStore;
use crate::tape::{Chunk, Input, Recorder, Setting};
use crate::time::WallTime;
use std::sync::Arc;

pub(super) struct Taped {
    camera: CameraId,
    recorder: Recorder,
    store: Arc<TrackStore>,
}

impl Taped {
    /// For a pipeline that begins.
    pub fn new(camera: CameraId, setting: Setting, now: WallTime, store: Arc<TrackStore>) -> Self {
        Taped { camera, recorder: Recorder::new(setting, now), store }
    }

    /// What the rules have just seen.
    pub fn frame(&mut self, moment: Moment, pipeline: &Pipeline) {
        self.recorder.frame(moment, pipeline.tracks(), pipeline.clues(), pipeline.opening());
        let due = self.recorder.due();
        self.write(due);
    }

    /// What else has just changed the pipeline.
    pub fn other(&mut self, input: &Input, pipeline: &Pipeline) {
        self.recorder.other(input, pipeline.opening());
    }

    /// Everything is on its way to the disk.
    pub fn flush(&mut self) {
        let rest = self.recorder.flush();
        self.write(rest);
    }

    fn write(&mut self, chunk: Option<Chunk>) {
        let Some(chunk) = chunk else { return };
        if !self.store.write(&self.camera, chunk) {
            self.recorder.begin_block();
        }
    }
}
