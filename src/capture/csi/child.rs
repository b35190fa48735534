//! The program that reads the camera, as a child process: its pictures, its complaints, its end.

use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, BufRead as _, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{ChildStderr, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// How soon a stop is noticed.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
/// Of what it says, lines are cut off behind that.
const LONGEST_LINE: u64 = 1_000;

pub struct Child {
    /// As it was found.
    pub program: String,
    process: std::process::Child,
    /// One picture waits at most. If it is still there when the next comes, the next is dropped.
    pictures: Receiver<Heard>,
    said: Arc<Mutex<Said>>,
    /// Reads what it says; ended when that is complete.
    listener: Option<JoinHandle<()>>,
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

#[derive(Default)]
struct Said {
    last: String,
    size: Option<(u32, u32)>,
}

impl Child {
    /// The first of `programs` that is installed; each picture is so many bytes.
    pub fn start(programs: &[&str], arguments: &[String], picture: usize) -> Result<Child> {
        let (program, mut process) = spawn(programs, arguments)?;
        let (out, err) = (process.stdout.take(), process.stderr.take());
        let (send, pictures) = sync_channel(1);
        let said = Arc::new(Mutex::new(Said::default()));
        // From here on, dropping it kills the process.
        let mut child = Child { program, process, pictures, said: said.clone(), listener: None };
        let (out, err) = out.zip(err).context("a child process without pipes")?;
        let thread = std::thread::Builder::new().name("csi-said".into());
        child.listener = Some(thread.spawn(move || listen(err, &said)).context("cannot start a thread for a camera")?);
        let thread = std::thread::Builder::new().name("csi".into());
        thread.spawn(move || read(out, picture, &send)).context("cannot start a thread for a camera")?;
        Ok(child)
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
                    self.kill();
                    bail!("no frame for {:.0} s{}", within.secs_f64(), self.last_words());
                }
            }
        }
        Ok(None)
    }

    /// The size of pictures it announced.
    pub fn size(&self) -> Option<(u32, u32)> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).size
    }

    fn ended(&mut self, bytes: usize) -> anyhow::Error {
        // It closed its output; if it goes on living, it does so for nothing.
        let status = self.kill();
        // What it said last may still be in the pipe. A grandchild that holds the pipe must not hold us.
        if let Some(listener) = self.listener.take() {
            let clock = Stopwatch::start();
            while !listener.is_finished() && clock.elapsed() < Span::from_millis(500) {
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
        let part = if bytes > 0 { format!(" after {bytes} bytes of a frame") } else { String::new() };
        anyhow!("it ended{part}{status}{}", self.last_words())
    }

    fn last_words(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.last.is_empty() { String::new() } else { format!(", its last words: {}", said.last) }
    }

    /// With its own children, who would keep our threads at the pipes.
    fn kill_all(&mut self) {
        if let Some(group) = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.process.kill();
    }

    /// How it had ended by itself, in words, if it had.
    fn kill(&mut self) -> String {
        // Between closing its output and its end a moment may pass.
        let clock = Stopwatch::start();
        while matches!(self.process.try_wait(), Ok(None)) && clock.elapsed() < Span::from_millis(200) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let by_itself = matches!(self.process.try_wait(), Ok(Some(_)));
        self.kill_all();
        match self.process.wait() {
            Ok(status) if by_itself => format!(" ({status})"),
            _ => String::new(),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself; a child that is not waited for stays in the process table.
        self.kill_all();
        let _ = self.process.wait();
    }
}

fn spawn(programs: &[&str], arguments: &[String]) -> Result<(String, std::process::Child)> {
    for program in programs {
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        match command.spawn() {
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

/// Keeps the last line only, however much it is.
fn listen(err: ChildStderr, said: &Mutex<Said>) {
    let mut lines = BufReader::new(err);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty() {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.size = announced(text).or(said.size);
            text.clone_into(&mut said.last);
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
