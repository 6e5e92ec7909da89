//! What an event bus promises, as functions that every adapter's tests run.
