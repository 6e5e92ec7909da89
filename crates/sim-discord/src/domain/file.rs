//! A world as a JSON document: what `GET /sim/v1/world` answers, and what `--world` reads.

mod commands;
mod forwards;
mod invites;
mod planned;
mod polls;
mod settings;
mod threads;
mod webhooks;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    ApplicationId, Ban, Bot, Channel, ChannelId, ChannelKind, Emoji, Guild, GuildId, GuildSticker,
    Member, Message, MessageId, MessageKind, Overwrite, OverwriteTarget, Presence, Reaction,
    Reference, Role, RoleId, Status, StickerItem, User, UserId, World, created_at, embeds,
    forwards::HAS_SNAPSHOT, guilds::DEFAULT_EVERYONE,
};
use crate::wire::{Iso, parse_iso};

use commands::CommandFile;
use forwards::ForwardedFile;
use invites::InviteFile;
use planned::{GuildEmojiFile, ScheduledEventFile};
use polls::PollFile;
use settings::GuildSettingsFile;
use threads::{ChannelSettingsFile, ThreadFile};
use webhooks::{PersonaFile, WebhookFile};

/// How long ago members joined of whom the file says nothing: they are no newcomers.
const BEFORE: std::time::Duration = std::time::Duration::from_hours(30 * 24);

/// Why a world file was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum WorldFileError {
    /// The document is no JSON, or not of the shape that is documented.
    #[error("the world file is not of the right shape")]
    Shape(#[source] serde_json::Error),
    /// Something in it names what is not there, or twice the same.
    #[error("in the world file, {place}: {problem}")]
    Content { place: String, problem: String },
}

fn wrong(place: impl Into<String>, problem: impl Into<String>) -> WorldFileError {
    WorldFileError::Content { place: place.into(), problem: problem.into() }
}

/// Which part of the world is told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Excerpt {
    /// How many of the latest messages of each channel.
    pub(crate) messages: usize,
    /// This guild alone.
    pub(crate) guild: Option<GuildId>,
    /// The guilds with greater ids.
    pub(crate) after: Option<GuildId>,
    /// So many guilds at most.
    pub(crate) guilds: Option<usize>,
    /// So many members of each guild at most.
    pub(crate) members: Option<usize>,
}

impl Excerpt {
    /// Tells whether all guilds are meant; only then those are told who are in none of them.
    fn is_whole(&self) -> bool {
        self.guild.is_none()
            && self.after.is_none()
            && self.guilds.is_none()
            && self.members.is_none()
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorldFile {
    #[serde(default)]
    guilds: Vec<GuildFile>,
    #[serde(default)]
    bots: Vec<BotFile>,
    /// People who are in no guild; those who are may stand here too.
    #[serde(default)]
    users: Vec<UserFile>,
    #[serde(default)]
    dms: Vec<DmFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GuildFile {
    id: GuildId,
    name: String,
    #[serde(default)]
    description: Option<String>,
    owner_id: UserId,
    #[serde(default)]
    system_channel_id: Option<ChannelId>,
    #[serde(default)]
    rules_channel_id: Option<ChannelId>,
    #[serde(flatten)]
    settings: GuildSettingsFile,
    #[serde(default)]
    roles: Vec<RoleFile>,
    #[serde(default)]
    channels: Vec<ChannelFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    threads: Vec<ThreadFile>,
    members: Vec<MemberFile>,
    #[serde(default)]
    bans: Vec<BanFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    invites: Vec<InviteFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<WebhookFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    emojis: Vec<GuildEmojiFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stickers: Vec<GuildSticker>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    scheduled_events: Vec<ScheduledEventFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RoleFile {
    id: RoleId,
    name: String,
    #[serde(default)]
    position: i64,
    permissions: BitsFile,
    #[serde(default)]
    color: u32,
    #[serde(default)]
    hoist: bool,
    #[serde(default)]
    mentionable: bool,
    /// Told, not read: a role is managed if it is a bot's.
    #[serde(default, deserialize_with = "ignored")]
    managed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bot_id: Option<UserId>,
}

/// Permissions as a decimal number in a string, or a plain number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BitsFile(pub(crate) Permissions);

impl Serialize for BitsFile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.bits())
    }
}

impl<'de> Deserialize<'de> for BitsFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        let bits = match Written::deserialize(deserializer)? {
            Written::Number(bits) => bits,
            Written::Text(text) => text.parse().map_err(|_| {
                serde::de::Error::custom(format!("`{text}` is no decimal set of permissions"))
            })?,
        };
        Ok(Self(Permissions::from_bits_retain(bits)))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OverwriteFile {
    id: GenericId,
    /// 0 a role, 1 a member.
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default = "no_bits")]
    allow: BitsFile,
    #[serde(default = "no_bits")]
    deny: BitsFile,
}

