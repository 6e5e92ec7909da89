//! What one layer sets, flat by paths; and all that a home sets, as a file that people read and write.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::{
    keys::{self, InvalidConfig, LONGEST_PATH, in_line, keys},
    layer::Layer,
    mention::Mentioned,
    written::{Table, Written},
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
    #[error("this begins with `{{` and was read as JSON, which it is not: {0}")]
    Json(String),
    #[error("this was read as TOML, which it is not: {0}; what is JSON begins with `{{`")]
    Toml(String),
    #[error(
        "this is JSON, but {0}: it must be an object, such as {{\"gate\": {{\"engage\": \"listen\"}}}}, \
         or TOML"
    )]
    NotAnObject(&'static str),
    #[error("`{}` must be a table", in_line(.0, LONGEST_PATH))]
    NotATable(String),
    #[error("`{}` stands there twice", in_line(.0, LONGEST_PATH))]
    Twice(String),
    #[error(
        "`{}` is {date}: dates and times are no values here, so write it as a text, in quotes",
        in_line(.path, LONGEST_PATH)
    )]
    Date { path: String, date: String },
    #[error("`{}` is no {of}'s id, nor a mention of one", in_line(.path, LONGEST_PATH))]
    NotAnId { path: String, of: &'static str },
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
        let mut root = root_of(text)?;
        let mut layered = Layered::new();
        for (name, layer) in [("channels", Layer::Channel), ("users", Layer::User)] {
            let Some(tables) = root.take(name).map_err(DocumentError::Twice)? else { continue };
            let Written::Table(tables) = tables else {
                return Err(DocumentError::NotATable(name.to_owned()));
            };
            for (id, table) in tables.0 {
                let path = format!("{name}.{id}");
                let subject = Subject { layer, id: subject_id(layer, &path, &id)? };
                let Written::Table(table) = table else {
                    return Err(DocumentError::NotATable(path));
                };
                if layered.insert(subject, flat(table, layer)?).is_some() {
                    return Err(DocumentError::Twice(path));
                }
            }
        }
        layered.insert(Subject { layer: top, id: 0 }, flat(root, top)?);
        Ok(layered)
    }
}

