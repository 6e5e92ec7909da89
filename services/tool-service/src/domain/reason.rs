//! Why a call was not allowed, as one sentence for a person.

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, UserMarker},
    },
};

use super::{guild::Channel, permissions, text};

/// What is said of a channel that is not there, and of one that whoever asks does not see: the same.
pub(crate) const NO_CHANNEL: &str = "That channel is not in this server, or you cannot see it.";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    UnknownTool,
    NotOffered {
        tool: &'static str,
    },
    Disabled {
        tool: &'static str,
    },
    NotInDm {
        tool: &'static str,
    },
    SharedTurn,
    NobodyAsked,
    ExpiryOnlyLifts,
    AskerNotMember {
        who: Who,
    },
    AskerTimedOut {
        who: Who,
    },
    Lacks {
        who: Who,
        permission: Permissions,
        place: Place,
    },
    OtherPlace,
    WouldLeak {
        source: Id<ChannelMarker>,
    },
    NothingToRead,
    WouldCarry {
        to: Id<ChannelMarker>,
    },
    NotForAll {
        permission: Permissions,
    },
    TargetIsBot,
    TargetIsEry,
    TargetIsSelf,
    TargetNotMember,
    TargetIsOwner,
    TargetIsAdministrator,
    TargetNeedsAdministrator,
    RankTooLow {
        who: Who,
    },
    /// Of several who are acted on at once, it is this one.
    OfTarget {
        user: Id<UserMarker>,
        because: Box<Reason>,
    },
    NoSuchRole,
    RoleIsEveryone,
    RoleIsManaged,
    RankBelowRole {
        who: Who,
    },
    CannotGrant {
        who: Who,
        permission: Permissions,
    },
    OnlyAdministrators {
        who: Who,
        permission: Permissions,
    },
    EryNotMember,
    NeedsOrder {
        is_tainted: bool,
    },
    NeedsClick,
    NotApproved,
    NotPlanned,
    /// An MCP client was told of others' words before.
    ToldBefore {
        here: Id<ChannelMarker>,
    },
    /// An MCP client has no credential, or no more.
    NoCredential,
    /// The person of a credential does not see its channel.
    CredentialPlace,
    TooLongToShow,
    /// Ery does nothing of her own accord here.
    Paused,
    DryRun {
        tool: &'static str,
    },
    /// The asker's order is carried out already.
    OrderUsed,
    /// Whoever asked wrote there not long ago, by themselves or through Ery.
    SlowMode {
        place: Place,
        seconds: u32,
    },
    /// So many were done within the last hour.
    TooManyActs {
        most: u32,
        is_of_person: bool,
    },
}

/// Whose right it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The one who asked.
    You,
    /// One of several who share the turn.
    OneOfYou(Id<UserMarker>),
    /// Somebody who is no member.
    Nobody,
    Ery,
}

/// Where a right is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server,
    Channel { id: Id<ChannelMarker>, name: Box<str> },
}

impl Place {
    pub(crate) fn channel(channel: &Channel) -> Self {
        Self::Channel { id: channel.id, name: channel.name.clone() }
    }
}

impl Reason {
    /// Its code where the store finds it.
    pub(crate) const ORDER_USED: &'static str = "order_used";
    pub(crate) const TOO_MANY_ACTS: &'static str = "too_many_acts";
    pub(crate) const SLOW_MODE: &'static str = "slow_mode";

    /// Says of whom it holds, where several are acted on.
    pub(crate) fn about(self, user: Id<UserMarker>) -> Self {
        Self::OfTarget { user, because: Box::new(self) }
    }

    /// Says the same of somebody else.
    pub(crate) fn of(self, who: Who) -> Self {
        match self {
            Self::AskerNotMember { .. } => Self::AskerNotMember { who },
            Self::AskerTimedOut { .. } => Self::AskerTimedOut { who },
            Self::RankTooLow { who: Who::You } => Self::RankTooLow { who },
            Self::RankBelowRole { who: Who::You } => Self::RankBelowRole { who },
            Self::CannotGrant { who: Who::You, permission } => {
                Self::CannotGrant { who, permission }
            }
            Self::OnlyAdministrators { who: Who::You, permission } => {
                Self::OnlyAdministrators { who, permission }
            }
            Self::OfTarget { user, because } => because.of(who).about(user),
            other => other,
        }
    }

