use ery_proto::store::v1::{ExplainMessageRequest, ExplainMessageResponse, KnownMessage};

use super::{parse, render, scope};
use crate::{
    adapters::{
        explained::{self, Part},
        read::Scope,
    },
    error::StoreError,
    service::Inner,
};

#[tracing::instrument(name = "store.message.explain", level = "debug", skip_all)]
pub(super) async fn handle(
    store: &Inner,
    request: ExplainMessageRequest,
) -> Result<ExplainMessageResponse, StoreError> {
    let scope = scope::parse(request.guild_id, request.channel_id)?;
    let id = parse::id("message_id", request.message_id)?;
    let found = scope::read(store, scope, |_, readers| async move {
        let channel = match &scope {
            Scope::Channel(channel) => Some(channel),
            Scope::Home(_) | Scope::All => None,
        };
        Ok(explained::message(&readers, channel, id).await?.into_iter().collect())
    })
    .await?;
    // A shard is home to many guilds: another one's message is not explained.
    let found = found.into_iter().find(|found| match scope {
        Scope::Home(home) => found.message.channel.home == home,
        Scope::Channel(_) | Scope::All => true,
    });
    let Some(found) = found else { return Ok(ExplainMessageResponse::default()) };
    let message = found.message;
    let message = KnownMessage {
        guild_id: message.channel.guild_raw(),
        channel_id: message.channel.channel.get(),
        message_id: message.id.get(),
        author_id: message.author,
        is_own: message.is_own,
        is_automated: message.is_automated,
        is_deleted: message.is_deleted,
        gate_reason: message.gate_reason,
        content_bytes: message.content_bytes,
        created_at_ms: message.created_at.0,
    };
    let (thread, sent_by) = match found.part {
        Part::None => (None, None),
        Part::Trigger(thread) => (Some(*thread), None),
        Part::Sent(execution, thread) => (thread.map(|thread| *thread), Some(*execution)),
    };
    Ok(ExplainMessageResponse {
        message: Some(message),
        thread: thread.map(render::thread),
        sent_by: sent_by.map(render::execution),
    })
}
