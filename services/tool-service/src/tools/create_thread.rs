use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, MessageMarker, TagMarker},
    },
};

use super::{
    Done, Run, Settled, Tool,
    audit::{self, Made},
    reason,
    sending::SUPPRESS_EMBEDS,
    stickers::{self, Sticker},
    threads,
};
use crate::{
    adapters::discord::{
        Answer, Method, Request, RestError,
        wire::{RawChannel, snowflake_at},
    },
    domain::{
        flow::TO_READ,
        guild::{ChannelKind, Guild},
        output::MAX_CONTENT,
        text,
        tool::{AlsoIn, Needs, RetryClass, Spec, Tier, Writes},
    },
    resolve::{Problem, Scene},
};

/// The audit log's number for a thread that began.
const THREAD_CREATE: u16 = 110;

/// How far Discord's clock may be behind ours.
const CLOCK_SKEW: std::time::Duration = std::time::Duration::from_secs(5);

pub(crate) struct CreateThread;

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Visibility {
    Public,
    Private,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// What it is called.
    #[schemars(length(min = 1, max = 100))]
    name: String,
    /// The id of the message from which it begins, or a link to it. Left out: it begins by itself.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    message: Option<String>,
    /// The channel or forum: its id, a mention or its exact name. Left out: the current one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// Who sees it, if it begins by itself: public unless said otherwise. Whoever asks is added to
    /// a private one.
    #[serde(default)]
    visibility: Option<Visibility>,
    /// What the first message of a post in a forum says, in Discord's Markdown. Only for forums.
    #[schemars(length(min = 1, max = 2000))]
    #[serde(default)]
    content: Option<String>,
    /// The names of a forum's tags for the post.
    #[schemars(length(max = 5), inner(length(min = 1, max = 20)))]
    #[serde(default)]
    tags: Vec<String>,
    /// Stickers of this server for the first message of a post in a forum: their ids or exact names.
    #[schemars(length(max = 3), inner(length(min = 1, max = 100)))]
    #[serde(default)]
    stickers: Vec<String>,
    /// After how many minutes without a message it is put away: 60, 1440, 4320 or 10080.
    #[schemars(range(min = 60, max = 10_080))]
    #[serde(default)]
    auto_archive_minutes: Option<u16>,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    name: String,
    begins: Begins,
    /// Whether only those set one of its tags who manage threads: of acts that an earlier version
    /// stored. Now that is looked up whenever it is judged.
    #[serde(default, skip_serializing_if = "crate::tools::is_false")]
    has_moderated_tag: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    auto_archive_minutes: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "with")]
enum Begins {
    Message {
        message: Id<MessageMarker>,
    },
    Nothing {
        visibility: Visibility,
    },
    Post {
        content: String,
        /// By their names; what they are is looked up when it is allowed.
        tags: Vec<String>,
        suppress_embeds: bool,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        stickers: Vec<Sticker>,
    },
}

static SPEC: Spec = Spec {
    name: "create_thread",
    description: "Begins a thread: from a message, by itself (public or private), or as a post in \
                  a forum. Only on an order.",
    tier: Tier::Reversible,
    retry: RetryClass::Reconcile,
    works_in_dm: false,
};

