//! A guild's threads, as Discord lists them.

use serde::Deserialize;
use serde_json::json;
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, UserMarker},
    },
};

use super::Run;
use crate::adapters::discord::{Answer, Method, Request, RestError};

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

/// Discord's answer where a thread is put away.
const ARCHIVED: u64 = 50_083;

/// Makes a request in a channel; in a thread that is put away, once that is brought back, where Ery
/// and whoever asks may do that.
pub(super) async fn repeatedly(
    request: &Request,
    channel: Id<ChannelMarker>,
    run: &Run<'_>,
) -> Result<Answer, RestError> {
    match run.discord.repeatedly(request).await {
        Err(RestError::Refused { code: ARCHIVED, status }) => {
            if bring_back(channel, run).await? {
                run.discord.repeatedly(request).await
            } else {
                Err(RestError::Refused { code: ARCHIVED, status })
            }
        }
        answered => answered,
    }
}

async fn bring_back(thread: Id<ChannelMarker>, run: &Run<'_>) -> Result<bool, RestError> {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        locked: bool,
    }
    #[derive(Deserialize)]
    struct Thread {
        thread_metadata: Option<Metadata>,
    }
    let Some(known) = run.state.and_then(|state| state.channel(thread)) else { return Ok(false) };
    let path = format!("channels/{thread}");
    let ask =
        |method| Request::new(method, path.clone(), path.clone(), run.home.key(), run.send_by);
    let now: Thread = run.discord.repeatedly(&ask(Method::Get)).await?.json()?;
    let is_locked = now.thread_metadata.is_some_and(|metadata| metadata.locked);
    // Whoever may write in a thread may bring it back; one that is locked only who manages threads.
    let one_of: &[Permissions] = if is_locked {
        &[Permissions::MANAGE_THREADS]
    } else {
        &[Permissions::SEND_MESSAGES_IN_THREADS, Permissions::MANAGE_THREADS]
    };
    let may =
        one_of.iter().any(|wanted| run.bot_may(thread, *wanted)) && run.all_have_in(known, one_of);
    if may {
        let request =
            ask(Method::Patch).json(&json!({ "archived": false })).reason(run.audit_reason);
        run.discord.repeatedly(&request).await?;
    }
    Ok(may)
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
