//! A camera's stream that cannot be decoded in this process (H.265, rare kinds of H.264), through an ffmpeg child: access
//! units in, planes out. Threads of their own on all its pipes, so that neither a child that stalls nor a camera that
//! pauses holds anybody up; and nothing but the stream goes to the child: no address, no password.

use super::ffmpeg;
use crate::capture::program::Program;
use crate::frame::Yuv420;
use anyhow::{Context as _, Result, anyhow, bail};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};

/// Access units on the way to the child; while it is full, what comes is left out up to the next keyframe.
const MOST: usize = 32;
/// Pictures on the way back. When it is full the child waits, and so do its access units.
const PICTURES: usize = 2;

pub struct ChildDecoder {
    child: Program,
    to_child: SyncSender<Vec<u8>>,
    pictures: Receiver<Result<Yuv420>>,
    has_given: bool,
    /// Stamps of what went in and has not come out; pictures come out in their order.
    inside: BinaryHeap<Reverse<i64>>,
}

impl ChildDecoder {
    /// `format` is ffmpeg's name of the stream: `hevc` or `h264`, Annex B; `decoder` its name of what decodes it, where that
    /// is not its own.
    ///
    /// # Errors
    /// ffmpeg is not installed, or does not start.
    pub fn start(format: &str, decoder: Option<&str>) -> Result<Self> {
        let found = ffmpeg::found().context("decoding that takes ffmpeg: install it, or set the camera to H.264")?;
        let mut command = Command::new("ffmpeg");
        command
            .args(["-hide_banner", "-nostats", "-loglevel", "error"])
            // Not with nobuffer: it forgets what it looked at to learn the size, which is the first keyframe.
            .args(["-flags", "low_delay", "-probesize", "4096", "-analyzeduration", "0"])
            .args(decoder.map(|name| ["-c:v", name]).into_iter().flatten())
            .args(["-f", format, "-i", "pipe:0", found.pass_through, "passthrough"])
            .args(["-pix_fmt", "yuv420p", "-strict", "-1", "-f", "yuv4mpegpipe", "pipe:1"]);
        ChildDecoder::start_as(command)
    }

    fn start_as(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Program::start(&mut command, "ffmpeg-says", |_| {}).context("ffmpeg does not start")?;
        let (Some(mut input), Some(output)) = (child.input(), child.output()) else {
            bail!("ffmpeg starts without its pipes")
        };
        let (to_child, from_us) = sync_channel::<Vec<u8>>(MOST);
        let (to_us, pictures) = sync_channel(PICTURES);
        let decoder = ChildDecoder { child, to_child, pictures, has_given: false, inside: BinaryHeap::new() };
        thread("ffmpeg-in", move || {
            // Ends when we are dropped or the child is gone, which its output tells.
            while let Ok(unit) = from_us.recv() {
                if input.write_all(&unit).and_then(|()| input.flush()).is_err() {
                    return;
                }
            }
        })?;
        thread("ffmpeg-out", move || {
            let mut stream = BufReader::with_capacity(1 << 16, output);
            let ended = read_pictures(&mut stream, &to_us);
            // Nobody may listen any more.
            let _ = to_us.send(Err(ended));
        })?;
        Ok(decoder)
    }

    /// Whether a picture ever came of it.
    pub fn has_given(&self) -> bool {
        self.has_given
    }

    /// Never waits. `stamp` comes back with the picture. False: it is slower than the camera, and what follows is of no
    /// use to it before the next keyframe.
    ///
    /// # Errors
    /// It has ended.
    pub fn put(&mut self, annex_b: Vec<u8>, stamp: i64) -> Result<bool> {
        match self.to_child.try_send(annex_b) {
            Ok(()) => {
                self.inside.push(Reverse(stamp));
                // More than it can hold and have on the way: the oldest got lost in it.
                if self.inside.len() > 2 * MOST {
                    self.inside.pop();
                }
                Ok(true)
            }
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err(self.ended(anyhow!("ffmpeg has ended"))),
        }
    }

