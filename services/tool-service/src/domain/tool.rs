//! What a tool is, whichever it is.

use std::fmt;

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

/// What a tool says of itself.
#[derive(Debug)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// For the model.
    pub(crate) description: &'static str,
    pub(crate) tier: Tier,
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
    #[cfg_attr(not(test), expect(dead_code, reason = "its tools come with approvals"))]
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
}

/// What a call needs before it may be made, as [`super::decide`] checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) place: Place,
    pub(crate) bot: Permissions,
    pub(crate) asker: Permissions,
    pub(crate) subject: Option<Subject>,
    pub(crate) reads: Reads,
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
    /// Puts a sanction on the member, which administrators are exempt from.
    Sanction,
    /// Takes a sanction away.
    Lift,
}

/// The channels whose content a call brings into the thread's channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    Nothing,
    /// All of them must be readable.
    Channels(Vec<Id<ChannelMarker>>),
    /// As many of the guild's channels as are readable, at most this many.
    WhatMayBeRead {
        at_most: usize,
    },
}
