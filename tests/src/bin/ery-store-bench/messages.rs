//! What is written: messages such as people say, the same in every run but for when they were said.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use ery_proto::{
    common::v1::Message,
    store::v1::{IngestEvent, ingest_event::Change},
};

/// How many channels of a large shard messages are said in.
pub(crate) const CHANNELS: u64 = 2_000;

/// How long ago the first message was said; then comes one each millisecond. Nothing of it is past its
/// time, so that no sweep is measured.
const AGO: Duration = Duration::from_hours(24);

static FIRST_MS: LazyLock<u64> = LazyLock::new(|| {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.saturating_sub(AGO).as_millis()).unwrap_or_default()
});

/// Discord's epoch, in Unix milliseconds.
const DISCORD_EPOCH_MS: u64 = 1_420_070_400_000;

const WORDS: [&str; 24] = [
    "pizza",
    "tonight",
    "server",
    "who",
    "wants",
    "to",
    "play",
    "the",
    "new",
    "map",
    "after",
    "work",
    "it",
    "was",
    "great",
    "yesterday",
    "screenshot",
    "thanks",
    "for",
    "helping",
    "with",
    "my",
    "build",
    "question",
];

/// Returns the guild whose data lies in this of the store's shards.
pub(crate) fn guild(shard: usize) -> u64 {
    (1_u64 << 30) + ((shard as u64) << 22) + 1
}

/// Returns the event of the `index`th message of a guild.
pub(crate) fn event(guild: u64, index: u64) -> IngestEvent {
    let message = message(guild, index);
    IngestEvent {
        event_id: format!("message_create:{}", message.message_id),
        guild_id: guild,
        channel_id: message.channel_id,
        change: Some(Change::Created(message)),
    }
}

pub(crate) fn channel(guild: u64, index: u64) -> u64 {
    guild + 1 + index % CHANNELS
}

fn message(guild: u64, index: u64) -> Message {
    let at_ms = *FIRST_MS + index;
    let author = index % 500;
    let content: Vec<&str> = (0..6 + index % 13)
        .map(|word| {
            let mixed = (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (word % 32);
            WORDS[usize::try_from(mixed % 24).unwrap_or_default()]
        })
        .collect();
    Message {
        guild_id: guild,
        channel_id: channel(guild, index),
        message_id: (at_ms - DISCORD_EPOCH_MS) << 22,
        author_id: 9_000_000 + author,
        author_name: format!("member {author}"),
        content: content.join(" "),
        created_at_ms: i64::try_from(at_ms).unwrap_or_default(),
        ..Message::default()
    }
}
