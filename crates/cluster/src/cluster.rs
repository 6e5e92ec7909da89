use std::sync::Arc;

use ery_budgets::Budgets;
use ery_channel_queue::ChannelQueue;
use ery_clock::Clock;
use ery_event_bus::EventBus;
use ery_ids::ReplicaId;
use ery_membership::Membership;

use crate::{
    ClusterBudgets, ClusterBus, ClusterMembership, ClusterQueue, ConnectError, NatsSettings,
    RedisSettings, Streams, nats::NatsLink, redis_link::RedisLink, scripts,
};

/// A process's place in the cluster: one connection to NATS, one to Redis, and the ports over them.
pub struct Cluster {
    queue: Arc<ClusterQueue>,
    bus: Arc<ClusterBus>,
    membership: Arc<ClusterMembership>,
    budgets: Arc<ClusterBudgets>,
}

impl Cluster {
    /// Connects, and makes streams, the consumer and buckets where they are missing and `streams` says
    /// that this process keeps them; else it waits for them.
    ///
    /// `replica` names the process in leases; an orchestrator joins membership under the same id,
    /// so that its channels are woken elsewhere when it vanishes.
    ///
    /// # Errors
    ///
    /// After `connect_timeout` at the latest; the text says what cannot be reached, without
    /// credentials, and what to look at.
    pub async fn connect(
        nats_settings: &NatsSettings,
        redis_settings: &RedisSettings,
        streams: Streams,
        replica: ReplicaId,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ConnectError> {
        let (nats, redis) = tokio::try_join!(
            // Large, and awaited once.
            Box::pin(NatsLink::connect(nats_settings, streams, Arc::clone(&clock))),
            Box::pin(RedisLink::connect(redis_settings)),
        )?;
        let (nats, redis) = (Arc::new(nats), Arc::new(redis));
        // From now on this Redis is known; failing here only makes hints less useful.
        if let Err(error) = scripts::known_for(&redis).await {
            tracing::warn!(%error, "could not ask Redis since when it has been known");
        }
        let membership =
            ClusterMembership::new(Some(Arc::clone(&nats)), Arc::clone(&redis), redis_settings);
        let membership = Arc::new(membership);
        let queue = Arc::new(ClusterQueue::new(
            Arc::clone(&nats),
            Arc::clone(&redis),
            Arc::clone(&membership),
            clock,
            replica,
            nats_settings,
            redis_settings,
        ));
        let bus = Arc::new(ClusterBus::new(nats, nats_settings));
        let budgets = Arc::new(ClusterBudgets::new(redis));
        Ok(Self { queue, bus, membership, budgets })
    }

    /// Returns what waits for channels.
    pub fn queue(&self) -> Arc<dyn ChannelQueue> {
        Arc::clone(&self.queue) as Arc<dyn ChannelQueue>
    }

    /// Returns the event bus.
    pub fn bus(&self) -> Arc<dyn EventBus> {
        Arc::clone(&self.bus) as Arc<dyn EventBus>
    }

    /// Returns who else lives.
    pub fn membership(&self) -> Arc<dyn Membership> {
        Arc::clone(&self.membership) as Arc<dyn Membership>
    }

    /// Returns what all replicas together may ask of Discord.
    pub fn budgets(&self) -> Arc<dyn Budgets> {
        Arc::clone(&self.budgets) as Arc<dyn Budgets>
    }
}
