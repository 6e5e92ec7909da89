//! Nobody who is forgotten comes back, with a backup or with a copy of the files.

use std::{fs, path::Path, sync::Arc, time::Duration};

use ery_clock::Clock as _;
use ery_group_commit::FileKey;
use ery_proto::store::v1::{
    CreateBackupRequest, DeletionState, ExportPersonRequest, ListMessagesRequest,
    RestoreBackupRequest, store_admin_service_client::StoreAdminServiceClient,
};
use ery_rpc::Transport;
use ery_store::{Backup, Settings};
use tempfile::TempDir;

use super::{
    Running, holding, privacy, request,
    traces::{CANARY, MARA, OTHER, canary, fill, said_by},
    until,
};
use crate::support::{CHANNEL, GUILD, Store, created, rows_under};

fn admin(store: &Store) -> StoreAdminServiceClient<Transport> {
    StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()))
}

pub(super) async fn create(store: &Store) -> String {
    let backup = CreateBackupRequest { guild_id: 0 };
    admin(store).create_backup(backup).await.unwrap().into_inner().backup.unwrap().id
}

pub(super) async fn restore(store: &Store, id: &str) {
    let restore = RestoreBackupRequest {
        id: id.to_owned(),
        guild_id: 0,
        accepts_unsealed: false,
        store: String::new(),
    };
    let restored = admin(store).restore_backup(restore).await.unwrap().into_inner();
    assert!(!restored.shards.is_empty());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
        if path.is_dir() {
            copy(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_is_forgotten_comes_back_with_a_backup() {
    for key in [None, Some(FileKey([0x5a; 32]))] {
        let is_encrypted = key.is_some();
        let target = tempfile::tempdir().unwrap();
        let url = Some(format!("file://{}", target.path().display()));
        let backup = Backup { url, ..Default::default() };
        let settings = Settings { backup, ..Settings::default() };
        let open = async |folder: &Arc<TempDir>| {
            Store::open_under(Arc::clone(folder), settings.clone(), key.clone()).await.unwrap()
        };
        let holds = |store: &Store| -> Vec<String> {
            let folder = store.folder.path().join("store");
            let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let files = files.filter(|path| path.to_string_lossy().contains("shard-"));
            let files = files.filter(|path| path.extension().is_some_and(|it| it == "db"));
            files
                .filter(|path| {
                    let rows = rows_under(path, key.as_ref());
                    rows.iter().any(|row| row.contains(CANARY))
                })
                .map(|path| path.display().to_string())
                .collect()
        };
        let mut store = open(&Arc::new(tempfile::tempdir().unwrap())).await;
        if is_encrypted {
            store.ingest(vec![created("mc.1", said_by(MARA, 1, &canary("sealed")))]).await;
            store.ingest(vec![created("mc.4", said_by(OTHER, 4, "hello you"))]).await;
        } else {
            fill(&mut store).await;
        }
        let made = create(&store).await;
        assert!(!holds(&store).is_empty());
        let older = tempfile::tempdir().unwrap();
        copy(store.folder.path(), older.path());

        store.clock.advance(Duration::from_hours(1));
        let moment = store.clock.now();
        let running = Running::start(&store);
        let id = request(&store, MARA, 0).await.deletion_id;
        let confirmed = until(&store, &id, DeletionState::Confirmed).await;
        assert!(confirmed.backups_until_ms > confirmed.confirmed_at_ms, "{confirmed:?}");
        restore(&store, &made).await;
        assert_eq!(holds(&store), Vec::<String>::new());
        if !is_encrypted {
            let folder = store.folder.path().join("store");
            assert_eq!(holding(&folder, CANARY), Vec::<String>::new());
        }
        let others = ExportPersonRequest { user_id: OTHER, guild_id: 0 };
        let mut parts = privacy(&store).export_person(others).await.unwrap().into_inner();
        assert!(parts.message().await.unwrap().is_some(), "what is others' came back");
        running.stop().await;
        drop(store.close().await);

        // Nothing is left but the backups: the ledger lies beside them.
        let mut store = open(&Arc::new(tempfile::tempdir().unwrap())).await;
        store.clock.set(moment);
        restore(&store, &made).await;
        assert_eq!(holds(&store), Vec::<String>::new());
        let list = ListMessagesRequest {
            guild_id: GUILD,
            channel_id: CHANNEL,
            ..ListMessagesRequest::default()
        };
        let said = store.client.list_messages(list).await.unwrap().into_inner().messages;
        assert!(said.iter().any(|message| message.content == "hello you"));
        store.ingest(vec![created("mc.70", said_by(MARA, 70, &canary("late")))]).await;
        assert_eq!(holds(&store), Vec::<String>::new());
        drop(store.close().await);

        // A copy of the files from before knows nothing of it, until it reads what lies there.
        let store = open(&Arc::new(older)).await;
        store.clock.set(moment);
        assert!(!holds(&store).is_empty());
        let running = Running::start(&store);
        let gone = async {
            while !holds(&store).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.expect("it is forgotten again");
        running.stop().await;
    }
}
