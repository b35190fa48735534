//! The topics and payloads of the contract, as pure functions. Everything the appliance publishes is spelled
//! here, except events (`event::to_json`) and the device description (`discovery`).

use crate::detection::Class;
use crate::ids::{CameraId, DeviceId, LineId, RuleId, ZoneId};
use crate::time::WallTime;
use serde_json::json;

/// The topics of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    base: String,
}

impl Topics {
    pub fn new(device: &DeviceId) -> Self {
        Topics { base: format!("watchpost/{device}") }
    }
    /// Online, offline or stopped. Retained, QoS 1.
    pub fn status(&self) -> String {
        format!("{}/status", self.base)
    }
    /// Retained, QoS 0.
    pub fn health(&self) -> String {
        format!("{}/health", self.base)
    }
    /// Not retained, QoS 1.
    pub fn event(&self) -> String {
        format!("{}/event", self.base)
    }
    /// Not retained, QoS 1.
    pub fn alert(&self) -> String {
        format!("{}/alert", self.base)
    }
    /// Retained, QoS 1.
    pub fn camera_status(&self, camera: &CameraId) -> String {
        format!("{}/camera/{camera}/status", self.base)
    }
    /// Retained, QoS 0. Characters of a class that no topic or entity may have become `_`: `traffic_light`.
    pub fn class(&self, camera: &CameraId, class: Class) -> String {
        format!("{}/camera/{camera}/{}", self.base, slug(class.name()))
    }
    /// Retained, QoS 1.
    pub fn line(&self, camera: &CameraId, line: &LineId) -> String {
        format!("{}/camera/{camera}/line/{line}", self.base)
    }
    /// Retained, QoS 0.
    pub fn zone(&self, camera: &CameraId, zone: &ZoneId) -> String {
        format!("{}/camera/{camera}/zone/{zone}", self.base)
    }
    /// Retained, QoS 1.
    pub fn rule(&self, camera: &CameraId, rule: &RuleId) -> String {
        format!("{}/camera/{camera}/rule/{rule}", self.base)
    }
    /// Retained, QoS 0.
    pub fn snapshot(&self, camera: &CameraId) -> String {
        format!("{}/camera/{camera}/snapshot", self.base)
    }
    /// What to subscribe to for commands, QoS 1.
    pub fn commands(&self) -> String {
        format!("{}/cmd/+", self.base)
    }
    /// The verb of a command's topic.
    pub fn verb<'a>(&self, topic: &'a str) -> Option<&'a str> {
        topic.strip_prefix(&self.base)?.strip_prefix("/cmd/").filter(|verb| !verb.contains('/'))
    }
    /// Not retained, QoS 1.
    pub fn result(&self, verb: &str) -> String {
        format!("{}/cmd/{verb}/result", self.base)
    }
}

/// Lower case letters, digits, `-`, `_` and `.` stay, everything else becomes `_`.
pub fn slug(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' }).collect()
}

pub fn online(version: &str, boot: &str, since: WallTime) -> String {
    json!({"state": "online", "version": version, "boot": boot, "since": since}).to_string()
}

/// What the broker says for us when we are gone without a word.
pub fn offline() -> String {
    json!({"state": "offline"}).to_string()
}

pub fn stopped() -> String {
    json!({"state": "stopped"}).to_string()
}

/// What a camera does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CameraState {
    Live,
    Stalled,
    Down,
    Blind,
    Disabled,
}

/// `decoder` says what makes pictures of what the camera sends, where that is known.
pub fn camera_status(state: CameraState, reason: &str, since: WallTime, decoder: Option<&str>) -> String {
    let mut status = json!({"state": state, "reason": reason, "since": since});
    if let Some(decoder) = decoder {
        status["decoder"] = decoder.into();
    }
    status.to_string()
}

/// The totals of a line, which never go back.
pub fn line(into: u64, out: u64, since: WallTime) -> String {
    json!({"in": into, "out": out, "since": since}).to_string()
}

/// Dwell is null until somebody has left the zone.
pub fn zone(now: u64, dwell_p50_s: Option<f64>, dwell_p95_s: Option<f64>) -> String {
    let tenths = |s: Option<f64>| s.map(|s| (s * 10.0).round() / 10.0);
    json!({"now": now, "dwell_p50_s": tenths(dwell_p50_s), "dwell_p95_s": tenths(dwell_p95_s)}).to_string()
}