#[async_trait]
impl Tool for CreateThread {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let archive = parameters.auto_archive_minutes;
        if archive.is_some_and(|minutes| ![60, 1_440, 4_320, 10_080].contains(&minutes)) {
            return Err(Problem::unclear(
                "A thread is put away after 60, 1440, 4320 or 10080 minutes.",
            ));
        }
        let name = scene
            .filter
            .filtered(&text::one_line(&text::visible(&parameters.name)))
            .content
            .trim()
            .to_owned();
        if name.is_empty() || name.chars().count() > 100 {
            return Err(Problem::unclear("A thread's name has 1 to 100 characters."));
        }
        let named = parameters.channel.as_deref();
        let (channel, message) = if let Some(message) = &parameters.message {
            if parameters.visibility == Some(Visibility::Private) {
                return Err(Problem::unclear("A thread at a message is as public as that."));
            }
            let (channel, message) = scene.message(named, message).await?;
            (channel, Some(message))
        } else if let Some(channel) = named {
            (scene.channel_or_category(channel).await?, None)
        } else {
            (scene.here, None)
        };
        let kind = scene.kind(channel).await?;
        let begins = match (kind, message) {
            (Some(kind), _) if kind.is_thread() => {
                return Err(Problem::unclear("A thread holds no threads; name a channel."));
            }
            (Some(ChannelKind::Holder), _) => {
                return Err(Problem::unclear("A category holds no threads; name a channel."));
            }
            (Some(ChannelKind::Forum), None) => post(&parameters, scene).await?,
            (Some(ChannelKind::Voice), _) => {
                return Err(Problem::unclear(
                    "A voice channel holds no threads; name another one.",
                ));
            }
            (Some(ChannelKind::Announcement), None)
                if parameters.visibility == Some(Visibility::Private) =>
            {
                return Err(Problem::unclear("An announcement channel has no private threads."));
            }
            _ if parameters.content.is_some()
                || !parameters.tags.is_empty()
                || !parameters.stickers.is_empty() =>
            {
                return Err(Problem::unclear(
                    "Content, tags and stickers are for posts in forums; say it in the thread.",
                ));
            }
            (_, Some(message)) => Begins::Message { message },
            (_, None) => {
                let visibility = parameters.visibility.unwrap_or(Visibility::Public);
                Begins::Nothing { visibility }
            }
        };
        let reason = reason::one_line(parameters.reason.as_deref(), scene.filter);
        let (has_moderated_tag, auto_archive_minutes) = (false, archive);
        Ok(Act { channel, name, begins, has_moderated_tag, auto_archive_minutes, reason })
    }

    fn needs(&self, act: &Act, guild: Option<&Guild>, here: Id<ChannelMarker>) -> Needs {
        let needed = match &act.begins {
            Begins::Message { .. } => TO_READ | Permissions::CREATE_PUBLIC_THREADS,
            Begins::Nothing { visibility: Visibility::Public } => {
                Permissions::VIEW_CHANNEL | Permissions::CREATE_PUBLIC_THREADS
            }
            Begins::Nothing { visibility: Visibility::Private } => {
                Permissions::VIEW_CHANNEL | Permissions::CREATE_PRIVATE_THREADS
            }
            Begins::Post { .. } => Permissions::VIEW_CHANNEL | Permissions::SEND_MESSAGES,
        };
        let is_slow = guild.is_some_and(|guild| guild.is_slow(act.channel));
        let mut asker = Permissions::empty();
        asker.set(Permissions::BYPASS_SLOWMODE, is_slow && act.channel != here);
        let sets_moderated = guild.is_some_and(|guild| sets_moderated(act, guild));
        asker.set(Permissions::MANAGE_THREADS, act.has_moderated_tag || sets_moderated);
        let also = AlsoIn { channel: act.channel, bot: Permissions::empty(), asker };
        let also_in = if asker.is_empty() { Vec::new() } else { vec![also] };
        Needs {
            tells: Some(act.channel),
            writes: Some(Writes::Thread(act.channel)),
            also_in,
            ..Needs::in_channel(act.channel, needed)
        }
    }

    fn retry(&self, act: &Act) -> RetryClass {
        match act.begins {
            // It has the message's id, so there is never a second one.
            Begins::Message { .. } => RetryClass::Safe,
            Begins::Nothing { .. } | Begins::Post { .. } => RetryClass::Reconcile,
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        if let Begins::Message { message } = act.begins {
            return at_message(act, message, run).await;
        }
        let mut body = body(act, run);
        if let Begins::Post { tags: names, .. } = &act.begins {
            match tags(act, names, run) {
                Ok(tags) if tags.is_empty() => {}
                Ok(tags) => body["applied_tags"] = json!(tags),
                Err(reason) => return Done::failed(0, reason),
            }
        }
        let path = format!("channels/{}/threads", act.channel);
        let request = Request::new(Method::Post, path.clone(), path, run.home.key(), run.send_by)
            .json(&body)
            .reason(run.audit_reason);
        let list = format!("guilds/{guild}/threads/active");
        let sought = audit::Sought { list: &list, name: body["name"].as_str().unwrap_or_default() };
        match audit::make(&request, guild, THREAD_CREATE, &sought, run).await {
            Ok(Made::Answered(answer)) => match saw(&answer, run) {
                Some(thread) => made(act, thread, answer.status, run).await,
                None => self.look_up(act, run).await,
            },
            Ok(Made::Logged { id, status }) => made(act, Id::new(id), status, run).await,
            Err(done) if done.settled == Settled::InDoubt => match among_active(act, run).await {
                Ok(Some(thread)) => made(act, thread, done.rest_status, run).await,
                Ok(None) | Err(_) => done,
            },
            Err(done) => done,
        }
    }

    async fn look_up(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else { return Done::in_doubt(0) };
        let logged = audit::find(guild, THREAD_CREATE, run).await;
        if let Ok(Some(thread)) = logged {
            return made(act, Id::new(thread), 200, run).await;
        }
        match (among_active(act, run).await, logged) {
            (Ok(Some(thread)), _) => made(act, thread, 200, run).await,
            (Ok(None), Ok(_)) => {
                Done::failed(0, "It did not get to Discord: there is no such thread.")
            }
            (Ok(None), Err(error)) | (Err(error), _) => Done::in_doubt(error.status()),
        }
    }
}

