//! Who we are to a camera over HTTP, where that is told and where not, and what is said when a camera says no.

mod cli;
mod http_server;

use http_server::{Scheme, Server, challenge, knows, say, stream};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use watchpost::capture::{self, Address, HttpConfig, Refused, Source, SourceConfig};
use watchpost::stop::Stop;

fn config(url: &str) -> HttpConfig {
    HttpConfig::at(url)
}

fn open(config: HttpConfig) -> anyhow::Result<Box<dyn Source>> {
    capture::open(&SourceConfig::Http(config), &Stop::new())
}

#[track_caller]
fn failure(config: HttpConfig) -> anyhow::Error {
    match open(config) {
        Ok(source) => panic!("{} is open", source.describe()),
        Err(error) => error,
    }
}

/// A folder with the right password and a wrong one.
fn passwords() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let [right, wrong] = ["right", "wrong"].map(|name| folder.path().join(name));
    std::fs::write(&right, "secret\n").unwrap();
    std::fs::write(&wrong, "not-that\n").unwrap();
    (folder, right, wrong)
}

fn with_login(url: &str, password_file: &Path) -> HttpConfig {
    HttpConfig { user: Some("me".into()), password_file: Some(password_file.to_path_buf()), ..config(url) }
}

#[test]
fn a_login_is_used_and_a_wrong_one_told_without_the_password() {
    let (_folder, right, wrong) = passwords();
    for scheme in [Scheme::Basic, Scheme::Md5, Scheme::Sha256] {
        let server = Server::start(move |request, out| {
            if knows(request, scheme, "n1") {
                return stream(out, &cli::jpeg(160, 96));
            }
            say(out, "401 Unauthorized", &challenge(scheme, "n1"), b"<html>who are you?</html>")
        });
        let url = server.url("video?channel=1&size=big");
        assert!(open(with_login(&url, &right)).unwrap().next_frame().unwrap().is_some(), "{scheme:?}");
        let asked = server.asked();
        assert!(asked.len() == 2 && asked[0].authorization.is_none(), "not before it is asked for: {asked:?}");
        let error = failure(with_login(&url, &wrong));
        let text = format!("{error:#} {error:?}");
        assert!(text.contains("refuses the login") && !text.contains("not-that") && !text.contains('?'), "{text}");
        assert!(error.chain().any(|cause| cause.is::<Refused>()), "{scheme:?}");
        assert_eq!(server.asked().len(), 4, "a wrong password is tried once");
        let error = failure(config(&url));
        assert!(format!("{error:#}").contains("wants a login") && error.chain().any(|cause| cause.is::<Refused>()));
    }
}

#[test]
fn what_is_not_there_is_told_in_words() {
    let server = Server::start(|request, out| match request.path.as_str() {
        "/403" => say(out, "403 Forbidden", "", b""),
        "/404?pw=secret" => say(out, "404 Not Found", "", b"<html>"),
        "/503" => say(out, "503 Service Unavailable", "", b""),
        "/html" => say(out, "200 OK", "Content-Type: text/html; charset=utf-8\r\n", b"<html>"),
        "/odd" => say(out, "401 Unauthorized", "WWW-Authenticate: Negotiate\r\n", b""),
        "/huge" => say(out, "200 OK", "Content-Type: image/jpeg\r\n", &vec![7; 9 << 20]),
        _ => out.write_all(b"RTSP/1.0 200 OK\r\n\r\n").map(|()| false),
    });
    let (_folder, right, _) = passwords();
    let check = |url: &str, expected: &str| {
        let played = open(with_login(url, &right)).and_then(|mut source| source.next_frame());
        let error = played.map_or_else(|error| format!("{error:#}"), |_| "it plays".into());
        assert!(error.contains(expected) && !error.contains('\n') && !error.contains("secret"), "{url}: {error}");
    };
    check(&server.url("403"), "lets this login do nothing here (403)");
    check(&server.url("404?pw=secret"), "no such address (404)");
    check(&server.url("503"), "answers with status 503");
    check(&server.url("html"), "answers with text/html, a JPEG or an MJPEG stream");
    check(&server.url("odd"), "a login of a kind that is not known, Basic or Digest expected");
    check(&server.url("huge"), "more than 8 MB");
    check(&server.url("nonsense"), "does not speak HTTP");
    check("http://127.0.0.1:1/x", "cannot connect: Connection refused");
    check("http://no-such-host.invalid/x", "HTTP camera no-such-host.invalid: its host name cannot be found (");
}

