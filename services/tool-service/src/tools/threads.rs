//! A guild's threads, as Discord lists them.

use serde::Deserialize;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, UserMarker},
};

use super::Run;
use crate::adapters::discord::{Method, Request, RestError};

/// A thread of a list.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    pub(super) id: Id<ChannelMarker>,
    #[serde(rename = "type")]
    pub(super) kind: u8,
    pub(super) name: Option<String>,
    pub(super) parent_id: Option<Id<ChannelMarker>>,
    pub(super) owner_id: Option<Id<UserMarker>>,
    #[serde(default)]
    pub(super) message_count: u64,
}

#[derive(Deserialize)]
struct List {
    threads: Vec<Listed>,
}

/// Returns the threads of a guild that are not archived.
pub(super) async fn active(
    guild: Id<GuildMarker>,
    run: &Run<'_>,
) -> Result<Vec<Listed>, RestError> {
    read(format!("guilds/{guild}/threads/active"), String::new(), run).await
}

/// Returns the latest public threads of a channel that are archived.
pub(super) async fn archived(
    channel: Id<ChannelMarker>,
    limit: usize,
    run: &Run<'_>,
) -> Result<Vec<Listed>, RestError> {
    let route = format!("channels/{channel}/threads/archived/public");
    read(route, format!("?limit={limit}"), run).await
}

async fn read(route: String, query: String, run: &Run<'_>) -> Result<Vec<Listed>, RestError> {
    let path = format!("{route}{query}");
    let send_by = run.discord.send_by();
    let request = Request::new(Method::Get, route, path, run.home.key(), send_by);
    Ok(run.discord.repeatedly(&request).await?.json::<List>()?.threads)
}
