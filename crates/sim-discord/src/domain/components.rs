//! Components of messages and modals: buttons, selects, texts and what holds them.
//!
//! They are kept as JSON, in the form in which Discord gives them back: every component has an id,
//! and what has a default says it.
//!
//! Source: Discord Docs, Components, "Component Reference".

mod inputs;
mod layout;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::{AttachmentId, FieldError, Mint, Refusal};
use crate::form::Form;

/// The flag of messages that are made of components alone.
pub(crate) const IS_COMPONENTS_V2: u64 = 1 << 15;

const MAX_ROWS: usize = 5;
const MAX_COMPONENTS: usize = 40;
/// The characters of all texts of a message together.
const MAX_TEXT: usize = 4_000;
const MAX_MODAL_COMPONENTS: usize = 5;

pub(crate) const ROW: i64 = 1;
pub(crate) const BUTTON: i64 = 2;
pub(crate) const STRING_SELECT: i64 = 3;
pub(crate) const TEXT_INPUT: i64 = 4;
pub(crate) const USER_SELECT: i64 = 5;
pub(crate) const ROLE_SELECT: i64 = 6;
pub(crate) const MENTIONABLE_SELECT: i64 = 7;
pub(crate) const CHANNEL_SELECT: i64 = 8;
const SECTION: i64 = 9;
const TEXT_DISPLAY: i64 = 10;
const THUMBNAIL: i64 = 11;
const MEDIA_GALLERY: i64 = 12;
const FILE: i64 = 13;
const SEPARATOR: i64 = 14;
const CONTAINER: i64 = 17;
pub(crate) const LABEL: i64 = 18;
pub(crate) const FILE_UPLOAD: i64 = 19;
pub(crate) const RADIO_GROUP: i64 = 21;
pub(crate) const CHECKBOX_GROUP: i64 = 22;
pub(crate) const CHECKBOX: i64 = 23;

/// Where a component stands, which tells what it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Message,
    MessageV2,
    Row,
    Section,
    Accessory,
    Container,
    Modal,
    ModalRow,
    Label,
}

impl Place {
    fn kinds(self) -> &'static [i64] {
        match self {
            Self::Message => &[ROW],
            Self::MessageV2 => {
                &[ROW, SECTION, TEXT_DISPLAY, MEDIA_GALLERY, FILE, SEPARATOR, CONTAINER]
            }
            Self::Row => &[
                BUTTON,
                STRING_SELECT,
                USER_SELECT,
                ROLE_SELECT,
                MENTIONABLE_SELECT,
                CHANNEL_SELECT,
            ],
            Self::Section => &[TEXT_DISPLAY],
            Self::Accessory => &[BUTTON, THUMBNAIL],
            Self::Container => &[ROW, SECTION, TEXT_DISPLAY, MEDIA_GALLERY, FILE, SEPARATOR],
            Self::Modal => &[ROW, TEXT_DISPLAY, LABEL],
            Self::ModalRow => &[TEXT_INPUT],
            Self::Label => &[
                STRING_SELECT,
                TEXT_INPUT,
                USER_SELECT,
                ROLE_SELECT,
                MENTIONABLE_SELECT,
                CHANNEL_SELECT,
                FILE_UPLOAD,
                RADIO_GROUP,
                CHECKBOX_GROUP,
                CHECKBOX,
            ],
        }
    }

    fn is_of_modal(self) -> bool {
        matches!(self, Self::Modal | Self::ModalRow | Self::Label)
    }
}

/// What is counted over all components.
#[derive(Debug, Default)]
struct Tally<'a> {
    count: usize,
    text: usize,
    custom_ids: HashSet<String>,
    ids: HashSet<i64>,
    /// The names of the files that may be shown.
    files: &'a [String],
}

