//! Where a camera sends us that answers with a redirect. The RTSP client does not tell, so the question is asked once
//! more, without a login, and the answer's `Location` is read.

use crate::capture::address::host;
use crate::time::Stopwatch;
use anyhow::{Context as _, Result, bail};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;
use url::Url;

pub const MOST: u32 = 3;
const WITHIN: Duration = Duration::from_millis(2_000);
const LONGEST_ANSWER: usize = 16 << 10;

/// # Errors
/// No answer, or one that names no other RTSP address.
pub fn ask(url: &Url) -> Result<Url> {
    let name = (url.host_str().unwrap_or_default().trim_matches(['[', ']']), url.port().unwrap_or(554));
    let address = name
        .to_socket_addrs()
        .context("its host name cannot be found")?
        .next()
        .context("its host name cannot be found")?;
    let mut connection = TcpStream::connect_timeout(&address, WITHIN).context("cannot connect")?;
    connection.set_read_timeout(Some(Duration::from_millis(200)))?;
    connection.set_write_timeout(Some(WITHIN))?;
    let question = format!("DESCRIBE {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n");
    // In one piece: some cameras read no further.
    connection.write_all(question.as_bytes()).context("it redirects and does not say where to")?;
    let clock = Stopwatch::start();
    let mut answer = Vec::new();
    let mut piece = [0; 1024];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        match connection.read(&mut piece) {
            Ok(0) => break,
            Ok(n) => answer.extend_from_slice(&piece[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error).context("it redirects and does not say where to"),
        }
        if answer.len() > LONGEST_ANSWER || clock.elapsed().to_std().is_none_or(|waited| waited > WITHIN) {
            break;
        }
    }
    location(&String::from_utf8_lossy(&answer), url)
}

/// A location may be relative to where it was asked.
fn location(answer: &str, asked: &Url) -> Result<Url> {
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("location").then(|| value.trim().to_owned())
    };
    let Some(location) = answer.lines().find_map(header) else { bail!("it redirects and does not say where to") };
    let mut url = asked.join(&location).context("it redirects to something that is no address")?;
    if url.scheme() != "rtsp" {
        bail!("it redirects to {}: at {}, rtsp: expected", url.scheme(), host(&url));
    }
    // A login in it would be somebody else's.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_read() {
        let asked = Url::parse("rtsp://10.0.0.7/main").unwrap();
        let check = |answer: &str| location(answer, &asked).map(|url| url.to_string()).map_err(|e| e.to_string());
        let answer = "RTSP/1.0 302 Found\r\nCSeq: 1\r\nlocation: rtsp://me:pw@10.0.0.8:8554/sub\r\n\r\n";
        assert_eq!(check(answer).unwrap(), "rtsp://10.0.0.8:8554/sub");
        assert_eq!(check("RTSP/1.0 301 Moved\r\nLocation: /other\r\n").unwrap(), "rtsp://10.0.0.7/other");
        assert!(check("RTSP/1.0 302 Found\r\n\r\n").unwrap_err().contains("does not say"));
        assert!(check("RTSP/1.0 302 Found\r\nLocation: http://a/\r\n").unwrap_err().contains("rtsp: expected"));
    }
}
