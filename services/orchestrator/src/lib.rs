#![doc = include_str!("../README.md")]

mod adapters;
mod domain;
mod error;
mod handlers;
mod metrics;
#[cfg(feature = "mutants")]
mod mutants;
mod ports;
mod replaying;
mod service;
mod settings;

pub use domain::replay::{Call, Comparison, Gaps, Replay, Side};
pub use error::OrchestratorError;
pub use ports::Ports;
pub use replaying::{Beside, ReplayError, context_of, replay};
pub use service::Service;
pub use settings::{CommandScope, Settings};
