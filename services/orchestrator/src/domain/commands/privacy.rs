//! `/privacy`: what a person asks for themselves.

use super::{OURS, interaction::Invoked};

/// Of where, as people choose it.
pub(crate) const SCOPES: [&str; 2] = ["everywhere", "server"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Every server, and the direct messages.
    Everywhere,
    /// The server in which it is asked.
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrivacyDeed {
    Export(Scope),
    /// Says what would be forgotten, and asks for the click.
    AskForget(Scope),
    Forget(Scope),
    OptOut(Scope),
    OptIn(Scope),
}

impl PrivacyDeed {
    pub(crate) fn scope(self) -> Scope {
        let (Self::Export(scope)
        | Self::AskForget(scope)
        | Self::Forget(scope)
        | Self::OptOut(scope)
        | Self::OptIn(scope)) = self;
        scope
    }

    /// Returns a word for metrics.
    pub(crate) fn as_word(self) -> &'static str {
        match self {
            Self::Export(_) => "privacy-export",
            Self::AskForget(_) => "privacy-delete",
            Self::Forget(_) => "privacy-delete-confirmed",
            Self::OptOut(_) => "privacy-opt-out",
            Self::OptIn(_) => "privacy-opt-in",
        }
    }
}

/// Reads what stands behind `/privacy`.
pub(crate) fn read(path: &[&str], invoked: &Invoked) -> Option<PrivacyDeed> {
    let scope = match invoked.text("where") {
        None => Scope::Everywhere,
        Some(word) => scope(word)?,
    };
    Some(match path {
        ["export"] => PrivacyDeed::Export(scope),
        ["delete"] => PrivacyDeed::AskForget(scope),
        ["opt-out"] => PrivacyDeed::OptOut(scope),
        ["opt-in"] => PrivacyDeed::OptIn(scope),
        _ => return None,
    })
}

fn scope(word: &str) -> Option<Scope> {
    match word {
        "everywhere" => Some(Scope::Everywhere),
        "server" => Some(Scope::Server),
        _ => None,
    }
}

/// Returns the id of the button by which whoever presses it is forgotten.
pub(crate) fn forget_button(scope: Scope) -> String {
    let word = match scope {
        Scope::Everywhere => SCOPES[0],
        Scope::Server => SCOPES[1],
    };
    format!("{OURS}forget.{word}")
}

/// Reads what stands behind `forget.` in a button's id.
pub(crate) fn pressed(word: &str) -> Option<PrivacyDeed> {
    scope(word).map(PrivacyDeed::Forget)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::commands::interaction::Filled;

    #[test]
    fn everything_is_meant_unless_a_server_is_named() {
        let invoked = |word: Option<&str>| {
            let options = word.map(|word| ("where".to_owned(), Filled::Text(word.to_owned())));
            Invoked { options: options.into_iter().collect(), ..Invoked::default() }
        };
        let read = |path: &str, word| read(&[path], &invoked(word));
        assert_eq!(read("export", None), Some(PrivacyDeed::Export(Scope::Everywhere)));
        assert_eq!(read("opt-out", Some("server")), Some(PrivacyDeed::OptOut(Scope::Server)));
        assert_eq!(read("delete", Some("moon")), None);
        assert_eq!(read("gone", None), None);
    }

    #[test]
    fn a_button_says_what_it_forgets() {
        for (scope, word) in [(Scope::Everywhere, "everywhere"), (Scope::Server, "server")] {
            assert!(forget_button(scope).ends_with(word));
            assert_eq!(pressed(word), Some(PrivacyDeed::Forget(scope)));
        }
        assert_eq!(pressed("0"), None);
    }
}
