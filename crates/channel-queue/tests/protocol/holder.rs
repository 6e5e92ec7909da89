//! The holder of a channel, step by step: read, open, begin, journal, call, finish, remove, release.

use crate::{
    events::What,
    protocol::{Next, Property},
    scope::Mutant,
    state::{Channel, Doing, Execution, Fence, Hold, Place, Set, Standing, State, Thread},
    stream::remove,
};

impl Next<'_> {
    /// What a worker may do in the channel.
    pub(crate) fn holder(&mut self, worker: usize) {
        let channel = self.channel;
        let Some(hold) = self.hold(worker) else { return };
        let is_owner = self.of().lease.is_some_and(|lease| lease.fence.owner == hold.fence.owner);
        if !is_owner {
            // Its renewal is refused, or did not succeed for two thirds of the lease's time.
            self.may(What::Noticed { worker }, |state| leave(state, channel, worker));
        }
        let is_between_steps = !matches!(hold.doing, Doing::Finish | Doing::Remove);
        if self.state.budget.drains > 0 && is_between_steps {
            self.may_fail(What::Drained { worker }, |state| {
                state.budget.drains -= 1;
                if is_owner {
                    state.channels[channel].lease = None;
                    state.channels[channel].is_woken = true;
                }
                leave(state, channel, worker)
            });
        }
        match hold.doing {
            Doing::Read => self.read(worker, hold),
            Doing::Open => self.open(worker, hold),
            Doing::Raise => self.raise(worker, hold, is_owner),
            Doing::Begin => self.begin(worker, hold),
            Doing::Journal => self.journal(worker, hold),
            Doing::Call => self.call(worker, hold, false),
            Doing::Wait => self.wait(worker, hold),
            Doing::Finish => self.finish(worker, hold),
            Doing::Remove => self.remove_finished(worker, hold),
            Doing::Release => self.release(worker, hold, is_owner),
        }
    }

    /// Reads the next task, straight from the stream.
    fn read(&mut self, worker: usize, hold: Hold) {
        let of = *self.of();
        let first = of.standing().find(|(position, _)| *position >= hold.next);
        match first {
            Some((position, task)) => self.read_task(worker, hold, position, task.message, false),
            None => self.read_nothing(worker, hold, false),
        }
        if self.state.budget.stale_reads == 0 || hold.backlog.is_full() {
            return;
        }
        let behind = first.map_or(u8::MAX, |(position, _)| position);
        let shown = of.positions().filter(|(position, task)| {
            task.place == Place::Removed && *position >= hold.next && *position < behind
        });
        for (position, task) in shown {
            self.read_task(worker, hold, position, task.message, true);
        }
        // The leader is asked if more was heard of than is there; and then it tells the truth.
        let is_leader_asked =
            hold.heard > hold.read_mark && !self.scope.is(Mutant::FollowerBelieved);
        if first.is_some() && !is_leader_asked {
            self.read_nothing(worker, hold, true);
        }
    }

    fn read_task(
        &mut self,
        worker: usize,
        mut hold: Hold,
        position: u8,
        message: u8,
        is_stale: bool,
    ) {
        if hold.backlog.is_full() {
            return;
        }
        let (scope, channel) = (self.scope, self.channel);
        hold.next = position + 1;
        hold.read_mark = hold.read_mark.max(position);
        if self.scope.chatter.has(message) {
            self.stale_or_not(is_stale, What::Skipped { worker, position, message }, |state| {
                state.holds[worker][channel] = Some(hold);
                let of = &mut state.channels[channel];
                remove(scope, of, position, message);
                of.turned_away.add(message);
                None
            });
            return;
        }
        hold.backlog.push(Standing { position, message, is_open: false });
        self.stale_or_not(is_stale, What::Read { worker, position, message, is_stale }, |state| {
            state.holds[worker][channel] = Some(hold);
            None
        });
    }

    fn read_nothing(&mut self, worker: usize, mut hold: Hold, is_stale: bool) {
        let channel = self.channel;
        let is_believed = !is_stale || self.scope.is(Mutant::FollowerBelieved);
        if is_believed && !self.scope.is(Mutant::NoReadMark) {
            // What was heard of was removed by another: a gate, or a former holder.
            hold.read_mark = hold.read_mark.max(hold.heard);
        }
        hold.doing = after_reading(&hold);
        self.stale_or_not(is_stale, What::NothingMore { worker, is_stale }, |state| {
            state.holds[worker][channel] = Some(hold);
            None
        });
    }

    fn stale_or_not(
        &mut self,
        is_stale: bool,
        what: What,
        change: impl FnOnce(&mut State) -> Option<Property>,
    ) {
        if is_stale {
            self.may_fail(what, |state| {
                state.budget.stale_reads -= 1;
                change(state)
            });
        } else {
            self.may(what, change);
        }
    }

    /// Opens the channel: shuts out every older holder, and learns how what was read stands.
    fn open(&mut self, worker: usize, mut hold: Hold) {
        let (scope, channel) = (self.scope, self.channel);
        let of = *self.of();
        let fence = hold.fence;
        let is_taken = fence.epoch > of.opener.epoch
            || fence == of.opener
            || self.scope.is(Mutant::OwnersNotCompared) && fence.epoch == of.opener.epoch;
        if !is_taken {
            hold.doing = Doing::Raise;
            hold.floor = of.opener.epoch;
            self.may(What::OpenRefused { worker, fence }, |state| {
                state.holds[worker][channel] = Some(hold);
                None
            });
            return;
        }
        let by_position = self.scope.is(Mutant::DoneByPosition);
        let is_finished = |entry: &Standing| {
            let is_by_position = by_position && entry.position <= of.cursor;
            !entry.is_open && (of.finished.has(entry.message) || is_by_position)
        };
        let finished: Vec<_> = hold.backlog.iter().copied().filter(is_finished).collect();
        hold.backlog.retain(|entry| !is_finished(entry));
        for entry in hold.backlog.iter_mut() {
            entry.is_open = true;
        }
        hold.doing = match of.running() {
            Some(running) => {
                hold.thread = running;
                if of.thread(running).is_journaled { Doing::Call } else { Doing::Journal }
            }
            None if hold.backlog.is_empty() => Doing::Release,
            None => Doing::Begin,
        };
        self.may(What::Opened { worker, fence }, |state| {
            state.channels[channel].opener = fence;
            state.holds[worker][channel] = Some(hold);
            for entry in finished {
                remove(scope, &mut state.channels[channel], entry.position, entry.message);
            }
            None
        });
    }

    /// Script B: an epoch above the one by which the store refused.
    fn raise(&mut self, worker: usize, mut hold: Hold, is_owner: bool) {
        let channel = self.channel;
        if !is_owner {
            return; // It notices.
        }
        let last = self.of().last_epoch;
        hold.fence.epoch = last.max(hold.fence.epoch).max(hold.floor) + 1;
        hold.floor = 0;
        hold.doing = Doing::Open;
        let fence = hold.fence;
        self.may(What::Raised { worker, fence }, |state| {
            let of = &mut state.channels[channel];
            if state.is_clock_behind {
                of.last_epoch = fence.epoch;
            }
            if let Some(lease) = &mut of.lease {
                lease.fence.epoch = fence.epoch;
            }
            state.holds[worker][channel] = Some(hold);
            None
        });
    }

    /// Begins a thread for what waits first, or for all that waits together.
    fn begin(&mut self, worker: usize, hold: Hold) {
        let of = *self.of();
        let Some(first) = hold.backlog.iter().find(|entry| entry.is_open).copied() else { return };
        self.begin_for(worker, hold, &of, Set::of(first.message));
        if self.scope.is_together {
            let mut all = Set::default();
            for entry in hold.backlog.iter().filter(|entry| entry.is_open) {
                all.add(entry.message);
            }
            if all != Set::of(first.message) {
                self.begin_for(worker, hold, &of, all);
            }
        }
    }

    fn begin_for(&mut self, worker: usize, mut hold: Hold, of: &Channel, triggers: Set) {
        let channel = self.channel;
        if !self.writes(worker, hold.fence) {
            return;
        }
        if triggers.overlaps(of.finished) || of.running().is_some() || of.threads.is_full() {
            // The holder asks the store anew how things stand.
            for entry in hold.backlog.iter_mut() {
                entry.is_open = false;
            }
            hold.doing = Doing::Open;
            self.may(What::BeginRefused { worker }, |state| {
                state.holds[worker][channel] = Some(hold);
                None
            });
            return;
        }
        let thread = u8::try_from(of.threads.len()).expect("a channel has few threads");
        hold.thread = thread;
        hold.doing = Doing::Journal;
        let breaks = self.breaks(hold.fence).or_else(|| self.breaks_order(of, triggers));
        self.may(What::Begun { worker, thread, triggers }, |state| {
            let threads = &mut state.channels[channel].threads;
            threads.push(Thread { triggers, ..Thread::default() });
            state.holds[worker][channel] = Some(hold);
            breaks
        });
    }

    /// Says whether an earlier message waits that this turn leaves out.
    fn breaks_order(&self, of: &Channel, triggers: Set) -> Option<Property> {
        let is_of_turn = |message: u8| triggers.has(message);
        let first = of.standing().find(|(_, task)| is_of_turn(task.message))?.0;
        let mut before = of.standing().filter(|(position, _)| *position < first);
        let is_broken = before.any(|(_, task)| !of.is_done(task.message));
        (is_broken && !self.scope.is_renumbered()).then_some(Property::InOrder)
    }

    /// Journals the model's turn: from now on it is not asked again.
    fn journal(&mut self, worker: usize, mut hold: Hold) {
        let channel = self.channel;
        if !self.writes(worker, hold.fence) {
            return;
        }
        let breaks = self.breaks(hold.fence);
        let thread = hold.thread;
        hold.doing = Doing::Call;
        self.may(What::Journaled { worker, thread }, |state| {
            state.channels[channel].thread_mut(thread).is_journaled = true;
            state.holds[worker][channel] = Some(hold);
            breaks
        });
    }

    /// Waits for the tool-service.
    fn wait(&mut self, worker: usize, mut hold: Hold) {
        let channel = self.channel;
        let thread = hold.thread;
        let Execution { record, calls, .. } = self.of().thread(thread).execution;
        if record.is_final() {
            let is_early = self.scope.is(Mutant::RemovedBeforeCommit);
            hold.doing = if is_early { Doing::Remove } else { Doing::Finish };
            self.may(What::Answered { worker, thread }, |state| {
                state.holds[worker][channel] = Some(hold);
                None
            });
            return;
        }
        let is_under_way = calls.iter().any(|call| call.fence == hold.fence);
        if !is_under_way {
            hold.doing = Doing::Call;
            self.may(What::CallBroken { worker }, |state| {
                state.holds[worker][channel] = Some(hold);
                None
            });
        } else if self.state.budget.rerouted_calls > 0 {
            self.call(worker, hold, true);
        }
    }

    /// Commits the outcome, and the triggers as finished, in one transaction.
    fn finish(&mut self, worker: usize, mut hold: Hold) {
        let channel = self.channel;
        if !self.writes(worker, hold.fence) {
            return;
        }
        let thread = hold.thread;
        let breaks = self.breaks(hold.fence);
        let is_early = self.scope.is(Mutant::RemovedBeforeCommit);
        hold.doing = if is_early { Doing::Read } else { Doing::Remove };
        let triggers = self.of().thread(thread).triggers;
        let of_turn = hold.backlog.iter().filter(|entry| triggers.has(entry.message));
        let cursor = of_turn.map(|entry| entry.position).max().unwrap_or(0);
        let by_position = self.scope.is(Mutant::DoneByPosition);
        self.may(What::Finished { worker, thread }, |state| {
            let of = &mut state.channels[channel];
            of.thread_mut(thread).is_ended = true;
            of.finished.0 |= triggers.0;
            if by_position {
                of.cursor = of.cursor.max(cursor);
            }
            state.holds[worker][channel] = Some(hold);
            breaks
        });
    }

    /// Removes what is finished from the stream; failing here is harmless.
    fn remove_finished(&mut self, worker: usize, mut hold: Hold) {
        let (scope, channel) = (self.scope, self.channel);
        let triggers = self.of().thread(hold.thread).triggers;
        let is_of_turn = |entry: &Standing| triggers.has(entry.message);
        let done: Vec<_> = hold.backlog.iter().copied().filter(is_of_turn).collect();
        let is_early = self.scope.is(Mutant::RemovedBeforeCommit);
        if is_early {
            hold.doing = Doing::Finish;
        } else {
            hold.backlog.retain(|entry| !is_of_turn(entry));
            hold.doing = Doing::Read;
            hold.thread = 0;
        }
        self.may(What::RemovedTasks { worker }, |state| {
            state.holds[worker][channel] = Some(hold);
            for entry in &done {
                remove(scope, &mut state.channels[channel], entry.position, entry.message);
            }
            None
        });
        if self.state.budget.lost_removals > 0 && !done.is_empty() {
            self.may_fail(What::RemovalLost { worker }, |state| {
                state.budget.lost_removals -= 1;
                state.holds[worker][channel] = Some(hold);
                None
            });
        }
    }

    /// Script R, after a look at what this process has heard of.
    fn release(&mut self, worker: usize, mut hold: Hold, is_owner: bool) {
        let channel = self.channel;
        let heard_in_redis = self.of().lease.filter(|_| is_owner).map_or(0, |lease| lease.heard);
        let is_unheard = self.scope.is(Mutant::ReleasedUnheard);
        if hold.heard > hold.read_mark || heard_in_redis > hold.read_mark && !is_unheard {
            hold.heard = hold.heard.max(heard_in_redis);
            hold.doing = Doing::Read;
            self.may(What::ReleaseHeld { worker }, |state| {
                state.holds[worker][channel] = Some(hold);
                None
            });
            return;
        }
        self.may(What::Released { worker }, |state| {
            if is_owner {
                state.channels[channel].lease = None;
            }
            leave(state, channel, worker)
        });
    }

    /// Says whether the store takes a write; if not, the holder leaves the channel to others.
    pub(crate) fn writes(&mut self, worker: usize, fence: Fence) -> bool {
        let channel = self.channel;
        let of = self.of();
        let is_taken = of.accepts(fence)
            || self.scope.is(Mutant::StoreIgnoresFences)
            || self.scope.is(Mutant::OwnersNotCompared) && of.opener.epoch == fence.epoch;
        if !is_taken {
            self.may(What::Abandoned { worker }, |state| leave(state, channel, worker));
        }
        is_taken
    }

    /// Returns what a write breaks that the store has taken.
    pub(crate) fn breaks(&self, fence: Fence) -> Option<Property> {
        let opener = self.of().opener;
        if fence.epoch < opener.epoch {
            return Some(Property::Fenced);
        }
        (fence.owner != opener.owner).then_some(Property::OneThread)
    }
}

/// What a holder does once it has read all that it finds.
fn after_reading(hold: &Hold) -> Doing {
    if hold.backlog.is_empty() {
        Doing::Release
    } else if hold.backlog.iter().any(|entry| !entry.is_open) {
        Doing::Open
    } else {
        Doing::Begin
    }
}

fn leave(state: &mut State, channel: usize, worker: usize) -> Option<Property> {
    state.holds[worker][channel] = None;
    None
}
