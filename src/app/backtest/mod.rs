//! `watchpost backtest`: rules of a new configuration against the tracks that were recorded. How often each would have
//! fired, and what would be new or gone beside what the rules of today told.
//!
//! Zones, lines and rules can be tried. What becomes a track (network, view, `[tracker]`) cannot: tracks are what was
//! recorded. The state folder is only read, also while the appliance works in it.

mod compare;
mod firing;
mod period;
mod text;
mod trial;

use crate::bad_input;
use crate::config::{self, Config};
use crate::ids::CameraId;
use crate::report::Output;
use crate::store::{History, Tapes};
use crate::time::WallTime;
use anyhow::Result;
use compare::Comparison;
use period::Since;
use std::path::PathBuf;
use std::process::ExitCode;
use trial::Trial;

#[derive(clap::Args)]
pub struct Args {
    /// The configuration with the rules to try
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// From when on: so many days or hours back (14d, 12h), or a date or time (2026-11-10, 2026-11-10T08:00:00Z)
    #[arg(long, value_name = "WHEN", default_value = "14d")]
    since: String,
    /// Only this camera
    #[arg(long, value_name = "NAME")]
    camera: Option<String>,
    /// The state folder with the recorded tracks [default: the configuration's]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Write everything as JSON as well; `-` is standard output, in place of the table
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// # Errors
/// [`crate::problems::BadInput`] for what is wrong with the arguments or the configuration, and where no track was
/// recorded.
pub fn run(args: Args) -> Result<ExitCode> {
    let config = config::load(&args.config)?;
    let json = args.json.as_deref().map(Output::named).transpose()?;
    let since = Since::parse(&args.since)?.before(WallTime::now(), &config.device.time_zone);
    let dir = args.state.clone().unwrap_or_else(|| config.store.dir.clone());
    if !dir.is_dir() {
        bad_input!("there is no state folder {}, expected that of `watchpost run`", dir.display());
    }
    let past = History::find(&dir)?;
    let mut trials = Vec::new();
    for name in cameras(&config, args.camera.as_deref())? {
        let trial = Trial::run(&config, &name, &Tapes::of(&dir, &CameraId::new(&name)), since)?;
        trials.push(trial);
    }
    if trials.iter().all(|trial| trial.watched.is_none()) {
        let recorded: Vec<String> = Tapes::cameras(&dir).iter().map(ToString::to_string).collect();
        let names: Vec<&str> = trials.iter().map(|trial| trial.camera.as_str()).collect();
        let has = if recorded.is_empty() { "no track".into() } else { format!("tracks of {}", recorded.join(", ")) };
        bad_input!(
            "no track of {} was recorded since {since}: {} holds {has}, expected a state folder in which `watchpost \
             run` has recorded, and a --since before its end",
            names.join(", "),
            dir.display(),
        );
    }
    let comparison = Comparison::of(&config, trials, past.as_ref(), since)?;
    if let Some(json) = &json {
        json.write(comparison.to_json().as_bytes())?;
    }
    if json != Some(Output::Stdout) {
        Output::Stdout.write(text::write(&comparison).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn cameras(config: &Config, wanted: Option<&str>) -> Result<Vec<String>> {
    match wanted {
        Some(name) => {
            // Says which there are, where it is none of them.
            config.camera_plan(Some(name))?;
            Ok(vec![name.to_owned()])
        }
        None if config.camera.is_empty() => {
            bad_input!("the configuration has no camera, expected a [camera.NAME] section")
        }
        None => Ok(config.camera.keys().cloned().collect()),
    }
}
