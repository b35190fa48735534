//! The track log on real files.

use super::*;
use crate::clue::Clues;
use crate::detection::Class;
use crate::geometry::BBox;
use crate::ids::TrackId;
use crate::pipeline::Moment;
use crate::tape::{Input, Recorder, Setting};
use crate::time::MediaTime;
use crate::track::{Track, TrackState};

const DAY: i64 = 86_400_000_000;

fn door() -> CameraId {
    CameraId::new("door")
}

fn config(days: u32, mb: u32) -> StoreConfig {
    StoreConfig { keep_tracks_days: days, keep_tracks_mb: mb, ..StoreConfig::default() }
}

fn store(dir: &Path) -> TrackStore {
    TrackStore::open(dir, &config(90, 100)).unwrap().unwrap()
}

/// A week ago: what lies there is not tidied away.
fn week_ago() -> WallTime {
    static BEGAN: std::sync::OnceLock<WallTime> = std::sync::OnceLock::new();
    *BEGAN.get_or_init(|| WallTime::now() + Span::from_micros(-7 * DAY))
}

/// Somebody who walks for so many frames of a tenth of a second, from so long after [`week_ago`] on.
fn walk(store: &TrackStore, camera: &CameraId, from_us: i64, frames: i64) -> bool {
    let mut recorder = Recorder::new(Setting::default(), WallTime::EPOCH);
    let mut all_well = true;
    for frame in 0..frames {
        let at = MediaTime::from_micros(frame * 100_000);
        let x = (frame % 64) as f32 / 64.0;
        let track = Track {
            id: TrackId(1),
            class: Class::PERSON,
            score: 0.5,
            bbox: BBox::new(x, 0.25, x + 0.125, 0.75),
            born: MediaTime::ZERO,
            seen: at,
            state: TrackState::Confirmed,
        };
        let moment = Moment { at, taken: week_ago() + Span::from_micros(from_us + frame * 100_000), aspect: 1.5 };
        recorder.frame(moment, &[track], &Clues::default(), 0);
        if let Some(chunk) = recorder.due()
            && !store.write(camera, chunk)
        {
            recorder.begin_block();
            all_well = false;
        }
    }
    recorder.other(&Input::Finish, 1);
    recorder.flush().is_none_or(|rest| store.write(camera, rest)) && all_well
}

fn played(dir: &Path, camera: &CameraId, from: i64) -> (Vec<Piece>, Vec<String>) {
    let mut pieces = Vec::new();
    let wrong = Tapes::of(dir, camera).play(week_ago() + Span::from_micros(from), |piece| {
        pieces.push(piece);
        true
    });
    (pieces, wrong.unwrap())
}

fn frames(pieces: &[Piece]) -> usize {
    pieces.iter().flat_map(|piece| &piece.inputs).filter(|input| matches!(input, Input::Frame(_))).count()
}

fn newest(dir: &Path, camera: &CameraId) -> PathBuf {
    tidy::files(&camera_folder(&dir.join(FOLDER), camera)).unwrap().pop().unwrap().path
}

#[test]
fn what_was_recorded_is_read_and_a_restart_goes_on_in_the_same_file() {
    let dir = tempfile::tempdir().unwrap();
    for (start, camera) in [(0, "door"), (1, "door"), (1, "..")] {
        let store = store(dir.path());
        assert!(walk(&store, &CameraId::new(camera), start * 3_600_000_000, 1000));
        store.close();
    }
    assert_eq!(Tapes::cameras(dir.path()), [CameraId::new(".."), door()]);
    let (pieces, wrong) = played(dir.path(), &door(), 0);
    assert_eq!((frames(&pieces), wrong.len()), (2000, 0));
    assert!(pieces.iter().all(|piece| piece.start.number == 0));
    assert!(newest(dir.path(), &door()).ends_with("00000001.tape"));
    // Only what lies in that time, and the block it begins in.
    assert_eq!(frames(&played(dir.path(), &door(), 3_650_000_000).0), 1000);
    let some = Tapes::of(dir.path(), &door());
    let some = some.between(week_ago() + Span::from_millis(50_000), week_ago() + Span::from_millis(60_000)).unwrap();
    assert_eq!(frames(&some), 1000);
    assert_eq!(played(dir.path(), &CameraId::new("till"), 0).0, []);
}

