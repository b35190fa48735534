//! The thread that owns outbox, client and connection, and its one retry loop.

use super::delivery::Delivery;
use super::session::{Ended, Session};
use super::{Command, Input, LinkPlan, Shared, Topics, topics};
use crate::backoff::Backoff;
use crate::platform::mqtt::{LastWill, dial};
use crate::store::{Outbox, Session as Memory};
use crate::time::{Span, WallTime};
use anyhow::Result;
use embedded_svc::mqtt::client::{Connection, QoS};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};

pub(super) struct Owner {
    pub plan: LinkPlan,
    pub topics: Topics,
    pub outbox: Outbox,
    pub delivery: Delivery,
    pub shared: Arc<Shared>,
    pub inbox: Receiver<Input>,
    pub sender: SyncSender<Input>,
    pub commands: SyncSender<Command>,
    /// Counts connections, so that a dead one is not listened to.
    pub generation: u64,
    /// Has any attempt to reach the broker failed in this boot?
    pub has_failed: bool,
    /// How we stand with the broker.
    pub memory: Memory,
    /// `Kept` only after a clean end: whatever makes the process die counts as an outage.
    memory_on_disk: Memory,
    /// For how long events have flowed on the connections before this one.
    pub flowed: Span,
    /// What was saved last of the cursor.
    saved: (u64, u64),
    /// Since when the broker has known this connection, by `shared.clock`.
    pub connected_at: Option<Span>,
    /// The note of retained topics as it will be once the broker has forgotten the others.
    kept: Option<String>,
}

/// The note that names what the broker retains for the cameras, as a JSON list of topics.
const RETAINED: &str = "retained";

/// A connection that lived so long was a good one, even if nothing was delivered: the next try comes soon.
const GOOD_AFTER: Span = Span::from_millis(60_000);

/// While there is no connection, the figures of the outbox are brought up to date this often.
const LOOK_EVERY: Span = Span::from_millis(5000);

impl Owner {
    pub fn new(
        plan: LinkPlan,
        outbox: Outbox,
        shared: Arc<Shared>,
        inbox: Receiver<Input>,
        sender: SyncSender<Input>,
        commands: SyncSender<Command>,
    ) -> Result<Owner> {
        let at = outbox.positions()?;
        let delivery = Delivery::new(at.delivered, at.settled, Span::from_secs_f64(plan.mqtt.resend_s));
        let topics = Topics::new(&plan.device);
        let online = topics::online(&plan.version, &plan.boot, plan.since);
        shared.mail().retained.put(&topics.status(), online.as_bytes(), QoS::AtLeastOnce);
        let saved = (at.delivered, at.settled);
        let memory = outbox.session()?;
        Ok(Owner {
            plan,
            topics,
            outbox,
            delivery,
            shared,
            inbox,
            sender,
            commands,
            generation: 0,
            has_failed: false,
            memory,
            memory_on_disk: memory,
            flowed: Span::ZERO,
            saved,
            connected_at: None,
            kept: None,
        })
    }

