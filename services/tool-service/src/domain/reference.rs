//! How people, channels, messages and emoji are referred to in arguments.

use twilight_model::id::{
    Id,
    marker::{ChannelMarker, EmojiMarker, GuildMarker, MessageMarker, RoleMarker, UserMarker},
};

/// The longest name that is looked for; Discord's own bound is 32, for channels 100.
const MAX_NAME: usize = 100;

/// What a `member` argument means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MemberReference {
    Id(Id<UserMarker>),
    Name(String),
}

/// What a `channel` argument means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChannelReference {
    Id(Id<ChannelMarker>),
    Name(String),
}

/// What a `role` argument means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RoleReference {
    Id(Id<RoleMarker>),
    /// Without the `@`.
    Name(String),
}

/// An emoji, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EmojiReference {
    Unicode(String),
    Custom { id: Id<EmojiMarker>, name: String },
}

impl EmojiReference {
    /// Returns it as Discord's paths have it, not encoded yet.
    pub(crate) fn as_in_path(&self) -> String {
        match self {
            Self::Unicode(emoji) => emoji.clone(),
            Self::Custom { id, name } => format!("{name}:{id}"),
        }
    }
}

/// Reads an id: nothing but digits, and not zero.
pub(crate) fn id(text: &str) -> Option<u64> {
    let is_id = (1..=20).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| is_id && *id != 0)
}

/// Reads a `member` argument: an id, a mention, or a name.
pub(crate) fn member(text: &str) -> Option<MemberReference> {
    let text = text.trim();
    if let Some(user) = mention(text, &["<@!", "<@"]).or_else(|| id_like(text)) {
        return Id::new_checked(user).map(MemberReference::Id);
    }
    named(text, '@').map(MemberReference::Name)
}

/// Reads a `role` argument: an id, a mention, or a name; `@everyone` is a name, too.
pub(crate) fn role(text: &str) -> Option<RoleReference> {
    let text = text.trim();
    if let Some(role) = mention(text, &["<@&"]).or_else(|| id_like(text)) {
        return Id::new_checked(role).map(RoleReference::Id);
    }
    named(text, '@').map(RoleReference::Name)
}

/// Reads who is meant by a mention or an id, where names mean nothing: of people who are no
/// members.
pub(crate) fn user_id(text: &str) -> Option<Id<UserMarker>> {
    let text = text.trim();
    mention(text, &["<@!", "<@"]).or_else(|| id(text)).and_then(Id::new_checked)
}

/// Reads a `channel` argument: an id, a mention, or a name.
pub(crate) fn channel(text: &str) -> Option<ChannelReference> {
    let text = text.trim();
    if let Some(channel) = mention(text, &["<#"]).or_else(|| id_like(text)) {
        return Id::new_checked(channel).map(ChannelReference::Id);
    }
    named(text, '#').map(ChannelReference::Name)
}

/// Reads a message's id, or a link to it.
pub(crate) fn message(text: &str) -> Option<(Option<Id<ChannelMarker>>, Id<MessageMarker>)> {
    let text = text.trim();
    if let Some(message) = id(text).and_then(Id::new_checked) {
        return Some((None, message));
    }
    let path = text
        .strip_prefix("https://discord.com/channels/")
        .or_else(|| text.strip_prefix("https://discordapp.com/channels/"))?;
    let mut parts = path.split('/');
    let _guild = parts.next()?;
    let channel = id(parts.next()?).and_then(Id::new_checked)?;
    let message = id(parts.next()?).and_then(Id::new_checked)?;
    parts.next().is_none().then_some((Some(channel), message))
}

/// Returns where a message can be read, for those who may; without a guild it is a direct message.
pub(crate) fn link_to(
    guild: Option<Id<GuildMarker>>,
    channel: Id<ChannelMarker>,
    message: Id<MessageMarker>,
) -> String {
    let place = guild.map_or_else(|| "@me".to_owned(), |guild| guild.to_string());
    format!("https://discord.com/channels/{place}/{channel}/{message}")
}

/// Reads an emoji: the character itself, or `name:id` with or without Discord's brackets.
pub(crate) fn emoji(text: &str) -> Option<EmojiReference> {
    let text = text.trim();
    let inner = text
        .strip_prefix("<a:")
        .or_else(|| text.strip_prefix("<:"))
        .and_then(|inner| inner.strip_suffix('>'))
        .unwrap_or(text);
    if let Some((name, emoji)) = inner.split_once(':') {
        let is_name = (2..=32).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let id = id(emoji).and_then(Id::new_checked).filter(|_| is_name)?;
        return Some(EmojiReference::Custom { id, name: name.to_owned() });
    }
    is_unicode_emoji(text).then(|| EmojiReference::Unicode(text.to_owned()))
}

