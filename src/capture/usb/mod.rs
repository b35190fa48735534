//! A USB camera through V4L2, and whatever else the kernel shows as `/dev/videoN`.
//!
//! No thread of its own: every call to the driver ends by itself, since a frame is asked for only when `poll` has
//! said that one is there. Frames that waited while somebody was busy are passed over: the newest counts.
//!
//! Absent: H.264 from cameras, and settings such as exposure.

mod device;
mod find;
mod offer;

use super::Source;
use super::usb_picture::{self, Kind};
use crate::frame::Frame;
use crate::problems::Problems;
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use anyhow::{Result, anyhow, bail};
use device::{Raw, Streaming};
use find::{Machine, Name};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UsbConfig {
    /// As `watchpost cameras` lists it: `usb:046d:0825:SERIAL` is this camera wherever it is plugged, `usb:1-1.2`
    /// whatever is plugged there. Or a path: `/dev/v4l/by-id/…`, `/dev/video0`; the number of the last may change
    /// when cameras are plugged in another order.
    pub device: String,
    /// Columns; the nearest size that the camera offers is taken.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Frames per second; the nearest rate that the camera offers is taken.
    pub fps: u32,
}

impl Default for UsbConfig {
    fn default() -> Self {
        UsbConfig { device: "/dev/video0".into(), width: 1280, height: 720, fps: 15 }
    }
}

impl UsbConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        if let Err(expected) = Name::parse(&self.device) {
            problems.add(format!("{at}.device"), format!("is \"{}\", {expected}", self.device));
        }
        for (name, value, most) in [("width", self.width, 8192), ("height", self.height, 8192), ("fps", self.fps, 240)]
        {
            problems.expect(
                (1..=most).contains(&value),
                format!("{at}.{name}"),
                format!("is {value}, 1 to {most} expected"),
            );
        }
    }

    /// Whether the camera is plugged in, without opening it.
    pub fn is_there(&self) -> bool {
        Name::parse(&self.device).and_then(|name| Machine::default().resolve(&name)).is_ok()
    }
}

/// A camera that is connected, for a person to choose.
#[derive(Debug, Clone, PartialEq)]
pub struct UsbCamera {
    pub name: String,
    /// For [`UsbConfig::device`].
    pub device: String,
    /// `/dev/videoN`, now.
    pub node: PathBuf,
    /// `1-1.2`
    pub port: Option<String>,
    pub modes: Vec<UsbMode>,
    /// Why it cannot be used.
    pub trouble: Option<String>,
}

/// A format and size on offer.
#[derive(Debug, Clone, PartialEq)]
pub struct UsbMode {
    /// `MJPG`
    pub format: String,
    /// Columns and rows; of a range, its ends.
    pub sizes: [(u32, u32); 2],
    /// Frames per second, fastest first; empty where the camera does not say.
    pub fps: Vec<f64>,
    /// Whether we can decode it.
    pub is_known: bool,
}

/// The cameras that are plugged in; codecs, image processors and metadata are none.
pub fn connected() -> Vec<UsbCamera> {
    let nodes = Machine::default().found();
    let mut cameras = Vec::new();
    for node in &nodes {
        let path = PathBuf::from(format!("/dev/video{}", node.number));
        let (name, modes, trouble) = match device::describe(&path, &UsbConfig::default()) {
            Ok(described) if !described.is_camera => continue,
            Ok(described) => {
                let modes: Vec<UsbMode> = described.offers.iter().map(mode).collect();
                let trouble = (!modes.iter().any(|mode| mode.is_known))
                    .then(|| format!("sends {}, expected MJPG, YUYV or NV12", offer::codes(&described.offers)));
                (described.card, modes, trouble)
            }
            // What is built in and shut may be no camera at all.
            Err(_) if node.usb.is_none() => continue,
            Err(error) => (node.name.clone(), Vec::new(), Some(format!("{error:#}"))),
        };
        let port = node.usb.as_ref().map(|usb| usb.port.clone());
        cameras.push(UsbCamera { name, device: find::lasting_name(node, &nodes), node: path, port, modes, trouble });
    }
    cameras
}

