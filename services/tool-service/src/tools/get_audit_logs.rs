use std::collections::HashMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

use super::{Done, Run, Tool};
use crate::{
    adapters::discord::{
        Method, Request,
        wire::{RawUser, created_at, time_stamp},
    },
    domain::{
        guild::Guild,
        reference, text,
        tool::{Needs, Reads, RetryClass, Spec, Tier},
    },
    resolve::{Problem, Scene},
};

/// How much of a changed value is shown.
const MAX_VALUE: usize = 200;

/// How many changes of an entry are shown.
const MAX_CHANGES: usize = 20;

/// Discord's numbers for what was done, and our names for them.
const ACTIONS: &[(u16, &str)] = &[
    (1, "server_changed"),
    (10, "channel_created"),
    (11, "channel_changed"),
    (12, "channel_deleted"),
    (13, "overwrite_created"),
    (14, "overwrite_changed"),
    (15, "overwrite_deleted"),
    (20, "member_kicked"),
    (21, "members_pruned"),
    (22, "member_banned"),
    (23, "member_unbanned"),
    (24, "member_changed"),
    (25, "member_roles_changed"),
    (26, "member_moved"),
    (27, "member_disconnected"),
    (28, "bot_added"),
    (30, "role_created"),
    (31, "role_changed"),
    (32, "role_deleted"),
    (40, "invite_created"),
    (41, "invite_changed"),
    (42, "invite_deleted"),
    (50, "webhook_created"),
    (51, "webhook_changed"),
    (52, "webhook_deleted"),
    (60, "emoji_created"),
    (61, "emoji_changed"),
    (62, "emoji_deleted"),
    (72, "message_deleted"),
    (73, "messages_deleted"),
    (74, "message_pinned"),
    (75, "message_unpinned"),
    (100, "event_created"),
    (101, "event_changed"),
    (102, "event_deleted"),
    (110, "thread_created"),
    (111, "thread_changed"),
    (112, "thread_deleted"),
    (140, "automod_rule_created"),
    (141, "automod_rule_changed"),
    (142, "automod_rule_deleted"),
    (143, "automod_message_blocked"),
    (144, "automod_message_flagged"),
    (145, "automod_member_timed_out"),
    (146, "automod_member_quarantined"),
];

pub(crate) struct GetAuditLogs;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Who did it: a mention, an id, or an exact name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    member: Option<String>,
    /// To whom or what it was done: a mention or an id of a member, role, channel or message, or
    /// a member's exact name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    target: Option<String>,
    /// What was done, such as `member_banned`, `member_kicked`, `member_changed` (timeouts),
    /// `message_deleted`, `messages_deleted`, `channel_deleted` or `role_changed`.
    #[schemars(length(min = 1, max = 50))]
    #[serde(default)]
    action: Option<String>,
    /// How many entries.
    #[schemars(range(min = 1, max = 100))]
    #[serde(default = "fifty")]
    limit: u8,
    /// Only entries before the entry with this id.
    #[schemars(length(min = 1, max = 20))]
    #[serde(default)]
    before: Option<String>,
    /// The entries next after the entry with this id.
    #[schemars(length(min = 1, max = 20))]
    #[serde(default)]
    after: Option<String>,
}

