use std::{sync::Arc, time::Duration};

use async_nats::Subscriber;
use futures::StreamExt as _;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use ery_ids::ServiceName;
use ery_membership::Replica;

use crate::{
    background::jittered,
    error::NoAnswer,
    keys::MemberKeys,
    nats::NatsLink,
    redis_link::{RedisError, RedisLink},
    scripts::{self, Listed},
    subjects,
};

/// How often the list is looked at without being told to.
const LOOK: Duration = Duration::from_secs(1);

/// One service's list, as this process knows it.
pub(super) struct Watched {
    nats: Option<Arc<NatsLink>>,
    redis: Arc<RedisLink>,
    service: ServiceName,
    keys: MemberKeys,
    ttl: Duration,
    told: Option<Subscriber>,
    known: Known,
}

impl Watched {
    pub(super) async fn open(
        nats: Option<Arc<NatsLink>>,
        redis: Arc<RedisLink>,
        service: ServiceName,
        ttl: Duration,
    ) -> Result<Self, RedisError> {
        let told = match &nats {
            Some(nats) => {
                let told = nats.client.subscribe(subjects::members(service)).await;
                Some(told.map_err(|_| RedisError::NoAnswer(NoAnswer("NATS")))?)
            }
            None => None,
        };
        let keys = MemberKeys::of(service);
        Ok(Self { nats, redis, service, keys, ttl, told, known: Known::default() })
    }

    /// Looks at the list now.
    pub(super) async fn look(&mut self) -> Result<Arc<[Replica]>, RedisError> {
        let listed = scripts::list(&self.redis, &self.keys).await?;
        Ok(self.known.learn(&listed, self.ttl, Instant::now()))
    }

    /// Keeps `list` up to date; never ends. During an outage the last list stands.
    pub(super) async fn follow(&mut self, list: &watch::Sender<Arc<[Replica]>>) {
        loop {
            self.wait().await;
            match self.look().await {
                Ok(replicas) => {
                    list.send_if_modified(|known| {
                        let is_new = **known != *replicas;
                        *known = replicas;
                        is_new
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, service = %self.service, "could not list replicas");
                }
            }
        }
    }

    /// Waits until somebody says that the list changed, or for its time.
    async fn wait(&mut self) {
        let Some(told) = &mut self.told else {
            sleep(jittered(LOOK)).await;
            if let Some(nats) = &self.nats {
                let subject = subjects::members(self.service);
                self.told = nats.client.subscribe(subject).await.ok();
            }
            return;
        };
        let message = tokio::select! {
            message = told.next() => message,
            () = sleep(jittered(LOOK.min(self.ttl / 3))) => return,
        };
        if message.is_none() {
            self.told = None;
        }
    }
}

/// The last list known, and what may be believed of the next.
#[derive(Default)]
struct Known {
    replicas: Option<Arc<[Replica]>>,
    /// Since when Redis has kept no list at all.
    empty_since: Option<Instant>,
}

impl Known {
    /// Takes an answer in.
    ///
    /// A list that is younger than a registration lasts may lack replicas that have not
    /// registered again yet: until then those known before stand beside it.
    fn learn(&mut self, listed: &Listed, ttl: Duration, now: Instant) -> Arc<[Replica]> {
        let mut replicas: Vec<Replica> =
            listed.replicas.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
        let may_lack = match listed.kept_for {
            Some(kept_for) => {
                self.empty_since = None;
                kept_for < ttl
            }
            None => now.duration_since(*self.empty_since.get_or_insert(now)) < ttl,
        };
        if may_lack && let Some(known) = &self.replicas {
            for replica in known.iter() {
                let is_listed = replicas.iter().any(|listed| listed.id == replica.id);
                if !is_listed && !listed.left.contains(&replica.id.0) {
                    replicas.push(replica.clone());
                }
            }
        }
        replicas.sort_by(|a, b| a.id.cmp(&b.id));
        let replicas: Arc<[Replica]> = replicas.into();
        self.replicas = Some(Arc::clone(&replicas));
        replicas
    }
}

#[cfg(test)]
mod tests {
    use ery_ids::ReplicaId;

    use super::*;

    const TTL: Duration = Duration::from_secs(15);

    fn listed(kept_for: Option<u64>, ids: &[&str]) -> Listed {
        let replicas = ids.iter().map(|id| {
            let replica = Replica {
                id: ReplicaId((*id).to_owned()),
                service: ServiceName::Store,
                address: String::new(),
            };
            serde_json::to_string(&replica).unwrap()
        });
        let kept_for = kept_for.map(Duration::from_secs);
        Listed { kept_for, replicas: replicas.collect(), left: Vec::new() }
    }

    fn ids(replicas: &[Replica]) -> Vec<&str> {
        replicas.iter().map(|replica| replica.id.0.as_str()).collect()
    }

    #[test]
    fn after_redis_was_emptied_the_known_stand_until_all_can_have_come_back() {
        let (mut known, now) = (Known::default(), Instant::now());
        assert_eq!(ids(&known.learn(&listed(Some(60), &["b", "a"]), TTL, now)), ["a", "b"]);
        assert_eq!(ids(&known.learn(&listed(None, &[]), TTL, now)), ["a", "b"]);
        assert_eq!(ids(&known.learn(&listed(Some(3), &["b"]), TTL, now)), ["a", "b"]);
        assert_eq!(ids(&known.learn(&listed(Some(15), &["b"]), TTL, now)), ["b"]);
    }

    #[test]
    fn a_list_that_stays_empty_is_believed_after_its_time() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.learn(&listed(Some(60), &["a"]), TTL, now);
        assert_eq!(ids(&known.learn(&listed(None, &[]), TTL, now)), ["a"]);
        assert!(known.learn(&listed(None, &[]), TTL, now + TTL).is_empty());
    }

    #[test]
    fn a_replica_that_said_so_has_left_a_young_list_too() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.learn(&listed(Some(1), &["a", "b"]), TTL, now);
        let answer = Listed { left: vec!["b".to_owned()], ..listed(Some(2), &["a"]) };
        assert_eq!(ids(&known.learn(&answer, TTL, now)), ["a"]);
    }

    #[test]
    fn a_replica_that_left_an_old_list_is_gone_at_once() {
        let (mut known, now) = (Known::default(), Instant::now());
        known.learn(&listed(Some(60), &["a", "b"]), TTL, now);
        assert_eq!(ids(&known.learn(&listed(Some(61), &["a"]), TTL, now)), ["a"]);
    }
}
