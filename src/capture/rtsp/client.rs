//! Talks RTSP. The only file that names retina, and with it tokio.
//!
//! A thread of its own with a small runtime of its own receives access units and leaves them in the queue, so that the
//! camera is drained whatever decoding does. retina waits for ever by itself: here every wait is limited, and none
//! outlasts the listener by more than [`LOOK`].

use super::queue::{AccessUnit, AccessUnits, Codec};
use super::redirect;
use super::timeline::Timeline;
use super::video::is_open_entry;
use crate::capture::Refused;
use crate::capture::address::{Login, host, unknown_host};
use crate::time::{MediaTime, Span, Stopwatch, WallTime};
use anyhow::{Context as _, Error, Result, anyhow, bail};
use futures::StreamExt as _;
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionGroup, SessionIdPolicy, SessionOptions, SetupOptions,
    TcpTransportOptions, Transport, UdpTransportOptions, UnknownRtcpSsrcPolicy,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What the camera may take for each answer until it plays.
const ANSWER_WITHIN: Span = Span::from_millis(5_000);
/// Silence that is taken for an outage.
const UNIT_WITHIN: Span = Span::from_millis(5_000);
/// How soon it is noticed that nobody listens.
const LOOK: Duration = Duration::from_millis(100);
/// What a goodbye may take; some cameras let in only so many guests and count those that left without one.
const GOODBYE: Duration = Duration::from_millis(1_000);

pub struct Wish {
    pub url: Url,
    pub login: Option<Login>,
    pub udp: bool,
    pub keyframes_only: bool,
}

/// Begins to fill `units`, until that fails or nobody listens.
pub fn spawn(wish: Wish, units: AccessUnits) -> Result<()> {
    let thread = std::thread::Builder::new().name("rtsp".into());
    let talk = move || {
        // Also when the client panics: then the listener hears of it instead of waiting.
        let _last_words = LastWords(units.clone());
        if let Err(error) = talk(wish, &units) {
            units.fail(error);
        }
    };
    thread.spawn(talk).context("cannot start a thread for a camera").map(drop)
}

struct LastWords(AccessUnits);

impl Drop for LastWords {
    fn drop(&mut self) {
        self.0.fail(anyhow!("the RTSP client broke down"));
    }
}

fn talk(wish: Wish, units: &AccessUnits) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start a camera")?;
    let group = Arc::new(SessionGroup::default());
    let outcome = runtime.block_on(receive(wish, units, &group));
    if let Err(error) = outcome {
        // Before the goodbye, which takes its time.
        units.fail(error);
    }
    // A camera that does not listen to a goodbye will forget us by itself.
    let _ = runtime.block_on(async { tokio::time::timeout(GOODBYE, group.await_teardown()).await });
    // A look-up of a name that hangs is not waited for.
    runtime.shutdown_background();
    Ok(())
}

async fn receive(mut wish: Wish, units: &AccessUnits, group: &Arc<SessionGroup>) -> Result<()> {
    let options = SetupOptions::default().frame_format(FrameFormat::SIMPLE).transport(if wish.udp {
        Transport::Udp(UdpTransportOptions::default())
    } else {
        Transport::Tcp(TcpTransportOptions::default())
    });
    let Some(mut session) = describe(&mut wish, units, group).await? else { return Ok(()) };
    let Some((stream, codec)) = choose(&session) else {
        let offered: Vec<_> =
            session.streams().iter().map(|s| format!("{} {}", s.media(), s.encoding_name())).collect();
        bail!("it offers {}, video as H.264, H.265 or JPEG is expected", offered.join(", "));
    };
    let answer = |answer: Result<Option<()>>| answer.map(|answer| answer.is_some());
    if !answer(within(ANSWER_WITHIN, units, "SETUP", session.setup(stream, options)).await)? {
        return Ok(());
    }
    let play = PlayOptions::default().unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::DropPackets);
    let Some(session) = within(ANSWER_WITHIN, units, "PLAY", session.play(play)).await? else { return Ok(()) };
    let session =
        session.demuxed().map_err(|error| anyhow!("its video is of a kind that is not known: {}", said(&error)))?;
    units.open(codec);
    play_on(session, &wish, units, codec).await
}

/// Follows redirects. `None`: nobody listens.
async fn describe(
    wish: &mut Wish,
    units: &AccessUnits,
    group: &Arc<SessionGroup>,
) -> Result<Option<Session<retina::client::Described>>> {
    for _ in 0..=redirect::MOST {
        let creds = wish.login.clone().map(|login| Credentials { username: login.user, password: login.password });
        let options = SessionOptions::default()
            .creds(creds)
            .user_agent("watchpost".into())
            .session_group(group.clone())
            // Of one stream the first identity is as good as any; some cameras change it on the way.
            .session_id(SessionIdPolicy::UseFirst);
        let attempt = Session::describe(wish.url.clone(), options);
        let error = match limited(ANSWER_WITHIN, units, attempt).await {
            Outcome::NobodyListens => return Ok(None),
            Outcome::Late => bail!("no answer to DESCRIBE for {:.0} s", ANSWER_WITHIN.secs_f64()),
            Outcome::Answer(Ok(session)) => return Ok(Some(session)),
            Outcome::Answer(Err(error)) => error,
        };
        if !error.status_code().is_some_and(|status| (300..400).contains(&status)) {
            return Err(sentence(&error, "DESCRIBE", wish.login.is_some()));
        }
        // retina does not say where to.
        let next = redirect::ask(&wish.url)?;
        if host(&next) != host(&wish.url) {
            // Whoever answers there is not who the password was meant for.
            wish.login = None;
        }
        wish.url = next;
    }
    bail!("it redirects more than {} times", redirect::MOST)
}

