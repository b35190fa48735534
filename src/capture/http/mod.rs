//! A network camera that is asked over HTTP: an MJPEG stream (`multipart/x-mixed-replace`), or a JPEG per question. Which
//! of both an address gives is seen from its first answer.
//!
//! ```text
//!  thread "http"                          capture thread
//!  client --> parts --> slot (newest) --> frames, not decoded
//! ```
//!
//! Absent: sound, H.264 over HTTP, and what cameras can be told.

mod client;
mod parts;
mod receive;
mod slot;

use super::Source;
use super::address::{Address, Login, check_login};
use crate::frame::Frame;
use crate::problems::Problems;
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch};
use anyhow::{Result, bail};
use client::{Client, Closer, Wish};
use schemars::JsonSchema;
use serde::Deserialize;
use slot::{Kind, Said, Slot};
use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// `http://10.0.0.7/video.mjpg` or `https://...`, without a login: an MJPEG stream, or a picture each time it is asked.
    pub url: Address,
    pub user: Option<String>,
    /// Its first line is the password.
    pub password_file: Option<PathBuf>,
    /// For `https`: PEM certificates to trust instead of those of the operating system.
    pub ca_file: Option<PathBuf>,
    /// How often a camera that gives single pictures is asked for one, per second: 0.2 to 30. Of no meaning for streams.
    #[serde(default = "two")]
    pub fps: f64,
}

fn two() -> f64 {
    2.0
}

pub const SCHEMES: &[&str] = &["http", "https"];
/// Each step on the way to an answer is given up after 5 s.
const OPEN_WITHIN: Span = Span::from_millis(20_000);
/// Silence that is taken for an outage.
const PICTURE_WITHIN: Span = Span::from_millis(5_000);
/// How soon a stop is noticed.
const LOOK: Duration = Duration::from_millis(100);

impl HttpConfig {
    /// At its defaults.
    pub fn at(url: &str) -> Self {
        HttpConfig { url: Address::new(url), user: None, password_file: None, ca_file: None, fps: two() }
    }

    pub fn check(&self, at: &str, problems: &mut Problems) {
        self.url.check(at, SCHEMES, problems);
        check_login(at, self.user.as_ref(), self.password_file.as_ref(), problems);
        let is_rate = (0.2..=30.0).contains(&self.fps);
        problems.expect(is_rate, format!("{at}.fps"), format!("is {}, 0.2 to 30 expected", self.fps));
        let is_plain = self.url.parse(&["http"]).is_ok();
        problems.expect(
            !is_plain || self.ca_file.is_none(),
            format!("{at}.ca_file"),
            "is of no use here, expected only with an https:// url",
        );
    }

    /// Between two snapshots.
    pub fn pause(&self) -> Span {
        Span::from_secs_f64(1.0 / self.fps)
    }
}

pub struct HttpSource {
    name: String,
    kind: Kind,
    slot: Slot,
    closer: Closer,
    stop: Stop,
    quiet_at_most: Span,
    newest: Option<MediaTime>,
}

impl HttpSource {
    /// # Errors
    /// One sentence that names the camera's host and why it gives no pictures; [`super::Refused`] in the chain where asking
    /// again soon is of no use.
    pub fn open(config: &HttpConfig, stop: &Stop) -> Result<Self> {
        let name = format!("HTTP camera {}", config.url);
        let client = Client::new(Wish {
            url: config.url.url(SCHEMES)?,
            login: Login::read(config.user.as_deref(), config.password_file.as_deref())?,
            ca_file: config.ca_file.clone(),
        })?;
        let slot = Slot::default();
        let mut source = HttpSource {
            name,
            kind: Kind::Stream,
            slot: slot.clone(),
            closer: client.closer(),
            stop: stop.clone(),
            quiet_at_most: PICTURE_WITHIN,
            newest: None,
        };
        receive::spawn(client, config.pause(), slot)?;
        let clock = Stopwatch::start();
        while !stop.is_set() {
            match source.slot.kind(LOOK) {
                Ok(Some(kind)) => {
                    source.kind = kind;
                    break;
                }
                Ok(None) if clock.elapsed() < OPEN_WITHIN => {}
                Ok(None) => bail!("{}: it gives no picture", source.name),
                Err(error) => return Err(error.context(source.name.clone())),
            }
        }
        if source.kind == Kind::Snapshots {
            source.quiet_at_most = PICTURE_WITHIN.max(config.pause() + config.pause());
        }
        Ok(source)
    }
}

impl Source for HttpSource {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        while !self.stop.is_set() {
            match self.slot.take(LOOK) {
                Said::Picture(mut frame) => {
                    if let Some(newest) = self.newest {
                        frame.at = frame.at.max(newest + Span::from_micros(1));
                    }
                    self.newest = Some(frame.at);
                    return Ok(Some(frame));
                }
                Said::Failed(error) => return Err(error.context(self.name.clone())),
                Said::Nothing if self.slot.quiet() > self.quiet_at_most => {
                    let seconds = self.quiet_at_most.secs_f64();
                    match self.slot.broken_ones() {
                        (_, 0) => bail!("{}: no picture for {seconds:.0} s", self.name),
                        (_, n) => bail!("{}: no whole picture for {seconds:.0} s, but {n} broken ones", self.name),
                    }
                }
                Said::Nothing => {}
            }
        }
        Ok(None)
    }

    fn describe(&self) -> String {
        match self.kind {
            Kind::Stream => format!("{}, MJPEG", self.name),
            Kind::Snapshots => format!("{}, a JPEG at a time", self.name),
        }
    }

    fn lost(&self) -> u64 {
        self.slot.broken_ones().0
    }

    fn decoder(&self) -> Option<Cow<'_, str>> {
        Some("JPEG in the program".into())
    }
}

impl Drop for HttpSource {
    fn drop(&mut self) {
        self.slot.close();
        self.closer.close();
    }
}
