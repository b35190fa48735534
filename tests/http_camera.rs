//! Cameras over HTTP, by a real server: what plays, what is refused in words, and how an outage ends.

mod cli;
mod http_server;

use http_server::{Scheme, Server, begin, challenge, knows, part, say, stream};
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use watchpost::backoff::Backoff;
use watchpost::capture::{self, HttpConfig, Source, SourceConfig, Wake};
use watchpost::frame::{Frame, Picture};
use watchpost::stop::Stop;
use watchpost::time::Span;

fn config(url: &str) -> HttpConfig {
    HttpConfig::at(url)
}

fn open(config: HttpConfig) -> anyhow::Result<Box<dyn Source>> {
    capture::open(&SourceConfig::Http(config), &Stop::new())
}

fn frame(source: &mut Box<dyn Source>) -> Frame {
    source.next_frame().unwrap().unwrap()
}

#[track_caller]
fn failure(config: HttpConfig) -> anyhow::Error {
    match open(config) {
        Ok(source) => panic!("{} is open", source.describe()),
        Err(error) => error,
    }
}

/// How it ends, and after how long.
fn end(source: &mut Box<dyn Source>) -> (Duration, String) {
    let began = Instant::now();
    loop {
        match source.next_frame() {
            Ok(Some(_)) => assert!(began.elapsed() < Duration::from_secs(30), "it goes on"),
            Ok(None) => panic!("nobody stopped it"),
            Err(error) => return (began.elapsed(), format!("{error:#}")),
        }
    }
}

/// Pictures of three sizes, so that they can be told apart.
fn pictures() -> [Vec<u8>; 3] {
    [cli::jpeg(160, 96), cli::jpeg(320, 240), cli::jpeg(640, 480)]
}

