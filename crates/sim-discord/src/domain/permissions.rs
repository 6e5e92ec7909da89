//! What somebody may do, and who ranks above whom.
//!
//! Source: Discord Docs, Permissions, "Permission Overwrites" and "Permission Hierarchy".

use std::cmp::Reverse;

use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Channel, ChannelKind, Guild, Member, Overwrite, OverwriteTarget, Refusal, RoleId, UserId, World,
};

/// All that a person who is timed out keeps.
const WHILE_TIMED_OUT: Permissions =
    Permissions::VIEW_CHANNEL.union(Permissions::READ_MESSAGE_HISTORY);

/// What goes with the right to send.
const NEEDS_SENDING: Permissions = Permissions::MENTION_EVERYONE
    .union(Permissions::SEND_TTS_MESSAGES)
    .union(Permissions::ATTACH_FILES)
    .union(Permissions::EMBED_LINKS)
    .union(Permissions::SEND_POLLS);

/// What both people of a direct message may do in it.
const IN_DM: Permissions = Permissions::VIEW_CHANNEL
    .union(Permissions::SEND_MESSAGES)
    .union(Permissions::READ_MESSAGE_HISTORY)
    .union(Permissions::ADD_REACTIONS)
    .union(Permissions::EMBED_LINKS)
    .union(Permissions::ATTACH_FILES)
    .union(Permissions::USE_EXTERNAL_EMOJIS)
    .union(Permissions::SEND_POLLS)
    .union(Permissions::PIN_MESSAGES);

/// Returns what the roles give: everything with ADMINISTRATOR.
pub(crate) fn of_roles(
    everyone: Permissions,
    roles: impl IntoIterator<Item = Permissions>,
) -> Permissions {
    let union = roles.into_iter().fold(everyone, |all, role| all | role);
    if union.contains(Permissions::ADMINISTRATOR) { Permissions::all() } else { union }
}

/// Applies a channel's overwrites to what the roles give.
pub(crate) fn with_overwrites(
    base: Permissions,
    overwrites: &[Overwrite],
    everyone: RoleId,
    roles: &[RoleId],
    user: UserId,
) -> Permissions {
    if base.contains(Permissions::ADMINISTRATOR) {
        return Permissions::all();
    }
    let mut result = base;
    let mut of_roles = (Permissions::empty(), Permissions::empty());
    let mut of_member = None;
    for overwrite in overwrites {
        match overwrite.target {
            OverwriteTarget::Role(role) if role == everyone => {
                result = (result - overwrite.deny) | overwrite.allow;
            }
            OverwriteTarget::Role(role) if roles.contains(&role) => {
                of_roles.0 |= overwrite.deny;
                of_roles.1 |= overwrite.allow;
            }
            OverwriteTarget::Member(member) if member == user => of_member = Some(overwrite),
            _ => {}
        }
    }
    result = (result - of_roles.0) | of_roles.1;
    if let Some(overwrite) = of_member {
        result = (result - overwrite.deny) | overwrite.allow;
    }
    result
}

/// Applies what follows from the rest: no view, no anything; no sending, no mentions.
pub(crate) fn settled(permissions: Permissions, kind: ChannelKind, timed_out: bool) -> Permissions {
    if permissions.contains(Permissions::ADMINISTRATOR) {
        return Permissions::all();
    }
    let mut result = permissions;
    if !result.contains(Permissions::VIEW_CHANNEL) {
        return Permissions::empty();
    }
    if kind.is_voice() && !result.contains(Permissions::CONNECT) {
        return Permissions::empty();
    }
    if kind.is_thread() {
        let may_send = result.contains(Permissions::SEND_MESSAGES_IN_THREADS);
        result.set(Permissions::SEND_MESSAGES, may_send);
    }
    if !result.contains(Permissions::SEND_MESSAGES) {
        result -= NEEDS_SENDING;
    }
    if timed_out { result & WHILE_TIMED_OUT } else { result }
}

/// Where a role or a member stands; greater is higher. Of equal positions the lower id ranks higher.
pub(crate) type Rank = (i64, Reverse<u64>);

