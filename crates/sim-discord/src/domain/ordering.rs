//! Moving several roles or channels at once.

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, ChannelChange, ChannelId, Effect, GuildId, Outcome, Refusal, RoleChange, RoleId, World,
};

/// Where a channel goes; what is none stays.
#[derive(Clone, Debug)]
pub(crate) struct ChannelMove {
    pub(crate) channel: ChannelId,
    pub(crate) position: Option<i64>,
    pub(crate) parent: Option<Option<ChannelId>>,
    /// Whether it takes the overwrites of its new category.
    pub(crate) takes_overwrites: bool,
}

impl World {
    /// Moves roles: only those below the actor's highest, and no higher than that.
    pub(crate) fn move_roles(
        &mut self,
        actor: Actor,
        guild: GuildId,
        moves: Vec<(RoleId, Option<i64>)>,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::MANAGE_ROLES, now)?;
        }
        let place = self.guild(guild)?;
        let everyone = place.everyone();
        let mut dispatches = Vec::new();
        for (role, position) in &moves {
            let found = place.roles.get(role).ok_or(Refusal::UnknownRole)?;
            let position = position.unwrap_or(found.position);
            let Actor::User(actor) = actor else { continue };
            let stands = place.members.get(&actor).map(|member| place.rank_of(member).0);
            let is_too_high = stands.is_none_or(|stands| position >= stands);
            let is_moved = *role != everyone && position != found.position;
            if is_moved
                && actor != place.owner
                && (is_too_high || !place.outranks_role(actor, *role))
            {
                return Err(Refusal::MissingPermissions);
            }
        }
        for (role, position) in moves {
            let now_at = self.guild(guild)?.roles.get(&role).map(|role| role.position);
            let Some(position) = position.filter(|position| Some(*position) != now_at) else {
                continue;
            };
            if role == everyone {
                continue;
            }
            let edit = RoleChange { position: Some(position), ..RoleChange::default() };
            let effect = self.update_role(actor, guild, role, edit, reason, now)?;
            dispatches.extend(effect.dispatches);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Moves channels, also into other categories.
    pub(crate) fn move_channels(
        &mut self,
        actor: Actor,
        guild: GuildId,
        moves: Vec<ChannelMove>,
        reason: Option<&str>,
        now: UnixMillis,
    ) -> Outcome<()> {
        if let Actor::User(actor) = actor {
            self.require_in_guild(actor, guild, Permissions::MANAGE_CHANNELS, now)?;
        }
        let place = self.guild(guild)?;
        if moves.iter().any(|wanted| !place.channels.contains(&wanted.channel)) {
            return Err(Refusal::UnknownChannel);
        }
        let mut edits = Vec::with_capacity(moves.len());
        for wanted in moves {
            let channel = self.channel(wanted.channel)?;
            let parent = wanted.parent.unwrap_or(channel.parent);
            let parent = parent.and_then(|parent| self.channels.get(&parent));
            let overwrites = parent.filter(|_| wanted.takes_overwrites);
            let edit = ChannelChange {
                position: wanted.position,
                parent: wanted.parent,
                overwrites: overwrites.map(|parent| parent.overwrites.clone()),
                ..ChannelChange::default()
            };
            // All are checked before the first is moved.
            self.check_channel_edit(actor, channel, guild, &edit, now)?;
            edits.push((wanted.channel, edit));
        }
        let mut dispatches = Vec::new();
        for (channel, edit) in edits {
            dispatches.extend(self.update_channel(actor, channel, edit, reason, now)?.dispatches);
        }
        Ok(Effect::new((), dispatches))
    }
}
