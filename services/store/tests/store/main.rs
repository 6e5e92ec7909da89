//! The store through its RPCs, over the transport of one process.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise, helpers too")]

mod acts;
mod approvals;
mod backups;
mod config;
mod dead_letters;
mod executions;
mod explained;
mod faults;
mod fencing;
mod gaps;
mod input;
mod kill;
mod mcp;
mod messages;
mod opening;
mod privacy;
mod provider_keys;
mod queue;
mod repeats;
mod scheduled_actions;
mod several;
mod summaries;
mod support;
mod threads;
mod usage;
