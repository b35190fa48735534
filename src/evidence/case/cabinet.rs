//! The folder with the cases of a device: written one after the other, each naming the end of the chain before, and
//! thrown away when they are too old or too many.
//!
//! A file is named `TIME-CAMERA-KIND-ID.zip`, so a listing is in order and says what it is about.

use super::archive::{self, Entry};
use super::{
    CASE, CONFIG, Case, EvidenceConfig, FrameNote, KIND, Key, SCHEMA, SEAL, Seal, Shot, Sighting, TRACKS, Verdict,
};
use super::{published_like, rerun, to_lines};
use crate::pipeline::CameraPlan;
use crate::time::WallTime;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The device's key, in the folder of its cases.
const KEY: &str = "device.pk8";
/// Its public half, for whoever is to believe them.
pub const PUBLIC_KEY: &str = "device.pub";
/// Where the newest chain ended.
const LAST: &str = "last-chain";

/// An alert, with all that is known about it.
pub struct Draft {
    /// As it was published.
    pub event: serde_json::Value,
    /// Told by the picture itself, so there is no rule to run again.
    pub from_pictures: bool,
    pub opening: u64,
    pub plan: CameraPlan,
    /// Of [`CONFIG`].
    pub config: String,
    pub model: String,
    pub model_sha256: Option<String>,
    /// From a little before those involved appeared, and everything there is.
    pub near: Vec<Sighting>,
    pub far: Vec<Sighting>,
    pub shots: Vec<Shot>,
}

pub struct Cabinet {
    dir: PathBuf,
    config: EvidenceConfig,
    key: Key,
    previous: Option<String>,
}

impl Cabinet {
    /// Opens the folder, makes it and the key if absent.
    ///
    /// # Errors
    /// The folder cannot be written, or its key is broken.
    pub fn open(dir: &Path, config: EvidenceConfig) -> Result<Cabinet> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make the folder {}", dir.display()))?;
        let key = Key::open(&dir.join(KEY))?;
        let public = dir.join(PUBLIC_KEY);
        if fs::read_to_string(&public).ok().as_deref() != Some(&format!("{}\n", key.public())) {
            fs::write(&public, format!("{}\n", key.public()))
                .with_context(|| format!("cannot write {}", public.display()))?;
        }
        let previous = fs::read_to_string(dir.join(LAST)).ok().map(|text| text.trim().to_string());
        Ok(Cabinet { dir: dir.into(), config, key, previous })
    }

    pub fn public_key(&self) -> String {
        self.key.public()
    }

    /// Runs the rule again, signs, and writes the file, whose name it gives.
    ///
    /// # Errors
    /// The disk refuses it.
    pub fn file(&mut self, draft: Draft) -> Result<PathBuf> {
        let name = file_name(&draft.event);
        let (entries, seal) = self.sealed(draft)?;
        let path = self.dir.join(name);
        archive::write(&path, &entries)?;
        let last = self.dir.join(LAST);
        fs::write(&last, format!("{}\n", seal.chain)).with_context(|| format!("cannot write {}", last.display()))?;
        self.previous = Some(seal.chain);
        Ok(path)
    }

    fn sealed(&self, draft: Draft) -> Result<(Vec<Entry>, Seal)> {
        let trusted = draft.event["clock_trusted"].as_bool().unwrap_or(false);
        let same = |sightings: &[Sighting]| {
            let events = rerun(draft.plan.clone(), draft.opening, trusted, sightings);
            events.iter().any(|event| published_like(event, &draft.event) == draft.event)
        };
        let (verdict, sightings) = if draft.from_pictures {
            (Verdict::FromPictures, &draft.near)
        } else if same(&draft.near) {
            (Verdict::Same, &draft.near)
        } else if same(&draft.far) {
            (Verdict::Same, &draft.far)
        } else {
            (Verdict::NotReproduced, &draft.far)
        };
        let note = |(n, shot): (usize, &Shot)| FrameNote {
            file: format!("frames/{n:04}.jpg"),
            us: shot.at.micros(),
            at: shot.taken,
        };
        let frames: Vec<FrameNote> = draft.shots.iter().enumerate().map(note).collect();
        let tracks = to_lines(sightings)?;
        let pictures: Vec<Entry> =
            frames.iter().zip(&draft.shots).map(|(note, shot)| Entry::new(&note.file, shot.jpeg.to_vec())).collect();
        let case = Case {
            schema: SCHEMA,
            kind: KIND.into(),
            program: env!("CARGO_PKG_VERSION").into(),
            model: draft.model,
            model_sha256: draft.model_sha256,
            opening: draft.opening,
            event: draft.event,
            verdict,
            frames,
            previous: self.previous.clone(),
        };
        let mut entries = vec![
            Entry::new(CASE, serde_json::to_vec_pretty(&case)?),
            Entry::new(CONFIG, draft.config),
            Entry::new(TRACKS, tracks),
        ];
        entries.extend(pictures);
        let seal = self.key.seal(&entries);
        entries.push(Entry::new(SEAL, serde_json::to_vec_pretty(&seal)?));
        Ok((entries, seal))
    }

    /// Throws away what is too old, and then the oldest while there is too much. Says how many went.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn tidy(&self, now: WallTime) -> Result<usize> {
        let mut files = list(&self.dir)?;
        let mut bytes: u64 = files.iter().map(|(_, bytes)| bytes).sum();
        let oldest = WallTime::from_micros(now.micros() - i64::from(self.config.keep_days) * 86_400_000_000);
        let limit = u64::from(self.config.keep_mb) << 20;
        let mut gone = 0;
        files.sort();
        for (path, size) in files {
            let old = stamp(&path).is_some_and(|at| at < compact(oldest));
            if !old && bytes <= limit {
                continue;
            }
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
            bytes -= size;
            gone += 1;
        }
        Ok(gone)
    }
}

/// Every case of the folder with its size, by name.
///
/// # Errors
/// The folder cannot be read.
pub fn list(dir: &Path) -> Result<Vec<(PathBuf, u64)>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read the folder {}", dir.display()))?;
    let mut files: Vec<(PathBuf, u64)> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "zip"))
        .map(|path| {
            let bytes = fs::metadata(&path).map_or(0, |meta| meta.len());
            (path, bytes)
        })
        .collect();
    files.sort();
    Ok(files)
}

/// `20261124T101502Z-entrance-loitering-01J….zip`. Names are narrow (`ids::is_valid_name`), kinds are ours.
fn file_name(event: &serde_json::Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or("unknown").to_string();
    let at = WallTime::parse(&text("at")).map_or_else(|_| "unknown".into(), compact);
    format!("{at}-{}-{}-{}.zip", text("camera"), text("kind"), text("id"))
}

/// `20261124T101502Z`
fn compact(at: WallTime) -> String {
    let text = at.to_string();
    let whole = text.split('.').next().unwrap_or(&text);
    whole.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>() + "Z"
}

fn stamp(path: &Path) -> Option<String> {
    let name = path.file_stem()?.to_str()?;
    name.split('-').next().filter(|stamp| stamp.len() == 16).map(String::from)
}
