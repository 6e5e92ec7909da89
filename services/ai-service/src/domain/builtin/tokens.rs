use twilight_model::id::{
    Id,
    marker::{ChannelMarker, UserMarker},
};

use super::{emoji, quoted::quote_index};

/// A piece of a text, as the commands see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// In lower case, with straight apostrophes; the name behind `@` or `#`.
    pub(super) low: String,
    /// Where it stands in the text.
    pub(super) start: usize,
    pub(super) end: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// `<@1>`.
    Member(Id<UserMarker>),
    /// `@bob`.
    At,
    /// `<@&1>`.
    Role,
    /// `<#1>`.
    Channel(Id<ChannelMarker>),
    /// `#general`.
    Hash,
    /// As Discord's reactions want it: the emoji itself, or `name:id`.
    Emoji(String),
    /// The number of a quote.
    Quote(usize),
    /// A comma, a dash, a bracket.
    Pause,
    Colon,
    /// `&` or `+`.
    And,
    Question,
    /// The end of a sentence or of a line.
    End,
    Other,
}

/// Cuts a text into tokens.
pub(super) fn tokenise(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(character) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, low, length) = read_one(rest, character, &text[..at]);
        if let Some(kind) = kind {
            tokens.push(Token { kind, low, start: at, end: at + length });
        }
        at += length;
    }
    tokens
}

type Read = (Option<Kind>, String, usize);

fn read_one(rest: &str, character: char, before: &str) -> Read {
    let length = character.len_utf8();
    let simple = |kind: Kind| (Some(kind), String::new(), length);
    if let Some(index) = quote_index(character) {
        return simple(Kind::Quote(index));
    }
    match character {
        '\n' => return simple(Kind::End),
        _ if character.is_whitespace() || matches!(character, '*' | '`') => {
            return (None, String::new(), length);
        }
        // `e.g. timeout @bob` is one sentence.
        '.' if ["e.g", "i.e", "eg", "ie", "ex"]
            .iter()
            .any(|short| ends_with_word(before, short)) =>
        {
            return simple(Kind::Pause);
        }
        '<' => {
            if let Some(read) = read_angle(rest) {
                return read;
            }
        }
        '@' | '#' => {
            let name = name_length(&rest[1..]);
            if name > 0 && !before.ends_with(char::is_alphanumeric) {
                let kind = if character == '@' { Kind::At } else { Kind::Hash };
                return (Some(kind), lower(&rest[1..=name]), 1 + name);
            }
        }
        ':' => {
            if let Some((emoji, length)) = emoji::read_shortcode(rest) {
                return (Some(Kind::Emoji(emoji)), String::new(), length);
            }
            return simple(Kind::Colon);
        }
        ',' | '(' | ')' | '–' | '—' | '-' | '|' | '/' => return simple(Kind::Pause),
        '&' | '+' => return simple(Kind::And),
        '?' => return simple(Kind::Question),
        '.' | '!' | ';' | '…' => return simple(Kind::End),
        _ => {}
    }
    if let Some(length) = emoji::length(rest) {
        return (Some(Kind::Emoji(rest[..length].to_owned())), String::new(), length);
    }
    if rest.starts_with("https://") || rest.starts_with("http://") {
        let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
        return (Some(Kind::Other), lower(&rest[..length]), length);
    }
    if rest.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("tl;dr")) {
        return (Some(Kind::Word), "tldr".into(), 5);
    }
    let word = name_length(rest);
    if word > 0 {
        return (Some(Kind::Word), lower(&rest[..word]), word);
    }
    simple(Kind::Other)
}

fn ends_with_word(text: &str, word: &str) -> bool {
    let lower = text.chars().rev().take(word.len() + 1).collect::<Vec<_>>();
    let lower: String = lower.into_iter().rev().collect::<String>().to_lowercase();
    lower.strip_suffix(word).is_some_and(|rest| !rest.ends_with(char::is_alphanumeric))
}

