//! The life of one connection.

use super::command::{self, Outcome};
use super::discovery;
use super::owner::Owner;
use super::{Input, Mail, Once, topics};
use crate::platform::mqtt::{MqttClient, MqttError, MqttEvent};
use crate::store::{Queued, Session as Memory};
use crate::time::{Span, WallTime};
use anyhow::{Result, bail};
use embedded_svc::mqtt::client::{Client, Enqueue, Event, EventPayload, MessageId, QoS};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{RecvTimeoutError, TrySendError};

/// Messages of state and results in flight, beside the events.
const OTHERS: usize = 64;
/// Rows that are read from the outbox at once.
const READ: usize = 64;
/// Cursor and figures are brought up to date this often.
const TICK: Span = Span::from_millis(1000);
/// While stopping, the deadline is looked at this often.
const ENDING_TICK: Span = Span::from_millis(50);
/// A broker that has acknowledged nothing for so long is given up.
const ACK_WITHIN: Span = Span::from_millis(30_000);
/// Kept back of the time for stopping: to say `stopped` and goodbye.
const FOR_GOODBYE: Span = Span::from_millis(700);

/// How a connection ended that did not break.
pub(super) enum Ended {
    /// Everything was said.
    Stopped,
    /// The time for stopping was over before that.
    Hurried,
}

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Not heard of the broker yet.
    Dialled,
    /// State flows; events wait for the subscribers, after an outage.
    Settling {
        until: Span,
    },
    Flowing,
    /// `stopped` is on its way.
    Stopping(MessageId),
    /// Our goodbye is on its way.
    Leaving,
}

pub(super) struct Session<'a> {
    owner: &'a mut Owner,
    client: MqttClient,
    phase: Phase,
    /// Read from the outbox, not offered yet.
    ready: VecDeque<Queued>,
    /// There may be more in the outbox than was read.
    more: bool,
    /// State in flight is only counted; results are kept until acknowledged.
    others: BTreeMap<MessageId, Option<Once>>,
    /// Since when events flow.
    flowing_since: Option<Span>,
    last_progress: Span,
    last_tick: Span,
}

impl<'a> Session<'a> {
    pub fn new(owner: &'a mut Owner, client: MqttClient) -> Self {
        let now = owner.shared.clock.elapsed();
        Session {
            owner,
            client,
            phase: Phase::Dialled,
            ready: VecDeque::new(),
            more: true,
            others: BTreeMap::new(),
            flowing_since: None,
            last_progress: now,
            last_tick: now,
        }
    }

