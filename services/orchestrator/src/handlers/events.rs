//! Durable handlers of events: each part is consumed by the replica that membership names, and a
//! guild's events are handled in order.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    sync::Arc,
};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{sync::oneshot, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use ery_event_bus::{Event, EventBus, EventDelivery};
use ery_ids::{Home, Part, ReplicaId};
use ery_lifecycle::Tasks;
use ery_membership::{Membership, MembershipError, Replica, rendezvous};

use crate::{
    adapters::{calls::Pauses, store::Store},
    error::{CallError, with_causes},
    handlers::traced,
    metrics::Metrics,
};

/// How many deliveries are taken from the bus at a time, if so many are ready.
const READY_AT_ONCE: usize = 128;

/// Handles the events of some kinds, those of one guild in their order.
#[async_trait]
pub(crate) trait EventHandler: Send + Sync + 'static {
    /// Returns the name of its durable consumers: `<service>-<handler>`.
    fn name(&self) -> &'static str;

    /// Returns the kinds that it handles. Name and kinds belong together for ever.
    fn kinds(&self) -> &'static [&'static str];

    /// Returns in which order events are handled.
    fn order(&self) -> Order {
        Order::OfHome
    }

    /// Handles events of one home. A repeat of an event changes nothing.
    ///
    /// # Errors
    ///
    /// [`CallError::Unavailable`]: they are handled again. Anything else: one of them cannot be
    /// handled, or the only one cannot.
    async fn handle(&self, home: Home, events: &[Event]) -> Result<(), CallError>;
}

/// In which order a handler takes events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Those of one home one after the other.
    OfHome,
    /// Each for itself, beside the others: none waits for another that takes long.
    None,
}

/// How much a consumer takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Events in one call of a handler.
    pub(crate) batch: usize,
    /// Events of one part that wait for the handler.
    pub(crate) waiting: usize,
}

/// Consumers of every handler for the parts that are this replica's.
pub(crate) struct Consumers {
    pub(crate) handlers: Vec<(Arc<dyn EventHandler>, Bounds)>,
    pub(crate) bus: Arc<dyn EventBus>,
    pub(crate) replica: ReplicaId,
    pub(crate) store: Store,
    pub(crate) metrics: Metrics,
}

/// Makes a dead letter of an event that cannot be handled, so that it holds nobody up and is not
/// forgotten (NOTHING-LOST).
///
/// # Errors
///
/// [`CallError::Unavailable`]: it is not written down, and must come again.
pub(crate) async fn refuse(
    store: &Store,
    metrics: &Metrics,
    handler: &'static str,
    event: &Event,
    error: &(dyn std::error::Error + Send + Sync),
) -> Result<(), CallError> {
    let reason = with_causes(error);
    match store.record_dead_event(handler, &event.into(), &reason).await {
        Ok(()) => {
            tracing::error!(error = reason, event.id = %event.id, kind = event.kind, handler,
                "an event cannot be handled; it is a dead letter");
        }
        Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => {
            return Err(error);
        }
        // Not even that can be written down: the log is all that is left.
        Err(refusal) => {
            tracing::error!(error = reason, refusal = with_causes(&refusal), event.id = %event.id,
                kind = event.kind, handler, "an event cannot be handled; passed over");
        }
    }
    metrics.event_refused(handler);
    Ok(())
}

struct Running {
    ended: CancellationToken,
    /// Closed once the consumer has ended, however it did.
    stopped: oneshot::Receiver<Infallible>,
}

