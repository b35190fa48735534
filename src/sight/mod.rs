//! What the picture itself tells about the camera: whether it can see the place it was put up for.
//!
//! Twice a second the newest frame becomes a small grey picture ([`Grey`]). Its brightness tells darkness and
//! overexposure; whether it changes at all tells a frozen picture; and its edges, cell by cell against a slowly learned
//! reference, tell a lens that is covered (what was there is gone), a camera that was moved (it lies elsewhere) and one
//! out of focus (it is there, but soft). Only what lasts is told; see [`TamperConfig`] for how long.
//!
//! One trouble at a time: a camera in the dark is not told to be covered as well, and nothing is learned meanwhile.
//! What lies between covered and seen, a crowd before the lens or half a hand, is no trouble.
//!
//! Absent on purpose: clocks, and every conclusion about who it was. A camera that was covered when the appliance
//! started is not noticed, since nothing is known of what it ought to show.

mod config;
mod edges;
mod grey;
pub mod shelf;
mod still;
mod trouble;

#[cfg(test)]
mod tests;

pub use config::{Sensitivity, TamperConfig};
pub use grey::Grey;
pub use trouble::Trouble;

use crate::frame::Frame;
use crate::time::{MediaTime, Span};
use config::Limits;
use edges::{Edges, Likeness, Shift};
use std::collections::VecDeque;
use still::Stillness;

/// Between two looks.
const PERIOD: Span = Span::from_millis(500);
/// After a pause of this length nothing is known about the time between, ...
const PAUSE: Span = Span::from_millis(5_000);
/// ... unless looks are usually so far apart: then after two of them are missing. What is usual is told by so many looks.
const LOOKS_TO_BE_USUAL: usize = 5;
/// Further apart than this is no watching.
const SELDOM: Span = Span::from_millis(60_000);
/// What is seen lately is a mean over so many seconds: passers-by fade, what stands still stays.
const LATELY_S: f64 = 2.0;
/// The reference follows the seasons and the furniture in so many seconds.
const LEARN_S: f64 = 300.0;
/// So many looks make a reference.
const LOOKS_TO_KNOW: u32 = 20;
/// A picture must be fine for so long before a trouble is over.
const RELEASE: Span = Span::from_millis(3_000);
/// Another view, with nothing of the old one in it, takes so many times as long to be believed.
const DOUBT: i64 = 3;
/// The present view must correlate with the reference at some other place by this much, and by this much more than in
/// place, to have been moved there; and by at least this part of width or height.
const FOUND: f32 = 0.5;
const FOUND_BETTER: f32 = 0.2;
const FOUND_FAR: f32 = 0.02;
/// Another view is one that stands still: edges of the mean over [`LATELY_S`] against those of the reference.
const STANDS_STILL: f32 = 0.6;
/// A covered picture may have so many more edges (part of the usual ones) that are noise: their mean over [`LATELY_S`] is
/// small.
const NOISE: f32 = 0.2;
/// Here the reference no longer follows at its usual pace.
const STRANGE: f32 = 0.25;

/// Something about the camera's sight has changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub trouble: Trouble,
    /// When it began, film time; known when it has lasted for a while.
    pub since: MediaTime,
    /// When it was over; `None` while it goes on.
    pub until: Option<MediaTime>,
    /// It is over because what the camera shows now counts as its usual view.
    pub accepted: bool,
    /// One or two sentences.
    pub explain: String,
}

/// One camera's sight.
#[derive(Debug)]
pub struct Sight {
    camera: String,
    config: TamperConfig,
    limits: Limits,
    size: (usize, usize),
    reference: Option<Edges>,
    /// Looks that the reference is made of.
    learned: u32,
    lately: Option<Edges>,
    stillness: Stillness,
    last: Option<MediaTime>,
    /// Between the newest looks.
    pauses: VecDeque<Span>,
    /// What seems to be wrong, and since when.
    suspect: Option<(Suspicion, MediaTime)>,
    on: Option<On>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Suspicion {
    trouble: Trouble,
    shift: Option<Shift>,
}

/// What was told and goes on.
#[derive(Debug)]
struct On {
    trouble: Trouble,
    since: MediaTime,
    fine_since: Option<MediaTime>,
}

impl Sight {
    /// Names the camera as it is called in the explanations.
    pub fn new(camera: &str, config: TamperConfig) -> Self {
        Sight {
            camera: camera.into(),
            limits: config.sensitivity.limits(),
            config,
            size: (0, 0),
            reference: None,
            learned: 0,
            lately: None,
            stillness: Stillness::default(),
            last: None,
            pauses: VecDeque::new(),
            suspect: None,
            on: None,
        }
    }

    /// What is wrong at present, as far as it was told.
    pub fn trouble(&self) -> Option<Trouble> {
        self.on.as_ref().map(|on| on.trouble)
    }

