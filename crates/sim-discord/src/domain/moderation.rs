//! Kicks and bans.

use std::time::Duration;

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, Audience, ChannelId, Dispatch, Effect, GuildId, MessageId, Outcome, Payload, Refusal,
    UserId, World,
    audit::{Deed, action},
    created_at,
};
use crate::wire;

#[derive(Clone, Debug)]
pub(crate) struct Ban {
    pub(crate) user: UserId,
    pub(crate) reason: Option<String>,
}

/// What came of banning many.
#[derive(Clone, Debug, Default)]
pub(crate) struct BulkBan {
    pub(crate) banned: Vec<UserId>,
    pub(crate) failed: Vec<UserId>,
}

const MAX_BULK_BAN: usize = 200;

impl World {
    /// Removes a member, who may come back.
    pub(crate) fn kick(
        &mut self,
        actor: Actor,
        guild: GuildId,
        target: UserId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.check_may_remove(actor, guild, target, Permissions::KICK_MEMBERS, now)?;
        if !place.members.contains_key(&target) {
            return Err(Refusal::UnknownMember);
        }
        let mut dispatches = Vec::new();
        self.remove_member(guild, target, now, &mut dispatches);
        let deed = deed(action::MEMBER_KICK, target, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Bans somebody, member or not, and deletes what they wrote in the last `delete` seconds.
    pub(crate) fn ban(
        &mut self,
        actor: Actor,
        guild: GuildId,
        target: UserId,
        delete: Duration,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        let place = self.check_may_remove(actor, guild, target, Permissions::BAN_MEMBERS, now)?;
        if place.bans.contains_key(&target) {
            return Ok(Effect::none(()));
        }
        self.user(target)?;
        let mut dispatches = Vec::new();
        if let Some(place) = self.guilds.get_mut(&guild) {
            let reason = reason.map(str::to_owned);
            place.bans.insert(target, Ban { user: target, reason });
        }
        if !delete.is_zero() {
            self.delete_recent(guild, target, now - delete, &mut dispatches);
        }
        self.remove_member(guild, target, now, &mut dispatches);
        self.dispatch_ban("GUILD_BAN_ADD", guild, target, &mut dispatches);
        let deed = deed(action::MEMBER_BAN_ADD, target, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Bans many at once, and tells who was banned and who was not; none is an error.
    pub(crate) fn bulk_ban(
        &mut self,
        actor: Actor,
        guild: GuildId,
        targets: &[UserId],
        delete: Duration,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<BulkBan> {
        if let Actor::User(actor) = actor {
            let needed = Permissions::BAN_MEMBERS | Permissions::MANAGE_GUILD;
            self.require_in_guild(actor, guild, needed, now)?;
        }
        if targets.is_empty() || targets.len() > MAX_BULK_BAN {
            let message = "Must be between 1 and 200 in length.";
            return Err(Refusal::field(&["user_ids"], "BASE_TYPE_BAD_LENGTH", message));
        }
        let mut done = BulkBan::default();
        let mut dispatches = Vec::new();
        for target in targets {
            let is_banned = self.guild(guild)?.bans.contains_key(target);
            match self.ban(actor, guild, *target, delete, reason, now) {
                Ok(banned) if !is_banned => {
                    dispatches.extend(banned.dispatches);
                    done.banned.push(*target);
                }
                _ => done.failed.push(*target),
            }
        }
        if done.banned.is_empty() {
            return Err(Refusal::BulkBanFailed);
        }
        Ok(Effect::new(done, dispatches))
    }

    /// Lifts a ban.
    pub(crate) fn unban(
        &mut self,
        actor: Actor,
        guild: GuildId,
        target: UserId,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::BAN_MEMBERS, now)?;
        }
        let place = self.guilds.get_mut(&guild).ok_or(Refusal::UnknownGuild)?;
        place.bans.remove(&target).ok_or(Refusal::UnknownBan)?;
        let mut dispatches = Vec::new();
        self.dispatch_ban("GUILD_BAN_REMOVE", guild, target, &mut dispatches);
        let deed = deed(action::MEMBER_BAN_REMOVE, target, reason);
        self.record(guild, actor, deed, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Lets somebody leave of their own accord; the owner cannot.
    pub(crate) fn leave(&mut self, guild: GuildId, user: UserId, now: UnixMillis) -> Outcome<()> {
        let place = self.guild(guild)?;
        if !place.members.contains_key(&user) || place.owner == user {
            return Err(Refusal::UnknownGuild);
        }
        let mut dispatches = Vec::new();
        self.remove_member(guild, user, now, &mut dispatches);
        Ok(Effect::new((), dispatches))
    }

    /// Returns one ban.
    pub(crate) fn get_ban(
        &self,
        actor: UserId,
        guild: GuildId,
        target: UserId,
        now: UnixMillis,
    ) -> Result<&Ban, Refusal> {
        let place = self.require_in_guild(actor, guild, Permissions::BAN_MEMBERS, now)?;
        place.bans.get(&target).ok_or(Refusal::UnknownBan)
    }

    /// Returns bans in the order of the people's ids; with `before`, the last ones before it.
    pub(crate) fn list_bans(
        &self,
        actor: UserId,
        guild: GuildId,
        (before, after): (Option<UserId>, Option<UserId>),
        limit: usize,
        now: UnixMillis,
    ) -> Result<Vec<&Ban>, Refusal> {
        let place = self.require_in_guild(actor, guild, Permissions::BAN_MEMBERS, now)?;
        if let Some(before) = before {
            let mut bans: Vec<&Ban> =
                place.bans.range(..before).rev().take(limit).map(|(_, ban)| ban).collect();
            bans.reverse();
            return Ok(bans);
        }
        let after = after.map_or(0, UserId::get);
        Ok(place.bans.values().filter(|ban| ban.user.get() > after).take(limit).collect())
    }

    /// Takes somebody out of a guild and says so; nothing if they are no member.
    pub(super) fn remove_member(
        &mut self,
        guild: GuildId,
        target: UserId,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        self.let_out_of_threads(guild, target, now, dispatches);
        let Some(place) = self.guilds.get_mut(&guild) else { return };
        if place.members.remove(&target).is_none() {
            return;
        }
        let is_bot = self.users.get(&target).is_some_and(|user| user.is_bot);
        dispatches.push(Dispatch {
            name: "GUILD_MEMBER_REMOVE",
            audience: Audience::Guild(guild),
            payload: Payload::Shared(wire::user_event(self, guild, target)),
            about: Some(target),
        });
        if is_bot {
            dispatches.push(Dispatch {
                name: "GUILD_DELETE",
                audience: Audience::User(target, guild),
                payload: Payload::Shared(wire::guild_left(guild)),
                about: Some(target),
            });
        }
    }

    fn check_may_remove(
        &self,
        actor: Actor,
        guild: GuildId,
        target: UserId,
        needed: Permissions,
        now: UnixMillis,
    ) -> Result<&super::Guild, Refusal> {
        let Actor::User(actor) = actor else { return self.guild(guild) };
        let place = self.require_in_guild(actor, guild, needed, now)?;
        if place.outranks(actor, target) { Ok(place) } else { Err(Refusal::MissingPermissions) }
    }

    fn dispatch_ban(
        &self,
        name: &'static str,
        guild: GuildId,
        target: UserId,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let body = wire::user_event(self, guild, target);
        dispatches.push(Dispatch::shared(name, Audience::Guild(guild), body));
    }

    fn delete_recent(
        &mut self,
        guild: GuildId,
        author: UserId,
        since: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) {
        let Some(place) = self.guilds.get(&guild) else { return };
        let recent: Vec<(ChannelId, Vec<MessageId>)> = place
            .channels
            .iter()
            .chain(&place.threads)
            .filter_map(|id| self.channels.get(id))
            .map(|channel| {
                let newest = channel.messages.values().rev();
                let recent = newest.take_while(|message| created_at(message.id) >= since);
                let theirs = recent.filter(|message| message.author == author);
                (channel.id, theirs.map(|message| message.id).collect())
            })
            .collect();
        for (channel, ids) in recent {
            for ids in ids.chunks(100) {
                self.dispatch_bulk_deletion(channel, guild, ids, dispatches);
            }
        }
    }
}

fn deed(action: u16, target: UserId, reason: Option<&str>) -> Deed<'_> {
    Deed { action, target: Some(target.get()), changes: Vec::new(), options: None, reason }
}
