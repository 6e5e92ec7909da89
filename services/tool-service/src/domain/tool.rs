//! What a tool is, whichever it is.

use std::fmt;

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, RoleMarker, UserMarker},
    },
};

use super::guild::OverwriteOf;

/// What a tool says of itself.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// For the model.
    pub(crate) description: &'static str,
    /// The highest that its acts can have.
    pub(crate) tier: Tier,
    /// Of most of its acts.
    pub(crate) retry: RetryClass,
    /// Whether it makes sense in a direct message.
    pub(crate) works_in_dm: bool,
}

/// How much a call can do. Source: SAFETY §7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tier {
    /// Shows what the asker could see.
    Read,
    /// A reply, a reaction.
    Harmless,
    /// Moderation that can be undone.
    Reversible,
    /// Cannot be undone, or reaches far.
    Destructive,
}

impl Tier {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Harmless => "harmless",
            Self::Reversible => "reversible",
            Self::Destructive => "destructive",
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may be done about a call whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryClass {
    /// Repeating with the stored arguments cannot do it twice.
    Safe,
    /// Discord itself drops a repeat under the same nonce, for some minutes; later it is looked up.
    Nonce,
    /// Never repeated: Discord is asked whether it happened.
    Reconcile,
}

impl RetryClass {
    #[cfg(test)]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Safe => "safe",
            Self::Nonce => "nonce",
            Self::Reconcile => "reconcile",
        }
    }
}

/// What a call needs before it may be made, as [`super::decide`] checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) place: Place,
    /// What is needed in channels besides.
    pub(crate) also_in: Vec<AlsoIn>,
    pub(crate) bot: Permissions,
    pub(crate) asker: Permissions,
    /// Whom it acts on; everybody is judged by themselves.
    pub(crate) subjects: Vec<Subject>,
    /// What it changes about who may do what.
    pub(crate) rights: Option<RightsChange>,
    /// Whose it is that it touches.
    pub(crate) owned: Option<Owned>,
    /// Whether only a member may ask for it.
    pub(crate) is_for_members: bool,
    /// The channel where its words are read.
    pub(crate) tells: Option<Id<ChannelMarker>>,
    /// Where it writes as whoever asks might by hand, and what of it slow mode counts.
    pub(crate) writes: Option<Writes>,
    pub(crate) reads: Reads,
}

impl Needs {
    /// Needs these permissions of the bot and of the asker, on the whole server.
    pub(crate) fn in_guild(permissions: Permissions) -> Self {
        Self {
            place: Place::Guild,
            also_in: Vec::new(),
            bot: permissions,
            asker: permissions,
            subjects: Vec::new(),
            rights: None,
            owned: None,
            is_for_members: false,
            tells: None,
            writes: None,
            reads: Reads::Nothing,
        }
    }

    /// Needs these permissions of the bot and of the asker in a channel.
    pub(crate) fn in_channel(channel: Id<ChannelMarker>, permissions: Permissions) -> Self {
        Self { place: Place::Channel(channel), ..Self::in_guild(permissions) }
    }

    /// Returns how much the call can do for these people, where it is `tier` for anybody.
    pub(crate) fn tier_for(&self, people: &[Id<UserMarker>], tier: Tier) -> Tier {
        match (self.owned, people) {
            (Some(Owned { by: Some(owner), own_tier: Some(own), .. }), [person])
                if owner == *person =>
            {
                own
            }
            _ => tier,
        }
    }
}

/// What the bot and the asker need in one more channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AlsoIn {
    pub(crate) channel: Id<ChannelMarker>,
    pub(crate) bot: Permissions,
    pub(crate) asker: Permissions,
}

impl AlsoIn {
    /// Needs these permissions of both.
    pub(crate) fn both(channel: Id<ChannelMarker>, permissions: Permissions) -> Self {
        Self { channel, bot: permissions, asker: permissions }
    }
}

/// What is written in a channel for somebody.
///
/// Source: Discord Docs, Channel, `rate_limit_per_user`: one message and one thread in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    Message(Id<ChannelMarker>),
    Thread(Id<ChannelMarker>),
}

/// What belongs to one person: others need more rights to touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    /// None where nobody knows.
    pub(crate) by: Option<Id<UserMarker>>,
    /// What an asker needs besides who is not the owner.
    pub(crate) others: Permissions,
    /// What the bot needs besides if it is not the owner.
    pub(crate) bot: Permissions,
    /// How much touching it can do where it is the asker's own, if less than else.
    pub(crate) own_tier: Option<Tier>,
    /// Whether it is a plan, which those may touch who manage events, too.
    pub(crate) is_plan: bool,
}

/// Where the permissions must be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Guild,
    Channel(Id<ChannelMarker>),
}

/// The member that a call acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) user: Id<UserMarker>,
    pub(crate) act: SubjectAct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubjectAct {
    /// Only looks; the order of roles does not matter.
    Look,
    /// Is spoken to in private; the order of roles does not matter.
    Address,
    /// Puts a sanction on the member, which administrators are exempt from.
    Sanction,
    /// Takes a sanction away.
    Lift,
    /// Reproves the member; nothing of theirs changes.
    Warn,
    /// Removes the member from the server.
    Kick,
    /// Keeps somebody out, member or not.
    Ban,
    /// Lets somebody in again who was kept out.
    Unban,
    /// Gives or takes rights of the member's.
    Rights,
}

impl SubjectAct {
    /// Returns whether it ends what was put on somebody.
    pub(crate) fn lifts(self) -> bool {
        matches!(self, Self::Lift | Self::Unban)
    }
}

/// A change of who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RightsChange {
    GiveRole(Id<RoleMarker>),
    TakeRole(Id<RoleMarker>),
    CreateRole {
        permissions: Permissions,
    },
    ChangeRole {
        role: Id<RoleMarker>,
        /// What becomes of its permissions; nothing if none is named.
        permissions: BitsChange,
    },
    DeleteRole(Id<RoleMarker>),
    /// Puts a role right above or below another one.
    MoveRole {
        role: Id<RoleMarker>,
        beside: Id<RoleMarker>,
        is_above: bool,
    },
    Overwrite {
        of: OverwriteOf,
        /// The permissions that are allowed, denied or neither from then on; none if the whole
        /// overwrite goes.
        changed: Option<Permissions>,
    },
}

/// What becomes of a role's permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BitsChange {
    Stay,
    Set(Permissions),
    Each { grant: Permissions, revoke: Permissions },
}

impl BitsChange {
    /// Returns what a role has afterwards that has `before` now.
    pub(crate) fn after(self, before: Permissions) -> Permissions {
        match self {
            Self::Stay => before,
            Self::Set(permissions) => permissions,
            Self::Each { grant, revoke } => before.difference(revoke).union(grant),
        }
    }
}

/// What a call brings into the thread's channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    Nothing,
    /// All of them must be readable.
    Channels(Vec<Id<ChannelMarker>>),
    /// As many of the guild's channels as are readable, at most this many.
    WhatMayBeRead {
        at_most: usize,
    },
    /// Not what is written in this channel, but what is known of it: its name and topic.
    About(Id<ChannelMarker>),
    /// What is known of all the guild's channels that may be known of.
    AboutAll,
    /// What only those may see who have these permissions on the whole server.
    ForHolders(Permissions),
}
