//! WS-Discovery: one question to everyone, and who answers it.

use super::soap::{find, parse, plain, text_of};
use crate::time::{Span, Stopwatch};
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;
use tracing::warn;
use url::Url;

/// More are not listed; so that a device that answers under ever new names ends.
const MOST: usize = 64;
/// UDP loses; the question is repeated after a third and two thirds of the time.
const ROUNDS: i64 = 3;

/// A device that answered.
#[derive(Debug)]
pub(super) struct Match {
    /// Where its answer came from.
    pub from: IpAddr,
    /// Its device service, at `from`.
    pub service: Url,
    /// What it calls its host, where that is another.
    pub calls_itself: Option<String>,
    pub name: String,
    pub hardware: String,
}

/// # Errors
/// Nothing can be sent.
pub(super) fn probe(target: SocketAddr, within: Span) -> Result<Vec<Match>> {
    let any: IpAddr = if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).context("cannot look for network cameras")?;
    let question = question();
    let clock = Stopwatch::start();
    let mut sent = 0;
    let mut matches: Vec<Match> = Vec::new();
    let mut bad = BTreeSet::new();
    let mut datagram = vec![0; 65_536];
    while matches.len() < MOST {
        let due = |round: i64| Span::from_micros(within.micros() / ROUNDS * round);
        if sent < ROUNDS && clock.elapsed() >= due(sent) {
            let result = socket.send_to(question.as_bytes(), target);
            result.with_context(|| format!("cannot look for network cameras, no way to {target}"))?;
            sent += 1;
        }
        let next = if sent < ROUNDS { due(sent) } else { within };
        let left = (next - clock.elapsed()).to_std().unwrap_or_default();
        if left.is_zero() {
            if sent < ROUNDS {
                continue;
            }
            break;
        }
        // No time at all would mean to wait for ever.
        socket.set_read_timeout(Some(left.max(Duration::from_millis(1)))).context("cannot look for network cameras")?;
        let (length, from) = match socket.recv_from(&mut datagram) {
            Ok(received) => received,
            // The last: the one host that was asked has nobody listening. It may be about to start.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted | ErrorKind::ConnectionRefused
                ) =>
            {
                continue;
            }
            Err(error) => return Err(error).context("cannot listen for network cameras"),
        };
        match read(&datagram[..length], from.ip()) {
            Ok(found) => {
                for found in found {
                    if matches.len() < MOST && matches.iter().all(|known| known.service != found.service) {
                        matches.push(found);
                    }
                }
            }
            // Said once for each address, and not for any number of them.
            Err(error) if bad.len() < MOST && bad.insert(from.ip()) => {
                warn!(address = %from.ip(), error = %format!("{error:#}"), "Device skipped, its answer cannot be read.");
            }
            Err(_) => {}
        }
    }
    Ok(matches)
}

fn question() -> String {
    let id: u128 = fastrand::u128(..);
    // A random UUID, RFC 9562, version 4.
    let id = id & !(0xF << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
    let id = format!("{id:032x}");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\" \
         xmlns:dn=\"http://www.onvif.org/ver10/network/wsdl\">\
         <s:Header><a:MessageID>uuid:{}-{}-{}-{}-{}</a:MessageID>\
         <a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To>\
         <a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action></s:Header>\
         <s:Body><d:Probe><d:Types>dn:NetworkVideoTransmitter</d:Types></d:Probe></s:Body></s:Envelope>",
        &id[..8],
        &id[8..12],
        &id[12..16],
        &id[16..20],
        &id[20..]
    )
}

/// The answer's `RelatesTo` is not compared: the socket's port is new with every question, and devices exist that garble it.
fn read(datagram: &[u8], from: IpAddr) -> Result<Vec<Match>> {
    let text = std::str::from_utf8(datagram).context("it is no text")?;
    let answer = parse(text)?;
    let matches = find(answer.root(), "ProbeMatches").context("it holds no ProbeMatches")?;
    let mut found = Vec::new();
    for one in matches.children().filter(|node| node.tag_name().name() == "ProbeMatch").take(MOST) {
        let addresses = text_of(one, "XAddrs").unwrap_or("");
        let urls: Vec<Url> = addresses.split_whitespace().filter_map(|address| Url::parse(address).ok()).collect();
        let http = |url: &&Url| url.scheme() == "http";
        let at_home = urls.iter().filter(http).find(|url| is_host(url, from));
        let Some(url) = at_home.or_else(|| urls.iter().find(http)) else {
            anyhow::bail!("its device service is at {:?}, http:// expected", plain(addresses));
        };
        let (service, calls_itself) = moved(url.clone(), from);
        let scopes = text_of(one, "Scopes").unwrap_or("");
        found.push(Match {
            from,
            service,
            calls_itself,
            name: scope(scopes, "name"),
            hardware: scope(scopes, "hardware"),
        });
    }
    Ok(found)
}

fn is_host(url: &Url, from: IpAddr) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(host)) => IpAddr::V4(host) == from,
        Some(url::Host::Ipv6(host)) => IpAddr::V6(host) == from,
        Some(url::Host::Domain(host)) => host.parse() == Ok(from),
        None => false,
    }
}

/// The same place at the host that answered, without a login; and the host that was named, if it is another.
pub(super) fn moved(mut url: Url, from: IpAddr) -> (Url, Option<String>) {
    let named = url.host_str().unwrap_or("").to_owned();
    let is_same = is_host(&url, from);
    // These fail for addresses that cannot have a host or a login, which were not accepted before.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    let _ = url.set_ip_host(from);
    (url, (!is_same).then(|| plain(&named)))
}

/// The value of `onvif://www.onvif.org/KEY/value`; empty where there is none.
fn scope(scopes: &str, key: &str) -> String {
    let value = |scope: &str| {
        let rest = scope.strip_prefix("onvif://www.onvif.org/")?.strip_prefix(key)?.strip_prefix('/')?;
        Some(plain(&percent_decoded(rest)))
    };
    scopes.split_whitespace().find_map(value).unwrap_or_default()
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = match (first, after) {
            (b'%', [high, low, ..]) => hex(high).zip(hex(low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_name_the_camera() {
        let scopes = "onvif://www.onvif.org/type/video_encoder onvif://www.onvif.org/name/Front%20Door%1b%zz\n\
                      onvif://www.onvif.org/hardware/DS-2CD onvif://www.onvif.org/hardware/other";
        assert_eq!((scope(scopes, "name"), scope(scopes, "hardware")), ("Front Door%zz".into(), "DS-2CD".into()));
        assert_eq!(scope(scopes, "location"), "");
    }

    #[test]
    fn a_device_stays_where_it_answered_from() {
        let from: IpAddr = "10.0.0.7".parse().unwrap();
        let check = |url: &str, expected: &str, named: Option<&str>| {
            let (url, calls_itself) = moved(Url::parse(url).unwrap(), from);
            assert_eq!((url.as_str(), calls_itself.as_deref()), (expected, named));
        };
        check("http://10.0.0.7:8000/onvif", "http://10.0.0.7:8000/onvif", None);
        check("http://192.168.1.9:8000/onvif", "http://10.0.0.7:8000/onvif", Some("192.168.1.9"));
        check("rtsp://me:secret@cam.local:554/a?b=c", "rtsp://10.0.0.7:554/a?b=c", Some("cam.local"));
        check("rtsp://me:secret@10.0.0.7/a", "rtsp://10.0.0.7/a", None);
    }
}
