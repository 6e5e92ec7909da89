//! Whom a message mentions, and whom it may.

use twilight_model::guild::Permissions;

use super::{Channel, FieldError, Refusal, RoleId, UserId, World};

/// Which mentions of a content take effect.
///
/// Source: Discord Docs, Message, "Allowed Mentions Object".
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "they are Discord's own switches")]
pub(crate) struct AllowedMentions {
    pub(crate) parse_users: bool,
    pub(crate) parse_roles: bool,
    pub(crate) parse_everyone: bool,
    pub(crate) users: Vec<UserId>,
    pub(crate) roles: Vec<RoleId>,
    pub(crate) replied_user: bool,
}

impl AllowedMentions {
    /// What holds where a message says nothing of it: everything.
    pub(crate) fn all() -> Self {
        Self {
            parse_users: true,
            parse_roles: true,
            parse_everyone: true,
            users: Vec::new(),
            roles: Vec::new(),
            replied_user: true,
        }
    }

    /// What holds where a webhook or an answer to an interaction says nothing of it: only people.
    pub(super) fn users_only() -> Self {
        Self { parse_roles: false, parse_everyone: false, ..Self::all() }
    }

    /// Checks that a kind is not both parsed and listed, and that the lists are short enough.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let mut errors = Vec::new();
        let kinds = [
            ("users", self.parse_users, self.users.len()),
            ("roles", self.parse_roles, self.roles.len()),
        ];
        for (kind, parsed, listed) in kinds {
            if parsed && listed > 0 {
                errors.push(FieldError::new(
                    &["allowed_mentions"],
                    "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                    format!("parse:[\"{kind}\"] and {kind}: [ids...] are mutually exclusive."),
                ));
            }
            if listed > 100 {
                errors.push(FieldError::new(
                    &["allowed_mentions", kind],
                    "BASE_TYPE_MAX_LENGTH",
                    "Must be 100 or fewer in length.",
                ));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Refusal::InvalidForm(errors)) }
    }
}

/// What a content mentions, as written.
#[derive(Debug, Default, PartialEq, Eq)]
struct Written {
    users: Vec<u64>,
    roles: Vec<u64>,
    everyone: bool,
}

/// What a message mentions in effect.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    pub(super) users: Vec<UserId>,
    pub(super) roles: Vec<RoleId>,
    pub(super) everyone: bool,
}

impl World {
    /// Finds whom `content` mentions, of those whom it may mention.
    pub(super) fn mentions_in(
        &self,
        channel: &Channel,
        content: &str,
        allowed: &AllowedMentions,
        rights: Permissions,
    ) -> Mentions {
        if !content.contains('@') {
            return Mentions::default();
        }
        let written = written_in(content);
        let may_mention_all = rights.contains(Permissions::MENTION_EVERYONE);
        let mut mentions = Mentions {
            everyone: written.everyone && allowed.parse_everyone && may_mention_all,
            ..Mentions::default()
        };
        for id in written.users {
            let id = UserId::new(id);
            if self.users.contains_key(&id)
                && !mentions.users.contains(&id)
                && (allowed.parse_users || allowed.users.contains(&id))
            {
                mentions.users.push(id);
            }
        }
        let guild = channel.guild.and_then(|guild| self.guilds.get(&guild));
        for id in written.roles {
            let id = RoleId::new(id);
            let may = guild
                .and_then(|guild| guild.roles.get(&id))
                .is_some_and(|role| role.mentionable || may_mention_all);
            if may
                && !mentions.roles.contains(&id)
                && (allowed.parse_roles || allowed.roles.contains(&id))
            {
                mentions.roles.push(id);
            }
        }
        mentions
    }

    /// Writes `@name` as the mention of the member or role of that name, as Discord's own clients
    /// do while one types. Longer names win over shorter ones; what names nobody stays as it is.
    pub(crate) fn with_mentions_resolved(&self, channel: &Channel, content: String) -> String {
        let guild = channel.guild.and_then(|guild| self.guilds.get(&guild));
        let Some(guild) = guild.filter(|_| content.contains('@')) else { return content };
        let mut result = String::with_capacity(content.len() + 32);
        let mut rest = content.as_str();
        while let Some(at) = rest.find('@') {
            let starts_word = !rest[..at]
                .ends_with(|c: char| c.is_alphanumeric() || "<_".contains(c))
                && (at > 0 || !result.ends_with(|c: char| c.is_alphanumeric() || "<_".contains(c)));
            result.push_str(&rest[..at]);
            let after = &rest[at + 1..];
            if let Some((mention, length)) = starts_word.then(|| self.named(guild, after)).flatten()
            {
                result.push_str(&mention);
                rest = &after[length..];
            } else {
                result.push('@');
                rest = after;
            }
        }
        result.push_str(rest);
        result
    }

    /// Finds the member or role whose name `text` begins with, and how long that name is.
    fn named(&self, guild: &super::Guild, text: &str) -> Option<(String, usize)> {
        let mut best: Option<(String, usize)> = None;
        let mut consider = |name: &str, mention: &dyn Fn() -> String| {
            if let Some(length) = begins_with_name(text, name)
                && best.as_ref().is_none_or(|(_, longest)| length > *longest)
            {
                best = Some((mention(), length));
            }
        };
        for member in guild.members.values() {
            let Some(user) = self.users.get(&member.user) else { continue };
            let mention = || format!("<@{}>", user.id);
            consider(&user.username, &mention);
            consider(user.display_name(), &mention);
            if let Some(nick) = &member.nick {
                consider(nick, &mention);
            }
        }
        for role in guild.roles.values().filter(|role| role.id != guild.everyone()) {
            consider(&role.name, &|| format!("<@&{}>", role.id));
        }
        best
    }
}

/// Returns the length of `name` in bytes of `text` if `text` begins with it, as a whole word.
fn begins_with_name(text: &str, name: &str) -> Option<usize> {
    let mut rest = text.chars();
    for expected in name.chars() {
        let found = rest.next()?;
        if found != expected && !found.to_lowercase().eq(expected.to_lowercase()) {
            return None;
        }
    }
    let rest = rest.as_str();
    let ends = !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    (ends && !name.is_empty()).then_some(text.len() - rest.len())
}

fn written_in(content: &str) -> Written {
    let mut written = Written::default();
    let mut rest = content;
    while let Some(at) = rest.find('@') {
        let opened = rest[..at].ends_with('<');
        let after = &rest[at + 1..];
        rest = after;
        if !opened {
            written.everyone |= after.starts_with("everyone") || after.starts_with("here");
            continue;
        }
        let is_role = after.starts_with('&');
        let digits = after.trim_start_matches(['&', '!']);
        let Some((id, _)) = digits.split_once('>') else { continue };
        let Some(id) = id.parse::<u64>().ok().filter(|id| *id > 0) else { continue };
        if is_role {
            written.roles.push(id);
        } else {
            written.users.push(id);
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_found_as_discord_writes_them() {
        let written = written_in("<@5> and <@!6>, <@&7>; not <@0> <@x> @8 <@9 but @everyone");
        assert_eq!(written, Written { users: vec![5, 6], roles: vec![7], everyone: true });
        assert!(written_in("@here").everyone);
        assert!(!written_in("<@everyone>").everyone);
    }

    #[test]
    fn a_name_is_a_whole_word_in_any_case() {
        assert_eq!(begins_with_name("Bob please", "bob"), Some(3));
        assert_eq!(begins_with_name("bobby", "bob"), None);
        assert_eq!(begins_with_name("Ännchen!", "ännchen"), Some(8));
        assert_eq!(begins_with_name("x", ""), None);
    }
}
