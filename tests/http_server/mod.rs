//! A small HTTP server on a free port of this machine, which answers as a test wants it to.

#![allow(dead_code)]

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a guest asks for.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With what follows the question mark.
    pub path: String,
    pub authorization: Option<String>,
    /// Counts the connections from 0.
    pub connection: usize,
}

/// Answers one request; `Err` or `Ok(false)` ends the connection.
pub type Answer = dyn Fn(&Request, &mut dyn Write) -> io::Result<bool> + Send + Sync;

pub struct Server {
    pub port: u16,
    is_over: Arc<AtomicBool>,
    guests: Arc<Mutex<Vec<TcpStream>>>,
    asked: Arc<Mutex<Vec<Request>>>,
    porter: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Request, &mut dyn Write) -> io::Result<bool> + Send + Sync + 'static) -> Server {
        Server::at(0, answer)
    }

    /// Port 0: any.
    pub fn at(
        port: u16,
        answer: impl Fn(&Request, &mut dyn Write) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (is_over, answer): (Arc<AtomicBool>, Arc<Answer>) = (Arc::default(), Arc::new(answer));
        let guests: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (over, entered, noted) = (is_over.clone(), guests.clone(), asked.clone());
        let porter = std::thread::spawn(move || {
            for (connection, guest) in listener.incoming().enumerate() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(guest) = guest else { continue };
                entered.lock().unwrap().push(guest.try_clone().unwrap());
                let (answer, noted) = (answer.clone(), noted.clone());
                std::thread::spawn(move || serve(connection, &guest, &*answer, &noted));
            }
        });
        Server { port, is_over, guests, asked, porter: Some(porter) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Whether the guest of a connection has hung up; for one that is not being talked to.
    pub fn has_left(&self, connection: usize) -> bool {
        let guest = self.guests.lock().unwrap()[connection].try_clone().unwrap();
        guest.set_nonblocking(true).unwrap();
        matches!(guest.peek(&mut [0]), Ok(0))
    }

    /// All there was so far, but knocks.
    pub fn asked(&self) -> Vec<Request> {
        self.asked.lock().unwrap().iter().filter(|request| request.method == "GET").cloned().collect()
    }
}

/// As if its process were killed: connections break, and the port is free.
impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.porter.take().unwrap().join();
        for guest in self.guests.lock().unwrap().iter() {
            let _ = guest.shutdown(Shutdown::Both);
        }
    }
}

fn serve(connection: usize, guest: &TcpStream, answer: &Answer, noted: &Mutex<Vec<Request>>) {
    let mut lines = BufReader::new(guest.try_clone().unwrap()).lines().map_while(Result::ok);
    while let Some(first) = lines.next() {
        let mut words = first.split(' ').map(str::to_owned);
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let mut authorization = None;
        for line in lines.by_ref().take_while(|line| !line.is_empty()) {
            if let Some((_, value)) = line.split_once(": ").filter(|(n, _)| n.eq_ignore_ascii_case("authorization")) {
                authorization = Some(value.to_owned());
            }
        }
        let request = Request { method, path, authorization, connection };
        noted.lock().unwrap().push(request.clone());
        let mut out = guest;
        if !answer(&request, &mut out).unwrap_or(false) {
            let _ = guest.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// A whole answer, after which the connection may be used again.
pub fn say(out: &mut dyn Write, status: &str, headers: &str, body: &[u8]) -> io::Result<bool> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
    out.write_all(&[head.as_bytes(), body].concat()).map(|()| true)
}

pub fn begin(out: &mut dyn Write, content_type: &str) -> io::Result<()> {
    write!(out, "HTTP/1.0 200 OK\r\nServer: camera\r\nContent-Type: {content_type}\r\n\r\n")
}

/// A part as most cameras send it.
pub fn part(jpeg: &[u8]) -> Vec<u8> {
    let head = format!("--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n", jpeg.len());
    [head.as_bytes(), jpeg, b"\r\n"].concat()
}

/// A picture every 20 ms, until somebody hangs up.
pub fn stream(out: &mut dyn Write, jpeg: &[u8]) -> io::Result<bool> {
    begin(out, "multipart/x-mixed-replace; boundary=frame")?;
    loop {
        out.write_all(&part(jpeg))?;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a login may be asked with; the server knows `me` and `secret`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Basic,
    Md5,
    Sha256,
}

pub fn challenge(scheme: Scheme, nonce: &str) -> String {
    match scheme {
        Scheme::Basic => "WWW-Authenticate: Basic realm=\"cam\"\r\n".into(),
        Scheme::Md5 => format!(
            "WWW-Authenticate: Digest realm=\"cam\", nonce=\"{nonce}\", qop=\"auth\"\r\nWWW-Authenticate: Basic realm=\"cam\"\r\n"
        ),
        Scheme::Sha256 => {
            format!("WWW-Authenticate: Digest realm=\"cam\", nonce=\"{nonce}\", qop=\"auth\", algorithm=SHA-256\r\n")
        }
    }
}

/// Whether the request has the right login, by RFC 7617 and RFC 7616.
pub fn knows(request: &Request, scheme: Scheme, nonce: &str) -> bool {
    let Some(told) = &request.authorization else { return false };
    if scheme == Scheme::Basic {
        return told == "Basic bWU6c2VjcmV0";
    }
    let field = |name: &str| {
        let mut fields = told.trim_start_matches("Digest ").split(',').filter_map(|field| field.trim().split_once('='));
        fields.find(|(key, _)| *key == name).map_or(String::new(), |(_, value)| value.trim_matches('"').to_owned())
    };
    let sum = |text: String| hash(scheme, &text);
    let (who, what) = (sum("me:cam:secret".into()), sum(format!("GET:{}", request.path)));
    let expected = sum(format!("{who}:{nonce}:{}:{}:auth:{what}", field("nc"), field("cnonce")));
    told.starts_with("Digest ")
        && field("username") == "me"
        && field("nonce") == nonce
        && field("uri") == request.path
        && field("response") == expected
}

/// By a program that is not ours.
fn hash(scheme: Scheme, text: &str) -> String {
    let program = if scheme == Scheme::Md5 { "md5sum" } else { "sha256sum" };
    let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap().stdout;
    String::from_utf8(out).unwrap().split(' ').next().unwrap().to_owned()
}
