#![doc = include_str!("../README.md")]

mod background;
mod budgets;
mod bus;
mod cluster;
mod envelope;
mod error;
mod keys;
mod membership;
mod nats;
mod pull;
mod queue;
mod redis_link;
mod scripts;
mod servers;
mod settings;
mod subjects;

pub use budgets::ClusterBudgets;
pub use bus::ClusterBus;
pub use cluster::Cluster;
pub use error::ConnectError;
pub use membership::ClusterMembership;
pub use nats::Streams;
pub use queue::ClusterQueue;
pub use settings::{InvalidSetting, NatsSettings, RedisSettings};
