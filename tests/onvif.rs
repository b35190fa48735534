//! `cameras --network` among cameras that the test plays: WS-Discovery over UDP and SOAP over HTTP, on loopback.

mod cli;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cli::{Desk, Outcome};
use sha1::{Digest as _, Sha1};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};

const ENVELOPE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><env:Envelope \
    xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\" \
    xmlns:trt=\"http://www.onvif.org/ver10/media/wsdl\" xmlns:tt=\"http://www.onvif.org/ver10/schema\" \
    xmlns:ter=\"http://www.onvif.org/ver10/error\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\">";

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// It calls itself 192.168.1.9, and streams with a login in the address.
    Open,
    /// "me" and "s3cret", by a clock that stands in 2020.
    Locked,
    /// Answers the probe with no XML.
    Rubbish,
    /// Answers SOAP with no XML.
    RubbishSoap,
}

/// A camera that answers until the test ends. Where to ask it.
fn camera(kind: Kind) -> SocketAddr {
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (port, at) = (http.local_addr().unwrap().port(), udp.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in http.incoming() {
            serve(kind, port, stream.unwrap());
        }
    });
    std::thread::spawn(move || {
        let mut bytes = [0; 65_536];
        loop {
            let (length, from) = udp.recv_from(&mut bytes).unwrap();
            let question = std::str::from_utf8(&bytes[..length]).unwrap();
            assert!(question.contains("dn:NetworkVideoTransmitter") && question.contains("a:MessageID>uuid:"));
            let answer = format!(
                "{ENVELOPE}<env:Body><d:ProbeMatches><d:ProbeMatch><d:Types>dn:NetworkVideoTransmitter</d:Types>\
                 <d:Scopes>onvif://www.onvif.org/name/Front%20Door onvif://www.onvif.org/hardware/DS-2CD</d:Scopes>\
                 <d:XAddrs>http://192.168.1.9:{port}/onvif/device_service</d:XAddrs></d:ProbeMatch></d:ProbeMatches>\
                 </env:Body></env:Envelope>"
            );
            let answer = if kind == Kind::Rubbish { "<<<\u{1b}[31m" } else { &answer };
            udp.send_to(answer.as_bytes(), from).unwrap();
        }
    });
    at
}

