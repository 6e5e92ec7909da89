//! The keys, read from the schema that the types give: what may be set where, and what a value must be.

use std::{borrow::Cow, collections::BTreeMap, fmt, sync::LazyLock};

use jsonschema::Validator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::{
    config::{Config, Span},
    layer::Layer,
    mention::Mentioned,
    must::{self, Must},
};

/// The tools that a rule may name.
pub const TOOLS: [&str; 23] = [
    "add_reaction",
    "ban_member",
    "create_invite",
    "create_thread",
    "delete_message",
    "edit_message",
    "fetch_messages",
    "get_audit_logs",
    "get_channel_info",
    "get_member_info",
    "get_server_info",
    "kick_member",
    "manage_channels",
    "manage_permissions",
    "manage_roles",
    "pin_message",
    "remove_reaction",
    "schedule_action",
    "search_messages",
    "send_dm",
    "send_message",
    "timeout_member",
    "warn_member",
];

/// How what is set below meets what is set above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Combine {
    /// What is set below replaces it.
    #[default]
    Replace,
    /// The strictest counts: the least number or time; of yes and no, yes.
    Strictest,
    /// What the operator sets replaces what stands above; below that, the strictest counts.
    Ceiling,
    /// What is set below replaces it, unless somebody has set it to `off`, or to no.
    OffStays,
    /// Texts are told one behind the other.
    Joined,
}

/// What an id in a value is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    Role,
    Channel,
}

/// Something that can be set.
#[derive(Debug)]
pub struct Key {
    /// `gate.engage`; for one entry of a table `tools.policy.*`.
    pub path: String,
    /// What it means.
    pub about: String,
    pub layers: Vec<Layer>,
    pub combine: Combine,
    /// What names an entry: `role` or `tool`; none where the key is no entry of a table.
    pub entries: Option<String>,
    schema: Value,
    validator: Validator,
}

/// A value that cannot be set.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidConfig {
    #[error("there is no `{}`{}", in_line(.path, LONGEST_PATH), suggested(.suggestion.as_deref()))]
    Unknown { path: String, suggestion: Option<String> },
    #[error("`{path}` is {value}, but must be {must}")]
    Value { path: String, value: String, must: Must },
    #[error("`{path}` cannot be set for {layer}, only for {}", listed(.allowed))]
    Layer { path: String, layer: Layer, allowed: Vec<Layer> },
    #[error(
        "`{}` names {}, {of}, but must name {}",
        in_line(.path, LONGEST_PATH), in_line(.mention, LONGEST_PATH), Mentioned::from(*.wanted)
    )]
    OtherKind { path: String, mention: String, of: Mentioned, wanted: Named },
    #[error("`{path}` cannot name @everyone: Discord lists that role for nobody")]
    Everyone { path: String },
    #[error("`{path}` is {id}, but must be a role of this server, which has none of that id")]
    NoSuchRole { path: String, id: u64 },
    #[error(
        "`{path}` is {id}, but must be a channel of this server, which has none of that id that Ery \
         can see"
    )]
    NoSuchChannel { path: String, id: u64 },
    #[error(
        "`{path}` is {id}, but must be a channel in which messages are written, not a category or a \
         forum"
    )]
    HoldsNoMessages { path: String, id: u64 },
}

fn listed(layers: &[Layer]) -> String {
    layers.iter().map(|layer| layer.as_str()).collect::<Vec<_>>().join(", ")
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |path| format!("; did you mean `{path}`?"))
}

/// All keys.
#[derive(Debug)]
pub struct Keys {
    fixed: BTreeMap<String, Key>,
    /// Tables, by the path in front of an entry's name.
    tables: BTreeMap<String, Key>,
}

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<Config>().to_value();
    closed(&mut schema);
    schema
});

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let mut keys = Keys { fixed: BTreeMap::new(), tables: BTreeMap::new() };
    keys.add("", &SCHEMA);
    keys
});

/// Returns the JSON Schema of everything that can be set.
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// Returns all keys.
pub fn keys() -> &'static Keys {
    &KEYS
}

