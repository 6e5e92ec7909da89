//! Any text, and commands in any disorder.

use proptest::prelude::*;
use serde_json::Value;

use super::{TOOLS, ask, message, orders, place, tools};

/// Words that stand in commands, to be shuffled.
fn words() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "timeout", "mute", "unmute", "time", "out", "<@2>", "@bob", "bob", "and", ",", "for", "10",
        "10m", "minutes", "because", "if", "who", "is", "what", "did", "i", "miss", "search",
        "from", "in", "#general", "<#7>", "react", "to", "that", "with", "👍", "say", "send", "a",
        "message", "saying", "\"", "'", "`", ">", "\n", "?", ".", "please", "Ery", "<@900>", "the",
        "remove", "give", "put", "him", "'s", "||", "don't", "not", "forever", "half", "hour", ":",
        "(", "—", "last", "hours", "an", "or", "then", "\u{200b}", "\u{e000}", "<@&3>",
    ]);
    prop::collection::vec(word, 0..25).prop_map(|words| words.join(" "))
}

const COMMAND_WORDS: [&str; 12] = [
    "timeout",
    "time-out",
    "timeouts",
    "time",
    "mute",
    "untimeout",
    "un",
    "silence",
    "shush",
    "gag",
    "ungag",
    "let",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}") {
        let answer = ask(&text);
        prop_assert!(!answer.calls.is_empty() || !answer.text.is_empty());
    }

    #[test]
    fn any_shuffled_command_is_answered(text in words()) {
        let answer = ask(&text);
        prop_assert!(!answer.calls.is_empty() || !answer.text.is_empty());
        for call in &answer.calls {
            prop_assert!(TOOLS.contains(&call.tool.as_str()));
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
            if call.tool == "timeout_member" {
                prop_assert!(arguments["duration_seconds"].as_u64().unwrap() <= 28 * 86_400);
                prop_assert!(!arguments["member"].as_str().unwrap().is_empty());
                prop_assert!(arguments["member"] != "900");
            }
        }
    }

    #[test]
    fn nothing_is_ordered_without_a_commands_word(text in "(\\PC{0,10}|<@2>| |for 10m|bob|\\n|>|\"){0,12}") {
        let low = text.to_lowercase();
        prop_assume!(!COMMAND_WORDS.iter().any(|word| low.contains(word)));
        prop_assert_eq!(orders(&message(&text), &place(), &tools(&TOOLS)), []);
    }

    #[test]
    fn nothing_is_ordered_by_a_quote(text in words()) {
        let inner: String = text.chars().filter(|c| !matches!(c, '"' | '`' | '\n' | '>')).collect();
        for quoted in [format!("> {inner}"), format!("\"{inner}\""), format!("`{inner}`"), format!("```{inner}```")] {
            prop_assert_eq!(orders(&message(&quoted), &place(), &tools(&TOOLS)), [], "{}", quoted);
        }
    }
}
