//! Several stores, each with its own folder: a shard goes from one to another while its guild writes.

mod killed;
mod left;
mod places;

use std::{fs, path::Path, sync::Arc, time::Duration};

use ery_embedded::EmbeddedMembership;
use ery_group_commit::FileKey;
use ery_ids::{Home, ReplicaId, ServiceName};
use ery_lifecycle::{Ended, Tasks};
use ery_membership::{Membership, Registration, Replica};
use ery_proto::store::v1::{
    DeletionState, GetDeletionRequest, IngestMessagesRequest, ListMessagesRequest,
    ListShardsRequest, ListShardsResponse, MoveShardRequest, MoveShardResponse,
    RequestDeletionRequest, SettleShardRequest, privacy_service_client::PrivacyServiceClient,
    store_admin_service_client::StoreAdminServiceClient, store_service_client::StoreServiceClient,
};
use ery_rpc::{ClusterCredential, Peers, Transport};
use ery_store::Settings;
use tokio::net::TcpListener;
use tonic::{Code, Status};
use twilight_model::id::Id;

use crate::support::{CHANNEL, GUILD, Store, created, message, rows_under};

/// The shard that is home to the guild.
pub(super) const SHARD: u32 = 7;

fn credential() -> ClusterCredential {
    ClusterCredential::new("several-stores-know-each-other".to_owned().into())
}

/// One of several stores, at work.
struct One {
    store: Store,
    tasks: Tasks,
    registration: Box<dyn Registration>,
}

/// Several stores, and whoever calls them.
struct Several {
    membership: Arc<EmbeddedMembership>,
    stores: Vec<One>,
    peers: Peers,
}

async fn peers(membership: &EmbeddedMembership) -> Peers {
    Peers::remote(ServiceName::Store, membership, &credential(), None).await.unwrap()
}

impl Several {
    async fn start(names: &[&str], key: Option<FileKey>) -> Self {
        let membership = Arc::<EmbeddedMembership>::default();
        let peers = peers(&membership).await;
        let mut several = Self { membership, stores: Vec::new(), peers };
        for name in names {
            let settings = Settings {
                name: (*name).to_owned(),
                founder: Some(names[0].to_owned()),
                ..Settings::default()
            };
            several.add(settings, key.clone()).await;
        }
        several
    }

    async fn add(&mut self, settings: Settings, key: Option<FileKey>) {
        self.add_in(Arc::new(tempfile::tempdir().unwrap()), settings, key).await;
    }

    /// Starts a store on a folder, which may be one that another has left.
    async fn add_in(
        &mut self,
        folder: Arc<tempfile::TempDir>,
        settings: Settings,
        key: Option<FileKey>,
    ) {
        let name = settings.name.clone();
        let others = peers(&self.membership).await;
        let store = Store::open_among(folder, settings, key, Some(others)).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let tasks = Tasks::new();
        tasks.spawn("store", store.service.clone().run(tasks.clone()));
        let (routes, draining) = (store.service.routes(), tasks.draining());
        tasks.spawn("calls", ery_rpc::serve(listener, routes, credential(), None, draining));
        let replica = Replica { id: ReplicaId(name), service: ServiceName::Store, address };
        let registration = self.membership.join(replica).await.unwrap();
        self.stores.push(One { store, tasks, registration });
    }

    fn client(&self) -> StoreServiceClient<Transport> {
        StoreServiceClient::new(self.peers.of(Home::Guild(Id::new(GUILD))))
    }

    async fn move_to(&self, from: &str, to: &str) -> Result<MoveShardResponse, Status> {
        let mut admin = admin(&self.peers, from);
        let request = MoveShardRequest { shard: SHARD, to: to.to_owned() };
        Ok(admin.move_shard(request).await?.into_inner())
    }

    fn file(&self, index: usize) -> std::path::PathBuf {
        file(self.stores[index].store.folder.path())
    }

    /// Stops a store, and returns its folder.
    async fn stop_one(&mut self, index: usize) -> Arc<tempfile::TempDir> {
        self.stores.remove(index).stop().await
    }

    async fn stop(self) {
        for one in self.stores {
            one.stop().await;
        }
    }
}

impl One {
    async fn stop(self) -> Arc<tempfile::TempDir> {
        let Self { store, tasks, registration } = self;
        registration.leave().await.unwrap();
        assert_eq!(tasks.finish(Duration::from_secs(20)).await, Ended::Drained);
        Arc::clone(&store.folder)
    }
}

fn admin(peers: &Peers, name: &str) -> StoreAdminServiceClient<Transport> {
    StoreAdminServiceClient::new(peers.named(ReplicaId(name.to_owned())))
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("store").join(format!("shard-{SHARD:04}.db"))
}

async fn say(client: &mut StoreServiceClient<Transport>, id: u64) -> Result<(), Status> {
    let request = IngestMessagesRequest {
        handler: "ingestion".to_owned(),
        events: vec![created(&format!("mc.{id}"), message(id, "hello"))],
    };
    client.ingest_messages(request).await.map(|_| ())
}

