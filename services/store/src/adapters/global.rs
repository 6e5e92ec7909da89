use sqlx::Connection as _;

use ery_clock::UnixMillis;
use ery_group_commit::FileKey;

use crate::{
    adapters::{folder::Folder, migrations, shard},
    error::{FileError, OpenError},
};

/// Opens `global.db`, and holds the store to the number of shards that it was created with.
///
/// A home's shard follows from that number: another one would look for data where it is not.
pub(crate) async fn check(
    folder: &Folder,
    key: Option<&FileKey>,
    shards: u32,
    now: UnixMillis,
) -> Result<(), OpenError> {
    let path = folder.global();
    // Creates the file, and notices a wrong key by name.
    drop(shard::open_for_writing(&path, key).await?);
    let mut connection = migrations::migrate(&path, key, migrations::GLOBAL).await?;
    let connect = |source| FileError::Connect { path: path.clone(), source };
    sqlx::query(
        "INSERT INTO store (id, shards, created_at_ms) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING",
    )
    .bind(shards)
    .bind(now.0)
    .execute(&mut connection)
    .await
    .map_err(connect)?;
    let created: u32 = sqlx::query_scalar("SELECT shards FROM store WHERE id = 1")
        .fetch_one(&mut connection)
        .await
        .map_err(connect)?;
    connection.close().await.map_err(connect)?;
    if created == shards {
        Ok(())
    } else {
        let folder = folder.path().to_owned();
        Err(OpenError::ShardCount { folder, created, configured: shards })
    }
}
