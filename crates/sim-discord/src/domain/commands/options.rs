//! The options of a command: sub-commands, their groups, and what people type or choose.

use serde_json::{Map, Number, Value, json};

use super::form::{is_valid_name, localizations};
use crate::form::Form;

const MAX_OPTIONS: usize = 25;
const MAX_CHOICES: usize = 25;
/// The largest whole number that every client can hold.
const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;

pub(crate) const SUB_COMMAND: u64 = 1;
pub(crate) const GROUP: u64 = 2;
pub(crate) const STRING: u64 = 3;
pub(crate) const INTEGER: u64 = 4;
pub(crate) const BOOLEAN: u64 = 5;
pub(crate) const USER: u64 = 6;
pub(crate) const CHANNEL: u64 = 7;
pub(crate) const ROLE: u64 = 8;
pub(crate) const NUMBER: u64 = 10;
pub(crate) const ATTACHMENT: u64 = 11;

/// What an option stands in, which tells what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Command,
    Group,
    SubCommand,
}

impl Level {
    fn kinds(self) -> &'static [i64] {
        match self {
            Self::Command => &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
            Self::Group => &[1],
            Self::SubCommand => &[3, 4, 5, 6, 7, 8, 9, 10, 11],
        }
    }
}

/// Reads options, in the form in which Discord gives them back.
pub(super) fn read(form: &mut Form, key: &str, level: Level) -> Option<Vec<Value>> {
    let options = form.object_list(key, MAX_OPTIONS, |form| option(form, level))?;
    let nests = |option: &Value| matches!(kind_of(option), SUB_COMMAND | GROUP);
    if options.iter().any(nests) && !options.iter().all(nests) {
        form.error(
            key,
            "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID",
            "Sub-command and sub-command group option types are mutually exclusive to all other types",
        );
    }
    let mut optional_before = false;
    for (index, option) in options.iter().enumerate() {
        let required = option["required"] == true;
        if required && optional_before {
            form.error(
                &format!("{key}/{index}"),
                "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID",
                "Required options must be placed before non-required options",
            );
        }
        optional_before |= !required && !nests(option);
        if options[..index].iter().any(|other| other["name"] == option["name"]) {
            form.error(
                &format!("{key}/{index}/name"),
                "APPLICATION_COMMAND_OPTION_NAME_ALREADY_EXISTS",
                "Option name already exists",
            );
        }
    }
    Some(options)
}

fn kind_of(option: &Value) -> u64 {
    option["type"].as_u64().unwrap_or(0)
}

fn option(form: &mut Form, level: Level) -> Value {
    let mut option = Map::new();
    let is_sound = form.is_sound();
    let kind = form.choice("type", level.kinds()).unwrap_or_else(|| {
        if is_sound && form.is_sound() {
            form.require("type");
        }
        0
    });
    option.insert("type".to_owned(), kind.into());
    let name = form.text_within("name", 1..=32);
    if (1..=32).contains(&name.chars().count()) && !is_valid_name(&name) {
        let message = "Command name is invalid";
        form.error("name", "APPLICATION_COMMAND_INVALID_NAME", message);
    }
    option.insert("name".to_owned(), name.into());
    option.insert("description".to_owned(), form.text_within("description", 1..=100).into());
    for (key, most) in [("name_localizations", 32), ("description_localizations", 100)] {
        let texts = localizations(form, key, most).flatten();
        option.insert(key.to_owned(), texts.map_or(Value::Null, Value::Object));
    }
    let kind = u64::try_from(kind).unwrap_or(0);
    if matches!(kind, SUB_COMMAND | GROUP) {
        let level = if kind == GROUP { Level::Group } else { Level::SubCommand };
        let nested = read(form, "options", level).unwrap_or_default();
        if kind == GROUP && nested.is_empty() {
            form.require("options");
        }
        option.insert("options".to_owned(), Value::Array(nested));
        return Value::Object(option);
    }
    if let Some(required) = form.boolean("required") {
        option.insert("required".to_owned(), required.into());
    }
    match kind {
        STRING => {
            let least = bound(form, "min_length", 0);
            let most = bound(form, "max_length", 1);
            keep(form, &mut option, ("min_length", least), ("max_length", most));
        }
        INTEGER | NUMBER => {
            let (least, most) = (value(form, "min_value", kind), value(form, "max_value", kind));
            keep(form, &mut option, ("min_value", least), ("max_value", most));
        }
        CHANNEL => channel_types(form, &mut option),
        _ => {}
    }
    if matches!(kind, STRING | INTEGER | NUMBER) {
        choices(form, &mut option, kind);
    }
    Value::Object(option)
}

fn bound(form: &mut Form, key: &str, least: i64) -> Option<Number> {
    let number = form.integer(key)?;
    if number < least {
        let message = format!("int value should be greater than or equal to {least}.");
        form.error(key, "NUMBER_TYPE_MIN", message);
    } else if number > 6_000 {
        let message = "int value should be less than or equal to 6000.";
        form.error(key, "NUMBER_TYPE_MAX", message);
    }
    Some(number.into())
}

