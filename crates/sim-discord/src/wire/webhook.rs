use bytes::Bytes;
use serde::Serialize;

use super::{UserView, render};
use crate::domain::{ApplicationId, ChannelId, GuildId, Webhook, WebhookId, World};

/// How much of a webhook is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WebhookDetail {
    /// With its token.
    Whole,
    /// With its token, to whoever has that: without who made it.
    ByToken,
    WithoutToken,
    /// As the log tells it.
    Redacted,
}

#[derive(Debug, Serialize)]
pub(crate) struct WebhookView<'a> {
    application_id: Option<ApplicationId>,
    avatar: Option<&'a str>,
    channel_id: ChannelId,
    guild_id: GuildId,
    id: WebhookId,
    name: &'a str,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

impl<'a> WebhookView<'a> {
    pub(crate) fn new(world: &'a World, webhook: &'a Webhook, detail: WebhookDetail) -> Self {
        let token = match detail {
            WebhookDetail::Whole | WebhookDetail::ByToken => Some(webhook.token.as_str()),
            WebhookDetail::WithoutToken => None,
            WebhookDetail::Redacted => Some("<redacted>"),
        };
        let shows_url = detail != WebhookDetail::Redacted;
        let creator = webhook.creator.filter(|_| detail != WebhookDetail::ByToken);
        Self {
            application_id: webhook.application,
            avatar: webhook.avatar.as_deref(),
            channel_id: webhook.channel,
            guild_id: webhook.guild,
            id: webhook.id,
            name: &webhook.name,
            kind: 1,
            user: creator.map(|creator| UserView::of(world, creator)),
            token,
            url: token
                .filter(|_| shows_url)
                .map(|token| format!("{}/api/webhooks/{}/{token}", world.origin, webhook.id)),
        }
    }
}

#[derive(Serialize)]
struct WebhooksUpdate {
    guild_id: GuildId,
    channel_id: ChannelId,
}

/// Returns the `d` of `WEBHOOKS_UPDATE`.
pub(crate) fn webhooks_update(guild: GuildId, channel: ChannelId) -> Bytes {
    render(&WebhooksUpdate { guild_id: guild, channel_id: channel })
}
