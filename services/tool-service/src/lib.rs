#![doc = include_str!("../README.md")]

mod adapters;
mod domain;
mod error;
mod guilds;
mod handlers;
mod identity;
mod metrics;
mod patience;
mod pipeline;
mod ports;
mod resolve;
mod service;
mod settings;
mod tools;

pub use error::{ApiUrlError, NewServiceError, TokenError};
pub use ery_community_config::{ToolRule, ToolRules};
pub use ports::{DISCORD_API_URL, Discord, Ports};
pub use service::{Readiness, Service};
pub use settings::Settings;

/// Returns every tool, as a model is offered it.
pub fn specs() -> Vec<ery_proto::ai::v1::ToolSpec> {
    tools::all().map(tools::Entry::offered).collect()
}

/// Returns whether there is a tool of that name.
pub fn is_tool(name: &str) -> bool {
    tools::is_name(name)
}