/// Says of every object which properties it may have.
fn closed(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(Value::Object(properties)) = object.get_mut("properties") {
        properties.values_mut().for_each(closed);
        object.insert("additionalProperties".to_owned(), false.into());
    }
    match object.get("x-entries").and_then(Value::as_str) {
        Some("tool") => object.insert("propertyNames".to_owned(), json!({ "enum": TOOLS })),
        Some(_) => object.insert("propertyNames".to_owned(), json!({ "pattern": ID_PATTERN })),
        None => None,
    };
}

const ID_PATTERN: &str = "^[1-9][0-9]{0,19}$";

impl Keys {
    fn add(&mut self, path: &str, schema: &Value) {
        let Some(properties) = schema["properties"].as_object() else { return };
        for (name, schema) in properties {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            if schema.get("x-layers").is_none() {
                self.add(&path, schema);
            } else if let Some(entries) = schema["x-entries"].as_str() {
                let key = Key::new(format!("{path}.*"), schema, entry(schema), Some(entries));
                self.tables.insert(path, key);
            } else {
                self.fixed.insert(path.clone(), Key::new(path, schema, schema.clone(), None));
            }
        }
    }

    /// Returns every key, tables as `path.*`.
    pub fn all(&self) -> impl Iterator<Item = &Key> {
        self.fixed.values().chain(self.tables.values())
    }

    /// Returns a path as it is kept: a role that names an entry may be a mention, as in
    /// `gate.roles.<@&7>`.
    pub fn plain_path<'a>(&self, path: &'a str) -> Cow<'a, str> {
        let Some((table, name)) = path.rsplit_once('.') else { return path.into() };
        let is_of_a_role = self.tables.get(table).is_some_and(Key::is_of_a_role);
        match Mentioned::read(name) {
            Some((Mentioned::Role, id)) if is_of_a_role => format!("{table}.{id}").into(),
            _ => path.into(),
        }
    }

    /// Returns the key of a path.
    ///
    /// # Errors
    ///
    /// If there is none: with the one that may have been meant.
    pub fn find(&self, path: &str) -> Result<&Key, InvalidConfig> {
        if let Some(key) = self.fixed.get(path) {
            return Ok(key);
        }
        if let Some((table, name)) = path.rsplit_once('.')
            && let Some(key) = self.tables.get(table)
        {
            return key.check_entry(path, name).map(|()| key);
        }
        Err(InvalidConfig::Unknown { path: path.to_owned(), suggestion: self.nearest(path) })
    }

    /// Returns whether `path` is a table, whose entries are set one by one.
    pub(crate) fn is_table(&self, path: &str) -> bool {
        self.tables.contains_key(path)
    }

    fn nearest(&self, path: &str) -> Option<String> {
        let near = |key: &Key| {
            let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
            strsim::jaro_winkler(&key.path, path).max(strsim::jaro_winkler(&last(&key.path), path))
        };
        let nearest = self.all().max_by(|a, b| near(a).total_cmp(&near(b)))?;
        (near(nearest) > 0.8).then(|| nearest.path.clone())
    }

    /// Checks a value, and that it may be set there; returns it as it is kept.
    ///
    /// # Errors
    ///
    /// Names the path, the value and the bound.
    pub fn check(&self, layer: Layer, path: &str, value: &Value) -> Result<Value, InvalidConfig> {
        let key = self.find(path)?;
        key.check_layer(layer, path)?;
        key.check_value(path, value)
    }

    /// Checks that a value can mean something in a home: none is about everybody's role.
    ///
    /// # Errors
    ///
    /// Names the path.
    pub fn check_roles(&self, home: u64, path: &str, value: &Value) -> Result<(), InvalidConfig> {
        if home != 0 && self.find(path)?.is_about_everyone(path, value, home) {
            return Err(InvalidConfig::Everyone { path: path.to_owned() });
        }
        Ok(())
    }
}

/// Returns whether a config can be read that sets this alone.
fn is_readable(path: &str, value: &Value) -> bool {
    let mut root = Map::new();
    put(&mut root, path, value.clone());
    serde_json::from_value::<Config>(Value::Object(root)).is_ok()
}

/// Returns the schema of one entry of a table.
fn entry(schema: &Value) -> Value {
    match &schema["additionalProperties"] {
        entry @ Value::Object(_) => entry.clone(),
        _ => schema["patternProperties"]
            .as_object()
            .and_then(|patterns| patterns.values().next())
            .cloned()
            .unwrap_or_default(),
    }
}

