//! What budgets promise, as functions that every adapter's tests run.
