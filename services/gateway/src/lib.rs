#![doc = include_str!("../README.md")]

mod settings;

mod ports;

mod service;

mod handlers;

mod domain;

mod adapters;

mod error;
mod metrics;
mod publisher;
mod resume_points;
mod shard_keeper;

pub use error::GatewayError;
pub use ports::{Discord, Ports};
pub use service::{Service, Status};
pub use settings::Settings;