#[test]
fn mjpeg_plays_as_cameras_send_it_and_is_not_decoded() {
    let [_, jpeg, _] = pictures();
    let check = |what: &str, content_type: &'static str, head: &'static str, tail: &'static str| {
        let jpeg = jpeg.clone();
        let server = Server::start(move |_, out| {
            begin(out, content_type)?;
            loop {
                let head = head.replace("LENGTH", &jpeg.len().to_string());
                out.write_all(&[head.as_bytes(), &jpeg, tail.as_bytes()].concat())?;
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut source = open(config(&server.url("video"))).unwrap();
        let frames: Vec<_> = (0..10).map(|_| frame(&mut source)).collect();
        assert!(frames.iter().all(|frame| matches!(frame.picture, Picture::Encoded(_))), "{what}");
        assert!(frames.is_sorted_by(|a, b| a.at < b.at && a.index < b.index), "{what}");
        let rgb = frames[9].picture.to_rgb().unwrap();
        let expected = cli::scene(320, 240);
        let off = |(a, b): (&image::Rgb<u8>, &image::Rgb<u8>)| (0..3).map(|i| a.0[i].abs_diff(b.0[i])).max().unwrap();
        let worse = rgb.pixels().zip(expected.pixels()).map(off).filter(|off| *off > 40).count();
        assert!(worse < 320 * 240 / 50, "{what}: {worse} pixels are off");
        assert_eq!(source.lost(), 0, "{what}");
    };
    let plain = "multipart/x-mixed-replace; boundary=frame";
    check("a length", plain, "--frame\r\nContent-Type: image/jpeg\r\nContent-Length: LENGTH\r\n\r\n", "\r\n");
    check("no length", plain, "--frame\r\nContent-Type: image/jpeg\r\n\r\n", "\r\n");
    check("nothing between", plain, "--frame\r\nContent-type:image/jpeg\r\ncontent-length:LENGTH\r\n\r\n", "");
    check("garbage", plain, "lost\r\n--frame\r\nContent-Length: LENGTH\r\n\r\n", "\r\nwhat is this\r\n");
    check(
        "quoted",
        "Multipart/X-Mixed-Replace;Boundary=\"a b:c\"",
        "--a b:c\r\nContent-Length: LENGTH\r\n\r\n",
        "\r\n",
    );
    check("with its dashes", "multipart/x-mixed-replace;boundary=--b", "--b\r\nContent-Length: LENGTH\r\n\r\n", "\r\n");
    check("called bytes", "application/octet-stream", "\r\n--xyz\r\nContent-Length: LENGTH\r\n\r\n", "");
    check("none announced", "multipart/x-mixed-replace", "--xyz\r\nX: y\r\n\r\n", "\r\n");
}

#[test]
fn a_camera_may_change_its_size_while_it_plays() {
    let server = Server::start(|_, out| {
        begin(out, "multipart/x-mixed-replace; boundary=frame")?;
        for jpeg in pictures().iter().flat_map(|jpeg| std::iter::repeat_n(jpeg, 20)) {
            out.write_all(&part(jpeg))?;
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    });
    let mut source = open(config(&server.url("video"))).unwrap();
    let mut sizes = Vec::new();
    let error = loop {
        match source.next_frame() {
            Ok(frame) => sizes.push(frame.unwrap().picture.size()),
            Err(error) => break format!("{error:#}"),
        }
    };
    sizes.dedup();
    assert_eq!(sizes, [(160, 96), (320, 240), (640, 480)]);
    assert!(error.contains("ended its stream"), "{error}");
}

#[test]
fn broken_pictures_are_counted_and_the_stream_goes_on() {
    let server = Server::start(|_, out| {
        begin(out, "multipart/x-mixed-replace; boundary=frame")?;
        let [jpeg, ..] = pictures();
        for i in 0.. {
            let cut = if i % 3 == 2 { jpeg.len() / 2 } else { jpeg.len() };
            out.write_all(&part(&jpeg[..cut]))?;
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    });
    let mut source = open(config(&server.url("video"))).unwrap();
    let frames: Vec<_> = (0..20).map(|_| frame(&mut source)).collect();
    assert!(frames.iter().all(|frame| frame.index % 3 != 2 && frame.picture.to_rgb().is_ok()));
    let passed = frames[19].index + 1;
    assert!((passed / 3..=passed / 3 + 3).contains(&source.lost()), "{} of {passed}", source.lost());
}

#[test]
fn whoever_is_slow_sees_the_newest_picture() {
    let server = Server::start(|_, out| {
        begin(out, "multipart/x-mixed-replace; boundary=frame")?;
        let [jpeg, ..] = pictures();
        (0..100).try_for_each(|_| out.write_all(&part(&jpeg)))?;
        out.flush()?;
        std::thread::sleep(Duration::from_secs(20));
        Ok(false)
    });
    let mut source = open(config(&server.url("video"))).unwrap();
    assert!(frame(&mut source).index < 100);
    std::thread::sleep(Duration::from_millis(1_000));
    assert_eq!(frame(&mut source).index, 99, "a hundred came, and the last of them counts");
}

#[test]
fn silence_and_rubbish_are_an_outage_after_5_s() {
    let check = |path: &str, expected: &str| {
        let server = Server::start(|request, out| {
            begin(out, "multipart/x-mixed-replace; boundary=frame")?;
            let [jpeg, ..] = pictures();
            out.write_all(&part(&jpeg))?;
            let (piece, pause): (&[u8], u64) = match request.path.as_str() {
                "/freeze" => (b"", 100),
                "/drip" => (b"x", 100),
                _ => (&part(&jpeg[..jpeg.len() / 2]), 200),
            };
            loop {
                out.write_all(piece)?;
                std::thread::sleep(Duration::from_millis(pause));
            }
        });
        let mut source = open(config(&server.url(path))).unwrap();
        assert!(source.next_frame().unwrap().is_some());
        let (after, error) = end(&mut source);
        assert!((4.5..7.0).contains(&after.as_secs_f64()) && error.contains(expected), "{path}: {after:?} {error}");
        assert!(error.starts_with("HTTP camera 127.0.0.1:"), "{error}");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| check("freeze", "no picture for 5 s"));
        scope.spawn(|| check("drip", "no picture for 5 s"));
        scope.spawn(|| check("broken", "no whole picture for 5 s, but 2"));
    });
}

#[test]
fn a_camera_that_comes_up_ten_minutes_after_the_box_is_found_within_2_s() {
    // Ten minutes of tries that find nobody, and the pause after that.
    let (mut backoff, mut passed) = (Backoff::default(), Span::ZERO);
    while passed < Span::from_secs_f64(600.0) {
        passed = passed + backoff.wait();
    }
    let pause = backoff.wait();
    assert!(pause >= Span::from_secs_f64(45.0), "{pause:?}");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = config(&format!("http://127.0.0.1:{port}/video"));
    assert!(open(config.clone()).is_err());
    let waiter = {
        let source = SourceConfig::Http(config.clone());
        std::thread::spawn(move || capture::wait_until_back(&source, pause, &Stop::new()))
    };
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(!waiter.is_finished(), "nobody is there yet");
    let up = Instant::now();
    let _server = Server::at(port, |_, out| stream(out, &cli::jpeg(160, 96)));
    assert_eq!(waiter.join().unwrap(), Wake::Back);
    assert!(open(config).unwrap().next_frame().unwrap().is_some());
    assert!(up.elapsed() < Duration::from_secs(2), "{:?}", up.elapsed());
}

#[test]
fn a_server_that_is_killed_is_an_error_and_its_return_is_noticed() {
    let play = |_: &http_server::Request, out: &mut dyn Write| stream(out, &cli::jpeg(160, 96));
    let server = Server::start(play);
    let (port, config) = (server.port, config(&server.url("video")));
    let mut source = open(config.clone()).unwrap();
    assert!(source.next_frame().unwrap().is_some());
    drop(server);
    let (after, error) = end(&mut source);
    assert!(after < Duration::from_secs(2), "{after:?} {error}");
    let error = format!("{:#}", failure(config.clone()));
    assert!(error.contains("cannot connect: Connection refused"), "{error}");
    let waiter = {
        let source = SourceConfig::Http(config.clone());
        std::thread::spawn(move || capture::wait_until_back(&source, Span::from_millis(60_000), &Stop::new()))
    };
    std::thread::sleep(Duration::from_millis(1_000));
    let _server = Server::at(port, play);
    let back = Instant::now();
    assert_eq!(waiter.join().unwrap(), Wake::Back);
    assert!(open(config).unwrap().next_frame().unwrap().is_some());
    assert!(back.elapsed() < Duration::from_secs(2), "{:?}", back.elapsed());
}

#[test]
fn single_pictures_are_asked_for_at_a_rate_over_one_connection() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    // What was asked with is stale after five answers, as cameras do it.
    let server = Server::start(move |request, out| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        let nonce = format!("n{}", n / 6);
        if !knows(request, Scheme::Md5, &nonce) {
            return say(out, "401 Unauthorized", &challenge(Scheme::Md5, &nonce), b"who?");
        }
        // The third is cut off.
        let jpeg = &pictures()[n % 3];
        say(out, "200 OK", "Content-Type: image/jpeg\r\n", &jpeg[..if n == 3 { 500 } else { jpeg.len() }])
    });
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("pass");
    std::fs::write(&password, "secret\n").unwrap();
    let began = Instant::now();
    let login =
        HttpConfig { user: Some("me".into()), password_file: Some(password), ..config(&server.url("shot.jpg")) };
    let mut source = open(HttpConfig { fps: 10.0, ..login }).unwrap();
    let frames: Vec<_> = (0..15).map(|_| frame(&mut source)).collect();
    let (took, asked) = (began.elapsed().as_secs_f64(), server.asked());
    assert!(frames.iter().all(|frame| frame.picture.to_rgb().is_ok()));
    assert!(frames.iter().any(|frame| frame.picture.size() == (640, 480)), "sizes change");
    assert_eq!(source.lost(), 1);
    // Fifteen and the broken one, a tenth of a second apart.
    assert!((1.45..6.0).contains(&took), "{took} s");
    assert!(asked.len() < 25 && asked.iter().all(|request| request.connection == 0), "{asked:?}");
    assert!(source.describe().contains("a JPEG at a time"), "{}", source.describe());
}

