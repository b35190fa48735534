//! The whole program with network cameras: a real RTSP server that hangs, dies and comes back, a real broker that hears
//! of it, and a dead camera beside that slows nobody.

mod appliance;
mod broker;
mod cli;
mod rtsp_server;

use appliance::{Appliance, until};
use broker::Broker;
use cli::Desk;
use rtsp_server::Server;
use rustix::process::Signal;
use std::time::Duration;
use watchpost::store::{Store, StoreConfig};

#[test]
fn a_network_camera_hangs_dies_and_comes_back_and_a_dead_one_slows_nobody() {
    let (Some(mut server), Some(broker)) = (Server::start(), Broker::start("persistence false\n")) else { return };
    let subscriber = broker.subscribe("dashboard", &["watchpost/s/camera/+/status", "watchpost/s/health"]);
    let (desk, port, dead) = (Desk::new(), server.port, broker::free_port());
    desk.put("pass", "secret\n");
    desk.put(
        "w.toml",
        format!(
            "schema = 1\ndevice = {{ id = \"s\" }}\nstore = {{ dir = \"state\" }}\nmqtt = {{ url = \"{}\" }}\n\
             model = {{ name = \"nanodet-g-int8\" }}\n\
             [camera.door]\nsource = {{ kind = \"rtsp\", url = \"{}\", user = \"me\", password_file = \"pass\" }}\n\
             [camera.yard]\nsource = {{ kind = \"rtsp\", url = \"rtsp://127.0.0.1:{dead}/x\" }}\n",
            broker.url(),
            server.url("closed"),
        ),
    );
    let appliance = Appliance::start(&desk);

    let (_, told) = until(&subscriber, "door", "live");
    assert!(told.contains(r#""decoder":"H.264 in the program""#), "{told}");
    server.signal(Signal::STOP);
    let (silent, _) = until(&subscriber, "door", "stalled");
    assert!(silent < Duration::from_millis(4_500), "stalled after {silent:?}");
    let (_, told) = until(&subscriber, "door", "down");
    assert!(told.contains("127.0.0.1") && !told.contains("secret"), "{told}");
    server.signal(Signal::CONT);
    let (hung, _) = until(&subscriber, "door", "live");

    drop(server);
    until(&subscriber, "door", "down");
    // Long enough for the pauses between tries to grow beyond what is asked for below.
    std::thread::sleep(Duration::from_secs(8));
    server = Server::at(port).unwrap();
    let (died, _) = until(&subscriber, "door", "live");
    println!("first frame {hung:?} after a hang and {died:?} after a restart");
    // 2 s and the status' own second, on a machine that does other things.
    assert!(died < Duration::from_millis(4_500), "back after {died:?}");
    assert!(hung < Duration::from_millis(6_500), "back after {hung:?}");

    let yard = broker.retained("watchpost/s/camera/yard/status", |lines| !lines.is_empty());
    assert!(yard[0].contains("\"down\"") && yard[0].contains("cannot connect"), "{yard:?}");
    let log = appliance.stop();
    // Of the hang and of the 8 s, minute by minute.
    let store = Store::open(&desk.path("state"), &StoreConfig::default()).unwrap();
    let minutes = store.blind(0).unwrap();
    let door = minutes.iter().filter(|minute| minute.camera.as_str() == "door");
    let blind_s: f64 = door.map(|minute| minute.blind_s).sum();
    assert!(blind_s > 9.0 && minutes.iter().all(|minute| minute.blind_s <= 60.0), "{minutes:?}");
    assert!(log.contains("Camera lost") && !log.contains("secret"), "{log}");
    drop(server);
}
