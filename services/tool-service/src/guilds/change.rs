//! What an event changes in what is known of a guild.

use std::collections::HashSet;

use twilight_model::id::{
    Id,
    marker::{ChannelMarker, EmojiMarker, GuildMarker, RoleMarker, UserMarker},
};

use ery_event_bus::Event;

use crate::{
    adapters::discord::wire::{
        RawChannel, RawEmojis, RawGuild, RawMemberEvent, RawMemberRemoved, RawMembersChunk,
        RawRoleEvent, RawThreadMembers, RawThreads, Unsaid,
    },
    domain::guild::{Channel, Guild, Member, Role},
};

/// The events that are followed.
pub(crate) const KINDS: &[&str] = &[
    "guild_create",
    "guild_update",
    "guild_delete",
    "guild_emojis_update",
    "guild_role_create",
    "guild_role_update",
    "guild_role_delete",
    "guild_member_add",
    "guild_member_update",
    "guild_member_remove",
    "guild_members_chunk",
    "channel_create",
    "channel_update",
    "channel_delete",
    "thread_create",
    "thread_update",
    "thread_delete",
    "thread_list_sync",
    "thread_members_update",
];

#[derive(Debug)]
pub(crate) enum Change {
    /// Everything anew.
    Created(Box<RawGuild>),
    Gone,
    /// Name, owner and roles; not channels.
    Updated(Box<Guild>),
    Role(Role),
    RoleGone(Id<RoleMarker>),
    Channel(Box<Channel>),
    /// Read by REST; an event that told of it meanwhile is newer.
    ChannelFound(Box<Channel>),
    ChannelGone(Id<ChannelMarker>),
    Emojis(HashSet<Id<EmojiMarker>>),
    Joined(Box<Member>),
    Member(Box<Member>),
    /// Of some parts the event says nothing.
    MemberInPart(Box<Member>, Unsaid),
    MemberGone(Id<UserMarker>),
    /// Who came into a thread, and who went.
    ThreadMembers {
        thread: Id<ChannelMarker>,
        came: Vec<Id<UserMarker>>,
        went: Vec<Id<UserMarker>>,
    },
}

impl Change {
    /// Returns the member whom it is about, and nobody and nothing else.
    pub(crate) fn only_about(&self) -> Option<Id<UserMarker>> {
        match self {
            Self::Joined(member) | Self::Member(member) | Self::MemberInPart(member, _) => {
                Some(member.user)
            }
            Self::MemberGone(user) => Some(*user),
            Self::Created(_)
            | Self::Gone
            | Self::Updated(_)
            | Self::Role(_)
            | Self::RoleGone(_)
            | Self::Channel(_)
            | Self::ChannelFound(_)
            | Self::ChannelGone(_)
            | Self::ThreadMembers { .. }
            | Self::Emojis(_) => None,
        }
    }
}

/// What an event changes, and in which guild.
pub(crate) type Changes = (Id<GuildMarker>, Vec<Change>);

/// Reads what an event changes, and where; none if it is about no guild.
pub(crate) fn read(event: &Event) -> Result<Option<Changes>, serde_json::Error> {
    let payload = &event.payload[..];
    let home = event.home.guild();
    let changes = match event.kind.as_str() {
        "guild_create" => {
            let raw: RawGuild = serde_json::from_slice(payload)?;
            return Ok(Some((raw.id, vec![Change::Created(Box::new(raw))])));
        }
        "guild_update" => {
            let raw: RawGuild = serde_json::from_slice(payload)?;
            return Ok(Some((
                raw.id,
                vec![raw.guild().map_or(Change::Gone, |guild| Change::Updated(Box::new(guild)))],
            )));
        }
        // Left, or not available: what is known of it gets old either way.
        "guild_delete" => vec![Change::Gone],
        "guild_emojis_update" => {
            let raw: RawEmojis = serde_json::from_slice(payload)?;
            let emojis = raw.emojis.iter().filter_map(|emoji| emoji.id).collect();
            return Ok(Some((raw.guild_id, vec![Change::Emojis(emojis)])));
        }
        "guild_role_create" | "guild_role_update" | "guild_role_delete" => {
            let raw: RawRoleEvent = serde_json::from_slice(payload)?;
            let change = match (raw.role, raw.role_id) {
                (Some(role), _) => Some(Change::Role(role.role())),
                (None, Some(role)) => Some(Change::RoleGone(role)),
                (None, None) => None,
            };
            return Ok(Some((raw.guild_id, change.into_iter().collect())));
        }
        "guild_member_add" => {
            let raw: RawMemberEvent = serde_json::from_slice(payload)?;
            return Ok(Some((raw.guild_id, vec![Change::Joined(Box::new(raw.member.member()))])));
        }
        "guild_member_update" => {
            let raw: RawMemberEvent = serde_json::from_slice(payload)?;
            let (member, unsaid) = (Box::new(raw.member.member()), Unsaid::of(payload)?);
            let change = if unsaid.is_any() {
                Change::MemberInPart(member, unsaid)
            } else {
                Change::Member(member)
            };
            return Ok(Some((raw.guild_id, vec![change])));
        }
        "guild_member_remove" => {
            let raw: RawMemberRemoved = serde_json::from_slice(payload)?;
            return Ok(Some((raw.guild_id, vec![Change::MemberGone(raw.user.id)])));
        }
        "guild_members_chunk" => {
            let raw: RawMembersChunk = serde_json::from_slice(payload)?;
            let members = raw.members.iter().map(|raw| Change::Member(Box::new(raw.member())));
            return Ok(Some((raw.guild_id, members.collect())));
        }
        "channel_create" | "channel_update" | "thread_create" | "thread_update" => {
            let raw: RawChannel = serde_json::from_slice(payload)?;
            let Some(guild) = raw.guild_id.or(home) else { return Ok(None) };
            return Ok(Some((guild, vec![Change::Channel(Box::new(raw.channel()))])));
        }
        "channel_delete" | "thread_delete" => {
            let raw: RawChannel = serde_json::from_slice(payload)?;
            let Some(guild) = raw.guild_id.or(home) else { return Ok(None) };
            return Ok(Some((guild, vec![Change::ChannelGone(raw.id)])));
        }
        "thread_list_sync" => {
            let raw: RawThreads = serde_json::from_slice(payload)?;
            let Some(guild) = raw.guild_id.or(home) else { return Ok(None) };
            let threads = raw.threads.iter();
            let threads = threads.map(|thread| Change::Channel(Box::new(thread.channel())));
            return Ok(Some((guild, threads.collect())));
        }
        "thread_members_update" => {
            let raw: RawThreadMembers = serde_json::from_slice(payload)?;
            let Some(guild) = raw.guild_id.or(home) else { return Ok(None) };
            let came = raw.added_members.iter().filter_map(|member| member.user_id).collect();
            let change =
                Change::ThreadMembers { thread: raw.id, came, went: raw.removed_member_ids };
            return Ok(Some((guild, vec![change])));
        }
        _ => Vec::new(),
    };
    Ok(home.map(|guild| (guild, changes)))
}
