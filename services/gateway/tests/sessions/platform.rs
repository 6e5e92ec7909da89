use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use ery_budgets::{Budgets, BudgetsError, InvalidRequests, Priority, RequestPermit};
use ery_channel_queue::{BoxLease, ChannelQueue, Delivery, Hint, QueueError, Task, Wakeups};
use ery_event_bus::{
    BusError, Event, EventBus, EventDeliveries, FollowedEvents, GatewayShard, ResumePoint, Topic,
};
use ery_ids::{ChannelKey, Part, ReplicaId, ServiceName};
use ery_membership::{Claim, Membership, MembershipError, Registration, Replica};

/// Every port in memory, outliving the services that use it; and what they did to it.
pub(crate) struct Platform {
    state: Mutex<State>,
    is_withholding: watch::Sender<bool>,
    replicas: watch::Sender<Arc<[Replica]>>,
}

#[derive(Default)]
struct State {
    events: Vec<Event>,
    event_ids: HashSet<String>,
    publishes: Vec<String>,
    tasks: Vec<Task>,
    task_ids: HashSet<String>,
    points: HashMap<GatewayShard, ResumePoint>,
    claims: HashMap<String, (ReplicaId, CancellationToken)>,
    identifies: Vec<u32>,
}

impl Platform {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            is_withholding: watch::Sender::new(false),
            replicas: watch::Sender::new(Arc::from([])),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the events that stand on the bus, each once.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    /// Returns the ids of every publish, repeats too.
    pub(crate) fn publishes(&self) -> Vec<String> {
        self.state().publishes.clone()
    }

    pub(crate) fn tasks(&self) -> Vec<Task> {
        self.state().tasks.clone()
    }

    pub(crate) fn point(&self, number: u32, total: u32) -> Option<ResumePoint> {
        self.state().points.get(&GatewayShard { number, total }).cloned()
    }

    pub(crate) fn set_point(&self, number: u32, total: u32, point: ResumePoint) {
        self.state().points.insert(GatewayShard { number, total }, point);
    }

    pub(crate) fn holder(&self, claim: &str) -> Option<ReplicaId> {
        self.state().claims.get(claim).map(|(owner, _)| owner.clone())
    }

    /// Takes a claim away, as an expiry would.
    pub(crate) fn revoke(&self, claim: &str) {
        if let Some((_, lost)) = self.state().claims.remove(claim) {
            lost.cancel();
        }
    }

    /// Which buckets identified.
    pub(crate) fn identifies(&self) -> Vec<u32> {
        self.state().identifies.clone()
    }

    /// Lets publishes stand without an answer, or answers them again.
    pub(crate) fn withhold(&self, is_withholding: bool) {
        self.is_withholding.send_replace(is_withholding);
    }

    pub(crate) fn set_replicas(&self, ids: &[&ReplicaId]) {
        let replicas = ids.iter().map(|id| Replica {
            id: (*id).clone(),
            service: ServiceName::Gateway,
            address: String::new(),
        });
        self.replicas.send_replace(replicas.collect());
    }

    async fn answered(&self) {
        let mut is_withholding = self.is_withholding.subscribe();
        // The sender lives as long as `self`.
        drop(is_withholding.wait_for(|is_withholding| !is_withholding).await);
    }
}

#[async_trait]
impl EventBus for Platform {
    async fn publish(&self, event: Event) -> Result<(), BusError> {
        {
            let mut state = self.state();
            state.publishes.push(event.id.to_string());
            if state.event_ids.insert(event.id.to_string()) {
                state.events.push(event);
            }
        }
        self.answered().await;
        Ok(())
    }

    async fn consume(&self, _: &str, _: &[&str], _: Part) -> Result<EventDeliveries, BusError> {
        Err(BusError::Full)
    }

    async fn follow(&self, _: &[&str]) -> Result<FollowedEvents, BusError> {
        Err(BusError::Full)
    }

    async fn broadcast(&self, _: Topic, _: Bytes) -> Result<(), BusError> {
        Ok(())
    }

    async fn listen(&self, _: Topic) -> Result<BoxStream<'static, Bytes>, BusError> {
        Err(BusError::Full)
    }

    async fn save_resume_point(
        &self,
        shard: GatewayShard,
        point: Option<&ResumePoint>,
    ) -> Result<(), BusError> {
        let mut state = self.state();
        match point {
            Some(point) => state.points.insert(shard, point.clone()),
            None => state.points.remove(&shard),
        };
        Ok(())
    }

    async fn resume_point(&self, shard: GatewayShard) -> Result<Option<ResumePoint>, BusError> {
        Ok(self.state().points.get(&shard).cloned())
    }
}

#[async_trait]
impl ChannelQueue for Platform {
    async fn publish(&self, task: Task) -> Result<(), QueueError> {
        {
            let mut state = self.state();
            if state.task_ids.insert(task.trigger.to_string()) {
                state.tasks.push(task);
            }
        }
        self.answered().await;
        Ok(())
    }

    async fn wakeups(&self, _: usize) -> Result<Wakeups, QueueError> {
        Err(QueueError::Full)
    }

    async fn turn_away(&self, _: Delivery) -> Result<(), QueueError> {
        Ok(())
    }

    async fn hint(&self, _: ChannelKey) -> Hint {
        Hint::Unknown
    }

    async fn take(&self, _: Delivery) -> Result<Option<BoxLease>, QueueError> {
        Ok(None)
    }
}

/// Ports whose claims are freed when they are dropped, as a claim's time would free them.
pub(crate) struct Claims(pub(crate) Arc<Platform>);

struct Held {
    platform: Arc<Platform>,
    name: String,
    lost: CancellationToken,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.lost.is_cancelled() {
            self.platform.state().claims.remove(&self.name);
        }
    }
}

#[async_trait]
impl Claim for Held {
    async fn lost(&self) {
        self.lost.cancelled().await;
    }

    async fn release(self: Box<Self>) -> Result<(), MembershipError> {
        Ok(())
    }
}

#[async_trait]
impl Membership for Claims {
    async fn join(&self, _: Replica) -> Result<Box<dyn Registration>, MembershipError> {
        Err(MembershipError::Unavailable("no service joins by itself".into()))
    }

    async fn watch(
        &self,
        _: ServiceName,
    ) -> Result<watch::Receiver<Arc<[Replica]>>, MembershipError> {
        Ok(self.0.replicas.subscribe())
    }

    async fn claim(
        &self,
        name: &str,
        owner: &ReplicaId,
        _: Duration,
    ) -> Result<Option<Box<dyn Claim>>, MembershipError> {
        let mut state = self.0.state();
        if state.claims.contains_key(name) {
            return Ok(None);
        }
        let lost = CancellationToken::new();
        state.claims.insert(name.to_owned(), (owner.clone(), lost.clone()));
        Ok(Some(Box::new(Held { platform: Arc::clone(&self.0), name: name.to_owned(), lost })))
    }
}

#[async_trait]
impl Budgets for Platform {
    async fn identify_slot(&self, bucket: u32) -> Result<Option<Duration>, BudgetsError> {
        self.state().identifies.push(bucket);
        Ok(None)
    }

    async fn request(&self, _: Priority, _: u32) -> Result<RequestPermit, BudgetsError> {
        Ok(RequestPermit::Granted)
    }

    async fn pause(&self, _: Duration) -> Result<(), BudgetsError> {
        Ok(())
    }

    async fn count_invalid(&self) -> Result<InvalidRequests, BudgetsError> {
        Ok(InvalidRequests::default())
    }

    async fn invalid(&self) -> Result<InvalidRequests, BudgetsError> {
        Ok(InvalidRequests::default())
    }
}
