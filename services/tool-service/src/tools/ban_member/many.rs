//! Several people banned by one act: by one request where that is allowed, else one by one.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{GuildMarker, UserMarker},
    },
};

use super::{LET_IN, NotPut, Put, Replaces, put};
use crate::{
    adapters::discord::{Method, Request, RestError},
    domain::{
        text,
        tool::{Needs, Subject, SubjectAct},
    },
    tools::{Done, Run, answer},
};

/// How many are banned one by one where not both Ery and the asker may manage the server, which
/// Discord asks for to ban many at once: as many as fit well into the time of one call.
const MOST_SINGLY: usize = 10;

/// How many are named in a sentence.
const MOST_NAMED: usize = 20;

/// Discord's answer where it banned none of them.
const NONE_BANNED: u64 = 500_000;

#[derive(Deserialize)]
struct Answered {
    banned_users: Vec<Id<UserMarker>>,
}

pub(super) fn needs(members: &[Id<UserMarker>]) -> Needs {
    let ban = |user: &Id<UserMarker>| Subject { user: *user, act: SubjectAct::Ban };
    let many =
        if members.len() > MOST_SINGLY { Permissions::MANAGE_GUILD } else { Permissions::empty() };
    Needs {
        subjects: members.iter().map(ban).collect(),
        ..Needs::in_guild(Permissions::BAN_MEMBERS | many)
    }
}

/// What became of each.
#[derive(Default)]
struct Outcome {
    banned: Vec<Id<UserMarker>>,
    /// They were for good before.
    before: Vec<Id<UserMarker>>,
    failed: Vec<(Id<UserMarker>, RestError)>,
    /// Of the failed, those whose older ban gave way for nothing.
    let_in: Vec<Id<UserMarker>>,
    /// Of these nothing could tell.
    unknown: Vec<Id<UserMarker>>,
}

/// Bans several people. A repeat finds the bans of the first attempt by their reason.
pub(super) async fn ban(
    guild: Id<GuildMarker>,
    members: &[Id<UserMarker>],
    delete_message_seconds: u32,
    run: &Run<'_>,
) -> Done {
    let mut outcome = Outcome::default();
    let mut was_in_doubt = run.is_repeat;
    if run.all_have(Permissions::MANAGE_GUILD) && run.bot_has(Permissions::MANAGE_GUILD) {
        match at_once(guild, members, delete_message_seconds, run).await {
            Ok(banned) => outcome.banned = banned,
            Err(RestError::Refused { code: NONE_BANNED, .. }) => {}
            Err(error) if error.is_in_doubt() => was_in_doubt = true,
            Err(error) => return Done::of_write(&error),
        }
    }
    // Whom Discord left out is banned already, or cannot be; each is looked at.
    for member in members {
        if outcome.banned.contains(member) {
            continue;
        }
        match put(guild, *member, delete_message_seconds, Replaces::MayEnd, run).await {
            Ok(Put::Own(_)) => outcome.banned.push(*member),
            // Where reasons are not kept, it may be an earlier attempt's own.
            Ok(Put::Older) if was_in_doubt => outcome.banned.push(*member),
            Ok(Put::Older) => outcome.before.push(*member),
            Err(NotPut::Asked(error)) if error.is_in_doubt() => outcome.unknown.push(*member),
            Err(NotPut::Lifted(error)) => {
                outcome.let_in.push(*member);
                outcome.failed.push((*member, error));
            }
            Err(NotPut::Asked(error) | NotPut::Unasked(error)) => {
                let is_told = matches!(error, RestError::Refused { .. });
                if was_in_doubt && !is_told {
                    outcome.unknown.push(*member);
                } else {
                    outcome.failed.push((*member, error));
                }
            }
        }
    }
    for member in &outcome.banned {
        // The events will tell, too; until then the next decision must know.
        run.guilds.saw_member_go(guild, *member);
    }
    outcome.told(delete_message_seconds)
}

async fn at_once(
    guild: Id<GuildMarker>,
    members: &[Id<UserMarker>],
    delete_message_seconds: u32,
    run: &Run<'_>,
) -> Result<Vec<Id<UserMarker>>, RestError> {
    let path = format!("guilds/{guild}/bulk-ban");
    let request = Request::new(Method::Post, path.clone(), path, guild.get(), run.send_by)
        .json(&json!({ "user_ids": members, "delete_message_seconds": delete_message_seconds }))
        .reason(run.audit_reason);
    let answered: Answered = run.discord.repeatedly(&request).await?.json()?;
    Ok(answered.banned_users.into_iter().filter(|user| members.contains(user)).collect())
}

impl Outcome {
    fn told(mut self, delete_message_seconds: u32) -> Done {
        self.banned.sort_unstable();
        let mut sentences = Vec::new();
        if !self.banned.is_empty() {
            let count = text::counted(self.banned.len(), "person is", "people are");
            let mut summary = format!("{count} banned: {}", listed(&self.banned));
            if delete_message_seconds > 0 {
                let since = text::time_span(delete_message_seconds);
                summary = format!("{summary}; what they wrote in the last {since} is deleted");
            }
            sentences.push(summary + ".");
        }
        if !self.before.is_empty() {
            sentences.push(format!("Banned for good before: {}.", listed(&self.before)));
        }
        if let Some((_, error)) = self.failed.first() {
            let users: Vec<_> = self.failed.iter().map(|(user, _)| *user).collect();
            let why = answer::sentence(error);
            sentences.push(format!("Not banned: {}. {why}", listed(&users)));
        }
        if !self.let_in.is_empty() {
            sentences.push(format!("{}: {LET_IN}", listed(&self.let_in)));
        }
        if !self.unknown.is_empty() {
            let users = listed(&self.unknown);
            sentences.push(format!(
                "Discord did not answer clearly, so I do not know of these, please look: {users}."
            ));
        }
        let told = sentences.join(" ");
        let failed = |(user, error): &(Id<UserMarker>, RestError)| json!({ "member": user, "reason": answer::sentence(error) });
        let mut fields = Map::new();
        fields.insert("banned".into(), json!(self.banned));
        if !self.before.is_empty() {
            fields.insert("banned_before".into(), json!(self.before));
        }
        fields.insert("failed".into(), self.failed.iter().map(failed).collect());
        if !self.unknown.is_empty() {
            fields.insert("unknown".into(), json!(self.unknown));
        }
        let status = self.failed.first().map_or(200, |(_, error)| error.status());
        let done = if !self.unknown.is_empty() {
            Done { content: answer::failure("in_doubt", &told), ..Done::in_doubt(0) }
        } else if self.banned.is_empty() && self.before.is_empty() {
            Done::failed(status, told)
        } else {
            return Done::ok(200, told, fields);
        };
        with(done, fields)
    }
}

fn with(mut done: Done, fields: Map<String, Value>) -> Done {
    if let Value::Object(content) = &mut done.content {
        content.extend(fields);
    }
    done
}

fn listed(users: &[Id<UserMarker>]) -> String {
    let named = users.iter().take(MOST_NAMED).map(|user| format!("<@{user}>"));
    let named = named.collect::<Vec<_>>().join(", ");
    match users.len().saturating_sub(MOST_NAMED) {
        0 => named,
        more => format!("{named} and {}", text::counted(more, "other", "others")),
    }
}
