//! Cameras on the local network that speak ONVIF: who is there ([WS-Discovery] 1.0 over UDP), and what each of them streams
//! (ONVIF Core and Media 1.0, SOAP over HTTP).
//!
//! A camera is asked at the address it answered from, whatever it calls itself: behind NAT, or after it got another
//! address, it tells a host that leads nowhere, and no answer should send our login elsewhere.
//!
//! Everything has a bound: cameras, streams, bytes and time. Absent: HTTPS, the second Media service, a login by HTTP
//! instead of by token, and networks other than the one multicast goes out to (ask a camera there by its address).
//!
//! [WS-Discovery]: https://docs.oasis-open.org/ws-dd/discovery/1.1/wsdd-discovery-1.1-spec.html

mod device;
mod probe;
mod soap;

use super::address::Login;
use crate::time::Span;
use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use tracing::warn;

/// A camera that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkCamera {
    /// Host, with its port where that is not the usual one.
    pub address: String,
    pub name: String,
    pub hardware: String,
    /// The smallest picture first: it is the one to prefer. Empty where the camera wants a login for it.
    pub streams: Vec<NetworkStream>,
    /// Why there are no streams, in words.
    pub trouble: Option<String>,
    /// It calls itself by another host than the one it answered from, which is used here.
    pub calls_itself: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkStream {
    /// `rtsp://…` without a login.
    pub url: String,
    /// In capitals, as ONVIF writes it: `H264`. Empty where the camera does not say.
    pub codec: String,
    /// Columns and rows; 0 where the camera does not say.
    pub width: u32,
    pub height: u32,
}

/// Where everyone who speaks WS-Discovery listens.
pub const EVERYONE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3702);

/// So many cameras are asked at the same time, each by a thread of its own.
const AT_ONCE: usize = 16;

/// Asks the local network who is there and waits for answers for `within`; what each has to say takes up to 10 s more.
/// In the order of addresses. A device that answers no ONVIF is logged and left out.
///
/// # Errors
/// There is no network to ask.
pub fn discover(within: Span, login: Option<&Login>) -> Result<Vec<NetworkCamera>> {
    discover_at(EVERYONE, within, login)
}

/// The same of one address, which multicast may not reach.
///
/// # Errors
/// As [`discover`].
pub fn discover_at(target: SocketAddr, within: Span, login: Option<&Login>) -> Result<Vec<NetworkCamera>> {
    let matches = probe::probe(target, within)?;
    let mut cameras = Vec::new();
    for some in matches.chunks(AT_ONCE) {
        let asked: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = some.iter().map(|found| scope.spawn(|| device::ask(found, login))).collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        for (found, camera) in some.iter().zip(asked) {
            match camera {
                Ok(Ok(camera)) => cameras.push(camera),
                Ok(Err(error)) => warn!(address = %found.from, error = %format!("{error:#}"), "Device skipped."),
                Err(_) => warn!(address = %found.from, "Device skipped, asking it failed."),
            }
        }
    }
    cameras.sort_by(|a, b| a.address.cmp(&b.address));
    Ok(cameras)
}
