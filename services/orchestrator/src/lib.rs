#![doc = include_str!("../README.md")]

mod adapters;
mod domain;
mod error;
mod handlers;
mod metrics;
#[cfg(feature = "mutants")]
mod mutants;
mod ports;
mod service;
mod settings;

pub use error::OrchestratorError;
pub use ports::Ports;
pub use service::Service;
pub use settings::{CommandScope, Settings};
