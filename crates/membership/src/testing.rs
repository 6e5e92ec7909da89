//! What membership promises, as functions that every adapter's tests run.
//!
//! An adapter fills in a [`Stand`] and calls [`membership_contract!`](crate::membership_contract),
//! which makes one test of each behaviour. A behaviour panics where a promise is broken.
#![expect(clippy::missing_panics_doc, reason = "a behaviour panics where a promise is broken")]

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use ery_ids::{ReplicaId, ServiceName};

use crate::{Claim, Membership, Replica};

/// The times with which a behaviour wants membership opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How long a registration outlives its holder.
    pub registration_ttl: Duration,
}

impl Timing {
    /// For what comes by waiting. It may be longer where an adapter needs it, not much longer.
    pub const SHORT: Self = Self { registration_ttl: Duration::from_secs(1) };

    /// For what must come at once: here waiting never helps within [`PATIENCE`].
    pub const LONG: Self = Self { registration_ttl: Duration::from_mins(10) };
}

/// How long a behaviour waits for a promised thing before it calls the promise broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One membership as two processes see it; an adapter of a single process gives the same one twice.
pub struct TwoViews {
    pub a: Arc<dyn Membership>,
    pub b: Arc<dyn Membership>,
}

impl TwoViews {
    /// Makes both views the same.
    pub fn same(of: Arc<dyn Membership>) -> Self {
        Self { a: Arc::clone(&of), b: of }
    }
}

/// A membership of its own, empty at first, for one behaviour.
#[async_trait]
pub trait Stand: Send + Sync {
    async fn open(&self, timing: Timing) -> TwoViews;
}

/// Makes a test of each promise, run on the [`testing::Stand`](crate::testing::Stand) that the
/// expression gives anew each time.
#[macro_export]
macro_rules! membership_contract {
    (@each $stand:expr; $($behaviour:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $behaviour() {
                $crate::testing::$behaviour(&$stand).await;
            }
        )*
    };
    ($stand:expr) => {
        $crate::membership_contract! { @each $stand;
            a_claim_expires_after_its_holder,
            a_claim_has_one_owner,
            a_held_claim_outlives_its_time,
            a_registration_outlives_its_time,
            a_replica_that_joined_is_seen_by_all,
            a_replica_that_leaves_is_gone_at_once,
            a_replica_that_vanished_expires,
            a_watch_tells_replicas_of_its_service_only,
            claims_of_other_names_are_independent,
            of_many_who_claim_at_once_one_wins,
        }
    };
}

fn replica(service: ServiceName, name: &str) -> Replica {
    Replica { id: ReplicaId(name.to_owned()), service, address: format!("{name}.internal:7000") }
}

fn owner(name: &str) -> ReplicaId {
    ReplicaId(name.to_owned())
}

/// Waits for `future` as long as a promised thing may take.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain: {what}"))
}

/// Follows a list until it holds exactly these replicas, in this order.
async fn until_list_is(list: &mut watch::Receiver<Arc<[Replica]>>, expected: &[Replica]) {
    soon(&format!("the list is {expected:?}"), list.wait_for(|replicas| **replicas == *expected))
        .await
        .expect("a watch does not end");
}

async fn watch(
    membership: &Arc<dyn Membership>,
    service: ServiceName,
) -> watch::Receiver<Arc<[Replica]>> {
    membership.watch(service).await.expect("membership can be watched")
}

async fn claim(
    membership: &Arc<dyn Membership>,
    name: &str,
    owner: &ReplicaId,
    ttl: Duration,
) -> Option<Box<dyn Claim>> {
    membership.claim(name, owner, ttl).await.expect("membership answers")
}

