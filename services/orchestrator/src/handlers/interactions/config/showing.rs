//! `/ery config get`, `history` and the like: what a community is set to, in words.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;
use twilight_model::id::{Id, marker::RoleMarker};

use ery_community_config::{
    Config, Difference, Effective, Key, Layer, Named, Origin, Present, Subject, Version, keys,
};

use super::{held, invalid, present, refused};
use crate::{
    domain::{
        commands::{
            config::CAPABILITIES,
            interaction::Interaction,
            pages::{List, Paged},
            reply::{Attached, Message, quoted},
        },
        text,
        texts::{self, Language},
    },
    error::CallError,
    handlers::holder::Holder,
};

/// How many changes are looked up at once: each may be large.
const AT_ONCE: u32 = 10;

/// How much of a value is shown among others, and how many roles or channels.
const EXCERPT: usize = 60;
const MOST_NAMED: usize = 8;

/// How long it is waited for what the server has, where that is told besides.
const SOON: Duration = Duration::from_secs(2);

/// How much of a value is shown in a message of its own; what is longer goes with it as a file.
const WHOLE: usize = 800;

/// Shows what holds here for whoever asks: one key with what it means, or all.
pub(super) async fn get(
    holder: &Holder,
    it: &Interaction,
    key: Option<&str>,
    effective: &Effective,
    page: usize,
) -> Message {
    let language = it.language;
    let Some(key) = key else {
        let values = effective.values.iter().map(|(path, (value, _))| (path.as_str(), value));
        let present = present_soon(holder, it, values).await;
        let mut paged = Paged::new(List::Config, page).under(language.word("ery-config-heading"));
        paged.add(effective.values.iter().map(|(path, (value, origin))| {
            let gone = gone(language, path, value, present.as_ref());
            format!("{}{gone}", line(language, path, &shown(language, path, value), *origin))
        }));
        return paged.message(language);
    };
    let found = match keys().find(key) {
        Ok(found) => found,
        Err(error) => return invalid(language, &error),
    };
    let nothing = (json!(""), Origin::Default);
    let (value, origin) = effective.values.get(key).unwrap_or(&nothing);
    let present = present_soon(holder, it, [(key, value)]).await;
    let gone = gone(language, key, value, present.as_ref());
    let (value, file) = whole(language, key, value);
    let layers = texts::config::layers(language, &found.layers);
    let must = texts::config::must(language, &found.must());
    let values = [("must", (&must).into()), ("layers", (&layers).into())];
    let bounds = language.say("ery-config-bounds", &values);
    let about = texts::config::about(language, found);
    let value = format!("{}{gone}", line(language, key, &value, *origin));
    let mut lines = vec![value, about, bounds];
    lines.extend(file.is_some().then(|| language.word("ery-config-attached")));
    Message { files: file.into_iter().collect(), ..Message::of(lines.join("\n")) }
}

/// Returns what the server has, if any of the values names some of it and that can be told at once.
pub(super) async fn present_soon(
    holder: &Holder,
    it: &Interaction,
    values: impl IntoIterator<Item = (&str, &Value)>,
) -> Option<Present> {
    let ids: Vec<_> = values
        .into_iter()
        .flat_map(|(path, value)| keys().ids(Subject::SERVER, path, value))
        .collect();
    if ids.is_empty() {
        return None;
    }
    timeout(SOON, present(holder, it, &ids)).await.ok()?.ok()
}

/// Says what of a value is not there any more; it is tolerated.
pub(super) fn gone(
    language: Language,
    path: &str,
    value: &Value,
    present: Option<&Present>,
) -> String {
    let Some(present) = present else { return String::new() };
    let ids = keys().ids(Subject::SERVER, path, value).into_iter();
    let gone: Vec<String> = ids
        .filter(|(named, id)| present.lacks(*named, *id))
        .map(|(_, id)| format!("`{id}`"))
        .collect();
    if gone.is_empty() {
        return String::new();
    }
    let gone = gone.join(", ");
    format!("; {}", language.say("ery-gone", &[("what", (&gone).into())]))
}

fn line(language: Language, path: &str, value: &str, origin: Origin) -> String {
    format!("- {} = {value} ({})", path_in_words(path), layer_word(language, origin))
}

