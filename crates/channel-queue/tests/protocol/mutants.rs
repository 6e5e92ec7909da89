//! Each rule of the protocol, broken on purpose: what it is there for.

use crate::{
    breaks, holds,
    protocol::Property,
    scope::{Budget, Mutant, Scope},
};

const NONE: Budget = Budget::NONE;

fn with(budget: Budget) -> Scope {
    Scope { budget, ..Scope::SMALL }
}

#[test]
fn a_store_that_ignores_fences_breaks_fenced() {
    let scope = with(Budget { freezes: 1, ..NONE });
    breaks(Mutant::StoreIgnoresFences, Property::Fenced, scope);
}

#[test]
fn removing_before_the_commit_breaks_nothing_lost() {
    let scope = with(Budget { crashes: 1, ..NONE });
    breaks(Mutant::RemovedBeforeCommit, Property::NothingLost, scope);
}

#[test]
fn releasing_without_a_look_at_what_was_heard_of_breaks_nothing_lost() {
    let scope = Scope { is_redelivered: false, ..with(NONE) };
    breaks(Mutant::ReleasedUnheard, Property::NothingLost, scope);
}

#[test]
fn believing_a_follower_that_finds_nothing_breaks_nothing_lost() {
    let scope = Scope { is_redelivered: false, ..with(Budget { stale_reads: 1, ..NONE }) };
    breaks(Mutant::FollowerBelieved, Property::NothingLost, scope);
}

#[test]
fn judging_done_by_position_breaks_nothing_lost() {
    let scope = with(Budget { recreations: 1, ..NONE });
    breaks(Mutant::DoneByPosition, Property::NothingLost, scope);
}

#[test]
fn removing_by_position_alone_breaks_nothing_lost() {
    let scope = with(Budget { recreations: 1, ..NONE });
    breaks(Mutant::RemovedByPositionAlone, Property::NothingLost, scope);
}

#[test]
fn executions_that_are_not_recorded_break_once_visible() {
    let budget = Budget { freezes: 1, lost_calls: 1, ..NONE };
    let scope = Scope { messages: 1, is_nonce_forgotten: true, ..with(budget) };
    breaks(Mutant::ExecutionsUnrecorded, Property::OnceVisible, scope);
}

#[test]
fn equal_epochs_of_different_owners_break_one_thread() {
    let scope = with(Budget { clock_losses: 2, ..NONE });
    breaks(Mutant::OwnersNotCompared, Property::OneThread, scope);
}

#[test]
fn a_read_mark_that_only_reading_raises_keeps_a_channel_for_ever() {
    let scope = with(Budget { late_deliveries: 1, ..NONE });
    breaks(Mutant::NoReadMark, Property::NothingLost, scope);
}

#[test]
fn believing_that_a_refused_repeat_did_nothing_breaks_once_visible() {
    let scope = Scope { messages: 1, ..with(Budget { lost_calls: 1, refusals: 1, ..NONE }) };
    breaks(Mutant::RepeatsFailureBelieved, Property::OnceVisible, scope);
}

#[test]
fn recording_a_failure_behind_the_deadline_breaks_once_visible() {
    let scope = Scope { messages: 1, ..with(Budget { rerouted_calls: 1, ..NONE }) };
    breaks(Mutant::LateFailureRecorded, Property::OnceVisible, scope);
}

/// What a wake-up misses costs the redelivery time, and no message.
#[test]
fn redelivery_makes_up_for_wake_ups_that_are_missed() {
    let scope = with(Budget { stale_reads: 1, crashes: 1, ..NONE });
    for mutant in [Mutant::ReleasedUnheard, Mutant::FollowerBelieved] {
        let mutated = Scope { mutant: Some(mutant), ..scope };
        holds(&format!("{mutant:?} with redelivery"), mutated);
    }
}
