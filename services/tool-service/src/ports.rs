use std::{fmt, sync::Arc};

use secrecy::SecretString;
use serde::Deserialize;

use ery_budgets::Budgets;
use ery_clock::Clock;
use ery_community_config::SharedBase;
use ery_event_bus::EventBus;
use ery_rpc::Peers;

/// The REST API of Discord itself.
pub const DISCORD_API_URL: &str = "https://discord.com/api/v10";

/// Where Discord is, and who we are there: the part of the table `[discord]` that matters here.
#[derive(Clone, Debug, Deserialize)]
pub struct Discord {
    pub token: SecretString,
    /// Base of the REST API; its path is `/api/v10`.
    #[serde(default = "default_api_url")]
    pub api_url: String,
}

fn default_api_url() -> String {
    DISCORD_API_URL.to_owned()
}

impl Discord {
    /// Returns Discord itself.
    pub fn new(token: SecretString) -> Self {
        Self { token, api_url: default_api_url() }
    }
}

/// All that the service needs from outside.
#[derive(Clone)]
pub struct Ports {
    pub discord: Discord,
    pub bus: Arc<dyn EventBus>,
    pub budgets: Arc<dyn Budgets>,
    pub clock: Arc<dyn Clock>,
    /// What the process is set to, below what communities set.
    pub config_base: SharedBase,
    /// The replicas of the store.
    pub store: Peers,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").field("discord", &self.discord).finish_non_exhaustive()
    }
}
