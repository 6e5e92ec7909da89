use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, RoleMarker, UserMarker},
    },
};

use super::{Done, Run, Tool, permission_list, reason};
use crate::{
    adapters::discord::{
        Answer, Method, Request, RestError,
        wire::{RawChannel, RawRole},
    },
    domain::{
        guild::{Channel, Guild, Overwrite, OverwriteOf, Role},
        permissions, text,
        tool::{BitsChange, Needs, RetryClass, RightsChange, Spec, Subject, SubjectAct, Tier},
    },
    resolve::{Problem, Scene},
};

/// Discord's answer where there is no such overwrite.
const UNKNOWN_OVERWRITE: u64 = 10_009;

pub(crate) struct ManagePermissions;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// The channel or category: a mention, its id, its exact name, or `here` for this one; left out
    /// for what a role may do on the whole server.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    channel: Option<String>,
    /// The role whose permissions change: a mention, its id, or its exact name; `@everyone` for
    /// all. Either this or member.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    role: Option<String>,
    /// The member whose permissions change in the channel: a mention, their id, or their name.
    #[schemars(length(min = 1, max = 200))]
    #[serde(default)]
    member: Option<String>,
    /// Permissions to allow, such as `SEND_MESSAGES`.
    #[schemars(length(max = 60), inner(length(min = 1, max = 60)))]
    #[serde(default)]
    allow: Vec<String>,
    /// Permissions to deny; on the whole server: to take from the role.
    #[schemars(length(max = 60), inner(length(min = 1, max = 60)))]
    #[serde(default)]
    deny: Vec<String>,
    /// Permissions that the channel neither allows nor denies any more.
    #[schemars(length(max = 60), inner(length(min = 1, max = 60)))]
    #[serde(default)]
    clear: Vec<String>,
    /// Whether everything that is set for the role or member in the channel goes.
    #[serde(default)]
    reset: bool,
    /// Why, for the audit log.
    #[schemars(length(max = 400))]
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Act {
    /// Changes an overwrite, and leaves all its other bits as they are.
    Channel {
        channel: Id<ChannelMarker>,
        of: Of,
        #[serde(with = "permission_list::bits")]
        allow: Permissions,
        #[serde(with = "permission_list::bits")]
        deny: Permissions,
        #[serde(with = "permission_list::bits")]
        clear: Permissions,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Reset {
        channel: Id<ChannelMarker>,
        of: Of,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Server {
        role: Id<RoleMarker>,
        #[serde(with = "permission_list::bits")]
        allow: Permissions,
        #[serde(with = "permission_list::bits")]
        deny: Permissions,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Of {
    Role(Id<RoleMarker>),
    Member(Id<UserMarker>),
}

impl Of {
    fn overwrite(self) -> OverwriteOf {
        match self {
            Self::Role(role) => OverwriteOf::Role(role),
            Self::Member(member) => OverwriteOf::Member(member),
        }
    }

    fn id(self) -> u64 {
        match self {
            Self::Role(role) => role.get(),
            Self::Member(member) => member.get(),
        }
    }
}

static SPEC: Spec = Spec {
    name: "manage_permissions",
    description: "Allows or denies permissions to a role or a member in one channel, or to a role \
                  on the whole server. To lock a channel, deny SEND_MESSAGES to @everyone. Only on \
                  the order of somebody who may do it themselves.",
    tier: Tier::Destructive,
    retry: RetryClass::Safe,
    works_in_dm: false,
};

#[async_trait]
impl Tool for ManagePermissions {
    type Parameters = Parameters;
    type Act = Act;

    fn spec(&self) -> &'static Spec {
        &SPEC
    }

    async fn resolve(&self, parameters: Parameters, scene: &Scene<'_>) -> Result<Act, Problem> {
        let of = match (&parameters.role, &parameters.member) {
            (Some(role), None) => Of::Role(scene.role(role).await?),
            (None, Some(member)) => Of::Member(scene.member(member).await?),
            (None, None) | (Some(_), Some(_)) => {
                return Err(Problem::unclear("Name either one role or one member."));
            }
        };
        let allow = permission_list::read(&parameters.allow)?;
        let deny = permission_list::read(&parameters.deny)?;
        let clear = permission_list::read(&parameters.clear)?;
        let twice = (allow & deny) | (allow & clear) | (deny & clear);
        if !twice.is_empty() {
            return Err(Problem::unclear(format!(
                "{} cannot be allowed, denied and cleared at once.",
                permissions::listed(twice)
            )));
        }
        let is_empty = (allow | deny | clear).is_empty();
        if parameters.reset != is_empty {
            return Err(Problem::unclear(
                "Say which permissions to allow, deny or clear, or that all of them are to be reset.",
            ));
        }
        let reason = reason::one_line(parameters.reason.as_deref(), scene.filter);
        let Some(channel) = &parameters.channel else {
            return match of {
                Of::Role(role) if !parameters.reset && clear.is_empty() => {
                    Ok(Act::Server { role, allow, deny, reason })
                }
                Of::Role(_) => Err(Problem::unclear(
                    "On the whole server a role has a permission or not: allow or deny it.",
                )),
                Of::Member(_) => Err(Problem::unclear(
                    "On the whole server a member has permissions by roles alone; name a channel.",
                )),
            };
        };
        let channel = match channel.as_str() {
            "here" => scene.here,
            channel => scene.channel_or_category(channel).await?,
        };
        let guild = scene.the_guild().await?;
        if guild.channels.get(&channel).is_some_and(|channel| channel.kind.is_thread()) {
            return Err(Problem::unclear(
                "A thread has the permissions of its channel; name that channel.",
            ));
        }
        Ok(if parameters.reset {
            Act::Reset { channel, of, reason }
        } else {
            Act::Channel { channel, of, allow, deny, clear, reason }
        })
    }

    fn needs(&self, act: &Act, _: Option<&Guild>, _: Id<ChannelMarker>) -> Needs {
        let in_channel = |channel: Id<ChannelMarker>, of: Of, changed| {
            let user = match of {
                Of::Member(member) => Some(member),
                Of::Role(_) => None,
            };
            Needs {
                subjects: user
                    .map(|user| Subject { user, act: SubjectAct::Rights })
                    .into_iter()
                    .collect(),
                rights: Some(RightsChange::Overwrite { of: of.overwrite(), changed }),
                ..Needs::in_channel(channel, Permissions::VIEW_CHANNEL | Permissions::MANAGE_ROLES)
            }
        };
        match act {
            Act::Channel { channel, of, allow, deny, clear, .. } => {
                in_channel(*channel, *of, Some(*allow | *deny | *clear))
            }
            Act::Reset { channel, of, .. } => in_channel(*channel, *of, None),
            Act::Server { role, allow, deny, .. } => {
                let permissions = BitsChange::Each { grant: *allow, revoke: *deny };
                Needs {
                    rights: Some(RightsChange::ChangeRole { role: *role, permissions }),
                    ..Needs::in_guild(Permissions::MANAGE_ROLES)
                }
            }
        }
    }

    async fn perform(&self, act: &Act, run: &Run<'_>) -> Done {
        let Some(guild) = run.guild() else {
            return Done::failed(0, "I cannot do that in a direct message.");
        };
        match act {
            Act::Channel { channel, of, allow, deny, clear, .. } => {
                let change = Change { allow: *allow, deny: *deny, clear: *clear };
                overwrite(guild, *channel, *of, change, run).await
            }
            Act::Reset { channel, of, .. } => reset(guild, *channel, *of, run).await,
            Act::Server { role, allow, deny, .. } => {
                server_wide(guild, *role, *allow, *deny, run).await
            }
        }
    }
}

const NONE: Permissions = Permissions::empty();

/// What becomes of an overwrite.
#[derive(Clone, Copy)]
struct Change {
    allow: Permissions,
    deny: Permissions,
    clear: Permissions,
}

impl Change {
    /// Returns what an overwrite allows and denies afterwards.
    fn after(self, before: Option<Overwrite>) -> (Permissions, Permissions) {
        let (allow, deny) = before.map_or((Permissions::empty(), Permissions::empty()), |before| {
            (before.allow, before.deny)
        });
        let changed = self.allow | self.deny | self.clear;
        (allow.difference(changed) | self.allow, deny.difference(changed) | self.deny)
    }
}

/// Reads an overwrite, changes it, and writes it back: Discord replaces the whole of it.
async fn overwrite(
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
    of: Of,
    change: Change,
    run: &Run<'_>,
) -> Done {
    let before = match read(guild, channel, run).await {
        Ok(before) => before,
        Err(error) => return Done::of_read(&error),
    };
    let standing = before.overwrites.iter().find(|found| found.of == of.overwrite()).copied();
    let (allow, deny) = change.after(standing);
    let written = Overwrite { of: of.overwrite(), allow, deny };
    let mut after = with(&before, written);
    // Whoever locks a channel wants to be answered there, and to have it unlocked again.
    let own =
        would_lose(&before, &after, run).filter(|lost| lost.intersects(change.deny)).map(|lost| {
            let own = OverwriteOf::Member(run.bot);
            let standing = before.overwrites.iter().find(|found| found.of == own).copied();
            let change = Change { allow: lost & change.deny, deny: NONE, clear: NONE };
            let (allow, deny) = change.after(standing);
            Overwrite { of: own, allow, deny }
        });
    if let Some(own) = own {
        after = with(&after, own);
    }
    if let Some(refusal) = shuts_out(&before, &after, run) {
        return refusal;
    }
    if let Some(own) = own
        && let Err(error) = write(guild, channel, own, run).await
    {
        return Done::of_write(&error);
    }
    let status = match write(guild, channel, written, run).await {
        Ok(answer) => answer.status,
        Err(error) => return Done::of_write(&error),
    };
    // The event will tell, too; until then the next decision must know.
    run.guilds.saw_channel(guild, after);
    let mut parts = Vec::new();
    for (permissions, what) in
        [(change.allow, "allowed"), (change.deny, "denied"), (change.clear, "left to the roles")]
    {
        if !permissions.is_empty() {
            parts.push(format!("{what}: {}", permissions::listed(permissions)));
        }
    }
    let remark = if own.is_some() { " I keep what I need there." } else { "" };
    let summary = format!("For {} in <#{channel}>: {}.{remark}", whom(of, run), parts.join("; "));
    let mut fields = fields(channel, of);
    fields.insert("allow".into(), json!(permissions::constants(allow)));
    fields.insert("deny".into(), json!(permissions::constants(deny)));
    Done::ok(status, summary, fields)
}

async fn reset(guild: Id<GuildMarker>, channel: Id<ChannelMarker>, of: Of, run: &Run<'_>) -> Done {
    let before = match read(guild, channel, run).await {
        Ok(before) => before,
        Err(error) => return Done::of_read(&error),
    };
    let kept = before.overwrites.iter().filter(|found| found.of != of.overwrite());
    let after = Channel { overwrites: kept.copied().collect(), ..before.clone() };
    if let Some(refusal) = shuts_out(&before, &after, run) {
        return refusal;
    }
    let summary = format!("Nothing is set for {} in <#{channel}> any more.", whom(of, run));
    let request = request(Method::Delete, guild, channel, of, run);
    let status = match run.discord.repeatedly(&request).await {
        Ok(answer) => answer.status,
        Err(RestError::Refused { code: UNKNOWN_OVERWRITE, .. }) => 404,
        Err(error) if error.is_in_doubt() => match read(guild, channel, run).await {
            Ok(now) if now.overwrites.iter().all(|found| found.of != of.overwrite()) => 200,
            Ok(_) | Err(_) => return Done::of_write(&error),
        },
        Err(error) => return Done::of_write(&error),
    };
    run.guilds.saw_channel(guild, after);
    Done::ok(status, summary, fields(channel, of))
}

/// Switches single permissions of a role, and leaves all its others as they are.
async fn server_wide(
    guild: Id<GuildMarker>,
    role: Id<RoleMarker>,
    allow: Permissions,
    deny: Permissions,
    run: &Run<'_>,
) -> Done {
    let path = format!("guilds/{guild}/roles/{role}");
    let route = format!("guilds/{guild}/roles/role");
    let read = Request::new(Method::Get, route.clone(), path.clone(), guild.get(), run.send_by);
    let answer = run.discord.repeatedly(&read).await;
    let before = match answer.and_then(|answer| answer.json::<RawRole>()) {
        Ok(role) => role.permissions,
        Err(error) => return Done::of_read(&error),
    };
    let after = BitsChange::Each { grant: allow, revoke: deny }.after(before);
    if let Some(refusal) = blinds(role, after, run) {
        return refusal;
    }
    let write = Request::new(Method::Patch, route, path, guild.get(), run.send_by)
        .json(&json!({ "permissions": after.bits().to_string() }))
        .reason(run.audit_reason)
        .about(role);
    let answer = match run.discord.repeatedly(&write).await {
        Ok(answer) => answer,
        Err(error) => return Done::of_write(&error),
    };
    if let Ok(changed) = answer.json::<RawRole>() {
        run.guilds.saw_role(guild, changed.role());
    }
    let mut parts = Vec::new();
    for (permissions, what) in [(allow, "allowed"), (deny, "taken away")] {
        if !permissions.is_empty() {
            parts.push(format!("{what}: {}", permissions::listed(permissions)));
        }
    }
    let summary =
        format!("For {} on this server: {}.", whom(Of::Role(role), run), parts.join("; "));
    let mut fields = Map::new();
    fields.insert("role".into(), json!(role.to_string()));
    fields.insert("permissions".into(), json!(permissions::constants(after)));
    Done::ok(answer.status, summary, fields)
}

async fn read(
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
    run: &Run<'_>,
) -> Result<Channel, RestError> {
    let path = format!("channels/{channel}");
    let request = Request::new(Method::Get, path.clone(), path, guild.get(), run.send_by);
    Ok(run.discord.repeatedly(&request).await?.json::<RawChannel>()?.channel())
}

async fn write(
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
    overwrite: Overwrite,
    run: &Run<'_>,
) -> Result<Answer, RestError> {
    let (kind, of) = match overwrite.of {
        OverwriteOf::Role(role) => (0, Of::Role(role)),
        OverwriteOf::Member(member) => (1, Of::Member(member)),
    };
    // Discord takes the id from the path alone; others who speak its API want it here as well.
    let request = request(Method::Put, guild, channel, of, run).json(&json!({
        "id": of.id().to_string(),
        "type": kind,
        "allow": overwrite.allow.bits().to_string(),
        "deny": overwrite.deny.bits().to_string(),
    }));
    run.discord.repeatedly(&request).await
}

fn with(channel: &Channel, overwrite: Overwrite) -> Channel {
    let others = channel.overwrites.iter().copied().filter(|found| found.of != overwrite.of);
    Channel { overwrites: others.chain([overwrite]).collect(), ..channel.clone() }
}

/// Returns what Ery could do in a channel and could not any more, if anything.
fn would_lose(before: &Channel, after: &Channel, run: &Run<'_>) -> Option<Permissions> {
    let state = run.state?;
    let bot = state.member(state.bot)?;
    let with = |channel: &Channel| {
        let mut guild = (*state.guild).clone();
        guild.channels.insert(channel.id, channel.clone());
        permissions::in_channel(&guild, bot, channel, run.now)
    };
    let lost = with(before).difference(with(after));
    (!lost.is_empty()).then_some(lost)
}

/// Refuses a change after which Ery would not be in a channel any more: neither could she undo it, nor
/// would anybody be answered there.
fn shuts_out(before: &Channel, after: &Channel, run: &Run<'_>) -> Option<Done> {
    let lost = would_lose(before, after, run)?;
    lost.contains(Permissions::VIEW_CHANNEL).then(|| {
        Done::failed(
            0,
            format!(
                "That would shut me out of <#{}>, and I could not undo it. Allow my own role the \
                 permission “View channel” (VIEW_CHANNEL) there first.",
                before.id
            ),
        )
    })
}

/// Refuses what would leave Ery seeing nothing any more: that a role has these permissions alone.
pub(super) fn blinds(
    role: Id<RoleMarker>,
    permissions: Permissions,
    run: &Run<'_>,
) -> Option<Done> {
    let state = run.state?;
    let bot = state.member(state.bot)?;
    let sees = |of_role: &dyn Fn(&Role) -> Permissions| {
        let base = permissions::base_by(&state.guild, bot.user, &bot.roles, of_role);
        base.contains(Permissions::VIEW_CHANNEL)
    };
    let after = |of: &Role| if of.id == role { permissions } else { of.permissions };
    (sees(&|of| of.permissions) && !sees(&after)).then(|| {
        Done::failed(
            0,
            "Then I would see no channel of this server any more, and could not undo it. Give my own \
             role the permission “View channel” (VIEW_CHANNEL) first.",
        )
    })
}

fn request(
    method: Method,
    guild: Id<GuildMarker>,
    channel: Id<ChannelMarker>,
    of: Of,
    run: &Run<'_>,
) -> Request {
    let path = format!("channels/{channel}/permissions/{}", of.id());
    Request::new(method, format!("channels/{channel}/permissions"), path, guild.get(), run.send_by)
        .reason(run.audit_reason)
        .about(of.id())
}

fn fields(channel: Id<ChannelMarker>, of: Of) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("channel".into(), json!(channel.to_string()));
    match of {
        Of::Role(role) => fields.insert("role".into(), json!(role.to_string())),
        Of::Member(member) => fields.insert("member".into(), json!(member.to_string())),
    };
    fields
}

fn whom(of: Of, run: &Run<'_>) -> String {
    let guild = run.state.map(|state| &state.guild);
    match of {
        Of::Member(member) => format!("<@{member}>"),
        Of::Role(role) if guild.is_some_and(|guild| guild.everyone() == role) => "everyone".into(),
        // A mention would notify the role's members.
        Of::Role(role) => match guild.and_then(|guild| guild.roles.get(&role)) {
            Some(role) => format!("the role “{}”", text::name(&role.name)),
            None => "the role".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEND: Permissions = Permissions::SEND_MESSAGES;
    const VIEW: Permissions = Permissions::VIEW_CHANNEL;
    const REACT: Permissions = Permissions::ADD_REACTIONS;

    #[test]
    fn a_change_leaves_all_other_bits_of_an_overwrite() {
        let none = Permissions::empty();
        let before = Overwrite { of: OverwriteOf::Role(Id::new(1)), allow: VIEW, deny: SEND };
        for (allow, deny, clear, before, after) in [
            (SEND, none, none, Some(before), (VIEW | SEND, none)),
            (none, VIEW, none, Some(before), (none, SEND | VIEW)),
            (none, none, SEND, Some(before), (VIEW, none)),
            (none, none, VIEW | SEND, Some(before), (none, none)),
            (REACT, none, none, Some(before), (VIEW | REACT, SEND)),
            (VIEW, SEND, none, Some(before), (VIEW, SEND)),
            (none, SEND, none, None, (none, SEND)),
            (none, none, SEND, None, (none, none)),
        ] {
            assert_eq!(Change { allow, deny, clear }.after(before), after);
        }
    }
}
