//! One V4L2 device: what it can do, and its frames. The only file that names v4l.
//!
//! v4l is the crate below nokhwa. nokhwa finds devices, but for frames it does not do: it hands over the whole
//! buffer and not the bytes in use, waits for ever for a silent camera, and does not open one whose interval is 2/60
//! or whose last user left it in H.264.
//!
//! What v4l does to us, and what we do about it:
//! - It panics where a driver says something unforeseen (a name cut within a letter, a new colour space), and when
//!   closing fails: [`guarded`].
//! - After a wait that timed out its stream is of no use (it would queue a buffer twice). So it is asked only when a
//!   frame is there, which `poll` tells.
//!
//! Absent: devices with planes in separate buffers (`VIDEO_CAPTURE_MPLANE`, built-in cameras of other boards).

use super::offer::{self, Interval, Offer};
use super::{UsbConfig, guarded};
use crate::capture::usb_picture::Layout;
use crate::time::Span;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use std::io;
use std::path::Path;
use std::sync::Arc;
use v4l::buffer::{Flags, Metadata, Type};
use v4l::capability::Flags as Can;
use v4l::device::Handle;
use v4l::format::{Colorspace, Quantization};
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Device, Format, FourCC, Fraction};

/// In the kernel, of each camera. One is being copied, one is being filled; the others bridge a busy moment.
const BUFFERS: u32 = 4;
const TAKE_WITHIN: std::time::Duration = std::time::Duration::from_secs(1);
/// `POLLIN`
const READABLE: i16 = 1;
const ENODEV: i32 = 19;

/// What a device is and can do.
#[derive(Debug)]
pub struct Described {
    pub card: String,
    /// It takes pictures, as opposed to codecs, image processors, and the metadata twin of each camera.
    pub is_camera: bool,
    pub offers: Vec<Offer>,
}

/// Parts of a Raspberry Pi that look like cameras: codecs, image processors, and the raw end of a CSI camera, which
/// is of use through libcamera only.
const NO_CAMERAS: [&str; 9] = [
    "bcm2835-codec",
    "bcm2835-isp",
    "bcm2835-unicam",
    "hevc-dec",
    "pispbe",
    "rp1-cfe",
    "rpi-hevc-dec",
    "rpivid",
    "unicam",
];

/// # Errors
/// Completes "DEVICE …".
pub fn describe(path: &Path, wanted: &UsbConfig) -> Result<Described> {
    guarded(|| {
        let device = Device::with_path(path).map_err(opening)?;
        let caps = device.query_caps().context("does not say what it is")?;
        let can = caps.capabilities;
        let is_camera = can.contains(Can::VIDEO_CAPTURE | Can::STREAMING)
            && !can.intersects(Can::VIDEO_M2M | Can::VIDEO_M2M_MPLANE | Can::VIDEO_OUTPUT)
            && !NO_CAMERAS.contains(&caps.driver.as_str());
        let offers = if is_camera { offers(&device, wanted)? } else { Vec::new() };
        Ok(Described { card: caps.card, is_camera, offers })
    })?
}

fn opening(error: io::Error) -> anyhow::Error {
    let help = match error.kind() {
        io::ErrorKind::PermissionDenied => "; the user who runs this must be in the group \"video\"",
        io::ErrorKind::ResourceBusy => "; another program uses it",
        _ => "",
    };
    anyhow!("does not open: {error}{help}")
}

fn offers(device: &Device, wanted: &UsbConfig) -> Result<Vec<Offer>> {
    let mut offers = Vec::new();
    for format in device.enum_formats().context("does not list its formats")? {
        let code = format.fourcc.repr;
        // Some drivers know formats and no sizes: then the size that is wanted may be asked for.
        let sizes = device.enum_framesizes(format.fourcc).unwrap_or_default();
        let mut sizes: Vec<_> = sizes.into_iter().map(|size| extent(size.size, wanted)).collect();
        if sizes.is_empty() {
            sizes.push(((wanted.width, wanted.height), None));
        }
        for ((width, height), between) in sizes {
            let intervals = device.enum_frameintervals(format.fourcc, width, height).unwrap_or_default();
            let mut intervals: Vec<Interval> =
                intervals.into_iter().flat_map(|i| intervals_of(i.interval, wanted.fps)).collect();
            intervals.sort_by(|a, b| b.fps().total_cmp(&a.fps()));
            intervals.dedup();
            offers.push(Offer { code, width, height, intervals, between });
        }
    }
    Ok(offers)
}