    /// Returns the permission that it is about.
    pub(crate) fn permission(&self) -> Option<Permissions> {
        match self {
            Self::Lacks { permission, .. }
            | Self::NotForAll { permission }
            | Self::CannotGrant { permission, .. }
            | Self::OnlyAdministrators { permission, .. } => Some(*permission),
            Self::OfTarget { because, .. } => because.permission(),
            Self::SlowMode { .. } => Some(Permissions::BYPASS_SLOWMODE),
            _ => None,
        }
    }

    /// Returns a word for metrics and audits.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::UnknownTool => "unknown_tool",
            Self::NotOffered { .. } => "not_offered",
            Self::Disabled { .. } => "disabled",
            Self::NotInDm { .. } => "not_in_dm",
            Self::SharedTurn => "shared_turn",
            Self::NobodyAsked => "nobody_asked",
            Self::ExpiryOnlyLifts => "expiry_only_lifts",
            Self::AskerNotMember { .. } => "asker_not_member",
            Self::AskerTimedOut { .. } => "asker_timed_out",
            Self::Lacks { who: Who::Ery, .. } => "bot_lacks_permission",
            Self::Lacks { .. } => "asker_lacks_permission",
            Self::OtherPlace => "other_place",
            Self::WouldLeak { .. } => "would_leak",
            Self::NothingToRead => "nothing_to_read",
            Self::WouldCarry { .. } => "would_carry",
            Self::NotForAll { .. } => "not_for_all",
            Self::TargetIsBot => "target_is_bot",
            Self::TargetIsEry => "target_is_ery",
            Self::TargetIsSelf => "target_is_self",
            Self::TargetNotMember => "target_not_member",
            Self::TargetIsOwner => "target_is_owner",
            Self::TargetIsAdministrator => "target_is_administrator",
            Self::TargetNeedsAdministrator => "target_needs_administrator",
            Self::NoSuchRole => "no_such_role",
            Self::RoleIsEveryone => "role_is_everyone",
            Self::RoleIsManaged => "role_is_managed",
            Self::RankBelowRole { who: Who::Ery } => "bot_rank_below_role",
            Self::RankBelowRole { .. } => "asker_rank_below_role",
            Self::CannotGrant { who: Who::Ery, .. } => "bot_cannot_grant",
            Self::CannotGrant { .. } => "asker_cannot_grant",
            Self::OnlyAdministrators { .. } => "only_administrators",
            Self::RankTooLow { who: Who::Ery } => "bot_rank_too_low",
            Self::RankTooLow { .. } => "asker_rank_too_low",
            Self::OfTarget { because, .. } => because.code(),
            Self::EryNotMember => "bot_not_member",
            Self::NeedsOrder { .. } => "needs_order",
            Self::NeedsClick => "needs_click",
            Self::Paused => "paused",
            Self::DryRun { .. } => "dry_run",
            Self::OrderUsed => Self::ORDER_USED,
            Self::TooManyActs { .. } => Self::TOO_MANY_ACTS,
            Self::SlowMode { .. } => Self::SLOW_MODE,
            Self::NotApproved => "not_approved",
            Self::NotPlanned => "not_planned",
            Self::ToldBefore { .. } => "told_before",
            Self::NoCredential => "no_credential",
            Self::CredentialPlace => "credential_place",
            Self::TooLongToShow => "too_long_to_show",
        }
    }

    /// Returns the sentence of what stands on an earlier word, or on none.
    fn of_confirmation(&self) -> String {
        match self {
            Self::NeedsOrder { .. } => {
                "I only do that on a direct order: write it in one plain message of your own, for \
                 example “timeout @name for 10 minutes”."
                    .into()
            }
            Self::NotApproved => "Nobody approved exactly this.".into(),
            Self::NotPlanned => "That is not planned any more.".into(),
            Self::ToldBefore { here } => format!(
                "This client was told not long ago what others wrote, so this waits for the click \
                 of somebody who may do it: it is shown in <#{here}>."
            ),
            Self::NoCredential => {
                "The credential is not valid here any more; ask for a new one.".into()
            }
            Self::CredentialPlace => {
                "The person of this credential cannot see its channel, or it is a private thread; \
                 ask for a credential in a channel that they can see."
                    .into()
            }
            Self::TooLongToShow => {
                "That is too long to be shown whole to those who would approve it; make it shorter."
                    .into()
            }
            Self::OrderUsed => {
                "That order is carried out already, as often as it was given.".into()
            }
            Self::Paused => "I am paused here: until that ends I do nothing but commands.".into(),
            Self::DryRun { tool } => {
                format!("This is a dry run: {tool} was allowed, and would have been done now.")
            }
            _ => "On this server that waits for the click of somebody who may do it.".into(),
        }
    }

    fn of_role(&self) -> &'static str {
        match self {
            Self::RoleIsEveryone => {
                "The role of everyone can be neither given nor taken, deleted or moved."
            }
            Self::RoleIsManaged => {
                "That role belongs to an integration; nobody can give, take or delete it."
            }
            _ => "That role does not exist on this server.",
        }
    }

    /// Returns the sentence.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::UnknownTool => "There is no such tool.".into(),
            Self::NotOffered { tool } => format!("The tool {tool} is not offered here."),
            Self::Disabled { tool } => format!("The tool {tool} is switched off here."),
            Self::NotInDm { .. } => "I cannot do that in a direct message.".into(),
            Self::SharedTurn => "Several people asked at once; whoever wants this may ask for it \
                                 in a message of their own."
                .into(),
            Self::NobodyAsked => "Only a member of the server can ask me for that.".into(),
            Self::ExpiryOnlyLifts => "The end of a sanction can only lift it.".into(),
            Self::AskerNotMember { who: Who::OneOfYou(user) } => {
                format!("<@{user}> is not a member of this server.")
            }
            Self::AskerNotMember { .. } => "You are not a member of this server.".into(),
            Self::AskerTimedOut { who } => timed_out(*who),
            Self::Lacks { who, permission, place } => lacks(*who, *permission, place),
            Self::OtherPlace => NO_CHANNEL.into(),
            Self::WouldLeak { source } => format!(
                "Not everybody who can read this channel can read <#{source}>, so I do not repeat \
                 here what was written there; ask me there."
            ),
            Self::NothingToRead => {
                "There is no channel that you and everybody in this one can read.".into()
            }
            Self::WouldCarry { to } => format!(
                "Not everybody who can read <#{to}> can read this channel, so I carry no words of \
                 mine from here to there; order it in one plain message of your own."
            ),
            Self::NotForAll { permission } => {
                let (words, constant) = permissions::words(*permission);
                format!(
                    "Not everybody who can read this channel has the permission “{words}” \
                     ({constant}), so I do not tell that here; ask me where only they can read."
                )
            }
            Self::TargetIsBot => "That is a bot, and bots take no direct messages.".into(),
            Self::TargetIsEry => "I do not do that to myself.".into(),
            Self::TargetIsSelf => "Nobody can do that to themselves through me.".into(),
            Self::TargetNotMember => "That person is not a member of this server.".into(),
            Self::TargetIsOwner => "Nobody can do that to the owner of the server.".into(),
            Self::TargetIsAdministrator => {
                "Discord does not allow that for members with the permission “Administrator” \
                 (ADMINISTRATOR)."
                    .into()
            }
            Self::TargetNeedsAdministrator => {
                "Only somebody with the permission “Administrator” (ADMINISTRATOR) may do that to \
                 a member who has it, too."
                    .into()
            }
            Self::NoSuchRole | Self::RoleIsEveryone | Self::RoleIsManaged => self.of_role().into(),
            Self::RankBelowRole { who: Who::Ery } => {
                "My highest role is not above that role.".into()
            }
            Self::RankBelowRole { who: Who::OneOfYou(user) } => {
                format!("The highest role of <@{user}> is not above that role.")
            }
            Self::RankBelowRole { .. } => "Your highest role is not above that role.".into(),
            Self::CannotGrant { who, permission } => cannot_grant(*who, *permission),
            Self::OnlyAdministrators { who, permission } => {
                let (words, constant) = permissions::words(*permission);
                let whom = match who {
                    Who::Ery => "I could only do that as an administrator",
                    Who::You | Who::OneOfYou(_) | Who::Nobody => {
                        "Only an administrator may do that"
                    }
                };
                format!("{whom}: it is about the permission “{words}” ({constant}).")
            }
            Self::RankTooLow { who: Who::Ery } => {
                "My highest role is not above that member's highest role.".into()
            }
            Self::RankTooLow { who: Who::OneOfYou(user) } => {
                format!("The highest role of <@{user}> is not above that member's highest role.")
            }
            Self::RankTooLow { .. } => {
                "Your highest role is not above that member's highest role.".into()
            }
            Self::OfTarget { user, because } => of_target(*user, because),
            Self::TooManyActs { most, is_of_person } => too_many(*most, *is_of_person),
            Self::SlowMode { place, seconds } => slow_mode(place, *seconds),
            Self::EryNotMember => "I am not a member of this server any more.".into(),
            Self::NeedsOrder { .. }
            | Self::NeedsClick
            | Self::NotApproved
            | Self::NotPlanned
            | Self::ToldBefore { .. }
            | Self::NoCredential
            | Self::CredentialPlace
            | Self::TooLongToShow
            | Self::Paused
            | Self::OrderUsed
            | Self::DryRun { .. } => self.of_confirmation(),
        }
    }
}

