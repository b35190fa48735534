//! `watchpost verify`: is this evidence as it was signed, and does it still lead to its verdict?

use crate::app::BadInput;
use crate::bad_input;
use crate::config;
use crate::evidence::case::{
    self, CASE, CONFIG, Case, Entry, KIND, SCHEMA, SEAL, Seal, TRACKS, Verdict, fingerprint, published_like, rerun,
};
use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// A file that the appliance has kept of an alert.
    #[arg(required = true)]
    evidence: Vec<PathBuf>,
    /// The public key of the device that should have signed it (`watchpost evidence key`): hexadecimal, or a file with it.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// 0: all as it was. 1: something was changed, or does not lead to its verdict. 2: no evidence, or no key.
///
/// # Errors
/// [`BadInput`]: a file that is no evidence, a key that is none.
pub fn run(args: Args) -> Result<ExitCode> {
    let key = args.key.as_deref().map(trusted_key).transpose()?;
    let mut all_well = true;
    for path in &args.evidence {
        let Report { words, well } = examine(path, key.as_deref())?;
        all_well &= well;
        std::io::stdout().write_all(format!("{}: {words}\n", path.display()).as_bytes())?;
    }
    Ok(if all_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn trusted_key(given: &str) -> Result<String> {
    let is_key = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_key(given) {
        return Ok(given.to_lowercase());
    }
    let text = std::fs::read_to_string(given).map_err(|error| {
        BadInput(format!("--key {given}: {error}, expected 64 hexadecimal digits or a file of them"))
    })?;
    if !is_key(text.trim()) {
        bad_input!("--key {given} holds no key, expected 64 hexadecimal digits");
    }
    Ok(text.trim().to_lowercase())
}

struct Report {
    words: String,
    well: bool,
}

fn examine(path: &Path, key: Option<&str>) -> Result<Report> {
    let mut entries = case::read(path)?;
    let seal: Seal = part(path, &entries, SEAL)?;
    entries.retain(|entry| entry.name != SEAL);
    let broken = |words: String| Ok(Report { words, well: false });
    if let Err(error) = seal.check(&entries) {
        return broken(format!("NOT as it was signed: {error:#}."));
    }
    if let Some(key) = key.filter(|key| *key != seal.public_key) {
        let (signed, wanted) = (fingerprint(&seal.public_key), fingerprint(key));
        return broken(format!("signed by another device: its key is {signed}, expected {wanted}."));
    }
    let case: Case = part(path, &entries, CASE)?;
    if case.kind != KIND || case.schema != SCHEMA {
        bad_input!("{}: is \"{}\" of schema {}, expected {KIND} of {SCHEMA}", path.display(), case.kind, case.schema);
    }
    let signed = match key {
        Some(_) => format!("Signed by the expected device ({})", fingerprint(&seal.public_key)),
        None => format!("Signed by the key {}, which was compared with none (--key)", fingerprint(&seal.public_key)),
    };
    let head = format!("{}\n  {signed}; nothing was changed since.", summary(&case));
    let (said, well) = judge(path, &entries, &case)?;
    Ok(Report { words: format!("{head}\n  {said}"), well })
}

fn summary(case: &Case) -> String {
    let text = |key: &str| case.event[key].as_str().unwrap_or("?").to_string();
    let pictures = match case.frames.len() {
        1 => "1 picture".into(),
        n => format!("{n} pictures"),
    };
    let (kind, camera, at) = (text("kind"), text("camera"), text("at"));
    format!("{kind} at {camera}, {at}, {pictures}.\n  {}", text("explain"))
}

/// Runs the rule again.
fn judge(path: &Path, entries: &[Entry], case: &Case) -> Result<(String, bool)> {
    if case.verdict == Verdict::FromPictures {
        return Ok((
            "This was told from the picture itself: the pictures are the evidence, no rule is run again.".into(),
            true,
        ));
    }
    let wrong = |what: String| BadInput(format!("{}: {what}", path.display()));
    let text = std::str::from_utf8(bytes(path, entries, CONFIG)?)
        .map_err(|_| wrong(format!("{CONFIG} is no text, expected TOML")))?;
    let config = config::parse(text).map_err(|error| wrong(format!("{CONFIG} is of no use here: {error:#}")))?;
    let plan = config.camera_plan(case.event["camera"].as_str())?;
    let sightings = case::from_lines(bytes(path, entries, TRACKS)?).map_err(|error| wrong(format!("{error:#}")))?;
    let trusted = case.event["clock_trusted"].as_bool().unwrap_or(false);
    let events = rerun(plan, case.opening, trusted, &sightings);
    let told: Vec<serde_json::Value> = events.iter().map(|event| published_like(event, &case.event)).collect();
    let frames = sightings.len();
    if told.contains(&case.event) {
        return Ok((
            format!("The rule was run again on its {frames} frames and told the same, to the last character."),
            true,
        ));
    }
    if case.verdict == Verdict::NotReproduced {
        let why = "the device itself could not repeat it from what it had in memory: what the rule knew from before is not in the file";
        return Ok((
            format!(
                "The rule was run again on its {frames} frames and told nothing of it, as was said when it was signed: {why}."
            ),
            true,
        ));
    }
    let of_rule: Vec<String> = told
        .iter()
        .filter(|event| event["rule"] == case.event["rule"] && event["phase"] == case.event["phase"])
        .map(|event| differences(event, &case.event))
        .collect();
    let instead = match of_rule.first() {
        Some(difference) => format!("it told it otherwise: {difference}"),
        None => "it told nothing of the kind".into(),
    };
    let program = format!("signed by version {}, run by {}", case.program, env!("CARGO_PKG_VERSION"));
    Ok((
        format!("NOT the same verdict: the rule was run again on its {frames} frames and {instead} ({program})."),
        false,
    ))
}

/// `at is "…", was "…"`
fn differences(now: &serde_json::Value, then: &serde_json::Value) -> String {
    let keys = then.as_object().into_iter().flat_map(|object| object.keys());
    let of = |key: &String| (now[key] != then[key]).then(|| format!("{key} is {}, was {}", now[key], then[key]));
    keys.filter_map(of).collect::<Vec<_>>().join("; ")
}

fn bytes<'a>(path: &Path, entries: &'a [Entry], name: &str) -> Result<&'a [u8]> {
    let entry = entries.iter().find(|entry| entry.name == name);
    let missing = || BadInput(format!("{}: has no {name}, expected an evidence file", path.display()));
    Ok(&entry.ok_or_else(missing)?.bytes)
}

fn part<T: DeserializeOwned>(path: &Path, entries: &[Entry], name: &str) -> Result<T> {
    serde_json::from_slice(bytes(path, entries, name)?)
        .map_err(|error| BadInput(format!("{}: {name} is none of ours ({error})", path.display())))
        .context("this cannot be verified")
}
