//! The payload of `health`: how board, store, link and cameras are. Numbers, no judgement.

use super::{CameraState, LinkState};
use crate::ids::CameraId;
use crate::pipeline::BudgetState;
use crate::platform::HostFacts;
use crate::store::StoreHealth;
use crate::time::WallTime;
use std::collections::BTreeMap;

/// One minute's look at everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    pub at: WallTime,
    pub host: HostFacts,
    pub store: StoreHealth,
    pub link: LinkState,
    pub cameras: BTreeMap<CameraId, CameraHealth>,
}

#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct CameraHealth {
    pub state: CameraState,
    /// What makes pictures of what it sends, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoder: Option<String>,
    /// Frames per second that the source gave.
    pub fps_in: f64,
    /// Frames per second that were looked at, or of which was known that nothing had moved.
    pub fps_processed: f64,
    /// Frames that were replaced by newer ones before they were looked at, since the start.
    pub dropped: u64,
    /// Frames in which nothing had moved, so that the network was spared, since the start.
    pub saved: u64,
    /// Frames that came broken, lost a part on the way, or could not be decoded or looked at, since the start.
    pub failed: u64,
    /// Seconds since the start in which it gave no frames or none that could be used: what was counted lacks them.
    pub blind_s: f64,
    /// Milliseconds of wall time per stage: decode (of what the camera compresses itself), gate, letterbox, infer, post,
    /// track. Of each the mean over the frames that passed it.
    pub stage_ms: BTreeMap<&'static str, f64>,
    /// Of rules that learn: how far they are, in words.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetHealth>,
}

/// What an alert budget promised, and what became of it: means of complete days, at most the newest 28.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct BudgetHealth {
    pub promised_per_day: f64,
    /// Null before the first day is over; less than was promised where there were fewer candidates.
    pub achieved_per_day: Option<f64>,
    /// Warnings that there were to choose from.
    pub candidates_per_day: Option<f64>,
    pub days: u32,
    pub alerts_today: u32,
    /// Of today's warnings, those that were listed with severity `info`.
    pub listed_today: u32,
}

impl From<BudgetState> for BudgetHealth {
    fn from(state: BudgetState) -> Self {
        let hundredths = |v: f64| (v * 100.0).round() / 100.0;
        BudgetHealth {
            promised_per_day: state.promised_per_day,
            achieved_per_day: state.achieved_per_day.map(hundredths),
            candidates_per_day: state.candidates_per_day.map(hundredths),
            days: state.days,
            alerts_today: state.alerts_today,
            listed_today: state.listed_today,
        }
    }
}

impl Health {
    pub fn to_json(&self) -> String {
        let cameras: BTreeMap<&str, &CameraHealth> = self.cameras.iter().map(|(id, c)| (id.as_str(), c)).collect();
        serde_json::json!({
            "at": self.at, "host": self.host, "store": self.store, "link": self.link, "cameras": cameras,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Backlog;

    #[test]
    fn what_is_said_every_minute() {
        let at = WallTime::EPOCH;
        let health = Health {
            at,
            host: HostFacts { temperature_c: Some(48.3), ..HostFacts::default() },
            store: StoreHealth { recorded: 7, trouble: None, held: 0, lost: 0, repeated: 0 },
            link: LinkState {
                connected: true,
                since: at,
                error: None,
                connects: 1,
                delivered: 7,
                resent: 0,
                outbox: Backlog::default(),
            },
            cameras: [(
                CameraId::new("door"),
                CameraHealth {
                    state: CameraState::Live,
                    decoder: Some("H.265 through ffmpeg".into()),
                    fps_in: 25.0,
                    fps_processed: 7.5,
                    dropped: 3,
                    saved: 40,
                    failed: 0,
                    blind_s: 12.5,
                    stage_ms: [("infer", 70.1)].into(),
                    rules: [("odd".into(), "learns: 3 of 7 days".into())].into(),
                    budget: None,
                },
            )]
            .into(),
        };
        let json: serde_json::Value = serde_json::from_str(&health.to_json()).unwrap();
        assert_eq!(json["host"]["temperature_c"], 48.3);
        assert_eq!(json["link"]["outbox"]["dropped"], 0);
        assert_eq!(json["cameras"]["door"]["stage_ms"]["infer"], 70.1);
        assert_eq!(json["cameras"]["door"]["state"], "live");
        assert_eq!(json["cameras"]["door"]["rules"]["odd"], "learns: 3 of 7 days");
        assert!(json["cameras"]["door"].get("budget").is_none(), "where nothing was promised, nothing is said");
        assert_eq!(json["cameras"]["door"]["blind_s"], 12.5);
        assert_eq!(json["cameras"]["door"]["decoder"], "H.265 through ffmpeg");
    }
}
