//! Members of a guild: joining, nicknames, roles, timeouts.

use std::time::Duration;

use serde_json::{Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, Dispatch, Effect, GuildId, Member, Outcome, Payload, Refusal, RoleId, UserId,
    World,
    audit::{Deed, action, change},
};
use crate::wire;

const MAX_NICK: usize = 32;
const MAX_TIMEOUT: Duration = Duration::from_hours(28 * 24);

/// A change of a member; what is none stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemberChange {
    pub(crate) nick: Option<Option<String>>,
    pub(crate) roles: Option<Vec<RoleId>>,
    pub(crate) timed_out_until: Option<Option<UnixMillis>>,
}

impl World {
    /// Lets somebody join; who is a member already stays as they are.
    pub(crate) fn join(
        &mut self,
        guild: GuildId,
        user: UserId,
        nick: Option<String>,
        roles: Vec<RoleId>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let is_bot = self.user(user)?.is_bot;
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        if place.members.contains_key(&user) {
            return Ok(Effect::none(()));
        }
        let everyone = place.everyone();
        if roles.iter().any(|role| *role == everyone || !place.roles.contains_key(role)) {
            return Err(Refusal::UnknownRole);
        }
        place.bans.remove(&user);
        let member = Member { user, nick, roles, joined_at: now, timed_out_until: None };
        place.members.insert(user, member);
        let mut dispatches = vec![Dispatch {
            name: "GUILD_MEMBER_ADD",
            audience: Audience::Guild(guild),
            payload: Payload::Shared(wire::member_event(self, guild, user)),
            about: Some(user),
        }];
        if is_bot {
            dispatches.push(Dispatch {
                name: "GUILD_CREATE",
                audience: Audience::User(user, guild),
                payload: Payload::Guild(guild),
                about: Some(user),
            });
        }
        Ok(Effect::new((), dispatches))
    }

