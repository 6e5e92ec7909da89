//! What the orchestrator knows: pure and synchronous.

pub(crate) mod allowance;
pub(crate) mod answer;
pub(crate) mod attachments;
pub(crate) mod budgets;
pub(crate) mod channel;
pub(crate) mod commands;
pub(crate) mod community;
pub(crate) mod context;
pub(crate) mod discord;
pub(crate) mod gate;
pub(crate) mod journal;
pub(crate) mod message;
pub(crate) mod people;
pub(crate) mod planned;
pub(crate) mod progress;
pub(crate) mod replay;
pub(crate) mod shares;
pub(crate) mod strategy;
pub(crate) mod summary;
pub(crate) mod task_thread;
pub(crate) mod text;
pub(crate) mod texts;
pub(crate) mod tool;
pub(crate) mod turn;
pub(crate) mod verdict;

#[cfg(test)]
pub(crate) mod fixtures;