/// Checks the components of a message, and returns them as Discord gives them back; `files` are
/// the names of the message's attachments.
pub(crate) fn accept(
    components: Vec<Value>,
    is_v2: bool,
    files: &[String],
) -> Result<Vec<Value>, Refusal> {
    if components.is_empty() {
        return Ok(components);
    }
    let (place, most) =
        if is_v2 { (Place::MessageV2, MAX_COMPONENTS) } else { (Place::Message, MAX_ROWS) };
    let mut form = Form::new(Map::from_iter([("components".to_owned(), Value::Array(components))]));
    let mut tally = Tally { files, ..Tally::default() };
    let components = read(&mut form, "components", place, 0..=most, &mut tally);
    if tally.count > MAX_COMPONENTS {
        let message = "Must be 40 or fewer in length.";
        form.error("components", "BASE_TYPE_MAX_LENGTH", message);
    }
    if tally.text > MAX_TEXT {
        let message = "The total number of characters in all text displays cannot exceed 4000";
        form.error("components", "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", message);
    }
    form.finish()?;
    Ok(numbered(components, &mut tally.ids))
}

/// Checks the components of a modal, and returns them with their ids.
pub(crate) fn accept_modal(form: &mut Form) -> Vec<Value> {
    let mut tally = Tally::default();
    let most = MAX_MODAL_COMPONENTS;
    let components = read(form, "components", Place::Modal, 1..=most, &mut tally);
    numbered(components, &mut tally.ids)
}

fn read(
    form: &mut Form,
    key: &str,
    place: Place,
    bounds: std::ops::RangeInclusive<usize>,
    tally: &mut Tally<'_>,
) -> Vec<Value> {
    let (least, most) = (*bounds.start(), *bounds.end());
    let list = form.object_list(key, usize::MAX, |form| one(form, place, tally));
    let Some(list) = list else {
        if least > 0 {
            form.require(key);
        }
        return Vec::new();
    };
    if !bounds.contains(&list.len()) {
        if least == 0 {
            let message = format!("Must be {most} or fewer in length.");
            form.error(key, "BASE_TYPE_MAX_LENGTH", message);
        } else {
            let message = format!("Must be between {least} and {most} in length.");
            form.error(key, "BASE_TYPE_BAD_LENGTH", message);
        }
    }
    list
}

/// Reads one component.
fn one(form: &mut Form, place: Place, tally: &mut Tally<'_>) -> Value {
    tally.count += 1;
    let mut component = Map::new();
    let is_sound = form.is_sound();
    let Some(kind) = form.choice("type", place.kinds()) else {
        if is_sound && form.is_sound() {
            form.require("type");
        }
        return Value::Null;
    };
    component.insert("type".to_owned(), kind.into());
    if let Some(id) = form.integer("id").filter(|id| *id > 0) {
        if !tally.ids.insert(id) {
            let message = "Component id cannot be duplicated";
            form.error("id", "COMPONENT_ID_DUPLICATED", message);
        }
        component.insert("id".to_owned(), id.into());
    }
    match kind {
        ROW => layout::row(form, &mut component, place, tally),
        BUTTON => inputs::button(form, &mut component, tally),
        TEXT_INPUT => inputs::text_input(form, &mut component, place == Place::ModalRow, tally),
        STRING_SELECT | USER_SELECT | ROLE_SELECT | MENTIONABLE_SELECT | CHANNEL_SELECT => {
            inputs::select(form, &mut component, kind, place.is_of_modal(), tally);
        }
        FILE_UPLOAD | RADIO_GROUP | CHECKBOX_GROUP | CHECKBOX => {
            inputs::modal_input(form, &mut component, kind, tally);
        }
        SECTION => layout::section(form, &mut component, tally),
        TEXT_DISPLAY => layout::text(form, &mut component, tally),
        THUMBNAIL => layout::thumbnail(form, &mut component, tally),
        MEDIA_GALLERY => layout::gallery(form, &mut component, tally),
        FILE => layout::file(form, &mut component, tally),
        SEPARATOR => layout::separator(form, &mut component),
        CONTAINER => layout::container(form, &mut component, tally),
        LABEL => layout::label(form, &mut component, tally),
        _ => {}
    }
    Value::Object(component)
}

