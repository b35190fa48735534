//! A real mosquitto on a free port of this machine, and subscribers in processes of their own.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Longer than anything takes, even on a busy machine under emulation.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Broker {
    pub port: u16,
    dir: tempfile::TempDir,
    program: PathBuf,
    child: Option<Child>,
}

impl Broker {
    /// `None` (and a word about it) where there is no mosquitto, unless this is CI, which must have one.
    /// `options` are lines of mosquitto's configuration.
    pub fn start(options: &str) -> Option<Broker> {
        let broker = Broker::prepare(options)?;
        Some(broker.started())
    }

    /// As `start`, but it does not listen yet.
    pub fn prepare(options: &str) -> Option<Broker> {
        let Some(program) = find("mosquitto") else {
            assert!(std::env::var_os("CI").is_none(), "mosquitto is not installed");
            println!("skipped: mosquitto is not installed");
            return None;
        };
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut config = format!("listener {port} 127.0.0.1\nmax_queued_messages 0\n");
        if !options.contains("allow_anonymous") {
            config += "allow_anonymous true\n";
        }
        // mosquitto gives up root for a user that could not write into our folder.
        config += "user root\n";
        config += &options.replace("DIR", dir.path().to_str().unwrap());
        std::fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        Some(Broker { port, dir, program, child: None })
    }

    fn started(mut self) -> Broker {
        self.restart();
        self
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts it (again) and waits until it listens.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.dir.path().join("mosquitto.conf")).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < PATIENCE, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// kill -9
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Makes it write what it remembers to disk, and waits for it.
    pub fn save(&mut self) {
        let child = self.child.as_ref().unwrap();
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, rustix::process::Signal::USR1).unwrap();
        let began = Instant::now();
        while !self.dir.path().join("mosquitto.db").exists() {
            assert!(began.elapsed() < PATIENCE, "mosquitto has not saved anything");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A subscriber that acknowledges, keeps its session, and comes back by itself after an outage. Its lines are
    /// `topic payload`. Returns when the broker has taken the subscription.
    pub fn subscribe(&self, id: &str, topics: &[&str]) -> Subscriber {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-q", "1", "-c", "-i", id, "-F", "%t %p"]);
        command.args(["-k", "5", "-t", &format!("ready/{id}")]);
        for topic in topics {
            command.args(["-t", topic]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(out).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
            }
        });
        let subscriber = Subscriber { child, lines };
        let ready = format!("ready/{id} now");
        let began = Instant::now();
        loop {
            self.publish(&format!("ready/{id}"), "now", &[]);
            match subscriber.lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) if line == ready => return subscriber,
                // Retained state may come first; whoever needs it subscribes before.
                Ok(_) | Err(RecvTimeoutError::Timeout) => assert!(began.elapsed() < PATIENCE),
                Err(RecvTimeoutError::Disconnected) => panic!("mosquitto_sub has ended"),
            }
        }
    }

    pub fn publish(&self, topic: &str, payload: &str, options: &[&str]) {
        let port = self.port.to_string();
        let mut command = Command::new("mosquitto_pub");
        command.args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-t", topic, "-m", payload]).args(options);
        assert!(command.stderr(Stdio::null()).status().unwrap().success());
    }

    /// What the broker retains below a filter, waiting until `enough` of it is there.
    pub fn retained(&self, filter: &str, enough: impl Fn(&[String]) -> bool) -> Vec<String> {
        let began = Instant::now();
        loop {
            let mut command = Command::new("mosquitto_sub");
            command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-t", filter]);
            command.args(["-F", "%t %p", "--retained-only", "-W", "1"]).stderr(Stdio::null());
            let out = command.output().unwrap().stdout;
            let mut lines: Vec<String> = String::from_utf8_lossy(&out).lines().map(str::to_owned).collect();
            lines.sort();
            if enough(&lines) {
                return lines;
            }
            assert!(began.elapsed() < PATIENCE, "the broker retains only {lines:#?}");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

pub struct Subscriber {
    child: Child,
    pub lines: Receiver<String>,
}

impl Subscriber {
    /// The next line, whatever it is.
    #[track_caller]
    pub fn next(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("nothing comes from the broker")
    }

    /// Collects until a line is as wanted (which is the last one then).
    #[track_caller]
    pub fn until(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => lines.push(line),
                Err(error) => panic!("{error}, after {:#?}", &lines[lines.len().saturating_sub(20)..]),
            }
            if wanted(lines.last().unwrap()) {
                return lines;
            }
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Debian keeps servers in /usr/sbin, which is not on everybody's path.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|dir| dir.join(program))
        .find(|file| file.exists())
}
