//! The state the broker keeps for us, one payload per topic: the newest wins, and all of it is published again
//! on every connect, since a broker may have lost its memory.

use embedded_svc::mqtt::client::QoS;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// A device with more topics than this is a mistake somewhere; what does not fit is refused.
pub const TOPICS_MAX: usize = 4096;

#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub payload: Arc<[u8]>,
    pub qos: QoS,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Changed,
    Same,
    /// There are too many topics.
    Full,
}

#[derive(Debug, Default)]
pub struct Retained {
    entries: BTreeMap<Arc<str>, Entry>,
    /// What is to be published, in order of change; each topic once.
    queue: VecDeque<Arc<str>>,
    queued: BTreeSet<Arc<str>>,
}

impl Retained {
    /// An empty payload makes the broker forget the topic. What has not changed is not published again.
    pub fn put(&mut self, topic: &str, payload: &[u8], qos: QoS) -> Put {
        let full = !self.entries.contains_key(topic) && !self.make_room();
        match self.entries.get_mut(topic) {
            Some(entry) if *entry.payload == *payload && entry.qos == qos => return Put::Same,
            Some(entry) => *entry = Entry { payload: payload.into(), qos },
            None if full => return Put::Full,
            None => {
                self.entries.insert(topic.into(), Entry { payload: payload.into(), qos });
            }
        }
        self.refresh(topic);
        Put::Changed
    }

    /// Is there room for one more topic? The first to go is one that is cleared, and told so at least once.
    fn make_room(&mut self) -> bool {
        if self.entries.len() < TOPICS_MAX {
            return true;
        }
        let cleared = self.entries.iter().find(|(topic, e)| e.payload.is_empty() && !self.queued.contains(*topic));
        let cleared = cleared.map(|(topic, _)| topic.clone());
        cleared.is_some_and(|topic| self.entries.remove(&topic).is_some())
    }

    /// Publishes a topic once more although it has not changed.
    pub fn refresh(&mut self, topic: &str) {
        if let Some((topic, _)) = self.entries.get_key_value(topic)
            && self.queued.insert(topic.clone())
        {
            self.queue.push_back(topic.clone());
        }
    }

    /// Publishes everything once more, `first` before the rest.
    pub fn refresh_all(&mut self, first: &str) {
        self.queue.clear();
        self.queued = self.entries.keys().cloned().collect();
        let (first, rest): (Vec<_>, Vec<_>) = self.entries.keys().cloned().partition(|topic| **topic == *first);
        self.queue.extend(first.into_iter().chain(rest));
    }

    /// The next to publish. It counts as published then: should the connection break, everything is published
    /// again anyway. That holds for cleared topics too, so they stay: a clear that was in flight when the connection
    /// broke would be lost else, and each costs one tiny message per connect.
    pub fn next(&mut self) -> Option<(Arc<str>, Entry)> {
        let topic = self.queue.pop_front()?;
        self.queued.remove(&topic);
        let entry = self.entries.get(&topic).cloned()?;
        Some((topic, entry))
    }

    pub fn is_quiet(&self) -> bool {
        self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(retained: &mut Retained) -> String {
        let mut text = Vec::new();
        while let Some((topic, entry)) = retained.next() {
            text.push(format!("{topic}={}", String::from_utf8_lossy(&entry.payload)));
        }
        text.join(" ")
    }

    #[test]
    fn the_newest_wins_and_everything_comes_again() {
        let mut r = Retained::default();
        for (topic, payload) in [("b", "1"), ("status", "on"), ("b", "2"), ("a", "x"), ("b", "2")] {
            r.put(topic, payload.as_bytes(), QoS::AtLeastOnce);
        }
        assert_eq!(drain(&mut r), "b=2 status=on a=x");
        assert_eq!(r.put("a", b"x", QoS::AtLeastOnce), Put::Same);
        assert_eq!(drain(&mut r), "", "nothing has changed");
        r.refresh("a");
        r.refresh("never heard of");
        assert_eq!(drain(&mut r), "a=x");
        r.put("b", b"", QoS::AtLeastOnce);
        r.refresh_all("status");
        assert_eq!(drain(&mut r), "status=on a=x b=");
        r.refresh_all("status");
        assert_eq!(drain(&mut r), "status=on a=x b=", "the connection may have broken before b was cleared");
        assert_eq!(r.put("b", b"", QoS::AtLeastOnce), Put::Same);
    }

    #[test]
    fn there_is_an_end_to_topics() {
        let mut r = Retained::default();
        assert!((0..TOPICS_MAX).all(|n| r.put(&n.to_string(), b"x", QoS::AtMostOnce) == Put::Changed));
        assert_eq!(r.put("one more", b"x", QoS::AtMostOnce), Put::Full);
        assert_eq!(r.put("0", b"y", QoS::AtMostOnce), Put::Changed);
        r.put("7", b"", QoS::AtMostOnce);
        assert_eq!(r.put("one more", b"x", QoS::AtMostOnce), Put::Full, "7 is not yet cleared");
        drain(&mut r);
        assert_eq!(r.put("one more", b"x", QoS::AtMostOnce), Put::Changed, "in the place of 7");
        assert_eq!(r.put("7", b"x", QoS::AtMostOnce), Put::Full);
    }
}
