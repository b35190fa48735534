//! Waiting for a camera to come back. The pauses between tries grow to a minute, but a camera that is plugged in again,
//! or answers after it did not, is worth a try at once: so while we wait, its door is knocked at.
//!
//! At a network camera a knock is a connection and one harmless question without a login; only an answer counts, since the kernel of a
//! machine that hangs goes on taking connections. A camera that answers all the time and still does not play (a wrong
//! password, a wrong path) is not asked any sooner for it.

use super::{SourceConfig, UsbConfig};
use crate::stop::Stop;
use crate::time::{Span, Stopwatch};
use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The camera answers and says no: asking again soon would not help, and some cameras lock an account for it.
#[derive(Debug)]
pub struct Refused(pub String);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    Stopped,
    /// The camera answers again.
    Back,
    /// The time is over.
    Due,
}

const PAUSE: Span = Span::from_millis(500);
const ANSWER_WITHIN: Duration = Duration::from_millis(1_000);
const LOOK: Span = Span::from_millis(50);

/// Waits for `span`, or less if the camera comes back meanwhile. Sources without a door just wait.
pub fn wait_until_back(source: &SourceConfig, span: Span, stop: &Stop) -> Wake {
    let Some(door) = Door::of(source) else {
        return if stop.wait(span) { Wake::Stopped } else { Wake::Due };
    };
    let (answers, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (it_answers, is_over) = (answers.clone(), over.clone());
    // One at a time; a look-up of its name may hold it for some seconds after the wait is over.
    let knocker = std::thread::Builder::new().name("knock".into()).spawn(move || {
        let mut was_silent = false;
        while !is_over.load(Ordering::Relaxed) {
            match door.answers() {
                true if was_silent => return it_answers.store(true, Ordering::Relaxed),
                true => {}
                false => was_silent = true,
            }
            std::thread::sleep(PAUSE.to_std().unwrap_or_default());
        }
    });
    let clock = Stopwatch::start();
    let wake = loop {
        let left = span - clock.elapsed();
        if answers.load(Ordering::Relaxed) {
            break Wake::Back;
        }
        if left <= Span::ZERO {
            break Wake::Due;
        }
        if stop.wait(left.min(LOOK)) {
            break Wake::Stopped;
        }
    };
    over.store(true, Ordering::Relaxed);
    drop(knocker);
    wake
}

enum Door {
    Device(UsbConfig),
    Network { host: String, port: u16, question: String },
}

impl Door {
    fn of(source: &SourceConfig) -> Option<Door> {
        match source {
            SourceConfig::Usb(config) => Some(Door::Device(config.clone())),
            SourceConfig::Rtsp(config) => {
                let url = config.url.parse(&["rtsp"]).ok()?;
                let question =
                    format!("OPTIONS rtsp://{} RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: watchpost\r\n\r\n", url.host_str()?);
                Door::network(&url, 554, question)
            }
            SourceConfig::Http(config) => {
                let url = config.url.parse(super::http::SCHEMES).ok()?;
                // A server that expects TLS complains about it, or hangs up: both are answers.
                let question = format!("HEAD / HTTP/1.0\r\nHost: {}\r\nUser-Agent: watchpost\r\n\r\n", url.host_str()?);
                Door::network(&url, 80, question)
            }
            _ => None,
        }
    }

    fn network(url: &url::Url, usual_port: u16, question: String) -> Option<Door> {
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        Some(Door::Network { host, port: url.port_or_known_default().unwrap_or(usual_port), question })
    }

    fn answers(&self) -> bool {
        match self {
            Door::Device(config) => config.is_there(),
            Door::Network { host, port, question } => answers(host, *port, question).unwrap_or(false),
        }
    }
}

fn answers(host: &str, port: u16, question: &str) -> std::io::Result<bool> {
    let Some(address) = (host, port).to_socket_addrs()?.next() else { return Ok(false) };
    let mut connection = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    connection.set_read_timeout(Some(ANSWER_WITHIN))?;
    connection.set_write_timeout(Some(ANSWER_WITHIN))?;
    connection.write_all(question.as_bytes())?;
    // Any answer will do, also a hang-up.
    connection.read(&mut [0; 64]).map(|_| true)
}
