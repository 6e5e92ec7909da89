#![doc = include_str!("../README.md")]

mod background;
mod budgets;
mod bus;
mod database;
mod folder;
mod membership;
mod queue;

pub use budgets::EmbeddedBudgets;
pub use bus::{BusOptions, EmbeddedBus};
pub use database::DatabaseError;
pub use folder::{EmbeddedFolder, FolderError};
pub use membership::EmbeddedMembership;
pub use queue::{EmbeddedQueue, QueueOptions};
