use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::{ChannelView, Iso, MemberView, MessageView, Sight, render};
use crate::domain::{
    Channel, ChannelId, ChannelKind, Forum, GuildId, MessageId, TagId, Thread, ThreadList,
    ThreadMember, UserId, World,
};

type Null = Option<()>;

/// A channel or a thread, of a guild.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum GuildChannelView<'a> {
    Channel(Box<ChannelView<'a>>),
    Thread(Box<ThreadView<'a>>),
}

impl<'a> GuildChannelView<'a> {
    /// Returns it as `viewer` sees it: with their own membership of a thread.
    pub(crate) fn new(channel: &'a Channel, viewer: Option<UserId>) -> Self {
        match ThreadView::new(channel, viewer) {
            Some(thread) => Self::Thread(Box::new(thread)),
            None => Self::Channel(Box::new(ChannelView::new(channel))),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ThreadView<'a> {
    id: ChannelId,
    #[serde(rename = "type")]
    kind: u8,
    guild_id: Option<GuildId>,
    parent_id: Option<ChannelId>,
    owner_id: UserId,
    name: &'a str,
    last_message_id: Option<MessageId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_pin_timestamp: Option<Iso>,
    flags: u64,
    rate_limit_per_user: u32,
    bitrate: u32,
    user_limit: u32,
    rtc_region: Null,
    thread_metadata: ThreadMetadata,
    message_count: u32,
    member_count: usize,
    total_message_sent: u32,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    applied_tags: &'a [TagId],
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<ThreadMemberView<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    newly_created: bool,
    /// Of a post that was just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageView<'a>>,
}

#[derive(Debug, Serialize)]
struct ThreadMetadata {
    archived: bool,
    archive_timestamp: Iso,
    auto_archive_duration: u16,
    locked: bool,
    create_timestamp: Iso,
    #[serde(skip_serializing_if = "Option::is_none")]
    invitable: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ThreadMemberView<'a> {
    id: ChannelId,
    user_id: UserId,
    join_timestamp: Iso,
    flags: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<MemberView<'a>>,
}

impl<'a> ThreadView<'a> {
    /// Returns a thread; none if the channel is none.
    pub(crate) fn new(channel: &'a Channel, viewer: Option<UserId>) -> Option<Self> {
        let thread = channel.thread.as_deref()?;
        let is_private = channel.kind == ChannelKind::PRIVATE_THREAD;
        let own = viewer.and_then(|viewer| thread.members.get(&viewer).map(|own| (viewer, own)));
        Some(Self {
            id: channel.id,
            kind: channel.kind.0,
            guild_id: channel.guild,
            parent_id: channel.parent,
            owner_id: thread.owner,
            name: &channel.name,
            last_message_id: channel.last_message,
            last_pin_timestamp: channel.last_pin.map(Iso),
            flags: channel.settings.flags,
            rate_limit_per_user: channel.rate_limit_per_user,
            bitrate: channel.settings.bitrate,
            user_limit: channel.settings.user_limit,
            rtc_region: None,
            thread_metadata: ThreadMetadata {
                archived: thread.is_archived,
                archive_timestamp: Iso(thread.archive_changed),
                auto_archive_duration: thread.auto_archive,
                locked: thread.is_locked,
                create_timestamp: Iso(thread.created),
                invitable: is_private.then_some(thread.is_invitable),
            },
            message_count: thread.message_count,
            member_count: thread.members.len(),
            total_message_sent: thread.total_messages,
            applied_tags: &thread.applied_tags,
            member: own.map(|(user, own)| ThreadMemberView::bare(channel.id, user, *own)),
            newly_created: false,
            message: None,
        })
    }

    /// Returns a new thread as its making answers: a post with its first message.
    pub(crate) fn made(world: &'a World, channel: &'a Channel, viewer: UserId) -> Option<Self> {
        let own_id: MessageId = channel.id.cast();
        let first = channel.messages.get(&own_id);
        let message = first.map(|first| MessageView::rest(world, first, Some(viewer), Sight::Full));
        Some(Self { message, ..Self::new(channel, Some(viewer))? })
    }
}

impl<'a> ThreadMemberView<'a> {
    pub(crate) fn bare(thread: ChannelId, user: UserId, member: ThreadMember) -> Self {
        let join_timestamp = Iso(member.joined_at);
        Self { id: thread, user_id: user, join_timestamp, flags: 1, member: None }
    }

    /// Returns it with the member of the guild.
    pub(crate) fn whole(
        world: &'a World,
        channel: &Channel,
        user: UserId,
        member: ThreadMember,
    ) -> Self {
        let of_guild = channel.guild.and_then(|guild| world.member(guild, user));
        Self {
            member: of_guild.map(|member| MemberView::new(world, member)),
            ..Self::bare(channel.id, user, member)
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ThreadListView<'a> {
    threads: Vec<ThreadView<'a>>,
    members: Vec<ThreadMemberView<'a>>,
    has_more: bool,
}

impl<'a> ThreadListView<'a> {
    /// Returns a list with the viewer's own memberships beside it.
    pub(crate) fn new(list: &ThreadList<'a>, viewer: UserId) -> Self {
        let threads = list.threads.iter();
        Self {
            threads: threads.filter_map(|thread| ThreadView::new(thread, Some(viewer))).collect(),
            members: own_memberships(&list.threads, viewer),
            has_more: list.has_more,
        }
    }
}

/// Returns which of the threads `viewer` is in, and since when.
fn own_memberships<'a>(threads: &[&Channel], viewer: UserId) -> Vec<ThreadMemberView<'a>> {
    let own = |channel: &&Channel| {
        let thread: &Thread = channel.thread.as_deref()?;
        let member = thread.members.get(&viewer)?;
        Some(ThreadMemberView::bare(channel.id, viewer, *member))
    };
    threads.iter().filter_map(own).collect()
}

/// Returns the `d` of `THREAD_CREATE` for a thread that was just begun.
pub(crate) fn thread_create(channel: &Channel) -> Bytes {
    let view = ThreadView::new(channel, None);
    render(&view.map(|view| ThreadView { newly_created: true, ..view }))
}

/// Returns the `d` of `THREAD_CREATE` for somebody who was let into a thread.
pub(crate) fn thread_entered(channel: &Channel, user: UserId) -> Bytes {
    render(&ThreadView::new(channel, Some(user)))
}

/// Returns the `d` of `THREAD_UPDATE`.
pub(crate) fn thread_event(channel: &Channel) -> Bytes {
    render(&ThreadView::new(channel, None))
}

#[derive(Serialize)]
struct ThreadDeleted {
    id: ChannelId,
    guild_id: Option<GuildId>,
    parent_id: Option<ChannelId>,
    #[serde(rename = "type")]
    kind: u8,
}

pub(crate) fn thread_delete(channel: &Channel) -> Bytes {
    render(&ThreadDeleted {
        id: channel.id,
        guild_id: channel.guild,
        parent_id: channel.parent,
        kind: channel.kind.0,
    })
}

#[derive(Serialize)]
struct ThreadListSync<'a> {
    guild_id: GuildId,
    channel_ids: &'a BTreeSet<ChannelId>,
    threads: Vec<ThreadView<'a>>,
    members: Vec<ThreadMemberView<'a>>,
}

pub(crate) fn thread_list_sync(
    guild: GuildId,
    channels: &BTreeSet<ChannelId>,
    threads: &[&Channel],
    viewer: UserId,
) -> Bytes {
    let views = threads.iter().filter_map(|thread| ThreadView::new(thread, Some(viewer)));
    render(&ThreadListSync {
        guild_id: guild,
        channel_ids: channels,
        threads: views.collect(),
        members: own_memberships(threads, viewer),
    })
}

#[derive(Serialize)]
struct ThreadMemberUpdate<'a> {
    #[serde(flatten)]
    member: ThreadMemberView<'a>,
    guild_id: GuildId,
}

/// Returns the `d` of `THREAD_MEMBER_UPDATE`; none if `user` is not in the thread.
pub(crate) fn thread_member_update(
    channel: &Channel,
    guild: GuildId,
    user: UserId,
) -> Option<Bytes> {
    let member = channel.thread.as_ref()?.members.get(&user)?;
    let member = ThreadMemberView::bare(channel.id, user, *member);
    Some(render(&ThreadMemberUpdate { member, guild_id: guild }))
}

#[derive(Serialize)]
struct AddedMember<'a> {
    #[serde(flatten)]
    member: ThreadMemberView<'a>,
    presence: Null,
}

#[derive(Serialize)]
struct ThreadMembersUpdate<'a> {
    id: ChannelId,
    guild_id: Option<GuildId>,
    member_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    added_members: Option<[AddedMember<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    removed_member_ids: Option<[UserId; 1]>,
}

/// Returns the `d` of `THREAD_MEMBERS_UPDATE`: who came, or who went.
pub(crate) fn thread_members_update(
    world: &World,
    channel: &Channel,
    added: Option<UserId>,
    removed: Option<UserId>,
) -> Bytes {
    let members = channel.thread.as_ref().map(|thread| &thread.members);
    let added = added.and_then(|user| {
        let member = members?.get(&user)?;
        let member = ThreadMemberView::whole(world, channel, user, *member);
        Some([AddedMember { member, presence: None }])
    });
    render(&ThreadMembersUpdate {
        id: channel.id,
        guild_id: channel.guild,
        member_count: members.map_or(0, std::collections::BTreeMap::len),
        added_members: added,
        removed_member_ids: removed.map(|user| [user]),
    })
}

/// Returns the tags of a forum.
pub(crate) fn forum_tags(forum: &Forum) -> Value {
    let tag = |tag: &crate::domain::ForumTag| {
        let emoji = tag.emoji.as_ref();
        json!({
            "id": tag.id,
            "name": tag.name,
            "moderated": tag.is_moderated,
            "emoji_id": emoji.and_then(crate::domain::PostEmoji::id),
            "emoji_name": emoji.and_then(crate::domain::PostEmoji::name),
        })
    };
    forum.tags.iter().map(tag).collect()
}
