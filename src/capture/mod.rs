//! Where frames come from. A [`Source`] is a camera or something that plays one.
//!
//! For live use [`open`] gives a source that keeps its own time; for people who want every frame of a film and
//! need not hurry there is [`open_video`]. A source ends (`None`), fails (an error: open it again later) or is
//! asked to stop; it never retries by itself, that is the one loop in `app::run`. A track log ([`recorded`]) holds
//! what a detector saw and no pictures, so it is no [`Source`] and has its own door.
//!
//! Absent: dropping frames (the mailbox does that).

mod address;
mod back;
pub mod csi;
mod decode;
mod encode;
mod file;
mod folder;
mod http;
pub mod onvif;
mod program;
pub mod recorded;
mod rtsp;
pub mod usb;
mod usb_picture;
mod view;

use crate::frame::Frame;
use crate::problems::Problems;
use crate::stop::Stop;
use crate::time::Span;
use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::path::Path;

pub use address::{Address, Login};
pub use back::{Refused, Wake, wait_until_back};
pub use csi::CsiConfig;
pub use decode::{Film, Still, h264, jpeg, open_video, read_picture};
pub use encode::FilmWriter;
pub use file::FileConfig;
pub use folder::{FolderConfig, pictures_in};
pub use http::HttpConfig;
pub use recorded::RecordedConfig;
pub use rtsp::{Decoder, RtspConfig, Transport};
pub use usb::UsbConfig;
pub use view::{View, ViewConfig, Viewed};

pub trait Source: Send {
    /// Waits for the next frame. `None`: there will be no more, or the stop token is set.
    ///
    /// # Errors
    /// The source is of no use any more and should be opened again later.
    fn next_frame(&mut self) -> Result<Option<Frame>>;
    /// For logs and the list of cameras.
    fn describe(&self) -> String;
    /// How many pictures came since it was opened and could not be given, as far as that can be told: broken ones, and
    /// those of which a part got lost on the way.
    fn lost(&self) -> u64 {
        0
    }
    /// What makes pictures of what it sends: `H.264 in the program`, `H.265 through ffmpeg`. None where nothing is
    /// compressed, or where no picture has come yet that would tell.
    fn decoder(&self) -> Option<Cow<'_, str>> {
        None
    }
}

/// Where a camera's frames come from.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(tag = "kind", rename_all = "snake_case")]
pub enum SourceConfig {
    /// A film file that plays like a camera.
    File(FileConfig),
    /// A folder of pictures that play like a camera.
    Folder(FolderConfig),
    /// A USB camera (V4L2).
    Usb(UsbConfig),
    /// A camera on the ribbon cable of a Raspberry Pi, through its program `rpicam-vid`.
    Csi(CsiConfig),
    /// A network camera (RTSP).
    Rtsp(RtspConfig),
    /// A network camera that gives MJPEG or single pictures over HTTP.
    Http(HttpConfig),
    /// A track log that plays like a camera; nothing is detected, since it was before.
    Recorded(RecordedConfig),
}

/// Opens a source for live use. Setting `stop` ends every wait in it.
///
/// # Errors
/// One sentence that names the device or file, what is wrong and what was expected. A track log has no
/// frames: [`recorded::Recorded`] opens it.
pub fn open(config: &SourceConfig, stop: &Stop) -> Result<Box<dyn Source>> {
    Ok(match config {
        SourceConfig::File(config) => Box::new(file::FileSource::open(config, stop)?),
        SourceConfig::Folder(config) => Box::new(folder::FolderSource::open(config, stop)?),
        SourceConfig::Usb(config) => Box::new(usb::UsbSource::open(config, stop)?),
        SourceConfig::Csi(config) => Box::new(csi::CsiSource::open(config, stop)?),
        SourceConfig::Rtsp(config) => Box::new(rtsp::RtspSource::open(config, stop)?),
        SourceConfig::Http(config) => Box::new(http::HttpSource::open(config, stop)?),
        SourceConfig::Recorded(config) => bail!("{} is a track log and holds no pictures", config.path.display()),
    })
}

impl SourceConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        match self {
            SourceConfig::File(config) => config.check(at, problems),
            SourceConfig::Folder(config) => config.check(at, problems),
            SourceConfig::Usb(config) => config.check(at, problems),
            SourceConfig::Csi(config) => config.check(at, problems),
            SourceConfig::Rtsp(config) => config.check(at, problems),
            SourceConfig::Http(config) => config.check(at, problems),
            SourceConfig::Recorded(config) => config.check(at, problems),
        }
    }
    /// A camera that shows the same place all the time, not a recording that plays one.
    pub fn is_live(&self) -> bool {
        !matches!(self, SourceConfig::File(_) | SourceConfig::Folder(_) | SourceConfig::Recorded(_))
    }
    /// What passes between two pictures where all is well, if that is configured and worth a thought.
    pub fn pause(&self) -> Span {
        match self {
            SourceConfig::Http(config) => config.pause(),
            _ => Span::ZERO,
        }
    }
    /// Relative paths start at the folder of the configuration file.
    pub fn resolve_paths(&mut self, folder: &Path) {
        match self {
            SourceConfig::File(config) => config.path = folder.join(&config.path),
            SourceConfig::Folder(config) => config.path = folder.join(&config.path),
            SourceConfig::Recorded(config) => config.path = folder.join(&config.path),
            SourceConfig::Rtsp(config) => {
                if let Some(path) = &mut config.password_file {
                    *path = folder.join(&path);
                }
            }
            SourceConfig::Http(config) => {
                for path in [&mut config.password_file, &mut config.ca_file].into_iter().flatten() {
                    *path = folder.join(&path);
                }
            }
            // A device is no file of ours.
            SourceConfig::Usb(_) | SourceConfig::Csi(_) => {}
        }
    }
}

/// What it is, for a person; no secrets.
impl fmt::Display for SourceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceConfig::File(config) => write!(f, "film {}", config.path.display()),
            SourceConfig::Folder(config) => write!(f, "pictures in {}", config.path.display()),
            SourceConfig::Usb(config) => write!(f, "USB camera {}", config.device),
            SourceConfig::Csi(config) => write!(f, "CSI camera {}", config.camera),
            SourceConfig::Rtsp(config) => write!(f, "RTSP camera {}", config.url),
            SourceConfig::Http(config) => write!(f, "HTTP camera {}", config.url),
            SourceConfig::Recorded(config) => write!(f, "track log {}", config.path.display()),
        }
    }
}
