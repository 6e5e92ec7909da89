//! Clients that call the store as fast as it answers.

use std::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use futures::future::try_join_all;
use tokio::time::Instant;

use ery_proto::store::v1::{IngestMessagesRequest, ListMessagesRequest};

use crate::{
    bench_store::{BenchStore, Client},
    messages,
};

const HANDLER: &str = "bench";

/// How many messages one call carries while a shard is filled.
pub(crate) const BATCH: u64 = 500;
/// How many batches are under way at once.
const FILLING: u64 = 4;

/// Returns how many messages a second are acknowledged, one in each call.
pub(crate) async fn writes(
    store: &BenchStore,
    shards: usize,
    clients: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    // Each shard's file is opened before the clock runs.
    let mut first = store.client().await?;
    for shard in 0..shards {
        write_one(store, &mut first, messages::guild(shard)).await?;
    }
    let next = AtomicU64::new(0);
    rate(store, clients, time, async |client: &mut Client| {
        let shard = next.fetch_add(1, Ordering::Relaxed) % shards as u64;
        let shard = usize::try_from(shard).unwrap_or_default();
        write_one(store, client, messages::guild(shard)).await
    })
    .await
}

/// Returns how many calls a second are answered that ask for nothing.
pub(crate) async fn empty_calls(
    store: &BenchStore,
    clients: usize,
    time: Duration,
) -> anyhow::Result<f64> {
    rate(store, clients, time, async |client: &mut Client| {
        let request = IngestMessagesRequest { handler: HANDLER.into(), events: Vec::new() };
        client.ingest_messages(request).await?;
        Ok(())
    })
    .await
}

/// Has `clients` call in turn, each over its own connection, and returns the calls a second.
async fn rate(
    store: &BenchStore,
    clients: usize,
    time: Duration,
    call: impl AsyncFn(&mut Client) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let mut connected = Vec::with_capacity(clients);
    for _ in 0..clients {
        connected.push(store.client().await?);
    }
    let begun = Instant::now();
    let calls = try_join_all(connected.into_iter().map(|mut client| {
        let call = &call;
        async move {
            let mut calls = 0_u32;
            while begun.elapsed() < time {
                call(&mut client).await?;
                calls += 1;
            }
            anyhow::Ok(calls)
        }
    }))
    .await?;
    Ok(f64::from(calls.iter().sum::<u32>()) / begun.elapsed().as_secs_f64())
}

async fn write_one(store: &BenchStore, client: &mut Client, guild: u64) -> anyhow::Result<()> {
    let event = messages::event(guild, store.next_message());
    let request = IngestMessagesRequest { handler: HANDLER.into(), events: vec![event] };
    client.ingest_messages(request).await?;
    Ok(())
}

/// Fills one shard, and returns how many messages a second it took.
pub(crate) async fn fill(store: &BenchStore, count: u64) -> anyhow::Result<f64> {
    let begun = Instant::now();
    // The first ones first: what is known of an author since when must not depend on who is faster.
    fill_batch(&mut store.client().await?, 0..count.min(BATCH)).await?;
    let fillers = (0..FILLING).map(async |filler| {
        let mut client = store.client().await?;
        let mut first = (filler + 1) * BATCH;
        while first < count {
            fill_batch(&mut client, first..count.min(first + BATCH)).await?;
            first += FILLING * BATCH;
        }
        anyhow::Ok(())
    });
    try_join_all(fillers).await?;
    store.said(count);
    #[expect(clippy::cast_precision_loss, reason = "some millions")]
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

async fn fill_batch(client: &mut Client, indexes: Range<u64>) -> anyhow::Result<()> {
    let guild = messages::guild(0);
    let events = indexes.map(|index| messages::event(guild, index)).collect();
    client.ingest_messages(IngestMessagesRequest { handler: HANDLER.into(), events }).await?;
    Ok(())
}

/// Returns how long each read of a channel's newest messages took.
pub(crate) async fn contexts(
    store: &BenchStore,
    filled: u64,
    clients: usize,
    time: Duration,
) -> anyhow::Result<Vec<Duration>> {
    let guild = messages::guild(0);
    let next = AtomicU64::new(0);
    let mut connected = Vec::with_capacity(clients);
    for _ in 0..clients {
        connected.push(store.client().await?);
    }
    let begun = Instant::now();
    let readers = connected.into_iter().map(|mut client| {
        let next = &next;
        async move {
            let mut times = Vec::new();
            while begun.elapsed() < time {
                // Another channel, and another part of its history, each time.
                let index = next.fetch_add(1, Ordering::Relaxed).wrapping_mul(7_919);
                let before = messages::event(guild, filled - index % (filled / 2));
                let before = before.event_id.rsplit(':').next().unwrap_or_default().parse()?;
                let request = ListMessagesRequest {
                    guild_id: guild,
                    channel_id: messages::channel(guild, index),
                    before,
                    limit: 50,
                    since_ms: 0,
                };
                let asked = Instant::now();
                let answer = client.list_messages(request).await?.into_inner();
                times.push(asked.elapsed());
                anyhow::ensure!(
                    answer.messages.len() == 50 || filled < 200 * messages::CHANNELS,
                    "a context holds {} messages",
                    answer.messages.len()
                );
            }
            anyhow::Ok(times)
        }
    });
    Ok(try_join_all(readers).await?.concat())
}
