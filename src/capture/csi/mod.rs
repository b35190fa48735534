//! A camera on the ribbon cable of a Raspberry Pi (CSI), through the program that comes with its system:
//! `rpicam-vid`, on older ones `libcamera-vid`.
//!
//! A child process and not the library: libcamera's interface changes with every release, and linking it would tie the
//! binary to one of them. The child writes pictures in plain YUV 4:2:0, one behind the other and nothing between them;
//! so the length of a picture must be known exactly. Rows are padded to a multiple of 64 bytes on the Raspberry
//! Pi ([kernel](https://github.com/raspberrypi/linux/pull/4419)), those of the colour planes to half of that.
//!
//! Who waits for whom: a thread reads pictures from the child and keeps the newest one for us, another one reads what
//! it complains about. Both end with the child, which is killed when it is silent and when the source is dropped.
//!
//! Absent: focus, exposure, and other settings of a sensor; cameras of other boards.

mod child;
mod list;
#[cfg(test)]
mod tests;

use super::Source;
use crate::frame::{Frame, Picture, Yuv420};
use crate::problems::Problems;
use crate::stop::Stop;
use crate::time::Span;
use anyhow::{Result, bail};
use child::Child;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

pub use list::{CsiCamera, connected};

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CsiConfig {
    /// Its number in `watchpost cameras`.
    pub camera: u32,
    /// Columns, an even number.
    pub width: u32,
    /// Rows, an even number.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// Bytes from one row of the picture to the next. Without it: `width` rounded up to a multiple of 64, as the
    /// Raspberry Pi does.
    pub stride_bytes: Option<u32>,
}

impl Default for CsiConfig {
    fn default() -> Self {
        CsiConfig { camera: 0, width: 1280, height: 720, fps: 15, stride_bytes: None }
    }
}

impl CsiConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        for (name, value) in [("width", self.width), ("height", self.height)] {
            problems.expect(
                (2..=8192).contains(&value) && value % 2 == 0,
                format!("{at}.{name}"),
                format!("is {value}, an even number from 2 to 8192 expected"),
            );
        }
        problems.expect(
            (1..=240).contains(&self.fps),
            format!("{at}.fps"),
            format!("is {}, 1 to 240 expected", self.fps),
        );
        problems.expect(
            self.camera < 100,
            format!("{at}.camera"),
            format!("is {}, a number from `watchpost cameras` expected", self.camera),
        );
        if let Some(stride) = self.stride_bytes {
            problems.expect(
                stride % 2 == 0 && (self.width..=2 * 8192).contains(&stride),
                format!("{at}.stride_bytes"),
                format!("is {stride}, an even number from {} (the width) to 16384 expected", self.width),
            );
        }
    }

    fn layout(&self) -> Layout {
        let stride = self.stride_bytes.unwrap_or(self.width.next_multiple_of(ALIGNMENT));
        Layout { width: self.width, height: self.height, stride }
    }

    /// What the program is called with. No shell sees it.
    fn arguments(&self) -> Vec<String> {
        let numbers =
            [("--camera", self.camera), ("--width", self.width), ("--height", self.height), ("--framerate", self.fps)];
        // No preview window, no end, every picture at once.
        let mut words: Vec<String> =
            ["-n", "-t", "0", "--codec", "yuv420", "--flush", "-o", "-"].map(Into::into).into();
        words.extend(numbers.iter().flat_map(|(option, value)| [(*option).to_owned(), value.to_string()]));
        words
    }
}

/// Bytes; see the head of this file.
const ALIGNMENT: u32 = 64;

/// What there may be on a Raspberry Pi, newest first.
const PROGRAMS: [&str; 2] = ["rpicam-vid", "libcamera-vid"];

/// The first picture takes as long as the sensor needs to wake up; later ones come quicker.
const FIRST_WITHIN: Span = Span::from_millis(10_000);
const FRAME_WITHIN: Span = Span::from_millis(5_000);

/// How the pictures lie in the stream: three planes, the second and third with half of the rows and half of the
/// stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    width: u32,
    height: u32,
    stride: u32,
}

impl Layout {
    /// Of one picture.
    fn bytes(self) -> usize {
        self.stride as usize * self.height as usize * 3 / 2
    }

    /// Cuts the padding off; `bytes` is one picture.
    fn unpack(self, bytes: &[u8]) -> Yuv420 {
        let (stride, rows) = (self.stride as usize, self.height as usize);
        let (width, half) = (self.width as usize, self.stride as usize / 2);
        let (luma, chroma) = bytes.split_at(stride * rows);
        let (u, v) = chroma.split_at(half * rows / 2);
        let cut = |plane: &[u8], stride: usize, used: usize| -> Vec<u8> {
            if stride == used {
                return plane.to_vec();
            }
            plane.chunks_exact(stride).flat_map(|row| &row[..used]).copied().collect()
        };
        Yuv420 {
            width: self.width,
            height: self.height,
            y: cut(luma, stride, width),
            u: cut(u, half, width / 2),
            v: cut(v, half, width / 2),
            full_range: false,
        }
    }
}

pub struct CsiSource {
    child: Child,
    layout: Layout,
    camera: u32,
    stop: Stop,
    any: bool,
}

impl CsiSource {
    pub fn open(config: &CsiConfig, stop: &Stop) -> Result<Self> {
        Self::open_with(&PROGRAMS, config, stop)
    }

    /// The first of `programs` that is installed.
    fn open_with(programs: &[&str], config: &CsiConfig, stop: &Stop) -> Result<Self> {
        let layout = config.layout();
        let child = Child::start(programs, &config.arguments(), layout.bytes())?;
        Ok(CsiSource { child, layout, camera: config.camera, stop: stop.clone(), any: false })
    }

    /// libcamera takes another size where the sensor cannot do this one, and says so among other things.
    fn other_size(&self) -> Option<(u32, u32)> {
        self.child.size().filter(|size| *size != (self.layout.width, self.layout.height))
    }
}

impl Source for CsiSource {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        let within = if self.any { FRAME_WITHIN } else { FIRST_WITHIN };
        let raw = match self.child.next(within, &self.stop) {
            Ok(Some(raw)) => raw,
            Ok(None) => return Ok(None),
            Err(error) => return Err(error.context(self.describe())),
        };
        if let Some((width, height)) = self.other_size() {
            let Layout { width: w, height: h, .. } = self.layout;
            bail!("{}: it sends {width}x{height} instead of {w}x{h}; configure that size", self.describe());
        }
        self.any = true;
        let picture = Picture::Yuv420(Arc::new(self.layout.unpack(&raw.bytes)));
        Ok(Some(Frame { index: raw.index, at: raw.at, taken: raw.taken, picture }))
    }

    fn describe(&self) -> String {
        format!("CSI camera {} ({})", self.camera, self.child.program)
    }
}
