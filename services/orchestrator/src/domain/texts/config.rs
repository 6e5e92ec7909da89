//! What is said of a community's config: what its keys mean, what their values must be, and what is wrong.

use ery_community_config::{Bounds, InvalidConfig, Key, Layer, Must, Named};

use super::Language;
use crate::domain::commands::reply::{quoted, shortened};

/// How much of a key or a value is shown.
const SHOWN: usize = 80;

/// Says what is wrong with what somebody wanted to set.
pub(crate) fn problem(language: Language, error: &InvalidConfig) -> String {
    match error {
        InvalidConfig::Unknown { path, suggestion: None } => {
            language.say("ery-unknown-key", &[("path", (&quoted(path, SHOWN)).into())])
        }
        InvalidConfig::Unknown { path, suggestion: Some(suggestion) } => {
            let (path, suggestion) = (quoted(path, SHOWN), quoted(suggestion, SHOWN));
            let values = [("path", (&path).into()), ("suggestion", (&suggestion).into())];
            language.say("ery-unknown-key-perhaps", &values)
        }
        InvalidConfig::Value { path, value, must: wanted } => {
            let (path, value) = (quoted(path, SHOWN), quoted(value, SHOWN));
            let wanted = must(language, wanted);
            let values =
                [("path", (&path).into()), ("value", (&value).into()), ("must", (&wanted).into())];
            language.say("ery-wrong-value", &values)
        }
        InvalidConfig::OtherKind { path, mention, wanted, .. } => {
            let path = quoted(path, SHOWN);
            // It is a mention, and Discord shows what it is of.
            let mention = shortened(mention, SHOWN);
            let wanted = match wanted {
                Named::Role => "role",
                Named::Channel => "channel",
            };
            let values =
                [("path", (&path).into()), ("mention", (&mention).into()), ("kind", wanted.into())];
            language.say("ery-other-kind", &values)
        }
        InvalidConfig::Everyone { path } => {
            language.say("ery-everyone", &[("path", (&quoted(path, SHOWN)).into())])
        }
        InvalidConfig::NoSuchRole { path, id } => {
            let id = id.to_string();
            let path = quoted(path, SHOWN);
            language.say("ery-no-such-role", &[("path", (&path).into()), ("id", (&id).into())])
        }
        InvalidConfig::NoSuchChannel { path, id } => {
            let id = id.to_string();
            let path = quoted(path, SHOWN);
            language.say("ery-no-such-channel", &[("path", (&path).into()), ("id", (&id).into())])
        }
        InvalidConfig::HoldsNoMessages { path, id } => {
            let id = format!("<#{id}>");
            let path = quoted(path, SHOWN);
            language.say("ery-holds-no-messages", &[("path", (&path).into()), ("id", (&id).into())])
        }
        InvalidConfig::Layer { path, layer, allowed } => {
            let (path, layer) = (quoted(path, SHOWN), layers(language, &[*layer]));
            let allowed = layers(language, allowed);
            let values = [
                ("path", (&path).into()),
                ("layer", (&layer).into()),
                ("layers", (&allowed).into()),
            ];
            language.say("ery-wrong-layer", &values)
        }
    }
}

/// Says what a key means.
pub(crate) fn about(language: Language, key: &Key) -> String {
    match language {
        // It stands beside the key itself.
        Language::English => key.about.clone(),
        Language::German => language.word(&about_key(key)),
    }
}

/// Returns by which name what a key means stands in a language's file.
pub(super) fn about_key(key: &Key) -> String {
    format!("about-{}", key.path.trim_end_matches(".*").replace('.', "-"))
}

