//! Moving several roles or channels at once.

use std::cmp::Reverse;

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Actor, ChannelChange, ChannelId, Effect, Guild, GuildId, Outcome, Refusal, Role, RoleChange,
    RoleId, UserId, World,
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
    /// Moves roles: only those below the actor's highest, and no higher than that. What counts is
    /// their order: well-known libraries number all roles anew, those above their own included.
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
        if moves.iter().any(|(role, _)| !place.roles.contains_key(role)) {
            return Err(Refusal::UnknownRole);
        }
        if let Actor::User(actor) = actor
            && actor != place.owner
            && !keeps_betters(place, actor, &moves)
        {
            return Err(Refusal::MissingPermissions);
        }
        let mut dispatches = Vec::new();
        for (role, position) in moves {
            let now_at = self.guild(guild)?.roles.get(&role).map(|role| role.position);
            let Some(position) = position.filter(|position| Some(*position) != now_at) else {
                continue;
            };
            if role == everyone {
                continue;
            }
            let edit = RoleChange { position: Some(position), ..RoleChange::default() };
            let effect = self.set_role(actor, guild, role, edit, reason, now)?;
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

/// Returns whether the actor's highest role and all above it stay in their order, above the others.
fn keeps_betters(place: &Guild, actor: UserId, moves: &[(RoleId, Option<i64>)]) -> bool {
    let Some(member) = place.members.get(&actor) else { return false };
    let stands = place.rank_of(member);
    let order = |moved: &dyn Fn(&Role) -> i64| {
        let mut roles: Vec<&Role> = place.roles.values().collect();
        roles.sort_by_key(|role| Reverse((moved(role), Reverse(role.id))));
        roles.into_iter().map(|role| role.id).collect::<Vec<_>>()
    };
    let before = order(&|role| role.position);
    let after = order(&|role| {
        let position = moves.iter().rev().find(|(of, _)| *of == role.id).and_then(|(_, to)| *to);
        // The role of everyone stays where it is, and all others above it.
        position.filter(|_| role.id != place.everyone()).map_or(role.position, |it| it.max(1))
    });
    let betters = place.roles.keys().filter(|role| place.rank_of_role(**role) >= stands).count();
    before[..betters] == after[..betters]
}