fn mode(offer: &offer::Offer) -> UsbMode {
    let size = (offer.width, offer.height);
    let mut fps: Vec<f64> = offer.intervals.iter().map(|i| (i.fps() * 100.0).round() / 100.0).collect();
    // 1/30 and 2/60 are the same to a person; 0 is none.
    fps.dedup();
    fps.retain(|fps| *fps > 0.0);
    UsbMode {
        format: offer::codes(std::slice::from_ref(offer)),
        sizes: offer.between.unwrap_or([size, size]),
        fps,
        is_known: offer::kind(offer.code).is_some(),
    }
}

/// A silent camera is opened again after that.
const FRAME_WITHIN: Span = Span::from_millis(5_000);
/// How soon a stop is noticed.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
/// Broken pictures in a row that are taken for noise on the cable.
const MAX_BROKEN: u32 = 30;

pub struct UsbSource {
    device: String,
    node: PathBuf,
    camera: Streaming,
    stop: Stop,
    times: Times,
    /// Of the first picture.
    size: Option<(u32, u32)>,
    /// In a row, and since the opening.
    broken: (u32, u64),
}

impl UsbSource {
    pub fn open(config: &UsbConfig, stop: &Stop) -> Result<Self> {
        let name = Name::parse(&config.device).map_err(|error| anyhow!("\"{}\": {error}", config.device))?;
        let node = PathBuf::from(format!("/dev/video{}", Machine::default().resolve(&name)?));
        let camera = Streaming::open(&node, config).map_err(|error| error.context(config.device.clone()))?;
        let device = config.device.clone();
        let times = Times::new();
        Ok(UsbSource { device, node, camera, stop: stop.clone(), times, size: None, broken: (0, 0) })
    }

    /// `None`: not a whole picture.
    ///
    /// # Errors
    /// Another size than before.
    fn picture(&mut self, raw: Raw) -> Result<Option<Frame>> {
        let (sequence, stamp) = (raw.sequence, raw.stamp);
        let decoded = if raw.is_damaged {
            Err(anyhow!("the driver marked it as damaged"))
        } else {
            usb_picture::decode(&self.camera.layout, raw.bytes)
        };
        let picture = match decoded {
            Ok(picture) => picture,
            Err(error) => {
                self.broken = (self.broken.0 + 1, self.broken.1 + 1);
                let (in_a_row, in_all) = self.broken;
                if in_a_row >= MAX_BROKEN {
                    return Err(error.context(format!("{in_a_row} broken frames in a row")));
                }
                // A camera on a bad cable would fill the log.
                if in_all.is_power_of_two() {
                    let error = format!("{error:#}");
                    tracing::warn!(device = self.device, error, in_all, "A broken frame was skipped.");
                }
                return Ok(None);
            }
        };
        self.broken.0 = 0;
        let (was, is) = (*self.size.get_or_insert(picture.size()), picture.size());
        if was != is {
            bail!("its pictures changed from {}x{} to {}x{}", was.0, was.1, is.0, is.1);
        }
        let (at, taken) = self.times.place(stamp);
        Ok(Some(Frame { index: sequence.into(), at, taken, picture }))
    }

    fn next(&mut self) -> Result<Option<Frame>> {
        let silence = Stopwatch::start();
        while !self.stop.is_set() {
            if self.camera.wait(LOOK)? {
                let raw = self.camera.take()?;
                if let Some(frame) = self.picture(raw)? {
                    return Ok(Some(frame));
                }
            }
            if silence.elapsed() > FRAME_WITHIN {
                let what = if self.broken.0 > 0 { "no whole frame" } else { "no frame" };
                bail!("{what} for {:.0} s", FRAME_WITHIN.secs_f64());
            }
        }
        Ok(None)
    }
}

