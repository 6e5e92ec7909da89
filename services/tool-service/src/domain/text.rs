//! Text that other people wrote, made fit for a model and for people.

use std::fmt::Display;

/// Returns whether a character is invisible or turns text around: how instructions are hidden.
pub(crate) fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
        | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Returns a text without hidden characters.
pub(crate) fn visible(text: &str) -> String {
    text.chars().filter(|character| !is_hidden(*character)).collect()
}

/// Returns a text on one line, its words one space apart.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns at most `limit` characters of a text, and says if some were cut.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    let mut characters = text.char_indices();
    match characters.nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// What makes an address of what stands around it: a scheme's end, and the hosts of invites, of which
/// Discord makes links without any scheme.
const MAKES_LINKS: [&str; 4] = ["://", "discord.gg/", "discord.com/", "discordapp.com/"];

/// Returns a name for use in a sentence: one line, no markup that pings or links.
pub(crate) fn name(text: &str) -> String {
    let plain: String = visible(text)
        .chars()
        .map(|character| if character.is_whitespace() { ' ' } else { character })
        .filter(|character| !matches!(character, '<' | '>' | '`' | '*' | '|' | '[' | ']'))
        .collect();
    let plain = MAKES_LINKS.iter().fold(plain, |plain, link| without_link(plain, link));
    shortened(plain.trim(), 64)
}

/// Takes the slashes of addresses out, whatever the case of their letters.
fn without_link(mut plain: String, link: &str) -> String {
    while let Some(at) = plain.to_ascii_lowercase().find(link) {
        let end = at + link.len();
        let parted = plain[at..end].replace('/', " ");
        plain.replace_range(at..end, &parted);
    }
    plain
}

/// Returns a number of things, by the name of one or of several.
pub(crate) fn counted<N: Copy + Display + From<u8> + PartialEq>(
    count: N,
    one: &str,
    many: &str,
) -> String {
    let of = if count == N::from(1) { one } else { many };
    format!("{count} {of}")
}

/// Percent-encodes everything but unreserved characters.
pub(crate) fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    encoded
}

/// Says a span of time in its two largest units: `1 hour and 30 minutes`.
pub(crate) fn time_span(seconds: u32) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let mut left = seconds;
    let mut parts = Vec::new();
    for (length, name) in units {
        let count = left / length;
        left %= length;
        if count > 0 {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0 seconds".to_owned() } else { parts.join(" and ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_is_not_several() {
        let told = [0_u32, 1, 2].map(|count| counted(count, "person is", "people are"));
        assert_eq!(told, ["0 people are", "1 person is", "2 people are"]);
    }

    #[test]
    fn hidden_characters_are_taken_out() {
        assert_eq!(visible("a\u{200b}b\u{e0041}c\u{202e}d\n\te"), "abcd\n\te");
        assert_eq!(visible("👩‍👩‍👧"), "👩‍👩‍👧", "emoji are joined by a character that stays");
    }

    #[test]
    fn cutting_respects_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöü", 2), "äö…");
    }

    #[test]
    fn a_path_part_cannot_leave_its_place() {
        assert_eq!(percent_encoded("../@me?x=1#/"), "..%2F%40me%3Fx%3D1%23%2F");
        assert_eq!(percent_encoded("🎉"), "%F0%9F%8E%89");
    }

    #[test]
    fn a_name_is_one_harmless_line() {
        assert_eq!(name("  a\n<@1> [x](y)* "), "a @1 x(y)");
        for (text, said) in [
            ("he/him", "he/him"),
            ("https://evil.example/x", "https:  evil.example/x"),
            ("join Discord.GG/raid", "join Discord.GG raid"),
            ("discord.com/invite/x", "discord.com invite/x"),
            ("ht\u{200b}tps:/\u{202e}/e", "https:  e"),
        ] {
            assert_eq!(name(text), said);
        }
    }

    #[test]
    fn a_span_of_time_is_said_in_words() {
        for (seconds, words) in [
            (0, "0 seconds"),
            (1, "1 second"),
            (600, "10 minutes"),
            (5_400, "1 hour and 30 minutes"),
            (90_061, "1 day and 1 hour"),
            (2_419_200, "28 days"),
        ] {
            assert_eq!(time_span(seconds), words);
        }
    }
}
