use std::{fmt, sync::Arc};

use ery_channel_queue::ChannelQueue;
use ery_clock::Clock;
use ery_community_config::SharedBase;
use ery_event_bus::EventBus;
use ery_ids::ReplicaId;
use ery_membership::Membership;
use ery_rpc::Peers;

/// All that the orchestrator needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// What waits for channels, and who holds them.
    pub queue: Arc<dyn ChannelQueue>,
    /// Events to handle, and broadcasts.
    pub bus: Arc<dyn EventBus>,
    /// Which orchestrators live, hence which parts of the events are this one's.
    pub membership: Arc<dyn Membership>,
    pub clock: Arc<dyn Clock>,
    /// This process, as the other orchestrators know it.
    pub replica: ReplicaId,
    /// What the process is set to, below what communities set.
    pub config_base: SharedBase,
    /// The replicas of the store.
    pub store: Peers,
    /// The replicas of the ai-service.
    pub ai: Peers,
    /// The replicas of the tool-service.
    pub tools: Peers,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").field("replica", &self.replica).finish_non_exhaustive()
    }
}
