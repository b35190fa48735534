//! The store on real files.

use super::*;
use crate::detection::Class;
use crate::event::{EventId, Phase, Place, Severity, from_json};
use crate::ids::{CameraId, DeviceId, LineId, RuleId};

fn event(n: u64) -> Event {
    let at = WallTime::from_micros(1_000_000 * n as i64);
    Event {
        id: EventId::derive(at, &[&n.to_string()]),
        device: DeviceId::new("till-3"),
        camera: CameraId::new("door"),
        kind: "line_count",
        rule: RuleId::new("count"),
        phase: Phase::Instant,
        severity: if n.is_multiple_of(3) { Severity::Warning } else { Severity::Info },
        at,
        ended_at: None,
        clock_trusted: true,
        tracks: Vec::new(),
        place: Place::Frame,
        score: 1.0,
        explain: String::new(),
    }
}

fn events(range: std::ops::RangeInclusive<u64>) -> Vec<Event> {
    range.map(event).collect()
}

fn open(dir: &Path) -> Store {
    Store::open(dir, &StoreConfig::default()).unwrap()
}

fn seqs(records: &[Record]) -> Vec<u64> {
    records.iter().map(|r| r.seq).collect()
}

#[test]
fn counting_goes_on_after_a_restart_and_repeats_are_ignored() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let first_boot = store.boot().to_owned();
    assert_eq!(seqs(&store.record(events(1..=3)).unwrap()), [1, 2, 3]);
    assert_eq!(seqs(&store.record(vec![]).unwrap()), [0; 0]);
    drop(store); // as good as kill -9: nothing was closed
    let mut store = open(dir.path());
    assert_ne!(store.boot(), first_boot);
    // The recording is played again from its start.
    assert_eq!(seqs(&store.record(events(1..=5)).unwrap()), [4, 5]);
    assert_eq!(store.health().repeated, 3);
    let queued = Outbox::open(dir.path()).unwrap().after(0, 10).unwrap();
    let heads: Vec<_> = queued.iter().map(|q| from_json(&q.payload).unwrap()).collect();
    assert_eq!(heads.iter().map(|h| h.seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(heads[4].id, event(5).id.as_str());
    assert_eq!(queued.iter().map(|q| q.alert).collect::<Vec<_>>(), [false, false, true, false, false]);
}

#[test]
fn one_appliance_per_state_folder() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path());
    let error = Store::open(dir.path(), &StoreConfig::default()).err().unwrap();
    assert!(format!("{error:#}").starts_with("another watchpost is using the state folder"), "{error:#}");
}

#[test]
fn a_folder_that_cannot_be_written_is_one_sentence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for dir in [Path::new("/proc/watchpost"), &file.path().join("state")] {
        let error = Store::open(dir, &StoreConfig::default()).err().unwrap();
        assert!(format!("{error:#}").starts_with("cannot make the state folder"), "{error:#}");
    }
}

#[test]
fn a_broken_database_is_kept_and_seq_is_not_given_twice() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.record(events(1..=3)).unwrap();
    drop(store);
    for wal in ["events.db-wal", "events.db-shm"] {
        let _ = std::fs::remove_file(dir.path().join(wal));
    }
    std::fs::write(dir.path().join("events.db"), b"this is no database, it only looks like one from afar".repeat(100))
        .unwrap();
    let mut store = open(dir.path());
    assert!(dir.path().join("events.db.broken-1").exists());
    let records = store.record(events(4..=4)).unwrap();
    assert!(records[0].seq > 3, "{}", records[0].seq);
    let outbox = Outbox::open(dir.path()).unwrap();
    assert_eq!(outbox.backlog(outbox.positions().unwrap().delivered).unwrap().rows, 1);
}

#[test]
fn a_torn_page_is_found_after_an_unclean_end() {
    use std::io::{Seek, SeekFrom, Write};
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.record(events(1..=200)).unwrap();
    drop(store);
    let mut file = File::options().write(true).open(dir.path().join("events.db")).unwrap();
    assert!(file.metadata().unwrap().len() > 40_960);
    file.seek(SeekFrom::Start(8192)).unwrap();
    file.write_all(&[0xff; 16384]).unwrap();
    drop(file);
    open(dir.path());
    assert!(dir.path().join("events.db.broken-1").exists());
}

