//! What a request says of a command.

use serde_json::{Map, Value};
use twilight_model::guild::Permissions;

use super::{Command, CommandId, CommandKind, MAX_CHARACTERS, options};
use crate::{
    domain::{FieldError, Refusal},
    form::Form,
};

/// The languages that Discord's clients speak.
pub(crate) const LOCALES: [&str; 34] = [
    "ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he",
    "hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru", "sv-SE",
    "th", "tr", "uk", "vi", "zh-CN", "zh-TW",
];

/// A command to be, or what is to be changed of one; what is none stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommandChange {
    /// Only said where all commands are replaced: which one this is to be.
    pub(super) id: Option<CommandId>,
    pub(super) kind: Option<CommandKind>,
    pub(super) name: Option<String>,
    pub(super) name_localizations: Option<Option<Map<String, Value>>>,
    pub(super) description: Option<String>,
    pub(super) description_localizations: Option<Option<Map<String, Value>>>,
    pub(super) options: Option<Vec<Value>>,
    pub(super) default_member_permissions: Option<Option<Permissions>>,
    pub(super) contexts: Option<Option<Vec<u8>>>,
    pub(super) integration_types: Option<Vec<u8>>,
    pub(super) nsfw: Option<bool>,
    pub(super) dm_permission: Option<bool>,
    pub(super) handler: Option<u8>,
}

/// Reads what a request says of a command.
pub(crate) fn change_of(form: &mut Form) -> CommandChange {
    CommandChange {
        id: form.id("id"),
        kind: form.choice("type", &[1, 2, 3, 4]).map(|kind| CommandKind(small(kind))),
        name: form.text("name"),
        name_localizations: localizations(form, "name_localizations", 32),
        description: form.nullable_text("description").map(Option::unwrap_or_default),
        description_localizations: localizations(form, "description_localizations", 100),
        options: options_of(form),
        default_member_permissions: bits(form),
        contexts: contexts(form, "contexts", &[0, 1, 2]),
        integration_types: contexts(form, "integration_types", &[0, 1]).flatten(),
        nsfw: form.boolean("nsfw"),
        dm_permission: form.boolean("dm_permission"),
        handler: form.choice("handler", &[1, 2]).map(small),
    }
}

fn small(number: i64) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}

/// Null takes all options away.
fn options_of(form: &mut Form) -> Option<Vec<Value>> {
    if form.is_null("options") {
        return Some(Vec::new());
    }
    options::read(form, "options", options::Level::Command)
}

/// Reads a map from languages to texts that may be null.
pub(super) fn localizations(
    form: &mut Form,
    key: &str,
    most: usize,
) -> Option<Option<Map<String, Value>>> {
    if form.is_null(key) {
        return Some(None);
    }
    form.object(key, |form| {
        let mut texts = Map::new();
        for locale in form.keys() {
            if !LOCALES.contains(&locale.as_str()) {
                let message = format!("Value must be one of {LOCALES:?}.");
                form.error(&locale, "BASE_TYPE_CHOICES", message);
                continue;
            }
            if form.is_null(&locale) {
                continue;
            }
            let text = form.text_within(&locale, 1..=most);
            texts.insert(locale, Value::String(text));
        }
        texts
    })
    .map(Some)
}

fn bits(form: &mut Form) -> Option<Option<Permissions>> {
    const KEY: &str = "default_member_permissions";
    if form.is_null(KEY) {
        return Some(None);
    }
    let number = form.integer(KEY)?;
    let Ok(bits) = u64::try_from(number) else {
        let message = "int value should be greater than or equal to 0.";
        form.error(KEY, "NUMBER_TYPE_MIN", message);
        return None;
    };
    Some(Some(Permissions::from_bits_retain(bits)))
}

/// Reads a list of different numbers, at least one, that may be null.
fn contexts(form: &mut Form, key: &str, known: &[i64]) -> Option<Option<Vec<u8>>> {
    if form.is_null(key) {
        return Some(None);
    }
    let list = form.list(key)?;
    if list.is_empty() {
        form.error(key, "BASE_TYPE_MIN_LENGTH", "Must be 1 or more in length.");
    }
    let mut numbers: Vec<u8> = Vec::with_capacity(list.len());
    for (index, value) in list.iter().enumerate() {
        match value.as_i64().filter(|number| known.contains(number)).map(small) {
            Some(number) if numbers.contains(&number) => {
                let message = "This list contains duplicate items";
                form.error(key, "SET_TYPE_ALREADY_CONTAINS_VALUE", message);
            }
            Some(number) => numbers.push(number),
            None => form.not_one_of(&format!("{key}/{index}"), known),
        }
    }
    Some(Some(numbers))
}

