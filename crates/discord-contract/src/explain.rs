//! What a schema wanted, in words that lead to the place.

use jsonschema::{ValidationError, error::ValidationErrorKind};

/// So much of a value is told.
const SHOWN: usize = 200;

/// Returns where in the JSON something is wrong, and what was wanted there.
///
/// A union says only that no branch matched; the branch that came nearest says why.
pub(crate) fn explain(error: &ValidationError<'_>) -> (String, String) {
    let branches = match error.kind() {
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            context.as_slice()
        }
        _ => &[],
    };
    let depth = error.instance_path().as_str().len();
    let nearest = branches.iter().filter(|branch| !branch.is_empty()).min_by_key(|branch| {
        let is_other_kind = branch.iter().any(|inner| is_of_another_kind(inner, depth));
        (is_other_kind, branch.len())
    });
    match nearest.and_then(|branch| branch.first()) {
        Some(inner)
            if !nearest.is_some_and(|branch| {
                branch.iter().all(|inner| is_of_another_kind(inner, depth))
            }) =>
        {
            explain(inner)
        }
        _ => (error.instance_path().as_str().to_owned(), shortened(&error.to_string())),
    }
}

/// Whether a branch was never meant: the value's own type, or its `type` field, is another.
fn is_of_another_kind(error: &ValidationError<'_>, depth: usize) -> bool {
    let at = error.instance_path().as_str();
    match error.kind() {
        ValidationErrorKind::Type { .. } => at.len() == depth,
        ValidationErrorKind::Constant { .. } | ValidationErrorKind::Enum { .. } => {
            at.len() == depth || at[depth.min(at.len())..] == *"/type"
        }
        _ => false,
    }
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= SHOWN * 2 {
        return text.to_owned();
    }
    let start: String = text.chars().take(SHOWN).collect();
    let skipped = text.chars().count() - SHOWN;
    let end: String = text.chars().skip(skipped).collect();
    format!("{start} … {end}")
}
