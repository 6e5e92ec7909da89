//! Polls: `poll: pizza or pasta?`.

use super::{
    clause::{Clause, is_one_of},
    duration::{self, Span},
    request::{Problem, Request},
    tokens::Kind,
};

/// Discord's bounds.
const LONGEST_QUESTION: usize = 300;
const LONGEST_ANSWER: usize = 55;
const MOST_ANSWERS: usize = 10;
const MOST_HOURS: u64 = 32 * 24;

const BEGINNINGS: &str = "make a poll|create a poll|start a poll|open a poll|run a poll|do a poll|\
     post a poll|make a vote|start a vote|poll|vote";

/// Words with which a question begins that lists its answers at its end, or is for yes or no.
const ASKING: &str =
    "shall|should|do|does|did|which|what|where|when|who|is|are|can|could|would|will|how|may";

/// Reads a message that is a poll as a whole. `None`: it is none.
pub(super) fn read(mut at: Clause<'_>) -> Option<Request> {
    let opening = at.take_opening();
    if opening.is_negated || !at.take_any(BEGINNINGS) {
        return None;
    }
    let mut hours = 24;
    if let Some((Span::Seconds(seconds), after)) =
        at.behind("for").and_then(duration::read).filter(|(_, after)| is_begun(*after))
    {
        hours = seconds.div_ceil(3_600).clamp(1, MOST_HOURS);
        at = after;
    }
    if !is_begun(at) {
        return None;
    }
    at.take_any("about|on");
    at.take_pauses();
    let Some((question, answers)) = parts(&at.lines().join("\n")) else {
        return Some(Request::Problem(Problem::PollWhat));
    };
    Some(Request::Poll { question, answers, hours })
}

/// Whether a poll's question begins here; without a sign of it, somebody speaks of polls.
fn is_begun(at: Clause<'_>) -> bool {
    matches!(at.kind(), Some(Kind::Colon | Kind::End | Kind::Quote(_))) || at.next_is("about|on")
}

/// Returns the question and its answers.
fn parts(text: &str) -> Option<(String, Vec<String>)> {
    let text = text.trim();
    // A colon within a word is a time's or an address's.
    let at = text.char_indices().find(|(at, character)| match character {
        '?' | '\n' => true,
        ':' => text[at + 1..].starts_with(char::is_whitespace),
        _ => false,
    });
    let parted = at.map(|(at, character)| (&text[..at], &text[at + character.len_utf8()..]));
    let (question, listed) = match parted {
        Some((question, listed)) if !listed.trim_matches(['?', '!', ' ', '\n']).is_empty() => {
            (question, Some(listed))
        }
        _ => (text, None),
    };
    let question = question.trim().trim_end_matches(['?', ':']).trim();
    let answers = match listed {
        Some(listed) => split(listed),
        None => from_question(question),
    };
    let is_within = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
    let is_poll = (2..=MOST_ANSWERS).contains(&answers.len())
        && answers.iter().all(|answer| is_within(answer, LONGEST_ANSWER))
        && answers.iter().enumerate().all(|(index, answer)| !answers[..index].contains(answer))
        && is_within(question, LONGEST_QUESTION - 1);
    is_poll.then(|| (format!("{}?", capital(question)), answers))
}

/// Returns the answers that a question itself names, as in `pizza or pasta?`; else yes and no.
fn from_question(question: &str) -> Vec<String> {
    let first = question.split_whitespace().next().unwrap_or_default().to_lowercase();
    let is_asking = is_one_of(&first, ASKING);
    let mut answers = split(question);
    if let [only] = answers.as_slice() {
        let is_for_yes = is_asking && !only.is_empty();
        return if is_for_yes { ["Yes", "No"].map(str::to_owned).into() } else { Vec::new() };
    }
    if let [first, others @ ..] = answers.as_mut_slice()
        && is_asking
    {
        // `Shall we meet on Friday or Saturday`: of the first part only its end is an answer.
        let count = others.iter().map(|other| other.split_whitespace().count()).max().unwrap_or(1);
        let words: Vec<&str> = first.split_whitespace().collect();
        *first = capital(&words[words.len().saturating_sub(count)..].join(" "));
    }
    answers
}

/// Cuts a list into its parts: by lines or signs, else by `or`.
fn split(text: &str) -> Vec<String> {
    let by = |separators: &[char]| -> Vec<&str> { text.split(separators).collect() };
    let parts = if text.trim().contains('\n') {
        by(&['\n'])
    } else if text.contains(" / ") {
        text.split(" / ").collect()
    } else if text.contains(['|', ';']) {
        by(&['|', ';'])
    } else {
        by(&[','])
    };
    parts
        .into_iter()
        .flat_map(|part| part.split(" or "))
        .map(|part| {
            let part = part.trim().trim_start_matches(['-', '•', '*']).trim();
            let part = part.strip_prefix("or ").unwrap_or(part);
            let number = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let part = match part[number..].strip_prefix(['.', ')']) {
                Some(rest) if number > 0 => rest,
                _ => part,
            };
            capital(
                part.trim()
                    .trim_end_matches(['?', '!', '.', '"', '”'])
                    .trim_start_matches(['"', '“'])
                    .trim(),
            )
        })
        .filter(|part| !part.is_empty())
        .collect()
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    match characters.next() {
        Some(first) => first.to_uppercase().chain(characters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::builtin::clause::in_clause;

    fn read_at(text: &str) -> Option<Request> {
        in_clause(text, &["ery".to_owned()], read)
    }

    #[test]
    fn polls_are_read_in_many_ways() {
        for (text, question, answers, hours) in [
            ("poll: pizza or pasta?", "Pizza or pasta?", "Pizza|Pasta", 24),
            ("Ery, poll: pizza, pasta or salad", "Pizza, pasta or salad?", "Pizza|Pasta|Salad", 24),
            (
                "make a poll: where do we meet? park, the café, or online",
                "Where do we meet?",
                "Park|The café|Online",
                24,
            ),
            ("poll for 2 days: North / South", "North / South?", "North|South", 48),
            ("poll: meet at 12:30 or 13:00?", "Meet at 12:30 or 13:00?", "Meet at 12:30|13:00", 24),
            ("poll: should we move to Matrix?", "Should we move to Matrix?", "Yes|No", 24),
            (
                "poll: shall we meet on Friday or Saturday?",
                "Shall we meet on Friday or Saturday?",
                "Friday|Saturday",
                24,
            ),
            ("start a poll:\nBest day\n- Mon\n- Tue\n3. Wed", "Best day?", "Mon|Tue|Wed", 24),
        ] {
            let answers: Vec<String> = answers.split('|').map(str::to_owned).collect();
            let expected = Request::Poll { question: question.to_owned(), answers, hours };
            assert_eq!(read_at(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_poll_makes_none() {
        for text in ["poll results please", "don't poll: a or b", "the poll: a or b", "vote now"] {
            assert_eq!(read_at(text), None, "{text}");
        }
        let long = format!("poll: x? {}, b", "a".repeat(56));
        for text in ["poll:", "poll: dinner", "poll: a or a", &long] {
            assert_eq!(read_at(text), Some(Request::Problem(Problem::PollWhat)), "{text}");
        }
    }
}
