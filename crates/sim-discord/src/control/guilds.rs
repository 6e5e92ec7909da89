use std::sync::Arc;

use axum::extract::{Path, State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use ery_clock::UnixMillis;

use super::{ControlError, Reply, members::present, read};
use crate::{
    domain::{
        Actor, BitsFile, ChannelChange, ChannelId, ChannelKind, Dispatch, ERY_PERMISSIONS, Effect,
        EmojiId, GuildChange, GuildId, GuildSeed, Outcome, OverwriteFile, PostEmoji, Refusal,
        RoleChange, RoleId, TagChange, TagId, UserId, World,
    },
    shared::Shared,
    wire,
};

/// How many things one request may make.
const MAX_AT_ONCE: usize = 10_000;

/// Names, or a number of things whose names do not matter.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Several {
    Count(usize),
    Named(Vec<String>),
}

impl Several {
    fn names(&self, prefix: &str) -> Vec<String> {
        match self {
            Self::Count(count) => (1..=*count).map(|index| format!("{prefix}-{index}")).collect(),
            Self::Named(names) => names.clone(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct NewGuild {
    name: String,
    /// Somebody new where it is not said.
    #[serde(default)]
    owner_id: Option<UserId>,
    #[serde(default)]
    channels: Option<Several>,
    #[serde(default)]
    members: Option<Several>,
    /// The name of the channel to which Discord's system messages go; none where it is not said.
    #[serde(default)]
    system_channel: Option<String>,
    /// Which bots are invited; all of them where it is not said.
    #[serde(default)]
    bots: Option<Vec<UserId>>,
    /// Of the bots' own roles.
    #[serde(default)]
    bot_permissions: Option<BitsFile>,
    /// Makes so many guilds, and answers with a list.
    #[serde(default)]
    count: Option<usize>,
}

impl NewGuild {
    fn channel_names(&self) -> Vec<String> {
        let general = || Several::Named(vec!["general".to_owned()]);
        self.channels.clone().unwrap_or_else(general).names("channel")
    }
}

/// `POST /sim/v1/guilds`
pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: NewGuild = read(&body)?;
    let count = new.count.unwrap_or(1);
    let of = |several: &Option<Several>| match several {
        Some(Several::Count(count)) => *count,
        Some(Several::Named(names)) => names.len(),
        None => 1,
    };
    if count.saturating_mul(of(&new.channels).max(of(&new.members))) > MAX_AT_ONCE {
        let problem = format!("no more than {MAX_AT_ONCE} channels or members at once");
        return Err(ControlError::bad_request(problem));
    }
    let channels = new.channel_names();
    if let Some(system) = new.system_channel.as_ref().filter(|name| !channels.contains(name)) {
        let problem = format!("system_channel: `{system}` is none of the new channels");
        return Err(ControlError::bad_request(problem));
    }
    let mut made = Vec::with_capacity(count);
    for index in 1..=count {
        let name =
            if new.count.is_some() { format!("{}-{index}", new.name) } else { new.name.clone() };
        // One by one, so that a thousand guilds do not hold everything else up.
        made.push(shared.act(|world, now| make_guild(world, name, &new, now))?);
    }
    let state = shared.lock();
    let now = shared.clock.now();
    let files: Vec<_> =
        made.iter().filter_map(|guild| state.world.one_guild_file(*guild, now)).collect();
    Ok(match (new.count, files.as_slice()) {
        (None, [file]) => Reply::created(file),
        _ => Reply::created(&json!({ "guilds": files })),
    })
}

fn make_guild(
    world: &mut World,
    name: String,
    new: &NewGuild,
    now: UnixMillis,
) -> Outcome<GuildId> {
    let owner = match new.owner_id {
        Some(owner) => owner,
        None => world.create_user("owner", None, false, now),
    };
    let mut dispatches: Vec<Dispatch> = Vec::new();
    let guild = world.create_guild(GuildSeed { name, owner, everyone: None }, now)?.value;
    for name in new.channel_names() {
        let is_system = new.system_channel.as_ref() == Some(&name);
        let change = ChannelChange { name: Some(name), ..ChannelChange::default() };
        let kind = ChannelKind::TEXT;
        let made = world.create_channel(Actor::Operator, guild, kind, change, None, now)?;
        dispatches.extend(made.dispatches);
        if is_system {
            let edit = GuildChange { system_channel: Some(Some(made.value)), ..Default::default() };
            dispatches
                .extend(world.update_guild(Actor::Operator, guild, edit, None, now)?.dispatches);
        }
    }
    for name in new.members.as_ref().map(|members| members.names("member")).unwrap_or_default() {
        let user = world.create_user(&name, None, false, now);
        dispatches.extend(world.join(guild, user, None, Vec::new(), now)?.dispatches);
    }
    let all_bots = || world.bots.iter().map(|bot| bot.user).collect();
    let bots: Vec<UserId> = new.bots.clone().unwrap_or_else(all_bots);
    let rights = new.bot_permissions.map_or(ERY_PERMISSIONS, |bits| bits.0);
    for bot in bots {
        dispatches.extend(world.invite_bot(guild, bot, rights, None, now)?.dispatches);
    }
    Ok(Effect::new(guild, dispatches))
}

/// `GET /sim/v1/guilds/{guild}`
pub(super) async fn show(
    State(shared): State<Arc<Shared>>,
    Path(guild): Path<GuildId>,
) -> Result<Reply, ControlError> {
    let now = shared.clock.now();
    let file = shared.lock().world.one_guild_file(guild, now).ok_or(Refusal::UnknownGuild)?;
    Ok(Reply::json(&file))
}

/// `DELETE /sim/v1/guilds/{guild}`
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(guild): Path<GuildId>,
) -> Result<Reply, ControlError> {
    shared.act(|world, _| world.delete_guild(guild))?;
    Ok(Reply::no_content())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Availability {
    available: bool,
}

/// `PUT /sim/v1/guilds/{guild}/availability`: an outage of one guild begins or ends.
pub(super) async fn set_available(
    State(shared): State<Arc<Shared>>,
    Path(guild): Path<GuildId>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let Availability { available } = read(&body)?;
    shared.act(|world, _| world.set_available(guild, available))?;
    Ok(Reply::no_content())
}

#[derive(Debug, Deserialize)]
pub(super) struct RoleBody {
    #[serde(default)]
    guild_id: Option<GuildId>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    permissions: Option<BitsFile>,
    #[serde(default)]
    color: Option<u32>,
    #[serde(default)]
    hoist: Option<bool>,
    #[serde(default)]
    mentionable: Option<bool>,
    #[serde(default)]
    position: Option<i64>,
    /// Who gets a new role at once.
    #[serde(default)]
    members: Vec<UserId>,
}

impl RoleBody {
    fn change(&self) -> RoleChange {
        RoleChange {
            name: self.name.clone(),
            permissions: self.permissions.map(|bits| bits.0),
            color: self.color,
            hoist: self.hoist,
            mentionable: self.mentionable,
            position: self.position,
        }
    }
}

fn role_reply(
    world: &World,
    guild: GuildId,
    role: RoleId,
    reply: fn(&wire::RoleView<'_>) -> Reply,
) -> Result<Reply, ControlError> {
    let role = world.guild(guild)?.roles.get(&role).ok_or(Refusal::UnknownRole)?;
    Ok(reply(&wire::RoleView::new(role)))
}

/// `POST /sim/v1/roles`
pub(super) async fn create_role(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: RoleBody = read(&body)?;
    let guild = new.guild_id.ok_or_else(|| ControlError::bad_request("guild_id is missing"))?;
    let role = shared.act(|world, now| {
        let made = world.create_role(Actor::Operator, guild, new.change(), None, now)?;
        let mut dispatches = made.dispatches;
        for user in &new.members {
            let both = (*user, made.value);
            let given = world.set_member_role(Actor::Operator, guild, both, true, None, now)?;
            dispatches.extend(given.dispatches);
        }
        Ok(Effect::new(made.value, dispatches))
    })?;
    role_reply(&shared.lock().world, guild, role, |view| Reply::created(view))
}

/// `PATCH /sim/v1/roles/{guild}/{role}`
pub(super) async fn update_role(
    State(shared): State<Arc<Shared>>,
    Path((guild, role)): Path<(GuildId, RoleId)>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let edit: RoleBody = read(&body)?;
    let change = edit.change();
    shared.act(|world, now| world.update_role(Actor::Operator, guild, role, change, None, now))?;
    role_reply(&shared.lock().world, guild, role, |view| Reply::json(view))
}

/// `DELETE /sim/v1/roles/{guild}/{role}`
pub(super) async fn delete_role(
    State(shared): State<Arc<Shared>>,
    Path((guild, role)): Path<(GuildId, RoleId)>,
) -> Result<Reply, ControlError> {
    shared.act(|world, now| world.delete_role(Actor::Operator, guild, role, None, now))?;
    Ok(Reply::no_content())
}

#[derive(Debug, Deserialize)]
pub(super) struct ChannelBody {
    #[serde(default)]
    guild_id: Option<GuildId>,
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "type", default)]
    kind: u8,
    #[serde(default, deserialize_with = "present")]
    topic: Option<Option<String>>,
    #[serde(default)]
    position: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    parent_id: Option<Option<ChannelId>>,
    #[serde(default)]
    nsfw: Option<bool>,
    #[serde(default)]
    rate_limit_per_user: Option<u32>,
    #[serde(default)]
    permission_overwrites: Option<Vec<OverwriteFile>>,
    #[serde(default)]
    bitrate: Option<u32>,
    #[serde(default)]
    user_limit: Option<u32>,
    #[serde(default)]
    default_auto_archive_duration: Option<u16>,
    #[serde(default)]
    default_thread_rate_limit_per_user: Option<u32>,
    /// Of a forum: 16 demands a tag of every post.
    #[serde(default)]
    flags: Option<u64>,
    #[serde(default)]
    available_tags: Option<Vec<TagBody>>,
    /// Makes so many channels, and answers with a list.
    #[serde(default)]
    count: Option<usize>,
}

/// A tag of a forum; one without an id is new.
#[derive(Clone, Debug, Deserialize)]
struct TagBody {
    #[serde(default)]
    id: Option<TagId>,
    name: String,
    #[serde(default)]
    moderated: bool,
    #[serde(default)]
    emoji_id: Option<EmojiId>,
    #[serde(default)]
    emoji_name: Option<String>,
}

impl TagBody {
    fn change(self) -> TagChange {
        TagChange {
            id: self.id,
            name: self.name,
            is_moderated: self.moderated,
            emoji: PostEmoji::of(self.emoji_id, self.emoji_name),
        }
    }
}

impl ChannelBody {
    fn change(&self) -> ChannelChange {
        ChannelChange {
            name: self.name.clone(),
            topic: self.topic.clone(),
            rate_limit_per_user: self.rate_limit_per_user,
            nsfw: self.nsfw,
            position: self.position,
            parent: self.parent_id,
            overwrites: self
                .permission_overwrites
                .as_ref()
                .map(|overwrites| overwrites.iter().map(OverwriteFile::read).collect()),
            bitrate: self.bitrate,
            user_limit: self.user_limit,
            default_auto_archive: self.default_auto_archive_duration.map(Some),
            default_thread_rate_limit_per_user: self.default_thread_rate_limit_per_user,
            flags: self.flags,
            tags: self
                .available_tags
                .clone()
                .map(|tags| tags.into_iter().map(TagBody::change).collect()),
            ..ChannelChange::default()
        }
    }
}

/// `POST /sim/v1/channels`
pub(super) async fn create_channel(
    State(shared): State<Arc<Shared>>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let new: ChannelBody = read(&body)?;
    let guild = new.guild_id.ok_or_else(|| ControlError::bad_request("guild_id is missing"))?;
    let kind = ChannelKind(new.kind);
    let mut made: Vec<ChannelId> = Vec::new();
    for index in 1..=new.count.unwrap_or(1) {
        let mut change = new.change();
        if new.count.is_some() {
            change.name = change.name.map(|name| format!("{name}-{index}"));
        }
        let one = shared.act(|world, now| {
            world.create_channel(Actor::Operator, guild, kind, change, None, now)
        })?;
        made.push(one);
    }
    let state = shared.lock();
    let views: Vec<_> = made
        .iter()
        .filter_map(|id| state.world.channels.get(id))
        .map(wire::ChannelView::new)
        .collect();
    Ok(match (new.count, views.as_slice()) {
        (None, [view]) => Reply::created(view),
        _ => Reply::created(&json!({ "channels": views })),
    })
}

/// `PATCH /sim/v1/channels/{channel}`
pub(super) async fn update_channel(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<ChannelId>,
    body: Bytes,
) -> Result<Reply, ControlError> {
    let edit: ChannelBody = read(&body)?;
    let change = edit.change();
    shared.act(|world, now| world.update_channel(Actor::Operator, channel, change, None, now))?;
    let state = shared.lock();
    Ok(Reply::json(&wire::GuildChannelView::new(state.world.channel(channel)?, None)))
}

/// `DELETE /sim/v1/channels/{channel}`
pub(super) async fn delete_channel(
    State(shared): State<Arc<Shared>>,
    Path(channel): Path<ChannelId>,
) -> Result<Reply, ControlError> {
    shared.act(|world, now| world.delete_channel(Actor::Operator, channel, None, now))?;
    Ok(Reply::no_content())
}
