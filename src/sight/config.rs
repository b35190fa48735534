//! `[camera.<c>.tamper]`.

use super::Trouble;
use crate::problems::Problems;
use schemars::JsonSchema;
use serde::Deserialize;

/// What of the camera's own health is watched for in its picture. Everything is by default.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TamperConfig {
    /// Without this key: true, but for a folder, whose pictures need have nothing to do with each other.
    pub enabled: Option<bool>,
    /// How much of the picture must be wrong.
    pub sensitivity: Sensitivity,
    /// What is not said: `["dark"]` for a shop that is dark at night.
    pub ignore: Vec<Trouble>,
    /// Covered, dark or overexposed for so long. Somebody may stand before the lens for some seconds.
    pub after_s: f64,
    /// Moved for so long.
    pub moved_after_s: f64,
    /// Out of focus for so long.
    pub defocused_after_s: f64,
    /// The very same picture for so long.
    pub frozen_after_s: f64,
    /// A camera that has been moved for so long has a new place: what it shows is usual from then on.
    pub accept_after_s: f64,
}

impl Default for TamperConfig {
    fn default() -> Self {
        TamperConfig {
            enabled: None,
            sensitivity: Sensitivity::Normal,
            ignore: Vec::new(),
            after_s: 10.0,
            moved_after_s: 20.0,
            defocused_after_s: 30.0,
            frozen_after_s: 30.0,
            accept_after_s: 900.0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    Low,
    Normal,
    High,
}

impl TamperConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        let seconds = [
            ("after_s", self.after_s),
            ("moved_after_s", self.moved_after_s),
            ("defocused_after_s", self.defocused_after_s),
            ("frozen_after_s", self.frozen_after_s),
            ("accept_after_s", self.accept_after_s),
        ];
        for (key, seconds) in seconds {
            let fine = (1.0..=86_400.0).contains(&seconds);
            problems.expect(fine, format!("{at}.{key}"), format!("is {seconds:?}, expected 1 second to a day, 86400"));
        }
    }
}

/// What is too much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Covered: that part of the cells shows something else, ...
    pub covered_lost: f32,
    /// ... and there are fewer edges than this part of the usual ones.
    pub covered_kept: f32,
    /// Moved: that part of the cells shows something else, and it is found elsewhere, ...
    pub moved_lost: f32,
    /// ... or that part does, wherever it is.
    pub another_view: f32,
    /// Out of focus: edges are less sharp than this part of what is usual.
    pub sharp: f32,
    /// Dark: nine tenths of the picture are darker (0..255).
    pub dark: u8,
    /// Overexposed: three fifths of the picture are brighter (0..255).
    pub bright: u8,
}

impl Sensitivity {
    pub(super) fn limits(self) -> Limits {
        match self {
            Sensitivity::Low => Limits {
                covered_lost: 0.75,
                covered_kept: 0.40,
                moved_lost: 0.45,
                another_view: 0.9,
                sharp: 0.66,
                dark: 24,
                bright: 252,
            },
            Sensitivity::Normal => Limits {
                covered_lost: 0.55,
                covered_kept: 0.45,
                moved_lost: 0.25,
                another_view: 0.8,
                sharp: 0.76,
                dark: 32,
                bright: 250,
            },
            Sensitivity::High => Limits {
                covered_lost: 0.45,
                covered_kept: 0.60,
                moved_lost: 0.15,
                another_view: 0.7,
                sharp: 0.82,
                dark: 40,
                bright: 245,
            },
        }
    }
}

impl Limits {
    /// What was told is over when it is clearly so, not when it is a little better.
    pub fn eased(&self, trouble: Trouble) -> Limits {
        let mut eased = *self;
        match trouble {
            Trouble::Covered => {
                eased.covered_lost -= 0.15;
                eased.covered_kept += 0.15;
            }
            Trouble::Moved => {
                eased.moved_lost -= 0.1;
                eased.another_view -= 0.2;
            }
            Trouble::Defocused => eased.sharp += 0.06,
            Trouble::Dark => eased.dark += 6,
            Trouble::Overexposed => eased.bright -= 6,
            Trouble::Frozen => {}
        }
        eased
    }
}
