use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep, timeout},
};

use ery_ids::{ChannelKey, ReplicaId};

use super::held::HeldChannels;
use crate::{
    background::Owned,
    keys,
    redis_link::{RedisError, RedisLink},
    subjects,
};

/// How long changes are gathered: a channel that was held for less is not told of at all.
const GATHER: Duration = Duration::from_millis(20);

/// How often everything is told anew, in case Redis forgot it.
const REFRESH: Duration = Duration::from_mins(1);

/// How long Redis keeps what a replica told last.
const KEEP: Duration = Duration::from_mins(15);

/// Tells Redis which channels this replica holds: a hint for those who take over from it.
pub(super) struct HeldHints {
    changed: Arc<Changed>,
    _teller: Owned,
}

#[derive(Default)]
struct Changed {
    channels: Mutex<HashSet<ChannelKey>>,
    notify: Notify,
}

impl HeldHints {
    pub(super) fn new(redis: Arc<RedisLink>, replica: &ReplicaId, held: HeldChannels) -> Self {
        let changed = Arc::new(Changed::default());
        let teller = Teller {
            redis,
            replica: replica.0.clone(),
            held,
            changed: Arc::clone(&changed),
            told: HashSet::new(),
        };
        Self { changed, _teller: Owned::spawn(teller.run()) }
    }

    /// Notes that a channel was taken or left.
    pub(super) fn changed(&self, channel: ChannelKey) {
        self.changed.channels.lock().unwrap_or_else(PoisonError::into_inner).insert(channel);
        self.changed.notify.notify_one();
    }
}

struct Teller {
    redis: Arc<RedisLink>,
    replica: String,
    held: HeldChannels,
    changed: Arc<Changed>,
    /// What Redis has been told, and not been told to forget.
    told: HashSet<ChannelKey>,
}

impl Teller {
    async fn run(mut self) {
        let mut refresh_at = Instant::now();
        loop {
            let until_refresh = refresh_at.saturating_duration_since(Instant::now());
            // The notice, or the time: both mean the same.
            drop(timeout(until_refresh, self.changed.notify.notified()).await);
            sleep(GATHER).await;
            let is_refresh = Instant::now() >= refresh_at;
            if is_refresh {
                refresh_at = Instant::now() + REFRESH;
            }
            if let Err(error) = self.tell(is_refresh).await {
                tracing::debug!(%error, "could not tell which channels are held");
                self.told.clear();
                refresh_at = Instant::now() + Duration::from_secs(1);
            }
        }
    }

    async fn tell(&mut self, everything: bool) -> Result<(), RedisError> {
        let changed = std::mem::take(
            &mut *self.changed.channels.lock().unwrap_or_else(PoisonError::into_inner),
        );
        let (mut taken, mut left) = (Vec::new(), Vec::new());
        for channel in changed {
            match (self.held.contains(channel), self.told.contains(&channel)) {
                (true, false) => taken.push(channel),
                (false, true) => left.push(channel),
                _ => {}
            }
        }
        if everything {
            taken = self.held.all();
        }
        if taken.is_empty() && left.is_empty() {
            return Ok(());
        }
        let key = keys::held_by(&self.replica);
        let names = |channels: &[ChannelKey]| {
            channels.iter().map(|channel| subjects::channel_name(*channel)).collect::<Vec<_>>()
        };
        let mut commands = redis::pipe();
        if !taken.is_empty() {
            commands.sadd(&key, names(&taken)).ignore().sadd(keys::HOLDERS, &self.replica).ignore();
        }
        if !left.is_empty() {
            commands.srem(&key, names(&left)).ignore();
        }
        let keep = i64::try_from(KEEP.as_secs()).unwrap_or(i64::MAX);
        commands.expire(&key, keep).ignore();
        self.redis.pipeline::<()>(&commands).await?;
        self.told.extend(taken);
        for channel in left {
            self.told.remove(&channel);
        }
        Ok(())
    }
}