impl Key {
    fn new(path: String, field: &Value, schema: Value, entries: Option<&str>) -> Self {
        let words = |of: &Value| {
            let words = of.as_array().into_iter().flatten().filter_map(Value::as_str);
            words.map(str::to_owned).collect::<Vec<_>>()
        };
        let layers =
            words(&field["x-layers"]).iter().filter_map(|word| Layer::parse(word)).collect();
        let combine = match field["x-combine"].as_str() {
            Some("strictest") => Combine::Strictest,
            Some("ceiling") => Combine::Ceiling,
            Some("off_stays") => Combine::OffStays,
            Some("joined") => Combine::Joined,
            _ => Combine::Replace,
        };
        let about = field["description"].as_str().unwrap_or_default();
        Self {
            about: about.split_whitespace().collect::<Vec<_>>().join(" "),
            layers,
            combine,
            entries: entries.map(str::to_owned),
            validator: jsonschema::validator_for(&schema).expect("the types give a sound schema"),
            schema,
            path,
        }
    }

    /// Returns what a value must be.
    pub fn must(&self) -> Must {
        Must::of(&self.schema)
    }

    /// Returns the words that a value may be, where it is one of a few.
    pub fn words(&self) -> Vec<&str> {
        if self.schema["type"] == "boolean" {
            return vec!["true", "false"];
        }
        must::words(&self.schema)
    }

    /// Returns what its values name, if they are ids.
    pub fn names(&self) -> Option<Named> {
        named(&self.schema).or_else(|| named(&self.schema["items"]))
    }

    /// Returns whether each entry is of a role, by its id.
    pub fn is_of_a_role(&self) -> bool {
        self.entries.as_deref() == Some("role")
    }

    /// Checks that it may be set there.
    ///
    /// # Errors
    ///
    /// Names the layers where it may.
    pub fn check_layer(&self, layer: Layer, path: &str) -> Result<(), InvalidConfig> {
        if self.layers.contains(&layer) {
            return Ok(());
        }
        let allowed = self.layers.clone();
        Err(InvalidConfig::Layer { path: path.to_owned(), layer, allowed })
    }

