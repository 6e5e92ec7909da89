#![doc = include_str!("../README.md")]

mod adapters;
mod domain;
mod error;
mod handlers;
mod metrics;
mod ports;
mod service;
mod settings;

pub use domain::prompts::PromptProblem;
pub use error::AiError;
pub use ports::Ports;
pub use service::Service;
pub use settings::{PriceSettings, ProviderKind, ProviderSettings, Settings};