#[test]
fn a_database_of_the_future_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    Connection::open(dir.path().join("events.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = format!("{:#}", Store::open(dir.path(), &StoreConfig::default()).err().unwrap());
    assert!(error.contains("was written by a newer watchpost (schema 99"), "{error}");
}

#[test]
fn while_the_disk_is_full_events_wait_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.record(events(1..=10)).unwrap();
    let pages: i64 = store.db.pragma_query_value(None, "page_count", |r| r.get(0)).unwrap();
    store.db.pragma_update(None, "max_page_count", pages).unwrap();
    let mut seen = 0;
    let mut n = 10;
    while store.health().trouble.is_none() {
        n += 1;
        seen += store.record(vec![event(n)]).unwrap().len() as u64;
    }
    assert!(store.health().trouble.unwrap().contains("is full"));
    let full_at = n;
    store.record(events(n + 1..=n + 5)).unwrap();
    assert_eq!((store.health().held, store.health().lost), (6, 0));
    store.record(events(n + 6..=n + HELD_MAX as u64 + 1)).unwrap();
    assert_eq!((store.health().held, store.health().lost), (HELD_MAX, 2));
    store.db.pragma_update(None, "max_page_count", 1_000_000).unwrap();
    let records = store.record(vec![]).unwrap();
    assert_eq!(seqs(&records), (11 + seen..11 + seen + HELD_MAX as u64).collect::<Vec<_>>(), "seq has no gap");
    assert_eq!(records[0].event.id, event(full_at + 2).id, "the oldest two are lost");
    assert_eq!((store.health().held, store.health().trouble), (0, None));
}

#[test]
fn while_the_disk_refuses_totals_wait_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let (camera, line) = (CameraId::new("door"), LineId::new("sill"));
    let total = |into| LineTotal { camera: camera.clone(), line: line.clone(), into, out: 0, since: WallTime::EPOCH };
    let minute = |minute| MinuteCount { camera: camera.clone(), minute, class: Class::PERSON, mean: 1.0, max: 1 };
    let write = |store: &mut Store, into| {
        store
            .write(Batch {
                lines: vec![total(into)],
                minutes: vec![minute(40_000_000 + into as i64)],
                blind: vec![MinuteBlind { camera: camera.clone(), minute: 40_000_000 + into as i64, blind_s: 1.5 }],
                ..Batch::default()
            })
            .unwrap()
    };
    let into = |store: &Store| store.lines().unwrap().into_values().map(|t| t.into).collect::<Vec<_>>();
    write(&mut store, 1);
    store.db.pragma_update(None, "query_only", true).unwrap();
    write(&mut store, 2);
    write(&mut store, 3);
    assert!(store.health().trouble.is_some());
    assert_eq!((into(&store), store.minutes(0).unwrap().len()), (vec![3], 1), "a pipeline that starts now goes on");
    store.db.pragma_update(None, "query_only", false).unwrap();
    store.write(Batch::default()).unwrap();
    assert_eq!(store.health().trouble, None);
    drop(store);
    let store = open(dir.path());
    assert_eq!((into(&store), store.minutes(0).unwrap().len()), (vec![3], 3));
    assert_eq!(store.blind(0).unwrap().len(), 3);
}

/// A real file system of 1 MB, where we may mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mounted() -> Option<Self> {
        let disk = SmallDisk(tempfile::tempdir().unwrap());
        disk.run(&["mount", "-t", "tmpfs", "-o", "size=1m", "watchpost-test"]).then_some(disk)
    }
    fn run(&self, words: &[&str]) -> bool {
        let mut command = std::process::Command::new(words[0]);
        command.args(&words[1..]).arg(self.0.path()).stderr(std::process::Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run(&["umount"]);
    }
}

