//! The channel queue's protocol as a model, gone through exhaustively in small scopes.
//!
//! `docs/protocol-model.md` says what is modelled and what is not, and what each mutant shows.
#![expect(
    clippy::print_stdout,
    reason = "a test tells how many states it has seen, and how a mutant failed"
)]

mod checker;
mod events;
mod holder;
mod mutants;
mod protocol;
mod scope;
mod scopes;
mod state;
mod stream;
mod tool_calls;

use crate::{
    checker::check,
    protocol::{Property, Protocol},
    scope::{Mutant, Scope},
};

/// How many states one check may come to: some gigabytes.
const MAX_STATES: usize = 40_000_000;

/// Checks that all invariants hold in a scope.
fn holds(name: &str, scope: Scope) {
    let report = check(&Protocol { scope }, MAX_STATES, |_| true);
    let (states, steps, depth) = (report.states, report.steps, report.depth);
    println!("{name}: {states} states, {steps} steps, the farthest {depth} steps away");
    if let Some(broken) = report.broken {
        panic!("{name}: {} is broken after {depth} steps:\n{}", broken.property, broken.trace);
    }
}

/// Checks that a mutant breaks an invariant, and shows how; and that the protocol itself holds in
/// the same scope.
fn breaks(mutant: Mutant, property: Property, scope: Scope) {
    holds(&format!("without {mutant:?}"), scope);
    let mutated = Scope { mutant: Some(mutant), ..scope };
    let report = check(&Protocol { scope: mutated }, MAX_STATES, |it| it == property);
    let states = report.states;
    let broken = report.broken.unwrap_or_else(|| {
        panic!("{mutant:?} does not break {property} in any of {states} states");
    });
    println!(
        "{mutant:?} breaks {property}, found in {states} states, after {} steps:\n{}",
        report.depth, broken.trace
    );
}
