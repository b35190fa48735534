//! RTSP cameras, by a real server: what plays, what is refused in words, and how an outage ends.

mod rtsp_server;

use rtsp_server::Server;
use rustix::process::Signal;
use std::time::{Duration, Instant};
use watchpost::capture::{self, Address, Decoder, Refused, RtspConfig, Source, SourceConfig, Transport, Wake};
use watchpost::frame::Frame;
use watchpost::stop::Stop;
use watchpost::time::Span;

fn config(url: &str) -> RtspConfig {
    RtspConfig {
        url: Address::new(url),
        transport: Transport::Tcp,
        user: None,
        password_file: None,
        keyframes_only: false,
        decoder: Decoder::Program,
    }
}

fn open(config: RtspConfig) -> anyhow::Result<Box<dyn Source>> {
    capture::open(&SourceConfig::Rtsp(config), &Stop::new())
}

#[track_caller]
fn failure(config: RtspConfig) -> anyhow::Error {
    match open(config) {
        Ok(source) => panic!("{} is open", source.describe()),
        Err(error) => error,
    }
}

/// A white ball on black. A decoder that gives nothing, or makes up what it did not get, gives grey.
#[track_caller]
fn shows_a_ball(frame: &Frame) {
    let rgb = frame.picture.to_rgb().unwrap();
    let count = |is: fn(u8) -> bool| rgb.pixels().filter(|p| is(p.0[0])).count();
    let (white, grey) = (count(|luma| luma > 200), count(|luma| (60..200).contains(&luma)));
    assert!(white > 0 && grey < 1000, "picture {}: {white} white and {grey} grey pixels", frame.index);
}

/// Says what it was decoded by.
#[track_caller]
fn plays(mut source: Box<dyn Source>) -> String {
    assert_eq!(source.decoder(), None, "no picture has come that would tell");
    let frames: Vec<_> = (0..20).map(|_| source.next_frame().unwrap().unwrap()).collect();
    assert!(frames.iter().all(|frame| frame.picture.size() == (320, 240)));
    assert!(frames.is_sorted_by(|a, b| a.at < b.at && a.index < b.index));
    frames.iter().for_each(shows_a_ball);
    let seconds = (frames[19].at - frames[0].at).secs_f64();
    // What waited while a child started was passed over.
    let passed = frames[19].index - frames[0].index;
    let expected = passed as f64 / 15.0;
    assert!(passed < 60 && (seconds - expected).abs() < 0.5, "{passed} frames at 15 fps took {seconds} s");
    source.decoder().unwrap().into_owned()
}

#[test]
fn h264_is_decoded_by_what_is_wished_and_there() {
    let Some(server) = Server::start() else { return };
    let plays_by = |decoder| plays(open(RtspConfig { decoder, ..config(&server.url("h264")) }).unwrap());
    assert_eq!(plays_by(Decoder::Program), "H.264 in the program");
    assert_eq!(plays_by(Decoder::Ffmpeg), "H.264 through ffmpeg");
    // Most machines have none, and then it goes on without.
    let by = plays_by(Decoder::Hardware);
    assert!(["H.264 in the program", "H.264 through ffmpeg, by the board's decoder"].contains(&by.as_str()), "{by}");
}

#[test]
fn h264_plays_over_tcp_and_udp() {
    let Some(server) = Server::start() else { return };
    plays(open(config(&server.url("h264"))).unwrap());
    plays(open(RtspConfig { transport: Transport::Udp, ..config(&server.url("h264")) }).unwrap());
}