impl Consumers {
    /// Consumes the parts that membership names, following its changes, until the drain.
    pub(crate) async fn run(
        self,
        tasks: Tasks,
        replicas: tokio::sync::watch::Receiver<Arc<[Replica]>>,
    ) -> Result<(), Infallible> {
        let draining = tasks.draining();
        let mut replicas = replicas;
        let mut running: HashMap<(usize, Part), Running> = HashMap::new();
        loop {
            let now = Arc::clone(&replicas.borrow_and_update());
            let is_ours = |part: Part| {
                rendezvous(u64::from(part.0), &now).is_some_and(|owner| owner.id == self.replica)
            };
            // What is another's now is stopped before anything of ours begins.
            let lost: Vec<_> =
                running.keys().copied().filter(|(_, part)| !is_ours(*part)).collect();
            stop(lost.into_iter().filter_map(|key| running.remove(&key)).collect()).await;
            for part in Part::all().filter(|part| is_ours(*part)) {
                for (index, (handler, bounds)) in self.handlers.iter().enumerate() {
                    running
                        .entry((index, part))
                        .or_insert_with(|| self.start(&tasks, Arc::clone(handler), *bounds, part));
                }
            }
            tokio::select! {
                () = draining.cancelled() => break,
                changed = replicas.changed() => if changed.is_err() {
                    // The list that is known stands.
                    draining.cancelled().await;
                    break;
                },
            }
        }
        stop(running.into_values().collect()).await;
        Ok(())
    }

    fn start(
        &self,
        tasks: &Tasks,
        handler: Arc<dyn EventHandler>,
        bounds: Bounds,
        part: Part,
    ) -> Running {
        let ended = CancellationToken::new();
        let (stopping, stopped) = oneshot::channel::<Infallible>();
        let consumer = Consumer {
            handler,
            part,
            bus: Arc::clone(&self.bus),
            store: self.store.clone(),
            bounds,
            metrics: self.metrics.clone(),
            ended: ended.clone(),
        };
        tasks.spawn_work("consumer", async move {
            consumer.run().await;
            drop(stopping);
        });
        Running { ended, stopped }
    }
}

/// Waits for membership to be reached, and follows the orchestrators.
pub(crate) async fn watch(
    membership: &dyn Membership,
) -> Result<tokio::sync::watch::Receiver<Arc<[Replica]>>, MembershipError> {
    membership.watch(ery_ids::ServiceName::Orchestrator).await
}

async fn stop(running: Vec<Running>) {
    for consumer in &running {
        consumer.ended.cancel();
    }
    for consumer in running {
        match consumer.stopped.await {
            Ok(never) => match never {},
            Err(_closed) => {}
        }
    }
}

struct Consumer {
    handler: Arc<dyn EventHandler>,
    part: Part,
    bus: Arc<dyn EventBus>,
    store: Store,
    bounds: Bounds,
    metrics: Metrics,
    ended: CancellationToken,
}

/// What waits for a handler, by home: a home's events go one batch after the other, homes go beside
/// each other, so that one whose store is away does not hold up the rest.
#[derive(Default)]
struct Lanes {
    waiting: HashMap<Home, VecDeque<EventDelivery>>,
    busy: HashSet<Home>,
    count: usize,
}

struct Handled {
    home: Home,
    deliveries: Vec<EventDelivery>,
    /// Whether they are done with, and may be acknowledged.
    is_done: bool,
}

impl Consumer {
    async fn run(self) {
        let mut pauses = Pauses::new();
        while !self.ended.is_cancelled() {
            match self.bus.consume(self.handler.name(), self.handler.kinds(), self.part).await {
                Ok(deliveries) => {
                    self.consume(deliveries).await;
                    pauses = Pauses::new();
                }
                Err(error) => {
                    tracing::debug!(%error, part = %self.part, "the event bus cannot be reached");
                }
            }
            tokio::select! {
                () = sleep(pauses.next()) => {}
                () = self.ended.cancelled() => {}
            }
        }
    }

