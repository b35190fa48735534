//! The MQTT client of embedded-svc for Linux, over rumqttc. Only this file names rumqttc.
//!
//! [`dial`] gives one connection: a [`Client`](MqttClient) to ask with and a [`Connection`](MqttConnection)
//! whose `next` blocks until something happened. Once `next` has failed, both are dead: rumqttc would connect
//! again by itself, but then drops what was in flight when the broker has no session, so nothing here ever
//! reconnects. Whoever needs the broker again dials again.
//!
//! rumqttc gives no token for a publish, but it reports what it has written in order of the requests: a queue
//! of our own ids ties its packet ids to them. So `enqueue` returns an id and `Published(id)` comes when the
//! broker has acknowledged it (QoS 1) or when it is written (QoS 0).

use super::broker::Address;

use embedded_svc::mqtt::client::{
    Client, Connection, Details, Enqueue, ErrorType, Event, EventPayload, MessageId, QoS,
};
use rumqttc::{ConnectReturnCode, ConnectionError, Incoming, Outgoing, Packet, StateError};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use super::broker::MqttConfig;

/// Requests that wait to be written. The link has far fewer in flight.
const QUEUE: usize = 512;

/// A packet bigger than this breaks the connection, so nobody may ask for one: see [`MAX_PAYLOAD`].
const MAX_PACKET: usize = 16 << 20;
pub const MAX_PAYLOAD: usize = 8 << 20;

/// What the broker says for us when we are gone without a word.
#[derive(Debug, Clone)]
pub struct LastWill {
    pub topic: String,
    pub payload: String,
}

/// Why there is no connection (any more), in words for the log of somebody far away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MqttError(String);

impl fmt::Display for MqttError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MqttError {}

/// Our ids of what was asked for and not yet written, oldest first.
type Asked = Arc<Mutex<VecDeque<MessageId>>>;

pub struct MqttClient {
    client: rumqttc::Client,
    asked: Asked,
    last_id: MessageId,
}

pub struct MqttConnection {
    connection: rumqttc::Connection,
    asked: Asked,
    /// Our id of each packet id that waits for its acknowledgement.
    unacknowledged: HashMap<u16, MessageId>,
    address: Address,
    user: Option<String>,
    dead: bool,
}

/// Makes the two ends. Nothing is sent before [`MqttConnection`] is asked for its first event.
pub fn dial(config: &MqttConfig, client_id: &str, will: LastWill) -> anyhow::Result<(MqttClient, MqttConnection)> {
    let address = config.address()?;
    let mut options = rumqttc::MqttOptions::new(client_id, &address.host, address.port);
    options
        .set_keep_alive(Duration::from_secs(config.keep_alive_s.max(1).into()))
        // With a session the broker tells on the next connect whether it still knows us: see `link::session`.
        .set_clean_session(false)
        .set_inflight(QUEUE as u16)
        .set_max_packet_size(MAX_PACKET, MAX_PACKET)
        .set_last_will(rumqttc::LastWill::new(will.topic, will.payload, rumqttc::QoS::AtLeastOnce, true));
    let credentials = config.credentials()?;
    let user = credentials.as_ref().map(|(user, _)| user.clone());
    if let Some((user, password)) = credentials {
        options.set_credentials(user, password);
    }
    if address.tls {
        options.set_transport(rumqttc::Transport::tls_with_config(rumqttc::TlsConfiguration::Rustls(config.tls()?)));
    }
    let (client, mut connection) = rumqttc::Client::new(options, QUEUE);
    let mut network = rumqttc::NetworkOptions::new();
    network.set_connection_timeout(10).set_tcp_nodelay(true);
    connection.eventloop.set_network_options(network);
    let asked = Asked::default();
    let client = MqttClient { client, asked: asked.clone(), last_id: 0 };
    let unacknowledged = HashMap::new();
    Ok((client, MqttConnection { connection, asked, unacknowledged, address, user, dead: false }))
}

impl ErrorType for MqttClient {
    type Error = MqttError;
}

impl MqttClient {
    fn ask(
        &mut self,
        request: impl FnOnce(&rumqttc::Client) -> Result<(), rumqttc::ClientError>,
    ) -> Result<MessageId, MqttError> {
        let id = self.last_id.wrapping_add(1);
        // Before the request goes out, else the connection could report it before it is known.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push_back(id);
        if request(&self.client).is_err() {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).pop_back();
            return Err(MqttError("the queue to the broker is full, or the topic is not valid".into()));
        }
        self.last_id = id;
        Ok(id)
    }

    /// Says goodbye: `next` reports `Disconnected` when it is written, and the broker keeps the last will to itself.
    pub fn disconnect(&mut self) -> Result<(), MqttError> {
        self.client.try_disconnect().map_err(|_| MqttError("the queue to the broker is full".into()))
    }
}

impl Client for MqttClient {
    fn subscribe<'a>(&'a mut self, topic: &'a str, qos: QoS) -> Result<MessageId, MqttError> {
        self.ask(|client| client.try_subscribe(topic, qos_of(qos)))
    }

    fn unsubscribe<'a>(&'a mut self, topic: &'a str) -> Result<MessageId, MqttError> {
        self.ask(|client| client.try_unsubscribe(topic))
    }
}

impl Enqueue for MqttClient {
    /// Never waits: fails when too much is queued already.
    fn enqueue<'a>(
        &'a mut self,
        topic: &'a str,
        qos: QoS,
        retain: bool,
        payload: &'a [u8],
    ) -> Result<MessageId, MqttError> {
        self.ask(|client| client.try_publish(topic, qos_of(qos), retain, payload))
    }
}

