//! `global.db`: what is true of the whole store.

use std::path::PathBuf;

use rusqlite::Connection;
use sqlx::Connection as _;

use ery_clock::UnixMillis;
use ery_group_commit::FileKey;

use crate::{
    adapters::{folder::Folder, migrations, shard},
    blocking::blocking,
    error::{FileError, OpenError, StoreError},
};

/// `global.db`, which is opened for each use: it is written to seldom, and read when the store opens.
#[derive(Debug)]
pub(crate) struct Global {
    path: PathBuf,
    key: Option<FileKey>,
    /// One use at a time.
    turn: tokio::sync::Mutex<()>,
}

impl Global {
    /// Opens `global.db`, and holds the store to the number of shards that it was created with.
    ///
    /// A home's shard follows from that number: another one would look for data where it is not.
    pub(crate) async fn open(
        folder: &Folder,
        key: Option<&FileKey>,
        shards: u32,
        now: UnixMillis,
    ) -> Result<Self, OpenError> {
        let path = folder.global();
        // Creates the file, and notices a wrong key by name.
        drop(shard::open_for_writing(&path, key).await?);
        let mut connection = migrations::migrate(&path, key, migrations::GLOBAL).await?;
        let connect = |source| FileError::Connect { path: path.clone(), source };
        sqlx::query(
            "INSERT INTO store (id, shards, created_at_ms) VALUES (1, ?1, ?2)
             ON CONFLICT DO NOTHING",
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
            Ok(Self { path, key: key.cloned(), turn: tokio::sync::Mutex::default() })
        } else {
            let folder = folder.path().to_owned();
            Err(OpenError::ShardCount { folder, created, configured: shards })
        }
    }

    /// Runs `work` as one transaction, which is durable when this answers.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let _turn = self.turn.lock().await;
        let (path, key) = (self.path.clone(), self.key.clone());
        blocking(move || {
            let connection = ery_group_commit::open(&path, key.as_ref())
                .map_err(|source| StoreError::Global(FileError::Writer { path, source }))?;
            connection.execute_batch("BEGIN IMMEDIATE")?;
            let result = work(&connection)?;
            connection.execute_batch("COMMIT")?;
            // Closed here, which leaves nothing in a log beside the file.
            Ok(result)
        })
        .await
    }
}