    /// Looks at a frame where the last look was long enough ago; film time may start over.
    pub fn see(&mut self, frame: &Frame) -> Vec<Change> {
        if self.last.is_some_and(|last| last <= frame.at && frame.at - last < PERIOD) {
            return Vec::new();
        }
        Grey::of(&frame.picture).map(|grey| self.look(frame.at, &grey)).unwrap_or_default()
    }

    /// One look.
    pub fn look(&mut self, at: MediaTime, grey: &Grey) -> Vec<Change> {
        let mut changes = Vec::new();
        if self.last.is_some_and(|last| at < last) {
            changes.extend(self.finish());
        }
        let since_last = self.last.map_or(PERIOD, |last| at - last);
        if self.size != (grey.width, grey.height) {
            // Another camera or another setting: it has to be learned anew.
            self.size = (grey.width, grey.height);
            (self.reference, self.learned, self.lately) = (None, 0, None);
        }
        if since_last > self.pause() {
            self.suspect = None;
            self.lately = None;
            self.stillness.pause();
        }
        if self.last.is_some() {
            self.pauses.truncate(LOOKS_TO_BE_USUAL - 1);
            self.pauses.push_front(since_last);
        }
        self.last = Some(at);
        let now = Edges::of(grey);
        let part = since_last.secs_f64() / (since_last.secs_f64() + LATELY_S);
        match &mut self.lately {
            Some(lately) => lately.blend(&now, part as f32),
            None => self.lately = Some(now.clone()),
        }
        let still_for = self.stillness.look(at, grey);
        let frozen = self.stillness.is_frozen(still_for, Span::from_secs_f64(self.config.frozen_after_s));
        let (suspicion, strange) = self.judge(grey, &now, frozen);
        if suspicion.is_none() && self.on.is_none() {
            self.learn(&now, since_last, strange);
        }
        changes.extend(self.conclude(at, suspicion));
        changes
    }

    /// From which length on a pause is one. A camera may give a picture every five seconds, or the board may have no more
    /// time for it.
    fn pause(&self) -> Span {
        let mut usual: Vec<Span> = self.pauses.iter().copied().collect();
        usual.sort_unstable();
        let usual = usual.get(usual.len() / 2).copied().unwrap_or(PERIOD).min(SELDOM);
        PAUSE.max(usual + usual + usual)
    }

    /// The source is over: ends what goes on. Film time may start over; what was learned stays.
    pub fn finish(&mut self) -> Vec<Change> {
        self.suspect = None;
        self.lately = None;
        self.stillness.pause();
        let last = self.last.take().unwrap_or(MediaTime::ZERO);
        let end = |on: On| {
            let explain = format!("Watching ended; until then: {}", on.trouble.began(&self.camera, None));
            Change { trouble: on.trouble, since: on.since, until: Some(last), accepted: false, explain }
        };
        self.on.take().map(end).into_iter().collect()
    }

    /// What this look says, and whether the view is strange, be it a trouble or not.
    fn judge(&self, grey: &Grey, now: &Edges, frozen: bool) -> (Option<Suspicion>, bool) {
        let limits = match self.trouble() {
            Some(trouble) => &self.limits.eased(trouble),
            None => &self.limits,
        };
        let plain = |trouble| (Some(Suspicion { trouble, shift: None }), true);
        let [bright_40, bright_90] = percentiles(grey, [40, 90]);
        if bright_90 < limits.dark {
            return plain(Trouble::Dark);
        }
        if bright_40 >= limits.bright {
            return plain(Trouble::Overexposed);
        }
        let known = self.reference.as_ref().filter(|_| self.learned >= LOOKS_TO_KNOW);
        let like = known.zip(self.lately.as_ref()).and_then(|(known, lately)| known.likeness(now, lately));
        let is_bare = |like: &Likeness| {
            like.kept < limits.covered_kept
                || like.kept < limits.covered_kept + NOISE && like.still < limits.covered_kept
        };
        if like.is_some_and(|like| like.lost_now >= limits.covered_lost && is_bare(&like)) {
            return plain(Trouble::Covered);
        }
        if frozen {
            return plain(Trouble::Frozen);
        }
        let (Some(like), Some(known), Some(lately)) = (like, known, &self.lately) else { return (None, false) };
        if like.lost >= limits.moved_lost {
            let shift = known.shift_to(lately);
            let far = shift.dx.abs() >= FOUND_FAR || shift.dy.abs() >= FOUND_FAR;
            if far && shift.there >= FOUND && shift.there >= shift.in_place + FOUND_BETTER {
                return (Some(Suspicion { trouble: Trouble::Moved, shift: Some(shift) }), true);
            }
        }
        if like.sharp < limits.sharp && like.still >= limits.covered_kept {
            return plain(Trouble::Defocused);
        }
        if like.lost >= limits.another_view && like.still >= STANDS_STILL {
            return plain(Trouble::Moved);
        }
        (None, like.lost.max(like.lost_now) >= STRANGE)
    }

