//! What one device has to say: its clock, its media service, its profiles and where each is streamed.

use super::probe::{Match, moved};
use super::soap::{Client, NotAuthorized, escaped, find, parse, plain, text_of};
use super::{NetworkCamera, NetworkStream};
use crate::capture::address::{Login, host};
use crate::time::WallTime;
use anyhow::{Context as _, Result, ensure};
use roxmltree::Node;
use url::Url;

/// Recorders have dozens; each costs a question.
const MOST_STREAMS: usize = 16;
const DEVICE: &str = "http://www.onvif.org/ver10/device/wsdl";
const MEDIA: &str = "http://www.onvif.org/ver10/media/wsdl";
const SCHEMA: &str = "http://www.onvif.org/ver10/schema";

/// A camera that wants (another) login is listed with that as its trouble.
///
/// # Errors
/// What it answers is no ONVIF, or it does not answer.
pub(super) fn ask(found: &Match, login: Option<&Login>) -> Result<NetworkCamera> {
    let address = host(&found.service);
    let names = [&found.name, &found.hardware, &address];
    let name = names.into_iter().find(|name| !name.is_empty()).cloned().unwrap_or_default();
    let mut camera = NetworkCamera {
        address,
        name,
        hardware: found.hardware.clone(),
        streams: Vec::new(),
        trouble: None,
        calls_itself: found.calls_itself.clone(),
    };
    match streams(found, login, &mut camera.calls_itself) {
        Ok(streams) if streams.is_empty() => camera.trouble = Some("it has no streams".into()),
        Ok(streams) => camera.streams = streams,
        Err(error) if error.is::<NotAuthorized>() => {
            let told = if login.is_some() { "it refuses this login" } else { "it wants a login" };
            camera.trouble = Some(told.into());
        }
        Err(error) => return Err(error),
    }
    Ok(camera)
}

fn streams(found: &Match, login: Option<&Login>, calls_itself: &mut Option<String>) -> Result<Vec<NetworkStream>> {
    let mut client = Client::new(login);
    // Asked without a login, since the token of one needs its answer. A device that has no clock to show may take ours.
    let now = Client::new(None).ask(&found.service, &format!("<GetSystemDateAndTime xmlns=\"{DEVICE}\"/>"));
    if let Some(now) = now.ok().and_then(|answer| clock(&answer)) {
        client.ahead = now - WallTime::now();
    }
    let media = media_service(&client, found).context("asked for its services")?;
    let answer = client.ask(&media, &format!("<GetProfiles xmlns=\"{MEDIA}\"/>")).context("asked for its profiles")?;
    let answer = parse(&answer)?;
    let profiles = find(answer.root(), "GetProfilesResponse").context("asked for its profiles, it tells none")?;
    let mut streams: Vec<NetworkStream> = Vec::new();
    for profile in profiles.children().filter(|node| node.tag_name().name() == "Profiles").take(MOST_STREAMS) {
        // Others carry sound or metadata only.
        let has_picture =
            ["VideoEncoderConfiguration", "VideoSourceConfiguration"].iter().any(|name| find(profile, name).is_some());
        let Some(token) = profile.attribute("token").filter(|_| has_picture) else { continue };
        let (url, named) = stream_address(&client, &media, token, found).context("asked for a stream's address")?;
        if calls_itself.is_none() {
            *calls_itself = named;
        }
        if streams.iter().any(|known| known.url == url.as_str()) {
            continue;
        }
        let encoder = find(profile, "VideoEncoderConfiguration");
        let resolution = encoder.and_then(|encoder| find(encoder, "Resolution"));
        let size = |name| resolution.and_then(|node| number(node, name)).unwrap_or(0);
        let codec = encoder.and_then(|encoder| text_of(encoder, "Encoding")).unwrap_or("");
        streams.push(NetworkStream {
            url: url.into(),
            codec: plain(codec).to_uppercase(),
            width: size("Width"),
            height: size("Height"),
        });
    }
    // Those of unknown size may be large: last.
    streams.sort_by_key(|stream| match u64::from(stream.width) * u64::from(stream.height) {
        0 => u64::MAX,
        pixels => pixels,
    });
    Ok(streams)
}

/// What its clock shows. `None`: it does not say, or no time that is one.
fn clock(answer: &str) -> Option<WallTime> {
    let answer = parse(answer).ok()?;
    let utc = find(answer.root(), "UTCDateTime")?;
    let part = |name| number(utc, name);
    let (year, month, day) = (part("Year")?, part("Month")?, part("Day")?);
    let (hour, minute, second) = (part("Hour")?, part("Minute")?, part("Second")?);
    WallTime::parse(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")).ok()
}

/// The newer question may be unknown to old devices, the older one to devices that are strict about it.
fn media_service(client: &Client<'_>, found: &Match) -> Result<Url> {
    let question = format!("<GetCapabilities xmlns=\"{DEVICE}\"><Category>Media</Category></GetCapabilities>");
    let told = match client.ask(&found.service, &question) {
        Ok(answer) => {
            let answer = parse(&answer)?;
            find(answer.root(), "Media").and_then(|media| text_of(media, "XAddr")).map(str::to_owned)
        }
        Err(error) if error.is::<NotAuthorized>() => return Err(error),
        Err(error) => {
            tracing::debug!(address = %found.from, %error, "No GetCapabilities.");
            None
        }
    };
    let told = match told {
        Some(told) => told,
        None => {
            let question =
                format!("<GetServices xmlns=\"{DEVICE}\"><IncludeCapability>false</IncludeCapability></GetServices>");
            let answer = client.ask(&found.service, &question)?;
            let answer = parse(&answer)?;
            let is_media =
                |node: &Node<'_, '_>| node.tag_name().name() == "Service" && text_of(*node, "Namespace") == Some(MEDIA);
            let service = answer.descendants().find(is_media).and_then(|service| text_of(service, "XAddr"));
            service.context("it has no media service")?.to_owned()
        }
    };
    let url = Url::parse(&told).with_context(|| format!("its media service is at {:?}", plain(&told)))?;
    ensure!(url.scheme() == "http", "its media service is at {:?}, http:// expected", plain(&told));
    Ok(moved(url, found.from).0)
}

fn stream_address(client: &Client<'_>, media: &Url, profile: &str, found: &Match) -> Result<(Url, Option<String>)> {
    let profile = escaped(profile);
    let question = format!(
        "<GetStreamUri xmlns=\"{MEDIA}\"><StreamSetup><Stream xmlns=\"{SCHEMA}\">RTP-Unicast</Stream>\
         <Transport xmlns=\"{SCHEMA}\"><Protocol>RTSP</Protocol></Transport></StreamSetup>\
         <ProfileToken>{profile}</ProfileToken></GetStreamUri>"
    );
    let answer = client.ask(media, &question)?;
    let answer = parse(&answer)?;
    let told = text_of(answer.root(), "Uri").context("it tells none")?;
    // Not repeated: it may hold a login.
    let url = Url::parse(told).context("it is no address")?;
    ensure!(url.scheme() == "rtsp", "it begins with {:?}, rtsp:// expected", url.scheme());
    Ok(moved(url, found.from))
}

fn number(node: Node<'_, '_>, name: &str) -> Option<u32> {
    text_of(node, name)?.parse().ok()
}
