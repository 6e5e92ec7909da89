//! How much is explored, and which rule is broken on purpose.

use crate::state::Set;

/// How often each fault may still happen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// A worker is killed.
    pub(crate) crashes: u8,
    /// A live holder is paused, or cut off from Redis, until its lease has ended.
    pub(crate) freezes: u8,
    /// Redis forgets everything; its clock goes on.
    pub(crate) redis_losses: u8,
    /// Redis forgets everything, and its clock steps back.
    pub(crate) clock_losses: u8,
    /// A replica of the stream that lags answers a read.
    pub(crate) stale_reads: u8,
    /// A worker handles a delivery after its task has left the stream.
    pub(crate) late_deliveries: u8,
    /// A task is published again after the time of deduplication.
    pub(crate) repeats: u8,
    /// The stream is made anew, and numbers its tasks from the start.
    pub(crate) recreations: u8,
    /// A removal from the stream does not arrive.
    pub(crate) lost_removals: u8,
    /// A call of the tool-service breaks off, with or without its request having been made.
    pub(crate) lost_calls: u8,
    /// Discord or a limit refuses a request, or it comes too late.
    pub(crate) refusals: u8,
    /// A holder asks another replica of the tool-service while the first one still works.
    pub(crate) rerouted_calls: u8,
    /// A holder drains.
    pub(crate) drains: u8,
}

impl Budget {
    /// Nothing goes wrong.
    pub(crate) const NONE: Self = Self {
        crashes: 0,
        freezes: 0,
        redis_losses: 0,
        clock_losses: 0,
        stale_reads: 0,
        late_deliveries: 0,
        repeats: 0,
        recreations: 0,
        lost_removals: 0,
        lost_calls: 0,
        refusals: 0,
        rerouted_calls: 0,
        drains: 0,
    };
}

/// A rule that is broken on purpose, to see that it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    StoreIgnoresFences,
    RemovedBeforeCommit,
    ReleasedUnheard,
    FollowerBelieved,
    DoneByPosition,
    ExecutionsUnrecorded,
    OwnersNotCompared,
    NoReadMark,
    RemovedByPositionAlone,
    RepeatsFailureBelieved,
    LateFailureRecorded,
}

/// A small world, and what may go wrong in it.
#[derive(Clone, Copy)]
pub(crate) struct Scope {
    pub(crate) channels: usize,
    pub(crate) workers: usize,
    /// For each channel.
    pub(crate) messages: u8,
    /// Which messages the gate turns away by themselves.
    pub(crate) chatter: Set,
    /// Which are for Ery only if the channel is held, as a worker judges.
    pub(crate) perhaps: Set,
    /// Whether messages that wait together may be answered together.
    pub(crate) is_together: bool,
    /// Whether what is not acknowledged is delivered again.
    pub(crate) is_redelivered: bool,
    /// Whether an outage may last until Discord has forgotten a nonce.
    pub(crate) is_nonce_forgotten: bool,
    pub(crate) budget: Budget,
    pub(crate) mutant: Option<Mutant>,
}

impl Scope {
    /// One channel with two messages and two workers, and nothing goes wrong.
    pub(crate) const SMALL: Self = Self {
        channels: 1,
        workers: 2,
        messages: 2,
        chatter: Set(0),
        perhaps: Set(0),
        is_together: false,
        is_redelivered: true,
        is_nonce_forgotten: false,
        budget: Budget::NONE,
        mutant: None,
    };

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Whether positions may be given anew: then they tell no order.
    pub(crate) fn is_renumbered(&self) -> bool {
        self.budget.recreations > 0
    }
}
