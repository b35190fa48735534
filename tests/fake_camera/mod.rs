//! V4L2 cameras without any: a preload library (`fake_camera.c`, compiled here) plays the kernel's part for one child
//! process, from a folder that is the child's `/dev` and `/sys`.

// Each test file uses its own part of this.
#![allow(dead_code)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The folder, and what is plugged in.
pub struct FakeMachine {
    root: TempDir,
    library: PathBuf,
}

/// A camera: where it is plugged, and what it says about itself.
pub struct Plug<'a> {
    /// Any word; it stays the same over replugging.
    pub id: &'a str,
    /// `1-1.2`; empty: built in.
    pub port: &'a str,
    /// Vendor, product, serial number.
    pub model: (&'a str, &'a str, &'a str),
    /// Lines for `cameras/ID`, see the C file.
    pub is: &'a str,
}

/// A webcam as there are many.
pub const WEBCAM: &str = "\
    driver uvcvideo\ncard HD Webcam C270\nbus usb-fake-1\ncaps 04200001\n\
    mode YUYV 640 480 1/30 1/15\nmode MJPG 640 480 1/30 1/15\nmode MJPG 1280 720 1/30 2/60 1/15 1/10\n";

impl FakeMachine {
    /// `None` (and a word about it) where there is no C compiler, unless this is CI, which must have one.
    pub fn new() -> Option<FakeMachine> {
        let root = tempfile::tempdir().unwrap();
        let library = root.path().join("fake_camera.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fake_camera/fake_camera.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]);
        // gcc thinks that poll() only writes into what it is given.
        cc.arg("-Wno-maybe-uninitialized").arg("-o").arg(&library).arg(source).arg("-ldl");
        match cc.status() {
            Ok(status) => assert!(status.success(), "the fake camera does not compile"),
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "cc: {error}");
                println!("skipped: there is no C compiler");
                return None;
            }
        }
        for folder in ["dev/v4l/by-id", "sys/class/video4linux", "sys/devices/fake", "cameras", "frames"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        Some(FakeMachine { root, library })
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        // What the kernel resolves, it resolves to the real place.
        self.root.path().canonicalize().unwrap().join(name)
    }

    /// Makes the process that `command` starts see the cameras.
    pub fn show<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let root = self.root.path().canonicalize().unwrap();
        command.env("LD_PRELOAD", &self.library).env("FAKE_CAMERAS", root)
    }

    /// As `/dev/videoN`; `index` is which of the camera's video devices it is.
    pub fn plug(&self, number: u32, index: u32, plug: &Plug) {
        let Plug { id, port, model, is } = plug;
        self.write(&format!("cameras/{id}"), is.as_bytes());
        std::fs::create_dir_all(self.path(format!("frames/{id}"))).unwrap();
        let entry = self.path(format!("sys/class/video4linux/video{number}"));
        std::fs::create_dir_all(&entry).unwrap();
        let card = is.lines().find_map(|line| line.strip_prefix("card ")).unwrap();
        std::fs::write(entry.join("name"), format!("{card}\n")).unwrap();
        std::fs::write(entry.join("index"), format!("{index}\n")).unwrap();
        if !port.is_empty() {
            let device = self.path(format!("sys/devices/fake/usb1/{port}"));
            std::fs::create_dir_all(device.join(format!("{port}:1.0"))).unwrap();
            for (file, text) in [("idVendor", model.0), ("idProduct", model.1), ("serial", model.2)] {
                std::fs::write(device.join(file), format!("{text}\n")).unwrap();
            }
            symlink(format!("../../../devices/fake/usb1/{port}/{port}:1.0"), entry.join("device")).unwrap();
        }
        // Last, as the kernel does it: who looks for the device finds all of it.
        self.write(&format!("dev/video{number}"), id.as_bytes());
    }

    pub fn unplug(&self, number: u32) {
        std::fs::remove_file(self.path(format!("dev/video{number}"))).unwrap();
        std::fs::remove_dir_all(self.path(format!("sys/class/video4linux/video{number}"))).unwrap();
    }

    /// What the camera sends from now on.
    pub fn send(&self, id: &str, code: &str, bytes: &[u8]) {
        self.write(&format!("frames/{id}/{code}"), bytes);
    }

    /// `freeze` or `corrupt`
    pub fn set(&self, id: &str, what: &str, on: bool) {
        let file = self.path(format!("cameras/{id}.{what}"));
        if on { std::fs::write(file, "").unwrap() } else { std::fs::remove_file(file).unwrap() }
    }

    /// Never half of it.
    fn write(&self, name: &str, bytes: &[u8]) {
        let new = self.path("new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }
}
