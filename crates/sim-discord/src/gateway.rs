//! The Gateway: sessions that hear what happens, and the connections that carry them.

mod close;
mod codec;
mod connection;
mod frames;
mod intents;
mod sessions;

pub(crate) use connection::{Query, serve};
pub(crate) use sessions::{Disturbance, SessionSettings, Sessions};
