//! A real RTSP server (GStreamer's) on a free port of this machine.

#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub struct Server {
    pub port: u16,
    child: Child,
}

impl Server {
    /// `None` (and a word about it) where GStreamer's server is not installed, unless this is CI.
    pub fn start() -> Option<Server> {
        Server::at(0)
    }

    /// Port 0: any.
    pub fn at(port: u16) -> Option<Server> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rtsp_server/server.py");
        // Debian's own Python has GStreamer's bindings, another one has not.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(script).arg(port.to_string()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Ok(port) = line.trim().parse() else {
            let _ = child.kill();
            let _ = child.wait();
            assert!(std::env::var_os("CI").is_none(), "GStreamer's RTSP server is not installed");
            println!("skipped: GStreamer's RTSP server is not installed");
            return None;
        };
        Some(Server { port, child })
    }

    pub fn url(&self, path: &str) -> String {
        format!("rtsp://127.0.0.1:{}/{path}", self.port)
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
