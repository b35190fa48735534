//! A large part of a shelf is emptied within seconds while somebody is there. A guard would say: "he cleared the whole
//! row into his bag".
//!
//! What is put there counts against what is taken, so whoever fills a shelf, or tidies it, sweeps nothing.
//!
//! Known false alarms: staff that clears a shelf, a customer who buys a whole tray at once, somebody who stood still before
//! the shelf for long without being recognized as a person and steps aside. Known misses: who takes piece by piece with
//! pauses longer than `within_s`; what was hidden behind a body for longer than that, since nobody saw how fast it went;
//! goods behind goods that look the same; goods of less than some 3 % of the picture's width and height.

use super::{Common, Finding, Pattern, Rule, Scope, View, check_seconds, words};
use crate::clue::ShelfChange;
use crate::event::{Party, Phase, Place, Severity};
use crate::fact::Fact;
use crate::ids::ZoneId;
use crate::problems::Problems;
use crate::scene::Classes;
use crate::scene::goods::GoodsChange;
use crate::time::{MediaTime, Span};

/// Starts when `min_share` of the zone has been emptied within `within_s`, ends when nothing has been taken for so long.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShelfSweepConfig {
    /// One with `watch_goods = true`.
    pub zone: String,
    /// Part of the zone, 0 to 1; default 0.15.
    #[serde(default = "default_share")]
    pub min_share: f32,
    /// Default 20.
    #[serde(default = "twenty")]
    pub within_s: f64,
    /// Only with somebody beside it, or in the zone; default true.
    #[serde(default = "yes")]
    pub needs_person: bool,
    /// `info`, `warning` (the default) or `alarm`.
    #[serde(default = "super::warning")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    /// Who counts as somebody.
    pub classes: Option<Vec<String>>,
}

fn default_share() -> f32 {
    0.15
}

fn twenty() -> f64 {
    20.0
}

fn yes() -> bool {
    true
}

impl Rule for ShelfSweepConfig {
    fn kind(&self) -> &'static str {
        "shelf_sweep"
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
        check_seconds(self.within_s, &format!("{at}.within_s"), problems);
        super::removed_object::check_share(self.min_share, at, problems);
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        Box::new(ShelfSweep {
            zone: ZoneId::new(&self.zone),
            min_share: self.min_share,
            within: Span::from_secs_f64(self.within_s),
            needs_person: self.needs_person,
            classes,
            lately: Vec::new(),
            sweep: None,
        })
    }
}

struct ShelfSweep {
    zone: ZoneId,
    min_share: f32,
    within: Span,
    needs_person: bool,
    classes: Classes,
    /// What was taken and put within the last `within`, by when it was to be seen.
    lately: Vec<GoodsChange>,
    sweep: Option<Sweep>,
}

/// A sweep that goes on.
struct Sweep {
    began: MediaTime,
    newest: MediaTime,
    taken: u32,
    of: u32,
    who: Vec<Party>,
}

impl Pattern for ShelfSweep {
    fn step(&mut self, view: &View<'_>, _facts: &[Fact]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for change in view.scene.goods().iter().filter(|change| change.zone == self.zone) {
            if change.at - change.from > self.within {
                // It may have taken all that time.
                continue;
            }
            let signed = matches!(change.what, ShelfChange::Gone | ShelfChange::There);
            if let Some(sweep) = self.sweep.as_mut().filter(|_| change.what == ShelfChange::Gone) {
                sweep.newest = sweep.newest.max(change.at);
                sweep.taken += change.cells;
            } else if signed {
                self.lately.push(change.clone());
            }
        }
        findings.extend(self.begin(view));
        if let Some(sweep) = self.sweep.take_if(|sweep| view.at - sweep.newest > self.within) {
            let explain = format!(
                "Nothing more was taken from {} for {}; {} of it ({} of {} cells) was emptied in {}.",
                self.zone,
                words::seconds(self.within),
                percent(sweep.taken as f32 / sweep.of.max(1) as f32),
                sweep.taken,
                sweep.of,
                words::seconds(sweep.newest - sweep.began)
            );
            findings.push(Finding::there(sweep.who, Phase::End, sweep.newest, self.place(), explain));
        }
        findings
    }
}

