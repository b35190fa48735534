//! Cameras on the network: which there are, and which of their streams to use.

use super::{Found, Mode};
use crate::capture::Login;
use crate::capture::onvif::{self, NetworkCamera, NetworkStream};
use crate::time::Span;
use anyhow::Result;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(clap::Args)]
// The verb has a group of that name already.
#[group(skip)]
pub struct Args {
    /// Look for cameras on the local network (ONVIF) instead
    #[arg(long)]
    network: bool,
    /// Who we are at those cameras; most tell their streams only then
    #[arg(long, requires = "network")]
    user: Option<String>,
    /// Its first line is the password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Ask this address, which multicast may not reach, instead of everyone
    #[arg(long, value_name = "IP:PORT", requires = "network")]
    ask: Option<SocketAddr>,
    /// How long to wait for answers
    #[arg(long, value_name = "SECONDS", default_value_t = 3, requires = "network",
        value_parser = clap::value_parser!(u16).range(1..=60))]
    wait_s: u16,
}

impl Args {
    pub(super) fn is_asked(&self) -> bool {
        self.network
    }
}

pub(super) const NOBODY: &str = "No camera on the network answered. ONVIF is often off until it is switched on in the camera's own \
                                 settings, and a camera in another network answers only to --ask IP:3702.\n";

/// Enough to find people in; a larger picture costs more and shows little else.
const COLUMNS: u32 = 600;

/// # Errors
/// The password cannot be read, or there is no network.
pub(super) fn look(args: &Args) -> Result<Vec<Found>> {
    let login = Login::read(args.user.as_deref(), args.password_file.as_deref())?;
    let target = args.ask.unwrap_or(onvif::EVERYONE);
    let cameras = onvif::discover_at(target, Span::from_millis(i64::from(args.wait_s) * 1000), login.as_ref())?;
    Ok(cameras.into_iter().map(|camera| found(camera, args)).collect())
}

fn found(camera: NetworkCamera, args: &Args) -> Found {
    let best = best(&camera.streams);
    let mut source = Vec::new();
    if let Some(stream) = best {
        source.push("kind = \"rtsp\"".into());
        source.push(format!("url = {}", quoted(&stream.url)));
        source.extend(args.user.iter().map(|user| format!("user = {}", quoted(user))));
        let file = args.password_file.as_ref().map(|file| std::path::absolute(file).unwrap_or_else(|_| file.clone()));
        source.extend(file.map(|file| format!("password_file = {}", quoted(&file.to_string_lossy()))));
    }
    let hardware = if camera.hardware.is_empty() || camera.hardware == camera.name {
        String::new()
    } else {
        format!("{}, ", camera.hardware)
    };
    Found {
        kind: "rtsp",
        id: best.map_or_else(|| camera.address.clone(), |stream| stream.url.clone()),
        place: format!("{hardware}network, {}", camera.address),
        name: camera.name,
        trouble: camera.trouble.map(|trouble| match args.user {
            None if trouble.contains("login") => format!("{trouble}: --user NAME --password-file FILE"),
            _ => trouble,
        }),
        note: camera.calls_itself.map(|named| {
            format!("it calls itself {named}; the host it answered from is used, since the other may lead nowhere")
        }),
        source,
        modes: camera.streams.into_iter().map(Mode::from).collect(),
    }
}

impl From<NetworkStream> for Mode {
    fn from(stream: NetworkStream) -> Mode {
        Mode {
            readable: is_readable(&stream),
            format: if stream.codec.is_empty() { "video".into() } else { stream.codec },
            size: (stream.width, stream.height),
            up_to: None,
            fps: vec![],
            url: Some(stream.url),
        }
    }
}

fn is_readable(stream: &NetworkStream) -> bool {
    // One that does not say is most likely H.264 or H.265.
    ["", "H264", "H265", "JPEG"].contains(&stream.codec.as_str())
}

/// The smallest of enough columns, else the largest; one that can be read, if there is one. `streams` begins with the
/// smallest.
fn best(streams: &[NetworkStream]) -> Option<&NetworkStream> {
    let readable: Vec<&NetworkStream> = streams.iter().filter(|stream| is_readable(stream)).collect();
    let any = if readable.is_empty() { streams.iter().collect() } else { readable };
    let enough = any.iter().find(|stream| stream.width >= COLUMNS);
    enough.or_else(|| any.iter().rfind(|stream| stream.width > 0)).or(any.first()).copied()
}

/// As TOML writes it, whatever is in it.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_stream_that_shows_enough_is_used() {
        let check = |streams: &[(&str, u32)], expected: Option<usize>| {
            let one = |&(codec, width): &(&str, u32)| NetworkStream {
                url: format!("rtsp://c/{codec}{width}"),
                codec: codec.into(),
                width,
                height: width / 2,
            };
            let streams: Vec<NetworkStream> = streams.iter().map(one).collect();
            assert_eq!(best(&streams), expected.map(|at| &streams[at]), "{streams:?}");
        };
        check(&[("H264", 320), ("H264", 640), ("H264", 1920)], Some(1));
        check(&[("H264", 320), ("H264", 480)], Some(1));
        check(&[("MPEG4", 640), ("H265", 1920)], Some(1));
        check(&[("MPEG4", 640)], Some(0));
        check(&[("H264", 320), ("", 0)], Some(0));
        check(&[("", 0), ("H264", 0)], Some(0));
        check(&[], None);
    }
}
