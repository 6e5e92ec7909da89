//! Threads in a world file, and what only some kinds of channels have.

use serde::{Deserialize, Serialize};

use ery_clock::UnixMillis;

use super::{MessageFile, messages_of, yes};
use crate::{
    domain::{
        Channel, ChannelId, ChannelKind, EmojiId, ForumTag, GuildId, HAS_THREAD, PostEmoji, TagId,
        Thread, ThreadMember, UserId, World,
    },
    wire::{Iso, parse_iso},
};

/// What only some kinds of channels have; what is as in a new one is left out.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ChannelSettingsFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bitrate: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_limit: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rtc_region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    video_quality_mode: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_auto_archive_duration: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_thread_rate_limit_per_user: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    flags: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    available_tags: Vec<TagFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_reaction_emoji: Option<EmojiFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_sort_order: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_forum_layout: Option<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TagFile {
    id: TagId,
    name: String,
    #[serde(default)]
    moderated: bool,
    #[serde(flatten)]
    emoji: EmojiFile,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct EmojiFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    emoji_id: Option<EmojiId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    emoji_name: Option<String>,
}

impl EmojiFile {
    fn new(emoji: &PostEmoji) -> Self {
        Self { emoji_id: emoji.id(), emoji_name: emoji.name().map(str::to_owned) }
    }

    fn read(self) -> Option<PostEmoji> {
        PostEmoji::of(self.emoji_id, self.emoji_name)
    }
}

impl ChannelSettingsFile {
    pub(super) fn new(channel: &Channel) -> Self {
        let new = Channel::new(channel.id, channel.guild, channel.kind, String::new()).settings;
        let own = &channel.settings;
        let forum = channel.forum.as_deref();
        let tag = |tag: &ForumTag| TagFile {
            id: tag.id,
            name: tag.name.clone(),
            moderated: tag.is_moderated,
            emoji: tag.emoji.as_ref().map(EmojiFile::new).unwrap_or_default(),
        };
        let slow_threads = own.default_thread_rate_limit_per_user;
        Self {
            bitrate: (own.bitrate != new.bitrate).then_some(own.bitrate),
            user_limit: (own.user_limit > 0).then_some(own.user_limit),
            rtc_region: own.rtc_region.clone(),
            video_quality_mode: own.video_quality_mode,
            default_auto_archive_duration: own.default_auto_archive,
            default_thread_rate_limit_per_user: (slow_threads > 0).then_some(slow_threads),
            flags: (own.flags > 0).then_some(own.flags),
            available_tags: forum.map(|it| it.tags.iter().map(tag).collect()).unwrap_or_default(),
            default_reaction_emoji: forum
                .and_then(|it| it.default_reaction.as_ref().map(EmojiFile::new)),
            default_sort_order: forum.and_then(|it| it.default_sort_order),
            default_forum_layout: forum.map(|it| it.default_layout).filter(|it| *it > 0),
        }
    }

    pub(super) fn read(self, channel: &mut Channel) {
        let settings = &mut channel.settings;
        settings.bitrate = self.bitrate.unwrap_or(settings.bitrate);
        settings.user_limit = self.user_limit.unwrap_or(0);
        settings.rtc_region = self.rtc_region;
        settings.video_quality_mode = self.video_quality_mode;
        settings.default_auto_archive = self.default_auto_archive_duration;
        settings.default_thread_rate_limit_per_user =
            self.default_thread_rate_limit_per_user.unwrap_or(0);
        settings.flags = self.flags.unwrap_or(0);
        let Some(forum) = &mut channel.forum else { return };
        let tag = |tag: TagFile| ForumTag {
            id: tag.id,
            name: tag.name,
            is_moderated: tag.moderated,
            emoji: tag.emoji.read(),
        };
        forum.tags = self.available_tags.into_iter().map(tag).collect();
        forum.default_reaction = self.default_reaction_emoji.and_then(EmojiFile::read);
        forum.default_sort_order = self.default_sort_order;
        forum.default_layout = self.default_forum_layout.unwrap_or(0);
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "a document says each of them by itself")]
pub(super) struct ThreadFile {
    id: ChannelId,
    parent_id: ChannelId,
    /// 10 of announcements, 11 public, 12 private.
    #[serde(rename = "type")]
    kind: u8,
    name: String,
    owner_id: UserId,
    /// Of a post that a webhook began, whose id the owner's then is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    by_webhook: bool,
    #[serde(default)]
    archived: bool,
    #[serde(default)]
    locked: bool,
    #[serde(default = "yes")]
    invitable: bool,
    #[serde(default = "three_days")]
    auto_archive_duration: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    archive_timestamp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    create_timestamp: Option<String>,
    #[serde(default)]
    rate_limit_per_user: u32,
    #[serde(default)]
    flags: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    applied_tags: Vec<TagId>,
    #[serde(default)]
    members: Vec<ThreadMemberFile>,
    /// As many as there are messages where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    total_message_sent: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    messages: Vec<MessageFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThreadMemberFile {
    user_id: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    join_timestamp: Option<String>,
}

