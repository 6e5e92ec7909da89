//! Every command that there is. `docs/commands.md` is compared with this list by a test.

use serde_json::Value;
use twilight_model::guild::Permissions;

use super::{
    asked::NOTICES,
    config::{CAPABILITIES, PAUSED_PLACES, PLACES, PRESETS},
    declared::{Declared, Part, Shape, ValueKind, Wanted},
    privacy::SCOPES,
};
use crate::domain::texts::Language;

/// What Discord is told of, in this order.
pub(crate) const COMMANDS: &[Declared] = &[
    Declared {
        name: "schedule",
        shape: Shape::Typed(&[
            Part::Below { name: "list", parts: &[] },
            Part::Below {
                name: "cancel",
                parts: &[required("what", ValueKind::Completed { longest: 100 })],
            },
        ]),
        shown_to: Permissions::empty(),
        works_in_dm: false,
    },
    Declared {
        name: "why",
        shape: Shape::Typed(&[optional("message", ValueKind::Text { longest: 150 })]),
        shown_to: Permissions::empty(),
        works_in_dm: true,
    },
    Declared {
        name: "explain-message",
        shape: Shape::OnMessage,
        shown_to: Permissions::empty(),
        works_in_dm: true,
    },
    Declared {
        name: "report-message",
        shape: Shape::OnMessage,
        shown_to: Permissions::empty(),
        works_in_dm: false,
    },
    Declared {
        name: "case",
        shape: Shape::Typed(&[
            Part::Below { name: "list", parts: &[optional("member", ValueKind::Person)] },
            Part::Below {
                name: "show",
                parts: &[required("number", ValueKind::Number { least: 1 })],
            },
        ]),
        shown_to: Permissions::MODERATE_MEMBERS,
        works_in_dm: false,
    },
    Declared {
        name: "ery",
        shape: Shape::Typed(&[
            Part::Below {
                name: "config",
                parts: &[
                    Part::Below { name: "get", parts: &[optional("key", KEY)] },
                    Part::Below {
                        name: "set",
                        parts: &[
                            required("key", KEY),
                            optional("value", ValueKind::Completed { longest: 2_000 }),
                            optional("where", ValueKind::OneOf(&PLACES)),
                        ],
                    },
                    Part::Below {
                        name: "reset",
                        parts: &[
                            required("key", KEY),
                            optional("where", ValueKind::OneOf(&PLACES)),
                        ],
                    },
                    Part::Below {
                        name: "history",
                        parts: &[optional("version", ValueKind::Number { least: 1 })],
                    },
                    Part::Below {
                        name: "rollback",
                        parts: &[required("version", ValueKind::Number { least: 0 })],
                    },
                    Part::Below {
                        name: "preset",
                        parts: &[optional("name", ValueKind::OneOf(&PRESETS))],
                    },
                ],
            },
            Part::Below { name: "setup", parts: &[] },
            Part::Below { name: "status", parts: &[] },
            Part::Below { name: "usage", parts: &[] },
            Part::Below {
                name: "pause",
                parts: &[optional("where", ValueKind::OneOf(&PAUSED_PLACES))],
            },
            Part::Below {
                name: "resume",
                parts: &[optional("where", ValueKind::OneOf(&PAUSED_PLACES))],
            },
            Part::Below {
                name: "access",
                parts: &[
                    Part::Below { name: "show", parts: &[] },
                    Part::Below {
                        name: "give",
                        parts: &[
                            required("what", ValueKind::OneOf(&CAPABILITIES)),
                            required("role", ValueKind::Role),
                        ],
                    },
                    Part::Below {
                        name: "take",
                        parts: &[
                            required("what", ValueKind::OneOf(&CAPABILITIES)),
                            required("role", ValueKind::Role),
                        ],
                    },
                ],
            },
        ]),
        shown_to: Permissions::empty(),
        works_in_dm: false,
    },
    Declared {
        name: "privacy",
        shape: Shape::Typed(&[
            Part::Below { name: "export", parts: &[optional("where", ValueKind::OneOf(&SCOPES))] },
            Part::Below { name: "delete", parts: &[required("where", ValueKind::OneOf(&SCOPES))] },
            Part::Below { name: "opt-out", parts: &[optional("where", ValueKind::OneOf(&SCOPES))] },
            Part::Below { name: "opt-in", parts: &[optional("where", ValueKind::OneOf(&SCOPES))] },
        ]),
        shown_to: Permissions::empty(),
        works_in_dm: true,
    },
    Declared {
        name: "warn",
        shape: Shape::Typed(&[
            required("member", ValueKind::Person),
            optional("reason", ValueKind::Text { longest: 400 }),
            optional("notice", ValueKind::OneOf(&NOTICES)),
        ]),
        shown_to: Permissions::MODERATE_MEMBERS,
        works_in_dm: false,
    },
    Declared {
        name: "warn-person",
        shape: Shape::OnPerson,
        shown_to: Permissions::MODERATE_MEMBERS,
        works_in_dm: false,
    },
];

