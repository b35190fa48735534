//! A CSI camera as the appliance sees it: programs of the test's own play `rpicam-vid` and `rpicam-hello`, found on a
//! search path that only the child process has.

mod cli;

use cli::Desk;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// A folder for the search path, with a program in it.
fn program(desk: &Desk, name: &str, script: &str) {
    std::fs::create_dir_all(desk.path("bin")).unwrap();
    let file: PathBuf = desk.path("bin").join(name);
    std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
}

/// The scripts need `cat` and `sleep`.
fn with_path<'c>(desk: &Desk, command: &'c mut Command) -> &'c mut Command {
    command.env("PATH", format!("{}:/usr/bin:/bin", desk.path("bin").display()))
}

struct Appliance<'a> {
    desk: &'a Desk,
    child: Child,
}

impl<'a> Appliance<'a> {
    fn start(desk: &'a Desk, source: &str) -> Appliance<'a> {
        let config = format!(
            "schema = 1\ndevice = {{ id = \"s\" }}\nstore = {{ dir = \"state\" }}\n[camera.door]\nsource = {{ kind = \"csi\"{source} }}\n"
        );
        desk.put("w.toml", config);
        let log = std::fs::File::create(desk.path("log")).unwrap();
        let mut command = desk.command("run --config w.toml");
        let child =
            with_path(desk, &mut command).env("CAMERA", "kept").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Appliance { desk, child }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.desk.path("log")).unwrap()
    }

    #[track_caller]
    fn until_logged(&self, words: &str) {
        let began = Instant::now();
        while !self.log().contains(words) {
            assert!(began.elapsed() < PATIENCE, "\"{words}\" is missing in:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn close(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.log());
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }
}

impl Drop for Appliance<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_camera_that_dies_is_started_again() {
    let desk = Desk::new();
    // The older name; it dies once, and then goes on.
    let script = "cd $0-s && echo $$ $CAMERA >> started && [ $(wc -l < started) -gt 1 ] || { cat frame; echo 'ERROR: bus error' >&2; exit 1; }\n\
                  while :; do cat frame; touch went-on; sleep 0.05; done";
    program(&desk, "libcamera-vid", script);
    std::fs::create_dir(desk.path("bin/libcamera-vid-s")).unwrap();
    std::fs::write(desk.path("bin/libcamera-vid-s/frame"), vec![128; 640 * 480 * 3 / 2]).unwrap();
    let appliance = Appliance::start(&desk, ", width = 640, height = 480");
    appliance.until_logged("it ended (exit status: 1), its last words: ERROR: bus error");
    appliance.until_logged("Camera lost, will reopen.");
    let began = Instant::now();
    while !desk.path("bin/libcamera-vid-s/went-on").exists() {
        assert!(began.elapsed() < PATIENCE, "{}", appliance.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    appliance.close();
    let started = std::fs::read_to_string(desk.path("bin/libcamera-vid-s/started")).unwrap();
    assert!(started.lines().all(|line| line.ends_with(" kept")), "its environment: {started}");
    for pid in started.lines().filter_map(|line| line.split(' ').next()) {
        assert!(!std::path::Path::new("/proc").join(pid).exists(), "{pid} outlived the appliance");
    }
}

#[test]
fn without_the_program_the_log_says_what_to_install() {
    let desk = Desk::new();
    let appliance = Appliance::start(&desk, "");
    appliance.until_logged(
        "a CSI camera is read by the program rpicam-vid or libcamera-vid, which is not installed: expected the package \
         rpicam-apps-lite",
    );
    appliance.close();
}

#[test]
fn cameras_on_the_ribbon_cable_are_listed() {
    let desk = Desk::new();
    let list = "cat <<'E'\nAvailable cameras\n-----------------\n\
                0 : imx708 [4608x2592 10-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx708@1a)\n    \
                Modes: 'SRGGB10_CSI2P' : 1536x864 [120.13 fps - (768, 432)/3072x1728 crop]\nE";
    program(&desk, "rpicam-hello", list);
    let mut command = desk.command("cameras");
    let out = with_path(&desk, &mut command).output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    let ours = "imx708 (ribbon cable)\n    sensor 1536x864 at 120 fps\n    to use it:\n\n        [camera.camera1.source]\n        \
                kind = \"csi\"\n        camera = 0\n";
    assert!(said.ends_with(ours), "{said}");
}
