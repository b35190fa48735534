//! The whole program with an MJPEG camera: it freezes, dies and comes back, is covered and uncovered, and a real broker
//! hears of each.

mod appliance;
mod broker;
mod cli;
mod http_server;

use appliance::{Appliance, until};
use broker::Broker;
use cli::Desk;
use http_server::{Request, Scheme, Server, begin, challenge, knows, part, say};
use image::{GrayImage, ImageFormat, Luma};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

const PLAYS: u8 = 0;
const FREEZES: u8 = 1;
const IS_COVERED: u8 = 2;

/// Shelves of things in many shades, or a hand before the lens; both with the noise of a real sensor.
fn picture(is_covered: bool, index: u64) -> Vec<u8> {
    let mut state = index + 1;
    let grey = GrayImage::from_fn(320, 240, |x, y| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let shade = ((x / 23).wrapping_mul(2_654_435) + (y / 19).wrapping_mul(805_459)) ^ 0x5bd1;
        let shade = if is_covered { 110 } else { 60 + (shade.wrapping_mul(2_246_822_519) >> 24) / 2 };
        Luma([(shade + (state >> 61) as u32) as u8])
    });
    cli::encoded(&image::DynamicImage::from(grey).into_rgb8(), ImageFormat::Jpeg)
}

/// Asks for a login and does what `mode` says. Every fourth picture is broken.
fn camera(mode: Arc<AtomicU8>) -> impl Fn(&Request, &mut dyn Write) -> io::Result<bool> + Send + Sync + 'static {
    move |request, out| {
        if !knows(request, Scheme::Md5, "n") {
            return say(out, "401 Unauthorized", &challenge(Scheme::Md5, "n"), b"");
        }
        begin(out, "multipart/x-mixed-replace; boundary=frame")?;
        for index in 0.. {
            match mode.load(Ordering::SeqCst) {
                // A probe that does no harm, to see whether anybody is still there.
                FREEZES => out.write_all(b"\n")?,
                mode => {
                    let jpeg = picture(mode == IS_COVERED, index);
                    out.write_all(&part(if index % 4 == 3 { &jpeg[..jpeg.len() / 2] } else { &jpeg }))?;
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(false)
    }
}

fn put_config(desk: &Desk, broker: &Broker, cameras: &str) {
    let url = broker.url();
    let text = format!(
        "schema = 1\ndevice = {{ id = \"s\" }}\nstore = {{ dir = \"state\" }}\nmqtt = {{ url = \"{url}\" }}\n\
         model = {{ name = \"nanodet-g-int8\" }}\n{cameras}"
    );
    desk.put("pass", "secret\n").put("w.toml", text);
}

fn door(port: u16) -> String {
    format!(
        "[camera.door]\nsource = {{ kind = \"http\", url = \"http://127.0.0.1:{port}/video?channel=key-17\", \
         user = \"me\", password_file = \"pass\" }}\n"
    )
}

#[test]
fn an_http_camera_hangs_dies_and_comes_back_and_a_dead_one_slows_nobody() {
    let Some(broker) = Broker::start("persistence false\n") else { return };
    let subscriber = broker.subscribe("dashboard", &["watchpost/s/camera/+/status"]);
    let (desk, mode, dead) = (Desk::new(), Arc::new(AtomicU8::new(PLAYS)), broker::free_port());
    let server = Server::start(camera(mode.clone()));
    let port = server.port;
    let other = |name: &str, kind: &str, host: &str| {
        format!("[camera.{name}]\nsource = {{ kind = \"{kind}\", url = \"{kind}://{host}/x\" }}\n")
    };
    let yard = other("yard", "http", &format!("127.0.0.1:{dead}"));
    let unknown = other("roof", "http", "no-such-host.invalid") + &other("attic", "rtsp", "no-such-host.invalid");
    put_config(&desk, &broker, &format!("{}{yard}{unknown}", door(port)));
    let appliance = Appliance::start(&desk);

    until(&subscriber, "door", "live");
    mode.store(FREEZES, Ordering::SeqCst);
    let (silent, _) = until(&subscriber, "door", "stalled");
    assert!(silent < Duration::from_millis(4_500), "stalled after {silent:?}");
    let (_, told) = until(&subscriber, "door", "down");
    assert!(told.contains(&format!("HTTP camera 127.0.0.1:{port}: no picture for 5 s")), "{told}");
    // It answers all the time, so nothing tells when it would play again.
    mode.store(PLAYS, Ordering::SeqCst);
    let (hung, _) = until(&subscriber, "door", "live");

    drop(server);
    until(&subscriber, "door", "down");
    // Long enough for the pauses between tries to grow beyond what is asked for below.
    std::thread::sleep(Duration::from_secs(8));
    let _server = Server::at(port, camera(mode));
    let (died, _) = until(&subscriber, "door", "live");
    println!("first frame {hung:?} after a hang and {died:?} after a restart");
    // 2 s and the status' own second, on a machine that does other things.
    assert!(died < Duration::from_millis(4_500), "back after {died:?}");
    assert!(hung < Duration::from_millis(6_500), "back after {hung:?}");

    let yard = broker.retained("watchpost/s/camera/yard/status", |lines| !lines.is_empty());
    assert!(yard[0].contains("\"down\"") && yard[0].contains("cannot connect: Connection refused"), "{yard:?}");
    for name in ["roof", "attic"] {
        let status = broker.retained(&format!("watchpost/s/camera/{name}/status"), |lines| !lines.is_empty());
        let expected = "camera no-such-host.invalid: its host name cannot be found (";
        assert!(status[0].contains("\"down\"") && status[0].contains(expected), "{status:?}");
    }
    let log = appliance.stop();
    for name in ["roof", "attic"] {
        let tries = log.lines().filter(|line| line.contains("Camera lost") && line.contains(&format!("{name:?}")));
        assert!(tries.count() >= 4, "{name} is tried again and again: {log}");
    }
    assert!(log.contains("Camera lost") && !log.contains("secret") && !log.contains("key-17"), "{log}");
}

#[test]
fn a_camera_that_is_covered_is_blind_until_it_is_uncovered_and_broken_pictures_are_counted() {
    let Some(broker) = Broker::start("persistence false\n") else { return };
    let subscriber = broker.subscribe("dashboard", &["watchpost/s/camera/+/status", "watchpost/s/health"]);
    let recorder = broker.subscribe("recorder", &["watchpost/s/event"]);
    let (desk, mode) = (Desk::new(), Arc::new(AtomicU8::new(PLAYS)));
    let server = Server::start(camera(mode.clone()));
    put_config(&desk, &broker, &format!("{}[camera.door.tamper]\nafter_s = 1.0\n", door(server.port)));
    let appliance = Appliance::start(&desk);

    until(&subscriber, "door", "live");
    let number = |health: &str, key: &str| {
        let json: serde_json::Value = serde_json::from_str(health.split_once(' ').unwrap().1).unwrap();
        json["cameras"]["door"][key].as_f64().unwrap()
    };
    let health = subscriber.until(|line| line.starts_with("watchpost/s/health ")).pop().unwrap();
    let (failed, fps) = (number(&health, "failed"), number(&health, "fps_in"));
    assert!(failed >= 1.0 && fps > failed / 5.0, "a fourth is broken: {health}");
    // What it usually shows is learned in twenty looks, twice a second.
    std::thread::sleep(Duration::from_secs(13));
    mode.store(IS_COVERED, Ordering::SeqCst);
    let (covered, told) = until(&subscriber, "door", "blind");
    assert!(told.contains("\"reason\":\"the lens seems to be covered\""), "{told}");
    mode.store(PLAYS, Ordering::SeqCst);
    let (uncovered, told) = until(&subscriber, "door", "live");
    assert!(told.contains("\"reason\":\"\""), "{told}");
    println!("blind after {covered:?}, live again after {uncovered:?}");
    // A second that is asked for, or three to be sure, and looks that are half a second apart.
    assert!(covered < Duration::from_secs(7) && uncovered < Duration::from_secs(9), "{covered:?} {uncovered:?}");
    let events = recorder.until(|event| event.contains("camera_covered") && event.contains("\"phase\":\"end\""));
    assert!(events.iter().any(|event| event.contains("camera_covered") && event.contains("start")), "{events:?}");
    appliance.stop();
}
