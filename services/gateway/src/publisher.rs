use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream::FuturesUnordered,
};
use tokio::{sync::oneshot, time::Instant};
use tracing::{Instrument, Span};

use ery_channel_queue::{ChannelQueue, QueueError, Task};
use ery_event_bus::{BusError, Event, EventBus};
use ery_ids::ChannelKey;

use crate::{
    domain::{Backoff, Ticket},
    metrics::{DispatchOutcome, Metrics},
};

const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What of a dispatch is not on the bus yet.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) ticket: Ticket,
    pub(crate) received: Instant,
    pub(crate) event: Option<Event>,
    pub(crate) task: Option<Task>,
    /// Ends once it stands on the bus.
    pub(crate) span: Span,
}

impl Outgoing {
    fn is_published(&self) -> bool {
        self.event.is_none() && self.task.is_none()
    }
}

/// A dispatch whose publishes have ended, and the channel of its task.
type Settling = (Option<ChannelKey>, Outgoing);

/// A task's turn among those of its channel.
struct Turn {
    /// Tells whether the task before it stands; none where none is under way.
    before: Option<oneshot::Receiver<bool>>,
    stands: oneshot::Sender<bool>,
}

/// Publishes a shard's dispatches: begun in their order, awaited in any, repeated until they stand.
///
/// Order of tasks: a channel's next one is begun once the one before stands, since an adapter may try
/// long on a connection that is lost, and what is begun meanwhile would overtake it. So members are
/// answered in the order in which they wrote, whatever happens to the queue.
///
/// Order of events: publishes are begun one after the other from one task, and each is polled once when
/// it is begun. An adapter hands a publish on at its first poll (to a queue, or to a connection), so
/// what is begun first stands first, without one round trip for each. When a publish fails,
/// nothing new is begun: what is under way settles, then the failed ones are begun again, first
/// one alone to see whether the bus is back, then all in their order, then what came meanwhile.
/// So only events that were under way together with a failed one can stand before it; their
/// readers judge by ids, not by places.
pub(crate) struct Publisher {
    bus: Arc<dyn EventBus>,
    queue: Arc<dyn ChannelQueue>,
    metrics: Metrics,
    window: usize,
    timeout: Duration,
    under_way: FuturesUnordered<BoxFuture<'static, Settling>>,
    /// The last task of each channel that has some under way, and whether it came to stand.
    last: HashMap<ChannelKey, (Ticket, oneshot::Receiver<bool>)>,
    /// What failed, and what came since, by order of receipt. Empty while all goes well.
    held: BTreeMap<Ticket, Outgoing>,
    backoff: Backoff,
    retry_at: Instant,
    /// Whether what is under way is one that failed, sent ahead to see whether the bus is back.
    is_probing: bool,
    last_success: Instant,
}

impl Publisher {
    pub(crate) fn new(
        bus: Arc<dyn EventBus>,
        queue: Arc<dyn ChannelQueue>,
        metrics: Metrics,
        window: usize,
        timeout: Duration,
    ) -> Self {
        let now = Instant::now();
        Self {
            bus,
            queue,
            metrics,
            window,
            timeout,
            under_way: FuturesUnordered::new(),
            last: HashMap::new(),
            held: BTreeMap::new(),
            backoff: Backoff::new(FIRST_WAIT, LONGEST_WAIT),
            retry_at: now,
            is_probing: false,
            last_success: now,
        }
    }

    /// Returns how many dispatches are not on the bus yet.
    pub(crate) fn outstanding(&self) -> usize {
        self.under_way.len() + self.held.len()
    }

    /// Tells whether nothing more should be received before something is settled.
    pub(crate) fn is_full(&self) -> bool {
        self.outstanding() >= self.window
    }

    /// Returns for how long the window has been full without anything being published.
    pub(crate) fn stalled_for(&self) -> Duration {
        if self.is_full() { self.last_success.elapsed() } else { Duration::ZERO }
    }

    /// Begins to publish, behind all that was pushed before.
    pub(crate) fn push(&mut self, outgoing: Outgoing) {
        if self.outstanding() == 0 {
            // A stall is counted from here, not from before an idle hour.
            self.last_success = Instant::now();
        }
        if self.held.is_empty() {
            self.begin(outgoing);
        } else {
            self.held.insert(outgoing.ticket, outgoing);
        }
    }

    /// Waits until a dispatch stands on the bus, or for ever if none is outstanding.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: publishes under way stay so.
    pub(crate) async fn settled(&mut self) -> Ticket {
        loop {
            if self.under_way.is_empty() && !self.held.is_empty() {
                self.begin_held().await;
            }
            let Some((channel, outgoing)) = self.under_way.next().await else {
                return future::pending().await;
            };
            if outgoing.is_published() {
                self.leave(channel, outgoing.ticket);
                if std::mem::take(&mut self.is_probing) {
                    self.backoff.succeeded();
                }
                self.last_success = Instant::now();
                self.metrics.published(outgoing.received.elapsed().as_secs_f64());
                return outgoing.ticket;
            }
            self.metrics.publish_retried();
            // Counted once in each round, however many fail together.
            if std::mem::take(&mut self.is_probing) || self.held.is_empty() {
                self.retry_at = Instant::now() + self.backoff.failed(rand::random());
            }
            self.held.insert(outgoing.ticket, outgoing);
        }
    }