fn value(form: &mut Form, key: &str, kind: u64) -> Option<Number> {
    let number = form.number(key)?;
    check_value(form, key, kind, &number);
    Some(number)
}

fn check_value(form: &mut Form, key: &str, kind: u64, number: &Number) {
    if kind == INTEGER && !(number.is_i64() || number.is_u64()) {
        form.error(key, "NUMBER_TYPE_COERCE", format!("Value \"{number}\" is not int."));
    } else if number.as_f64().is_none_or(|number| number.abs() > MAX_INTEGER) {
        let message = "number is beyond -2^53 to 2^53.";
        form.error(key, "NUMBER_TYPE_MAX", message);
    }
}

/// Keeps two bounds, the lower of which must not be above the upper.
fn keep(
    form: &mut Form,
    option: &mut Map<String, Value>,
    (least_key, least): (&str, Option<Number>),
    (most_key, most): (&str, Option<Number>),
) {
    let ends = (least.as_ref().and_then(Number::as_f64), most.as_ref().and_then(Number::as_f64));
    if let (Some(least), Some(most)) = ends
        && least > most
    {
        let message = "The lower bound is above the upper one";
        form.error(least_key, "APPLICATION_COMMAND_OPTIONS_MIN_ABOVE_MAX", message);
    }
    for (key, number) in [(least_key, least), (most_key, most)] {
        if let Some(number) = number {
            option.insert(key.to_owned(), Value::Number(number));
        }
    }
}

fn channel_types(form: &mut Form, option: &mut Map<String, Value>) {
    const KNOWN: [i64; 12] = [0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 15, 16];
    let Some(kinds) = form.list("channel_types") else { return };
    for (index, kind) in kinds.iter().enumerate() {
        if !kind.as_i64().is_some_and(|kind| KNOWN.contains(&kind)) {
            form.not_one_of(&format!("channel_types/{index}"), &KNOWN);
        }
    }
    if !kinds.is_empty() {
        option.insert("channel_types".to_owned(), Value::Array(kinds));
    }
}

fn choices(form: &mut Form, option: &mut Map<String, Value>, kind: u64) {
    let completes = form.boolean("autocomplete");
    if let Some(completes) = completes {
        option.insert("autocomplete".to_owned(), completes.into());
    }
    let Some(choices) = form.object_list("choices", MAX_CHOICES, |form| choice(form, kind)) else {
        return;
    };
    if completes == Some(true) && !choices.is_empty() {
        let message = "Choices and autocomplete are mutually exclusive";
        form.error("choices", "APPLICATION_COMMAND_OPTIONS_CHOICES_AND_AUTOCOMPLETE", message);
    }
    for (index, choice) in choices.iter().enumerate() {
        if choices[..index].iter().any(|other| other["name"] == choice["name"]) {
            form.error(
                &format!("choices/{index}/name"),
                "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_EXISTS",
                "Option choice name already exists",
            );
        }
    }
    if !choices.is_empty() {
        option.insert("choices".to_owned(), Value::Array(choices));
    }
}

/// Reads one choice.
pub(crate) fn choice(form: &mut Form, kind: u64) -> Value {
    let name = form.text_within("name", 1..=100);
    let localized = localizations(form, "name_localizations", 100).flatten();
    let value = if kind == STRING { text_value(form) } else { number_value(form, kind) };
    let localized = localized.map_or(Value::Null, Value::Object);
    json!({ "name": name, "name_localizations": localized, "value": value })
}

fn text_value(form: &mut Form) -> Value {
    match form.take("value") {
        Some(Value::String(text)) => {
            form.check_length("value", &text, 0..=100);
            Value::String(text)
        }
        Some(Value::Null) | None => {
            form.require("value");
            Value::Null
        }
        Some(_) => {
            form.error("value", "STRING_TYPE_CONVERT", "Could not interpret string.");
            Value::Null
        }
    }
}

fn number_value(form: &mut Form, kind: u64) -> Value {
    let is_sound = form.is_sound();
    let number = form.number("value");
    match &number {
        Some(number) => check_value(form, "value", kind, number),
        None if is_sound && form.is_sound() => form.require("value"),
        None => {}
    }
    number.map_or(Value::Null, Value::Number)
}

/// Counts the characters of options: names, descriptions, and what can be chosen.
pub(super) fn characters(options: &[Value]) -> usize {
    let length = |value: &Value| value.as_str().map_or(0, |text| text.chars().count());
    let of = |option: &Value| {
        let nested = option["options"].as_array().map_or(0, |nested| characters(nested));
        let choices = option["choices"].as_array().into_iter().flatten();
        let choices: usize =
            choices.map(|choice| length(&choice["name"]) + length(&choice["value"])).sum();
        length(&option["name"]) + length(&option["description"]) + nested + choices
    };
    options.iter().map(of).sum()
}
