use std::sync::Arc;

use secrecy::SecretString;

use ery_budgets::Budgets;
use ery_channel_queue::ChannelQueue;
use ery_clock::Clock;
use ery_event_bus::EventBus;
use ery_ids::ReplicaId;
use ery_membership::Membership;

/// Where Discord is, and as whom it is spoken to.
#[derive(Clone, Debug)]
pub struct Discord {
    pub token: SecretString,
    /// REST's base, `https://discord.com/api/v10`.
    pub api_url: String,
    /// The Gateway's address; none: what Discord says.
    pub gateway_url: Option<String>,
}

/// All that the gateway needs from outside.
#[derive(Clone)]
pub struct Ports {
    pub discord: Discord,
    pub bus: Arc<dyn EventBus>,
    pub queue: Arc<dyn ChannelQueue>,
    pub membership: Arc<dyn Membership>,
    pub budgets: Arc<dyn Budgets>,
    pub clock: Arc<dyn Clock>,
    pub replica: ReplicaId,
}
