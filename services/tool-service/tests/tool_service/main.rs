//! The service through its RPCs, against the simulated Discord.
#![expect(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests fail as tests do, and read better with plain values"
)]

mod answers;
mod approvals;
mod bans;
mod beside;
mod by_hand;
mod channels;
mod commands;
mod direct;
mod guild_state;
mod hostile;
mod in_doubt;
mod information;
mod kicks;
mod mcp;
mod messages;
mod moderation;
mod overwrites;
mod people;
mod policy;
mod reading;
mod refusals;
mod rest;
mod roles;
mod scheduling;
mod store;
mod support;
mod threads;
mod warnings;
