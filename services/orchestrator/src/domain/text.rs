//! Text of people as the model may see it.

/// How many bytes count as one token at the least. Tokenizers of today's models need between 3 and
/// 4 bytes of English for a token and about 3 of Chinese, so this bound lies above their counts.
const BYTES_PER_TOKEN: u64 = 3;

/// Returns a bound for how many tokens `text` is.
pub(crate) fn tokens(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX).div_ceil(BYTES_PER_TOKEN)
}

/// Removes what people cannot see but a model reads: control, zero-width, bidirectional and tag
/// characters, and the variation selectors that can carry hidden bytes.
///
/// Line breaks and tabs stay, and so does U+FE0F, which makes an emoji of a symbol.
pub(crate) fn clean(text: &str) -> String {
    if text.chars().all(|character| !is_hidden(character)) {
        return text.to_owned();
    }
    text.chars().filter(|&character| !is_hidden(character)).collect()
}

fn is_hidden(character: char) -> bool {
    match character {
        '\n' | '\t' | '\u{fe0f}' => false,
        // Soft hyphen, grapheme joiner, letter mark, fillers, vowel separators.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}'
        // Zero-width, separators of lines, bidirectional controls, invisible operators.
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        // Variation selectors, musical controls, tags and their supplement.
        | '\u{fe00}'..='\u{fe0e}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}' => true,
        other => other.is_control(),
    }
}

/// Cuts `text` to at most `bytes` bytes, at a character.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hidden_characters_are_removed_and_visible_ones_stay() {
        let hidden = "a\u{200b}b\u{202e}c\u{e0041}d\u{feff}e\u{7}f\u{0}g\u{fe01}h\u{e0101}i\u{ad}";
        assert_eq!(clean(hidden), "abcdefghi");
        let visible = "héllo\n\tworld ❤\u{fe0f} 日本語 🎉 <|x|>";
        assert_eq!(clean(visible), visible);
    }

    #[test]
    fn tokens_are_counted_up() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("a"), 1);
        assert_eq!(tokens("abcd"), 2);
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("aé", 99), "aé");
    }

    proptest! {
        #[test]
        fn cleaning_twice_changes_nothing_more(text: String) {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(once.len() <= text.len());
        }
    }
}
