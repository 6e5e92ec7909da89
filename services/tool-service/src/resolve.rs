//! Puts what arguments name into ids, within the thread's own guild (CLOSED-WORLD).

use std::{cmp::Reverse, sync::Arc};

use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, GuildMarker, MessageMarker, RoleMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;

use crate::{
    adapters::{
        discord::{
            Discord, Method, Request, RestError,
            wire::{RawMessage, Readable},
        },
        store::Executions,
    },
    domain::{
        flow::TO_READ,
        guild::{Channel, ChannelKind, Guild, GuildState, Member, Role},
        output::Filter,
        permissions,
        reason::NO_CHANNEL,
        reference::{self, ChannelReference, MemberReference, RoleReference},
        sight, text,
    },
    error::{StateError, StoreError},
    guilds::Guilds,
};

/// How many are named where a name fits several.
const MAX_CANDIDATES: usize = 5;

/// Where a call is made from.
pub(crate) struct Scene<'a> {
    pub(crate) discord: &'a Discord,
    pub(crate) guilds: &'a Guilds,
    pub(crate) guild: Option<Id<GuildMarker>>,
    pub(crate) here: Id<ChannelMarker>,
    /// Who asks: what they do not see is not there for them.
    pub(crate) sight: Sight<'a>,
    /// The message that the call answers, if there is one.
    pub(crate) trigger: Option<Id<MessageMarker>>,
    pub(crate) filter: &'a Filter,
    pub(crate) executions: &'a Executions,
    pub(crate) now: UnixMillis,
}

/// For whom channels are looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight<'a> {
    /// For Ery herself, and for what the staff wrote.
    All,
    /// For all of these.
    People(&'a [Id<UserMarker>]),
    /// For somebody who is no member: what everyone sees.
    Nobody,
}

/// Why arguments cannot be understood.
#[derive(Debug)]
pub(crate) enum Problem {
    /// One sentence, for a person and for the model.
    Unclear(String),
    /// As before, of a name that several have; it names them in words of their own.
    Ambiguous(String),
    /// It could not be found out.
    Unknown(StateError),
    /// The store could not be asked.
    Unread(StoreError),
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        match error {
            StateError::NoSuchGuild => Self::Unclear("I am not in this server any more.".into()),
            error => Self::Unknown(error),
        }
    }
}

impl Problem {
    pub(crate) fn unclear(sentence: impl Into<String>) -> Self {
        Self::Unclear(sentence.into())
    }
}

