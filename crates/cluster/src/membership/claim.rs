use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use ery_membership::{Claim, MembershipError};

use super::unavailable;
use crate::{
    background::{Owned, jittered},
    redis_link::RedisLink,
    scripts,
};

/// A name that this process owns.
pub(super) struct ClusterClaim {
    redis: Arc<RedisLink>,
    key: String,
    owner: String,
    lost: CancellationToken,
    renewal: Owned,
}

impl ClusterClaim {
    pub(super) fn new(
        redis: Arc<RedisLink>,
        key: String,
        owner: String,
        ttl: Duration,
        claimed_at: Instant,
    ) -> Self {
        let lost = CancellationToken::new();
        let renewal =
            renew(Arc::clone(&redis), key.clone(), owner.clone(), ttl, claimed_at, lost.clone());
        Self { redis, key, owner, lost, renewal: Owned::spawn(renewal) }
    }
}

#[async_trait]
impl Claim for ClusterClaim {
    async fn lost(&self) {
        self.lost.cancelled().await;
    }

    async fn release(self: Box<Self>) -> Result<(), MembershipError> {
        // First the renewal, which could bring it back.
        let Self { redis, key, owner, renewal, .. } = *self;
        renewal.end().await;
        scripts::unclaim(&redis, &key, &owner).await.map_err(unavailable)
    }
}

/// Renews a claim at a third of its time, until it is another's or cannot be known to be held.
///
/// A claim that Redis forgot while its time ran is claimed anew in the same step, if it is free.
async fn renew(
    redis: Arc<RedisLink>,
    key: String,
    owner: String,
    ttl: Duration,
    claimed_at: Instant,
    lost: CancellationToken,
) {
    let mut renewed_at = claimed_at;
    let mut next = claimed_at + jittered(ttl / 3);
    loop {
        let deadline = renewed_at + ttl * 2 / 3;
        sleep_until(next.min(deadline)).await;
        let asked_at = Instant::now();
        match timeout_at(deadline, scripts::claim(&redis, &key, &owner, ttl)).await {
            Ok(Ok(true)) => {
                renewed_at = asked_at;
                next = asked_at + jittered(ttl / 3);
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "could not renew a claim; trying again");
                next = Instant::now() + jittered(ttl / 20);
            }
            Ok(Ok(false)) | Err(_) => break,
        }
    }
    tracing::warn!(claim = key, "lost the claim `{key}`");
    lost.cancel();
}
