#![doc = include_str!("../README.md")]
#![expect(
    clippy::option_option,
    reason = "in Discord's bodies a field that is null is not one that is missing"
)]

mod clock;
mod control;
mod domain;
mod faults;
mod form;
mod gateway;
mod handle;
mod options;
mod percent;
mod rest;
mod server;
mod shared;
mod wire;

pub use domain::{Generator, GeneratorError, World, WorldFileError};
pub use handle::{Refused, SeenMessage, WorldHandle};
pub use options::Options;
pub use server::{SimDiscord, StartError};

/// The token of the bot in the demo's world.
pub const DEMO_TOKEN: &str = domain::DEMO_TOKEN;
