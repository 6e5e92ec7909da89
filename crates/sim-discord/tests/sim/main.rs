//! The simulator from outside, as its clients meet it.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests unwrap what no test can go on without"
)]

mod commands;
mod contract;
mod control;
mod emojis;
mod faults;
mod forwards;
mod gateway;
mod guilds;
mod interactions;
mod invites;
mod limits;
mod polls;
mod presences;
mod rest;
mod resume;
mod scheduled_events;
mod stickers;
mod support;
mod threads;
mod twilight;
mod webhooks;
