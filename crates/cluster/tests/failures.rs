//! What fails, and that nothing is lost, reordered or done under an old epoch by it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod common;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use twilight_model::id::Id;

use common::Servers;
use ery_budgets::{BudgetsError, Priority};
use ery_channel_queue::{
    BoxLease, ChannelQueue, Hint, QueueError, Released, Task, Waiting, Wakeups,
};
use ery_clock::UnixMillis;
use ery_cluster::{Cluster, NatsSettings, RedisSettings, Streams};
use ery_event_bus::{Event, Followed};
use ery_ids::{ChannelKey, Epoch, EventId, Fence, Home, ReplicaId, ServiceName, TriggerId};
use ery_membership::{MembershipError, Replica};
use ery_test_servers::{NatsServer, RedisServer};

const PATIENCE: Duration = Duration::from_secs(30);

fn channel(number: u64) -> ChannelKey {
    ChannelKey::new(Some(Id::new((1_000 + number) << 22)), Id::new((5_000 + number) << 22))
}

fn task(channel: ChannelKey, number: u64) -> Task {
    Task {
        trigger: TriggerId::Message(Id::new(number)),
        channel,
        retry: 0,
        bot: Id::new(77),
        received_at: UnixMillis(5),
        session: None,
        traceparent: None,
        payload: Bytes::from(format!(r#"{{"id":"{number}"}}"#)),
    }
}

fn event(number: u64) -> Event {
    Event {
        id: EventId(format!("s.{number}")),
        kind: "message_create".to_owned(),
        home: Home::Guild(Id::new(1_000 << 22)),
        channel: Some(Id::new(1)),
        bot: Id::new(77),
        received_at: UnixMillis(5),
        traceparent: None,
        payload: Bytes::from_static(b"{}"),
    }
}

fn number_of(event: &Event) -> u64 {
    event.id.0.rsplit_once('.').unwrap().1.parse().unwrap()
}

fn numbers(waiting: &[Waiting]) -> Vec<u64> {
    waiting.iter().map(|waiting| waiting.task.trigger.message().unwrap().get()).collect()
}

async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

/// Takes `channel` by whichever delivery succeeds.
async fn take(
    queue: &Arc<dyn ChannelQueue>,
    wakeups: &mut Wakeups,
    channel: ChannelKey,
) -> BoxLease {
    soon("a lease", async {
        loop {
            let delivery = wakeups.next().await.unwrap();
            if delivery.task.channel != channel {
                continue;
            }
            if let Ok(Some(lease)) = queue.take(delivery).await {
                return lease;
            }
        }
    })
    .await
}

async fn read_all(lease: &mut BoxLease) -> Vec<Waiting> {
    let mut all = Vec::new();
    loop {
        let some = lease.read(10).await.unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

fn short_nats(servers: &Servers) -> NatsSettings {
    NatsSettings { ack_wait: Duration::from_millis(1_500), ..servers.nats_settings() }
}

fn short_redis(servers: &Servers) -> RedisSettings {
    RedisSettings {
        lease_ttl: Duration::from_millis(900),
        member_ttl: Duration::from_millis(900),
        ..servers.redis_settings()
    }
}

async fn short(servers: &Servers) -> Cluster {
    servers.connect(&short_nats(servers), &short_redis(servers)).await
}

/// The store, as far as it judges: the highest epoch of each channel, and what is finished.
#[derive(Default)]
struct Store(Mutex<HashMap<ChannelKey, Journal>>);

#[derive(Default)]
struct Journal {
    highest: Option<(Epoch, String)>,
    finished: Vec<u64>,
    known: HashSet<u64>,
    refused: u32,
}

impl Store {
    /// Whether a write under this fence is accepted.
    fn accepts(journal: &mut Journal, fence: &Fence) -> bool {
        let this = (fence.epoch, fence.owner.0.clone());
        let is_accepted = match &journal.highest {
            Some((epoch, owner)) => {
                fence.epoch > *epoch || (fence.epoch == *epoch && *owner == fence.owner.0)
            }
            None => true,
        };
        if is_accepted {
            journal.highest = Some(this);
        } else {
            journal.refused += 1;
        }
        is_accepted
    }

    fn open(&self, fence: &Fence) -> bool {
        Self::accepts(self.0.lock().unwrap().entry(fence.channel).or_default(), fence)
    }

    fn finish(&self, fence: &Fence, read: &[Waiting]) -> bool {
        let mut journals = self.0.lock().unwrap();
        let journal = journals.entry(fence.channel).or_default();
        if !Self::accepts(journal, fence) {
            return false;
        }
        for number in numbers(read) {
            if journal.known.insert(number) {
                journal.finished.push(number);
            }
        }
        true
    }

    fn finished(&self, channel: ChannelKey) -> Vec<u64> {
        let journals = self.0.lock().unwrap();
        journals.get(&channel).map(|journal| journal.finished.clone()).unwrap_or_default()
    }

    fn count(&self) -> usize {
        self.0.lock().unwrap().values().map(|journal| journal.finished.len()).sum()
    }

    fn refused(&self) -> u32 {
        self.0.lock().unwrap().values().map(|journal| journal.refused).sum()
    }
}

/// Works as an orchestrator does, and dies in the middle of one holding in `deaths`.
async fn work(
    queue: Arc<dyn ChannelQueue>,
    store: Arc<Store>,
    stop: CancellationToken,
    mut random: StdRng,
    deaths: f64,
) -> u32 {
    let mut died = 0;
    let mut wakeups = queue.wakeups(16).await.unwrap();
    loop {
        let delivery = tokio::select! {
            () = stop.cancelled() => return died,
            delivery = wakeups.next() => delivery.unwrap(),
        };
        // An error leaves the message where it is.
        let Ok(Some(mut lease)) = queue.take(delivery).await else { continue };
        let fence = lease.fence();
        if !store.open(&fence) {
            continue;
        }
        'held: loop {
            loop {
                let Ok(read) = lease.read(random.random_range(1..=4)).await else { break 'held };
                if read.is_empty() {
                    break;
                }
                if random.random_bool(deaths) {
                    // After reading, or after the outcome is durable and before it is removed.
                    if random.random_bool(0.5) {
                        store.finish(&fence, &read);
                    }
                    died += 1;
                    break 'held;
                }
                if !store.finish(&fence, &read) {
                    break 'held;
                }
                lease.remove(&read);
            }
            match lease.release().await {
                Ok(Released::More(kept)) => lease = kept,
                Ok(Released::Free) | Err(_) => break,
            }
        }
    }
}

struct Workers {
    tasks: JoinSet<u32>,
    stop: CancellationToken,
}

impl Workers {
    fn start(clusters: &[&Cluster], each: u64, store: &Arc<Store>, seed: u64, deaths: f64) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for index in 0..each {
            for (view, cluster) in clusters.iter().enumerate() {
                let random = StdRng::seed_from_u64(seed ^ (index << 8) ^ view as u64);
                let worker = work(cluster.queue(), Arc::clone(store), stop.clone(), random, deaths);
                tasks.spawn(worker);
            }
        }
        Self { tasks, stop }
    }

    async fn stop(self) -> u32 {
        self.stop.cancel();
        soon("the workers end", self.tasks.join_all()).await.into_iter().sum()
    }
}

async fn until_finished(store: &Store, count: usize) {
    let begun = Instant::now();
    while store.count() < count {
        assert!(begun.elapsed() < PATIENCE, "{} of {count} finished", store.count());
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_whose_holders_die_at_random_read_everything_in_order() {
    const CHANNELS: u64 = 50;
    const EACH: u64 = 40;

    let seed: u64 = rand::random();
    let servers = Servers::start().await;
    let (a, b) = (short(&servers).await, short(&servers).await);
    let store = Arc::new(Store::default());
    let workers = Workers::start(&[&a, &b], 4, &store, seed, 0.06);
    let mut publishers = JoinSet::new();
    for number in 0..CHANNELS {
        let queue = if number % 2 == 0 { a.queue() } else { b.queue() };
        publishers.spawn(async move {
            for message in 1..=EACH {
                queue.publish(task(channel(number), message)).await.unwrap();
            }
        });
    }
    publishers.join_all().await;
    until_finished(&store, usize::try_from(CHANNELS * EACH).unwrap()).await;
    let died = workers.stop().await;
    for number in 0..CHANNELS {
        let finished = store.finished(channel(number));
        assert_eq!(finished, (1..=EACH).collect::<Vec<_>>(), "channel {number}, seed {seed}");
    }
    assert!(died > 10, "only {died} holders died, seed {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn emptying_redis_again_and_again_loses_and_reorders_nothing() {
    const CHANNELS: u64 = 8;
    const EACH: u64 = 60;

    let seed: u64 = rand::random();
    let servers = Servers::start().await;
    let (a, b) = (short(&servers).await, short(&servers).await);
    let store = Arc::new(Store::default());
    let workers = Workers::start(&[&a, &b], 3, &store, seed, 0.01);
    let queue = a.queue();
    for message in 1..=EACH {
        for number in 0..CHANNELS {
            queue.publish(task(channel(number), message)).await.unwrap();
        }
        if message % 10 == 0 {
            servers.redis.flush_all().await.unwrap();
        }
    }
    until_finished(&store, usize::try_from(CHANNELS * EACH).unwrap()).await;
    workers.stop().await;
    for number in 0..CHANNELS {
        assert_eq!(store.finished(channel(number)), (1..=EACH).collect::<Vec<_>>(), "seed {seed}");
    }
    println!("{} writes under an old epoch were refused", store.refused());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_whose_redis_was_emptied_is_followed_by_one_with_a_higher_epoch() {
    let servers = Servers::start().await;
    let (a, b) = (short(&servers).await, short(&servers).await);
    a.queue().publish(task(channel(1), 1)).await.unwrap();
    let mut wakeups = a.queue().wakeups(4).await.unwrap();
    let former = take(&a.queue(), &mut wakeups, channel(1)).await;
    drop(wakeups);
    servers.redis.flush_all().await.unwrap();
    a.queue().publish(task(channel(1), 2)).await.unwrap();
    let mut wakeups = b.queue().wakeups(4).await.unwrap();
    let mut next = take(&b.queue(), &mut wakeups, channel(1)).await;
    assert!(next.fence().epoch > former.fence().epoch, "epochs rise though they were forgotten");
    soon("the former holder learns of it", former.lost().cancelled()).await;
    let read = read_all(&mut next).await;
    assert_eq!(numbers(&read), [1, 2]);
    next.remove(&read);
    assert!(matches!(next.release().await, Ok(Released::Free)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_of_which_redis_lost_when_it_expires_does_not_stay() {
    let servers = Servers::start().await;
    let cluster = short(&servers).await;
    let replica = |id: &str| Replica {
        id: ReplicaId(id.to_owned()),
        service: ServiceName::Orchestrator,
        address: String::new(),
    };
    let registration = cluster.membership().join(replica("alive")).await.unwrap();
    let ghost = serde_json::to_string(&replica("ghost")).unwrap();
    let mut half = redis::cmd("HSET");
    half.arg("ery:members:{orchestrator}:replicas").arg("ghost").arg(ghost);
    servers.redis.command(half).await.unwrap();
    let list = cluster.membership().watch(ServiceName::Orchestrator).await.unwrap();
    let known: Vec<_> = list.borrow().iter().map(|replica| replica.id.0.clone()).collect();
    assert_eq!(known, ["alive"]);
    registration.leave().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_goes_away_while_a_process_starts_is_waited_for_as_long_as_at_first() {
    let mut servers = Servers::start().await;
    let patient = RedisSettings {
        connect_timeout: 2 * PATIENCE,
        timeout: Duration::from_millis(200),
        ..short_redis(&servers)
    };
    let hasty = RedisSettings { connect_timeout: Duration::from_secs(1), ..patient.clone() };
    let nats = short_nats(&servers);
    let patient = servers.connect(&nats, &patient).await.membership();
    let hasty = servers.connect(&nats, &hasty).await.membership();
    servers.redis.stop().await.unwrap();
    let replica = |id: &str| Replica {
        id: ReplicaId(id.to_owned()),
        service: ServiceName::ToolService,
        address: format!("{id}:1"),
    };
    let given_up = hasty.join(replica("hasty"));
    assert!(soon("the hasty one gives up", given_up).await.is_err());

    let begin = async {
        let list = patient.watch(ServiceName::ToolService).await?;
        let registration = patient.join(replica("patient")).await?;
        Ok::<_, MembershipError>((list, registration))
    };
    tokio::pin!(begin);
    let while_away = timeout(Duration::from_secs(1), &mut begin).await;
    assert!(while_away.is_err(), "nobody answers yet");
    servers.redis.restart().await.unwrap();
    let (mut list, _registration) = soon("Redis is back", begin).await.unwrap();
    let listed = |list: &Arc<[Replica]>| list.iter().any(|known| known.id.0 == "patient");
    soon("it is listed", list.wait_for(listed)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_away_nothing_hangs_and_afterwards_everything_goes_on() {
    let mut servers = Servers::start().await;
    let settings = RedisSettings { timeout: Duration::from_millis(800), ..short_redis(&servers) };
    let cluster = servers.connect(&short_nats(&servers), &settings).await;
    let queue = cluster.queue();
    let replica = Replica {
        id: ReplicaId("a".to_owned()),
        service: ServiceName::ToolService,
        address: "a:1".to_owned(),
    };
    let _registration = cluster.membership().join(replica.clone()).await.unwrap();
    let list = cluster.membership().watch(ServiceName::ToolService).await.unwrap();
    for message in 1..=2 {
        queue.publish(task(channel(message), message)).await.unwrap();
    }
    let mut wakeups = queue.wakeups(4).await.unwrap();
    let lease = take(&queue, &mut wakeups, channel(1)).await;
    assert_eq!(queue.hint(channel(9)).await, Hint::Quiet);

    servers.redis.kill().await.unwrap();
    let begun = Instant::now();
    soon("the lease is known to be lost", lease.lost().cancelled()).await;
    let delivery = soon("another delivery", async {
        loop {
            let delivery = wakeups.next().await.unwrap();
            if delivery.task.channel == channel(2) {
                return delivery;
            }
        }
    })
    .await;
    assert!(matches!(queue.take(delivery).await, Err(QueueError::Unavailable(_))));
    assert_eq!(queue.hint(channel(9)).await, Hint::Unknown);
    let asked_at = Instant::now();
    let budget = cluster.budgets().request(Priority::Foreground, 45).await;
    assert!(matches!(budget, Err(BudgetsError::Unavailable(_))));
    assert!(asked_at.elapsed() < Duration::from_secs(1));
    let claim = cluster.membership().claim("x", &replica.id, Duration::from_secs(5)).await;
    assert!(claim.is_err());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(**list.borrow(), *std::slice::from_ref(&replica), "the last list stands");

    servers.redis.restart().await.unwrap();
    let mut lease = take(&queue, &mut wakeups, channel(1)).await;
    assert_eq!(numbers(&read_all(&mut lease).await), [1]);
    let known_for =
        async || servers.redis.command(redis::Cmd::hget("ery:known_since", "since")).await;
    let before = known_for().await.unwrap();
    assert_ne!(queue.hint(channel(9)).await, Hint::Active);
    assert!(known_for().await.unwrap() != before, "a restarted Redis is known anew");
    soon("budgets answer again", async {
        while cluster.budgets().request(Priority::Foreground, 45).await.is_err() {}
    })
    .await;
    let mut list = list;
    let registered = list.wait_for(|replicas| **replicas == [replica.clone()]);
    soon("the replica is registered", registered).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_redis_is_waited_for_no_longer_than_its_time() {
    let servers = Servers::start().await;
    let settings = RedisSettings { timeout: Duration::from_millis(800), ..short_redis(&servers) };
    let cluster = servers.connect(&short_nats(&servers), &settings).await;
    let queue = cluster.queue();
    queue.publish(task(channel(1), 1)).await.unwrap();
    let mut wakeups = queue.wakeups(4).await.unwrap();
    let delivery = wakeups.next().await.unwrap();
    servers.redis.signal("STOP").await.unwrap();
    let begun = Instant::now();
    assert_eq!(queue.hint(channel(1)).await, Hint::Unknown);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert!(matches!(queue.take(delivery).await, Err(QueueError::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    servers.redis.signal("CONT").await.unwrap();
    let mut lease = take(&queue, &mut wakeups, channel(1)).await;
    assert_eq!(numbers(&read_all(&mut lease).await), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nats_server_that_is_killed_and_started_again_loses_and_reorders_nothing() {
    const CHANNELS: u64 = 6;
    const EACH: u64 = 150;

    let seed: u64 = rand::random();
    let mut servers = Servers::start().await;
    let (a, b) = (short(&servers).await, short(&servers).await);
    let store = Arc::new(Store::default());
    let workers = Workers::start(&[&a, &b], 2, &store, seed, 0.0);
    let mut handled =
        b.bus().consume("ingest", &["message_create"], event(0).home.part()).await.unwrap();
    let mut followed = a.bus().follow(&["message_create"]).await.unwrap();
    let (queue, bus) = (a.queue(), a.bus());
    let mut publisher = JoinSet::new();
    publisher.spawn(async move {
        for message in 1..=EACH {
            for number in 0..CHANNELS {
                queue.publish(task(channel(number), message)).await.unwrap();
            }
            bus.publish(event(message)).await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    });
    for _ in 0..2 {
        let before = store.count();
        while store.count() < before + 50 {
            sleep(Duration::from_millis(5)).await;
        }
        servers.nats.kill().await.unwrap();
        servers.nats.restart().await.unwrap();
    }
    soon("everything is published", publisher.join_all()).await;
    until_finished(&store, usize::try_from(CHANNELS * EACH).unwrap()).await;
    workers.stop().await;
    for number in 0..CHANNELS {
        assert_eq!(store.finished(channel(number)), (1..=EACH).collect::<Vec<_>>(), "seed {seed}");
    }
    let ids = |got: &[Event]| got.iter().map(|event| event.id.clone()).collect::<Vec<_>>();
    let expected: Vec<_> = (1..=EACH).map(|number| event(number).id).collect();
    let mut got = Vec::new();
    while got.len() < expected.len() {
        let delivery = soon("an event", handled.next()).await.unwrap();
        got.push(delivery.event.clone());
        // Refused only while the server is away: then it is acknowledged with the next.
        drop(delivery.ack().await);
    }
    assert_eq!(ids(&got), expected, "the handler's order");
    let mut got = Vec::new();
    while got.len() < expected.len() {
        match soon("a followed event", followed.next()).await.unwrap() {
            Followed::Event(event) => got.push(event),
            Followed::Gap => panic!("a gap though nothing is gone"),
        }
    }
    assert_eq!(ids(&got), expected, "the follower's order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_servers_whose_leader_is_killed_lose_and_reorder_nothing() {
    const CHANNELS: u64 = 10;
    const EACH: u64 = 80;

    let seed: u64 = rand::random();
    let (nats, redis) = tokio::join!(NatsServer::start_cluster(3), RedisServer::start());
    let (mut servers, redis_server) = (nats.unwrap(), redis.unwrap());
    let urls: Vec<_> = servers.iter().map(NatsServer::url).collect();
    let nats = NatsSettings {
        url: urls.join(",").into(),
        replicas: 3,
        connect_timeout: PATIENCE,
        ack_wait: Duration::from_millis(1_500),
        ..Default::default()
    };
    let redis = RedisSettings {
        url: redis_server.url().into(),
        lease_ttl: Duration::from_millis(900),
        ..Default::default()
    };
    let connect = async || {
        let clock = Arc::new(ery_clock::SystemClock);
        Cluster::connect(&nats, &redis, Streams::Kept, ReplicaId::random(), clock).await.unwrap()
    };
    let (a, b) = (connect().await, connect().await);
    let store = Arc::new(Store::default());
    let workers = Workers::start(&[&a, &b], 3, &store, seed, 0.01);
    let part = event(0).home.part();
    let mut handled = b.bus().consume("ingest", &["message_create"], part).await.unwrap();
    let mut publishers = JoinSet::new();
    for number in 0..CHANNELS {
        let queue = if number % 2 == 0 { a.queue() } else { b.queue() };
        publishers.spawn(async move {
            for message in 1..=EACH {
                queue.publish(task(channel(number), message)).await.unwrap();
                sleep(Duration::from_millis(10)).await;
            }
        });
    }
    let bus = a.bus();
    publishers.spawn(async move {
        for number in 1..=EACH {
            bus.publish(event(number)).await.unwrap();
            sleep(Duration::from_millis(10)).await;
        }
    });
    until_finished(&store, 100).await;
    let leader = leader_of("ERY_TASKS", &servers[0]).await;
    let is_leader = |server: &NatsServer| leader == format!("test-{}", server.port());
    let leader = servers.iter().position(is_leader).unwrap();
    servers[leader].kill().await.unwrap();
    soon("everything is published", publishers.join_all()).await;
    servers[leader].restart().await.unwrap();
    until_finished(&store, usize::try_from(CHANNELS * EACH).unwrap()).await;
    workers.stop().await;
    for number in 0..CHANNELS {
        assert_eq!(store.finished(channel(number)), (1..=EACH).collect::<Vec<_>>(), "seed {seed}");
    }
    for number in 1..=EACH {
        let delivery = soon("an event", handled.next()).await.unwrap();
        assert_eq!(number_of(&delivery.event), number, "the handler's order");
        drop(delivery.ack().await);
    }
}

/// Names the server that leads a stream.
async fn leader_of(stream: &str, server: &NatsServer) -> String {
    let stream = common::jetstream(server).await.get_stream(stream).await.unwrap();
    stream.cached_info().cluster.as_ref().unwrap().leader.clone().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_of_a_replica_that_vanished_are_woken_by_a_survivor() {
    let servers = Servers::start().await;
    // Redelivery never helps here.
    let nats = NatsSettings { ack_wait: Duration::from_mins(10), ..servers.nats_settings() };
    let redis = short_redis(&servers);
    let mut clusters = Vec::new();
    for name in ["first", "second"] {
        let id = ReplicaId(name.to_owned());
        let cluster = servers.connect_as(&nats, &redis, id.clone()).await;
        let replica =
            Replica { id, service: ServiceName::Orchestrator, address: format!("{name}:1") };
        let registration = cluster.membership().join(replica).await.unwrap();
        clusters.push((cluster, registration));
    }
    let (second, _second_registration) = clusters.pop().unwrap();
    let (first, first_registration) = clusters.pop().unwrap();
    for number in 1..=3 {
        first.queue().publish(task(channel(number), number)).await.unwrap();
    }
    let mut wakeups = first.queue().wakeups(8).await.unwrap();
    let mut leases = Vec::new();
    for _ in 1..=3 {
        let delivery = wakeups.next().await.unwrap();
        leases.push(first.queue().take(delivery).await.unwrap().unwrap());
    }
    let mut held = redis::cmd("SCARD");
    held.arg("ery:held:first");
    soon("the first has told what it holds", async {
        while servers.redis.command(held.clone()).await.unwrap() != redis::Value::Int(3) {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // As a crash: nothing is given back, nothing renewed.
    let telling = servers.redis.command(redis::Cmd::smembers("ery:held:first")).await.unwrap();
    drop((leases, wakeups, first_registration, first));
    let mut again = redis::cmd("SADD");
    if let redis::Value::Array(names) = telling {
        again.arg("ery:held:first").arg(
            names
                .into_iter()
                .filter_map(|name| redis::from_redis_value::<String>(name).ok())
                .collect::<Vec<_>>(),
        );
    }
    servers.redis.command(again).await.unwrap();

    let queue = second.queue();
    let mut wakeups = queue.wakeups(8).await.unwrap();
    let begun = Instant::now();
    let mut taken = HashSet::new();
    while taken.len() < 3 {
        let delivery = soon("a vanished replica's channel", wakeups.next()).await.unwrap();
        let channel = delivery.task.channel;
        let Some(mut lease) = queue.take(delivery).await.unwrap() else { continue };
        let read = read_all(&mut lease).await;
        assert_eq!(read.len(), 1);
        lease.remove(&read);
        assert!(matches!(lease.release().await, Ok(Released::Free)));
        taken.insert(channel);
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_moves_after_a_crash_goes_on_at_once_and_in_order() {
    let servers = Servers::start().await;
    let nats = NatsSettings { ack_wait: Duration::from_mins(10), ..servers.nats_settings() };
    let redis = servers.redis_settings();
    let (a, b) = (servers.connect(&nats, &redis).await, servers.connect(&nats, &redis).await);
    let part = event(0).home.part();
    for number in 1..=30 {
        a.bus().publish(event(number)).await.unwrap();
    }
    let mut former = a.bus().consume("rules", &["message_create"], part).await.unwrap();
    let mut unanswered = Vec::new();
    for number in 1..=20 {
        let delivery = soon("an event", former.next()).await.unwrap();
        assert_eq!(delivery.event.id, event(number).id);
        if number <= 5 {
            delivery.ack().await.unwrap();
        } else {
            unanswered.push(delivery);
        }
    }
    // The former reader is still there: it was only thought dead.
    let mut next = b.bus().consume("rules", &["message_create"], part).await.unwrap();
    for number in 6..=30 {
        let delivery = soon("an event", next.next()).await.unwrap();
        assert_eq!(delivery.event.id, event(number).id);
        assert!(delivery.is_redelivery || number > 20);
        delivery.ack().await.unwrap();
    }
    // It goes on reading, and leaves the consumer to whoever opened it last.
    // What it had pulled before may still come.
    let mut idle = Box::pin(async {
        loop {
            let delivery = former.next().await.unwrap();
            if number_of(&delivery.event) > 30 {
                return delivery;
            }
        }
    });
    for number in 31..=40 {
        a.bus().publish(event(number)).await.unwrap();
        let delivery = tokio::select! {
            _ = &mut idle => panic!("two readers at once"),
            delivery = soon("an event", next.next()) => delivery.unwrap(),
        };
        assert_eq!(delivery.event.id, event(number).id);
        delivery.ack().await.unwrap();
    }
    drop(next);
    a.bus().publish(event(41)).await.unwrap();
    let delivery = soon("the former reader goes on", idle).await;
    assert_eq!(delivery.event.id, event(41).id);
    delivery.ack().await.unwrap();
    drop(unanswered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_a_server_lost_are_made_again() {
    let servers = Servers::start().await;
    let cluster = short(&servers).await;
    let queue = cluster.queue();
    let mut wakeups = queue.wakeups(4).await.unwrap();
    let context = common::jetstream(&servers.nats).await;
    context.delete_stream("ERY_TASKS").await.unwrap();
    // Made again at most once in a second, by whoever misses it.
    soon("a publish is taken", async {
        while queue.publish(task(channel(1), 1)).await.is_err() {}
    })
    .await;
    let mut lease = take(&queue, &mut wakeups, channel(1)).await;
    assert_eq!(numbers(&read_all(&mut lease).await), [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_in_a_stream_that_was_lost_removes_nothing_of_the_next() {
    let servers = Servers::start().await;
    let cluster = short(&servers).await;
    let queue = cluster.queue();
    let mut wakeups = queue.wakeups(4).await.unwrap();
    queue.publish(task(channel(1), 1)).await.unwrap();
    let mut lease = take(&queue, &mut wakeups, channel(1)).await;
    let done = read_all(&mut lease).await;
    assert_eq!(numbers(&done), [1]);

    let context = common::jetstream(&servers.nats).await;
    context.delete_stream("ERY_TASKS").await.unwrap();
    // Another channel's, so that this lease does not read it.
    soon("a publish is taken", async {
        while queue.publish(task(channel(2), 2)).await.is_err() {}
    })
    .await;
    lease.remove(&done);
    lease.release().await.unwrap();

    let mut next = take(&queue, &mut wakeups, channel(2)).await;
    assert_eq!(numbers(&read_all(&mut next).await), [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_read_over_a_former_connection_is_left_to_redelivery() {
    let mut servers = Servers::start().await;
    let cluster = short(&servers).await;
    let queue = cluster.queue();
    let mut wakeups = queue.wakeups(4).await.unwrap();
    queue.publish(task(channel(1), 1)).await.unwrap();
    let mut lease = take(&queue, &mut wakeups, channel(1)).await;
    let done = read_all(&mut lease).await;

    servers.nats.restart().await.unwrap();
    // A new connection is known once something is taken over it.
    soon("a publish is taken", async {
        while queue.publish(task(channel(2), 2)).await.is_err() {}
    })
    .await;
    lease.remove(&done);
    lease.release().await.unwrap();

    let mut again = take(&queue, &mut wakeups, channel(1)).await;
    let done = read_all(&mut again).await;
    assert_eq!(numbers(&done), [1], "nobody can know that it still stood there");
    again.remove(&done);
    again.release().await.unwrap();
    let leaves = async {
        let context = common::jetstream(&servers.nats).await;
        loop {
            let mut stream = context.get_stream("ERY_TASKS").await.unwrap();
            if stream.info().await.unwrap().state.messages == 1 {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    soon("it leaves the queue", Box::pin(leaves)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_replicas_may_start_at_once_and_bring_streams_to_their_settings() {
    let servers = Servers::start().await;
    let all = (0..8).map(|_| async {
        servers.connect(&servers.nats_settings(), &servers.redis_settings()).await
    });
    futures::future::join_all(all).await;
    let changed = NatsSettings {
        tasks_max_bytes: 32 << 20,
        ack_wait: Duration::from_secs(20),
        ..servers.nats_settings()
    };
    servers.connect(&changed, &servers.redis_settings()).await;
    let context = common::jetstream(&servers.nats).await;
    let stream = context.get_stream("ERY_TASKS").await.unwrap();
    assert_eq!(stream.cached_info().config.max_bytes, 32 << 20);
    let consumer = stream.consumer_info("orchestrator").await.unwrap();
    assert_eq!(consumer.config.ack_wait, Duration::from_secs(20));
    assert_eq!(consumer.config.max_ack_pending, 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_says_so() {
    let servers = Servers::start().await;
    let nats = NatsSettings { tasks_max_bytes: 1 << 20, ..servers.nats_settings() };
    let queue = servers.connect(&nats, &servers.redis_settings()).await.queue();
    let mut random = StdRng::seed_from_u64(1);
    let mut refused = None;
    for number in 1..=100 {
        let mut task = task(channel(1), number);
        let payload: Vec<u8> = (0..50_000).map(|_| random.random()).collect();
        task.payload = payload.into();
        if let Err(error) = queue.publish(task).await {
            refused = Some(error);
            break;
        }
    }
    assert!(matches!(refused, Some(QueueError::Full)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_large_for_nats_says_so() {
    let servers = Servers::start().await;
    let cluster = short(&servers).await;
    let mut random = StdRng::seed_from_u64(1);
    let mut large = event(1);
    let mut payload = vec![0; 9 << 20];
    random.fill(payload.as_mut_slice());
    large.payload = payload.into();
    let error = cluster.bus().publish(large).await.unwrap_err();
    assert!(error.to_string().starts_with("event s.1 of 9437"), "{error}");
    cluster.bus().publish(event(2)).await.unwrap();
}

fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = format!("{error:?}");
    let mut cause = Some(error);
    while let Some(error) = cause {
        text = format!("{text} / {error}");
        cause = error.source();
    }
    text
}

async fn refused(nats: NatsSettings, redis: RedisSettings) -> String {
    let begun = Instant::now();
    let connected = Cluster::connect(
        &nats,
        &redis,
        Streams::Kept,
        ReplicaId::random(),
        Arc::new(ery_clock::SystemClock),
    );
    let Err(error) = connected.await else { panic!("it connected") };
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let text = whole(&error);
    assert!(!text.contains("hidden") && !text.contains("tests-only"), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_servers_says_what_is_missing_and_no_secret() {
    let servers = Servers::start().await;
    let connect_timeout = Duration::from_millis(1_500);
    let nats = || NatsSettings { connect_timeout, ..servers.nats_settings() };
    let redis = || RedisSettings { connect_timeout, ..servers.redis_settings() };

    let text =
        refused(NatsSettings { url: "nats://ery:hidden@127.0.0.1:1".into(), ..nats() }, redis())
            .await;
    assert!(text.contains("NATS at 127.0.0.1:1 cannot be reached"), "{text}");
    assert!(text.contains("ERY_NATS__URL"), "{text}");

    let text =
        refused(nats(), RedisSettings { url: "redis://:hidden@127.0.0.1:1/0".into(), ..redis() })
            .await;
    assert!(text.contains("Redis at 127.0.0.1:1 cannot be reached"), "{text}");
    assert!(text.contains("ERY_REDIS__URL"), "{text}");

    let address = servers.nats.address();
    let url = format!("nats://ery:hidden@{address}");
    let text = refused(NatsSettings { url: url.into(), ..nats() }, redis()).await;
    assert!(text.contains(&format!("NATS at {address} refuses the credentials")), "{text}");
    let url = format!("nats://{address}");
    let text = refused(NatsSettings { url: url.into(), ..nats() }, redis()).await;
    assert!(text.contains("refuses the credentials"), "{text}");

    let address = servers.redis.address();
    for url in [format!("redis://:hidden@{address}/0"), format!("redis://{address}/0")] {
        let text = refused(nats(), RedisSettings { url: url.into(), ..redis() }).await;
        assert!(text.contains(&format!("Redis at {address} refuses the credentials")), "{text}");
    }

    let url = url::Url::parse(&servers.nats.url()).unwrap();
    let separate = NatsSettings {
        url: format!("nats://{}", servers.nats.address()).into(),
        user: Some(url.username().to_owned()),
        password: Some(url.password().unwrap().into()),
        ..nats()
    };
    servers.connect(&separate, &redis()).await;
}