fn qos_of(qos: QoS) -> rumqttc::QoS {
    match qos {
        QoS::AtMostOnce => rumqttc::QoS::AtMostOnce,
        QoS::AtLeastOnce => rumqttc::QoS::AtLeastOnce,
        QoS::ExactlyOnce => rumqttc::QoS::ExactlyOnce,
    }
}

/// Something that happened on the connection.
#[derive(Debug)]
pub enum MqttEvent {
    /// With or without a session that the broker has kept for us.
    Connected(bool),
    Published(MessageId),
    Subscribed(MessageId),
    Unsubscribed(MessageId),
    Received {
        topic: String,
        payload: Vec<u8>,
    },
    /// Our goodbye is written.
    Disconnected,
}

impl ErrorType for MqttEvent {
    type Error = MqttError;
}

impl Event for MqttEvent {
    fn payload(&self) -> EventPayload<'_, MqttError> {
        match self {
            MqttEvent::Connected(session) => EventPayload::Connected(*session),
            MqttEvent::Published(id) => EventPayload::Published(*id),
            MqttEvent::Subscribed(id) => EventPayload::Subscribed(*id),
            MqttEvent::Unsubscribed(id) => EventPayload::Unsubscribed(*id),
            MqttEvent::Received { topic, payload } => {
                EventPayload::Received { id: 0, topic: Some(topic), data: payload, details: Details::Complete }
            }
            MqttEvent::Disconnected => EventPayload::Disconnected,
        }
    }
}

impl ErrorType for MqttConnection {
    type Error = MqttError;
}

impl Connection for MqttConnection {
    type Event<'a> = MqttEvent;

    fn next(&mut self) -> Result<MqttEvent, MqttError> {
        while !self.dead {
            let happened = match self.connection.recv() {
                Ok(Ok(event)) => self.translate(event),
                Ok(Err(error)) => {
                    self.dead = true;
                    return Err(self.explain(&error));
                }
                Err(rumqttc::RecvError) => break,
            };
            if let Some(event) = happened {
                self.dead = matches!(event, MqttEvent::Disconnected);
                return Ok(event);
            }
        }
        Err(MqttError("the connection is closed".into()))
    }
}

impl MqttConnection {
    fn translate(&mut self, event: rumqttc::Event) -> Option<MqttEvent> {
        let mut written = |pkid: u16| {
            let id = self.asked.lock().unwrap_or_else(PoisonError::into_inner).pop_front()?;
            if pkid == 0 { Some(id) } else { self.unacknowledged.insert(pkid, id).and(None) }
        };
        match event {
            rumqttc::Event::Outgoing(Outgoing::Publish(pkid)) => written(pkid).map(MqttEvent::Published),
            rumqttc::Event::Outgoing(Outgoing::Subscribe(pkid) | Outgoing::Unsubscribe(pkid)) => {
                written(pkid);
                None
            }
            rumqttc::Event::Outgoing(Outgoing::Disconnect) => Some(MqttEvent::Disconnected),
            rumqttc::Event::Outgoing(_) => None,
            rumqttc::Event::Incoming(packet) => match packet {
                Packet::ConnAck(ack) => Some(MqttEvent::Connected(ack.session_present)),
                Packet::PubAck(ack) => self.unacknowledged.remove(&ack.pkid).map(MqttEvent::Published),
                Packet::SubAck(ack) => self.unacknowledged.remove(&ack.pkid).map(MqttEvent::Subscribed),
                Packet::UnsubAck(ack) => self.unacknowledged.remove(&ack.pkid).map(MqttEvent::Unsubscribed),
                Incoming::Publish(publish) => {
                    Some(MqttEvent::Received { topic: publish.topic, payload: publish.payload.to_vec() })
                }
                _ => None,
            },
        }
    }

    fn explain(&self, error: &ConnectionError) -> MqttError {
        let at = &self.address;
        let who = match &self.user {
            Some(user) => format!("user '{user}': check mqtt.username and mqtt.password_file"),
            None => "without a user: set mqtt.username and mqtt.password_file".into(),
        };
        MqttError(match error {
            ConnectionError::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                format!("no broker listens at {at} (connection refused)")
            }
            ConnectionError::Io(error) if error.to_string().contains("lookup") => {
                format!("the host name {} cannot be found: {error}", at.host)
            }
            ConnectionError::Io(error) | ConnectionError::Tls(rumqttc::TlsError::Io(error)) if is_tls(error) => {
                format!("no trust in {at}: {error}; check mqtt.ca_file and the broker's certificate")
            }
            ConnectionError::NetworkTimeout => format!("no answer from {at} within 10 s"),
            ConnectionError::FlushTimeout => format!("{at} takes no more data"),
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
            ) => format!("the broker at {at} refuses {who}"),
            ConnectionError::ConnectionRefused(ConnectReturnCode::BadClientId) => {
                format!("the broker at {at} refuses our client id: check mqtt.client_id")
            }
            ConnectionError::ConnectionRefused(why) => format!("the broker at {at} refuses us: {why:?}"),
            ConnectionError::MqttState(StateError::ConnectionAborted) => {
                format!(
                    "the broker at {at} closed the connection (it was stopped, or another client uses our client id)"
                )
            }
            error => format!("{at}: {error}"),
        })
    }
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}
