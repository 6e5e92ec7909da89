use std::{fs, path::Path, sync::Arc, time::Duration};

use ery_group_commit::FileKey;
use ery_lifecycle::{Ended, Tasks};
use ery_proto::store::v1::{
    Backup as Set, CreateBackupRequest, ListBackupsRequest, ListMessagesRequest,
    PruneBackupsRequest, RestoreBackupRequest, VerifyBackupRequest,
    store_admin_service_client::StoreAdminServiceClient,
};
use ery_rpc::Transport;
use ery_store::{Backup, Encryption, Settings};
use tempfile::TempDir;
use tonic::Code;

use crate::support::{
    CHANNEL, GUILD, NOW, Store, created, deleted, edited, fence, message, rows_under, shard_file,
};

const KEY: [u8; 32] = [0x5a; 32];
const CANARY: &str = "canary-1618";

fn settings(target: &Path) -> Settings {
    let backup = Backup { url: Some(format!("file://{}", target.display())), ..Backup::default() };
    Settings { backup, ..Settings::default() }
}

fn key() -> FileKey {
    FileKey(KEY)
}

async fn open(folder: &Arc<TempDir>, target: &Path) -> Store {
    Store::open_under(Arc::clone(folder), settings(target), Some(key())).await.unwrap()
}

fn admin(store: &Store) -> StoreAdminServiceClient<Transport> {
    StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()))
}

async fn create(store: &Store, guild_id: u64) -> Set {
    let answer = admin(store).create_backup(CreateBackupRequest { guild_id }).await.unwrap();
    answer.into_inner().backup.unwrap()
}

async fn list(store: &Store) -> Vec<String> {
    let answer = admin(store).list_backups(ListBackupsRequest {}).await.unwrap().into_inner();
    answer.backups.into_iter().map(|set| set.id).collect()
}

/// Writes something into most tables.
async fn fill(store: &mut Store) {
    let holder = fence(5, "holder");
    let thread = store.running_thread(&holder, 1).await;
    store.append(&holder, thread, vec![crate::support::step(0)]).await.unwrap();
    let execution = crate::support::execution(thread, 0);
    let begin = crate::support::begin_execution(&holder, &execution);
    store.client.begin_execution(begin).await.unwrap();
    store.ingest(vec![created("mc.2", message(2, CANARY))]).await;
    store
        .ingest(vec![created("mc.3", message(3, "first")), edited("mu.3", 3, "second", NOW)])
        .await;
    store.ingest(vec![created("mc.4", message(4, "gone")), deleted("md.4", &[4], NOW)]).await;
    let mut elsewhere = created("mc.9", message(9, "elsewhere"));
    elsewhere.guild_id = 8 << 22;
    if let Some(ery_proto::store::v1::ingest_event::Change::Created(spoken)) = &mut elsewhere.change
    {
        spoken.guild_id = 8 << 22;
    }
    store.ingest(vec![elsewhere]).await;
}

fn rows(store: &Store) -> Vec<String> {
    rows_under(&shard_file(store.folder.path()), Some(&key()))
}

