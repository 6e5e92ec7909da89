//! What is completed while somebody types what to set.

use ery_community_config::keys;

use crate::domain::commands::{config::plain_key, reply::Choice};

/// Returns the keys that fit what is being typed.
pub(crate) fn key_choices(typed: &str) -> Vec<Choice> {
    let typed = typed.trim().to_lowercase();
    let paths = keys().all().flat_map(|key| match key.entries.as_deref() {
        Some("tool") => {
            let stem = key.path.trim_end_matches('*').to_owned();
            ery_community_config::TOOLS.iter().map(|tool| format!("{stem}{tool}")).collect()
        }
        // Whoever types goes on with the mention of a role.
        Some(_) => vec![key.path.trim_end_matches('*').to_owned()],
        None => vec![key.path.clone()],
    });
    let fitting = paths.filter(|path| path.contains(&typed));
    let mut choices: Vec<_> = fitting
        .map(|path| {
            let ending = if path.ends_with('.') { "@…" } else { "" };
            Choice { name: format!("{path}{ending}"), value: path }
        })
        .collect();
    let plain = plain_key(&typed);
    if choices.is_empty() && keys().find(&plain).is_ok() {
        choices.push(Choice { name: plain.clone(), value: plain });
    }
    choices
}

/// Returns what a key may be set to, where that is one of a few words.
pub(crate) fn value_choices(key: &str, typed: &str) -> Vec<Choice> {
    let Ok(key) = keys().find(key.trim()) else { return Vec::new() };
    let words = key.words().into_iter().filter(|word| word.contains(typed.trim()));
    words.map(|word| Choice { name: word.to_owned(), value: word.to_owned() }).collect()
}
