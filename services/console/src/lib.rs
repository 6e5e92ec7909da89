#![doc = include_str!("../README.md")]

mod adapters;
mod domain;
mod error;
mod handlers;
mod metrics;
mod ports;
mod service;
mod settings;

pub use domain::token::Token;
pub use error::ConsoleError;
pub use ports::Ports;
pub use service::Service;
pub use settings::Settings;
