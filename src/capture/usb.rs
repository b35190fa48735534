//! A USB camera through V4L2. The only file that names nokhwa.
//!
//! What the driver does to us, and what we do about it:
//! - It waits for ever for a camera that stops sending. So a thread of its own talks to the camera, and we wait
//!   for that thread for a limited time. The thread ends when the camera answers or is unplugged.
//! - It may panic when an unplugged camera is closed. That happens on the same thread, which ends anyway.
//! - It refuses to open a camera whose last user left it in a format it does not know; the message says what helps.
//!
//! Absent: H.264 from cameras, and settings such as exposure.

use super::Source;
use super::usb_picture::{self, Kind};
use crate::frame::Frame;
use crate::problems::Problems;
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use anyhow::{Context as _, Result, anyhow, bail};
use nokhwa::Camera;
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UsbConfig {
    /// `/dev/video0`, or better `/dev/v4l/by-id/…`, which stays the same when cameras are plugged in another order.
    pub device: PathBuf,
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
        problems.expect(
            self.device.is_absolute(),
            format!("{at}.device"),
            format!("is \"{}\", a path such as \"/dev/video0\" expected", self.device.display()),
        );
        for (name, value, most) in [("width", self.width, 8192), ("height", self.height, 8192), ("fps", self.fps, 240)]
        {
            problems.expect(
                (1..=most).contains(&value),
                format!("{at}.{name}"),
                format!("is {value}, 1 to {most} expected"),
            );
        }
    }
}

const OPEN_WITHIN: Span = Span::from_millis(10_000);
const FRAME_WITHIN: Span = Span::from_millis(5_000);
/// How soon a stop is noticed.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);
/// Broken JPEGs in a row that are taken for noise on the cable.
const MAX_BROKEN: u32 = 30;

/// A frame as the camera sends it.
struct Raw {
    /// Counts what the camera sent, also what nobody had time for.
    index: u64,
    at: MediaTime,
    taken: WallTime,
    kind: Kind,
    size: (u32, u32),
    bytes: Vec<u8>,
}

enum Said {
    /// Open; what it is, in words.
    Open(String),
    Frame(Raw),
    Failed(anyhow::Error),
}

pub struct UsbSource {
    device: PathBuf,
    name: String,
    said: Receiver<Said>,
    stop: Stop,
    broken: u32,
}

impl UsbSource {
    pub fn open(config: &UsbConfig, stop: &Stop) -> Result<Self> {
        let device = config.device.clone();
        let index = index_of(&device)?;
        // One frame waits at most. If it is still there when the next comes, the next is dropped: whoever is that
        // slow looks at a frame that is one interval old, and the mailbox behind us keeps the newest.
        let (say, said) = sync_channel(1);
        let wanted = config.clone();
        std::thread::Builder::new()
            .name("usb".into())
            .spawn(move || {
                if let Err(error) = talk(index, &wanted, &say) {
                    // Nobody listens: the source is closed already.
                    let _ = say.send(Said::Failed(error));
                }
            })
            .context("cannot start a thread for a camera")?;
        let mut source = UsbSource { name: "camera".into(), device, said, stop: stop.clone(), broken: 0 };
        match source.listen(OPEN_WITHIN)? {
            Some(Said::Open(name)) => source.name = name,
            Some(Said::Failed(error)) => {
                return Err(error.context(format!("{} does not open", source.device.display())));
            }
            // Stopped meanwhile: `next_frame` says so.
            Some(Said::Frame(_)) | None => {}
        }
        Ok(source)
    }

    /// `None`: asked to stop.
    fn listen(&self, within: Span) -> Result<Option<Said>> {
        let clock = Stopwatch::start();
        loop {
            if self.stop.is_set() {
                return Ok(None);
            }
            match self.said.recv_timeout(LOOK) {
                Ok(said) => return Ok(Some(said)),
                Err(RecvTimeoutError::Timeout) if clock.elapsed() < within => {}
                Err(RecvTimeoutError::Timeout) => {
                    bail!("{}: no frame for {:.0} s", self.describe(), within.secs_f64())
                }
                Err(RecvTimeoutError::Disconnected) => bail!("{}: its driver broke down", self.describe()),
            }
        }
    }
}

impl Source for UsbSource {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        loop {
            let raw = match self.listen(FRAME_WITHIN)? {
                None => return Ok(None),
                Some(Said::Open(_)) => continue,
                Some(Said::Failed(error)) => return Err(error.context(self.describe())),
                Some(Said::Frame(raw)) => raw,
            };
            match usb_picture::decode(raw.kind, raw.size, &raw.bytes) {
                Ok(picture) => {
                    self.broken = 0;
                    return Ok(Some(Frame { index: raw.index, at: raw.at, taken: raw.taken, picture }));
                }
                Err(error) => {
                    self.broken += 1;
                    if self.broken >= MAX_BROKEN {
                        return Err(error.context(format!(
                            "{}: {} broken frames in a row",
                            self.describe(),
                            self.broken
                        )));
                    }
                }
            }
        }
    }
    fn describe(&self) -> String {
        format!("{} ({})", self.name, self.device.display())
    }
}

