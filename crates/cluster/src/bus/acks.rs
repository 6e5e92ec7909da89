use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_nats::Subject;
use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use ery_event_bus::{Acker, BusError};

use crate::{
    background::jittered,
    error::NoAnswer,
    nats::{BoxError, NatsLink},
};

const DONE: Bytes = Bytes::from_static(b"+ACK");

/// How soon an event that was dropped comes again, at first and at last.
const AGAIN_FIRST: Duration = Duration::from_secs(1);

/// What one reader has received of one consumer and not acknowledged.
///
/// The server keeps one number: up to where everything is acknowledged. An acknowledgement is
/// answered once that number covers it, or once one before it stands in its way.
pub(super) struct Acks {
    nats: Arc<NatsLink>,
    state: Mutex<State>,
    /// One acknowledgement is under way at a time; those that come meanwhile go with the next.
    sending: tokio::sync::Mutex<()>,
    /// Room for one more, or something dropped.
    changed: Notify,
    again: mpsc::UnboundedSender<Again>,
    last_again: Duration,
}

/// An event that was dropped, and when it comes again.
pub(super) struct Again {
    pub(super) sequence: u64,
    pub(super) due: Instant,
}

#[derive(Default)]
struct State {
    /// What was received behind the last prefix.
    received: BTreeMap<u64, Received>,
    /// Everything up to here is acknowledged by the handler.
    prefix: u64,
    /// How the server is told of the prefix, or of what is known of it.
    untold: Option<(u64, Subject)>,
    /// Everything up to here is acknowledged to the server.
    told: u64,
}

struct Received {
    /// None while the consumer is made anew, until it delivers this again.
    reply: Option<Subject>,
    is_acked: bool,
    drops: u32,
}

/// Whether a delivery is new to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    New,
    Known,
}

impl State {
    fn arrived(&mut self, sequence: u64, reply: Subject) -> Arrival {
        if sequence <= self.prefix {
            // Acknowledged, but the server forgot.
            self.tell(sequence, reply);
            return Arrival::Known;
        }
        if let Some(received) = self.received.get_mut(&sequence) {
            received.reply = Some(reply);
            self.advance();
            return Arrival::Known;
        }
        let received = Received { reply: Some(reply), is_acked: false, drops: 0 };
        self.received.insert(sequence, received);
        Arrival::New
    }

    fn acked(&mut self, sequence: u64) {
        if let Some(received) = self.received.get_mut(&sequence) {
            received.is_acked = true;
        }
        self.advance();
    }

    /// Moves the prefix over what is acknowledged without a hole.
    fn advance(&mut self) {
        while let Some(first) = self.received.first_entry() {
            if !first.get().is_acked {
                return;
            }
            let sequence = *first.key();
            let reply = first.remove().reply;
            self.prefix = sequence;
            if let Some(reply) = reply {
                self.tell(sequence, reply);
            }
        }
    }

    fn tell(&mut self, sequence: u64, reply: Subject) {
        if self.untold.as_ref().is_none_or(|(untold, _)| *untold < sequence) {
            self.untold = Some((sequence, reply));
        }
    }

    fn begin_behind(&mut self, floor: u64) {
        self.received = self.received.split_off(&(floor + 1));
        self.prefix = self.prefix.max(floor);
        self.told = self.told.max(floor);
        self.advance();
    }

    /// Forgets by what names the former consumer delivered.
    fn renewed(&mut self) {
        self.untold = None;
        for received in self.received.values_mut() {
            received.reply = None;
        }
    }
}

impl Acks {
    pub(super) fn new(
        nats: Arc<NatsLink>,
        redelivery: Duration,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<Again>) {
        let (again, dropped) = mpsc::unbounded_channel();
        let acks = Self {
            nats,
            state: Mutex::default(),
            sending: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            again,
            last_again: redelivery,
        };
        (Arc::new(acks), dropped)
    }

    /// Notes a delivery.
    pub(super) fn arrived(&self, sequence: u64, reply: Subject) -> Arrival {
        self.lock().arrived(sequence, reply)
    }

    /// Notes that everything up to `floor` is acknowledged, by whomever.
    pub(super) fn begin_behind(&self, floor: u64) {
        self.lock().begin_behind(floor);
        self.changed.notify_one();
    }

    /// Says whether a delivery still waits to be acknowledged.
    pub(super) fn is_open(&self, sequence: u64) -> bool {
        self.lock().received.get(&sequence).is_some_and(|received| !received.is_acked)
    }

