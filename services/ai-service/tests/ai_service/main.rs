//! The service through its RPCs, with its providers against servers that speak their protocols and
//! misbehave as they are told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must say where")]

mod attachments;
mod chain;
mod guild_keys;
mod independent;
mod openai;
mod providers;
mod spent;
mod summaries;
mod support;
