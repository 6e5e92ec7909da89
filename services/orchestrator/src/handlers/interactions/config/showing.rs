//! `/ery config get`, `history` and the like: what a community is set to, in words.

use serde_json::{Value, json};
use twilight_model::id::{Id, marker::RoleMarker};

use ery_community_config::{Config, Difference, Effective, Layer, Origin, Version, keys};

use super::{invalid, refused};
use crate::{
    domain::{
        commands::{
            config::CAPABILITIES,
            interaction::Interaction,
            reply::{Message, quoted},
        },
        texts::{self, Language},
    },
    error::CallError,
    handlers::holder::Holder,
};

/// How many changes the history shows.
const SHOWN: u32 = 10;

/// How much of a value is shown.
const EXCERPT: usize = 60;

/// Shows what holds here for whoever asks: one key with what it means, or all.
pub(super) fn get(language: Language, key: Option<&str>, effective: &Effective) -> Message {
    let line = |path: &str, (value, origin): &(Value, Origin)| {
        let origin = layer_word(language, *origin);
        format!("- {} = {} ({origin})", quoted(path, 64), shown(language, value))
    };
    let Some(key) = key else {
        let mut lines = vec![language.word("ery-config-heading")];
        lines.extend(effective.values.iter().map(|(path, value)| line(path, value)));
        return Message::of(lines.join("\n"));
    };
    let found = match keys().find(key) {
        Ok(found) => found,
        Err(error) => return invalid(language, &error),
    };
    let nothing = (json!(""), Origin::Default);
    let value = effective.values.get(key).unwrap_or(&nothing);
    let layers = texts::config::layers(language, &found.layers);
    let must = texts::config::must(language, &found.must());
    let values = [("must", (&must).into()), ("layers", (&layers).into())];
    let bounds = language.say("ery-config-bounds", &values);
    let about = texts::config::about(language, found);
    Message::of(format!("{}\n{about}\n{bounds}", line(key, value)))
}

pub(super) async fn history(holder: &Holder, it: &Interaction) -> Result<Message, CallError> {
    let language = it.language;
    let versions = match holder.stored_config.history(it.channel.home.key(), SHOWN).await {
        Ok(versions) => versions,
        Err(status) => return refused(language, status),
    };
    if versions.is_empty() {
        return Ok(Message::of(language.word("ery-history-none")));
    }
    let mut lines = Vec::new();
    for version in &versions {
        lines.push(entry(language, version));
        lines.extend(version.changed.iter().map(|difference| item(language, difference)));
    }
    Ok(Message::of(lines.join("\n")))
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
        format!("{line} ({})", quoted(&version.note, EXCERPT))
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

fn roles_of(config: &Config, capability: &str) -> Vec<Id<RoleMarker>> {
    let roles = match capability {
        "moderator" => &config.access.moderator,
        "event_manager" => &config.access.event_manager,
        _ => &config.access.config_admin,
    };
    roles.iter().copied().collect()
}

pub(super) fn access(language: Language, config: &Config) -> Message {
    let lines = CAPABILITIES.map(|capability| {
        let roles: Vec<_> =
            roles_of(config, capability).iter().map(|role| format!("<@&{role}>")).collect();
        let roles =
            if roles.is_empty() { language.word("ery-access-none") } else { roles.join(", ") };
        format!(
            "- {}: {roles}",
            language.word(&format!("command-ery-access-give-what-{capability}"))
        )
    });
    Message::of(format!("{}\n{}", language.word("ery-access-heading"), lines.join("\n")))
}

/// Writes one change in a line.
pub(super) fn item(language: Language, difference: &Difference) -> String {
    let value = |value: &Option<Value>| {
        let shown = |value| shown(language, value);
        value.as_ref().map_or_else(|| language.word("ery-nothing-set"), shown)
    };
    let place = match difference.subject.layer {
        Layer::Global => language.word("ery-layer-global"),
        Layer::Server => language.word("ery-layer-server"),
        Layer::Channel => format!("<#{}>", difference.subject.id),
        Layer::User => format!("<@{}>", difference.subject.id),
    };
    let (before, after) = (value(&difference.before), value(&difference.after));
    let path = quoted(&difference.path, 64);
    format!("- {place} {path}: {before} → {after}")
}

pub(super) fn shown(language: Language, value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items = items.iter().map(|item| match item {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            items.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    if text.is_empty() { language.word("ery-nothing") } else { quoted(&text, EXCERPT) }
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
            assert_eq!(shown(Language::English, &value), "nothing");
            assert_eq!(shown(Language::German, &value), "nichts");
        }
        assert_eq!(shown(Language::German, &json!(["7", "8"])), "`7, 8`");
    }
}