/// A key of the config.
const KEY: ValueKind = ValueKind::Completed { longest: 100 };

const fn required(name: &'static str, kind: ValueKind) -> Part {
    Part::Option(Wanted { name, kind, is_required: true })
}

const fn optional(name: &'static str, kind: ValueKind) -> Part {
    Part::Option(Wanted { name, kind, is_required: false })
}

/// Returns the list as Discord takes it.
pub(crate) fn bodies() -> Vec<Value> {
    COMMANDS.iter().map(Declared::body).collect()
}

/// Returns the entry of a menu that is called so.
pub(crate) fn called(name: &str) -> Option<&'static Declared> {
    COMMANDS.iter().find(|command| command.called(Language::English) == name)
}

/// Returns whether there is a command of this path, which takes values and has no commands below it.
pub(crate) fn has(path: &[&str]) -> bool {
    let [name, below @ ..] = path else { return false };
    let Some(command) = COMMANDS.iter().find(|command| command.name == *name) else { return false };
    let Shape::Typed(mut parts) = command.shape else { return below.is_empty() };
    for wanted in below {
        let found = parts.iter().find_map(|part| match part {
            Part::Below { name, parts } if name == wanted => Some(*parts),
            _ => None,
        });
        let Some(found) = found else { return false };
        parts = found;
    }
    !parts.iter().any(|part| matches!(part, Part::Below { .. }))
}

/// Returns a command by its name in the code.
#[cfg(test)]
pub(crate) fn find(name: &str) -> &'static Declared {
    COMMANDS.iter().find(|command| command.name == name).expect("there is such a command")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the rows of the table in `docs/commands.md`.
    fn rows() -> Vec<String> {
        let mut rows = Vec::new();
        for command in COMMANDS {
            let language = Language::English;
            let key = format!("command-{}", command.name);
            match command.shape {
                Shape::Typed(parts) => {
                    add(parts, &key, &format!("/{}", command.name), command, &mut rows);
                }
                Shape::OnPerson => {
                    let called = command.called(language);
                    rows.push(row(&format!("menu of a person: {called}"), command, ""));
                }
                Shape::OnMessage => {
                    let called = command.called(language);
                    rows.push(row(&format!("menu of a message: {called}"), command, ""));
                }
            }
        }
        rows
    }

    fn add(parts: &[Part], key: &str, path: &str, of: &Declared, rows: &mut Vec<String>) {
        let below = |part: &&Part| matches!(part, Part::Below { .. });
        if !parts.iter().any(|part| below(&part)) {
            let mut line = path.to_owned();
            for part in parts {
                if let Part::Option(Wanted { name, is_required, .. }) = part {
                    let option =
                        if *is_required { format!(" {name}") } else { format!(" [{name}]") };
                    line.push_str(&option);
                }
            }
            rows.push(row(&format!("`{line}`"), of, &Language::English.description(key)));
        }
        for part in parts {
            if let Part::Below { name, parts } = part {
                add(parts, &format!("{key}-{name}"), &format!("{path} {name}"), of, rows);
            }
        }
    }

    fn row(called: &str, of: &Declared, description: &str) -> String {
        let shown_to = match of.shown_to {
            none if none.is_empty() => "everybody",
            Permissions::MODERATE_MEMBERS => "Moderate members",
            other => panic!("say how {other:?} is called"),
        };
        let works_in_dm = if of.works_in_dm { "yes" } else { "no" };
        let row = format!("| {called} | {shown_to} | {works_in_dm} | {description} |");
        row.replace("|  |", "| |")
    }

    #[test]
    fn a_path_leads_to_a_command_or_there_is_none() {
        for path in
            [&["warn"][..], &["ery", "config", "set"], &["ery", "status"], &["report-message"]]
        {
            assert!(has(path), "{path:?}");
        }
        for path in [&[][..], &["ery"], &["ery", "config"], &["ery", "status", "x"], &["gone"]] {
            assert!(!has(path), "{path:?}");
        }
    }

    #[test]
    fn the_documents_table_is_what_is_declared() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");
        let document = std::fs::read_to_string(path).unwrap();
        let table: Vec<&str> =
            document.lines().filter(|line| line.starts_with('|')).skip(2).collect();
        assert_eq!(table, rows());
    }
}
