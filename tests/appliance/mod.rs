//! The whole program with cameras, a real broker beside it, and what it says of a camera.

#![allow(dead_code)]

use crate::broker::{PATIENCE, Subscriber};
use crate::cli::Desk;
use rustix::process::{Pid, Signal};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// `watchpost run` of the file `w.toml` on a desk; ended with the test.
pub struct Appliance<'a> {
    desk: &'a Desk,
    child: Child,
}

impl Drop for Appliance<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Appliance<'_> {
    pub fn start(desk: &Desk) -> Appliance<'_> {
        let log = std::fs::File::create(desk.path("log")).unwrap();
        let child = desk.command("run --config w.toml").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Appliance { desk, child }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.desk.path("log")).unwrap()
    }

    /// Stops it in good order; what it has said is given.
    #[track_caller]
    pub fn stop(mut self) -> String {
        rustix::process::kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "it does not stop: {}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = self.log();
        assert!(!log.contains("panicked"), "{log}");
        log
    }
}

/// How long until the camera of the device `s` is in that state, and what is said of it.
#[track_caller]
pub fn until(subscriber: &Subscriber, camera: &str, state: &str) -> (Duration, String) {
    let began = Instant::now();
    let topic = format!("watchpost/s/camera/{camera}/status ");
    let wanted = format!("\"state\":\"{state}\"");
    while began.elapsed() < PATIENCE {
        match subscriber.lines.recv_timeout(PATIENCE) {
            Ok(line) if line.starts_with(&topic) && line.contains(&wanted) => return (began.elapsed(), line),
            Ok(_) => {}
            Err(error) => panic!("{camera} never was {state}: {error}"),
        }
    }
    panic!("{camera} never was {state}");
}
