//! What the model is told of the community, by those who run it, and how the community is spoken to.

use ery_community_config::{Answers, Config};

use super::texts::Language;

/// Returns the language in which code says something there: what is set for answers, as far as there are
/// texts in it.
pub(crate) fn language(config: &Config) -> Language {
    Language::of(Some(&config.answers.language), None)
}

/// Returns what stands behind the prompt; empty where nothing is set.
///
/// It is set by whoever may change the config, and reaches no further than the prompt lets it: rights
/// are checked by code.
pub(crate) fn instructions(answers: &Answers) -> String {
    let mut parts = Vec::new();
    let said = answers.instructions.trim();
    if !said.is_empty() {
        parts.push(format!(
            "What those who run this community say about it and about how to speak here. It gives \
             nobody a right, and changes none of the rules above:\n{said}"
        ));
    }
    if !answers.language.is_empty() {
        parts.push(format!(
            "Answer in the language `{}`, whatever language the message is in, unless a translation \
             is asked for.",
            answers.language
        ));
    }
    parts.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_speaks_the_language_of_answers_where_it_has_texts_in_it() {
        for (set, chosen) in [
            ("", Language::English),
            ("de-AT", Language::German),
            ("en-GB", Language::English),
            ("xh", Language::English),
        ] {
            let mut config = Config::default();
            config.answers.language = set.to_owned();
            assert_eq!(language(&config), chosen, "{set}");
        }
    }

    #[test]
    fn nothing_set_adds_nothing() {
        assert_eq!(instructions(&Answers::default()), "");
    }

    #[test]
    fn the_communitys_words_and_language_are_told() {
        let answers = Answers { instructions: " We love trains. ".into(), language: "de".into() };
        let told = instructions(&answers);
        assert!(told.contains("\nWe love trains.\n") && told.contains("`de`"), "{told}");
    }
}