impl ShelfSweep {
    fn begin(&mut self, view: &View<'_>) -> Option<Finding> {
        let newest = self.lately.iter().map(|change| change.at).max()?;
        self.lately.retain(|change| newest - change.from <= self.within);
        if view.at - newest > self.within {
            self.lately.clear();
        }
        if self.sweep.is_some() {
            return None;
        }
        let sum = |what| self.lately.iter().filter(move |c| c.what == what).map(|c| c.cells).sum::<u32>();
        let (taken, put) = (sum(ShelfChange::Gone), sum(ShelfChange::There));
        let of = self.lately.first()?.of;
        let share = taken.saturating_sub(put) as f32 / of.max(1) as f32;
        if share < self.min_share || taken == 0 {
            return None;
        }
        let gone = || self.lately.iter().filter(|change| change.what == ShelfChange::Gone);
        let mut who: Vec<Party> = gone().filter_map(|change| change.who).collect();
        who.extend(view.scene.guests(&self.zone).map(|guest| guest.who));
        who.retain(|who| self.classes.admit(who.class));
        who.sort_by_key(|who| who.id);
        who.dedup_by_key(|who| who.id);
        if who.is_empty() && self.needs_person {
            return None;
        }
        let began = gone().map(|change| change.from).min()?;
        let pieces = gone().count();
        let put = if put == 0 {
            "nothing was put there".to_string()
        } else {
            format!("{} was filled", percent(put as f32 / of.max(1) as f32))
        };
        let explain = format!(
            "{} of {} ({taken} of {of} cells, in {pieces} place{}) was emptied within {}, {put}, with {} beside it; the limit is {} in {}. Please review.",
            percent(taken as f32 / of.max(1) as f32),
            self.zone,
            if pieces == 1 { "" } else { "s" },
            words::seconds(newest - began),
            words::how_many(&who),
            percent(self.min_share),
            words::seconds(self.within)
        );
        self.sweep = Some(Sweep { began, newest, taken, of, who: who.clone() });
        self.lately.clear();
        Some(Finding::there(who, Phase::Start, newest, self.place(), explain))
    }

    fn place(&self) -> Place {
        Place::Zone(self.zone.clone())
    }
}

/// `28 %`
pub(super) fn percent(share: f32) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 || percent == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

#[cfg(test)]
mod tests {
    use crate::ids::RuleId;
    use crate::pattern::story::{check, plan, rule};
    use crate::problems::Problems;
    use expect_test::expect;

    const RULE: &str = "kind=shelf_sweep zone=shelf min_share=0.2 within_s=10";

    #[test]
    fn stories() {
        let one = "0s person 0.3,0.9 | 20s 0.3,0.9\ngoods 5s gone 10/100 0.3,0.5 2s";
        check(RULE, "takes one thing", one, expect![]);
        let row = "goods 5s gone 12/100 0.3,0.5 1s\ngoods 7s gone 9/100 0.35,0.5 1s\ngoods 9s gone 8/100 0.4,0.5 1s";
        check(
            RULE,
            "clears a row",
            &format!("0s person 0.3,0.9 | 30s 0.3,0.9\n{row}"),
            expect![[r#"
            7s start at shelf by 1 (6s): 21 % of shelf (21 of 100 cells, in 2 places) was emptied within 3 s, nothing was put there, with 1 person beside it; the limit is 20 % in 10 s. Please review.
            18.1s end at shelf by 1 (6s to 8s): Nothing more was taken from shelf for 10 s; 29 % of it (29 of 100 cells) was emptied in 5 s.
        "#]],
        );
        check(RULE, "a row is empty and nobody was seen", row, expect![]);
        check(
            "kind=shelf_sweep zone=shelf needs_person=false",
            "but that is asked for",
            row,
            expect![[r#"
            7s start at shelf (6s): 21 % of shelf (21 of 100 cells, in 2 places) was emptied within 3 s, nothing was put there, with nobody beside it; the limit is 15 % in 20 s. Please review.
            9.1s end at shelf (6s to 9.1s): It still was so when watching ended: 21 % of shelf (21 of 100 cells, in 2 places) was emptied within 3 s, nothing was put there, with nobody beside it; the limit is 15 % in 20 s. Please review.
        "#]],
        );
        check(
            RULE,
            "tidies the shelf: what goes here comes there",
            "0s person 0.3,0.9 | 30s 0.3,0.9\ngoods 5s gone 18/100 0.3,0.5 1s\n\
             goods 7s there 15/100 0.35,0.5 1s\ngoods 9s gone 12/100 0.4,0.5 1s",
            expect![],
        );
        check(
            RULE,
            "fills it",
            "0s person 0.3,0.9 | 30s 0.3,0.9\ngoods 5s there 40/100 0.3,0.5 1s\ngoods 9s there 30/100 0.4,0.5 1s",
            expect![],
        );
        check(
            RULE,
            "takes as much, but in a minute",
            "0s person 0.3,0.9 | 70s 0.3,0.9\ngoods 5s gone 12/100 0.3,0.5 1s\n\
             goods 35s gone 12/100 0.35,0.5 1s\ngoods 65s gone 12/100 0.4,0.5 1s",
            expect![],
        );
        check(
            RULE,
            "stood before it for long: nobody saw how fast it went",
            "0s person 0.3,0.9 | 50s 0.3,0.9 | 60s 0.9,0.9\ngoods 55s gone 40/100 0.3,0.5 50s",
            expect![],
        );
    }

    #[test]
    fn the_zone_must_be_watched_for_goods() {
        let mut plan = plan();
        plan.rules.insert(RuleId::new("r"), rule("kind=shelf_sweep zone=shelf min_share=1.5"));
        plan.zones.values_mut().for_each(|zone| zone.watch_goods = false);
        let mut problems = Problems::default();
        plan.check("camera.c", &mut problems);
        let told: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
        let watched = "is not watched for goods, expected `watch_goods = true` in its zone \"shelf\"";
        let share = "camera.c.rule.r.min_share: is 1.5, expected a part of the zone from 0 to 1";
        assert_eq!(told, [share.to_string(), format!("camera.c.rule.r.zone: {watched}")]);
    }
}
