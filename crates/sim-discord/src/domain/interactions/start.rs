//! Somebody uses a command, presses, chooses, or sends a form off.

use std::collections::HashMap;

use serde_json::{Map, Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::{
    Interaction, InteractionKind, Origin, inputs, secret,
    values::{self, Resolved},
};
use crate::{
    domain::{
        ApplicationId, Audience, Bot, Channel, ChannelId, Command, CommandKind, Dispatch, Effect,
        InteractionId, MessageId, NewAttachment, Outcome, Refusal, UserId, World, components,
    },
    wire,
};

/// What somebody does.
#[derive(Debug)]
pub(crate) enum Deed {
    Command(CommandUse),
    /// A button is pressed (without values), or something chosen in a select.
    Component {
        message: MessageId,
        custom_id: String,
        values: Vec<String>,
    },
    /// A form is sent off that the answer to `opened_by` has shown.
    Modal {
        opened_by: InteractionId,
        fields: Map<String, Value>,
        files: FilesByName,
    },
}

pub(crate) type FilesByName = HashMap<String, Vec<NewAttachment>>;

/// How a command is used.
#[derive(Debug, Default)]
pub(crate) struct CommandUse {
    /// Its name or id; of a slash command with group and sub-command after it.
    pub(crate) command: String,
    pub(crate) options: Map<String, Value>,
    /// Files for options that want one, by the options' names.
    pub(crate) files: FilesByName,
    /// The user or message in whose menu the command stands.
    pub(crate) target: Option<u64>,
    /// The option that is still being typed, for which choices are asked.
    pub(crate) focused: Option<String>,
}

/// What is told of a deed, before the interaction is made.
struct Draft {
    kind: InteractionKind,
    bot: UserId,
    application: ApplicationId,
    data: Value,
    command: Option<(crate::domain::CommandId, CommandKind)>,
    focused: Option<u64>,
    name: Option<String>,
    target_user: Option<UserId>,
    target_message: Option<MessageId>,
    /// The message whose component was used, or whose component opened the form.
    message: Option<MessageId>,
    interacted: Option<MessageId>,
    trigger: Option<Box<Origin>>,
}

impl World {
    /// Lets somebody begin an interaction, as far as they may, and tells the bot whose it is, and in
    /// which language the person's client is.
    pub(crate) fn interact(
        &mut self,
        user: UserId,
        channel: ChannelId,
        (application, locale): (Option<ApplicationId>, &'static str),
        deed: Deed,
        now: UnixMillis,
    ) -> Outcome<InteractionId> {
        if self.user(user)?.is_bot {
            let message = "Bots do not interact";
            return Err(Refusal::field(&["user_id"], "INTERACTION_USER_IS_BOT", message));
        }
        let place = self.channel(channel)?;
        let rights = self.require(user, place, Permissions::empty(), now)?;
        if !place.kind.holds_messages() {
            return Err(Refusal::NonTextChannel);
        }
        let is_silenced = place
            .guild
            .and_then(|guild| self.member(guild, user))
            .is_some_and(|member| member.is_timed_out(now));
        if is_silenced && !rights.contains(Permissions::ADMINISTRATOR) {
            return Err(Refusal::MissingPermissions);
        }
        let draft = match deed {
            Deed::Command(using) => {
                self.use_command(user, channel, rights, application, using, now)?
            }
            Deed::Component { message, custom_id, values } => {
                self.use_component(user, channel, message, &custom_id, &values, now)?
            }
            Deed::Modal { opened_by, fields, files } => {
                self.send_modal(user, channel, opened_by, &fields, files, now)?
            }
        };
        let id: InteractionId = self.mint.next(now);
        let guild = self.channel(channel)?.guild;
        let interaction = Interaction {
            id,
            token: secret("interaction", id.get()),
            kind: draft.kind,
            application: draft.application,
            bot: draft.bot,
            user,
            guild,
            channel,
            locale,
            created_at: now,
            command: draft.command,
            focused: draft.focused,
            origin: Origin {
                id,
                kind: draft.kind,
                user,
                guild,
                command: draft.name,
                target_user: draft.target_user,
                target_message: draft.target_message,
                interacted: draft.interacted,
                trigger: draft.trigger,
                original: None,
            },
            answer: None,
            followups: Vec::new(),
            is_expired: false,
        };
        let body = wire::interaction_create(self, &interaction, &draft.data, draft.message, now);
        let audience = match guild {
            Some(guild) => Audience::User(draft.bot, guild),
            None => Audience::Bot(draft.bot),
        };
        self.interactions.keep(interaction);
        Ok(Effect::new(id, vec![Dispatch::shared("INTERACTION_CREATE", audience, body)]))
    }

    /// Finds the bots whose commands can be used in a channel.
    fn bots_in<'a>(
        &'a self,
        channel: &'a Channel,
        application: Option<ApplicationId>,
    ) -> impl Iterator<Item = &'a Bot> {
        self.bots.iter().filter(move |bot| {
            let is_there = match channel.guild {
                Some(guild) => self.member(guild, bot.user).is_some(),
                None => channel.recipients.contains(&bot.user),
            };
            is_there && application.is_none_or(|application| bot.application == application)
        })
    }

    fn use_command(
        &mut self,
        user: UserId,
        channel: ChannelId,
        rights: Permissions,
        application: Option<ApplicationId>,
        using: CommandUse,
        now: UnixMillis,
    ) -> Result<Draft, Refusal> {
        let place = self.channel(channel)?;
        if place.guild.is_some() && !rights.contains(Permissions::USE_SLASH_COMMANDS) {
            return Err(Refusal::MissingPermissions);
        }
        let offered = self.bots_in(place, application).flat_map(|bot| {
            let commands = self.commands_offered(bot, place.guild).into_iter();
            commands.map(move |command| (bot, command))
        });
        let is_menu = using.target.is_some();
        let named = |command: &Command| {
            if is_menu != (command.kind != CommandKind::SLASH) {
                return None;
            }
            path_after(command, &using.command)
        };
        let found =
            { offered }.find_map(|(bot, command)| Some((bot.user, command, named(command)?)));
        let (bot, command, path) = found.ok_or(Refusal::UnknownCommand)?;
        if let Some(guild) = place.guild.and_then(|guild| self.guilds.get(&guild)) {
            let member = guild.members.get(&user).ok_or(Refusal::UnknownMember)?;
            if !self.may_use_command(guild, member, place, command, rights) {
                return Err(Refusal::MissingPermissions);
            }
        }
        let command = command.clone();
        let mut draft = Draft {
            kind: if using.focused.is_some() {
                InteractionKind::AUTOCOMPLETE
            } else {
                InteractionKind::COMMAND
            },
            bot,
            application: command.application,
            data: json!({ "id": command.id, "name": command.name, "type": command.kind.0 }),
            command: Some((command.id, command.kind)),
            focused: None,
            name: Some(
                [command.name.as_str()]
                    .into_iter()
                    .chain(path.iter().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(" "),
            ),
            target_user: None,
            target_message: None,
            message: None,
            interacted: None,
            trigger: None,
        };
        if let Some(guild) = command.guild {
            draft.data["guild_id"] = json!(guild);
        }
        let mut resolved = Resolved::default();
        match (command.kind, using.target) {
            (CommandKind::USER, Some(target)) => {
                let target = UserId::new_checked(target).ok_or(Refusal::UnknownUser)?;
                self.user(target)?;
                resolved.users.insert(target);
                draft.target_user = Some(target);
                draft.data["target_id"] = json!(target);
            }
            (CommandKind::MESSAGE, Some(target)) => {
                let target = MessageId::new_checked(target).ok_or(Refusal::UnknownMessage)?;
                self.channel(channel)?.message(target)?;
                resolved.messages.insert(target);
                draft.target_message = Some(target);
                draft.data["target_id"] = json!(target);
            }
            _ => {
                let (options, focused) = self.option_values(
                    &command.options,
                    &path,
                    using,
                    (user, channel),
                    &mut resolved,
                    now,
                )?;
                draft.focused = focused;
                if !options.is_empty() {
                    draft.data["options"] = Value::Array(options);
                }
            }
        }
        self.add_resolved(&mut draft.data, &resolved, channel, user, now);
        Ok(draft)
    }

    /// Reads the options of a command, and nests them as its groups and sub-commands do.
    fn option_values(
        &mut self,
        options: &[Value],
        path: &[String],
        mut using: CommandUse,
        (user, channel): (UserId, ChannelId),
        resolved: &mut Resolved,
        now: UnixMillis,
    ) -> Result<(Vec<Value>, Option<u64>), Refusal> {
        let Some((first, rest)) = path.split_first() else {
            let mut reading = values::Reading {
                given: std::mem::take(&mut using.options),
                files: using.files,
                focused: using.focused,
                resolved,
            };
            return self.read_options(options, &mut reading, (user, channel), now);
        };
        let step = options
            .iter()
            .find(|option| option["name"] == first.as_str())
            .ok_or(Refusal::UnknownCommand)?;
        let inner = step["options"].as_array().map_or(&[][..], Vec::as_slice).to_vec();
        let (nested, focused) =
            self.option_values(&inner, rest, using, (user, channel), resolved, now)?;
        Ok((vec![json!({ "name": first, "type": step["type"], "options": nested })], focused))
    }

    /// Adds to an interaction's data whom and what it names.
    fn add_resolved(
        &self,
        data: &mut Value,
        resolved: &Resolved,
        channel: ChannelId,
        user: UserId,
        now: UnixMillis,
    ) {
        if !resolved.is_empty()
            && let Some(channel) = self.channels.get(&channel)
        {
            data["resolved"] = wire::resolved(self, resolved, channel, user, now);
        }
    }

    fn use_component(
        &self,
        user: UserId,
        channel: ChannelId,
        message: MessageId,
        custom_id: &str,
        values: &[String],
        now: UnixMillis,
    ) -> Result<Draft, Refusal> {
        let found = self.any_message(channel, message).ok_or(Refusal::UnknownMessage)?;
        if found.flags & super::EPHEMERAL != 0
            && found.origin.as_ref().is_some_and(|origin| origin.user != user)
        {
            return Err(Refusal::UnknownMessage);
        }
        let component =
            components::with_custom_id(&found.components, custom_id).ok_or_else(|| {
                let message = "No component of the message has this custom id";
                Refusal::field(&["custom_id"], "COMPONENT_VALIDATION_FAILED", message)
            })?;
        if component["disabled"] == true {
            let message = "The component is disabled";
            return Err(Refusal::field(&["custom_id"], "COMPONENT_DISABLED", message));
        }
        let bot = match found.application {
            Some(application) => self.bots.iter().find(|bot| bot.application == application),
            None => self.bot(found.author),
        };
        let bot = bot.ok_or(Refusal::UnknownInteraction)?;
        let mut resolved = Resolved::default();
        let mut data = json!({
            "custom_id": custom_id, "component_type": component["type"], "id": component["id"],
        });
        let chosen = self.chosen(component, values, (user, channel), &mut resolved, now)?;
        if let Some(chosen) = chosen {
            data["values"] = json!(chosen);
        }
        self.add_resolved(&mut data, &resolved, channel, user, now);
        Ok(Draft {
            kind: InteractionKind::COMPONENT,
            bot: bot.user,
            application: bot.application,
            data,
            command: None,
            focused: None,
            name: None,
            target_user: None,
            target_message: None,
            message: Some(message),
            interacted: Some(message),
            trigger: None,
        })
    }

    fn send_modal(
        &mut self,
        user: UserId,
        channel: ChannelId,
        opened_by: InteractionId,
        fields: &Map<String, Value>,
        files: FilesByName,
        now: UnixMillis,
    ) -> Result<Draft, Refusal> {
        let opener = self.interactions.get(opened_by)?;
        let modal = opener.answer.as_ref().and_then(|answer| answer.data.clone());
        let shown = modal.filter(|_| opener.user == user && opener.channel == channel);
        let modal = shown.filter(|modal| modal.get("components").is_some()).ok_or_else(|| {
            let message = "That interaction has shown no form to this person here";
            Refusal::field(&["interaction_id"], "INTERACTION_HAS_NO_MODAL", message)
        })?;
        let (bot, application) = (opener.bot, opener.application);
        let (message, trigger) = (opener.origin.interacted, Box::new(opener.origin.clone()));
        let mut resolved = Resolved::default();
        let components = inputs::FormReading { fields, files, resolved: &mut resolved };
        let components = self.read_modal(&modal, components, (user, channel), now)?;
        let mut data = json!({ "custom_id": modal["custom_id"], "components": components });
        self.add_resolved(&mut data, &resolved, channel, user, now);
        Ok(Draft {
            kind: InteractionKind::MODAL,
            bot,
            application,
            data,
            command: None,
            focused: None,
            name: None,
            target_user: None,
            target_message: None,
            message,
            interacted: None,
            trigger: Some(trigger),
        })
    }
}

/// Tells whether `asked` means `command`, and returns what follows its name or id: the names of a
/// group and a sub-command. Words in a context menu's name belong to it.
fn path_after(command: &Command, asked: &str) -> Option<Vec<String>> {
    let asked = asked.trim_start_matches('/').trim();
    if asked == command.name || asked == command.id.to_string() {
        let nests = |option: &Value| matches!(option["type"].as_u64(), Some(1 | 2));
        return (!command.options.iter().any(nests)).then(Vec::new);
    }
    if command.kind != CommandKind::SLASH {
        return None;
    }
    let mut words = asked.split_whitespace();
    let first = words.next()?;
    if first != command.name && first != command.id.to_string() {
        return None;
    }
    let path: Vec<String> = words.map(str::to_owned).collect();
    let mut options = command.options.as_slice();
    for (index, name) in path.iter().enumerate() {
        let step = options.iter().find(|option| option["name"] == name.as_str())?;
        let is_last = index + 1 == path.len();
        let wanted = if is_last { 1 } else { 2 };
        if step["type"] != wanted {
            return None;
        }
        options = step["options"].as_array().map_or(&[][..], Vec::as_slice);
    }
    Some(path)
}