    pub fn run(&mut self) -> Result<Ended> {
        loop {
            if self.owner.shared.woken.swap(false, Ordering::AcqRel) {
                self.more = true;
            }
            if self.phase != Phase::Dialled {
                self.describe()?;
                self.owner.keep_only()?;
                self.fill()?;
            }
            if self.owner.shared.ending.is_set()
                && let Some(ended) = self.finish()?
            {
                return Ok(ended);
            }
            match self.owner.inbox.recv_timeout(self.patience().to_std().unwrap_or_default()) {
                Ok(Input::Happened(generation, happened)) if generation == self.owner.generation => {
                    if let Some(ended) = self.happened(happened)? {
                        return Ok(ended);
                    }
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the link has lost its inbox"),
            }
            self.tick()?;
        }
    }

    /// Whatever happened: results that were not acknowledged are kept for the next connection, and this one is
    /// made to end. Not so when `hurried`: a goodbye would make the broker keep the last will to itself, although
    /// nobody has said `stopped`. The client cannot be told to hang up without one; the connection falls with the
    /// process, or with its thread, which ends on the next event (a ping at the latest) that nobody takes.
    pub fn close(mut self, hurried: bool) {
        let unsent: Vec<Once> = std::mem::take(&mut self.others).into_values().flatten().collect();
        let mut mail = self.owner.shared.mail();
        for message in unsent.into_iter().rev() {
            mail.once.push_front(message);
        }
        drop(mail);
        self.owner.flowed = self.flow_time();
        if !hurried {
            // Fails if the connection is gone already, which is what we want.
            let _ = self.client.disconnect();
        }
    }

    fn now(&self) -> Span {
        self.owner.shared.clock.elapsed()
    }

    /// For how long events have flowed, on all connections together: the time of `Delivery`.
    fn flow_time(&self) -> Span {
        self.owner.flowed + self.flowing_since.map_or(Span::ZERO, |since| self.now() - since)
    }

    /// How long to wait for something to happen.
    fn patience(&self) -> Span {
        match self.phase {
            // No longer than the deadline allows, or the time for goodbye could pass unseen.
            _ if self.owner.shared.ending.is_set() => ENDING_TICK,
            Phase::Settling { until } => TICK.min(until - self.now()),
            _ => TICK,
        }
    }

    fn happened(&mut self, happened: Result<MqttEvent, MqttError>) -> Result<Option<Ended>> {
        let event = happened?;
        match event.payload() {
            EventPayload::Connected(known) => self.connected(known)?,
            EventPayload::Published(id) => {
                self.last_progress = self.now();
                if self.others.remove(&id).is_none() {
                    let now = self.flow_time();
                    self.owner.delivery.acknowledge(id, now);
                }
                if self.phase == Phase::Stopping(id) {
                    self.client.disconnect()?;
                    self.phase = Phase::Leaving;
                }
            }
            EventPayload::Received { topic: Some(topic), data, .. } => self.received(topic, data)?,
            EventPayload::Disconnected => {
                // A broker that lived to hear our goodbye has handed on what it acknowledged.
                if self.flowing_since.is_some() && self.owner.delivery.is_caught_up() {
                    self.owner.delivery.settle_all();
                }
                return Ok(Some(Ended::Stopped));
            }
            _ => {}
        }
        Ok(None)
    }

    /// `known`: the broker has kept a session for us.
    fn connected(&mut self, known: bool) -> Result<()> {
        self.client.subscribe(&self.owner.topics.commands(), QoS::AtLeastOnce)?;
        let prefix = &self.owner.plan.mqtt.discovery_prefix;
        if !prefix.is_empty() {
            self.client.subscribe(&format!("{prefix}/status"), QoS::AtLeastOnce)?;
        }
        let status = self.owner.topics.status();
        self.owner.shared.mail().retained.refresh_all(&status);
        let outage = match self.owner.memory {
            Memory::Never => false,
            Memory::Kept => !known,
            Memory::Lost => true,
        };
        self.owner.memory = if outage { Memory::Lost } else { Memory::Kept };
        self.owner.save_memory(Memory::Lost);
        let settle = Span::from_secs_f64(self.owner.plan.mqtt.settle_s);
        self.last_progress = self.now();
        if outage && settle > Span::ZERO {
            let settle_s = settle.secs_f64();
            tracing::info!(settle_s, "Connected to the broker after an outage; its subscribers get time to return.");
            self.phase = Phase::Settling { until: self.now() + settle };
        } else {
            tracing::info!(url = self.owner.plan.mqtt.url, "Connected to the broker.");
            self.flow()?;
        }
        self.owner.connected_at = Some(self.now());
        self.owner.set_state(true, None);
        Ok(())
    }

    /// Events may go, from the first that is not settled.
    fn flow(&mut self) -> Result<()> {
        self.owner.memory = Memory::Kept;
        let at = self.owner.outbox.positions()?;
        // What was recorded while the first attempt of this boot was under way has not waited for an outage.
        let late_to = if self.owner.has_failed { at.last } else { at.boot_seq };
        let resent = self.owner.delivery.connected(late_to);
        if resent > 0 {
            self.owner.shared.state().resent += resent;
            tracing::info!(resent, "Sending the last acknowledged events again, the broker may have lost them.");
        }
        self.ready.clear();
        (self.more, self.phase, self.flowing_since) = (true, Phase::Flowing, Some(self.now()));
        Ok(())
    }

    /// Keeps the broker busy, but not too busy.
    fn fill(&mut self) -> Result<()> {
        while self.others.len() < OTHERS {
            let Mail { retained, once, .. } = &mut *self.owner.shared.mail();
            if let Some(message) = once.pop_front() {
                let payload = message.payload.as_bytes();
                match self.client.enqueue(&message.topic, QoS::AtLeastOnce, message.retain, payload) {
                    Ok(id) => self.others.insert(id, Some(message)),
                    Err(error) => {
                        once.push_front(message);
                        return Err(error.into());
                    }
                };
            } else if let Some((topic, entry)) = retained.next() {
                let id = self.client.enqueue(&topic, entry.qos, true, &entry.payload)?;
                self.others.insert(id, None);
            } else {
                break;
            }
        }
        match self.phase {
            Phase::Settling { until } if self.now() >= until => self.flow()?,
            Phase::Flowing => {}
            _ => return Ok(()),
        }
        while self.owner.delivery.has_room() {
            if self.ready.is_empty() && self.more {
                self.ready = self.owner.outbox.after(self.owner.delivery.offered(), READ)?.into();
                self.more = self.ready.len() == READ;
            }
            let Some(next) = self.ready.pop_front() else { break };
            self.offer(&next)?;
        }
        Ok(())
    }

    fn offer(&mut self, next: &Queued) -> Result<()> {
        let late;
        let payload = if self.owner.delivery.is_late(next.seq) {
            late = topics::late(&next.payload);
            &late
        } else {
            &next.payload
        };
        let mut ids = Vec::with_capacity(2);
        ids.push(self.client.enqueue(&self.owner.topics.event(), QoS::AtLeastOnce, false, payload.as_bytes())?);
        if next.alert {
            ids.push(self.client.enqueue(&self.owner.topics.alert(), QoS::AtLeastOnce, false, payload.as_bytes())?);
        }
        self.owner.delivery.offer(next.seq, &ids);
        Ok(())
    }

    fn tick(&mut self) -> Result<()> {
        let now = self.now();
        if self.others.is_empty() && self.owner.delivery.in_flight() == 0 && self.phase != Phase::Dialled {
            self.last_progress = now;
        }
        if now - self.last_progress > ACK_WITHIN {
            bail!("the broker has acknowledged nothing for {} s", ACK_WITHIN.secs_f64());
        }
        if now - self.last_tick >= TICK {
            self.last_tick = now;
            let flow_time = self.flow_time();
            self.owner.delivery.settle(flow_time);
            self.owner.save();
            self.owner.look();
        }
        if self.others.is_empty() && self.phase != Phase::Dialled {
            self.owner.cleared();
        }
        Ok(())
    }

    fn received(&mut self, topic: &str, payload: &[u8]) -> Result<()> {
        if let Some(verb) = self.owner.topics.verb(topic) {
            return self.command(verb, payload);
        }
        let plan = &self.owner.plan;
        if topic == format!("{}/status", plan.mqtt.discovery_prefix) && payload == b"online" {
            let topic = discovery::topic(&plan.mqtt.discovery_prefix, &plan.device);
            self.owner.shared.mail().retained.refresh(&topic);
        }
        Ok(())
    }

    fn command(&mut self, verb: &str, payload: &[u8]) -> Result<()> {
        let topic = self.owner.topics.result(verb);
        let answer = |id: Option<&str>, outcome| Once::new(topic.clone(), command::result(id, &outcome));
        let shared = &self.owner.shared;
        let command = match command::parse(verb, payload) {
            Ok(command) => command,
            Err(refused) => {
                tracing::warn!(verb, reason = refused.reason, "A command was refused.");
                shared.post(answer(refused.id.as_deref(), Outcome::Failed(refused.reason)));
                return Ok(());
            }
        };
        // The broker may deliver a command twice; since nothing here tells that from somebody who uses an id twice,
        // neither is answered. A disk that refuses must not stop commands.
        let key = format!("{verb}/{}", command.id);
        if !self.owner.outbox.is_new_command(&key, WallTime::now()).unwrap_or(true) {
            tracing::info!(verb, id = command.id, "A command came twice and is not carried out again.");
            return Ok(());
        }
        let id = command.id.clone();
        tracing::info!(verb, id, "A command has come.");
        shared.post(answer(Some(&id), Outcome::Executing));
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.owner.commands.try_send(command) {
            // Whoever tries again may do so with the same id.
            if let Err(error) = self.owner.outbox.forget_command(&key) {
                tracing::debug!(error = format!("{error:#}"), "The id of a command could not be forgotten.");
            }
            shared.post(answer(Some(&id), Outcome::Failed("busy with other commands, try again".into())));
        }
        Ok(())
    }

    /// If the app has a new description of the device, it is published, and Home Assistant is told what has
    /// gone from it since the last one, even if that was before a restart.
    fn describe(&mut self) -> Result<()> {
        let Some(site) = self.owner.shared.mail().site.take() else { return Ok(()) };
        let plan = &self.owner.plan;
        if plan.mqtt.discovery_prefix.is_empty() {
            return Ok(());
        }
        let topic = discovery::topic(&plan.mqtt.discovery_prefix, &plan.device);
        let description = discovery::describe(&plan.device, &plan.version, &site);
        self.take_away(&topic, &description)?;
        let mut mail = self.owner.shared.mail();
        mail.retained.put(&topic, description.to_string().as_bytes(), QoS::AtLeastOnce);
        Ok(())
    }

    fn take_away(&mut self, topic: &str, description: &serde_json::Value) -> Result<()> {
        let known = discovery::platforms(description);
        let before = self.owner.outbox.note("discovery")?.unwrap_or_default();
        let gone = discovery::gone(&before, &known);
        if !gone.is_empty() {
            let farewell = discovery::with_gone(description, &gone).to_string();
            self.owner.shared.post(Once { topic: topic.to_owned(), payload: farewell, retain: true });
        }
        let known = serde_json::to_string(&known)?;
        if known != before
            && let Err(error) = self.owner.outbox.set_note("discovery", &known)
        {
            tracing::debug!(error = format!("{error:#}"), "What was described to Home Assistant is not on disk.");
        }
        Ok(())
    }

    /// One step of stopping: deliver what is there, then say `stopped`, then goodbye.
    fn finish(&mut self) -> Result<Option<Ended>> {
        let deadline = *self.owner.shared.deadline.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let left = deadline - self.now();
        if left <= Span::ZERO || self.phase == Phase::Dialled {
            return Ok(Some(Ended::Hurried));
        }
        let quiet = self.others.is_empty()
            && self.owner.shared.mail().retained.is_quiet()
            && (self.phase != Phase::Flowing
                || self.owner.delivery.in_flight() == 0 && self.ready.is_empty() && !self.more);
        let flowing = matches!(self.phase, Phase::Flowing | Phase::Settling { .. });
        if flowing && (quiet || left < FOR_GOODBYE) {
            let topic = self.owner.topics.status();
            let id = self.client.enqueue(&topic, QoS::AtLeastOnce, true, topics::stopped().as_bytes())?;
            self.others.insert(id, None);
            self.phase = Phase::Stopping(id);
        }
        Ok(None)
    }
}
