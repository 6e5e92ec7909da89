//! Discord's `INTERACTION_CREATE`, read once: whatever is missing or odd and not needed is forgiven.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use twilight_model::{
    guild::Permissions,
    id::{
        Id,
        marker::{ChannelMarker, MessageMarker, RoleMarker, UserMarker},
    },
};

use ery_clock::UnixMillis;
use ery_ids::ChannelKey;

use crate::domain::{
    discord::{UnreadableError, made_at},
    texts::Language,
};

/// What somebody typed, chose or pressed.
#[derive(Clone, PartialEq)]
pub(crate) struct Interaction {
    pub(crate) id: u64,
    pub(crate) application: u64,
    /// A secret: by it the interaction is answered.
    pub(crate) token: String,
    pub(crate) channel: ChannelKey,
    pub(crate) user: Id<UserMarker>,
    /// What they may do in this channel, as Discord tells it; nothing in a direct message.
    pub(crate) permissions: Permissions,
    pub(crate) roles: Vec<Id<RoleMarker>>,
    pub(crate) language: Language,
    /// The language of the server's staff, as Discord knows it.
    pub(crate) server_language: Language,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Command(Invoked),
    /// The option that is being typed, by its name.
    Completion {
        invoked: Invoked,
        focused: String,
    },
    /// A button that was pressed, or a menu with what was chosen.
    Component {
        custom_id: String,
        values: Vec<String>,
    },
    /// A form that was sent off; its fields by their ids.
    Form {
        custom_id: String,
        fields: BTreeMap<String, String>,
    },
    /// What Discord may yet invent.
    Unknown,
}

/// A command with what was given to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Invoked {
    /// Its name and the names below it: `schedule`, `cancel`. Of an entry of a menu its name alone.
    pub(crate) path: Vec<String>,
    pub(crate) options: BTreeMap<String, Filled>,
    pub(crate) target: Option<Target>,
}

/// What was given to an option.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filled {
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
    Person(Id<UserMarker>),
    Channel(Id<ChannelMarker>),
    Role(Id<RoleMarker>),
    /// A person or a role.
    Mentionable(u64),
    Attachment(u64),
}

/// On what an entry of a menu was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Person(Id<UserMarker>),
    Message(Id<MessageMarker>),
}

impl fmt::Debug for Interaction {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interaction")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .field("user", &self.user)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Interaction {
    /// Reads the dispatch.
    ///
    /// # Errors
    ///
    /// If it is none, or says not who or where it is, or how it is answered.
    pub(crate) fn read(payload: &[u8]) -> Result<Self, UnreadableError> {
        let raw: Raw = serde_json::from_slice(payload)?;
        let lacks = UnreadableError::Lacks;
        let channel = raw.channel_id.ok_or(lacks("channel_id"))?;
        let permissions = raw.member.as_ref().and_then(|member| member.permissions.as_deref());
        let permissions = permissions.and_then(|bits| bits.parse().ok()).unwrap_or(0);
        let roles = raw.member.as_ref().map(|member| member.roles.iter());
        let roles = roles.into_iter().flatten().filter_map(|role| role.parse().ok());
        let roles = roles.filter_map(Id::new_checked).collect();
        let user = raw.member.map(|member| member.user).or(raw.user);
        let user = user.and_then(|user| user.id).and_then(Id::new_checked);
        Ok(Self {
            id: raw.id.ok_or(lacks("id"))?,
            application: raw.application_id.ok_or(lacks("application_id"))?,
            channel: ChannelKey::from_raw(raw.guild_id.unwrap_or(0), channel)
                .ok_or(lacks("channel_id"))?,
            user: user.ok_or(lacks("user.id"))?,
            permissions: Permissions::from_bits_retain(permissions),
            roles,
            language: Language::of(raw.locale.as_deref(), raw.guild_locale.as_deref()),
            server_language: Language::of(raw.guild_locale.as_deref(), None),
            kind: kind(raw.kind, raw.data.unwrap_or_default()),
            token: raw.token,
        })
    }

