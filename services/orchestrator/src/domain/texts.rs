//! What Ery says in commands, in every language that she speaks there.
//!
//! The texts stand in `texts/<language>.ftl`, one file for each, in Project Fluent's format:
//! whoever translates needs no code, and each language has its own rules of plural. What the keys of a
//! community's config mean stands beside them in English, and in `texts/config.<language>.ftl` in
//! others.

pub(crate) mod config;
pub(crate) mod refusals;
mod rights;

use std::{borrow::Cow, sync::LazyLock};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::langid;

pub(crate) use rights::right;

/// A language whose texts are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    English,
    German,
}

type Bundle = FluentBundle<FluentResource>;

static ENGLISH: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::English));
static GERMAN: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::German));

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::German];

    /// Returns how Discord names it.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::English => "en-US",
            Self::German => "de",
        }
    }

    /// Chooses by what a person's client says, else by the server's, else English.
    pub(crate) fn of(person: Option<&str>, server: Option<&str>) -> Self {
        let known = |code: &str| match code.split('-').next() {
            Some("en") => Some(Self::English),
            Some("de") => Some(Self::German),
            _ => None,
        };
        person.and_then(known).or_else(|| server.and_then(known)).unwrap_or(Self::English)
    }

    /// Says a text that takes nothing.
    pub(crate) fn word(self, key: &str) -> String {
        self.say(key, &[])
    }

    /// Says a text, with what stands in its places.
    pub(crate) fn say(self, key: &str, values: &[(&'static str, Given<'_>)]) -> String {
        self.found(key, None, values)
    }

    /// Returns a command's or an option's description.
    pub(crate) fn description(self, key: &str) -> String {
        self.found(key, Some("description"), &[])
    }

    fn found(
        self,
        key: &str,
        attribute: Option<&str>,
        values: &[(&'static str, Given<'_>)],
    ) -> String {
        let bundle = match self {
            Self::English => &*ENGLISH,
            Self::German => &*GERMAN,
        };
        let message = bundle.get_message(key);
        let pattern = match attribute {
            None => message.and_then(|message| message.value()),
            Some(name) => message
                .and_then(|message| message.get_attribute(name))
                .map(|attribute| attribute.value()),
        };
        // Invariant: every key stands in every language, which a test holds.
        let Some(pattern) = pattern else { return key.to_owned() };
        let mut arguments = FluentArgs::new();
        for (name, value) in values {
            arguments.set(*name, value.clone());
        }
        let mut problems = Vec::new();
        let said = bundle.format_pattern(pattern, Some(&arguments), &mut problems);
        debug_assert!(problems.is_empty(), "{key}: {problems:?}");
        Cow::into_owned(said)
    }

    fn source(self) -> &'static str {
        match self {
            Self::English => include_str!("../../texts/en.ftl"),
            Self::German => include_str!("../../texts/de.ftl"),
        }
    }

    /// Returns what the keys of a community's config mean, where it does not stand beside them.
    fn source_about_config(self) -> &'static str {
        match self {
            Self::English => "",
            Self::German => include_str!("../../texts/config.de.ftl"),
        }
    }
}

/// What stands in a place of a text.
#[derive(Clone, Debug)]
pub(crate) enum Given<'a> {
    Text(&'a str),
    Count(usize),
}

impl<'a> From<&'a str> for Given<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Given<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Given<'_> {
    fn from(count: usize) -> Self {
        Self::Count(count)
    }
}

impl<'a> From<Given<'a>> for FluentValue<'a> {
    fn from(given: Given<'a>) -> Self {
        match given {
            Given::Text(text) => FluentValue::from(text),
            Given::Count(count) => FluentValue::from(count),
        }
    }
}

