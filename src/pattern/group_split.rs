//! Some come together, spread, and leave together. A guard would say: "they came in as three, and then did not know each
//! other".
//!
//! Known false alarms: most families and every pair of friends that shops like this: it is a hint to look at beside
//! others, so its severity is `info`. Known misses: a track that breaks leaves its group; who comes by different doors.

use super::journey::{check_place, zones_of};
use super::{Common, Finding, Pattern, Rule, Scope, Surroundings, View, check_seconds, words};
use crate::event::{Party, Phase, Place, Severity};
use crate::fact::{Fact, What};
use crate::ids::{TrackId, ZoneId};
use crate::problems::Problems;
use crate::scene::Classes;
use crate::scene::zone::ZoneKind;
use crate::time::{MediaTime, Span};

/// An event when at least two of them leave. Distances are in body heights.
#[derive(Debug, Clone, PartialEq, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSplitConfig {
    /// Name or kind of a zone; default `entrance`.
    #[serde(default = "entrance")]
    pub entrance: String,
    /// Default `exit`, or the entrance where the camera has no zone of the kind `exit`.
    pub exit: Option<String>,
    /// So soon after each other is together; default 4.
    #[serde(default = "four")]
    pub together_s: f64,
    /// So near is together; default 2.
    #[serde(default = "two")]
    pub near_heights: f32,
    /// So far is apart; default 2. What lies behind each other is shortened in the picture.
    #[serde(default = "two")]
    pub far_heights: f32,
    /// For so long at the least, all in all; default 20.
    #[serde(default = "twenty")]
    pub apart_s: f64,
    /// `info` (the default), `warning` or `alarm`.
    #[serde(default = "super::info")]
    pub severity: Severity,
    #[serde(default)]
    pub cooldown_s: f64,
    pub classes: Option<Vec<String>>,
}

fn entrance() -> String {
    "entrance".into()
}

fn four() -> f64 {
    4.0
}

fn two() -> f32 {
    2.0
}

fn twenty() -> f64 {
    20.0
}

impl GroupSplitConfig {
    fn exit<'a>(&'a self, around: &Surroundings<'_>) -> &'a str {
        let has_exit = around.zones.values().any(|zone| zone.kind == ZoneKind::Exit);
        self.exit.as_deref().unwrap_or(if has_exit { "exit" } else { &self.entrance })
    }
}

impl Rule for GroupSplitConfig {
    fn kind(&self) -> &'static str {
        "group_split"
    }
    fn common(&self) -> Common<'_> {
        Common {
            severity: self.severity,
            cooldown_s: self.cooldown_s,
            classes: self.classes.as_deref(),
            scope: Scope::Everywhere,
        }
    }
    fn check_in(&self, at: &str, around: &Surroundings<'_>, problems: &mut Problems) {
        check_place(&self.entrance, &format!("{at}.entrance"), around, problems);
        check_place(self.exit(around), &format!("{at}.exit"), around, problems);
        check_seconds(self.together_s, &format!("{at}.together_s"), problems);
        check_seconds(self.apart_s, &format!("{at}.apart_s"), problems);
        for (key, heights) in [("near_heights", self.near_heights), ("far_heights", self.far_heights)] {
            let fine = (0.0..=100.0).contains(&heights);
            problems.expect(fine, format!("{at}.{key}"), format!("is {heights:?}, expected 0 to 100 body heights"));
        }
    }
    fn start(&self, classes: Classes) -> Box<dyn Pattern> {
        self.start_in(classes, &Surroundings::NONE)
    }
    fn start_in(&self, classes: Classes, around: &Surroundings<'_>) -> Box<dyn Pattern> {
        Box::new(GroupSplit {
            entrances: zones_of(&self.entrance, around),
            exits: zones_of(self.exit(around), around),
            together: Span::from_secs_f64(self.together_s),
            near: self.near_heights,
            far: self.far_heights,
            apart: Span::from_secs_f64(self.apart_s),
            classes,
            groups: Vec::new(),
            before: None,
        })
    }
}

struct GroupSplit {
    entrances: Vec<ZoneId>,
    exits: Vec<ZoneId>,
    together: Span,
    near: f32,
    far: f32,
    apart: Span,
    classes: Classes,
    /// Also of one, who may be joined.
    groups: Vec<Group>,
    /// The frame before this one.
    before: Option<MediaTime>,
}

struct Group {
    members: Vec<Member>,
    /// When the newest of them came.
    came: MediaTime,
    /// For how long two of them were apart.
    apart: Span,
}

struct Member {
    who: Party,
    left: Option<MediaTime>,
}

impl GroupSplit {
    fn position(&self, id: TrackId) -> Option<(usize, usize)> {
        let of = |group: &Group| group.members.iter().position(|member| member.who.id == id);
        self.groups.iter().enumerate().find_map(|(g, group)| Some((g, of(group)?)))
    }