    /// Notes that the consumer was made anew.
    pub(super) fn renewed(&self) {
        self.lock().renewed();
    }

    /// Says how many deliveries are not acknowledged.
    pub(super) fn unacked(&self) -> usize {
        self.lock().received.len()
    }

    /// Waits until something was acknowledged.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Notes that an event cannot be had again: the stream holds it no longer.
    pub(super) async fn skip(&self, sequence: u64) {
        if let Err(error) = self.ack(sequence).await {
            tracing::debug!(%error, "could not skip an event that is gone");
        }
    }

    async fn ack(&self, sequence: u64) -> Result<(), BusError> {
        {
            let mut state = self.lock();
            state.acked(sequence);
            if sequence > state.prefix {
                // It is told with those before it.
                return Ok(());
            }
        }
        self.changed.notify_one();
        let _sending = self.sending.lock().await;
        let (prefix, reply) = {
            let mut state = self.lock();
            if state.told >= sequence {
                return Ok(());
            }
            state.untold.take().ok_or_else(|| unavailable(NoAnswer("the consumer").into()))?
        };
        match self.nats.ask(|| self.nats.client.request(reply.clone(), DONE)).await {
            Ok(_) => {
                let mut state = self.lock();
                state.told = state.told.max(prefix);
                if state.told >= sequence {
                    Ok(())
                } else {
                    Err(unavailable(NoAnswer("the consumer").into()))
                }
            }
            Err(error) => {
                // The next acknowledgement brings it along; the same reader does not see it again.
                self.lock().tell(prefix, reply);
                Err(unavailable(error.into()))
            }
        }
    }

    fn dropped(&self, sequence: u64) {
        let drops = {
            let mut state = self.lock();
            let Some(received) = state.received.get_mut(&sequence) else { return };
            received.drops += 1;
            received.drops
        };
        let wait = AGAIN_FIRST.saturating_mul(1 << drops.saturating_sub(1).min(10));
        let due = Instant::now() + jittered(wait.min(self.last_again));
        // Without a reader nobody waits for it; the next one gets it from the server.
        drop(self.again.send(Again { sequence, due }));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unavailable(error: BoxError) -> BusError {
    BusError::Unavailable(error)
}

/// Acknowledges one delivery, or says that it was dropped.
pub(super) struct ClusterAcker {
    acks: Arc<Acks>,
    sequence: u64,
    is_answered: bool,
}

impl ClusterAcker {
    pub(super) fn new(acks: &Arc<Acks>, sequence: u64) -> Self {
        Self { acks: Arc::clone(acks), sequence, is_answered: false }
    }
}

#[async_trait]
impl Acker for ClusterAcker {
    async fn ack(mut self: Box<Self>) -> Result<(), BusError> {
        self.is_answered = true;
        self.acks.ack(self.sequence).await
    }
}

impl Drop for ClusterAcker {
    fn drop(&mut self) {
        if !self.is_answered {
            self.acks.dropped(self.sequence);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(sequence: u64) -> Subject {
        Subject::from(format!("reply.{sequence}"))
    }

    fn state(sequences: impl Iterator<Item = u64>) -> State {
        let mut state = State::default();
        for sequence in sequences {
            assert_eq!(state.arrived(sequence, reply(sequence)), Arrival::New);
        }
        state
    }

    #[test]
    fn the_server_is_told_of_what_has_no_hole() {
        let mut state = state(3..=6);
        state.acked(4);
        assert_eq!(state.untold, None);
        state.acked(3);
        assert_eq!(state.untold, Some((4, reply(4))));
        state.acked(6);
        assert_eq!(state.prefix, 4);
        state.acked(5);
        assert_eq!(state.untold, Some((6, reply(6))));
        assert!(state.received.is_empty());
    }

    #[test]
    fn what_another_reader_acknowledged_is_not_waited_for() {
        let mut state = state(1..=5);
        state.acked(4);
        state.begin_behind(3);
        assert_eq!((state.prefix, state.told), (4, 3));
        assert_eq!(state.received.keys().copied().collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn a_consumer_made_anew_is_told_under_its_own_names() {
        let mut state = state(1..=3);
        state.acked(1);
        state.renewed();
        state.acked(2);
        assert_eq!((state.prefix, state.untold.clone()), (2, None));
        for sequence in 1..=3 {
            assert_eq!(state.arrived(sequence, Subject::from("new")), Arrival::Known);
        }
        assert_eq!(state.untold, Some((2, Subject::from("new"))));
        assert_eq!(state.arrived(4, reply(4)), Arrival::New);
    }
}
