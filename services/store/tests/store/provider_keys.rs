//! Keys of guilds for model providers: kept under the store's own key or not at all, told to whoever
//! asks models, and shown nowhere.

use std::{path::Path, sync::Arc};

use ery_group_commit::{FileKey, Rekey};
use ery_proto::{
    common::v1::ProviderKey,
    store::v1::{
        CreateBackupRequest, DeletionState, GetProviderKeysRequest, KeptProviderKey,
        ListProviderKeysRequest, RemoveProviderKeyRequest, RestoreBackupRequest,
        SetProviderKeyRequest, provider_key_service_client::ProviderKeyServiceClient,
        store_admin_service_client::StoreAdminServiceClient,
    },
};
use ery_rpc::Transport;
use ery_store::{Backup, Encryption, RekeyStoreError, Settings};
use tempfile::TempDir;
use tonic::{Code, Status};

use crate::{
    privacy::{Running, export, holding, request, until},
    support::{AUTHOR, GUILD, NOW, Store},
};

/// Long enough that its end is shown.
const CANARY: &str = "sk-canary-2357111317";
const OTHER_GUILD: u64 = 8 << 22;

fn file_key() -> FileKey {
    FileKey([0x5a; 32])
}

pub(crate) type Client = ProviderKeyServiceClient<Transport>;

fn keys(store: &Store) -> Client {
    ProviderKeyServiceClient::new(ery_rpc::local(store.service.routes()))
}

async fn sealed(folder: &Arc<TempDir>, settings: Settings) -> Store {
    Store::open_under(Arc::clone(folder), settings, Some(file_key())).await.unwrap()
}

fn new_folder() -> Arc<TempDir> {
    Arc::new(tempfile::tempdir().unwrap())
}

pub(crate) async fn set(
    mut client: Client,
    guild_id: u64,
    provider: &str,
    key: &str,
) -> Result<KeptProviderKey, Status> {
    let key = Some(ProviderKey { provider: provider.to_owned(), key: key.to_owned() });
    let request = SetProviderKeyRequest { guild_id, key, set_by: AUTHOR };
    Ok(client.set_provider_key(request).await?.into_inner().kept.unwrap())
}

async fn remove(store: &Store, provider: &str) -> Option<KeptProviderKey> {
    let request = RemoveProviderKeyRequest { guild_id: GUILD, provider: provider.to_owned() };
    keys(store).remove_provider_key(request).await.unwrap().into_inner().removed
}

async fn list(store: &Store, guild_id: u64) -> Vec<KeptProviderKey> {
    let request = ListProviderKeysRequest { guild_id };
    keys(store).list_provider_keys(request).await.unwrap().into_inner().keys
}

pub(crate) async fn get(mut client: Client, guild_id: u64) -> Vec<(String, String)> {
    let request = GetProviderKeysRequest { guild_id };
    let answer = client.get_provider_keys(request).await.unwrap().into_inner();
    answer.keys.into_iter().map(|key| (key.provider, key.key)).collect()
}

fn pair(provider: &str, key: &str) -> (String, String) {
    (provider.to_owned(), key.to_owned())
}

fn kept(provider: &str, ends_with: &str) -> KeptProviderKey {
    KeptProviderKey {
        guild_id: GUILD,
        provider: provider.to_owned(),
        set_by: AUTHOR,
        set_at_ms: NOW,
        ends_with: ends_with.to_owned(),
    }
}