fn serve(kind: Kind, port: u16, mut stream: TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 || line == "\r\n" {
            break;
        }
        if let Some((_, value)) = line.to_lowercase().split_once("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let (status, answer) = match kind {
        Kind::RubbishSoap => ("200 OK", "<html><p>hello".into()),
        _ => answer(kind, port, &String::from_utf8(body).unwrap()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    stream.write_all((head + &answer).as_bytes()).unwrap();
}

fn answer(kind: Kind, port: u16, question: &str) -> (&'static str, String) {
    let fine = |body: String| ("200 OK", format!("{ENVELOPE}<env:Body>{body}</env:Body></env:Envelope>"));
    if question.contains("GetSystemDateAndTime") {
        assert!(!question.contains("UsernameToken"), "asked without a login");
        return fine(
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:UTCDateTime><tt:Time><tt:Hour>7</tt:Hour>\
             <tt:Minute>5</tt:Minute><tt:Second>9</tt:Second></tt:Time><tt:Date><tt:Year>2020</tt:Year>\
             <tt:Month>2</tt:Month><tt:Day>3</tt:Day></tt:Date></tt:UTCDateTime></tds:SystemDateAndTime>\
             </tds:GetSystemDateAndTimeResponse>"
                .into(),
        );
    }
    if kind == Kind::Locked && !is_let_in(question) {
        let fault = "<env:Body><env:Fault><env:Code><env:Value>env:Sender</env:Value><env:Subcode>\
                     <env:Value>ter:NotAuthorized</env:Value></env:Subcode></env:Code></env:Fault></env:Body>";
        return ("400 Bad Request", format!("{ENVELOPE}{fault}</env:Envelope>"));
    }
    if question.contains("GetCapabilities") {
        return fine(format!(
            "<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Media>\
             <tt:XAddr>http://192.168.1.9:{port}/onvif/media</tt:XAddr></tt:Media></tds:Capabilities>\
             </tds:GetCapabilitiesResponse>"
        ));
    }
    if question.contains("GetProfiles") {
        let profile = |token: &str, width: u32, height: u32| {
            format!(
                "<trt:Profiles token=\"{token}\"><tt:Name>{token}</tt:Name><tt:VideoEncoderConfiguration>\
                 <tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}\
                 </tt:Height></tt:Resolution></tt:VideoEncoderConfiguration></trt:Profiles>"
            )
        };
        let profiles = profile("main", 1920, 1080) + &profile("sub", 640, 360) + "<trt:Profiles token=\"sound\"/>";
        return fine(format!("<trt:GetProfilesResponse>{profiles}</trt:GetProfilesResponse>"));
    }
    assert!(question.contains("GetStreamUri") && question.contains(">RTP-Unicast<") && question.contains(">RTSP<"));
    let path = if question.contains(">sub<") { "sub" } else { "main" };
    fine(format!(
        "<trt:GetStreamUriResponse><trt:MediaUri><tt:Uri>rtsp://admin:12345@192.168.1.9:554/{path}?a=1&amp;b=2</tt:Uri>\
         </trt:MediaUri></trt:GetStreamUriResponse>"
    ))
}

fn is_let_in(question: &str) -> bool {
    let part = |name: &str| {
        let rest = question.split_once(name)?.1.split_once('>')?.1;
        Some(rest.split_once('<')?.0.to_owned())
    };
    let all = (|| Some((part("<w:Username")?, part("<w:Password ")?, part("<w:Nonce")?, part("<u:Created")?)))();
    // The first "<w:Username" is that of the token.
    let Some((_, digest, nonce, created)) = all else { return false };
    let nonce = BASE64_STANDARD.decode(nonce).unwrap();
    let sum = Sha1::new().chain_update(nonce).chain_update(&created).chain_update("s3cret").finalize();
    question.contains("<w:Username>me<")
        && created.starts_with("2020-02-03T07:05:")
        && BASE64_STANDARD.encode(sum) == digest
}

fn look(desk: &Desk, at: SocketAddr, more: &str) -> Outcome {
    desk.run(&format!("cameras --network --wait-s 1 --ask {at} {more}"))
}

#[test]
fn a_camera_is_listed_with_the_lines_for_its_substream() {
    let (desk, at) = (Desk::new(), camera(Kind::Open));
    let told = look(&desk, at, "");
    told.is_fine("an open camera");
    for words in [
        "Front Door (DS-2CD, network, 127.0.0.1:",
        "    H264   640x360 rtsp://127.0.0.1:554/sub?a=1&b=2\n    H264   1920x1080 rtsp://127.0.0.1:554/main?a=1&b=2\n",
        "note: it calls itself 192.168.1.9;",
        "[camera.camera1.source]\n        kind = \"rtsp\"\n        url = \"rtsp://127.0.0.1:554/sub?a=1&b=2\"\n",
    ] {
        assert!(told.stdout.contains(words), "{words:?} is missing in:\n{}", told.stdout);
    }
    assert!(!told.stdout.contains("12345"), "{}", told.stdout);
    let told = look(&desk, at, "--json");
    let json: serde_json::Value = serde_json::from_str(&told.stdout).unwrap();
    let camera = &json["cameras"][0];
    assert_eq!(camera["source"][1], "url = \"rtsp://127.0.0.1:554/sub?a=1&b=2\"");
    assert_eq!((&camera["modes"][1]["size"][0], &camera["trouble"]), (&1920.into(), &serde_json::Value::Null));
}

#[test]
fn a_camera_that_wants_a_login_gets_a_digest() {
    let (desk, at) = (Desk::new(), camera(Kind::Locked));
    desk.put("right", "s3cret\n").put("wrong", "guess\n");
    let check = |more: &str, words: &str| {
        let told = look(&desk, at, more);
        told.is_fine(more);
        assert!(told.stdout.contains(words) && !told.stdout.contains("s3cret"), "{words:?}:\n{}", told.stdout);
    };
    check("", "cannot be used: it wants a login: --user NAME --password-file FILE\n");
    check("--user me --password-file wrong", "cannot be used: it refuses this login\n");
    check("--user me --password-file right", "sub?a=1&b=2\"\n        user = \"me\"\n        password_file = \"/");
}

#[test]
fn rubbish_is_skipped_and_said() {
    let desk = Desk::new();
    for (kind, words) in [(Kind::Rubbish, "its answer cannot be read"), (Kind::RubbishSoap, "it answers no XML")] {
        let told = look(&desk, camera(kind), "");
        told.says(0, &["Device skipped", "127.0.0.1", words], "rubbish");
        assert!(told.stdout.starts_with("No camera on the network answered."), "{}", told.stdout);
        assert!(!told.stderr.contains('\u{1b}'), "{}", told.stderr);
    }
}

#[test]
fn nobody_is_a_sentence() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let told = look(&Desk::new(), silent.local_addr().unwrap(), "");
    told.is_fine("nobody");
    assert!(told.stdout.starts_with("No camera on the network answered."), "{}", told.stdout);
}
