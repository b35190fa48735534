//! USB cameras and everything that happens to them, with the real binary, a real broker, and a kernel played by a preload
//! library (`fake_camera/`).

mod broker;
mod cli;
mod fake_camera;

use broker::{Broker, PATIENCE, Subscriber};
use cli::Desk;
use expect_test::expect;
use fake_camera::{FakeMachine, Plug, WEBCAM};
use serde_json::Value;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use watchpost::time::{Span, WallTime};

const DOOR: Plug = Plug { id: "door", port: "1-1.2", model: ("046d", "0825", "AB12"), is: WEBCAM };
const TILL: Plug = Plug { id: "till", port: "1-1.4", model: ("046d", "0825", "CD34"), is: WEBCAM };
/// So that a test knows soon.
const SMALL: &str = "width = 640, height = 480, fps = 15";

/// The binary among fake cameras, until it is dropped.
struct Shop {
    desk: Desk,
    broker: Broker,
    subscriber: Subscriber,
    child: Option<Child>,
}

impl Shop {
    /// `cameras` is name and source in TOML. `None`: something is missing here, and that was said.
    fn open(machine: &FakeMachine, cameras: &[(&str, &str)]) -> Option<Shop> {
        let broker = Broker::start("persistence false\n")?;
        let subscriber = broker.subscribe("dashboard", &["watchpost/s/camera/+/status"]);
        let desk = Desk::new();
        let url = broker.url();
        let mut config = format!(
            "schema = 1\ndevice = {{ id = \"s\" }}\nstore = {{ dir = \"state\" }}\nmqtt = {{ url = \"{url}\" }}\n\
             model = {{ name = \"nanodet-g-int8\" }}\n"
        );
        for (name, source) in cameras {
            config += &format!("[camera.{name}]\nsource = {{ kind = \"usb\", {source} }}\n");
        }
        desk.put("w.toml", config);
        let log = std::fs::File::create(desk.path("log")).unwrap();
        let mut command = desk.command("run --config w.toml");
        let child = machine.show(&mut command).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Some(Shop { desk, broker, subscriber, child: Some(child) })
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.desk.path("log")).unwrap()
    }

    /// Waits until a camera is in that state; gives the reason and since when.
    #[track_caller]
    fn until(&self, camera: &str, state: &str) -> (String, WallTime) {
        let topic = format!("watchpost/s/camera/{camera}/status ");
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let Ok(line) = self.subscriber.lines.recv_timeout(Duration::from_millis(200)) else { continue };
            let Some(payload) = line.strip_prefix(&topic) else { continue };
            let status: Value = serde_json::from_str(payload).unwrap();
            if status["state"] == state {
                let since = WallTime::parse(status["since"].as_str().unwrap()).unwrap();
                return (status["reason"].as_str().unwrap().to_owned(), since);
            }
        }
        panic!("{camera} is not {state}:\n{}", self.log())
    }

    #[track_caller]
    fn until_logged(&self, words: &str) {
        let began = Instant::now();
        while !self.log().contains(words) {
            assert!(began.elapsed() < PATIENCE, "\"{words}\" is missing in:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The picture of a camera, as a dashboard gets it.
    fn snapshot(&self, camera: &str) -> image::RgbImage {
        let mut command = Command::new("mosquitto_sub");
        command.args(["-h", "127.0.0.1", "-p", &self.broker.port.to_string(), "-C", "1", "-N", "-W", "60"]);
        let out = command.args(["-t", &format!("watchpost/s/camera/{camera}/snapshot")]).output().unwrap();
        image::load_from_memory(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", self.log())).into_rgb8()
    }

    /// SIGTERM: it ends well, and soon, whatever its cameras do.
    fn close(mut self) {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let began = Instant::now();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        assert!(status.success() && began.elapsed() < Duration::from_secs(10), "{status}:\n{}", self.log());
        assert!(!self.log().contains("panicked"), "{}", self.log());
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn now() -> WallTime {
    WallTime::now()
}

#[test]
fn what_is_connected_is_told_in_words() {
    let Some(machine) = FakeMachine::new() else { return };
    machine.plug(0, 0, &DOOR);
    let twin = "driver uvcvideo\ncard HD Webcam C270\nbus usb-fake-1\ncaps 04800000\n";
    machine.plug(1, 1, &Plug { id: "twin", is: twin, ..DOOR });
    let old = "driver uvcvideo\ncard Left in H.264\nbus usb-fake-2\ncaps 04200001\nnow H264 1920 1080 2/60\n\
               mode MJPG 1920 1080 2/60\nmode H264 1920 1080 2/60\n";
    machine.plug(2, 0, &Plug { id: "old", port: "1-1.3", model: ("1bcf", "2281", ""), is: old });
    let stream = "driver uvcvideo\ncard Stream Only\nbus usb-fake-3\ncaps 04200001\nmode H264 1920 1080 1/30\n";
    machine.plug(4, 0, &Plug { id: "stream", port: "2-1", model: ("aaaa", "bbbb", "X\"Y"), is: stream });
    let codec = "driver bcm2835-codec\ncard bcm2835-codec-decode\nbus platform\ncaps 04204000\nmode NV12 64 64 1/30\n";
    machine.plug(10, 0, &Plug { id: "codec", port: "", model: ("", "", ""), is: codec });
    let isp = "driver bcm2835-isp\ncard bcm2835-isp\nbus platform\ncaps 04200001\nmode NV12 64 64 1/30\n";
    machine.plug(13, 0, &Plug { id: "isp", port: "", model: ("", "", ""), is: isp });
    let desk = Desk::new();
    let said = |line: &str| {
        let mut command = desk.command(line);
        // No program that knows of CSI cameras.
        let out = machine.show(command.env("PATH", "")).output().unwrap();
        assert_eq!((out.status.code(), String::from_utf8_lossy(&out.stderr).as_ref()), (Some(0), ""));
        String::from_utf8(out.stdout).unwrap()
    };
    expect![[r#"
        HD Webcam C270 (/dev/video0, USB socket 1-1.2)
            YUYV   640x480 at 30, 15 fps
            MJPG   640x480 at 30, 15 fps; 1280x720 at 30, 15, 10 fps
            to use it:

                [camera.camera1.source]
                kind = "usb"
                device = "usb:046d:0825:AB12"

        Left in H.264 (/dev/video2, USB socket 1-1.3)
            MJPG   1920x1080 at 30 fps
            H264   1920x1080 at 30 fps (not read)
            to use it:

                [camera.camera2.source]
                kind = "usb"
                device = "usb:1bcf:2281"

        Stream Only (/dev/video4, USB socket 2-1)
            H264   1920x1080 at 30 fps (not read)
            cannot be used: sends H264, expected MJPG, YUYV or NV12
    "#]]
    .assert_eq(&said("cameras"));
    let report: Value = serde_json::from_str(&said("cameras --json")).unwrap();
    let cameras = report["cameras"].as_array().unwrap();
    assert_eq!(
        cameras.iter().map(|c| c["id"].as_str().unwrap()).collect::<Vec<_>>(),
        ["usb:046d:0825:AB12", "usb:1bcf:2281", "usb:aaaa:bbbb"]
    );
    assert_eq!(cameras[0]["modes"][2]["size"], serde_json::json!([1280, 720]));
    // A device that only /dev knows, as in a container.
    std::fs::remove_dir_all(machine.path("sys/class/video4linux/video2")).unwrap();
    assert!(said("cameras").contains("Left in H.264 (/dev/video2)\n"));
    // The crate that looks there does not take a name without a number; the kernel's own list does without it.
    std::fs::write(machine.path("dev/video-of-the-shop"), "").unwrap();
    let mut command = desk.command("cameras");
    let out = machine.show(command.env("PATH", "")).output().unwrap();
    assert!(String::from_utf8_lossy(&out.stdout).starts_with("HD Webcam C270 (/dev/video0"));
}

/// A picture of pedestrians from a film that Debian has; `None` where it or ffmpeg is missing.
fn pedestrians() -> Option<Vec<u8>> {
    let film = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
    if broker::find("ffmpeg").is_none() || !std::path::Path::new(film).exists() {
        assert!(std::env::var_os("CI").is_none(), "ffmpeg or opencv-doc is not installed");
        println!("skipped: ffmpeg or opencv-doc is not installed");
        return None;
    }
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-ss", "10", "-i", film, "-frames:v", "1", "-q:v", "2", "-f", "mjpeg", "-"]);
    Some(command.output().unwrap().stdout)
}

#[test]
fn people_before_a_camera_are_counted() {
    let (Some(machine), Some(picture)) = (FakeMachine::new(), pedestrians()) else { return };
    // Left in H.264 by its last user, with an interval that is no whole number of a second's parts.
    let is = "driver uvcvideo\ncard Street\nbus usb-fake-1\ncaps 04200001\nnow H264 1920 1080 2/60\n\
              mode MJPG 768 576 2/60 1/15\nmode H264 1920 1080 2/60\n";
    machine.plug(0, 0, &Plug { is, ..DOOR });
    machine.send("door", "MJPG", &picture);
    let Some(shop) = Shop::open(&machine, &[("door", "device = \"usb:046d:0825:AB12\"")]) else { return };
    shop.until("door", "live");
    let people = |line: &String| line.rsplit(' ').next().and_then(|n| n.parse::<u32>().ok());
    shop.broker.retained("watchpost/s/camera/door/person", |lines| lines.first().and_then(people) > Some(1));
    shop.until_logged("Street, 768x576 MJPG at 15 fps (usb:046d:0825:AB12, /dev/video0)");
    shop.close();
}

#[test]
fn an_unplugged_camera_comes_back_under_another_number() {
    let Some(machine) = FakeMachine::new() else { return };
    machine.plug(0, 0, &DOOR);
    machine.plug(4, 0, &TILL);
    for camera in ["door", "till"] {
        machine.send(camera, "MJPG", &cli::jpeg(640, 480));
    }
    let door = format!("device = \"usb:046d:0825:AB12\", {SMALL}");
    // The other one is named by its socket.
    let till = format!("device = \"usb:1-1.4\", {SMALL}");
    let Some(shop) = Shop::open(&machine, &[("door", &door), ("till", &till)]) else { return };
    shop.until("door", "live");
    let unplugged = now();
    machine.unplug(0);
    let (_, since) = shop.until("door", "down");
    assert!(since - unplugged < Span::from_millis(2_000), "told after {:?}", since - unplugged);
    shop.until_logged("usb:046d:0825:AB12 (/dev/video0): was unplugged");
    // Long enough for the wait between two tries to grow.
    shop.until_logged("usb:046d:0825:AB12 is not plugged in; there are: /dev/video4 (usb:1-1.4, HD Webcam C270)");
    std::thread::sleep(Duration::from_secs(6));
    machine.plug(7, 0, &DOOR);
    let plugged = now();
    let (_, since) = shop.until("door", "live");
    println!("first frame {:.2} s after it was plugged in", (since - plugged).secs_f64());
    assert!(since - plugged < Span::from_millis(2_000), "first frame after {:?}", since - plugged);
    let log = shop.log();
    assert!(log.contains("/dev/video7"), "{log}");
    assert!(!log.lines().any(|line| line.contains("lost") && line.contains("till")), "{log}");
    shop.close();
}

#[test]
fn a_frozen_camera_is_stalled_then_reopened_and_slows_nobody() {
    let Some(machine) = FakeMachine::new() else { return };
    machine.plug(0, 0, &DOOR);
    machine.plug(4, 0, &TILL);
    for camera in ["door", "till"] {
        machine.send(camera, "MJPG", &cli::jpeg(640, 480));
    }
    let [door, till] = ["AB12", "CD34"].map(|serial| format!("device = \"usb:046d:0825:{serial}\", {SMALL}"));
    let Some(shop) = Shop::open(&machine, &[("door", &door), ("till", &till)]) else { return };
    shop.until("door", "live");
    let frozen = now();
    machine.set("door", "freeze", true);
    let (_, since) = shop.until("door", "stalled");
    println!("stalled {:.2} s after the last frame", (since - frozen).secs_f64());
    assert!(since - frozen < Span::from_millis(3_500), "stalled after {:?}", since - frozen);
    let (reason, _) = shop.until("door", "down");
    assert_eq!(reason, "usb:046d:0825:AB12 (/dev/video0): no frame for 5 s");
    // The first report is of the first 5 s, in most of which this camera was frozen.
    let health = shop.broker.retained("watchpost/s/health", |lines| !lines.is_empty());
    let health: Value = serde_json::from_str(health[0].split_once(' ').unwrap().1).unwrap();
    let fps = health["cameras"]["till"]["fps_in"].as_f64().unwrap_or_else(|| panic!("{health:#}"));
    println!("the other camera: {fps} of 15 frames per second");
    assert!(fps > 9.0, "{fps} frames per second");
    machine.set("door", "freeze", false);
    shop.until("door", "live");
    let log = shop.log();
    assert!(!log.lines().any(|line| line.contains("lost") && line.contains("till")), "{log}");
    // Frozen again, it does not keep the appliance from ending.
    machine.set("door", "freeze", true);
    shop.close();
}

#[test]
fn broken_frames_are_skipped_and_another_size_reopens() {
    let Some(machine) = FakeMachine::new() else { return };
    machine.plug(0, 0, &DOOR);
    let whole = cli::jpeg(640, 480);
    machine.send("door", "MJPG", &whole);
    let Some(shop) = Shop::open(&machine, &[("door", &format!("device = \"/dev/video0\", {SMALL}"))]) else { return };
    shop.until("door", "live");
    // The rest of the last picture is still in the buffer behind it, and must not complete it.
    machine.send("door", "MJPG", &whole[..whole.len() / 2]);
    shop.until_logged("A broken frame was skipped");
    machine.send("door", "MJPG", &whole);
    shop.until_logged("cut off after");
    assert!(!shop.log().contains("Camera lost"), "a few broken frames are no outage: {}", shop.log());
    for garbage in [&[0x55; 5000][..], b"", &whole[..20]] {
        machine.send("door", "MJPG", garbage);
        let (reason, _) = shop.until("door", "down");
        assert!(reason.starts_with("/dev/video0 (/dev/video0): 30 broken frames in a row: "), "{reason}");
        machine.send("door", "MJPG", &whole);
        shop.until("door", "live");
    }
    machine.set("door", "corrupt", true);
    let (reason, _) = shop.until("door", "down");
    assert!(reason.ends_with("30 broken frames in a row: the driver marked it as damaged"), "{reason}");
    machine.set("door", "corrupt", false);
    shop.until("door", "live");
    machine.send("door", "MJPG", &cli::jpeg(320, 240));
    let (reason, _) = shop.until("door", "down");
    assert_eq!(reason, "/dev/video0 (/dev/video0): its pictures changed from 640x480 to 320x240");
    shop.until("door", "live");
    assert_eq!(shop.snapshot("door").dimensions(), (640, 480), "the first picture since the start");
    shop.close();
}

/// Left half and right half of a snapshot, their middles, as light as they are.
fn halves(picture: &image::RgbImage) -> [u8; 2] {
    let (w, h) = picture.dimensions();
    [w / 4, 3 * w / 4].map(|x| picture.get_pixel(x, h / 2).0[1])
}

#[test]
fn raw_pictures_come_without_padding_even_if_the_driver_chose_them() {
    let Some(machine) = FakeMachine::new() else { return };
    // Asked for MJPEG, this driver takes YUYV all the same.
    let stubborn = "driver uvcvideo\ncard Stubborn\nbus usb-fake-1\ncaps 04200001\nmode MJPG 640 480 1/15\n\
                    sticky YUYV 320 240\nstride 704\n";
    machine.plug(0, 0, &Plug { is: stubborn, ..DOOR });
    let row: Vec<u8> = (0..704)
        .map(|x| {
            if x % 2 == 1 {
                128
            } else if x < 320 {
                60
            } else {
                200
            }
        })
        .collect();
    machine.send("door", "YUYV", &row.repeat(240));
    let planar = "driver other\ncard Planar\nbus usb-fake-2\ncaps 04200001\nmode NV12 322 242 1/15\nstride 384\n";
    machine.plug(4, 0, &Plug { is: planar, ..TILL });
    let luma: Vec<u8> = (0..384).map(|x| if x < 161 { 60 } else { 200 }).collect();
    machine.send("till", "NV12", &[luma.repeat(242), vec![128; 384 * 121]].concat());
    let [door, till] = ["AB12", "CD34"].map(|serial| format!("device = \"usb:046d:0825:{serial}\", {SMALL}"));
    let Some(shop) = Shop::open(&machine, &[("door", &door), ("till", &till)]) else { return };
    for (camera, size) in [("door", (320, 240)), ("till", (322, 242))] {
        shop.until(camera, "live");
        let picture = shop.snapshot(camera);
        assert_eq!(picture.dimensions(), size);
        let [left, right] = halves(&picture);
        // 60 and 200 of 16..235.
        assert!(left.abs_diff(51) < 4 && right.abs_diff(214) < 4, "{camera}: {left} {right}");
        // Padding that is taken for picture shifts every row a little further.
        let edge: Vec<u8> = (0..size.1).map(|y| picture.get_pixel(size.0 / 2 - 12, y).0[1]).collect();
        assert!(edge.iter().all(|light| light.abs_diff(51) < 12), "{camera}: {edge:?}");
    }
    assert!(shop.log().contains("Stubborn, 320x240 YUYV at"), "{}", shop.log());
    shop.close();
}
