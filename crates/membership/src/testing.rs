//! What membership promises, as functions that every adapter's tests run.
