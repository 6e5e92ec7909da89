use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{ChannelView, MemberView, MessageView, RoleView, Sight, UserView, render};
use crate::domain::{
    ApplicationId, Channel, ChannelId, CommandKind, EPHEMERAL, GuildId, Interaction, InteractionId,
    InteractionKind, LOADING, MessageId, Origin, Resolved, UserId, World, callback,
};

/// What a person may attach.
const ATTACHMENT_SIZE_LIMIT: u64 = 10 * 1024 * 1024;
const LOCALE: &str = "en-US";

#[derive(Serialize)]
struct InteractionCreate<'a> {
    id: InteractionId,
    application_id: ApplicationId,
    #[serde(rename = "type")]
    kind: u8,
    token: &'a str,
    version: u8,
    data: &'a Value,
    channel_id: ChannelId,
    channel: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_id: Option<GuildId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild: Option<PartialGuild>,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<PermittedMember<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageView<'a>>,
    locale: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    guild_locale: Option<&'static str>,
    app_permissions: String,
    context: u8,
    authorizing_integration_owners: Value,
    entitlements: [(); 0],
    entitlement_sku_ids: [(); 0],
    attachment_size_limit: u64,
}

#[derive(Serialize)]
struct PartialGuild {
    id: GuildId,
    locale: &'static str,
    features: [(); 0],
}

#[derive(Serialize)]
struct PermittedMember<'a> {
    #[serde(flatten)]
    member: MemberView<'a>,
    permissions: String,
}

fn rights(world: &World, channel: &Channel, user: UserId, now: UnixMillis) -> Permissions {
    world.permissions_in(channel, user, now).unwrap_or(Permissions::empty())
}

/// Tells by whom the application was installed: the guild, or in a direct message nobody.
fn owners(guild: Option<GuildId>) -> Value {
    json!({ "0": guild.map_or_else(|| "0".to_owned(), |guild| guild.to_string()) })
}

/// Returns the `d` of `INTERACTION_CREATE`.
pub(crate) fn interaction_create(
    world: &World,
    interaction: &Interaction,
    data: &Value,
    message: Option<MessageId>,
    now: UnixMillis,
) -> Bytes {
    let Some(channel) = world.channels.get(&interaction.channel) else { return Bytes::new() };
    let user_rights = rights(world, channel, interaction.user, now);
    let member = interaction.guild.and_then(|guild| world.member(guild, interaction.user));
    let mut shown_channel = match interaction.guild {
        Some(_) => json!(ChannelView::new(channel)),
        None => json!(super::dm_channel(world, channel, interaction.bot)),
    };
    shown_channel["permissions"] = json!(user_rights.bits().to_string());
    let message = message.and_then(|id| world.any_message(interaction.channel, id));
    render(&InteractionCreate {
        id: interaction.id,
        application_id: interaction.application,
        kind: interaction.kind.0,
        token: &interaction.token,
        version: 1,
        data,
        channel_id: interaction.channel,
        channel: shown_channel,
        guild_id: interaction.guild,
        guild: interaction.guild.map(|id| PartialGuild { id, locale: LOCALE, features: [] }),
        member: member.map(|member| PermittedMember {
            member: MemberView::new(world, member),
            permissions: user_rights.bits().to_string(),
        }),
        user: member.is_none().then(|| UserView::of(world, interaction.user)),
        message: message.map(|message| MessageView::rest(world, message, None, Sight::Full)),
        locale: interaction.locale,
        guild_locale: interaction.guild.map(|_| LOCALE),
        app_permissions: rights(world, channel, interaction.bot, now).bits().to_string(),
        context: u8::from(interaction.guild.is_none()),
        authorizing_integration_owners: owners(interaction.guild),
        entitlements: [],
        entitlement_sku_ids: [],
        attachment_size_limit: ATTACHMENT_SIZE_LIMIT,
    })
}

/// Returns whom and what an interaction names, by their ids.
pub(crate) fn resolved(
    world: &World,
    resolved: &Resolved,
    channel: &Channel,
    user: UserId,
    now: UnixMillis,
) -> Value {
    let guild = channel.guild.and_then(|guild| world.guilds.get(&guild));
    let mut parts: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
    let mut add = |part: &'static str, id: String, value: Value| {
        parts.entry(part).or_default().insert(id, value);
    };
    for id in &resolved.users {
        add("users", id.to_string(), json!(UserView::of(world, *id)));
        if let Some(member) = guild.and_then(|guild| guild.members.get(id)) {
            let mut told = json!(MemberView::partial(member));
            told["permissions"] = json!(rights(world, channel, *id, now).bits().to_string());
            add("members", id.to_string(), told);
        }
    }
    for id in &resolved.roles {
        if let Some(role) = guild.and_then(|guild| guild.roles.get(id)) {
            add("roles", id.to_string(), json!(RoleView::new(role)));
        }
    }
    for id in &resolved.channels {
        if let Some(found) = world.channels.get(id) {
            let mut told = json!(ChannelView::new(found));
            told["permissions"] = json!(rights(world, found, user, now).bits().to_string());
            add("channels", id.to_string(), told);
        }
    }
    for id in &resolved.messages {
        if let Some(message) = world.any_message(channel.id, *id) {
            let told = MessageView::rest(world, message, None, Sight::Full);
            add("messages", id.to_string(), json!(told));
        }
    }
    for file in &resolved.attachments {
        add("attachments", file.id.to_string(), json!(super::message::AttachmentView::new(file)));
    }
    json!(parts)
}

