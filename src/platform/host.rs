//! Facts of the board for `health`, from `/proc` and `/sys`. What a board does not tell is absent, not zero.

use crate::time::{Span, Stopwatch};
use std::path::{Path, PathBuf};

/// One look at the board.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
pub struct HostFacts {
    /// Of all cores, since the last look.
    pub cpu_percent: Option<f64>,
    /// The hottest sensor.
    pub temperature_c: Option<f64>,
    pub memory_total_mb: Option<u64>,
    pub memory_available_mb: Option<u64>,
    /// Of this process.
    pub memory_used_mb: Option<u64>,
    /// Where the state folder lies.
    pub disk_free_mb: Option<u64>,
    pub disk_total_mb: Option<u64>,
    /// What the disk of the state folder was given to write, by everybody, per day at the pace since the first
    /// look. An SD card wears out by it.
    pub disk_written_mb_per_day: Option<u64>,
    pub uptime_s: Option<u64>,
}

/// Looks at the board every so often.
#[derive(Debug)]
pub struct Host {
    root: PathBuf,
    state_dir: PathBuf,
    watch: Stopwatch,
    /// Busy and all ticks of all cores at the last look.
    ticks: Option<(u64, u64)>,
    written_at_first: Option<u64>,
}

/// A pace measured over less than this says nothing about a day.
const PACE_AFTER: Span = Span::from_millis(60_000);

impl Host {
    pub fn new(state_dir: &Path) -> Self {
        Host::below(Path::new("/"), state_dir)
    }

    fn below(root: &Path, state_dir: &Path) -> Self {
        let mut host = Host {
            root: root.to_owned(),
            state_dir: state_dir.to_owned(),
            watch: Stopwatch::start(),
            ticks: None,
            written_at_first: None,
        };
        host.ticks = host.read("proc/stat").as_deref().and_then(parse_ticks);
        host.written_at_first = host.written();
        host
    }

    pub fn look(&mut self) -> HostFacts {
        self.look_after(self.watch.elapsed())
    }

    fn look_after(&mut self, elapsed: Span) -> HostFacts {
        let ticks = self.read("proc/stat").as_deref().and_then(parse_ticks);
        let cpu_percent = self.ticks.zip(ticks).and_then(|((busy0, all0), (busy, all))| {
            let all = all.checked_sub(all0).filter(|all| *all > 0)?;
            Some((busy.saturating_sub(busy0) as f64 * 1000.0 / all as f64).round() / 10.0)
        });
        self.ticks = ticks;
        let meminfo = self.read("proc/meminfo").unwrap_or_default();
        let disk = rustix::fs::statvfs(&self.state_dir).ok();
        let mb = |blocks: u64, disk: &rustix::fs::StatVfs| blocks.saturating_mul(disk.f_frsize) / 1_000_000;
        let per_day = self.written_at_first.zip(self.written()).filter(|_| elapsed >= PACE_AFTER);
        HostFacts {
            cpu_percent,
            temperature_c: self.temperature(),
            memory_total_mb: kb_of(&meminfo, "MemTotal:").map(|kb| kb / 1000),
            memory_available_mb: kb_of(&meminfo, "MemAvailable:").map(|kb| kb / 1000),
            memory_used_mb: kb_of(&self.read("proc/self/status").unwrap_or_default(), "VmRSS:").map(|kb| kb / 1000),
            disk_free_mb: disk.as_ref().map(|d| mb(d.f_bavail, d)),
            disk_total_mb: disk.as_ref().map(|d| mb(d.f_blocks, d)),
            disk_written_mb_per_day: per_day
                .map(|(first, now)| (now.saturating_sub(first) as f64 / 1e6 / elapsed.secs_f64() * 86_400.0) as u64),
            uptime_s: self.read("proc/uptime").and_then(|t| t.split('.').next()?.parse().ok()),
        }
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.root.join(path)).ok()
    }

    fn temperature(&self) -> Option<f64> {
        let zones = std::fs::read_dir(self.root.join("sys/class/thermal")).ok()?;
        let hottest = zones
            .flatten()
            .filter_map(|zone| std::fs::read_to_string(zone.path().join("temp")).ok()?.trim().parse::<i64>().ok())
            // Broken sensors say -273 or thousands.
            .filter(|milli| (-40_000..150_000).contains(milli))
            .max()?;
        Some(hottest as f64 / 1000.0)
    }

    /// Bytes written to the device of the state folder since the board started.
    fn written(&self) -> Option<u64> {
        let device = rustix::fs::stat(&self.state_dir).ok()?.st_dev;
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let stat = self.read(&format!("sys/dev/block/{major}:{minor}/stat"))?;
        // The seventh figure counts sectors, which are 512 bytes here whatever the disk thinks.
        Some(stat.split_whitespace().nth(6)?.parse::<u64>().ok()? * 512)
    }
}

fn parse_ticks(stat: &str) -> Option<(u64, u64)> {
    let ticks: Vec<u64> =
        stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().map_while(|t| t.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let all: u64 = ticks.iter().take(8).sum();
    let idle = ticks.get(3)? + ticks.get(4).unwrap_or(&0);
    Some((all.saturating_sub(idle), all))
}

fn kb_of(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_is_read() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        put("proc/stat", "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1 2 3 4\n");
        put("proc/meminfo", "MemTotal:        1000000 kB\nMemFree: 1 kB\nMemAvailable:    400000 kB\n");
        put("proc/uptime", "12345.67 1.00\n");
        put("sys/class/thermal/thermal_zone0/temp", "48300\n");
        put("sys/class/thermal/thermal_zone1/temp", "-273000\n");
        let mut host = Host::below(root.path(), root.path());
        put("proc/stat", "cpu  150 0 150 900 0 0 0 0 0 0\n");
        let facts = host.look_after(Span::from_secs_f64(120.0));
        assert_eq!(facts.cpu_percent, Some(50.0));
        assert_eq!(facts.temperature_c, Some(48.3));
        assert_eq!((facts.memory_total_mb, facts.memory_available_mb), (Some(1000), Some(400)));
        assert_eq!(facts.uptime_s, Some(12345));
        assert!(facts.disk_free_mb.is_some());
    }

    #[test]
    fn a_board_that_tells_nothing_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let facts = Host::below(root.path(), Path::new("/no/such/folder")).look();
        assert_eq!(facts, HostFacts::default());
    }
}
