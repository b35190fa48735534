//! The payload of `health`: how board, store, link and cameras are. Numbers, no judgement.

use super::{CameraState, LinkState};
use crate::ids::CameraId;
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
                    fps_in: 25.0,
                    fps_processed: 7.5,
                    dropped: 3,
                    saved: 40,
                    failed: 0,
                    blind_s: 12.5,
                    stage_ms: [("infer", 70.1)].into(),
                },
            )]
            .into(),
        };
        let json: serde_json::Value = serde_json::from_str(&health.to_json()).unwrap();
        assert_eq!(json["host"]["temperature_c"], 48.3);
        assert_eq!(json["link"]["outbox"]["dropped"], 0);
        assert_eq!(json["cameras"]["door"]["stage_ms"]["infer"], 70.1);
        assert_eq!(json["cameras"]["door"]["state"], "live");
        assert_eq!(json["cameras"]["door"]["blind_s"], 12.5);
    }
}
