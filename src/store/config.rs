use crate::problems::Problems;
use std::path::{Path, PathBuf};

/// `[store]`: where the appliance keeps what it has seen, and for how long.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// The state folder. Made if absent.
    pub dir: PathBuf,
    /// Events that were delivered are kept this long.
    pub keep_days: u32,
    /// And at most this much of them, in MB of payload; the oldest go first.
    pub keep_mb: u32,
    /// Tracks, which `backtest` tries rules on, are kept this long; 0 records none.
    pub keep_tracks_days: u32,
    /// And at most this many MB of them, all cameras together; the oldest go first.
    pub keep_tracks_mb: u32,
    /// An event that could not be delivered for this long is given up. What is given up is counted and said.
    pub outbox_max_days: u32,
    /// At most this many MB of payload wait for delivery; the oldest are given up first.
    pub outbox_max_mb: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        StoreConfig {
            dir: "/var/lib/watchpost".into(),
            keep_days: 90,
            keep_mb: 256,
            keep_tracks_days: 90,
            keep_tracks_mb: 1024,
            outbox_max_days: 60,
            outbox_max_mb: 128,
        }
    }
}

impl StoreConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        for (key, value) in [
            ("keep_days", self.keep_days),
            ("keep_mb", self.keep_mb),
            ("keep_tracks_days", self.keep_tracks_days),
            ("keep_tracks_mb", self.keep_tracks_mb),
            ("outbox_max_days", self.outbox_max_days),
            ("outbox_max_mb", self.outbox_max_mb),
        ] {
            let limit = if key.ends_with("days") { 36_500 } else { 1_000_000 };
            // Events are what the appliance is for; tracks may be unwanted.
            let least = u32::from(!key.starts_with("keep_tracks"));
            problems.expect(
                (least..=limit).contains(&value),
                format!("{at}.{key}"),
                format!("{value} is out of range, expected {least} to {limit}"),
            );
        }
        problems.expect(!self.dir.as_os_str().is_empty(), format!("{at}.dir"), "is empty, expected a folder");
    }

    /// Relative paths are meant from the folder of the configuration.
    pub fn resolve_paths(&mut self, folder: &Path) {
        self.dir = folder.join(&self.dir);
    }
}
