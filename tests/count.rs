//! `watchpost count` as a user meets it: films that this test makes itself, films that are broken in every
//! way, and the shared films with known counts where they are present.

use image::{Rgb, RgbImage};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use watchpost::capture::FilmWriter;
use watchpost::time::MediaTime;

fn count() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchpost"));
    // The embedded model, whatever this machine has beside it.
    command.arg("count").args(["--model", "nanodet-g-int8"]);
    command
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn json(output: &Output) -> Value {
    assert!(!output.stdout.is_empty(), "no JSON, but: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Two seconds, 10 pictures each, of a square that moves.
fn film(folder: &Path) -> PathBuf {
    let path = folder.join("film.mp4");
    let mut film = FilmWriter::new(File::create(&path).unwrap(), (96, 64)).unwrap();
    for n in 0..20 {
        let picture = RgbImage::from_fn(96, 64, |x, y| {
            let inside = (n * 3..n * 3 + 20).contains(&x) && (20..40).contains(&y);
            if inside { Rgb([200, 60, 40]) } else { Rgb([90, (2 * y) as u8, (2 * x) as u8]) }
        });
        film.push(MediaTime::from_micros(i64::from(n) * 100_000), &picture).unwrap();
    }
    film.finish().unwrap();
    path
}

/// The same with its index before its pictures, as films for the web are, so that it can be cut; and where the
/// pictures begin.
fn film_with_index_first(folder: &Path) -> (Vec<u8>, usize) {
    let whole = std::fs::read(film(folder)).unwrap();
    let at = |name: &[u8]| whole.windows(4).rposition(|w| w == name).unwrap();
    let (data, index) = (32, at(b"moov") - 4);
    let mut moov = whole[index..].to_vec();
    let stco = moov.windows(4).rposition(|w| w == b"stco").unwrap() + 12;
    let moved = u32::from_be_bytes(moov[stco..stco + 4].try_into().unwrap()) + moov.len() as u32;
    moov[stco..stco + 4].copy_from_slice(&moved.to_be_bytes());
    let pictures = data + moov.len();
    ([&whole[..data], &moov, &whole[data..index]].concat(), pictures)
}

#[test]
fn every_output_is_written_and_nothing_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let video = film(folder.path());
    let out = |name: &str| folder.path().join(name);
    let output = count()
        .arg(&video)
        .args(["--every", "5", "--start", "2026-11-24T10:15:00Z", "--json", "-"])
        .arg("--csv")
        .arg(out("c.csv"))
        .arg("--xlsx")
        .arg(out("c.xlsx"))
        .arg("--annotate")
        .arg(out("c.mp4"))
        .arg("--tracks-out")
        .arg(out("c.jsonl"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let counts = json(&output);
    assert_eq!(counts["schema"], 1);
    assert_eq!(counts["video"], video.to_str().unwrap());
    assert_eq!((&counts["frames"], &counts["seconds"]), (&20.into(), &2.0.into()));
    assert_eq!(counts["recorded"], "2026-11-24T10:15:00.000Z");
    assert_eq!(counts["complete"], true);
    for field in ["objects", "lines", "zones"] {
        assert!(counts[field].is_object(), "{field}");
    }
    assert!(counts["per_minute"].is_array());

    assert!(std::fs::read_to_string(out("c.csv")).unwrap().starts_with("minute,start,class,mean,max\r\n"));
    assert!(std::fs::read(out("c.xlsx")).unwrap().starts_with(b"PK"));
    let mut annotated = watchpost::capture::open_video(&out("c.mp4")).unwrap();
    assert_eq!(annotated.frames(), Some(4), "one in five of twenty");
    assert_eq!(annotated.next_frame().unwrap().unwrap().picture.size(), (96, 64));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 5);

    let again = count().arg(&video).args(["--every", "5", "--start", "2026-11-24T10:15:00Z", "--json", "-"]).output();
    assert_eq!(again.unwrap().stdout, output.stdout, "the same film gives the same numbers");
}

#[test]
fn a_standard_output_that_breaks_costs_no_file() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("c.csv");
    let mut run = count();
    run.arg(film(folder.path())).args(["--every", "20", "--json", "-", "--csv"]).arg(&csv).stdout(full);
    let status = run.status().unwrap();
    assert_eq!(status.code(), Some(1));
    assert!(csv.exists());
}

#[test]
fn without_an_output_a_person_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let output = count().arg(film(folder.path())).args(["--every", "20"]).output().unwrap();
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("film.mp4: 20 frames, 2.0 s, nanodet-g-int8"), "{}", text(&output.stdout));
}