/// Where a message came from.
#[derive(Debug, Serialize)]
pub(super) struct OriginView<'a> {
    id: InteractionId,
    #[serde(rename = "type")]
    kind: u8,
    user: UserView<'a>,
    authorizing_integration_owners: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    original_response_message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interacted_message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_user: Option<UserView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    triggering_interaction_metadata: Option<Box<OriginView<'a>>>,
}

impl<'a> OriginView<'a> {
    pub(super) fn new(world: &'a World, origin: &'a Origin) -> Self {
        let trigger = origin.trigger.as_deref();
        Self {
            id: origin.id,
            kind: origin.kind.0,
            user: UserView::of(world, origin.user),
            authorizing_integration_owners: owners(origin.guild),
            name: origin.command.as_deref(),
            original_response_message_id: origin.original,
            interacted_message_id: origin.interacted,
            target_user: origin.target_user.map(|user| UserView::of(world, user)),
            target_message_id: origin.target_message,
            triggering_interaction_metadata: trigger
                .map(|trigger| Box::new(OriginView::new(world, trigger))),
        }
    }
}

/// The same as before 2024, of commands only.
#[derive(Debug, Serialize)]
pub(super) struct LegacyOriginView<'a> {
    id: InteractionId,
    #[serde(rename = "type")]
    kind: u8,
    name: &'a str,
    user: UserView<'a>,
}

impl<'a> LegacyOriginView<'a> {
    pub(super) fn new(world: &'a World, origin: &'a Origin) -> Option<Self> {
        let name = origin.command.as_deref()?;
        Some(Self {
            id: origin.id,
            kind: origin.kind.0,
            name,
            user: UserView::of(world, origin.user),
        })
    }
}

/// Returns what answers an answer, where `with_response` asks for it.
pub(crate) fn callback_response(world: &World, interaction: &Interaction) -> Value {
    let answer = interaction.answer.as_ref();
    let message = answer.and_then(|answer| answer.message);
    let message = message.and_then(|id| world.any_message(interaction.channel, id));
    let mut told = json!({ "id": interaction.id, "type": interaction.kind.0 });
    let number = answer.map_or(0, |answer| answer.callback);
    if let Some(message) = message {
        told["response_message_id"] = json!(message.id);
        told["response_message_loading"] = json!(message.flags & LOADING != 0);
        told["response_message_ephemeral"] = json!(message.flags & EPHEMERAL != 0);
    }
    let mut response = json!({ "interaction": told });
    if let (Some(message), callback::MESSAGE | callback::UPDATE) = (message, number) {
        let view = MessageView::rest(world, message, None, Sight::Full);
        response["resource"] = json!({ "type": number, "message": view });
    }
    response
}

/// Returns an interaction as the control API tells it.
pub(crate) fn interaction_state(
    world: &World,
    interaction: &Interaction,
    now: UnixMillis,
) -> Value {
    let shown = |id: &MessageId| {
        let message = world.any_message(interaction.channel, *id)?;
        Some(MessageView::rest(world, message, None, Sight::Full))
    };
    let kind = match (interaction.kind, interaction.command) {
        (InteractionKind::AUTOCOMPLETE, _) => "autocomplete",
        (InteractionKind::COMPONENT, _) => "component",
        (InteractionKind::MODAL, _) => "modal",
        (_, Some((_, CommandKind::SLASH))) => "command",
        _ => "menu_command",
    };
    let state = match &interaction.answer {
        Some(_) => "answered",
        None if interaction.can_be_answered(now) => "waiting",
        None => "expired",
    };
    let mut told = json!({
        "id": interaction.id,
        "application_id": interaction.application,
        "kind": kind,
        "type": interaction.kind.0,
        "user_id": interaction.user,
        "channel_id": interaction.channel,
        "guild_id": interaction.guild,
        "state": state,
        "response": null,
        "followups": interaction.followups.iter().filter_map(shown).collect::<Vec<_>>(),
    });
    if let Some(answer) = &interaction.answer {
        told["response"] = json!({ "type": answer.callback });
        if let Some(message) = answer.message.as_ref() {
            told["response"]["message_id"] = json!(message);
            told["response"]["message"] = json!(shown(message));
        }
        match (answer.callback, &answer.data) {
            (callback::CHOICES, Some(data)) => told["response"]["choices"] = data.clone(),
            (callback::MODAL, Some(data)) => told["response"]["modal"] = data.clone(),
            _ => {}
        }
    }
    told
}
