use ery_proto::tool::v1::{FetchHistoryRequest, FetchHistoryResponse};

use super::channel_key;
use crate::{
    adapters::discord::{Method, Request, RestError, wire::RawMessage},
    error::CallError,
    service::Shared,
};

/// The most that Discord gives at once.
const MAX_MESSAGES: u32 = 100;

/// Reads a channel's messages by REST; behind everything that somebody waits for.
pub(super) async fn handle(
    shared: &Shared,
    request: &FetchHistoryRequest,
) -> Result<FetchHistoryResponse, CallError> {
    let channel = channel_key(request.guild_id, request.channel_id)?;
    if let Some(guild) = channel.guild()
        && shared.guilds.channel(guild, channel.channel).await?.is_none()
    {
        return Err(CallError::Discord(RestError::Refused { status: 404, code: 10_003 }));
    }
    let limit = match request.limit {
        0 => MAX_MESSAGES,
        limit => limit.min(MAX_MESSAGES),
    };
    let before = match request.before {
        0 => String::new(),
        before => format!("&before={before}"),
    };
    let route = format!("channels/{}/messages", channel.channel);
    let path = format!("{route}?limit={limit}{before}");
    let rest = Request::new(Method::Get, route, path, channel.home.key(), shared.discord.send_by());
    let answer = shared.discord.repeatedly(&rest.in_background()).await?;
    let mut messages: Vec<RawMessage> = answer.json()?;
    messages.sort_unstable_by_key(|message| message.id);
    let bot = shared.guilds.bot().await?;
    let messages = messages.into_iter().map(|message| {
        let member =
            channel.guild().and_then(|guild| shared.guilds.known_member(guild, message.author.id));
        let name = member.as_ref().map(|member| member.name().to_owned());
        message.into_message(channel.guild(), name.as_deref(), bot)
    });
    Ok(FetchHistoryResponse { messages: messages.collect() })
}
