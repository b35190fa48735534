//! Commands from the broker: `cmd/<verb>` with `{"id": "...", ...}`, answered on `cmd/<verb>/result` with
//! executing and then successful or failed. Parsing and spelling only; the app carries them out. The broker keeps
//! commands for us while we are away (QoS 1 and a session), so they may come late; within ten minutes an id is
//! carried out once.

use crate::ids::{CameraId, is_valid_name};
use serde_json::json;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Publish a fresh snapshot of one camera or of all.
    Snapshot,
    /// Read the configuration again.
    Reload,
    /// End, so that the supervisor starts us again.
    Restart,
}

impl Verb {
    pub fn name(self) -> &'static str {
        match self {
            Verb::Snapshot => "snapshot",
            Verb::Reload => "reload",
            Verb::Restart => "restart",
        }
    }
}

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    pub verb: Verb,
    /// Chosen by who asked; comes back in the results.
    pub id: String,
    /// `None`: all of them.
    pub camera: Option<CameraId>,
}

/// How a command stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Executing,
    Successful,
    /// Why, in words.
    Failed(String),
}

/// A command that cannot be carried out; `id` is what could be made out of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub id: Option<String>,
    pub reason: String,
}

pub fn parse(verb: &str, payload: &[u8]) -> Result<Command, Refused> {
    let refuse = |id: Option<&str>, reason: String| Err(Refused { id: id.map(str::to_owned), reason });
    let object = match serde_json::from_slice::<serde_json::Value>(payload) {
        Ok(serde_json::Value::Object(object)) => object,
        Ok(_) => return refuse(None, r#"expected a JSON object like {"id":"1"}"#.into()),
        Err(error) => return refuse(None, format!(r#"not JSON ({error}), expected an object like {{"id":"1"}}"#)),
    };
    let id = match object.get("id") {
        Some(serde_json::Value::String(id)) if !id.is_empty() && id.len() <= 128 => id.as_str(),
        _ => return refuse(None, "id is missing, expected a text of 1 to 128 bytes".into()),
    };
    let verb = match verb {
        "snapshot" => Verb::Snapshot,
        "reload" => Verb::Reload,
        "restart" => Verb::Restart,
        "arm" | "disarm" | "update" => return refuse(Some(id), format!("{verb} is not supported by this version")),
        _ => {
            return refuse(Some(id), "unknown verb, expected snapshot, reload or restart".into());
        }
    };
    let camera = match object.get("camera") {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(name)) if is_valid_name(name) => Some(CameraId::new(name)),
        Some(other) => return refuse(Some(id), format!("camera is {other}, expected the name of a camera")),
    };
    Ok(Command { verb, id: id.to_owned(), camera })
}

/// The payload of `cmd/<verb>/result`.
pub fn result(id: Option<&str>, outcome: &Outcome) -> String {
    let (status, reason) = match outcome {
        Outcome::Executing => ("executing", None),
        Outcome::Successful => ("successful", None),
        Outcome::Failed(reason) => ("failed", Some(reason)),
    };
    json!({"id": id, "status": status, "reason": reason}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(verb: &str, payload: &str, expected: &str) {
        let text = match parse(verb, payload.as_bytes()) {
            Ok(c) => format!("{} {} {}", c.verb.name(), c.id, c.camera.map_or("all".into(), |c| c.to_string())),
            Err(refused) => result(refused.id.as_deref(), &Outcome::Failed(refused.reason)),
        };
        assert_eq!(text, expected);
    }

    #[test]
    fn what_people_send() {
        check("snapshot", r#"{"id":"7","camera":"entrance","more":1}"#, "snapshot 7 entrance");
        check("reload", r#"{"id":"7"}"#, "reload 7 all");
        check(
            "arm",
            r#"{"id":"7"}"#,
            r#"{"id":"7","reason":"arm is not supported by this version","status":"failed"}"#,
        );
        check(
            "explode",
            r#"{"id":"7"}"#,
            r#"{"id":"7","reason":"unknown verb, expected snapshot, reload or restart","status":"failed"}"#,
        );
        check(
            "restart",
            r#"{"id":7}"#,
            r#"{"id":null,"reason":"id is missing, expected a text of 1 to 128 bytes","status":"failed"}"#,
        );
        check(
            "snapshot",
            r#"{"id":"7","camera":"../x"}"#,
            r#"{"id":"7","reason":"camera is \"../x\", expected the name of a camera","status":"failed"}"#,
        );
        check("reload", "[]", r#"{"id":null,"reason":"expected a JSON object like {\"id\":\"1\"}","status":"failed"}"#);
        check(
            "reload",
            "now!",
            r#"{"id":null,"reason":"not JSON (expected ident at line 1 column 2), expected an object like {\"id\":\"1\"}","status":"failed"}"#,
        );
    }

    #[test]
    fn results() {
        assert_eq!(result(Some("7"), &Outcome::Executing), r#"{"id":"7","reason":null,"status":"executing"}"#);
        assert_eq!(result(Some("7"), &Outcome::Successful), r#"{"id":"7","reason":null,"status":"successful"}"#);
    }
}
