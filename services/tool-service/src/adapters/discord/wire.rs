//! Discord's JSON, as far as we read it: lenient about what we do not use.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{
            ChannelMarker, EmojiMarker, GuildMarker, MessageMarker, RoleMarker, StickerMarker,
            TagMarker, UserMarker,
        },
    },
};

use ery_clock::UnixMillis;
use ery_enclosures::{
    Enclosure, RawEmbed, RawPoll, RawSnapshot, RawSticker, Shown, readable, readable_or_none,
};
use ery_proto::common::v1 as proto;

use crate::domain::{
    guild::{Channel, ChannelKind, Guild, Member, Overwrite, OverwriteOf, Role, Tag},
    reference::EmojiReference,
};

/// Discord's kind of message reference that is a forward, not a reply.
const FORWARD: u8 = 1;

/// A guild, from an event or `GET /guilds/{id}`.
#[derive(Debug, Deserialize)]
pub(crate) struct RawGuild {
    pub(crate) id: Id<GuildMarker>,
    #[serde(default)]
    pub(crate) unavailable: bool,
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) owner_id: Option<Id<UserMarker>>,
    #[serde(default)]
    pub(crate) roles: Vec<RawRole>,
    #[serde(default)]
    pub(crate) emojis: Vec<RawEmoji>,
    #[serde(default)]
    pub(crate) channels: Vec<RawChannel>,
    #[serde(default)]
    pub(crate) threads: Vec<RawChannel>,
    #[serde(default)]
    pub(crate) members: Vec<RawMember>,
    pub(crate) member_count: Option<u64>,
    #[serde(default)]
    pub(crate) safety_alerts_channel_id: Option<Id<ChannelMarker>>,
    #[serde(default)]
    pub(crate) public_updates_channel_id: Option<Id<ChannelMarker>>,
    #[serde(default)]
    pub(crate) system_channel_id: Option<Id<ChannelMarker>>,
}

