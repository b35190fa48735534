//! The real thing but for the camera: shell scripts play `rpicam-vid`.

use super::*;
use crate::time::Stopwatch;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// A folder with a program that begins with these shell commands in it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(script: &str) -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        let head =
            format!("#!/bin/sh\ncd '{}'\necho $$ > pid\nprintf '%s\\n' \"$*\" > arguments\n", desk.0.path().display());
        std::fs::write(desk.path("rpicam"), head + script).unwrap();
        std::fs::set_permissions(desk.path("rpicam"), PermissionsExt::from_mode(0o755)).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap().trim().to_owned()
    }

    fn open(&self, config: &CsiConfig, stop: &Stop) -> CsiSource {
        let program = self.path("rpicam");
        let programs = ["/nowhere/rpicam-vid", program.to_str().unwrap()];
        loop {
            match CsiSource::open_with(&programs, config, stop) {
                // Another test has forked while we wrote the script, and its child holds it for a moment.
                Err(error) if error.to_string().contains("Text file busy") => {}
                opened => return opened.unwrap(),
            }
        }
    }

    /// The sentence with which it ends.
    fn end(&self) -> String {
        let mut source = self.open(&small(), &Stop::new());
        loop {
            match source.next_frame() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("nobody asked to stop"),
                Err(error) => return format!("{error:#}").replace(&self.0.path().display().to_string(), ""),
            }
        }
    }

    fn is_running(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.read("pid"))).unwrap_or_default();
        !stat.is_empty() && !stat.contains(") Z ")
    }
}

fn small() -> CsiConfig {
    CsiConfig { width: 70, height: 4, ..CsiConfig::default() }
}

/// As the camera writes it: rows of 128 bytes, of which 70 are picture; the rest must not be seen.
fn padded(y: u8, u: u8, v: u8) -> Vec<u8> {
    let plane = |value: u8, rows: usize, used: usize, stride: usize| -> Vec<u8> {
        (0..rows).flat_map(|_| (0..stride).map(move |x| if x < used { value } else { 255 })).collect()
    };
    [plane(y, 4, 70, 128), plane(u, 2, 35, 64), plane(v, 2, 35, 64)].concat()
}

#[test]
fn pictures_come_without_their_padding() {
    let desk = Desk::new("while :; do cat one two; sleep 0.02; done");
    std::fs::write(desk.path("one"), padded(10, 20, 30)).unwrap();
    std::fs::write(desk.path("two"), padded(11, 21, 31)).unwrap();
    let stop = Stop::new();
    let mut source = desk.open(&CsiConfig { camera: 1, ..small() }, &stop);
    let mut newest = None;
    for _ in 0..20 {
        let frame = source.next_frame().unwrap().unwrap();
        assert!(newest.is_none_or(|(index, at)| frame.index > index && frame.at >= at));
        newest = Some((frame.index, frame.at));
        let Picture::Yuv420(yuv) = &frame.picture else { panic!("planes expected") };
        assert!(yuv.is_consistent() && (yuv.width, yuv.height) == (70, 4));
        let add = u8::from(yuv.y[0] == 11);
        for (plane, value) in [(&yuv.y, 10), (&yuv.u, 20), (&yuv.v, 30)] {
            assert!(plane.iter().all(|byte| *byte == value + add), "{plane:?}");
        }
    }
    let arguments = "-n -t 0 --codec yuv420 --flush -o - --camera 1 --width 70 --height 4 --framerate 15";
    assert_eq!(desk.read("arguments"), arguments);
    stop.set();
    assert!(source.next_frame().unwrap().is_none());
    assert!(desk.is_running());
    drop(source);
    assert!(!desk.is_running(), "it outlived the source");
}

#[test]
fn the_stride_is_that_of_the_board_unless_told_otherwise() {
    let layout = |width, stride_bytes| CsiConfig { width, height: 720, stride_bytes, ..small() }.layout();
    assert_eq!((layout(1280, None).stride, layout(1280, None).bytes()), (1280, 1_382_400));
    assert_eq!((layout(780, None).stride, layout(780, Some(780)).stride), (832, 780));
    let mut problems = Problems::default();
    small().check("camera.door.source", &mut problems);
    assert!(problems.is_empty());
    CsiConfig { width: 71, stride_bytes: Some(60), fps: 0, ..small() }.check("s", &mut problems);
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "s.width: is 71, an even number from 2 to 8192 expected",
            "s.fps: is 0, 1 to 240 expected",
            "s.stride_bytes: is 60, an even number from 71 (the width) to 16384 expected",
        ]
    );
}

