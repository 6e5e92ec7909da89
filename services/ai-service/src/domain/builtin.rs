//! Command understanding without a model: deterministic, in English, and honest about what it is.
//!
//! A message is read in four steps: what is quoted is set aside ([`quoted`]), the rest becomes
//! tokens ([`tokens`]), those become requests ([`understand`]), and requests become tool calls or
//! sentences ([`plan`], [`report`]). Whoever reads an order wrongly acts on a person, so that every
//! doubt here is decided for doing nothing and saying so.

mod aside;
mod clause;
mod digest;
mod duration;
mod emoji;
mod lookups;
mod plan;
mod polls;
mod quoted;
mod reminders;
mod report;
mod request;
mod servers;
mod talk;
mod timeouts;
mod tokens;
mod understand;

pub(crate) use plan::{NAME, answer, orders};
pub(crate) use quoted::own_words;
pub(crate) use understand::withholds;

#[cfg(test)]
mod tests;
