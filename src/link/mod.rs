//! The way to the broker: events in order and at least once, state that the broker retains, commands.
//!
//! One thread (`owner`) owns the cursor of the outbox, the client and the connection. An event is on disk
//! before it is offered; few are in flight; it counts as delivered when the broker has acknowledged it; on any
//! error client and connection are thrown away, new ones are built, and everything from the first
//! unacknowledged event on is offered again in order. A second thread does nothing but wait for the connection
//! to report something.
//!
//! An acknowledgement means that the broker has the event, not that a subscriber has: a broker that is killed
//! takes with it what it still held in memory. So the last minute of acknowledged events is sent once more
//! after every outage (`mqtt.resend_s`), and before that subscribers get some seconds to return, since what cut us
//! off may have cut them off too (`mqtt.settle_s`). Subscribers tell duplicates by `id`. What no publisher can mend: a
//! subscriber without a session that stays away longer, and a broker that drops what it queues for a slow one
//! (mosquitto's `max_queued_messages` is 1000 by default).
//!
//! What is full: the outbox drops its oldest rows, counted and said (`store`); retained state is bounded by the
//! number of topics; results of commands wait in a queue of [`ONCE_MAX`]; commands that the app does not take
//! up are answered "busy". Absent: QoS 2, and any wait for the broker in the caller's thread.

pub mod command;
pub mod delivery;
pub mod discovery;
pub mod health;
mod owner;
mod retained;
mod session;
pub mod topics;

use crate::ids::DeviceId;
use crate::platform::mqtt::{MAX_PAYLOAD, MqttConfig, MqttError, MqttEvent};
use crate::stop::Stop;
use crate::store::{Backlog, Outbox};
use crate::time::{Span, Stopwatch, WallTime};
use anyhow::{Context, Result};
use embedded_svc::mqtt::client::QoS;
use retained::{Put, Retained};
use std::collections::{BTreeSet, VecDeque};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use command::{Command, Outcome, Verb};
pub use discovery::{Site, SiteCamera};
pub use health::{CameraHealth, Health};
pub use topics::{CameraState, Topics};

/// Messages that are neither event nor state: results of commands and the like.
pub const ONCE_MAX: usize = 256;

/// Commands that the app has not taken up yet.
const COMMANDS_MAX: usize = 16;

/// What the link needs to know.
#[derive(Debug, Clone)]
pub struct LinkPlan {
    pub mqtt: MqttConfig,
    pub device: DeviceId,
    /// The state folder, which the store has opened before.
    pub state_dir: PathBuf,
    pub version: String,
    /// `Store::boot`.
    pub boot: String,
    /// When the appliance started.
    pub since: WallTime,
}

/// How the link stands, for `health`.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LinkState {
    pub connected: bool,
    /// When that last changed.
    pub since: WallTime,
    /// Why there is no connection.
    pub error: Option<String>,
    pub connects: u64,
    /// Everything up to this `seq` was acknowledged by the broker.
    pub delivered: u64,
    /// Events that were sent again after an outage although they had been acknowledged, since the start.
    pub resent: u64,
    /// `outbox.dropped` counts gaps in `seq` that subscribers will never see filled.
    pub outbox: Backlog,
}

/// Starts the link.
pub struct Link;

impl Link {
    /// Fails on what no waiting would mend: a wrong url, an unreadable state folder. A broker that is away or
    /// refuses is no failure; it is tried again for ever.
    pub fn spawn(plan: LinkPlan) -> Result<LinkHandle> {
        plan.mqtt.address()?;
        let outbox = Outbox::open(&plan.state_dir)?;
        let (sender, inbox) = sync_channel(256);
        let (commands_in, commands) = sync_channel(COMMANDS_MAX);
        let (done, ended) = sync_channel(1);
        let topics = Topics::new(&plan.device);
        let shared = Arc::new(Shared::new());
        let owner = owner::Owner::new(plan, outbox, shared.clone(), inbox, sender.clone(), commands_in)?;
        std::thread::Builder::new()
            .name("link".into())
            .spawn(move || {
                owner.run();
                // Nobody may be waiting any more.
                let _ = done.send(());
            })
            .context("cannot start the thread of the link")?;
        Ok(LinkHandle { shared, sender, topics, commands, ended })
    }
}

/// The app's end of the link. No call waits for the broker.
pub struct LinkHandle {
    shared: Arc<Shared>,
    sender: SyncSender<Input>,
    topics: Topics,
    /// What somebody wants done; answer with [`LinkHandle::reply`].
    pub commands: Receiver<Command>,
    ended: Receiver<()>,
}

