//! What a pattern found, before the pipeline makes an event of it.

use crate::event::{Party, Phase, Place};
use crate::ids::TrackId;
use crate::time::MediaTime;

#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub phase: Phase,
    /// Whose behaviour it is, `None` for a matter of the place: an end belongs to the start with the same subject. An
    /// end without a start means nothing, and so does a second start.
    pub subject: Option<TrackId>,
    /// When it began, was over or happened; film time.
    pub at: MediaTime,
    pub tracks: Vec<Party>,
    pub place: Place,
    /// One or two sentences.
    pub explain: String,
    /// How sure, 0..1, where the rule knows it better than the detector does.
    pub score: Option<f32>,
    /// How far out of the ordinary it is, on a scale of the rule's own: an alert budget prefers the stronger. `None`
    /// where one finding of the rule is as good as another.
    pub strength: Option<f32>,
}

impl Finding {
    /// About one track.
    pub fn of(who: Party, phase: Phase, at: MediaTime, place: Place, explain: String) -> Self {
        Finding { phase, subject: Some(who.id), at, tracks: vec![who], place, explain, score: None, strength: None }
    }
    /// About a place and whoever is there.
    pub fn there(tracks: Vec<Party>, phase: Phase, at: MediaTime, place: Place, explain: String) -> Self {
        Finding { phase, subject: None, at, tracks, place, explain, score: None, strength: None }
    }

    pub fn scored(self, score: f32, strength: f32) -> Self {
        Finding { score: Some(score), strength: Some(strength), ..self }
    }
    pub fn strong(self, strength: f32) -> Self {
        Finding { strength: Some(strength), ..self }
    }
}