    fn check_entry(&self, path: &str, name: &str) -> Result<(), InvalidConfig> {
        let is_tool = self.entries.as_deref() == Some("tool");
        let is_there = if is_tool {
            TOOLS.contains(&name)
        } else {
            name.parse::<u64>().is_ok_and(|id| id > 0) && !name.starts_with(['0', '+'])
        };
        if is_there {
            return Ok(());
        }
        if self.is_of_a_role()
            && let Some((of, _)) = Mentioned::read(name)
            && of != Mentioned::Role
        {
            return Err(other_kind(path, name, of, Named::Role));
        }
        let stem = path.strip_suffix(name).unwrap_or_default();
        let nearest = TOOLS
            .into_iter()
            .max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name)));
        let suggestion = nearest.filter(|_| is_tool).map(|tool| format!("{stem}{tool}"));
        Err(InvalidConfig::Unknown { path: path.to_owned(), suggestion })
    }

    /// Checks a value by itself; returns it as it is kept: times in one spelling, ids sorted, whole
    /// numbers without a point.
    pub(crate) fn check_value(&self, path: &str, value: &Value) -> Result<Value, InvalidConfig> {
        let plain = self.without_mentions(path, value)?;
        let kept = self.validator.is_valid(&plain).then(|| self.kept(&plain)).flatten();
        // The schema and the types must not differ: what cannot be read would stop the whole layer.
        kept.filter(|kept| is_readable(path, kept)).ok_or_else(|| InvalidConfig::Value {
            path: path.to_owned(),
            value: shown(value),
            must: self.must(),
        })
    }

    /// Returns a value with the ids of what it mentions in place of the mentions.
    fn without_mentions<'a>(
        &self,
        path: &str,
        value: &'a Value,
    ) -> Result<Cow<'a, Value>, InvalidConfig> {
        let Some(wanted) = self.names() else { return Ok(Cow::Borrowed(value)) };
        let plain = |item: &Value| match item.as_str().and_then(Mentioned::read) {
            Some((of, id)) if of == Mentioned::from(wanted) => Ok(id.into()),
            Some((of, _)) => Err(other_kind(path, item.as_str().unwrap_or_default(), of, wanted)),
            None => Ok(item.clone()),
        };
        Ok(Cow::Owned(match value {
            Value::Array(items) => items.iter().map(plain).collect::<Result<_, _>>()?,
            value => plain(value)?,
        }))
    }

    /// Returns a value of the right shape as it is kept; none if it is outside its bounds.
    fn kept(&self, value: &Value) -> Option<Value> {
        if self.is_time() {
            let span = value.as_str().and_then(Span::parse)?;
            let bound = |name: &str| self.schema[name].as_str().and_then(Span::parse);
            let is_within = bound("x-least").is_none_or(|least| span >= least)
                && bound("x-most").is_none_or(|most| span <= most);
            return is_within.then(|| span.to_string().into());
        }
        let ids = match value {
            // By JSON Schema `3.0` and `3e0` are whole numbers, too.
            Value::Number(number) if number.is_f64() && self.schema["type"] == "integer" => {
                return number.as_f64()?.to_string().parse::<u64>().ok().map(Value::from);
            }
            Value::String(id) if is_id(&self.schema) => vec![id],
            Value::Array(ids) if is_id(&self.schema["items"]) => ids
                .iter()
                .filter_map(|id| if let Value::String(id) = id { Some(id) } else { None })
                .collect(),
            _ => return Some(value.clone()),
        };
        let mut ids: Vec<u64> = ids.into_iter().map(|id| id.parse().ok()).collect::<Option<_>>()?;
        ids.sort_unstable();
        ids.dedup();
        Some(match value {
            Value::Array(_) => ids.iter().map(u64::to_string).collect(),
            _ => value.clone(),
        })
    }

    /// Returns whether a value is about the role @everyone, whose id is the server's. Discord lists
    /// it for nobody, so that nothing would come of it.
    fn is_about_everyone(&self, path: &str, value: &Value, home: u64) -> bool {
        let everyone = home.to_string();
        let names = |value: &Value| value.as_str() == Some(everyone.as_str());
        let is_entry = self.is_of_a_role() && path.rsplit('.').next() == Some(everyone.as_str());
        let names_roles = self.names() == Some(Named::Role);
        is_entry || names_roles && value.as_array().is_some_and(|roles| roles.iter().any(names))
    }

    pub(crate) fn is_time(&self) -> bool {
        self.schema["format"] == "duration"
    }

    /// Reads a value that somebody typed: `true`, `12`, `90s`, a word, a text, or several of them
    /// with commas between; roles and channels may be mentions.
    ///
    /// # Errors
    ///
    /// Names the path, the value and the bound.
    pub fn parse(&self, path: &str, typed: &str) -> Result<Value, InvalidConfig> {
        let typed = typed.trim();
        let value = match self.schema["type"].as_str() {
            Some("array") => {
                let items = typed.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| scalar(&self.schema["items"], item)).collect()
            }
            _ => scalar(&self.schema, typed),
        };
        self.check_value(path, &value)
    }
}

fn scalar(schema: &Value, typed: &str) -> Value {
    match schema["type"].as_str() {
        Some("boolean") => match typed.to_lowercase().as_str() {
            "true" | "yes" | "on" | "ja" | "an" => true.into(),
            "false" | "no" | "off" | "nein" | "aus" => false.into(),
            _ => typed.into(),
        },
        Some("integer") => {
            typed.replace(['_', ' '], "").parse::<u64>().map_or_else(|_| typed.into(), Into::into)
        }
        Some("number") => {
            let number = typed.trim_start_matches('$').trim().parse::<f64>();
            // What is no number in JSON is told as it was typed.
            number.ok().filter(|it| it.is_finite()).map_or_else(|| typed.into(), Into::into)
        }
        _ => typed.into(),
    }
}

fn other_kind(path: &str, mention: &str, of: Mentioned, wanted: Named) -> InvalidConfig {
    let (path, mention) = (path.to_owned(), mention.to_owned());
    InvalidConfig::OtherKind { path, mention, of, wanted }
}

