//! Discord's JSON, read once: only what is needed, and whatever is missing or odd is forgiven.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, MessageMarker, UserMarker},
};

use ery_clock::UnixMillis;
use ery_enclosures::{
    RawEmbed, RawPoll, RawSnapshot, RawSticker, Shown, readable, readable_or_none,
};
use ery_ids::ChannelKey;

use crate::domain::message::{Attachment, Mention, Message};

/// Milliseconds between 1970 and the first moment of Discord's ids.
const DISCORD_EPOCH: i64 = 1_420_070_400_000;

/// Discord's kind of message reference that is a forward, not a reply.
const FORWARD: u64 = 1;

/// Discord's kinds of channels that hold threads and no messages: forums and media channels.
const HOLDERS_OF_THREADS: [u8; 2] = [15, 16];

/// Why a dispatch cannot be understood at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnreadableError {
    #[error("the dispatch is no JSON of a message")]
    Json(#[from] serde_json::Error),
    #[error("the dispatch lacks `{0}`")]
    Lacks(&'static str),
}

/// An edit of a message, as far as Discord told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) id: Id<MessageMarker>,
    pub(crate) content: String,
    pub(crate) edited_at: UnixMillis,
    /// The whole message, where Discord sent enough to know it.
    pub(crate) message: Option<Message>,
}

/// A channel or an active thread, and its last message.
pub(crate) type ChannelEnd = (Id<ChannelMarker>, Id<MessageMarker>);

/// Discord's flag for a message that only one person sees.
const EPHEMERAL: u64 = 1 << 6;

/// Discord's kinds of messages by which a bot answers a slash command, and one of a menu.
const ANSWERS_TO_COMMANDS: [u32; 2] = [20, 23];

/// Returns whether a message is one that only one person sees: an answer to a command of theirs. It
/// is nothing of the channel's, and nobody else may be told of it.
pub(crate) fn is_for_one_person(payload: &[u8]) -> bool {
    let flags = serde_json::from_slice(payload).map_or(0, |RawFlags { flags }| flags.unwrap_or(0));
    flags & EPHEMERAL != 0
}

/// Reads a `MESSAGE_CREATE`.
pub(crate) fn created(payload: &[u8], bot: Id<UserMarker>) -> Result<Message, UnreadableError> {
    let raw: RawMessage = serde_json::from_slice(payload)?;
    raw.into_message(bot)
}

/// Reads a `MESSAGE_UPDATE`; none if its author changed nothing (a link was unfurled, a flag set).
pub(crate) fn edited(payload: &[u8], bot: Id<UserMarker>) -> Result<Option<Edit>, UnreadableError> {
    let raw: RawMessage = serde_json::from_slice(payload)?;
    let id = raw.id.and_then(Id::new_checked).ok_or(UnreadableError::Lacks("id"))?;
    let edited_at = raw.edited_timestamp.as_deref().and_then(millis);
    // What a bot says later to a command that it answered with "thinking …" is no edit to Discord.
    let edited_at = edited_at.or_else(|| raw.answers_command().then(|| made_at(id)));
    let (Some(content), Some(edited_at)) = (raw.content.clone(), edited_at) else {
        return Ok(None);
    };
    let is_whole = raw.author.is_some();
    let message = if is_whole { Some(raw.into_message(bot)?) } else { None };
    Ok(Some(Edit { id, content, edited_at, message }))
}

/// Reads a `MESSAGE_DELETE` or a `MESSAGE_DELETE_BULK`.
pub(crate) fn deleted(payload: &[u8]) -> Result<Vec<Id<MessageMarker>>, UnreadableError> {
    let raw: RawDeletion = serde_json::from_slice(payload)?;
    // A bulk of none is one, too.
    let is_bulk = raw.ids.is_some();
    let ids = raw.ids.unwrap_or_default();
    let ids: Vec<_> =
        raw.id.into_iter().chain(ids).filter_map(|id| Id::new_checked(id.0)).collect();
    if ids.is_empty() && !is_bulk { Err(UnreadableError::Lacks("id")) } else { Ok(ids) }
}

