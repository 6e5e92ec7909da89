//! One place for the backups of several stores.

use std::collections::BTreeSet;

use ery_proto::store::v1::{
    CreateBackupRequest, ListBackupsRequest, PruneBackupsRequest, RestoreBackupRequest,
    VerifyBackupRequest,
};
use ery_store::Backup;

use super::*;

fn settings(name: &str, place: &Path) -> Settings {
    let url = Some(format!("file://{}", place.display()));
    let backup = Backup {
        url,
        keep_hourly: 1,
        keep_daily: 0,
        keep_weekly: 0,
        every: Duration::from_hours(300),
        ..Backup::default()
    };
    let (name, founder) = (name.to_owned(), Some("a".to_owned()));
    Settings { name, founder, backup, ..Settings::default() }
}

async fn back_up(several: &Several, name: &str) -> String {
    let request = CreateBackupRequest { guild_id: 0 };
    let made = admin(&several.peers, name).create_backup(request).await.unwrap();
    made.into_inner().backup.unwrap().id
}

async fn sets(several: &Several, name: &str) -> BTreeSet<(String, String)> {
    let listed = admin(&several.peers, name).list_backups(ListBackupsRequest {}).await.unwrap();
    listed.into_inner().backups.into_iter().map(|set| (set.store, set.id)).collect()
}

async fn restore(several: &Several, name: &str, id: &str, of: &str) -> Result<Vec<u32>, Status> {
    let request = RestoreBackupRequest {
        id: id.to_owned(),
        guild_id: 0,
        accepts_unsealed: false,
        store: of.to_owned(),
    };
    let restored = admin(&several.peers, name).restore_backup(request).await?;
    Ok(restored.into_inner().shards)
}

async fn prune(several: &Several, name: &str) -> Vec<(String, String)> {
    let gone = admin(&several.peers, name).prune_backups(PruneBackupsRequest {}).await.unwrap();
    let gone = gone.into_inner();
    gone.stores.into_iter().zip(gone.ids).collect()
}

fn of(store: &str, id: &str) -> (String, String) {
    (store.to_owned(), id.to_owned())
}

fn advance(several: &Several, time: Duration) {
    for one in &several.stores {
        one.store.clock.advance(time);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_share_a_place_and_each_brings_back_what_another_has_saved() {
    let place = tempfile::tempdir().unwrap();
    let mut several = Several::start(&[], None).await;
    for name in ["a", "b"] {
        several.add(settings(name, place.path()), None).await;
    }
    say(&mut several.client(), 1).await.unwrap();
    let ours = back_up(&several, "a").await;
    // At the same moment: neither is in the other's way.
    let theirs = back_up(&several, "b").await;
    let both = BTreeSet::from([of("a", &ours), of("b", &theirs)]);
    for name in ["a", "b"] {
        let all = sets(&several, name).await;
        assert!(both.is_subset(&all), "{all:?}");
    }
    several.move_to("a", "b").await.unwrap();
    say(&mut several.client(), 2).await.unwrap();
    let verify = VerifyBackupRequest { id: ours.clone(), store: "a".to_owned() };
    admin(&several.peers, "b").verify_backup(verify).await.unwrap();
    assert!(restore(&several, "b", &ours, "x").await.is_err());
    assert_eq!(restore(&several, "b", &ours, "").await.unwrap(), [SHARD]);
    assert_eq!(newest(&mut several.client()).await.unwrap(), Some(1));
    assert_eq!(restore(&several, "a", &ours, "").await.unwrap(), Vec::<u32>::new());
    several.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_store_lets_its_own_sets_go_and_those_of_one_that_is_no_more_once_others_have_it_all()
{
    let place = tempfile::tempdir().unwrap();
    let mut several = Several::start(&[], None).await;
    for name in ["a", "b"] {
        several.add(settings(name, place.path()), None).await;
    }
    say(&mut several.client(), 1).await.unwrap();
    several.move_to("a", "b").await.unwrap();
    advance(&several, Duration::from_hours(1));
    let first = back_up(&several, "b").await;
    advance(&several, Duration::from_hours(1));
    let second = back_up(&several, "b").await;
    // Not hers to judge, while they may be the only ones.
    let gone = prune(&several, "a").await;
    assert!(!gone.contains(&of("b", &first)), "{gone:?}");
    assert!(prune(&several, "b").await.contains(&of("b", &first)));
    assert!(sets(&several, "a").await.contains(&of("b", &second)));

    several.move_to("b", "a").await.unwrap();
    several.stop_one(1).await;
    advance(&several, Duration::from_hours(400));
    assert!(!prune(&several, "a").await.contains(&of("b", &second)));
    back_up(&several, "a").await;
    assert!(prune(&several, "a").await.contains(&of("b", &second)));
    several.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_from_before_stores_had_folders_are_found_restored_and_let_go() {
    let place = tempfile::tempdir().unwrap();
    let mut several = Several::start(&[], None).await;
    several.add(settings("a", place.path()), None).await;
    say(&mut several.client(), 1).await.unwrap();
    let id = back_up(&several, "a").await;
    let folder = place.path().join("of-stores/a");
    fs::rename(folder.join(&id), place.path().join(&id)).unwrap();
    let manifest = place.path().join(&id).join("manifest.json");
    let mut text: serde_json::Value =
        serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    text.as_object_mut().unwrap().remove("store");
    fs::write(&manifest, text.to_string()).unwrap();
    say(&mut several.client(), 2).await.unwrap();
    assert!(sets(&several, "a").await.contains(&of("", &id)));
    assert_eq!(restore(&several, "a", &id, "").await.unwrap(), [SHARD]);
    assert_eq!(newest(&mut several.client()).await.unwrap(), Some(1));

    // Another store leaves them to the founder.
    several.add(settings("b", place.path()), None).await;
    advance(&several, Duration::from_hours(2));
    back_up(&several, "a").await;
    back_up(&several, "b").await;
    assert!(!prune(&several, "b").await.contains(&of("", &id)));
    assert!(prune(&several, "a").await.contains(&of("", &id)));
    several.stop().await;
}