#[test]
fn its_end_is_told_with_its_last_words() {
    let check = |script: &str, said: &str| {
        let desk = Desk::new(script);
        std::fs::write(desk.path("one"), padded(10, 20, 30)).unwrap();
        assert_eq!(desk.end(), said, "{script}");
        assert!(!desk.is_running(), "{script}");
    };
    check(
        "echo 'ERROR: *** no cameras available ***' >&2; exit 255",
        "CSI camera 0 (/rpicam): it ended (exit status: 255), its last words: ERROR: *** no cameras available ***",
    );
    check("cat one; cat one; exit 0", "CSI camera 0 (/rpicam): it ended (exit status: 0)");
    check(
        "cat one; head -c 100 one; kill -9 $$",
        "CSI camera 0 (/rpicam): it ended after 100 bytes of a frame (signal: 9 (SIGKILL))",
    );
    // It closes its output and goes on.
    check("cat one; exec >&-; sleep 60", "CSI camera 0 (/rpicam): it ended");
    check(
        "echo 'INFO Camera configuring streams: (0) 64x48-YUV420 (1) 1536x864-SBGGR10_CSI2P' >&2; sleep 0.3; cat one; sleep 60",
        "CSI camera 0 (/rpicam): it sends 64x48 instead of 70x4; configure that size",
    );
}

#[test]
fn a_flood_of_complaints_stops_nothing() {
    // More than a pipe holds, and lines longer than a screen.
    let desk = Desk::new(
        "yes 'a complaint' | head -c 3000000 >&2; head -c 500000 /dev/zero >&2; cat one; echo end >&2; exit 3",
    );
    std::fs::write(desk.path("one"), padded(1, 2, 3)).unwrap();
    let mut source = desk.open(&small(), &Stop::new());
    assert!(source.next_frame().unwrap().is_some());
    let error = format!("{:#}", source.next_frame().unwrap_err());
    assert!(error.ends_with("end") && error.len() < 1_500, "{} bytes: {error}", error.len());
}

#[test]
fn a_silent_camera_is_killed() {
    // Its own child holds the pipe, too.
    let desk = Desk::new("cat one; echo 'camera frontend has timed out' >&2; sleep 60; cat one");
    std::fs::write(desk.path("one"), padded(1, 2, 3)).unwrap();
    let mut source = desk.open(&small(), &Stop::new());
    assert!(source.next_frame().unwrap().is_some());
    let clock = Stopwatch::start();
    let error = format!("{:#}", source.next_frame().unwrap_err());
    assert!(error.ends_with("no frame for 5 s, its last words: camera frontend has timed out"), "{error}");
    assert!(clock.elapsed() < Span::from_millis(20_000) && !desk.is_running());
}

#[test]
fn a_missing_program_gives_one_sentence() {
    let error = CsiSource::open_with(&["/nowhere/rpicam-vid", "/nowhere/b"], &small(), &Stop::new()).err().unwrap();
    assert_eq!(
        error.to_string(),
        "a CSI camera is read by the program /nowhere/rpicam-vid or /nowhere/b, which is not installed: expected the \
         package rpicam-apps-lite"
    );
}

#[test]
fn the_size_it_takes_is_read_from_what_it_says() {
    let check = |line: &str, size| assert_eq!(child::announced(line), size, "{line}");
    let line = "[1:2.3] [45]  INFO Camera camera.cpp:1183 configuring streams: (0) 1280x720-YUV420";
    check(&format!("{line} (1) 1536x864-SBGGR10_CSI2P"), Some((1280, 720)));
    check(&format!("{line}/Rec709 (1) 1536x864-SBGGR10_CSI2P"), Some((1280, 720)));
    check("configuring streams: (0) 1536x864-SBGGR10_CSI2P", None);
    check("a 2x3-YUV420 somewhere", None);
}
