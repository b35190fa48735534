//! The link, where there is one. Without an `[mqtt]` section everything said here goes nowhere.

use crate::link::{LinkHandle, LinkState};
use embedded_svc::mqtt::client::QoS;

pub(super) struct Outlet(pub Option<LinkHandle>);

impl Outlet {
    pub fn retain(&self, topic: &str, payload: &[u8], qos: QoS) {
        if let Some(link) = &self.0 {
            link.retain(topic, payload, qos);
        }
    }

    /// There is something new in the outbox.
    pub fn wake(&self) {
        if let Some(link) = &self.0 {
            link.wake();
        }
    }

    pub fn state(&self) -> Option<LinkState> {
        self.0.as_ref().map(LinkHandle::state)
    }
}
