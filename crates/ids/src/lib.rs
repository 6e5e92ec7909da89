//! The names of things, as types: where a message lives, what started a thread, which epoch writes.
//!
//! Discord's own ids are twilight's (`Id<GuildMarker>` and so on). Everything here is pure.

mod epoch;
mod execution;
mod home;
mod person;
mod principal;
mod service;
mod trigger;

pub use epoch::{Epoch, Fence, OwnerToken};
pub use execution::{ExecutionKey, ParseExecutionKeyError, TaskThreadId};
pub use home::{ChannelKey, Home, PARTS, Part, SHARD_FORMULA_SHIFT, StoreShard};
pub use person::ForgottenPerson;
pub use principal::Principal;
pub use service::{ReplicaId, ServiceName};
pub use trigger::{EventId, ParseTriggerIdError, TriggerId};
