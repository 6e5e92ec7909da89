//! Whether roles and overwrites may be changed: nobody gives what they do not have.

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{RoleMarker, UserMarker},
    },
};

use super::{Authority, World, who};
use crate::domain::{
    guild::{Channel, Member, OverwriteOf, Role},
    permissions::{self, DANGEROUS},
    reason::{Reason, Who},
    tool::{Place, RightsChange},
};

/// Checks what a call changes about who may do what; that the role's holder may be acted on is
/// checked as for any other act.
pub(super) fn may_be_changed(
    world: &World<'_>,
    change: RightsChange,
    authority: &Authority,
) -> Result<(), Reason> {
    let people: &[Id<UserMarker>] = match authority {
        Authority::People(people) => people,
        Authority::Nobody => return Err(Reason::NobodyAsked),
        Authority::Bot => &[],
    };
    let actors = Actors { world, people };
    let everyone = world.state.guild.everyone();
    match change {
        RightsChange::GiveRole(role) => {
            let role = actors.role_of_people(role)?;
            actors.rank_above(role)?;
            // Discord asks no more of Ery than her rank.
            actors.people_hold(role.permissions)
        }
        RightsChange::TakeRole(role) | RightsChange::DeleteRole(role) => {
            let role = actors.role_of_people(role)?;
            actors.rank_above(role)
        }
        RightsChange::MoveRole { role, beside, is_above } => {
            actors.may_move(role, beside, is_above)
        }
        RightsChange::CreateRole { permissions } => actors.may_switch(permissions),
        RightsChange::ChangeRole { role, permissions } => {
            let role = actors.role(role)?;
            if role.id != everyone {
                actors.rank_above(role)?;
            }
            let changed = role.permissions ^ permissions.after(role.permissions);
            actors.may_switch(changed)
        }
        RightsChange::Overwrite { of, changed } => {
            let changed = changed.unwrap_or_else(|| actors.overwritten(of));
            if let OverwriteOf::Role(role) = of
                && role != everyone
            {
                actors.people_rank_above(actors.role(role)?)?;
            }
            actors.may_overwrite(changed)
        }
    }
}

/// Everybody on whose rights a change stands.
struct Actors<'a> {
    world: &'a World<'a>,
    people: &'a [Id<UserMarker>],
}

