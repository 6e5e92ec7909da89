use std::fmt;

use time::OffsetDateTime;
use twilight_model::id::{
    Id,
    marker::{ChannelMarker, MessageMarker, UserMarker},
};

/// What one part of a message asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Zero seconds lift a timeout.
    Timeout {
        member: Target,
        seconds: u64,
        reason: Option<String>,
    },
    /// Zero seconds are for ever.
    Ban {
        member: Target,
        seconds: u64,
        /// What they wrote in so many last seconds goes, too.
        delete_seconds: u64,
        reason: Option<String>,
    },
    /// Several people at once, for ever.
    BanMany {
        members: Vec<Target>,
        delete_seconds: u64,
        reason: Option<String>,
    },
    Unban {
        member: Target,
        reason: Option<String>,
    },
    Kick {
        member: Target,
        reason: Option<String>,
    },
    Warn {
        member: Target,
        reason: Option<String>,
    },
    Role {
        member: Target,
        /// As the tool takes it: a mention, an id or a name.
        role: String,
        gives: bool,
        reason: Option<String>,
    },
    /// Puts a role right above or below another one; both as the tool takes them.
    MoveRole {
        role: String,
        other: String,
        is_above: bool,
        reason: Option<String>,
    },
    /// Whether everybody may write in a channel.
    Lock {
        /// None for the one where it is said.
        channel: Option<Place>,
        locks: bool,
        reason: Option<String>,
    },
    /// Deletes the message that is replied to.
    Delete {
        message: Id<MessageMarker>,
        reason: Option<String>,
    },
    /// Deletes the newest messages.
    Purge {
        count: u8,
        by: Option<Id<UserMarker>>,
        channel: Option<Place>,
        reason: Option<String>,
    },
    Pin {
        message: Id<MessageMarker>,
        pins: bool,
        reason: Option<String>,
    },
    MemberInfo {
        member: Target,
    },
    CatchUp {
        channel: Option<Place>,
        limit: u32,
        window_secs: Option<u64>,
    },
    Search {
        query: Option<String>,
        author: Option<Target>,
        channel: Option<Place>,
    },
    React {
        message: MessageRef,
        emoji: String,
    },
    Send {
        content: String,
    },
    Poll {
        question: String,
        answers: Vec<String>,
        hours: u64,
    },
    Remind {
        whom: Remembered,
        when: When,
        /// May be empty.
        text: String,
    },
    /// Has something be looked up at a time, and told to all who read the channel.
    TellThen {
        when: When,
        /// What: a request for then.
        words: String,
    },
    Say {
        text: String,
    },
    Talk(Talk),
    /// The wish was understood, but nothing can be done for it.
    Problem(Problem),
}

impl Request {
    /// Returns whether it wants something done or looked up.
    pub(super) fn is_for_a_tool(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Ban { .. }
            | Self::BanMany { .. }
            | Self::Unban { .. }
            | Self::Kick { .. }
            | Self::Warn { .. }
            | Self::Role { .. }
            | Self::MoveRole { .. }
            | Self::Lock { .. }
            | Self::Delete { .. }
            | Self::Purge { .. }
            | Self::Pin { .. }
            | Self::MemberInfo { .. }
            | Self::CatchUp { .. }
            | Self::Search { .. }
            | Self::React { .. }
            | Self::Send { .. }
            | Self::Poll { .. }
            | Self::Remind { .. }
            | Self::TellThen { .. } => true,
            Self::Say { .. } | Self::Talk(_) | Self::Problem(_) => false,
        }
    }
}

impl Request {
    /// Returns whether it only ends what somebody was put under.
    pub(super) fn lifts(&self) -> bool {
        matches!(self, Self::Unban { .. } | Self::Timeout { seconds: 0, .. })
    }

    /// Returns whether it moderates: whoever reads such an order wrongly acts on a person.
    pub(super) fn is_an_act(&self) -> bool {
        match self {
            Self::Timeout { .. }
            | Self::Ban { .. }
            | Self::BanMany { .. }
            | Self::Unban { .. }
            | Self::Kick { .. }
            | Self::Warn { .. }
            | Self::Role { .. }
            | Self::MoveRole { .. }
            | Self::Lock { .. }
            | Self::Delete { .. }
            | Self::Purge { .. }
            | Self::Pin { .. } => true,
            Self::MemberInfo { .. }
            | Self::CatchUp { .. }
            | Self::Search { .. }
            | Self::React { .. }
            | Self::Send { .. }
            | Self::Poll { .. }
            | Self::Remind { .. }
            | Self::TellThen { .. }
            | Self::Say { .. }
            | Self::Talk(_)
            | Self::Problem(_) => false,
        }
    }
}

/// Whom a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Id(Id<UserMarker>),
    Name(String),
}

impl Target {
    /// Returns it as the tools take it.
    pub(super) fn argument(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

/// As people read it on Discord.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "<@{id}>"),
            Self::Name(name) => write!(f, "“{name}”"),
        }
    }
}

/// A channel other than the one where the request stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Id(Id<ChannelMarker>),
    Name(String),
}

impl Place {
    pub(super) fn argument(&self) -> String {
        match self {
            Self::Id(id) => id.to_string(),
            Self::Name(name) => name.clone(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "<#{id}>"),
            Self::Name(name) => write!(f, "#{name}"),
        }
    }
}

/// Whom a reminder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remembered {
    Asker,
    /// All who read the channel; nobody is notified.
    Everybody,
    Member(Id<UserMarker>),
}

/// When something that is planned is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// In so many seconds.
    In(u64),
    At(OffsetDateTime),
}

/// Which message a reaction goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MessageRef {
    Id(Id<MessageMarker>),
    /// The one before the request.
    Last,
    LastBy(Target),
}

/// Talk that wants nothing done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Talk {
    // In the order in which they win over each other within a message.
    Help,
    About,
    ExplainTimeout,
    /// The message forbids an act, or takes it back.
    Refrain,
    /// A command's word stands there, but no order.
    NotAnOrder,
    Ping,
    HowAreYou,
    Thanks,
    Bye,
    /// `ok`, `lol`.
    Nod,
    Greeting,
    Unknown,
}

/// Why an understood wish is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Whom,
    Everyone,
    Role,
    Myself,
    TooLong,
    Endless,
    /// `a while`.
    Vague,
    Zero,
    WhichUnit(String),
    /// A number stands where a length of time could, but it is none.
    NoLength(String),
    TwoDurations,
    /// Kicks and warnings have no length.
    NoLengthThere,
    BanTooLong,
    /// Discord deletes with a ban what was written in the last 7 days at most.
    DeletesTooMuch,
    PurgesTooMany,
    WhichRole,
    /// It is to happen later, or on a condition.
    Later,
    /// It was asked, not ordered.
    AskedOnly,
    /// People or a reason: both would fit.
    PeopleOrReason(String),
    /// A reason, or what somebody says of the command: both would fit.
    ReasonOrAside(String),
    NotUnderstood(String),
    SearchWhat,
    WhichEmoji,
    WhichMessage,
    SendWhat,
    SendElsewhere,
    /// A poll without a question, or without answers.
    PollWhat,
    RemindWhen,
    /// A command for a tool that these commands do not cover.
    NotCovered {
        verb: String,
        tool: &'static str,
    },
    TooMany,
    LongText,
}