/// Whether a text can be one emoji: few characters, none of which is a letter or a control.
fn is_unicode_emoji(text: &str) -> bool {
    let count = text.chars().count();
    let is_keycap = text.ends_with('\u{20e3}')
        && text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '#' | '*'));
    let is_emoji = |character: char| {
        let is_letter = character.is_alphanumeric()
            && !matches!(character, 'ℹ' | 'Ⓜ' | '㊗' | '㊙' | '\u{1f130}'..='\u{1f189}');
        !character.is_ascii() && !is_letter && !character.is_whitespace() && !character.is_control()
    };
    // Tag characters stand in the flags of regions, joiners in families.
    let mut rest = text.chars().skip(usize::from(is_keycap));
    (1..=16).contains(&count) && rest.all(|c| is_emoji(c) || matches!(c, '\u{e0020}'..='\u{e007f}'))
}

fn mention(text: &str, prefixes: &[&str]) -> Option<u64> {
    prefixes
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .and_then(|rest| rest.strip_suffix('>'))
        .and_then(id)
}

/// A name may be digits, too; what is as long as an id is one.
fn id_like(text: &str) -> Option<u64> {
    id(text).filter(|_| text.len() >= 15)
}

fn named(text: &str, sign: char) -> Option<String> {
    let name = text.strip_prefix(sign).unwrap_or(text).trim();
    let is_markup = name.starts_with('<') && name.ends_with('>');
    let fits = (1..=MAX_NAME).contains(&name.chars().count());
    (fits && !is_markup && !name.chars().any(char::is_control)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_named_by_id_mention_or_name() {
        let user = MemberReference::Id(Id::new(175_928_847_299_117_063));
        for text in ["175928847299117063", "<@175928847299117063>", "<@!175928847299117063>"] {
            assert_eq!(member(text), Some(user.clone()), "{text}");
        }
        for (text, name) in [("@bob", "bob"), (" Bob the 2nd ", "Bob the 2nd"), ("123", "123")] {
            assert_eq!(member(text), Some(MemberReference::Name(name.into())), "{text}");
        }
        for text in ["", "@", "<@x>", "<#175928847299117063>", "a\u{0}b", &"x".repeat(101)] {
            assert_eq!(member(text), None, "{text:?}");
        }
    }

    #[test]
    fn channels_are_named_by_id_mention_or_name() {
        let id = ChannelReference::Id(Id::new(175_928_847_299_117_064));
        assert_eq!(channel("<#175928847299117064>"), Some(id.clone()));
        assert_eq!(channel("175928847299117064"), Some(id));
        assert_eq!(channel("#general"), Some(ChannelReference::Name("general".into())));
        assert_eq!(channel("<@175928847299117064>"), None);
    }

    #[test]
    fn an_id_is_digits_and_nothing_else() {
        assert_eq!(id("18446744073709551615"), Some(u64::MAX));
        for text in ["", "0", "-1", "1/../2", "1 ", "0x10", "18446744073709551616", "１２"] {
            assert_eq!(id(text), None, "{text:?}");
        }
    }

    #[test]
    fn messages_are_named_by_id_or_link() {
        assert_eq!(message("17"), Some((None, Id::new(17))));
        assert_eq!(
            message("https://discord.com/channels/1/2/3"),
            Some((Some(Id::new(2)), Id::new(3)))
        );
        for text in ["https://discord.com/channels/1/2/3/4", "https://evil.example/1/2/3", "x"] {
            assert_eq!(message(text), None, "{text}");
        }
    }

    #[test]
    fn emoji_are_characters_or_name_and_id() {
        for text in ["🎉", "🅰️", "👍🏽", "❤️", "1️⃣", "👩‍👩‍👧", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇩🇪"]
        {
            assert_eq!(emoji(text), Some(EmojiReference::Unicode(text.into())), "{text}");
        }
        let custom = EmojiReference::Custom { id: Id::new(42), name: "blob_yes".into() };
        for text in ["blob_yes:42", "<:blob_yes:42>", "<a:blob_yes:42>"] {
            assert_eq!(emoji(text), Some(custom.clone()), "{text}");
        }
        for text in ["", "x", ":smile:", "../@me", "🎉/../x", "a:b", "n:0", "%2F", "🎉 🎉", "1"]
        {
            assert_eq!(emoji(text), None, "{text:?}");
        }
    }
}
