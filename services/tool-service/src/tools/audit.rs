//! What Discord's audit log tells of an act of ours: its reason names the execution.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use twilight_model::id::{
    Id,
    marker::{GenericMarker, GuildMarker},
};

use super::{Done, Run};
use crate::adapters::discord::{Answer, Method, Request, RestError, wire::created_at};

/// By how much Discord's clock may be behind ours.
pub(super) const CLOCK_SKEW: Duration = Duration::from_secs(5);

#[derive(Deserialize)]
struct RawLog {
    audit_log_entries: Vec<RawEntry>,
}

#[derive(Deserialize)]
struct RawEntry {
    target_id: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    changes: Vec<RawChange>,
}

#[derive(Deserialize)]
struct RawChange {
    key: String,
    new_value: Option<Value>,
}

/// What follows from a request that did not succeed and must not be made twice.
pub(super) enum After {
    /// It had an effect all the same: on this.
    Happened {
        id: u64,
        status: u16,
    },
    /// It had none, and may be made again.
    Again(RestError),
    Over(RestError),
}

/// Finds out what became of a creation that failed.
///
/// Only where Discord itself answered, or was never asked, does an empty log mean that nothing will
/// come of it any more: a request that was lost on its way may still arrive. And where it is listed all
/// the same, the log does not tell everything.
pub(super) async fn after(
    error: RestError,
    guild: Id<GuildMarker>,
    action: u16,
    sought: &Sought<'_>,
    run: &Run<'_>,
) -> After {
    if matches!(error, RestError::NotConnected(_)) {
        return After::Again(error);
    }
    if !error.is_in_doubt() {
        return After::Over(error);
    }
    match find(guild, action, run).await {
        Ok(Some(id)) => After::Happened { id, status: error.status() },
        Ok(None) if matches!(error, RestError::ServerError { .. }) => {
            match is_listed(sought, guild, run).await {
                Ok(false) => After::Again(error),
                Ok(true) | Err(_) => After::Over(error),
            }
        }
        Ok(None) | Err(_) => After::Over(error),
    }
}

/// Where something new would be listed, and by which name.
pub(super) struct Sought<'a> {
    pub(super) list: &'a str,
    pub(super) name: &'a str,
}

/// Returns whether something of that name is listed that was made since this execution began.
async fn is_listed(
    sought: &Sought<'_>,
    guild: Id<GuildMarker>,
    run: &Run<'_>,
) -> Result<bool, RestError> {
    #[derive(Deserialize)]
    struct Item {
        id: Id<GenericMarker>,
        name: Option<String>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Listed {
        Plain(Vec<Item>),
        Threads { threads: Vec<Item> },
    }
    let send_by = run.discord.send_by();
    let request = Request::new(Method::Get, sought.list, sought.list, guild.get(), send_by);
    let listed: Listed = run.discord.repeatedly(&request).await?.json()?;
    let (Listed::Plain(items) | Listed::Threads { threads: items }) = listed;
    let since = run.opened_at - CLOCK_SKEW;
    // Names of channels are written in another way than they were given.
    let plain = |name: &str| -> String {
        name.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let name = plain(sought.name);
    let is_it = |item: &Item| {
        created_at(item.id.get()) >= since && item.name.as_deref().map(plain) == Some(name.clone())
    };
    Ok(items.iter().any(is_it))
}

/// Finds out what an execution that nobody recorded has made; none if it has made nothing.
///
/// An empty log is not believed where something of that name is new: not every server keeps one.
pub(super) async fn made_before(
    guild: Id<GuildMarker>,
    action: u16,
    sought: &Sought<'_>,
    run: &Run<'_>,
) -> Result<Option<u64>, Done> {
    let in_doubt = |error: RestError| Done::in_doubt(error.status());
    if let Some(id) = find(guild, action, run).await.map_err(in_doubt)? {
        return Ok(Some(id));
    }
    match is_listed(sought, guild, run).await {
        Ok(false) => Ok(None),
        Ok(true) => Err(Done::in_doubt(0)),
        Err(error) => Err(in_doubt(error)),
    }
}

/// Looks for what this execution did; `action` is the log's number for it.
pub(super) async fn find(
    guild: Id<GuildMarker>,
    action: u16,
    run: &Run<'_>,
) -> Result<Option<u64>, RestError> {
    let entry = entry(guild, action, run).await?;
    Ok(entry.and_then(|entry| entry.target_id?.parse().ok()).filter(|id| *id != 0))
}

async fn entry(
    guild: Id<GuildMarker>,
    action: u16,
    run: &Run<'_>,
) -> Result<Option<RawEntry>, RestError> {
    let route = format!("guilds/{guild}/audit-logs");
    let path = format!("{route}?action_type={action}&user_id={}&limit=100", run.bot);
    let send_by = run.discord.send_by();
    let request = Request::new(Method::Get, route, path, guild.get(), send_by);
    let log: RawLog = run.discord.repeatedly(&request).await?.json()?;
    let mark = format!("[{}]", run.key);
    let is_ours =
        |entry: &RawEntry| entry.reason.as_deref().is_some_and(|reason| reason.ends_with(&mark));
    Ok(log.audit_log_entries.into_iter().find(is_ours))
}

/// Something new: as Discord answered, or as its log names it.
pub(super) enum Made {
    Answered(Answer),
    Logged { id: u64, status: u16 },
}

/// Makes something that must not be made twice.
pub(super) async fn make(
    request: &Request,
    guild: Id<GuildMarker>,
    action: u16,
    sought: &Sought<'_>,
    run: &Run<'_>,
) -> Result<Made, Done> {
    let mut last = RestError::TooLate;
    for attempt in 0..=run.discord.retries() {
        let error = match run.discord.once(request).await {
            Ok(answer) => return Ok(Made::Answered(answer)),
            Err(error) => error,
        };
        match after(error, guild, action, sought, run).await {
            After::Happened { id, status } => return Ok(Made::Logged { id, status }),
            After::Again(error) => last = error,
            After::Over(error) => return Err(Done::of_write(&error)),
        }
        if !run.discord.wait_to_repeat(attempt, run.send_by).await {
            break;
        }
    }
    // The log says that none of them was carried out.
    Err(Done::of_read(&last))
}

/// Looks for the invite that this execution made, by its code.
pub(super) async fn find_invite(
    guild: Id<GuildMarker>,
    run: &Run<'_>,
) -> Result<Option<String>, RestError> {
    let entry = entry(guild, INVITE_CREATE, run).await?;
    let changes = entry.into_iter().flat_map(|entry| entry.changes);
    let mut codes = changes.filter(|change| change.key == "code");
    Ok(codes.find_map(|code| code.new_value?.as_str().map(str::to_owned)))
}

const INVITE_CREATE: u16 = 40;