fn three_days() -> u16 {
    4_320
}

impl ThreadFile {
    pub(super) fn id(&self) -> String {
        format!("{} (`{}`)", self.id, self.name)
    }
}

/// Returns a thread as it stands in a document; none if the channel is none.
pub(super) fn thread_file(world: &World, channel: &Channel, messages: usize) -> Option<ThreadFile> {
    let thread = channel.thread.as_deref()?;
    let member = |(user, member): (&UserId, &ThreadMember)| ThreadMemberFile {
        user_id: *user,
        join_timestamp: Some(Iso(member.joined_at).to_string()),
    };
    Some(ThreadFile {
        id: channel.id,
        parent_id: channel.parent?,
        kind: channel.kind.0,
        name: channel.name.clone(),
        owner_id: thread.owner,
        by_webhook: !world.users.contains_key(&thread.owner),
        archived: thread.is_archived,
        locked: thread.is_locked,
        invitable: thread.is_invitable,
        auto_archive_duration: thread.auto_archive,
        archive_timestamp: Some(Iso(thread.archive_changed).to_string()),
        create_timestamp: Some(Iso(thread.created).to_string()),
        rate_limit_per_user: channel.rate_limit_per_user,
        flags: channel.settings.flags,
        applied_tags: thread.applied_tags.clone(),
        members: thread.members.iter().map(member).collect(),
        message_count: Some(thread.message_count),
        total_message_sent: Some(thread.total_messages),
        messages: messages_of(channel, messages),
    })
}

impl World {
    /// Reads a thread of a guild whose channels are there already.
    pub(super) fn load_thread(
        &mut self,
        guild: GuildId,
        file: ThreadFile,
        now: UnixMillis,
    ) -> Result<ChannelId, String> {
        let kind = ChannelKind(file.kind);
        if !kind.is_thread() {
            return Err(format!("its type {} is none of 10, 11, 12", file.kind));
        }
        if self.channels.contains_key(&file.id) {
            return Err("another channel has its id".to_owned());
        }
        let parent = self.channels.get(&file.parent_id).filter(|it| it.guild == Some(guild));
        if parent.is_none_or(|it| it.kind.is_thread()) {
            return Err(format!("its parent {} is no channel of its guild", file.parent_id));
        }
        let moment = |text: Option<&String>| match text {
            Some(text) => {
                parse_iso(text).ok_or_else(|| format!("`{text}` is no moment in ISO 8601"))
            }
            None => Ok(now),
        };
        if !file.by_webhook && !self.users.contains_key(&file.owner_id) {
            return Err(format!("nobody is {}, its owner", file.owner_id));
        }
        let mut thread = Thread::begun_by(file.owner_id, moment(file.create_timestamp.as_ref())?);
        thread.is_archived = file.archived;
        thread.is_locked = file.locked;
        thread.is_invitable = file.invitable;
        thread.auto_archive = file.auto_archive_duration;
        thread.archive_changed = moment(file.archive_timestamp.as_ref())?;
        thread.applied_tags = file.applied_tags;
        for member in file.members {
            if !self.users.contains_key(&member.user_id) {
                return Err(format!("nobody is {}, one of its members", member.user_id));
            }
            let joined_at = moment(member.join_timestamp.as_ref())?;
            thread.members.insert(member.user_id, ThreadMember { joined_at });
        }
        self.mint.observe(file.id, now);
        let mut channel = Channel::new(file.id, Some(guild), kind, file.name);
        channel.parent = Some(file.parent_id);
        channel.rate_limit_per_user = file.rate_limit_per_user;
        channel.settings.flags = file.flags;
        self.load_messages(&mut channel, file.messages, now)?;
        let first = file.id.cast();
        let spoken = channel.messages.keys().filter(|message| **message != first).count();
        let spoken = u32::try_from(spoken).unwrap_or(u32::MAX);
        thread.message_count = file.message_count.unwrap_or(spoken);
        thread.total_messages = file.total_message_sent.unwrap_or(thread.message_count);
        thread.last_active = channel.last_message.map_or(thread.created, crate::domain::created_at);
        channel.thread = Some(Box::new(thread));
        if let Ok(starter) = self.message_mut(file.parent_id, first) {
            starter.flags |= HAS_THREAD;
        }
        if let Some(parent) = self.channels.get_mut(&file.parent_id)
            && parent.kind.is_forum()
        {
            parent.last_message = parent.last_message.max(Some(first));
        }
        self.channels.insert(file.id, channel);
        Ok(file.id)
    }
}
