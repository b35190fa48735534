//! What Home Assistant is told of us: one retained message that describes the device and all of its entities.
//! Nothing in it but names and topics; the figures are in the topics of the contract.
//!
//! Identity is the topic of an entity, so it survives new versions and new names of shown things. An entity
//! that has gone is named once more with nothing but its platform, which makes Home Assistant remove it.

use super::topics::{Topics, slug};
use crate::detection::Class;
use crate::ids::{CameraId, DeviceId, LineId, RuleId, ZoneId};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What there is to describe.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Site {
    pub cameras: Vec<SiteCamera>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SiteCamera {
    pub camera: CameraId,
    /// Classes that are counted.
    pub classes: Vec<Class>,
    pub lines: Vec<LineId>,
    pub zones: Vec<ZoneId>,
    pub rules: Vec<RuleId>,
    /// Every `kind` of event the rules can make.
    pub kinds: Vec<String>,
}

pub fn topic(prefix: &str, device: &DeviceId) -> String {
    format!("{prefix}/device/watchpost-{}/config", slug(device.as_str()).replace('.', "_"))
}

pub fn describe(device: &DeviceId, version: &str, site: &Site) -> Value {
    let topics = Topics::new(device);
    let mut components = Map::new();
    for camera in &site.cameras {
        describe_camera(&topics, camera, &mut components);
    }
    describe_health(&topics, &mut components);
    json!({
        "device": {
            "identifiers": [format!("watchpost-{device}")],
            "name": format!("Watchpost {device}"),
            "manufacturer": "Watchpost",
            "model": "Camera appliance",
            "sw_version": version,
        },
        "origin": {"name": "watchpost", "sw_version": version},
        "availability": [{
            "topic": topics.status(),
            "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}",
            "payload_available": "online",
            "payload_not_available": "offline",
        }],
        "components": components,
    })
}

fn describe_camera(topics: &Topics, site: &SiteCamera, components: &mut Map<String, Value>) {
    let camera = &site.camera;
    let mut add = |platform: &str, topic: String, name: String, more: Value| {
        add(components, platform, &topic, &format!("{camera} {name}"), more);
    };
    for class in &site.classes {
        let topic = topics.class(camera, *class);
        add("sensor", topic.clone(), class.name().into(), json!({"state_topic": topic, "state_class": "measurement"}));
    }
    for line in &site.lines {
        for way in ["in", "out"] {
            let topic = format!("{}/{way}", topics.line(camera, line));
            let more = json!({"state_topic": topic, "state_class": "total_increasing"});
            add("sensor", topic.clone(), format!("{line} {way}"), more);
        }
    }
    for zone in &site.zones {
        let topic = format!("{}/now", topics.zone(camera, zone));
        add(
            "sensor",
            topic.clone(),
            format!("{zone} now"),
            json!({"state_topic": topic, "state_class": "measurement"}),
        );
        let whole = topics.zone(camera, zone);
        let more = json!({
            "state_topic": whole, "value_template": "{{ value_json.dwell_p50_s }}", "device_class": "duration",
            "unit_of_measurement": "s", "state_class": "measurement",
        });
        add("sensor", format!("{whole}/dwell_p50_s"), format!("{zone} dwell"), more);
    }
    for rule in &site.rules {
        let topic = topics.rule(camera, rule);
        add("binary_sensor", topic.clone(), rule.to_string(), json!({"state_topic": topic}));
    }
    if !site.kinds.is_empty() {
        let mut kinds = site.kinds.clone();
        kinds.sort();
        kinds.dedup();
        // All cameras share one topic; an empty text makes Home Assistant ignore what is another camera's.
        let template = format!(
            "{{% if value_json.camera == '{camera}' %}}{{{{ {{'event_type': value_json.kind, 'rule': value_json.rule, \
             'phase': value_json.phase, 'severity': value_json.severity, 'explain': value_json.explain, \
             'at': value_json.at, 'late': value_json.late, 'id': value_json.id, 'seq': value_json.seq}} | to_json }}}}{{% endif %}}"
        );
        let more = json!({"state_topic": topics.event(), "event_types": kinds, "value_template": template});
        add("event", format!("{}/{camera}", topics.event()), "event".into(), more);
    }
    let snapshot = topics.snapshot(camera);
    add("image", snapshot.clone(), "snapshot".into(), json!({"image_topic": snapshot, "content_type": "image/jpeg"}));
    let status = topics.camera_status(camera);
    let more = json!({
        "state_topic": status, "value_template": "{{ value_json.state }}", "entity_category": "diagnostic",
        "device_class": "enum", "options": ["live", "stalled", "down", "blind", "disabled"],
    });
    add("sensor", status.clone(), "status".into(), more);
}

fn describe_health(topics: &Topics, components: &mut Map<String, Value>) {
    let health = topics.health();
    for (key, name, unit, class) in [
        ("host.cpu_percent", "CPU", "%", None),
        ("host.temperature_c", "temperature", "°C", Some("temperature")),
        ("host.memory_used_mb", "memory", "MB", Some("data_size")),
        ("host.disk_free_mb", "disk free", "MB", Some("data_size")),
        ("link.outbox.rows", "events waiting", "", None),
        ("link.outbox.dropped", "events dropped", "", None),
    ] {
        let mut more = json!({
            "state_topic": health, "value_template": format!("{{{{ value_json.{key} }}}}"),
            "entity_category": "diagnostic", "state_class": "measurement",
        });
        if !unit.is_empty() {
            more["unit_of_measurement"] = unit.into();
        }
        if let Some(class) = class {
            more["device_class"] = class.into();
        }
        add(components, "sensor", &format!("{health}/{key}"), name, more);
    }
}

/// `identity` is stable for the life of the entity.
fn add(components: &mut Map<String, Value>, platform: &str, identity: &str, name: &str, mut more: Value) {
    more["platform"] = platform.into();
    more["unique_id"] = identity.into();
    more["name"] = name.into();
    // Without the part that all of them share: camera_entrance_line_door_in
    let key = slug(identity.splitn(3, '/').nth(2).unwrap_or(identity)).replace('.', "_");
    components.insert(key, more);
}

/// The platform of every component, by its key: all that has to be remembered to take one away again.
pub fn platforms(description: &Value) -> BTreeMap<String, String> {
    let components = description["components"].as_object();
    let platform = |c: &Value| c["platform"].as_str().unwrap_or_default().to_owned();
    components.into_iter().flatten().map(|(key, c)| (key.clone(), platform(c))).collect()
}

/// What was known (as JSON) and is no more.
pub fn gone(before: &str, now: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let before: BTreeMap<String, String> = serde_json::from_str(before).unwrap_or_default();
    before.into_iter().filter(|(key, platform)| now.get(key) != Some(platform)).collect()
}

/// The description with what is gone named by its platform alone.
pub fn with_gone(description: &Value, gone: &BTreeMap<String, String>) -> Value {
    let mut description = description.clone();
    for (key, platform) in gone {
        description["components"][key] = json!({"platform": platform});
    }
    description
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        Site {
            cameras: vec![SiteCamera {
                camera: CameraId::new("entrance"),
                classes: vec![Class::PERSON],
                lines: vec![LineId::new("door")],
                zones: vec![ZoneId::new("shelf")],
                rules: vec![RuleId::new("linger")],
                kinds: vec!["loitering".into(), "line_count".into(), "loitering".into()],
            }],
        }
    }

    #[test]
    fn every_entity_has_its_topic() {
        let device = DeviceId::new("till-3");
        assert_eq!(topic("homeassistant", &device), "homeassistant/device/watchpost-till-3/config");
        let description = describe(&device, "1.0", &site());
        let mut text = String::new();
        for (key, c) in description["components"].as_object().unwrap() {
            let state = c["state_topic"].as_str().or(c["image_topic"].as_str()).unwrap();
            text +=
                &format!("{key}: {} {} \"{}\"\n", c["platform"].as_str().unwrap(), state, c["name"].as_str().unwrap());
        }
        expect_test::expect![[r#"
            camera_entrance_line_door_in: sensor watchpost/till-3/camera/entrance/line/door/in "entrance door in"
            camera_entrance_line_door_out: sensor watchpost/till-3/camera/entrance/line/door/out "entrance door out"
            camera_entrance_person: sensor watchpost/till-3/camera/entrance/person "entrance person"
            camera_entrance_rule_linger: binary_sensor watchpost/till-3/camera/entrance/rule/linger "entrance linger"
            camera_entrance_snapshot: image watchpost/till-3/camera/entrance/snapshot "entrance snapshot"
            camera_entrance_status: sensor watchpost/till-3/camera/entrance/status "entrance status"
            camera_entrance_zone_shelf_dwell_p50_s: sensor watchpost/till-3/camera/entrance/zone/shelf "entrance shelf dwell"
            camera_entrance_zone_shelf_now: sensor watchpost/till-3/camera/entrance/zone/shelf/now "entrance shelf now"
            event_entrance: event watchpost/till-3/event "entrance event"
            health_host_cpu_percent: sensor watchpost/till-3/health "CPU"
            health_host_disk_free_mb: sensor watchpost/till-3/health "disk free"
            health_host_memory_used_mb: sensor watchpost/till-3/health "memory"
            health_host_temperature_c: sensor watchpost/till-3/health "temperature"
            health_link_outbox_dropped: sensor watchpost/till-3/health "events dropped"
            health_link_outbox_rows: sensor watchpost/till-3/health "events waiting"
        "#]]
        .assert_eq(&text);
        let line = &description["components"]["camera_entrance_line_door_in"];
        assert_eq!(line["state_class"], "total_increasing");
        assert_eq!(line["unique_id"], "watchpost/till-3/camera/entrance/line/door/in");
        assert_eq!(description["components"]["event_entrance"]["event_types"], json!(["line_count", "loitering"]));
    }

    #[test]
    fn what_has_gone_is_taken_away() {
        let device = DeviceId::new("till-3");
        let before = serde_json::to_string(&platforms(&describe(&device, "1.0", &site()))).unwrap();
        let mut smaller = site();
        smaller.cameras[0].rules.clear();
        let description = describe(&device, "1.0", &smaller);
        let gone = gone(&before, &platforms(&description));
        assert_eq!(gone.keys().collect::<Vec<_>>(), ["camera_entrance_rule_linger"]);
        let farewell = with_gone(&description, &gone);
        assert_eq!(farewell["components"]["camera_entrance_rule_linger"], json!({"platform": "binary_sensor"}));
        assert!(super::gone("", &platforms(&description)).is_empty(), "nothing is known before the first time");
    }
}
