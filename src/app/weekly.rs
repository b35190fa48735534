//! `watchpost report`: what an appliance has recorded, from its state folder, also while it runs.

use crate::bad_input;
use crate::config;
use crate::problems::BadInput;
use crate::report::Output;
use crate::report::past::{json, look, text, xlsx};
use crate::store::History;
use crate::time::{Span, WallTime};
use anyhow::Result;
use jiff::tz::TimeZone;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// The state folder of the appliance [default: the configuration's]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where state folder and time zone are read, as far as they are not said here
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How far back: days or hours, 7d or 36h
    #[arg(long, value_name = "LENGTH", default_value = "7d")]
    since: String,
    /// The end of the time that is looked at, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// IANA name, `Europe/Berlin` [default: the configuration's, else UTC]
    #[arg(long, value_name = "NAME")]
    time_zone: Option<String>,
    /// Write it as JSON; `-` is standard output
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write it as an Excel workbook
    #[arg(long, value_name = "FILE")]
    xlsx: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<ExitCode> {
    let length = length(&args.since)?;
    let until = match &args.until {
        None => WallTime::now(),
        Some(text) => WallTime::parse(text)
            .map_err(|_| BadInput(format!("--until is \"{text}\", expected a time such as 2026-11-24T10:15:00Z")))?,
    };
    let json_out = args.json.as_deref().map(Output::named).transpose()?;
    let xlsx_out = args.xlsx.as_deref().map(Output::named).transpose()?;
    if json_out == Some(Output::Stdout) && xlsx_out == Some(Output::Stdout) {
        bad_input!("several outputs are \"-\", expected at most one on standard output");
    }
    let config = args.config.as_deref().map(config::load).transpose()?;
    let named = args.time_zone.as_deref().or(config.as_ref().map(|config| config.device.time_zone.as_str()));
    let zone = TimeZone::get(named.unwrap_or("UTC"))
        .map_err(|error| BadInput(format!("--time-zone: {error}, expected an IANA name such as Europe/Berlin")))?;
    let Some(state) = args.state.or(config.map(|config| config.store.dir)) else {
        bad_input!("there is neither --state nor --config, expected the state folder of an appliance");
    };
    let history = History::open(&state).map_err(|error| BadInput(format!("{error:#}")))?;
    let report = look(&history, until + Span::from_micros(-length.micros()), until, &zone)?;
    if let Some(output) = &xlsx_out {
        output.write(&xlsx::write(&report)?)?;
    }
    if let Some(output) = &json_out {
        output.write(&json::write(&report))?;
    }
    let taken = [&json_out, &xlsx_out].into_iter().flatten().any(|output| *output == Output::Stdout);
    if !taken {
        Output::Stdout.write(text::write(&report).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn length(text: &str) -> Result<Span> {
    let hours = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "d")) => number.parse::<i64>().ok().and_then(|days| days.checked_mul(24)),
        Some((number, "h")) => number.parse().ok(),
        _ => None,
    };
    // Ten years are more than any box keeps.
    match hours.filter(|hours| (1..=87_600).contains(hours)) {
        Some(hours) => Ok(Span::from_millis(hours * 3_600_000)),
        None => bad_input!("--since is \"{text}\", expected days or hours such as 7d or 36h, at most 3650d"),
    }
}
