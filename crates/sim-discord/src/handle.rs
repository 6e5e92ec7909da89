use std::sync::{Arc, PoisonError};

use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, MessageMarker, UserMarker},
};

use crate::{
    domain::{Draft, Refusal},
    shared::Shared,
};

/// The world of a running simulator, to be looked at and spoken in without HTTP.
#[derive(Clone, Debug)]
pub struct WorldHandle {
    shared: Arc<Shared>,
}

/// A message, as far as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenMessage {
    pub id: Id<MessageMarker>,
    pub author: Id<UserMarker>,
    pub content: String,
    /// Each emoji, and who reacted with it.
    pub reactions: Vec<(String, Vec<Id<UserMarker>>)>,
}

/// Discord's answer to what it does not do.
#[derive(Debug, thiserror::Error)]
#[error("{message} ({code})")]
pub struct Refused {
    pub code: u32,
    pub message: String,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { code: refusal.code(), message: refusal.to_string() }
    }
}

impl WorldHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Returns the first guild, the only one of the demo.
    pub fn first_guild(&self) -> Option<Id<GuildMarker>> {
        self.shared.lock().world.guilds.keys().next().copied()
    }

    /// Finds somebody by their account's name.
    pub fn user_named(&self, username: &str) -> Option<Id<UserMarker>> {
        let state = self.shared.lock();
        state.world.users.values().find(|user| user.username == username).map(|user| user.id)
    }

    /// Finds a channel by its name: of several the first that was made.
    pub fn channel_named(&self, name: &str) -> Option<Id<ChannelMarker>> {
        let state = self.shared.lock();
        let named = state.world.channels.values().filter(|channel| channel.name == name);
        named.map(|channel| channel.id).min()
    }

    /// Lets somebody speak, as far as they may.
    ///
    /// # Errors
    ///
    /// [`Refused`], as Discord would.
    pub fn say(
        &self,
        author: Id<UserMarker>,
        channel: Id<ChannelMarker>,
        content: &str,
    ) -> Result<Id<MessageMarker>, Refused> {
        let draft = Draft { content: content.to_owned(), ..Draft::default() };
        let created =
            self.shared.act(|world, now| world.create_message(author, channel, draft, now))?;
        Ok(created.message)
    }

    /// Returns every REST request that is still in the log, and its answer, as JSON lines: what
    /// `GET /sim/v1/log` answers.
    pub fn log(&self) -> String {
        let log = self.shared.log.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log.lines_after(0, usize::MAX).0).into_owned()
    }

    /// Returns a channel's messages, the oldest first.
    pub fn messages(&self, channel: Id<ChannelMarker>) -> Vec<SeenMessage> {
        let state = self.shared.lock();
        let Some(channel) = state.world.channels.get(&channel) else { return Vec::new() };
        let seen = channel.messages.values().map(|message| SeenMessage {
            id: message.id,
            author: message.author,
            content: message.content.clone(),
            reactions: message
                .reactions
                .iter()
                .map(|reaction| (reaction.emoji.name().to_owned(), reaction.users.clone()))
                .collect(),
        });
        seen.collect()
    }
}
