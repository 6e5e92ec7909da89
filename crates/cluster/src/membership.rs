mod claim;
mod watched;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{sync::watch, time::Instant};

use ery_ids::{ReplicaId, ServiceName};
use ery_membership::{Claim, Membership, MembershipError, Registration, Replica};

use crate::{
    ConnectError, RedisSettings,
    background::{Owned, jittered},
    keys::{self, MemberKeys},
    nats::NatsLink,
    redis_link::{RedisError, RedisLink},
    scripts, subjects,
};

use self::{claim::ClusterClaim, watched::Watched};

/// How soon a registration that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// One service's list, as its followers see it.
type List = Arc<watch::Sender<Arc<[Replica]>>>;

/// Which replicas live, and which one owns what, in Redis.
///
/// NATS only tells those who watch to look at once.
pub struct ClusterMembership {
    /// None: nobody tells, and lists are looked at in their time.
    nats: Option<Arc<NatsLink>>,
    redis: Arc<RedisLink>,
    ttl: Duration,
    /// Until when what a process begins with is asked for again. A Redis that went away right after it
    /// was reached is waited for as long as one that was not there yet.
    patient_until: Instant,
    watched: Arc<std::sync::Mutex<HashMap<ServiceName, List>>>,
    /// One first look at a time.
    opening: tokio::sync::Mutex<()>,
}

impl ClusterMembership {
    /// Connects to Redis alone: for whoever asks for the replicas and goes again.
    ///
    /// # Errors
    ///
    /// After `connect_timeout` at the latest; the text says what cannot be reached, without
    /// credentials, and what to look at.
    pub async fn by_redis(settings: &RedisSettings) -> Result<Self, ConnectError> {
        let redis = Arc::new(RedisLink::connect(settings).await?);
        Ok(Self::new(None, redis, settings))
    }

    pub(crate) fn new(
        nats: Option<Arc<NatsLink>>,
        redis: Arc<RedisLink>,
        settings: &RedisSettings,
    ) -> Self {
        Self {
            nats,
            redis,
            ttl: settings.member_ttl,
            patient_until: Instant::now() + settings.connect_timeout,
            watched: Arc::default(),
            opening: tokio::sync::Mutex::default(),
        }
    }

    /// Asks until Redis answers, or refuses, or has had its time since this process connected.
    async fn patiently<T, F>(&self, ask: impl Fn() -> F + Send + Sync) -> Result<T, MembershipError>
    where
        F: Future<Output = Result<T, RedisError>> + Send,
    {
        loop {
            let error = match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let is_away = matches!(error, RedisError::Unavailable(_) | RedisError::NoAnswer(_));
            if !is_away || Instant::now() >= self.patient_until {
                return Err(unavailable(error));
            }
            tracing::info!(%error, "waiting for Redis");
            tokio::time::sleep(jittered(RETRY)).await;
        }
    }

    /// Follows a list that is being kept already.
    fn subscribed(&self, service: ServiceName) -> Option<watch::Receiver<Arc<[Replica]>>> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.get(&service).map(|list| list.subscribe())
    }
}

#[async_trait]
impl Membership for ClusterMembership {
    async fn join(&self, replica: Replica) -> Result<Box<dyn Registration>, MembershipError> {
        let member = Member {
            nats: self.nats.clone(),
            redis: Arc::clone(&self.redis),
            keys: MemberKeys::of(replica.service),
            text: serde_json::to_string(&replica)
                .map_err(|error| MembershipError::Unavailable(error.into()))?,
            replica,
            ttl: self.ttl,
        };
        let joined_at = Instant::now();
        self.patiently(|| member.join()).await?;
        member.tell().await;
        let member = Arc::new(member);
        let renewal = Owned::spawn(Arc::clone(&member).stay(joined_at));
        Ok(Box::new(ClusterRegistration { member, renewal }))
    }

    async fn watch(
        &self,
        service: ServiceName,
    ) -> Result<watch::Receiver<Arc<[Replica]>>, MembershipError> {
        let _opening = self.opening.lock().await;
        if let Some(list) = self.subscribed(service) {
            return Ok(list);
        }
        let open = || async {
            let (nats, redis) = (self.nats.clone(), Arc::clone(&self.redis));
            let mut watched = Watched::open(nats, redis, service, self.ttl).await?;
            let first = watched.look().await?;
            Ok::<_, RedisError>((watched, first))
        };
        let (mut watched, first) = self.patiently(open).await?;
        let (list, follower) = watch::channel(first);
        let list = Arc::new(list);
        let all = Arc::clone(&self.watched);
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(service, Arc::clone(&list));
        crate::background::spawn(async move {
            loop {
                tokio::select! {
                    () = watched.follow(&list) => {}
                    () = list.closed() => {}
                }
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                // Somebody may have begun to follow it in this very moment.
                if list.receiver_count() == 0 {
                    all.remove(&service);
                    return;
                }
            }
        });
        Ok(follower)
    }

    async fn claim(
        &self,
        name: &str,
        owner: &ReplicaId,
        ttl: Duration,
    ) -> Result<Option<Box<dyn Claim>>, MembershipError> {
        let (key, owner) = (keys::claim(name), keys::claim_owner(owner));
        let asked_at = Instant::now();
        if !scripts::claim(&self.redis, &key, &owner, ttl).await.map_err(unavailable)? {
            return Ok(None);
        }
        let claim = ClusterClaim::new(Arc::clone(&self.redis), key, owner, ttl, asked_at);
        Ok(Some(Box::new(claim)))
    }
}

/// A replica in its list.
struct Member {
    nats: Option<Arc<NatsLink>>,
    redis: Arc<RedisLink>,
    keys: MemberKeys,
    replica: Replica,
    text: String,
    ttl: Duration,
}

impl Member {
    async fn join(&self) -> Result<(), RedisError> {
        scripts::join(&self.redis, &self.keys, &self.replica.id.0, &self.text, self.ttl).await
    }

    /// Tells those who watch to look.
    async fn tell(&self) {
        let Some(nats) = &self.nats else { return };
        let subject = subjects::members(self.replica.service);
        if let Err(error) = nats.client.publish(subject, Bytes::new()).await {
            tracing::debug!(%error, "could not tell that a replica came or went");
        }
    }

    /// Registers again and again; never ends. After Redis was emptied that brings the replica back.
    async fn stay(self: Arc<Self>, joined_at: Instant) {
        let mut next = joined_at + jittered(self.ttl / 3);
        let mut is_failing = false;
        loop {
            tokio::time::sleep_until(next).await;
            let asked_at = Instant::now();
            match self.join().await {
                Ok(()) => {
                    next = asked_at + jittered(self.ttl / 3);
                    if std::mem::take(&mut is_failing) {
                        self.tell().await;
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(%error, "could not register; trying again");
                    }
                    next = Instant::now() + jittered(RETRY.min(self.ttl / 6));
                }
            }
        }
    }
}

struct ClusterRegistration {
    member: Arc<Member>,
    renewal: Owned,
}

#[async_trait]
impl Registration for ClusterRegistration {
    async fn leave(self: Box<Self>) -> Result<(), MembershipError> {
        // First the renewal, which could bring it back.
        let Self { member, renewal } = *self;
        renewal.end().await;
        scripts::leave(&member.redis, &member.keys, &member.replica.id.0, member.ttl)
            .await
            .map_err(unavailable)?;
        member.tell().await;
        Ok(())
    }
}

fn unavailable(error: RedisError) -> MembershipError {
    MembershipError::Unavailable(error.into())
}