fn bundle(language: Language) -> Bundle {
    let identifier = match language {
        Language::English => langid!("en-US"),
        Language::German => langid!("de"),
    };
    let mut bundle = Bundle::new_concurrent(vec![identifier]);
    // Discord shows the marks by which a text's direction would be kept apart.
    bundle.set_use_isolating(false);
    for source in [language.source(), language.source_about_config()] {
        let resource = FluentResource::try_new(source.to_owned());
        // What can be read of it is said; a test holds that it is all.
        bundle.add_resource_overriding(resource.unwrap_or_else(|(resource, _)| resource));
    }
    bundle
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};

    use ery_community_config::keys;

    use super::*;
    use crate::domain::commands::{declared, list};

    /// The places of a text, by its key; `.description` marks a description.
    type Places = BTreeMap<String, BTreeSet<String>>;

    fn read(language: Language) -> Places {
        places(language, language.source())
    }

    fn places(language: Language, source: &str) -> Places {
        let resource = FluentResource::try_new(source.to_owned())
            .unwrap_or_else(|(_, errors)| panic!("{language:?}: {errors:?}"));
        let mut places = Places::new();
        let mut note = |key: String, pattern: &Pattern<&str>| {
            let mut found = BTreeSet::new();
            of_pattern(pattern, &mut found);
            assert!(places.insert(key.clone(), found).is_none(), "{language:?}: {key} twice");
        };
        for entry in resource.entries() {
            match entry {
                Entry::Message(message) => {
                    if let Some(value) = &message.value {
                        note(message.id.name.to_owned(), value);
                    }
                    for attribute in &message.attributes {
                        let key = format!("{}.{}", message.id.name, attribute.id.name);
                        note(key, &attribute.value);
                    }
                }
                Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => {}
                other => panic!("{language:?}: {other:?}"),
            }
        }
        places
    }

    fn of_pattern(pattern: &Pattern<&str>, found: &mut BTreeSet<String>) {
        for element in &pattern.elements {
            if let PatternElement::Placeable { expression } = element {
                of_expression(expression, found);
            }
        }
    }

    fn of_expression(expression: &Expression<&str>, found: &mut BTreeSet<String>) {
        match expression {
            Expression::Inline(inline) => of_inline(inline, found),
            Expression::Select { selector, variants } => {
                of_inline(selector, found);
                for variant in variants {
                    of_pattern(&variant.value, found);
                }
            }
        }
    }

    fn of_inline(inline: &InlineExpression<&str>, found: &mut BTreeSet<String>) {
        match inline {
            InlineExpression::VariableReference { id } => {
                found.insert(id.name.to_owned());
            }
            InlineExpression::Placeable { expression } => of_expression(expression, found),
            _ => {}
        }
    }

    #[test]
    fn every_language_says_everything_with_the_same_places() {
        let english = read(Language::English);
        for language in Language::ALL {
            let other = read(language);
            let keys = |places: &Places| places.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(keys(&other), keys(&english), "{language:?}");
            for (key, places) in &english {
                assert_eq!(&other[key], places, "{language:?}: {key}");
            }
        }
    }

    #[test]
    fn every_key_of_the_config_is_explained_in_every_language() {
        let wanted: BTreeSet<_> = keys().all().map(config::about_key).collect();
        for language in Language::ALL.into_iter().filter(|it| *it != Language::English) {
            let explained = places(language, language.source_about_config());
            assert_eq!(explained.into_keys().collect::<BTreeSet<_>>(), wanted, "{language:?}");
        }
        for key in keys().all() {
            for language in Language::ALL {
                assert!(config::about(language, key).ends_with('.'), "{language:?} {key}");
            }
        }
    }

    /// Keys stand in the code as they are, so that each can be found there.
    #[test]
    fn every_text_is_said_somewhere_and_every_text_that_is_said_stands_there() {
        let texts: BTreeSet<String> = read(Language::English).into_keys().collect();
        let declared = declared::texts_of(list::COMMANDS);
        let said: BTreeSet<_> =
            texts.iter().filter(|key| !key.starts_with("command-")).cloned().collect();
        let commands: BTreeSet<_> = texts.difference(&said).cloned().collect();
        assert_eq!(commands, declared);

        let source = sources();
        for key in &said {
            assert!(source.contains(&format!("\"{key}\"")), "nobody says `{key}`");
        }
        for key in keys_in(&source) {
            assert!(said.contains(key), "`{key}` is said, and stands in no language");
        }
    }

    /// The code of commands, without its tests.
    fn sources() -> String {
        fn add(folder: &std::path::Path, source: &mut String) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    add(&path, source);
                } else if path != std::path::Path::new(file!()) {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                    source.push_str(code);
                }
            }
        }
        let mut source = String::new();
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        add(std::path::Path::new(root), &mut source);
        source
    }

    /// Returns what stands in `.word("…")` and `.say("…"`, wherever a line may break.
    fn keys_in(source: &str) -> Vec<&str> {
        let openings = [".word(", ".say("];
        let mut keys = Vec::new();
        for opening in openings {
            for (start, _) in source.match_indices(opening) {
                let rest = source[start + opening.len()..].trim_start();
                if let Some(key) = rest.strip_prefix('"').and_then(|rest| rest.split('"').next()) {
                    keys.push(key);
                }
            }
        }
        assert!(!keys.is_empty());
        keys
    }

    #[test]
    fn a_typed_command_is_called_in_english_as_in_the_code() {
        for command in list::COMMANDS {
            if matches!(command.shape, declared::Shape::Typed(_)) {
                assert_eq!(command.called(Language::English), command.name);
            }
        }
    }

    #[test]
    fn the_persons_language_comes_first_then_the_servers_then_english() {
        use Language::{English, German};
        for (person, server, chosen) in [
            (Some("de"), Some("en-US"), German),
            (Some("en-GB"), Some("de"), English),
            (Some("fr"), Some("de"), German),
            (Some("fr"), Some("ja"), English),
            (None, Some("de"), German),
            (None, None, English),
            (Some(""), None, English),
        ] {
            assert_eq!(Language::of(person, server), chosen, "{person:?} {server:?}");
        }
    }

    #[test]
    fn numbers_have_each_languages_own_plural() {
        let said = |language: Language, count: usize| {
            language.say("why-more-calls", &[("count", count.into())])
        };
        assert_ne!(said(Language::English, 1), said(Language::English, 2).replace('2', "1"));
        assert_ne!(said(Language::German, 1), said(Language::German, 2).replace('2', "1"));
    }

    #[test]
    fn what_people_wrote_is_put_in_as_it_is() {
        let said = Language::English.say("schedule-cancelled", &[("tool", "{ $x } <b>".into())]);
        assert!(said.contains("{ $x } <b>"), "{said}");
    }
}
