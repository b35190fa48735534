//! Where delivery stands, as a pure state machine: which event may be offered next, which are in flight, up to
//! where everything is acknowledged, and how far to go back after an outage.
//!
//! Time here counts only while events flow: what was acknowledged a second before an outage of a week was
//! acknowledged a second ago.
//!
//! Absent: disk, network and clock. `link::owner` feeds it; the property tests feed it nonsense.

use crate::time::Span;
use embedded_svc::mqtt::client::MessageId;
use std::collections::VecDeque;

/// Messages in flight. Few, since all of them are duplicates after an outage; more would gain nothing, for a
/// broker in the same building acknowledges within a millisecond or two.
pub const WINDOW: usize = 32;

/// Never go back further than so many events, however fast they were.
pub const RESEND_MAX: u64 = 10_000;

#[derive(Debug)]
pub struct Delivery {
    /// Everything up to here was acknowledged.
    delivered: u64,
    /// Everything up to here was acknowledged so long ago that it is never sent again.
    settled: u64,
    /// Everything up to here was offered on this connection.
    offered: u64,
    /// Everything up to here is late.
    late_to: u64,
    /// What was offered and not acknowledged, oldest first; acknowledged ones stay until they are the oldest.
    flying: VecDeque<Flight>,
    /// When `delivered` reached which seq, oldest first; what is older than `keep` is settled.
    reached: VecDeque<(Span, u64)>,
    keep: Span,
}

#[derive(Debug)]
struct Flight {
    id: MessageId,
    seq: u64,
    acknowledged: bool,
}

/// `reached` is no finer than this.
const GRAIN: Span = Span::from_millis(1000);

impl Delivery {
    /// `keep`: for how long something acknowledged may have to be sent again.
    pub fn new(delivered: u64, settled: u64, keep: Span) -> Self {
        let settled = if keep > Span::ZERO { settled.min(delivered) } else { delivered };
        Delivery {
            delivered,
            settled,
            offered: delivered,
            late_to: 0,
            flying: VecDeque::new(),
            // What an earlier life of the process left unsettled counts from now on.
            reached: if settled < delivered { [(Span::ZERO, delivered)].into() } else { VecDeque::new() },
            keep,
        }
    }

    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    pub fn settled(&self) -> u64 {
        self.settled
    }

    /// Ask the outbox for what comes after this.
    pub fn offered(&self) -> u64 {
        self.offered
    }

    pub fn in_flight(&self) -> usize {
        self.flying.len()
    }

    /// Is there room for one more event (which may take two messages)?
    pub fn has_room(&self) -> bool {
        self.flying.len() + 2 <= WINDOW
    }

    pub fn is_late(&self, seq: u64) -> bool {
        seq <= self.late_to
    }

    /// A new connection: nothing is in flight, and what is not settled is offered again. Everything up to
    /// `late_to` waited for the connection. Returns how many events are sent although they were acknowledged.
    pub fn connected(&mut self, late_to: u64) -> u64 {
        self.flying.clear();
        if self.keep <= Span::ZERO {
            self.settle_all();
        }
        self.offered = self.settled.max(self.delivered.saturating_sub(RESEND_MAX));
        self.late_to = late_to.max(self.delivered);
        self.delivered - self.offered
    }

    /// An event is on its way as these messages.
    pub fn offer(&mut self, seq: u64, messages: &[MessageId]) {
        debug_assert!(seq > self.offered, "{seq} is offered after {}", self.offered);
        self.offered = seq;
        self.flying.extend(messages.iter().map(|&id| Flight { id, seq, acknowledged: false }));
    }

    /// The broker has acknowledged a message; false if it is none of ours.
    pub fn acknowledge(&mut self, id: MessageId, now: Span) -> bool {
        let Some(flight) = self.flying.iter_mut().find(|flight| flight.id == id) else { return false };
        flight.acknowledged = true;
        while self.flying.front().is_some_and(|flight| flight.acknowledged) {
            let done = self.flying.pop_front().expect("just seen").seq;
            // An event is delivered when both of its messages are.
            if self.flying.front().is_none_or(|next| next.seq != done) && done > self.delivered {
                self.delivered = done;
                match self.reached.back_mut() {
                    Some((at, seq)) if now - *at < GRAIN => *seq = done,
                    _ => self.reached.push_back((now, done)),
                }
            }
        }
        true
    }

    /// Lets what was acknowledged long enough ago be settled.
    pub fn settle(&mut self, now: Span) {
        // An entry stands for up to a GRAIN of acknowledgements after its moment.
        while let Some((at, seq)) = self.reached.front().copied()
            && now - at >= self.keep + GRAIN
        {
            self.settled = self.settled.max(seq);
            self.reached.pop_front();
        }
    }

    /// Everything that was recorded before, or is sent again, is on this connection and acknowledged.
    pub fn is_caught_up(&self) -> bool {
        self.offered >= self.delivered && self.flying.is_empty()
    }

