//! The command line of Watchpost. Everything it does lives in the library.

#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::process::ExitCode;
use watchpost::app::{
    self, backtest, bench, cameras, check, count, detect, eval, evidence, models, replay, run, track, verify, weekly,
};

/// Counts people and vehicles, notices what is out of the ordinary, and publishes it over MQTT.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The appliance: reads the cameras, records and publishes what happens
    Run(run::Args),
    /// Find things in pictures, then crop, blur or mark them
    Detect(detect::Args),
    /// Count what goes through a film: JSON, CSV, Excel
    Count(count::Args),
    /// The whole pipeline over a film or a track log; events as JSON lines on standard output
    Replay(replay::Args),
    /// What an appliance has recorded: counts, alerts, what was frequent, blind time; text, JSON, Excel
    Report(weekly::Args),
    /// The tracker alone, MOTChallenge files in and out
    Track(track::Args),
    /// New rules against the recorded tracks: how often would they fire
    Backtest(backtest::Args),
    /// Every problem of a configuration at once
    Check(check::Args),
    /// What is connected, in words, and what to write into the configuration to use it
    Cameras(cameras::Args),
    /// The models: which there are, whether they are whole, how to get more
    #[command(subcommand)]
    Models(models::Verb),
    /// Scores on labelled data, for engineers
    #[command(subcommand)]
    Eval(eval::Verb),
    /// What was kept of each alert: list it, hand it to somebody
    #[command(subcommand)]
    Evidence(evidence::Verb),
    /// Does this evidence still lead to its verdict, and is it as it was signed
    Verify(verify::Args),
    /// Milliseconds per stage on this board
    Bench(bench::Args),
}

fn main() -> ExitCode {
    log_to_stderr();
    let result = match Cli::parse().verb {
        Verb::Run(args) => run::run(args),
        Verb::Detect(args) => detect::run(args),
        Verb::Count(args) => count::run(args),
        Verb::Replay(args) => replay::run(args),
        Verb::Report(args) => weekly::run(args),
        Verb::Track(args) => track::run(args),
        Verb::Backtest(args) => backtest::run(args),
        Verb::Check(args) => check::run(args),
        Verb::Cameras(args) => cameras::run(args),
        Verb::Models(verb) => models::run(verb),
        Verb::Eval(verb) => eval::run(verb),
        Verb::Evidence(verb) => evidence::run(verb),
        Verb::Verify(args) => verify::run(args),
        Verb::Bench(args) => bench::run(args),
    };
    result.unwrap_or_else(|error| app::report(&error))
}

/// `WATCHPOST_LOG` takes the usual filters (`debug`, `watchpost::link=trace`); nothing else reads it.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .with_env_var("WATCHPOST_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
