//! What each camera does right now: the capture threads write it, the lane reads and publishes it.

use crate::link::topics::CameraState;
use crate::time::{Span, Stopwatch, WallTime};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A live camera that has sent nothing for so long is stalled, or for a second longer than it pauses.
const SILENCE: Span = Span::from_millis(2_000);

const LATE: Span = Span::from_millis(1_000);

/// After so long without a frame nothing is known of who was there, as for a pipeline that gets no frames; or when two
/// pictures of a camera that pauses for long are missing.
const BLIND: Span = Span::from_millis(5_000);

/// As it is published.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CameraStatus {
    pub state: CameraState,
    pub reason: String,
    pub since: WallTime,
    /// What makes pictures of what it sends, as far as it is known; of a camera that is down, what did.
    pub decoder: Option<String>,
}

struct Entry {
    status: CameraStatus,
    newest_frame: Stopwatch,
    frames: u64,
    lost: u64,
    /// Between two frames where all is well.
    pause: Span,
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

    /// Gives the new camera's index. `pause` passes between its frames where all is well.
    pub fn add(&self, state: CameraState, reason: &str, pause: Span) -> usize {
        let status = CameraStatus { state, reason: reason.into(), since: WallTime::now(), decoder: None };
        let mut entries = self.lock();
        entries.push(Entry {
            status,
            newest_frame: Stopwatch::start(),
            frames: 0,
            lost: 0,
            pause,
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

    /// What decodes its frames.
    pub fn decoder(&self, camera: usize, decoder: Option<&str>) {
        let status = &mut self.lock()[camera].status;
        if status.decoder.as_deref() != decoder {
            status.decoder = decoder.map(str::to_owned);
        }
    }

    /// Frames were lost on the way from the camera.
    pub fn lost(&self, camera: usize, frames: u64) {
        self.lock()[camera].lost += frames;
    }

    /// How many of them since the start.
    pub fn lost_in_all(&self, camera: usize) -> u64 {
        self.lock()[camera].lost
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
        let entry = &self.lock()[camera];
        entry.newest_frame.elapsed() > BLIND.max(entry.pause + entry.pause + LATE)
    }

    /// The state to publish, how many frames have come since the start, and for how long since then nothing could be
    /// seen, be it for want of frames or by what was in them.
    pub fn look(&self, camera: usize) -> (CameraStatus, u64, Span) {
        let entry = &mut self.lock()[camera];
        let sees = matches!(entry.status.state, CameraState::Live | CameraState::Blind);
        let silence = SILENCE.max(entry.pause + LATE);
        if sees && entry.newest_frame.elapsed() > silence {
            entry.change(CameraState::Stalled, &format!("no frame for {:.0} s", silence.secs_f64()));
            // It is known only now.
            entry.blind = entry.blind + silence;
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
            (self.status.state, self.status.reason, self.status.since) = (state, reason.into(), WallTime::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_that_are_refused_are_told_to_the_capture_once() {
        let board = Board::new();
        let (door, till) = (
            board.add(CameraState::Down, "starting", Span::ZERO),
            board.add(CameraState::Down, "starting", Span::ZERO),
        );
        board.refuse(door, "30 frames in a row".into());
        assert_eq!(board.take_refusal(till), None);
        assert_eq!(board.take_refusal(door).as_deref(), Some("30 frames in a row"));
        assert_eq!(board.take_refusal(door), None);
    }

    #[test]
    fn a_camera_that_pauses_for_long_is_not_stalled_between_two_pictures() {
        let board = Board::new();
        let [slow, usual] = [5_000, 500].map(|ms| board.add(CameraState::Down, "starting", Span::from_millis(ms)));
        let ago = |ms| Stopwatch::started_before(Span::from_millis(ms));
        let check = |camera: usize, ms, expected: (CameraState, &str), silent| {
            board.frame(camera);
            board.lock()[camera].newest_frame = ago(ms);
            let (status, ..) = board.look(camera);
            assert_eq!((status.state, status.reason.as_str()), expected, "camera {camera} after {ms} ms");
            assert_eq!(board.is_silent(camera), silent, "camera {camera} after {ms} ms");
        };
        check(usual, 1_900, (CameraState::Live, ""), false);
        check(usual, 2_100, (CameraState::Stalled, "no frame for 2 s"), false);
        check(usual, 5_100, (CameraState::Stalled, "no frame for 2 s"), true);
        check(slow, 5_900, (CameraState::Live, ""), false);
        check(slow, 6_100, (CameraState::Stalled, "no frame for 6 s"), false);
        check(slow, 11_100, (CameraState::Stalled, "no frame for 6 s"), true);
    }

    #[test]
    fn what_was_lost_on_the_way_is_counted() {
        let board = Board::new();
        let door = board.add(CameraState::Down, "starting", Span::ZERO);
        board.lost(door, 2);
        board.lost(door, 1);
        assert_eq!(board.lost_in_all(door), 3);
    }

    #[test]
    fn a_camera_comes_goes_and_comes_back() {
        let board = Board::new();
        let door = board.add(CameraState::Down, "starting", Span::ZERO);
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
        board.decoder(door, Some("H.264 in the program"));
        assert_eq!(board.look(door).0.decoder.as_deref(), Some("H.264 in the program"));
        assert_eq!(board.look(door).0.state, CameraState::Live);
        board.over(door, "the film is over");
        assert!(board.all_over());
    }
}