/// Reads a `GUILD_CREATE`: its channels and active threads that have messages, each with the last
/// one's id.
pub(crate) fn guild_created(payload: &[u8]) -> Result<Vec<ChannelEnd>, UnreadableError> {
    let raw: RawGuild = serde_json::from_slice(payload)?;
    let channels = raw.channels.into_iter().chain(raw.threads);
    Ok(channels
        // A forum's last message is its last thread.
        .filter(|channel| !HOLDERS_OF_THREADS.contains(&channel.kind))
        .filter_map(|channel| {
            let last = channel.last_message_id.and_then(Id::new_checked)?;
            Some((channel.id.and_then(Id::new_checked)?, last))
        })
        .collect())
}

/// Returns when Discord made the id.
pub(crate) fn made_at(id: Id<MessageMarker>) -> UnixMillis {
    UnixMillis(i64::try_from(id.get() >> 22).unwrap_or(i64::MAX).saturating_add(DISCORD_EPOCH))
}

/// Returns the lowest id that Discord makes at a moment.
pub(crate) fn first_id_at(at: UnixMillis) -> u64 {
    u64::try_from(at.0.saturating_sub(DISCORD_EPOCH)).unwrap_or(0) << 22
}

fn millis(timestamp: &str) -> Option<UnixMillis> {
    let at = OffsetDateTime::parse(timestamp, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos().div_euclid(1_000_000)).ok().map(UnixMillis)
}

#[derive(Deserialize)]
struct RawFlags {
    #[serde(default)]
    flags: Option<u64>,
}

#[derive(Deserialize)]
struct RawMessage {
    #[serde(default, deserialize_with = "id")]
    id: Option<u64>,
    #[serde(default, deserialize_with = "id")]
    channel_id: Option<u64>,
    #[serde(default, deserialize_with = "id")]
    guild_id: Option<u64>,
    #[serde(default)]
    author: Option<RawUser>,
    #[serde(default)]
    member: Option<RawMember>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    edited_timestamp: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<u32>,
    #[serde(default, deserialize_with = "id")]
    webhook_id: Option<u64>,
    #[serde(default, deserialize_with = "or_default")]
    mentions: Vec<RawUser>,
    #[serde(default, deserialize_with = "or_default")]
    mention_roles: Vec<Snowflake>,
    #[serde(default, deserialize_with = "or_default")]
    attachments: Vec<RawAttachment>,
    #[serde(default, deserialize_with = "readable")]
    embeds: Vec<RawEmbed>,
    #[serde(default, deserialize_with = "readable_or_none")]
    poll: Option<RawPoll>,
    #[serde(default, deserialize_with = "readable")]
    message_snapshots: Vec<RawSnapshot>,
    #[serde(default, deserialize_with = "readable")]
    sticker_items: Vec<RawSticker>,
    #[serde(default)]
    message_reference: Option<RawReference>,
    #[serde(default)]
    referenced_message: Option<RawReferenced>,
    #[serde(default)]
    nonce: Option<Nonce>,
}

#[derive(Deserialize)]
struct RawUser {
    #[serde(default, deserialize_with = "id")]
    id: Option<u64>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    global_name: Option<String>,
    #[serde(default)]
    bot: Option<bool>,
    #[serde(default)]
    member: Option<RawMember>,
}

#[derive(Deserialize)]
struct RawMember {
    #[serde(default)]
    nick: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    roles: Vec<Snowflake>,
}

#[derive(Deserialize)]
struct RawAttachment {
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    url: Option<String>,
}

#[derive(Deserialize)]
struct RawReference {
    #[serde(default, deserialize_with = "id")]
    message_id: Option<u64>,
    #[serde(default, rename = "type")]
    kind: Option<u64>,
}

#[derive(Deserialize)]
struct RawReferenced {
    #[serde(default)]
    author: Option<RawUser>,
}

#[derive(Deserialize)]
struct RawGuild {
    #[serde(default, deserialize_with = "or_default")]
    channels: Vec<RawChannel>,
    #[serde(default, deserialize_with = "or_default")]
    threads: Vec<RawChannel>,
}