#[test]
fn a_film_cut_off_in_the_middle_is_counted_until_there() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, pictures) = film_with_index_first(folder.path());
    let video = folder.path().join("cut.mp4");
    std::fs::write(&video, &whole[..whole.len() - (whole.len() - pictures) / 4]).unwrap();
    let output = count().arg(&video).args(["--every", "5", "--json", "-"]).output().unwrap();
    let counts = json(&output);
    let frames = counts["frames"].as_u64().unwrap();
    assert!((2..20).contains(&frames), "{frames} frames");
    assert_eq!(counts["complete"], false);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("cut.mp4 breaks off after {frames} frames at ")), "{said}");
}

#[test]
fn what_is_no_film_gets_one_sentence_and_status_2() {
    let folder = tempfile::tempdir().unwrap();
    let whole = std::fs::read(film(folder.path())).unwrap();
    let picture = RgbImage::new(8, 8);
    picture.save(folder.path().join("picture.png")).unwrap();
    let avi: &[u8] = b"RIFF\x10\0\0\0AVI LIST\0\0\0\0hdrl";
    let index = &film_with_index_first(folder.path()).0[..300];
    for (name, bytes, expected) in [
        ("none.mp4", None, "cannot be opened: No such file or directory"),
        (".", None, "is a folder, a film is expected"),
        ("picture.png", None, "is a picture (PNG), a film is expected"),
        ("empty.mp4", Some(b"".as_slice()), "is empty, a film is expected"),
        ("text.mp4", Some(b"not a film\n".as_slice()), "is a text file, a film is expected"),
        ("late.mp4", Some(&whole[..whole.len() / 2]), "has no index (moov box)"),
        ("early.mp4", Some(index), "ends in the middle of its index (moov box)"),
        ("film.avi", Some(avi), "is an AVI film; to read it install ffmpeg"),
        ("noise.mp4", Some(&[0x9d; 4000]), "install ffmpeg"),
    ] {
        let path = folder.path().join(name);
        if let Some(bytes) = bytes {
            std::fs::write(&path, bytes).unwrap();
        }
        let out = folder.path().join("out.json");
        // Nothing in the search path: no ffmpeg, on any machine.
        let output = count().arg(&path).arg("--json").arg(&out).env("PATH", "/nowhere").output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(expected) && said.contains(folder.path().to_str().unwrap()), "{name}: {said}");
        assert_eq!(said.lines().count(), 1, "{name}: {said}");
        assert!(!out.exists(), "{name}");
    }
}

#[test]
fn an_output_that_cannot_be_is_told_before_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let video = film(folder.path());
    let video = video.to_str().unwrap();
    for (args, expected) in [
        (vec!["--json", "/no/such/folder/a.json"], "there is no folder /no/such/folder"),
        (vec!["--xlsx", "/"], "is a folder"),
        (vec!["--csv", video], "is the film itself"),
        (vec!["--annotate", "-"], "expected a file"),
        (vec!["--annotate", "a.avi"], "expected a name that ends in .mp4"),
        (vec!["--json", "-", "--csv", "-"], "expected at most one on standard output"),
        (vec!["--start", "yesterday"], "expected a time such as"),
        (vec!["--min-score", "1.5"], "expected a number from 0 to 1"),
    ] {
        let output = count().arg(video).args(&args).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn the_people_of_a_shop_aisle_are_counted() {
    let shared = std::env::var_os("WATCHPOST_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let video = shared.join("data/videos/store-aisle-detection.gif");
    if !video.exists() {
        println!("skipped: no shared data");
        return;
    }
    let counts = json(&count().arg(&video).args(["--every", "3", "--json", "-"]).output().unwrap());
    assert_eq!((&counts["frames"], &counts["seconds"]), (&67.into(), &4.47.into()));
    // Three by eye. The embedded model is the smallest there is and finds those that stand free.
    let people = &counts["objects"]["person"];
    assert!((1..=4).contains(&people["unique"].as_u64().unwrap()), "{people}");
    assert!((1..=3).contains(&people["max_at_once"].as_u64().unwrap()), "{people}");
}

#[test]
fn the_motion_gate_counts_the_same_people_with_fewer_looks() {
    let shared = std::env::var_os("WATCHPOST_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let video = shared.join("data/videos/one-by-one-person-detection.mp4");
    if !video.exists() {
        println!("skipped: no shared data");
        return;
    }
    let counts = |options: &[&str]| {
        let options = [&["--every", "5", "--json", "-"], options].concat();
        json(&count().arg(&video).args(options).output().unwrap())
    };
    let (all, gated) = (counts(&[]), counts(&["--motion-gate"]));
    assert_eq!(gated["objects"], all["objects"]);
    let looks = |counts: &serde_json::Value| counts["looks"].as_u64().unwrap();
    assert_eq!(looks(&all), 279);
    assert!(looks(&gated) < 240, "{} of 279 looks", looks(&gated));
}
