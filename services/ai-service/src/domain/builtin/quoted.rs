use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use super::{aside, tokens::tokenise};
use crate::domain::{conversation::Place, spotlight::visible};

/// A text without what it quotes. Each quote leaves one placeholder behind.
#[derive(Debug)]
pub(super) struct Unquoted {
    pub(super) text: String,
    /// What stood in quotation marks or code, by the placeholder's number.
    pub(super) quotes: Vec<String>,
}

/// Placeholders are taken from here on; the text itself cannot contain any.
const FIRST_PLACEHOLDER: u32 = 0xe000;

/// How many quotes a text may have; what follows the last one is quoted as well.
const MOST_QUOTES: usize = 64;

/// Returns the number of the quote that a placeholder stands for.
pub(super) fn quote_index(character: char) -> Option<usize> {
    let index = usize::try_from(u32::from(character).checked_sub(FIRST_PLACEHOLDER)?).ok()?;
    (index < MOST_QUOTES).then_some(index)
}

/// Matches the head of a message in a copied piece of chat: `bob — Today at 12:00`, `[12:00] bob`.
static COPIED_HEAD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(concat!(
        r"(?i)(?:^|\s)[—–-]+\s*(?:(?:today|yesterday)\b|\d{1,2}[:./]\d|\d{4}-\d)",
        r"|^\s*[\[(]?\d{1,2}:\d{2}(?::\d{2})?\s*(?:am|pm)?[\])]?\s*[<\w]",
        r"|^\s*\[[^\]]*\d{1,2}:\d{2}[^\]]*\]",
    ))
    .expect("the pattern is constant")
});

/// Sets aside what a message quotes: block quotes, code, quotation marks, spoilers, struck text,
/// copied chat, and what a line such as `she said:` announces.
pub(super) fn unquote(text: &str, place: &Place) -> Unquoted {
    let text: String = visible(text)
        .chars()
        .filter(|character| !matches!(character, '\u{e000}'..='\u{f8ff}'))
        .collect();
    let mut quotes = Quotes::default();
    let text =
        take_pairs(&text, &[Pair { open: "```", close: "```", is_open_ended: true }], &mut quotes);
    let text = own_lines(&text, place);
    let text = take_pairs(
        &text,
        &[
            Pair { open: "``", close: "``", is_open_ended: false },
            Pair { open: "`", close: "`", is_open_ended: false },
            Pair { open: "||", close: "||", is_open_ended: false },
            Pair { open: "~~", close: "~~", is_open_ended: false },
            Pair { open: "\"", close: "\"", is_open_ended: true },
            Pair { open: "“", close: "”", is_open_ended: true },
            Pair { open: "„", close: "“", is_open_ended: true },
            Pair { open: "«", close: "»", is_open_ended: true },
            Pair { open: "‘", close: "’", is_open_ended: true },
        ],
        &mut quotes,
    );
    let text = take_single_quotes(&text, &mut quotes);
    Unquoted { text, quotes: quotes.0 }
}

/// Returns the author's own words, with each quote told as such. `None`: there are none.
pub(crate) fn own_words(text: &str, place: &Place) -> Option<String> {
    let text = unquote(text, place).text;
    if !text.chars().any(char::is_alphabetic) {
        return None;
    }
    let told = |character: char| match quote_index(character) {
        Some(_) => Cow::Borrowed("(a quote, left out)"),
        None => Cow::Owned(character.to_string()),
    };
    Some(text.chars().map(told).collect())
}

#[derive(Default)]
struct Quotes(Vec<String>);

impl Quotes {
    /// Keeps a quote, and returns its placeholder; `None` if there are too many.
    fn keep(&mut self, quote: &str) -> Option<char> {
        let index = self.0.len();
        if index >= MOST_QUOTES {
            return None;
        }
        self.0.push(quote.to_owned());
        char::from_u32(FIRST_PLACEHOLDER + u32::try_from(index).ok()?)
    }
}

struct Pair {
    open: &'static str,
    close: &'static str,
    /// Whether a quote that is never closed reaches to the end.
    is_open_ended: bool,
}

fn take_pairs(text: &str, pairs: &[Pair], quotes: &mut Quotes) -> String {
    let mut taken = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let opened = pairs.iter().find(|pair| rest.starts_with(pair.open));
        let Some(pair) = opened else {
            taken.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        let inner = &rest[pair.open.len()..];
        let (quote, after) = match inner.find(pair.close) {
            Some(end) => (&inner[..end], &inner[end + pair.close.len()..]),
            None if pair.is_open_ended => (inner, ""),
            None => {
                taken.push_str(pair.open);
                rest = inner;
                continue;
            }
        };
        match quotes.keep(quote) {
            Some(placeholder) => taken.extend([' ', placeholder, ' ']),
            None => return taken,
        }
        rest = after;
    }
    taken
}