/// Returns what an id of this schema is of.
pub(crate) fn named(schema: &Value) -> Option<Named> {
    match schema["x-names"].as_str()? {
        "role" => Some(Named::Role),
        "channel" => Some(Named::Channel),
        _ => None,
    }
}

fn is_id(schema: &Value) -> bool {
    schema["format"] == "discord-id"
}

/// Shows a value in an error: short, on one line.
pub(crate) fn shown(value: &Value) -> String {
    in_line(&value.to_string(), 80)
}

/// How much of a key is shown that somebody wrote.
pub(crate) const LONGEST_PATH: usize = 120;

/// Writes what somebody wrote in a line of so many characters at most; what would move the cursor of a
/// terminal, or turn the line around, is seen as what it is.
pub(crate) fn in_line(text: &str, longest: usize) -> String {
    let is_odd = |it: char| {
        it.is_control() || matches!(it, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let (mut line, mut room) = (String::new(), longest);
    for character in text.chars() {
        let shown = match character {
            '\n' | '\r' | '\t' => " ".to_owned(),
            odd if is_odd(odd) => odd.escape_unicode().to_string(),
            plain => plain.to_string(),
        };
        let size = shown.chars().count();
        if size > room {
            line.pop();
            line.push('…');
            break;
        }
        room -= size;
        line.push_str(&shown);
    }
    line
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)
    }
}

