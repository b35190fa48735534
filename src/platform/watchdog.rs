//! Telling systemd that we are ready, alive and stopping: datagrams to `$NOTIFY_SOCKET`.
//!
//! Absent on purpose: a thread that feeds it. Whoever calls [`Watchdog::alive`] vouches for progress.

use crate::time::Span;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Does nothing where no supervisor listens.
#[derive(Debug)]
pub struct Watchdog {
    supervisor: Option<(UnixDatagram, SocketAddr)>,
    timeout: Option<Span>,
}

impl Watchdog {
    pub fn from_env() -> Self {
        let var = |name: &str| std::env::var(name).ok();
        Watchdog::new(
            var("NOTIFY_SOCKET").as_deref(),
            var("WATCHDOG_USEC").as_deref(),
            // Set if the watchdog is meant for one process only, which may be our parent.
            var("WATCHDOG_PID").is_none_or(|pid| pid == std::process::id().to_string()),
        )
    }

    fn new(socket: Option<&str>, timeout_us: Option<&str>, ours: bool) -> Self {
        let connect = |name: &str| -> std::io::Result<(UnixDatagram, SocketAddr)> {
            let address = match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name)?,
                None => SocketAddr::from_pathname(name)?,
            };
            Ok((UnixDatagram::unbound()?, address))
        };
        let supervisor = socket.and_then(|name| match connect(name) {
            Ok(supervisor) => Some(supervisor),
            Err(error) => {
                tracing::warn!(socket = name, %error, "The supervisor's socket cannot be used.");
                None
            }
        });
        let timeout = timeout_us.and_then(|us| us.parse().ok()).filter(|us| ours && *us > 0).map(Span::from_micros);
        Watchdog { timeout: timeout.filter(|_| supervisor.is_some()), supervisor }
    }

    /// How often to call [`Watchdog::alive`] (half of what the supervisor waits); `None` if nobody waits.
    pub fn interval(&self) -> Option<Span> {
        self.timeout.map(|t| Span::from_micros(t.micros() / 2))
    }

    pub fn ready(&self) {
        self.tell("READY=1");
    }

    pub fn alive(&self) {
        self.tell("WATCHDOG=1");
    }

    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// One line for `systemctl status`.
    pub fn status(&self, text: &str) {
        self.tell(&format!("STATUS={}", text.replace('\n', " ")));
    }

    fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.supervisor
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            tracing::debug!(what, %error, "The supervisor did not take the message.");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisor_hears_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let supervisor = UnixDatagram::bind(&path).unwrap();
        let watchdog = Watchdog::new(path.to_str(), Some("3000000"), true);
        assert_eq!(watchdog.interval(), Some(Span::from_millis(1500)));
        watchdog.ready();
        watchdog.alive();
        watchdog.status("2 cameras\nlive");
        watchdog.stopping();
        let mut heard = Vec::new();
        for _ in 0..4 {
            let mut buffer = [0; 64];
            let n = supervisor.recv(&mut buffer).unwrap();
            heard.push(String::from_utf8_lossy(&buffer[..n]).into_owned());
        }
        assert_eq!(heard, ["READY=1", "WATCHDOG=1", "STATUS=2 cameras live", "STOPPING=1"]);
    }

    #[test]
    fn without_a_supervisor_nothing_happens() {
        for watchdog in [Watchdog::new(None, Some("1000"), true), Watchdog::new(Some("/no/such"), None, false)] {
            assert_eq!(watchdog.interval(), None);
            watchdog.alive();
        }
        assert_eq!(Watchdog::new(Some("@abstract"), Some("1000"), false).interval(), None, "meant for another process");
    }
}
