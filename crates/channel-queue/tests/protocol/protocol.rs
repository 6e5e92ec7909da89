//! The protocol as a model, and what must always hold.

use std::fmt;

use crate::{
    checker::{Model, Step},
    events::{Event, What},
    scope::{Mutant, Scope},
    state::{CHANNELS, Channel, Hold, Record, State},
};

/// The invariants of the channel queue, by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Property {
    /// ONE-THREAD: at most one task thread acts for a channel at any instant.
    OneThread,
    /// NOTHING-LOST: a published message is in the stream until it is finished or turned away; and
    /// every run can end, with every message finished and the channel given back.
    NothingLost,
    /// ONCE-VISIBLE: no answer can be seen twice, and what is recorded of it is true.
    OnceVisible,
    /// FENCED: a write under an old epoch changes nothing.
    Fenced,
    /// A channel's messages are answered in the order in which they stand in the stream.
    InOrder,
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneThread => "ONE-THREAD",
            Self::NothingLost => "NOTHING-LOST",
            Self::OnceVisible => "ONCE-VISIBLE",
            Self::Fenced => "FENCED",
            Self::InOrder => "IN-ORDER",
        })
    }
}

/// The protocol within a scope.
pub(crate) struct Protocol {
    pub(crate) scope: Scope,
}

/// Collects what can happen next.
pub(crate) struct Next<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) state: &'a State,
    pub(crate) channel: usize,
    pub(crate) steps: &'a mut Vec<Step<Protocol>>,
}

impl Next<'_> {
    /// Adds something that happens by the protocol.
    pub(crate) fn may(&mut self, what: What, change: impl FnOnce(&mut State) -> Option<Property>) {
        self.add(what, false, change);
    }

    /// Adds something that goes wrong.
    pub(crate) fn may_fail(
        &mut self,
        what: What,
        change: impl FnOnce(&mut State) -> Option<Property>,
    ) {
        self.add(what, true, change);
    }

    fn add(
        &mut self,
        what: What,
        is_fault: bool,
        change: impl FnOnce(&mut State) -> Option<Property>,
    ) {
        let mut state = *self.state;
        let breaks = change(&mut state);
        let event = Event { channel: self.channel, what };
        self.steps.push(Step { event, state, breaks, is_fault });
    }

    pub(crate) fn of(&self) -> &Channel {
        &self.state.channels[self.channel]
    }

    pub(crate) fn hold(&self, worker: usize) -> Option<Hold> {
        self.state.holds[worker][self.channel]
    }
}

impl Model for Protocol {
    type State = State;
    type Event = Event;
    type Property = Property;

    const ENDS: Property = Property::NothingLost;

    fn start(&self) -> State {
        State {
            channels: Default::default(),
            holds: Default::default(),
            budget: self.scope.budget,
            is_clock_behind: false,
        }
    }

    fn next(&self, state: &State, steps: &mut Vec<Step<Self>>) {
        let scope = &self.scope;
        for channel in 0..scope.channels {
            let mut next = Next { scope, state, channel, steps };
            next.stream();
            next.redis();
            next.tool_calls();
            for worker in 0..scope.workers {
                next.holder(worker);
            }
        }
        let mut next = Next { scope, state, channel: 0, steps };
        next.faults_everywhere();
    }

    fn canonical(&self, state: &State) -> State {
        state.canonical()
    }

    fn broken(&self, state: &State) -> Option<Property> {
        (0..CHANNELS).find_map(|channel| self.broken_in(state, channel))
    }

    fn is_end(&self, state: &State) -> bool {
        (0..self.scope.channels).all(|channel| {
            let of = &state.channels[channel];
            let is_done = (0..self.scope.messages).all(|message| of.is_done(message));
            of.published == self.scope.messages
                && is_done
                && of.standing().next().is_none()
                && of.lease.is_none()
                && of.threads.iter().all(|thread| thread.execution.calls.is_empty())
                && state.holders(channel).next().is_none()
        })
    }
}

impl Protocol {
    fn broken_in(&self, state: &State, channel: usize) -> Option<Property> {
        let of = &state.channels[channel];
        let is_lost = |message: &u8| {
            !of.is_done(*message) && of.standing().all(|(_, task)| task.message != *message)
        };
        if (0..of.published).any(|message| is_lost(&message)) {
            return Some(Property::NothingLost);
        }
        for thread in of.threads.iter() {
            let execution = &thread.execution;
            let is_true = match execution.record {
                Record::Done => execution.visible > 0,
                Record::Failed => execution.visible == 0,
                Record::None | Record::Open | Record::InDoubt => true,
            };
            if !is_true {
                return Some(Property::OnceVisible);
            }
        }
        let seen = |message: u8| -> u8 {
            let of_message = of.threads.iter().filter(|thread| thread.triggers.has(message));
            of_message.map(|thread| thread.execution.visible).sum()
        };
        if (0..of.published).any(|message| seen(message) > 1) {
            return Some(Property::OnceVisible);
        }
        let is_writing = |hold: &&Hold| {
            of.accepts(hold.fence)
                || self.scope.is(Mutant::OwnersNotCompared) && of.opener.epoch == hold.fence.epoch
        };
        let running = of.threads.iter().filter(|thread| !thread.is_ended).count();
        if running > 1 || state.holders(channel).filter(is_writing).count() > 1 {
            return Some(Property::OneThread);
        }
        None
    }
}
