//! Bans of one and of many, for good and for a time; their end, and looking one up.

mod many;

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;

use super::{Authority, Done, Later, Run, Tool, answer, reason};
use crate::{
    adapters::discord::{
        Method, Request, RestError,
        wire::{RawBan, time_stamp},
    },
    domain::{
        flow,
        guild::{Guild, GuildState},
        output::Filter,
        reference, text,
        tool::{Needs, RetryClass, Spec, Subject, SubjectAct, Tier},
    },
    resolve::{Problem, Scene},
};

const NAME: &str = "ban_member";

/// Discord's answer where nobody is banned.
const UNKNOWN_BAN: u64 = 10_026;
const UNKNOWN_GUILD: u64 = 10_004;
const UNKNOWN_USER: u64 = 10_013;

pub(crate) struct BanMember;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// Whom it is about: a mention, an id, or a member's exact name. Bans work for people who are
    /// not members, too, who are named by mention or id.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    member: Option<String>,
    /// Several people to be banned at once for good, instead of member.
    #[schemars(length(min = 1, max = 200), inner(length(min = 1, max = 200)))]
    #[serde(default)]
    members: Vec<String>,
    /// `ban` keeps them out, `unban` lets them in again, `look_up` tells whether they are banned
    /// and why.
    #[serde(default)]
    action: Action,
    /// For how many seconds the ban holds; left out or 0 for ever.
    #[schemars(range(min = 0, max = 315_360_000))]
    #[serde(default)]
    duration_seconds: u32,
    /// Messages of theirs from so many last seconds are deleted with the ban, 7 days at most; left
    /// out or 0 for none.
    #[schemars(range(min = 0, max = 604_800))]
    #[serde(default)]
    delete_message_seconds: u32,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Action {
    #[default]
    Ban,
    Unban,
    LookUp,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Act {
    Ban {
        member: Id<UserMarker>,
        duration_seconds: u32,
        delete_message_seconds: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When it ends, fixed when the execution is opened: a repeat must not prolong it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lift_at_ms: Option<UnixMillis>,
    },
    BanMany {
        /// In their order, each once; never one alone.
        members: Vec<Id<UserMarker>>,
        delete_message_seconds: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Unban {
        member: Id<UserMarker>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// The execution whose ban ends; another one that was put on them since stays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of_ban: Option<String>,
    },
    LookUp {
        member: Id<UserMarker>,
    },
}

static SPEC: Spec = Spec {
    name: NAME,
    description: "Bans somebody from the server for good or for a time, or several people at once \
                  for good; lifts a ban, or looks one up. Only on the order of somebody who may do \
                  it themselves.",
    tier: Tier::Destructive,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for BanMember {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let is_ban = parameters.action == Action::Ban;
        if !is_ban && (parameters.duration_seconds, parameters.delete_message_seconds) != (0, 0) {
            return Err(Problem::unclear(
                "A duration and the deletion of messages belong to a ban; leave them out.",
            ));
        }
        let reason = reason::one_line(parameters.reason.as_deref(), scene.filter);
        let text = match (&parameters.member, parameters.members.as_slice()) {
            (Some(member), []) | (None, [member]) => member,
            (None, [_, _, ..]) => return several(&parameters, reason, scene).await,
            (None, []) | (Some(_), _) => {
                return Err(Problem::unclear(
                    "Say whom it is about: one person in member, or several in members.",
                ));
            }
        };
        let member = if is_ban {
            scene.member(text).await?
        } else {
            // Who is banned is no member, and is found under no name.
            reference::user_id(text).ok_or_else(|| {
                Problem::unclear("Name who is banned by a mention or by their id.")
            })?
        };
        Ok(match parameters.action {
            Action::Ban => Act::Ban {
                member,
                duration_seconds: parameters.duration_seconds,
                delete_message_seconds: parameters.delete_message_seconds,
                reason,
                lift_at_ms: None,
            },
            Action::Unban => Act::Unban { member, reason, of_ban: None },
            Action::LookUp => Act::LookUp { member },
        })
    }

    fn tier(&self, act: &Act) -> Tier {
        match act {
            Act::Ban { .. } | Act::BanMany { .. } | Act::Unban { .. } => Tier::Destructive,
            Act::LookUp { .. } => Tier::Read,
        }
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let (user, act) = match act {
            Act::BanMany { members, .. } => return many::needs(members),
            Act::Ban { member, .. } => (*member, SubjectAct::Ban),
            Act::Unban { member, .. } => (*member, SubjectAct::Unban),
            Act::LookUp { member } => (*member, SubjectAct::Look),
        };
        let subjects = vec![Subject { user, act }];
        Needs { subjects, ..Needs::in_guild(Permissions::BAN_MEMBERS) }
    }

    fn fix(&self, act: Act, now: UnixMillis, _: Option<&GuildState>) -> Act {
        match act {
            Act::Ban { member, duration_seconds, delete_message_seconds, reason, .. } => {
                let duration = Duration::from_secs(u64::from(duration_seconds));
                let lift_at_ms = (!duration.is_zero()).then(|| now + duration);
                Act::Ban { member, duration_seconds, delete_message_seconds, reason, lift_at_ms }
            }
            act => act,
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        match act {
            Act::Ban { member, lift_at_ms, .. } => {
                if lift_at_ms.is_some_and(|lift_at| lift_at <= run.now) {
                    // Found open after its time: to ban now would say nothing of what happened then.
                    // If it did, it has ended, too.
                    let then = end_of(*member, run.now, Some(run.key));
                    return Done { then, ..Done::in_doubt(0) };
                }
                ban(guild, *member, act, run).await
            }
            Act::BanMany { members, delete_message_seconds, .. } => {
                many::ban(guild, members, *delete_message_seconds, run).await
            }
            Act::Unban { member, of_ban, .. } => {
                unban(guild, *member, of_ban.as_deref(), run).await
            }
            Act::LookUp { member } => look_up(guild, *member, run).await,
        }
    }
}

/// Reads a ban of several people.
async fn several(
    parameters: &Parameters,
    reason: Option<String>,
    scene: &Scene<'_>,
) -> Result<Act, Problem> {
    if parameters.action != Action::Ban {
        return Err(Problem::unclear("Bans are lifted and looked up one by one."));
    }
    if parameters.duration_seconds != 0 {
        return Err(Problem::unclear(
            "A ban of several people at once has no end; ban them one by one for a time.",
        ));
    }
    let mut members = Vec::with_capacity(parameters.members.len());
    for member in &parameters.members {
        members.push(scene.member(member).await?);
    }
    members.sort_unstable();
    members.dedup();
    let delete_message_seconds = parameters.delete_message_seconds;
    Ok(match members.as_slice() {
        [member] => Act::Ban {
            member: *member,
            duration_seconds: 0,
            delete_message_seconds,
            reason,
            lift_at_ms: None,
        },
        _ => Act::BanMany { members, delete_message_seconds, reason },
    })
}

/// Returns the end of a ban; with the execution that put it, it lifts no other one.
fn end_of(member: Id<UserMarker>, at: UnixMillis, of_ban: Option<&str>) -> Option<Later> {
    let of_ban = of_ban.map(str::to_owned);
    let act = Act::Unban { member, reason: Some("the ban has ended".into()), of_ban };
    let act = serde_json::to_value(act).ok()?;
    Some(Later { at, tool: NAME, act, authority: Authority::Expiry })
}

async fn ban(guild: Id<GuildMarker>, member: Id<UserMarker>, act: &Act, run: &Run<'_>) -> Done {
    let Act::Ban { duration_seconds, delete_message_seconds, lift_at_ms, .. } = act else {
        return Done::in_doubt(0);
    };
    let is_for_good = lift_at_ms.is_none() && *delete_message_seconds == 0;
    let replaces = if is_for_good { Replaces::MayEnd } else { Replaces::Any };
    let status = match put(guild, member, *delete_message_seconds, replaces, run).await {
        Ok(Put::Own(status)) => status,
        Ok(Put::Older) => {
            let fields = Map::from_iter([("member".to_owned(), json!(member.to_string()))]);
            // Where reasons are not kept, it may be the first attempt's own.
            let summary = if run.is_repeat {
                format!("<@{member}> is banned.")
            } else {
                format!("<@{member}> was banned for good before, and stays so.")
            };
            return Done::ok(200, summary, fields);
        }
        Err(NotPut::Unasked(error)) => return Done::of_read(&error),
        Err(NotPut::Lifted(error)) => {
            let summary = format!("{} {LET_IN}", answer::sentence(&error));
            return Done::failed(error.status(), summary);
        }
        Err(NotPut::Asked(error)) if error.is_in_doubt() => {
            // Perhaps it is there: then it ends all the same, and no other one with it.
            let then = lift_at_ms.and_then(|lift_at| end_of(member, lift_at, Some(run.key)));
            return Done { then, ..Done::of_write(&error) };
        }
        Err(NotPut::Asked(error)) => return Done::of_write(&error),
    };
    // The event will tell, too; until then the next decision must know.
    run.guilds.saw_member_go(guild, member);
    let mut fields = Map::new();
    fields.insert("member".into(), json!(member.to_string()));
    let (mut summary, mut then) = (format!("<@{member}> is banned"), None);
    if let Some(lift_at) = *lift_at_ms {
        let how_long = text::time_span(*duration_seconds);
        summary = format!("{summary} for {how_long}, until <t:{}:f>", lift_at.as_secs());
        fields.insert("lift_at_ms".into(), json!(lift_at.0));
        if let Some(until) = time_stamp(lift_at) {
            fields.insert("until".into(), json!(until));
        }
        // Its end knows it from a later ban by its reason. Where that was not kept, it ends whatever
        // stands then: to stay banned for good would be worse.
        let found = find(guild, member, run).await;
        let is_marked = !found.is_ok_and(|ban| ban.is_some_and(|ban| !is_of(&ban, run.key)));
        if !is_marked {
            tracing::warn!(guild.id = %guild, "the reason of a ban was not kept");
        }
        then = end_of(member, lift_at, is_marked.then_some(run.key));
    }
    if *delete_message_seconds > 0 {
        let since = text::time_span(*delete_message_seconds);
        summary = format!("{summary}; what they wrote in the last {since} is deleted");
    }
    Done { then, ..Done::ok(status, summary + ".", fields) }
}

/// What there is once a ban was asked for.
enum Put {
    /// This execution's, with the status of Discord's answer.
    Own(u16),
    /// An older one for good, which nobody put through Ery and which stands as it was.
    Older,
}

/// Why a ban was not put.
enum NotPut {
    /// It could not be found out whether there is one already.
    Unasked(RestError),
    Asked(RestError),
    /// It was refused once an older one had given way, and that one could not be put back.
    Lifted(RestError),
}

/// What is told where that happened.
const LET_IN: &str = "An older ban had given way to this one, and could not be put back either: \
                      they are not banned now.";

/// Which older bans give way to a new one: Discord keeps the first of two.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Replaces {
    /// All, so that the new one counts, with its reason, its end and what it deletes.
    Any,
    /// Only those put through Ery, which may have an end.
    MayEnd,
}

/// Puts the ban of this execution on somebody; where it is this one already, all is done.
async fn put(
    guild: Id<GuildMarker>,
    member: Id<UserMarker>,
    delete_message_seconds: u32,
    replaces: Replaces,
    run: &Run<'_>,
) -> Result<Put, NotPut> {
    let mut lifted = None;
    match find(guild, member, run).await.map_err(NotPut::Unasked)? {
        Some(ban) if is_of(&ban, run.key) => return Ok(Put::Own(200)),
        Some(ban) if replaces == Replaces::MayEnd && !is_of_an_execution(&ban) => {
            return Ok(Put::Older);
        }
        Some(older) => {
            lift(guild, member, run).await.map_err(NotPut::Asked)?;
            lifted = Some(older);
        }
        None => {}
    }
    let request = request(Method::Put, guild, member, run)
        .json(&json!({ "delete_message_seconds": delete_message_seconds }));
    let error = match run.discord.repeatedly(&request).await {
        Ok(answer) => return Ok(Put::Own(answer.status)),
        Err(error) => error,
    };
    // Not everybody who speaks Discord's API finds whom they ban, though they ban them.
    let is_unclear = error.is_in_doubt() || error.status() == 404;
    if is_unclear {
        match find(guild, member, run).await {
            Ok(Some(_)) if !error.is_in_doubt() => return Ok(Put::Own(200)),
            Ok(Some(ban)) if is_of(&ban, run.key) => return Ok(Put::Own(200)),
            // Discord keeps the first of two bans: whichever comes through, they stay out.
            Ok(None) if lifted.is_some() => {}
            Ok(_) | Err(_) => return Err(NotPut::Asked(error)),
        }
    }
    match lifted {
        Some(older) if !put_back(guild, member, &older, run).await => Err(NotPut::Lifted(error)),
        _ => Err(NotPut::Asked(error)),
    }
}

/// Puts an older ban back that gave way for nothing, with its own reason; says whether it stands.
async fn put_back(
    guild: Id<GuildMarker>,
    member: Id<UserMarker>,
    older: &RawBan,
    run: &Run<'_>,
) -> bool {
    let reason = older.reason.as_deref().filter(|reason| !reason.is_empty());
    let request = Request::new(
        Method::Put,
        format!("guilds/{guild}/bans"),
        format!("guilds/{guild}/bans/{member}"),
        guild.get(),
        run.discord.send_by(),
    )
    .reason(reason.unwrap_or(run.audit_reason))
    .about(member)
    .json(&json!({}));
    let put = run.discord.repeatedly(&request).await;
    if let Err(error) = &put {
        tracing::error!(error = %error, guild.id = %guild,
            "a ban that gave way to a newer one could not be put back");
    }
    put.is_ok()
}

async fn unban(
    guild: Id<GuildMarker>,
    member: Id<UserMarker>,
    of_ban: Option<&str>,
    run: &Run<'_>,
) -> Done {
    let mut fields = Map::new();
    fields.insert("member".into(), json!(member.to_string()));
    if let Some(key) = of_ban {
        match find(guild, member, run).await {
            Ok(Some(ban)) if !is_of(&ban, key) => {
                let summary = format!("<@{member}> was banned anew since, and stays banned.");
                return Done::ok(200, summary, fields);
            }
            Ok(_) => {}
            Err(error) => return waiting_for_a_token(&error, Done::of_look(&error)),
        }
    }
    match lift(guild, member, run).await {
        Ok(true) => Done::ok(204, format!("The ban of <@{member}> is lifted."), fields),
        Ok(false) => Done::ok(404, format!("<@{member}> is not banned."), fields),
        Err(error) => waiting_for_a_token(&error, Done::of_write(&error)),
    }
}

/// The end of a ban outlives a token that is not accepted: its operator gives Ery a new one.
fn waiting_for_a_token(error: &RestError, done: Done) -> Done {
    if matches!(error, RestError::Unauthorized) { done.unsettled() } else { done }
}

/// Lifts a ban, whichever it is; false if there was none.
async fn lift(
    guild: Id<GuildMarker>,
    member: Id<UserMarker>,
    run: &Run<'_>,
) -> Result<bool, RestError> {
    let request = request(Method::Delete, guild, member, run);
    match run.discord.repeatedly(&request).await {
        Ok(_) => Ok(true),
        Err(RestError::Refused { code: UNKNOWN_BAN, .. }) => Ok(false),
        // Another 404 may be about anything: whether there is a ban is asked for.
        Err(error) if is_no_ban(&error) => match find(guild, member, run).await? {
            None => Ok(false),
            Some(_) => Err(error),
        },
        Err(error) if error.is_in_doubt() => match find(guild, member, run).await {
            Ok(None) => Ok(true),
            Ok(Some(_)) | Err(_) => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// Stands for a reason where others read along.
const WITHHELD: &str = "Not everybody who can read this channel may see bans; ask for the reason \
                        where only they can read.";

async fn look_up(guild: Id<GuildMarker>, member: Id<UserMarker>, run: &Run<'_>) -> Done {
    let mut fields = Map::new();
    fields.insert("member".into(), json!(member.to_string()));
    match find(guild, member, run).await {
        Ok(Some(ban)) => {
            fields.insert("is_banned".into(), Value::Bool(true));
            if let Some(name) = ban.user.as_ref().map(|user| text::name(user.name())) {
                fields.insert("name".into(), json!(name));
            }
            let all_may_know = run
                .state
                .is_some_and(|state| flow::all_hold(state, Permissions::BAN_MEMBERS, run.here));
            match reason::one_line(ban.reason.as_deref(), &Filter::default()) {
                Some(reason) if all_may_know => {
                    fields.insert("ban_reason".into(), json!(reason));
                }
                Some(_) => {
                    fields.insert("ban_reason_withheld".into(), json!(WITHHELD));
                }
                None => {}
            }
            Done::ok(200, format!("<@{member}> is banned."), fields)
        }
        Ok(None) => {
            fields.insert("is_banned".into(), Value::Bool(false));
            Done::ok(404, format!("<@{member}> is not banned."), fields)
        }
        Err(error) => Done::of_read(&error),
    }
}

async fn find(
    guild: Id<GuildMarker>,
    member: Id<UserMarker>,
    run: &Run<'_>,
) -> Result<Option<RawBan>, RestError> {
    let path = format!("guilds/{guild}/bans/{member}");
    let route = format!("guilds/{guild}/bans");
    let request = Request::new(Method::Get, route, path, guild.get(), run.send_by);
    match run.discord.repeatedly(&request).await {
        Ok(answer) => answer.json().map(Some),
        Err(error) if is_no_ban(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns whether Discord says that there is no such ban. The code is not part of its document, and
/// others than Discord give none; only where the guild or the user is unknown nothing is said of it.
fn is_no_ban(error: &RestError) -> bool {
    let RestError::Refused { status, code } = error else { return false };
    *code == UNKNOWN_BAN || *status == 404 && !matches!(*code, UNKNOWN_GUILD | UNKNOWN_USER)
}

/// Returns whether a ban was put by the execution with this key: its reason names it.
fn is_of(ban: &RawBan, key: &str) -> bool {
    ban.reason.as_deref().is_some_and(|reason| reason.ends_with(&format!("[{key}]")))
}

/// Returns whether a ban was put through Ery, by whichever execution: its reason ends with a key.
fn is_of_an_execution(ban: &RawBan) -> bool {
    let key = ban.reason.as_deref().and_then(|reason| reason.strip_suffix(']'));
    key.and_then(|text| text.rsplit_once('[')).is_some_and(|(_, key)| key.contains('/'))
}

fn request(
    method: Method,
    guild: Id<GuildMarker>,
    member: Id<UserMarker>,
    run: &Run<'_>,
) -> Request {
    let path = format!("guilds/{guild}/bans/{member}");
    Request::new(method, format!("guilds/{guild}/bans"), path, guild.get(), run.send_by)
        .reason(run.audit_reason)
        .about(member)
}
