//! What people give for options and choose in selects, and whom and what that names.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use twilight_model::guild::Permissions;

use ery_clock::UnixMillis;

use super::start::FilesByName;
use crate::domain::{
    Attachment, ChannelId, FieldError, MessageId, Refusal, RoleId, UserId, World,
    commands::options as kinds, components,
};

/// Whom and what an interaction names, to be told beside the ids.
#[derive(Debug, Default)]
pub(crate) struct Resolved {
    pub(crate) users: BTreeSet<UserId>,
    pub(crate) roles: BTreeSet<RoleId>,
    pub(crate) channels: BTreeSet<ChannelId>,
    pub(crate) messages: BTreeSet<MessageId>,
    pub(crate) attachments: Vec<Attachment>,
}

impl Resolved {
    pub(super) fn is_empty(&self) -> bool {
        self.users.is_empty()
            && self.roles.is_empty()
            && self.channels.is_empty()
            && self.messages.is_empty()
            && self.attachments.is_empty()
    }
}

/// The options of a command while they are read.
pub(super) struct Reading<'a> {
    pub(super) given: Map<String, Value>,
    pub(super) files: FilesByName,
    pub(super) focused: Option<String>,
    pub(super) resolved: &'a mut Resolved,
}

/// Says that what was given for an option is not what it wants.
fn wrong(path: &[&str], message: impl Into<String>) -> Refusal {
    Refusal::field(path, "APPLICATION_COMMAND_OPTION_INVALID", message)
}

fn id_in(value: &Value) -> Option<u64> {
    let id = match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    };
    id.filter(|id| *id > 0)
}

impl World {
    /// Reads the values of options in the order in which the command has them; returns them, and
    /// the kind of the one that is being typed.
    pub(super) fn read_options(
        &mut self,
        options: &[Value],
        reading: &mut Reading<'_>,
        (user, channel): (UserId, ChannelId),
        now: UnixMillis,
    ) -> Result<(Vec<Value>, Option<u64>), Refusal> {
        let mut read = Vec::new();
        let mut focused = None;
        for option in options {
            let name = option["name"].as_str().unwrap_or_default();
            let kind = option["type"].as_u64().unwrap_or(0);
            if reading.focused.as_deref() == Some(name) {
                if option["autocomplete"] != true {
                    return Err(wrong(
                        &["options", name],
                        "The option offers no choices by typing",
                    ));
                }
                focused = Some(kind);
                let typed = reading.given.remove(name).unwrap_or_else(|| json!(""));
                let typed = typed.as_str().map_or_else(|| typed.to_string(), str::to_owned);
                read.push(json!({ "name": name, "type": kind, "value": typed, "focused": true }));
                continue;
            }
            let value = match reading.given.remove(name) {
                None if kind == kinds::ATTACHMENT && reading.files.contains_key(name) => {
                    Value::Null
                }
                None if option["required"] == true && reading.focused.is_none() => {
                    return Err(Refusal::field(
                        &["options", name],
                        "BASE_TYPE_REQUIRED",
                        "This field is required",
                    ));
                }
                None => continue,
                Some(value) => value,
            };
            let value = if kind == kinds::ATTACHMENT {
                let files = reading.files.remove(name).unwrap_or_default();
                let kept = self.keep_attachments(channel, files, now);
                let file = kept.into_iter().next();
                let file = file.ok_or_else(|| wrong(&["options", name], "A file is wanted"))?;
                let id = json!(file.id);
                reading.resolved.attachments.push(file);
                id
            } else {
                self.read_value(option, value, (user, channel), reading.resolved, now)?
            };
            read.push(json!({ "name": name, "type": kind, "value": value }));
        }
        if let Some(unknown) = reading.given.keys().next() {
            return Err(wrong(&["options", unknown], "The command has no such option"));
        }
        if reading.focused.is_some() && focused.is_none() {
            return Err(wrong(&["focused"], "The command has no such option"));
        }
        Ok((read, focused))
    }