/// Reads what a post in a forum is to be.
async fn post(parameters: &Parameters, scene: &Scene<'_>) -> Result<Begins, Problem> {
    if parameters.visibility == Some(Visibility::Private) {
        return Err(Problem::unclear("Posts in a forum are as public as the forum."));
    }
    let filtered = scene.filter.filtered(parameters.content.as_deref().unwrap_or_default());
    let length = filtered.content.chars().count();
    if filtered.content.trim().is_empty() && parameters.stickers.is_empty() {
        return Err(Problem::unclear("A post in a forum needs content: its first message."));
    }
    if length > MAX_CONTENT {
        return Err(Problem::unclear(format!(
            "The content has {length} characters; Discord takes {MAX_CONTENT}. Shorten it."
        )));
    }
    let mut tags: Vec<String> = parameters
        .tags
        .iter()
        .map(|tag| text::one_line(&text::visible(tag)))
        .filter(|tag| !tag.is_empty())
        .collect();
    tags.sort_unstable();
    tags.dedup();
    let stickers = stickers::resolved(&parameters.stickers, scene).await?;
    let (content, suppress_embeds) = (filtered.content, filtered.without_previews);
    Ok(Begins::Post { content, tags, suppress_embeds, stickers })
}

/// Returns whether a post is to have a tag that only those set who manage threads.
fn sets_moderated(act: &Act, guild: &Guild) -> bool {
    let Begins::Post { tags, .. } = &act.begins else { return false };
    let known = guild.channels.get(&act.channel).map_or(&[][..], |forum| &forum.tags);
    known.iter().any(|tag| tag.is_moderated && tags.iter().any(|name| tag.is_named(name)))
}

/// Finds a forum's tags by their names.
fn tags(act: &Act, names: &[String], run: &Run<'_>) -> Result<Vec<Id<TagMarker>>, String> {
    let forum = run.state.and_then(|state| state.channel(act.channel));
    let known = forum.map_or(&[][..], |forum| &forum.tags);
    let mut tags = Vec::with_capacity(names.len());
    for name in names {
        let Some(found) = known.iter().find(|tag| tag.is_named(name)) else {
            let all: Vec<String> = known.iter().map(|tag| text::name(&tag.name)).collect();
            let all = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
            let name = text::name(name);
            return Err(format!("That forum has no tag “{name}”; it has: {all}."));
        };
        tags.push(found.id);
    }
    tags.sort_unstable();
    tags.dedup();
    Ok(tags)
}