pub fn on_off(on: bool) -> &'static str {
    if on { "ON" } else { "OFF" }
}

/// An event's payload for a delivery after an outage: `late` belongs to the delivery, not to the event.
pub fn late(payload: &str) -> String {
    // Inside of any text the quotes would be escaped, so the first match is the field.
    payload.replacen(r#""late":false"#, r#""late":true"#, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract() {
        let t = Topics::new(&DeviceId::new("till-3"));
        let c = CameraId::new("entrance");
        let at = WallTime::parse("2026-11-24T10:15:02.120Z").unwrap();
        let rows = [
            (t.status(), online("1.2.3", "7-abc", at)),
            (t.status(), offline()),
            (t.status(), stopped()),
            (t.health(), "…".into()),
            (t.camera_status(&c), camera_status(CameraState::Live, "ok", at, None)),
            (t.camera_status(&c), camera_status(CameraState::Live, "", at, Some("H.264 in the program"))),
            (t.class(&c, Class::PERSON), "3".into()),
            (t.class(&c, Class::named("traffic light")), "0".into()),
            (t.line(&c, &LineId::new("door")), line(142, 139, at)),
            (t.line(&c, &LineId::new("door")) + "/in", "142".into()),
            (t.line(&c, &LineId::new("door")) + "/out", "139".into()),
            (t.zone(&c, &ZoneId::new("shelf")), zone(2, Some(4.2), Some(21.04))),
            (t.zone(&c, &ZoneId::new("shelf")), zone(0, None, None)),
            (t.zone(&c, &ZoneId::new("shelf")) + "/now", "2".into()),
            (t.rule(&c, &RuleId::new("linger")), on_off(true).into()),
            (t.snapshot(&c), "JPEG".into()),
            (t.event(), "…".into()),
            (t.alert(), "…".into()),
            (t.commands(), "".into()),
            (t.result("reload"), "…".into()),
        ];
        let text: String = rows.iter().map(|(topic, payload)| format!("{topic} {payload}\n")).collect();
        expect_test::expect![[r#"
            watchpost/till-3/status {"boot":"7-abc","since":"2026-11-24T10:15:02.120Z","state":"online","version":"1.2.3"}
            watchpost/till-3/status {"state":"offline"}
            watchpost/till-3/status {"state":"stopped"}
            watchpost/till-3/health …
            watchpost/till-3/camera/entrance/status {"reason":"ok","since":"2026-11-24T10:15:02.120Z","state":"live"}
            watchpost/till-3/camera/entrance/status {"decoder":"H.264 in the program","reason":"","since":"2026-11-24T10:15:02.120Z","state":"live"}
            watchpost/till-3/camera/entrance/person 3
            watchpost/till-3/camera/entrance/traffic_light 0
            watchpost/till-3/camera/entrance/line/door {"in":142,"out":139,"since":"2026-11-24T10:15:02.120Z"}
            watchpost/till-3/camera/entrance/line/door/in 142
            watchpost/till-3/camera/entrance/line/door/out 139
            watchpost/till-3/camera/entrance/zone/shelf {"dwell_p50_s":4.2,"dwell_p95_s":21.0,"now":2}
            watchpost/till-3/camera/entrance/zone/shelf {"dwell_p50_s":null,"dwell_p95_s":null,"now":0}
            watchpost/till-3/camera/entrance/zone/shelf/now 2
            watchpost/till-3/camera/entrance/rule/linger ON
            watchpost/till-3/camera/entrance/snapshot JPEG
            watchpost/till-3/event …
            watchpost/till-3/alert …
            watchpost/till-3/cmd/+ 
            watchpost/till-3/cmd/reload/result …
        "#]]
        .assert_eq(&text);
        assert_eq!(t.verb("watchpost/till-3/cmd/reload"), Some("reload"));
        assert_eq!(t.verb("watchpost/till-3/cmd/reload/result"), None);
        assert_eq!(t.verb("watchpost/till-33/cmd/reload"), None);
    }

    #[test]
    fn only_the_field_becomes_late() {
        let payload = r#"{"id":"x","late":false,"explain":"says \"late\":false"}"#;
        assert_eq!(late(payload), r#"{"id":"x","late":true,"explain":"says \"late\":false"}"#);
    }
}
