//! Lists of one channel, of one guild, or of every shard.

use std::future::Future;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::SqlitePool;
use twilight_model::id::{Id, marker::ChannelMarker};

use ery_ids::{ChannelKey, Home, StoreShard};

use super::parse::{Invalid, optional_id};
use crate::{adapters::read::Scope, error::StoreError, service::Inner};

/// How many shards are read at once for one list.
const SHARDS_AT_ONCE: usize = 4;

/// Reads whose rows are asked for: guild and channel, each 0 for any.
pub(super) fn parse(guild_id: u64, channel_id: u64) -> Result<Scope, Invalid> {
    let guild = optional_id("guild_id", guild_id)?;
    let channel: Option<Id<ChannelMarker>> = optional_id("channel_id", channel_id)?;
    Ok(match (guild, channel) {
        (_, Some(channel)) => Scope::Channel(ChannelKey::new(guild, channel)),
        (Some(guild), None) => Scope::Home(Home::Guild(guild)),
        (None, None) => Scope::All,
    })
}

/// Returns how many rows are wanted: 0 for as many as there may be.
pub(super) fn limit(asked: u32, max: u32) -> u32 {
    if asked == 0 { max } else { asked.min(max) }
}

/// Reads a list from the shard of its scope, or from all of them; what comes of several shards is
/// in no order.
pub(super) async fn read<T, F, R>(
    store: &Inner,
    scope: Scope,
    read: F,
) -> Result<Vec<T>, StoreError>
where
    F: Fn(StoreShard, SqlitePool) -> R,
    R: Future<Output = Result<Vec<T>, StoreError>>,
{
    let home = match scope {
        Scope::Channel(channel) => channel.home,
        Scope::Home(home) => home,
        Scope::All => {
            let read = &read;
            let lists: Vec<Vec<T>> = stream::iter(store.shards.all_existing())
                .map(|shard| async move {
                    let open = match store.shards.open(shard).await {
                        Ok(open) => open,
                        // One that is damaged must not hide the others.
                        Err(StoreError::Quarantined { .. }) => return Ok(Vec::new()),
                        // One that has just gone is in the other store's list.
                        Err(StoreError::Elsewhere { .. } | StoreError::Moving { .. }) => {
                            return Ok(Vec::new());
                        }
                        Err(error) => return Err(error),
                    };
                    open.read(read(shard, open.readers().clone())).await
                })
                .buffer_unordered(SHARDS_AT_ONCE)
                .try_collect()
                .await?;
            return Ok(lists.into_iter().flatten().collect());
        }
    };
    match store.shards.existing(home).await? {
        Some(open) => open.read(read(store.shards.shard_of(home), open.readers().clone())).await,
        None => Ok(Vec::new()),
    }
}
