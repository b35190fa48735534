//! A program that works for a source, as a child process. It ends with whoever holds it, and with it what it has started;
//! the last line it said is kept, since that is where programs say why they end.

use crate::time::{Span, Stopwatch};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Of what it says, lines are cut off behind that.
const LONGEST_LINE: u64 = 1_000;
/// From closing its output to its end.
const ENDS_WITHIN: Span = Span::from_millis(200);
/// From its end to the last of what it said.
const SAYS_WITHIN: Span = Span::from_millis(500);
const LOOK: Duration = Duration::from_millis(5);

pub struct Program {
    child: Child,
    last_line: Arc<Mutex<String>>,
    /// Reads what it says; ended when that is complete.
    listener: Option<JoinHandle<()>>,
}

impl Program {
    /// `command` says what becomes of its input and output. Each line it says is given to `hear`, by a thread of that name.
    ///
    /// # Errors
    /// Of the operating system; `NotFound`: it is not installed.
    pub fn start(command: &mut Command, thread: &str, hear: impl FnMut(&str) + Send + 'static) -> io::Result<Program> {
        // In a group of its own: a Ctrl-C is ours to answer.
        let child = command.stderr(Stdio::piped()).process_group(0).spawn()?;
        // From here on, dropping it kills the process.
        let mut program = Program { child, last_line: Arc::default(), listener: None };
        if let Some(says) = program.child.stderr.take() {
            let (thread, last_line) = (std::thread::Builder::new().name(thread.into()), program.last_line.clone());
            program.listener = Some(thread.spawn(move || listen(says, &last_line, hear))?);
        }
        Ok(program)
    }

    /// Its input, if that is a pipe and was not taken before.
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its output, likewise.
    pub fn output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The last line it said so far; may be empty.
    pub fn last_line(&self) -> String {
        self.last_line.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For one that has closed its output or is of no use: if it goes on living, it does so for nothing. How it ended by
    /// itself, if it did; what it said until then is heard.
    pub fn end(&mut self) -> Option<std::process::ExitStatus> {
        let clock = Stopwatch::start();
        while matches!(self.child.try_wait(), Ok(None)) && clock.elapsed() < ENDS_WITHIN {
            std::thread::sleep(LOOK);
        }
        let by_itself = self.child.try_wait().ok().flatten();
        self.kill();
        if let Some(listener) = self.listener.take() {
            // Somebody who was started by it and left its group may hold the pipe, but not us.
            let clock = Stopwatch::start();
            while !listener.is_finished() && clock.elapsed() < SAYS_WITHIN {
                std::thread::sleep(LOOK);
            }
        }
        by_itself
    }

    /// With its own children, who would keep our threads at the pipes. One that is not waited for stays in the process
    /// table.
    fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Keeps the last line only, however much it is, and reads to the end, or the program would wait for us.
fn listen(says: ChildStderr, last_line: &Mutex<String>, mut hear: impl FnMut(&str)) {
    let mut lines = BufReader::new(says);
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim();
        if !text.is_empty() {
            hear(text);
            text.clone_into(&mut last_line.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::start(Command::new("sh").args(["-c", script]).stdin(Stdio::null()), "says", |_| {}).unwrap()
    }

    #[test]
    fn its_end_and_its_last_line_are_told() {
        let mut program = shell("echo one >&2; echo two >&2; exit 3");
        assert_eq!(program.end().and_then(|status| status.code()), Some(3));
        assert_eq!(program.last_line(), "two");
        let mut program = shell("echo waits >&2; exec sleep 60");
        let clock = Stopwatch::start();
        assert_eq!(program.end(), None);
        assert!(clock.elapsed() < Span::from_secs_f64(30.0));
        let mut program = shell("head -c 5000 /dev/zero | tr '\\0' x >&2; exit 0");
        program.end();
        assert!(program.last_line().len() <= LONGEST_LINE as usize, "lines have a bound");
    }

    #[test]
    fn what_it_has_started_ends_with_it() {
        let mut program = Program::start(
            Command::new("sh").args(["-c", "sleep 60 & echo $!; wait"]).stdin(Stdio::null()).stdout(Stdio::piped()),
            "says",
            |_| {},
        )
        .unwrap();
        let mut line = String::new();
        BufReader::new(program.output().unwrap()).read_line(&mut line).unwrap();
        // A zombie that nobody has waited for yet is as good as gone.
        let lives = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", line.trim())).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
        };
        assert!(lives());
        drop(program);
        let clock = Stopwatch::start();
        while lives() {
            assert!(clock.elapsed() < Span::from_secs_f64(20.0), "its child lives on");
            std::thread::sleep(LOOK);
        }
    }
}
