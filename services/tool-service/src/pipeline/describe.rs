//! An act in words for those who are to approve it: who and what is meant, as it stands.

mod words;

use serde_json::{Map, Value};
use twilight_model::{
    guild::Permissions,
    id::{Id, marker::UserMarker},
};

use ery_clock::UnixMillis;
use ery_texts::{Language, right};

use crate::{
    adapters::discord::wire::moment,
    domain::{
        guild::{GuildState, Member},
        permissions, reference, text,
        tool::Spec,
    },
};

use words::Shown;

/// How long the description of an act may be; with what stands around it Discord takes it.
const MAX_ACT: usize = 1_700;

/// Of how many messages it is shown where they can be read; of more only their ids have room.
const FEW: usize = 5;

/// The tool whose acts hold another's.
const SCHEDULE_ACTION: &str = "schedule_action";

/// Names a tool where its act cannot be described.
pub(super) fn tool(name: &str) -> String {
    format!("`{}`", text::name(name))
}

/// Describes an act for people: who and what is meant, as it stands, not as the model put it.
///
/// # Errors
///
/// With what there is room for, if that is not all: what cannot be seen cannot be approved.
pub(super) fn act(
    language: Language,
    spec: &Spec,
    act: &Value,
    state: Option<&GuildState>,
) -> Result<String, String> {
    let mut page = Page { language, state, channel: None, lines: Vec::new() };
    page.act(spec.name, act, "> ");
    let text = page.lines.join("\n");
    let shown = text::shortened(&text, MAX_ACT);
    if shown.len() == text.len() { Ok(text) } else { Err(shown) }
}

/// What is written of an act so far.
struct Page<'a> {
    language: Language,
    state: Option<&'a GuildState>,
    /// The channel in which its messages stand.
    channel: Option<String>,
    lines: Vec<String>,
}