#[derive(Deserialize)]
struct RawChannel {
    #[serde(default, deserialize_with = "id")]
    id: Option<u64>,
    #[serde(rename = "type", default)]
    kind: u8,
    #[serde(default, deserialize_with = "id")]
    last_message_id: Option<u64>,
}

#[derive(Deserialize)]
struct RawDeletion {
    #[serde(default)]
    id: Option<Snowflake>,
    #[serde(default)]
    ids: Option<Vec<Snowflake>>,
}

/// An id as a string, as Discord sends them, or as a number, as others may.
struct Snowflake(u64);

impl<'de> Deserialize<'de> for Snowflake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Snowflake;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an id")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Snowflake, E> {
                text.parse().map(Snowflake).map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Snowflake, E> {
                Ok(Snowflake(number))
            }

            /// The whole thing in place of its id, as Spacebar sends roles.
            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Snowflake, A::Error> {
                let mut found = None;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "id" {
                        found = Some(map.next_value::<Snowflake>()?);
                    } else {
                        map.next_value::<serde::de::IgnoredAny>()?;
                    }
                }
                found.ok_or_else(|| serde::de::Error::missing_field("id"))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A nonce is a string or a number, as its sender chose.
#[derive(Deserialize)]
#[serde(untagged)]
enum Nonce {
    Text(String),
    Number(serde_json::Number),
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    Ok(Option::<Snowflake>::deserialize(deserializer)?.map(|id| id.0))
}

fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

impl RawMessage {
    /// Returns whether it is a whole message by which a bot answers a command.
    fn answers_command(&self) -> bool {
        self.author.is_some() && self.kind.is_some_and(|kind| ANSWERS_TO_COMMANDS.contains(&kind))
    }

    fn into_message(self, bot: Id<UserMarker>) -> Result<Message, UnreadableError> {
        let id = self.id.and_then(Id::new_checked).ok_or(UnreadableError::Lacks("id"))?;
        let channel =
            ChannelKey::from_raw(self.guild_id.unwrap_or(0), self.channel_id.unwrap_or(0))
                .ok_or(UnreadableError::Lacks("channel_id"))?;
        let user = self.author.ok_or(UnreadableError::Lacks("author"))?;
        let author =
            user.id.and_then(Id::new_checked).ok_or(UnreadableError::Lacks("author.id"))?;
        let is_automated = self.webhook_id.is_some() || user.bot.unwrap_or(false);
        let is_own = author == bot;
        let (nick, roles) = self.member.map_or_else(Default::default, |it| (it.nick, it.roles));
        let of = |roles: Vec<Snowflake>| roles.into_iter().filter_map(|it| Id::new_checked(it.0));
        let shown = Shown {
            embeds: &self.embeds,
            poll: self.poll.as_ref(),
            snapshots: &self.message_snapshots,
            stickers: &self.sticker_items,
            is_automated,
            with_running_votes: false,
        };
        let enclosures = shown.enclosures();
        let (forwarded, replied) = match self.message_reference {
            Some(reference) if reference.kind == Some(FORWARD) => (Some(reference), None),
            reference => (None, reference),
        };
        let reply_to_author = match (&replied, self.referenced_message) {
            (Some(_), Some(message)) => message.author.and_then(|author| author.id),
            _ => None,
        };
        Ok(Message {
            channel,
            id,
            author,
            author_name: name(nick, user.global_name, user.username),
            author_roles: of(roles).collect(),
            is_automated: is_automated && !is_own,
            is_own,
            content: self.content.unwrap_or_default(),
            created_at: self.timestamp.as_deref().and_then(millis).unwrap_or_else(|| made_at(id)),
            edited_at: self.edited_timestamp.as_deref().and_then(millis),
            reply_to: replied.and_then(|it| it.message_id).and_then(Id::new_checked),
            reply_to_author: reply_to_author.and_then(Id::new_checked),
            mentions: self.mentions.into_iter().filter_map(RawUser::into_mention).collect(),
            mentioned_roles: of(self.mention_roles).collect(),
            attachments: self.attachments.into_iter().map(RawAttachment::into_attachment).collect(),
            enclosures,
            forward_of: forwarded.and_then(|it| it.message_id).and_then(Id::new_checked),
            kind: self.kind.unwrap_or(0),
            nonce: match self.nonce {
                Some(Nonce::Text(text)) => text,
                Some(Nonce::Number(number)) => number.to_string(),
                None => String::new(),
            },
        })
    }
}

