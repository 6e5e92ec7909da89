//! A text cut into as many messages as it takes, on borders that people would choose.

/// How long one of Discord's messages may be. Counted in UTF-16 units, which are never fewer than
/// Discord's characters.
const MESSAGE_UNITS: usize = 2_000;

/// How many messages one answer has at most: more would bury what people talk about.
pub(crate) const MOST_PARTS: usize = 5;

/// What begins and ends a block of code.
const FENCE: &str = "```";

/// What closes a block that goes on in the next message.
const CLOSED: &str = "\n```";

/// What shows that there is more.
const MORE: &str = "…";

/// The longest word behind a fence that is taken for a language.
const LONGEST_LANGUAGE: usize = 20;

/// Cuts a text into messages: between paragraphs, else lines, sentences or words.
///
/// A block of code that goes on is closed, and opened again in the next message. What is past the last
/// message is left out, and that is shown.
pub(crate) fn split(text: &str) -> Vec<String> {
    split_into(text, MESSAGE_UNITS, MOST_PARTS)
}

/// Returns the first message of a text that is still written, and shows that there is more.
pub(crate) fn growing(text: &str) -> String {
    let more = format!(" {MORE}");
    let room = MESSAGE_UNITS - units(&more);
    let mut parts = split_into(text, room, MOST_PARTS).into_iter();
    let mut first = parts.next().unwrap_or_default();
    if is_open(&first) {
        let room = MESSAGE_UNITS - units(&more) - units(CLOSED);
        first = split_into(&first, room, 1).into_iter().next().unwrap_or_default();
        if is_open(&first) {
            first.push_str(CLOSED);
        }
    }
    first.push_str(&more);
    first
}

fn split_into(text: &str, most_units: usize, most_parts: usize) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = text.trim_end();
    let mut open: Option<String> = None;
    while !rest.is_empty() {
        let head = open.as_ref().map_or_else(String::new, |fence| format!("{fence}\n"));
        if units(&head) + units(rest) <= most_units {
            parts.push(head + rest);
            break;
        }
        let is_last = parts.len() + 1 == most_parts;
        let spare = units(&head) + units(CLOSED) + if is_last { units(MORE) } else { 0 };
        let cut = border(rest, most_units.saturating_sub(spare).max(1), open.is_some());
        let mut end = match rest[..cut].trim_end().len() {
            0 => cut,
            end => end,
        };
        // A block without a line in it would be shown as an empty box.
        if let Some(start) = opened_in_vain(&rest[..end], open.is_some()) {
            end = rest[..start].trim_end().len();
        }
        let piece = &rest[..end];
        let after = open_after(piece, open);
        let mut part = head + piece;
        if is_last {
            part.push_str(MORE);
        }
        if after.is_some() {
            part.push_str(CLOSED);
        }
        parts.push(part);
        if is_last {
            break;
        }
        open = after;
        rest = rest[end..].trim_start_matches(['\n', '\r']);
        if open.is_none() {
            rest = rest.trim_start();
        } else if let Some(behind) = rest.trim_start().strip_prefix(FENCE) {
            // It was closed already.
            open = None;
            rest = behind.trim_start();
        }
    }
    parts
}

/// Returns where a text is best cut, at most so many units in.
fn border(text: &str, room: usize, is_code: bool) -> usize {
    let mut left = room;
    let fits = |(_, character): &(usize, char)| {
        let is_room = character.len_utf16() <= left;
        left = left.saturating_sub(character.len_utf16());
        is_room
    };
    let hard = text.char_indices().take_while(fits).last();
    let hard = hard.map_or(0, |(index, character)| index + character.len_utf8());
    // Something must be said, however little room there is.
    let hard = hard.max(text.chars().next().map_or(0, char::len_utf8));
    let window = &text[..hard];
    let half = hard / 2;
    if !is_code
        && let Some(index) = window.rfind("\n\n").filter(|index| *index >= half && *index > 0)
    {
        return index;
    }
    if let Some(index) = window.rfind('\n').filter(|index| *index >= hard / 4 && *index > 0) {
        return index;
    }
    let sentence = |end: &str| window.rfind(end).map(|index| index + 1);
    let sentence = [". ", "! ", "? "].into_iter().filter_map(sentence).max();
    if let Some(index) = sentence.filter(|index| *index >= half) {
        return index;
    }
    let space = window.rfind(char::is_whitespace).filter(|index| *index > 0);
    space.unwrap_or(hard)
}

/// Returns the fence that is open behind a text, where `open` was before it.
fn open_after(text: &str, mut open: Option<String>) -> Option<String> {
    for line in text.lines() {
        if line.matches(FENCE).count() % 2 == 1 {
            open = match open {
                Some(_) => None,
                None => Some(opener(line)),
            };
        }
    }
    open
}

fn is_open(text: &str) -> bool {
    open_after(text, None).is_some()
}

