use secrecy::{ExposeSecret as _, SecretString};
use twilight_model::id::{
    Id,
    marker::{GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;

/// How long a key is of which the end is shown: what is shown is a small part of it.
const SHOWN_FROM: usize = 16;

/// How much of a key's end is shown.
const SHOWN: usize = 4;

/// A guild's own key for one of the operator's model providers.
#[derive(Clone, Debug)]
pub(crate) struct ProviderKey {
    pub(crate) guild: Id<GuildMarker>,
    /// As the operator's settings name it.
    pub(crate) provider: String,
    /// Visible ASCII characters.
    pub(crate) key: SecretString,
    /// None: the installation's operator, or somebody who is forgotten.
    pub(crate) set_by: Option<Id<UserMarker>>,
    pub(crate) set_at: UnixMillis,
}

impl ProviderKey {
    /// Returns the key's last characters, by which people tell one from another; nothing of a short one.
    pub(crate) fn ends_with(&self) -> &str {
        let key = self.key.expose_secret();
        if key.len() < SHOWN_FROM { "" } else { &key[key.len() - SHOWN..] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> ProviderKey {
        ProviderKey {
            guild: Id::new(1),
            provider: "openai".into(),
            key: key.into(),
            set_by: None,
            set_at: UnixMillis(0),
        }
    }

    #[test]
    fn the_end_of_a_long_key_is_shown_and_nothing_else() {
        assert_eq!(key("sk-0123456789abcdef").ends_with(), "cdef");
        assert_eq!(key("sk-0123456789ab").ends_with(), "");
        let shown = format!("{:?}", key("sk-0123456789abcdef"));
        assert!(!shown.contains("0123"), "{shown}");
    }
}
