//! What Ery says to people in words of her own, in every language that she speaks.
//!
//! The texts stand in `texts/<language>.ftl`, one file for each, in Project Fluent's format: whoever
//! translates needs no code, and each language has its own rules of plural. What the keys of a
//! community's config mean stands beside them in English, and in `texts/config.<language>.ftl` in
//! others. What models read is English, and none of this.

mod rights;
pub mod testing;

use std::{borrow::Cow, sync::LazyLock};

use fluent_bundle::{FluentArgs, FluentResource, FluentValue, concurrent::FluentBundle};
use unic_langid::langid;

pub use rights::right;

/// A language whose texts are complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    English,
    German,
}

type Bundle = FluentBundle<FluentResource>;

static ENGLISH: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::English));
static GERMAN: LazyLock<Bundle> = LazyLock::new(|| bundle(Language::German));

impl Language {
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// Returns how Discord names it.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en-US",
            Self::German => "de",
        }
    }

    /// Chooses by what a person's client says, or by what a community has set, else by what its server
    /// says, else English.
    pub fn of(person: Option<&str>, server: Option<&str>) -> Self {
        let of = |code: Option<&str>| code.and_then(Self::known);
        of(person).or_else(|| of(server)).unwrap_or(Self::English)
    }

    /// Returns the language of a code such as `de-AT`, if there are texts in it.
    pub fn known(code: &str) -> Option<Self> {
        match code.split('-').next() {
            Some("en") => Some(Self::English),
            Some("de") => Some(Self::German),
            _ => None,
        }
    }

    /// Says a text that takes nothing.
    pub fn word(self, key: &str) -> String {
        self.say(key, &[])
    }

    /// Says a text, with what stands in its places.
    pub fn say(self, key: &str, values: &[(&'static str, Given<'_>)]) -> String {
        self.found(key, None, values)
    }

    /// Returns a command's or an option's description.
    pub fn description(self, key: &str) -> String {
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
            Self::English => include_str!("../texts/en.ftl"),
            Self::German => include_str!("../texts/de.ftl"),
        }
    }

    /// Returns what the keys of a community's config mean, where it does not stand beside them.
    fn source_about_config(self) -> &'static str {
        match self {
            Self::English => "",
            Self::German => include_str!("../texts/config.de.ftl"),
        }
    }
}

/// What stands in a place of a text.
#[derive(Clone, Debug)]
pub enum Given<'a> {
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
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::{Places, texts};

    #[test]
    fn every_language_says_everything_with_the_same_places() {
        let english = texts(Language::English);
        for language in Language::ALL {
            let other = texts(language);
            let keys = |places: &Places| places.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(keys(&other), keys(&english), "{language:?}");
            for (key, places) in &english {
                assert_eq!(&other[key], places, "{language:?}: {key}");
            }
        }
    }

    /// Keys stand in the code as they are, so that each can be found there.
    #[test]
    fn every_text_is_said_somewhere_and_every_text_that_is_said_stands_there() {
        let texts: BTreeSet<String> = texts(Language::English).into_keys().collect();
        // Whoever declares commands has a test of theirs.
        let said: BTreeSet<_> =
            texts.iter().filter(|key| !key.starts_with("command-")).cloned().collect();
        let source = sources();
        for key in &said {
            assert!(source.contains(&format!("\"{key}\"")), "nobody says `{key}`");
        }
        for key in keys_in(&source) {
            assert!(said.contains(key), "`{key}` is said, and stands in no language");
        }
    }

    /// The code of those who say something, without its tests.
    fn sources() -> String {
        fn add(folder: &std::path::Path, source: &mut String) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    add(&path, source);
                } else {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                    source.push_str(code);
                }
            }
        }
        let mut source = String::new();
        for of in ["", "/../../services/orchestrator", "/../../services/tool-service"] {
            let root = format!("{}{of}/src", env!("CARGO_MANIFEST_DIR"));
            add(std::path::Path::new(&root), &mut source);
        }
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