fn no_bits() -> BitsFile {
    BitsFile(Permissions::empty())
}

/// An id of either kind.
type GenericId = twilight_model::id::Id<twilight_model::id::marker::GenericMarker>;

impl OverwriteFile {
    fn new(overwrite: &Overwrite) -> Self {
        let (id, kind) = match overwrite.target {
            OverwriteTarget::Role(role) => (role.cast(), 0),
            OverwriteTarget::Member(member) => (member.cast(), 1),
        };
        Self { id, kind, allow: BitsFile(overwrite.allow), deny: BitsFile(overwrite.deny) }
    }

    pub(crate) fn read(&self) -> Overwrite {
        let target = if self.kind == 0 {
            OverwriteTarget::Role(self.id.cast())
        } else {
            OverwriteTarget::Member(self.id.cast())
        };
        Overwrite { target, allow: self.allow.0, deny: self.deny.0 }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelFile {
    id: ChannelId,
    /// 0 text, 2 voice, 4 category, 5 announcement, 13 stage, 15 forum, 16 media.
    #[serde(rename = "type", default)]
    kind: u8,
    name: String,
    #[serde(default)]
    topic: Option<String>,
    #[serde(default)]
    position: i64,
    #[serde(default)]
    parent_id: Option<ChannelId>,
    #[serde(default)]
    nsfw: bool,
    #[serde(default)]
    rate_limit_per_user: u32,
    #[serde(default)]
    permission_overwrites: Vec<OverwriteFile>,
    #[serde(flatten)]
    settings: ChannelSettingsFile,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    messages: Vec<MessageFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MessageFile {
    /// Made up from `timestamp`, or from now, where there is none.
    #[serde(default)]
    id: Option<MessageId>,
    author_id: UserId,
    /// Of what a webhook said, whose id the author's then is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<PersonaFile>,
    content: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timestamp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply_to: Option<MessageId>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pinned: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    edited_timestamp: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    embeds: Vec<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    stickers: Vec<StickerItem>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll: Option<PollFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forwarded: Option<ForwardedFile>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reactions: Vec<ReactionFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReactionFile {
    /// A unicode emoji, or `name:id` of a guild's own.
    emoji: String,
    /// In the order in which they reacted.
    user_ids: Vec<UserId>,
}

impl ReactionFile {
    fn new(reaction: &Reaction) -> Self {
        Self { emoji: emoji_text(&reaction.emoji), user_ids: reaction.users.clone() }
    }

    fn read(self, users: &HashMap<UserId, User>) -> Result<Reaction, String> {
        let emoji =
            Emoji::parse(&self.emoji).map_err(|_| format!("`{}` is no emoji", self.emoji))?;
        if let Some(nobody) = self.user_ids.iter().find(|user| !users.contains_key(user)) {
            return Err(format!("nobody is {nobody}, who reacted with {}", self.emoji));
        }
        Ok(Reaction { emoji, users: self.user_ids })
    }
}

/// Writes an emoji as [`Emoji::parse`] reads it.
fn emoji_text(emoji: &Emoji) -> String {
    match emoji {
        Emoji::Unicode(name) => name.clone(),
        Emoji::Custom { id, name, .. } => format!("{name}:{id}"),
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UserFile {
    id: UserId,
    username: String,
    #[serde(default)]
    global_name: Option<String>,
    #[serde(default)]
    bot: bool,
    #[serde(default = "yes")]
    accepts_dms: bool,
    /// Of a person: whether they are online when the world begins.
    #[serde(default, skip_serializing_if = "Status::is_offline")]
    status: Status,
}

fn yes() -> bool {
    true
}

fn ignored<'de, D: Deserializer<'de>, T: Default>(deserializer: D) -> Result<T, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| T::default())
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberFile {
    user: UserFile,
    #[serde(default)]
    nick: Option<String>,
    #[serde(default)]
    roles: Vec<RoleId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    joined_at: Option<String>,
    #[serde(default)]
    communication_disabled_until: Option<String>,
    /// Told, not read: what they may do in the guild, before any channel's overwrites.
    #[serde(default, deserialize_with = "ignored")]
    permissions: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BanFile {
    user: UserFile,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BotFile {
    id: UserId,
    username: String,
    #[serde(default)]
    application_id: Option<ApplicationId>,
    token: String,
    #[serde(default)]
    owner_id: Option<UserId>,
    #[serde(default = "yes")]
    privileged_intents: bool,
    /// As REST tells them; one with a `guild_id` is that guild's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    commands: Vec<CommandFile>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DmFile {
    id: ChannelId,
    recipient_ids: [UserId; 2],
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    messages: Vec<MessageFile>,
}

impl World {
    /// Reads a world from a JSON document.
    ///
    /// # Errors
    ///
    /// [`WorldFileError`], with the line or the place in it.
    pub fn from_json(document: &[u8], now: UnixMillis) -> Result<Self, WorldFileError> {
        let file: WorldFile = serde_json::from_slice(document).map_err(WorldFileError::Shape)?;
        let mut world = Self::empty();
        let mut commands = Vec::new();
        for mut bot in file.bots {
            commands.push((bot.id, std::mem::take(&mut bot.commands)));
            world.load_bot(bot, now)?;
        }
        for user in &file.users {
            world.load_user(user, now);
        }
        for guild in file.guilds {
            world.load_guild(guild, now)?;
        }
        for dm in file.dms {
            world.load_dm(dm, now)?;
        }
        for (bot, commands) in commands {
            for command in commands {
                world.load_command_file(bot, command, now)?;
            }
        }
        Ok(world)
    }

    /// Returns the world, or a part of it, as a document.
    pub(crate) fn to_file(&self, excerpt: &Excerpt, now: UnixMillis) -> WorldFile {
        let first = excerpt.guild.or(excerpt.after).map_or(0, GuildId::get);
        let guilds = self.guilds.values().filter(|guild| {
            excerpt.guild.is_none_or(|wanted| guild.id == wanted)
                && excerpt.after.is_none_or(|_| guild.id.get() > first)
        });
        let guilds = guilds.take(excerpt.guilds.unwrap_or(usize::MAX));
        let is_whole = excerpt.is_whole();
        let mut users: Vec<UserFile> = Vec::new();
        if is_whole {
            let in_guilds: HashSet<UserId> =
                self.guilds.values().flat_map(|guild| guild.members.keys().copied()).collect();
            let elsewhere =
                self.users.values().filter(|user| !in_guilds.contains(&user.id) && !user.is_bot);
            users = elsewhere.map(|user| self.user_file(user)).collect();
            users.sort_unstable_by_key(|user| user.id);
        }
        let dms = self.dms.iter().filter(|_| is_whole);
        WorldFile {
            guilds: guilds.map(|guild| self.guild_file(guild, excerpt, now)).collect(),
            bots: self.bots.iter().map(|bot| self.bot_file(bot)).collect(),
            users,
            dms: dms.filter_map(|(pair, id)| self.dm_file(*pair, *id, excerpt.messages)).collect(),
        }
    }

    /// Returns one guild as it stands in a document.
    pub(crate) fn one_guild_file(&self, guild: GuildId, now: UnixMillis) -> Option<GuildFile> {
        let excerpt = Excerpt::default();
        self.guilds.get(&guild).map(|guild| self.guild_file(guild, &excerpt, now))
    }

    fn user_file(&self, user: &User) -> UserFile {
        UserFile {
            id: user.id,
            username: user.username.clone(),
            global_name: user.global_name.clone(),
            bot: user.is_bot,
            accepts_dms: user.accepts_dms,
            // A bot is online while it has a session, which no file can say.
            status: if user.is_bot { Status::Offline } else { self.presence(user.id).status },
        }
    }

    fn bot_file(&self, bot: &Bot) -> BotFile {
        BotFile {
            id: bot.user,
            username: self
                .users
                .get(&bot.user)
                .map(|user| user.username.clone())
                .unwrap_or_default(),
            application_id: Some(bot.application),
            token: bot.token.clone(),
            owner_id: bot.owner,
            privileged_intents: bot.privileged_intents,
            commands: self.command_files(bot),
        }
    }

    fn dm_file(
        &self,
        (one, other): (UserId, UserId),
        id: ChannelId,
        messages: usize,
    ) -> Option<DmFile> {
        let channel = self.channels.get(&id)?;
        let messages = messages_of(channel, messages);
        Some(DmFile { id, recipient_ids: [one, other], messages })
    }

    fn guild_file(&self, guild: &Guild, excerpt: &Excerpt, now: UnixMillis) -> GuildFile {
        let user = |id: UserId| self.users.get(&id).map(|user| self.user_file(user));
        let told = guild.members.values().take(excerpt.members.unwrap_or(usize::MAX));
        let members = told.filter_map(|member| {
            Some(MemberFile {
                user: user(member.user)?,
                nick: member.nick.clone(),
                roles: member.roles.clone(),
                joined_at: Some(Iso(member.joined_at).to_string()),
                communication_disabled_until: member
                    .timed_out_until
                    .map(|until| Iso(until).to_string()),
                permissions: Some(guild.permissions_of(member, now).bits().to_string()),
            })
        });
        let bans = guild
            .bans
            .values()
            .filter_map(|ban| Some(BanFile { user: user(ban.user)?, reason: ban.reason.clone() }));
        let channels = guild.channels.iter().filter_map(|id| self.channels.get(id));
        GuildFile {
            id: guild.id,
            name: guild.name.clone(),
            description: guild.description.clone(),
            owner_id: guild.owner,
            system_channel_id: guild.system_channel,
            rules_channel_id: guild.rules_channel,
            settings: GuildSettingsFile::new(&guild.settings),
            roles: guild.roles.values().map(role_file).collect(),
            channels: channels.map(|channel| channel_file(channel, excerpt.messages)).collect(),
            threads: guild
                .threads
                .iter()
                .filter_map(|id| {
                    threads::thread_file(self, self.channels.get(id)?, excerpt.messages)
                })
                .collect(),
            members: members.collect(),
            bans: bans.collect(),
            invites: self.invite_files(guild.id),
            webhooks: self.webhook_files(guild.id),
            emojis: guild.emojis.values().map(GuildEmojiFile::new).collect(),
            stickers: guild.stickers.values().cloned().collect(),
            scheduled_events: guild.events.values().map(ScheduledEventFile::new).collect(),
        }
    }

    fn load_user(&mut self, user: &UserFile, now: UnixMillis) {
        self.mint.observe(user.id, now);
        let is_bot = user.bot || self.bot(user.id).is_some();
        self.users.entry(user.id).or_insert_with(|| User {
            id: user.id,
            username: user.username.clone(),
            global_name: user.global_name.clone(),
            is_bot,
            accepts_dms: user.accepts_dms,
        });
        let presence = Presence::new(user.status, Vec::new());
        if presence.is_visible() && !is_bot {
            self.presences.insert(user.id, presence);
        }
    }

    fn load_bot(&mut self, bot: BotFile, now: UnixMillis) -> Result<(), WorldFileError> {
        let place = format!("bot {}", bot.id);
        if bot.token.is_empty() {
            return Err(wrong(place, "its token is empty"));
        }
        if self.bot_by_token(&bot.token).is_some() || self.bot(bot.id).is_some() {
            return Err(wrong(place, "its id or its token is another bot's"));
        }
        self.mint.observe(bot.id, now);
        self.users.insert(
            bot.id,
            User {
                id: bot.id,
                username: bot.username,
                global_name: None,
                is_bot: true,
                accepts_dms: true,
            },
        );
        self.bots.push(Bot {
            user: bot.id,
            application: bot.application_id.unwrap_or(bot.id.cast()),
            token: bot.token,
            owner: bot.owner_id,
            privileged_intents: bot.privileged_intents,
        });
        Ok(())
    }

    fn load_guild(&mut self, file: GuildFile, now: UnixMillis) -> Result<(), WorldFileError> {
        let place = format!("guild {} (`{}`)", file.id, file.name);
        if self.guilds.contains_key(&file.id) {
            return Err(wrong(place, "another guild has its id"));
        }
        self.mint.observe_guild(file.id, now);
        let mut guild = Guild {
            id: file.id,
            name: file.name,
            description: file.description,
            owner: file.owner_id,
            roles: BTreeMap::new(),
            members: BTreeMap::new(),
            channels: BTreeSet::new(),
            threads: BTreeSet::new(),
            emojis: BTreeMap::new(),
            stickers: BTreeMap::new(),
            events: BTreeMap::new(),
            bans: BTreeMap::new(),
            audit_log: VecDeque::new(),
            system_channel: file.system_channel_id,
            rules_channel: file.rules_channel_id,
            settings: file.settings.read(),
        };
        for role in file.roles {
            self.mint.observe(role.id, now);
            guild.roles.insert(role.id, read_role(role));
        }
        let everyone = guild.everyone();
        guild.roles.entry(everyone).or_insert_with(|| Role {
            id: everyone,
            name: "@everyone".to_owned(),
            color: 0,
            hoist: false,
            position: 0,
            permissions: DEFAULT_EVERYONE,
            mentionable: false,
            bot: None,
        });
        for member in file.members {
            self.load_member(&mut guild, member, now).map_err(|problem| wrong(&place, problem))?;
        }
        if !guild.members.contains_key(&guild.owner) {
            return Err(wrong(place, format!("its owner {} is no member", guild.owner)));
        }
        for ban in file.bans {
            self.load_user(&ban.user, now);
            guild.bans.insert(ban.user.id, Ban { user: ban.user.id, reason: ban.reason });
        }
        for channel in file.channels {
            let place = format!("{place}, channel {} (`{}`)", channel.id, channel.name);
            let id = channel.id;
            let channel = self
                .load_channel(guild.id, channel, now)
                .map_err(|problem| wrong(place, problem))?;
            guild.channels.insert(id);
            self.channels.insert(id, channel);
        }
        for thread in file.threads {
            let place = format!("{place}, thread {}", thread.id());
            let id =
                self.load_thread(guild.id, thread, now).map_err(|problem| wrong(place, problem))?;
            guild.threads.insert(id);
        }
        for sticker in file.stickers {
            self.mint.observe(sticker.id, now);
            guild.stickers.insert(sticker.id, sticker);
        }
        self.load_planned(&mut guild, (file.emojis, file.scheduled_events), now)
            .map_err(|problem| wrong(&place, problem))?;
        for invite in file.invites {
            self.load_invite(&guild, invite, now).map_err(|problem| wrong(&place, problem))?;
        }
        for webhook in file.webhooks {
            self.load_webhook(&guild, webhook, now).map_err(|problem| wrong(&place, problem))?;
        }
        self.guilds.insert(guild.id, guild);
        Ok(())
    }

    fn load_member(
        &mut self,
        guild: &mut Guild,
        file: MemberFile,
        now: UnixMillis,
    ) -> Result<(), String> {
        let user = file.user.id;
        self.load_user(&file.user, now);
        let moment = |text: Option<&String>| match text {
            Some(text) => parse_iso(text)
                .map(Some)
                .ok_or_else(|| format!("member {user}: `{text}` is no moment in ISO 8601")),
            None => Ok(None),
        };
        if let Some(role) = file.roles.iter().find(|role| !guild.roles.contains_key(role)) {
            return Err(format!("member {user} has the role {role}, which is not there"));
        }
        let member = Member {
            user,
            nick: file.nick,
            joined_at: moment(file.joined_at.as_ref())?.unwrap_or(now - BEFORE),
            timed_out_until: moment(file.communication_disabled_until.as_ref())?,
            roles: file.roles,
        };
        if guild.members.insert(user, member).is_some() {
            return Err(format!("member {user} is there twice"));
        }
        Ok(())
    }

    fn load_channel(
        &mut self,
        guild: GuildId,
        file: ChannelFile,
        now: UnixMillis,
    ) -> Result<Channel, String> {
        let kind = ChannelKind(file.kind);
        if !kind.is_of_guild() {
            return Err(format!("its type {} is none of 0, 2, 4, 5, 13, 15, 16", file.kind));
        }
        if self.channels.contains_key(&file.id) {
            return Err("another channel has its id".to_owned());
        }
        self.mint.observe(file.id, now);
        let mut channel = Channel::new(file.id, Some(guild), kind, file.name);
        channel.topic = file.topic;
        channel.position = file.position;
        channel.parent = file.parent_id;
        channel.nsfw = file.nsfw;
        channel.rate_limit_per_user = file.rate_limit_per_user;
        channel.overwrites = file.permission_overwrites.iter().map(OverwriteFile::read).collect();
        file.settings.read(&mut channel);
        self.load_messages(&mut channel, file.messages, now)?;
        Ok(channel)
    }

    fn load_dm(&mut self, file: DmFile, now: UnixMillis) -> Result<(), WorldFileError> {
        let place = format!("direct message {}", file.id);
        let [one, other] = file.recipient_ids;
        if one == other || [one, other].iter().any(|user| !self.users.contains_key(user)) {
            return Err(wrong(place, "its recipients are not two people of this world"));
        }
        if self.channels.contains_key(&file.id) {
            return Err(wrong(place, "another channel has its id"));
        }
        self.mint.observe(file.id, now);
        let mut channel = Channel::new(file.id, None, ChannelKind::DM, String::new());
        channel.recipients = vec![one, other];
        self.load_messages(&mut channel, file.messages, now)
            .map_err(|problem| wrong(place, problem))?;
        self.dms.insert((one.min(other), one.max(other)), file.id);
        self.channels.insert(file.id, channel);
        Ok(())
    }

    fn load_messages(
        &mut self,
        channel: &mut Channel,
        files: Vec<MessageFile>,
        now: UnixMillis,
    ) -> Result<(), String> {
        for file in files {
            let at = match &file.timestamp {
                Some(text) => {
                    parse_iso(text).ok_or_else(|| format!("`{text}` is no moment in ISO 8601"))?
                }
                None => now,
            };
            let id = match file.id {
                Some(id) => {
                    self.mint.observe(id, now);
                    id
                }
                None => self.mint.next(at),
            };
            if file.webhook.is_none() && !self.users.contains_key(&file.author_id) {
                return Err(format!("nobody is {}, the author of message {id}", file.author_id));
            }
            let reference = file.reply_to.map(|message| Reference {
                message: Some(message),
                channel: channel.id,
                guild: channel.guild,
            });
            let forwarded = file.forwarded.map(ForwardedFile::read).transpose();
            let forwarded =
                forwarded.map_err(|problem| format!("message {id} forwards {problem}"))?;
            let (forwarded, snapshot) = forwarded.unzip();
            let flags = if snapshot.is_some() { HAS_SNAPSHOT } else { 0 };
            let edited_at = match &file.edited_timestamp {
                Some(text) => {
                    let at = parse_iso(text);
                    Some(at.ok_or_else(|| format!("`{text}` is no moment in ISO 8601"))?)
                }
                None => None,
            };
            let embeds = embeds::accept(file.embeds)
                .map_err(|refusal| format!("an embed of message {id}: {refusal}"))?;
            let reactions = file.reactions.into_iter().map(|reaction| reaction.read(&self.users));
            let reactions: Result<Vec<Reaction>, String> = reactions.collect();
            let poll = file.poll.map(|poll| poll.read(&self.users)).transpose();
            let poll = poll.map_err(|problem| format!("the poll of message {id}: {problem}"))?;
            let kind = if reference.is_some() { MessageKind::REPLY } else { MessageKind::DEFAULT };
            let message = Message {
                content: file.content,
                edited_at,
                embeds,
                pinned_at: file.pinned.then(|| created_at(id)),
                stickers: file.stickers,
                poll: poll.map(Box::new),
                snapshot,
                flags,
                reactions: reactions?,
                reference: forwarded.or(reference),
                application: file.webhook.as_ref().and_then(|webhook| webhook.application_id),
                webhook: file.webhook.as_ref().map(|_| file.author_id.cast()),
                persona: file.webhook.map(|webhook| Box::new(webhook.read())),
                ..Message::new(id, channel.id, channel.guild, file.author_id, kind)
            };
            self.watch_poll(&message);
            if channel.messages.insert(id, message).is_some() {
                return Err(format!("message {id} is there twice"));
            }
        }
        channel.last_message = channel.messages.keys().next_back().copied();
        Ok(())
    }
}

fn role_file(role: &Role) -> RoleFile {
    RoleFile {
        id: role.id,
        name: role.name.clone(),
        position: role.position,
        permissions: BitsFile(role.permissions),
        color: role.color,
        hoist: role.hoist,
        mentionable: role.mentionable,
        managed: role.is_managed(),
        bot_id: role.bot,
    }
}

fn read_role(file: RoleFile) -> Role {
    Role {
        id: file.id,
        name: file.name,
        color: file.color,
        hoist: file.hoist,
        position: file.position,
        permissions: file.permissions.0,
        mentionable: file.mentionable,
        bot: file.bot_id,
    }
}

fn channel_file(channel: &Channel, messages: usize) -> ChannelFile {
    ChannelFile {
        id: channel.id,
        kind: channel.kind.0,
        name: channel.name.clone(),
        topic: channel.topic.clone(),
        position: channel.position,
        parent_id: channel.parent,
        nsfw: channel.nsfw,
        rate_limit_per_user: channel.rate_limit_per_user,
        permission_overwrites: channel.overwrites.iter().map(OverwriteFile::new).collect(),
        settings: ChannelSettingsFile::new(channel),
        messages: messages_of(channel, messages),
    }
}

/// Returns the latest messages, the oldest of them first; those of the system are left out.
fn messages_of(channel: &Channel, most: usize) -> Vec<MessageFile> {
    let spoken = channel.messages.values().rev().filter(|message| !message.kind.is_system());
    let mut messages: Vec<MessageFile> = spoken
        .take(most)
        .map(|message| MessageFile {
            id: Some(message.id),
            author_id: message.author,
            webhook: message
                .persona
                .as_deref()
                .map(|persona| PersonaFile::new(persona, message.application)),
            content: message.content.clone(),
            timestamp: Some(Iso(created_at(message.id)).to_string()),
            reply_to: answered(message),
            pinned: message.pinned_at.is_some(),
            edited_timestamp: message.edited_at.map(|at| Iso(at).to_string()),
            embeds: message.embeds.clone(),
            stickers: message.stickers.clone(),
            poll: message.poll.as_deref().map(PollFile::new),
            forwarded: ForwardedFile::new(message),
            reactions: message.reactions.iter().map(ReactionFile::new).collect(),
        })
        .collect();
    messages.reverse();
    messages
}

/// Returns what a message answers; what a forward shows stands beside it.
fn answered(message: &Message) -> Option<MessageId> {
    message.reference.filter(|_| message.snapshot.is_none())?.message
}

#[cfg(test)]
mod tests {
    use ery_clock::ManualClock;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_750_000_000_000);

    fn everything() -> Excerpt {
        Excerpt { messages: usize::MAX, ..Excerpt::default() }
    }

    #[test]
    fn a_world_reads_back_as_it_was_told() {
        let world = World::demo(&ManualClock::at(NOW));
        let told = serde_json::to_value(world.to_file(&everything(), NOW)).unwrap();
        let again = World::from_json(&serde_json::to_vec(&told).unwrap(), NOW).unwrap();
        assert_eq!(serde_json::to_value(again.to_file(&everything(), NOW)).unwrap(), told);
        assert_eq!(told["bots"][0]["token"], super::super::DEMO_TOKEN);
        assert!(told.to_string().contains(r#"{"emoji":"🎉","user_ids":["#));
    }

    #[test]
    fn the_example_of_the_readme_is_a_world() {
        let readme = include_str!("../../README.md");
        let example = readme.split("```json").nth(1).unwrap().split("```").next().unwrap();
        let world = World::from_json(example.as_bytes(), NOW).unwrap();
        let guild = &world.guilds[&GuildId::new(1_000)];
        assert_eq!((guild.members.len(), guild.roles.len()), (2, 2));
        assert_eq!(world.bot_by_token("a-token").unwrap().user, UserId::new(9));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let world = World::demo(&ManualClock::at(NOW));
        let good = serde_json::to_value(world.to_file(&Excerpt::default(), NOW)).unwrap();
        let error = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut document = good.clone();
            change(&mut document);
            World::from_json(document.to_string().as_bytes(), NOW).unwrap_err().to_string()
        };
        let owner = error(&|world| world["guilds"][0]["owner_id"] = "5".into());
        assert!(
            owner.contains("Harbour Café") && owner.contains("owner 5 is no member"),
            "{owner}"
        );
        let role =
            error(&|world| world["guilds"][0]["members"][0]["roles"] = serde_json::json!(["77"]));
        assert!(role.contains("has the role 77, which is not there"), "{role}");
        let shape = World::from_json(b"{\"guild\": []}", NOW).unwrap_err();
        assert!(matches!(shape, WorldFileError::Shape(_)), "{shape}");
        let kind = error(&|world| world["guilds"][0]["channels"][0]["type"] = 1.into());
        assert!(kind.contains("its type 1 is none of"), "{kind}");
    }
}
