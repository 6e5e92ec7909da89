//! The reason that a moderator gives: one line for Discord's audit log.

use crate::domain::text;

/// How long a reason may be; with who asked and the key it fits Discord's 512 characters.
const MAX_REASON: usize = 400;

/// Puts a reason into one line; none if nothing of it is left.
pub(super) fn one_line(reason: Option<&str>) -> Option<String> {
    let line: String = text::visible(reason?)
        .chars()
        .map(|character| if character.is_whitespace() { ' ' } else { character })
        .take(MAX_REASON)
        .collect();
    Some(line.trim().to_owned()).filter(|line| !line.is_empty())
}