/// Shows who set what and when, the newest first; those up to a version, or all.
pub(super) async fn history(
    holder: &Holder,
    it: &Interaction,
    until: Option<u64>,
    page: usize,
) -> Result<Message, CallError> {
    let language = it.language;
    let home = it.channel.home.key();
    let mut before = until.map(|until| until.saturating_add(1));
    let mut shown: Option<Paged> = None;
    loop {
        let versions = match holder.stored_config.history(home, before, AT_ONCE).await {
            Ok(versions) => versions,
            Err(status) => return refused(language, status),
        };
        let (Some(first), Some(last)) = (versions.first(), versions.last()) else { break };
        let of = List::History { until: first.version };
        let paged = shown.get_or_insert_with(|| Paged::new(of, page));
        for version in &versions {
            paged.add([entry(language, version)]);
            paged.add(version.changed.iter().map(|difference| item(language, difference)));
        }
        if paged.is_enough() {
            paged.is_part();
            break;
        }
        before = Some(last.version);
    }
    let none = || Message::of(language.word("ery-history-none"));
    Ok(shown.map_or_else(none, |paged| paged.message(language)))
}

/// Shows one change; what is too long for a message goes with it as a file.
pub(super) async fn version(
    holder: &Holder,
    it: &Interaction,
    number: u64,
    page: usize,
) -> Result<Message, CallError> {
    let language = it.language;
    let home = it.channel.home.key();
    let found = match holder.stored_config.history(home, Some(number.saturating_add(1)), 1).await {
        Ok(found) => found.into_iter().next(),
        Err(status) => return refused(language, status),
    };
    let Some(found) = found.filter(|found| found.version == number) else {
        let number = number.to_string();
        let said = language.say("ery-version-none", &[("version", (&number).into())]);
        return Ok(Message::of(said));
    };
    let heading = entry(language, &found);
    let mut message = change(holder, it, heading, number, &found.changed, page).await;
    let is_cut = |value: &Value| !fits(&text_of(value), EXCERPT);
    let values = found.changed.iter().flat_map(|it| it.before.iter().chain(&it.after));
    if { values }.any(is_cut) {
        let changes: Vec<Value> = found.changed.iter().map(in_file).collect();
        let text = serde_json::to_string_pretty(&changes).unwrap_or_default();
        message.content = format!("{}\n{}", message.content, language.word("ery-config-attached"));
        message.files =
            vec![Attached { name: format!("version-{number}.json"), bytes: text.into_bytes() }];
    }
    Ok(message)
}

/// Shows what a change came to, and where something narrower holds in place of what was set.
pub(super) async fn change(
    holder: &Holder,
    it: &Interaction,
    heading: String,
    number: u64,
    differences: &[Difference],
    page: usize,
) -> Message {
    let mut paged = Paged::new(List::Version { number }, page).under(heading);
    for difference in differences {
        paged.add([item(it.language, difference)]);
        paged.add(held(holder, it, difference).await.map(|held| format!("  {held}")));
    }
    paged.message(it.language)
}

fn in_file(difference: &Difference) -> Value {
    let Difference { subject, path, before, after } = difference;
    let mut written = json!({ "set_for": subject.layer, "path": path });
    if subject.id != 0 {
        written["id"] = subject.id.to_string().into();
    }
    written["before"] = json!(before);
    written["after"] = json!(after);
    written
}

fn entry(language: Language, version: &Version) -> String {
    let number = version.version.to_string();
    let who = version
        .author
        .map_or_else(|| language.word("ery-operator"), |author| format!("<@{author}>"));
    let when = format!("<t:{}:R>", version.at_ms.div_euclid(1_000));
    let values = [("version", (&number).into()), ("who", (&who).into()), ("when", (&when).into())];
    let line = language.say("ery-history-entry", &values);
    if version.note.is_empty() {
        line
    } else {
        format!("{line} ({})", note(language, &version.note))
    }
}

/// Says how a change came about: Ery's own notes in a person's language, others as they are.
fn note(language: Language, note: &str) -> String {
    if let Some(version) = note.strip_prefix("rollback to version ") {
        return language.say("ery-note-rollback", &[("version", version.into())]);
    }
    if let Some(name) = note.strip_prefix("preset ") {
        let name = quoted(name, EXCERPT);
        return language.say("ery-note-preset", &[("name", (&name).into())]);
    }
    if note == "import" { language.word("ery-note-import") } else { quoted(note, EXCERPT) }
}

/// Writes one change in a line.
pub(super) fn item(language: Language, difference: &Difference) -> String {
    let Difference { subject, path, .. } = difference;
    let value = |value: &Option<Value>| {
        let shown = |value| shown(language, path, value);
        value.as_ref().map_or_else(|| language.word("ery-nothing-set"), shown)
    };
    let place = match subject.layer {
        Layer::Global => language.word("ery-layer-global"),
        Layer::Server => language.word("ery-layer-server"),
        Layer::Channel => format!("<#{}>", subject.id),
        Layer::User => format!("<@{}>", subject.id),
    };
    let (before, after) = (value(&difference.before), value(&difference.after));
    format!("- {place} {}: {before} → {after}", path_in_words(path))
}