    fn join(&mut self, fact: &Fact, view: &View<'_>) {
        let (near, together) = (self.near, self.together);
        let now = |id| view.scene.followed().find(|who| who.id == id);
        let fits = |group: &Group| {
            let beside =
                |member: &Member| now(member.who.id).is_some_and(|other| view.scene.apart(other, &fact.who) <= near);
            fact.at - group.came <= together && group.members.iter().any(beside)
        };
        let member = Member { who: fact.who, left: None };
        match self.groups.iter_mut().find(|group| fits(group)) {
            Some(group) => {
                group.members.push(member);
                group.came = group.came.max(fact.at);
            }
            None => self.groups.push(Group { members: vec![member], came: fact.at, apart: Span::ZERO }),
        }
    }

    fn leave(&mut self, (g, m): (usize, usize), fact: &Fact, zone: &ZoneId) -> Option<Finding> {
        let group = &mut self.groups[g];
        group.members[m] = Member { who: fact.who, left: Some(fact.at) };
        let recent = |member: &&Member| member.left.is_some_and(|left| fact.at - left <= self.together);
        let leaving: Vec<Party> = group.members.iter().filter(recent).map(|member| member.who).collect();
        if leaving.len() < 2 || group.apart < self.apart {
            return None;
        }
        let (came, apart, n) = (words::lasting(fact.at - group.came), words::lasting(group.apart), group.members.len());
        self.groups.remove(g);
        let explain = format!(
            "{n} came together {came} ago, were apart for {apart}, and {} leave together at {zone}. Please review.",
            leaving.len()
        );
        let place = Place::Zone(zone.clone());
        Some(Finding {
            phase: Phase::Instant,
            subject: Some(fact.who.id),
            at: fact.at,
            tracks: leaving,
            place,
            explain,
            score: None,
            strength: None,
        })
    }
}

impl Pattern for GroupSplit {
    fn step(&mut self, view: &View<'_>, facts: &[Fact]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for fact in facts {
            if !self.classes.admit(fact.who.class) {
                continue;
            }
            match (&fact.what, self.position(fact.who.id)) {
                (What::Entered(zone), Some(at)) if self.exits.contains(zone) => {
                    findings.extend(self.leave(at, fact, zone))
                }
                (What::Entered(zone), None) if self.entrances.contains(zone) => self.join(fact, view),
                (What::Gone, Some((g, m))) if self.groups[g].members[m].left.is_none() => {
                    self.groups[g].members.remove(m);
                }
                _ => {}
            }
        }
        let passed = self.before.replace(view.at).map_or(Span::ZERO, |before| view.at - before);
        let lately = |member: &Member| member.left.is_none_or(|left| view.at - left <= self.together);
        self.groups.retain(|group| group.members.iter().any(lately));
        for group in self.groups.iter_mut().filter(|group| group.members.len() > 1) {
            let is_member = |who: &&Party| group.members.iter().any(|member| member.who.id == who.id);
            let here: Vec<&Party> = view.scene.followed().filter(is_member).collect();
            let far = |i: usize| here[i + 1..].iter().any(|other| view.scene.apart(here[i], other) >= self.far);
            if (0..here.len()).any(far) {
                group.apart = group.apart + passed;
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use crate::pattern::story;
    use expect_test::{Expect, expect};

    fn check(title: &str, actors: &str, expected: Expect) {
        let shop = "zone entrance 0,0 0.15,1\nzone exit 0.85,0 1,1\n";
        let rule = "kind=group_split far_heights=1.5 apart_s=5";
        story::check(rule, title, &format!("{shop}{actors}"), expected);
    }

    #[test]
    fn stories() {
        check(
            "two spread",
            "0s person 0.05,0.5 | 2s 0.05,0.5 | 4s 0.8,0.3 | 14s 0.8,0.3 | 15s 0.95,0.5 | 17s 0.95,0.5\n0s person 0.1,0.5 | 2s 0.1,0.5 | 4s 0.2,0.8 | 13s 0.2,0.8 | 16s 0.95,0.6 | 18s 0.95,0.6",
            expect![[r#"
                16.2s instant at exit by 1+2 (15.7s): 2 came together 16 s ago, were apart for 11 s, and 2 leave together at exit. Please review.
            "#]],
        );
        check(
            "two stay together",
            "0s person 0.05,0.5 | 2s 0.05,0.5 | 14s 0.8,0.3 | 15s 0.95,0.5 | 17s 0.95,0.5\n0s person 0.1,0.5 | 2s 0.1,0.5 | 14s 0.8,0.4 | 16s 0.95,0.6 | 18s 0.95,0.6",
            expect![],
        );
        check(
            "one leaves much later",
            "0s person 0.05,0.5 | 2s 0.05,0.5 | 4s 0.8,0.3 | 14s 0.8,0.3 | 15s 0.95,0.5 | 17s 0.95,0.5\n0s person 0.1,0.5 | 2s 0.1,0.5 | 4s 0.2,0.8 | 30s 0.2,0.8 | 33s 0.95,0.6 | 35s 0.95,0.6",
            expect![],
        );
        check(
            "two who came one after another",
            "0s person 0.05,0.5 | 2s 0.05,0.5 | 4s 0.8,0.3 | 24s 0.8,0.3 | 25s 0.95,0.5 | 27s 0.95,0.5\n10s person 0.1,0.5 | 12s 0.1,0.5 | 14s 0.2,0.8 | 23s 0.2,0.8 | 26s 0.95,0.6 | 28s 0.95,0.6",
            expect![],
        );
    }
}
