use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{Id, marker::ChannelMarker},
};

use super::{Done, Run, Tool, server, threads};
use crate::{
    adapters::discord::{
        Answer, Method, Request, RestError,
        wire::{RawChannel, created_at, time_stamp},
    },
    domain::{
        flow::TO_READ,
        guild::{Channel, ChannelKind, Guild, OverwriteOf},
        permissions, text,
        tool::{Needs, Reads, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// How many threads are listed of each sort.
const MAX_THREADS: usize = 50;

/// How many overwrites are told of.
const MAX_OVERWRITES: usize = 50;

pub(crate) struct GetChannelInfo;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The channel, thread, forum or category: its id, a mention or its exact name. Left out: the
    /// current one.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// Whether to list its archived public threads, too.
    #[serde(default)]
    archived_threads: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    channel: Id<ChannelMarker>,
    archived_threads: bool,
}

static SPEC: Spec = Spec {
    name: "get_channel_info",
    description: "Tells about a channel, thread, forum or category: name, topic, kind, slow mode, \
                  its threads; who may do what there to those who manage it.",
    tier: Tier::Read,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for GetChannelInfo {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let channel = match &parameters.channel {
            Some(channel) => scene.channel_or_category(channel).await?,
            None => scene.here,
        };
        Ok(Act { channel, archived_threads: parameters.archived_threads })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let needed = if act.archived_threads { TO_READ } else { Permissions::VIEW_CHANNEL };
        Needs { reads: Reads::About(act.channel), ..Needs::in_channel(act.channel, needed) }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        match told(act, run).await {
            Ok(done) => done,
            Err(error) => Done::of_read(&error),
        }
    }
}

async fn told(act: &Act, run: &Run<'_>) -> Result<Done, RestError> {
    let path = format!("channels/{}", act.channel);
    let request = Request::new(Method::Get, path.clone(), path, run.home.key(), run.send_by);
    let answer: Answer = run.discord.repeatedly(&request).await?;
    let raw: Map<String, Value> = answer.json()?;
    let channel = answer.json::<RawChannel>()?.channel();
    let mut fields = look(&raw, &channel);
    let mut remark = "";
    if !channel.kind.is_thread() && channel.kind != ChannelKind::Holder {
        remark = list_threads(act, run, &mut fields).await;
    }
    let to_manage = [Permissions::MANAGE_ROLES, Permissions::MANAGE_CHANNELS];
    if run.all_have_in(&channel, &to_manage) {
        fields.insert("overwrites".into(), overwrites(&channel, run));
    }
    let kind = server::kind(number(&raw));
    let name = text::name(&channel.name);
    let summary = format!("<#{}> is a {kind} named “{name}”.{remark}", channel.id);
    Ok(Done::ok(answer.status, summary, fields))
}

fn number(raw: &Map<String, Value>) -> u8 {
    raw.get("type").and_then(Value::as_u64).and_then(|of| u8::try_from(of).ok()).unwrap_or(0)
}

fn look(raw: &Map<String, Value>, channel: &Channel) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("id".into(), json!(channel.id.to_string()));
    fields.insert("name".into(), json!(text::name(&channel.name)));
    fields.insert("kind".into(), json!(server::kind(number(raw))));
    if let Some(parent) = channel.parent {
        let field = if channel.kind.is_thread() { "channel" } else { "category" };
        fields.insert(field.into(), json!(parent.to_string()));
    }
    if let Some(created_at) = time_stamp(created_at(channel.id.get())) {
        fields.insert("created_at".into(), json!(created_at));
    }
    let topic = raw.get("topic").and_then(Value::as_str).filter(|topic| !topic.is_empty());
    if let Some(topic) = topic {
        fields.insert("topic".into(), json!(text::visible(topic)));
    }
    for (from, to) in [
        ("nsfw", "nsfw"),
        ("rate_limit_per_user", "slow_mode_seconds"),
        ("user_limit", "user_limit"),
        ("bitrate", "bitrate"),
        ("owner_id", "begun_by"),
        ("message_count", "messages"),
        ("member_count", "members"),
        ("default_auto_archive_duration", "threads_archived_after_minutes"),
        ("last_message_id", "last_message"),
    ] {
        if let Some(value) = raw.get(from).filter(|value| !value.is_null()) {
            fields.insert(to.into(), value.clone());
        }
    }
    if let Some(of) = raw.get("thread_metadata") {
        for (from, to) in [
            ("archived", "is_archived"),
            ("locked", "is_locked"),
            ("auto_archive_duration", "archived_after_minutes"),
        ] {
            fields.insert(to.into(), of[from].clone());
        }
    }
    if let Some(Value::Array(tags)) = raw.get("available_tags").filter(|tags| **tags != json!([])) {
        let names = tags.iter().filter_map(|tag| tag["name"].as_str()).map(text::name);
        fields.insert("tags".into(), names.collect::<Vec<_>>().into());
    }
    fields
}

/// Lists the threads that whoever sees the channel sees: the public ones. What is known of the channel is told
/// also where they cannot be listed; that is what it returns then, in words.
async fn list_threads(act: &Act, run: &Run<'_>, fields: &mut Map<String, Value>) -> &'static str {
    let Some(guild) = run.guild() else { return "" };
    let show = |of: Vec<threads::Listed>| -> Value {
        of.into_iter()
            .filter(|thread| thread.parent_id == Some(act.channel))
            .filter(|thread| {
                !matches!(ChannelKind::from_number(thread.kind), ChannelKind::PrivateThread)
            })
            .take(MAX_THREADS)
            .map(|thread| {
                json!({
                    "id": thread.id.to_string(),
                    "name": text::name(thread.name.as_deref().unwrap_or_default()),
                    "messages": thread.message_count,
                })
            })
            .collect()
    };
    let active = listed(threads::active(guild, run).await);
    let archived = if act.archived_threads {
        Some(listed(threads::archived(act.channel, MAX_THREADS, run).await))
    } else {
        None
    };
    let is_active_missing = active.is_none();
    let is_archived_missing = matches!(archived, Some(None));
    if let Some(active) = active {
        fields.insert("threads".into(), show(active));
    }
    if let Some(archived) = archived.flatten() {
        fields.insert("archived_threads".into(), show(archived));
    }
    match (is_active_missing, is_archived_missing) {
        (false, false) => "",
        (true, false) => " Its active threads cannot be listed at the moment.",
        (false, true) => " Its archived threads cannot be listed at the moment.",
        (true, true) => " Its threads cannot be listed at the moment.",
    }
}

fn listed<T>(listed: Result<T, RestError>) -> Option<T> {
    listed
        .inspect_err(
            |error| tracing::warn!(error = %error, "threads of a channel cannot be listed"),
        )
        .ok()
}

fn overwrites(channel: &Channel, run: &Run<'_>) -> Value {
    let Some(state) = run.state else { return Value::Null };
    let ruling = state.guild.ruling(channel).unwrap_or(channel);
    ruling
        .overwrites
        .iter()
        .take(MAX_OVERWRITES)
        .map(|overwrite| {
            let of = match overwrite.of {
                OverwriteOf::Role(role) => {
                    let name = state.guild.roles.get(&role).map(|role| text::name(&role.name));
                    json!({ "role": role.to_string(), "name": name })
                }
                OverwriteOf::Member(member) => json!({ "member": member.to_string() }),
            };
            json!({
                "of": of,
                "allow": permissions::constants(overwrite.allow),
                "deny": permissions::constants(overwrite.deny),
            })
        })
        .collect()
}
