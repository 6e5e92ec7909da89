//! What a channel queue promises, as functions that every adapter's tests run.
