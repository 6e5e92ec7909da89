//! What forwards show, as it stands in a world file.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ChannelId, GuildId, Message, MessageId, MessageKind, Reference, UserId, embeds};
use crate::wire::{Iso, parse_iso};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ForwardedFile {
    channel_id: ChannelId,
    message_id: MessageId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    author_id: UserId,
    content: String,
    /// When it was said, where that is not when `message_id` was made: of a forward of a forward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    original_id: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited_timestamp: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    embeds: Vec<Value>,
}

impl ForwardedFile {
    pub(super) fn new(message: &Message) -> Option<Self> {
        let (reference, shown) = (message.reference?, message.snapshot.as_deref()?);
        let message_id = reference.message?;
        Some(Self {
            channel_id: reference.channel,
            message_id,
            guild_id: reference.guild,
            author_id: shown.author,
            content: shown.content.clone(),
            original_id: Some(shown.id).filter(|id| *id != message_id),
            edited_timestamp: shown.edited_at.map(|at| Iso(at).to_string()),
            embeds: shown.embeds.clone(),
        })
    }

    pub(super) fn read(self) -> Result<(Reference, Box<Message>), String> {
        let (channel, guild) = (self.channel_id, self.guild_id);
        let reference = Reference { message: Some(self.message_id), channel, guild };
        let edited_at = self.edited_timestamp.map(|text| {
            parse_iso(&text).ok_or_else(|| format!("`{text}`, which is no moment in ISO 8601"))
        });
        let embeds = embeds::accept(self.embeds)
            .map_err(|refusal| format!("what has a wrong embed: {refusal}"))?;
        let id = self.original_id.unwrap_or(self.message_id);
        let shown = Message {
            content: self.content,
            edited_at: edited_at.transpose()?,
            embeds,
            ..Message::new(id, channel, guild, self.author_id, MessageKind::DEFAULT)
        };
        Ok((reference, Box::new(shown)))
    }
}
