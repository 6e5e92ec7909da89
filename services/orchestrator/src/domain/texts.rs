//! What Ery says, as it is about what this service knows: refusals, and the keys of the config. The
//! words themselves are those of `ery-texts`.

pub(crate) mod config;
pub(crate) mod refusals;

pub(crate) use ery_texts::{Language, right};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ery_community_config::keys;
    use ery_texts::testing::{about_config, texts};

    use super::*;
    use crate::domain::commands::{declared, list};

    #[test]
    fn every_key_of_the_config_is_explained_in_every_language() {
        let wanted: BTreeSet<_> = keys().all().map(config::about_key).collect();
        for language in Language::ALL.into_iter().filter(|it| *it != Language::English) {
            let explained = about_config(language);
            assert_eq!(explained.into_keys().collect::<BTreeSet<_>>(), wanted, "{language:?}");
        }
        for key in keys().all() {
            for language in Language::ALL {
                assert!(config::about(language, key).ends_with('.'), "{language:?} {key}");
            }
        }
    }

    #[test]
    fn the_texts_of_commands_are_those_of_the_commands_that_there_are() {
        let texts = texts(Language::English).into_keys();
        let commands: BTreeSet<_> = texts.filter(|key| key.starts_with("command-")).collect();
        assert_eq!(commands, declared::texts_of(list::COMMANDS));
    }

    #[test]
    fn a_typed_command_is_called_in_english_as_in_the_code() {
        for command in list::COMMANDS {
            if matches!(command.shape, declared::Shape::Typed(_)) {
                assert_eq!(command.called(Language::English), command.name);
            }
        }
    }
}
