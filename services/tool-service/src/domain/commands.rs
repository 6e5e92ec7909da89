//! Whether two lists of application commands mean the same.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Discord's number for direct messages with the bot.
const BOT_DM: u64 = 1;

/// What Discord takes for left out, by field.
fn defaults(field: &str) -> Value {
    match field {
        "type" => 1.into(),
        "description" => "".into(),
        "nsfw" | "required" | "autocomplete" => false.into(),
        "options" | "choices" | "channel_types" => Vec::<Value>::new().into(),
        "name_localizations" | "description_localizations" => Map::new().into(),
        _ => Value::Null,
    }
}

/// What a command is, beside what Discord adds to it: ids, versions, what is out of use.
const OF_COMMANDS: [&str; 10] = [
    "type",
    "name",
    "name_localizations",
    "description",
    "description_localizations",
    "default_member_permissions",
    "nsfw",
    "options",
    "contexts",
    "integration_types",
];

const OF_OPTIONS: [&str; 14] = [
    "type",
    "name",
    "name_localizations",
    "description",
    "description_localizations",
    "required",
    "autocomplete",
    "choices",
    "options",
    "channel_types",
    "min_value",
    "max_value",
    "min_length",
    "max_length",
];

const OF_CHOICES: [&str; 3] = ["name", "name_localizations", "value"];

/// Returns whether Discord's commands are those that are wanted, in whatever order and however much
/// Discord adds.
pub(crate) fn are_alike(wanted: &[Value], registered: &[Value], is_of_guild: bool) -> bool {
    by_name(wanted, is_of_guild) == by_name(registered, is_of_guild)
}

/// Returns commands as a guild's own: where they can be used is said by that.
pub(crate) fn of_guild(commands: &[Value]) -> Vec<Value> {
    let mut commands = commands.to_vec();
    for command in &mut commands {
        if let Value::Object(fields) = command {
            fields.remove("contexts");
            fields.remove("integration_types");
        }
    }
    commands
}

/// Returns commands without what Discord came to know late: where they can be used is said as it was before,
/// they have no other languages, and what is typed is neither completed nor bounded before it comes.
pub(crate) fn in_old_terms(commands: &[Value]) -> Vec<Value> {
    let mut commands = commands.to_vec();
    for command in &mut commands {
        if let Value::Object(fields) = command {
            let contexts = fields.remove("contexts");
            fields.remove("integration_types");
            if let Some(Value::Array(contexts)) = contexts {
                fields.insert("dm_permission".into(), contexts.contains(&BOT_DM.into()).into());
            }
        }
        without_late_fields(command);
    }
    commands
}

fn without_late_fields(of: &mut Value) {
    const LATE: [&str; 5] = ["autocomplete", "min_value", "max_value", "min_length", "max_length"];
    let Value::Object(fields) = of else { return };
    fields.retain(|field, _| !field.ends_with("_localizations") && !LATE.contains(&field.as_str()));
    for field in ["options", "choices"] {
        let Some(Value::Array(items)) = fields.get_mut(field) else { continue };
        items.iter_mut().for_each(without_late_fields);
    }
}

fn by_name(commands: &[Value], is_of_guild: bool) -> BTreeMap<(String, String), Value> {
    let named = |command: &Value| {
        let mut plain = plain(command, &OF_COMMANDS);
        for field in ["contexts", "integration_types"] {
            let set = if is_of_guild { Value::Null } else { sorted(&plain[field]) };
            plain[field] = set;
        }
        let name = plain["name"].as_str().unwrap_or_default().to_owned();
        ((plain["type"].to_string(), name), plain)
    };
    commands.iter().map(named).collect()
}

/// Returns the fields that count, with what Discord takes for those that are left out.
fn plain(given: &Value, fields: &[&str]) -> Value {
    let mut plain = Map::new();
    for field in fields {
        let value = match &given[*field] {
            Value::Null => defaults(field),
            value => value.clone(),
        };
        let value = match *field {
            "options" => each(&value, |option| self::plain(option, &OF_OPTIONS)),
            "choices" => each(&value, |choice| self::plain(choice, &OF_CHOICES)),
            "channel_types" => sorted(&value),
            "name_localizations" | "description_localizations" => without_nulls(value),
            _ => value,
        };
        plain.insert((*field).to_owned(), value);
    }
    Value::Object(plain)
}