    async fn consume(&self, deliveries: ery_event_bus::EventDeliveries) {
        // Of what has no order each is one more at work: no more is taken than there is room for.
        let at_once = match self.handler.order() {
            Order::OfHome => READY_AT_ONCE.min(self.bounds.waiting),
            Order::None => 1,
        };
        let mut deliveries = deliveries.ready_chunks(at_once);
        let mut lanes = Lanes::default();
        let mut running: FuturesUnordered<BoxFuture<'_, Handled>> = FuturesUnordered::new();
        let mut is_open = true;
        while is_open || !running.is_empty() {
            tokio::select! {
                biased;
                () = self.ended.cancelled(), if is_open => is_open = false,
                Some(handled) = running.next() => {
                    let (home, is_done) = (handled.home, handled.is_done);
                    lanes.count -= handled.deliveries.len();
                    self.acknowledge(handled).await;
                    lanes.busy.remove(&home);
                    if is_done && is_open && self.handler.order() == Order::OfHome {
                        self.start_lane(&mut lanes, home, &mut running);
                    }
                }
                ready = deliveries.next(), if is_open && lanes.count < self.bounds.waiting => {
                    let Some(ready) = ready else {
                        is_open = false;
                        continue;
                    };
                    if self.handler.order() == Order::None {
                        for delivery in ready {
                            lanes.count += 1;
                            let home = delivery.event.home;
                            running.push(self.handle(home, vec![delivery]).boxed());
                        }
                        continue;
                    }
                    let mut homes = Vec::new();
                    for delivery in ready {
                        let home = delivery.event.home;
                        homes.push(home);
                        lanes.count += 1;
                        lanes.waiting.entry(home).or_default().push_back(delivery);
                    }
                    for home in homes {
                        self.start_lane(&mut lanes, home, &mut running);
                    }
                }
            }
        }
    }

    fn start_lane<'a>(
        &'a self,
        lanes: &mut Lanes,
        home: Home,
        running: &mut FuturesUnordered<BoxFuture<'a, Handled>>,
    ) {
        if lanes.busy.contains(&home) {
            return;
        }
        let Some(lane) = lanes.waiting.get_mut(&home) else { return };
        let batch: Vec<_> = lane.drain(..lane.len().min(self.bounds.batch)).collect();
        if lane.is_empty() {
            lanes.waiting.remove(&home);
        }
        if !batch.is_empty() {
            lanes.busy.insert(home);
            running.push(self.handle(home, batch).boxed());
        }
    }

    async fn handle(&self, home: Home, deliveries: Vec<EventDelivery>) -> Handled {
        let events: Vec<_> = deliveries.iter().map(|delivery| delivery.event.clone()).collect();
        let span = traced::events(self.handler.name(), &events);
        let is_done = self.handle_events(home, &events).instrument(span).await;
        Handled { home, deliveries, is_done }
    }

    /// Returns whether all are done with; false if this consumer ended before.
    async fn handle_events(&self, home: Home, events: &[Event]) -> bool {
        let mut is_done = self.handle_until_done(home, events).await;
        if is_done == Some(false) && events.len() > 1 {
            // One of them cannot be handled; it must not take the others with it.
            is_done = Some(true);
            for event in events {
                if self.handle_until_done(home, std::slice::from_ref(event)).await.is_none() {
                    is_done = None;
                    break;
                }
            }
        }
        is_done.is_some()
    }

    /// Returns whether the events were handled; none if this consumer ended before.
    async fn handle_until_done(&self, home: Home, events: &[Event]) -> Option<bool> {
        let mut pauses = Pauses::new();
        loop {
            match self.handler.handle(home, events).await {
                Ok(()) => {
                    self.metrics.events_handled(self.handler.name(), events.len());
                    return Some(true);
                }
                Err(error @ (CallError::Unavailable { .. } | CallError::Fenced { .. })) => {
                    tracing::debug!(
                        error = with_causes(&error),
                        handler = self.handler.name(),
                        "events wait for a service that does not answer"
                    );
                }
                Err(error) => {
                    let [event] = events else { return Some(false) };
                    let name = self.handler.name();
                    let refused = refuse(&self.store, &self.metrics, name, event, &error).await;
                    if refused.is_ok() {
                        return Some(false);
                    }
                }
            }
            tokio::select! {
                () = sleep(pauses.next()) => {}
                () = self.ended.cancelled() => return None,
            }
        }
    }

    async fn acknowledge(&self, handled: Handled) {
        if !handled.is_done {
            return;
        }
        for delivery in handled.deliveries {
            if let Err(error) = delivery.ack().await {
                // It comes again, and changes nothing.
                tracing::debug!(%error, handler = self.handler.name(), "an event was not acked");
            }
        }
    }
}
