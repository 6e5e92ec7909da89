//! What the texts are, for tests of those who say them.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::FluentResource;
use fluent_syntax::ast::{Entry, Expression, InlineExpression, Pattern, PatternElement};

use crate::Language;

/// The places of a text, by its key; `.description` marks a description.
pub type Places = BTreeMap<String, BTreeSet<String>>;

/// Returns the texts of a language, with the places of each.
///
/// # Panics
///
/// If they cannot be read whole, or one stands there twice.
pub fn texts(language: Language) -> Places {
    places(language, language.source())
}

/// Returns what a language says of the keys of a community's config, likewise.
///
/// # Panics
///
/// Likewise.
pub fn about_config(language: Language) -> Places {
    places(language, language.source_about_config())
}

fn places(language: Language, source: &str) -> Places {
    let resource = FluentResource::try_new(source.to_owned())
        .unwrap_or_else(|(_, errors)| panic!("{language:?}: {errors:?}"));
    let mut places = Places::new();
    let mut note = |key: String, pattern: &Pattern<&str>| {
        let mut found = BTreeSet::new();
        of_pattern(pattern, &mut found);
        assert!(places.insert(key.clone(), found).is_none(), "{language:?}: {key} twice");
    };
    for entry in resource.entries() {
        match entry {
            Entry::Message(message) => {
                if let Some(value) = &message.value {
                    note(message.id.name.to_owned(), value);
                }
                for attribute in &message.attributes {
                    let key = format!("{}.{}", message.id.name, attribute.id.name);
                    note(key, &attribute.value);
                }
            }
            Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => {}
            other => panic!("{language:?}: {other:?}"),
        }
    }
    places
}

fn of_pattern(pattern: &Pattern<&str>, found: &mut BTreeSet<String>) {
    for element in &pattern.elements {
        if let PatternElement::Placeable { expression } = element {
            of_expression(expression, found);
        }
    }
}

fn of_expression(expression: &Expression<&str>, found: &mut BTreeSet<String>) {
    match expression {
        Expression::Inline(inline) => of_inline(inline, found),
        Expression::Select { selector, variants } => {
            of_inline(selector, found);
            for variant in variants {
                of_pattern(&variant.value, found);
            }
        }
    }
}

fn of_inline(inline: &InlineExpression<&str>, found: &mut BTreeSet<String>) {
    match inline {
        InlineExpression::VariableReference { id } => {
            found.insert(id.name.to_owned());
        }
        InlineExpression::Placeable { expression } => of_expression(expression, found),
        _ => {}
    }
}