#[test]
fn on_a_real_full_disk_nothing_that_was_recorded_is_lost() {
    let Some(disk) = SmallDisk::mounted() else {
        println!("skipped: may not mount a small file system");
        return;
    };
    let dir = disk.0.path();
    let mut store = open(dir);
    let mut recorded = 0;
    for n in 1..=20_000 {
        recorded += store.record(vec![event(n)]).unwrap().len();
        if store.health().trouble.is_some() {
            break;
        }
    }
    assert!(recorded > 10 && store.health().trouble.unwrap().contains("is full"), "{recorded}");
    drop(store);
    assert_eq!(Outbox::open(dir).unwrap().after(0, 100_000).unwrap().len(), recorded);
    std::fs::write(dir.join("filler"), vec![0; 1 << 20]).unwrap_err();
    if let Err(error) = Store::open(dir, &StoreConfig::default()) {
        assert!(format!("{error:#}").starts_with("the disk of "), "{error:#}");
    }
    if disk.run(&["mount", "-o", "remount,ro"]) {
        let error = Store::open(dir, &StoreConfig::default()).err().unwrap();
        assert!(format!("{error:#}").starts_with("cannot write to the state folder"), "{error:#}");
    }
}

#[test]
fn what_is_too_big_for_the_outbox_is_given_up_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig { outbox_max_mb: 1, keep_mb: 1, ..StoreConfig::default() };
    let mut store = Store::open(dir.path(), &config).unwrap();
    let big = |n| Event { explain: "x".repeat(99_000), ..event(n) };
    let mut outbox = Outbox::open(dir.path()).unwrap();
    outbox.save(2, 0).unwrap();
    store.record((1..=15).map(big).collect()).unwrap();
    tidy::tidy(&mut store.db, &config, Some(WallTime::now()), store.end_bytes).unwrap();
    let waiting: Vec<u64> = outbox.after(2, 100).unwrap().iter().map(|q| q.seq).collect();
    assert_eq!(waiting, (6..=15).collect::<Vec<_>>());
    let backlog = outbox.backlog(2).unwrap();
    assert_eq!((backlog.rows, backlog.dropped), (10, 3), "3, 4 and 5: 1 and 2 were delivered");
    assert!((990_000..1_000_000).contains(&backlog.bytes), "{}", backlog.bytes);
    // Given up means cleared away too; what is counted stays counted.
    drop((store, outbox));
    let mut store = Store::open(dir.path(), &config).unwrap();
    let outbox = Outbox::open(dir.path()).unwrap();
    assert_eq!(outbox.backlog(2).unwrap(), backlog);
    assert_eq!(seqs(&store.record(events(16..=16)).unwrap()), [16]);
}

#[test]
fn age_is_judged_by_trusted_clocks_only() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    let days = |d: i64| Span::from_millis(d * 86_400_000);
    let untrusted = |n| Event { clock_trusted: false, ..event(n) };
    store.record(vec![untrusted(1), event(2), untrusted(3)]).unwrap();
    let mut outbox = Outbox::open(dir.path()).unwrap();
    let config = StoreConfig::default();
    let now = WallTime::now();
    let age = |store: &Store, seq: i64, at: WallTime| {
        store.db.execute("UPDATE events SET recorded_at = ?2 WHERE seq = ?1", (seq, at.micros())).unwrap();
    };
    let left = |store: &mut Store| {
        tidy::tidy(&mut store.db, &config, Some(now), store.end_bytes).unwrap();
        let mut query = store.db.prepare("SELECT seq FROM events ORDER BY seq").unwrap();
        query.query_map([], |r| r.get(0)).unwrap().map(Result::unwrap).collect::<Vec<i64>>()
    };
    age(&store, 1, WallTime::EPOCH);
    age(&store, 3, WallTime::EPOCH);
    assert_eq!(left(&mut store), [1, 2, 3], "1970 is not an age");
    age(&store, 2, now + days(-61));
    assert_eq!(left(&mut store), [1, 2, 3], "kept for 90 days, but");
    assert_eq!(outbox.after(0, 9).unwrap().len(), 1, "given up by the outbox after 60, with all before");
    age(&store, 2, now + days(-91));
    tidy::tidy(&mut store.db, &config, None, store.end_bytes).unwrap();
    assert_eq!(outbox.backlog(0).unwrap().rows, 1, "nothing more goes by a clock that is not trusted");
    assert_eq!(store.db.query_row("SELECT count(*) FROM events", [], |r| r.get(0)), Ok(3));
    assert_eq!(left(&mut store), [3]);
    outbox.save(3, 0).unwrap();
    age(&store, 3, now + days(-1));
    assert_eq!(left(&mut store), [3], "may have to be sent again");
}

