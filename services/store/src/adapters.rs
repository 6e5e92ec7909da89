//! SQLite: the files, who may open them, and the rows that the domain decides on.

pub(crate) mod approvals;
pub(crate) mod arrivals;
pub(crate) mod backup_target;
pub(crate) mod cases;
pub(crate) mod columns;
pub(crate) mod condition;
pub(crate) mod dead_letters;
pub(crate) mod direct_channels;
pub(crate) mod dump;
pub(crate) mod explained;
pub(crate) mod folder;
pub(crate) mod gaps;
pub(crate) mod global;
pub(crate) mod maintenance;
pub(crate) mod mcp_credentials;
pub(crate) mod migrations;
pub(crate) mod read;
pub(crate) mod scheduled_actions;
pub(crate) mod scheduled_tasks;
pub(crate) mod seal;
pub(crate) mod shard;
pub(crate) mod shards;
pub(crate) mod write_channels;
pub(crate) mod write_executions;
pub(crate) mod write_messages;
pub(crate) mod write_threads;