#[test]
fn over_udp_pictures_go_on_where_packets_get_lost_and_the_loss_is_counted() {
    let Some(server) = Server::start() else { return };
    for path in ["lossy", "lossy265"] {
        let udp = |path: &str| open(RtspConfig { transport: Transport::Udp, ..config(&server.url(path)) }).unwrap();
        let mut source = udp(path);
        let frames: Vec<_> = (0..60).map(|_| source.next_frame().unwrap().unwrap()).collect();
        // A fortieth of the packets takes the rest of a second with it now and then, not the camera.
        let (newest, lost) = (frames[59].index, source.lost());
        println!("{path}: of {} access units that came {lost} were lost", newest + 1);
        // What waited while a child started was passed over, not lost.
        assert!(newest > 60 && newest < 600 && lost > 0 && lost + 10 >= newest - 59, "{path}: {newest}, {lost}");
        assert!(frames.is_sorted_by(|a, b| a.at < b.at && a.index < b.index), "{path}");
        frames.iter().for_each(shows_a_ball);
    }
}

#[test]
fn h265_plays_through_ffmpeg_and_rtp_jpeg_without() {
    let Some(server) = Server::start() else { return };
    assert_eq!(plays(open(config(&server.url("h265"))).unwrap()), "H.265 through ffmpeg");
    assert_eq!(plays(open(config(&server.url("jpeg"))).unwrap()), "JPEG in the program");
}

#[test]
fn a_camera_may_change_its_size_while_it_plays() {
    let Some(server) = Server::start() else { return };
    let mut source = open(config(&server.url("changing"))).unwrap();
    assert_eq!(source.next_frame().unwrap().unwrap().picture.size(), (320, 240));
    let after = (0..120).find(|_| source.next_frame().unwrap().unwrap().picture.size() == (640, 480));
    assert!(after.is_some(), "120 frames and no larger one");
}

#[test]
fn keyframes_alone_are_one_of_fifteen() {
    let Some(server) = Server::start() else { return };
    let mut source = open(RtspConfig { keyframes_only: true, ..config(&server.url("h264")) }).unwrap();
    let index: Vec<_> = (0..3).map(|_| source.next_frame().unwrap().unwrap().index).collect();
    assert!(index[2] - index[1] == 15 && index[1] - index[0] == 15, "{index:?}");
    // One IDR picture, and CRA pictures after that.
    let mut source = open(RtspConfig { keyframes_only: true, ..config(&server.url("h265")) }).unwrap();
    let index: Vec<_> = (0..3).map(|_| source.next_frame().unwrap().unwrap().index).collect();
    assert!(index[1] > index[0] && index.iter().all(|index| index % 15 == 0), "{index:?}");
}

#[test]
fn a_login_is_used_and_a_wrong_one_told_without_the_password() {
    let Some(server) = Server::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, password: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, password).unwrap();
        Some(path)
    };
    let login = |password_file| RtspConfig { user: Some("me".into()), password_file, ..config(&server.url("closed")) };
    plays(open(login(file("right", "secret\n"))).unwrap());
    let error = failure(login(file("wrong", "not-that\n")));
    let text = format!("{error:#} {error:?}");
    assert!(text.contains("refuses the login") && !text.contains("not-that"), "{text}");
    assert!(error.chain().any(|cause| cause.is::<Refused>()));
    let error = failure(config(&server.url("closed")));
    assert!(format!("{error:#}").contains("wants a login"), "{error:#}");
}

#[test]
fn what_is_not_there_is_told_in_words() {
    let Some(server) = Server::start() else { return };
    let check = |url: &str, expected: &str| {
        let text = format!("{:#}", failure(config(url)));
        assert!(text.contains(expected) && !text.contains('\n'), "{url}: {text}");
    };
    check(&server.url("none"), "no such stream (404)");
    check("rtsp://127.0.0.1:1/x", "cannot connect");
    check("rtsp://no-such-host.invalid/x", "RTSP camera no-such-host.invalid: its host name cannot be found (");
}

