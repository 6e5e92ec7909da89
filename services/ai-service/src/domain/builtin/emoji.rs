use crate::domain::spotlight::is_pictographic;

/// Emoji that people write as a word.
const NAMED: [(&str, &str); 33] = [
    ("thumbsup", "👍"),
    ("thumbs_up", "👍"),
    ("thumbs-up", "👍"),
    ("+1", "👍"),
    ("thumbsdown", "👎"),
    ("thumbs_down", "👎"),
    ("thumbs-down", "👎"),
    ("-1", "👎"),
    ("heart", "❤️"),
    ("fire", "🔥"),
    ("tada", "🎉"),
    ("party", "🎉"),
    ("eyes", "👀"),
    ("wave", "👋"),
    ("joy", "😂"),
    ("smile", "😄"),
    ("sob", "😭"),
    ("thinking", "🤔"),
    ("clap", "👏"),
    ("pray", "🙏"),
    ("rocket", "🚀"),
    ("100", "💯"),
    ("ok_hand", "👌"),
    ("check", "✅"),
    ("checkmark", "✅"),
    ("white_check_mark", "✅"),
    ("cross", "❌"),
    ("x", "❌"),
    ("star", "⭐"),
    ("skull", "💀"),
    ("sparkles", "✨"),
    ("muscle", "💪"),
    ("warning", "⚠️"),
];

/// Returns the emoji that goes by a name.
pub(super) fn named(name: &str) -> Option<&'static str> {
    NAMED.iter().find(|(known, _)| *known == name).map(|(_, emoji)| *emoji)
}

/// Reads `:name:` of a known emoji.
pub(super) fn read_shortcode(text: &str) -> Option<(String, usize)> {
    let inner = text.strip_prefix(':')?;
    let end = inner.find(':')?;
    let emoji = named(&inner[..end].to_lowercase())?;
    Some((emoji.to_owned(), end + 2))
}

/// Returns the length of the emoji at the start, with its colour, joiners and selectors.
pub(super) fn length(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().peekable();
    let (_, first) = characters.next()?;
    let next = characters.peek().map(|(_, next)| *next);
    if is_regional(first) {
        let second = next.filter(|next| is_regional(*next))?;
        return Some(first.len_utf8() + second.len_utf8());
    }
    if matches!(first, '0'..='9' | '#' | '*') {
        let mut end = first.len_utf8();
        for expected in ['\u{fe0f}', '\u{20e3}'] {
            match characters.next() {
                Some((at, found)) if found == expected => end = at + found.len_utf8(),
                _ => return None,
            }
        }
        return Some(end);
    }
    // Signs such as © and → are text unless a selector asks for the picture.
    let is_picture = is_pictographic(first)
        && (first > '\u{23ff}'
            || next == Some('\u{fe0f}')
            || matches!(first, '\u{231a}'..='\u{23ff}'));
    if !is_picture {
        return None;
    }
    let mut end = first.len_utf8();
    let mut is_joined = false;
    for (at, character) in characters {
        let belongs = match character {
            '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}' => true,
            '\u{200d}' => {
                is_joined = true;
                continue;
            }
            other => is_joined && is_pictographic(other),
        };
        if !belongs {
            break;
        }
        is_joined = false;
        end = at + character.len_utf8();
    }
    Some(end)
}

fn is_regional(character: char) -> bool {
    matches!(character, '\u{1f1e6}'..='\u{1f1ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_emoji_is_read_whole() {
        for emoji in ["👍", "👍🏽", "❤️", "👩‍👩‍👧", "1️⃣", "🇩🇪", "☺️", "✅", "🏳️‍🌈"]
        {
            assert_eq!(length(&format!("{emoji} x")), Some(emoji.len()), "{emoji}");
            assert_eq!(length(&format!("{emoji}👎")), Some(emoji.len()), "{emoji}");
        }
    }

    #[test]
    fn text_is_no_emoji() {
        for text in ["a", "1", "#general", "→ x", "©", "\u{200d}", "\u{fe0f}", ""] {
            assert_eq!(length(text), None, "{text}");
        }
    }

    #[test]
    fn shortcodes_are_known_by_name() {
        assert_eq!(read_shortcode(":ThumbsUp: x"), Some(("👍".into(), 10)));
        assert_eq!(read_shortcode(":unknown: x"), None);
        assert_eq!(read_shortcode(": x"), None);
    }
}
