//! What each camera does right now: the capture threads write it, the lane reads and publishes it.

use crate::link::topics::CameraState;
use crate::time::{Span, Stopwatch, WallTime};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A live camera that has sent nothing for so long is stalled.
const SILENCE: Span = Span::from_millis(2_000);

/// After so long without a frame nothing is known of who was there, as for a pipeline that gets no frames.
const BLIND: Span = Span::from_millis(5_000);

/// As it is published.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CameraStatus {
    pub state: CameraState,
    pub reason: String,
    pub since: WallTime,
}

struct Entry {
    status: CameraStatus,
    newest_frame: Stopwatch,
    frames: u64,
    /// Why what is in its pictures is not what it should be, told by the lane.
    trouble: Option<&'static str>,
    /// When [`Board::look`] last added to `blind`, and the time in which nothing could be seen.
    looked: Stopwatch,
    blind: Span,
    /// No more frames will come, and nobody waits for any.
    over: bool,
    /// Why its frames are of no use.
    refused: Option<String>,
}

/// One entry per camera, by its mailbox.
pub(super) struct Board(Mutex<Vec<Entry>>);

impl Board {
    pub fn new() -> Self {
        Board(Mutex::new(Vec::new()))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the new camera's index.
    pub fn add(&self, state: CameraState, reason: &str) -> usize {
        let status = CameraStatus { state, reason: reason.into(), since: WallTime::now() };
        let mut entries = self.lock();
        entries.push(Entry {
            status,
            newest_frame: Stopwatch::start(),
            frames: 0,
            trouble: None,
            looked: Stopwatch::start(),
            blind: Span::ZERO,
            over: state == CameraState::Disabled,
            refused: None,
        });
        entries.len() - 1
    }

    /// A frame has come.
    pub fn frame(&self, camera: usize) {
        let entry = &mut self.lock()[camera];
        entry.newest_frame = Stopwatch::start();
        entry.frames += 1;
        entry.over = false;
        entry.came();
    }

    /// What the newest picture itself tells.
    pub fn trouble(&self, camera: usize, reason: Option<&'static str>) {
        let entry = &mut self.lock()[camera];
        entry.trouble = reason;
        if matches!(entry.status.state, CameraState::Live | CameraState::Blind) {
            entry.came();
        }
    }

    /// The lane can make nothing of its frames: its capture shall open it anew.
    pub fn refuse(&self, camera: usize, reason: String) {
        self.lock()[camera].refused = Some(reason);
    }

    /// Whether [`Board::refuse`] was called since this was asked last, and why.
    pub fn take_refusal(&self, camera: usize) -> Option<String> {
        self.lock()[camera].refused.take()
    }

    pub fn down(&self, camera: usize, reason: &str) {
        self.lock()[camera].change(CameraState::Down, reason);
    }

    /// As `down`, and for good.
    pub fn over(&self, camera: usize, reason: &str) {
        let entry = &mut self.lock()[camera];
        entry.change(CameraState::Down, reason);
        entry.over = true;
    }

    /// Its capture has ended on demand.
    pub fn stopped(&self, camera: usize) {
        let entry = &mut self.lock()[camera];
        if !entry.over {
            entry.change(CameraState::Down, "stopped");
            entry.over = true;
        }
    }

    /// Nothing has come for so long that what was seen last says nothing about now.
    pub fn is_silent(&self, camera: usize) -> bool {
        self.lock()[camera].newest_frame.elapsed() > BLIND
    }

    /// The state to publish, how many frames have come since the start, and for how long since then nothing could be
    /// seen, be it for want of frames or by what was in them.
    pub fn look(&self, camera: usize) -> (CameraStatus, u64, Span) {
        let entry = &mut self.lock()[camera];
        let sees = matches!(entry.status.state, CameraState::Live | CameraState::Blind);
        if sees && entry.newest_frame.elapsed() > SILENCE {
            entry.change(CameraState::Stalled, "no frame for 2 s");
            // It is known only now.
            entry.blind = entry.blind + SILENCE;
        }
        let since_last = entry.looked.elapsed();
        entry.looked = Stopwatch::start();
        if !entry.over && entry.status.state != CameraState::Live {
            entry.blind = entry.blind + since_last;
        }
        (entry.status.clone(), entry.frames, entry.blind)
    }

    /// No camera will send anything any more.
    pub fn all_over(&self) -> bool {
        self.lock().iter().all(|entry| entry.over)
    }
}

impl Entry {
    fn came(&mut self) {
        match self.trouble {
            Some(reason) => self.change(CameraState::Blind, reason),
            None => self.change(CameraState::Live, ""),
        }
    }

    fn change(&mut self, state: CameraState, reason: &str) {
        if self.status.state != state || self.status.reason != reason {
            self.status = CameraStatus { state, reason: reason.into(), since: WallTime::now() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_are_refused_are_told_to_the_capture_once() {
        let board = Board::new();
        let (door, till) = (board.add(CameraState::Down, "starting"), board.add(CameraState::Down, "starting"));
        board.refuse(door, "30 frames in a row".into());
        assert_eq!(board.take_refusal(till), None);
        assert_eq!(board.take_refusal(door).as_deref(), Some("30 frames in a row"));
        assert_eq!(board.take_refusal(door), None);
    }

    #[test]
    fn a_camera_comes_goes_and_comes_back() {
        let board = Board::new();
        let door = board.add(CameraState::Down, "starting");
        board.frame(door);
        assert_eq!(board.look(door).0.state, CameraState::Live);
        board.down(door, "unplugged");
        assert_eq!((board.look(door).0.reason.as_str(), board.all_over()), ("unplugged", false));
        board.frame(door);
        assert_eq!(board.look(door).1, 2);
        board.trouble(door, Some("the picture is too dark"));
        board.frame(door);
        let (status, ..) = board.look(door);
        assert_eq!((status.state, status.reason.as_str()), (CameraState::Blind, "the picture is too dark"));
        board.trouble(door, None);
        assert_eq!(board.look(door).0.state, CameraState::Live);
        board.over(door, "the film is over");
        assert!(board.all_over());
    }
}
