//! What a change of the world makes Discord say, and to whom.

use std::sync::Arc;

use bytes::Bytes;
use twilight_model::guild::Permissions;

use super::{ChannelId, GuildId, MessageId, Refusal, UserId};

/// Whom a dispatch is for; the gateway holds each session to its intents besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Every member of the guild.
    Guild(GuildId),
    /// Every member who may see the channel.
    Channel(GuildId, ChannelId),
    /// Every member who may see the channel and has these rights there.
    Holders(GuildId, ChannelId, Permissions),
    /// These bots, who were found before a change that would keep them from being found.
    Among(GuildId, Arc<[UserId]>),
    /// Every member who may read the audit log.
    AuditLog(GuildId),
    /// The two people of a direct message.
    Dm(ChannelId),
    /// One person, whether a member or not.
    User(UserId, GuildId),
    /// One account, in whatever guild.
    Account(UserId),
    /// One bot, of what is in no guild.
    Bot(UserId),
}

impl Audience {
    /// Everybody who may see a channel, be it a guild's or a direct message.
    pub(crate) fn of_channel(guild: Option<GuildId>, channel: ChannelId) -> Self {
        guild.map_or(Self::Dm(channel), |guild| Self::Channel(guild, channel))
    }

    pub(crate) fn guild(&self) -> Option<GuildId> {
        match self {
            Self::Guild(guild)
            | Self::Channel(guild, _)
            | Self::Holders(guild, ..)
            | Self::Among(guild, _)
            | Self::AuditLog(guild)
            | Self::User(_, guild) => Some(*guild),
            Self::Dm(_) | Self::Account(_) | Self::Bot(_) => None,
        }
    }

    pub(crate) fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Channel(_, channel) | Self::Holders(_, channel, _) | Self::Dm(channel) => {
                Some(*channel)
            }
            Self::Guild(_)
            | Self::Among(..)
            | Self::AuditLog(_)
            | Self::User(..)
            | Self::Account(_)
            | Self::Bot(_) => None,
        }
    }
}

/// A dispatch's `d`.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// The same bytes for everybody.
    Shared(Bytes),
    /// A message: these bytes, or others without its content for those who may not read it.
    Message { channel: ChannelId, message: MessageId, full: Bytes },
    /// A whole guild, which looks different to each session.
    Guild(GuildId),
}

#[derive(Clone, Debug)]
pub(crate) struct Dispatch {
    /// `MESSAGE_CREATE` and so on.
    pub(crate) name: &'static str,
    pub(crate) audience: Audience,
    pub(crate) payload: Payload,
    /// Whom it is about; some intents are not needed for what is about oneself.
    pub(crate) about: Option<UserId>,
}

impl Dispatch {
    pub(crate) fn shared(name: &'static str, audience: Audience, body: Bytes) -> Self {
        Self { name, audience, payload: Payload::Shared(body), about: None }
    }
}

/// What came of a change, and what is to be dispatched.
#[derive(Debug)]
#[must_use = "the dispatches must be sent"]
pub(crate) struct Effect<T> {
    pub(crate) value: T,
    pub(crate) dispatches: Vec<Dispatch>,
}

impl<T> Effect<T> {
    pub(crate) fn new(value: T, dispatches: Vec<Dispatch>) -> Self {
        Self { value, dispatches }
    }

    /// Nothing changed.
    pub(crate) fn none(value: T) -> Self {
        Self { value, dispatches: Vec::new() }
    }
}

pub(crate) type Outcome<T> = Result<Effect<T>, Refusal>;