/// Returns where the last block begins, if it is open and nothing stands in it.
fn opened_in_vain(text: &str, was_open: bool) -> Option<usize> {
    let last = text.rfind('\n').map_or(0, |index| index + 1);
    let line = &text[last..];
    let before = open_after(&text[..last], was_open.then(String::new));
    let is_opener = before.is_none() && line.trim_start().starts_with(FENCE);
    let has_words = !text[..last].trim().is_empty();
    (is_opener && line.matches(FENCE).count() == 1 && has_words).then_some(last)
}

/// Returns how a block is opened once more that this line began.
fn opener(line: &str) -> String {
    let language = line.rsplit(FENCE).next().unwrap_or_default();
    let is_language = language.len() <= LONGEST_LANGUAGE
        && language.chars().all(|it| it.is_ascii_alphanumeric() || "+#-_.".contains(it));
    if is_language { format!("{FENCE}{language}") } else { FENCE.to_owned() }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_fits_is_one_message() {
        assert_eq!(split("hello\n"), ["hello"]);
        assert_eq!(split(""), [""; 0]);
        let just = "x".repeat(MESSAGE_UNITS);
        assert_eq!(split(&just).concat(), just);
    }

    #[test]
    fn a_text_is_cut_where_it_hurts_least() {
        let paragraphs = format!("{}\n\n{}", "a ".repeat(30), "b ".repeat(30));
        let cut = split_into(&paragraphs, 100, 5);
        assert_eq!(cut, ["a ".repeat(30).trim(), "b ".repeat(30).trim()]);
        let lines = format!("{}\n{}", "a ".repeat(30).trim(), "b ".repeat(30).trim());
        assert_eq!(split_into(&lines, 100, 5).len(), 2);
        let sentences = "One is here. Two is there. Three is gone.";
        assert_eq!(split_into(sentences, 34, 5), ["One is here. Two is there.", "Three is gone."]);
        assert_eq!(split_into("aaaa bbbb cccc", 14, 5), ["aaaa bbbb cccc"]);
        assert_eq!(split_into("aaaa bbbb cccc", 13, 5), ["aaaa", "bbbb cccc"]);
        assert_eq!(split_into(&"x".repeat(30), 14, 5).concat(), "x".repeat(30));
    }

    #[test]
    fn a_block_of_code_is_closed_and_opened_again() {
        let code = "let it = 1;\n".repeat(20);
        let text = format!("So:\n```rust\n{code}```\nThat is all.");
        let parts = split_into(&text, 120, 9);
        assert!(parts.len() > 2, "{parts:?}");
        for part in &parts {
            assert!(units(part) <= 120, "{part}");
            assert_eq!(part.matches(FENCE).count() % 2, 0, "{part}");
        }
        assert!(
            parts[0].starts_with("So:\n```rust\nlet") && parts[0].ends_with("\n```"),
            "{parts:?}"
        );
        assert!(parts[1].starts_with("```rust\nlet"), "{parts:?}");
        assert!(parts.last().unwrap().ends_with("That is all."), "{parts:?}");
        let lines = parts.concat().matches("let it = 1;").count();
        assert_eq!(lines, 20, "nothing is lost");
    }

    #[test]
    fn no_block_is_empty() {
        let text = format!("{}\n```rust\nlet it = 1;\n```\nend", "word ".repeat(18).trim());
        for room in 80..130 {
            for part in split_into(&text, room, 9) {
                assert!(
                    !part.contains("```rust\n```") && !part.contains("```\n```"),
                    "{room}: {part}"
                );
            }
        }
    }

    #[test]
    fn what_is_past_the_last_message_is_left_out_and_shown() {
        let parts = split(&"word ".repeat(10_000));
        assert_eq!(parts.len(), MOST_PARTS);
        assert!(parts[MOST_PARTS - 1].ends_with('…'));
        assert!(parts.iter().all(|part| units(part) <= MESSAGE_UNITS));
    }

    #[test]
    fn what_is_still_written_says_so() {
        assert_eq!(growing("One moment"), "One moment …");
        let code = growing("So:\n```rust\nlet it");
        assert_eq!(code, "So:\n```rust\nlet it\n``` …");
        let long = growing(&"word ".repeat(1_000));
        assert!(long.ends_with(" …") && units(&long) <= MESSAGE_UNITS, "{long}");
    }

    proptest! {
        #[test]
        fn every_message_fits_and_has_whole_blocks(
            pieces in prop::collection::vec("[a-z ]{0,40}|\n|```|```rs\n|[äß日😀]{0,9}|\\. ", 0..60),
            room in 40_usize..200,
        ) {
            let text = pieces.concat();
            for part in split_into(&text, room, 5) {
                prop_assert!(units(&part) <= room, "{part:?}");
            }
            prop_assert!(units(&growing(&text)) <= MESSAGE_UNITS);
        }

        #[test]
        fn no_word_is_lost_where_all_fits(text in "([a-z]{1,12}[ \n]){1,150}") {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let parts = split_into(&text, 60, 1_000);
            prop_assert_eq!(words(&parts.join(" ")), words(&text));
        }
    }
}
