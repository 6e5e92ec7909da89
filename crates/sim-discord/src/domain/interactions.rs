//! Interactions: people use commands, press buttons, choose and fill in forms, and bots answer.
//!
//! Source: Discord Docs, Interactions, "Receiving and Responding".

mod answers;
mod inputs;
mod start;
#[cfg(test)]
mod tests;
mod values;

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;
use sha2::{Digest, Sha256};

use ery_clock::UnixMillis;

use super::{
    ApplicationId, ChannelId, CommandId, CommandKind, GuildId, InteractionId, Message, MessageId,
    Refusal, UserId, World,
};

pub(crate) use answers::{Callback, Which};
pub(crate) use start::{CommandUse, Deed};
pub(crate) use values::Resolved;

/// How long a bot has to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);
/// How long its token lives.
const TOKEN_LIVES: Duration = Duration::from_mins(15);
/// The bound of the interactions kept; the oldest are forgotten first.
const MAX_INTERACTIONS: usize = 10_000;
/// The bound of the messages kept that one person alone sees.
const MAX_EPHEMERAL: usize = 10_000;

/// The flag of messages that one person alone sees.
pub(crate) const EPHEMERAL: u64 = 1 << 6;
/// The flag of an answer that is still being thought about.
pub(crate) const LOADING: u64 = 1 << 7;

/// Discord's number for a kind of interaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InteractionKind(pub(crate) u8);

impl InteractionKind {
    pub(crate) const COMMAND: Self = Self(2);
    pub(crate) const COMPONENT: Self = Self(3);
    pub(crate) const AUTOCOMPLETE: Self = Self(4);
    pub(crate) const MODAL: Self = Self(5);
}

/// Discord's numbers for the answers to an interaction.
pub(crate) mod callback {
    pub(crate) const MESSAGE: u8 = 4;
    pub(crate) const DEFERRED_MESSAGE: u8 = 5;
    pub(crate) const DEFERRED_UPDATE: u8 = 6;
    pub(crate) const UPDATE: u8 = 7;
    pub(crate) const CHOICES: u8 = 8;
    pub(crate) const MODAL: u8 = 9;
}

/// What a message tells of the interaction that it came from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) id: InteractionId,
    pub(crate) kind: InteractionKind,
    pub(crate) user: UserId,
    pub(crate) guild: Option<GuildId>,
    /// Of a command: its name, with its groups and sub-commands.
    pub(crate) command: Option<String>,
    pub(crate) target_user: Option<UserId>,
    pub(crate) target_message: Option<MessageId>,
    /// The message whose component was used.
    pub(crate) interacted: Option<MessageId>,
    /// Of a form: what opened it.
    pub(crate) trigger: Option<Box<Origin>>,
    /// Of a follow-up: the first answer.
    pub(crate) original: Option<MessageId>,
}

/// How a bot answered.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// One of [`callback`].
    pub(crate) callback: u8,
    /// The message that was sent or changed.
    pub(crate) message: Option<MessageId>,
    /// The choices offered, or the form shown.
    pub(crate) data: Option<Value>,
}

#[derive(Clone, Debug)]
pub(crate) struct Interaction {
    pub(crate) id: InteractionId,
    pub(crate) token: String,
    pub(crate) kind: InteractionKind,
    pub(crate) application: ApplicationId,
    pub(crate) bot: UserId,
    pub(crate) user: UserId,
    pub(crate) guild: Option<GuildId>,
    pub(crate) channel: ChannelId,
    /// The language of the person's client.
    pub(crate) locale: &'static str,
    pub(crate) created_at: UnixMillis,
    pub(crate) command: Option<(CommandId, CommandKind)>,
    /// The kind of the option that is being typed.
    focused: Option<u64>,
    pub(crate) origin: Origin,
    pub(crate) answer: Option<Answered>,
    pub(crate) followups: Vec<MessageId>,
    /// Whether its time was ended by order.
    is_expired: bool,
}

impl Interaction {
    pub(crate) fn can_be_answered(&self, now: UnixMillis) -> bool {
        !self.is_expired && now.since(self.created_at) <= ANSWER_WITHIN
    }

    fn token_lives(&self, now: UnixMillis) -> bool {
        !self.is_expired && now.since(self.created_at) <= TOKEN_LIVES
    }
}

/// All interactions of late, and the messages that one person alone sees.
#[derive(Debug, Default)]
pub(crate) struct Interactions {
    by_id: BTreeMap<InteractionId, Interaction>,
    by_token: HashMap<String, InteractionId>,
    pub(super) ephemeral: BTreeMap<MessageId, Message>,
}

impl Interactions {
    fn keep(&mut self, interaction: Interaction) {
        self.by_token.insert(interaction.token.clone(), interaction.id);
        self.by_id.insert(interaction.id, interaction);
        while self.by_id.len() > MAX_INTERACTIONS {
            let Some((_, oldest)) = self.by_id.pop_first() else { break };
            self.by_token.remove(&oldest.token);
        }
    }

    pub(crate) fn get(&self, id: InteractionId) -> Result<&Interaction, Refusal> {
        self.by_id.get(&id).ok_or(Refusal::UnknownInteraction)
    }

    fn keep_ephemeral(&mut self, message: Message) {
        self.ephemeral.insert(message.id, message);
        while self.ephemeral.len() > MAX_EPHEMERAL {
            self.ephemeral.pop_first();
        }
    }

    /// Finds an interaction by its token, while that lives.
    fn by_token(
        &self,
        application: ApplicationId,
        token: &str,
        now: UnixMillis,
    ) -> Result<&Interaction, Refusal> {
        let found = self.by_token.get(token).and_then(|id| self.by_id.get(id));
        found
            .filter(|found| found.application == application && found.token_lives(now))
            .ok_or(Refusal::InvalidWebhookToken)
    }

    /// Ends the time of one interaction, or of all that wait for their answer; returns how many
    /// there were.
    pub(crate) fn expire(&mut self, id: Option<InteractionId>) -> usize {
        let mut expired = 0;
        for interaction in self.by_id.values_mut() {
            let is_meant = match id {
                Some(id) => interaction.id == id,
                None => interaction.answer.is_none(),
            };
            if is_meant && !interaction.is_expired {
                interaction.is_expired = true;
                expired += 1;
            }
        }
        expired
    }
}

impl World {
    /// Finds a message of a channel, also one that a single person sees.
    pub(crate) fn any_message(&self, channel: ChannelId, id: MessageId) -> Option<&Message> {
        let in_channel = self.channels.get(&channel).and_then(|channel| channel.messages.get(&id));
        in_channel.or_else(|| {
            self.interactions.ephemeral.get(&id).filter(|message| message.channel == channel)
        })
    }
}

/// Makes the secret by which an interaction or a webhook is answered without credentials.
pub(super) fn secret(kind: &str, id: u64) -> String {
    let hash = Sha256::digest(format!("sim-discord {kind} {id}"));
    let named = format!("{kind}:{id}:{}", STANDARD.encode(hash));
    STANDARD.encode(named).replace(['+', '/', '='], "")
}
