use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use ery_ids::{ChannelKey, ServiceName};
use ery_membership::{Membership as _, Replica};

use super::Inner;
use crate::{
    background::{Backoff, jittered},
    keys::{self, ChannelKeys},
    redis_link::RedisError,
    subjects,
};

/// How many channels of a vanished replica are taken over by one survivor at a time.
const AT_ONCE: usize = 64;

/// A lease that ends at this very moment is waited for a little longer.
const GRACE: Duration = Duration::from_millis(20);

/// Wakes the channels of replicas that vanished, as their leases end.
///
/// A hint: what it misses comes by redelivery.
pub(super) async fn run(inner: Arc<Inner>, woken: mpsc::Sender<ChannelKey>) {
    let mut live = watched(&inner).await;
    let mut waiting = JoinSet::new();
    loop {
        let replicas = Arc::clone(&live.borrow_and_update());
        if let Err(error) = adopt(&inner, &replicas, &woken, &mut waiting).await {
            tracing::debug!(%error, "could not look for channels of vanished replicas");
        }
        while waiting.try_join_next().is_some() {}
        // Also without a change: a replica may have vanished before this one began to watch.
        match timeout(jittered(inner.lease_ttl), live.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => live = watched(&inner).await,
        }
    }
}

async fn watched(inner: &Inner) -> watch::Receiver<Arc<[Replica]>> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
    loop {
        match inner.membership.watch(ServiceName::Orchestrator).await {
            Ok(live) => return live,
            Err(error) => tracing::debug!(%error, "could not watch the orchestrators"),
        }
        backoff.wait().await;
    }
}

async fn adopt(
    inner: &Arc<Inner>,
    live: &[Replica],
    woken: &mpsc::Sender<ChannelKey>,
    waiting: &mut JoinSet<()>,
) -> Result<(), RedisError> {
    let holders: Vec<String> = inner.redis.command(&redis::Cmd::smembers(keys::HOLDERS)).await?;
    for holder in holders {
        let is_live = |replica: &Replica| replica.id.0 == holder;
        if holder == inner.replica.0 || live.iter().any(is_live) {
            continue;
        }
        loop {
            let mut pop = redis::cmd("SPOP");
            pop.arg(keys::held_by(&holder)).arg(AT_ONCE);
            let names: Vec<String> = inner.redis.command(&pop).await?;
            if names.is_empty() {
                let forget = redis::Cmd::srem(keys::HOLDERS, &holder);
                inner.redis.command::<i64>(&forget).await?;
                break;
            }
            tracing::info!(
                replica.id = %holder,
                channels = names.len(),
                "waking channels of replica {holder}, which vanished"
            );
            for channel in names.iter().filter_map(|name| subjects::parse_channel_name(name)) {
                waiting.spawn(wake_when_free(Arc::clone(inner), channel, woken.clone()));
            }
        }
    }
    Ok(())
}

/// Waits for the end of a lease that nobody renews, then wakes its channel.
async fn wake_when_free(inner: Arc<Inner>, channel: ChannelKey, woken: mpsc::Sender<ChannelKey>) {
    let question = redis::Cmd::pttl(ChannelKeys::of(channel).lease);
    // -2: there is none; then, as where Redis does not say, it is woken at once.
    let remaining = inner.redis.command::<i64>(&question).await.unwrap_or(-2);
    if let Ok(remaining) = u64::try_from(remaining) {
        sleep(Duration::from_millis(remaining) + GRACE).await;
    }
    if woken.send(channel).await.is_err() {
        tracing::debug!("nobody listens here any more; redelivery wakes the channel");
    }
}