fn fifty() -> u8 {
    50
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Act {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    member: Option<Id<UserMarker>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<u16>,
    limit: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
}

static SPEC: Spec = Spec {
    name: "get_audit_logs",
    description: "Reads the server's audit log of the last 45 days: who did what to whom, and \
                  why. The newest entries first, unless after is given. Give at most one of before \
                  and after.",
    tier: Tier::Read,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for GetAuditLogs {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        if parameters.before.is_some() && parameters.after.is_some() {
            return Err(Problem::unclear("Give only one of before and after."));
        }
        let member = match &parameters.member {
            Some(member) => Some(scene.member(member).await?),
            None => None,
        };
        let target = match &parameters.target {
            Some(target) => Some(match any_id(target) {
                Some(id) => id,
                None => scene.member(target).await?.get(),
            }),
            None => None,
        };
        let action = match &parameters.action {
            Some(action) => Some(action_named(action)?),
            None => None,
        };
        let id = |text: Option<String>| match text {
            None => Ok(None),
            Some(text) => reference::id(&text)
                .map(Some)
                .ok_or_else(|| Problem::unclear("Name an entry by its id.")),
        };
        let (before, after) = (id(parameters.before)?, id(parameters.after)?);
        Ok(Act { member, target, action, limit: parameters.limit, before, after })
    }

    fn needs(&self, _: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        Needs {
            reads: Reads::ForHolders(Permissions::VIEW_AUDIT_LOG),
            ..Needs::in_guild(Permissions::VIEW_AUDIT_LOG)
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        let route = format!("guilds/{guild}/audit-logs");
        let path = format!("{route}?{}", query(act));
        let request = Request::new(Method::Get, route, path, guild.get(), run.send_by);
        let read = run.discord.repeatedly(&request).await;
        let read = read.and_then(|answer| Ok((answer.status, answer.json::<RawLog>()?)));
        match read {
            Ok((status, log)) => told(&log, status, run),
            Err(error) => Done::of_read(&error),
        }
    }
}

/// Reads the id in whatever mention of Discord's, or an id alone.
fn any_id(text: &str) -> Option<u64> {
    let text = text.trim();
    let inner = ["<@&", "<@!", "<@", "<#"]
        .iter()
        .find_map(|start| text.strip_prefix(start))
        .and_then(|rest| rest.strip_suffix('>'));
    reference::id(inner.unwrap_or(text))
}

fn action_named(name: &str) -> Result<u16, Problem> {
    let wanted = name.trim().to_lowercase();
    let found = ACTIONS.iter().find(|(_, name)| **name == wanted);
    found.map(|(number, _)| *number).ok_or_else(|| {
        let names: Vec<&str> = ACTIONS.iter().map(|(_, name)| *name).collect();
        Problem::unclear(format!("There is no such action; there are: {}.", names.join(", ")))
    })
}

fn query(act: &Act) -> String {
    let parts = [
        ("user_id", act.member.map(Id::get)),
        ("target_id", act.target),
        ("action_type", act.action.map(u64::from)),
        ("before", act.before),
        ("after", act.after),
    ];
    let wanted = parts.into_iter().filter_map(|(name, value)| Some((name, value?)));
    wanted.fold(format!("limit={}", act.limit), |query, (name, value)| {
        format!("{query}&{name}={value}")
    })
}

#[derive(Deserialize)]
struct RawLog {
    audit_log_entries: Vec<RawEntry>,
    #[serde(default)]
    users: Vec<RawUser>,
}

#[derive(Deserialize)]
struct RawEntry {
    id: String,
    action_type: u16,
    user_id: Option<Id<UserMarker>>,
    target_id: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    changes: Vec<RawChange>,
    options: Option<Value>,
}

#[derive(Deserialize)]
struct RawChange {
    key: String,
    old_value: Option<Value>,
    new_value: Option<Value>,
}

fn told(log: &RawLog, status: u16, run: &Run<'_>) -> Done {
    let names: HashMap<Id<UserMarker>, &str> =
        log.users.iter().map(|user| (user.id, user.name())).collect();
    let mut room = run.max_result_bytes;
    let mut entries = Vec::with_capacity(log.audit_log_entries.len());
    for entry in &log.audit_log_entries {
        let shown = show(entry, &names);
        let size = shown.to_string().len() + 1;
        if size > room {
            break;
        }
        room -= size;
        entries.push(shown);
    }
    let cut = log.audit_log_entries.len() - entries.len();
    let remark = match cut {
        0 => String::new(),
        cut => format!(" {cut} more did not fit; ask for fewer at a time."),
    };
    let count = text::counted(entries.len(), "entry", "entries");
    let summary = format!("{count} of the audit log.{remark}");
    let mut fields = Map::new();
    fields.insert("entries".into(), Value::Array(entries));
    Done::ok(status, summary, fields)
}

fn show(entry: &RawEntry, names: &HashMap<Id<UserMarker>, &str>) -> Value {
    let action = ACTIONS.iter().find(|(number, _)| *number == entry.action_type);
    let action = action.map_or_else(|| entry.action_type.to_string(), |(_, name)| (*name).into());
    let mut shown = json!({ "id": entry.id, "action": action });
    let at = entry.id.parse().ok().and_then(|id| time_stamp(created_at(id)));
    if let Some(at) = at {
        shown["at"] = json!(at);
    }
    if let Some(user) = entry.user_id {
        shown["by"] = json!(user.to_string());
        if let Some(name) = names.get(&user) {
            shown["by_name"] = json!(text::name(name));
        }
    }
    if let Some(target) = &entry.target_id {
        shown["target"] = json!(target);
        let user = target.parse().ok().and_then(Id::new_checked);
        if let Some(name) = user.and_then(|user| names.get(&user)) {
            shown["target_name"] = json!(text::name(name));
        }
    }
    if let Some(reason) = &entry.reason {
        shown["reason"] = json!(text::shortened(&text::visible(reason), 512));
    }
    if !entry.changes.is_empty() {
        shown["changes"] = entry.changes.iter().take(MAX_CHANGES).map(show_change).collect();
    }
    if let Some(options) = &entry.options {
        shown["details"] = short(options);
    }
    shown
}

fn show_change(change: &RawChange) -> Value {
    let mut shown = json!({ "what": change.key });
    for (field, value) in [("before", &change.old_value), ("after", &change.new_value)] {
        if let Some(value) = value {
            shown[field] = short(value);
        }
    }
    shown
}

/// A value as it is, or as a text that is cut, without hidden characters.
fn short(value: &Value) -> Value {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Null | Value::Bool(_) | Value::Number(_) => return value.clone(),
        Value::Array(_) | Value::Object(_) => value.to_string(),
    };
    json!(text::shortened(&text::visible(&text), MAX_VALUE))
}
