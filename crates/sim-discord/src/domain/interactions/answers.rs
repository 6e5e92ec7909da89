//! How bots answer interactions: at once, later, and once more.

use serde_json::Value;
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{Answered, EPHEMERAL, Interaction, InteractionKind, LOADING, callback};
use crate::{
    domain::{
        AllowedMentions, ApplicationId, Audience, CommandKind, Dispatch, Draft, Edit, Effect,
        InteractionId, Message, MessageId, MessageKind, Outcome, Reference, Refusal, UserId, World,
        commands::options, components, messages::Sender,
    },
    form::Form,
    wire,
};

const MAX_CHOICES: usize = 25;

/// What a bot answers.
#[derive(Debug)]
pub(crate) enum Callback {
    Message(Draft),
    /// It thinks; the flags tell whether for one person alone.
    Deferred {
        flags: u64,
    },
    DeferredUpdate,
    Update(Edit),
    /// Choices for what is being typed.
    Choices(Form),
    Modal(Form),
}

impl Callback {
    fn number(&self) -> u8 {
        match self {
            Self::Message(_) => callback::MESSAGE,
            Self::Deferred { .. } => callback::DEFERRED_MESSAGE,
            Self::DeferredUpdate => callback::DEFERRED_UPDATE,
            Self::Update(_) => callback::UPDATE,
            Self::Choices(_) => callback::CHOICES,
            Self::Modal(_) => callback::MODAL,
        }
    }
}

/// Which message of an interaction is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Original,
    Message(MessageId),
}

impl World {
    /// Answers an interaction for the first time, within three seconds.
    pub(crate) fn answer_interaction(
        &mut self,
        id: InteractionId,
        token: &str,
        answer: Callback,
        now: UnixMillis,
    ) -> Outcome<()> {
        let interaction = self.answerable(id, token, now)?.clone();
        let number = answer.number();
        check_fits(&interaction, number)?;
        let mut dispatches = Vec::new();
        let mut answered = Answered { callback: number, message: None, data: None };
        match answer {
            Callback::Message(draft) => {
                let message = self.respond(&interaction, draft, None, now, &mut dispatches)?;
                answered.message = Some(message);
            }
            Callback::Deferred { flags } => {
                let message = self.think(&interaction, flags, now, &mut dispatches);
                answered.message = Some(message);
            }
            Callback::DeferredUpdate => answered.message = interaction.origin.interacted,
            Callback::Update(edit) => {
                let message = updated_message(&interaction).ok_or(Refusal::UnknownMessage)?;
                self.revise_response(&interaction, message, edit, now, &mut dispatches)?;
                answered.message = Some(message);
            }
            Callback::Choices(form) => {
                answered.data = Some(read_choices(form, interaction.focused.unwrap_or(0))?);
            }
            Callback::Modal(form) => answered.data = Some(read_modal(form)?),
        }
        if let Some(kept) = self.interactions.by_id.get_mut(&id) {
            kept.answer = Some(answered);
        }
        Ok(Effect::new((), dispatches))
    }

    /// Finds an interaction that waits for its first answer.
    pub(crate) fn answerable(
        &self,
        id: InteractionId,
        token: &str,
        now: UnixMillis,
    ) -> Result<&Interaction, Refusal> {
        let interaction = self.interactions.get(id)?;
        if interaction.token != token {
            return Err(Refusal::InvalidWebhookToken);
        }
        if interaction.answer.is_some() {
            return Err(Refusal::InteractionAnswered);
        }
        if !interaction.can_be_answered(now) {
            return Err(Refusal::UnknownInteraction);
        }
        Ok(interaction)
    }

    /// Sends a message in answer, in the channel or to the one person.
    fn respond(
        &mut self,
        interaction: &Interaction,
        mut draft: Draft,
        original: Option<MessageId>,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) -> Result<MessageId, Refusal> {
        let flags = draft.flags & EPHEMERAL;
        draft.allowed_mentions.get_or_insert_with(AllowedMentions::users_only);
        let sender = self.sender_of(interaction, original, now);
        let message = self.compose(sender, interaction.channel, draft, now)?;
        let message = Message { flags: message.flags | flags, ..message };
        Ok(self.keep_response(interaction, message, original, now, dispatches))
    }

    /// Shows that the bot thinks.
    fn think(
        &mut self,
        interaction: &Interaction,
        flags: u64,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) -> MessageId {
        let sender = self.sender_of(interaction, None, now);
        let id = self.mint.next(now);
        let (channel, guild) = (interaction.channel, interaction.guild);
        let message = Message {
            flags: LOADING | (flags & EPHEMERAL),
            reference: sender.reference,
            ..Message::new(id, channel, guild, sender.author, sender.kind)
        };
        self.keep_response(interaction, message, None, now, dispatches)
    }

