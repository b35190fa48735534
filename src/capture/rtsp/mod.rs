//! A network camera that speaks RTSP: H.264 (and RTP's JPEG) decoded in this process, H.265 by an ffmpeg child.
//!
//! ```text
//!  thread "rtsp"                     capture thread
//!  client --> queue (32, drops to a keyframe) --> decoder --> frames
//! ```
//!
//! Absent: sound, and RTSP over TLS or HTTP.

mod client;
mod queue;
mod redirect;
mod timeline;
mod video;

use super::Source;
use super::address::{Address, Login, check_login};
use crate::frame::Frame;
use crate::problems::Problems;
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch};
use anyhow::{Result, bail};
use queue::{AccessUnits, Codec, Said};
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;
use video::Video;

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RtspConfig {
    /// `rtsp://10.0.0.7/sub`, without a login; the camera's smaller stream (substream) is enough and saves work.
    pub url: Address,
    /// `tcp` gets through everywhere; `udp` spares a busy Wi-Fi what comes too late anyway.
    #[serde(default)]
    pub transport: Transport,
    pub user: Option<String>,
    /// Its first line is the password.
    pub password_file: Option<PathBuf>,
    /// Decode whole pictures only, often one a second or less: for boards that cannot do more.
    #[serde(default)]
    pub keyframes_only: bool,
    /// What decodes H.264; H.265 always goes through the program `ffmpeg`.
    #[serde(default)]
    pub decoder: Decoder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decoder {
    /// Watchpost itself, in this process: least memory.
    #[default]
    Program,
    /// The program `ffmpeg`: some 30 % less processor time, and 60 MB more memory, of which several share 40.
    Ffmpeg,
    /// The board's own decoder (V4L2 M2M), through `ffmpeg`. Where it gives nothing, as `program`; the camera's status says
    /// which it is.
    Hardware,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    #[default]
    Tcp,
    Udp,
}

const SCHEMES: &[&str] = &["rtsp"];
/// The client gives up on each of its three questions after 5 s.
const OPEN_WITHIN: Span = Span::from_millis(20_000);
/// How soon a stop is noticed.
const LOOK: Duration = Duration::from_millis(100);
/// Access units without a picture: keyframes of some cameras are far apart.
const PICTURE_WITHIN: Span = Span::from_millis(30_000);

impl RtspConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        self.url.check(at, SCHEMES, problems);
        check_login(at, self.user.as_ref(), self.password_file.as_ref(), problems);
    }
}

pub struct RtspSource {
    name: String,
    units: AccessUnits,
    codec: Codec,
    video: Video,
    stop: Stop,
    since_picture: Stopwatch,
    newest: Option<MediaTime>,
    has_told_of_drops: bool,
    has_told_of_loss: bool,
}

impl RtspSource {
    /// # Errors
    /// One sentence that names the camera's host and why it does not play; [`super::Refused`] in the chain where asking again soon
    /// is of no use.
    pub fn open(config: &RtspConfig, stop: &Stop) -> Result<Self> {
        let name = format!("RTSP camera {}", config.url);
        let units = AccessUnits::default();
        let wish = client::Wish {
            url: config.url.url(SCHEMES)?,
            login: Login::read(config.user.as_deref(), config.password_file.as_deref())?,
            udp: config.transport == Transport::Udp,
            keyframes_only: config.keyframes_only,
        };
        let mut source = RtspSource {
            name,
            units: units.clone(),
            codec: Codec::H264,
            video: Video::new(config.decoder),
            stop: stop.clone(),
            since_picture: Stopwatch::start(),
            newest: None,
            has_told_of_drops: false,
            has_told_of_loss: false,
        };
        client::spawn(wish, units)?;
        let clock = Stopwatch::start();
        while !stop.is_set() {
            match source.units.codec(LOOK) {
                Ok(Some(codec)) => {
                    source.codec = codec;
                    break;
                }
                Ok(None) if clock.elapsed() < OPEN_WITHIN => {}
                Ok(None) => bail!("{}: it does not play", source.name),
                Err(error) => return Err(error.context(source.name.clone())),
            }
        }
        source.since_picture = Stopwatch::start();
        Ok(source)
    }

    fn tell_of_drops(&mut self) {
        if !self.has_told_of_drops && self.units.dropped() > 0 {
            self.has_told_of_drops = true;
            tracing::warn!(source = self.name, "Decoding is slower than the camera sends; skipping to keyframes.");
        }
        if !self.has_told_of_loss && self.units.lost() > 0 {
            self.has_told_of_loss = true;
            tracing::warn!(source = self.name, "Parts of the stream get lost on the way; skipping to keyframes.");
        }
    }
}

impl Source for RtspSource {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        while !self.stop.is_set() {
            if self.since_picture.elapsed() > PICTURE_WITHIN {
                bail!(
                    "{}: {} came for {:.0} s and no picture could be made of it",
                    self.name,
                    self.codec,
                    PICTURE_WITHIN.secs_f64()
                );
            }
            let unit = match self.units.next(LOOK) {
                Said::Nothing => continue,
                Said::Failed(error) => return Err(error.context(self.name.clone())),
                Said::Unit(unit) => unit,
            };
            self.tell_of_drops();
            let shown = self.video.decode(self.codec, unit).map_err(|error| error.context(self.name.clone()))?;
            let Some(mut frame) = shown else { continue };
            self.since_picture = Stopwatch::start();
            if let Some(newest) = self.newest {
                frame.at = frame.at.max(newest + Span::from_micros(1));
            }
            self.newest = Some(frame.at);
            return Ok(Some(frame));
        }
        Ok(None)
    }
    fn describe(&self) -> String {
        format!("{}, {}", self.name, self.codec)
    }
    fn lost(&self) -> u64 {
        self.units.lost() + self.video.lost()
    }
    fn decoder(&self) -> Option<Cow<'_, str>> {
        self.video.decoder().map(Cow::Borrowed)
    }
}

impl Drop for RtspSource {
    fn drop(&mut self) {
        self.units.close();
    }
}