    /// Begins what failed again, in order: one alone while it is not known that the bus is back.
    async fn begin_held(&mut self) {
        // Nothing is under way that a task could be behind.
        self.last.clear();
        if self.backoff.failures() > 0 {
            tokio::time::sleep_until(self.retry_at).await;
            if let Some((_, first)) = self.held.pop_first() {
                self.is_probing = true;
                self.begin(first);
            }
            return;
        }
        for outgoing in std::mem::take(&mut self.held).into_values() {
            self.begin(outgoing);
        }
    }

    fn begin(&mut self, outgoing: Outgoing) {
        let span = outgoing.span.clone();
        let channel = outgoing.task.as_ref().map(|task| task.channel);
        let turn = channel.map(|channel| self.turn(channel, outgoing.ticket));
        let publish = publish(
            Arc::clone(&self.bus),
            Arc::clone(&self.queue),
            self.metrics.clone(),
            self.timeout,
            outgoing,
            turn,
        );
        let publish = publish.instrument(span);
        let mut publish = publish.map(move |outgoing| (channel, outgoing)).boxed();
        // The first poll hands it on; the set polls it again for its waker.
        match publish.poll_unpin(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(settling) => self.under_way.push(future::ready(settling).boxed()),
            Poll::Pending => self.under_way.push(publish),
        }
    }

    /// Takes a turn behind the last task of a channel.
    fn turn(&mut self, channel: ChannelKey, ticket: Ticket) -> Turn {
        let (stands, last) = oneshot::channel();
        let before = self.last.insert(channel, (ticket, last)).map(|(_, before)| before);
        Turn { before, stands }
    }

    /// Forgets a task that stands, if none is behind it.
    fn leave(&mut self, channel: Option<ChannelKey>, ticket: Ticket) {
        let Some(channel) = channel else { return };
        if self.last.get(&channel).is_some_and(|(last, _)| *last == ticket) {
            self.last.remove(&channel);
        }
    }
}

/// Publishes once what is not published, and returns what then is not.
async fn publish(
    bus: Arc<dyn EventBus>,
    queue: Arc<dyn ChannelQueue>,
    metrics: Metrics,
    timeout: Duration,
    mut outgoing: Outgoing,
    turn: Option<Turn>,
) -> Outgoing {
    let event = async {
        let Some(event) = outgoing.event.clone() else { return Settled::Yes };
        match tokio::time::timeout(timeout, bus.publish(event)).await {
            Ok(result) => settle_event(result, &metrics),
            Err(_) => Settled::NotYet,
        }
    };
    let task = async {
        let (Some(task), Some(Turn { before, stands })) = (outgoing.task.clone(), turn) else {
            return Settled::Yes;
        };
        let may_follow = match before {
            Some(before) => before.await.unwrap_or(false),
            None => true,
        };
        // Behind one that failed, it fails too: they are begun again in their order.
        let settled = if may_follow {
            match tokio::time::timeout(timeout, queue.publish(task)).await {
                Ok(result) => settle_task(result),
                Err(_) => Settled::NotYet,
            }
        } else {
            Settled::NotYet
        };
        // Where nobody is behind it, nobody is told.
        stands.send(settled == Settled::Yes).ok();
        settled
    };
    let (event, task) = future::join(event, task).await;
    if event == Settled::Yes {
        outgoing.event = None;
    }
    if task == Settled::Yes {
        outgoing.task = None;
    }
    outgoing
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Yes,
    NotYet,
}

fn settle_event(result: Result<(), BusError>, metrics: &Metrics) -> Settled {
    match result {
        Ok(()) => {
            metrics.dispatch(DispatchOutcome::Published);
            Settled::Yes
        }
        Err(BusError::TooLarge { id, size_bytes }) => {
            metrics.dispatch(DispatchOutcome::TooLarge);
            tracing::error!(
                event.id = %id,
                size_bytes,
                "event {id} is too large for the bus even in parts; it is left out"
            );
            Settled::Yes
        }
        Err(error @ (BusError::Unavailable(_) | BusError::Full)) => {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "an event is published again"
            );
            Settled::NotYet
        }
    }
}

fn settle_task(result: Result<(), QueueError>) -> Settled {
    match result {
        Ok(()) => Settled::Yes,
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "a task is published again");
            Settled::NotYet
        }
    }
}

#[cfg(test)]
mod tests;
