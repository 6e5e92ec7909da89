//! The reason that a moderator gives: one line for Discord's audit log.

use crate::domain::output::Filter;

/// How long a reason may be; with who asked and the key it fits Discord's 512 characters.
const MAX_REASON: usize = 400;

/// Puts a reason into one line, made harmless: people read it in proposals and in Discord's audit log.
/// None if nothing of it is left.
pub(super) fn one_line(reason: Option<&str>, filter: &Filter) -> Option<String> {
    let line: String = filter
        .filtered(reason?)
        .content
        .chars()
        .map(|character| if character.is_whitespace() { ' ' } else { character })
        .take(MAX_REASON)
        .collect();
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}
