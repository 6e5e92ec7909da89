use twilight_model::id::{
    Id,
    marker::{ChannelMarker, GuildMarker, UserMarker},
};

use ery_clock::UnixMillis;

/// What comes before a credential's id where an execution names what began it.
const TRIGGER: &str = "mcp.";

/// What an MCP client is let in by: it acts for one person, in one guild.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct McpCredential {
    pub(crate) id: String,
    pub(crate) guild: Id<GuildMarker>,
    /// For whom it acts.
    pub(crate) user: Id<UserMarker>,
    /// Where its calls are made, and its proposals are shown.
    pub(crate) channel: Id<ChannelMarker>,
    pub(crate) name: String,
    /// The tools that it may call; none for every tool.
    pub(crate) tools: Vec<String>,
    pub(crate) token_hash: Vec<u8>,
    pub(crate) created_at: UnixMillis,
    pub(crate) revoked_at: Option<UnixMillis>,
    /// When its client was last told what others wrote.
    pub(crate) told_at: Option<UnixMillis>,
}

/// Returns the credential by which an execution was asked for, from what began it.
pub(crate) fn credential_of(trigger: &str) -> Option<&str> {
    trigger.strip_prefix(TRIGGER)
}

/// Returns how executions name a credential as what began them.
pub(crate) fn trigger_of(credential: &str) -> String {
    format!("{TRIGGER}{credential}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_began_an_execution_tells_its_credential() {
        assert_eq!(credential_of(&trigger_of("abc")), Some("abc"));
        for other in ["m.5", "", "ap.mcp.abc"] {
            assert_eq!(credential_of(other), None, "{other}");
        }
    }
}