/// Gives an id to every component that has none: the next number that is free, from the top.
fn numbered(mut components: Vec<Value>, taken: &mut HashSet<i64>) -> Vec<Value> {
    let mut next = 1;
    for component in &mut components {
        number(component, taken, &mut next);
    }
    components
}

fn number(component: &mut Value, taken: &mut HashSet<i64>, next: &mut i64) {
    let Value::Object(fields) = component else { return };
    if !fields.contains_key("id") {
        while !taken.insert(*next) {
            *next += 1;
        }
        fields.insert("id".to_owned(), (*next).into());
    }
    if let Some(Value::Array(nested)) = fields.get_mut("components") {
        for component in nested {
            number(component, taken, next);
        }
    }
    for key in ["accessory", "component"] {
        if let Some(nested) = fields.get_mut(key) {
            number(nested, taken, next);
        }
    }
}

/// Calls `visit` with every component, those inside others after these.
pub(crate) fn for_each<'a>(components: &'a [Value], visit: &mut impl FnMut(&'a Value)) {
    for component in components {
        visit(component);
        if let Some(nested) = component["components"].as_array() {
            for_each(nested, visit);
        }
        for key in ["accessory", "component"] {
            if let Some(nested) = component.get(key) {
                for_each(std::slice::from_ref(nested), visit);
            }
        }
    }
}

/// Finds the component that has a custom id.
pub(crate) fn with_custom_id<'a>(components: &'a [Value], custom_id: &str) -> Option<&'a Value> {
    let mut found = None;
    for_each(components, &mut |component| {
        if component["custom_id"] == custom_id {
            found = Some(component);
        }
    });
    found
}

/// A file of the message that components may show.
pub(crate) struct ShownFile<'a> {
    pub(crate) id: AttachmentId,
    pub(crate) filename: &'a str,
    pub(crate) url: &'a str,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) size: u64,
}

/// Completes the media of components: `attachment://name` becomes the address of that file.
pub(crate) fn complete_media(
    components: &mut [Value],
    files: &[ShownFile<'_>],
    mint: &mut Mint,
    now: ery_clock::UnixMillis,
) {
    for component in components {
        let Value::Object(fields) = component else { continue };
        for key in ["media", "file"] {
            let Some(url) = fields.get(key).and_then(|media| media["url"].as_str()) else {
                continue;
            };
            if fields[key].get("id").is_some() {
                continue; // completed before
            }
            let id: AttachmentId = mint.next(now);
            let name = url.strip_prefix("attachment://");
            let shown = name.and_then(|name| files.iter().find(|file| file.filename == name));
            let mut media = json!({
                "id": id, "url": url, "proxy_url": url, "width": null, "height": null,
                "content_type": null,
            });
            if let Some(shown) = shown {
                media["url"] = json!(shown.url);
                media["proxy_url"] = json!(shown.url);
                media["content_type"] = json!(shown.content_type);
                media["attachment_id"] = json!(shown.id);
                if key == "file" {
                    fields.insert("name".to_owned(), json!(shown.filename));
                    fields.insert("size".to_owned(), json!(shown.size));
                }
            }
            fields.insert(key.to_owned(), media);
        }
        for key in ["components", "items"] {
            if let Some(Value::Array(nested)) = fields.get_mut(key) {
                complete_media(nested, files, mint, now);
            }
        }
        if let Some(accessory) = fields.get_mut("accessory") {
            complete_media(std::slice::from_mut(accessory), files, mint, now);
        }
    }
}

/// Refuses what does not go with components of the second version.
pub(crate) fn check_alone(fields: &[(&str, bool)]) -> Result<(), Refusal> {
    let present = fields.iter().filter(|(_, is_present)| *is_present);
    let errors: Vec<FieldError> = present
        .map(|(key, _)| {
            FieldError::new(
                &[key],
                "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                format!(
                    "The '{key}' field cannot be used when using MessageFlags.IS_COMPONENTS_V2"
                ),
            )
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Refusal::InvalidForm(errors)) }
}