fn choose(session: &Session<retina::client::Described>) -> Option<(usize, Codec)> {
    let codec = |name: &str| match name {
        "h264" => Some(Codec::H264),
        "h265" => Some(Codec::H265),
        "jpeg" => Some(Codec::Jpeg),
        _ => None,
    };
    let videos = session.streams().iter().enumerate().filter(|(_, stream)| stream.media() == "video");
    videos.filter_map(|(i, stream)| Some((i, codec(stream.encoding_name())?))).next()
}

async fn play_on(mut session: Demuxed, wish: &Wish, units: &AccessUnits, codec: Codec) -> Result<()> {
    let clock = Stopwatch::start();
    let mut timeline = Timeline::default();
    let mut silent = Stopwatch::start();
    let mut index = 0;
    let mut follows_loss = false;
    while !units.is_closed() {
        let item = match tokio::time::timeout(LOOK, session.next()).await {
            Ok(Some(item)) => item.map_err(|error| sentence(&error, "its stream", wish.login.is_some()))?,
            Ok(None) => bail!("it ended its stream"),
            Err(_) if silent.elapsed() < UNIT_WITHIN => continue,
            Err(_) => return Err(silence(index, wish.udp)),
        };
        let CodecItem::VideoFrame(frame) = item else {
            if silent.elapsed() >= UNIT_WITHIN {
                return Err(silence(index, wish.udp));
            }
            continue;
        };
        silent = Stopwatch::start();
        let arrived = MediaTime::ZERO + clock.elapsed();
        let at = timeline.place(Span::from_secs_f64(frame.timestamp().elapsed_secs()), arrived);
        let mut is_keyframe = frame.is_random_access_point() || codec == Codec::Jpeg;
        follows_loss |= frame.loss() > 0;
        let stream = frame.stream_id();
        let mut data = frame.into_data();
        if codec == Codec::H265 && !is_keyframe && is_open_entry(&data) {
            is_keyframe = true;
            // As retina does it with those that it takes for keyframes.
            if let Some(ParametersRef::Video(known)) = session.streams().get(stream).and_then(|s| s.parameters()) {
                data = [known.extra_data(), &data].concat();
            }
        }
        if is_keyframe || !wish.keyframes_only {
            let taken = WallTime::now() + (at - arrived);
            units.push(AccessUnit { index, at, arrived, taken, is_keyframe, follows_loss, data });
            follows_loss = false;
        }
        index += 1;
    }
    Ok(())
}

fn silence(came: u64, udp: bool) -> Error {
    let hint = if udp && came == 0 { "; where UDP does not get through, transport = \"tcp\" does" } else { "" };
    anyhow!("no picture for {:.0} s{hint}", UNIT_WITHIN.secs_f64())
}

enum Outcome<T> {
    Answer(T),
    Late,
    NobodyListens,
}

async fn limited<T>(limit: Span, units: &AccessUnits, answer: impl Future<Output = T>) -> Outcome<T> {
    let clock = Stopwatch::start();
    let mut answer = std::pin::pin!(answer);
    loop {
        match tokio::time::timeout(LOOK, answer.as_mut()).await {
            Ok(answer) => return Outcome::Answer(answer),
            Err(_) if units.is_closed() => return Outcome::NobodyListens,
            Err(_) if clock.elapsed() >= limit => return Outcome::Late,
            Err(_) => {}
        }
    }
}

/// `None`: nobody listens.
async fn within<T>(
    limit: Span,
    units: &AccessUnits,
    what: &str,
    answer: impl Future<Output = Result<T, retina::Error>>,
) -> Result<Option<T>> {
    match limited(limit, units, answer).await {
        Outcome::Answer(Ok(answer)) => Ok(Some(answer)),
        Outcome::Answer(Err(error)) => Err(sentence(&error, what, true)),
        Outcome::Late => bail!("no answer to {what} for {:.0} s", limit.secs_f64()),
        Outcome::NobodyListens => Ok(None),
    }
}

fn sentence(error: &retina::Error, asked: &str, with_login: bool) -> Error {
    match error.status_code() {
        Some(401 | 403) if with_login => Refused("it refuses the login (check user and password_file)".into()).into(),
        Some(401 | 403) => Refused("it wants a login (set user and password_file)".into()).into(),
        Some(404) => anyhow!("it has no such stream (404): check the path of url"),
        Some(status @ 200..300) => {
            anyhow!("it answers {asked} with something that is not known ({status}): {}", said(error))
        }
        Some(status) => anyhow!("it answers {asked} with status {status}"),
        None => anyhow!("{}", said(error)),
    }
}

/// The first line; what follows is for people with Wireshark.
fn said(error: &retina::Error) -> String {
    let text = error.to_string();
    if let Some(unknown) = unknown_host(&text) {
        return unknown;
    }
    let line = text.lines().next().unwrap_or("no reason given");
    let line = line
        .strip_prefix("Unable to connect to RTSP server: ")
        .map_or(line.to_owned(), |why| format!("cannot connect: {why}"));
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}
