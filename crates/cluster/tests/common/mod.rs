//! Private servers, and processes' views of them.
#![allow(dead_code, reason = "each test binary uses its own part of this")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use ery_budgets::testing as budgets;
use ery_channel_queue::testing as queue;
use ery_clock::SystemClock;
use ery_cluster::{Cluster, NatsSettings, RedisSettings, Streams};
use ery_event_bus::testing as bus;
use ery_ids::ReplicaId;
use ery_membership::testing as membership;
use ery_test_servers::{NatsServer, RedisServer};

/// A pair of servers of its own.
pub(crate) struct Servers {
    pub(crate) nats: NatsServer,
    pub(crate) redis: RedisServer,
}

impl Servers {
    pub(crate) async fn start() -> Self {
        let (nats, redis) = tokio::join!(NatsServer::start(), RedisServer::start());
        Self { nats: nats.unwrap(), redis: redis.unwrap() }
    }

    pub(crate) fn nats_settings(&self) -> NatsSettings {
        NatsSettings { url: self.nats.url().into(), ..Default::default() }
    }

    pub(crate) fn redis_settings(&self) -> RedisSettings {
        RedisSettings {
            url: self.redis.url().into(),
            longest_exchange: Duration::ZERO,
            ..Default::default()
        }
    }

    /// Connects as one process does.
    pub(crate) async fn connect(&self, nats: &NatsSettings, redis: &RedisSettings) -> Cluster {
        self.connect_as(nats, redis, ReplicaId::random()).await
    }

    pub(crate) async fn connect_as(
        &self,
        nats: &NatsSettings,
        redis: &RedisSettings,
        replica: ReplicaId,
    ) -> Cluster {
        Cluster::connect(nats, redis, Streams::Kept, replica, Arc::new(SystemClock)).await.unwrap()
    }

    async fn two(&self, nats: &NatsSettings, redis: &RedisSettings) -> (Cluster, Cluster) {
        tokio::join!(self.connect(nats, redis), self.connect(nats, redis))
    }
}

/// Connects past the adapters, as an operator does.
pub(crate) async fn jetstream(server: &NatsServer) -> async_nats::jetstream::Context {
    let url = url::Url::parse(&server.url()).unwrap();
    let (user, password) = (url.username().to_owned(), url.password().unwrap().to_owned());
    let options = async_nats::ConnectOptions::with_user_and_password(user, password);
    async_nats::jetstream::new(options.connect(server.address()).await.unwrap())
}

#[async_trait]
impl queue::Stand for Servers {
    async fn open(&self, timing: queue::Timing) -> queue::TwoViews {
        let nats = NatsSettings { ack_wait: timing.redelivery, ..self.nats_settings() };
        let redis = RedisSettings { lease_ttl: timing.lease_ttl, ..self.redis_settings() };
        let (a, b) = self.two(&nats, &redis).await;
        queue::TwoViews { a: a.queue(), b: b.queue() }
    }
}

#[async_trait]
impl bus::Stand for Servers {
    async fn open(&self, timing: bus::Timing) -> bus::TwoViews {
        let nats = NatsSettings { ack_wait: timing.redelivery, ..self.nats_settings() };
        let (a, b) = self.two(&nats, &self.redis_settings()).await;
        bus::TwoViews { a: a.bus(), b: b.bus() }
    }
}

#[async_trait]
impl membership::Stand for Servers {
    async fn open(&self, timing: membership::Timing) -> membership::TwoViews {
        let redis = RedisSettings { member_ttl: timing.registration_ttl, ..self.redis_settings() };
        let (a, b) = self.two(&self.nats_settings(), &redis).await;
        membership::TwoViews { a: a.membership(), b: b.membership() }
    }
}

#[async_trait]
impl budgets::Stand for Servers {
    async fn open(&self) -> budgets::TwoViews {
        let (a, b) = self.two(&self.nats_settings(), &self.redis_settings()).await;
        budgets::TwoViews { a: a.budgets(), b: b.budgets() }
    }
}