/// Columns and rows.
type Size = (u32, u32);

/// Of a range, the size nearest to what is wanted, and the ends.
fn extent(size: FrameSizeEnum, wanted: &UsbConfig) -> (Size, Option<[Size; 2]>) {
    match size {
        FrameSizeEnum::Discrete(size) => ((size.width, size.height), None),
        FrameSizeEnum::Stepwise(range) => {
            let width = step(wanted.width, range.min_width, range.max_width, range.step_width);
            let height = step(wanted.height, range.min_height, range.max_height, range.step_height);
            ((width, height), Some([(range.min_width, range.min_height), (range.max_width, range.max_height)]))
        }
    }
}

fn step(wanted: u32, least: u32, most: u32, step: u32) -> u32 {
    let inside = wanted.min(most).max(least);
    inside - (inside - least) % step.max(1)
}

/// Of a range, its ends and what is wanted, if that lies between.
fn intervals_of(interval: FrameIntervalEnum, fps: u32) -> Vec<Interval> {
    let ours = |f: Fraction| Interval { numerator: f.numerator, denominator: f.denominator };
    match interval {
        FrameIntervalEnum::Discrete(one) => vec![ours(one)],
        FrameIntervalEnum::Stepwise(range) => {
            let (shortest, longest) = (ours(range.min), ours(range.max));
            let wanted = Interval { numerator: 1, denominator: fps };
            let inside = (longest.fps()..=shortest.fps()).contains(&wanted.fps());
            [shortest, longest].into_iter().chain(inside.then_some(wanted)).collect()
        }
    }
}

/// A camera that sends frames.
pub struct Streaming {
    stream: Closing,
    handle: Arc<Handle>,
    pub layout: Layout,
    /// Name, size and rate, for people.
    pub name: String,
}

/// A frame as the camera sent it.
pub struct Raw {
    pub bytes: Vec<u8>,
    /// Counts what the camera took since it started, also what was lost on the way.
    pub sequence: u32,
    /// When it was taken, on a clock that begins anywhere; `None` where the driver does not say.
    pub stamp: Option<Span>,
    /// The driver knows that something is missing.
    pub is_damaged: bool,
}

impl Streaming {
    /// # Errors
    /// Completes "DEVICE …".
    pub fn open(path: &Path, wanted: &UsbConfig) -> Result<Streaming> {
        guarded(|| Streaming::start(path, wanted))?
    }

    fn start(path: &Path, wanted: &UsbConfig) -> Result<Streaming> {
        let device = Device::with_path(path).map_err(opening)?;
        let caps = device.query_caps().context("does not say what it is")?;
        ensure!(
            caps.capabilities.contains(Can::VIDEO_CAPTURE | Can::STREAMING),
            "is no camera but \"{}\" ({})",
            caps.card,
            caps.driver
        );
        let offers = offers(&device, wanted)?;
        let (chosen, interval) = offer::choose(&offers, wanted).with_context(|| {
            format!("\"{}\" sends {}, expected MJPG, YUYV or NV12", caps.card, offer::codes(&offers))
        })?;
        let format = Format::new(chosen.width, chosen.height, FourCC::new(&chosen.code));
        let format = device.set_format(&format).map_err(|error| match error.kind() {
            io::ErrorKind::ResourceBusy => anyhow!("is used by another program"),
            _ => anyhow!(
                "refuses {}x{} in {}: {error}",
                chosen.width,
                chosen.height,
                offer::codes(std::slice::from_ref(chosen))
            ),
        })?;
        let layout = layout(&format)?;
        // A camera whose rate cannot be set has one all the same.
        let set =
            interval.and_then(|i| device.set_params(&Parameters::new(Fraction::new(i.numerator, i.denominator))).ok());
        let now = set.or_else(|| device.params().ok()).map(|set| set.interval);
        let fps = now.map_or(0.0, |i| Interval { numerator: i.numerator, denominator: i.denominator }.fps());
        let code = String::from_utf8_lossy(&format.fourcc.repr).into_owned();
        let mut name = format!("{}, {}x{} {code}", caps.card, format.width, format.height);
        if fps > 0.0 {
            name.push_str(&format!(" at {} fps", (fps * 10.0).round() / 10.0));
        }
        let stream = Stream::with_buffers(&device, Type::VideoCapture, BUFFERS).context("has no buffers for frames")?;
        let mut stream = Closing(Some(stream));
        let handle = device.handle();
        let open = stream.get()?;
        // `wait` has said that a frame is there, so this is for drivers that changed their mind.
        open.set_timeout(TAKE_WITHIN);
        // All buffers but the first, which asking for a frame queues. How many there are the driver decides.
        for index in 1.. {
            if CaptureStream::queue(open, index).is_err() {
                break;
            }
        }
        open.start().context("does not start")?;
        Ok(Streaming { stream, handle, layout, name })
    }