    fn sender_of(
        &self,
        interaction: &Interaction,
        original: Option<MessageId>,
        now: UnixMillis,
    ) -> Sender {
        let (channel, guild) = (interaction.channel, interaction.guild);
        let answered = original.or(interaction.origin.interacted);
        let reference = answered.map(|id| Reference { message: Some(id), channel, guild });
        let kind = match (reference, interaction.command) {
            (Some(_), _) => MessageKind::REPLY,
            (None, Some((_, CommandKind::SLASH))) => MessageKind::SLASH_COMMAND,
            (None, Some(_)) => MessageKind::CONTEXT_COMMAND,
            (None, None) => MessageKind::DEFAULT,
        };
        let place = self.channels.get(&channel);
        let rights = place.and_then(|place| self.permissions_in(place, interaction.bot, now));
        let rights = rights.unwrap_or(Permissions::empty());
        Sender { author: interaction.bot, kind, reference, rights }
    }

    /// Puts an answer where it belongs, and dispatches it to those who see it.
    fn keep_response(
        &mut self,
        interaction: &Interaction,
        message: Message,
        original: Option<MessageId>,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) -> MessageId {
        let mut origin = interaction.origin.clone();
        origin.original = original;
        let message = Message {
            application: Some(interaction.application),
            webhook: Some(interaction.application.cast()),
            origin: Some(Box::new(origin)),
            ..message
        };
        let id = message.id;
        if message.flags & EPHEMERAL != 0 {
            dispatches.push(self.ephemeral_dispatch("MESSAGE_CREATE", &message));
            self.interactions.keep_ephemeral(message);
        } else {
            let (channel, mentioned) = (message.channel, message.mentions.clone());
            self.stir_thread(channel, Some(message.author), &mentioned, now, dispatches);
            self.insert_message(message, now, dispatches);
        }
        id
    }

    /// Tells the bot alone of a message that one person sees.
    fn ephemeral_dispatch(&self, name: &'static str, message: &Message) -> Dispatch {
        let body = wire::dispatched_message(self, message, name, wire::Sight::Full);
        Dispatch {
            about: Some(message.author),
            ..Dispatch::shared(name, Audience::Bot(message.author), body)
        }
    }

    fn revise_response(
        &mut self,
        interaction: &Interaction,
        id: MessageId,
        mut edit: Edit,
        now: UnixMillis,
        dispatches: &mut Vec<Dispatch>,
    ) -> Result<(), Refusal> {
        let found = self.any_message(interaction.channel, id).ok_or(Refusal::UnknownMessage)?;
        if found.flags & LOADING == 0 {
            edit.poll = None;
        }
        let found = Message { flags: found.flags & !LOADING, ..found.clone() };
        edit.allowed_mentions.get_or_insert_with(AllowedMentions::users_only);
        let rights = self.sender_of(interaction, None, now).rights;
        let revised = self.revise(found, edit, rights, now)?;
        let channel = revised.channel;
        if revised.flags & EPHEMERAL != 0 {
            dispatches.push(self.ephemeral_dispatch("MESSAGE_UPDATE", &revised));
            self.interactions.keep_ephemeral(revised);
        } else if let Some(place) = self.channels.get_mut(&channel) {
            place.messages.insert(id, revised);
            dispatches.extend(self.message_dispatch("MESSAGE_UPDATE", channel, id));
        }
        Ok(())
    }

    /// Finds an interaction that was answered, by its token; before that it has no messages.
    fn answered(
        &self,
        application: ApplicationId,
        token: &str,
        now: UnixMillis,
    ) -> Result<&Interaction, Refusal> {
        let interaction = self.interactions.by_token(application, token, now)?;
        if interaction.answer.is_none() { Err(Refusal::UnknownWebhook) } else { Ok(interaction) }
    }

    fn response_id(interaction: &Interaction, which: Which) -> Result<MessageId, Refusal> {
        let original = interaction.answer.as_ref().and_then(|answer| answer.message);
        match which {
            Which::Original => original.ok_or(Refusal::UnknownMessage),
            Which::Message(id) if original == Some(id) || interaction.followups.contains(&id) => {
                Ok(id)
            }
            Which::Message(_) => Err(Refusal::UnknownMessage),
        }
    }

