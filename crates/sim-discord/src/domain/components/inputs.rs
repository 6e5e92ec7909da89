//! Components that people press, choose in or write into.

use serde_json::{Map, Value, json};

use super::{
    CHANNEL_SELECT, CHECKBOX, CHECKBOX_GROUP, FILE_UPLOAD, MENTIONABLE_SELECT, RADIO_GROUP,
    ROLE_SELECT, STRING_SELECT, Tally, USER_SELECT,
};
use crate::form::Form;

const LINK: i64 = 5;
const PREMIUM: i64 = 6;

/// Reads a custom id, which must be there and be alone.
fn custom_id(form: &mut Form, component: &mut Map<String, Value>, tally: &mut Tally<'_>) {
    let custom_id = form.text_within("custom_id", 1..=100);
    keep_custom_id(form, component, custom_id, tally);
}

fn keep_custom_id(
    form: &mut Form,
    component: &mut Map<String, Value>,
    custom_id: String,
    tally: &mut Tally<'_>,
) {
    if !custom_id.is_empty() && !tally.custom_ids.insert(custom_id.clone()) {
        let message = "Component custom id cannot be duplicated";
        form.error("custom_id", "COMPONENT_CUSTOM_ID_DUPLICATED", message);
    }
    component.insert("custom_id".to_owned(), custom_id.into());
}

/// Keeps a text that may be missing.
fn optional_text(form: &mut Form, component: &mut Map<String, Value>, key: &str, most: usize) {
    if let Some(text) = form.text(key).filter(|text| !text.is_empty()) {
        form.check_length(key, &text, 0..=most);
        component.insert(key.to_owned(), text.into());
    }
}

fn flag(form: &mut Form, component: &mut Map<String, Value>, key: &str) {
    if let Some(value) = form.boolean(key) {
        component.insert(key.to_owned(), value.into());
    }
}

fn emoji(form: &mut Form, component: &mut Map<String, Value>) {
    let read = |form: &mut Form| {
        let mut emoji = Map::new();
        if let Some(id) = form.id::<twilight_model::id::marker::EmojiMarker>("id") {
            emoji.insert("id".to_owned(), json!(id));
        }
        emoji.insert("name".to_owned(), form.text("name").unwrap_or_default().into());
        flag(form, &mut emoji, "animated");
        Value::Object(emoji)
    };
    if let Some(emoji) = form.object("emoji", read) {
        component.insert("emoji".to_owned(), emoji);
    }
}

pub(super) fn button(form: &mut Form, component: &mut Map<String, Value>, tally: &mut Tally<'_>) {
    let style = form.choice("style", &[1, 2, 3, 4, 5, 6]);
    if style.is_none() && form.is_sound() {
        form.require("style");
    }
    let style = style.unwrap_or(0);
    component.insert("style".to_owned(), style.into());
    optional_text(form, component, "label", 80);
    emoji(form, component);
    flag(form, component, "disabled");
    let id = form.text("custom_id").filter(|id| !id.is_empty());
    let url = form.text("url").filter(|url| !url.is_empty());
    if style != PREMIUM && !component.contains_key("label") && !component.contains_key("emoji") {
        let message = "A label or emoji is required";
        form.error("label", "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", message);
    }
    match (style, id, url) {
        (_, Some(_), Some(_)) => {
            let message = "A custom id and url cannot both be specified";
            form.error("custom_id", "BUTTON_COMPONENT_CUSTOM_ID_URL_MUTUALLY_EXCLUSIVE", message);
        }
        (LINK, None, Some(url)) => {
            form.check_length("url", &url, 1..=512);
            if !["http://", "https://", "discord://"].iter().any(|scheme| url.starts_with(scheme)) {
                let message = "Scheme must be one of ('http', 'https', 'discord').";
                form.error("url", "URL_TYPE_INVALID_SCHEME", message);
            }
            component.insert("url".to_owned(), url.into());
        }
        (LINK, ..) => form.require("url"),
        (PREMIUM, ..) => match form.id::<twilight_model::id::marker::SkuMarker>("sku_id") {
            Some(sku) => {
                component.insert("sku_id".to_owned(), json!(sku));
            }
            None => form.require("sku_id"),
        },
        (_, Some(id), None) => {
            form.check_length("custom_id", &id, 1..=100);
            keep_custom_id(form, component, id, tally);
        }
        (_, None, Some(_)) => {
            let message = "Only link buttons have a url";
            form.error("url", "BUTTON_COMPONENT_INVALID_URL", message);
        }
        (_, None, None) => {
            let message = "A custom id or url is required";
            form.error("custom_id", "BUTTON_COMPONENT_CUSTOM_ID_REQUIRED", message);
        }
    }
}

/// Reads how few and how many may be chosen.
fn bounds(form: &mut Form, component: &mut Map<String, Value>, most: u64) -> (u64, u64) {
    let low = form.up_to("min_values", most).unwrap_or(1);
    let high = form.up_to("max_values", most).unwrap_or(low.max(1));
    if high == 0 {
        let message = "int value should be greater than or equal to 1.";
        form.error("max_values", "NUMBER_TYPE_MIN", message);
    }
    if low > high {
        let message = "min_values cannot be greater than max_values";
        form.error("min_values", "SELECT_COMPONENT_MIN_ABOVE_MAX", message);
    }
    component.insert("min_values".to_owned(), low.into());
    component.insert("max_values".to_owned(), high.into());
    (low, high)
}