fn timed_out(who: Who) -> String {
    match who {
        Who::Ery => "I am timed out on this server at the moment.".into(),
        Who::OneOfYou(user) => format!("<@{user}> is timed out at the moment and may only read."),
        Who::You | Who::Nobody => "You are timed out at the moment and may only read.".into(),
    }
}

fn of_target(user: Id<UserMarker>, because: &Reason) -> String {
    format!(
        "That is one act on several people, and it is not allowed for <@{user}>, so none of them \
         was touched. {}",
        because.sentence()
    )
}

fn too_many(most: u32, is_of_person: bool) -> String {
    let (whose, key) = if is_of_person {
        ("for one person", "tools.acts_per_person_per_hour")
    } else {
        ("on this server", "tools.destructive_per_hour")
    };
    let most = text::counted(most, "act", "acts");
    format!(
        "I do at most {most} of that kind an hour {whose}; ask again later. Who manages the \
         server may change {key}."
    )
}

fn slow_mode(place: &Place, seconds: u32) -> String {
    let place = match place {
        Place::Server => "here".to_owned(),
        Place::Channel { name, .. } => format!("in #{name}"),
    };
    let (words, constant) = permissions::words(Permissions::BYPASS_SLOWMODE);
    format!(
        "There is slow mode {place}: you may write there once in {}, and what I write for you counts \
         as well; wait until then. The permission “{words}” ({constant}) spares of that.",
        text::time_span(seconds)
    )
}

