use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;

use super::{Iso, UserView, render};
use crate::domain::{ChannelId, GuildId, Invite, World};

type Null = Option<()>;

/// How much of an invite is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InviteDetail {
    /// What whoever has the code may know, with the guild's counts or without.
    Public { with_counts: bool },
    /// Also how it is used.
    Managed,
}

#[derive(Debug, Serialize)]
pub(crate) struct InviteView<'a> {
    #[serde(rename = "type")]
    kind: u8,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    inviter: Option<UserView<'a>>,
    expires_at: Option<Iso>,
    flags: u32,
    guild: InviteGuild<'a>,
    guild_id: GuildId,
    channel: InviteChannel<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_member_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    approximate_presence_count: Option<usize>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    use_: Option<InviteUse>,
}

/// How an invite is used.
#[derive(Debug, Serialize)]
struct InviteUse {
    uses: u32,
    max_uses: u32,
    max_age: u32,
    temporary: bool,
    created_at: Iso,
}

impl InviteUse {
    fn new(invite: &Invite) -> Self {
        Self {
            uses: invite.uses,
            max_uses: invite.max_uses,
            max_age: invite.max_age,
            temporary: invite.is_temporary,
            created_at: Iso(invite.created),
        }
    }
}

#[derive(Debug, Serialize)]
struct InviteGuild<'a> {
    id: GuildId,
    name: &'a str,
    splash: Null,
    banner: Null,
    description: Option<&'a str>,
    icon: Null,
    features: &'a BTreeSet<String>,
    verification_level: u8,
    vanity_url_code: Null,
    nsfw_level: u8,
    nsfw: bool,
    premium_subscription_count: u32,
    premium_tier: u8,
}

#[derive(Debug, Serialize)]
struct InviteChannel<'a> {
    id: ChannelId,
    #[serde(rename = "type")]
    kind: u8,
    name: &'a str,
}

impl<'a> InviteView<'a> {
    /// Returns an invite; none if its guild or channel is gone.
    pub(crate) fn new(world: &'a World, invite: &'a Invite, detail: InviteDetail) -> Option<Self> {
        let guild = world.guilds.get(&invite.guild)?;
        let channel = world.channels.get(&invite.channel)?;
        let with_counts = detail == InviteDetail::Public { with_counts: true };
        let count = with_counts.then_some(guild.members.len());
        Some(Self {
            kind: 0,
            code: &invite.code,
            inviter: invite.inviter.map(|inviter| UserView::of(world, inviter)),
            expires_at: invite.expires().map(Iso),
            flags: 0,
            guild: InviteGuild {
                id: guild.id,
                name: &guild.name,
                splash: None,
                banner: None,
                description: guild.description.as_deref(),
                icon: None,
                features: &guild.settings.features,
                verification_level: guild.settings.verification_level,
                vanity_url_code: None,
                nsfw_level: 0,
                nsfw: false,
                premium_subscription_count: 0,
                premium_tier: 0,
            },
            guild_id: guild.id,
            channel: InviteChannel { id: channel.id, kind: channel.kind.0, name: &channel.name },
            approximate_member_count: count,
            approximate_presence_count: with_counts.then(|| world.online_in(guild).len()),
            use_: (detail == InviteDetail::Managed).then(|| InviteUse::new(invite)),
        })
    }
}

#[derive(Serialize)]
struct InviteCreated<'a> {
    #[serde(rename = "type")]
    kind: u8,
    code: &'a str,
    guild_id: GuildId,
    channel_id: ChannelId,
    #[serde(skip_serializing_if = "Option::is_none")]
    inviter: Option<UserView<'a>>,
    expires_at: Option<Iso>,
    #[serde(flatten)]
    use_: InviteUse,
}

#[derive(Serialize)]
struct InviteDeleted<'a> {
    code: &'a str,
    guild_id: GuildId,
    channel_id: ChannelId,
}

/// Returns the `d` of `INVITE_CREATE`.
pub(crate) fn invite_create(world: &World, invite: &Invite) -> Bytes {
    render(&InviteCreated {
        kind: 0,
        code: &invite.code,
        guild_id: invite.guild,
        channel_id: invite.channel,
        inviter: invite.inviter.map(|inviter| UserView::of(world, inviter)),
        expires_at: invite.expires().map(Iso),
        use_: InviteUse::new(invite),
    })
}

/// Returns the `d` of `INVITE_DELETE`.
pub(crate) fn invite_delete(invite: &Invite) -> Bytes {
    render(&InviteDeleted {
        code: &invite.code,
        guild_id: invite.guild,
        channel_id: invite.channel,
    })
}
