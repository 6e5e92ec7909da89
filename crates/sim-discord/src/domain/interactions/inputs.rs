//! What people fill into a form.

use serde_json::{Map, Value, json};

use ery_clock::UnixMillis;

use super::{start::FilesByName, values::Resolved};
use crate::domain::{ChannelId, Refusal, UserId, World, components};

/// A form while it is read.
pub(super) struct FormReading<'a> {
    pub(super) fields: &'a Map<String, Value>,
    pub(super) files: FilesByName,
    pub(super) resolved: &'a mut Resolved,
}

fn wrong(custom_id: &str, message: &str) -> Refusal {
    Refusal::field(&["fields", custom_id], "COMPONENT_VALIDATION_FAILED", message)
}

impl World {
    /// Reads a form, and returns its components as a bot is told them.
    pub(super) fn read_modal(
        &mut self,
        modal: &Value,
        mut reading: FormReading<'_>,
        at: (UserId, ChannelId),
        now: UnixMillis,
    ) -> Result<Vec<Value>, Refusal> {
        let components = modal["components"].as_array().map_or(&[][..], Vec::as_slice);
        let known = |custom_id: &str| components::with_custom_id(components, custom_id).is_some();
        if let Some(unknown) = reading.fields.keys().find(|custom_id| !known(custom_id)) {
            return Err(wrong(unknown, "The form has no such field"));
        }
        let mut told = Vec::with_capacity(components.len());
        for component in components {
            let (kind, id) = (&component["type"], &component["id"]);
            told.push(match kind.as_i64() {
                Some(components::ROW) => {
                    let inputs = component["components"].as_array().map_or(&[][..], Vec::as_slice);
                    let inputs: Result<Vec<Value>, Refusal> = inputs
                        .iter()
                        .map(|input| self.read_input(input, &mut reading, at, now))
                        .collect();
                    json!({ "type": kind, "id": id, "components": inputs? })
                }
                Some(components::LABEL) => {
                    let input = self.read_input(&component["component"], &mut reading, at, now)?;
                    json!({ "type": kind, "id": id, "component": input })
                }
                _ => json!({ "type": kind, "id": id }),
            });
        }
        Ok(told)
    }

    fn read_input(
        &mut self,
        input: &Value,
        reading: &mut FormReading<'_>,
        at: (UserId, ChannelId),
        now: UnixMillis,
    ) -> Result<Value, Refusal> {
        let custom_id = input["custom_id"].as_str().unwrap_or_default();
        let given = reading.fields.get(custom_id).unwrap_or(&Value::Null);
        let mut told = json!({
            "type": input["type"], "id": input["id"], "custom_id": custom_id,
        });
        match input["type"].as_i64() {
            Some(components::TEXT_INPUT) => told["value"] = json!(text(input, custom_id, given)?),
            Some(components::CHECKBOX) => {
                let initially = input["default"].as_bool().unwrap_or(false);
                told["value"] = json!(given.as_bool().unwrap_or(initially));
            }
            Some(components::RADIO_GROUP) => {
                let chosen = list(custom_id, given)?;
                let options = input["options"].as_array().map_or(&[][..], Vec::as_slice);
                let is_known =
                    |value: &String| options.iter().any(|option| option["value"] == value.as_str());
                if chosen.len() > 1 || !chosen.iter().all(is_known) {
                    return Err(wrong(custom_id, "One of the options is wanted"));
                }
                if chosen.is_empty() && input["required"] != false {
                    return Err(wrong(custom_id, "This field is required"));
                }
                told["value"] = json!(chosen.first());
            }
            Some(components::FILE_UPLOAD) => {
                let files = reading.files.remove(custom_id).unwrap_or_default();
                let count = files.len() as u64;
                let least = input["min_values"].as_u64().unwrap_or(1);
                let most = input["max_values"].as_u64().unwrap_or(1);
                let may_be_empty = input["required"] == false && count == 0;
                if !may_be_empty && !(least..=most).contains(&count) {
                    return Err(wrong(custom_id, "Too few or too many files"));
                }
                let kept = self.keep_attachments(at.1, files, now);
                told["values"] = json!(kept.iter().map(|file| file.id).collect::<Vec<_>>());
                reading.resolved.attachments.extend(kept);
            }
            _ => {
                let values = list(custom_id, given)?;
                let chosen = self.chosen(input, &values, at, reading.resolved, now)?;
                told["values"] = json!(chosen.unwrap_or_default());
            }
        }
        Ok(told)
    }
}

fn text(input: &Value, custom_id: &str, given: &Value) -> Result<String, Refusal> {
    let text = match given {
        Value::Null => input["value"].as_str().unwrap_or_default(),
        given => given.as_str().ok_or_else(|| wrong(custom_id, "A text is wanted"))?,
    };
    let length = text.chars().count() as u64;
    if length == 0 {
        return if input["required"] == true {
            Err(wrong(custom_id, "This field is required"))
        } else {
            Ok(String::new())
        };
    }
    if input["min_length"].as_u64().is_some_and(|least| length < least)
        || length > input["max_length"].as_u64().unwrap_or(4_000)
    {
        return Err(wrong(custom_id, "The text is too short or too long"));
    }
    Ok(text.to_owned())
}

/// Reads a list of texts, or a single one.
fn list(custom_id: &str, given: &Value) -> Result<Vec<String>, Refusal> {
    let one = |value: &Value| {
        value.as_str().map(str::to_owned).ok_or_else(|| wrong(custom_id, "Texts are wanted"))
    };
    match given {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => values.iter().map(one).collect(),
        value => Ok(vec![one(value)?]),
    }
}