impl Page<'_> {
    fn act(&mut self, tool: &str, act: &Value, indent: &str) {
        self.channel = None;
        self.lines.push(format!("{indent}**{}**", words::heading(self.language, tool, act)));
        self.fields(tool, act, indent);
        // What holds another's act names its tool; a prompt holds none.
        if tool == SCHEDULE_ACTION
            && let Some(planned) = act["tool"].as_str()
        {
            self.act(planned, &act["act"], &format!("{indent}\u{2003}"));
        }
    }

    fn fields(&mut self, tool: &str, of: &Value, indent: &str) {
        let Value::Object(fields) = of else { return };
        if let Some(channel) = fields.get("channel").and_then(Value::as_str) {
            self.channel = Some(channel.to_owned());
        }
        for (field, value) in in_order(fields) {
            self.field(tool, field, value, indent);
        }
    }

    fn field(&mut self, tool: &str, field: &str, value: &Value, indent: &str) {
        let (label, shown) = words::shown(self.language, tool, field);
        let said = match (shown, value) {
            (_, Value::Null) | (Shown::Never, _) | (Shown::Flag, Value::Bool(false)) => return,
            (_, Value::Array(items)) if items.is_empty() => return,
            (Shown::Inside, value) => return self.fields(tool, value, indent),
            (Shown::Below, Value::Array(items)) => {
                for item in items {
                    self.below(tool, &label, item, indent);
                }
                return;
            }
            (Shown::Below, item) => return self.below(tool, &label, item, indent),
            (Shown::People(key), Value::Array(items)) => {
                let count = self.language.say(key, &[("count", items.len().into())]);
                self.lines.push(format!("{indent}{count}:"));
                let people = items.iter().map(|item| format!("{indent}• {}", self.each(item)));
                let people: Vec<_> = people.collect();
                self.lines.extend(people);
                return;
            }
            (Shown::Span { unit, none }, value) => {
                match value.as_u64().and_then(|count| u32::try_from(count * unit).ok()) {
                    Some(0) if none.is_empty() => return,
                    Some(0) => self.language.word(none),
                    Some(seconds) => span(self.language, seconds),
                    None => quoted(&plain(value)),
                }
            }
            (Shown::Bits, value) => {
                let bits = value.as_str().and_then(|bits| bits.parse().ok());
                match bits.map(Permissions::from_bits_retain) {
                    Some(bits) if bits.is_empty() && tool == "manage_permissions" => return,
                    Some(bits) if bits.is_empty() => self.language.word("part-no-rights"),
                    Some(bits) => rights(self.language, bits),
                    None => quoted(&plain(value)),
                }
            }
            (_, Value::Array(items)) => {
                let shown = match shown {
                    Shown::Messages if items.len() <= FEW => Shown::Message,
                    shown => shown,
                };
                let items: Vec<_> = items.iter().map(|item| self.one(shown, item)).collect();
                items.join(", ")
            }
            (shown, value) => self.one(shown, value),
        };
        self.lines.push(format!("{indent}{label}: {said}"));
    }

    /// Shows one of the things of which an act has several, such as a frame of a message.
    fn below(&mut self, tool: &str, label: &str, item: &Value, indent: &str) {
        self.lines.push(format!("{indent}{label}:"));
        self.fields(tool, item, &format!("{indent}\u{2003}"));
    }

    fn one(&self, shown: Shown, value: &Value) -> String {
        let plain = plain(value);
        let id = || plain.parse::<u64>().ok().filter(|id| *id != 0);
        let said = match shown {
            Shown::Person => id().map(|id| self.person(Id::new(id))),
            Shown::Channel => id().map(|id| format!("<#{id}>")),
            Shown::Role => id().map(|id| format!("<@&{id}>")),
            Shown::Message => id().and_then(|id| self.link(id)),
            Shown::Colour => id().or(Some(0)).map(|colour| format!("`#{colour:06X}`")),
            Shown::Moment => value
                .as_i64()
                .map(UnixMillis)
                .or_else(|| moment(&plain))
                .map(|at| format!("<t:{}:f>", at.as_secs())),
            Shown::YesNo | Shown::Flag => {
                let key = |it: bool| if it { "part-yes" } else { "part-no" };
                value.as_bool().map(|it| self.language.word(key(it)))
            }
            Shown::Count { none } => {
                Some(if plain == "0" { self.language.word(none) } else { plain.clone() })
            }
            Shown::Word(words) => {
                let known = words.iter().find(|(word, _)| *word == plain);
                known.map(|(_, key)| self.language.word(key))
            }
            _ => None,
        };
        said.unwrap_or_else(|| quoted(&plain))
    }

    /// Returns where a message can be read, for those who may.
    fn link(&self, message: u64) -> Option<String> {
        let (state, channel) = (self.state?, self.channel.as_ref()?);
        let channel = channel.parse().ok().and_then(Id::new_checked)?;
        Some(reference::link_to(Some(state.guild.id), channel, Id::new_checked(message)?))
    }

    fn person(&self, user: Id<UserMarker>) -> String {
        match self.state.and_then(|state| state.member(user).zip(Some(state))) {
            Some((member, state)) => self.member(member, state),
            None => stranger(user),
        }
    }

    fn member(&self, member: &Member, state: &GuildState) -> String {
        let highest = member
            .roles
            .iter()
            .filter_map(|role| state.guild.roles.get(role))
            .max_by(|one, other| one.rank(other));
        let role = match highest {
            Some(role) => {
                let name = text::name(&role.name);
                self.language.say("person-role", &[("role", (&name).into())])
            }
            None => self.language.word("person-no-role"),
        };
        let (id, name) = (member.user.to_string(), text::name(&member.username));
        let joined = self.joined(member);
        let known = format!("<@{id}> (@{name}, id {id}, {role}{joined}");
        // What they chose themselves comes last: before it stands what nobody can put on.
        let chosen: String = text::name(member.name()).replace(['“', '”', '„'], "");
        let chosen = self.language.say("person-calls-themselves", &[("name", (&chosen).into())]);
        format!("{known}; {chosen})")
    }

    fn joined(&self, member: &Member) -> String {
        let Some(at) = member.joined_at.as_deref().and_then(moment) else { return String::new() };
        let at = format!("<t:{}:D>", at.as_secs());
        format!(", {}", self.language.say("person-joined", &[("at", (&at).into())]))
    }

    /// Describes one of several, in few words so that many can be seen.
    fn each(&self, item: &Value) -> String {
        let id = item.as_str().and_then(|id| id.parse().ok()).and_then(Id::new_checked);
        let Some(user) = id else { return quoted(&plain(item)) };
        match self.state.and_then(|state| state.member(user)) {
            Some(member) => {
                format!("<@{user}> (@{}{})", text::name(&member.username), self.joined(member))
            }
            None => stranger(user),
        }
    }
}

