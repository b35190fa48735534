//! What can be wrong with a picture, and how it is told.

use super::edges::Shift;
use crate::time::Span;
use schemars::JsonSchema;
use serde::Deserialize;

/// Why a camera does not see what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    Covered,
    Moved,
    Defocused,
    Dark,
    Overexposed,
    Frozen,
}

impl Trouble {
    pub const ALL: [Trouble; 6] =
        [Trouble::Covered, Trouble::Moved, Trouble::Defocused, Trouble::Dark, Trouble::Overexposed, Trouble::Frozen];

    /// The `kind` of its events.
    pub fn kind(self) -> &'static str {
        match self {
            Trouble::Covered => "camera_covered",
            Trouble::Moved => "camera_moved",
            Trouble::Defocused => "camera_defocused",
            Trouble::Dark => "camera_dark",
            Trouble::Overexposed => "camera_overexposed",
            Trouble::Frozen => "camera_frozen",
        }
    }

    /// For the status: why the camera is blind.
    pub fn reason(self) -> &'static str {
        match self {
            Trouble::Covered => "the lens seems to be covered",
            Trouble::Moved => {
                "the camera seems to have been moved, lines and zones are no longer where they were drawn"
            }
            Trouble::Defocused => "the picture is out of focus",
            Trouble::Dark => "the picture is too dark",
            Trouble::Overexposed => "the picture is overexposed",
            Trouble::Frozen => "the picture does not change any more",
        }
    }

    /// Whether what is still detected would be wrong, not merely incomplete: a covered or frozen picture does not show
    /// the place, and one of a moved camera shows it where no line or zone was drawn for it. Where this is so nothing
    /// is counted; else what is seen counts, in a time that is marked as blind.
    pub fn withholds(self) -> bool {
        matches!(self, Trouble::Covered | Trouble::Moved | Trouble::Frozen)
    }

    pub(super) fn began(self, camera: &str, shift: Option<Shift>) -> String {
        let what = match self {
            Trouble::Covered => "seems to be covered: hardly anything of what it usually shows is left".into(),
            Trouble::Moved => match shift {
                Some(shift) => format!("seems to have been moved: what it showed now lies {}", whereto(shift)),
                None => "shows another view than before: it was turned away, or something stands before it".into(),
            },
            Trouble::Defocused => {
                "is out of focus: its edges are softer than usual, the lens may be dirty or turned".into()
            }
            Trouble::Dark => "is almost black: the light is off, or something dark covers the lens".into(),
            Trouble::Overexposed => "is almost white: something bright shines into the lens".into(),
            Trouble::Frozen => "sends the same picture again and again".into(),
        };
        format!("The camera at {camera} {what}. Please review.")
    }

    pub(super) fn ended(self, camera: &str, lasted: Span) -> String {
        let what = match self {
            Trouble::Covered => "is no longer covered",
            Trouble::Moved => "shows its usual view again",
            Trouble::Defocused => "is sharp again",
            Trouble::Dark => "is no longer dark",
            Trouble::Overexposed => "is no longer overexposed",
            Trouble::Frozen => "sends new pictures again",
        };
        format!("The camera at {camera} {what}, after {}.", length(lasted))
    }
}

fn whereto(shift: Shift) -> String {
    let part = |v: f32| format!("{} %", (v.abs() * 100.0).round());
    let right = (shift.dx != 0.0)
        .then(|| format!("{} of the width to the {}", part(shift.dx), if shift.dx > 0.0 { "right" } else { "left" }));
    let down = (shift.dy != 0.0)
        .then(|| format!("{} of the height further {}", part(shift.dy), if shift.dy > 0.0 { "down" } else { "up" }));
    right.into_iter().chain(down).collect::<Vec<_>>().join(" and ")
}

pub(super) fn length(span: Span) -> String {
    let seconds = span.secs_f64().round();
    match seconds {
        s if s < 120.0 => format!("{s} s"),
        s if s < 7200.0 => format!("{} min", (s / 60.0).round()),
        s => format!("{} h", (s / 3600.0).round()),
    }
}
