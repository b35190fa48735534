//! The part of the file that says what one camera watches for: what an alert is to be understood by later.

use super::Config;
use toml::{Table, Value};

/// Sections and keys that speak of what is watched. Everything else may hold addresses, names of files or people.
const SECTIONS: [&str; 2] = ["schema", "tracker"];
const DEVICE: [&str; 2] = ["id", "time_zone"];
const CAMERA: [&str; 7] = ["rotate", "crop", "mask", "tamper", "line", "zone", "rule"];

impl Config {
    /// TOML: lines, zones and rules of a camera as the file spells them, with a track log in place of its source. It
    /// is a configuration of its own.
    pub fn rules_text(&self, camera: &str) -> String {
        let tree: Table = self.text.parse().unwrap_or_default();
        let mut excerpt = some_of(&tree, &SECTIONS);
        if let Some(Value::Table(device)) = tree.get("device") {
            excerpt.insert("device".into(), Value::Table(some_of(device, &DEVICE)));
        }
        let section = tree.get("camera").and_then(|cameras| cameras.get(camera)).and_then(Value::as_table);
        let mut watched = section.map(|section| some_of(section, &CAMERA)).unwrap_or_default();
        let source = [("kind", "recorded"), ("path", "tracks.jsonl")];
        let source = source.map(|(key, value)| (key.to_string(), Value::String(value.into())));
        watched.insert("source".into(), Value::Table(Table::from_iter(source)));
        let cameras = Table::from_iter([(camera.to_string(), Value::Table(watched))]);
        excerpt.insert("camera".into(), Value::Table(cameras));
        toml::to_string(&excerpt).unwrap_or_default()
    }
}

fn some_of(table: &Table, keys: &[&str]) -> Table {
    table
        .iter()
        .filter(|(key, _)| keys.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::config::parse;

    const FILE: &str = r#"
        schema = 1
        [device]
        id = "till-3"
        time_zone = "Europe/Berlin"
        [mqtt]
        url = "mqtt://broker.shop"
        username = "secret-user"
        [camera.a]
        source = { kind = "rtsp", url = "rtsp://secret-host/sub", user = "secret-user", password_file = "secret-file" }
        [camera.a.zone.shelf]
        polygon = [[0.1, 0.1], [0.5, 0.1], [0.5, 0.9]]
        [camera.a.rule.linger]
        kind = "loitering"
        zone = "shelf"
        [camera.b]
        source = { kind = "file", path = "secret.mp4" }
    "#;

    #[test]
    fn it_is_a_configuration_with_the_same_plan_and_without_addresses() {
        let config = parse(FILE).unwrap();
        let text = config.rules_text("a");
        assert!(!text.contains("secret") && !text.contains("broker"), "{text}");
        let again = parse(&text).unwrap();
        assert_eq!(again.camera_plan(None).unwrap(), config.camera_plan(Some("a")).unwrap());
    }
}