#[test]
fn a_server_that_is_killed_is_an_error_and_its_return_is_noticed() {
    let Some(server) = Server::start() else { return };
    let (port, config) = (server.port, config(&server.url("h264")));
    let mut source = open(config.clone()).unwrap();
    assert!(source.next_frame().unwrap().is_some());
    drop(server);
    let began = Instant::now();
    let error = loop {
        if let Err(error) = source.next_frame() {
            break error;
        }
    };
    assert!(began.elapsed() < Duration::from_secs(7), "{error:#}");
    let waiter = {
        let source = SourceConfig::Rtsp(config.clone());
        std::thread::spawn(move || capture::wait_until_back(&source, Span::from_millis(60_000), &Stop::new()))
    };
    std::thread::sleep(Duration::from_millis(1_000));
    let _server = Server::at(port).unwrap();
    let back = Instant::now();
    assert_eq!(waiter.join().unwrap(), Wake::Back);
    assert!(open(config).unwrap().next_frame().unwrap().is_some());
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
}

#[test]
fn a_server_that_hangs_is_an_error_after_5_s_and_its_return_is_noticed() {
    let Some(server) = Server::start() else { return };
    let config = config(&server.url("h264"));
    let mut source = open(config.clone()).unwrap();
    assert!(source.next_frame().unwrap().is_some());
    server.signal(Signal::STOP);
    let began = Instant::now();
    let error = loop {
        if let Err(error) = source.next_frame() {
            break error;
        }
    };
    let waited = began.elapsed().as_secs_f64();
    assert!((4.5..7.0).contains(&waited) && format!("{error:#}").contains("no picture for 5 s"), "{waited} {error:#}");
    let waiter = {
        let source = SourceConfig::Rtsp(config.clone());
        std::thread::spawn(move || capture::wait_until_back(&source, Span::from_millis(60_000), &Stop::new()))
    };
    std::thread::sleep(Duration::from_millis(2_500));
    server.signal(Signal::CONT);
    let back = Instant::now();
    assert_eq!(waiter.join().unwrap(), Wake::Back);
    assert!(open(config).unwrap().next_frame().unwrap().is_some());
    assert!(back.elapsed() < Duration::from_secs(3), "{:?}", back.elapsed());
}

#[test]
fn a_stop_ends_a_wait_at_once() {
    let Some(server) = Server::start() else { return };
    let stop = Stop::new();
    let mut source = capture::open(&SourceConfig::Rtsp(config(&server.url("h264"))), &stop).unwrap();
    assert!(source.next_frame().unwrap().is_some());
    server.signal(Signal::STOP);
    let stopper = std::thread::spawn({
        let stop = stop.clone();
        move || {
            std::thread::sleep(Duration::from_millis(700));
            let at = Instant::now();
            stop.set();
            at
        }
    });
    while source.next_frame().unwrap().is_some() {}
    let since = stopper.join().unwrap().elapsed();
    server.signal(Signal::CONT);
    assert!(since < Duration::from_millis(300), "{since:?}");
}

#[test]
fn a_redirect_is_followed_to_another_stream_and_not_for_ever() {
    use std::io::{Read, Write};
    let Some(server) = Server::start() else { return };
    let porter = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = porter.local_addr().unwrap().port();
    let target = server.url("h264");
    std::thread::spawn(move || {
        for guest in porter.incoming() {
            let (mut guest, mut asked) = (guest.unwrap(), [0; 2048]);
            let n = guest.read(&mut asked).unwrap();
            let asked = String::from_utf8_lossy(&asked[..n]).into_owned();
            let location =
                if asked.contains("/loop") { format!("rtsp://127.0.0.1:{port}/loop") } else { target.clone() };
            let cseq = asked.lines().find(|line| line.to_lowercase().starts_with("cseq")).unwrap().to_owned();
            let _ = write!(guest, "RTSP/1.0 302 Found\r\n{cseq}\r\nLocation: {location}\r\n\r\n");
        }
    });
    plays(open(config(&format!("rtsp://127.0.0.1:{port}/door"))).unwrap());
    let text = format!("{:#}", failure(config(&format!("rtsp://127.0.0.1:{port}/loop"))));
    assert!(text.contains("redirects more than 3 times"), "{text}");
}