pub(super) fn select(
    form: &mut Form,
    component: &mut Map<String, Value>,
    kind: i64,
    in_modal: bool,
    tally: &mut Tally<'_>,
) {
    custom_id(form, component, tally);
    optional_text(form, component, "placeholder", 150);
    let (low, high) = bounds(form, component, 25);
    if in_modal {
        let required = form.boolean("required").unwrap_or(true);
        component.insert("required".to_owned(), required.into());
    }
    flag(form, component, "disabled");
    if kind == STRING_SELECT {
        let options = options(form, component, 1..=25);
        let count = options.len() as u64;
        if count > 0 && low > count {
            let message =
                format!("min_values cannot be greater than the number of options ({count})");
            form.error("min_values", "SELECT_COMPONENT_NOT_ENOUGH_OPTIONS", message);
        }
        let chosen = options.iter().filter(|option| option["default"] == true).count() as u64;
        if chosen > high {
            let message = "More options are chosen by default than may be chosen";
            form.error("options", "SELECT_COMPONENT_TOO_MANY_DEFAULTS", message);
        }
        return;
    }
    if kind == CHANNEL_SELECT
        && let Some(kinds) = form.list("channel_types").filter(|kinds| !kinds.is_empty())
    {
        component.insert("channel_types".to_owned(), Value::Array(kinds));
    }
    default_values(form, component, kind, high);
}

fn default_values(form: &mut Form, component: &mut Map<String, Value>, kind: i64, most: u64) {
    let kinds: &[&str] = match kind {
        USER_SELECT => &["user"],
        ROLE_SELECT => &["role"],
        MENTIONABLE_SELECT => &["user", "role"],
        _ => &["channel"],
    };
    let value = |form: &mut Form| {
        let id = form.id::<twilight_model::id::marker::GenericMarker>("id");
        if id.is_none() && form.is_sound() {
            form.require("id");
        }
        let kind = form.text("type").unwrap_or_default();
        if !kinds.contains(&kind.as_str()) {
            let message = format!("Value must be one of {kinds:?}.");
            form.error("type", "BASE_TYPE_CHOICES", message);
        }
        json!({ "id": id, "type": kind })
    };
    if let Some(values) = form.object_list("default_values", 25, value) {
        if values.len() as u64 > most {
            let message = "More values are chosen by default than may be chosen";
            form.error("default_values", "SELECT_COMPONENT_TOO_MANY_DEFAULTS", message);
        }
        component.insert("default_values".to_owned(), Value::Array(values));
    }
}

/// Reads what can be chosen.
fn options(
    form: &mut Form,
    component: &mut Map<String, Value>,
    bounds: std::ops::RangeInclusive<usize>,
) -> Vec<Value> {
    let option = |form: &mut Form| {
        let mut option = Map::new();
        option.insert("label".to_owned(), form.text_within("label", 1..=100).into());
        option.insert("value".to_owned(), form.text_within("value", 1..=100).into());
        optional_text(form, &mut option, "description", 100);
        emoji(form, &mut option);
        flag(form, &mut option, "default");
        Value::Object(option)
    };
    let options = form.object_list("options", usize::MAX, option).unwrap_or_default();
    if !bounds.contains(&options.len()) {
        let message = format!("Must be between {} and {} in length.", bounds.start(), bounds.end());
        form.error("options", "BASE_TYPE_BAD_LENGTH", message);
    }
    for (index, option) in options.iter().enumerate() {
        if options[..index].iter().any(|other| other["value"] == option["value"]) {
            form.error(
                &format!("options/{index}/value"),
                "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED",
                "The specified option value is already used",
            );
        }
    }
    component.insert("options".to_owned(), Value::Array(options.clone()));
    options
}

/// Reads a field to write into; where it stands in a row it has its label itself.
pub(super) fn text_input(
    form: &mut Form,
    component: &mut Map<String, Value>,
    in_row: bool,
    tally: &mut Tally<'_>,
) {
    custom_id(form, component, tally);
    let style = form.choice("style", &[1, 2]);
    if style.is_none() && form.is_sound() {
        form.require("style");
    }
    component.insert("style".to_owned(), style.unwrap_or(1).into());
    let label = if in_row { Some(form.text_within("label", 1..=45)) } else { form.text("label") };
    component.insert("label".to_owned(), json!(label));
    let low = form.up_to("min_length", 4_000);
    let high = form.up_to("max_length", 4_000);
    if high == Some(0) {
        let message = "int value should be greater than or equal to 1.";
        form.error("max_length", "NUMBER_TYPE_MIN", message);
    }
    if let (Some(low), Some(high)) = (low, high)
        && low > high
    {
        let message = "min_length cannot be greater than max_length";
        form.error("min_length", "TEXT_INPUT_COMPONENT_MIN_ABOVE_MAX", message);
    }
    component.insert("min_length".to_owned(), json!(low));
    component.insert("max_length".to_owned(), json!(high));
    let required = form.boolean("required").unwrap_or(true);
    component.insert("required".to_owned(), required.into());
    optional_text(form, component, "value", 4_000);
    optional_text(form, component, "placeholder", 100);
}

/// Reads what only modals have.
pub(super) fn modal_input(
    form: &mut Form,
    component: &mut Map<String, Value>,
    kind: i64,
    tally: &mut Tally<'_>,
) {
    custom_id(form, component, tally);
    match kind {
        FILE_UPLOAD => {
            bounds(form, component, 10);
        }
        RADIO_GROUP => {
            options(form, component, 2..=10);
        }
        CHECKBOX_GROUP => {
            let count = options(form, component, 1..=10).len() as u64;
            let low = form.up_to("min_values", 10).unwrap_or(1);
            let high = form.up_to("max_values", 10).unwrap_or(count);
            component.insert("min_values".to_owned(), low.into());
            component.insert("max_values".to_owned(), high.into());
        }
        _ => {}
    }
    if kind == CHECKBOX {
        flag(form, component, "default");
    } else {
        let required = form.boolean("required").unwrap_or(true);
        component.insert("required".to_owned(), required.into());
    }
}
