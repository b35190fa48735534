//! Everything that is not MP4/H.264, through the `ffmpeg` program in a child process, if it is installed.
//!
//! Pictures come as YUV4MPEG2, which says their size after any turning; when each is shown comes from the
//! `showinfo` filter on the other pipe, because films have frames of varying length and raw video has no
//! stamps. The child gets a file and no network: a playlist in a file's clothing cannot make it fetch
//! anything.
//!
//! Absent: ffmpeg for cameras, and choosing decoders for it.

use super::{Decode, Facts, Shown};
use crate::capture::program::Program;
use crate::frame::{Picture, Yuv420};
use crate::time::{MediaTime, Span, WallTime};
use anyhow::{Context as _, Result, bail};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Of the `ffmpeg` in the search path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub version: String,
    /// The option that keeps frames as they are; its name changed with version 5.1.
    pub pass_through: &'static str,
}

/// Looked for once. `None`: not installed.
pub fn found() -> Option<&'static Found> {
    static FOUND: OnceLock<Option<Found>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let output = Command::new("ffmpeg").arg("-version").stdin(Stdio::null()).output().ok()?;
            // ffprobe is part of the same package; some slim builds leave it out, and we need both.
            Command::new("ffprobe").arg("-version").stdin(Stdio::null()).output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout);
            let version = text.strip_prefix("ffmpeg version ")?.split_whitespace().next()?.to_owned();
            let pass_through = pass_through(&version);
            Some(Found { version, pass_through })
        })
        .as_ref()
}

fn pass_through(version: &str) -> &'static str {
    let mut numbers = version.split(['.', '-', '+']).map(|n| n.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), minor) if (major, minor.unwrap_or(0)) < (5, 1) => "-vsync",
        // A build without a number is of the day.
        _ => "-fps_mode",
    }
}

/// Stamps that go back by less are one picture's slip.
const SET_BACK: Span = Span::from_millis(500);

/// The rest of a film, from a running child.
pub struct Ffmpeg {
    child: Program,
    pictures: BufReader<ChildStdout>,
    stamps: Receiver<Line>,
    /// The newest.
    complaint: Arc<Mutex<Option<String>>>,
    size: (u32, u32),
    full_range: bool,
    /// Length of one tick of the stamps.
    tick_s: f64,
    /// Where frames of unknown length are assumed to end.
    frame: Span,
    /// Frames and length by the header.
    promised: (Option<u64>, Option<Span>),
    timeline: Timeline,
    shown: u64,
    end: Span,
    ended: bool,
}

/// From stamps to film time, which begins with 0 and never goes back.
#[derive(Default)]
struct Timeline {
    /// The stamp at which film time was 0, and the newest film time.
    zero: Option<Span>,
    newest: Option<Span>,
}

impl Timeline {
    /// `end` is where the picture before ends.
    fn place(&mut self, stamp: Option<Span>, end: Span) -> Span {
        let at = match (stamp, self.newest) {
            (None, _) => end,
            (Some(stamp), newest) => {
                let at = stamp - *self.zero.get_or_insert(stamp - end);
                match newest {
                    // The recorder's clock was set back, or a second recording begins: the film goes on.
                    Some(newest) if at + SET_BACK < newest => {
                        self.zero = Some(stamp - end);
                        end
                    }
                    // A slip of one picture; to go on from there would make the film longer than it is.
                    Some(newest) => at.max(newest + Span::from_micros(1)),
                    None => at,
                }
            }
        };
        self.newest = Some(at);
        at
    }
}

/// What `showinfo` says.
#[derive(Debug, PartialEq)]
enum Line {
    TimeBase { tick_s: f64, frame_s: Option<f64> },
    Frame { pts: Option<i64>, duration: Option<i64> },
}