impl Guild {
    /// Returns what `member` may do in the guild, before any channel's overwrites.
    pub(crate) fn permissions_of(&self, member: &Member, now: UnixMillis) -> Permissions {
        if member.user == self.owner {
            return Permissions::all();
        }
        let base = self.base_permissions(member);
        if !base.contains(Permissions::ADMINISTRATOR) && member.is_timed_out(now) {
            base & WHILE_TIMED_OUT
        } else {
            base
        }
    }

    fn base_permissions(&self, member: &Member) -> Permissions {
        let everyone =
            self.roles.get(&self.everyone()).map_or(Permissions::empty(), |role| role.permissions);
        let roles = member.roles.iter().filter_map(|id| self.roles.get(id));
        of_roles(everyone, roles.map(|role| role.permissions))
    }

    /// Returns what `member` may do in `channel`; threads have their parent's overwrites.
    pub(crate) fn permissions_in(
        &self,
        channel: &Channel,
        overwrites: &[Overwrite],
        member: &Member,
        now: UnixMillis,
    ) -> Permissions {
        if member.user == self.owner {
            return Permissions::all();
        }
        let base = self.base_permissions(member);
        let in_channel =
            with_overwrites(base, overwrites, self.everyone(), &member.roles, member.user);
        settled(in_channel, channel.kind, member.is_timed_out(now))
    }

    /// Returns where a role stands.
    pub(crate) fn rank_of_role(&self, role: RoleId) -> Rank {
        let position = self.roles.get(&role).map_or(0, |role| role.position);
        (position, Reverse(role.get()))
    }

    /// Returns where a member's highest role stands.
    pub(crate) fn rank_of(&self, member: &Member) -> Rank {
        let lowest = (0, Reverse(u64::MAX));
        member.roles.iter().map(|role| self.rank_of_role(*role)).fold(lowest, Rank::max)
    }