#[test]
fn a_camera_that_hangs_up_after_each_picture_is_asked_anew() {
    let server = Server::start(|_, out| {
        // Without a length: it ends where the connection does.
        out.write_all(&[b"HTTP/1.0 200 OK\r\n\r\n", &cli::jpeg(160, 96)[..]].concat())?;
        Ok(false)
    });
    let mut source = open(HttpConfig { fps: 20.0, ..config(&server.url("shot.jpg")) }).unwrap();
    (0..10).for_each(|_| assert_eq!(frame(&mut source).picture.size(), (160, 96)));
    assert!(server.asked().last().unwrap().connection >= 9);
}

#[test]
fn a_picture_that_takes_too_long_is_an_outage() {
    let server = Server::start(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 10000\r\n\r\n")?;
        loop {
            out.write_all(b"x")?;
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let mut source = open(config(&server.url("shot.jpg"))).unwrap();
    let (after, error) = end(&mut source);
    assert!((4.5..7.0).contains(&after.as_secs_f64()), "{after:?} {error}");
    assert!(error.contains("after 5 s") || error.contains("for 5 s"), "{error}");
}

#[test]
fn a_stop_ends_a_wait_at_once_and_hangs_up() {
    let server = Server::start(|_, out| {
        begin(out, "multipart/x-mixed-replace; boundary=frame")?;
        out.write_all(&part(&cli::jpeg(160, 96)))?;
        std::thread::sleep(Duration::from_secs(20));
        Ok(false)
    });
    let stop = Stop::new();
    let mut source = capture::open(&SourceConfig::Http(config(&server.url("video"))), &stop).unwrap();
    assert!(source.next_frame().unwrap().is_some());
    let stopper = std::thread::spawn({
        let stop = stop.clone();
        move || {
            std::thread::sleep(Duration::from_millis(700));
            let at = Instant::now();
            stop.set();
            at
        }
    });
    assert!(source.next_frame().unwrap().is_none());
    let stopped = stopper.join().unwrap();
    assert!(stopped.elapsed() < Duration::from_millis(300), "{:?}", stopped.elapsed());
    assert!(!server.has_left(0));
    drop(source);
    // The thread that reads does not sit out its 5 s.
    while !server.has_left(0) {
        assert!(stopped.elapsed() < Duration::from_secs(2), "it holds the connection");
        std::thread::sleep(Duration::from_millis(10));
    }
}