/// Asks `ffprobe` what the file is. The error completes the sentence "FILE …".
pub fn probe(path: &Path) -> Result<Facts> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-protocol_whitelist", "file", "-select_streams", "v:0", "-of", "json"])
        .args(["-show_entries", "format=format_long_name,duration,nb_streams:format_tags=creation_time"])
        .args(["-show_entries", "stream=codec_name,avg_frame_rate,nb_frames,duration"])
        .arg(file_url(path))
        .stdin(Stdio::null())
        .output()
        .context("cannot be examined, ffprobe does not start")?;
    if !output.status.success() {
        bail!("is no film that ffmpeg knows ({})", last_line(&String::from_utf8_lossy(&output.stderr)));
    }
    facts(&output.stdout)
}

fn facts(json: &[u8]) -> Result<Facts> {
    let json: serde_json::Value = serde_json::from_slice(json).context("cannot be examined, ffprobe speaks no JSON")?;
    let format = &json["format"];
    let stream = &json["streams"][0];
    let container = format["format_long_name"].as_str().unwrap_or("a file").to_owned();
    let Some(codec) = stream["codec_name"].as_str() else { bail!("has no video track ({container})") };
    let number = |v: &serde_json::Value| v.as_str().and_then(|s| s.parse::<f64>().ok()).filter(|n| *n > 0.0);
    // The length of the container counts the sound as well, which may go on after the picture.
    let length = number(&stream["duration"])
        .or_else(|| number(&format["duration"]).filter(|_| format["nb_streams"].as_u64() == Some(1)));
    let fps = stream["avg_frame_rate"].as_str().and_then(ratio);
    let counted = stream["nb_frames"].as_str().and_then(|s| s.parse().ok()).filter(|n| *n > 0);
    Ok(Facts {
        what: format!("{container}, {codec}"),
        decoder: format!("{codec} through ffmpeg"),
        frames: counted.or_else(|| Some((length? * fps?).round() as u64)),
        fps,
        duration: length.map(Span::from_secs_f64),
        recorded: format["tags"]["creation_time"]
            .as_str()
            .and_then(|t| WallTime::parse(t).ok())
            .filter(|t| t.micros() > 0),
    })
}

/// `30000/1001`
fn ratio(text: &str) -> Option<f64> {
    let (n, d) = text.split_once('/')?;
    let (n, d) = (n.parse::<f64>().ok()?, d.parse::<f64>().ok()?);
    (n > 0.0 && d > 0.0).then(|| n / d)
}

/// Without a scheme a name like `concat:a` or `http:b` would be one.
fn file_url(path: &Path) -> std::ffi::OsString {
    let mut url = std::ffi::OsString::from("file:");
    url.push(path);
    url
}

fn last_line(text: &str) -> &str {
    text.lines().rfind(|l| !l.trim().is_empty()).unwrap_or("no reason given").trim()
}