    /// Tells whether `actor` stands above `target`; the owner does, and nobody above the owner.
    pub(crate) fn outranks(&self, actor: UserId, target: UserId) -> bool {
        if actor == target || target == self.owner {
            return false;
        }
        if actor == self.owner {
            return true;
        }
        match (self.members.get(&actor), self.members.get(&target)) {
            (Some(actor), Some(target)) => self.rank_of(actor) > self.rank_of(target),
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// Tells whether `actor` stands above a role, and so may give and take it.
    pub(crate) fn outranks_role(&self, actor: UserId, role: RoleId) -> bool {
        actor == self.owner
            || self
                .members
                .get(&actor)
                .is_some_and(|member| self.rank_of(member) > self.rank_of_role(role))
    }
}

impl World {
    /// Returns what `user` may do in `channel`; none if they are not in its guild or conversation.
    pub(crate) fn permissions_in(
        &self,
        channel: &Channel,
        user: UserId,
        now: UnixMillis,
    ) -> Option<Permissions> {
        let Some(guild) = channel.guild else {
            return channel.recipients.contains(&user).then_some(IN_DM);
        };
        let guild = self.guilds.get(&guild)?;
        let member = guild.members.get(&user)?;
        let overwrites = match channel.parent.filter(|_| channel.kind.is_thread()) {
            Some(parent) => self.channels.get(&parent).map_or(&[][..], |parent| &parent.overwrites),
            None => &channel.overwrites,
        };
        let rights = guild.permissions_in(channel, overwrites, member, now);
        let is_hidden = channel.kind == ChannelKind::PRIVATE_THREAD
            && !rights.contains(Permissions::MANAGE_THREADS)
            && channel.thread.as_ref().is_none_or(|thread| !thread.members.contains_key(&user));
        Some(if is_hidden { Permissions::empty() } else { rights })
    }

    /// Demands that `actor` sees `channel` and has all of `needed` there.
    pub(crate) fn require(
        &self,
        actor: UserId,
        channel: &Channel,
        needed: Permissions,
        now: UnixMillis,
    ) -> Result<Permissions, Refusal> {
        let has = self.permissions_in(channel, actor, now).ok_or(Refusal::MissingAccess)?;
        if !has.contains(Permissions::VIEW_CHANNEL) {
            Err(Refusal::MissingAccess)
        } else if has.contains(needed) {
            Ok(has)
        } else {
            Err(Refusal::MissingPermissions)
        }
    }

    /// Demands that `actor` is in `guild` and has all of `needed` there.
    pub(crate) fn require_in_guild(
        &self,
        actor: UserId,
        guild: super::GuildId,
        needed: Permissions,
        now: UnixMillis,
    ) -> Result<&Guild, Refusal> {
        let guild = self.guilds.get(&guild).ok_or(Refusal::UnknownGuild)?;
        let member = guild.members.get(&actor).ok_or(Refusal::UnknownGuild)?;
        if guild.permissions_of(member, now).contains(needed) {
            Ok(guild)
        } else {
            Err(Refusal::MissingPermissions)
        }
    }
}

#[cfg(test)]
mod tests {
    use twilight_model::id::Id;

    use super::*;

    const VIEW: Permissions = Permissions::VIEW_CHANNEL;
    const SEND: Permissions = Permissions::SEND_MESSAGES;
    const NONE: Permissions = Permissions::empty();

    fn for_role(role: u64, allow: Permissions, deny: Permissions) -> Overwrite {
        Overwrite { target: OverwriteTarget::Role(Id::new(role)), allow, deny }
    }

    fn for_member(user: u64, allow: Permissions, deny: Permissions) -> Overwrite {
        Overwrite { target: OverwriteTarget::Member(Id::new(user)), allow, deny }
    }

    #[test]
    fn overwrites_apply_from_everyone_to_roles_to_the_member() {
        let everyone = Id::new(1);
        let roles = [Id::new(10), Id::new(11)];
        let user = Id::new(99);
        let both = VIEW | SEND;
        let table = [
            ("no overwrite", both, vec![], both),
            ("everyone denied", both, vec![for_role(1, NONE, SEND)], VIEW),
            (
                "a role allows again",
                both,
                vec![for_role(1, NONE, both), for_role(10, VIEW, NONE)],
                VIEW,
            ),
            (
                "one role's allow beats another's deny",
                both,
                vec![for_role(10, NONE, SEND), for_role(11, SEND, NONE)],
                both,
            ),
            (
                "the member's own comes last",
                both,
                vec![for_member(99, NONE, SEND), for_role(10, SEND, NONE)],
                VIEW,
            ),
            (
                "others' overwrites do not matter",
                both,
                vec![for_member(98, NONE, both), for_role(12, NONE, both)],
                both,
            ),
            (
                "an administrator is above them",
                Permissions::ADMINISTRATOR,
                vec![for_role(1, NONE, both)],
                Permissions::all(),
            ),
        ];
        for (name, base, overwrites, expected) in table {
            assert_eq!(
                with_overwrites(base, &overwrites, everyone, &roles, user),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn the_rest_follows_from_what_is_missing() {
        let all_but =
            |missing: Permissions| Permissions::all() - Permissions::ADMINISTRATOR - missing;
        let text = ChannelKind::TEXT;
        assert_eq!(settled(all_but(VIEW), text, false), NONE);
        let silent = settled(all_but(SEND), text, false);
        assert!(!silent.intersects(NEEDS_SENDING) && silent.contains(VIEW));
        assert_eq!(settled(all_but(NONE), text, true), WHILE_TIMED_OUT);
        assert_eq!(settled(Permissions::ADMINISTRATOR, text, true), Permissions::all());
        assert_eq!(settled(all_but(Permissions::CONNECT), ChannelKind::VOICE, false), NONE);
        let thread = ChannelKind::PUBLIC_THREAD;
        assert!(settled(all_but(SEND), thread, false).contains(SEND));
        assert!(
            !settled(all_but(Permissions::SEND_MESSAGES_IN_THREADS), thread, false).contains(SEND)
        );
    }

    #[test]
    fn roles_add_up_and_administrator_is_everything() {
        assert_eq!(of_roles(VIEW, [SEND]), VIEW | SEND);
        assert_eq!(of_roles(VIEW, [Permissions::ADMINISTRATOR]), Permissions::all());
    }
}