/// Says what a value must be.
pub(crate) fn must(language: Language, wanted: &Must) -> String {
    let within = |key: &str, bounds: &Bounds| {
        let bounds = self::bounds(language, bounds);
        language.say(key, &[("bounds", (&bounds).into())])
    };
    match wanted {
        Must::OneOf(words) => {
            let words = words.join(", ");
            language.say("must-one-of", &[("words", (&words).into())])
        }
        Must::TrueOrFalse => language.word("must-true-or-false"),
        Must::WholeNumber(bounds) => within("must-whole-number", bounds),
        Must::Dollars(bounds) => within("must-dollars", bounds),
        Must::Time(bounds) => within("must-time", bounds),
        Must::List { most: longest, each } => {
            let each = must(language, each);
            match longest {
                Some(longest) => {
                    let values = [("most", longest.into()), ("each", (&each).into())];
                    language.say("must-list-of", &values)
                }
                None => language.say("must-list", &[("each", (&each).into())]),
            }
        }
        Must::Role => language.word("must-role"),
        Must::Channel => language.word("must-channel"),
        Must::Language => language.word("must-language"),
        Must::Name => language.word("must-name"),
        Must::Text { most: Some(longest) } => {
            language.say("must-text-of", &[("most", longest.into())])
        }
        Must::Text { most: None } => language.word("must-text"),
    }
}

fn bounds(language: Language, bounds: &Bounds) -> String {
    let (least, most) = (&bounds.least, &bounds.most);
    let said = |bound: &Option<String>| bound.as_deref().map(|bound| self::bound(language, bound));
    match (said(least), said(most)) {
        (Some(least), Some(most)) => {
            language.say("must-between", &[("least", (&least).into()), ("most", (&most).into())])
        }
        (Some(least), None) => language.say("must-at-least", &[("least", (&least).into())]),
        (None, Some(most)) => language.say("must-at-most", &[("most", (&most).into())]),
        (None, None) => String::new(),
    }
}

/// Says one bound: what is written as a word is written in the language's own.
fn bound(language: Language, bound: &str) -> String {
    let days = bound.strip_suffix(" days").and_then(|days| days.parse::<usize>().ok());
    days.map_or_else(
        || bound.to_owned(),
        |days| language.say("must-days", &[("days", days.into())]),
    )
}

/// Says where something is set.
pub(crate) fn layers(language: Language, layers: &[Layer]) -> String {
    let word = |layer: &Layer| {
        language.word(match layer {
            Layer::Global => "ery-layer-word-global",
            Layer::Server => "ery-layer-word-server",
            Layer::Channel => "ery-layer-word-channel",
            Layer::User => "ery-layer-word-user",
        })
    };
    layers.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use ery_community_config::keys;
    use serde_json::json;

    use super::*;

    #[test]
    fn in_english_a_value_must_be_what_the_schema_says() {
        for key in keys().all() {
            assert_eq!(must(Language::English, &key.must()), key.must().to_string(), "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_in_the_language_of_whoever_asks() {
        let said = |layer, path: &str, value: &serde_json::Value| {
            let error = keys().check(layer, path, value).unwrap_err();
            (problem(Language::English, &error), problem(Language::German, &error))
        };
        let (english, german) = said(Layer::Server, "context.messages", &json!(300));
        assert_eq!(
            english,
            "`context.messages` cannot be `300`: it must be a whole number from 0 to 200."
        );
        assert_eq!(
            german,
            "`context.messages` kann nicht `300` sein: es muss eine ganze Zahl von 0 bis 200 sein."
        );
        let (english, german) = said(Layer::Server, "context.window", &json!("40days"));
        assert!(english.ends_with("from 1s to 30 days."), "{english}");
        assert!(german.ends_with("von 1s bis 30 Tagen sein."), "{german}");
        let (english, german) = said(Layer::Channel, "tools.policy.ban_member", &json!("ask"));
        assert_eq!(
            english,
            "`tools.policy.ban_member` cannot be set for a channel, but for the whole installation, \
             for a server."
        );
        assert!(german.contains("geht nicht für einen Kanal, sondern für"), "{german}");
        let (english, german) = said(Layer::Server, "access.moderator", &json!(["<#9>"]));
        assert_eq!(english, "`access.moderator` cannot name <#9>: it must name a role.");
        assert_eq!(german, "`access.moderator` kann nicht <#9> nennen: es muss eine Rolle nennen.");
        let (english, german) = said(Layer::Server, "gate.engaged", &json!("off"));
        assert_eq!(english, "There is no `gate.engaged`; did you mean `gate.engage`?");
        assert_eq!(german, "`gate.engaged` gibt es nicht; ist `gate.engage` gemeint?");
    }
}
