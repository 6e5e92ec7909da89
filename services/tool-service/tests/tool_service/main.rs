//! The service through its RPCs, against the simulated Discord.
#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests fail as tests do, and read better with plain values"
)]

mod answers;
mod guild_state;
mod in_doubt;
mod moderation;
mod people;
mod reading;
mod rest;
mod store;
mod support;
