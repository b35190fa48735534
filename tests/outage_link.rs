//! The link against a real broker, in this process: refusals, outages, retained state, commands, goodbye.

mod broker;

use broker::{Broker, PATIENCE, find, free_port};
use embedded_svc::mqtt::client::QoS;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use watchpost::detection::Class;
use watchpost::event::{Event, EventId, Phase, Place, Severity};
use watchpost::ids::{CameraId, DeviceId, LineId, RuleId};
use watchpost::link::{Link, LinkHandle, LinkPlan, Outcome, Site, SiteCamera, Verb};
use watchpost::platform::MqttConfig;
use watchpost::store::{Store, StoreConfig};
use watchpost::time::{Span, WallTime};

/// A store and a link in a folder of their own.
struct Shop {
    store: Store,
    link: LinkHandle,
    dir: tempfile::TempDir,
    recorded: u64,
}

const TWO_SECONDS: Span = Span::from_millis(2000);

impl Shop {
    fn at(url: &str) -> Shop {
        Shop::with(quick(url))
    }

    fn with(mqtt: MqttConfig) -> Shop {
        Shop::in_folder(mqtt, tempfile::tempdir().unwrap())
    }

    fn in_folder(mqtt: MqttConfig, dir: tempfile::TempDir) -> Shop {
        let store = Store::open(dir.path(), &StoreConfig::default()).unwrap();
        let link = Link::spawn(LinkPlan {
            mqtt,
            device: DeviceId::new("till-3"),
            state_dir: dir.path().into(),
            version: "1.2.3".into(),
            boot: store.boot().into(),
            since: WallTime::EPOCH,
        });
        let recorded = store.health().recorded;
        Shop { store, link: link.unwrap(), dir, recorded }
    }

    /// Records events; every third is a warning.
    fn record(&mut self, n: u64) {
        let first = self.recorded + 1;
        self.recorded += n;
        self.store.record((first..first + n).map(event).collect()).unwrap();
        self.link.wake();
    }

