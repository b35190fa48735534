//! The program that reads the camera, as a child process: its pictures, its complaints, its end.

use crate::capture::program::Program;
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use anyhow::{Context as _, Result, anyhow, bail};
use std::io::{self, Read};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

/// How soon a stop is noticed.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

pub struct Child {
    /// As it was found.
    pub program: String,
    process: Program,
    /// One picture waits at most. If it is still there when the next comes, the next is dropped.
    pictures: Receiver<Heard>,
    /// The size of pictures it announced.
    announced: Announced,
}

/// One picture, as it was written.
pub struct Raw {
    /// Counts what the program wrote, also what nobody had time for.
    pub index: u64,
    /// Since the program started.
    pub at: MediaTime,
    pub taken: WallTime,
    pub bytes: Vec<u8>,
}

enum Heard {
    Picture(Raw),
    /// So many bytes of a picture, and then the end.
    End(usize),
}

type Announced = Arc<Mutex<Option<(u32, u32)>>>;

impl Child {
    /// The first of `programs` that is installed; each picture is so many bytes.
    pub fn start(programs: &[&str], arguments: &[String], picture: usize) -> Result<Child> {
        let announced = Announced::default();
        let (program, mut process) = start(programs, arguments, &announced)?;
        let out = process.output().context("a child process without pipes")?;
        let (send, pictures) = sync_channel(1);
        let thread = std::thread::Builder::new().name("csi".into());
        thread.spawn(move || read(out, picture, &send)).context("cannot start a thread for a camera")?;
        Ok(Child { program, process, pictures, announced })
    }

    /// `None`: asked to stop.
    ///
    /// # Errors
    /// It is of no use any more, and what its last words were.
    pub fn next(&mut self, within: Span, stop: &Stop) -> Result<Option<Raw>> {
        let clock = Stopwatch::start();
        while !stop.is_set() {
            match self.pictures.recv_timeout(LOOK) {
                Ok(Heard::Picture(raw)) => return Ok(Some(raw)),
                Ok(Heard::End(bytes)) => return Err(self.ended(bytes)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended(0)),
                Err(RecvTimeoutError::Timeout) if clock.elapsed() < within => {}
                Err(RecvTimeoutError::Timeout) => {
                    self.process.end();
                    bail!("no frame for {:.0} s{}", within.secs_f64(), self.last_words());
                }
            }
        }
        Ok(None)
    }

    /// The size of pictures it announced.
    pub fn size(&self) -> Option<(u32, u32)> {
        *self.announced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&mut self, bytes: usize) -> anyhow::Error {
        let status = self.process.end().map_or(String::new(), |status| format!(" ({status})"));
        let part = if bytes > 0 { format!(" after {bytes} bytes of a frame") } else { String::new() };
        anyhow!("it ended{part}{status}{}", self.last_words())
    }

    fn last_words(&self) -> String {
        let last = self.process.last_line();
        if last.is_empty() { last } else { format!(", its last words: {last}") }
    }
}

fn start(programs: &[&str], arguments: &[String], size: &Announced) -> Result<(String, Program)> {
    for program in programs {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let size = size.clone();
        let hear = move |line: &str| {
            let mut size = size.lock().unwrap_or_else(PoisonError::into_inner);
            *size = announced(line).or(*size);
        };
        match Program::start(&mut command, "csi-said", hear) {
            Ok(process) => return Ok(((*program).to_owned(), process)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(anyhow!("{program} does not start: {error}")),
        }
    }
    bail!(
        "a CSI camera is read by the program {}, which is not installed: expected the package rpicam-apps-lite",
        programs.join(" or ")
    )
}

fn read(mut out: ChildStdout, picture: usize, send: &SyncSender<Heard>) {
    let clock = Stopwatch::start();
    for index in 0.. {
        let mut bytes = Vec::with_capacity(picture);
        // A pipe that breaks is an end like any other.
        let _ = out.by_ref().take(picture as u64).read_to_end(&mut bytes);
        if bytes.len() < picture {
            // Nobody listens: the source is closed already.
            let _ = send.send(Heard::End(bytes.len()));
            return;
        }
        let raw = Raw { index, at: MediaTime::ZERO + clock.elapsed(), taken: WallTime::now(), bytes };
        match send.try_send(Heard::Picture(raw)) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

/// `… configuring streams: (0) 1280x720-YUV420 (1) 1536x864-SBGGR10_CSI2P`
pub(super) fn announced(line: &str) -> Option<(u32, u32)> {
    let (_, streams) = line.split_once("configuring streams:")?;
    let size = streams.split_whitespace().find_map(|word| word.split_once("-YUV420").map(|(size, _)| size))?;
    let (width, height) = size.split_once('x')?;
    Some((width.parse().ok()?, height.parse().ok()?))
}
