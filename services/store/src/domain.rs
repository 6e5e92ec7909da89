//! What the store knows: who may write, what a message, a thread and an execution may become.
//!
//! Pure and synchronous: the rows are read and written by the adapters.

pub(crate) mod approval;
pub(crate) mod backup;
pub(crate) mod dead_letter;
pub(crate) mod execution;
pub(crate) mod fence;
pub(crate) mod gap;
pub(crate) mod mcp_credential;
pub(crate) mod message;
pub(crate) mod privacy;
pub(crate) mod provider_key;
pub(crate) mod scheduled_action;
pub(crate) mod scheduled_task;
pub(crate) mod summary;
pub(crate) mod thread;
pub(crate) mod usage;

pub(crate) use execution::{
    ActLimit, Closing, Decision, Execution, ExecutionState, SlowMode, Tier,
};
pub(crate) use fence::{Claim, Highest};
pub(crate) use message::{
    Attachment, Enclosure, EnclosureKind, Mention, Merge, Message, MessageChange, Standing,
};
pub(crate) use scheduled_task::ScheduledTask;
pub(crate) use thread::{
    AnswersToBots, Attempt, ChannelState, Exchange, LastAnswer, Outcome, Step, StepKind,
    TaskThread, Trigger, TriggerChange, Usage,
};