impl Source for UsbSource {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        self.next().map_err(|error| error.context(format!("{} ({})", self.device, self.node.display())))
    }
    fn describe(&self) -> String {
        let kind = match self.camera.layout.kind {
            Kind::Mjpeg => "",
            Kind::Yuyv | Kind::Nv12 => ", not compressed",
        };
        format!("{}{kind} ({}, {})", self.camera.name, self.device, self.node.display())
    }
    fn lost(&self) -> u64 {
        self.broken.1
    }
    fn decoder(&self) -> Option<Cow<'_, str>> {
        (self.camera.layout.kind == Kind::Mjpeg).then(|| "JPEG in the program".into())
    }
}

/// Film time from the stamps of the driver, which do not tremble as our own reading of the clock does.
struct Times {
    clock: Stopwatch,
    /// What to add to a stamp to get the time since the opening.
    offset: Option<Span>,
    newest: MediaTime,
}

impl Times {
    /// Further apart than that, stamp and clock do not mean the same.
    const APART: Span = Span::from_millis(1_000);

    fn new() -> Self {
        Times { clock: Stopwatch::start(), offset: None, newest: MediaTime::ZERO }
    }

    fn place(&mut self, stamp: Option<Span>) -> (MediaTime, WallTime) {
        let now = self.clock.elapsed();
        let (at, taken) = (self.film_time(stamp, now), WallTime::now());
        (at, taken + ((at - MediaTime::ZERO) - now).min(Span::ZERO))
    }

    fn film_time(&mut self, stamp: Option<Span>, now: Span) -> MediaTime {
        let at = match stamp {
            None => now,
            Some(stamp) => {
                let at = stamp + *self.offset.get_or_insert(now - stamp);
                if at > now + Self::APART || now > at + Self::APART {
                    self.offset = Some(now - stamp);
                    now
                } else {
                    at
                }
            }
        };
        self.newest = (MediaTime::ZERO + at).max(self.newest + Span::from_micros(1));
        self.newest
    }
}

/// Runs what may panic inside of a driver's crate. The state it worked on must not be used after an error.
fn guarded<T>(f: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|_| anyhow!("says something that the driver's crate does not take"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn film_time_follows_the_stamps_as_long_as_they_make_sense() {
        let mut times = Times::new();
        let ms = Span::from_millis;
        let mut check = |stamp: Option<i64>, now: i64, expected: i64| {
            let at = times.film_time(stamp.map(ms), ms(now));
            assert_eq!(at, MediaTime::ZERO + ms(expected), "stamp {stamp:?} at {now}");
        };
        check(Some(90_000), 250, 250);
        // Read late or early, the frames are a tenth of a second apart.
        check(Some(90_100), 390, 350);
        check(Some(90_200), 440, 450);
        check(None, 560, 560);
        // The driver begins anew.
        check(Some(5), 700, 700);
        check(Some(105), 805, 800);
    }

    #[test]
    fn film_time_never_goes_back() {
        let mut times = Times::new();
        let ms = Span::from_millis;
        let first = times.film_time(Some(ms(1000)), ms(500));
        assert!(times.film_time(Some(ms(900)), ms(510)) > first);
    }

    #[test]
    fn a_missing_device_gives_one_sentence_with_those_there_are() {
        let config = UsbConfig { device: "/dev/video-none".into(), ..UsbConfig::default() };
        let error = UsbSource::open(&config, &Stop::new()).err().unwrap().to_string();
        assert!(error.starts_with("/dev/video-none: No such file or directory"), "{error}");
        assert!(error.contains("there is no video device here") || error.contains("there are: /dev/video"), "{error}");
        let config = UsbConfig { device: "/dev/null".into(), ..UsbConfig::default() };
        let error = UsbSource::open(&config, &Stop::new()).err().unwrap().to_string();
        assert!(error.starts_with("/dev/null is no video device"), "{error}");
        assert!(!config.is_there());
    }

    #[test]
    fn a_panic_of_the_driver_is_an_error() {
        assert_eq!(guarded(|| 1).unwrap(), 1);
        assert!(guarded(|| -> u32 { panic!("a driver") }).is_err());
    }
}
