//! A large shard goes to another store, while its guild writes and reads.

use std::{cell::Cell, time::Duration};

use anyhow::Context as _;
use tokio::time::Instant;
use tonic::{Code, Status};

use ery_proto::store::v1::{IngestMessagesRequest, ListMessagesRequest, MoveShardRequest};

use crate::{
    bench_store::{BenchStore, Client},
    messages,
};

/// The store that takes the shard.
const SECOND: &str = "second";

/// How long a client waits before it asks again.
const RETRY: Duration = Duration::from_millis(5);

/// What a move came to.
pub(crate) struct Moved {
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
    /// By the store's own account.
    pub(crate) writes_held_ms: u64,
    pub(crate) reads_held_ms: u64,
    /// As clients saw it, retries included.
    pub(crate) slowest_write: Duration,
    pub(crate) slowest_read: Duration,
}

/// Moves the filled shard of `first` to a store that is started for it.
pub(crate) async fn measure(first: &BenchStore, filled: u64) -> anyhow::Result<Moved> {
    let second = first.start_beside(SECOND).await?;
    let is_over = Cell::new(false);
    let guild = messages::guild(0);
    let write = async |client: &mut Client, index: u64| {
        let event = messages::event(guild, filled + index);
        let request = IngestMessagesRequest { handler: "bench".into(), events: vec![event] };
        client.ingest_messages(request).await.map(drop)
    };
    let read = async |client: &mut Client, index: u64| {
        let request = ListMessagesRequest {
            guild_id: guild,
            channel_id: messages::channel(guild, index),
            before: 0,
            limit: 50,
            since_ms: 0,
        };
        client.list_messages(request).await.map(drop)
    };
    let moving = async {
        let mut admin = first.admin().await?;
        let began = Instant::now();
        let request = MoveShardRequest { shard: 0, to: SECOND.to_owned() };
        let answer = admin.move_shard(request).await.context("the shard moves")?.into_inner();
        let took = began.elapsed();
        // Whoever was under way finds the new owner.
        tokio::time::sleep(Duration::from_secs(1)).await;
        is_over.set(true);
        anyhow::Ok((answer, took))
    };
    let (moved, slowest_write, slowest_read) = tokio::try_join!(
        moving,
        slowest([first, &second], &is_over, write),
        slowest([first, &second], &is_over, read),
    )?;
    let (answer, took) = moved;
    Ok(Moved {
        bytes: answer.bytes,
        took,
        writes_held_ms: answer.writes_held_ms,
        reads_held_ms: answer.reads_held_ms,
        slowest_write,
        slowest_read,
    })
}

/// Calls again and again, whichever store has the shard, and returns how long the slowest call took.
async fn slowest(
    stores: [&BenchStore; 2],
    is_over: &Cell<bool>,
    call: impl AsyncFn(&mut Client, u64) -> Result<(), Status>,
) -> anyhow::Result<Duration> {
    let mut clients = [stores[0].client().await?, stores[1].client().await?];
    let (mut owner, mut slowest) = (0, Duration::ZERO);
    for index in 0.. {
        if is_over.get() {
            break;
        }
        let asked = Instant::now();
        while let Err(status) = call(&mut clients[owner], index).await {
            match status.code() {
                Code::FailedPrecondition => owner = 1 - owner,
                Code::Unavailable => tokio::time::sleep(RETRY).await,
                _ => return Err(status.into()),
            }
        }
        slowest = slowest.max(asked.elapsed());
    }
    Ok(slowest)
}
