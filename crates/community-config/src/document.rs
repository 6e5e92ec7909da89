//! What one layer sets, flat by paths; and all that a home sets, as a file that people read and write.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    keys::{self, InvalidConfig, LONGEST_PATH, in_line, keys},
    layer::Layer,
};

/// What is set in one place: `gate.engage` → `"listen"`.
pub type Document = BTreeMap<String, Value>;

/// One place where something is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    pub layer: Layer,
    /// The channel or the user; 0 for the installation and the server.
    pub id: u64,
}

impl Subject {
    pub const GLOBAL: Self = Self { layer: Layer::Global, id: 0 };
    pub const SERVER: Self = Self { layer: Layer::Server, id: 0 };

    pub fn channel(id: u64) -> Self {
        Self { layer: Layer::Channel, id }
    }

    pub fn user(id: u64) -> Self {
        Self { layer: Layer::User, id }
    }
}

/// What is set in several places.
pub type Layered = BTreeMap<Subject, Document>;

/// A file of config that cannot be taken.
#[derive(Debug, Error)]
pub enum DocumentError {
    #[error("this is neither TOML nor JSON: {0}")]
    Syntax(String),
    #[error("`{}` must be a table", in_line(.0, LONGEST_PATH))]
    NotATable(String),
    #[error("`{}` is no id of a channel or of a user", in_line(.path, LONGEST_PATH))]
    NotAnId { path: String },
    #[error(transparent)]
    Invalid(#[from] InvalidConfig),
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum File {
    Toml,
    Json,
}

impl File {
    /// Writes what is set: the installation's or the server's own keys at the top, channels below
    /// `channels.<id>`, members below `users.<id>`.
    pub fn write(self, layered: &Layered) -> String {
        let mut root = Map::new();
        for (subject, document) in layered.iter().filter(|(_, document)| !document.is_empty()) {
            match subject.layer {
                Layer::Global | Layer::Server => root.extend(nested(document)),
                Layer::Channel => below(&mut root, "channels", subject.id, document),
                Layer::User => below(&mut root, "users", subject.id, document),
            }
        }
        match self {
            Self::Json => {
                let mut text = serde_json::to_string_pretty(&root).unwrap_or_default();
                text.push('\n');
                text
            }
            Self::Toml => toml::to_string_pretty(&root).unwrap_or_default(),
        }
    }

    /// Reads a file, whose own keys are those of `top`.
    ///
    /// # Errors
    ///
    /// Says what is wrong where.
    pub fn read(text: &str, top: Layer) -> Result<Layered, DocumentError> {
        let mut root: Map<String, Value> = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| of_json(&error))?
        } else {
            toml::from_str(text).map_err(|error| of_toml(text, &error))?
        };
        let mut layered = Layered::new();
        for (name, layer) in [("channels", Layer::Channel), ("users", Layer::User)] {
            let Some(tables) = root.remove(name) else { continue };
            let Value::Object(tables) = tables else {
                return Err(DocumentError::NotATable(name.to_owned()));
            };
            for (id, table) in tables {
                let path = format!("{name}.{id}");
                let id = id.parse().ok().filter(|id| *id > 0);
                let id = id.ok_or_else(|| DocumentError::NotAnId { path: path.clone() })?;
                let Value::Object(table) = table else {
                    return Err(DocumentError::NotATable(path));
                };
                layered.insert(Subject { layer, id }, flat(&table, layer)?);
            }
        }
        layered.insert(Subject { layer: top, id: 0 }, flat(&root, top)?);
        Ok(layered)
    }
}

/// How much of a parser's words is repeated: they may quote what somebody wrote.
const LONGEST_MISTAKE: usize = 200;

fn of_json(error: &serde_json::Error) -> DocumentError {
    DocumentError::Syntax(in_line(&error.to_string(), LONGEST_MISTAKE))
}

/// Says what is wrong and where, and not the whole line, which may be long.
fn of_toml(text: &str, error: &toml::de::Error) -> DocumentError {
    let mistake = in_line(error.message(), LONGEST_MISTAKE);
    let before = error.span().and_then(|span| text.get(..span.start));
    DocumentError::Syntax(match before {
        Some(before) => {
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            format!("{mistake} at line {line} column {column}")
        }
        None => mistake,
    })
}

fn below(root: &mut Map<String, Value>, name: &str, id: u64, document: &Document) {
    let tables = root.entry(name).or_insert_with(|| Value::Object(Map::new()));
    if let Value::Object(tables) = tables {
        tables.insert(id.to_string(), Value::Object(nested(document)));
    }
}

/// Returns a document as nested tables.
pub(crate) fn nested(document: &Document) -> Map<String, Value> {
    let mut root = Map::new();
    for (path, value) in document {
        keys::put(&mut root, path, value.clone());
    }
    root
}

/// Returns nested tables as a document, each value checked.
pub(crate) fn flat(root: &Map<String, Value>, layer: Layer) -> Result<Document, DocumentError> {
    let mut document = Document::new();
    walk(root, "", layer, &mut document)?;
    Ok(document)
}

fn walk(
    table: &Map<String, Value>,
    above: &str,
    layer: Layer,
    document: &mut Document,
) -> Result<(), DocumentError> {
    for (name, value) in table {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Object(below) => walk(below, &path, layer, document)?,
            value => {
                let checked = keys().check(layer, &path, value)?;
                document.insert(path, checked);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = r#"
[gate]
engage = "listen"
member_cooldown = "10s"

[tools.policy]
ban_member = "ask"

[channels.42.gate]
engage = "every_message"
roles = { 7 = "off" }

[users.5.answers]
language = "de"
"#;

    #[test]
    fn a_file_reads_back_as_it_was_written_in_both_spellings() {
        let layered = File::read(FILE, Layer::Server).unwrap();
        assert_eq!(layered[&Subject::SERVER]["tools.policy.ban_member"], json!("ask"));
        assert_eq!(layered[&Subject::channel(42)]["gate.roles.7"], json!("off"));
        assert_eq!(layered[&Subject::user(5)]["answers.language"], json!("de"));
        for file in [File::Toml, File::Json] {
            let written = file.write(&layered);
            assert_eq!(File::read(&written, Layer::Server).unwrap(), layered, "{written}");
        }
    }

    #[test]
    fn what_is_wrong_in_a_file_is_named() {
        let refused = |text: &str| File::read(text, Layer::Server).unwrap_err().to_string();
        assert!(refused("[gate").starts_with("this is neither TOML nor JSON"));
        assert!(refused("{").starts_with("this is neither TOML nor JSON"));
        let odd = format!("[gate]\nnames = \"\u{1b}{}", "x".repeat(10_000));
        let said = refused(&odd);
        assert!(said.contains(" at line 2 column "), "{said}");
        let key = format!("\"\\u001b[2J{}\" = 1", "x".repeat(10_000));
        for said in [said, refused(&key), refused(&format!("[channels]\n{key}"))] {
            assert!(said.chars().count() < 300, "{}", said.len());
            assert!(!said.chars().any(char::is_control), "{said:?}");
        }
        assert_eq!(refused("channels = 1"), "`channels` must be a table");
        assert_eq!(refused("[channels.x]"), "`channels.x` is no id of a channel or of a user");
        assert_eq!(
            refused("[users.5.gate]\nengage = \"off\""),
            "`gate.engage` cannot be set for user, only for global, server, channel"
        );
        assert_eq!(refused("gate = 1"), "there is no `gate`; did you mean `gate.names`?",);
    }
}
