//! Dispatches of the Gateway, held to the document's components.
//!
//! The document describes REST alone. But what the Gateway dispatches is made of the same objects,
//! and a client reads both with the same code.

use jsonschema::{ValidationError, error::ValidationErrorKind};
use serde_json::{Value, json};

use crate::{
    check::{Contract, Violation},
    explain::explain,
    schema::Direction,
};

/// A part of a dispatch that is one of the document's components.
#[derive(Debug)]
struct Part {
    events: &'static [&'static str],
    /// Where in `d` it stands: names, and `*` for everything in a list or an object.
    at: &'static str,
    /// The components of which it may be any.
    components: &'static [&'static str],
    /// What the Gateway leaves out of it.
    lacks: &'static [&'static str],
}

const fn part(
    events: &'static [&'static str],
    at: &'static str,
    components: &'static [&'static str],
) -> Part {
    Part { events, at, components, lacks: &[] }
}

const MESSAGES: &[&str] = &["MESSAGE_CREATE", "MESSAGE_UPDATE"];
const CHANNELS: &[&str] = &["CHANNEL_CREATE", "CHANNEL_UPDATE", "CHANNEL_DELETE"];
const ROLES: &[&str] = &["GUILD_ROLE_CREATE", "GUILD_ROLE_UPDATE"];
const EVENTS: &[&str] = &[
    "GUILD_SCHEDULED_EVENT_CREATE",
    "GUILD_SCHEDULED_EVENT_UPDATE",
    "GUILD_SCHEDULED_EVENT_DELETE",
];
const OF_EVENTS: &[&str] = &[
    "ExternalScheduledEventResponse",
    "StageScheduledEventResponse",
    "VoiceScheduledEventResponse",
];

/// The one table of what a dispatch is held to, and of what it lacks beside the same over REST.
#[rustfmt::skip]
static PARTS: &[Part] = &[
    // The own user comes without what only people have, and the public flags among the flags.
    Part { events: &["READY"], at: "/user", components: &["UserPIIResponse"], lacks: &["locale", "public_flags"] },

    // A guild comes without what is set in its widget's pages.
    Part {
        events: &["GUILD_CREATE"], at: "", components: &["GuildResponse"],
        lacks: &["widget_enabled", "widget_channel_id", "max_presences"],
    },
    // What stands in a guild does not name it again.
    Part { events: &["GUILD_CREATE"], at: "/channels/*", components: &["GuildChannelResponse"], lacks: &["guild_id"] },
    part(&["GUILD_CREATE"], "/members/*", &["GuildMemberResponse"]),
    part(&["GUILD_CREATE", "THREAD_LIST_SYNC"], "/threads/*", &["ThreadResponse"]),
    part(&["GUILD_CREATE"], "/guild_scheduled_events/*", OF_EVENTS),
    part(&["GUILD_UPDATE"], "", &["GuildResponse"]),
    part(ROLES, "/role", &["GuildRoleResponse"]),
    part(CHANNELS, "", &["GuildChannelResponse", "PrivateChannelResponse"]),
    part(&["THREAD_CREATE", "THREAD_UPDATE"], "", &["ThreadResponse"]),
    part(&["THREAD_LIST_SYNC"], "/members/*", &["ThreadMemberResponse"]),
    part(&["THREAD_MEMBER_UPDATE"], "", &["ThreadMemberResponse"]),
    part(&["THREAD_MEMBERS_UPDATE"], "/added_members/*", &["ThreadMemberResponse"]),

    part(&["GUILD_MEMBER_ADD", "GUILD_MEMBER_UPDATE"], "", &["GuildMemberResponse"]),
    part(&["GUILD_MEMBERS_CHUNK"], "/members/*", &["GuildMemberResponse"]),
    part(&["GUILD_MEMBER_REMOVE", "GUILD_BAN_ADD", "GUILD_BAN_REMOVE"], "/user", &["UserResponse"]),
    part(&["GUILD_AUDIT_LOG_ENTRY_CREATE"], "", &["AuditLogEntryResponse"]),
    part(&["GUILD_EMOJIS_UPDATE"], "/emojis/*", &["EmojiResponse"]),
    part(EVENTS, "", OF_EVENTS),
    part(&["INVITE_CREATE"], "/inviter", &["UserResponse"]),

    part(MESSAGES, "", &["MessageResponse"]),
    // The author of a message stands beside its member.
    Part { events: MESSAGES, at: "/member", components: &["GuildMemberResponse"], lacks: &["user"] },
    part(&["MESSAGE_REACTION_ADD", "TYPING_START"], "/member", &["GuildMemberResponse"]),
    part(&["MESSAGE_REACTION_ADD", "MESSAGE_REACTION_REMOVE"], "/emoji", &["MessageReactionEmojiResponse"]),

    part(&["INTERACTION_CREATE"], "/message", &["MessageResponse"]),
    part(&["INTERACTION_CREATE"], "/member", &["GuildMemberResponse"]),
    part(&["INTERACTION_CREATE"], "/user", &["UserResponse"]),
    part(&["INTERACTION_CREATE"], "/data/resolved/users/*", &["UserResponse"]),
    part(&["INTERACTION_CREATE"], "/data/resolved/roles/*", &["GuildRoleResponse"]),
    part(&["INTERACTION_CREATE"], "/data/resolved/messages/*", &["MessageResponse"]),
];

