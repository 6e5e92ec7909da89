//! What moves leave behind, old folders, and stores that are lost.

use super::*;

fn settings(name: &str) -> Settings {
    Settings { name: name.to_owned(), founder: Some("a".to_owned()), ..Settings::default() }
}

async fn listed(several: &Several, name: &str) -> ListShardsResponse {
    admin(&several.peers, name).list_shards(ListShardsRequest {}).await.unwrap().into_inner()
}

/// Waits until something is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    let waited = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waited).await.expect("it comes to that");
}

async fn settle(several: &Several, at: &str, lost: &str, takes_over: bool) -> Result<bool, Status> {
    let request = SettleShardRequest { shard: SHARD, lost: lost.to_owned(), takes_over };
    Ok(admin(&several.peers, at).settle_shard(request).await?.into_inner().is_empty)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_a_move_has_left_goes_once_its_owner_says_to_have_the_shard() {
    let mut several = Several::start(&["a", "b"], None).await;
    say(&mut several.client(), 1).await.unwrap();
    let copy = tempfile::NamedTempFile::new().unwrap();
    several.move_to("a", "b").await.unwrap();
    fs::copy(several.file(1), copy.path()).unwrap();
    let folder = several.stop_one(0).await;
    fs::copy(copy.path(), file(folder.path())).unwrap();

    // Nobody says to have it: it stays, and is told.
    let away = several.stop_one(0).await;
    several.add_in(Arc::clone(&folder), settings("a"), None).await;
    let told = listed(&several, "a").await.left_over;
    assert_eq!(told.len(), 1);
    assert!(told[0].path.ends_with("shard-0007.db") && told[0].bytes > 0);
    assert!(several.file(0).exists());
    let again = several.stop_one(0).await;

    several.add_in(away, settings("b"), None).await;
    several.add_in(again, settings("a"), None).await;
    until(async || !several.file(1).exists()).await;
    assert!(listed(&several, "a").await.left_over.is_empty());
    assert_eq!(newest(&mut several.client()).await.unwrap(), Some(1));
    several.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_folder_does_not_own_what_has_gone_on_since() {
    let mut several = Several::start(&["a", "b"], None).await;
    say(&mut several.client(), 1).await.unwrap();
    // A snapshot of the founder from before the move.
    let folder = several.stop_one(0).await;
    let old = Arc::new(tempfile::tempdir().unwrap());
    fs::create_dir(old.path().join("store")).unwrap();
    for name in ["owned.json", "global.db", "shard-0007.db"] {
        let of = |folder: &Path| folder.join("store").join(name);
        fs::copy(of(folder.path()), of(old.path())).unwrap();
    }
    several.add_in(folder, settings("a"), None).await;
    several.move_to("a", "b").await.unwrap();
    say(&mut several.client(), 2).await.unwrap();
    several.stop_one(1).await;

    several.add_in(Arc::clone(&old), settings("a"), None).await;
    until(async || !listed(&several, "a").await.owned.contains(&SHARD)).await;
    assert!(!file(old.path()).exists());
    let told = listed(&several, "a").await.left_over;
    assert_eq!(told.len(), 1);
    assert!(told[0].path.contains("aside") && fs::exists(&told[0].path).unwrap());
    assert_eq!(newest(&mut several.client()).await.unwrap(), Some(2));
    several.stop().await;
}

/// Has a store's record say that the shard is on its way to another one.
fn on_its_way(folder: &Path, to: &str) {
    let path = folder.join("store/owned.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["shards"][SHARD.to_string()] =
        serde_json::json!({ "epoch": 1, "is": "moving", "to": to, "transfer": "t" });
    fs::write(&path, record.to_string()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_on_its_way_to_a_store_that_is_lost_stays_when_that_is_said() {
    let mut several = Several::start(&["a", "b", "c"], None).await;
    say(&mut several.client(), 1).await.unwrap();
    let folder = several.stop_one(0).await;
    let lost = several.stop_one(0).await;
    on_its_way(folder.path(), "b");
    several.add_in(folder, settings("a"), None).await;
    let refused = say(&mut several.client(), 2).await.unwrap_err();
    assert!(refused.message().contains("on its way to the store `b`"), "{refused}");
    let moving = listed(&several, "a").await.moving;
    assert_eq!((moving[0].shard, moving[0].to.as_str()), (SHARD, "b"));

    for (at, lost, why) in
        [("a", "c", "on its way to `b`"), ("c", "a", "`--to`"), ("c", "b", "given to `a`")]
    {
        let refused = settle(&several, at, lost, false).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().contains(why), "{refused}");
    }
    assert!(!settle(&several, "a", "b", false).await.unwrap());
    say(&mut several.client(), 2).await.unwrap();

    // It was not lost after all, and had taken the shard: whoever was told otherwise has it.
    let copy = file(several.stores[1].store.folder.path());
    fs::copy(&copy, file(lost.path())).unwrap();
    let path = lost.path().join("store/owned.json");
    let mut record: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    record["shards"][SHARD.to_string()] = serde_json::json!({ "epoch": 2, "is": "here" });
    fs::write(&path, record.to_string()).unwrap();
    several.add_in(lost, settings("b"), None).await;
    until(async || !listed(&several, "b").await.owned.contains(&SHARD)).await;
    say(&mut several.client(), 3).await.unwrap();
    assert_eq!(newest(&mut several.client()).await.unwrap(), Some(3));
    several.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_of_a_store_that_is_lost_begins_anew_where_that_is_said() {
    let mut several = Several::start(&["a", "b", "c"], None).await;
    say(&mut several.client(), 1).await.unwrap();
    several.move_to("a", "b").await.unwrap();
    let refused = settle(&several, "a", "b", true).await.unwrap_err();
    assert!(refused.message().contains("`b` runs"), "{refused}");
    several.stop_one(1).await;
    assert!(settle(&several, "a", "b", false).await.is_err());
    assert!(settle(&several, "a", "b", true).await.unwrap());
    assert_eq!(newest(&mut several.client()).await.unwrap(), None);
    say(&mut several.client(), 5).await.unwrap();
    several.stop().await;
}