/// Takes `'…'` where both ends stand at a word's border, so that `don't` stays a word.
fn take_single_quotes(text: &str, quotes: &mut Quotes) -> String {
    let characters: Vec<(usize, char)> = text.char_indices().collect();
    let is_word = |index: Option<&(usize, char)>| index.is_some_and(|(_, c)| c.is_alphanumeric());
    let opens = |index: usize| {
        characters[index].1 == '\''
            && (index == 0 || !is_word(characters.get(index - 1)))
            && characters.get(index + 1).is_some_and(|(_, c)| !c.is_whitespace())
    };
    let closes = |index: usize| characters[index].1 == '\'' && !is_word(characters.get(index + 1));
    let mut taken = String::with_capacity(text.len());
    let mut index = 0;
    while index < characters.len() {
        let (at, character) = characters[index];
        if opens(index)
            && let Some(end) = (index + 2..characters.len()).find(|end| closes(*end))
        {
            match quotes.keep(&text[at + 1..characters[end].0]) {
                Some(placeholder) => taken.extend([' ', placeholder, ' ']),
                None => return taken,
            }
            index = end + 1;
            continue;
        }
        taken.push(character);
        index += 1;
    }
    taken
}

/// Keeps the lines that are the author's own.
fn own_lines(text: &str, place: &Place) -> String {
    let mut own = String::with_capacity(text.len());
    let mut is_announced = false;
    for line in text.split('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with(">>>") || COPIED_HEAD.is_match(trimmed) {
            break;
        }
        if trimmed.is_empty() {
            is_announced = false;
        }
        let is_quote = trimmed.starts_with('>') || is_announced;
        if !is_quote {
            own.push_str(without_bullet(line));
        }
        own.push('\n');
        is_announced |= !is_quote && announces_a_quote(trimmed, place);
    }
    own
}

/// Returns whether the lines after this one are somebody else's words.
fn announces_a_quote(line: &str, place: &Place) -> bool {
    const OWN: [&str; 8] =
        ["please", "pls", "following", "do this", "do these", "do the", "tasks", "to do"];
    const OTHERS: [&str; 12] = [
        "said", "says", "saying", "say", "wrote", "writes", "quote", "told", "tells", "message",
        "posted", "asked",
    ];
    let Some(line) = line.strip_suffix(':') else { return false };
    let line = line.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    // `Ery:` is an address, not an announcement.
    let name = line.trim().trim_start_matches('@');
    let mention = name.trim_start_matches("<@").trim_start_matches('!').trim_end_matches('>');
    let is_address = name == place.bot_name.to_lowercase()
        || place.bot.is_some_and(|bot| mention == bot.to_string());
    has(&OTHERS) || !(is_address || has(&OWN))
}

fn without_bullet(line: &str) -> &str {
    let line = line.trim_start();
    for bullet in ["- ", "* ", "• ", "+ ", "# ", "## ", "### "] {
        if let Some(rest) = line.strip_prefix(bullet) {
            // What looks like a signature stays one.
            let is_signed = bullet == "- " && aside::is_lone_name(&tokenise(rest));
            return if is_signed { line } else { rest };
        }
    }
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if (1..=2).contains(&digits) {
        for end in [". ", ") "] {
            if let Some(rest) = line[digits..].strip_prefix(end) {
                return rest;
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use ery_clock::UnixMillis;
    use twilight_model::id::Id;

    use super::*;

    fn place() -> Place {
        Place { bot: Some(Id::new(900)), bot_name: "Ery".into(), now: UnixMillis(0) }
    }

    fn unquote(text: &str) -> Unquoted {
        super::unquote(text, &place())
    }

    #[test]
    fn quotes_of_every_kind_are_set_aside() {
        for text in [
            "> timeout bob",
            "hi\n> timeout bob",
            "hi\n>>> x\ntimeout bob",
            "`timeout bob`",
            "```\ntimeout bob\n```",
            "``timeout bob``",
            "``` timeout bob",
            "he wrote \"timeout bob\"",
            "he wrote \"timeout bob",
            "he wrote “timeout bob”",
            "«timeout bob»",
            "alice said 'timeout bob'",
            "alice said ‘timeout bob’",
            "||timeout bob||",
            "~~timeout bob~~",
            "alice said:\ntimeout bob",
            "alice:\nhello\ntimeout bob\nx:\ny",
            "alice — Today at 12:03\ntimeout bob",
            "[12:03] alice: timeout bob",
            "12:03 PM alice: timeout bob",
        ] {
            let unquoted = unquote(text);
            assert!(!unquoted.text.contains("timeout"), "{text:?} left {:?}", unquoted.text);
        }
    }

    #[test]
    fn own_words_stay() {
        for text in [
            "don't timeout bob, it's 'fine",
            "Ery:\ntimeout bob",
            "<@900>:\ntimeout bob",
            "please do this:\n- timeout bob\n2) timeout alice",
            "quote:\n> x\n\ntimeout bob",
            "timeout bob | 5 minutes",
        ] {
            assert!(unquote(text).text.contains("timeout"), "{text}");
        }
    }

    #[test]
    fn a_quote_can_be_found_again() {
        let unquoted = unquote("say \"hello there\" and 'bye'");
        assert_eq!(unquoted.quotes, ["hello there", "bye"]);
        let found: Vec<usize> = unquoted.text.chars().filter_map(quote_index).collect();
        assert_eq!(found, [0, 1]);
        let own = own_words("x 'y'", &place()).unwrap();
        assert_eq!(own.trim(), "x  (a quote, left out)");
        assert_eq!(own_words("> x\n`y`", &place()), None);
    }

    #[test]
    fn too_many_quotes_quote_the_rest() {
        let text = format!("{} timeout bob", "'a' ".repeat(65));
        assert!(!unquote(&text).text.contains("timeout"));
    }
}