#[test]
fn redirects_are_followed_and_the_login_stays_where_it_belongs() {
    let (_folder, right, _) = passwords();
    let server = Server::start(|request, out| {
        let to = |location: String, out: &mut dyn Write| {
            say(out, "302 Found", &format!("Location: {location}\r\n"), b"gone")
        };
        match request.path.as_str() {
            "/door" => to("/hall?a=b".into(), out),
            "/hall?a=b" if !knows(request, Scheme::Basic, "") => say(out, "401 No", &challenge(Scheme::Basic, ""), b""),
            "/hall?a=b" => to("video".into(), out),
            "/video" if !knows(request, Scheme::Basic, "") => say(out, "401 No", &challenge(Scheme::Basic, ""), b""),
            "/video" => stream(out, &cli::jpeg(160, 96)),
            "/loop" => to("/loop".into(), out),
            "/rtsp" => to("rtsp://127.0.0.1/secret".into(), out),
            "/nowhere" => say(out, "302 Found", "", b""),
            path => to(format!("http://{}/video", path.trim_start_matches("/to/")), out),
        }
    });
    let login = |path: &str| with_login(&server.url(path), &right);
    assert!(open(login("door")).unwrap().next_frame().unwrap().is_some());
    // The same machine by another name is another host.
    let other = format!("localhost:{}", server.port);
    let before = server.asked().len();
    let error = failure(login(&format!("to/{other}")));
    let text = format!("{error:#}");
    assert!(text.contains(&format!("redirects to {other}, which wants a login of its own")), "{text}");
    assert!(server.asked()[before..].iter().all(|request| request.authorization.is_none()));
    for (path, expected) in [
        ("loop", "redirects more than 3 times"),
        ("rtsp", "redirects to rtsp: at 127.0.0.1, http: or https: expected"),
        ("nowhere", "does not say where to"),
    ] {
        let text = format!("{:#}", failure(login(path)));
        assert!(text.contains(expected) && !text.contains("secret"), "{text}");
    }
}

/// Kills its process.
struct Ended(std::process::Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn certificates_are_checked() {
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().unwrap();
    let openssl = || {
        let mut command = Command::new("openssl");
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let make = |name: &str, is_authority: bool| {
        openssl()
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=camera"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1"])
            .args(["-addext", &format!("basicConstraints=critical,CA:{is_authority}")])
            .args(["-keyout", &format!("{name}-key.pem"), "-out", &format!("{name}.pem")])
            .status()
    };
    if make("cert", false).is_err() {
        println!("skipped: openssl is not installed");
        return;
    }
    make("authority", true).unwrap();
    let jpeg = cli::jpeg(160, 96);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
    std::fs::write(folder.path().join("shot.jpg"), [head.as_bytes(), &jpeg].concat()).unwrap();
    let serve = |name: &str| {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let (cert, key) = (format!("{name}.pem"), format!("{name}-key.pem"));
        let accept = format!("127.0.0.1:{port}");
        let serves = openssl().args(["s_server", "-HTTP", "-cert", &cert, "-key", &key, "-accept", &accept]).spawn();
        let serves = Ended(serves.unwrap());
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "openssl does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        (serves, port)
    };
    let (_serves, port) = serve("cert");
    let at = |host: &str, ca_file: Option<&str>| HttpConfig {
        ca_file: ca_file.map(|name| folder.path().join(name)),
        ..config(&format!("https://{host}:{port}/shot.jpg"))
    };
    let mut trusting = open(at("127.0.0.1", Some("cert.pem"))).unwrap();
    assert_eq!(trusting.next_frame().unwrap().unwrap().picture.size(), (160, 96));
    drop(trusting);
    let check = |host: &str, ca_file: Option<&str>, expected: &str| {
        let text = format!("{:#}", failure(at(host, ca_file)));
        assert!(text.contains(expected), "{text}");
    };
    check("127.0.0.1", None, "its certificate is not trusted (UnknownIssuer)");
    check("localhost", Some("cert.pem"), "its certificate is not trusted");
    check("127.0.0.1", Some("none.pem"), "cannot read ca_file");
    check("127.0.0.1", Some("shot.jpg"), "expected PEM");
    let (_serves, port) = serve("authority");
    let of_authority = HttpConfig {
        ca_file: Some(folder.path().join("authority.pem")),
        ..config(&format!("https://127.0.0.1:{port}/shot.jpg"))
    };
    let text = format!("{:#}", failure(of_authority));
    assert!(text.contains("it is an authority's, CA:true") && text.contains("CA:false"), "{text}");
}

#[test]
fn a_configuration_says_what_is_wrong_with_it() {
    let check = |keys: &str, expected: &str| {
        let text =
            format!("schema = 1\ndevice = {{ id = \"s\" }}\n[camera.door]\nsource = {{ kind = \"http\", {keys} }}\n");
        let told = watchpost::config::parse(&text).map_or_else(|error| format!("{error:#}"), |_| "right".into());
        assert!(told.contains(expected) && !told.contains("secret"), "{keys}: {told}");
    };
    check("url = \"http://10.0.0.7/video.mjpg\"", "right");
    check("url = \"https://10.0.0.7/shot.jpg\", fps = 0.2, ca_file = \"ca.pem\"", "right");
    check("url = \"http://me:secret@10.0.0.7/\"", "camera.door.source.url: holds a login");
    check("url = \"rtsp://10.0.0.7/\"", "\"http://host/path\" or \"https://host/path\" expected");
    check("url = \"http://10.0.0.7/\", fps = 0.1", "camera.door.source.fps: is 0.1, 0.2 to 30 expected");
    check("url = \"http://10.0.0.7/\", password_file = \"p\"", "camera.door.source.user: is missing");
    check("url = \"http://10.0.0.7/\", ca_file = \"ca.pem\"", "camera.door.source.ca_file: is of no use here");
    let shown = SourceConfig::Http(config("http://10.0.0.7/a?pw=secret"));
    assert_eq!(shown.to_string(), "HTTP camera 10.0.0.7");
    assert!(!format!("{shown:?}").contains("secret"));
    assert_eq!(Address::new("http://10.0.0.7/a?pw=secret").to_string(), "10.0.0.7");
}