impl CommandChange {
    /// Applies the change to `command`, and checks the whole; `path` is where it stands in a list.
    pub(super) fn apply(self, command: Command, path: &[&str]) -> Result<Command, Refusal> {
        let has_name = self.name.is_some();
        let command = Command {
            kind: self.kind.unwrap_or(command.kind),
            name: self.name.unwrap_or(command.name),
            name_localizations: self.name_localizations.unwrap_or(command.name_localizations),
            description: self.description.unwrap_or(command.description),
            description_localizations: self
                .description_localizations
                .unwrap_or(command.description_localizations),
            options: self.options.unwrap_or(command.options),
            default_member_permissions: self
                .default_member_permissions
                .unwrap_or(command.default_member_permissions),
            // A guild's command is used in that guild and nowhere else.
            contexts: match self.contexts {
                Some(contexts) if command.guild.is_none() => contexts,
                _ => command.contexts,
            },
            integration_types: self.integration_types.unwrap_or(command.integration_types),
            nsfw: self.nsfw.unwrap_or(command.nsfw),
            dm_permission: self.dm_permission.unwrap_or(command.dm_permission),
            handler: self.handler.or(command.handler),
            ..command
        };
        let mut check = Check { path, errors: Vec::new() };
        if !has_name && command.name.is_empty() {
            check.error("name", "BASE_TYPE_REQUIRED", "This field is required");
        } else {
            check.name(&command);
        }
        check.description(&command);
        if command.kind != CommandKind::SLASH && !command.options.is_empty() {
            let message = "Only chat input commands can have options";
            check.error("options", "APPLICATION_COMMAND_TYPE_CANNOT_HAVE_OPTIONS", message);
        }
        if command.kind == CommandKind::ENTRY_POINT && command.guild.is_some() {
            let message = "Entry point commands are global";
            check.error("type", "APPLICATION_COMMAND_ENTRY_POINT_MUST_BE_GLOBAL", message);
        }
        if command.handler.is_some() && command.kind != CommandKind::ENTRY_POINT {
            let message = "Only entry point commands can have a handler";
            check.error("handler", "APPLICATION_COMMAND_INVALID_HANDLER", message);
        }
        if command.characters() > MAX_CHARACTERS {
            let message = format!("Command exceeds maximum size ({MAX_CHARACTERS})");
            check.errors.push(FieldError::new(path, "APPLICATION_COMMAND_TOO_LARGE", message));
        }
        if check.errors.is_empty() { Ok(command) } else { Err(Refusal::InvalidForm(check.errors)) }
    }
}

struct Check<'a> {
    path: &'a [&'a str],
    errors: Vec<FieldError>,
}

impl Check<'_> {
    fn error(&mut self, key: &str, code: &'static str, message: &str) {
        let path: Vec<&str> = self.path.iter().copied().chain([key]).collect();
        self.errors.push(FieldError::new(&path, code, message));
    }

    fn name(&mut self, command: &Command) {
        if !(1..=32).contains(&command.name.chars().count()) {
            let message = "Must be between 1 and 32 in length.";
            self.error("name", "BASE_TYPE_BAD_LENGTH", message);
        } else if command.kind == CommandKind::SLASH && !is_valid_name(&command.name) {
            let message = "Command name is invalid";
            self.error("name", "APPLICATION_COMMAND_INVALID_NAME", message);
        } else if command.kind != CommandKind::SLASH && command.name.trim().is_empty() {
            self.error("name", "BASE_TYPE_REQUIRED", "This field is required");
        }
        if command.kind == CommandKind::SLASH {
            let localized = command.name_localizations.iter().flatten();
            for (locale, name) in localized {
                if !name.as_str().is_some_and(is_valid_name) {
                    let path: Vec<&str> =
                        self.path.iter().copied().chain(["name_localizations", locale]).collect();
                    let message = "Command name is invalid";
                    self.errors.push(FieldError::new(
                        &path,
                        "APPLICATION_COMMAND_INVALID_NAME",
                        message,
                    ));
                }
            }
        }
    }

    fn description(&mut self, command: &Command) {
        let length = command.description.chars().count();
        match command.kind {
            CommandKind::SLASH if length == 0 => {
                self.error("description", "BASE_TYPE_REQUIRED", "This field is required");
            }
            CommandKind::SLASH if length > 100 => {
                let message = "Must be between 1 and 100 in length.";
                self.error("description", "BASE_TYPE_BAD_LENGTH", message);
            }
            CommandKind::USER | CommandKind::MESSAGE if length > 0 => {
                let message = "Context menu commands cannot have a description";
                self.error(
                    "description",
                    "APPLICATION_COMMAND_TYPE_CANNOT_HAVE_DESCRIPTION",
                    message,
                );
            }
            _ => {}
        }
    }
}

/// Tells whether a slash command or an option may be called so: letters in lower case, digits,
/// `-`, `_` and `'`.
pub(super) fn is_valid_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_alphanumeric() || "-_'".contains(c);
    (1..=32).contains(&name.chars().count())
        && name.chars().all(is_allowed)
        && name.to_lowercase() == name
}