#[test]
fn a_file_that_breaks_off_goes_on_behind_the_break() {
    let dir = tempfile::tempdir().unwrap();
    let first = store(dir.path());
    assert!(walk(&first, &door(), 0, 1000));
    first.close();
    let path = newest(dir.path(), &door());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let second = store(dir.path());
    assert!(walk(&second, &door(), 3_600_000_000, 1000));
    second.close();
    let (pieces, wrong) = played(dir.path(), &door(), 0);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    assert!(wrong[0].contains("are no track log of this version, the rest is used"), "{wrong:?}");
    assert!((1900..2000).contains(&frames(&pieces)), "{}", frames(&pieces));
    std::fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let (pieces, wrong) = played(dir.path(), &door(), 0);
    assert!((900..1000).contains(&frames(&pieces)));
    assert!(wrong[0].contains("break off and are left out"), "{wrong:?}");
    std::fs::write(&path, "something else").unwrap();
    assert_eq!(frames(&played(dir.path(), &door(), 0).0), 0);
    let third = store(dir.path());
    assert!(walk(&third, &door(), 0, 100));
    third.close();
    assert!(newest(dir.path(), &door()).ends_with("00000002.tape"), "what is no track log is left alone");
    assert_eq!(frames(&played(dir.path(), &door(), 0).0), 100);
}

#[test]
fn the_oldest_go_first_by_age_and_by_size() {
    let dir = tempfile::tempdir().unwrap();
    let tracks = dir.path().join(FOLDER);
    for day in 0..6 {
        let store = store(dir.path());
        assert!(walk(&store, &door(), day * DAY, 600));
        assert!(walk(&store, &CameraId::new("till"), day * DAY, 600));
        store.close();
    }
    let count =
        || ["door", "till"].map(|name| tidy::files(&camera_folder(&tracks, &CameraId::new(name))).unwrap().len());
    assert_eq!(count(), [6, 6]);
    let now = week_ago() + Span::from_micros(6 * DAY);
    tidy::tidy(&tracks, &config(90, 100), Some(now)).unwrap();
    tidy::tidy(&tracks, &config(1, 100), None).unwrap();
    assert_eq!(count(), [6, 6], "nothing is too old, or the time is not known");
    tidy::tidy(&tracks, &config(3, 100), Some(now)).unwrap();
    assert_eq!(count(), [4, 4], "a file is kept as long as its end is");
    // A megabyte of what can only be guessed at, in the place of the oldest.
    let oldest = tidy::files(&camera_folder(&tracks, &door())).unwrap().remove(0);
    std::fs::write(&oldest.path, vec![0; 1_000_000]).unwrap();
    tidy::tidy(&tracks, &config(90, 1), Some(now)).unwrap();
    assert_eq!(count(), [3, 4]);
    tidy::tidy(&tracks, &config(1, 1), Some(week_ago() + Span::from_micros(400 * DAY))).unwrap();
    assert_eq!(count(), [0, 0]);
}

#[test]
fn a_disk_that_refuses_stops_nobody_and_leaves_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(FOLDER), "no folder").unwrap();
    let store = store(dir.path());
    let began = Stopwatch::start();
    while walk(&store, &door(), 0, 300) {
        assert!(began.elapsed() < Span::from_millis(20_000), "nobody was told");
    }
    std::fs::remove_file(dir.path().join(FOLDER)).unwrap();
    walk(&store, &door(), 0, 300);
    store.close();
    let (pieces, wrong) = played(dir.path(), &door(), 0);
    assert_eq!(wrong, Vec::<String>::new());
    assert!(frames(&pieces) > 0);
    assert!(TrackStore::open(dir.path(), &config(0, 100)).unwrap().is_none());
    assert!(TrackStore::open(dir.path(), &config(90, 0)).unwrap().is_none());
}
