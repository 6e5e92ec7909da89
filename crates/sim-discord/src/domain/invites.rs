//! Invites: codes with which people come into a guild.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, ChannelId, ChannelKind, Dispatch, Effect, GuildId, Outcome, Refusal, RoleId,
    UserId, World,
    audit::{Deed, action, change},
};
use crate::wire;

const MAX_INVITES: usize = 1_000;
const MAX_AGE: u32 = 604_800;
const MAX_USES: u32 = 100;
const CODE_LENGTH: usize = 8;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

#[derive(Clone, Debug)]
pub(crate) struct Invite {
    pub(crate) code: String,
    pub(crate) guild: GuildId,
    pub(crate) channel: ChannelId,
    pub(crate) inviter: Option<UserId>,
    pub(crate) created: UnixMillis,
    /// In seconds; 0 for ever.
    pub(crate) max_age: u32,
    /// 0 for any number.
    pub(crate) max_uses: u32,
    pub(crate) uses: u32,
    pub(crate) is_temporary: bool,
    /// What whoever comes is given.
    pub(crate) roles: Vec<RoleId>,
}

impl Invite {
    /// Returns when it ends; none if it does not.
    pub(crate) fn expires(&self) -> Option<UnixMillis> {
        let age = Duration::from_secs(self.max_age.into());
        (!age.is_zero()).then(|| self.created + age)
    }

    fn is_over(&self, now: UnixMillis) -> bool {
        self.expires().is_some_and(|at| at <= now)
    }
}

/// An invite that somebody wants; Discord's defaults where it is not said.
#[derive(Clone, Debug)]
pub(crate) struct NewInvite {
    pub(crate) max_age: u32,
    pub(crate) max_uses: u32,
    pub(crate) is_temporary: bool,
    /// Whether one that is there already will not do.
    pub(crate) is_unique: bool,
    pub(crate) roles: Vec<RoleId>,
}

impl Default for NewInvite {
    fn default() -> Self {
        let roles = Vec::new();
        Self { max_age: 86_400, max_uses: 0, is_temporary: false, is_unique: false, roles }
    }
}

