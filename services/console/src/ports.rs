use std::fmt;

use ery_rpc::Peers;

/// What the service needs from outside.
#[derive(Clone)]
pub struct Ports {
    /// The replicas of the store, which knows the credentials.
    pub store: Peers,
    /// The replicas of the tool-service, which decides and does what clients ask for.
    pub tools: Peers,
}

impl fmt::Debug for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}