    /// The newest picture that is decoded, as [`ChildDecoder::ready`]. Older ones are passed over: those that came to wait
    /// while the child started would wait for ever, one access unit in and one picture out.
    ///
    /// # Errors
    /// It has ended.
    pub fn newest(&mut self) -> Result<Option<(i64, Yuv420)>> {
        let mut newest = None;
        while let Some(picture) = self.ready()? {
            newest = Some(picture);
        }
        Ok(newest)
    }

    /// The next picture and the stamp of its access unit, if one is decoded.
    ///
    /// # Errors
    /// It has ended; what it said last is in the sentence.
    pub fn ready(&mut self) -> Result<Option<(i64, Yuv420)>> {
        match self.pictures.try_recv() {
            Ok(Ok(picture)) => {
                self.has_given = true;
                Ok(self.inside.pop().map(|Reverse(stamp)| (stamp, picture)))
            }
            Ok(Err(error)) => Err(self.ended(error)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.ended(anyhow!("ffmpeg has ended"))),
        }
    }

    fn ended(&mut self, error: anyhow::Error) -> anyhow::Error {
        self.child.end();
        let words = self.child.last_line();
        if words.is_empty() { error } else { anyhow!("{error:#} ({words})") }
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(work).context("cannot start a thread")?;
    Ok(())
}

/// Why there are no more.
fn read_pictures(stream: &mut impl BufRead, to_us: &SyncSender<Result<Yuv420>>) -> anyhow::Error {
    let ended = || anyhow!("ffmpeg has ended");
    let Some(((width, height), full_range)) = line(stream).as_deref().and_then(ffmpeg::parse_header) else {
        return ended();
    };
    if let Err(error) = super::check_size(width, height) {
        return error.context("the camera's picture");
    }
    let (cw, ch) = Yuv420::chroma_size(width, height);
    while line(stream).is_some_and(|line| line.starts_with("FRAME")) {
        let [mut y, mut u, mut v] =
            [(width, height), (cw, ch), (cw, ch)].map(|(w, h)| vec![0; w as usize * h as usize]);
        if [&mut y, &mut u, &mut v].into_iter().any(|plane| stream.read_exact(plane).is_err()) {
            return anyhow!("ffmpeg has ended in the middle of a picture");
        }
        if to_us.send(Ok(Yuv420 { width, height, y, u, v, full_range })).is_err() {
            break;
        }
    }
    ended()
}

fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    stream.take(1024).read_until(b'\n', &mut line).ok()?;
    (!line.is_empty()).then(|| String::from_utf8_lossy(&line).trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What comes of a program that stands in for ffmpeg, within some seconds.
    fn outcome(script: &str) -> (usize, String) {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let mut decoder = ChildDecoder::start_as(command).unwrap();
        let mut pictures = 0;
        for stamp in 0..400 {
            let put = decoder.put(vec![0; 10_000], stamp);
            match put.and_then(|_| decoder.ready()) {
                Ok(Some(_)) => pictures += 1,
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => return (pictures, format!("{error:#}")),
            }
        }
        (pictures, "nothing".into())
    }

    #[test]
    fn a_child_may_die_stall_flood_and_break_off() {
        let header = "echo 'YUV4MPEG2 W4 H2 F25:1 C420jpeg'";
        let picture = "echo FRAME; printf 123456789012";
        assert_eq!(outcome("echo no such codec >&2; sleep .2"), (0, "ffmpeg has ended (no such codec)".into()));
        assert_eq!(outcome(&format!("{header}; {picture}; {picture}; sleep .2")).0, 2);
        let half = format!("{header}; {picture}; echo FRAME; printf 1234; exec >&-; sleep .2");
        assert_eq!(outcome(&half), (1, "ffmpeg has ended in the middle of a picture".into()));
        assert_eq!(outcome(&format!("{header}; exec sleep 60")), (0, "nothing".into()));
        let flood = format!("yes complaint 2>/dev/null | head -c 2000000 >&2; {header}; {picture}; exec sleep 60");
        assert_eq!(outcome(&flood), (1, "nothing".into()));
        assert!(outcome("echo 'YUV4MPEG2 W99999 H99999'; sleep .5").1.contains("99999x99999"));
    }
}