impl World {
    /// Makes an invite into a channel, or finds one like it unless it is to be unique.
    pub(crate) fn create_invite(
        &mut self,
        actor: Actor,
        channel: ChannelId,
        new: NewInvite,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<String> {
        let place = self.channel(channel)?;
        let guild = place.guild.ok_or(Refusal::DmChannel)?;
        if let Actor::User(actor) = actor {
            self.require(actor, place, Permissions::CREATE_INVITE, now)?;
        }
        if place.kind.is_thread() || place.kind == ChannelKind::CATEGORY {
            return Err(Refusal::WrongChannelType);
        }
        check_bounds(&new)?;
        self.check_invite_roles(actor, guild, &new.roles, now)?;
        let inviter = actor.user();
        let is_like = |invite: &&Invite| {
            invite.channel == channel
                && invite.inviter == inviter
                && invite.max_age == new.max_age
                && invite.max_uses == new.max_uses
                && invite.is_temporary == new.is_temporary
                && invite.roles == new.roles
                && !invite.is_over(now)
        };
        let like = self.invites.values().find(is_like).filter(|_| !new.is_unique);
        if let Some(like) = like {
            return Ok(Effect::none(like.code.clone()));
        }
        if self.invites.values().filter(|invite| invite.guild == guild).count() >= MAX_INVITES {
            return Err(Refusal::TooManyInvites);
        }
        let invite = Invite {
            code: self.new_invite_code(now),
            guild,
            channel,
            inviter,
            created: now,
            max_age: new.max_age,
            max_uses: new.max_uses,
            uses: 0,
            is_temporary: new.is_temporary,
            roles: new.roles,
        };
        let body = wire::invite_create(self, &invite);
        let audience = Audience::Holders(guild, channel, Permissions::MANAGE_CHANNELS);
        let mut dispatches = vec![Dispatch::shared("INVITE_CREATE", audience, body)];
        let code = invite.code.clone();
        let changes = properties(&invite);
        let changes = changes.map(|(key, value)| change(key, Value::Null, value)).collect();
        self.invites.insert(code.clone(), invite);
        let deed = invite_deed(action::INVITE_CREATE, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new(code, dispatches))
    }

    fn check_invite_roles(
        &self,
        actor: Actor,
        guild: GuildId,
        roles: &[RoleId],
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let place = self.guild(guild)?;
        for role in roles {
            let found = place.roles.get(role).ok_or(Refusal::UnknownRole)?;
            if found.is_managed() || *role == place.everyone() {
                return Err(Refusal::InvalidRole);
            }
            if let Actor::User(actor) = actor {
                self.require_in_guild(actor, guild, Permissions::MANAGE_ROLES, now)?;
                if !place.outranks_role(actor, *role) {
                    return Err(Refusal::MissingPermissions);
                }
            }
        }
        Ok(())
    }

    /// Makes a code that is no other's, and that does not tell the next one.
    fn new_invite_code(&mut self, now: UnixMillis) -> String {
        loop {
            let id = self.mint.next::<twilight_model::id::marker::GenericMarker>(now);
            let hash = Sha256::digest(id.get().to_be_bytes());
            let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
            let code: String = hash.iter().take(CODE_LENGTH).map(letter).collect();
            if !self.invites.contains_key(&code) {
                return code;
            }
        }
    }

    /// Returns an invite that still holds.
    pub(crate) fn invite(&self, code: &str, now: UnixMillis) -> Result<&Invite, Refusal> {
        let invite = self.invites.get(code).filter(|invite| !invite.is_over(now));
        invite.ok_or(Refusal::UnknownInvite)
    }

    /// Returns the invites into a channel, for those who manage it.
    pub(crate) fn channel_invites(
        &self,
        actor: UserId,
        channel: ChannelId,
        now: UnixMillis,
    ) -> Result<Vec<&Invite>, Refusal> {
        let place = self.channel(channel)?;
        place.guild.ok_or(Refusal::DmChannel)?;
        self.require(actor, place, Permissions::MANAGE_CHANNELS, now)?;
        let of_channel = |invite: &&Invite| invite.channel == channel && !invite.is_over(now);
        Ok(self.invites.values().filter(of_channel).collect())
    }

    /// Returns the invites into a guild, and whether `actor` may see how they are used.
    pub(crate) fn guild_invites(
        &self,
        actor: Actor,
        guild: GuildId,
        now: UnixMillis,
    ) -> Result<(Vec<&Invite>, bool), Refusal> {
        let mut sees_uses = true;
        if let Actor::User(actor) = actor {
            let manages = self.require_in_guild(actor, guild, Permissions::MANAGE_GUILD, now);
            sees_uses = manages.is_ok();
            if !sees_uses {
                self.require_in_guild(actor, guild, Permissions::VIEW_AUDIT_LOG, now)?;
            }
        }
        self.guild(guild)?;
        let of_guild = |invite: &&Invite| invite.guild == guild && !invite.is_over(now);
        Ok((self.invites.values().filter(of_guild).collect(), sees_uses))
    }

    /// Withdraws an invite: for those who manage its channel or its guild.
    pub(crate) fn delete_invite(
        &mut self,
        actor: Actor,
        code: &str,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<Invite> {
        let invite = self.invite(code, now)?.clone();
        let guild = invite.guild;
        if let Actor::User(actor) = actor {
            let place = self.channel(invite.channel)?;
            let manages_channel = self.require(actor, place, Permissions::MANAGE_CHANNELS, now);
            let manages_guild = self.require_in_guild(actor, guild, Permissions::MANAGE_GUILD, now);
            if manages_channel.is_err() {
                manages_guild?;
            }
        }
        let mut dispatches = Vec::new();
        self.drop_invite(&invite, &mut dispatches);
        let changes = properties(&invite);
        let changes = changes.map(|(key, value)| change(key, value, Value::Null)).collect();
        let deed = invite_deed(action::INVITE_DELETE, changes, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new(invite, dispatches))
    }

    /// Lets somebody in by an invite; one that has been used as often as it may is gone then.
    pub(crate) fn use_invite(
        &mut self,
        user: UserId,
        code: &str,
        now: UnixMillis,
    ) -> Outcome<GuildId> {
        self.user(user)?;
        let invite = self.invite(code, now)?;
        let (guild, roles) = (invite.guild, invite.roles.clone());
        let place = self.guild(guild)?;
        if place.bans.contains_key(&user) {
            return Err(Refusal::BannedFromGuild);
        }
        if place.members.contains_key(&user) {
            return Ok(Effect::none(guild));
        }
        let known = |role: &RoleId| place.roles.contains_key(role);
        let roles = roles.into_iter().filter(known).collect();
        let mut dispatches = Vec::new();
        if let Some(invite) = self.invites.get_mut(code) {
            invite.uses += 1;
            let invite = invite.clone();
            if invite.max_uses > 0 && invite.uses >= invite.max_uses {
                self.drop_invite(&invite, &mut dispatches);
            }
        }
        dispatches.extend(self.join(guild, user, None, roles, now)?.dispatches);
        Ok(Effect::new(guild, dispatches))
    }

    fn drop_invite(&mut self, invite: &Invite, dispatches: &mut Vec<Dispatch>) {
        self.invites.remove(&invite.code);
        let (guild, channel) = (invite.guild, invite.channel);
        let audience = Audience::Holders(guild, channel, Permissions::MANAGE_CHANNELS);
        let body = wire::invite_delete(invite);
        dispatches.push(Dispatch::shared("INVITE_DELETE", audience, body));
    }

    /// Forgets the invites that are over, of which Discord says nothing.
    pub(super) fn forget_old_invites(&mut self, now: UnixMillis) {
        self.invites.retain(|_, invite| !invite.is_over(now));
    }

    /// Forgets the invites into a channel, or into a whole guild, that is gone.
    pub(super) fn forget_invites(&mut self, guild: GuildId, channel: Option<ChannelId>) {
        self.invites.retain(|_, invite| {
            invite.guild != guild || channel.is_some_and(|channel| invite.channel != channel)
        });
    }
}

fn check_bounds(new: &NewInvite) -> Result<(), Refusal> {
    for (key, value, most) in
        [("max_age", new.max_age, MAX_AGE), ("max_uses", new.max_uses, MAX_USES)]
    {
        if value > most {
            let message = format!("int value should be less than or equal to {most}.");
            return Err(Refusal::field(&[key], "NUMBER_TYPE_MAX", message));
        }
    }
    Ok(())
}

/// Returns what the audit log tells of an invite.
fn properties(invite: &Invite) -> impl Iterator<Item = (&'static str, Value)> {
    [
        ("code", json!(invite.code)),
        ("channel_id", json!(invite.channel)),
        ("inviter_id", json!(invite.inviter)),
        ("max_uses", json!(invite.max_uses)),
        ("uses", json!(invite.uses)),
        ("max_age", json!(invite.max_age)),
        ("temporary", json!(invite.is_temporary)),
    ]
    .into_iter()
}

fn invite_deed(action: u16, changes: Vec<Value>, reason: Option<&str>) -> Deed<'_> {
    Deed { action, target: None, changes, options: None, reason }
}
