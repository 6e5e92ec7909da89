//! Webhooks in a world file, and as whom they spoke.

use serde::{Deserialize, Serialize};

use ery_clock::UnixMillis;

use crate::domain::{
    ApplicationId, ChannelId, Guild, GuildId, Persona, UserId, Webhook, WebhookId, World,
};

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookFile {
    id: WebhookId,
    channel_id: ChannelId,
    name: String,
    /// The hash of its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
    token: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    creator_id: Option<UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application_id: Option<ApplicationId>,
}

/// As whom a webhook said a message, whose author is then the webhook's id.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonaFile {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    avatar: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) application_id: Option<ApplicationId>,
}

impl PersonaFile {
    pub(super) fn new(persona: &Persona, application_id: Option<ApplicationId>) -> Self {
        Self { name: persona.name.clone(), avatar: persona.avatar.clone(), application_id }
    }

    pub(super) fn read(self) -> Persona {
        Persona { name: self.name, avatar: self.avatar }
    }
}

impl World {
    pub(super) fn webhook_files(&self, guild: GuildId) -> Vec<WebhookFile> {
        let of_guild = self.webhooks.values().filter(|webhook| webhook.guild == guild);
        let file = |webhook: &Webhook| WebhookFile {
            id: webhook.id,
            channel_id: webhook.channel,
            name: webhook.name.clone(),
            avatar: webhook.avatar.clone(),
            token: webhook.token.clone(),
            creator_id: webhook.creator,
            application_id: webhook.application,
        };
        of_guild.map(file).collect()
    }

    pub(super) fn load_webhook(
        &mut self,
        guild: &Guild,
        file: WebhookFile,
        now: UnixMillis,
    ) -> Result<(), String> {
        let id = file.id;
        if self.webhooks.contains_key(&id) || self.bot_of(id.cast()).is_some() {
            return Err(format!("the id of the webhook {id} is another's"));
        }
        if file.token.is_empty() {
            return Err(format!("the token of the webhook {id} is empty"));
        }
        if !guild.channels.contains(&file.channel_id) {
            return Err(format!(
                "the webhook {id} is of the channel {}, which is not there",
                file.channel_id
            ));
        }
        self.mint.observe(id, now);
        let webhook = Webhook {
            id,
            guild: guild.id,
            channel: file.channel_id,
            name: file.name,
            avatar: file.avatar,
            token: file.token,
            creator: file.creator_id,
            application: file.application_id,
        };
        self.webhooks.insert(id, webhook);
        Ok(())
    }
}