    /// After a clean goodbye the broker has all of it.
    pub fn settle_all(&mut self) {
        self.settled = self.delivered;
        self.reached.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secs(s: f64) -> Span {
        Span::from_secs_f64(s)
    }

    #[test]
    fn an_alert_is_delivered_when_both_of_its_messages_are() {
        let mut d = Delivery::new(0, 0, secs(60.0));
        d.connected(0);
        d.offer(1, &[10, 11]);
        d.offer(2, &[12]);
        assert!(d.acknowledge(10, secs(0.0)) && d.acknowledge(12, secs(0.0)));
        assert_eq!((d.delivered(), d.in_flight()), (0, 2), "the alert of 1 is still on its way");
        assert!(d.acknowledge(11, secs(0.0)) && !d.acknowledge(99, secs(0.0)));
        assert_eq!((d.delivered(), d.in_flight()), (2, 0));
    }

    #[test]
    fn after_an_outage_the_last_minute_is_sent_again_and_late() {
        let mut d = Delivery::new(0, 0, secs(60.0));
        assert_eq!(d.connected(0), 0);
        for (seq, at) in [(1, 0.0), (2, 50.0), (3, 100.0)] {
            d.offer(seq, &[seq as MessageId]);
            assert!(!d.is_late(seq));
            d.acknowledge(seq as MessageId, secs(at));
            d.settle(secs(at));
        }
        assert_eq!((d.delivered(), d.settled()), (3, 1));
        d.offer(4, &[4]);
        assert_eq!(d.connected(5), 2, "2 and 3");
        assert_eq!(d.offered(), 1);
        assert!(d.is_late(2) && d.is_late(5) && !d.is_late(6));
        d.settle_all();
        assert_eq!((d.connected(5), d.offered()), (0, 3));
    }

    #[test]
    fn whoever_wants_nothing_twice_gets_nothing_twice() {
        let mut d = Delivery::new(7, 3, Span::ZERO);
        assert_eq!(d.connected(9), 0);
        d.offer(8, &[1]);
        d.acknowledge(1, secs(0.0));
        assert_eq!((d.connected(9), d.offered()), (0, 8));
    }

    /// What can happen to an appliance and its broker.
    #[derive(Debug, Clone)]
    enum Step {
        Record,
        /// Offer up to so many.
        Offer(usize),
        /// The broker takes this many messages and acknowledges them.
        Ack(usize),
        /// The broker takes messages, and the acknowledgements are lost with the connection.
        LostAcks(usize),
        Reconnect,
        /// kill -9; what the cursor has on disk may be an older state.
        Restart,
        Save,
        Pass(f64),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => Just(Step::Record),
            4 => (1usize..20).prop_map(Step::Offer),
            4 => (1usize..20).prop_map(Step::Ack),
            1 => (0usize..20).prop_map(Step::LostAcks),
            1 => Just(Step::Reconnect),
            1 => Just(Step::Restart),
            2 => Just(Step::Save),
            1 => (0.0..100.0).prop_map(Step::Pass),
        ]
    }

    /// The outbox, the wire and the broker in a few lines.
    #[derive(Default)]
    struct World {
        last: u64,
        saved: (u64, u64),
        now: f64,
        id: MessageId,
        wire: VecDeque<(MessageId, u64)>,
        /// Every seq the broker has taken, in order.
        taken: Vec<u64>,
    }

    impl World {
        fn offer(&mut self, d: &mut Delivery, most: usize) {
            for seq in (d.offered() + 1..=self.last).take(most) {
                if !d.has_room() {
                    break;
                }
                let two = seq.is_multiple_of(3);
                let ids = [self.id + 1, self.id + 2];
                let ids = &ids[..1 + usize::from(two)];
                self.id += ids.len() as MessageId;
                self.wire.extend(ids.iter().map(|&id| (id, seq)));
                d.offer(seq, ids);
            }
        }
        fn take(&mut self) -> Option<(MessageId, u64)> {
            let message = self.wire.pop_front()?;
            self.taken.push(message.1);
            Some(message)
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_overtakes(steps in proptest::collection::vec(step(), 1..200)) {
            let mut w = World::default();
            let keep = secs(30.0);
            let mut d = Delivery::new(0, 0, keep);
            d.connected(0);
            for step in steps {
                match step {
                    Step::Record => w.last += 1,
                    Step::Offer(n) => w.offer(&mut d, n),
                    Step::Ack(n) => for _ in 0..n {
                        let Some((id, _)) = w.take() else { break };
                        prop_assert!(d.acknowledge(id, secs(w.now)));
                    },
                    Step::LostAcks(n) => {
                        for _ in 0..n { w.take(); }
                        w.wire.clear();
                        d.connected(w.last);
                    }
                    Step::Reconnect => { w.wire.clear(); d.connected(w.last); }
                    Step::Restart => {
                        w.wire.clear();
                        d = Delivery::new(w.saved.0, w.saved.1, keep);
                        d.connected(w.last);
                    }
                    Step::Save => w.saved = (d.delivered(), d.settled()),
                    Step::Pass(s) => { w.now += s; d.settle(secs(w.now)); }
                }
                prop_assert!(d.in_flight() <= WINDOW);
                prop_assert!(d.settled() <= d.delivered());
                // What counts as delivered, the broker has.
                for seq in 1..=d.delivered() { prop_assert!(w.taken.contains(&seq), "{seq} of {:?}", w.taken); }
                // No seq is seen for the first time before the one before it.
                let mut newest = 0;
                for &seq in &w.taken { prop_assert!(seq <= newest + 1); newest = newest.max(seq); }
            }
            // In quiet times everything arrives.
            while d.delivered() < w.last {
                w.offer(&mut d, WINDOW);
                while let Some((id, _)) = w.take() { d.acknowledge(id, secs(w.now)); }
            }
        }
    }
}