impl LinkHandle {
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// There is something new in the outbox.
    pub fn wake(&self) {
        self.shared.wake(&self.sender);
    }

    /// State that the broker keeps: the newest payload of a topic wins. Empty makes the broker forget it. Told
    /// and ignored if the topic is not valid, the payload too big, or there are too many topics.
    pub fn retain(&self, topic: &str, payload: impl AsRef<[u8]>, qos: QoS) {
        let payload = payload.as_ref();
        let fits = is_topic(topic) && payload.len() <= MAX_PAYLOAD;
        match if fits { self.shared.mail().retained.put(topic, payload, qos) } else { Put::Full } {
            Put::Changed => self.wake(),
            Put::Same => {}
            Put::Full => {
                tracing::warn!(
                    topic,
                    bytes = payload.len(),
                    "State cannot be published: bad topic, too big or too many."
                );
            }
        }
    }

    /// How the app got on with a command.
    pub fn reply(&self, command: &Command, outcome: Outcome) {
        let topic = self.topics.result(command.verb.name());
        self.shared.post(Once::new(topic, command::result(Some(&command.id), &outcome)));
        self.wake();
    }

    /// Describes the device to Home Assistant, now and whenever it comes back.
    pub fn discover(&self, site: Site) {
        self.shared.mail().site = Some(site);
        self.wake();
    }

    /// Every topic that the app retains for its cameras from now on. What an earlier call named, be it before a
    /// restart, and this one does not, the broker is made to forget.
    pub fn keep_only(&self, topics: Vec<String>) {
        self.shared.mail().keep = Some(topics.into_iter().filter(|topic| is_topic(topic)).collect());
        self.wake();
    }

    pub fn state(&self) -> LinkState {
        self.shared.state().clone()
    }

    /// Delivers what is there, says `stopped`, and ends, in at most `span`. True if all was said.
    pub fn shutdown(self, span: Span) -> bool {
        *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner) = self.shared.clock.elapsed() + span;
        self.shared.ending.set();
        self.wake();
        // A little longer than the link takes for itself.
        let wait = (span + Span::from_millis(200)).to_std().unwrap_or_default();
        self.ended.recv_timeout(wait).is_ok() && self.shared.state().error.is_none()
    }
}

/// What the owner waits for.
enum Input {
    Wake,
    /// The connection of this number has something to say.
    Happened(u64, Result<MqttEvent, MqttError>),
}

/// A message that is sent once, at QoS 1.
#[derive(Debug, Clone)]
struct Once {
    topic: String,
    payload: String,
    retain: bool,
}

impl Once {
    fn new(topic: String, payload: String) -> Self {
        Once { topic, payload, retain: false }
    }
}

/// What app and owner share. No lock is held while anything waits.
struct Shared {
    mail: Mutex<Mail>,
    state: Mutex<LinkState>,
    woken: AtomicBool,
    ending: Stop,
    /// By `clock`, when ending.
    deadline: Mutex<Span>,
    clock: Stopwatch,
}

#[derive(Default)]
struct Mail {
    retained: Retained,
    once: VecDeque<Once>,
    /// New since the owner last looked.
    site: Option<Site>,
    /// The topics of `keep_only`, likewise.
    keep: Option<BTreeSet<String>>,
}

impl Shared {
    fn new() -> Self {
        let state = LinkState {
            connected: false,
            since: WallTime::now(),
            error: None,
            connects: 0,
            delivered: 0,
            resent: 0,
            outbox: Backlog::default(),
        };
        Shared {
            mail: Mutex::default(),
            state: Mutex::new(state),
            woken: AtomicBool::new(false),
            ending: Stop::new(),
            deadline: Mutex::new(Span::ZERO),
            clock: Stopwatch::start(),
        }
    }

    fn mail(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, sender: &SyncSender<Input>) {
        // Full means that the owner is busy; it looks at `woken` before it waits.
        if !self.woken.swap(true, Ordering::AcqRel) {
            let _ = sender.try_send(Input::Wake);
        }
    }

    fn post(&self, message: Once) {
        let mut mail = self.mail();
        if mail.once.len() >= ONCE_MAX {
            tracing::warn!(topic = message.topic, "Too many messages wait for the broker, the oldest is dropped.");
            mail.once.pop_front();
        }
        mail.once.push_back(message);
    }
}

fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= 1024 && !topic.contains(['+', '#', '\0'])
}
