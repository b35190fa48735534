//! The promise of delivery, kept by the real binary: while thousands of events flow, the broker is killed with
//! -9 and started again, and so is the appliance; a subscriber in a process of its own, with a session, still
//! finds every `seq` in order, and nothing but duplicates by `id` beside them.
//!
//! `WATCHPOST_OUTAGES=20 cargo test --test outage` tells the same stories twenty times.

mod broker;

use broker::{Broker, PATIENCE, Subscriber};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use watchpost::store::Outbox;

const WATCHPOST: &str = env!("CARGO_BIN_EXE_watchpost");

/// Frames of the recording: some 300 s at 10 frames per second, played in a few seconds.
const FRAMES: usize = 3000;
const SPEED: f64 = 75.0;

/// In lanes side by side, one person after the other walks down over a line, half of them over two.
fn crossings() -> String {
    let mut log = String::from(
        r#"{"schema":1,"kind":"watchpost-tracks","camera":"door","model":"none","start":"2026-11-24T10:00:00.000Z"}"#,
    );
    const LANES: usize = 10;
    const STEPS: usize = 18;
    for frame in 0..FRAMES {
        let walkers = (0..LANES).filter_map(|lane| {
            let step = (frame + 2 * lane) % (STEPS + 4);
            let (x, y) = (0.02 + 0.1 * lane as f64, 0.3 + 0.025 * step as f64);
            (step < STEPS).then(|| {
                format!(r#"{{"class":"person","score":0.9,"box":[{x:.4},{:.4},{:.4},{y:.4}]}}"#, y - 0.12, x + 0.06)
            })
        });
        let walkers = walkers.collect::<Vec<_>>().join(",");
        write!(log, "\n{{\"us\":{},\"aspect\":1.5,\"detections\":[{walkers}]}}", frame * 100_000).unwrap();
    }
    log + "\n"
}

/// One appliance: its folder, its configuration, and its process while it runs.
struct Appliance {
    dir: tempfile::TempDir,
    child: Option<Child>,
}

impl Appliance {
    fn new(url: &str) -> Appliance {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            r#"
            schema = 1
            device = {{ id = "till-3" }}
            store = {{ dir = "state" }}
            [mqtt]
            url = "{url}"
            settle_s = 3.0
            [camera.door]
            source = {{ kind = "recorded", path = "crossings.jsonl", speed = {SPEED:?} }}
            line.sill = {{ points = [[0.0, 0.5], [1.0, 0.5]] }}
            line.kerb = {{ points = [[0.0, 0.6], [0.5, 0.6]] }}
            rule.count = {{ kind = "line_count", line = "sill" }}
            rule.watch = {{ kind = "line_count", line = "kerb", severity = "warning" }}
            "#
        );
        std::fs::write(dir.path().join("watchpost.toml"), config).unwrap();
        std::fs::write(dir.path().join("crossings.jsonl"), crossings()).unwrap();
        Appliance { dir, child: None }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// How many events the recording holds, by the verb that needs neither broker nor disk.
    fn expected(&self) -> usize {
        let mut command = Command::new(WATCHPOST);
        command.arg("replay").arg(self.path("crossings.jsonl")).arg("--config").arg(self.path("watchpost.toml"));
        let out = command.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().lines().count()
    }

    /// Everything that was ever recorded, in order.
    fn recorded(&self) -> Vec<Seen> {
        let outbox = Outbox::open(&self.path("state")).unwrap();
        outbox.after(0, usize::MAX >> 1).unwrap().iter().map(|queued| Seen::parse(&queued.payload)).collect()
    }

    fn start(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = Command::new(WATCHPOST);
        command.arg("run").arg("--exit-at-end").arg("--config").arg(self.path("watchpost.toml"));
        self.child = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    /// kill -9
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Until the recording is over and the broker has everything; true if it ends well.
    fn wait(&mut self) -> bool {
        self.child.take().unwrap().wait().unwrap().success()
    }

    /// SIGTERM; true if it ends well.
    fn stop(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap().success()
    }

    fn log(&self) -> String {
        let log = std::fs::read_to_string(self.path("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().filter(|line| !line.contains("Event.")).collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Appliance {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What a subscriber makes of a message.
struct Seen {
    seq: u64,
    id: String,
    boot: String,
    alert: bool,
    late: bool,
}

impl Seen {
    fn parse(payload: &str) -> Seen {
        let json: Value = serde_json::from_str(payload).unwrap_or_else(|e| panic!("{e}: {payload}"));
        Seen {
            seq: json["seq"].as_u64().unwrap(),
            id: json["id"].as_str().unwrap().to_owned(),
            boot: json["boot"].as_str().unwrap().to_owned(),
            alert: json["severity"] != "info",
            late: json["late"] == true,
        }
    }
}

/// Everything a subscriber has seen, by topic.
#[derive(Default)]
struct Notebook {
    /// The id of each seq.
    events: BTreeMap<u64, String>,
    alerts: BTreeSet<u64>,
    duplicates: usize,
    late: usize,
    /// First sights of a seq after a higher one.
    overtaken: usize,
}

impl Notebook {
    fn take(&mut self, line: &str) {
        let (topic, payload) = line.split_once(' ').unwrap();
        if topic.starts_with("ready/") {
            return;
        }
        let seen = Seen::parse(payload);
        self.late += usize::from(seen.late);
        if topic.ends_with("/alert") {
            assert!(seen.alert, "{line}");
            self.alerts.insert(seen.seq);
            return;
        }
        match self.events.get(&seen.seq) {
            Some(id) => {
                assert_eq!(*id, seen.id, "seq {} was given twice", seen.seq);
                self.duplicates += 1;
            }
            None => {
                self.overtaken += usize::from(self.events.last_key_value().is_some_and(|(last, _)| *last > seen.seq));
                self.events.insert(seen.seq, seen.id);
            }
        }
    }

    /// Until so many different events were seen; false if that does not happen.
    fn fill(&mut self, subscriber: &Subscriber, events: usize) -> bool {
        let began = Instant::now();
        while self.events.len() < events {
            match subscriber.lines.recv_timeout(Duration::from_millis(200)) {
                Ok(line) => self.take(&line),
                Err(_) if began.elapsed() > PATIENCE => return false,
                Err(_) => {}
            }
        }
        true
    }
}

enum Blow {
    Broker,
    Appliance,
    Both,
}

/// What a broker that was killed knows when it comes back.
#[derive(Clone, Copy, PartialEq)]
enum Memory {
    Nothing,
    /// Who has subscribed, but nothing that was queued since.
    Old,
    /// The appliance, but not the subscriber, which came later.
    Older,
}

/// One outage after the other; returns how many events there were and how many of them were lost.
fn story(memory: Memory, blows: &[Blow]) -> Option<(usize, usize)> {
    let persistent = "persistence true\npersistence_location DIR/\n";
    let mut broker = Broker::start(if memory == Memory::Nothing { "persistence false\n" } else { persistent })?;
    let mut appliance = Appliance::new(&broker.url());
    let expected = appliance.expected();
    assert!(expected > 1500, "only {expected} events");
    if memory == Memory::Older {
        drop(broker.subscribe("watchpost-till-3", &["watchpost/till-3/cmd/+"]));
        broker.save();
    }
    let subscriber = broker.subscribe("dashboard", &["watchpost/till-3/event", "watchpost/till-3/alert"]);
    if memory == Memory::Old {
        broker.save();
    }
    let mut notebook = Notebook::default();
    appliance.start();
    for (i, blow) in blows.iter().enumerate() {
        let until = expected * (i + 1) / (blows.len() + 1);
        assert!(notebook.fill(&subscriber, until), "after blow {i}: {}\n{}", notebook.events.len(), appliance.log());
        if !matches!(blow, Blow::Appliance) {
            broker.kill();
        }
        if !matches!(blow, Blow::Broker) {
            appliance.kill();
        }
        if !matches!(blow, Blow::Appliance) {
            broker.restart();
        }
        if !matches!(blow, Blow::Broker) {
            // The recording begins anew, as if the street had.
            appliance.start();
        }
    }
    assert!(appliance.wait(), "{}", appliance.log());
    let recorded = appliance.recorded();
    notebook.fill(&subscriber, recorded.len());
    let missing: Vec<u64> = recorded.iter().map(|r| r.seq).filter(|seq| !notebook.events.contains_key(seq)).collect();
    println!(
        "{} events, {} duplicates, {} late, {} out of order, {} lost",
        recorded.len(),
        notebook.duplicates,
        notebook.late,
        notebook.overtaken,
        missing.len()
    );
    if !missing.is_empty() {
        println!("missing {missing:?}\n{}", appliance.log());
        return Some((recorded.len(), missing.len()));
    }
    let alerts = recorded.iter().filter(|r| r.alert).map(|r| r.seq).collect::<BTreeSet<_>>();
    while notebook.alerts.len() < alerts.len() {
        notebook.take(&subscriber.next());
    }
    assert!(notebook.alerts == alerts && notebook.events.len() == recorded.len(), "something was never recorded");
    assert!(recorded.iter().zip(1..).all(|(r, n)| r.seq == n && notebook.events[&n] == r.id), "seq has a gap");
    let last_boot = &recorded.last().unwrap().boot;
    assert_eq!(recorded.iter().filter(|r| r.boot == *last_boot).count(), expected, "of the whole recording");
    assert_eq!(notebook.overtaken, 0);
    Some((recorded.len(), 0))
}

fn tell(memory: Memory, blows: &[Blow]) {
    let times = std::env::var("WATCHPOST_OUTAGES").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (mut events, mut lost) = (0, 0);
    for _ in 0..times {
        let Some((e, l)) = story(memory, blows) else { return };
        (events, lost) = (events + e, lost + l);
    }
    println!("{times} times, {events} events, {lost} lost");
    assert_eq!(lost, 0);
}

#[test]
fn nothing_is_lost_with_a_broker_that_forgets_everything() {
    tell(Memory::Nothing, &[Blow::Broker, Blow::Both, Blow::Appliance, Blow::Broker]);
}

#[test]
fn nothing_is_lost_with_a_broker_that_remembers_something_old() {
    tell(Memory::Old, &[Blow::Appliance, Blow::Broker, Blow::Both, Blow::Broker]);
}

#[test]
fn nothing_is_lost_with_a_broker_that_remembers_only_us() {
    tell(Memory::Older, &[Blow::Broker, Blow::Both, Blow::Appliance, Blow::Broker]);
}

#[test]
fn the_last_will_speaks_for_a_killed_appliance() {
    let Some(broker) = Broker::start("persistence false\n") else { return };
    let subscriber = broker.subscribe("dashboard", &["watchpost/till-3/status"]);
    let mut appliance = Appliance::new(&broker.url());
    let state = |line: &str| {
        let json: Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        (json["state"].as_str().unwrap().to_owned(), json["boot"].as_str().map(str::to_owned))
    };
    appliance.start();
    let (first, first_boot) = state(&subscriber.next());
    appliance.kill();
    assert_eq!((first.as_str(), state(&subscriber.next()).0.as_str()), ("online", "offline"));
    appliance.start();
    let (second, second_boot) = state(&subscriber.next());
    assert_eq!(second, "online");
    assert!(first_boot.is_some() && first_boot != second_boot);
    assert!(appliance.stop(), "{}", appliance.log());
    assert_eq!(state(&subscriber.next()).0, "stopped");
    assert!(Path::new(&appliance.path("state/events.db")).exists());
}
