//! The Gateway: sessions that hear what happens, and the connections that carry them.

mod bots;
mod close;
mod codec;
mod connection;
mod delayed;
mod frames;
mod intents;
mod ready;
mod requests;
mod session;
mod sessions;

pub(crate) use bots::release_delayed;
pub(crate) use connection::{MAX_MESSAGE_BYTES, Query, serve};
pub(crate) use sessions::{Disturbance, SessionSettings, Sessions, Target};
