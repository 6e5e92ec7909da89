//! Channels: made, changed, moved, deleted and listed.

mod moving;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker},
    },
};

use super::{
    Done, Run, Tool, audit,
    audit::Made,
    reason,
    server::{self, Sight},
};
use crate::{
    adapters::discord::{Method, Request, RestError, wire::RawChannel},
    domain::{
        guild::{ChannelKind, Guild},
        text,
        tool::{AlsoIn, Needs, Reads, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// The audit log's number for a channel that was made.
const CHANNEL_CREATE: u16 = 10;

/// Discord's code for a channel that is not there any more.
const GONE: &[u64] = &[10_003];

pub(crate) struct ManageChannels;

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    Create,
    Modify,
    Move,
    Delete,
    List,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Text,
    Voice,
    Category,
    Announcement,
    Stage,
    Forum,
}

impl Kind {
    /// Discord's number.
    fn number(self) -> u8 {
        match self {
            Self::Text => 0,
            Self::Voice => 2,
            Self::Category => 4,
            Self::Announcement => 5,
            Self::Stage => 13,
            Self::Forum => 15,
        }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// What to do.
    action: Action,
    /// The channel, category or thread to modify, move or delete: its id, a mention or its exact name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// What it is called, or will be.
    #[schemars(length(min = 1, max = 100))]
    #[serde(default)]
    name: Option<String>,
    /// What kind of channel to create; text unless said otherwise.
    #[serde(default)]
    kind: Option<Kind>,
    /// The category in which to create it, or into which to move it: its id or exact name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    category: Option<String>,
    /// For move: whether it is put outside of all categories.
    #[serde(default)]
    out_of_category: bool,
    /// For move: the channel right above which it is put, in the same category as that one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    above: Option<String>,
    /// For move: the channel right below which it is put, instead of above.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    below: Option<String>,
    /// What the channel is for, in a sentence; an empty text takes the topic away.
    #[schemars(length(max = 4096))]
    #[serde(default)]
    topic: Option<String>,
    /// How many seconds each member waits between two messages; 0: none.
    #[schemars(range(min = 0, max = 21_600))]
    #[serde(default)]
    slow_mode_seconds: Option<u16>,
    /// Whether only adults may open it.
    #[serde(default)]
    nsfw: Option<bool>,
    /// Its place among the channels, counted from 0, for create and modify.
    #[schemars(range(min = 0, max = 500))]
    #[serde(default)]
    position: Option<u16>,
    /// Of a thread: whether it is put away.
    #[serde(default)]
    archived: Option<bool>,
    /// Of a thread: whether only those who manage threads may bring it back.
    #[serde(default)]
    locked: Option<bool>,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "action")]
pub(crate) enum Act {
    Create {
        kind: Kind,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        category: Option<Id<ChannelMarker>>,
        look: Look,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Modify {
        channel: Id<ChannelMarker>,
        look: Look,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Move {
        channel: Id<ChannelMarker>,
        to: moving::To,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Delete {
        channel: Id<ChannelMarker>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    List {},
}

/// A channel's properties, as Discord names them; what is none stays.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Look {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate_limit_per_user: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nsfw: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locked: Option<bool>,
}

impl Look {
    /// Says where a new channel is found: in this list.
    fn sought<'a>(&'a self, list: &'a str) -> audit::Sought<'a> {
        audit::Sought { list, name: self.name.as_deref().unwrap_or_default() }
    }
}

static SPEC: Spec = Spec {
    name: "manage_channels",
    description: "Creates, modifies, moves, deletes or lists channels. Threads can be renamed, put away, \
                  locked and deleted by it, too. A deleted channel does not come back. Only on the \
                  order of somebody who may do it themselves; anybody may have the list.",
    tier: Tier::Destructive,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for ManageChannels {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let reason = reason::one_line(parameters.reason.as_deref(), scene.filter);
        check_fields(&parameters)?;
        let look = look(&parameters, scene)?;
        match (parameters.action, &parameters.channel) {
            (Action::Create | Action::List, Some(_)) => {
                Err(Problem::unclear("Name a channel only to modify, move or delete it."))
            }
            (Action::Modify | Action::Move | Action::Delete, None) => {
                Err(Problem::unclear("Say which channel is meant."))
            }
            (Action::List | Action::Move | Action::Delete, _) if look != Look::default() => {
                Err(Problem::unclear("Properties are for creating and modifying alone."))
            }
            (Action::List, None) => Ok(Act::List {}),
            (Action::Create, None) => {
                if look.name.is_none() {
                    return Err(Problem::unclear("A new channel needs a name."));
                }
                if look.archived.is_some() || look.locked.is_some() {
                    return Err(Problem::unclear("Only threads are put away or locked."));
                }
                let category = match &parameters.category {
                    Some(category) => Some(category_named(category, scene).await?),
                    None => None,
                };
                let kind = parameters.kind.unwrap_or(Kind::Text);
                if kind == Kind::Category && category.is_some() {
                    return Err(Problem::unclear("A category stands in no other."));
                }
                check_topic(look.topic.as_deref(), kind == Kind::Forum)?;
                Ok(Act::Create { kind, category, look, reason })
            }
            (Action::Modify, Some(channel)) => {
                let channel = scene.channel_or_category(channel).await?;
                let kind = scene.kind(channel).await?;
                let is_thread = kind.is_some_and(ChannelKind::is_thread);
                let of_threads = look.archived.is_some() || look.locked.is_some();
                let of_channels =
                    look.topic.is_some() || look.nsfw.is_some() || look.position.is_some();
                if look == Look::default() {
                    return Err(Problem::unclear("Say what is to be changed."));
                }
                if of_threads && !is_thread {
                    return Err(Problem::unclear("Only threads are put away or locked."));
                }
                if of_channels && is_thread {
                    return Err(Problem::unclear("A thread has no topic, age limit or place."));
                }
                check_topic(look.topic.as_deref(), kind == Some(ChannelKind::Forum))?;
                Ok(Act::Modify { channel, look, reason })
            }
            (Action::Move, Some(channel)) => {
                let channel = scene.channel_or_category(channel).await?;
                let to = moving::to(&parameters, channel, scene).await?;
                Ok(Act::Move { channel, to, reason })
            }
            (Action::Delete, Some(channel)) => {
                Ok(Act::Delete { channel: scene.channel_or_category(channel).await?, reason })
            }
        }
    }

    fn needs(&self, act: &Act, guild: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        match act {
            Act::List {} => {
                let reads = Reads::AboutAll;
                Needs { reads, is_for_members: true, ..Needs::in_guild(Permissions::empty()) }
            }
            Act::Create { category, .. } => {
                let manage = Permissions::MANAGE_CHANNELS;
                let also_in = category.map(|category| AlsoIn::both(category, manage));
                let also_in = also_in.into_iter().collect();
                Needs { also_in, ..Needs::in_guild(Permissions::MANAGE_CHANNELS) }
            }
            Act::Move { channel, to, .. } => to.needs(*channel, guild),
            Act::Modify { channel, .. } | Act::Delete { channel, .. } => {
                let kind = guild.and_then(|guild| guild.channels.get(channel)).map(|of| of.kind);
                let to_manage = match kind {
                    Some(kind) if kind.is_thread() => Permissions::MANAGE_THREADS,
                    _ => Permissions::MANAGE_CHANNELS,
                };
                Needs::in_channel(*channel, Permissions::VIEW_CHANNEL | to_manage)
            }
        }
    }

    fn tier(&self, act: &Act) -> Tier {
        match act {
            Act::List {} => Tier::Read,
            Act::Create { .. } | Act::Modify { .. } | Act::Move { .. } | Act::Delete { .. } => {
                Tier::Destructive
            }
        }
    }

    fn least_tier(&self) -> Tier {
        Tier::Read
    }

    fn retry(&self, act: &Act) -> RetryClass {
        match act {
            Act::Create { .. } => RetryClass::Reconcile,
            Act::List {} | Act::Modify { .. } | Act::Move { .. } | Act::Delete { .. } => {
                RetryClass::Safe
            }
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        match act {
            Act::List {} => list(guild, run).await,
            Act::Create { kind, category, look, .. } => {
                create(guild, *kind, *category, look, run).await
            }
            Act::Modify { channel, look, .. } => modify(guild, *channel, look, run).await,
            Act::Move { channel, to, .. } => moving::perform(guild, *channel, to, run).await,
            Act::Delete { channel, .. } => delete(*channel, run).await,
        }
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else { return Done::in_doubt(0) };
        let look = match act {
            Act::Create { look, .. } => look,
            Act::Delete { channel, .. } => return look_for_deleted(*channel, run).await,
            Act::List {} | Act::Modify { .. } | Act::Move { .. } => return Done::in_doubt(0),
        };
        let list = format!("guilds/{guild}/channels");
        match audit::made_before(guild, CHANNEL_CREATE, &look.sought(&list), run).await {
            Ok(Some(channel)) => created(Id::new(channel), look, 200),
            Ok(None) => Done::failed(0, "It did not get to Discord: there is no such channel."),
            Err(done) => done,
        }
    }
}

/// Refuses what does not belong to an action, rather than to drop it silently.
fn check_fields(parameters: &Parameters) -> Result<(), Problem> {
    let action = parameters.action;
    if action != Action::Create && parameters.kind.is_some() {
        return Err(Problem::unclear("The kind is for a new channel alone."));
    }
    if !matches!(action, Action::Create | Action::Move) && parameters.category.is_some() {
        return Err(Problem::unclear("The category is for creating and moving alone."));
    }
    let says_where =
        parameters.out_of_category || parameters.above.is_some() || parameters.below.is_some();
    if action != Action::Move && says_where {
        return Err(Problem::unclear("Above, below and out_of_category are for moving alone."));
    }
    Ok(())
}

fn look(parameters: &Parameters, scene: &Scene<'_>) -> Result<Look, Problem> {
    let plain = |text: &String| scene.filter.filtered(text).content.trim().to_owned();
    let name = parameters.name.as_ref().map(|name| plain(name).replace(['\n', '\r', '\t'], " "));
    if name.as_ref().is_some_and(|name| name.is_empty() || name.chars().count() > 100) {
        return Err(Problem::unclear("A name has 1 to 100 characters."));
    }
    Ok(Look {
        name,
        topic: parameters.topic.as_ref().map(plain),
        rate_limit_per_user: parameters.slow_mode_seconds,
        nsfw: parameters.nsfw,
        position: parameters.position,
        archived: parameters.archived,
        locked: parameters.locked,
    })
}

fn check_topic(topic: Option<&str>, of_forum: bool) -> Result<(), Problem> {
    let most = if of_forum { 4_096 } else { 1_024 };
    let length = topic.map_or(0, |topic| topic.chars().count());
    if length > most {
        return Err(Problem::unclear(format!(
            "The topic has {length} characters; Discord takes {most}."
        )));
    }
    Ok(())
}

async fn category_named(text: &str, scene: &Scene<'_>) -> Result<Id<ChannelMarker>, Problem> {
    let category = scene.channel_or_category(text).await?;
    if scene.kind(category).await? == Some(ChannelKind::Holder) {
        Ok(category)
    } else {
        Err(Problem::unclear("A channel stands in a category, not in another channel."))
    }
}

async fn create(
    guild: Id<GuildMarker>,
    kind: Kind,
    category: Option<Id<ChannelMarker>>,
    look: &Look,
    run: &Run<'_>,
) -> Done {
    let mut body = json!(look);
    body["type"] = json!(kind.number());
    if let Some(category) = category {
        body["parent_id"] = json!(category);
    }
    let path = format!("guilds/{guild}/channels");
    let request = Request::new(Method::Post, &*path, &*path, guild.get(), run.send_by)
        .json(&body)
        .reason(run.audit_reason);
    let sought = look.sought(&path);
    match audit::make(&request, guild, CHANNEL_CREATE, &sought, run).await {
        Ok(Made::Answered(answer)) => match answer.json::<RawChannel>() {
            Ok(channel) => {
                run.guilds.saw_channel(guild, channel.channel());
                created(channel.id, look, answer.status)
            }
            Err(error) => Done::of_write(&error),
        },
        Ok(Made::Logged { id, status }) => created(Id::new(id), look, status),
        Err(done) => done,
    }
}

fn created(channel: Id<ChannelMarker>, look: &Look, status: u16) -> Done {
    let mut fields = Map::new();
    fields.insert("channel".into(), json!(channel.to_string()));
    if let Some(name) = &look.name {
        fields.insert("name".into(), json!(text::name(name)));
    }
    Done::ok(status, format!("The channel <#{channel}> was created."), fields)
}

async fn modify(
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
    look: &Look,
    run: &Run<'_>,
) -> Done {
    let mut body = json!(look);
    if look.topic.as_deref() == Some("") {
        body["topic"] = Value::Null;
    }
    let path = format!("channels/{channel}");
    let mut request = Request::new(Method::Patch, path.clone(), path, guild.get(), run.send_by)
        .json(&body)
        .reason(run.audit_reason);
    if look.name.is_some() || look.topic.is_some() {
        // Discord limits these by the minute, and nothing else.
        request = request.about("name");
    }
    match run.discord.repeatedly(&request).await {
        Ok(answer) => {
            if let Ok(changed) = answer.json::<RawChannel>() {
                run.guilds.saw_channel(guild, changed.channel());
            }
            let mut fields = Map::new();
            fields.insert("channel".into(), json!(channel.to_string()));
            Done::ok(answer.status, format!("<#{channel}> was changed."), fields)
        }
        Err(error) => Done::of_write(&error),
    }
}

async fn delete(channel: Id<ChannelMarker>, run: &Run<'_>) -> Done {
    let path = format!("channels/{channel}");
    let request = Request::new(Method::Delete, path.clone(), path, run.home.key(), run.send_by)
        .reason(run.audit_reason)
        .done_if(GONE, run.is_repeat);
    let status = match run.discord.repeatedly(&request).await {
        Ok(answer) => answer.status,
        // Not every server tells by Discord's code that it is gone.
        Err(error) if error.is_in_doubt() || run.is_repeat && error.status() == 404 => {
            match is_there(channel, run).await {
                Ok(false) => 404,
                Ok(true) | Err(_) => return Done::of_write(&error),
            }
        }
        Err(error) => return Done::of_write(&error),
    };
    deleted(channel, status, run)
}

/// Finds out what became of a deletion that cannot be judged anew: what it is about may be gone.
async fn look_for_deleted(channel: Id<ChannelMarker>, run: &Run<'_>) -> Done {
    match is_there(channel, run).await {
        Ok(false) => deleted(channel, 404, run),
        Ok(true) => Done::failed(0, "It was not deleted: the channel is still there."),
        Err(error) => Done::in_doubt(error.status()),
    }
}

fn deleted(channel: Id<ChannelMarker>, status: u16, run: &Run<'_>) -> Done {
    if let Some(guild) = run.guild() {
        run.guilds.saw_channel_go(guild, channel);
    }
    let mut fields = Map::new();
    fields.insert("channel".into(), json!(channel.to_string()));
    Done::ok(status, "The channel was deleted.", fields)
}

async fn is_there(channel: Id<ChannelMarker>, run: &Run<'_>) -> Result<bool, RestError> {
    let path = format!("channels/{channel}");
    let send_by = run.discord.send_by();
    let request = Request::new(Method::Get, path.clone(), path, run.home.key(), send_by);
    match run.discord.repeatedly(&request).await {
        Ok(_) => Ok(true),
        Err(RestError::Refused { status: 404, .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

async fn list(guild: Id<GuildMarker>, run: &Run<'_>) -> Done {
    match server::channels(guild, run).await {
        Ok((status, channels)) => {
            let channels = server::listed(&channels, Sight::of(run), run.max_result_bytes);
            let summary = text::counted(channels.shown.len(), "channel", "channels");
            let mut fields = Map::new();
            fields.insert("channels".into(), Value::Array(channels.shown));
            Done::ok(status, format!("{summary}.{}", channels.remark), fields)
        }
        Err(error) => Done::of_read(&error),
    }
}
