//! `watchpost evidence`: what the appliance has kept of its alerts, and how to hand one to somebody.

use crate::app::BadInput;
use crate::bad_input;
use crate::config;
use crate::evidence::case::{self, PUBLIC_KEY, fingerprint};
use anyhow::{Context, Result};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// Every file there is, oldest first
    List(Where),
    /// Copy the file of one alert
    Export {
        /// The id of the event, or its beginning
        id: String,
        /// A folder or a file; by default the folder we are in
        #[arg(long, value_name = "PATH", default_value = ".")]
        out: PathBuf,
        #[command(flatten)]
        at: Where,
    },
    /// The public key of this device, for `verify --key`
    Key(Where),
}

#[derive(clap::Args)]
pub struct Where {
    /// Of the appliance; its `[store]` says where
    #[arg(long, value_name = "FILE", default_value = "config/watchpost.toml")]
    config: PathBuf,
    /// The state folder, instead of the one the configuration names
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// # Errors
/// [`BadInput`]: nothing is kept there, or not of that event.
pub fn run(verb: Verb) -> Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match verb {
        Verb::List(at) => {
            for (path, bytes) in files(&at.folder()?)? {
                writeln!(out, "{} {:>6} kB", path.display(), bytes.div_ceil(1000))?;
            }
        }
        Verb::Export { id, out: target, at } => {
            let path = one(&at.folder()?, &id)?;
            let target = if target.is_dir() { target.join(path.file_name().unwrap_or_default()) } else { target };
            std::fs::copy(&path, &target).with_context(|| format!("cannot write {}", target.display()))?;
            writeln!(out, "{}", target.display())?;
        }
        Verb::Key(at) => {
            let path = at.folder()?.join(PUBLIC_KEY);
            let key = std::fs::read_to_string(&path)
                .map_err(|error| BadInput(format!("{}: {error}, expected the key that `run` makes", path.display())))?;
            writeln!(out, "{}\nfingerprint {}", key.trim(), fingerprint(key.trim()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl Where {
    fn folder(&self) -> Result<PathBuf> {
        let state = match &self.state {
            Some(state) => state.clone(),
            None => config::load(&self.config)?.store.dir,
        };
        Ok(state.join("evidence"))
    }
}

fn files(folder: &Path) -> Result<Vec<(PathBuf, u64)>> {
    if !folder.is_dir() {
        bad_input!("{} is no folder, expected the evidence that `run` keeps", folder.display());
    }
    case::list(folder)
}

fn one(folder: &Path, id: &str) -> Result<PathBuf> {
    let name = |path: &PathBuf| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_string();
    let is_it = |path: &PathBuf| name(path).rsplit('-').next().is_some_and(|found| found.starts_with(id));
    let mut found: Vec<PathBuf> = files(folder)?.into_iter().map(|(path, _)| path).filter(is_it).collect();
    match (found.pop(), found.is_empty()) {
        (Some(path), true) => Ok(path),
        (None, _) => {
            bad_input!("{}: nothing is kept of event {id}, expected one that `evidence list` shows", folder.display())
        }
        (Some(_), false) => bad_input!("{}: several events begin with {id}, expected more of the id", folder.display()),
    }
}