/// Claims again and again until it is granted.
async fn claim_soon(
    membership: &Arc<dyn Membership>,
    name: &str,
    owner: &ReplicaId,
    ttl: Duration,
) -> Box<dyn Claim> {
    soon("the claim is granted", async {
        loop {
            if let Some(claim) = claim(membership, name, owner, ttl).await {
                return claim;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// A time that never runs out within a behaviour.
const LONG_CLAIM: Duration = Duration::from_mins(10);

const SHORT_CLAIM: Duration = Duration::from_secs(1);

/// A replica that joined is in the lists of all processes, whenever they began to watch; the lists
/// are sorted by id.
pub async fn a_replica_that_joined_is_seen_by_all(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let (second, first) =
        (replica(ServiceName::ToolService, "t-2"), replica(ServiceName::ToolService, "t-1"));
    let mut early = watch(&views.b, ServiceName::ToolService).await;
    assert!(early.borrow().is_empty());
    let _second = views.a.join(second.clone()).await.expect("a replica can join");
    until_list_is(&mut early, std::slice::from_ref(&second)).await;
    let _first = views.b.join(first.clone()).await.expect("a replica can join");
    for membership in [&views.a, &views.b] {
        let mut late = watch(membership, ServiceName::ToolService).await;
        until_list_is(&mut late, &[first.clone(), second.clone()]).await;
    }
    until_list_is(&mut early, &[first, second]).await;
}

/// Each service has its own list.
pub async fn a_watch_tells_replicas_of_its_service_only(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let (tool, store) = (replica(ServiceName::ToolService, "x"), replica(ServiceName::Store, "y"));
    let _tool = views.a.join(tool.clone()).await.expect("a replica can join");
    let _store = views.a.join(store.clone()).await.expect("a replica can join");
    until_list_is(&mut watch(&views.b, ServiceName::ToolService).await, &[tool]).await;
    until_list_is(&mut watch(&views.b, ServiceName::Store).await, &[store]).await;
    assert!(watch(&views.b, ServiceName::Gateway).await.borrow().is_empty());
}

/// Leaving takes a replica out of all lists without waiting for its time.
pub async fn a_replica_that_leaves_is_gone_at_once(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let (stays, leaves) =
        (replica(ServiceName::AiService, "a"), replica(ServiceName::AiService, "b"));
    let _stays = views.a.join(stays.clone()).await.expect("a replica can join");
    let leaving = views.b.join(leaves.clone()).await.expect("a replica can join");
    let mut lists = [
        watch(&views.a, ServiceName::AiService).await,
        watch(&views.b, ServiceName::AiService).await,
    ];
    for list in &mut lists {
        until_list_is(list, &[stays.clone(), leaves.clone()]).await;
    }
    leaving.leave().await.expect("a replica can leave");
    for list in &mut lists {
        until_list_is(list, std::slice::from_ref(&stays)).await;
    }
}

/// A replica whose registration was dropped, as by a crash, leaves the lists after its time.
pub async fn a_replica_that_vanished_expires(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let (stays, vanishes) =
        (replica(ServiceName::Gateway, "a"), replica(ServiceName::Gateway, "b"));
    let _stays = views.a.join(stays.clone()).await.expect("a replica can join");
    let vanishing = views.b.join(vanishes.clone()).await.expect("a replica can join");
    let mut list = watch(&views.a, ServiceName::Gateway).await;
    until_list_is(&mut list, &[stays.clone(), vanishes]).await;
    drop(vanishing);
    until_list_is(&mut list, std::slice::from_ref(&stays)).await;
}

/// A registration is kept up while its holder lives.
pub async fn a_registration_outlives_its_time(stand: &dyn Stand) {
    let views = stand.open(Timing::SHORT).await;
    let lives = replica(ServiceName::Orchestrator, "a");
    let _registration = views.a.join(lives.clone()).await.expect("a replica can join");
    let mut list = watch(&views.b, ServiceName::Orchestrator).await;
    until_list_is(&mut list, std::slice::from_ref(&lives)).await;
    let gone = list.wait_for(|replicas| replicas.is_empty());
    assert!(
        tokio::time::timeout(Timing::SHORT.registration_ttl * 4, gone).await.is_err(),
        "a live replica was taken out of the list"
    );
}

/// What one process has claimed, no other gets until it is given back; then it is free at once.
pub async fn a_claim_has_one_owner(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let first = claim(&views.a, "store-shards/0", &owner("a"), LONG_CLAIM).await;
    let first = first.expect("nobody has it");
    assert!(claim(&views.b, "store-shards/0", &owner("b"), LONG_CLAIM).await.is_none());
    assert!(claim(&views.a, "store-shards/0", &owner("b"), LONG_CLAIM).await.is_none());
    first.release().await.expect("a claim can be given back");
    let second = claim(&views.b, "store-shards/0", &owner("b"), LONG_CLAIM).await;
    let second = second.expect("it was given back");
    assert!(claim(&views.a, "store-shards/0", &owner("a"), LONG_CLAIM).await.is_none());
    second.release().await.expect("a claim can be given back");
}

/// Claims of different names do not stand in each other's way.
pub async fn claims_of_other_names_are_independent(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let one = claim(&views.a, "gateway/shard/1", &owner("a"), LONG_CLAIM).await;
    let ten = claim(&views.b, "gateway/shard/10", &owner("b"), LONG_CLAIM).await;
    let same_owner = claim(&views.a, "gateway/shard/2", &owner("a"), LONG_CLAIM).await;
    one.expect("nobody has it").release().await.expect("a claim can be given back");
    assert!(claim(&views.a, "gateway/shard/10", &owner("a"), LONG_CLAIM).await.is_none());
    assert!(claim(&views.b, "gateway/shard/2", &owner("b"), LONG_CLAIM).await.is_none());
    assert!(ten.is_some() && same_owner.is_some());
}

/// A claim whose holder vanished is free after its time, not before another asks in vain.
pub async fn a_claim_expires_after_its_holder(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let vanishing = claim(&views.a, "scheduler", &owner("a"), SHORT_CLAIM).await;
    assert!(vanishing.is_some());
    drop(vanishing);
    let next = claim_soon(&views.b, "scheduler", &owner("b"), SHORT_CLAIM).await;
    assert!(claim(&views.a, "scheduler", &owner("a"), SHORT_CLAIM).await.is_none());
    next.release().await.expect("a claim can be given back");
}

/// A claim is renewed while its holder lives, and is not reported lost.
pub async fn a_held_claim_outlives_its_time(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    let held = claim(&views.a, "scheduler", &owner("a"), SHORT_CLAIM).await;
    let held = held.expect("nobody has it");
    assert!(
        tokio::time::timeout(SHORT_CLAIM * 4, held.lost()).await.is_err(),
        "a claim that is renewed was lost"
    );
    assert!(claim(&views.b, "scheduler", &owner("b"), SHORT_CLAIM).await.is_none());
    held.release().await.expect("a claim can be given back");
    claim(&views.b, "scheduler", &owner("b"), SHORT_CLAIM).await.expect("it was given back");
}

/// However many claim one name in the same moment, one gets it.
pub async fn of_many_who_claim_at_once_one_wins(stand: &dyn Stand) {
    let views = stand.open(Timing::LONG).await;
    for round in 0..10 {
        let name = format!("round/{round}");
        let asks = (0..16).map(|index| {
            let membership = Arc::clone(if index % 2 == 0 { &views.a } else { &views.b });
            let name = name.clone();
            spawn(async move {
                claim(&membership, &name, &owner(&format!("o-{index}")), LONG_CLAIM).await
            })
        });
        let asked: Vec<_> = asks.collect();
        let mut winners = Vec::new();
        for ask in asked {
            winners.extend(soon("an answer", ask).await.expect("asking does not panic"));
        }
        assert_eq!(winners.len(), 1, "round {round}");
    }
}

#[expect(clippy::disallowed_methods, reason = "many ask at once; the caller joins them")]
fn spawn<F>(future: F) -> tokio::task::JoinHandle<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    tokio::spawn(future)
}