    /// Whether a frame is there, or comes within that time. Also true when something is wrong: taking tells what.
    ///
    /// # Errors
    /// Completes "DEVICE …".
    pub fn wait(&self, within: std::time::Duration) -> Result<bool> {
        let millis = i32::try_from(within.as_millis()).unwrap_or(i32::MAX);
        match self.handle.poll(READABLE, millis) {
            Ok(ready) => Ok(ready > 0),
            // Somebody pressed Ctrl-C; whoever waits asks the stop token.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(stopped(&error)),
        }
    }

    /// The newest frame that is there: what waited longer is out of date.
    ///
    /// # Errors
    /// Completes "DEVICE …"; the camera is gone, and has to be opened again.
    pub fn take(&mut self) -> Result<Raw> {
        let handle = self.handle.clone();
        let stream = self.stream.get()?;
        for _ in 1..BUFFERS {
            let (bytes, meta) = CaptureStream::next(stream).map_err(|error| stopped(&error))?;
            if handle.poll(READABLE, 0).is_ok_and(|ready| ready > 0) {
                continue;
            }
            return Ok(raw(bytes, meta));
        }
        let (bytes, meta) = CaptureStream::next(stream).map_err(|error| stopped(&error))?;
        Ok(raw(bytes, meta))
    }
}

fn raw(bytes: &[u8], meta: &Metadata) -> Raw {
    let used = usize::try_from(meta.bytesused).map_or(bytes.len(), |used| used.min(bytes.len()));
    let is_stamped = meta.flags.contains(Flags::TIMESTAMP_MONOTONIC);
    // Their width differs from board to board.
    let (seconds, micros) = (meta.timestamp.sec as f64, meta.timestamp.usec as f64);
    Raw {
        bytes: bytes[..used].to_vec(),
        sequence: meta.sequence,
        stamp: is_stamped.then(|| Span::from_secs_f64(seconds) + Span::from_secs_f64(micros / 1e6)),
        is_damaged: meta.flags.contains(Flags::ERROR),
    }
}

fn stopped(error: &io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        Some(ENODEV) => anyhow!("was unplugged"),
        _ => anyhow!("stopped: {error}"),
    }
}

/// # Errors
/// The driver took another format than it was asked for, and one we do not know.
fn layout(format: &Format) -> Result<Layout> {
    let code = format.fourcc.repr;
    let Some(kind) = offer::kind(code) else {
        bail!("took {} when asked for another format, expected MJPG, YUYV or NV12", String::from_utf8_lossy(&code));
    };
    let full_range = match format.quantization {
        Quantization::FullRange => true,
        Quantization::LimitedRange => false,
        Quantization::Default => matches!(format.colorspace, Colorspace::JPEG),
    };
    Ok(Layout { kind, width: format.width, height: format.height, stride: format.stride, full_range })
}

/// Closes a stream such that nothing panics, or at least not twice, which would end the process.
struct Closing(Option<Stream<'static>>);

impl Closing {
    fn get(&mut self) -> Result<&mut Stream<'static>> {
        self.0.as_mut().context("is closed")
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let Some(mut stream) = self.0.take() else { return };
        match stream.stop() {
            Err(error) if error.raw_os_error() != Some(ENODEV) => {
                // Dropped, it would panic at this and again at its buffers. Better a lost descriptor.
                tracing::warn!(%error, "A camera did not stop, its device stays open.");
                std::mem::forget(stream);
            }
            _ => {
                let _ = guarded(|| drop(stream));
            }
        }
    }
}