    /// Changes a member: each part needs its own right, and the actor must stand above.
    pub(crate) fn update_member(
        &mut self,
        actor: Actor,
        guild: GuildId,
        target: UserId,
        change: MemberChange,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        self.check_member_change(actor, guild, target, &change, now)?;
        let seen = self.seen_by_bots(guild, now);
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        let everyone = place.everyone();
        let names: Vec<(RoleId, String)> =
            place.roles.values().map(|role| (role.id, role.name.clone())).collect();
        let member = place.members.get_mut(&target).ok_or(Refusal::UnknownMember)?;
        let before = member.clone();
        if let Some(nick) = change.nick {
            member.nick = nick.filter(|nick| !nick.is_empty());
        }
        if let Some(until) = change.timed_out_until {
            member.timed_out_until = until.filter(|until| *until > now);
        }
        if let Some(mut roles) = change.roles {
            roles.retain(|role| *role != everyone);
            roles.sort_unstable();
            roles.dedup();
            member.roles = roles;
        }
        let after = member.clone();
        let mut dispatches = Vec::new();
        self.dispatch_member_update(guild, target, &mut dispatches);
        self.sync_threads(guild, &seen, now, &mut dispatches);
        for deed in deeds_of(&before, &after, &names, reason) {
            self.record(guild, actor, deed, now, &mut dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    fn check_member_change(
        &self,
        actor: Actor,
        guild: GuildId,
        target: UserId,
        change: &MemberChange,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let place = self.guild(guild)?;
        let member = place.members.get(&target);
        if let Some(Some(nick)) = &change.nick
            && nick.chars().count() > MAX_NICK
        {
            let message = "Must be 32 or fewer in length.";
            return Err(Refusal::field(&["nick"], "BASE_TYPE_MAX_LENGTH", message));
        }
        if let Some(Some(until)) = change.timed_out_until
            && until.since(now) > MAX_TIMEOUT
        {
            return Err(Refusal::field(
                &["communication_disabled_until"],
                "GUILD_MEMBER_TIMEOUT_TOO_LONG",
                "Must be within 28 days from now.",
            ));
        }
        if let Some(roles) = &change.roles
            && let Some(unknown) = roles.iter().position(|role| !place.roles.contains_key(role))
        {
            let at = unknown.to_string();
            return Err(Refusal::field(&["roles", &at], "ROLE_NOT_FOUND", "Unknown Role"));
        }
        let Actor::User(actor) = actor else {
            return member.map(|_| ()).ok_or(Refusal::UnknownMember);
        };
        let rights = Permissions::empty();
        self.require_in_guild(actor, guild, rights, now)?;
        let member = member.ok_or(Refusal::UnknownMember)?;
        let require = |needed| self.require_in_guild(actor, guild, needed, now).map(|_| ());
        let above = place.outranks(actor, target);
        if change.nick.is_some() {
            if actor == target {
                require(Permissions::CHANGE_NICKNAME)?;
            } else {
                require(Permissions::MANAGE_NICKNAMES)?;
                if !above {
                    return Err(Refusal::MissingPermissions);
                }
            }
        }
        if change.timed_out_until.is_some() {
            require(Permissions::MODERATE_MEMBERS)?;
            // The bare right: a timeout must not hide that they are an administrator.
            let is_exempt = place.permissions_of(member, now).contains(Permissions::ADMINISTRATOR);
            if !above || is_exempt {
                return Err(Refusal::MissingPermissions);
            }
        }
        if let Some(roles) = &change.roles {
            require(Permissions::MANAGE_ROLES)?;
            let added = roles.iter().filter(|role| !member.roles.contains(role));
            let removed = member.roles.iter().filter(|role| !roles.contains(role));
            for role in added.chain(removed).filter(|role| **role != place.everyone()) {
                self.check_may_give(actor, guild, *role)?;
            }
        }
        Ok(())
    }

    /// Gives or takes one role.
    pub(crate) fn set_member_role(
        &mut self,
        actor: Actor,
        guild: GuildId,
        (target, role): (UserId, RoleId),
        has: bool,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.guild(guild)?;
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::MANAGE_ROLES, now)?;
        }
        let member = place.members.get(&target).ok_or(Refusal::UnknownMember)?;
        let found = place.roles.get(&role).ok_or(Refusal::UnknownRole)?;
        if role == place.everyone() {
            return Err(Refusal::InvalidRole);
        }
        if let Actor::User(actor) = actor {
            self.check_may_give(actor, guild, role)?;
        }
        if member.roles.contains(&role) == has {
            return Ok(Effect::none(()));
        }
        let name = found.name.clone();
        let seen = self.seen_by_bots(guild, now);
        if let Some(place) = self.guilds.get_mut(&guild)
            && let Some(member) = place.members.get_mut(&target)
        {
            if has {
                member.roles.push(role);
                member.roles.sort_unstable();
            } else {
                member.roles.retain(|given| *given != role);
            }
        }
        let mut dispatches = Vec::new();
        self.dispatch_member_update(guild, target, &mut dispatches);
        self.sync_threads(guild, &seen, now, &mut dispatches);
        let key = if has { "$add" } else { "$remove" };
        let deed = Deed {
            action: action::MEMBER_ROLE_UPDATE,
            target: Some(target.get()),
            changes: vec![change(key, Value::Null, json!([{ "id": role, "name": name }]))],
            options: None,
            reason,
        };
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Checks that `actor` stands above a role that people may have.
    fn check_may_give(&self, actor: UserId, guild: GuildId, role: RoleId) -> Result<(), Refusal> {
        let place = self.guild(guild)?;
        let found = place.roles.get(&role).ok_or(Refusal::UnknownRole)?;
        if found.is_managed() || !place.outranks_role(actor, role) {
            return Err(Refusal::MissingPermissions);
        }
        Ok(())
    }

    pub(super) fn dispatch_member_update(
        &self,
        guild: GuildId,
        user: UserId,
        dispatches: &mut Vec<Dispatch>,
    ) {
        dispatches.push(Dispatch {
            name: "GUILD_MEMBER_UPDATE",
            audience: Audience::Guild(guild),
            payload: Payload::Shared(wire::member_event(self, guild, user)),
            about: Some(user),
        });
    }

    /// Returns members in the order of their ids.
    pub(crate) fn list_members(
        &self,
        guild: GuildId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<&Member>, Refusal> {
        let members = &self.guild(guild)?.members;
        let after = after.map_or(0, UserId::get);
        Ok(members.values().filter(|member| member.user.get() > after).take(limit).collect())
    }

    /// Returns members of whom a name begins with `query`, in any case.
    pub(crate) fn search_members(
        &self,
        guild: GuildId,
        query: &str,
        limit: usize,
    ) -> Result<Vec<&Member>, Refusal> {
        let query = query.to_lowercase();
        let begins = |name: &str| name.to_lowercase().starts_with(&query);
        let matches = |member: &&Member| {
            let user = self.users.get(&member.user);
            user.is_some_and(|user| begins(&user.username) || begins(user.display_name()))
                || member.nick.as_deref().is_some_and(begins)
        };
        Ok(self.guild(guild)?.members.values().filter(matches).take(limit).collect())
    }
}

/// Returns what the audit log tells of a change: one entry for the person, one for the roles.
fn deeds_of<'a>(
    before: &Member,
    after: &Member,
    names: &[(RoleId, String)],
    reason: Option<&'a str>,
) -> Vec<Deed<'a>> {
    let target = Some(before.user.get());
    let mut deeds = Vec::new();
    let mut changes = Vec::new();
    if before.nick != after.nick {
        changes.push(change("nick", json!(before.nick), json!(after.nick)));
    }
    if before.timed_out_until != after.timed_out_until {
        let text = |at: Option<UnixMillis>| json!(at.map(wire::Iso));
        let (old, new) = (text(before.timed_out_until), text(after.timed_out_until));
        changes.push(change("communication_disabled_until", old, new));
    }
    if !changes.is_empty() {
        deeds.push(Deed { action: action::MEMBER_UPDATE, target, changes, options: None, reason });
    }
    let affected = |of: &Member, other: &Member| -> Vec<Value> {
        let gone = of.roles.iter().filter(|role| !other.roles.contains(role));
        let roles = gone.map(|role| {
            let name = names.iter().find(|(id, _)| id == role).map_or("", |(_, name)| name);
            json!({ "id": role, "name": name })
        });
        roles.collect()
    };
    let mut changes = Vec::new();
    for (key, roles) in [("$add", affected(after, before)), ("$remove", affected(before, after))] {
        if !roles.is_empty() {
            changes.push(change(key, Value::Null, Value::Array(roles)));
        }
    }
    if !changes.is_empty() {
        let action = action::MEMBER_ROLE_UPDATE;
        deeds.push(Deed { action, target, changes, options: None, reason });
    }
    deeds
}