/// Reads a file's outermost table: JSON begins with a brace.
fn root_of(text: &str) -> Result<Table, DocumentError> {
    let is_object = text.trim_start().starts_with('{');
    match serde_json::from_str(text) {
        Ok(Written::Table(root)) => return Ok(root),
        Ok(Written::Value(value)) => return Err(DocumentError::NotAnObject(kind_of(&value))),
        Err(error) if is_object => return Err(of_json(&error)),
        // What else JSON might be, TOML is not.
        Ok(Written::Date(_) | Written::NotFinite(_)) | Err(_) => {}
    }
    let root: toml::Table = toml::from_str(text).map_err(|error| of_toml(text, &error))?;
    Ok(Table::from(root))
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Reads for which channel or user something is set.
fn subject_id(layer: Layer, path: &str, written: &str) -> Result<u64, DocumentError> {
    let (wanted, of) = match layer {
        Layer::User => (Mentioned::Person, "member"),
        Layer::Global | Layer::Server | Layer::Channel => (Mentioned::Channel, "channel"),
    };
    let id = match Mentioned::read(written) {
        Some((mentioned, id)) => (mentioned == wanted).then_some(id),
        None => Some(written),
    };
    let id = id.and_then(|id| id.parse().ok()).filter(|id| *id > 0);
    id.ok_or_else(|| DocumentError::NotAnId { path: path.to_owned(), of })
}

/// How much of a parser's words is repeated: they may quote what somebody wrote.
const LONGEST_MISTAKE: usize = 200;

fn of_json(error: &serde_json::Error) -> DocumentError {
    DocumentError::Json(in_line(&error.to_string(), LONGEST_MISTAKE))
}

/// Says what is wrong and where, and not the whole line, which may be long.
fn of_toml(text: &str, error: &toml::de::Error) -> DocumentError {
    let mistake = in_line(error.message(), LONGEST_MISTAKE);
    let before = error.span().and_then(|span| text.get(..span.start));
    DocumentError::Toml(match before {
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
fn flat(root: Table, layer: Layer) -> Result<Document, DocumentError> {
    let mut document = Document::new();
    walk(root, "", layer, &mut document)?;
    Ok(document)
}

fn walk(
    table: Table,
    above: &str,
    layer: Layer,
    document: &mut Document,
) -> Result<(), DocumentError> {
    let mut names = BTreeSet::new();
    for (name, written) in table.0 {
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        if !names.insert(name) {
            return Err(DocumentError::Twice(path));
        }
        let value = match written {
            Written::Table(below) => {
                walk(below, &path, layer, document)?;
                continue;
            }
            Written::Date(date) => return Err(DocumentError::Date { path, date }),
            Written::NotFinite(value) => {
                let must = keys().find(&path)?.must();
                return Err(InvalidConfig::Value { path, value, must }.into());
            }
            Written::Value(value) => value,
        };
        let plain = keys().plain_path(&path).into_owned();
        let checked = keys().check(layer, &plain, &value)?;
        // One key may be spelled in several ways.
        if document.insert(plain, checked).is_some() {
            return Err(DocumentError::Twice(path));
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
        assert!(refused("[gate").starts_with("this was read as TOML, which it is not: "));
        assert!(
            refused("{").starts_with("this begins with `{` and was read as JSON, which it is not")
        );
        assert!(refused(" [1, 2]\n").starts_with("this is JSON, but a list: it must be an object"));
        assert!(refused("null").starts_with("this is JSON, but null: "));
        let odd = format!("[gate]\nnames = \"\u{1b}{}", "x".repeat(10_000));
        let said = refused(&odd);
        assert!(said.contains(" at line 2 column "), "{said}");
        let key = format!("\"\\u001b[2J{}\" = 1", "x".repeat(10_000));
        for said in [said, refused(&key), refused(&format!("[channels]\n{key}"))] {
            assert!(said.chars().count() < 300, "{}", said.len());
            assert!(!said.chars().any(char::is_control), "{said:?}");
        }
        assert_eq!(refused("channels = 1"), "`channels` must be a table");
        assert_eq!(
            refused("[channels.x]"),
            "`channels.x` is no channel's id, nor a mention of one"
        );
        assert_eq!(
            refused("[users.\"<#5>\"]"),
            "`users.<#5>` is no member's id, nor a mention of one"
        );
        assert_eq!(
            refused("[users.5.gate]\nengage = \"off\""),
            "`gate.engage` cannot be set for user, only for global, server, channel"
        );
        assert_eq!(refused("gate = 1"), "there is no `gate`; did you mean `gate.names`?",);
        assert_eq!(
            refused("[answers]\ninstructions = 1979-05-27"),
            "`answers.instructions` is 1979-05-27: dates and times are no values here, so write it as \
             a text, in quotes"
        );
        assert_eq!(
            refused("budgets.server.day_usd = nan"),
            "`budgets.server.day_usd` is nan, but must be an amount in dollars such as 2.50 from 0 to \
             1000000"
        );
    }

    #[test]
    fn what_stands_in_a_file_twice_is_refused() {
        for (file, path) in [
            (r#"{"gate": {"engage": "off", "engage": "listen"}}"#, "gate.engage"),
            (r#"{"gate": {"engage": "off"}, "gate": {"answer_bots": true}}"#, "gate"),
            (r#"{"gate": {"engage": "off"}, "gate.engage": "listen"}"#, "gate.engage"),
            (r#"{"channels": {}, "channels": {}}"#, "channels"),
            (r#"{"channels": {"7": {}, "<#7>": {}}}"#, "channels.<#7>"),
            (r#"{"gate": {"roles": {"7": "off", "<@&7>": "listen"}}}"#, "gate.roles.<@&7>"),
            ("gate.engage = \"off\"\n\"gate.engage\" = \"listen\"", "gate.engage"),
        ] {
            let refused = File::read(file, Layer::Server).unwrap_err().to_string();
            assert_eq!(refused, format!("`{path}` stands there twice"), "{file}");
        }
    }

    #[test]
    fn a_file_may_mention_what_it_names_and_nothing_of_another_kind() {
        let plain = r#"
access.moderator = ["20", "3"]
moderation.reports_channel = "9"
[channels.9.gate]
engage = "off"
[channels.9.gate.roles]
7 = "listen"
[users.5.answers]
language = "de"
"#;
        let mentioning = r#"
access.moderator = ["<@&3>", "<@&20>"]
moderation.reports_channel = "<#9>"
[channels."<#9>".gate]
engage = "off"
[channels."<#9>".gate.roles]
"<@&7>" = "listen"
[users."<@!5>".answers]
language = "de"
"#;
        let read = |file: &str| File::read(file, Layer::Server);
        assert_eq!(read(mentioning).unwrap(), read(plain).unwrap());
        for (file, refused) in [
            (
                "access.moderator = [\"<@&3>\", \"<#9>\"]",
                "`access.moderator` names <#9>, a channel, but must name a role",
            ),
            (
                "moderation.reports_channel = \"<@5>\"",
                "`moderation.reports_channel` names <@5>, a person, but must name a channel",
            ),
            (
                "gate.roles.\"<@5>\" = \"off\"",
                "`gate.roles.<@5>` names <@5>, a person, but must name a role",
            ),
        ] {
            assert_eq!(read(file).unwrap_err().to_string(), refused, "{file}");
        }
    }
}
