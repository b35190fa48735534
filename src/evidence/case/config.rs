use crate::problems::Problems;
use crate::time::Span;

/// `[evidence]`: what is kept of each alert, and for how long.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceConfig {
    /// `false`: alerts are told, but no file is made of them.
    pub enabled: bool,
    /// Files are kept this long.
    pub keep_days: u32,
    /// And at most this much of them, in MB; the oldest go first.
    pub keep_mb: u32,
    /// Pictures from so many seconds before the alert, 0 to 60.
    pub before_s: f64,
    /// To so many seconds after it, 0 to 60.
    pub after_s: f64,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        EvidenceConfig { enabled: true, keep_days: 14, keep_mb: 500, before_s: 10.0, after_s: 3.0 }
    }
}

impl EvidenceConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        for (key, value, limit) in [("keep_days", self.keep_days, 36_500), ("keep_mb", self.keep_mb, 1_000_000)] {
            let said = format!("{value} is out of range, expected 1 to {limit}");
            problems.expect((1..=limit).contains(&value), format!("{at}.{key}"), said);
        }
        for (key, value) in [("before_s", self.before_s), ("after_s", self.after_s)] {
            let said = format!("is {value:?}, expected 0 to 60 seconds");
            problems.expect((0.0..=60.0).contains(&value), format!("{at}.{key}"), said);
        }
    }

    /// How long pictures are remembered: until the file is written.
    pub fn shots_for(&self) -> Span {
        Span::from_secs_f64(self.before_s + self.after_s)
    }
    pub fn after(&self) -> Span {
        Span::from_secs_f64(self.after_s)
    }
}
