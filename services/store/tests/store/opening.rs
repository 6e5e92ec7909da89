use std::{path::Path, sync::Arc, time::Duration};

use ery_clock::SystemClock;
use ery_group_commit::{FileKey, Rekey};
use ery_lifecycle::{Ended, Tasks};
use ery_proto::{
    common::v1::Message,
    store::v1::{ListMessagesRequest, ListThreadsRequest},
};
use ery_store::{FileError, OpenError, Ports, RekeyStoreError, Service, Settings};
use tonic::Code;

use crate::queue::{FakeBus, FakeQueue};
use crate::support::{
    CHANNEL, GUILD, Store, client, created, event, fence, message, shard_file, step,
};

async fn open(folder: &Path, key: Option<FileKey>, shards: u32) -> Result<Service, OpenError> {
    let ports = Ports {
        data_dir: folder.to_owned(),
        key,
        clock: Arc::new(SystemClock),
        queue: Arc::<FakeQueue>::default(),
        bus: Arc::<FakeBus>::default(),
        stores: None,
    };
    Service::open(Settings { shards, ..Settings::default() }, ports).await
}

#[tokio::test]
async fn a_second_process_on_one_folder_is_refused() {
    let store = Store::new().await;
    let refused = open(store.folder.path(), None, 64).await.unwrap_err();
    assert!(matches!(refused, OpenError::Held { .. }), "{refused}");
    assert!(refused.to_string().contains(&*store.folder.path().to_string_lossy()));
    let folder = Arc::clone(&store.folder);
    drop(store);
    open(folder.path(), None, 64).await.unwrap();
}

#[tokio::test]
async fn another_number_of_shards_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path(), None, 16).await.unwrap());
    let refused = open(folder.path(), None, 32).await.unwrap_err();
    assert!(
        matches!(refused, OpenError::ShardCount { created: 16, configured: 32, .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("set `store.shards` to 16"), "{refused}");
    open(folder.path(), None, 16).await.unwrap();
}

#[tokio::test]
async fn a_setting_out_of_bounds_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = open(folder.path(), None, 0).await.unwrap_err();
    assert!(refused.to_string().contains("store.shards"), "{refused}");
}

#[tokio::test]
async fn an_encrypted_store_opens_under_its_key_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = || Some(FileKey([7; 32]));
    let service = open(folder.path(), key(), 64).await.unwrap();
    let mut store = client(&service);
    let request = ery_proto::store::v1::IngestMessagesRequest {
        handler: "ingestion".to_owned(),
        events: vec![created("mc.1", message(1, "canary-3141"))],
    };
    store.ingest_messages(request).await.unwrap();
    let list = ListMessagesRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        ..ListMessagesRequest::default()
    };
    let listed = store.list_messages(list).await.unwrap().into_inner();
    assert_eq!(listed.messages, [message(1, "canary-3141")]);
    drop((store, service));

    for file in std::fs::read_dir(folder.path().join("store")).unwrap() {
        let path = file.unwrap().path();
        if path.is_dir() {
            assert_eq!(std::fs::read_dir(path).unwrap().count(), 0, "nothing is being made");
            continue;
        }
        // Logs go with the last connection.
        let Ok(bytes) = std::fs::read(path) else { continue };
        assert!(!bytes.windows(11).any(|window| window == b"canary-3141"));
    }
    for wrong in [None, Some(FileKey([8; 32]))] {
        let refused = open(folder.path(), wrong, 64).await.unwrap_err();
        assert!(matches!(refused, OpenError::File(FileError::Key(_))), "{refused}");
    }
    let service = open(folder.path(), key(), 64).await.unwrap();
    let listed = client(&service).list_messages(list).await.unwrap().into_inner();
    assert_eq!(listed.messages.len(), 1);
}

