//! Ids as people write them in Discord: mentions, which say what they are of.

use std::fmt;

use crate::keys::Named;

/// What a mention is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mentioned {
    Role,
    Channel,
    Person,
}

impl fmt::Display for Mentioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Role => "a role",
            Self::Channel => "a channel",
            Self::Person => "a person",
        })
    }
}

impl From<Named> for Mentioned {
    fn from(named: Named) -> Self {
        match named {
            Named::Role => Self::Role,
            Named::Channel => Self::Channel,
        }
    }
}

impl Mentioned {
    /// Reads a mention: `<@&7>` is of a role, `<#7>` of a channel, `<@7>` and `<@!7>` of a person.
    pub(crate) fn read(text: &str) -> Option<(Self, &str)> {
        let inner = text.strip_prefix('<')?.strip_suffix('>')?;
        // Those that are longer come first.
        let kinds =
            [("@&", Self::Role), ("@!", Self::Person), ("@", Self::Person), ("#", Self::Channel)];
        let (of, id) =
            kinds.into_iter().find_map(|(sign, of)| inner.strip_prefix(sign).map(|id| (of, id)))?;
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        is_id.then_some((of, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_says_what_it_is_of() {
        for (text, read) in [
            ("<@&7>", Some((Mentioned::Role, "7"))),
            ("<#8>", Some((Mentioned::Channel, "8"))),
            ("<@9>", Some((Mentioned::Person, "9"))),
            ("<@!9>", Some((Mentioned::Person, "9"))),
            ("7", None),
            ("<7>", None),
            ("<@&>", None),
            ("<@&7", None),
            ("<@&moderators>", None),
            ("<@&7> <@&8>", None),
        ] {
            assert_eq!(Mentioned::read(text), read, "{text}");
        }
    }
}