    fn read_value(
        &self,
        option: &Value,
        value: Value,
        at: (UserId, ChannelId),
        resolved: &mut Resolved,
        now: UnixMillis,
    ) -> Result<Value, Refusal> {
        let name = option["name"].as_str().unwrap_or_default();
        let path = ["options", name];
        match option["type"].as_u64().unwrap_or(0) {
            kinds::STRING => {
                let text = value.as_str().ok_or_else(|| wrong(&path, "A text is wanted"))?;
                let length = text.chars().count() as u64;
                let bound = |key: &str| option[key].as_u64();
                if bound("min_length").is_some_and(|least| length < least)
                    || length > bound("max_length").unwrap_or(6_000)
                {
                    return Err(wrong(&path, "The text is too short or too long"));
                }
            }
            kinds::INTEGER | kinds::NUMBER => {
                let is_whole = value.is_i64() || value.is_u64();
                let number = value
                    .as_f64()
                    .filter(|_| is_whole || option["type"] == kinds::NUMBER)
                    .ok_or_else(|| wrong(&path, "A number is wanted"))?;
                if option["min_value"].as_f64().is_some_and(|least| number < least)
                    || option["max_value"].as_f64().is_some_and(|most| number > most)
                {
                    return Err(wrong(&path, "The number is too small or too large"));
                }
            }
            kinds::BOOLEAN if value.is_boolean() => {}
            kinds::BOOLEAN => return Err(wrong(&path, "true or false is wanted")),
            kind => {
                let wanted = match kind {
                    kinds::USER => components::USER_SELECT,
                    kinds::ROLE => components::ROLE_SELECT,
                    kinds::CHANNEL => components::CHANNEL_SELECT,
                    _ => components::MENTIONABLE_SELECT,
                };
                let id = id_in(&value).ok_or_else(|| wrong(&path, "An id is wanted"))?;
                self.resolve(wanted, id, &option["channel_types"], at, resolved, now)
                    .map_err(|message| wrong(&path, message))?;
                return Ok(json!(id.to_string()));
            }
        }
        let choices = option["choices"].as_array().map_or(&[][..], Vec::as_slice);
        let is_choice = |choice: &Value| {
            choice["value"] == value
                || choice["value"].as_f64().is_some_and(|number| value.as_f64() == Some(number))
        };
        if !choices.is_empty() && !choices.iter().any(is_choice) {
            return Err(wrong(&path, "The value is none of the choices"));
        }
        Ok(value)
    }

    /// Looks up whom or what an id names, for a select of a kind.
    fn resolve(
        &self,
        kind: i64,
        id: u64,
        channel_types: &Value,
        (user, channel): (UserId, ChannelId),
        resolved: &mut Resolved,
        now: UnixMillis,
    ) -> Result<(), &'static str> {
        let guild = self.channels.get(&channel).and_then(|channel| channel.guild);
        let guild = guild.and_then(|guild| self.guilds.get(&guild));
        let (as_user, as_role, as_channel) = (UserId::new(id), RoleId::new(id), ChannelId::new(id));
        let is_role = guild.is_some_and(|guild| guild.roles.contains_key(&as_role));
        match kind {
            components::USER_SELECT | components::MENTIONABLE_SELECT
                if self.users.contains_key(&as_user) =>
            {
                resolved.users.insert(as_user);
                Ok(())
            }
            components::USER_SELECT => Err("Nobody has this id"),
            components::ROLE_SELECT | components::MENTIONABLE_SELECT if is_role => {
                resolved.roles.insert(as_role);
                Ok(())
            }
            components::CHANNEL_SELECT => {
                let found = self.channels.get(&as_channel).ok_or("No channel has this id")?;
                let sees = found.guild.is_some()
                    && found.guild == guild.map(|guild| guild.id)
                    && self
                        .permissions_in(found, user, now)
                        .is_some_and(|rights| rights.contains(Permissions::VIEW_CHANNEL));
                let kinds = channel_types.as_array().map_or(&[][..], Vec::as_slice);
                if !sees {
                    return Err("No channel that this person sees has this id");
                }
                if !kinds.is_empty() && !kinds.iter().any(|kind| *kind == found.kind.0) {
                    return Err("The channel is of another type");
                }
                resolved.channels.insert(as_channel);
                Ok(())
            }
            _ => Err("No role has this id"),
        }
    }

    /// Checks what was chosen in a component; a button has nothing to choose from.
    pub(super) fn chosen(
        &self,
        component: &Value,
        values: &[String],
        at: (UserId, ChannelId),
        resolved: &mut Resolved,
        now: UnixMillis,
    ) -> Result<Option<Vec<String>>, Refusal> {
        let kind = component["type"].as_i64().unwrap_or(0);
        let wrong = |message: &str| {
            Refusal::InvalidForm(vec![FieldError::new(
                &["values"],
                "COMPONENT_VALIDATION_FAILED",
                message,
            )])
        };
        if kind == components::BUTTON {
            return if values.is_empty() { Ok(None) } else { Err(wrong("A button has no values")) };
        }
        let count = values.len() as u64;
        let least = component["min_values"].as_u64().unwrap_or(1);
        let may_be_empty = component["required"] == false && count == 0;
        let most = component["max_values"].as_u64().unwrap_or(1);
        if !may_be_empty && !(least..=most).contains(&count) {
            return Err(wrong("Too few or too many are chosen"));
        }
        if (1..values.len()).any(|index| values[..index].contains(&values[index])) {
            return Err(wrong("Something is chosen twice"));
        }
        for value in values {
            if let Some(options) = component["options"].as_array() {
                if !options.iter().any(|option| option["value"] == value.as_str()) {
                    return Err(wrong("The value is none of the options"));
                }
                continue;
            }
            let id = value.parse().ok().filter(|id| *id > 0);
            let id = id.ok_or_else(|| wrong("An id is wanted"))?;
            self.resolve(kind, id, &component["channel_types"], at, resolved, now)
                .map_err(wrong)?;
        }
        Ok(Some(values.to_vec()))
    }
}
