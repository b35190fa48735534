//! Something stands where nothing stood, and nobody who could belong to it is near. A guard would say: "whose bag is
//! that?"
//!
//! It needs no detector that knows the thing: whatever changes a zone for good counts. So it is for floors, counters and
//! seats; on a shelf whatever is filled up would be one. What is put back to where something was taken is none.
//!
//! Known false alarms: what staff puts up (a crate, a sign), a door that stays open, a person who stands so still that
//! nobody recognizes one. Known misses: things of less than some 3 % of the picture's width and height, or of the colour of
//! the floor and without edges; an owner who stays beside it.

use super::shelf_sweep::percent;
use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::clue::ShelfChange;
use crate::event::{Party, Phase, Place, Severity};
use crate::fact::Fact;
use crate::geometry::BBox;
use crate::ids::ZoneId;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::scene::goods::GoodsChange;
use crate::time::{MediaTime, Span};

/// Starts when a thing has been alone for `for_s`, ends when the last such thing is gone.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AbandonedObjectConfig {
    /// One with `watch_goods = true`.
    pub zone: String,
    /// Default 60.
    #[serde(default = "one_minute")]
    pub for_s: f64,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    /// Whose nearness makes a thing belong to somebody.
    pub classes: Option<Vec<String>>,
}

fn one_minute() -> f64 {
    60.0
}

impl Rule for AbandonedObjectConfig {
    fn kind(&self) -> &'static str {
        "abandoned_object"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::Zone(&self.zone),
        }
    }
    fn check(&self, at: &str, problems: &mut Problems) {
        check_seconds(self.for_s, &format!("{at}.for_s"), problems);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(AbandonedObject {
            zone: ZoneId::new(&self.zone),
            limit: Span::from_secs_f64(self.for_s),
            classes,
            things: Vec::new(),
            emptied: Vec::new(),
        })
    }
}

/// Somebody who was beside a thing so lately may be its owner, whom the tracker gave a new number.
const OWNER: Span = Span::from_millis(5_000);
/// Things and places that are remembered at most.
const MOST: usize = 100;

struct AbandonedObject {
    zone: ZoneId,
    limit: Span,
    classes: Classes,
    things: Vec<Thing>,
    /// Where something was taken: what comes back there was not brought.
    emptied: Vec<BBox>,
}

struct Thing {
    bbox: BBox,
    share: f32,
    since: MediaTime,
    who: Option<Party>,
    /// When whoever brought it was last beside it, and when anybody was.
    owner: MediaTime,
    anybody: MediaTime,
    told: bool,
}

impl Pattern for AbandonedObject {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for change in view.scene.goods() {
            if change.zone == self.zone {
                findings.extend(self.take(change));
            }
        }
        for thing in &mut self.things {
            for who in view.scene.beside(&thing.bbox).filter(|who| self.classes.admit(who.class)) {
                thing.anybody = view.at;
                if thing.who.is_some_and(|owner| owner.id == who.id) {
                    thing.owner = view.at;
                }
            }
        }
        let alone =
            |thing: &Thing| view.at - thing.owner >= self.limit && view.at - thing.anybody >= OWNER.min(self.limit);
        if let Some(thing) = self.things.iter_mut().find(|thing| !thing.told && alone(thing)) {
            thing.told = true;
            let who: Vec<Party> = thing.who.into_iter().collect();
            let brought = words::how_many(&who);
            let explain = format!(
                "Something has stood at {} for {} ({} of it), alone for {}, and {brought} was beside it when it came; \
                 the limit is {}. Please review.",
                self.zone,
                words::seconds(view.at - thing.since),
                percent(thing.share),
                words::seconds(view.at - thing.owner),
                words::seconds(self.limit)
            );
            findings.push(Finding::there(who, Phase::Start, view.at, Place::Zone(self.zone.clone()), explain));
        }
        findings
    }
}

impl AbandonedObject {
    /// A change of the zone; the end, if with it the last thing that was told of is gone.
    fn take(&mut self, change: &GoodsChange) -> Option<Finding> {
        if change.what == ShelfChange::Touched {
            return None;
        }
        let covers = |a: &BBox, b: &BBox| a.intersection(b) >= 0.5 * b.area();
        let was_told = self.things.iter().any(|thing| thing.told);
        let mut gone = None;
        if change.what == ShelfChange::Gone {
            let before = self.things.len();
            self.things.retain(|thing| {
                let goes = covers(&change.bbox, &thing.bbox);
                if goes {
                    gone = gone.max(Some(change.at - thing.since));
                }
                !goes
            });
            if before == self.things.len() && self.emptied.len() < MOST {
                self.emptied.push(change.bbox);
            }
        } else if change.what == ShelfChange::There {
            let back = self.emptied.iter().position(|place| place.iou(&change.bbox) > 0.3);
            match back {
                Some(place) => _ = self.emptied.remove(place),
                None if self.things.len() < MOST => self.things.push(Thing {
                    bbox: change.bbox,
                    share: change.share(),
                    since: change.at,
                    who: change.who.filter(|who| self.classes.admit(who.class)),
                    owner: change.at,
                    anybody: change.at,
                    told: false,
                }),
                None => {}
            }
        }
        let over = was_told && !self.things.iter().any(|thing| thing.told);
        let stood = gone.filter(|_| over)?;
        let explain = format!("What stood at {} is gone after {}.", self.zone, words::seconds(stood));
        Some(Finding::there(Vec::new(), Phase::End, change.at, Place::Zone(self.zone.clone()), explain))
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    const RULE: &str = "kind=abandoned_object zone=shelf for_s=20";

    #[test]
    fn stories() {
        check(
            RULE,
            "a bag is left, and fetched later",
            "0s person 0.3,0.5 | 5s 0.3,0.5 | 8s 0.95,0.5 | 10s 0.95,0.5\n\
             goods 7s there 12/200 0.3,0.5 1s\n50s person 0.9,0.5 | 52s 0.3,0.5 | 54s 0.9,0.5 | 60s 0.9,0.5\n\
             goods 55s gone 12/200 0.3,0.5 1s",
            expect![[r#"
                26s start at shelf by 1: Something has stood at shelf for 20 s (6.0 % of it), alone for 20 s, and 1 person was beside it when it came; the limit is 20 s. Please review.
                55s end at shelf (26s to 54s): What stood at shelf is gone after 48 s.
            "#]],
        );
        check(
            RULE,
            "the owner waits beside it",
            "0s person 0.3,0.5 | 60s 0.35,0.5\ngoods 7s there 12/200 0.3,0.5 1s",
            expect![],
        );
        check(
            RULE,
            "what is put back was not left",
            "0s person 0.9,0.5 | 60s 0.9,0.5\ngoods 5s gone 12/200 0.3,0.5 1s\ngoods 9s there 13/200 0.31,0.5 1s",
            expect![],
        );
        check(
            RULE,
            "nobody was seen, and somebody walks by when it is about to be told",
            "goods 5s there 12/200 0.3,0.5 1s\n22s person 0.0,0.5 | 26s 0.9,0.5 | 40s 0.9,0.5",
            expect![[r#"
                29.2s start at shelf: Something has stood at shelf for 25 s (6.0 % of it), alone for 25 s, and nobody was beside it when it came; the limit is 20 s. Please review.
                40s end at shelf (29.2s to 40s): It still was so when watching ended: Something has stood at shelf for 25 s (6.0 % of it), alone for 25 s, and nobody was beside it when it came; the limit is 20 s. Please review.
            "#]],
        );
    }
}