fn found(store: &Store, word: &str) -> i64 {
    let file = shard_file(store.folder.path());
    let connection = ery_group_commit::open_read_only(&file, Some(&key())).unwrap();
    let statement = "SELECT count(*) FROM messages_fts WHERE messages_fts MATCH ?1";
    connection.query_row(statement, [word], |row| row.get(0)).unwrap()
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            files.push(fs::read(path).unwrap());
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_brings_back_every_row_and_hides_what_it_holds() {
    let (folder, target) = (Arc::new(tempfile::tempdir().unwrap()), tempfile::tempdir().unwrap());
    let mut store = open(&folder, target.path()).await;
    fill(&mut store).await;
    let (before, set) = (rows(&store), create(&store, 0).await);
    assert!(set.is_whole && set.shards == [7, 8], "{set:?}");
    for bytes in files(target.path()) {
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    }
    admin(&store)
        .verify_backup(VerifyBackupRequest { id: set.id.clone(), store: String::new() })
        .await
        .unwrap();

    // What comes later goes with the restore, but for what a backup of it keeps.
    store.ingest(vec![created("mc.5", message(5, "later"))]).await;
    store.ingest(vec![deleted("md.2", &[2], NOW)]).await;
    let restore = RestoreBackupRequest {
        id: set.id.clone(),
        guild_id: GUILD,
        accepts_unsealed: false,
        store: String::new(),
    };
    let restored = admin(&store).restore_backup(restore).await.unwrap().into_inner();
    assert_eq!(restored.shards, [7]);
    assert_eq!(rows(&store), before);
    assert_eq!((found(&store, "\"canary 1618\""), found(&store, "first")), (1, 0));
    let undo = RestoreBackupRequest {
        id: restored.before_id,
        guild_id: GUILD,
        accepts_unsealed: false,
        store: String::new(),
    };
    admin(&store).restore_backup(undo).await.unwrap();
    let request = ListMessagesRequest {
        guild_id: GUILD,
        channel_id: CHANNEL,
        ..ListMessagesRequest::default()
    };
    let listed = store.client.list_messages(request).await.unwrap().into_inner();
    let ids: Vec<u64> = listed.messages.iter().map(|message| message.message_id).collect();
    assert_eq!(ids, [1, 3, 5]);
    store.ingest(vec![created("mc.6", message(6, "on it goes"))]).await;

    // All is lost but the backups and the key.
    drop(store.close().await);
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let store = open(&folder, target.path()).await;
    let restore = RestoreBackupRequest {
        id: set.id,
        guild_id: 0,
        accepts_unsealed: false,
        store: String::new(),
    };
    let restored = admin(&store).restore_backup(restore).await.unwrap().into_inner();
    assert_eq!(restored.shards, [7, 8]);
    assert_eq!(rows(&store), before);
    let left: Vec<_> = fs::read_dir(folder.path().join("store/work")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_of_one_moment_while_others_write() {
    let (folder, target) = (Arc::new(tempfile::tempdir().unwrap()), tempfile::tempdir().unwrap());
    let mut store = open(&folder, target.path()).await;
    store.ingest(vec![created("mc.1", message(1, "x"))]).await;
    let mut writer = store.client.clone();
    let writing = async {
        // Each call writes two messages in one transaction.
        for number in 1..400_u64 {
            let event = |id: u64| created(&format!("mc.{id}"), message(id, "x"));
            let request = ery_proto::store::v1::IngestMessagesRequest {
                handler: "ingestion".to_owned(),
                events: vec![event(number * 2), event(number * 2 + 1)],
            };
            writer.ingest_messages(request).await.unwrap();
        }
    };
    let backing_up = async {
        let mut sets = Vec::new();
        for _ in 0..3 {
            sets.push(create(&store, GUILD).await.id);
        }
        sets
    };
    let ((), sets) = tokio::join!(writing, backing_up);
    for id in sets {
        let restore = RestoreBackupRequest {
            id,
            guild_id: GUILD,
            accepts_unsealed: false,
            store: String::new(),
        };
        admin(&store).restore_backup(restore).await.unwrap();
        let messages = rows(&store).iter().filter(|row| row.starts_with("messages: ")).count();
        assert_eq!(messages % 2, 1, "{messages}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_or_under_another_key_is_refused_and_nothing_is_replaced() {
    let (folder, target) = (Arc::new(tempfile::tempdir().unwrap()), tempfile::tempdir().unwrap());
    let mut store = open(&folder, target.path()).await;
    fill(&mut store).await;
    let (before, id) = (rows(&store), create(&store, 0).await.id);
    let file = target.path().join("of-stores/store").join(&id).join("shard-0007.bak");
    let sound = fs::read(&file).unwrap();
    let mut changed = sound.clone();
    *changed.last_mut().unwrap() ^= 1;
    for damaged in [&changed[..], &sound[..sound.len() - 20], b"", b"ERYBAK1\n\xff\xff\xff\xff"] {
        fs::write(&file, damaged).unwrap();
        let verify = VerifyBackupRequest { id: id.clone(), store: String::new() };
        let refused = admin(&store).verify_backup(verify).await.unwrap_err();
        assert_eq!(refused.code(), Code::DataLoss, "{refused}");
        let restore = RestoreBackupRequest {
            id: id.clone(),
            guild_id: GUILD,
            accepts_unsealed: false,
            store: String::new(),
        };
        let refused = admin(&store).restore_backup(restore).await.unwrap_err();
        assert_eq!(refused.code(), Code::DataLoss, "{refused}");
    }
    assert_eq!(rows(&store), before);
    fs::write(&file, &sound).unwrap();
    for id in ["20010101T000000Z", "../x", ""] {
        let restore = RestoreBackupRequest {
            id: id.to_owned(),
            guild_id: GUILD,
            accepts_unsealed: false,
            store: String::new(),
        };
        let refused = admin(&store).restore_backup(restore).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
    }
    drop(store.close().await);

    // Under a new key, a backup of the former is read once that is named.
    let hex = "5a".repeat(32);
    for (previous, code) in [(None, Some(Code::FailedPrecondition)), (Some(hex), None)] {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let encryption =
            Encryption { key: None, previous_key: previous.map(std::convert::Into::into) };
        let settings = Settings { encryption, ..settings(target.path()) };
        let store = Store::open_under(folder, settings, Some(FileKey([6; 32]))).await.unwrap();
        let restore = RestoreBackupRequest {
            id: id.clone(),
            guild_id: GUILD,
            accepts_unsealed: false,
            store: String::new(),
        };
        let answer = admin(&store).restore_backup(restore).await;
        assert_eq!(answer.err().map(|refused| refused.code()), code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_made_by_themselves_and_the_old_ones_go() {
    let (folder, target) = (Arc::new(tempfile::tempdir().unwrap()), tempfile::tempdir().unwrap());
    let mut settings = settings(target.path());
    settings.backup.every = Duration::from_mins(1);
    (settings.backup.keep_hourly, settings.backup.keep_daily) = (1, 0);
    settings.backup.keep_weekly = 0;
    let mut store = Store::open_under(folder, settings, Some(key())).await.unwrap();
    fill(&mut store).await;
    let first = create(&store, 0).await.id;
    store.clock.advance(Duration::from_mins(2));
    let second = create(&store, 0).await.id;
    assert_eq!(list(&store).await, [second.clone(), first]);
    let pruned = admin(&store).prune_backups(PruneBackupsRequest {}).await.unwrap().into_inner();
    assert_eq!(pruned.ids.len(), 1);
    assert_eq!(list(&store).await, std::slice::from_ref(&second));

    store.clock.advance(Duration::from_mins(2));
    let tasks = Tasks::new();
    tasks.spawn("store", store.service.clone().run(tasks.clone()));
    let made = async {
        while list(&store).await.contains(&second) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), made)
        .await
        .expect("one is made, the old one goes");
    assert_eq!(list(&store).await.len(), 1);
    assert_eq!(tasks.finish(Duration::from_secs(20)).await, Ended::Drained);
}

#[tokio::test]
async fn without_a_place_for_backups_it_says_how_to_name_one() {
    let store = Store::new().await;
    let refused = admin(&store).create_backup(CreateBackupRequest { guild_id: 0 }).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("store.backup.url"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_during_a_restore_is_there_or_in_the_backup_of_what_stood() {
    let (folder, target) = (Arc::new(tempfile::tempdir().unwrap()), tempfile::tempdir().unwrap());
    let mut store = open(&folder, target.path()).await;
    fill(&mut store).await;
    let set = create(&store, 0).await.id;
    let is_over = tokio_util::sync::CancellationToken::new();
    let writing = async {
        let mut acknowledged = Vec::new();
        for number in 100.. {
            let events = vec![created(&format!("mc.{number}"), message(number, "x"))];
            let request = ery_proto::store::v1::IngestMessagesRequest {
                handler: "ingestion".to_owned(),
                events,
            };
            store.client.clone().ingest_messages(request).await.unwrap();
            acknowledged.push(number);
            if is_over.is_cancelled() {
                break;
            }
        }
        acknowledged
    };
    let restoring = async {
        let mut befores = Vec::new();
        for _ in 0..4 {
            let restore = RestoreBackupRequest {
                id: set.clone(),
                guild_id: GUILD,
                accepts_unsealed: false,
                store: String::new(),
            };
            let restored = admin(&store).restore_backup(restore).await.unwrap().into_inner();
            befores.push(restored.before_id);
        }
        is_over.cancel();
        befores
    };
    let (acknowledged, befores) = tokio::join!(writing, restoring);
    let mut known = rows(&store);
    for id in befores {
        let restore = RestoreBackupRequest {
            id,
            guild_id: GUILD,
            accepts_unsealed: false,
            store: String::new(),
        };
        admin(&store).restore_backup(restore).await.unwrap();
        known.extend(rows(&store));
    }
    for id in &acknowledged {
        let row = format!("messages: {id} | ");
        assert!(known.iter().any(|known| known.starts_with(&row)), "{id} of {acknowledged:?}");
    }
    assert!(acknowledged.len() > 4, "{acknowledged:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_in_the_clear_is_taken_into_a_store_with_a_key_only_if_that_is_said() {
    let target = tempfile::tempdir().unwrap();
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let mut clear = Store::open_in(folder, settings(target.path())).await.unwrap();
    clear.ingest(vec![created("mc.1", message(1, "from before"))]).await;
    let (before, id) = (clear.rows(), create(&clear, 0).await.id);
    drop(clear.close().await);
    let store = open(&Arc::new(tempfile::tempdir().unwrap()), target.path()).await;
    let restore = |accepts_unsealed| RestoreBackupRequest {
        id: id.clone(),
        guild_id: 0,
        accepts_unsealed,
        store: String::new(),
    };
    let refused = admin(&store).restore_backup(restore(false)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("--unsealed"), "{refused}");
    assert!(!shard_file(store.folder.path()).exists());
    admin(&store).restore_backup(restore(true)).await.unwrap();
    assert_eq!(rows(&store), before);
    assert!(ery_group_commit::open_read_only(&shard_file(store.folder.path()), None).is_err());
}