async fn newest(client: &mut StoreServiceClient<Transport>) -> Result<Option<u64>, Status> {
    let request = ListMessagesRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        limit: 1,
        ..ListMessagesRequest::default()
    };
    let listed = client.list_messages(request).await?.into_inner();
    Ok(listed.messages.last().map(|message| message.message_id))
}

/// Asks until it is answered, as callers do: a shard may be on its way at that very moment.
async fn insist<T>(mut ask: impl AsyncFnMut() -> Result<T, Status>) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_goes_round_the_stores_while_its_guild_writes_and_reads() {
    for key in [None, Some(FileKey([0x5a; 32]))] {
        let several = Several::start(&["a", "b", "c"], key.clone()).await;
        say(&mut several.client(), 1).await.unwrap();
        let is_over = tokio_util::sync::CancellationToken::new();
        let writing = async {
            let (mut client, mut last) = (several.client(), 1);
            while !is_over.is_cancelled() {
                last += 1;
                insist(async || say(&mut client, last).await).await;
            }
            last
        };
        let reading = async {
            let (mut client, mut seen) = (several.client(), 0);
            while !is_over.is_cancelled() {
                let newest = insist(async || newest(&mut client).await).await.unwrap();
                assert!(newest >= seen, "what was read once is there: {newest} after {seen}");
                seen = newest;
            }
        };
        let moving = async {
            let mut moved = Vec::new();
            for (from, to) in [("a", "b"), ("b", "c"), ("c", "b"), ("b", "a"), ("a", "c")] {
                moved.push(several.move_to(from, to).await.unwrap());
            }
            is_over.cancel();
            moved
        };
        let (last, (), moved) = tokio::join!(writing, reading, moving);
        assert!(last > 1 && moved.iter().all(|moved| moved.bytes > 0), "{last}: {moved:?}");
        assert_eq!(newest(&mut several.client()).await.unwrap(), Some(last));
        assert_eq!([0, 1, 2].map(|store| several.file(store).exists()), [false, false, true]);
        several.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guilds_keys_go_with_its_shard() {
    use crate::provider_keys::{Client, get, set};

    let several = Several::start(&["a", "b"], Some(FileKey([0x5a; 32]))).await;
    let client = || Client::new(several.peers.of(Home::Guild(Id::new(GUILD))));
    set(client(), GUILD, "openai", "sk-canary-2357111317").await.unwrap();
    several.move_to("a", "b").await.unwrap();
    let expected = [("openai".to_owned(), "sk-canary-2357111317".to_owned())];
    assert_eq!(get(client(), GUILD).await, expected);
    assert!(!several.file(0).exists());
    several.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_stands_in_the_file_of_the_last_owner() {
    let several = Several::start(&["a", "b"], None).await;
    let is_over = tokio_util::sync::CancellationToken::new();
    // Several at once, so that some wait at the gate whenever it is closed.
    let writers = (0..8_u64).map(|writer| {
        let (mut client, is_over) = (several.client(), is_over.clone());
        async move {
            let mut acknowledged = Vec::new();
            for number in 1.. {
                let id = number * 8 + writer;
                insist(async || say(&mut client, id).await).await;
                acknowledged.push(id);
                if is_over.is_cancelled() {
                    break;
                }
            }
            acknowledged
        }
    });
    let moving = async {
        for (from, to) in [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a"), ("a", "b")] {
            several.move_to(from, to).await.unwrap();
        }
        is_over.cancel();
    };
    let (acknowledged, ()) = tokio::join!(futures::future::join_all(writers), moving);
    let rows = rows_under(&several.file(1), None);
    for id in acknowledged.into_iter().flatten() {
        let row = format!("messages: {id} | ");
        assert!(rows.iter().any(|known| known.starts_with(&row)), "{id}");
    }
    several.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_that_was_never_written_to_goes_as_well_and_is_written_to_there() {
    let several = Several::start(&["a", "b"], None).await;
    assert_eq!(several.move_to("a", "b").await.unwrap().bytes, 0);
    say(&mut several.client(), 1).await.unwrap();
    assert_eq!([0, 1].map(|store| several.file(store).exists()), [false, true]);
    for (name, count) in [("a", 63), ("b", 1)] {
        let listed = admin(&several.peers, name).list_shards(ListShardsRequest {}).await.unwrap();
        let listed = listed.into_inner();
        assert_eq!((listed.store.as_str(), listed.owned.len()), (name, count));
    }
    several.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_is_refused_with_a_reason_and_stays_where_it_is() {
    let mut several = Several::start(&["a", "b"], None).await;
    let settings = |name: &str| Settings {
        name: name.to_owned(),
        founder: Some("a".to_owned()),
        ..Settings::default()
    };
    several.add(settings("sealed"), Some(FileKey([1; 32]))).await;
    several.add(Settings { shards: 8, ..settings("few") }, None).await;
    say(&mut several.client(), 1).await.unwrap();
    for (from, to, why) in [
        ("a", "sealed", "different keys"),
        ("a", "few", "64 shards"),
        ("a", "nobody", "is not there"),
        ("b", "a", "is in the store `a`"),
    ] {
        let refused = several.move_to(from, to).await.unwrap_err();
        assert!(refused.message().contains(why), "{refused}");
    }
    several.move_to("a", "a").await.unwrap();
    say(&mut several.client(), 2).await.unwrap();
    assert!(several.file(0).exists());
    // A store that has no shard answers nothing for the guild, and says who does.
    let mut other = StoreServiceClient::new(several.peers.named(ReplicaId("b".to_owned())));
    let refused = newest(&mut other).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(ery_rpc::Elsewhere::is_in(&refused));
    several.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_keeps_what_it_was_given_and_gives_up_nothing_when_it_starts_again() {
    let several = Several::start(&["a", "b"], None).await;
    say(&mut several.client(), 1).await.unwrap();
    several.move_to("a", "b").await.unwrap();
    let folder = Arc::clone(&several.stores[1].store.folder);
    let settings = |name: &str| Settings {
        name: name.to_owned(),
        founder: Some("a".to_owned()),
        ..Settings::default()
    };
    several.stop().await;
    let refused = Store::open_in(Arc::clone(&folder), settings("c")).await.err().unwrap();
    assert!(refused.to_string().contains("`store.name` to `b`"), "{refused}");
    let store = Store::open_in(folder, settings("b")).await.unwrap();
    assert_eq!(newest(&mut store.client.clone()).await.unwrap(), Some(1));
    assert!(fs::exists(file(store.folder.path())).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_finds_the_owner_though_whoever_it_knows_or_is_told_of_has_gone() {
    let mut several = Several::start(&["a", "b", "c"], None).await;
    let mut client = several.client();
    say(&mut client, 1).await.unwrap();
    several.move_to("a", "c").await.unwrap();
    several.move_to("c", "b").await.unwrap();
    // It knows that `b` has it; `c` knows no better than that either.
    say(&mut client, 2).await.unwrap();
    several.move_to("b", "a").await.unwrap();
    let gone = several.stores.remove(1);
    gone.registration.leave().await.unwrap();
    assert_eq!(gone.tasks.finish(Duration::from_secs(20)).await, Ended::Drained);
    say(&mut client, 3).await.unwrap();
    for guild in 0..64 {
        let mut any =
            StoreServiceClient::new(several.peers.of(Home::Guild(Id::new(GUILD | guild))));
        assert_eq!(newest(&mut any).await.unwrap(), Some(3));
    }
    // A shard of one that is away waits for it.
    several.move_to("a", "c").await.unwrap();
    let away = several.stores.remove(1);
    away.registration.leave().await.unwrap();
    let refused = say(&mut client, 4).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("`c` is not there"), "{refused}");
    assert_eq!(away.tasks.finish(Duration::from_secs(20)).await, Ended::Drained);
    several.stop().await;
}

const MARA: u64 = 910_000_000_000_000_001;

/// Has a person forgotten by one store, until that has nothing of them left.
async fn forget(one: &One) {
    let mut client = PrivacyServiceClient::new(ery_rpc::local(one.store.service.routes()));
    let request = RequestDeletionRequest { user_id: MARA, ..RequestDeletionRequest::default() };
    let asked = client.request_deletion(request).await.unwrap().into_inner().deletion.unwrap();
    let confirmed = async {
        let get = GetDeletionRequest { deletion_id: asked.deletion_id };
        loop {
            let stands = client.get_deletion(get.clone()).await.unwrap().into_inner();
            if stands.deletion.unwrap().state() == DeletionState::Confirmed {
                break;
            }
            one.store.clock.advance(Duration::from_secs(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), confirmed).await.expect("it is confirmed");
}

async fn said_by_mara(several: &Several, id: u64) {
    let said = ery_proto::common::v1::Message { author_id: MARA, ..message(id, "canary-3141") };
    let events = vec![created(&format!("mc.{id}"), said)];
    let request = IngestMessagesRequest { handler: "ingestion".to_owned(), events };
    several.client().ingest_messages(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_is_forgotten_comes_to_a_store_with_a_shard_or_after_it() {
    let several = Several::start(&["a", "b"], None).await;
    said_by_mara(&several, 1).await;
    for one in &several.stores {
        one.store.clock.advance(Duration::from_hours(1));
    }
    // Where she was, nobody was asked; where she was not, she is forgotten already.
    forget(&several.stores[1]).await;
    several.move_to("a", "b").await.unwrap();
    let holds = |index: usize| -> bool {
        let rows = rows_under(&several.file(index), None);
        rows.iter().any(|row| row.contains("canary-3141"))
    };
    let gone = async {
        while holds(1) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), gone).await.expect("she is forgotten there");
    // The ledger goes with the shard: what was said before comes to nobody any more.
    several.move_to("b", "a").await.unwrap();
    said_by_mara(&several, 2).await;
    assert!(!holds(0));
    several.stop().await;
}
