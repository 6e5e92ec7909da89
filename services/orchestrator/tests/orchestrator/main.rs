//! The orchestrator over embedded ports, with a store, an ai-service and a tool-service that are
//! told what to answer and remember what they were asked.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod answering;
mod changes;
mod config;
mod failures;
mod growing;
mod ingestion;
mod interactions;
mod keys;
mod planned;
mod read_back;
mod spending;
mod summaries;
mod support;
mod takeover;
mod verdicts;
