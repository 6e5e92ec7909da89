use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use twilight_model::id::{Id, marker::UserMarker};

use ery_event_bus::{GatewayShard, ResumePoint};
use ery_ids::ReplicaId;
use ery_membership::{Claim, Replica, rendezvous};

use crate::{
    adapters::IdentifySlots,
    domain::Backoff,
    error::GatewayError,
    metrics::Metrics,
    ports::Ports,
    service::Status,
    settings::Settings,
    shard_keeper::holding::{Ended, Holding},
};

mod holding;

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What all shards of a replica share.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) ports: Ports,
    pub(crate) gateway_url: String,
    /// Ery's own user, as REST knows it: a resume point of another bot's is of no use.
    pub(crate) me: Id<UserMarker>,
    pub(crate) slots: IdentifySlots,
    pub(crate) metrics: Metrics,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) replicas: watch::Receiver<Arc<[Replica]>>,
}

impl Context {
    /// Changes how this replica's shards stand, for those who look.
    pub(crate) fn note(&self, change: impl FnOnce(&mut Status)) {
        self.status.send_modify(change);
        let status = *self.status.borrow();
        self.metrics.shards(status.held, status.connected);
    }
}

/// Claims one shard, again and again, and holds it while the claim lasts.
pub(crate) struct ShardKeeper {
    context: Arc<Context>,
    shard: GatewayShard,
    balance: Balance,
}

/// Which replica should have a shard, and to whom it was given already.
#[derive(Default)]
struct Balance {
    other_since: Option<(ReplicaId, Instant)>,
    /// A replica that did not take the shard when it was free is not offered it again.
    offered: HashSet<ReplicaId>,
}

impl ShardKeeper {
    pub(crate) fn new(context: Arc<Context>, shard: GatewayShard) -> Self {
        Self { context, shard, balance: Balance::default() }
    }

    /// Keeps the shard until the process drains.
    pub(crate) async fn run(mut self, draining: &CancellationToken) -> Result<(), GatewayError> {
        let (context, shard) = (Arc::clone(&self.context), self.shard);
        while let Some(claim) = self.claim(draining).await {
            context.note(|status| status.held += 1);
            let ended = match load(&context, shard, draining, &*claim).await {
                Loaded::Point(point) => {
                    let holding = Holding::new(&context, shard, draining, &*claim, point);
                    holding.run(|| self.balance.is_due(&context, shard)).await
                }
                Loaded::Ended(ended) => Ok(ended),
            };
            context.note(|status| status.held = status.held.saturating_sub(1));
            let number = shard.number;
            match &ended {
                Ok(Ended::ClaimLost) => {
                    tracing::warn!(shard.id = number, "shard {number} is claimed no longer");
                    continue;
                }
                Ok(Ended::HandedOver) => {
                    tracing::info!(shard.id = number, "shard {number} goes to another replica");
                }
                Ok(Ended::Drained) | Err(_) => {}
            }
            // Last of all: from now on another replica may hold it.
            if let Err(error) = claim.release().await {
                let error: &dyn std::error::Error = &error;
                tracing::debug!(shard.id = number, error, "the claim is left to expire");
            }
            match ended? {
                Ended::Drained => return Ok(()),
                Ended::HandedOver | Ended::ClaimLost => {}
            }
        }
        Ok(())
    }

    /// Waits until the shard can be claimed; none if the process drains before that.
    async fn claim(&mut self, draining: &CancellationToken) -> Option<Box<dyn Claim>> {
        let GatewayShard { number, total } = self.shard;
        let name = format!("gateway-shard:{total}:{number}");
        let Settings { claim_ttl, .. } = self.context.settings;
        let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
        // The replica that should have it goes first.
        let mut wait = match self.preferred_other() {
            Some(_) => claim_ttl,
            None => Duration::ZERO,
        };
        loop {
            tokio::select! {
                biased;
                () = draining.cancelled() => return None,
                () = tokio::time::sleep(wait) => {}
            }
            let claim =
                self.context.ports.membership.claim(&name, &self.context.ports.replica, claim_ttl);
            let claimed = tokio::select! {
                biased;
                () = draining.cancelled() => return None,
                claimed = claim => claimed,
            };
            wait = match claimed {
                Ok(Some(claim)) => return Some(claim),
                Ok(None) => {
                    backoff.succeeded();
                    (claim_ttl / 10).mul_f64(0.75 + rand::random::<f64>() / 2.0)
                }
                Err(error) => {
                    if backoff.failures() == 0 {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            shard.id = number,
                            error,
                            "shard {number} could not be claimed; trying on"
                        );
                    }
                    backoff.failed(rand::random())
                }
            };
        }
    }

    fn preferred_other(&self) -> Option<ReplicaId> {
        preferred_other(&self.context, self.shard)
    }
}

impl Balance {
    /// Tells whether the shard should go to the replica that rendezvous names.
    fn is_due(&mut self, context: &Context, shard: GatewayShard) -> bool {
        let Some(other) = preferred_other(context, shard) else {
            self.other_since = None;
            return false;
        };
        let since = match &self.other_since {
            Some((id, since)) if *id == other => *since,
            _ => Instant::now(),
        };
        self.other_since = Some((other.clone(), since));
        if since.elapsed() < context.settings.rebalance_after || self.offered.contains(&other) {
            return false;
        }
        let replicas = Arc::clone(&context.replicas.borrow());
        self.offered.retain(|id| replicas.iter().any(|replica| replica.id == *id));
        self.offered.insert(other)
    }
}

/// Returns the live replica that should have the shard, unless it is this one.
///
/// None while this replica is in no list, either: in one process, or before it has joined.
fn preferred_other(context: &Context, shard: GatewayShard) -> Option<ReplicaId> {
    let replicas = Arc::clone(&context.replicas.borrow());
    if !replicas.iter().any(|replica| replica.id == context.ports.replica) {
        return None;
    }
    // Spread as guilds are: by the bits above a snowflake's worker and increment.
    let preferred = rendezvous(u64::from(shard.number) << ery_ids::SHARD_FORMULA_SHIFT, &replicas)?;
    (preferred.id != context.ports.replica).then(|| preferred.id.clone())
}

enum Loaded {
    Point(Option<ResumePoint>),
    Ended(Ended),
}

/// Reads from where the shard's session can be resumed.
async fn load(
    context: &Context,
    shard: GatewayShard,
    draining: &CancellationToken,
    claim: &dyn Claim,
) -> Loaded {
    let number = shard.number;
    let mut backoff = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    let reading = async {
        loop {
            match context.ports.bus.resume_point(shard).await {
                Ok(point) => return point,
                Err(error) => {
                    if backoff.failures() == 0 {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(
                            shard.id = number,
                            error,
                            "the resume point of shard {number} could not be read; trying on"
                        );
                    }
                    tokio::time::sleep(backoff.failed(rand::random())).await;
                }
            }
        }
    };
    let point = tokio::select! {
        biased;
        () = draining.cancelled() => return Loaded::Ended(Ended::Drained),
        () = claim.lost() => return Loaded::Ended(Ended::ClaimLost),
        point = reading => point,
    };
    Loaded::Point(point.filter(|point| {
        let is_ours = point.bot == context.me;
        if !is_ours {
            tracing::warn!(
                shard.id = number,
                "the resume point of shard {number} is another bot's; a new session is begun"
            );
        }
        is_ours
    }))
}
