use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use ery_ids::{ReplicaId, ServiceName};

/// One running process of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    pub id: ReplicaId,
    pub service: ServiceName,
    /// Where its peers reach it: `host:port`. Empty where it serves no calls.
    pub address: String,
}

/// Why membership did not answer.
#[derive(Debug, thiserror::Error)]
pub enum MembershipError {
    #[error("membership cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Keeps a replica registered while it lives.
#[async_trait]
pub trait Registration: Send + Sync {
    /// Takes the replica out of the list at once; dropping leaves it to expire.
    async fn leave(self: Box<Self>) -> Result<(), MembershipError>;
}

/// A named thing that one process owns at a time, renewed while it lives.
#[async_trait]
pub trait Claim: Send + Sync {
    /// Waits until the claim is lost, or cannot be known to be held.
    async fn lost(&self);

    /// Gives it back at once; dropping leaves it to expire.
    async fn release(self: Box<Self>) -> Result<(), MembershipError>;
}

/// Which replicas live, and which one owns what.
#[async_trait]
pub trait Membership: Send + Sync {
    /// Registers a replica and keeps it registered, through outages too.
    async fn join(&self, replica: Replica) -> Result<Box<dyn Registration>, MembershipError>;

    /// Returns the live replicas of a service, sorted by id, and follows their changes.
    ///
    /// During an outage the last list known stands.
    async fn watch(
        &self,
        service: ServiceName,
    ) -> Result<watch::Receiver<Arc<[Replica]>>, MembershipError>;

    /// Claims `name` for `owner`, or returns none if another has it. It expires `ttl` after its
    /// holder died.
    async fn claim(
        &self,
        name: &str,
        owner: &ReplicaId,
        ttl: Duration,
    ) -> Result<Option<Box<dyn Claim>>, MembershipError>;
}