    pub fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut last_error = String::new();
        self.look();
        while !self.shared.ending.is_set() {
            let delivered = self.delivery.delivered();
            let ended = self.attempt();
            self.save();
            let error = match ended {
                Ok(Ended::Stopped) => {
                    self.save_memory(self.memory);
                    return self.set_state(false, None);
                }
                Ok(Ended::Hurried) => break,
                Err(error) => format!("{error:#}"),
            };
            // Whatever cut us off may have cut off the subscribers, too.
            self.memory = Memory::Lost;
            let lived = self.connected_at.take().map_or(Span::ZERO, |at| self.shared.clock.elapsed() - at);
            if self.delivery.delivered() > delivered || lived >= GOOD_AFTER {
                backoff.reset();
            }
            self.has_failed = true;
            let wait = backoff.wait();
            let retry_s = wait.secs_f64();
            if error == last_error {
                tracing::debug!(error, retry_s, "Still no connection to the broker.");
            } else {
                tracing::warn!(error, retry_s, "No connection to the broker, will try again; events wait on disk.");
            }
            self.set_state(false, Some(&error));
            last_error = error;
            self.wait(wait);
        }
        let error = if last_error.is_empty() { "stopped before everything was said".into() } else { last_error };
        self.set_state(false, Some(&error));
    }

    /// One connection from dialling to its end.
    fn attempt(&mut self) -> Result<Ended> {
        let will = LastWill { topic: self.topics.status(), payload: topics::offline() };
        let default_id = format!("watchpost-{}", self.plan.device);
        let client_id = self.plan.mqtt.client_id.as_deref().unwrap_or(&default_id);
        let (client, mut connection) = dial(&self.plan.mqtt, client_id, will)?;
        self.generation += 1;
        let (generation, sender) = (self.generation, self.sender.clone());
        std::thread::Builder::new().name("mqtt".into()).spawn(move || {
            loop {
                let happened = connection.next();
                let over = happened.is_err();
                if sender.send(Input::Happened(generation, happened)).is_err() || over {
                    return;
                }
            }
        })?;
        let mut session = Session::new(self, client);
        let ended = session.run();
        session.close(matches!(ended, Ok(Ended::Hurried)));
        if ended.is_err() {
            // Why the connection broke says more than that nothing could be queued on it any more.
            let broke = self.inbox.try_iter().find_map(|input| match input {
                Input::Happened(number, Err(error)) if number == generation => Some(error),
                _ => None,
            });
            if let Some(error) = broke {
                return Err(error.into());
            }
        }
        ended
    }

    fn wait(&mut self, span: Span) {
        let mut left = span;
        while left > Span::ZERO && !self.shared.ending.wait(left.min(LOOK_EVERY)) {
            left = left - LOOK_EVERY;
            self.look();
        }
    }

    /// If the app has named the topics it keeps, the broker is made to forget those it kept before and does not
    /// any more, even if that was before a restart.
    pub fn keep_only(&mut self) -> Result<()> {
        if self.shared.mail().keep.is_none() {
            return Ok(());
        }
        // Read first: a disk that refuses must not take the app's word away.
        let before = self.outbox.note(RETAINED)?.unwrap_or_default();
        let Some(topics) = self.shared.mail().keep.take() else { return Ok(()) };
        // A note that cannot be read names nothing.
        let mut all: BTreeSet<String> = serde_json::from_str(&before).unwrap_or_default();
        {
            let mut mail = self.shared.mail();
            for gone in all.difference(&topics) {
                mail.retained.put(gone, b"", QoS::AtLeastOnce);
            }
        }
        self.kept = Some(serde_json::to_string(&topics)?);
        // Both old and new, until the broker has heard it.
        all.extend(topics);
        self.note_retained(&before, &serde_json::to_string(&all)?);
        Ok(())
    }

    /// Everything that was published is acknowledged; what is cleared need not be remembered any more.
    pub fn cleared(&mut self) {
        if self.kept.is_none() || !self.shared.mail().retained.is_quiet() {
            return;
        }
        if let Some(kept) = self.kept.take() {
            self.note_retained("", &kept);
        }
    }

    /// A disk that refuses only means that some topic may stay with the broker.
    fn note_retained(&self, before: &str, topics: &str) {
        if before != topics
            && let Err(error) = self.outbox.set_note(RETAINED, topics)
        {
            tracing::debug!(error = format!("{error:#}"), "What the broker retains is not on disk.");
        }
    }

    pub fn save_memory(&mut self, memory: Memory) {
        if self.memory_on_disk != memory {
            match self.outbox.set_session(memory) {
                Ok(()) => self.memory_on_disk = memory,
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "How we stand with the broker is not on disk.")
                }
            }
        }
    }

    pub fn set_state(&mut self, connected: bool, error: Option<&str>) {
        let mut state = self.shared.state();
        if state.connected != connected {
            state.since = WallTime::now();
            state.connects += u64::from(connected);
        }
        state.connected = connected;
        state.error = error.map(str::to_owned);
    }

    /// Brings the figures of the outbox up to date.
    pub fn look(&mut self) {
        let delivered = self.delivery.delivered();
        match self.outbox.backlog(delivered) {
            Ok(backlog) => {
                let mut state = self.shared.state();
                (state.outbox, state.delivered) = (backlog, delivered);
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "The outbox cannot be measured."),
        }
    }

    /// Puts the cursor on disk if it has moved. A disk that refuses only means duplicates after a restart.
    pub fn save(&mut self) {
        let now = (self.delivery.delivered(), self.delivery.settled());
        if now == self.saved {
            return;
        }
        match self.outbox.save(now.0, now.1) {
            Ok(()) => self.saved = now,
            Err(error) => tracing::debug!(error = format!("{error:#}"), "The cursor of the outbox is not on disk yet."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::DeviceId;
    use crate::platform::mqtt::MqttConfig;
    use crate::store::{Store, StoreConfig};
    use std::sync::mpsc::sync_channel;

    /// One life of the appliance, which keeps these topics: what it would publish beside `status`.
    #[track_caller]
    fn life(store: &std::path::Path, topics: &[&str], heard: bool, cleared: &[&str]) {
        let plan = LinkPlan {
            mqtt: MqttConfig::at("mqtt://127.0.0.1"),
            device: DeviceId::new("till-3"),
            state_dir: store.into(),
            version: "1.2.3".into(),
            boot: "1-a".into(),
            since: WallTime::EPOCH,
        };
        let shared = Arc::new(Shared::new());
        let (sender, inbox) = sync_channel(1);
        let outbox = Outbox::open(store).unwrap();
        let mut owner = Owner::new(plan, outbox, shared.clone(), inbox, sender, sync_channel(1).0).unwrap();
        shared.mail().keep = Some(topics.iter().map(|t| t.to_string()).collect());
        owner.keep_only().unwrap();
        owner.cleared();
        let mut seen = Vec::new();
        while let Some((topic, entry)) = shared.mail().retained.next() {
            seen.extend(entry.payload.is_empty().then(|| topic.to_string()));
        }
        if heard {
            owner.cleared();
        }
        assert_eq!(seen, cleared);
    }

    #[test]
    fn what_left_the_configuration_across_a_restart_is_cleared_until_the_broker_has_heard_it() {
        let dir = tempfile::tempdir().unwrap();
        let _store = Store::open(dir.path(), &StoreConfig::default()).unwrap();
        life(dir.path(), &["door/person", "door/line/sill"], true, &[]);
        life(dir.path(), &["door/person"], false, &["door/line/sill"]);
        life(dir.path(), &["door/person", "yard/person"], true, &["door/line/sill"]);
        life(dir.path(), &["yard/person"], true, &["door/person"]);
        life(dir.path(), &["yard/person"], true, &[]);
    }
}