/// Shows a key; a role that it names as Discord shows it.
pub(super) fn path_in_words(path: &str) -> String {
    match path.rsplit_once('.') {
        Some((table, role)) if keys().find(path).is_ok_and(Key::is_of_a_role) => {
            format!("{}{}", quoted(&format!("{table}."), 64), mention(Named::Role, role))
        }
        _ => quoted(path, 64),
    }
}

/// Shows a value among others; what it names as Discord shows it.
pub(super) fn shown(language: Language, path: &str, value: &Value) -> String {
    if let Some(named) = named_by(path, value) {
        let more = if named.len() > MOST_NAMED { ", …" } else { "" };
        return format!("{}{more}", named[..named.len().min(MOST_NAMED)].join(", "));
    }
    excerpt(language, value)
}

fn excerpt(language: Language, value: &Value) -> String {
    let text = text_of(value);
    if text.is_empty() { language.word("ery-nothing") } else { quoted(&text, EXCERPT) }
}

/// Shows a value whole: in the message, or as a file where it would not be seen there as it is.
fn whole(language: Language, path: &str, value: &Value) -> (String, Option<Attached>) {
    if let Some(named) = named_by(path, value) {
        return (named.join(", "), None);
    }
    let text = text_of(value);
    if fits(&text, WHOLE) {
        let shown =
            if text.is_empty() { language.word("ery-nothing") } else { quoted(&text, WHOLE) };
        return (shown, None);
    }
    let file = Attached { name: format!("{path}.txt"), bytes: text.into_bytes() };
    (excerpt(language, value), Some(file))
}

/// Returns whether a text is seen whole and as it is in a line: nothing of it is invisible, nor changed
/// by the filter of all that Ery says.
fn fits(text: &str, longest: usize) -> bool {
    let is_plain = |it: char| {
        it == ' ' || !(matches!(it, '`' | '[' | ']') || it.is_whitespace() || it.is_control())
    };
    text.chars().count() <= longest
        && text.trim() == text
        && text.chars().all(is_plain)
        && !text.contains("://")
        && text::clean(text) == text
}

pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Returns the roles or channels that a value names, as Discord shows them.
fn named_by(path: &str, value: &Value) -> Option<Vec<String>> {
    let named = keys().find(path).ok()?.names()?;
    let ids: Vec<&str> = match value {
        Value::Array(ids) => ids.iter().filter_map(Value::as_str).collect(),
        Value::String(id) => vec![id],
        _ => return None,
    };
    let mentions: Vec<_> =
        ids.into_iter().filter(|id| !id.is_empty()).map(|id| mention(named, id)).collect();
    (!mentions.is_empty()).then_some(mentions)
}

fn mention(named: Named, id: &str) -> String {
    match named {
        Named::Role => format!("<@&{id}>"),
        Named::Channel => format!("<#{id}>"),
    }
}

/// Says how Ery stands here.
pub(super) fn status(language: Language, effective: &Effective) -> Message {
    let config = &effective.config;
    let mut lines = Vec::new();
    lines.push(if config.paused {
        let origin = effective.values.get("paused").map_or(Origin::Default, |(_, origin)| *origin);
        let origin = layer_word(language, origin);
        language.say("ery-status-paused", &[("origin", (&origin).into())])
    } else {
        language.word(match config.gate.engage {
            ery_community_config::Engage::Off => "ery-status-off",
            ery_community_config::Engage::Listen => "ery-status-listen",
            ery_community_config::Engage::Addressed => "ery-status-addressed",
            ery_community_config::Engage::EveryMessage => "ery-status-every-message",
        })
    });
    if config.gate.ignore_me {
        lines.push(language.word("ery-status-ignored"));
    }
    if config.tools.dry_run {
        lines.push(language.word("ery-status-dry-run"));
    }
    for (rule, key) in [
        (ery_community_config::ToolRule::Off, "ery-status-tools-off"),
        (ery_community_config::ToolRule::Ask, "ery-status-tools-ask"),
    ] {
        let tools = config.tools.policy.iter().filter(|(_, of)| **of == rule);
        let tools: Vec<_> = tools.map(|(tool, _)| format!("`{tool}`")).collect();
        if !tools.is_empty() {
            let tools = tools.join(", ");
            lines.push(language.say(key, &[("tools", (&tools).into())]));
        }
    }
    Message::of(lines.join("\n"))
}

pub(super) fn roles_of(config: &Config, capability: &str) -> Vec<Id<RoleMarker>> {
    let roles = match capability {
        "moderator" => &config.access.moderator,
        "event_manager" => &config.access.event_manager,
        _ => &config.access.config_admin,
    };
    roles.iter().copied().collect()
}