impl Scene<'_> {
    /// Returns the guild as it is now.
    pub(crate) async fn the_guild(&self) -> Result<Arc<Guild>, Problem> {
        Ok(self.guilds.guild(self.guild_id()?).await?)
    }

    /// Returns the user that `text` names: an id, a mention, or a member's exact name.
    pub(crate) async fn member(&self, text: &str) -> Result<Id<UserMarker>, Problem> {
        match reference::member(text) {
            Some(MemberReference::Id(user)) => Ok(user),
            Some(MemberReference::Name(name)) => self.member_named(&name).await,
            None => Err(Problem::unclear(
                "Name one member: by a mention, by their id, or by their exact name.",
            )),
        }
    }

    /// Returns the channel that `text` names: an id, a mention, or a name in this guild.
    pub(crate) async fn channel(&self, text: &str) -> Result<Id<ChannelMarker>, Problem> {
        match reference::channel(text) {
            Some(ChannelReference::Id(channel)) => self.channel_by_id(channel).await,
            Some(_) if self.guild.is_none() => {
                Err(Problem::unclear("In a direct message I know this channel alone."))
            }
            Some(ChannelReference::Name(name)) => self.channel_named(&name).await,
            None => Err(Problem::unclear(
                "Name one channel: by a mention, by its id, or by its exact name.",
            )),
        }
    }

    /// Returns the role that `text` names: an id, a mention, or a name in this guild.
    pub(crate) async fn role(&self, text: &str) -> Result<Id<RoleMarker>, Problem> {
        let guild = self.the_guild().await?;
        let name = match reference::role(text) {
            Some(RoleReference::Id(role)) if guild.roles.contains_key(&role) => return Ok(role),
            Some(RoleReference::Id(_)) => {
                return Err(Problem::unclear("That role is not in this server."));
            }
            Some(RoleReference::Name(name)) => name,
            None => {
                return Err(Problem::unclear(
                    "Name one role: by a mention, by its id, or by its exact name.",
                ));
            }
        };
        let wanted = name.to_lowercase();
        if wanted == "everyone" {
            return Ok(guild.everyone());
        }
        let named = |role: &&Role| role.name.trim_start_matches('@').to_lowercase() == wanted;
        let mut found: Vec<_> = guild.roles.values().filter(named).collect();
        found.sort_unstable_by_key(|role| role.id);
        match found.as_slice() {
            [] => Err(Problem::unclear(format!(
                "There is no role with exactly the name “{}”.",
                text::name(&name)
            ))),
            [one] => Ok(one.id),
            several => {
                let ids = several.iter().take(MAX_CANDIDATES).map(|role| role.id.to_string());
                Err(Problem::Ambiguous(format!(
                    "Several roles have the name “{}”: {}. Say which one by its id.",
                    text::name(&name),
                    ids.collect::<Vec<_>>().join(", "),
                )))
            }
        }
    }

    /// Returns the channel, thread or category that `text` names.
    pub(crate) async fn channel_or_category(
        &self,
        text: &str,
    ) -> Result<Id<ChannelMarker>, Problem> {
        let id = match reference::channel(text) {
            Some(ChannelReference::Id(id)) => id,
            Some(ChannelReference::Name(name)) => {
                let wanted = name.to_lowercase();
                return self
                    .one_channel(&name, |channel| channel.name.to_lowercase() == wanted)
                    .await;
            }
            None => {
                return Err(Problem::unclear(
                    "Name one channel: by a mention, by its id, or by its exact name.",
                ));
            }
        };
        match self.seen(self.guild_id()?, id).await? {
            Some(found) => Ok(found.id),
            None => Err(Problem::unclear(NO_CHANNEL)),
        }
    }

    /// Returns what kind of channel it is; none where it is not known any more.
    pub(crate) async fn kind(
        &self,
        channel: Id<ChannelMarker>,
    ) -> Result<Option<ChannelKind>, Problem> {
        Ok(self.guilds.channel(self.guild_id()?, channel).await?.map(|found| found.kind))
    }

    /// Returns the message that `text` names, an id or a link, and its channel: the one that is
    /// named, else this one.
    pub(crate) async fn message(
        &self,
        channel: Option<&str>,
        text: &str,
    ) -> Result<(Id<ChannelMarker>, Id<MessageMarker>), Problem> {
        let named = match channel {
            Some(channel) => Some(self.channel(channel).await?),
            None => None,
        };
        match reference::message(text) {
            Some((None, message)) => Ok((named.unwrap_or(self.here), message)),
            Some((Some(of), message)) if named.is_none_or(|named| named == of) => {
                Ok((self.channel_by_id(of).await?, message))
            }
            Some(_) => Err(Problem::unclear("That message is not in that channel.")),
            None => Err(Problem::unclear("Name one message: by its id, or by a link to it.")),
        }
    }

    /// Reads a message, in order to learn whose it is. None if there is no such message, or if Ery
    /// cannot read there: both are told only after it is decided whether the asker may know.
    pub(crate) async fn read(
        &self,
        channel: Id<ChannelMarker>,
        message: Id<MessageMarker>,
    ) -> Result<Option<RawMessage>, Problem> {
        if !self.bot_may(channel, TO_READ).await? {
            return Ok(None);
        }
        let route = format!("channels/{channel}/messages/id");
        let path = format!("channels/{channel}/messages/{message}");
        let home = self.guild.map_or(channel.get(), Id::get);
        let request = Request::new(Method::Get, route, path, home, self.discord.send_by());
        let answer = match self.discord.repeatedly(&request).await {
            Ok(answer) => answer,
            Err(RestError::Refused { .. } | RestError::RefusedBefore { .. }) => return Ok(None),
            Err(error) => return Err(Problem::Unknown(error.into())),
        };
        let read: RawMessage =
            answer.json().map_err(|error| Problem::Unknown(StateError::from(error)))?;
        Ok(Some(read).filter(|read| read.channel_id == channel && read.id == message))
    }

    /// Returns whether a message shows a proposal, also one that is decided: what people read of it is
    /// the record of what they decided.
    pub(crate) async fn shows_proposal(
        &self,
        guild: Id<GuildMarker>,
        message: Id<MessageMarker>,
    ) -> Result<bool, Problem> {
        let shown = self.executions.approval_shown_by(guild, message).await;
        Ok(shown.map_err(Problem::Unread)?.is_some())
    }

    /// Reads the newest messages of a channel, the newest first, older than what the call answers:
    /// an order to look back means neither itself nor what is said after it. Nothing where Ery cannot
    /// read: that is told only after it is decided whether the asker may know.
    pub(crate) async fn latest(
        &self,
        channel: Id<ChannelMarker>,
        limit: u8,
    ) -> Result<Vec<RawMessage>, Problem> {
        if !self.bot_may(channel, TO_READ).await? {
            return Ok(Vec::new());
        }
        let before = match self.trigger {
            Some(trigger) => format!("&before={trigger}"),
            None => String::new(),
        };
        let route = format!("channels/{channel}/messages");
        let path = format!("{route}?limit={limit}{before}");
        let home = self.guild.map_or(channel.get(), Id::get);
        let request = Request::new(Method::Get, route, path, home, self.discord.send_by());
        let answer = match self.discord.repeatedly(&request).await {
            Ok(answer) => answer,
            Err(RestError::Refused { .. } | RestError::RefusedBefore { .. }) => {
                return Ok(Vec::new());
            }
            Err(error) => return Err(Problem::Unknown(error.into())),
        };
        let read: Readable<RawMessage> =
            answer.json().map_err(|error| Problem::Unknown(StateError::from(error)))?;
        let mut read = read.items;
        read.retain(|message| message.channel_id == channel);
        read.sort_unstable_by_key(|message| Reverse(message.id));
        Ok(read)
    }

    /// Returns whether Ery herself has these permissions in a channel.
    pub(crate) async fn bot_may(
        &self,
        channel: Id<ChannelMarker>,
        permissions: Permissions,
    ) -> Result<bool, Problem> {
        let Some(guild) = self.guild else { return Ok(true) };
        let state = self.guilds.state(guild, &[]).await?;
        let Some((bot, channel)) = state.member(state.bot).zip(state.channel(channel)) else {
            return Ok(false);
        };
        let rights = permissions::of_roles(&state.guild, bot.user, &bot.roles, channel);
        Ok(rights.contains(permissions))
    }

    async fn channel_by_id(
        &self,
        channel: Id<ChannelMarker>,
    ) -> Result<Id<ChannelMarker>, Problem> {
        if channel == self.here {
            return Ok(channel);
        }
        let Some(guild) = self.guild else {
            return Err(Problem::unclear("In a direct message I know this channel alone."));
        };
        match self.seen(guild, channel).await? {
            Some(found) => readable(found.kind, channel),
            None => Err(Problem::unclear(NO_CHANNEL)),
        }
    }

    /// Returns a channel of the guild, if whoever asks sees it.
    async fn seen(
        &self,
        guild: Id<GuildMarker>,
        channel: Id<ChannelMarker>,
    ) -> Result<Option<Channel>, Problem> {
        let was_kept = self.guilds.keeps(guild, channel).await?;
        let found = self.guilds.channel(guild, channel).await?;
        // Those who ask are looked up either way.
        let state = self.onlookers(guild).await?;
        match found {
            Some(found) if self.is_seen(&found, &state) => Ok(Some(found)),
            Some(hidden) => {
                self.guilds.pass_over(guild, hidden.id, self.here, !was_kept).await?;
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// Returns the guild with those who ask.
    async fn onlookers(&self, guild: Id<GuildMarker>) -> Result<GuildState, Problem> {
        let people = match self.sight {
            Sight::People(people) => people,
            Sight::All | Sight::Nobody => &[],
        };
        Ok(self.guilds.state(guild, people).await?)
    }

    fn is_seen(&self, channel: &Channel, state: &GuildState) -> bool {
        let sees = |member: &Member| sight::sees(state, member, channel, self.now);
        channel.id == self.here
            || match self.sight {
                Sight::All => true,
                Sight::People(people) => {
                    people.iter().all(|person| state.member(*person).is_some_and(sees))
                }
                Sight::Nobody => sees(&Member::nobody()),
            }
    }

    /// Returns the message of this channel that `text` names: an id, or a link.
    pub(crate) fn message_here(&self, text: &str) -> Result<Id<MessageMarker>, Problem> {
        match reference::message(text) {
            Some((None, message)) => Ok(message),
            Some((Some(channel), message)) if channel == self.here => Ok(message),
            Some(_) => Err(Problem::unclear("That message is not in this channel.")),
            None => Err(Problem::unclear("Name one message by its id.")),
        }
    }

    async fn member_named(&self, name: &str) -> Result<Id<UserMarker>, Problem> {
        if self.guild.is_none() {
            return Err(Problem::unclear("In a direct message, name a person by their id."));
        }
        let found = self.guilds.members_named(self.guild_id()?, name).await?;
        match found.as_slice() {
            [] => Err(Problem::unclear(format!(
                "No member of this server has exactly the name “{}”.",
                text::name(name)
            ))),
            [one] => Ok(one.user),
            several => {
                let candidates: Vec<String> = several
                    .iter()
                    .take(MAX_CANDIDATES)
                    .map(|member| {
                        format!(
                            "{} (@{}, id {})",
                            text::name(member.name()),
                            text::name(&member.username),
                            member.user
                        )
                    })
                    .collect();
                let more = if several.len() > MAX_CANDIDATES { ", and others" } else { "" };
                Err(Problem::Ambiguous(format!(
                    "Several members have the name “{}”: {}{more}. Say which one by a mention or \
                     by the id.",
                    text::name(name),
                    candidates.join(", "),
                )))
            }
        }
    }

    async fn channel_named(&self, name: &str) -> Result<Id<ChannelMarker>, Problem> {
        let wanted = name.to_lowercase();
        self.one_channel(name, |channel| {
            !channel.kind.is_holder() && channel.name.to_lowercase() == wanted
        })
        .await
    }

    async fn one_channel(
        &self,
        name: &str,
        fits: impl Fn(&Channel) -> bool + Send,
    ) -> Result<Id<ChannelMarker>, Problem> {
        let state = self.onlookers(self.guild_id()?).await?;
        let channels = state.guild.channels.values();
        let mut found: Vec<_> = channels
            .filter(|channel| fits(channel) && self.is_seen(channel, &state))
            .map(|channel| channel.id)
            .collect();
        found.sort_unstable();
        match found.as_slice() {
            [] => Err(Problem::unclear(format!(
                "There is no channel with exactly the name “{}” that you can see.",
                text::name(name)
            ))),
            [one] => Ok(*one),
            several => {
                // Mentions show names only to those who can see the channels.
                let candidates: Vec<String> =
                    several.iter().take(MAX_CANDIDATES).map(|id| format!("<#{id}>")).collect();
                Err(Problem::unclear(format!(
                    "Several channels have the name “{}”: {}. Say which one by a mention or by \
                     the id.",
                    text::name(name),
                    candidates.join(", "),
                )))
            }
        }
    }

    fn guild_id(&self) -> Result<Id<GuildMarker>, Problem> {
        self.guild.ok_or_else(|| Problem::unclear("I cannot do that in a direct message."))
    }
}

fn readable(kind: ChannelKind, channel: Id<ChannelMarker>) -> Result<Id<ChannelMarker>, Problem> {
    if kind.is_holder() {
        Err(Problem::unclear(format!("<#{channel}> holds channels or threads, no messages.")))
    } else {
        Ok(channel)
    }
}
