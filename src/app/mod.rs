//! One file per verb of the command line: `Args` says what it takes, `run` does it.

pub mod backtest;
pub mod bench;
pub mod cameras;
pub mod check;
pub mod count;
pub mod detect;
pub mod eval;
pub mod evidence;
pub mod film;
pub mod models;
pub mod replay;
pub mod run;
pub mod track;
pub mod verify;
pub mod weekly;

use crate::config::Invalid;
use std::process::ExitCode;

pub use crate::problems::BadInput;

/// Says on standard error what went wrong, in one line, and gives the exit status for it. The mistakes of a
/// configuration get a line each.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever reads our output may go away, as `head` does: nothing to talk about, but not all was done either.
    let pipe_closed = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(pipe_closed) {
        return ExitCode::FAILURE;
    }
    if let Some(invalid) = error.downcast_ref::<Invalid>() {
        eprintln!("{invalid}");
        return ExitCode::from(2);
    }
    eprintln!("watchpost: {}", format!("{error:#}").replace('\n', " "));
    // What was attached as context is no link of the chain by its own type, so the head is asked separately.
    let wrong_input = error.is::<BadInput>() || error.chain().any(|cause| cause.is::<BadInput>());
    if wrong_input { ExitCode::from(2) } else { ExitCode::FAILURE }
}