fn each(list: &Value, of: impl Fn(&Value) -> Value) -> Value {
    list.as_array().into_iter().flatten().map(of).collect::<Vec<_>>().into()
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(texts) => {
            Value::Object(texts.into_iter().filter(|(_, text)| !text.is_null()).collect())
        }
        other => other,
    }
}

fn sorted(list: &Value) -> Value {
    let Some(list) = list.as_array() else { return list.clone() };
    let mut list = list.clone();
    list.sort_by_key(Value::as_u64);
    list.into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted() -> Vec<Value> {
        vec![
            json!({
                "type": 1, "name": "schedule", "description": "d",
                "description_localizations": { "de": "D" },
                "default_member_permissions": null, "contexts": [0], "integration_types": [0],
                "options": [{
                    "type": 1, "name": "cancel", "description": "c",
                    "options": [{
                        "type": 3, "name": "id", "description": "i", "required": true,
                        "autocomplete": true,
                    }],
                }],
            }),
            json!({ "type": 3, "name": "Explain this", "contexts": [0, 1] }),
        ]
    }

    /// The same as Discord gives it.
    fn registered() -> Vec<Value> {
        vec![
            json!({
                "id": "9", "application_id": "1", "version": "3", "type": 3,
                "name": "Explain this", "name_localizations": null, "description": "",
                "description_localizations": null, "default_member_permissions": null,
                "dm_permission": true, "contexts": [1, 0], "integration_types": null,
                "nsfw": false,
            }),
            json!({
                "id": "8", "application_id": "1", "version": "2", "type": 1, "name": "schedule",
                "name_localizations": null, "description": "d",
                "description_localizations": { "de": "D" }, "default_member_permissions": null,
                "dm_permission": false, "contexts": [0], "integration_types": [0], "nsfw": false,
                "options": [{
                    "type": 1, "name": "cancel", "description": "c", "name_localizations": null,
                    "options": [{
                        "type": 3, "name": "id", "description": "i", "required": true,
                        "autocomplete": true, "description_localizations": {},
                    }],
                }],
            }),
        ]
    }

    #[test]
    fn what_discord_adds_and_how_it_orders_them_makes_no_difference() {
        assert!(are_alike(&wanted(), &registered(), false));
    }

    #[test]
    fn every_difference_that_people_would_see_counts() {
        let changes: [(&str, Value); 8] = [
            ("/0/description", json!("other")),
            ("/0/description_localizations/de", json!("Anders")),
            ("/0/default_member_permissions", json!("32")),
            ("/0/contexts", json!([0, 1])),
            ("/0/options/0/options/0/required", json!(false)),
            ("/0/options/0/options/0/name", json!("which")),
            ("/0/options/0/options", json!([])),
            ("/1/name", json!("Explain that")),
        ];
        for (path, value) in changes {
            let mut list = Value::Array(wanted());
            *list.pointer_mut(path).unwrap() = value;
            assert!(!are_alike(list.as_array().unwrap(), &registered(), false), "{path}");
        }
        assert!(!are_alike(&wanted()[..1], &registered(), false), "one is gone");
        assert!(!are_alike(&wanted(), &registered()[..1], false), "one is new");
    }

    #[test]
    fn in_old_terms_they_mean_the_same_in_one_language() {
        let mut wanted = wanted();
        let option = &mut wanted[0]["options"][0]["options"][0];
        option["choices"] =
            json!([{ "name": "a", "value": "a", "name_localizations": { "de": "A" } }]);
        option["max_length"] = json!(5);
        let old = in_old_terms(&wanted);
        assert_eq!(
            (&old[0]["dm_permission"], &old[1]["dm_permission"]),
            (&json!(false), &json!(true))
        );
        let text = Value::Array(old).to_string();
        for late in ["contexts", "integration_types", "localizations", "autocomplete", "max_length"]
        {
            assert!(!text.contains(late), "{text}");
        }
        assert!(text.contains("\"value\":\"a\""), "{text}");
    }

    #[test]
    fn of_a_guilds_own_commands_it_is_not_said_where_they_are_used() {
        let own = of_guild(&wanted());
        assert!(own.iter().all(|command| command.get("contexts").is_none()));
        let mut registered = registered();
        registered[0]["contexts"] = Value::Null;
        assert!(are_alike(&own, &registered, true));
    }
}
