//! Films from another hand: what ffmpeg wrote is read frame by frame, none lost and each at its time.
//!
//! Without ffmpeg there is nothing to read; that is said, and where `CI` is set it is an error.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use watchpost::capture::open_video;

const FRAMES: i64 = 50;

fn has_ffmpeg() -> bool {
    let runs = |program| Command::new(program).arg("-version").stdin(Stdio::null()).output().is_ok();
    let both = runs("ffmpeg") && runs("ffprobe");
    assert!(both || std::env::var_os("CI").is_none(), "ffmpeg and ffprobe are expected where CI is set");
    if !both {
        println!("skipped: no ffmpeg");
    }
    both
}

/// Five seconds of a test card, 10 frames each.
fn film(folder: &Path, name: &str, codec: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let run = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=160x120:rate=10", "-frames:v", "50"])
        .args(codec)
        .args(["-pix_fmt", "yuv420p"])
        .arg(&path)
        .output()
        .unwrap();
    assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    path
}

#[test]
fn every_frame_comes_at_its_time() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (story, name, codec, what) in [
        // B-frames are shown before those they were made from: a decoder that is flushed too early loses them.
        ("B-frames, in this process", "b.mp4", ["-c:v", "libx264", "-bf", "2"], "MP4, H.264"),
        (
            "another codec, in a child process",
            "a.avi",
            ["-c:v", "mpeg4", "-q:v", "5"],
            "AVI (Audio Video Interleaved), mpeg4",
        ),
    ] {
        let mut film = open_video(&film(folder.path(), name, &codec)).unwrap();
        assert_eq!(film.what(), what, "{story}");
        let mut stamps = Vec::new();
        while let Some(frame) = film.next_frame().unwrap() {
            assert_eq!(frame.picture.size(), (160, 120), "{story}");
            stamps.push(frame.at.micros());
        }
        assert_eq!(stamps, (0..FRAMES).map(|n| n * 100_000).collect::<Vec<_>>(), "{story}");
        assert_eq!(film.end().micros(), FRAMES * 100_000, "{story}");
    }
}

#[test]
fn what_stands_behind_a_whole_film_is_no_cut() {
    if !has_ffmpeg() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = film(folder.path(), "trailer.mp4", &["-c:v", "libx264"]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"MAKER-TRAILER: no box at all");
    std::fs::write(&path, bytes).unwrap();
    let mut film = open_video(&path).unwrap();
    let mut frames = 0;
    while film.next_frame().unwrap().is_some() {
        frames += 1;
    }
    assert_eq!(frames, FRAMES);
}