#[test]
fn an_undelivered_event_outlives_its_keeping() {
    let dir = tempfile::tempdir().unwrap();
    let config = StoreConfig { keep_days: 1, ..StoreConfig::default() };
    let mut store = Store::open(dir.path(), &config).unwrap();
    store.record(events(1..=4)).unwrap();
    let mut outbox = Outbox::open(dir.path()).unwrap();
    outbox.save(2, 2).unwrap();
    let later = WallTime::now() + Span::from_millis(2 * 86_400_000);
    tidy::tidy(&mut store.db, &config, Some(later), store.end_bytes).unwrap();
    assert_eq!(outbox.after(0, 9).unwrap().iter().map(|q| q.seq).collect::<Vec<_>>(), [3, 4]);
    drop(store);
    outbox.save(4, 4).unwrap();
    let mut store = Store::open(dir.path(), &config).unwrap();
    tidy::tidy(&mut store.db, &config, Some(later), store.end_bytes).unwrap();
    assert_eq!(seqs(&store.record(events(5..=5)).unwrap()), [5], "although nothing is left of the first four");
}

#[test]
fn totals_of_lines_never_go_back() {
    let dir = tempfile::tempdir().unwrap();
    let total = |into, out, since| LineTotal {
        camera: CameraId::new("door"),
        line: LineId::new("sill"),
        into,
        out,
        since: WallTime::from_micros(since),
    };
    let minute =
        MinuteCount { camera: CameraId::new("door"), minute: 40_000_000, class: Class::PERSON, mean: 1.5, max: 4 };
    let mut store = open(dir.path());
    let blind = |minute, blind_s| MinuteBlind { camera: CameraId::new("door"), minute, blind_s };
    let batch = Batch {
        events: events(1..=1),
        lines: vec![total(14, 18, 5)],
        minutes: vec![minute.clone()],
        blind: vec![blind(40_000_000, 12.5), blind(40_000_001, 40.0)],
    };
    assert_eq!(store.write(batch).unwrap().len(), 1);
    store.write(Batch { lines: vec![total(3, 19, 9)], ..Batch::default() }).unwrap();
    store.close().unwrap();
    let mut store = open(dir.path());
    assert_eq!(store.lines().unwrap().into_values().collect::<Vec<_>>(), [total(14, 19, 5)]);
    // The second part of the minute, after the restart.
    let second = MinuteCount { mean: 0.5, max: 3, ..minute.clone() };
    let parts = vec![blind(40_000_000, 20.0), blind(40_000_001, 40.0)];
    store.write(Batch { minutes: vec![second], blind: parts, ..Batch::default() }).unwrap();
    assert_eq!(store.blind(0).unwrap(), [blind(40_000_000, 32.5), blind(40_000_001, 60.0)]);
    assert_eq!(store.blind(40_000_002).unwrap(), []);
    assert_eq!(store.minutes(0).unwrap(), [MinuteCount { mean: 1.0, ..minute }]);
    assert_eq!(store.minutes(40_000_001).unwrap(), []);
}

#[test]
fn a_command_is_new_once_in_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path());
    let outbox = Outbox::open(dir.path()).unwrap();
    let at = |minutes: i64| WallTime::EPOCH + Span::from_millis(minutes * 60_000);
    assert!(outbox.is_new_command("restart/1", at(0)).unwrap());
    assert!(!outbox.is_new_command("restart/1", at(9)).unwrap());
    assert!(outbox.is_new_command("restart/2", at(9)).unwrap());
    assert!(outbox.is_new_command("restart/1", at(11)).unwrap());
    outbox.forget_command("restart/1").unwrap();
    assert!(outbox.is_new_command("restart/1", at(12)).unwrap(), "nothing had come of it");
}
