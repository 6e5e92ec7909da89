//! What comes in: wake-ups of channels, events, and broadcasts.

pub(crate) mod changes;
pub(crate) mod deleted_channels;
pub(crate) mod events;
pub(crate) mod greeting;
pub(crate) mod holder;
pub(crate) mod holding;
pub(crate) mod ingestion;
pub(crate) mod interactions;
pub(crate) mod keys;
pub(crate) mod parents;
pub(crate) mod quotas;
pub(crate) mod read_back;
pub(crate) mod registration;
pub(crate) mod side_turns;
pub(crate) mod spending;
pub(crate) mod summaries;
pub(crate) mod thread_run;
pub(crate) mod traced;
pub(crate) mod turned_away;
pub(crate) mod unreadable;
pub(crate) mod verdicts;
pub(crate) mod wakeups;