/// Reads Discord's `<…>` forms.
fn read_angle(rest: &str) -> Option<Read> {
    let end = rest.find('>')?;
    let inner = &rest[1..end];
    let length = end + 1;
    let id = |digits: &str| digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'));
    let kind = if let Some(digits) = inner.strip_prefix("@&") {
        id(digits).map(|_| Kind::Role)
    } else if let Some(digits) = inner.strip_prefix('@') {
        id(digits.strip_prefix('!').unwrap_or(digits)).and_then(Id::new_checked).map(Kind::Member)
    } else if let Some(digits) = inner.strip_prefix('#') {
        id(digits).and_then(Id::new_checked).map(Kind::Channel)
    } else {
        custom_emoji(inner)
    };
    Some((Some(kind?), String::new(), length))
}

fn custom_emoji(inner: &str) -> Option<Kind> {
    let named = inner.strip_prefix("a:").or_else(|| inner.strip_prefix(':'))?;
    let (name, id) = named.split_once(':')?;
    let is_name = (2..=32).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let is_id = id.bytes().all(|byte| byte.is_ascii_digit()) && id.parse::<u64>().is_ok();
    (is_name && is_id).then(|| Kind::Emoji(named.to_owned()))
}

/// Returns the length of the word at the start: letters and digits, and what joins them.
fn name_length(text: &str) -> usize {
    let mut end = 0;
    let mut characters = text.char_indices().peekable();
    let mut last = None;
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map(|(_, next)| *next);
        let joins =
            |is_part: fn(char) -> bool| last.is_some_and(is_part) && next.is_some_and(is_part);
        let is_part = character.is_alphanumeric()
            || character == '_'
            || is_combining(character)
            || (matches!(character, '\'' | '’' | '-') && joins(char::is_alphanumeric))
            || (character == '.' && joins(|c| c.is_ascii_digit()))
            || (character == '.' && joins(char::is_alphabetic));
        if !is_part {
            break;
        }
        last = Some(character);
        end = at + character.len_utf8();
    }
    end
}

fn is_combining(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}' | '\u{93c}'..='\u{94d}' | '\u{5b0}'..='\u{5c7}')
}

fn lower(text: &str) -> String {
    text.to_lowercase().replace('’', "'")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kinds(text: &str) -> Vec<Kind> {
        tokenise(text).into_iter().map(|token| token.kind).collect()
    }

    #[test]
    fn discords_own_forms_are_read() {
        assert_eq!(
            kinds("<@1> <@!2> <@&3> <#4> <:ok_hand:5> <a:wow:6> @bob #general"),
            [
                Kind::Member(Id::new(1)),
                Kind::Member(Id::new(2)),
                Kind::Role,
                Kind::Channel(Id::new(4)),
                Kind::Emoji("ok_hand:5".into()),
                Kind::Emoji("wow:6".into()),
                Kind::At,
                Kind::Hash,
            ]
        );
    }

    #[test]
    fn what_only_looks_like_them_is_not() {
        for text in ["<@0>", "<@x>", "<#>", "<", "<@>", "a@b.c", "<@+1>", "<@99999999999999999999>"]
        {
            let is_id = |kind: &Kind| matches!(kind, Kind::Member(_) | Kind::Channel(_));
            assert!(!kinds(text).iter().any(is_id), "{text}");
        }
        assert!(!kinds("a@b.c").contains(&Kind::At));
    }

    #[test]
    fn words_keep_what_joins_them() {
        let words: Vec<String> = tokenise("Don’t time-out 1h30m 1.5 hours, bob_99. OK?")
            .into_iter()
            .map(|t| t.low)
            .collect();
        assert_eq!(
            words,
            ["don't", "time-out", "1h30m", "1.5", "hours", "", "bob_99", "", "ok", ""]
        );
    }

    proptest! {
        #[test]
        fn tokens_lie_in_the_text_in_order(text in "(\\PC|[<@#:a>&1]|👍|❤️|\\n){0,60}") {
            let mut last = 0;
            for token in tokenise(&text) {
                prop_assert!(token.start >= last && token.end > token.start);
                prop_assert!(text.get(token.start..token.end).is_some());
                last = token.end;
            }
        }
    }
}