#[tokio::test]
async fn a_store_gets_another_key_and_says_so_where_that_was_broken_off() {
    let key = |byte| Some(FileKey([byte; 32]));
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.1", message(1, "canary-3141"))]).await;
    let folder = Arc::clone(&store.folder);
    let rekey = |from, to| ery_store::rekey(folder.path(), &Rekey { from: vec![from], to });
    let refused = rekey(None, key(1)).unwrap_err();
    assert!(matches!(refused, RekeyStoreError::Open(OpenError::Held { .. })), "{refused}");
    drop(store);

    // One file cannot be read: what was changed stays so, and the store stays closed.
    let damaged = folder.path().join("store/shard-0060.db");
    std::fs::write(&damaged, [7; 8192]).unwrap();
    rekey(None, key(1)).unwrap_err();
    for key in [None, key(1)] {
        let refused = open(folder.path(), key, 64).await.unwrap_err();
        assert!(matches!(refused, OpenError::Rekeying { .. }), "{refused}");
        assert!(refused.to_string().contains("ery ctl store rekey"), "{refused}");
    }
    std::fs::remove_file(damaged).unwrap();
    assert_eq!(rekey(None, key(1)).unwrap(), 0, "what was done is not done again");
    assert_eq!(rekey(key(1), key(2)).unwrap(), 2);

    let refused = open(folder.path(), None, 64).await.unwrap_err();
    let is_missing = matches!(
        refused,
        OpenError::File(FileError::Key(ery_group_commit::OpenError::KeyMissing { .. }))
    );
    assert!(is_missing, "{refused}");
    let service = open(folder.path(), key(2), 64).await.unwrap();
    let list = ListMessagesRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        ..ListMessagesRequest::default()
    };
    let listed = client(&service).list_messages(list).await.unwrap().into_inner();
    assert_eq!(listed.messages, [message(1, "canary-3141")]);
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.1", message(1, "a"))]).await;
    let folder = Arc::clone(&store.folder);
    drop(store.reopen().await);
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, \
                 execution_time) VALUES (99, 'later', TRUE, x'00', 0)";
    let shard = shard_file(folder.path());
    ery_group_commit::open(&shard, None).unwrap().execute(newer, []).unwrap();

    let mut store = Store::open_in(Arc::clone(&folder), Settings::default()).await.unwrap();
    let request = ery_proto::store::v1::OpenChannelRequest {
        fence: Some(fence(5, "holder")),
        ..Default::default()
    };
    let refused = store.client.open_channel(request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("shard-0007"), "{refused}");
    // Other shards go on.
    let mut elsewhere = request;
    elsewhere.fence.as_mut().unwrap().guild_id = 8 << 22;
    store.client.open_channel(elsewhere).await.unwrap();
    drop(store);

    let global = folder.path().join("store/global.db");
    ery_group_commit::open(&global, None).unwrap().execute(newer, []).unwrap();
    let refused = open(folder.path(), None, 64).await.unwrap_err();
    assert!(matches!(refused, OpenError::File(FileError::Newer { version: 99, .. })), "{refused}");
}

#[tokio::test]
async fn draining_leaves_checkpointed_files() {
    let mut store = Store::new().await;
    store.ingest(vec![created("mc.1", message(1, "a"))]).await;
    let log = shard_file(store.folder.path()).with_extension("db-wal");
    assert!(log.exists());
    let tasks = Tasks::new();
    tasks.spawn("store", store.service.clone().run(tasks.clone()));
    assert_eq!(tasks.finish(Duration::from_secs(20)).await, Ended::Drained);
    assert!(!log.exists());

    // A late call is served all the same.
    store.ingest(vec![created("mc.2", message(2, "b"))]).await;
    assert_eq!(store.rows().iter().filter(|row| row.starts_with("messages")).count(), 2);
}

#[tokio::test]
async fn an_idle_shard_is_closed_and_opened_again() {
    let settings = Settings { idle_close: Duration::from_secs(1), ..Settings::default() };
    let mut store = Store::with(settings).await;
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    let log = shard_file(store.folder.path()).with_extension("db-wal");
    let tasks = Tasks::new();
    tasks.spawn("store", store.service.clone().run(tasks.clone()));
    let closed = async {
        while log.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), closed).await.expect("it is closed");
    store.append(&holder, thread, vec![step(0)]).await.unwrap();
    assert!(log.exists());
    assert_eq!(tasks.finish(Duration::from_secs(20)).await, Ended::Drained);
}

#[tokio::test]
async fn more_shards_are_used_than_may_be_open() {
    let settings = Settings { open_shards: 2, ..Settings::default() };
    let store = Store::with(settings).await;
    let calls = (0..24_u64).map(|number| {
        let mut client = store.client.clone();
        async move {
            let guild_id = (number % 8 + 1) << 22;
            let spoken = Message { guild_id, ..message(number + 1, "x") };
            let mut event = event(&format!("mc.{number}"), created("", spoken).change.unwrap());
            event.guild_id = guild_id;
            let request = ery_proto::store::v1::IngestMessagesRequest {
                handler: "ingestion".to_owned(),
                events: vec![event],
            };
            client.ingest_messages(request).await.map(drop)
        }
    });
    for ingested in futures::future::join_all(calls).await {
        ingested.unwrap();
    }
    let mut client = store.client.clone();
    for guild in 1..=8_u64 {
        let request = ListMessagesRequest {
            guild_id: guild << 22,
            channel_id: CHANNEL,
            ..ListMessagesRequest::default()
        };
        let listed = client.list_messages(request).await.unwrap().into_inner();
        assert_eq!(listed.messages.len(), 3, "guild {guild}");
    }
    let all = client.list_threads(ListThreadsRequest::default()).await.unwrap().into_inner();
    assert!(all.threads.is_empty());
}
