//! `make bench`: what the store takes and gives, beside what the machine could do in the same run.
//!
//! Two ceilings: the same statements on one connection with nothing around them, in transactions as
//! large as the store's own were; and calls of the same server, by the same clients, that ask for
//! nothing.
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

mod bench_store;
mod ceiling;
mod load;
mod messages;
mod moves;

use std::{fs::File, time::Duration};

use clap::Parser;

use bench_store::{BenchStore, resident_mib};

/// How many clients call at once.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const SHARDS: [usize; 2] = [1, 64];

/// Measures the store.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long each row is measured, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How many messages the shard holds whose contexts are read.
    #[arg(long, default_value_t = 10_000_000)]
    messages: u64,
    /// Only the writes.
    #[arg(long)]
    writes_only: bool,
    /// Only the reads.
    #[arg(long)]
    reads_only: bool,
    /// The large shard in the clear, too.
    #[arg(long)]
    in_the_clear: bool,
    /// Writes of this many clients at once only; may be given several times.
    #[arg(long, default_values_t = CLIENTS)]
    clients: Vec<usize>,
    /// Writes to this many shards only; may be given several times.
    #[arg(long, default_values_t = SHARDS)]
    shards: Vec<usize>,
    /// How many messages the first shard holds before writes are measured; the ceiling's file holds as many.
    #[arg(long, default_value_t = 0)]
    filled: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let time = Duration::from_secs(arguments.seconds);
    if !arguments.reads_only {
        for is_encrypted in [false, true] {
            writes(is_encrypted, &arguments, time).await?;
        }
    }
    if !arguments.writes_only {
        reads(arguments.messages, arguments.in_the_clear, time).await?;
    }
    Ok(())
}

/// Acknowledged writes a second: one message in each call.
async fn writes(is_encrypted: bool, arguments: &Arguments, time: Duration) -> anyhow::Result<()> {
    let Arguments { shards, clients, filled, .. } = arguments;
    let kind = if is_encrypted { "encrypted" } else { "in the clear" };
    println!("store {kind}, one message in each call, acknowledged once it is durable:");
    for &shards in shards {
        for &clients in clients {
            // Its files have grown as far as that of the ceiling has: what a write costs depends on how much
            // of them the cache holds.
            let store = BenchStore::start(is_encrypted).await?;
            load::fill(&store, *filled).await?;
            let before = store.cost().await?;
            let rate = load::writes(&store, shards, clients, time).await?;
            let cost = store.cost().await?.since(&before);
            let empty = load::empty_calls(&store, clients, time).await?;
            let group = cost.median_group();
            let statements = ceiling::rate(&store, group, *filled, time)?;
            let bound = statements.min(empty);
            println!(
                "  {shards:>2} shards, {clients:>3} clients: {rate:>6.0}/s, {:.0} % of the lower of \
                 {statements:.0} statements/s (in groups of {group}) and {empty:.0} empty calls/s; \
                 {:.0} µs of CPU each; {} MiB of memory",
                rate / bound * 100.0,
                cost.cpu_seconds / (rate * time.as_secs_f64()) * 1e6,
                resident_mib(store.process())?,
            );
        }
    }
    println!();
    Ok(())
}

/// Ingestion of a large shard, how long the newest 50 messages of its channels take to read, and how long
/// its guild waits while it goes to another store.
async fn reads(messages: u64, in_the_clear: bool, time: Duration) -> anyhow::Result<()> {
    // What encryption costs is seen in a shard of a tenth, too.
    let shards = if in_the_clear {
        vec![(false, messages), (true, messages)]
    } else {
        vec![(false, messages / 10), (true, messages / 10), (true, messages)]
    };
    for (is_encrypted, messages) in shards {
        let kind = if is_encrypted { "encrypted" } else { "in the clear" };
        let store = BenchStore::start(is_encrypted).await?;
        let rate = load::fill(&store, messages).await?;
        println!("store {kind}: took {messages} messages in, in batches, at {rate:.0}/s");
        // Systems page out what was written minutes ago: the store is measured, and not the disk.
        std::io::copy(&mut File::open(store.shard_file(0))?, &mut std::io::sink())?;
        for clients in [1, 8] {
            let mut times = load::contexts(&store, messages, clients, time).await?;
            times.sort_unstable();
            // Of a thousand.
            let at = |share: usize| {
                times[(times.len() * share / 1_000).min(times.len() - 1)].as_secs_f64() * 1e3
            };
            println!(
                "  newest 50 messages of one of {} channels, {clients} at a time: p50 {:.2} ms, \
                 p99 {:.2} ms, p99.9 {:.2} ms of {} reads",
                messages::CHANNELS,
                at(500),
                at(990),
                at(999),
                times.len()
            );
        }
        println!("  memory: {} MiB", resident_mib(store.process())?);
        let moved = moves::measure(&store, messages).await?;
        println!(
            "  moved to another store, {} MiB in {:.1} s: writes held for {} ms, reads for {} ms; the \
             slowest write took {} ms, the slowest read {} ms\n",
            moved.bytes >> 20,
            moved.took.as_secs_f64(),
            moved.writes_held_ms,
            moved.reads_held_ms,
            moved.slowest_write.as_millis(),
            moved.slowest_read.as_millis(),
        );
    }
    Ok(())
}
