//! The track log: what a detector saw, frame by frame, as JSON lines. It is written by `replay --tracks-out` and read
//! where a film could be: by `replay`, and by `run` as a camera of the kind `recorded`.
//!
//! ```text
//! {"schema":1,"kind":"watchpost-tracks","camera":"entrance","model":"nanodet-g","start":"2026-11-24T10:15:02.120Z"}
//! {"us":33366,"aspect":1.7777778,"detections":[{"class":"person","score":0.91,"box":[0.12,0.3,0.25,0.88]}]}
//! ```
//!
//! Where people were looked at closer, the line has `poses` as well: the box of each and its joints in COCO's order,
//! `{"box":[0.12,0.3,0.25,0.88],"joints":[[0.18,0.35,0.8],...]}` with x, y and how sure.
//!
//! It holds detections, not tracks: tracker and rules run again, so another tracker and other rules can be tried on
//! it. Numbers come back to the last bit, and with them the events. `taken_us` stands beside `us` in a line that was
//! not taken at `start` + `us`, and `shelves` where the goods of a zone have changed. A last line without its end (the power went) is left out and said; the rest is used.
//!
//! Absent on purpose: pictures, and any order of the lines but that in which they were written.

use crate::clue::wire::{Figure, Shelf};
use crate::clue::{Clues, Pose};
use crate::detection::{Class, Detection, Detections};
use crate::geometry::BBox;
use crate::problems::{BadInput, Problems};
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use crate::track::MAX_BOXES;
use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

const SCHEMA: u32 = 1;
const KIND: &str = "watchpost-tracks";
/// [`MAX_BOXES`] boxes fit into it ten times over; what is longer is some other file.
const MAX_LINE: usize = 4 << 20;
/// Class names are never freed, so a file must not bring as many as it likes.
const MAX_CLASSES: usize = 1000;

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    schema: u32,
    kind: String,
    pub camera: String,
    pub model: String,
    /// When film time was zero.
    pub start: WallTime,
}

impl Header {
    pub fn new(camera: &str, model: &str, start: WallTime) -> Self {
        // As it will be read back: in milliseconds.
        let start = WallTime::from_micros(start.millis() * 1000);
        Header { schema: SCHEMA, kind: KIND.into(), camera: camera.into(), model: model.into(), start }
    }
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    taken_us: Option<i64>,
    aspect: f32,
    #[serde(borrow)]
    detections: Vec<Item<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    shelves: Vec<Shelf<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    poses: Vec<Figure>,
}

#[derive(Serialize, Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    class: Cow<'a, str>,
    score: f32,
    #[serde(rename = "box")]
    bbox: [f32; 4],
}

/// Writes a track log.
pub struct TrackWriter<W: Write> {
    out: W,
    start: WallTime,
}

impl TrackWriter<BufWriter<File>> {
    pub fn create(path: &Path, header: &Header) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write the track log {}", path.display()))?;
        TrackWriter::new(BufWriter::new(file), header)
    }
}

impl<W: Write> TrackWriter<W> {
    pub fn new(mut out: W, header: &Header) -> Result<Self> {
        let line = serde_json::to_string(header).context("cannot write the track log")?;
        writeln!(out, "{line}").context("cannot write the track log")?;
        Ok(TrackWriter { out, start: header.start })
    }

    /// Boxes that are no numbers are left out: JSON cannot spell them, and the pipeline would not look at them.
    pub fn write(&mut self, seen: &Detections) -> Result<()> {
        let items = seen.items.iter().filter(|d| d.bbox.is_finite() && d.score.is_finite());
        let item = |d: &Detection| Item { class: d.class.name().into(), score: d.score, bbox: d.bbox.to_array() };
        let line = Line {
            us: seen.at.micros(),
            taken_us: (seen.taken != self.start + (seen.at - MediaTime::ZERO)).then(|| seen.taken.micros()),
            aspect: if seen.aspect.is_finite() { seen.aspect } else { 1.0 },
            detections: items.map(item).collect(),
            shelves: seen.clues.shelves.iter().filter(|sight| sight.bbox.is_finite()).map(Shelf::of).collect(),
            poses: seen.clues.poses.iter().filter(|pose| pose.is_finite()).map(Figure::from).collect(),
        };
        let line = serde_json::to_string(&line).context("cannot write the track log")?;
        writeln!(self.out, "{line}").context("cannot write the track log")
    }

