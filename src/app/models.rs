//! `models`: which models there are, whether they are whole and compute what they should, and how to get more, and what they cost here.

mod bench;
mod quantize;

use crate::bad_input;
use crate::infer::registry::{Known, Place, Registry};
use crate::infer::{self, Limits, pull};
use anyhow::Result;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub enum Verb {
    /// The models, where each comes from, its licence and digest
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Load each model that is here: its digest, its shape, and its answer to a known picture
    Verify {
        /// Only this one
        name: Option<String>,
    },
    /// Download a model from where its makers published it
    Pull {
        #[arg(default_value = "yolox-nano")]
        name: String,
        /// Another address with the same file
        #[arg(long, value_name = "URL")]
        from: Option<String>,
        /// Another folder than the one models are pulled into
        #[arg(long, value_name = "DIR")]
        into: Option<PathBuf>,
    },
    /// Make the int8 twin of a float model, from pictures like those it will see
    Quantize(quantize::Args),
    /// What each layer of an int8 model costs on this board, and how close that is to the board's best
    Bench(bench::Args),
}

pub fn run(verb: Verb) -> Result<ExitCode> {
    let registry = Registry::from_env();
    match verb {
        Verb::List { json } => list(&registry, json),
        Verb::Verify { name } => verify(&registry, name.as_deref()),
        Verb::Bench(args) => bench::run(&args),
        Verb::Quantize(args) => quantize::run(&registry, &args),
        Verb::Pull { name, from, into } => pull_one(&registry, &name, from.as_deref(), into),
    }
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    licence: &'a str,
    bytes: u64,
    sha256: &'a str,
    input: [u32; 2],
    classes: usize,
    from: &'a str,
    /// `in the binary`, a path, or null where the file is not here.
    place: Option<String>,
    /// How to get it where it is not here.
    #[serde(skip_serializing_if = "Option::is_none")]
    get: Option<String>,
}

impl<'a> Row<'a> {
    fn of(known: &'a Known) -> Self {
        let m = &known.manifest;
        let place = match &known.place {
            Place::Embedded(_) => Some("in the binary".into()),
            Place::Named(path) | Place::Pulled(path) => path.exists().then(|| path.display().to_string()),
            Place::Absent => None,
        };
        let get = match &m.origin.url {
            _ if place.is_some() => None,
            Some(_) => Some(format!("watchpost models pull {}", m.name)),
            None => Some(format!("put {} beside its model.toml", m.file)),
        };
        Row {
            name: &m.name,
            licence: &m.licence,
            bytes: m.bytes,
            sha256: &m.sha256,
            input: [m.input.width, m.input.height],
            classes: m.class_names().len(),
            from: &m.origin.from,
            place,
            get,
        }
    }
}

fn list(registry: &Registry, json: bool) -> Result<ExitCode> {
    let all = registry.all();
    let rows: Vec<Row> = all.iter().map(Row::of).collect();
    let mut out = std::io::stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, &rows)?;
        writeln!(out)?;
        return Ok(ExitCode::SUCCESS);
    }
    for row in rows {
        let [width, height] = row.input;
        let place = row.place.unwrap_or_else(|| format!("not here: {}", row.get.unwrap_or_default()));
        let size = row.bytes as f64 / 1e6;
        writeln!(
            out,
            "{:<16} {width}x{height}  {size:.1} MB  {}  sha256 {}…  {place}",
            row.name,
            row.licence,
            &row.sha256[..12]
        )?;
        writeln!(out, "{:<16} {}", "", row.from)?;
    }
    let (auto, why) = registry.auto(infer::MOST_LOST);
    writeln!(out, "{:<16} {auto}: {why}", "auto")?;
    Ok(ExitCode::SUCCESS)
}

fn verify(registry: &Registry, name: Option<&str>) -> Result<ExitCode> {
    let models = match name {
        Some(name) => vec![registry.find(name)?],
        None => registry.all().into_iter().filter(|k| k.place != Place::Absent).collect(),
    };
    let mut wrong = false;
    let mut out = std::io::stdout().lock();
    for known in models {
        let name = &known.manifest.name;
        // Loading compares with the golden result where the manifest has one.
        match known.golden(Limits::default()) {
            Ok(_) if known.manifest.golden.is_some() => writeln!(out, "{name}: right")?,
            Ok(golden) => {
                writeln!(out, "{name}: whole. Its manifest has no golden result; here it is\n{}", golden.to_toml())?
            }
            Err(error) => {
                wrong = true;
                writeln!(out, "{name}: wrong: {error:#}")?;
            }
        }
    }
    Ok(if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn pull_one(registry: &Registry, name: &str, from: Option<&str>, into: Option<PathBuf>) -> Result<ExitCode> {
    let known = registry.find(name)?;
    if let Place::Embedded(_) = known.place {
        println!("{name} is in the binary");
        return Ok(ExitCode::SUCCESS);
    }
    let Some(url) = from.or(known.manifest.origin.url.as_deref()) else {
        bad_input!("the manifest of {name} says no address to pull it from, expected --from URL")
    };
    let Some(folder) = into.or_else(|| registry.pulled.first().cloned()) else {
        bad_input!("no folder to pull into, expected --into DIR, or HOME or STATE_DIRECTORY to be set")
    };
    let path = pull::pull(&known.manifest, url, &folder)?;
    println!("{}", path.display());
    Ok(ExitCode::SUCCESS)
}