    /// Returns when it was made, by Discord's clock.
    pub(crate) fn made_at(&self) -> UnixMillis {
        Id::new_checked(self.id).map_or(UnixMillis(0), made_at)
    }

    /// Returns the command, where one was given or is being typed.
    #[cfg(test)]
    pub(crate) fn invoked(&self) -> Option<&Invoked> {
        match &self.kind {
            Kind::Command(invoked) | Kind::Completion { invoked, .. } => Some(invoked),
            _ => None,
        }
    }
}

impl Invoked {
    /// Returns the text that was given to an option.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.options.get(name)? {
            Filled::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the person that was given to an option.
    pub(crate) fn person(&self, name: &str) -> Option<Id<UserMarker>> {
        match self.options.get(name)? {
            Filled::Person(user) => Some(*user),
            _ => None,
        }
    }

    /// Returns the role that was given to an option.
    pub(crate) fn role(&self, name: &str) -> Option<Id<RoleMarker>> {
        match self.options.get(name)? {
            Filled::Role(role) => Some(*role),
            _ => None,
        }
    }

    /// Returns the number that was given to an option.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.options.get(name)? {
            Filled::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

fn kind(number: u8, data: RawData) -> Kind {
    match number {
        2 => Kind::Command(invoked(data).0),
        3 => Kind::Component { custom_id: data.custom_id, values: data.values },
        4 => match invoked(data) {
            (invoked, Some(focused)) => Kind::Completion { invoked, focused },
            (_, None) => Kind::Unknown,
        },
        5 => {
            let mut fields = BTreeMap::new();
            for component in &data.components {
                gather(component, &mut fields);
            }
            Kind::Form { custom_id: data.custom_id, fields }
        }
        _ => Kind::Unknown,
    }
}

/// Returns the command, and the option that is being typed.
fn invoked(data: RawData) -> (Invoked, Option<String>) {
    let mut invoked = Invoked { path: vec![data.name], ..Invoked::default() };
    let target = data.target_id;
    invoked.target = match data.kind {
        Some(2) => target.and_then(Id::new_checked).map(Target::Person),
        Some(3) => target.and_then(Id::new_checked).map(Target::Message),
        _ => None,
    };
    let mut focused = None;
    let mut options = data.options;
    // A group holds one command, a command its values: Discord sends only what was chosen.
    while let [RawOption { kind: 1 | 2, .. }] = options.as_slice() {
        let chosen = options.remove(0);
        invoked.path.push(chosen.name);
        options = chosen.options;
    }
    for option in options {
        if option.is_focused {
            focused = Some(option.name.clone());
        }
        if let Some(value) = value(option.kind, &option.value, option.is_focused) {
            invoked.options.insert(option.name, value);
        }
    }
    (invoked, focused)
}

/// Reads a value. One that is still being typed is a text, whatever it is to be.
fn value(kind: u8, value: &Value, is_focused: bool) -> Option<Filled> {
    let text = || value.as_str().map(str::to_owned);
    let id = || value.as_str().and_then(|id| id.parse::<u64>().ok()).or_else(|| value.as_u64());
    if is_focused {
        return text().or_else(|| Some(value.to_string())).map(Filled::Text);
    }
    match kind {
        3 => text().map(Filled::Text),
        4 => value.as_i64().map(Filled::Integer),
        5 => value.as_bool().map(Filled::Flag),
        6 => id().and_then(Id::new_checked).map(Filled::Person),
        7 => id().and_then(Id::new_checked).map(Filled::Channel),
        8 => id().and_then(Id::new_checked).map(Filled::Role),
        9 => id().map(Filled::Mentionable),
        10 => value.as_f64().map(Filled::Number),
        11 => id().map(Filled::Attachment),
        _ => None,
    }
}

/// Finds the fields of a form, in rows as in labels.
fn gather(component: &Value, fields: &mut BTreeMap<String, String>) {
    if let Some(id) = component["custom_id"].as_str() {
        let value = match (&component["value"], component["values"].as_array()) {
            (Value::String(text), _) => Some(text.clone()),
            (_, Some(values)) => {
                Some(values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
            }
            _ => None,
        };
        if let Some(value) = value {
            fields.insert(id.to_owned(), value);
        }
    }
    for below in component["components"].as_array().into_iter().flatten() {
        gather(below, fields);
    }
    if component["component"].is_object() {
        gather(&component["component"], fields);
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "snowflake")]
    id: Option<u64>,
    #[serde(default, deserialize_with = "snowflake")]
    application_id: Option<u64>,
    #[serde(rename = "type")]
    kind: u8,
    token: String,
    #[serde(default, deserialize_with = "snowflake")]
    guild_id: Option<u64>,
    #[serde(default, deserialize_with = "snowflake")]
    channel_id: Option<u64>,
    #[serde(default)]
    member: Option<RawMember>,
    #[serde(default)]
    user: Option<RawUser>,
    #[serde(default)]
    locale: Option<String>,
    #[serde(default)]
    guild_locale: Option<String>,
    #[serde(default)]
    data: Option<RawData>,
}

#[derive(Deserialize)]
struct RawMember {
    user: RawUser,
    #[serde(default)]
    permissions: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
}

#[derive(Deserialize)]
struct RawUser {
    #[serde(default, deserialize_with = "snowflake")]
    id: Option<u64>,
}

#[derive(Default, Deserialize)]
struct RawData {
    #[serde(default)]
    name: String,
    /// The command's: 1 typed, 2 on a person, 3 on a message.
    #[serde(default, rename = "type")]
    kind: Option<u8>,
    #[serde(default, deserialize_with = "snowflake")]
    target_id: Option<u64>,
    #[serde(default)]
    options: Vec<RawOption>,
    #[serde(default)]
    custom_id: String,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    components: Vec<Value>,
}

#[derive(Deserialize)]
struct RawOption {
    name: String,
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    value: Value,
    #[serde(default)]
    options: Vec<RawOption>,
    #[serde(default, rename = "focused")]
    is_focused: bool,
}

fn snowflake<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?.unwrap_or_default();
    let text = value.as_str().and_then(|text| text.parse().ok());
    Ok(text.or_else(|| value.as_u64()).filter(|id| *id != 0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: u8, data: &Value) -> Interaction {
        let payload = json!({
            "id": "900", "application_id": "7", "type": kind, "token": "secret-token",
            "guild_id": "1", "channel_id": "2", "locale": "de", "guild_locale": "en-US",
            "member": { "user": { "id": "5" }, "permissions": "8192" }, "data": data,
            "app_permissions": "0", "context": 0, "version": 1, "entitlements": [],
        });
        Interaction::read(payload.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_command_below_comes_with_all_kinds_of_values() {
        let read = read(
            2,
            &json!({
                "id": "3", "name": "schedule", "type": 1,
                "options": [{ "name": "group", "type": 2, "options": [{
                    "name": "cancel", "type": 1, "options": [
                        { "name": "text", "type": 3, "value": "a" },
                        { "name": "integer", "type": 4, "value": 3 },
                        { "name": "flag", "type": 5, "value": true },
                        { "name": "person", "type": 6, "value": "11" },
                        { "name": "channel", "type": 7, "value": "12" },
                        { "name": "role", "type": 8, "value": "13" },
                        { "name": "either", "type": 9, "value": "14" },
                        { "name": "number", "type": 10, "value": 1.5 },
                        { "name": "file", "type": 11, "value": "15" },
                        { "name": "new", "type": 99, "value": {} },
                    ],
                }]}],
            }),
        );
        let invoked = read.invoked().unwrap();
        assert_eq!(invoked.path, ["schedule", "group", "cancel"]);
        assert_eq!(invoked.text("text"), Some("a"));
        assert_eq!(invoked.integer("integer"), Some(3));
        assert_eq!(invoked.person("person"), Some(Id::new(11)));
        for (name, value) in [
            ("flag", Filled::Flag(true)),
            ("channel", Filled::Channel(Id::new(12))),
            ("role", Filled::Role(Id::new(13))),
            ("either", Filled::Mentionable(14)),
            ("number", Filled::Number(1.5)),
            ("file", Filled::Attachment(15)),
        ] {
            assert_eq!(invoked.options[name], value);
        }
        assert!(!invoked.options.contains_key("new"));
        assert_eq!(read.permissions, Permissions::MANAGE_MESSAGES);
        assert_eq!(read.language, Language::German);
        assert_eq!(read.channel, ChannelKey::from_raw(1, 2).unwrap());
        assert!(!format!("{read:?}").contains("secret-token"));
    }

    #[test]
    fn entries_of_menus_name_their_target() {
        let data = |kind: u8| json!({ "name": "Warn…", "type": kind, "target_id": "42" });
        let person = read(2, &data(2));
        assert_eq!(person.invoked().unwrap().target, Some(Target::Person(Id::new(42))));
        let message = read(2, &data(3));
        assert_eq!(message.invoked().unwrap().target, Some(Target::Message(Id::new(42))));
        assert_eq!(read(2, &data(1)).invoked().unwrap().target, None);
    }

    #[test]
    fn what_is_being_typed_is_known_by_its_name() {
        let typed = read(
            4,
            &json!({ "name": "schedule", "type": 1, "options": [
                { "name": "cancel", "type": 1, "options": [
                    { "name": "what", "type": 3, "value": "ab", "focused": true },
                ]},
            ]}),
        );
        let Kind::Completion { invoked, focused } = &typed.kind else { panic!("{typed:?}") };
        assert_eq!(focused, "what");
        assert_eq!(invoked.text("what"), Some("ab"));
        assert_eq!(read(4, &json!({ "name": "schedule" })).kind, Kind::Unknown);
    }

    #[test]
    fn buttons_menus_and_forms_are_read() {
        let pressed = read(3, &json!({ "custom_id": "ery.ap.x.y", "component_type": 2 }));
        let none = Vec::new();
        let button = Kind::Component { custom_id: "ery.ap.x.y".into(), values: none };
        assert_eq!(pressed.kind, button);
        let chosen = read(3, &json!({ "custom_id": "m", "component_type": 3, "values": ["a"] }));
        assert!(matches!(chosen.kind, Kind::Component { values, .. } if values == ["a"]));

        let sent = read(
            5,
            &json!({ "custom_id": "ery.warn.5", "components": [
                { "type": 1, "components": [{ "type": 4, "custom_id": "reason", "value": "spam" }] },
                { "type": 18, "component": { "type": 3, "custom_id": "how", "values": ["dm", "x"] } },
                { "type": 18, "component": { "type": 4, "custom_id": "note", "value": "" } },
            ]}),
        );
        let Kind::Form { custom_id, fields } = sent.kind else { panic!() };
        assert_eq!(custom_id, "ery.warn.5");
        assert_eq!(fields["reason"], "spam");
        assert_eq!(fields["how"], "dm,x");
        assert_eq!(fields["note"], "");
    }

    #[test]
    fn in_a_direct_message_the_user_stands_alone_and_may_nothing() {
        let payload = json!({
            "id": "900", "application_id": "7", "type": 2, "token": "t", "channel_id": "2",
            "user": { "id": "5" }, "data": { "name": "privacy", "type": 1 },
        });
        let read = Interaction::read(payload.to_string().as_bytes()).unwrap();
        assert_eq!(read.channel.guild(), None);
        assert_eq!(read.user, Id::new(5));
        assert_eq!(read.permissions, Permissions::empty());
        assert_eq!(read.language, Language::English);
    }

    #[test]
    fn what_discord_may_yet_invent_is_no_error_but_half_an_interaction_is() {
        assert_eq!(read(77, &json!({ "x": 1 })).kind, Kind::Unknown);
        for lacking in ["id", "application_id", "type", "token", "channel_id", "member"] {
            let mut payload = json!({
                "id": "900", "application_id": "7", "type": 2, "token": "t", "channel_id": "2",
                "member": { "user": { "id": "5" }, "permissions": "0" },
            });
            payload.as_object_mut().unwrap().remove(lacking);
            assert!(Interaction::read(payload.to_string().as_bytes()).is_err(), "{lacking}");
        }
        assert!(Interaction::read(b"[]").is_err());
    }
}
