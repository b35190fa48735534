//! One thread per camera: opens the source, leaves its frames in the mailbox, and opens it again after an
//! outage. This is the one loop that retries; everything inside just fails.

use super::board::Board;
use crate::backoff::Backoff;
use crate::capture::recorded::Recorded;
use crate::capture::{self, Refused, SourceConfig, Viewed, Wake};
use crate::config::CameraConfig;
use crate::detection::Detections;
use crate::frame::Frame;
use crate::mailbox::Mailboxes;
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch};
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::thread::JoinHandle;
use tracing::{info, warn};

/// What a capture leaves for the lane.
pub(super) enum Look {
    Frame(Frame),
    /// A recording has been looked at before.
    Seen(Detections),
}

#[derive(Clone)]
pub(super) struct Capture {
    pub index: usize,
    pub name: String,
    pub config: CameraConfig,
    pub mail: Arc<Mailboxes<Look>>,
    pub board: Arc<Board>,
    pub stop: Stop,
}

impl Capture {
    pub fn spawn(self) -> Result<JoinHandle<()>> {
        let thread = std::thread::Builder::new().name(format!("capture-{}", self.name));
        thread.spawn(move || self.run()).context("cannot start a capture thread")
    }

    fn run(&self) {
        let clock = Stopwatch::start();
        let mut backoff = Backoff::default();
        loop {
            match self.watch(&clock, &mut backoff) {
                Ok(()) if self.stop.is_set() => return,
                Ok(()) => {
                    info!(camera = self.name, "The film is over.");
                    return self.board.over(self.index, "the film is over");
                }
                Err(error) => {
                    let reason = format!("{error:#}");
                    let refused = error.chain().any(|cause| cause.is::<Refused>());
                    let wait = if refused { backoff.longest() } else { backoff.wait() };
                    warn!(camera = self.name, error = reason, retry_s = wait.secs_f64(), "Camera lost, will reopen.");
                    self.board.down(self.index, &reason);
                    match capture::wait_until_back(&self.config.source, wait, &self.stop) {
                        Wake::Stopped => return,
                        Wake::Back => backoff.reset(),
                        Wake::Due => {}
                    }
                }
            }
        }
    }

    /// From opening to the end or the first error. Film time goes on from one opening to the next by the clock,
    /// so that an outage looks as long as it was.
    fn watch(&self, clock: &Stopwatch, backoff: &mut Backoff) -> Result<()> {
        if let SourceConfig::Recorded(config) = &self.config.source {
            return self.replay(Recorded::open(config, &self.stop)?, backoff);
        }
        let source = capture::open(&self.config.source, &self.stop)?;
        let mut source = Viewed::wrap(source, self.config.view());
        info!(camera = self.name, source = source.describe(), "Camera open.");
        let opened = clock.elapsed();
        let shortest = Span::from_secs_f64(self.config.max_fps.map_or(0.0, |fps| 1.0 / fps));
        let mut due = MediaTime::ZERO;
        let mut lost = 0;
        while let Some(mut frame) = source.next_frame()? {
            backoff.reset();
            let lost_before = std::mem::replace(&mut lost, source.lost());
            self.board.lost(self.index, lost - lost_before);
            if let Some(reason) = self.board.take_refusal(self.index) {
                bail!("{}: {reason}", source.describe());
            }
            self.board.decoder(self.index, source.decoder().as_deref());
            self.board.frame(self.index);
            if frame.at < due {
                continue;
            }
            due = (due + shortest).max(frame.at);
            frame.at = frame.at + opened;
            self.mail.post(self.index, Look::Frame(frame));
        }
        Ok(())
    }

    /// A recording waits for the lane instead of losing frames.
    fn replay(&self, mut recorded: Recorded, backoff: &mut Backoff) -> Result<()> {
        info!(camera = self.name, source = recorded.describe(), "Recording open.");
        let mut any = false;
        loop {
            let seen = match recorded.next_frame() {
                Ok(Some(seen)) => seen,
                Ok(None) => return Ok(()),
                // Opened again, it would be counted again up to the same place, for ever.
                Err(error) if any => {
                    warn!(
                        camera = self.name,
                        error = format!("{error:#}"),
                        "The recording is not whole, it ends here."
                    );
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            any = true;
            backoff.reset();
            self.board.frame(self.index);
            if self.mail.post_patiently(self.index, Look::Seen(seen), &self.stop).is_err() {
                return Ok(());
            }
        }
    }
}