impl Ffmpeg {
    pub fn open(path: &Path, facts: &Facts, found: &Found) -> Result<Self> {
        let mut command = Command::new("ffmpeg");
        command
            .args(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"])
            .args(["-protocol_whitelist", "file", "-i"])
            .arg(file_url(path))
            .args(["-map", "0:v:0", "-vf", "showinfo=checksum=0", found.pass_through, "passthrough"])
            .args(["-pix_fmt", "yuv420p", "-strict", "-1", "-f", "yuv4mpegpipe", "pipe:1"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let complaint = Arc::new(Mutex::new(None));
        // If it is full the child waits. It cannot wait for ever: ffmpeg is never so many frames ahead of the
        // pictures it has written, since those are read before their stamps.
        let (to_us, stamps) = sync_channel(1024);
        let newest = complaint.clone();
        let hear = move |line: &str| {
            if let Some(line) = parse_showinfo(line) {
                // If nobody listens any more: go on reading, so that the child is not stuck.
                let _ = to_us.send(line);
            } else if line.contains("[error]") || line.contains("[fatal]") {
                *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(line.to_owned());
            }
        };
        let mut child =
            Program::start(&mut command, "ffmpeg-says", hear).context("cannot be decoded, ffmpeg does not start")?;
        let stdout = child.output().context("cannot be decoded, ffmpeg starts without its output")?;
        let mut film = Ffmpeg {
            child,
            pictures: BufReader::with_capacity(1 << 16, stdout),
            stamps,
            complaint,
            size: (0, 0),
            full_range: false,
            tick_s: 0.0,
            frame: Span::from_secs_f64(1.0 / facts.fps.unwrap_or(25.0)),
            promised: (facts.frames, facts.duration),
            timeline: Timeline::default(),
            shown: 0,
            end: Span::ZERO,
            ended: false,
        };
        let header = film.line()?;
        let Some(found) = parse_header(&header) else {
            film.child.end();
            bail!("cannot be decoded by ffmpeg ({})", film.complaint().unwrap_or_default());
        };
        (film.size, film.full_range) = found;
        super::check_size(film.size.0, film.size.1)?;
        Ok(film)
    }

    /// One line of YUV4MPEG2; empty at the end.
    fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        (&mut self.pictures).take(1024).read_until(b'\n', &mut line).context("ffmpeg breaks off")?;
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The stamp of the picture just read, if it has one, and how long it is shown.
    fn stamp(&mut self) -> (Option<Span>, Span) {
        let assumed = (None, self.frame);
        while let Ok(line) = self.stamps.recv() {
            match line {
                Line::TimeBase { tick_s, frame_s } => {
                    self.tick_s = tick_s;
                    self.frame = frame_s.map_or(self.frame, Span::from_secs_f64);
                }
                Line::Frame { pts: None, .. } => return assumed,
                Line::Frame { pts: Some(pts), duration } => {
                    let lasts = duration.map_or(self.frame, |d| Span::from_secs_f64(d as f64 * self.tick_s));
                    return (Some(Span::from_secs_f64(pts as f64 * self.tick_s)), lasts);
                }
            }
        }
        assumed
    }

    fn finish(&mut self) -> Result<Option<Shown>> {
        self.ended = true;
        // None: it had nothing left to say, and went on living.
        let status = self.child.end();
        let complaint = self.complaint();
        let frames = self.shown;
        if frames == 0 {
            bail!("gives not a single picture ({})", complaint.or(status.map(|s| s.to_string())).unwrap_or_default());
        }
        // What headers promise is rounded and estimated.
        let is_short = |(frames, length): (Option<u64>, Option<Span>)| {
            frames.is_some_and(|n| (self.shown as f64) < n as f64 * 0.98 - 2.0)
                || length.is_some_and(|l| self.end.secs_f64() < l.secs_f64() * 0.98 - 0.5)
        };
        if status.is_some_and(|status| !status.success()) || is_short(self.promised) {
            let of = self.promised.0.map(|n| format!(" of {n}")).unwrap_or_default();
            let why = complaint.map(|c| format!(" ({c})")).unwrap_or_default();
            bail!("breaks off after {frames}{of} frames at {:.1} s{why}", self.end.secs_f64());
        }
        Ok(None)
    }
}

impl Decode for Ffmpeg {
    fn next(&mut self) -> Result<Option<Shown>> {
        if self.ended {
            return Ok(None);
        }
        if !self.line()?.starts_with("FRAME") {
            return self.finish();
        }
        let (w, h) = self.size;
        let (cw, ch) = Yuv420::chroma_size(w, h);
        let [mut y, mut u, mut v] = [(w, h), (cw, ch), (cw, ch)].map(|(w, h)| vec![0; w as usize * h as usize]);
        for plane in [&mut y, &mut u, &mut v] {
            if self.pictures.read_exact(plane).is_err() {
                return self.finish();
            }
        }
        let (stamp, lasts) = self.stamp();
        self.shown += 1;
        let at = self.timeline.place(stamp, self.end);
        self.end = at + lasts;
        let picture = Yuv420 { width: w, height: h, y, u, v, full_range: self.full_range };
        Ok(Some(Shown { at: MediaTime::ZERO + at, lasts, picture: Picture::Yuv420(Arc::new(picture)) }))
    }
}

/// `YUV4MPEG2 W640 H480 F25:1 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=FULL`
pub fn parse_header(line: &str) -> Option<((u32, u32), bool)> {
    let fields = line.strip_prefix("YUV4MPEG2")?;
    let field = |key: char| fields.split(' ').find_map(|f| f.strip_prefix(key)?.parse().ok());
    Some(((field('W')?, field('H')?), fields.contains("XCOLORRANGE=FULL")))
}

/// `[Parsed_showinfo_0 @ 0x1] [info] n:   3 pts:   1536 pts_time:0.12    duration:    512 …`, and before
/// the first `… config in time_base: 1/12800, frame_rate: 25/1`.
fn parse_showinfo(line: &str) -> Option<Line> {
    if !line.starts_with("[Parsed_showinfo") {
        return None;
    }
    let after = |key: &str| line.split_once(key).and_then(|(_, rest)| rest.split_whitespace().next());
    if let Some(base) = after("config in time_base:") {
        let tick_s = ratio(base.trim_end_matches(','))?;
        return Some(Line::TimeBase { tick_s, frame_s: after("frame_rate:").and_then(ratio).map(|fps| 1.0 / fps) });
    }
    after(" n:")?.parse::<u64>().ok()?;
    let ticks = |key| after(key).and_then(|n| n.parse().ok());
    Some(Line::Frame { pts: ticks(" pts:"), duration: ticks(" duration:").filter(|d: &i64| *d > 0) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_showinfo_are_understood() {
        let frame = "[Parsed_showinfo_0 @ 0x55] [info] n:   3 pts:   1536 pts_time:0.12    pos:    9 fmt:yuv420p";
        assert_eq!(parse_showinfo(frame), Some(Line::Frame { pts: Some(1536), duration: None }));
        let newer = "[Parsed_showinfo_0 @ 0x55] [info] n:3 pts:NOPTS pts_time:NOPTS duration:512 duration_time:0.04";
        assert_eq!(parse_showinfo(newer), Some(Line::Frame { pts: None, duration: Some(512) }));
        let base = "[Parsed_showinfo_0 @ 0x55] [info] config in time_base: 1/12800, frame_rate: 25/1";
        assert_eq!(parse_showinfo(base), Some(Line::TimeBase { tick_s: 1.0 / 12800.0, frame_s: Some(0.04) }));
        assert_eq!(parse_showinfo("[Parsed_showinfo_0 @ 0x55] [info]   color_range:unknown"), None);
        assert_eq!(parse_showinfo("[mpeg4 @ 0x55] [error] n: 3 pts: 4"), None);
    }

    #[test]
    fn film_time_goes_on_when_stamps_go_back() {
        let check = |stamps: &[Option<i64>], expected: &[i64]| {
            let (mut timeline, mut end) = (Timeline::default(), Span::ZERO);
            let place = |stamp: &Option<i64>| {
                let at = timeline.place(stamp.map(Span::from_micros), end);
                end = at + Span::from_micros(100_000);
                at.micros()
            };
            assert_eq!(stamps.iter().map(place).collect::<Vec<_>>(), expected, "{stamps:?}");
        };
        check(&[Some(5_000_000), Some(5_100_000), None, Some(5_300_000)], &[0, 100_000, 200_000, 300_000]);
        // Set back by 5 s.
        check(
            &[Some(5_000_000), Some(6_000_000), Some(1_000_000), Some(1_100_000)],
            &[0, 1_000_000, 1_100_000, 1_200_000],
        );
        // Two of the same, and one that slipped.
        check(
            &[Some(0), Some(100_000), Some(100_000), Some(50_000), Some(300_000)],
            &[0, 100_000, 100_001, 100_002, 300_000],
        );
    }

    #[test]
    fn frames_are_passed_through_by_the_option_of_the_version() {
        for (version, option) in [
            ("4.3.9-0+deb11u1", "-vsync"),
            ("5.0.1", "-vsync"),
            ("5.1.6-0+deb12u1", "-fps_mode"),
            ("8.0", "-fps_mode"),
            ("N-112-gabcdef", "-fps_mode"),
        ] {
            assert_eq!(pass_through(version), option, "{version}");
        }
    }

    #[test]
    fn a_file_with_sound_only_has_no_video_track() {
        let error = facts(br#"{"streams":[],"format":{"format_long_name":"WAV"}}"#).unwrap_err();
        assert_eq!(error.to_string(), "has no video track (WAV)");
    }
}
