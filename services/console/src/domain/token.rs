use std::{fmt, fmt::Write as _};

use rand::RngCore as _;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use twilight_model::id::{Id, marker::GuildMarker};

/// What every token begins with, so that it is known for what it is where it is found.
const PREFIX: &str = "ery_mcp_";

/// The longest text that is looked at.
const MAX_TEXT: usize = 256;

/// What an MCP client shows: `ery_mcp_<guild>_<credential>_<secret>`.
///
/// Nobody keeps it but whoever was given it: the store knows its hash alone.
pub struct Token {
    guild: Id<GuildMarker>,
    credential: String,
    text: SecretString,
}

impl Token {
    /// Makes a new one, with 256 random bits.
    pub fn random(guild: Id<GuildMarker>) -> Self {
        let mut rng = rand::rng();
        let (mut id, mut secret) = ([0; 8], [0; 32]);
        rng.fill_bytes(&mut id);
        rng.fill_bytes(&mut secret);
        let credential = hex(&id);
        let text = format!("{PREFIX}{guild}_{credential}_{}", hex(&secret));
        Self { guild, credential, text: text.into() }
    }

    /// Reads one; none if it cannot be any.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let mut parts = text.strip_prefix(PREFIX)?.split('_');
        let (guild, credential, secret) = (parts.next()?, parts.next()?, parts.next()?);
        let is_plain =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if parts.next().is_some() || !is_plain(credential) || !is_plain(secret) {
            return None;
        }
        // An id that the store could not hold names no guild.
        let guild = guild.parse::<u64>().ok().filter(|guild| i64::try_from(*guild).is_ok())?;
        Some(Self {
            guild: Id::new_checked(guild)?,
            credential: credential.to_owned(),
            text: text.to_owned().into(),
        })
    }

    pub fn guild(&self) -> Id<GuildMarker> {
        self.guild
    }

    /// Returns the id of the credential that it belongs to.
    pub fn credential(&self) -> &str {
        &self.credential
    }

    /// Returns the whole token, to be shown once.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// Returns its SHA-256. With so many random bits in it no slower hash is needed.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.text.expose_secret()).into()
    }

    /// Returns whether it is the token of that hash. Takes as long whatever differs.
    pub(crate) fn is_of(&self, hash: &[u8]) -> bool {
        let own = self.hash();
        let differing = own
            .iter()
            .zip(hash)
            .fold(own.len() ^ hash.len(), |differing, (a, b)| differing | usize::from(a ^ b));
        differing == 0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("credential", &self.credential).finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_is_of_its_own_hash_alone() {
        let token = Token::random(Id::new(7));
        let read = Token::parse(token.expose()).unwrap();
        assert_eq!((read.guild(), read.credential()), (Id::new(7), token.credential()));
        assert!(read.is_of(&token.hash()));
        assert!(!read.is_of(&Token::random(Id::new(7)).hash()));
        assert!(!read.is_of(&token.hash()[..31]) && !read.is_of(&[]));
        assert!(!format!("{token:?}").contains(token.expose()));
    }

    #[test]
    fn what_is_no_token_is_none() {
        let long = format!("ery_mcp_7_a_{}", "b".repeat(300));
        for text in [
            "",
            "ery_mcp_",
            "ery_mcp_7",
            "ery_mcp_7_a",
            "ery_mcp_0_a_b",
            "ery_mcp_x_a_b",
            "ery_mcp_7__b",
            "ery_mcp_7_a_",
            "ery_mcp_7_a_b_c",
            "ery_mcp_7_a/b_c",
            "mcp_7_a_b",
            "ery_mcp_18446744073709551615_a_b",
            &long,
        ] {
            assert!(Token::parse(text).is_none(), "{text}");
        }
    }
}