    /// Everything is on its way to the disk when this returns.
    pub fn finish(mut self) -> Result<W> {
        self.out.flush().context("cannot write the track log")?;
        Ok(self.out)
    }
}

/// Reads a track log, one frame at a time.
pub struct TrackLog {
    path: PathBuf,
    input: BufReader<File>,
    header: Header,
    line: u64,
    text: Vec<u8>,
    classes: BTreeSet<Class>,
    torn: bool,
}

impl TrackLog {
    /// Whether the file looks like one, by its first byte or, where it has none, by its name.
    pub fn is_one(path: &Path) -> bool {
        let mut first = [0];
        match File::open(path).and_then(|mut file| file.read(&mut first)) {
            Ok(1) => first == *b"{",
            _ => path.extension().is_some_and(|ending| ending == "jsonl"),
        }
    }

    /// # Errors
    /// [`BadInput`]: `FILE:1: what is wrong, what was expected`.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path)
            .map_err(|error| BadInput(format!("cannot open the track log {}: {error}", path.display())))?;
        let header = Header::new("", "", WallTime::EPOCH);
        let mut log = TrackLog {
            path: path.into(),
            input: BufReader::new(file),
            header,
            line: 0,
            text: Vec::new(),
            classes: BTreeSet::new(),
            torn: false,
        };
        let expected = format!("expected a track log, whose first line says \"kind\":\"{KIND}\"");
        if !log.read_line()? {
            return Err(log.wrong(&format!("the file is empty, {expected}")));
        }
        let header: Header =
            serde_json::from_slice(&log.text).map_err(|e| log.wrong(&format!("{}, {expected}", told(&e))))?;
        if header.kind != KIND {
            return Err(log.wrong(&format!("this is \"{}\", {expected}", header.kind)));
        }
        if header.schema != SCHEMA {
            return Err(log.wrong(&format!("the schema is {}, expected {SCHEMA}", header.schema)));
        }
        log.header = header;
        Ok(log)
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Film time starts then, instead of when the header says.
    pub fn set_start(&mut self, start: WallTime) {
        self.header.start = start;
    }

    /// What is to be said of a file that broke off.
    pub fn torn(&self) -> Option<String> {
        let place = || format!("{}:{}", self.path.display(), self.line);
        self.torn.then(|| format!("{}: the last line breaks off and is left out, the lines before are used", place()))
    }

    /// The next frame; `None` at the end.
    ///
    /// # Errors
    /// [`BadInput`]: `FILE:LINE: what is wrong, what was expected`.
    pub fn next_frame(&mut self) -> Result<Option<Detections>> {
        if self.torn || !self.read_line()? {
            return Ok(None);
        }
        let line: Line<'_> = match serde_json::from_slice(&self.text) {
            Ok(line) => line,
            Err(_) if !self.text.ends_with(b"\n") => {
                self.torn = true;
                return Ok(None);
            }
            Err(error) => {
                let expected = "expected a frame as in {\"us\":0,\"aspect\":1.5,\"detections\":[]}";
                return Err(self.wrong(&format!("{}, {expected}", told(&error))));
            }
        };
        let found = line.detections.len().max(line.poses.len());
        if found > MAX_BOXES {
            return Err(self.wrong(&format!("{found} boxes in one frame, expected at most {MAX_BOXES}")));
        }
        let at = MediaTime::from_micros(line.us);
        let taken = line.taken_us.map_or(self.header.start + (at - MediaTime::ZERO), WallTime::from_micros);
        let mut items = Vec::with_capacity(line.detections.len());
        for Item { class, score, bbox: [x1, y1, x2, y2] } in line.detections {
            let class = match self.classes.iter().find(|known| known.name() == class) {
                Some(known) => *known,
                None if self.classes.len() < MAX_CLASSES => Class::named(&class),
                None => {
                    return Err(
                        self.wrong(&format!("\"{class}\" is one class too many, expected at most {MAX_CLASSES}"))
                    );
                }
            };
            self.classes.insert(class);
            items.push(Detection { class, score, bbox: BBox::new(x1, y1, x2, y2) });
        }
        let mut clues = Clues { poses: line.poses.into_iter().map(Pose::from).collect(), ..Clues::default() };
        for shelf in line.shelves {
            clues.shelves.push(shelf.sight().map_err(|what| self.wrong(&what))?);
        }
        Ok(Some(Detections { at, taken, aspect: line.aspect, items, clues }))
    }

    /// Fetches the next line that is not blank; false at the end of the file.
    fn read_line(&mut self) -> Result<bool> {
        loop {
            self.text.clear();
            self.line += 1;
            let mut limited = (&mut self.input).take(MAX_LINE as u64 + 1);
            let read = limited.read_until(b'\n', &mut self.text);
            let read = read.with_context(|| format!("cannot read the track log {}", self.path.display()))?;
            if read > MAX_LINE {
                return Err(self.wrong("the line is longer than 4 MB, expected one frame"));
            }
            if read == 0 || !self.text.trim_ascii().is_empty() {
                return Ok(read > 0);
            }
        }
    }

    fn wrong(&self, what: &str) -> anyhow::Error {
        BadInput(format!("{}:{}: {what}", self.path.display(), self.line)).into()
    }
}