impl Contract {
    /// Returns everything in a dispatch's `d` that the document refuses, as far as it knows the
    /// objects of which that is made.
    ///
    /// # Panics
    ///
    /// If the table names a component that the document does not have.
    pub fn check_dispatch(&self, name: &str, d: &Value) -> Vec<Violation> {
        let mut violations = Vec::new();
        let parts = PARTS.iter().filter(|part| part.events.contains(&name));
        for part in parts {
            let branches: Vec<Value> = part
                .components
                .iter()
                .inspect(|name| assert!(self.document.has_component(name), "no component {name}"))
                .map(|name| json!({ "$ref": format!("#/components/schemas/{name}") }))
                .collect();
            let schema = match branches.as_slice() {
                [single] => single.clone(),
                _ => json!({ "anyOf": branches }),
            };
            let validator = self.document.validator(&schema, Direction::Response);
            for (at, value) in places(d, part.at) {
                let errors = validator.iter_errors(value);
                for error in errors.filter(|error| !part.is_left_out(error)) {
                    let (inner, wanted) = explain(&error);
                    violations.push(Violation {
                        subject: name.to_owned(),
                        seq: 0,
                        operation: part.components.join(" or "),
                        part: "dispatch".to_owned(),
                        at: format!("{at}{inner}"),
                        wanted,
                    });
                }
            }
        }
        violations
    }
}

/// Returns what stands at a place, which may be several things, each with its pointer.
fn places<'a>(d: &'a Value, at: &str) -> Vec<(String, &'a Value)> {
    let mut found = vec![(String::new(), d)];
    for step in at.split('/').skip(1) {
        found = found
            .into_iter()
            .flat_map(|(at, value)| -> Vec<(String, &Value)> {
                match (step, value) {
                    ("*", Value::Array(items)) => {
                        let items = items.iter().enumerate();
                        items.map(|(index, item)| (format!("{at}/{index}"), item)).collect()
                    }
                    ("*", Value::Object(fields)) => {
                        fields.iter().map(|(name, item)| (format!("{at}/{name}"), item)).collect()
                    }
                    _ => value
                        .get(step)
                        .filter(|inner| !inner.is_null())
                        .map(|inner| (format!("{at}/{step}"), inner))
                        .into_iter()
                        .collect(),
                }
            })
            .collect();
    }
    found
}

impl Part {
    /// Whether an error says only that something is missing which the Gateway leaves out.
    fn is_left_out(&self, error: &ValidationError<'_>) -> bool {
        match error.kind() {
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                error.instance_path().as_str().is_empty() && self.lacks.contains(&name)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_may_be_several() {
        let d = json!({ "a": [{ "b": 1 }, { "b": 2 }], "m": { "x": { "b": 3 } }, "n": null });
        let pointers = |at: &str| {
            places(&d, at)
                .into_iter()
                .map(|(at, value)| format!("{at}={value}"))
                .collect::<Vec<_>>()
        };
        assert_eq!(pointers("/a/*/b"), ["/a/0/b=1", "/a/1/b=2"]);
        assert_eq!(pointers("/m/*/b"), ["/m/x/b=3"]);
        assert!(pointers("/n").is_empty() && pointers("/missing/*").is_empty());
        assert_eq!(places(&d, "").len(), 1);
    }
}