/// Puts a value at a path of nested tables.
pub(crate) fn put(root: &mut Map<String, Value>, path: &str, value: Value) {
    let mut table = root;
    let keys = keys();
    // An entry's name may not be split, and what stands before it is split at its dots.
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    debug_assert!(!keys.is_table(path), "a table is set entry by entry");
    for parent in parents.split('.').filter(|parent| !parent.is_empty()) {
        let below = table.entry(parent).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(below) = below else { return };
        table = below;
    }
    table.insert(last.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::document::{Document, File, Layered, Subject};

    #[test]
    fn what_somebody_wrote_is_said_on_one_line_and_cannot_leave_it() {
        assert_eq!(in_line("plain ü", 80), "plain ü");
        assert_eq!(in_line("two\nlines\u{1b}[2J", 80), "two lines\\u{1b}[2J");
        assert_eq!(in_line("\u{202e}x", 80), "\\u{202e}x");
        assert_eq!(in_line(&"x".repeat(80), 80), "x".repeat(80));
        let cut = in_line(&"x".repeat(81), 80);
        assert_eq!((cut.chars().count(), cut.ends_with('…')), (80, true));
    }

    #[test]
    fn every_key_says_what_it_is_and_where_it_is_set() {
        for key in keys().all() {
            assert!(!key.about.is_empty() && !key.layers.is_empty(), "{key:?}");
            assert!(!key.must().to_string().is_empty(), "{key:?}");
        }
        let paths: Vec<&str> = keys().all().map(|key| key.path.as_str()).collect();
        for path in ["paused", "gate.engage", "gate.roles.*", "tools.policy.*", "access.moderator"]
        {
            assert!(paths.contains(&path), "{path} is not in {paths:?}");
        }
    }

    #[test]
    fn the_documents_table_is_the_schema() {
        let rows: Vec<String> = keys()
            .all()
            .map(|key| {
                let layers: Vec<_> = key.layers.iter().map(|layer| layer.as_str()).collect();
                let how = match key.combine {
                    Combine::Replace => "",
                    Combine::Strictest => " (strictest)",
                    Combine::Ceiling => " (ceiling)",
                    Combine::OffStays => " (off stays)",
                    Combine::Joined => " (joined)",
                };
                let must = key.must().to_string().replace('|', "\\|");
                format!("| `{}` | {}{how} | {must} | {} |", key.path, layers.join(", "), key.about)
            })
            .collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
        let document = std::fs::read_to_string(path).unwrap();
        let keys = document.split("## Keys").nth(1).and_then(|rest| rest.split("## ").next());
        let lines = keys.unwrap_or_default().lines().filter(|line| line.starts_with("| `"));
        assert_eq!(lines.collect::<Vec<_>>(), rows, "\n{}", rows.join("\n"));
    }

    #[test]
    fn a_value_is_refused_with_path_value_and_bound() {
        let refused = |layer, path: &str, value: Value| {
            keys().check(layer, path, &value).unwrap_err().to_string()
        };
        for (layer, path, value, expected) in [
            (
                Layer::Server,
                "context.messages",
                json!(300),
                "`context.messages` is 300, but must be a whole number from 0 to 200",
            ),
            (
                Layer::Server,
                "gate.engage",
                json!("always"),
                "`gate.engage` is \"always\", but must be one of off, listen, addressed, every_message",
            ),
            (
                Layer::Server,
                "gate.member_cooldown",
                json!("2h"),
                "`gate.member_cooldown` is \"2h\", but must be a time such as 90s of at most 1h",
            ),
            (
                Layer::Server,
                "gate.member_cooldown",
                json!("soon"),
                "`gate.member_cooldown` is \"soon\", but must be a time such as 90s of at most 1h",
            ),
            (
                Layer::Channel,
                "tools.policy.ban_member",
                json!("ask"),
                "`tools.policy.ban_member` cannot be set for channel, only for global, server",
            ),
            (
                Layer::Server,
                "gate.engaged",
                json!("off"),
                "there is no `gate.engaged`; did you mean `gate.engage`?",
            ),
            (
                Layer::Server,
                "tools.policy.ban_membr",
                json!("off"),
                "there is no `tools.policy.ban_membr`; did you mean `tools.policy.ban_member`?",
            ),
            (Layer::Server, "gate.roles.x", json!("off"), "there is no `gate.roles.x`"),
            (
                Layer::Server,
                "access.moderator",
                json!(["1", "x"]),
                "`access.moderator` is [\"1\",\"x\"], but must be a list of at most 50, each a role, by \
                 its id or a mention",
            ),
            (
                Layer::Server,
                "access.moderator",
                json!(["99999999999999999999"]),
                "`access.moderator` is [\"99999999999999999999\"], but must be a list of at most 50, \
                 each a role, by its id or a mention",
            ),
        ] {
            assert_eq!(refused(layer, path, value), expected);
        }
    }

    #[test]
    fn a_whole_number_is_kept_as_one_however_it_is_written() {
        let kept = |path: &str, value: Value| keys().check(Layer::Server, path, &value);
        assert_eq!(kept("limits.steps", json!(3.0)), Ok(json!(3)));
        assert_eq!(kept("limits.tokens", json!(5e4)), Ok(json!(50_000)));
        assert_eq!(
            kept("budgets.server.day_tokens", json!(1e12)),
            Ok(json!(1_000_000_000_000_u64))
        );
        assert_eq!(kept("budgets.server.day_usd", json!(2.5)), Ok(json!(2.5)));
        for value in [json!(3.5), json!(0.0), json!(-3.0), json!(1e300)] {
            assert!(kept("limits.steps", value.clone()).is_err(), "{value}");
        }
    }

    #[test]
    fn a_role_that_names_an_entry_may_be_mentioned() {
        let plain = |path| keys().plain_path(path).into_owned();
        assert_eq!(plain("gate.roles.<@&20>"), "gate.roles.20");
        for path in ["gate.roles.<@20>", "gate.roles.20", "tools.policy.<@&20>", "<@&20>", "paused"]
        {
            assert_eq!(plain(path), path);
        }
        let refused = keys().find("gate.roles.<#20>").unwrap_err();
        let said = "`gate.roles.<#20>` names <#20>, a channel, but must name a role";
        assert_eq!(refused.to_string(), said);
    }

    #[test]
    fn nothing_is_said_of_everybodys_role() {
        let check = |path: &str, value: Value| keys().check_roles(7, path, &value);
        let everyone = |path: &str| Err(InvalidConfig::Everyone { path: path.to_owned() });
        assert_eq!(check("access.moderator", json!(["3", "7"])), everyone("access.moderator"));
        assert_eq!(check("access.moderator", json!(["3", "77"])), Ok(()));
        assert_eq!(check("gate.roles.7", json!("off")), everyone("gate.roles.7"));
        assert_eq!(check("gate.roles.8", json!("off")), Ok(()));
        assert_eq!(check("moderation.reports_channel", json!("7")), Ok(()));
    }

    /// Values as they come from files: near and past every bound, in every spelling of a number.
    fn values() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            any::<u64>().prop_map(Value::from),
            (0_u64..1_000).prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (0_u32..2_000).prop_map(|number| json!(f64::from(number))),
            (0_i32..14).prop_map(|power| json!(10_f64.powi(power))),
            (-1e13..1e13_f64).prop_map(|number| json!(number)),
            (0_u32..100_000).prop_map(|cents| json!(f64::from(cents) / 100.0)),
            Just(json!(-0.0)),
        ];
        let text = prop_oneof![
            "[1-9][0-9]{0,20}",
            "[0-9]{1,3}(ms|s|m|h|days)",
            "[a-z]{1,8}",
            Just("off".to_owned()),
            Just("allow".to_owned()),
            Just("de".to_owned()),
            Just(String::new()),
        ];
        let text = text.prop_map(Value::from);
        prop_oneof![
            4 => number.clone(),
            4 => text.clone(),
            1 => any::<bool>().prop_map(Value::from),
            2 => proptest::collection::vec(prop_oneof![number, text], 0..4).prop_map(Value::from),
            1 => Just(Value::Null),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn whatever_is_accepted_can_be_read_and_is_kept_as_it_is(
            value in values(),
            index in any::<proptest::sample::Index>(),
        ) {
            let all: Vec<&Key> = keys().all().collect();
            let key = all[index.index(all.len())];
            let entry = if key.entries.as_deref() == Some("tool") { "send_dm" } else { "20" };
            let path = key.path.replace('*', entry);
            let layer = key.layers[0];
            if let Ok(kept) = keys().check(layer, &path, &value) {
                prop_assert!(is_readable(&path, &kept), "{path} {value} {kept}");
                prop_assert_eq!(keys().check(layer, &path, &kept), Ok(kept.clone()));
                let set = Layered::from([(
                    Subject { layer, id: 0 },
                    Document::from([(path.clone(), kept.clone())]),
                )]);
                let top = if layer == Layer::Global { Layer::Global } else { Layer::Server };
                if layer == top {
                    for file in [File::Toml, File::Json] {
                        let written = file.write(&set);
                        prop_assert_eq!(File::read(&written, top).unwrap(), set.clone(), "{}", written);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_typed_is_read_as_the_key_wants_it() {
        let read = |path: &str, typed: &str| keys().find(path).unwrap().parse(path, typed);
        assert_eq!(read("paused", " Yes "), Ok(json!(true)));
        assert_eq!(read("context.messages", "50"), Ok(json!(50)));
        assert_eq!(read("gate.exchange_window", "90 s"), Ok(json!("1m 30s")));
        assert_eq!(read("gate.names", "ery, Erika"), Ok(json!(["ery", "Erika"])));
        assert_eq!(read("access.moderator", "<@&20>, 3,20"), Ok(json!(["3", "20"])));
        assert_eq!(read("moderation.reports_channel", "<#42>"), Ok(json!("42")));
        assert_eq!(read("answers.instructions", "Be kind."), Ok(json!("Be kind.")));
        assert_eq!(read("answers.language", "de"), Ok(json!("de")));
        assert_eq!(read("budgets.server.day_usd", " $2.50 "), Ok(json!(2.5)));
        assert_eq!(read("budgets.member.day_tokens", "200_000"), Ok(json!(200_000)));
        for (path, typed) in [
            ("paused", "perhaps"),
            ("context.messages", "-1"),
            ("gate.names", "two words"),
            ("answers.language", "German please"),
            ("budgets.server.day_usd", "a fortune"),
            ("budgets.server.day_usd", "-1"),
            ("budgets.member.day_tokens", "1.5"),
            ("moderation.reports_channel", "#general"),
            ("moderation.reports_channel", "<@&42>"),
            ("access.moderator", "<@&20>, <@3>"),
        ] {
            assert!(read(path, typed).is_err(), "{path} {typed}");
        }
        for typed in ["NaN", "inf", "-inf", "$Infinity"] {
            let refused = read("budgets.server.day_usd", typed).unwrap_err().to_string();
            let told = format!("`budgets.server.day_usd` is \"{typed}\", but must be an amount");
            assert!(refused.starts_with(&told), "{refused}");
        }
        assert_eq!(keys().find("gate.engage").unwrap().words().len(), 4);
    }
}