impl<'a> Actors<'a> {
    fn role(&self, role: Id<RoleMarker>) -> Result<&'a Role, Reason> {
        self.world.state.guild.roles.get(&role).ok_or(Reason::NoSuchRole)
    }

    /// Returns a role that people give each other: neither that of all nor an integration's.
    fn role_of_people(&self, role: Id<RoleMarker>) -> Result<&'a Role, Reason> {
        if role == self.world.state.guild.everyone() {
            return Err(Reason::RoleIsEveryone);
        }
        let role = self.role(role)?;
        if role.is_managed { Err(Reason::RoleIsManaged) } else { Ok(role) }
    }

    fn members(&self) -> impl Iterator<Item = Result<(Who, &'a Member), Reason>> {
        self.people.iter().map(|person| {
            let who = who(*person, self.people);
            let member = self.world.state.member(*person);
            member.map(|member| (who, member)).ok_or(Reason::AskerNotMember { who })
        })
    }

    fn people_rank_above(&self, role: &Role) -> Result<(), Reason> {
        for actor in self.members() {
            let (who, member) = actor?;
            if !permissions::outranks_role(&self.world.state.guild, member, role) {
                return Err(Reason::RankBelowRole { who });
            }
        }
        Ok(())
    }

    fn rank_above(&self, role: &Role) -> Result<(), Reason> {
        self.people_rank_above(role)?;
        if permissions::outranks_role(&self.world.state.guild, self.world.bot()?, role) {
            Ok(())
        } else {
            Err(Reason::RankBelowRole { who: Who::Ery })
        }
    }

    /// Checks that a role is below everybody before it is moved, and afterwards as well.
    fn may_move(
        &self,
        role: Id<RoleMarker>,
        beside: Id<RoleMarker>,
        is_above: bool,
    ) -> Result<(), Reason> {
        let everyone = self.world.state.guild.everyone();
        if role == everyone || beside == everyone && !is_above {
            return Err(Reason::RoleIsEveryone);
        }
        self.rank_above(self.role(role)?)?;
        let beside = self.role(beside)?;
        if is_above { self.rank_above(beside) } else { self.rank_at(beside) }
    }

    /// Checks that nobody's highest role is below this one.
    fn rank_at(&self, role: &Role) -> Result<(), Reason> {
        let guild = &self.world.state.guild;
        let reaches = |member: &Member| {
            let highest = permissions::highest_role(guild, member);
            permissions::outranks_role(guild, member, role)
                || highest.is_some_and(|highest| highest.id == role.id)
        };
        for actor in self.members() {
            let (who, member) = actor?;
            if !reaches(member) {
                return Err(Reason::RankBelowRole { who });
            }
        }
        if reaches(self.world.bot()?) {
            Ok(())
        } else {
            Err(Reason::RankBelowRole { who: Who::Ery })
        }
    }

    /// Checks that the people have the bits of a role that they give.
    fn people_hold(&self, bits: Permissions) -> Result<(), Reason> {
        for actor in self.members() {
            let (who, member) = actor?;
            holds(who, self.on_server(member), bits)?;
        }
        Ok(())
    }

    /// Checks that people and Ery may switch these bits of a role on or off.
    fn may_switch(&self, bits: Permissions) -> Result<(), Reason> {
        for actor in self.members() {
            let (who, member) = actor?;
            holds(who, self.on_server(member), bits)?;
            let is_dangerous = !(bits & DANGEROUS).is_empty();
            if is_dangerous && !self.on_server(member).contains(Permissions::ADMINISTRATOR) {
                return Err(Reason::OnlyAdministrators { who, permission: bits & DANGEROUS });
            }
        }
        holds(Who::Ery, self.on_server(self.world.bot()?), bits)
    }

    /// Checks that people and Ery may set these bits in an overwrite.
    fn may_overwrite(&self, bits: Permissions) -> Result<(), Reason> {
        for actor in self.members() {
            let (who, member) = actor?;
            holds(who, self.to_overwrite(member), bits)?;
            self.may_delegate(who, member, bits)?;
        }
        let bot = self.world.bot()?;
        holds(Who::Ery, self.to_overwrite(bot), bits)?;
        self.may_delegate(Who::Ery, bot, bits)
    }

    /// The right to set overwrites itself is given in them by administrators alone.
    fn may_delegate(&self, who: Who, member: &Member, bits: Permissions) -> Result<(), Reason> {
        let delegates = bits.contains(Permissions::MANAGE_ROLES);
        if delegates && !self.on_server(member).contains(Permissions::ADMINISTRATOR) {
            return Err(Reason::OnlyAdministrators { who, permission: Permissions::MANAGE_ROLES });
        }
        Ok(())
    }

    fn on_server(&self, member: &Member) -> Permissions {
        permissions::in_guild(&self.world.state.guild, member, self.world.now)
    }

    /// Returns the bits that a member may set in the channel's overwrites: those that they have
    /// there, and those of the server, so that one can take back what one denied oneself. The right
    /// to manage roles is a matter of the channel alone.
    fn to_overwrite(&self, member: &Member) -> Permissions {
        let on_server = self.on_server(member);
        let in_channel = self.channel().map_or(Permissions::empty(), |channel| {
            permissions::in_channel(&self.world.state.guild, member, channel, self.world.now)
        });
        if on_server.contains(Permissions::ADMINISTRATOR) {
            return on_server;
        }
        in_channel | on_server.difference(Permissions::MANAGE_ROLES)
    }

    fn channel(&self) -> Option<&'a Channel> {
        match self.world.call.needs.place {
            Place::Guild => None,
            Place::Channel(channel) => self.world.state.channel(channel),
        }
    }

    /// Returns the bits of the overwrite that stands there.
    fn overwritten(&self, of: OverwriteOf) -> Permissions {
        let found = self
            .channel()
            .and_then(|channel| channel.overwrites.iter().find(|overwrite| overwrite.of == of));
        found.map_or(Permissions::empty(), |overwrite| overwrite.allow | overwrite.deny)
    }
}

fn holds(who: Who, has: Permissions, bits: Permissions) -> Result<(), Reason> {
    if has.contains(Permissions::ADMINISTRATOR) {
        return Ok(());
    }
    match permissions::first_missing(bits, has) {
        None => Ok(()),
        Some(permission) => Err(Reason::CannotGrant { who, permission }),
    }
}