/// Without serde's own idea of the place, which is always line 1.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

/// `source = { kind = "recorded", path = "tracks.jsonl" }`: a track log that plays like a camera.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordedConfig {
    /// A relative path starts at the configuration file.
    pub path: PathBuf,
    /// 2 is twice as fast as it was recorded, 0 as fast as possible; default 1.
    #[serde(default = "as_recorded")]
    pub speed: f64,
    /// Begin again at the end; without it the camera is then over.
    #[serde(default)]
    pub repeat: bool,
}

fn as_recorded() -> f64 {
    1.0
}

impl RecordedConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        let named = !self.path.as_os_str().is_empty();
        problems.expect(named, format!("{at}.path"), "is empty, expected a track log");
        let (path, speed) = (format!("{at}.speed"), self.speed);
        problems.expect((0.0..=1000.0).contains(&speed), path, format!("is {speed}, expected a number from 0 to 1000"));
    }
}

/// A track log as a camera. Played this way it shows the present: frames are taken now, whatever day they were
/// recorded.
pub struct Recorded {
    config: RecordedConfig,
    log: TrackLog,
    stop: Stop,
    opened: WallTime,
    clock: Stopwatch,
    /// Film time at which this showing begins, and that of the newest frame.
    began: Span,
    newest: Span,
    /// From the frame before to the newest one: what a repetition waits before its first frame.
    interval: Span,
}

impl Recorded {
    pub fn open(config: &RecordedConfig, stop: &Stop) -> Result<Self> {
        Ok(Recorded {
            log: TrackLog::open(&config.path)?,
            config: config.clone(),
            stop: stop.clone(),
            opened: WallTime::now(),
            clock: Stopwatch::start(),
            began: Span::ZERO,
            newest: Span::ZERO,
            interval: Span::ZERO,
        })
    }

    pub fn describe(&self) -> String {
        format!("track log {}", self.config.path.display())
    }

    /// Waits until the next frame is due. `None`: it is over, or was asked to stop.
    pub fn next_frame(&mut self) -> Result<Option<Detections>> {
        let mut next = self.log.next_frame()?;
        if next.is_none()
            && let Some(torn) = self.log.torn()
        {
            tracing::warn!(torn, "The track log is not whole, it ends here.");
        }
        // A log without frames would be opened in vain for ever.
        if next.is_none() && self.config.repeat && self.newest > self.began {
            self.began = self.newest + self.interval.max(Span::from_millis(1));
            self.log = TrackLog::open(&self.config.path)?;
            next = self.log.next_frame()?;
        }
        let Some(mut seen) = next else { return Ok(None) };
        let at = self.began + (seen.at - MediaTime::ZERO);
        if self.config.speed > 0.0 {
            let due = Span::from_secs_f64(at.secs_f64() / self.config.speed);
            self.stop.wait(due - self.clock.elapsed());
        }
        if self.stop.is_set() {
            return Ok(None);
        }
        self.interval = at - self.newest;
        self.newest = at;
        seen.at = MediaTime::ZERO + at;
        // Film time and the clock agree at any speed, or else dwell would differ from the times of the events.
        seen.taken = self.opened + at;
        Ok(Some(seen))
    }
}

#[cfg(test)]
mod tests;
