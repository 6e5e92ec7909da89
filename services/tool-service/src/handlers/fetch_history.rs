use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker},
};

use ery_proto::tool::v1::{FetchHistoryRequest, FetchHistoryResponse};

use super::channel_key;
use crate::{
    adapters::discord::{Method, Request, RestError, wire::RawMessage},
    domain::{flow, permissions},
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
    if let Some(guild) = channel.guild() {
        refuse_hidden(shared, guild, channel.channel).await?;
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
    let raw: Vec<&RawValue> = answer.json()?;
    let mut read = Vec::with_capacity(raw.len());
    for raw in raw {
        let message: RawMessage = serde_json::from_str(raw.get())
            .map_err(|source| RestError::Unreadable { status: answer.status, source })?;
        read.push((message, raw));
    }
    read.sort_unstable_by_key(|(message, _)| message.id);
    let bot = shared.guilds.bot().await?;
    let mut response = FetchHistoryResponse::default();
    for (message, raw) in read {
        let member =
            channel.guild().and_then(|guild| shared.guilds.known_member(guild, message.author.id));
        let name = member.as_ref().map(|member| member.name().to_owned());
        if request.with_payloads {
            response.payloads.push(as_dispatched(raw.get(), channel.guild()));
        }
        response.messages.push(message.into_message(channel.guild(), name.as_deref(), bot));
    }
    Ok(response)
}

/// Refuses a channel that is not the guild's, or that Ery may not read: Discord need not be asked.
async fn refuse_hidden(
    shared: &Shared,
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
) -> Result<(), CallError> {
    let refused = |status, code| Err(CallError::Discord(RestError::Refused { status, code }));
    if shared.guilds.channel(guild, channel).await?.is_none() {
        return refused(404, 10_003);
    }
    let state = shared.guilds.state(guild, &[]).await?;
    match (state.channel(channel), state.member(state.bot)) {
        (Some(channel), Some(bot)) => {
            let now = shared.clock.now();
            let may = permissions::in_channel(&state.guild, bot, channel, now);
            if may.contains(flow::TO_READ) { Ok(()) } else { refused(403, 50_001) }
        }
        // An archived thread: Discord tells.
        (None, _) | (_, None) => Ok(()),
    }
}

/// Writes a message of REST's as a dispatch has it, which names the guild.
fn as_dispatched(message: &str, guild: Option<Id<GuildMarker>>) -> Vec<u8> {
    let names_guild =
        serde_json::from_str(message).is_ok_and(|Placed { guild_id }| guild_id.is_some());
    match (guild, message.strip_prefix('{')) {
        (Some(guild), Some(rest)) if !names_guild => {
            format!(r#"{{"guild_id":"{guild}",{rest}"#).into_bytes()
        }
        _ => message.as_bytes().to_vec(),
    }
}

#[derive(Deserialize)]
struct Placed {
    guild_id: Option<IgnoredAny>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_guild_as_a_dispatch_does() {
        let told = as_dispatched(r#"{"id":"5","content":"hi"}"#, Some(Id::new(7)));
        assert_eq!(told, br#"{"guild_id":"7","id":"5","content":"hi"}"#);
        assert_eq!(as_dispatched(r#"{"id":"5"}"#, None), br#"{"id":"5"}"#);
        let named = r#"{"id":"5","guild_id":"7"}"#;
        assert_eq!(as_dispatched(named, Some(Id::new(7))), named.as_bytes());
        // The one that it replies to may name it; that is no matter.
        let reply = r#"{"message_reference":{"guild_id":"7"}}"#;
        let told = as_dispatched(reply, Some(Id::new(7)));
        assert_eq!(told, br#"{"guild_id":"7","message_reference":{"guild_id":"7"}}"#);
    }
}
