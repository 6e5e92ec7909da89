//! The store through its RPCs, over the transport of one process.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, helpers too")]

mod executions;
mod fencing;
mod input;
mod kill;
mod messages;
mod opening;
mod repeats;
mod support;
mod threads;