    fn learn(&mut self, now: &Edges, since_last: Span, strange: bool) {
        let seconds = since_last.secs_f64();
        let part = |pace: f64| seconds / (seconds + pace);
        let part = if strange { part(4.0 * LEARN_S) } else { part(LEARN_S).max(1.0 / f64::from(self.learned + 1)) };
        match &mut self.reference {
            Some(reference) => reference.blend(now, part as f32),
            None => self.reference = Some(now.clone()),
        }
        self.learned = self.learned.saturating_add(1);
    }

    fn conclude(&mut self, at: MediaTime, suspicion: Option<Suspicion>) -> Vec<Change> {
        let suspicion = suspicion.filter(|suspicion| !self.config.ignore.contains(&suspicion.trouble));
        self.suspect = match (suspicion, self.suspect) {
            (Some(new), Some((old, since))) if new.trouble == old.trouble => Some((new, since)),
            (Some(new), _) => Some((new, at)),
            (None, _) => None,
        };
        let mut changes = Vec::new();
        let accept_after = Span::from_secs_f64(self.config.accept_after_s);
        if let Some(on) = &mut self.on {
            let goes_on = suspicion.is_some_and(|suspicion| suspicion.trouble == on.trouble);
            if goes_on || suspicion.is_some() {
                on.fine_since = None;
            } else {
                on.fine_since.get_or_insert(at);
            }
            // A frozen picture is over with the first new one.
            let release = if on.trouble == Trouble::Frozen { Span::ZERO } else { RELEASE };
            if let Some(fine) = on.fine_since.filter(|fine| at - *fine >= release) {
                let explain = on.trouble.ended(&self.camera, fine - on.since);
                changes.push(Change {
                    trouble: on.trouble,
                    since: on.since,
                    until: Some(fine),
                    accepted: false,
                    explain,
                });
                self.on = None;
            } else if on.trouble == Trouble::Moved && goes_on && at - on.since >= accept_after {
                let explain = format!(
                    "The camera at {} has shown its new view for {}, which counts as usual from now on. Please check its lines and zones.",
                    self.camera,
                    trouble::length(at - on.since)
                );
                changes.push(Change {
                    trouble: Trouble::Moved,
                    since: on.since,
                    until: Some(at),
                    accepted: true,
                    explain,
                });
                self.on = None;
                self.suspect = None;
                (self.reference, self.learned) = (self.lately.clone(), LOOKS_TO_KNOW);
            }
        }
        let Some((suspect, since)) = self.suspect else { return changes };
        if self.on.as_ref().is_some_and(|on| on.trouble == suspect.trouble) || at - since < self.hold(suspect) {
            return changes;
        }
        if let Some(on) = self.on.take() {
            let explain = on.trouble.ended(&self.camera, since - on.since);
            changes.push(Change { trouble: on.trouble, since: on.since, until: Some(since), accepted: false, explain });
        }
        let explain = suspect.trouble.began(&self.camera, suspect.shift);
        let since = if suspect.trouble == Trouble::Frozen { self.stillness.since().unwrap_or(since) } else { since };
        changes.push(Change { trouble: suspect.trouble, since, until: None, accepted: false, explain });
        self.on = Some(On { trouble: suspect.trouble, since, fine_since: None });
        changes
    }

    fn hold(&self, suspect: Suspicion) -> Span {
        let config = &self.config;
        match suspect.trouble {
            Trouble::Covered | Trouble::Dark | Trouble::Overexposed => Span::from_secs_f64(config.after_s),
            Trouble::Moved if suspect.shift.is_some() => Span::from_secs_f64(config.moved_after_s),
            Trouble::Moved => Span::from_micros(Span::from_secs_f64(config.moved_after_s).micros() * DOUBT),
            Trouble::Defocused => Span::from_secs_f64(config.defocused_after_s),
            // Stillness has waited already.
            Trouble::Frozen => Span::ZERO,
        }
    }
}

/// The brightness below which so many per cent of the picture lie.
fn percentiles<const N: usize>(grey: &Grey, percents: [usize; N]) -> [u8; N] {
    let mut histogram = [0usize; 256];
    grey.pixels.iter().for_each(|p| histogram[usize::from(*p)] += 1);
    percents.map(|percent| {
        let wanted = grey.pixels.len() * percent / 100;
        let mut below = 0;
        let found = histogram.iter().position(|n| {
            below += n;
            below > wanted
        });
        found.unwrap_or(255) as u8
    })
}
