//! What a changed configuration means for a running appliance. Never pretends: what cannot be changed while
//! running is named.

use super::{CameraConfig, Config};

/// What a reload does to one camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CameraChange {
    /// Lines, zones and rules change at a frame boundary; tracks are carried over.
    Rules,
    /// Source, view, frame rate, `tamper` or `enabled` changed, or the camera is new or gone.
    Restart,
}

/// The difference between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// Camera names and what to do with each.
    Cameras(Vec<(String, CameraChange)>),
    /// The sections that only a start of the program reads.
    NeedsRestart(Vec<&'static str>),
}

pub fn diff(old: &Config, new: &Config) -> Change {
    let sections = [
        ("device", old.device != new.device),
        ("mqtt", old.mqtt != new.mqtt),
        ("model", old.model != new.model),
        ("tracker", old.tracker != new.tracker),
        ("store", old.store != new.store),
        ("evidence", old.evidence != new.evidence),
    ];
    let changed: Vec<_> = sections.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect();
    if !changed.is_empty() {
        return Change::NeedsRestart(changed);
    }
    let mut names: Vec<&String> = old.camera.keys().chain(new.camera.keys()).collect();
    names.sort();
    names.dedup();
    let cameras: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((name.clone(), camera_change(old.camera.get(name), new.camera.get(name))?)))
        .collect();
    if cameras.is_empty() { Change::Nothing } else { Change::Cameras(cameras) }
}

fn camera_change(old: Option<&CameraConfig>, new: Option<&CameraConfig>) -> Option<CameraChange> {
    match (old, new) {
        (Some(old), Some(new)) if old == new => None,
        (Some(old), Some(new))
            if (&old.source, old.enabled, old.max_fps, &old.tamper, old.view())
                == (&new.source, new.enabled, new.max_fps, &new.tamper, new.view()) =>
        {
            Some(CameraChange::Rules)
        }
        (None, None) => None,
        _ => Some(CameraChange::Restart),
    }
}