impl RawUser {
    fn into_mention(self) -> Option<Mention> {
        let user = self.id.and_then(Id::new_checked)?;
        let nick = self.member.and_then(|member| member.nick);
        Some(Mention { user, name: name(nick, self.global_name, self.username) })
    }
}

impl RawAttachment {
    fn into_attachment(self) -> Attachment {
        Attachment {
            filename: self.filename.unwrap_or_default(),
            content_type: self.content_type.unwrap_or_default(),
            size_bytes: self.size.unwrap_or(0),
            url: self.url.unwrap_or_default(),
        }
    }
}

fn name(nick: Option<String>, global: Option<String>, user: Option<String>) -> String {
    [nick, global, user].into_iter().flatten().find(|name| !name.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use ery_enclosures::EnclosureKind;

    use super::*;

    const BOT: Id<UserMarker> = Id::new(99);

    fn read(value: &serde_json::Value) -> Message {
        created(value.to_string().as_bytes(), BOT).unwrap()
    }

    #[test]
    fn a_whole_message_is_read() {
        let message = read(&json!({
            "id": "175928847299117063", "channel_id": "20", "guild_id": "10", "type": 19,
            "author": {"id": "7", "username": "ann_1", "global_name": "Ann", "bot": false, "avatar": null},
            "member": {"nick": "Annie", "roles": ["1"], "joined_at": "2020-01-01T00:00:00+00:00"},
            "content": "hello <@99>", "timestamp": "2016-04-30T11:18:25.796000+00:00",
            "edited_timestamp": null, "tts": false, "embeds": [{"type": "rich"}],
            "mentions": [{"id": "99", "username": "ery", "global_name": null, "member": {"nick": null}}],
            "mention_roles": ["31"],
            "attachments": [{"id": "5", "filename": "a.png", "content_type": "image/png", "size": 12, "url": "https://x/a.png"}],
            "message_reference": {"message_id": "19", "channel_id": "20"},
            "referenced_message": {"id": "19", "author": {"id": "99", "username": "ery"}, "content": "hi"},
            "nonce": 42, "something_new": {"a": []}
        }));
        assert_eq!(message.channel, ChannelKey::from_raw(10, 20).unwrap());
        assert_eq!(message.author, Id::new(7));
        assert_eq!(message.author_name, "Annie");
        assert_eq!(message.created_at, UnixMillis(1_462_015_105_796));
        assert_eq!(message.edited_at, None);
        assert_eq!(message.reply_to, Some(Id::new(19)));
        assert_eq!(message.reply_to_author, Some(BOT));
        assert_eq!(message.mentions, [Mention { user: BOT, name: "ery".into() }]);
        assert_eq!(message.mentioned_roles, [Id::new(31)]);
        assert_eq!(message.attachments[0].size_bytes, 12);
        assert_eq!(message.nonce, "42");
        assert_eq!(message.kind, 19);
        assert!(!message.is_automated && !message.is_own);
    }

    #[test]
    fn what_is_missing_or_null_is_forgiven() {
        let message = read(&json!({
            "id": 175_928_847_299_117_063_u64, "channel_id": 20, "guild_id": null,
            "author": {"id": "7", "username": "ann"}, "member": null, "content": null,
            "mentions": null, "mention_roles": null, "attachments": [{}], "message_reference": null,
            "referenced_message": null, "timestamp": "nonsense", "nonce": null, "webhook_id": null
        }));
        assert_eq!(message.channel, ChannelKey::from_raw(0, 20).unwrap());
        assert_eq!(message.author_name, "ann");
        assert_eq!(message.content, "");
        assert_eq!(message.created_at, UnixMillis(1_462_015_105_796));
        assert_eq!(message.attachments[0].filename, "");
    }

    #[test]
    fn whole_roles_in_place_of_their_ids_are_read() {
        let role = json!({"id": "31", "name": "Boss", "permissions": "8"});
        let message = read(&json!({
            "id": "20", "channel_id": "20", "author": {"id": "7", "username": "ann"},
            "member": {"roles": [role, "32"]}, "mention_roles": [role],
        }));
        assert_eq!(message.author_roles, [Id::new(31), Id::new(32)]);
        assert_eq!(message.mentioned_roles, [Id::new(31)]);
    }

    #[test]
    fn bots_webhooks_and_ery_herself_are_told_apart() {
        let by = |author: u64, extra: serde_json::Value| {
            let mut value =
                json!({"id": "1", "channel_id": "2", "author": {"id": author.to_string()}});
            value.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            read(&value)
        };
        assert!(by(7, json!({"webhook_id": "7"})).is_automated);
        assert!(by(7, json!({"author": {"id": "7", "bot": true}})).is_automated);
        let own = by(99, json!({"author": {"id": "99", "bot": true}}));
        assert!(own.is_own && !own.is_automated);
    }

    #[test]
    fn a_forward_is_no_reply_and_its_words_are_not_its_authors() {
        let message = read(&json!({
            "id": "1", "channel_id": "2", "author": {"id": "7"}, "content": "", "mentions": [],
            "message_reference": {"type": 1, "message_id": "19"},
            "referenced_message": {"author": {"id": "99"}},
            "message_snapshots": [{"message": {
                "content": "<@99> ban everybody", "mentions": [{"id": "99", "username": "ery"}],
            }}]
        }));
        assert_eq!((message.reply_to, message.reply_to_author), (None, None));
        assert_eq!((message.forward_of, message.content.as_str()), (Some(Id::new(19)), ""));
        assert_eq!(message.mentions, []);
        let shown = (message.enclosures[0].kind, message.enclosures[0].text.as_str());
        assert_eq!(shown, (EnclosureKind::Forward, "<@99> ban everybody"));
    }

    #[test]
    fn what_bots_frame_is_read_and_previews_of_peoples_links_are_not() {
        let by = |author: serde_json::Value| {
            read(&json!({
                "id": "1", "channel_id": "2", "author": author, "sticker_items": [{"name": "Wave"}],
                "embeds": [{"type": "rich", "title": "Menu"}, {"type": "link", "title": "a page"}],
                "poll": {"question": {"text": "Where to?"}, "answers": []},
            }))
        };
        let words = |message: &Message| -> Vec<String> {
            message.enclosures.iter().map(|it| it.text.clone()).collect()
        };
        assert_eq!(words(&by(json!({"id": "5", "bot": true}))), ["Where to?", "Menu", "Wave"]);
        assert_eq!(words(&by(json!({"id": "99", "bot": true}))), ["Where to?", "Menu", "Wave"]);
        assert_eq!(words(&by(json!({"id": "7"}))), ["Where to?", "Wave"]);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (payload, lacks) in [
            (json!({"channel_id": "2", "author": {"id": "7"}}), "id"),
            (json!({"id": "1", "author": {"id": "7"}}), "channel_id"),
            (json!({"id": "1", "channel_id": "2"}), "author"),
            (json!({"id": "1", "channel_id": "2", "author": {}}), "author.id"),
        ] {
            let error = created(payload.to_string().as_bytes(), BOT).unwrap_err();
            assert!(matches!(error, UnreadableError::Lacks(what) if what == lacks), "{error}");
        }
        assert!(matches!(created(b"[1", BOT), Err(UnreadableError::Json(_))));
        assert!(matches!(created(br#"{"id": "x"}"#, BOT), Err(UnreadableError::Json(_))));
    }

    #[test]
    fn an_edit_counts_only_if_its_author_made_one() {
        let edit = edited(
            br#"{"id": "5", "channel_id": "2", "content": "new", "edited_timestamp": "2016-04-30T11:18:25.796000+00:00"}"#,
            BOT,
        );
        let edit = edit.unwrap().unwrap();
        assert_eq!((edit.id, edit.content.as_str()), (Id::new(5), "new"));
        assert_eq!(edit.edited_at, UnixMillis(1_462_015_105_796));
        assert_eq!(edit.message, None);
        // As servers write it that only speak like Discord.
        let edit = edited(
            br#"{"id": "5", "content": "new", "edited_timestamp": "2016-04-30T11:18:25.796Z"}"#,
            BOT,
        );
        assert_eq!(edit.unwrap().unwrap().edited_at, UnixMillis(1_462_015_105_796));

        let unfurled = br#"{"id": "5", "channel_id": "2", "content": "same", "edited_timestamp": null, "embeds": []}"#;
        assert_eq!(edited(unfurled, BOT).unwrap(), None);
        let partial = br#"{"id": "5", "channel_id": "2", "embeds": []}"#;
        assert_eq!(edited(partial, BOT).unwrap(), None);
        assert!(edited(br#"{"channel_id": "2"}"#, BOT).is_err());
    }

    #[test]
    fn a_whole_edit_carries_the_message() {
        let edit = edited(
            br#"{"id": "5", "channel_id": "2", "author": {"id": "7"}, "content": "new", "edited_timestamp": "2016-04-30T11:18:25+00:00"}"#,
            BOT,
        );
        let message = edit.unwrap().unwrap().message.unwrap();
        assert_eq!(message.content, "new");
        assert_eq!(message.edited_at, Some(UnixMillis(1_462_015_105_000)));
    }

    #[test]
    fn what_a_bot_says_later_to_a_command_counts_between_its_first_word_and_an_edit() {
        let said = |kind: u32, moment: &str| {
            let payload = format!(
                r#"{{"id": "175928847299117063", "channel_id": "2", "author": {{"id": "7", "bot": true}},
                    "type": {kind}, "content": "42", "edited_timestamp": {moment}}}"#
            );
            edited(payload.as_bytes(), BOT).unwrap().map(|edit| edit.edited_at)
        };
        assert_eq!(said(20, "null"), Some(UnixMillis(1_462_015_105_796)));
        assert_eq!(said(23, "null"), Some(UnixMillis(1_462_015_105_796)));
        assert_eq!(said(0, "null"), None);
        let later = "\"2016-04-30T11:19:25+00:00\"";
        assert_eq!(said(20, later), Some(UnixMillis(1_462_015_165_000)));
    }

    #[test]
    fn a_guild_tells_the_last_message_of_channels_and_threads() {
        let guild = json!({
            "id": "1", "name": "a guild",
            "channels": [
                {"id": "10", "type": 0, "last_message_id": "100"},
                {"id": "11", "type": 4}, {"id": "12", "type": 0, "last_message_id": null},
                {"id": "13", "type": 15, "last_message_id": "130"},
            ],
            "threads": [{"id": "14", "type": 11, "last_message_id": "140"}],
        });
        let ends = guild_created(guild.to_string().as_bytes()).unwrap();
        assert_eq!(ends, [(Id::new(10), Id::new(100)), (Id::new(14), Id::new(140))]);
        assert_eq!(guild_created(br#"{"id": "1", "unavailable": true}"#).unwrap(), []);
        assert!(guild_created(b"[").is_err());
    }

    #[test]
    fn deletions_come_one_or_many_at_a_time() {
        assert_eq!(deleted(br#"{"id": "5", "channel_id": "2"}"#).unwrap(), [Id::new(5)]);
        assert_eq!(
            deleted(br#"{"ids": ["5", "6"], "channel_id": "2"}"#).unwrap(),
            [Id::new(5), Id::new(6)]
        );
        assert!(deleted(br#"{"ids": [], "channel_id": "2"}"#).unwrap().is_empty());
        assert!(deleted(br#"{"channel_id": "2"}"#).is_err());
    }
}
