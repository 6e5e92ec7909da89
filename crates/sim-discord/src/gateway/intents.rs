//! Which intents a dispatch needs.
//!
//! Source: Discord Docs, Gateway, "List of Intents".

pub(crate) const GUILDS: u64 = 1;
pub(crate) const GUILD_MEMBERS: u64 = 1 << 1;
pub(crate) const GUILD_MODERATION: u64 = 1 << 2;
pub(crate) const GUILD_PRESENCES: u64 = 1 << 8;
pub(crate) const GUILD_MESSAGES: u64 = 1 << 9;
pub(crate) const GUILD_MESSAGE_REACTIONS: u64 = 1 << 10;
pub(crate) const GUILD_MESSAGE_TYPING: u64 = 1 << 11;
pub(crate) const DIRECT_MESSAGES: u64 = 1 << 12;
pub(crate) const DIRECT_MESSAGE_REACTIONS: u64 = 1 << 13;
pub(crate) const DIRECT_MESSAGE_TYPING: u64 = 1 << 14;
pub(crate) const MESSAGE_CONTENT: u64 = 1 << 15;

/// Those that must be switched on in the developers' portal.
pub(crate) const PRIVILEGED: u64 = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT;

/// Every bit that means something: 0 to 16, 20, 21, 24, 25.
pub(crate) const KNOWN: u64 = 0x1_FFFF | (1 << 20) | (1 << 21) | (1 << 24) | (1 << 25);

/// Returns the intents of which one is needed to hear a dispatch; 0 where none is.
pub(crate) fn needed_for(name: &str, in_guild: bool) -> u64 {
    let of = |guild: u64, dm: u64| if in_guild { guild } else { dm };
    match name {
        "GUILD_MEMBER_ADD" | "GUILD_MEMBER_UPDATE" | "GUILD_MEMBER_REMOVE" => GUILD_MEMBERS,
        "GUILD_BAN_ADD" | "GUILD_BAN_REMOVE" | "GUILD_AUDIT_LOG_ENTRY_CREATE" => GUILD_MODERATION,
        "MESSAGE_CREATE" | "MESSAGE_UPDATE" | "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK" => {
            of(GUILD_MESSAGES, DIRECT_MESSAGES)
        }
        "MESSAGE_REACTION_ADD"
        | "MESSAGE_REACTION_REMOVE"
        | "MESSAGE_REACTION_REMOVE_ALL"
        | "MESSAGE_REACTION_REMOVE_EMOJI" => of(GUILD_MESSAGE_REACTIONS, DIRECT_MESSAGE_REACTIONS),
        "TYPING_START" => of(GUILD_MESSAGE_TYPING, DIRECT_MESSAGE_TYPING),
        "CHANNEL_PINS_UPDATE" => of(GUILDS, DIRECT_MESSAGES),
        "GUILD_CREATE" | "GUILD_UPDATE" | "GUILD_DELETE" | "GUILD_ROLE_CREATE"
        | "GUILD_ROLE_UPDATE" | "GUILD_ROLE_DELETE" | "CHANNEL_CREATE" | "CHANNEL_UPDATE"
        | "CHANNEL_DELETE" | "THREAD_CREATE" | "THREAD_UPDATE" | "THREAD_DELETE" => GUILDS,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_dispatch_has_its_intent() {
        for (name, in_guild, needed) in [
            ("MESSAGE_CREATE", true, GUILD_MESSAGES),
            ("MESSAGE_CREATE", false, DIRECT_MESSAGES),
            ("MESSAGE_REACTION_ADD", true, GUILD_MESSAGE_REACTIONS),
            ("TYPING_START", false, DIRECT_MESSAGE_TYPING),
            ("GUILD_ROLE_UPDATE", true, GUILDS),
            ("GUILD_BAN_ADD", true, GUILD_MODERATION),
            ("RESUMED", false, 0),
        ] {
            assert_eq!(needed_for(name, in_guild), needed, "{name}");
        }
    }
}