#[tokio::test]
async fn a_key_is_told_to_who_asks_models_and_only_its_end_is_listed() {
    let store = sealed(&new_folder(), Settings::default()).await;
    assert_eq!(get(keys(&store), GUILD).await, [], "and no file is made for it");
    let made = set(keys(&store), GUILD, "openai", CANARY).await.unwrap();
    assert_eq!(made, kept("openai", "1317"));
    set(keys(&store), GUILD, "main", "short").await.unwrap();
    set(keys(&store), OTHER_GUILD, "openai", "sk-of-another-server").await.unwrap();

    let expected = [pair("main", "short"), pair("openai", CANARY)];
    assert_eq!(get(keys(&store), GUILD).await, expected);
    assert_eq!(list(&store, GUILD).await, [kept("main", ""), kept("openai", "1317")]);
    assert_eq!(list(&store, 0).await.len(), 3);
    assert!(!format!("{:?}", list(&store, 0).await).contains("canary"));

    // Another takes its place, and goes.
    set(keys(&store), GUILD, "openai", "sk-the-next-0123456789").await.unwrap();
    assert_eq!(get(keys(&store), GUILD).await[1], pair("openai", "sk-the-next-0123456789"));
    assert_eq!(remove(&store, "openai").await, Some(kept("openai", "6789")));
    assert_eq!(remove(&store, "openai").await, None, "once");
    assert_eq!(get(keys(&store), GUILD).await, [pair("main", "short")]);
    assert_eq!(get(keys(&store), OTHER_GUILD).await.len(), 1);
    let told = store.bus.keys.lock().unwrap().clone();
    assert_eq!(told, [GUILD, GUILD, OTHER_GUILD, GUILD, GUILD], "each change, and nothing else");
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused_and_not_repeated() {
    let store = sealed(&new_folder(), Settings::default()).await;
    let long = "x".repeat(4_097);
    for (guild, provider, key) in [
        (0, "openai", CANARY),
        (GUILD, "", CANARY),
        (GUILD, &"p".repeat(33), CANARY),
        (GUILD, "open ai", CANARY),
        (GUILD, "openai", ""),
        (GUILD, "openai", "sk-canary 1"),
        (GUILD, "openai", "sk-canary\n"),
        (GUILD, "openai", "sk-canary-é"),
        (GUILD, "openai", &long),
    ] {
        let refused = set(keys(&store), guild, provider, key).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(!refused.message().contains("canary"), "{refused}");
    }
    for number in 0..32 {
        set(keys(&store), GUILD, &format!("p{number}"), "k").await.unwrap();
    }
    set(keys(&store), GUILD, "p3", "another").await.unwrap();
    let full = set(keys(&store), GUILD, "p32", "k").await.unwrap_err();
    assert_eq!(full.code(), Code::FailedPrecondition, "{full}");
}

#[tokio::test]
async fn a_store_in_the_clear_keeps_none_and_says_what_to_do() {
    let store = Store::new().await;
    let refused = set(keys(&store), GUILD, "openai", CANARY).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    for part in ["store.encryption.key_file", "ery ctl store rekey"] {
        assert!(refused.message().contains(part), "{refused}");
    }
    assert_eq!(list(&store, 0).await, []);
    assert_eq!(store.bus.keys.lock().unwrap().clone(), [0; 0]);
    assert_eq!(holding(store.folder.path(), CANARY), Vec::<String>::new());
}

fn backed_up(target: &Path) -> Settings {
    let url = Some(format!("file://{}", target.display()));
    Settings { backup: Backup { url, ..Backup::default() }, ..Settings::default() }
}

fn admin(store: &Store) -> StoreAdminServiceClient<Transport> {
    StoreAdminServiceClient::new(ery_rpc::local(store.service.routes()))
}

async fn restore(store: &Store, id: &str) {
    let request = RestoreBackupRequest { id: id.to_owned(), guild_id: GUILD, ..Default::default() };
    admin(store).restore_backup(request).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_never_in_the_clear_on_a_disk_and_goes_with_backups() {
    let (folder, target) = (new_folder(), tempfile::tempdir().unwrap());
    let store = sealed(&folder, backed_up(target.path())).await;
    set(keys(&store), GUILD, "openai", CANARY).await.unwrap();
    assert_eq!(holding(folder.path(), CANARY), Vec::<String>::new(), "nor in the log");
    let made = admin(&store).create_backup(CreateBackupRequest { guild_id: 0 }).await.unwrap();
    let id = made.into_inner().backup.unwrap().id;
    for folder in [folder.path(), target.path()] {
        assert_eq!(holding(folder, CANARY), Vec::<String>::new());
    }
    let archive: String = export(&store, AUTHOR).await.into_iter().map(|(_, text)| text).collect();
    assert!(
        archive.contains("\"provider\":\"openai\"") && !archive.contains("canary"),
        "{archive}"
    );

    remove(&store, "openai").await.unwrap();
    restore(&store, &id).await;
    assert_eq!(get(keys(&store), GUILD).await, [pair("openai", CANARY)]);
    drop(store.close().await);
    for folder in [folder.path(), target.path()] {
        assert_eq!(holding(folder, CANARY), Vec::<String>::new());
    }

    // A store in the clear takes the rest of that backup, and leaves the key out.
    let encryption = Encryption { key: None, previous_key: Some("5a".repeat(32).into()) };
    let settings = Settings { encryption, ..backed_up(target.path()) };
    let folder = new_folder();
    let store = Store::open_in(Arc::clone(&folder), settings).await.unwrap();
    restore(&store, &id).await;
    assert_eq!(list(&store, 0).await, []);
    drop(store.close().await);
    assert_eq!(holding(folder.path(), CANARY), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_goes_with_a_change_of_the_files_key_and_keeps_them_from_being_decrypted() {
    let folder = new_folder();
    let store = sealed(&folder, Settings::default()).await;
    set(keys(&store), GUILD, "openai", CANARY).await.unwrap();
    drop(store.close().await);
    let next = FileKey([7; 32]);
    let rekey = |from: &FileKey, to: Option<&FileKey>| {
        let keys = Rekey { from: vec![None, Some(from.clone())], to: to.cloned() };
        ery_store::rekey(folder.path(), &keys)
    };
    rekey(&file_key(), Some(&next)).unwrap();
    let refused = rekey(&next, None).unwrap_err();
    assert!(matches!(refused, RekeyStoreError::ProviderKeys { .. }), "{refused}");
    assert!(refused.to_string().contains("ery ctl keys remove"), "{refused}");

    // Nothing was begun: the store opens as it was.
    let store = Store::open_under(Arc::clone(&folder), Settings::default(), Some(next.clone()));
    let store = store.await.unwrap();
    assert_eq!(get(keys(&store), GUILD).await, [pair("openai", CANARY)]);
    remove(&store, "openai").await.unwrap();
    drop(store.close().await);
    rekey(&next, None).unwrap();
    assert_eq!(holding(folder.path(), CANARY), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_set_a_key_is_forgotten_and_the_key_stays_the_guilds() {
    let store = sealed(&new_folder(), Settings::default()).await;
    set(keys(&store), GUILD, "openai", CANARY).await.unwrap();
    let running = Running::start(&store);
    let id = request(&store, AUTHOR, 0).await.deletion_id;
    until(&store, &id, DeletionState::Confirmed).await;
    running.stop().await;
    let expected = KeptProviderKey { set_by: 0, ..kept("openai", "1317") };
    assert_eq!(list(&store, GUILD).await, [expected]);
    assert_eq!(get(keys(&store), GUILD).await, [pair("openai", CANARY)]);
}
