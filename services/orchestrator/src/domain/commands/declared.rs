//! How a command is declared, and how Discord is told of it.

use serde_json::{Map, Value, json};
use twilight_model::guild::Permissions;

use crate::domain::texts::Language;

/// A command as people see it in Discord's own interface.
#[derive(Debug)]
pub(crate) struct Declared {
    /// By what it is called in the code, in the texts, and, if it is typed, in Discord.
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// What a member needs to see it, unless the server's staff set that otherwise; nothing for
    /// everybody. It only hides the command: who may do what is decided when it is carried out.
    pub(crate) shown_to: Permissions,
    pub(crate) works_in_dm: bool,
}

#[derive(Debug)]
pub(crate) enum Shape {
    /// `/name`.
    Typed(&'static [Part]),
    /// An entry in the menu of a person.
    OnPerson,
    /// An entry in the menu of a message.
    OnMessage,
}

/// What stands behind a command's name.
#[derive(Debug)]
pub(crate) enum Part {
    /// A command below, or a group of commands.
    Below {
        name: &'static str,
        parts: &'static [Part],
    },
    Option(Wanted),
}

/// A value that a command takes.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) name: &'static str,
    pub(crate) kind: ValueKind,
    pub(crate) is_required: bool,
}

#[derive(Debug)]
pub(crate) enum ValueKind {
    /// Of this many characters at most.
    Text {
        longest: u16,
    },
    /// A text that is completed while it is typed.
    Completed {
        longest: u16,
    },
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A whole number from this on.
    Number {
        least: i64,
    },
    Person,
    Role,
}

impl Declared {
    /// Returns how the command is called in a language.
    pub(crate) fn called(&self, language: Language) -> String {
        language.word(&self.key())
    }

    fn key(&self) -> String {
        format!("command-{}", self.name)
    }

    /// Returns the body by which Discord is told of it.
    pub(crate) fn body(&self) -> Value {
        let kind = match self.shape {
            Shape::Typed(_) => 1,
            Shape::OnPerson => 2,
            Shape::OnMessage => 3,
        };
        let contexts = if self.works_in_dm { json!([0, 1]) } else { json!([0]) };
        let mut body = json!({
            "type": kind,
            "contexts": contexts,
            "integration_types": [0],
            "default_member_permissions":
                (!self.shown_to.is_empty()).then(|| self.shown_to.bits().to_string()),
        });
        let key = self.key();
        named(&mut body, &key);
        if let Shape::Typed(parts) = self.shape {
            described(&mut body, &key);
            body["options"] = parts.iter().map(|part| part.body(&key, 2)).collect();
        }
        body
    }
}

impl Part {
    /// Discord counts what stands below: 2 has values below it, 1 has commands.
    fn body(&self, parent: &str, depth: u8) -> Value {
        match self {
            Self::Below { name, parts } => {
                let key = format!("{parent}-{name}");
                let holds_commands = parts.iter().any(|part| matches!(part, Self::Below { .. }));
                let kind = if holds_commands && depth > 1 { 2 } else { 1 };
                let options: Value =
                    parts.iter().map(|part| part.body(&key, depth.saturating_sub(1))).collect();
                let mut body = json!({ "type": kind, "options": options });
                named(&mut body, &key);
                described(&mut body, &key);
                body
            }
            Self::Option(wanted) => wanted.body(parent),
        }
    }
}

impl Wanted {
    fn body(&self, parent: &str) -> Value {
        let key = format!("{parent}-{}", self.name);
        let mut body = match self.kind {
            ValueKind::Text { longest } => json!({ "type": 3, "max_length": longest }),
            ValueKind::Completed { longest } => {
                json!({ "type": 3, "max_length": longest, "autocomplete": true })
            }
            ValueKind::OneOf(words) => {
                let choice = |word: &&str| {
                    let mut choice = json!({ "value": word });
                    named(&mut choice, &format!("{key}-{word}"));
                    choice
                };
                json!({ "type": 3, "choices": words.iter().map(choice).collect::<Value>() })
            }
            ValueKind::Number { least } => json!({ "type": 4, "min_value": least }),
            ValueKind::Person => json!({ "type": 6 }),
            ValueKind::Role => json!({ "type": 8 }),
        };
        body["required"] = self.is_required.into();
        named(&mut body, &key);
        described(&mut body, &key);
        body
    }
}

fn named(body: &mut Value, key: &str) {
    body["name"] = Language::English.word(key).into();
    body["name_localizations"] = others(|language| language.word(key));
}

