//! What a detector says about one frame, and the classes it speaks of.

use crate::clue::Clues;
use crate::geometry::BBox;
use crate::time::{MediaTime, WallTime};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Mutex;

/// The kind of a thing: `person`, `car`, `handbag`. Ordered and compared by its name, so outputs do not
/// depend on the model's numbering.
///
/// Copy, because it travels with every box: the names are interned and never freed. They come from models
/// and configurations only, so there are some hundreds at the most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(&'static str);

impl Class {
    pub const PERSON: Class = Class("person");

    pub fn named(name: &str) -> Self {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut names = NAMES.lock().unwrap_or_else(|broken| broken.into_inner());
        if let Some(known) = names.get(name) {
            return Class(known);
        }
        let new: &'static str = Box::leak(name.into());
        names.insert(new);
        Class(new)
    }
    pub fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl serde::Serialize for Class {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.0)
    }
}

/// Steps between not sure at all and certain.
pub const SCORE_STEPS: f32 = 64.0;

/// The nearest step of [`SCORE_STEPS`], as it is recorded; of no number, 0.
pub fn settled_score(score: f32) -> f32 {
    (score * SCORE_STEPS).round().clamp(0.0, SCORE_STEPS).max(0.0) / SCORE_STEPS
}

/// One thing found in one frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detection {
    pub class: Class,
    /// 0..1
    pub score: f32,
    /// Fractions of the frame.
    pub bbox: BBox,
}

/// Everything found in one frame, best score first.
#[derive(Debug, Clone, PartialEq)]
pub struct Detections {
    /// Film time of the frame.
    pub at: MediaTime,
    /// When the frame was taken.
    pub taken: WallTime,
    /// Width of the frame divided by its height: distances in x and y are compared with it.
    pub aspect: f32,
    pub items: Vec<Detection>,
    /// What other eyes saw.
    pub clues: Clues,
}
