//! The service through its RPCs, against the simulated Discord.

mod answers;
mod guild_state;
mod in_doubt;
mod moderation;
mod people;
mod reading;
mod rest;
mod store;
mod support;