/// The life of the thread: opens the camera and sends frames until that fails or nobody listens.
fn talk(index: u32, wanted: &UsbConfig, say: &SyncSender<Said>) -> Result<()> {
    const FORMATS: [FrameFormat; 3] = [FrameFormat::MJPEG, FrameFormat::YUYV, FrameFormat::NV12];
    // Any format first: only an open camera lists what it can do.
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
    let mut camera = Camera::new(CameraIndex::Index(index), any).map_err(|error| {
        anyhow!("{error}; if its last user left it in a mode we do not know, plugging it in again helps")
    })?;
    let offered =
        camera.compatible_camera_formats().map_err(|error| anyhow!("it does not list its formats: {error}"))?;
    let format = choose(&offered, wanted).context("it offers neither MJPEG nor YUYV nor NV12")?;
    let exactly = RequestedFormat::with_formats(RequestedFormatType::Exact(format), &FORMATS);
    camera.set_camera_requset(exactly).map_err(|error| anyhow!("it refuses {format}: {error}"))?;
    camera.open_stream().map_err(|error| anyhow!("it does not start: {error}"))?;
    let format = camera.camera_format();
    let kind = kind(format.format()).context("it changed its format")?;
    let name = camera.info().human_name();
    let fps = format.frame_rate();
    say.send(Said::Open(format!("{name}, {}x{} at {fps} fps", format.width(), format.height())))?;
    let clock = Stopwatch::start();
    for index in 0.. {
        let bytes = match camera.frame() {
            Ok(buffer) => buffer.buffer().to_vec(),
            Err(error) => {
                // Told before the camera is closed, which may panic. Closed it must be: as long as it is not,
                // nokhwa gives everybody this dead device again.
                say.send(Said::Failed(anyhow!("it stopped: {error}")))?;
                break;
            }
        };
        let at = MediaTime::ZERO + clock.elapsed();
        let raw = Raw { index, at, taken: WallTime::now(), kind, size: (format.width(), format.height()), bytes };
        match say.try_send(Said::Frame(raw)) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => break,
        }
    }
    Ok(())
}

fn kind(format: FrameFormat) -> Option<Kind> {
    match format {
        FrameFormat::MJPEG => Some(Kind::Mjpeg),
        FrameFormat::YUYV => Some(Kind::Yuyv),
        FrameFormat::NV12 => Some(Kind::Nv12),
        _ => None,
    }
}

/// MJPEG before raw pictures, which fill the cable; then the nearest size; then the nearest rate.
fn choose(offered: &[CameraFormat], wanted: &UsbConfig) -> Option<CameraFormat> {
    let preference = |format: &CameraFormat| {
        let rank = match kind(format.format())? {
            Kind::Mjpeg => 0,
            Kind::Yuyv => 1,
            Kind::Nv12 => 2,
        };
        let distance = format.width().abs_diff(wanted.width) + format.height().abs_diff(wanted.height);
        Some((rank, distance, format.frame_rate().abs_diff(wanted.fps)))
    };
    offered.iter().filter_map(|f| Some((preference(f)?, *f))).min_by_key(|(p, _)| *p).map(|(_, format)| format)
}

/// `/dev/v4l/by-id/…` is a link to `/dev/videoN`, and N is what the driver wants.
fn index_of(device: &Path) -> Result<u32> {
    let target = device.canonicalize().map_err(|error| anyhow!("{}: {error}; {}", device.display(), there_are()))?;
    let number = target.to_str().and_then(|t| t.strip_prefix("/dev/video")).and_then(|n| n.parse().ok());
    number.with_context(|| format!("{} is no video device; {}", device.display(), there_are()))
}

/// The video devices of this machine, in words.
fn there_are() -> String {
    let entries = std::fs::read_dir("/sys/class/video4linux");
    let mut nodes: Vec<String> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| {
            let name = std::fs::read_to_string(entry.path().join("name")).unwrap_or_default();
            format!("/dev/{} ({})", entry.file_name().display(), name.trim())
        })
        .collect();
    nodes.sort();
    if nodes.is_empty() { "there is no video device here".into() } else { format!("there are: {}", nodes.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nokhwa::utils::Resolution;

    fn offer(width: u32, height: u32, format: FrameFormat, fps: u32) -> CameraFormat {
        CameraFormat::new(Resolution::new(width, height), format, fps)
    }

    #[test]
    fn the_nearest_mjpeg_is_chosen_and_raw_only_where_there_is_none() {
        let wanted = UsbConfig::default();
        let raw = [offer(1280, 720, FrameFormat::YUYV, 10), offer(640, 480, FrameFormat::NV12, 30)];
        assert_eq!(choose(&raw, &wanted), Some(raw[0]));
        let jpeg = [offer(1920, 1080, FrameFormat::MJPEG, 30), offer(1280, 960, FrameFormat::MJPEG, 30)];
        assert_eq!(choose(&[raw, jpeg].concat(), &wanted), Some(jpeg[1]));
        let rates = [offer(1280, 720, FrameFormat::MJPEG, 30), offer(1280, 720, FrameFormat::MJPEG, 20)];
        assert_eq!(choose(&rates, &wanted), Some(rates[1]));
        assert_eq!(choose(&[offer(640, 480, FrameFormat::GRAY, 30)], &wanted), None);
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
    }
}