    #[track_caller]
    fn wait(&self, what: &str, is: impl Fn(&LinkHandle) -> bool) {
        let began = Instant::now();
        while !is(&self.link) {
            assert!(began.elapsed() < PATIENCE, "still not {what}: {:#?}", self.link.state());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    #[track_caller]
    fn wait_connected(&self, connects: u64) {
        self.wait("connected", |link| link.state().connected && link.state().connects >= connects);
    }

    #[track_caller]
    fn error(&self) -> String {
        self.wait("failed", |link| link.state().error.is_some());
        self.link.state().error.unwrap()
    }
}

/// No waiting for subscribers, no sending again, unless a test is about it.
fn quick(url: &str) -> MqttConfig {
    MqttConfig { settle_s: 0.0, resend_s: 0.0, ..MqttConfig::at(url) }
}

fn event(n: u64) -> Event {
    let at = WallTime::from_micros(n as i64 * 1000);
    Event {
        id: EventId::derive(at, &["test"]),
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
        explain: "A person went in.".into(),
    }
}

/// `event 7`, `alert 9 late`
fn short(line: &str) -> String {
    let (topic, payload) = line.split_once(' ').unwrap();
    let json: Value = serde_json::from_str(payload).unwrap();
    let late = if json["late"] == true { " late" } else { "" };
    format!("{} {}{late}", topic.rsplit('/').next().unwrap(), json["seq"])
}

#[test]
fn a_broker_that_is_not_there_is_told_in_words() {
    let nobody = free_port();
    let shop = Shop::at(&format!("mqtt://127.0.0.1:{nobody}"));
    assert_eq!(shop.error(), format!("no broker listens at 127.0.0.1:{nobody} (connection refused)"));
    let unknown = Shop::at("mqtt://no-such-host.invalid");
    assert!(unknown.error().starts_with("the host name no-such-host.invalid cannot be found"), "{}", unknown.error());
    let began = Instant::now();
    assert!(!shop.link.shutdown(TWO_SECONDS), "nobody has heard the goodbye");
    assert!(began.elapsed() < Duration::from_secs(2), "and nobody was waited for");
}

#[test]
fn a_wrong_password_is_told_in_words_and_a_mended_one_is_taken() {
    let Some(mut broker) = Broker::prepare("allow_anonymous false\npassword_file DIR/passwords\n") else { return };
    let passwords = broker.dir().join("passwords");
    let mut command = std::process::Command::new("mosquitto_passwd");
    assert!(command.arg("-b").arg("-c").arg(&passwords).args(["till", "right"]).status().unwrap().success());
    broker.restart();
    let nobody = Shop::at(&broker.url());
    let at = format!("127.0.0.1:{}", broker.port);
    assert_eq!(
        nobody.error(),
        format!("the broker at {at} refuses without a user: set mqtt.username and mqtt.password_file")
    );
    let file = broker.dir().join("ours");
    std::fs::write(&file, "wrong\n").unwrap();
    let config =
        MqttConfig { username: Some("till".into()), password_file: Some(file.clone()), ..quick(&broker.url()) };
    let shop = Shop::with(config.clone());
    assert_eq!(
        shop.error(),
        format!("the broker at {at} refuses user 'till': check mqtt.username and mqtt.password_file")
    );
    std::fs::write(&file, "right\n").unwrap();
    shop.wait_connected(1);
    std::fs::remove_file(&file).unwrap();
    let lost = Shop::with(config);
    assert!(lost.error().starts_with("cannot read mqtt.password_file"), "{}", lost.error());
}

#[test]
fn certificates_are_checked() {
    if find("openssl").is_none() {
        println!("skipped: openssl is not installed");
        return;
    }
    let Some(mut broker) = Broker::prepare("certfile DIR/cert.pem\nkeyfile DIR/key.pem\n") else { return };
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:false"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(broker.dir())
        .stderr(std::process::Stdio::null())
        .status();
    assert!(made.unwrap().success());
    broker.restart();
    let url = format!("mqtts://127.0.0.1:{}", broker.port);
    let ca_file = broker.dir().join("cert.pem");
    let trusting = Shop::with(MqttConfig { ca_file: Some(ca_file.clone()), ..quick(&url) });
    trusting.wait_connected(1);
    let stranger = Shop::at(&url);
    assert!(stranger.error().starts_with("no trust in 127.0.0.1:"), "{}", stranger.error());
    std::fs::write(&ca_file, "nothing").unwrap();
    let confused = Shop::with(MqttConfig { ca_file: Some(ca_file), ..quick(&url) });
    assert!(confused.error().contains("holds no certificate"), "{}", confused.error());
}

#[test]
fn events_come_in_order_alerts_twice_and_late_ones_say_so() {
    let Some(mut broker) = Broker::start("persistence true\npersistence_location DIR/\n") else { return };
    let subscriber = broker.subscribe("dashboard", &["watchpost/+/event", "watchpost/+/alert"]);
    let mut shop = Shop::at(&broker.url());
    shop.wait_connected(1);
    shop.record(4);
    let lines = subscriber.until(|line| short(line).ends_with("event 4"));
    assert_eq!(
        lines.iter().map(|l| short(l)).collect::<Vec<_>>(),
        ["event 1", "event 2", "event 3", "alert 3", "event 4"]
    );
    let json: Value = serde_json::from_str(lines[3].split_once(' ').unwrap().1).unwrap();
    assert_eq!(
        (&json["severity"], &json["id"], &json["schema"]),
        (&json!("warning"), &json!(event(3).id.as_str()), &json!(1))
    );
    shop.wait("acknowledged", |link| link.state().delivered == 4);

    broker.save();
    broker.kill();
    shop.wait("gone", |link| !link.state().connected);
    shop.record(3);
    broker.restart();
    shop.wait_connected(2);
    shop.wait("acknowledged", |link| link.state().delivered == 7);
    shop.record(1);
    let lines = subscriber.until(|line| short(line).starts_with("event 8"));
    let lines: Vec<_> = lines.iter().map(|l| short(l)).collect();
    assert_eq!(lines, ["event 5 late", "event 6 late", "alert 6 late", "event 7 late", "event 8"]);
}

#[test]
fn what_a_dead_broker_had_acknowledged_is_sent_again() {
    let Some(mut broker) = Broker::start("persistence false\n") else { return };
    let config = MqttConfig { settle_s: 4.0, resend_s: 2.0, ..MqttConfig::at(&broker.url()) };
    let mut shop = Shop::with(config.clone());
    shop.wait_connected(1);
    // Nobody is there to hear it, so the broker forgets it as soon as it has acknowledged it.
    shop.record(5);
    shop.wait("acknowledged", |link| link.state().delivered == 5);
    broker.kill();
    shop.record(1);
    broker.restart();
    // The broker has lost its memory, so the subscriber gets some time to come (back): longer than `resend_s`, but
    // an outage does not count. The appliance is started anew meanwhile and finds a broker that knows it.
    shop.wait_connected(2);
    let Shop { store, link, dir, .. } = shop;
    drop(store);
    link.shutdown(Span::ZERO);
    let shop = Shop::in_folder(config.clone(), dir);
    shop.wait_connected(1);
    let subscriber = broker.subscribe("dashboard", &["watchpost/+/event"]);
    let lines = subscriber.until(|line| short(line).starts_with("event 6"));
    let expected: Vec<_> = (1..=6).map(|n| format!("event {n} late")).collect();
    assert_eq!(lines.iter().map(|l| short(l)).collect::<Vec<_>>(), expected);
    shop.wait("acknowledged", |link| link.state().delivered == 6);
    assert_eq!(shop.link.state().resent, 5);

    // After a proper goodbye nothing is sent again, by whatever process comes next.
    let Shop { store, link, dir, .. } = shop;
    store.close().unwrap();
    assert!(link.shutdown(TWO_SECONDS));
    let mut shop = Shop::in_folder(config, dir);
    shop.wait_connected(1);
    shop.record(1);
    assert_eq!(short(&subscriber.next()), "event 7");
    assert_eq!(shop.link.state().resent, 0);
}

#[test]
fn state_survives_a_broker_without_memory() {
    let Some(mut broker) = Broker::start("persistence false\n") else { return };
    let shop = Shop::at(&broker.url());
    let topics = shop.link.topics().clone();
    let camera = CameraId::new("door");
    shop.link.retain(&topics.class(&camera, Class::PERSON), "3", QoS::AtMostOnce);
    shop.link.retain(&topics.class(&camera, Class::PERSON), "2", QoS::AtMostOnce);
    shop.link.retain(&topics.rule(&camera, &RuleId::new("linger")), "ON", QoS::AtLeastOnce);
    shop.link.retain("not/a/+/topic", "x", QoS::AtLeastOnce);
    let boot = shop.store.boot();
    let expected = [
        "watchpost/till-3/camera/door/person 2".to_owned(),
        "watchpost/till-3/camera/door/rule/linger ON".to_owned(),
        format!(
            r#"watchpost/till-3/status {{"boot":"{boot}","since":"1970-01-01T00:00:00.000Z","state":"online","version":"1.2.3"}}"#
        ),
    ];
    assert_eq!(broker.retained("watchpost/#", |lines| lines.len() >= 3), expected);
    broker.kill();
    broker.restart();
    assert_eq!(broker.retained("watchpost/#", |lines| lines.len() >= 3), expected);
    shop.link.retain(&topics.rule(&camera, &RuleId::new("linger")), "", QoS::AtLeastOnce);
    broker.retained("watchpost/#", |lines| lines.len() == 2);
}

#[test]
fn goodbye_delivers_what_is_there_and_says_stopped() {
    let Some(broker) = Broker::start("persistence false\n") else { return };
    let subscriber = broker.subscribe("dashboard", &["watchpost/till-3/status", "watchpost/till-3/event"]);
    let mut shop = Shop::at(&broker.url());
    shop.wait_connected(1);
    shop.record(500);
    let Shop { store, link, .. } = shop;
    store.close().unwrap();
    assert!(link.shutdown(Span::from_millis(30_000)));
    let lines = subscriber.until(|line| line.contains("stopped"));
    assert!(lines[0].contains(r#""state":"online""#), "{}", lines[0]);
    assert_eq!(lines.len(), 502);
    assert_eq!(lines[501], r#"watchpost/till-3/status {"state":"stopped"}"#);
    assert_eq!(broker.retained("watchpost/till-3/status", |l| l.len() == 1), [lines[501].clone()]);
}

#[test]
fn home_assistant_is_told_again_when_it_comes_back() {
    let Some(broker) = Broker::start("persistence false\n") else { return };
    let topic = "homeassistant/device/watchpost-till-3/config";
    let subscriber = broker.subscribe("ha", &[topic]);
    let site = |rules: &[&str]| Site {
        cameras: vec![SiteCamera {
            camera: CameraId::new("door"),
            classes: vec![Class::PERSON],
            lines: vec![LineId::new("sill")],
            zones: Vec::new(),
            rules: rules.iter().map(|r| RuleId::new(r)).collect(),
            kinds: vec!["line_count".into()],
        }],
    };
    let shop = Shop::at(&broker.url());
    shop.link.discover(site(&["count", "linger"]));
    let first = subscriber.next();
    assert!(first.contains(r#""platform":"binary_sensor""#));
    broker.publish("homeassistant/status", "online", &[]);
    assert_eq!(subscriber.next(), first);
    broker.publish("homeassistant/status", "offline", &[]);

    // A rule has gone, and the appliance was started anew in between.
    let Shop { store, link, dir, .. } = shop;
    store.close().unwrap();
    assert!(link.shutdown(TWO_SECONDS));
    let shop = Shop::in_folder(quick(&broker.url()), dir);
    shop.link.discover(site(&["count"]));
    let component = |line: &str| {
        let description: Value = serde_json::from_str(line.split_once(' ').unwrap().1).unwrap();
        description["components"].get("camera_door_rule_linger").cloned()
    };
    assert_eq!(component(&subscriber.next()), Some(json!({"platform": "binary_sensor"})), "taken away");
    assert_eq!(component(&subscriber.next()), None);
    assert_eq!(component(&broker.retained(topic, |l| l.len() == 1)[0]), None);
}

#[test]
fn commands_are_answered() {
    let Some(broker) = Broker::start("persistence false\n") else { return };
    let subscriber = broker.subscribe("operator", &["watchpost/till-3/cmd/+/result"]);
    let shop = Shop::at(&broker.url());
    shop.wait_connected(1);
    let ask = |verb: &str, payload: &str| broker.publish(&format!("watchpost/till-3/cmd/{verb}"), payload, &[]);
    let answer = |status: &str, verb: &str, reason: Option<&str>| {
        format!("watchpost/till-3/cmd/{verb}/result {}", json!({"id": "7", "status": status, "reason": reason}))
    };
    ask("snapshot", r#"{"id":"7","camera":"door"}"#);
    let command = shop.link.commands.recv_timeout(PATIENCE).unwrap();
    assert_eq!((command.verb, command.camera.clone()), (Verb::Snapshot, Some(CameraId::new("door"))));
    assert_eq!(subscriber.next(), answer("executing", "snapshot", None));
    shop.link.reply(&command, Outcome::Failed("the camera is down".into()));
    assert_eq!(subscriber.next(), answer("failed", "snapshot", Some("the camera is down")));

    // The same once more is ignored; the next answer is for something else.
    ask("snapshot", r#"{"id":"7"}"#);
    ask("arm", r#"{"id":"7"}"#);
    assert_eq!(subscriber.next(), answer("failed", "arm", Some("arm is not supported by this version")));
    ask("reload", "please");
    assert!(subscriber.next().contains("not JSON"));
    ask("reload", r#"{"id":"7"}"#);
    let command = shop.link.commands.recv_timeout(PATIENCE).unwrap();
    assert_eq!(command.verb, Verb::Reload);
    assert_eq!(subscriber.next(), answer("executing", "reload", None));
    shop.link.reply(&command, Outcome::Successful);
    assert_eq!(subscriber.next(), answer("successful", "reload", None));
    assert!(shop.link.commands.try_recv().is_err());

    // An app that takes nothing up is busy.
    for n in 0..17 {
        ask("restart", &json!({"id": format!("r{n}")}).to_string());
    }
    let lines = subscriber.until(|line| line.contains("failed"));
    assert!(lines.last().unwrap().contains(r#""id":"r16","reason":"busy"#), "{:?}", lines.last());
}
