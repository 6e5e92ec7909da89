//! What a value must be, for whoever says it in words.

use std::fmt;

use serde_json::Value;

use crate::keys::{Named, named};

/// What a value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Must {
    OneOf(Vec<String>),
    TrueOrFalse,
    WholeNumber(Bounds),
    Dollars(Bounds),
    Time(Bounds),
    List {
        most: Option<String>,
        each: Box<Self>,
    },
    /// By its id or a mention.
    Role,
    /// By its id or a mention.
    Channel,
    Language,
    Name,
    Text {
        most: Option<String>,
    },
}

/// Between what a value must lie, as it is written; both may be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub least: Option<String>,
    pub most: Option<String>,
}

impl Must {
    /// Reads it from a schema.
    pub(crate) fn of(schema: &Value) -> Self {
        let words = words(schema);
        if !words.is_empty() {
            return Self::OneOf(words.into_iter().map(str::to_owned).collect());
        }
        match named(schema) {
            Some(Named::Role) => return Self::Role,
            Some(Named::Channel) => return Self::Channel,
            None => {}
        }
        let bound = |name: &str| {
            schema.get(name).map(|bound| match bound {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        };
        let between = |least: &str, most: &str| Bounds { least: bound(least), most: bound(most) };
        match (schema["type"].as_str(), schema["format"].as_str()) {
            (Some("boolean"), _) => Self::TrueOrFalse,
            (Some("integer"), _) => Self::WholeNumber(between("minimum", "maximum")),
            (Some("number"), _) => Self::Dollars(between("minimum", "maximum")),
            (Some("array"), _) => {
                let each = Box::new(Self::of(&schema["items"]));
                Self::List { most: bound("maxItems"), each }
            }
            (_, Some("duration")) => {
                let Bounds { least, most } = between("x-least", "x-most");
                Self::Time(Bounds {
                    least: least.map(|it| spaced(&it)),
                    most: most.map(|it| spaced(&it)),
                })
            }
            (_, Some("language")) => Self::Language,
            (_, Some("name")) => Self::Name,
            _ => Self::Text { most: bound("maxLength") },
        }
    }
}

/// Writes a time's units apart from its numbers where they are whole words: `30 days`, but `1h`.
fn spaced(time: &str) -> String {
    let unit = time.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(time.len());
    let (number, unit) = time.split_at(unit);
    if unit.len() > 2 { format!("{number} {unit}") } else { time.to_owned() }
}

/// Returns the words that a value may be, where it is one of a few.
pub(crate) fn words(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let described = schema["oneOf"].as_array().into_iter().flatten();
    let described = described
        .flat_map(|one| one["enum"].as_array().into_iter().flatten().chain(one.get("const")));
    listed.chain(described).filter_map(Value::as_str).collect()
}

impl fmt::Display for Must {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneOf(words) => write!(f, "one of {}", words.join(", ")),
            Self::TrueOrFalse => f.write_str("true or false"),
            Self::WholeNumber(bounds) => write!(f, "a whole number{bounds}"),
            Self::Dollars(bounds) => write!(f, "an amount in dollars such as 2.50{bounds}"),
            Self::Time(bounds) => write!(f, "a time such as 90s{bounds}"),
            Self::List { most: Some(most), each } => {
                write!(f, "a list of at most {most}, each {each}")
            }
            Self::List { most: None, each } => write!(f, "a list, each {each}"),
            Self::Role => f.write_str("a role, by its id or a mention"),
            Self::Channel => f.write_str("a channel, by its id or a mention"),
            Self::Language => {
                f.write_str("the code of a language, such as de or pt-BR, or nothing")
            }
            Self::Name => f.write_str("a name of 1 to 32 letters and digits"),
            Self::Text { most: Some(most) } => write!(f, "a text of at most {most} characters"),
            Self::Text { most: None } => f.write_str("a text"),
        }
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.least, &self.most) {
            (Some(least), Some(most)) => write!(f, " from {least} to {most}"),
            (Some(least), None) => write!(f, " of at least {least}"),
            (None, Some(most)) => write!(f, " of at most {most}"),
            (None, None) => Ok(()),
        }
    }
}
