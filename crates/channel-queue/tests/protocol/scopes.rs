//! The scopes in which all invariants are checked: each stresses other faults.
//!
//! `ERY_PROTOCOL_SCOPE=large` makes them larger: minutes instead of seconds.

use crate::{
    holds,
    scope::{Budget, Scope},
    state::Set,
};

const NONE: Budget = Budget::NONE;

fn in_scope(name: &str, small: Scope, large: Scope) {
    let is_large = std::env::var_os("ERY_PROTOCOL_SCOPE").is_some_and(|scope| scope == "large");
    holds(name, if is_large { large } else { small });
}

/// Nothing goes wrong but replicas that lag and deliveries that are handled late: then no message
/// may need to be delivered again.
#[test]
fn calm_operation_needs_no_redelivery() {
    let calm = Scope { is_redelivered: false, workers: 3, messages: 3, ..Scope::SMALL };
    let budget = Budget { stale_reads: 2, late_deliveries: 2, ..NONE };
    let all = Scope { budget, ..calm };
    in_scope("calm", all, Scope { is_together: true, ..all });
    let chatter = Scope { chatter: Set::of(1), is_together: true, ..all };
    in_scope("calm, with chatter", chatter, chatter);
    let perhaps = Scope { perhaps: Set::of(1), ..all };
    in_scope("calm, with what is perhaps for Ery", perhaps, perhaps);
}

#[test]
fn killed_and_frozen_workers() {
    let budget = Budget { crashes: 1, freezes: 1, lost_removals: 1, ..NONE };
    let small = Scope { budget, ..Scope::SMALL };
    let more = Budget { crashes: 2, ..budget };
    in_scope("killed and frozen", small, Scope { budget: more, ..small });
}

#[test]
fn messages_answered_together_by_workers_that_are_killed() {
    let budget = Budget { crashes: 1, repeats: 1, stale_reads: 1, ..NONE };
    let small = Scope { is_together: true, budget, ..Scope::SMALL };
    let large = Scope { messages: 3, workers: 3, ..small };
    in_scope("together", small, large);
}

#[test]
fn redis_that_forgets() {
    let budget = Budget { crashes: 1, redis_losses: 1, ..NONE };
    let small = Scope { workers: 3, budget, ..Scope::SMALL };
    let large = Scope { budget: Budget { redis_losses: 2, ..budget }, ..small };
    in_scope("Redis forgets", small, large);
}

#[test]
fn redis_whose_clock_steps_back() {
    let budget = Budget { clock_losses: 2, ..NONE };
    let small = Scope { budget, ..Scope::SMALL };
    in_scope("the clock steps back", small, Scope { workers: 3, ..small });
}

#[test]
fn streams_that_are_made_anew() {
    let budget = Budget { recreations: 1, crashes: 1, stale_reads: 1, ..NONE };
    let small = Scope { workers: 3, budget, ..Scope::SMALL };
    in_scope("the stream is made anew", small, Scope { messages: 3, ..small });
}

#[test]
fn tasks_that_are_published_twice() {
    let budget = Budget { repeats: 1, freezes: 1, stale_reads: 1, ..NONE };
    let small = Scope { budget, ..Scope::SMALL };
    let more = Budget { late_deliveries: 1, ..budget };
    in_scope("published twice", small, Scope { budget: more, ..small });
}

#[test]
fn channels_that_are_handed_over() {
    let budget = Budget { drains: 1, crashes: 1, late_deliveries: 1, ..NONE };
    let small = Scope { workers: 3, budget, ..Scope::SMALL };
    let more = Budget { drains: 1, freezes: 1, ..NONE };
    in_scope("handed over", small, Scope { budget: more, ..small });
}

#[test]
fn tool_calls_that_break_off() {
    let budget = Budget { lost_calls: 2, refusals: 1, rerouted_calls: 1, freezes: 1, ..NONE };
    let small = Scope { messages: 1, is_nonce_forgotten: true, budget, ..Scope::SMALL };
    let more = Budget { crashes: 1, ..budget };
    in_scope("calls break off", small, Scope { budget: more, ..small });
    let then = Budget { lost_calls: 1, refusals: 1, rerouted_calls: 1, ..NONE };
    let small = Scope { is_nonce_forgotten: true, budget: then, ..Scope::SMALL };
    in_scope("calls break off, and the next message waits", small, small);
}

#[test]
fn channels_that_share_workers_and_redis() {
    let budget = Budget { crashes: 1, ..NONE };
    let small = Scope { channels: 2, messages: 1, budget, ..Scope::SMALL };
    let large = Scope { budget: Budget { redis_losses: 1, ..budget }, ..small };
    in_scope("two channels", small, large);
}
