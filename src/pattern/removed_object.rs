//! Something was taken from where it stood: told each time. A guard would say: "there was a bottle a minute ago".
//!
//! Of a shelf it counts how often people take things; of a display that nobody is to touch it is an alarm.
//!
//! Known false alarms: goods that were moved by more than their own width (gone here, put there), and what was leaned
//! against the shelf and goes again. Known misses: goods of which another one of the same look stands right behind; goods
//! of less than some 3 % of the picture's width and height; what nobody can see because people stand before it.

use super::shelf_sweep::percent;
use super::{Common, Finding, Pattern, Rule, Scope, View, words};
use crate::clue::ShelfChange;
use crate::event::{Party, Phase, Place, Severity};
use crate::fact::Fact;
use crate::geometry::BBox;
use crate::ids::ZoneId;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::scene::goods::GoodsChange;
use crate::time::{MediaTime, Span};
use std::collections::VecDeque;

/// Tells each time that something was taken from the zone and, if asked to, that something was put there.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemovedObjectConfig {
    /// One with `watch_goods = true`.
    pub zone: String,
    /// Part of the zone that it must have covered, 0 to 1; default 0, which is everything that can be seen.
    #[serde(default)]
    pub min_share: f32,
    /// Tell also what is put there; default false.
    #[serde(default)]
    pub returns: bool,
    /// `info` (the default), `warning` or `alarm`.
    #[serde(default = "super::info")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    /// Who is named as having been beside it.
    pub classes: Option<Vec<String>>,
}

impl Rule for RemovedObjectConfig {
    fn kind(&self) -> &'static str {
        "removed_object"
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
        check_share(self.min_share, at, problems);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(RemovedObject {
            zone: ZoneId::new(&self.zone),
            min_share: self.min_share,
            returns: self.returns,
            classes,
            missing: VecDeque::new(),
        })
    }
}

pub(super) fn check_share(share: f32, at: &str, problems: &mut Problems) {
    let fine = (0.0..=1.0).contains(&share);
    problems.expect(fine, format!("{at}.min_share"), format!("is {share}, expected a part of the zone from 0 to 1"));
}

/// Places that are remembered as empty at most.
const MOST: usize = 200;

struct RemovedObject {
    zone: ZoneId,
    min_share: f32,
    returns: bool,
    classes: Classes,
    /// Places that something was taken from, and when.
    missing: VecDeque<(BBox, MediaTime)>,
}

impl Pattern for RemovedObject {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for change in view.scene.goods().iter().filter(|change| change.zone == self.zone) {
            let large = change.share() >= self.min_share;
            match change.what {
                ShelfChange::Gone => {
                    self.missing.push_back((change.bbox, change.at));
                    if self.missing.len() > MOST {
                        self.missing.pop_front();
                    }
                    let what = format!("Something was taken from {}", self.zone);
                    findings.extend(large.then(|| self.tell(change, &what)));
                }
                ShelfChange::There => {
                    let before = self.missing.iter().position(|(place, _)| place.iou(&change.bbox) > 0.3);
                    let what = match before.and_then(|place| self.missing.remove(place)) {
                        Some((_, taken)) => {
                            let away = words::seconds(change.at - taken);
                            format!("Something was put back at {} where something was missing for {away}", self.zone)
                        }
                        None => format!("Something was put at {}", self.zone),
                    };
                    findings.extend((large && self.returns).then(|| self.tell(change, &what)));
                }
                ShelfChange::Touched | ShelfChange::Altered => {}
            }
        }
        findings
    }
}

impl RemovedObject {
    fn tell(&self, change: &GoodsChange, what: &str) -> Finding {
        let who: Vec<Party> = change.who.into_iter().filter(|who| self.classes.admit(who.class)).collect();
        let explain = format!(
            "{what}: {} of it ({} of {} cells) changed {}, with {} beside it.",
            percent(change.share()),
            change.cells,
            change.of,
            within(change.at - change.from),
            words::how_many(&who)
        );
        Finding::there(who, Phase::Instant, change.at, Place::Zone(self.zone.clone()), explain)
    }
}

/// A change that nothing hid was over before the next look.
fn within(span: Span) -> String {
    if span <= Span::ZERO { "at once".into() } else { format!("within {}", words::seconds(span)) }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story::check;
    use expect_test::expect;

    #[test]
    fn stories() {
        let both = "kind=removed_object zone=shelf returns=true";
        let story = "0s person 0.3,0.5 | 9s 0.3,0.5 | 10s 0.9,0.5\ngoods 5s gone 12/200 0.3,0.4 0.6s\n\
                     goods 6s touched 40/200 0.3,0.4 2s\ngoods 20s there 13/200 0.31,0.4 1s\n\
                     goods 25s there 30/200 0.5,0.4\ngoods 30s altered 30/200 0.5,0.4";
        check(
            both,
            "taken and put back, and something else put there",
            story,
            expect![[r#"
            5s instant at shelf by 1 (4s): Something was taken from shelf: 6.0 % of it (12 of 200 cells) changed within 0.6 s, with 1 person beside it.
            20s instant at shelf (19s): Something was put back at shelf where something was missing for 15 s: 6.5 % of it (13 of 200 cells) changed within 1 s, with nobody beside it.
            25s instant at shelf (24s): Something was put at shelf: 15 % of it (30 of 200 cells) changed at once, with nobody beside it.
        "#]],
        );
        check("kind=removed_object zone=shelf min_share=0.1", "what is small is not asked for", story, expect![]);
    }
}
