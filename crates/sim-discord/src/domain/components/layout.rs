//! Components that hold or show something.

use serde_json::{Map, Value, json};

use super::{BUTTON, MAX_COMPONENTS, Place, Tally, one, read};
use crate::form::Form;

pub(super) fn row(
    form: &mut Form,
    component: &mut Map<String, Value>,
    place: Place,
    tally: &mut Tally<'_>,
) {
    let (inner, most) = if place == Place::Modal { (Place::ModalRow, 1) } else { (Place::Row, 5) };
    let nested = read(form, "components", inner, 1..=most, tally);
    let is_select =
        |component: &Value| component["type"].as_i64().is_some_and(|kind| kind != BUTTON);
    if inner == Place::Row && nested.len() > 1 && nested.iter().any(is_select) {
        let message = "An action row may hold one select and nothing beside it";
        form.error("components", "COMPONENT_LAYOUT_WIDTH_EXCEEDED", message);
    }
    component.insert("components".to_owned(), Value::Array(nested));
}

/// Reads an object that stands in another, and has to be there.
fn nested(
    form: &mut Form,
    component: &mut Map<String, Value>,
    key: &str,
    read: impl FnOnce(&mut Form) -> Value,
) {
    match form.object(key, read) {
        Some(nested) => {
            component.insert(key.to_owned(), nested);
        }
        None => form.require(key),
    }
}

pub(super) fn section(form: &mut Form, component: &mut Map<String, Value>, tally: &mut Tally<'_>) {
    let texts = read(form, "components", Place::Section, 1..=3, tally);
    component.insert("components".to_owned(), Value::Array(texts));
    nested(form, component, "accessory", |form| one(form, Place::Accessory, tally));
}

pub(super) fn label(form: &mut Form, component: &mut Map<String, Value>, tally: &mut Tally<'_>) {
    component.insert("label".to_owned(), form.text_within("label", 1..=45).into());
    if let Some(description) = form.text("description") {
        form.check_length("description", &description, 0..=100);
        component.insert("description".to_owned(), description.into());
    }
    nested(form, component, "component", |form| one(form, Place::Label, tally));
}

pub(super) fn text(form: &mut Form, component: &mut Map<String, Value>, tally: &mut Tally<'_>) {
    let content = form.text_within("content", 1..=4_000);
    tally.text += content.chars().count();
    component.insert("content".to_owned(), content.into());
}

/// Reads the address of a picture or a file.
fn media(form: &mut Form, key: &str, only_attached: bool, tally: &Tally<'_>) -> Value {
    let read = |form: &mut Form| {
        let url = form.text_within("url", 1..=2_048);
        let attached = url.strip_prefix("attachment://");
        if let Some(name) = attached {
            if !tally.files.iter().any(|file| file == name) {
                let message = "The referenced attachment was not found";
                form.error("url", "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND", message);
            }
        } else if !url.is_empty() {
            let is_web = url.starts_with("https://") || url.starts_with("http://");
            if only_attached || !is_web {
                let schemes = if only_attached {
                    "('attachment',)"
                } else {
                    "('http', 'https', 'attachment')"
                };
                let message = format!("Scheme must be one of {schemes}.");
                form.error("url", "URL_TYPE_INVALID_SCHEME", message);
            }
        }
        json!({ "url": url })
    };
    form.object(key, read).unwrap_or_else(|| {
        form.require(key);
        Value::Null
    })
}

fn described(form: &mut Form, component: &mut Map<String, Value>) {
    let description = form.text("description");
    if let Some(description) = &description {
        form.check_length("description", description, 1..=1_024);
    }
    component.insert("description".to_owned(), json!(description));
    spoiler(form, component);
}

fn spoiler(form: &mut Form, component: &mut Map<String, Value>) {
    let hides = form.boolean("spoiler").unwrap_or(false);
    component.insert("spoiler".to_owned(), hides.into());
}

pub(super) fn thumbnail(
    form: &mut Form,
    component: &mut Map<String, Value>,
    tally: &mut Tally<'_>,
) {
    component.insert("media".to_owned(), media(form, "media", false, tally));
    described(form, component);
}

pub(super) fn gallery(form: &mut Form, component: &mut Map<String, Value>, tally: &mut Tally<'_>) {
    let item = |form: &mut Form| {
        let mut item = Map::new();
        item.insert("media".to_owned(), media(form, "media", false, tally));
        described(form, &mut item);
        Value::Object(item)
    };
    let items = form.object_list("items", usize::MAX, item).unwrap_or_default();
    if !(1..=10).contains(&items.len()) {
        form.error("items", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 10 in length.");
    }
    component.insert("items".to_owned(), Value::Array(items));
}

pub(super) fn file(form: &mut Form, component: &mut Map<String, Value>, tally: &mut Tally<'_>) {
    component.insert("file".to_owned(), media(form, "file", true, tally));
    component.insert("name".to_owned(), Value::Null);
    component.insert("size".to_owned(), Value::Null);
    spoiler(form, component);
}

pub(super) fn separator(form: &mut Form, component: &mut Map<String, Value>) {
    let spacing = form.choice("spacing", &[1, 2]).unwrap_or(1);
    component.insert("spacing".to_owned(), spacing.into());
    let divides = form.boolean("divider").unwrap_or(true);
    component.insert("divider".to_owned(), divides.into());
}

pub(super) fn container(
    form: &mut Form,
    component: &mut Map<String, Value>,
    tally: &mut Tally<'_>,
) {
    let color = form.up_to("accent_color", 0xFF_FFFF);
    component.insert("accent_color".to_owned(), json!(color));
    spoiler(form, component);
    let nested = read(form, "components", Place::Container, 1..=MAX_COMPONENTS, tally);
    component.insert("components".to_owned(), Value::Array(nested));
}
