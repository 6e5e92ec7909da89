//! The simulator from outside, as its clients meet it.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of tests unwrap what no test can go on without"
)]

mod contract;
mod control;
mod faults;
mod gateway;
mod invites;
mod limits;
mod presences;
mod rest;
mod resume;
mod support;
mod threads;
mod twilight;
