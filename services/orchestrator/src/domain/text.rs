//! Text of people as the model may see it.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

/// What part of a count is added to it: tokenizers of other models split other texts more finely.
const MARGIN: u64 = 8;

/// Returns a bound for how many tokens `text` is.
///
/// It is counted by the tokenizer of OpenAI's models up to GPT-4: later ones split hardly any text more
/// finely, and most less.
pub(crate) fn tokens(text: &str) -> u64 {
    let count = u64::try_from(bpe_openai::cl100k_base().count(text)).unwrap_or(u64::MAX);
    count.saturating_add(count.div_ceil(MARGIN))
}

/// Returns what [`tokens`] does, for a text that comes with each request, as a tool's description does: it is
/// counted once.
pub(crate) fn tokens_of_fixed(text: &str) -> u64 {
    /// More than there are such texts.
    const MOST: usize = 1_000;
    static COUNTED: LazyLock<Mutex<HashMap<String, u64>>> = LazyLock::new(Mutex::default);

    let mut counted = COUNTED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(count) = counted.get(text) {
        return *count;
    }
    if counted.len() >= MOST {
        counted.clear();
    }
    let count = tokens(text);
    counted.insert(text.to_owned(), count);
    count
}

/// Returns a bound for how many tokens `text` is as a string of JSON, where line breaks, quotes and
/// backslashes are written as two characters.
pub(crate) fn tokens_in_json(text: &str) -> u64 {
    if text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
        tokens(&serde_json::Value::from(text).to_string())
    } else {
        tokens(text)
    }
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
        assert_eq!(tokens("a"), 2);
        assert_eq!(tokens(&"soup ".repeat(80)), 81 + 11);
        assert!(tokens_in_json("a\n\"b\"\n") > tokens("a\n\"b\"\n"));
        assert_eq!(tokens_in_json("abc"), tokens("abc"));
        assert_eq!([(); 2].map(|()| tokens_of_fixed("a tool")), [tokens("a tool"); 2]);
    }

    #[test]
    fn the_bound_holds_for_the_tokenizer_of_later_models() {
        for text in [
            "The kitchen opens at noon, and closes when the soup is gone.",
            "Bücher über Gemüsesuppe stehen im obersten Regal.",
            "суп подают в полдень, хлеб лежит на столе",
            "الحساء جاهز عند الظهر",
            "המרק מוכן בצהריים",
            "スープは正午にできます。パンは机の上です。",
            "汤在中午准备好，面包在桌子上。",
            "수프는 정오에 준비됩니다",
            "ሾርባው እኩለ ቀን ላይ ዝግጁ ነው",
            "ապուրը պատրաստ է կեսօրին",
            "წვნიანი შუადღისას მზადაა",
            "सूप दोपहर में तैयार है",
            "- soup\n- bread\n- salt\n- a\n- b\n",
            "4f 3a 00 ff 9c 1b de ad be ef 00 00 7f 45 4c 46",
            "| a | b |\n|---|---|\n| 1 | 2 |\n| 3.14159 | 2.71828 |\n",
            r#"{"a":[1,2,{"b":"c"}],"d":null}"#,
            "🎉🥣👩‍👩‍👧‍👦❤️",
            "Z̸̛a̷l̶g̵o̴",
            "QmFzZTY0IGlzIG5vdCBhIHNlY3JldA==",
            "at ery::soup::cook (soup.rs:17:23)",
        ] {
            let later = u64::try_from(bpe_openai::o200k_base().count(text)).unwrap();
            assert!(later <= tokens(text), "{text}: {later}");
        }
    }

    #[test]
    fn a_text_is_cut_at_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
        assert_eq!(cut("aé", 99), "aé");
    }

    proptest! {
        #[test]
        fn the_bound_holds_for_any_text(text: String) {
            let later = u64::try_from(bpe_openai::o200k_base().count(&text)).unwrap();
            prop_assert!(later <= tokens(&text), "{later}");
        }

        #[test]
        fn cleaning_twice_changes_nothing_more(text: String) {
            let once = clean(&text);
            prop_assert_eq!(clean(&once), once.clone());
            prop_assert!(once.len() <= text.len());
        }
    }
}
