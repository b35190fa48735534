//! An area of the frame and who stands in it.
//!
//! The foot point decides (`BBox::foot`), with hysteresis of half a second both ways: a foot point that trembles over
//! the border neither enters nor leaves. Half a second, not so many frames, because frame rates differ and vary.

use super::classes::{Classes, check_classes, check_points};
use super::dwell::Dwell;
use crate::detection::Class;
use crate::fact::What;
use crate::geometry::{Point, Polygon};
use crate::ids::{TrackId, ZoneId};
use crate::problems::Problems;
use crate::time::{MediaTime, Span};
use std::collections::BTreeMap;

/// The foot point must be inside, or outside, for so long before that is believed.
pub const HYSTERESIS: Span = Span::from_millis(500);
/// A stay of at least this length is a visit.
pub const VISIT: Span = Span::from_millis(1000);

/// `[camera.<c>.zone.<z>]`
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneConfig {
    /// Corners in fractions of the frame, x to the right, y down; the last is joined to the first.
    pub polygon: Vec<[f32; 2]>,
    /// What is there.
    #[serde(default)]
    pub kind: ZoneKind,
    /// Only these classes are looked at; without the key every class is.
    pub classes: Option<Vec<String>>,
    /// Looks at the goods there: what is taken, what is put, and that somebody reaches in. Then the polygon encloses the
    /// goods as they are seen, not where people stand. Default false.
    #[serde(default)]
    pub watch_goods: bool,
    /// Whether it is looked at how people stand there, which costs a look of its own for each: rules about hands need it.
    #[serde(default)]
    pub pose: bool,
}

/// What a zone is in the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ZoneKind {
    Shelf,
    Till,
    Entrance,
    Exit,
    Restricted,
    Queue,
    #[default]
    Other,
}

impl ZoneConfig {
    pub fn check(&self, at: &str, problems: &mut Problems) {
        let path = format!("{at}.polygon");
        let count = self.polygon.len();
        check_points(&self.polygon, &path, problems);
        check_classes(self.classes.as_deref(), at, problems);
        if count < 3 {
            let s = if count == 1 { "" } else { "s" };
            problems.add(path, format!("has {count} point{s}, expected at least 3"));
        } else if self.polygon.iter().flatten().all(|v| v.is_finite()) && self.area().is_none() {
            problems.add(path, "encloses nothing, expected corners that are not all on one line");
        }
    }
    /// `None` where the corners enclose nothing.
    pub fn area(&self) -> Option<Polygon> {
        Polygon::new(self.polygon.iter().map(|&[x, y]| Point::new(x, y)).collect())
    }
}

/// A zone at work.
#[derive(Debug)]
pub(super) struct Zone {
    pub config: ZoneConfig,
    classes: Classes,
    /// `None` where the configuration was not checked: nobody ever is in there.
    area: Option<Polygon>,
    /// Of the tracks that are inside or about to be.
    stays: BTreeMap<TrackId, Stay>,
    pub visits: u64,
    pub dwell: Dwell,
}

impl Zone {
    pub fn new(config: ZoneConfig) -> Self {
        let (area, classes) = (config.area(), Classes::configured(config.classes.as_deref()));
        Zone { config, classes, area, stays: BTreeMap::new(), visits: 0, dwell: Dwell::default() }
    }

    /// Whether somebody of this class who stands there stands in it, at this moment.
    pub fn covers(&self, class: Class, foot: Point) -> bool {
        self.classes.admit(class) && self.area.as_ref().is_some_and(|area| area.contains(foot))
    }

    /// The track was seen; tells what became certain and when it was so. Nothing is called for a lost track, so its
    /// stay goes on until it is seen again or [`Zone::end`]s.
    pub fn sight(
        &mut self,
        id: TrackId,
        class: Class,
        foot: Point,
        at: MediaTime,
        tell: impl FnMut(MediaTime, Change),
    ) {
        let inside = self.covers(class, foot);
        let next = match self.stays.get(&id) {
            Some(stay) => stay.sight(inside, at, tell),
            None => inside.then_some(Stay::Arriving { since: at }),
        };
        match next {
            Some(stay) => self.stays.insert(id, stay),
            None => self.stays.remove(&id),
        };
    }

    /// The stay of this track is over, if there was one, at its last sighting.
    pub fn end(&mut self, id: TrackId, tell: impl FnMut(MediaTime, Change)) {
        if let Some(stay) = self.stays.remove(&id) {
            stay.end(tell);
        }
    }

    /// Who is believed to be inside, since when, and the newest sighting there.
    pub fn stays(&self) -> impl Iterator<Item = (TrackId, MediaTime, MediaTime)> {
        self.stays.iter().filter_map(|(id, stay)| match *stay {
            Stay::Inside { since, last, .. } => Some((*id, since, last)),
            Stay::Arriving { .. } => None,
        })
    }
}

/// One track in one zone.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stay {
    /// Inside, but not for long enough.
    Arriving { since: MediaTime },
    /// `last` is the newest sighting inside; `out` the first outside after it, if any.
    Inside { since: MediaTime, last: MediaTime, out: Option<MediaTime> },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Change {
    Entered,
    VisitStarted,
    Left { dwell: Span },
}

impl Change {
    pub fn of(self, zone: &ZoneId) -> What {
        match self {
            Change::Entered => What::Entered(zone.clone()),
            Change::VisitStarted => What::VisitStarted(zone.clone()),
            Change::Left { dwell } => What::Left { zone: zone.clone(), dwell },
        }
    }
}

impl Stay {
    /// What becomes of it; `None` when it is over.
    fn sight(self, inside: bool, at: MediaTime, mut tell: impl FnMut(MediaTime, Change)) -> Option<Stay> {
        match (self, inside) {
            (Stay::Arriving { .. }, false) => None,
            (Stay::Arriving { since }, true) => {
                if at - since < HYSTERESIS {
                    return Some(self);
                }
                tell(since, Change::Entered);
                if at - since >= VISIT {
                    tell(at, Change::VisitStarted);
                }
                Some(Stay::Inside { since, last: at, out: None })
            }
            (Stay::Inside { since, last, .. }, true) => {
                if last - since < VISIT && at - since >= VISIT {
                    tell(at, Change::VisitStarted);
                }
                Some(Stay::Inside { since, last: at, out: None })
            }
            (Stay::Inside { since, last, out }, false) => {
                let out = out.unwrap_or(at);
                if at - out >= HYSTERESIS {
                    self.end(tell);
                    return None;
                }
                Some(Stay::Inside { since, last, out: Some(out) })
            }
        }
    }

    fn end(self, mut tell: impl FnMut(MediaTime, Change)) {
        if let Stay::Inside { since, last, .. } = self {
            tell(last, Change::Left { dwell: last - since });
        }
    }
}