impl RawGuild {
    /// Makes the guild; none without an owner, which only an unavailable one lacks.
    pub(crate) fn guild(&self) -> Option<Guild> {
        Some(Guild {
            id: self.id,
            name: self.name.as_str().into(),
            owner: self.owner_id?,
            roles: self.roles.iter().map(|role| (role.id, role.role())).collect(),
            channels: self
                .channels
                .iter()
                .chain(&self.threads)
                .map(|channel| (channel.id, channel.channel()))
                .collect(),
            emojis: self.emojis.iter().filter_map(|emoji| emoji.id).collect(),
            staff_channels: [
                self.safety_alerts_channel_id,
                self.public_updates_channel_id,
                self.system_channel_id,
            ]
            .into_iter()
            .flatten()
            .collect(),
            member_count: self.member_count,
        })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawEmoji {
    pub(crate) id: Option<Id<EmojiMarker>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawRole {
    pub(crate) id: Id<RoleMarker>,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) position: i64,
    #[serde(deserialize_with = "bits")]
    pub(crate) permissions: Permissions,
    #[serde(default)]
    pub(crate) managed: bool,
}

impl RawRole {
    pub(crate) fn role(&self) -> Role {
        Role {
            id: self.id,
            name: self.name.as_str().into(),
            position: self.position,
            permissions: self.permissions,
            is_managed: self.managed,
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawChannel {
    pub(crate) id: Id<ChannelMarker>,
    #[serde(rename = "type")]
    pub(crate) kind: u8,
    pub(crate) guild_id: Option<Id<GuildMarker>>,
    pub(crate) name: Option<String>,
    pub(crate) parent_id: Option<Id<ChannelMarker>>,
    #[serde(default)]
    pub(crate) position: i64,
    #[serde(default)]
    pub(crate) permission_overwrites: Vec<RawOverwrite>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) thread_metadata: RawThreadMetadata,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) rate_limit_per_user: u32,
    /// Only forums have them.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) available_tags: Vec<RawTag>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawTag {
    pub(crate) id: Id<TagMarker>,
    #[serde(default)]
    pub(crate) name: String,
    /// Whether only those set it who manage threads.
    #[serde(default)]
    pub(crate) moderated: bool,
}

impl RawTag {
    fn tag(&self) -> Tag {
        Tag { id: self.id, name: self.name.as_str().into(), is_moderated: self.moderated }
    }
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct RawThreadMetadata {
    #[serde(default)]
    pub(crate) locked: bool,
    /// Only private threads have it.
    #[serde(default)]
    pub(crate) invitable: bool,
}

impl RawChannel {
    pub(crate) fn channel(&self) -> Channel {
        Channel {
            id: self.id,
            name: self.name.as_deref().unwrap_or_default().into(),
            kind: ChannelKind::from_number(self.kind),
            parent: self.parent_id,
            position: self.position,
            overwrites: self.permission_overwrites.iter().filter_map(RawOverwrite::read).collect(),
            is_locked: self.thread_metadata.locked,
            is_invitable: self.thread_metadata.invitable,
            slowmode: self.rate_limit_per_user,
            tags: self.available_tags.iter().map(RawTag::tag).collect(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawOverwrite {
    #[serde(deserialize_with = "digits")]
    id: u64,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default = "Permissions::empty", deserialize_with = "bits")]
    allow: Permissions,
    #[serde(default = "Permissions::empty", deserialize_with = "bits")]
    deny: Permissions,
}

impl RawOverwrite {
    fn read(&self) -> Option<Overwrite> {
        let of = match self.kind {
            0 => OverwriteOf::Role(Id::new_checked(self.id)?),
            1 => OverwriteOf::Member(Id::new_checked(self.id)?),
            _ => return None,
        };
        Some(Overwrite { of, allow: self.allow, deny: self.deny })
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawMember {
    pub(crate) user: RawUser,
    pub(crate) nick: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) roles: Vec<Id<RoleMarker>>,
    pub(crate) joined_at: Option<String>,
    pub(crate) communication_disabled_until: Option<String>,
}

/// The parts of a member of which an event says nothing: they are as they were.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "one for each part")]
pub(crate) struct Unsaid {
    pub(crate) nick: bool,
    pub(crate) roles: bool,
    pub(crate) joined_at: bool,
    pub(crate) timed_out_until: bool,
}

impl Unsaid {
    /// Reads which of them a member's JSON leaves out.
    pub(crate) fn of(payload: &[u8]) -> Result<Self, serde_json::Error> {
        let said: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(payload)?;
        let lacks = |key: &str| !said.contains_key(key);
        Ok(Self {
            nick: lacks("nick"),
            roles: lacks("roles"),
            joined_at: lacks("joined_at"),
            timed_out_until: lacks("communication_disabled_until"),
        })
    }

    pub(crate) fn is_any(self) -> bool {
        self.nick || self.roles || self.joined_at || self.timed_out_until
    }

    /// Takes these parts from what was known before.
    pub(crate) fn fill(self, member: &mut Member, before: &Member) {
        if self.nick {
            member.nick.clone_from(&before.nick);
        }
        if self.roles {
            member.roles.clone_from(&before.roles);
        }
        if self.joined_at {
            member.joined_at.clone_from(&before.joined_at);
        }
        if self.timed_out_until {
            member.timed_out_until = before.timed_out_until;
        }
    }
}

impl RawMember {
    pub(crate) fn member(&self) -> Member {
        Member {
            user: self.user.id,
            username: self.user.username.as_str().into(),
            global_name: self.user.global_name.as_deref().map(Into::into),
            nick: self.nick.as_deref().map(Into::into),
            is_bot: self.user.bot,
            roles: self.roles.as_slice().into(),
            joined_at: self.joined_at.as_deref().map(Into::into),
            // What cannot be read counts as a timeout without end: never as none.
            timed_out_until: self
                .communication_disabled_until
                .as_deref()
                .map(|until| moment(until).unwrap_or(UnixMillis(i64::MAX))),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawUser {
    pub(crate) id: Id<UserMarker>,
    #[serde(default)]
    pub(crate) username: String,
    pub(crate) global_name: Option<String>,
    #[serde(default)]
    pub(crate) bot: bool,
}

impl RawUser {
    pub(crate) fn name(&self) -> &str {
        self.global_name.as_deref().unwrap_or(&self.username)
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawBan {
    #[serde(default)]
    pub(crate) user: Option<RawUser>,
    pub(crate) reason: Option<String>,
}

/// The parts of an event that say what it is about.
#[derive(Debug, Deserialize)]
pub(crate) struct RawRoleEvent {
    pub(crate) guild_id: Id<GuildMarker>,
    pub(crate) role: Option<RawRole>,
    pub(crate) role_id: Option<Id<RoleMarker>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawMemberEvent {
    pub(crate) guild_id: Id<GuildMarker>,
    #[serde(flatten)]
    pub(crate) member: RawMember,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawMemberRemoved {
    pub(crate) guild_id: Id<GuildMarker>,
    pub(crate) user: RawUser,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawMembersChunk {
    pub(crate) guild_id: Id<GuildMarker>,
    pub(crate) members: Vec<RawMember>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawThreads {
    #[serde(default)]
    pub(crate) guild_id: Option<Id<GuildMarker>>,
    pub(crate) threads: Vec<RawChannel>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawThreadMembers {
    pub(crate) id: Id<ChannelMarker>,
    pub(crate) guild_id: Option<Id<GuildMarker>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) added_members: Vec<RawThreadMember>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) removed_member_ids: Vec<Id<UserMarker>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawThreadMember {
    pub(crate) user_id: Option<Id<UserMarker>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RawEmojis {
    pub(crate) guild_id: Id<GuildMarker>,
    pub(crate) emojis: Vec<RawEmoji>,
}

/// A message, as REST sends it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawMessage {
    pub(crate) id: Id<MessageMarker>,
    pub(crate) channel_id: Id<ChannelMarker>,
    pub(crate) author: RawUser,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) content: String,
    pub(crate) timestamp: Option<String>,
    pub(crate) edited_timestamp: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) mentions: Vec<RawUser>,
    #[serde(default, deserialize_with = "role_ids")]
    pub(crate) mention_roles: Vec<Id<RoleMarker>>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) attachments: Vec<RawAttachment>,
    #[serde(rename = "type", default)]
    pub(crate) kind: u8,
    pub(crate) message_reference: Option<RawReference>,
    pub(crate) referenced_message: Option<RawReferenced>,
    pub(crate) webhook_id: Option<String>,
    #[serde(default, deserialize_with = "readable")]
    pub(crate) embeds: Vec<RawEmbed>,
    pub(crate) pinned: Option<bool>,
    #[serde(default, deserialize_with = "readable_or_none")]
    pub(crate) poll: Option<RawPoll>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) reactions: Vec<RawReaction>,
    #[serde(default, deserialize_with = "readable")]
    pub(crate) sticker_items: Vec<RawSticker>,
    #[serde(default, deserialize_with = "nonce")]
    pub(crate) nonce: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) components: Vec<serde::de::IgnoredAny>,
    /// Of a forward, what it shows.
    #[serde(default, deserialize_with = "readable")]
    pub(crate) message_snapshots: Vec<RawSnapshot>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawReaction {
    pub(crate) emoji: RawReactionEmoji,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawReactionEmoji {
    id: Option<Id<EmojiMarker>>,
    name: Option<String>,
}

impl RawReactionEmoji {
    pub(crate) fn is(&self, emoji: &EmojiReference) -> bool {
        match emoji {
            EmojiReference::Custom { id, .. } => self.id == Some(*id),
            EmojiReference::Unicode(character) => {
                self.id.is_none() && self.name.as_ref() == Some(character)
            }
        }
    }
}

/// A sticker of a guild.
#[derive(Debug, Deserialize)]
pub(crate) struct RawGuildSticker {
    pub(crate) id: Id<StickerMarker>,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) name: String,
    /// Not where the guild lost the boosts for it; not everybody who speaks Discord's API says so.
    #[serde(default = "yes")]
    pub(crate) available: bool,
}

fn yes() -> bool {
    true
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawReference {
    pub(crate) message_id: Option<Id<MessageMarker>>,
    /// 0 a reply, else [`FORWARD`].
    #[serde(rename = "type", default)]
    pub(crate) kind: u8,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawReferenced {
    pub(crate) author: Option<RawUser>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RawAttachment {
    #[serde(default)]
    pub(crate) filename: String,
    #[serde(default)]
    pub(crate) content_type: Option<String>,
    #[serde(default)]
    pub(crate) size: u64,
    #[serde(default)]
    pub(crate) url: String,
}

impl RawMessage {
    /// Returns the message that this one replies to.
    pub(crate) fn reply_to(&self) -> Option<Id<MessageMarker>> {
        self.message_reference
            .as_ref()
            .filter(|reference| reference.kind == 0)
            .and_then(|reference| reference.message_id)
    }

    /// Returns the message that this one forwards.
    pub(crate) fn forward_of(&self) -> Option<Id<MessageMarker>> {
        self.message_reference
            .as_ref()
            .filter(|reference| reference.kind == FORWARD)
            .and_then(|reference| reference.message_id)
    }

    /// Returns what it shows beside its text; with votes that go on, for whoever reads them now.
    pub(crate) fn enclosures(&self, with_running_votes: bool) -> Vec<Enclosure> {
        let shown = Shown {
            embeds: &self.embeds,
            poll: self.poll.as_ref(),
            snapshots: &self.message_snapshots,
            stickers: &self.sticker_items,
            is_automated: self.author.bot || self.webhook_id.is_some(),
            with_running_votes,
        };
        shown.enclosures()
    }

    /// Returns when it was written; its id tells, where nothing else does.
    pub(crate) fn created_at(&self) -> UnixMillis {
        self.timestamp.as_deref().and_then(moment).unwrap_or_else(|| created_at(self.id.get()))
    }

    /// Returns it as the contracts have it; `nick` is the author's name in the guild.
    pub(crate) fn into_message(
        self,
        guild: Option<Id<GuildMarker>>,
        nick: Option<&str>,
        bot: Id<UserMarker>,
    ) -> proto::Message {
        let created_at_ms = self.created_at().0;
        let reply_to = self.reply_to().map_or(0, Id::get);
        let forward_of = self.forward_of().map_or(0, Id::get);
        let enclosures = self.enclosures(false).into_iter().map(Into::into).collect();
        let is_own = self.author.id == bot;
        proto::Message {
            guild_id: guild.map_or(0, Id::get),
            channel_id: self.channel_id.get(),
            message_id: self.id.get(),
            author_id: self.author.id.get(),
            author_name: nick.unwrap_or_else(|| self.author.name()).to_owned(),
            is_automated: !is_own && (self.author.bot || self.webhook_id.is_some()),
            is_own,
            content: self.content,
            created_at_ms,
            edited_at_ms: self.edited_timestamp.as_deref().and_then(moment).map_or(0, |at| at.0),
            reply_to,
            mentions: self
                .mentions
                .iter()
                .map(|user| proto::Mention { user_id: user.id.get(), name: user.name().to_owned() })
                .collect(),
            mentioned_roles: self.mention_roles.iter().map(|role| role.get()).collect(),
            attachments: self
                .attachments
                .into_iter()
                .map(|attachment| proto::Attachment {
                    filename: attachment.filename,
                    content_type: attachment.content_type.unwrap_or_default(),
                    size_bytes: attachment.size,
                    url: attachment.url,
                })
                .collect(),
            r#type: u32::from(self.kind),
            reply_to_author_id: self
                .referenced_message
                .and_then(|referenced| referenced.author)
                .map_or(0, |author| author.id.get()),
            gate_reason: String::new(),
            nonce: self.nonce.unwrap_or_default(),
            enclosures,
            forward_of,
        }
    }
}

/// Reads Discord's time stamps.
pub(crate) fn moment(text: &str) -> Option<UnixMillis> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok().map(UnixMillis)
}

/// Writes a time stamp as Discord takes it, to the second or the millisecond; none beyond the
/// calendar.
pub(crate) fn time_stamp(at: UnixMillis) -> Option<String> {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

/// Discord's first millisecond: 1 January 2015.
const EPOCH_MS: i64 = 1_420_070_400_000;

/// Returns when a snowflake was made.
pub(crate) fn created_at(id: u64) -> UnixMillis {
    UnixMillis(i64::try_from(id >> 22).map_or(i64::MAX, |since| since.saturating_add(EPOCH_MS)))
}

/// Returns the least snowflake of a moment.
pub(crate) fn snowflake_at(at: UnixMillis) -> u64 {
    u64::try_from(at.0.saturating_sub(EPOCH_MS)).unwrap_or(0).min(u64::MAX >> 22) << 22
}

fn digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Digits {
        Number(u64),
        Text(String),
    }
    match Digits::deserialize(deserializer)? {
        Digits::Number(number) => Ok(number),
        Digits::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

fn bits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Permissions, D::Error> {
    // Bits that have no name yet stay: they are compared, too, when roles are.
    digits(deserializer).map(Permissions::from_bits_retain)
}

/// What is null counts as what is not there: not everybody who speaks Discord's API sends empty lists.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads roles by their ids, which some servers send as whole roles.
fn role_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Id<RoleMarker>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Named {
        Id(Id<RoleMarker>),
        Role { id: Id<RoleMarker> },
    }
    let named: Vec<Named> = or_default(deserializer)?;
    let id = |named| match named {
        Named::Id(id) | Named::Role { id } => id,
    };
    Ok(named.into_iter().map(id).collect())
}

/// A list of which each item is read by itself: one that cannot be read is left out, and does not take
/// the others with it.
#[derive(Debug)]
pub(crate) struct Readable<T> {
    pub(crate) items: Vec<T>,
    /// How many Discord listed.
    pub(crate) listed: usize,
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Readable<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let items = Vec::<serde_json::Value>::deserialize(deserializer)?;
        let read = |item| match serde_json::from_value(item) {
            Ok(item) => Some(item),
            Err(error) => {
                // Where it is wrong, not what it says.
                tracing::warn!(category = ?serde_json::Error::classify(&error),
                    "an item that discord lists cannot be read; it is left out");
                None
            }
        };
        let listed = items.len();
        Ok(Self { items: items.into_iter().filter_map(read).collect(), listed })
    }
}

fn nonce<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_takes_nothing_else_with_it() {
        let listed = r#"[
            {"id": "5", "channel_id": "2", "author": {"id": "7"}, "mention_roles": ["3"]},
            {"id": "6", "channel_id": "2", "author": {"username": null}},
            {"id": "8", "channel_id": "2", "author": {"id": "7"}, "mention_roles": [{"id": "4", "name": "x"}]},
            17
        ]"#;
        let read = serde_json::from_str::<Readable<RawMessage>>(listed).unwrap();
        assert_eq!(read.listed, 4);
        let roles: Vec<_> =
            read.items.iter().map(|it| (it.id.get(), it.mention_roles[0].get())).collect();
        assert_eq!(roles, [(5, 3), (8, 4)]);
        assert!(serde_json::from_str::<Readable<RawMessage>>("{}").is_err());
    }

    #[test]
    fn a_message_is_read_whatever_else_it_holds() {
        let raw: RawMessage = serde_json::from_str(
            r#"{"id":"9","channel_id":"5","author":{"id":"3","username":"ann","avatar":null},
            "content":"hi","timestamp":"2026-11-22T10:00:00.123000+00:00","edited_timestamp":null,
            "tts":false,"mentions":[{"id":"4","username":"bob","global_name":"Bob"}],
            "mention_roles":[],"attachments":[],"embeds":[],"type":19,"nonce":17,
            "message_reference":{"message_id":"8","channel_id":"5"},
            "referenced_message":{"id":"8","author":{"id":"4","username":"bob"}}}"#,
        )
        .unwrap();
        let message = raw.into_message(Id::new_checked(1), Some("Annie"), Id::new(7));
        assert_eq!(message.author_name, "Annie");
        assert_eq!(message.created_at_ms, 1_795_341_600_123);
        assert_eq!((message.reply_to, message.reply_to_author_id), (8, 4));
        assert_eq!((message.r#type, message.nonce.as_str()), (19, "17"));
        assert_eq!(message.mentions[0].name, "Bob");
        assert!(!message.is_own && !message.is_automated);
    }

    #[test]
    fn a_message_with_nulls_in_place_of_lists_is_read() {
        let json = r#"{"id": "1", "channel_id": "2", "author": {"id": "3"}, "content": null,
            "mentions": null, "mention_roles": null, "attachments": null, "embeds": null,
            "components": null}"#;
        let message: RawMessage = serde_json::from_str(json).unwrap();
        assert!(message.content.is_empty() && message.components.is_empty());
    }

    #[test]
    fn what_a_message_shows_beside_its_text_is_read() {
        let read = |json: serde_json::Value| -> proto::Message {
            let raw: RawMessage = serde_json::from_value(json).unwrap();
            raw.into_message(Id::new_checked(1), None, Id::new(7))
        };
        let forward = read(serde_json::json!({
            "id": "9", "channel_id": "5", "author": {"id": "3"}, "content": "", "flags": 16384,
            "message_reference": {"type": 1, "message_id": "8", "channel_id": "6"},
            "message_snapshots": [{"message": {"content": "soup at noon"}}],
        }));
        assert_eq!((forward.reply_to, forward.forward_of), (0, 8));
        let shown: Vec<_> = forward.enclosures.iter().map(|it| (it.kind(), &*it.text)).collect();
        assert_eq!(shown, [(proto::enclosure::Kind::Forward, "soup at noon")]);

        let embed = serde_json::json!({"type": "rich", "title": "Menu"});
        let of_a_bot = read(serde_json::json!({
            "id": "9", "channel_id": "5", "author": {"id": "3", "bot": true}, "embeds": [embed],
        }));
        assert_eq!(of_a_bot.enclosures[0].text, "Menu");
        let of_a_person = read(serde_json::json!({
            "id": "9", "channel_id": "5", "author": {"id": "3"}, "embeds": [embed],
        }));
        assert_eq!(of_a_person.enclosures, []);
    }

    #[test]
    fn what_an_event_does_not_say_of_a_member_stays() {
        let whole = r#"{"user": {"id": "3"}, "nick": "Annie", "roles": ["5"],
            "joined_at": "2020-01-01T00:00:00+00:00",
            "communication_disabled_until": "2030-01-01T00:00:00+00:00"}"#;
        let before = serde_json::from_str::<RawMember>(whole).unwrap().member();
        assert!(!Unsaid::of(whole.as_bytes()).unwrap().is_any());
        let part = r#"{"user": {"id": "3"}, "nick": null, "roles": ["5", "6"]}"#;
        let mut after = serde_json::from_str::<RawMember>(part).unwrap().member();
        Unsaid::of(part.as_bytes()).unwrap().fill(&mut after, &before);
        assert_eq!(
            (&after.joined_at, after.timed_out_until),
            (&before.joined_at, before.timed_out_until)
        );
        assert_eq!((after.nick, after.roles.len()), (None, 2));
    }

    #[test]
    fn time_stamps_and_snowflakes_read_back() {
        let at = UnixMillis(1_795_341_600_123);
        assert_eq!(moment(&time_stamp(at).unwrap()), Some(at));
        assert_eq!(created_at(snowflake_at(at)), at);
        assert_eq!(moment("soon"), None);
    }

    #[test]
    fn a_timeout_that_cannot_be_read_is_not_taken_for_none() {
        let raw: RawMember = serde_json::from_str(
            r#"{"user":{"id":"3","username":"ann"},"communication_disabled_until":"?"}"#,
        )
        .unwrap();
        assert!(raw.member().is_timed_out(UnixMillis(1)));
    }
}
