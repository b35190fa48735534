//! A film that plays like a camera: at its own pace, once or for ever.
//!
//! Played this way it shows the present: frames are taken now, whatever day the film was recorded.

use super::{Film, Source, open_video};
use crate::frame::Frame;
use crate::problems::Problems;
use crate::stop::Stop;
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use anyhow::Result;
use schemars::JsonSchema;
use serde::Deserialize;
use std::borrow::Cow;
use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileConfig {
    /// A relative path starts at the configuration file.
    pub path: PathBuf,
    /// Begin again at the end; without it the camera is then over.
    #[serde(default)]
    pub repeat: bool,
    /// Play as fast as it was recorded; `false` plays as fast as it can be decoded.
    #[serde(default = "yes")]
    pub pace: bool,
}

fn yes() -> bool {
    true
}

impl FileConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        problems.expect(!self.path.as_os_str().is_empty(), format!("{at}.path"), "is empty, a film file is expected");
    }
}

pub struct FileSource {
    config: FileConfig,
    film: Film,
    stop: Stop,
    opened: WallTime,
    clock: Stopwatch,
    /// Where this showing began.
    began: Span,
    index: u64,
}

impl FileSource {
    pub fn open(config: &FileConfig, stop: &Stop) -> Result<Self> {
        let film = open_video(&config.path)?;
        Ok(FileSource {
            config: config.clone(),
            film,
            stop: stop.clone(),
            opened: WallTime::now(),
            clock: Stopwatch::start(),
            began: Span::ZERO,
            index: 0,
        })
    }

    fn next_of_film(&mut self) -> Option<Frame> {
        self.film.next_frame().unwrap_or_else(|error| {
            tracing::warn!(error = format!("{error:#}"), "The film is not whole, it ends here.");
            None
        })
    }
}

impl Source for FileSource {
    fn next_frame(&mut self) -> Result<Option<Frame>> {
        if self.stop.is_set() {
            return Ok(None);
        }
        let mut next = self.next_of_film();
        // A film that gave nothing would be opened in vain for ever.
        if next.is_none() && self.config.repeat && self.film.end() > MediaTime::ZERO {
            self.began = self.began + (self.film.end() - MediaTime::ZERO);
            self.film = open_video(&self.config.path)?;
            next = self.next_of_film();
        }
        let Some(frame) = next else { return Ok(None) };
        let at = frame.at + self.began;
        let since_opened = at - MediaTime::ZERO;
        if self.config.pace && self.stop.wait(since_opened - self.clock.elapsed()) {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        Ok(Some(Frame { index, at, taken: self.opened + since_opened, picture: frame.picture }))
    }
    fn describe(&self) -> String {
        format!("film {} ({})", self.config.path.display(), self.film.what())
    }
    fn decoder(&self) -> Option<Cow<'_, str>> {
        Some(self.film.decoder().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::codecs::gif::GifEncoder;
    use image::{Delay, RgbaImage};

    /// Three frames of 100 ms.
    fn film(folder: &tempfile::TempDir) -> PathBuf {
        let path = folder.path().join("film.gif");
        let mut gif = GifEncoder::new(std::fs::File::create(&path).unwrap());
        for _ in 0..3 {
            let frame = image::Frame::from_parts(RgbaImage::new(16, 8), 0, 0, Delay::from_numer_denom_ms(100, 1));
            gif.encode_frame(frame).unwrap();
        }
        path
    }

    #[test]
    fn a_repeated_film_goes_on_counting() {
        let folder = tempfile::tempdir().unwrap();
        let config = FileConfig { path: film(&folder), repeat: true, pace: false };
        let mut source = FileSource::open(&config, &Stop::new()).unwrap();
        let seen: Vec<_> = (0..5).map(|_| source.next_frame().unwrap().unwrap()).collect();
        let at_ms: Vec<_> = seen.iter().map(|f| f.at.micros() / 1000).collect();
        assert_eq!(at_ms, [0, 100, 200, 300, 400]);
        assert_eq!(seen.iter().map(|f| f.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
        assert_eq!((seen[4].taken - seen[0].taken).micros(), 400_000);
    }

    #[test]
    fn a_film_is_over_at_its_end_or_when_somebody_stops() {
        let folder = tempfile::tempdir().unwrap();
        let config = FileConfig { path: film(&folder), repeat: false, pace: true };
        let clock = Stopwatch::start();
        let mut source = FileSource::open(&config, &Stop::new()).unwrap();
        while source.next_frame().unwrap().is_some() {}
        assert!(clock.elapsed() >= Span::from_millis(200), "the third frame is due after 200 ms");

        let stop = Stop::new();
        let mut source = FileSource::open(&config, &stop).unwrap();
        assert!(source.next_frame().unwrap().is_some());
        stop.set();
        assert!(source.next_frame().unwrap().is_none());
    }
}