fn body(act: &Act, run: &Run<'_>) -> Value {
    let mut body = json!({ "name": act.name });
    if let Some(minutes) = act.auto_archive_minutes {
        body["auto_archive_duration"] = json!(minutes);
    }
    match &act.begins {
        Begins::Message { .. } => {}
        // Left out, it would be a private one.
        Begins::Nothing { visibility } => {
            let channel = run.state.and_then(|state| state.channel(act.channel));
            let of_news = channel.is_some_and(|of| of.kind == ChannelKind::Announcement);
            body["type"] = json!(match (visibility, of_news) {
                (Visibility::Private, _) => 12,
                (Visibility::Public, false) => 11,
                (Visibility::Public, true) => 10,
            });
        }
        Begins::Post { content, suppress_embeds, stickers, .. } => {
            body["message"] = json!({
                "content": content,
                "allowed_mentions": { "parse": [], "replied_user": false },
            });
            if *suppress_embeds {
                body["message"]["flags"] = json!(SUPPRESS_EMBEDS);
            }
            if !stickers.is_empty() {
                body["message"]["sticker_ids"] = stickers::ids(stickers);
            }
        }
    }
    body
}

async fn at_message(act: &Act, message: Id<MessageMarker>, run: &Run<'_>) -> Done {
    let channel = act.channel;
    let path = format!("channels/{channel}/messages/{message}/threads");
    let route = format!("channels/{channel}/messages/threads");
    let request = Request::new(Method::Post, route, path, run.home.key(), run.send_by)
        .json(&body(act, run))
        .reason(run.audit_reason);
    match run.discord.repeatedly(&request.done_if(&[160_004], run.is_repeat)).await {
        Ok(answer) => {
            saw(&answer, run);
            made(act, message.cast(), answer.status, run).await
        }
        Err(RestError::Refused { code: 160_004, status }) => {
            let thread = message;
            let summary = format!("That message has a thread already: <#{thread}>.");
            Done::ok(status, summary, fields(act, thread.cast()))
        }
        Err(error) => Done::of_write(&error),
    }
}

/// Takes over what an answer says of a thread.
fn saw(answer: &Answer, run: &Run<'_>) -> Option<Id<ChannelMarker>> {
    let thread = answer.json::<RawChannel>().ok()?;
    if let Some(guild) = run.guild() {
        run.guilds.saw_channel(guild, thread.channel());
    }
    Some(thread.id)
}

/// Looks for the thread among the active ones: where the audit log may not be read.
async fn among_active(act: &Act, run: &Run<'_>) -> Result<Option<Id<ChannelMarker>>, RestError> {
    let Some(guild) = run.guild() else { return Ok(None) };
    let since = snowflake_at(run.opened_at - CLOCK_SKEW);
    let found = threads::active(guild, run).await?.into_iter().find(|thread| {
        thread.id.get() >= since
            && thread.parent_id == Some(act.channel)
            && thread.owner_id == Some(run.bot)
            && thread.name.as_deref() == Some(act.name.as_str())
    });
    Ok(found.map(|thread| thread.id))
}

/// Tells of the thread; whoever asked is in a private one.
async fn made(act: &Act, thread: Id<ChannelMarker>, status: u16, run: &Run<'_>) -> Done {
    let mut summary = format!("The thread <#{thread}> began.");
    if matches!(act.begins, Begins::Nothing { visibility: Visibility::Private }) {
        for person in run.people {
            let route = format!("channels/{thread}/thread-members");
            let path = format!("{route}/{person}");
            let request = Request::new(Method::Put, route, path, run.home.key(), run.send_by);
            if let Err(error) = run.discord.repeatedly(&request).await {
                tracing::warn!(error = %error, "cannot add who asked to their thread");
                summary = format!("{summary} I could not add <@{person}> to it.");
            }
        }
    }
    Done::ok(status, summary, fields(act, thread))
}

fn fields(act: &Act, thread: Id<ChannelMarker>) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("thread".into(), json!(thread.to_string()));
    fields.insert("channel".into(), json!(act.channel.to_string()));
    fields.insert("name".into(), json!(act.name));
    fields
}