/// Returns the fields as people read them: whom and where it is about, what, and why.
fn in_order(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let rank = |field: &str| match field {
        "member" | "members" => 0,
        "role" | "channel" | "of" => 1,
        "message" | "messages" => 2,
        "reason" => 4,
        _ => 3,
    };
    let mut fields: Vec<_> = fields.iter().collect();
    fields.sort_by_key(|(field, _)| rank(field));
    fields
}

/// Returns a value as people write it, without JSON's signs where it has none of them itself.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Describes somebody who is not known to be a member.
fn stranger(user: Id<UserMarker>) -> String {
    format!("<@{user}> (id {user})")
}

/// Says a span of time in its two largest units: `1 hour and 30 minutes`.
fn span(language: Language, seconds: u32) -> String {
    let units =
        [(86_400, "span-days"), (3_600, "span-hours"), (60, "span-minutes"), (1, "span-seconds")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (length, key) in units {
        let count = usize::try_from(left / length).unwrap_or(usize::MAX);
        left %= length;
        if count > 0 {
            parts.push(language.say(key, &[("count", count.into())]));
        }
    }
    parts.truncate(2);
    parts.join(&language.word("span-and"))
}

/// Lists rights as people read them in Discord's settings.
fn rights(language: Language, bits: Permissions) -> String {
    let names = permissions::constants(bits).into_iter().map(|of| right(language, of));
    names.collect::<Vec<_>>().join(", ")
}

/// Quotes what somebody may have written, so that it is seen as it is.
fn quoted(value: &str) -> String {
    let line: String = text::visible(value)
        .chars()
        .map(|character| match character {
            '`' => 'ˋ',
            character if character.is_whitespace() => ' ',
            character => character,
        })
        .collect();
    format!("`{line}`")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools;

    /// An act of each tool and of each of its kinds, as it is stored.
    #[expect(clippy::too_many_lines, reason = "a list")]
    fn acts() -> Vec<(&'static str, Value)> {
        let ban = json!({
            "action": "ban", "member": "7", "duration_seconds": 3_600,
            "delete_message_seconds": 86_400, "reason": "spam", "lift_at_ms": 1_900_000_000_000_i64,
        });
        let embed = json!({
            "title": "News", "description": "All of it", "color": 255,
            "fields": [{"name": "When", "value": "now", "inline": true}], "footer": "the end",
        });
        let poll =
            json!({"question": "Pizza?", "answers": ["yes", "no"], "hours": 24, "several": true});
        let look = json!({
            "name": "hall", "topic": "talk", "rate_limit_per_user": 600, "nsfw": false, "position": 3,
            "archived": true, "locked": false,
        });
        vec![
            ("ban_member", ban.clone()),
            (
                "ban_member",
                json!({
                    "action": "ban_many", "members": ["7", "8"], "delete_message_seconds": 0,
                }),
            ),
            ("ban_member", json!({"action": "unban", "member": "7", "of_ban": "t/x/1/0"})),
            (
                "kick_member",
                json!({
                    "member": "7", "reason": "x", "joined_at": "2024-01-01T00:00:00Z",
                }),
            ),
            (
                "timeout_member",
                json!({
                    "member": "7", "duration_seconds": 5_400, "until": "2030-01-01T00:00:00Z",
                }),
            ),
            ("timeout_member", json!({"member": "7", "duration_seconds": 0})),
            ("warn_member", json!({"member": "7", "notice": "dm", "channel": "5", "reason": "x"})),
            ("manage_roles", json!({"action": "give", "member": "7", "role": "6", "reason": "x"})),
            ("manage_roles", json!({"action": "take", "member": "7", "role": "6"})),
            (
                "manage_roles",
                json!({"action": "create", "look": {
                    "name": "Red", "color": 16_711_680, "hoist": true, "mentionable": false,
                    "permissions": "8",
                }}),
            ),
            (
                "manage_roles",
                json!({"action": "change", "role": "6", "look": {"permissions": "0"}}),
            ),
            ("manage_roles", json!({"action": "delete", "role": "6"})),
            ("manage_roles", json!({"action": "move", "role": "6", "beside": {"above_role": "4"}})),
            ("manage_roles", json!({"action": "move", "role": "6", "beside": {"below_role": "4"}})),
            (
                "manage_permissions",
                json!({
                    "on": "channel", "channel": "5", "of": {"role": "6"}, "allow": "1024",
                    "deny": "2048", "clear": "0", "reason": "x",
                }),
            ),
            ("manage_permissions", json!({"on": "reset", "channel": "5", "of": {"member": "7"}})),
            (
                "manage_permissions",
                json!({
                    "on": "server", "role": "6", "allow": "0", "deny": "8192",
                }),
            ),
            (
                "manage_channels",
                json!({
                    "action": "create", "kind": "text", "category": "4", "look": look, "reason": "x",
                }),
            ),
            (
                "manage_channels",
                json!({"action": "modify", "channel": "5", "look": {
                    "rate_limit_per_user": 0,
                }}),
            ),
            (
                "manage_channels",
                json!({"action": "move", "channel": "5", "to": {
                    "category": "4", "out_of_category": true, "above_channel": "9",
                }}),
            ),
            (
                "manage_channels",
                json!({"action": "move", "channel": "5", "to": {
                    "below_channel": "9", "out_of_category": false,
                }}),
            ),
            ("manage_channels", json!({"action": "delete", "channel": "5"})),
            (
                "send_message",
                json!({
                    "channel": "5", "content": "hello", "embeds": [embed], "poll": poll,
                    "files": [{"name": "a.txt", "text": "inside"}],
                    "stickers": [{"id": "21", "name": "wave"}], "reply_to": "11",
                    "mention_users": ["7"], "suppress_embeds": true, "is_elsewhere": true,
                }),
            ),
            (
                "edit_message",
                json!({
                    "channel": "5", "message": "11", "author": "9", "written_for": "7",
                    "content": "new", "embeds": [], "suppress_embeds": false,
                }),
            ),
            ("delete_message", json!({"channel": "5", "messages": ["11"], "author": "7"})),
            ("delete_message", json!({"channel": "5", "messages": ["11", "12"], "reason": "x"})),
            ("pin_message", json!({"action": "pin", "channel": "5", "message": "11"})),
            (
                "pin_message",
                json!({
                    "action": "unpin", "channel": "5", "message": "11", "reason": "x",
                }),
            ),
            (
                "add_reaction",
                json!({
                    "channel": "5", "message": "11", "emoji": "👍", "is_there": true,
                }),
            ),
            (
                "remove_reaction",
                json!({
                    "channel": "5", "message": "11", "which": {"of": "one", "emoji": "👍", "member": "7"},
                }),
            ),
            (
                "remove_reaction",
                json!({
                    "channel": "5", "message": "11", "which": {"of": "emoji", "emoji": "👍"},
                }),
            ),
            ("remove_reaction", json!({"channel": "5", "message": "11", "which": {"of": "all"}})),
            ("send_dm", json!({"member": "7", "content": "psst", "suppress_embeds": false})),
            (
                "create_invite",
                json!({
                    "channel": "5", "max_age_seconds": 0, "max_uses": 0, "temporary": true,
                    "unique": true, "reason": "x",
                }),
            ),
            (
                "create_invite",
                json!({
                    "channel": "5", "max_age_seconds": 86_400, "max_uses": 5, "temporary": false,
                    "unique": false,
                }),
            ),
            (
                "create_thread",
                json!({
                    "channel": "5", "name": "aside", "begins": {"with": "message", "message": "11"},
                    "auto_archive_minutes": 1_440,
                }),
            ),
            (
                "create_thread",
                json!({
                    "channel": "5", "name": "aside", "begins": {"with": "nothing", "visibility": "private"},
                }),
            ),
            (
                "create_thread",
                json!({
                    "channel": "5", "name": "aside", "has_moderated_tag": true, "begins": {
                        "with": "post", "content": "x", "tags": ["Help"], "suppress_embeds": true,
                    },
                }),
            ),
            (
                "schedule_action",
                json!({
                    "action": "plan", "tool": "ban_member", "act": ban, "in_seconds": 600,
                    "due_at_ms": 1_900_000_000_000_i64,
                }),
            ),
            (
                "schedule_action",
                json!({
                    "action": "cancel", "id": "abc", "tool": "kick_member", "act": {"member": "7"},
                    "planner": "8",
                }),
            ),
            (
                "schedule_action",
                json!({
                    "action": "plan", "tool": "schedule_action", "in_seconds": 600,
                    "act": {"action": "answer", "prompt": "What did\nwe `miss`?"},
                }),
            ),
        ]
    }

    #[test]
    fn every_act_is_shown_in_plain_words() {
        let mut shown_tools = std::collections::BTreeSet::new();
        for (tool, stored) in acts() {
            let entry = tools::find(tool).unwrap();
            assert!(entry.tool.tier_of(&stored).is_some(), "{tool} has no such act: {stored}");
            let shown = act(Language::English, entry.spec, &stored, None).unwrap();
            for sign in ["_", "{", "}", "[", "\"", "true", "false"] {
                assert!(!shown.contains(sign), "{sign} in {tool}:\n{shown}");
            }
            assert!(shown.lines().all(|line| line.starts_with("> ")), "{shown}");
            shown_tools.insert(tool);
        }
        let acting =
            tools::all().filter(|entry| entry.spec.tier != crate::domain::tool::Tier::Read);
        let acting: Vec<_> = acting.map(|entry| entry.spec.name).collect();
        assert!(acting.iter().all(|tool| shown_tools.contains(tool)), "{acting:?}");
    }

    #[test]
    fn every_act_is_shown_in_every_language() {
        for (tool, stored) in acts() {
            let spec = tools::find(tool).unwrap().spec;
            let english = act(Language::English, spec, &stored, None).unwrap();
            let german = act(Language::German, spec, &stored, None).unwrap();
            assert_eq!(german.lines().count(), english.lines().count());
            for (english, german) in english.lines().zip(german.lines()) {
                assert!(!german.contains("act-") && !german.contains("part-"), "{german}");
                // A person is called the same.
                let is_person = english.contains("• ");
                assert!(is_person || german != english, "{tool} is not said in German: {german}");
            }
        }
        let ban = json!({"action": "ban", "member": "7", "duration_seconds": 5_400, "reason": "x"});
        let shown = act(Language::German, tools::find("ban_member").unwrap().spec, &ban, None);
        assert_eq!(
            shown.unwrap(),
            "> **Ein Mitglied bannen**\n> Mitglied: <@7> (id 7)\n> für: 1 Stunde und 30 Minuten\n\
             > Grund: `x`"
        );
    }

    #[test]
    fn what_an_act_does_can_be_told_from_what_is_shown() {
        let told = |tool: &str, nth: usize| {
            let stored = acts().into_iter().filter(|(of, _)| *of == tool).nth(nth).unwrap().1;
            act(Language::English, tools::find(tool).unwrap().spec, &stored, None).unwrap()
        };
        for (tool, nth, wanted) in [
            (
                "ban_member",
                0,
                &["Ban a member", "for: 1 hour", "last: 1 day", "reason: `spam`"][..],
            ),
            ("ban_member", 1, &["Ban several people", "2 members:", "• <@7> (id 7)"]),
            ("timeout_member", 0, &["Time a member out", "for: 1 hour and 30 minutes"]),
            ("timeout_member", 1, &["Lift a member's timeout"]),
            ("warn_member", 0, &["by: a direct message"]),
            ("manage_roles", 2, &["colour: `#FF0000`", "Administrator", "everybody: no"]),
            ("manage_roles", 3, &["permissions: none"]),
            ("manage_permissions", 0, &["<@&6>", "allowed: View channel", "denied: Send messages"]),
            ("manage_channels", 0, &["slow mode: 10 minutes", "kind: text", "adults: no"]),
            ("manage_channels", 1, &["slow mode: off"]),
            (
                "send_message",
                0,
                &[
                    "`hello`",
                    "open for: 1 day",
                    "`yes`, `no`",
                    "1 person is notified:",
                    "with a sticker:",
                    "name: `wave`",
                ],
            ),
            ("delete_message", 1, &["Delete 2 messages"]),
            ("create_invite", 0, &["for ever", "any number"]),
            ("create_thread", 0, &["1 day"]),
            ("schedule_action", 0, &["in: 10 minutes", "**Ban a member**", "for: 1 hour"]),
            (
                "schedule_action",
                2,
                &[
                    "**Do this later**",
                    "in: 10 minutes",
                    "**Answer this here, looking things up and doing nothing else**",
                    "prompt: `What did we ˋmissˋ?`",
                ],
            ),
        ] {
            let shown = told(tool, nth);
            for words in wanted {
                assert!(shown.contains(words), "{words} in {tool}:\n{shown}");
            }
        }
    }

    #[test]
    fn an_act_is_shown_whole_with_names_or_not_at_all() {
        let spec = tools::find("schedule_action").unwrap().spec;
        let nested = json!({
            "action": "plan", "tool": "manage_roles",
            "act": {"action": "create", "look": {"permissions": "8", "name": "x`y"}},
        });
        let shown = act(Language::English, spec, &nested, None).unwrap();
        assert!(shown.contains("permissions: Administrator"), "{shown}");
        assert!(shown.contains("name: `xˋy`"), "{shown}");
        assert!(
            act(Language::English, spec, &json!({"content": "x".repeat(1_800)}), None).is_err()
        );
    }

    #[test]
    fn what_one_tool_need_not_show_another_one_shows() {
        let hidden = [
            "action",
            "on",
            "with",
            "act",
            "suppress_embeds",
            "is_elsewhere",
            "is_there",
            "inline",
            "has_moderated_tag",
            "of_ban",
            "parts",
            "is_growing",
            "tool",
            "id",
        ];
        for field in hidden {
            let shown = act(
                Language::English,
                tools::find("kick_member").unwrap().spec,
                &json!({field: "all"}),
                None,
            );
            assert!(shown.unwrap().contains("`all`"), "{field}");
        }
    }

    #[test]
    fn rights_and_spans_are_called_as_elsewhere() {
        for language in Language::ALL {
            for one in Permissions::all().iter() {
                let constant = permissions::constants(one)[0];
                assert_ne!(rights(language, one), constant, "{language:?} has no words for it");
            }
        }
        for seconds in [1, 60, 90, 3_600, 90_061, 172_800] {
            assert_eq!(span(Language::English, seconds), text::time_span(seconds));
        }
    }

    #[test]
    fn what_somebody_wrote_is_shown_as_it_is() {
        assert_eq!(quoted("a`b\n@everyone"), "`aˋb @everyone`");
    }
}