fn cannot_grant(who: Who, permission: Permissions) -> String {
    let (words, constant) = permissions::words(permission);
    let permission = format!("the permission “{words}” ({constant})");
    match who {
        Who::Ery => {
            format!("I do not have {permission} myself, so I can neither give nor take it.")
        }
        Who::OneOfYou(user) => format!("<@{user}> does not have {permission}, so cannot give it."),
        Who::You | Who::Nobody => {
            format!("You do not have {permission} yourself, so you cannot give or take it.")
        }
    }
}

fn lacks(who: Who, permission: Permissions, place: &Place) -> String {
    let (words, constant) = permissions::words(permission);
    let place = match place {
        Place::Server => "on this server".to_owned(),
        // The name of a channel is not for those who cannot see it; Discord hides a mention's.
        Place::Channel { id, .. } if permission == Permissions::VIEW_CHANNEL => {
            format!("in <#{id}>")
        }
        Place::Channel { name, .. } => format!("in #{name}"),
    };
    match who {
        Who::You => {
            format!("You need the permission “{words}” ({constant}) {place} for that.")
        }
        Who::OneOfYou(user) => {
            format!("<@{user}> needs the permission “{words}” ({constant}) {place} for that.")
        }
        Who::Nobody => {
            format!("Everyone would need the permission “{words}” ({constant}) {place} for that.")
        }
        Who::Ery => format!("I need the permission “{words}” ({constant}) {place} for that."),
    }
}