pub(super) async fn access(
    holder: &Holder,
    it: &Interaction,
    config: &Config,
    page: usize,
) -> Message {
    let language = it.language;
    let values = CAPABILITIES.map(|capability| {
        let roles = roles_of(config, capability).iter().map(ToString::to_string).collect::<Value>();
        (capability, format!("access.{capability}"), roles)
    });
    let named = values.iter().map(|(_, path, roles)| (path.as_str(), roles));
    let present = present_soon(holder, it, named).await;
    let mut paged = Paged::new(List::Access, page).under(language.word("ery-access-heading"));
    paged.add(values.iter().map(|(capability, path, roles)| {
        let what = language.word(&format!("command-ery-access-give-what-{capability}"));
        let gone = gone(language, path, roles, present.as_ref());
        let roles = named_by(path, roles).unwrap_or_default().join(", ");
        let roles = if roles.is_empty() { language.word("ery-access-none") } else { roles };
        format!("- {what}: {roles}{gone}")
    }));
    paged.message(language)
}

fn layer_word(language: Language, origin: Origin) -> String {
    language.word(match origin {
        Origin::Default => "ery-layer-default",
        Origin::Settings => "ery-layer-settings",
        Origin::Layer(Layer::Global) => "ery-layer-global",
        Origin::Layer(Layer::Server) => "ery-layer-server",
        Origin::Layer(Layer::Channel) => "ery-layer-channel",
        Origin::Layer(Layer::User) => "ery-layer-user",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_is_shown_as_nothing() {
        for value in [json!(""), json!([])] {
            assert_eq!(shown(Language::English, "gate.names", &value), "nothing");
            assert_eq!(shown(Language::German, "access.moderator", &value), "nichts");
        }
        assert_eq!(shown(Language::German, "gate.names", &json!(["a", "b"])), "`a, b`");
    }

    #[test]
    fn roles_channels_and_members_are_shown_as_discord_shows_them() {
        let difference = Difference {
            subject: Subject::channel(9),
            path: "gate.roles.7".into(),
            before: None,
            after: Some(json!("off")),
        };
        let line = item(Language::English, &difference);
        assert_eq!(line, "- <#9> `gate.roles.`<@&7>: not set → `off`");
        let roles = json!(["7", "8"]);
        assert_eq!(shown(Language::English, "access.moderator", &roles), "<@&7>, <@&8>");
        let channel = "moderation.reports_channel";
        assert_eq!(shown(Language::English, channel, &json!("9")), "<#9>");
        let many: Vec<String> = (1..=50).map(|id| id.to_string()).collect();
        let few = shown(Language::English, "access.moderator", &json!(many));
        assert!(few.ends_with("<@&8>, …"), "{few}");
        let (all, file) = whole(Language::English, "access.moderator", &json!(many));
        assert!(all.contains("<@&50>") && file.is_none());
    }

    #[test]
    fn a_value_of_any_length_is_read_whole() {
        let path = "answers.instructions";
        let odd =
            ["a `b`", "two\nlines", "a\u{202e}b", "\u{200b}", "see [l](http://x)", "at ftp://x"];
        let long = ["x".repeat(801), "ü".repeat(4_000)];
        for text in odd.map(str::to_owned).into_iter().chain(long) {
            let (shown, file) = whole(Language::English, path, &json!(text));
            assert!(shown.chars().count() <= EXCERPT + 2, "{shown}");
            let file = file.unwrap();
            assert_eq!(
                (file.name.as_str(), file.bytes),
                ("answers.instructions.txt", text.into_bytes())
            );
        }
        let (shown, file) = whole(Language::English, path, &json!("x".repeat(800)));
        assert_eq!((shown.chars().count(), file), (802, None));
    }

    #[test]
    fn what_is_not_there_any_more_is_told() {
        let present = Present { roles: [7].into(), ..Present::default() };
        let said =
            |value: Value| gone(Language::English, "access.moderator", &value, Some(&present));
        assert_eq!(said(json!(["7"])), "");
        assert_eq!(said(json!(["7", "8"])), "; not there any more: `8`");
        assert_eq!(gone(Language::English, "access.moderator", &json!(["8"]), None), "");
    }

    #[test]
    fn erys_own_notes_are_said_in_each_language() {
        assert_eq!(note(Language::German, "rollback to version 3"), "zurück zu Version 3");
        assert_eq!(note(Language::German, "preset quiet-helper"), "Vorlage `quiet-helper`");
        assert_eq!(note(Language::English, "import"), "import");
        assert_eq!(note(Language::German, "import"), "Import");
        assert_eq!(note(Language::German, "why not"), "`why not`");
    }
}