    /// Says something more. What comes first after a deferral is the answer that was waited for.
    pub(crate) fn follow_up(
        &mut self,
        application: ApplicationId,
        token: &str,
        draft: Draft,
        now: UnixMillis,
    ) -> Outcome<MessageId> {
        let interaction = self.answered(application, token, now)?.clone();
        let original = interaction.answer.as_ref().and_then(|answer| answer.message);
        let waiting = original
            .and_then(|id| self.any_message(interaction.channel, id))
            .filter(|message| message.flags & LOADING != 0)
            .map(|message| message.id);
        let mut dispatches = Vec::new();
        if let Some(waiting) = waiting {
            let edit = Edit {
                content: Some(draft.content),
                embeds: Some(draft.embeds),
                components: Some(draft.components),
                allowed_mentions: draft.allowed_mentions,
                files: draft.attachments,
                poll: draft.poll,
                flags: Some(draft.flags),
                ..Edit::default()
            };
            self.revise_response(&interaction, waiting, edit, now, &mut dispatches)?;
            return Ok(Effect::new(waiting, dispatches));
        }
        let id = self.respond(&interaction, draft, original, now, &mut dispatches)?;
        if let Some(kept) = self.interactions.by_id.get_mut(&interaction.id) {
            kept.followups.push(id);
        }
        Ok(Effect::new(id, dispatches))
    }

    /// Returns one of the messages in answer to an interaction.
    pub(crate) fn response(
        &self,
        application: ApplicationId,
        token: &str,
        which: Which,
        now: UnixMillis,
    ) -> Result<&Message, Refusal> {
        let interaction = self.answered(application, token, now)?;
        let id = Self::response_id(interaction, which)?;
        self.any_message(interaction.channel, id).ok_or(Refusal::UnknownMessage)
    }

    pub(crate) fn edit_response(
        &mut self,
        application: ApplicationId,
        token: &str,
        which: Which,
        edit: Edit,
        now: UnixMillis,
    ) -> Outcome<MessageId> {
        let interaction = self.answered(application, token, now)?.clone();
        let id = Self::response_id(&interaction, which)?;
        let mut dispatches = Vec::new();
        self.revise_response(&interaction, id, edit, now, &mut dispatches)?;
        Ok(Effect::new(id, dispatches))
    }

    pub(crate) fn delete_response(
        &mut self,
        application: ApplicationId,
        token: &str,
        which: Which,
        now: UnixMillis,
    ) -> Outcome<()> {
        let interaction = self.answered(application, token, now)?;
        let id = Self::response_id(interaction, which)?;
        let (channel, guild, bot) = (interaction.channel, interaction.guild, interaction.bot);
        let found = self.any_message(channel, id).ok_or(Refusal::UnknownMessage)?;
        let dispatch = if found.flags & EPHEMERAL != 0 {
            self.interactions.ephemeral.remove(&id);
            let body = wire::message_delete(channel, None, id);
            Dispatch::shared("MESSAGE_DELETE", Audience::Bot(bot), body)
        } else {
            self.remove_messages(channel, &[id]);
            let body = wire::message_delete(channel, guild, id);
            Dispatch::shared("MESSAGE_DELETE", Audience::of_channel(guild, channel), body)
        };
        Ok(Effect::new((), vec![dispatch]))
    }

    /// Returns the bot of an application, if there is such an application.
    pub(crate) fn bot_of(&self, application: ApplicationId) -> Option<UserId> {
        self.bots.iter().find(|bot| bot.application == application).map(|bot| bot.user)
    }
}

/// Returns the message that an update changes: the one whose component was used, or whose
/// component opened the form.
fn updated_message(interaction: &Interaction) -> Option<MessageId> {
    let trigger = interaction.origin.trigger.as_ref();
    interaction.origin.interacted.or_else(|| trigger.and_then(|trigger| trigger.interacted))
}

/// Checks that an answer goes with the interaction.
fn check_fits(interaction: &Interaction, answer: u8) -> Result<(), Refusal> {
    let fits = match answer {
        callback::CHOICES => interaction.kind == InteractionKind::AUTOCOMPLETE,
        _ if interaction.kind == InteractionKind::AUTOCOMPLETE => false,
        callback::MODAL => interaction.kind != InteractionKind::MODAL,
        callback::UPDATE | callback::DEFERRED_UPDATE => updated_message(interaction).is_some(),
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let message = "This type of response cannot be sent for this interaction";
    Err(Refusal::field(&["type"], "INTERACTION_RESPONSE_TYPE_INVALID", message))
}

fn read_choices(mut form: Form, kind: u64) -> Result<Value, Refusal> {
    let choices = form.object("data", |form| {
        form.object_list("choices", MAX_CHOICES, |form| options::choice(form, kind))
    });
    if choices.is_none() {
        form.require("data");
    }
    form.finish()?;
    Ok(Value::Array(choices.flatten().unwrap_or_default()))
}

fn read_modal(mut form: Form) -> Result<Value, Refusal> {
    let modal = form.object("data", |form| {
        serde_json::json!({
            "custom_id": form.text_within("custom_id", 1..=100),
            "title": form.text_within("title", 1..=45),
            "components": components::accept_modal(form),
        })
    });
    let modal = modal.unwrap_or_else(|| {
        form.require("data");
        Value::Null
    });
    form.finish()?;
    Ok(modal)
}
