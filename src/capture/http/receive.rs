//! The thread that talks to a camera: it reads pictures off the network as fast as they come, so that none of them waits
//! in the camera or in the kernel and grows old, and leaves the newest in the slot.

use super::client::{Answer, Client};
use super::parts::{LARGEST, Parts};
use super::slot::{Kind, Slot};
use crate::capture::decode::jpeg;
use crate::frame::{Frame, Picture};
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use anyhow::{Context as _, Result, anyhow, bail, ensure};

/// What one snapshot may take, from the question to its last byte.
pub const SNAPSHOT_WITHIN: Span = Span::from_millis(5_000);
const PIECE: usize = 16 << 10;

/// Begins to fill `slot`, until that fails or nobody listens. `pause` is kept between the beginnings of two snapshots.
pub fn spawn(client: Client, pause: Span, slot: Slot) -> Result<()> {
    let thread = std::thread::Builder::new().name("http".into());
    let talk = move || {
        // Also when something in here panics: then the listener hears of it instead of waiting.
        let _last_words = LastWords(slot.clone());
        if let Err(error) = (Receiver { client, slot: &slot, clock: Stopwatch::start(), index: 0 }).talk(pause) {
            slot.fail(error);
        }
    };
    thread.spawn(talk).context("cannot start a thread for a camera").map(drop)
}

struct LastWords(Slot);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.fail(anyhow!("the HTTP client broke down"));
    }
}

struct Receiver<'a> {
    client: Client,
    slot: &'a Slot,
    clock: Stopwatch,
    index: u64,
}

impl Receiver<'_> {
    fn talk(&mut self, pause: Span) -> Result<()> {
        let mut asked = Stopwatch::start();
        let mut answer = self.client.get()?;
        // Some send a stream and do not say so.
        if answer.content_type.trim_start().to_ascii_lowercase().starts_with("multipart/")
            || answer.begins_with(b"--")?
        {
            self.clock = Stopwatch::start();
            self.slot.open(Kind::Stream);
            return self.stream(answer);
        }
        ensure_picture(&answer.content_type)?;
        self.clock = Stopwatch::start();
        self.slot.open(Kind::Snapshots);
        loop {
            let bytes = snapshot(&mut answer, asked)?;
            self.show(bytes);
            if self.slot.is_closed_within(pause - asked.elapsed()) {
                return Ok(());
            }
            asked = Stopwatch::start();
            answer = self.client.get()?;
            ensure_picture(&answer.content_type)?;
        }
    }

    fn stream(&mut self, mut answer: Answer) -> Result<()> {
        let mut parts = Parts::new(&answer.content_type);
        let mut piece = vec![0; PIECE];
        let (mut has_told, mut broken) = (false, 0);
        while !self.slot.is_closed_within(Span::ZERO) {
            let read = answer.read(&mut piece)?;
            ensure!(read > 0, "it ended its stream");
            parts.feed(&piece[..read]);
            while let Some(bytes) = parts.next() {
                self.show(bytes);
            }
            self.slot.broken(parts.broken() - broken);
            broken = parts.broken();
            if !has_told && parts.garbage() > 0 {
                has_told = true;
                tracing::debug!(bytes = parts.garbage(), "A camera sends more than pictures between its pictures.");
            }
        }
        Ok(())
    }

    /// One that is broken is passed over; whether all of them are is noticed by whoever waits for one.
    fn show(&mut self, bytes: Vec<u8>) {
        let at = MediaTime::ZERO + self.clock.elapsed();
        let (index, taken) = (self.index, WallTime::now());
        self.index += 1;
        match jpeg::picture(bytes) {
            Ok(picture) => self.put(Frame { index, at, taken, picture }),
            Err(error) => {
                self.slot.broken(1);
                let (all, _) = self.slot.broken_ones();
                // A camera on a bad link would fill the log.
                if all.is_power_of_two() {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        all,
                        "A broken picture of an HTTP camera was skipped."
                    );
                }
            }
        }
    }

    fn put(&self, frame: Frame) {
        debug_assert!(matches!(frame.picture, Picture::Encoded(_) | Picture::Rgb(_)), "decoded when looked at");
        self.slot.put(frame);
    }
}

fn ensure_picture(content_type: &str) -> Result<()> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // Some cameras do not say, or say only that it is bytes.
    if kind.is_empty() || kind == "application/octet-stream" || kind.starts_with("image/") {
        return Ok(());
    }
    let kind: String = kind.chars().filter(|letter| !letter.is_control()).take(50).collect();
    bail!(
        "it answers with {kind}, a JPEG or an MJPEG stream (multipart/x-mixed-replace) expected: check the path of url"
    )
}

/// The whole of one answer.
fn snapshot(answer: &mut Answer, asked: Stopwatch) -> Result<Vec<u8>> {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; PIECE]);
    loop {
        let read = answer.read(&mut piece)?;
        if read == 0 {
            return Ok(bytes);
        }
        bytes.extend_from_slice(&piece[..read]);
        ensure!(bytes.len() <= LARGEST, "its snapshot has more than {} MB", LARGEST >> 20);
        let within = SNAPSHOT_WITHIN.secs_f64();
        ensure!(asked.elapsed() <= SNAPSHOT_WITHIN, "its snapshot is not there after {within:.0} s");
    }
}