fn described(body: &mut Value, key: &str) {
    body["description"] = Language::English.description(key).into();
    body["description_localizations"] = others(|language| language.description(key));
}

/// Says something in every language but English, as Discord names them.
fn others(say: impl Fn(Language) -> String) -> Value {
    let others = Language::ALL.into_iter().filter(|language| *language != Language::English);
    Value::Object(others.map(|it| (it.code().to_owned(), say(it).into())).collect::<Map<_, _>>())
}

/// Returns every text that the declarations need: `.description` marks a description.
#[cfg(test)]
pub(crate) fn texts_of(commands: &[Declared]) -> std::collections::BTreeSet<String> {
    fn of_part(part: &Part, parent: &str, texts: &mut std::collections::BTreeSet<String>) {
        let name = match part {
            Part::Below { name, .. } | Part::Option(Wanted { name, .. }) => name,
        };
        let key = format!("{parent}-{name}");
        texts.insert(key.clone());
        texts.insert(format!("{key}.description"));
        match part {
            Part::Below { parts, .. } => {
                for part in *parts {
                    of_part(part, &key, texts);
                }
            }
            Part::Option(Wanted { kind: ValueKind::OneOf(words), .. }) => {
                texts.extend(words.iter().map(|word| format!("{key}-{word}")));
            }
            Part::Option(_) => {}
        }
    }
    let mut texts = std::collections::BTreeSet::new();
    for command in commands {
        let key = command.key();
        texts.insert(key.clone());
        if let Shape::Typed(parts) = command.shape {
            texts.insert(format!("{key}.description"));
            for part in parts {
                of_part(part, &key, &mut texts);
            }
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::commands::list;

    #[test]
    fn what_is_declared_is_what_discord_is_told() {
        let body = list::find("schedule").body();
        assert_eq!(body["type"], 1);
        assert_eq!(body["name"], "schedule");
        assert_eq!(body["name_localizations"]["de"], "geplant");
        assert_eq!(body["contexts"], json!([0]));
        assert_eq!(body["default_member_permissions"], Value::Null);
        let cancel = &body["options"][1];
        assert_eq!((&cancel["type"], &cancel["name"]), (&json!(1), &json!("cancel")));
        let id = &cancel["options"][0];
        assert_eq!(id["type"], 3);
        assert_eq!((&id["required"], &id["autocomplete"]), (&json!(true), &json!(true)));
        assert!(id["description_localizations"]["de"].is_string());
    }

    /// Discord's bounds: it refuses the whole list for one name.
    #[test]
    fn every_name_and_description_is_one_that_discord_takes() {
        fn check(body: &Value, is_typed: bool) {
            let names = texts(body, "name");
            for name in names {
                let length = name.chars().count();
                assert!((1..=32).contains(&length), "{name}");
                if is_typed {
                    let is_allowed = |c: char| c.is_alphanumeric() || "-_'".contains(c);
                    assert!(name.chars().all(is_allowed) && name.to_lowercase() == name, "{name}");
                }
            }
            for text in texts(body, "description") {
                assert!((1..=100).contains(&text.chars().count()), "{text}");
            }
            let options = body["options"].as_array().cloned().unwrap_or_default();
            assert!(options.len() <= 25);
            for option in &options {
                check(option, is_typed);
            }
        }
        fn texts(body: &Value, field: &str) -> Vec<String> {
            let all = body[format!("{field}_localizations")].as_object().cloned();
            let all = all.unwrap_or_default().into_values().chain([body[field].clone()]);
            all.filter_map(|text| text.as_str().map(str::to_owned)).collect()
        }
        for command in list::COMMANDS {
            check(&command.body(), matches!(command.shape, Shape::Typed(_)));
        }
        let count = |kind: u64| list::bodies().iter().filter(|it| it["type"] == kind).count();
        assert!(count(1) <= 100 && count(2) <= 15 && count(3) <= 15);
    }

    #[test]
    fn groups_of_commands_and_words_to_choose_from_can_be_declared() {
        const DEEP: Part = Part::Below {
            name: "group",
            parts: &[Part::Below {
                name: "below",
                parts: &[Part::Option(Wanted {
                    name: "which",
                    kind: ValueKind::OneOf(&["one", "two"]),
                    is_required: false,
                })],
            }],
        };
        let body = DEEP.body("command-x", 2);
        assert_eq!(body["type"], 2);
        assert_eq!(body["options"][0]["type"], 1);
        let choices = &body["options"][0]["options"][0]["choices"];
        assert_eq!(choices[1]["value"], "two");
    }
}
