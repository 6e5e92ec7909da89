//! The stream of tasks with its consumer, Redis, and what befalls all of them.

use crate::{
    events::{Took, What},
    protocol::{Next, Property},
    scope::{Mutant, Scope},
    state::{Channel, Doing, Fence, Hold, Lease, List, Place, State, Task},
};

impl Next<'_> {
    /// Tasks are published, and the consumer delivers them to any worker.
    pub(crate) fn stream(&mut self) {
        let channel = self.channel;
        let of = *self.of();
        if !of.tasks.is_full() {
            let position = position_of_next(&of);
            if of.published < self.scope.messages {
                let message = of.published;
                self.may(What::Published { message, position }, |state| {
                    state.channels[channel].published += 1;
                    publish(&mut state.channels[channel], message);
                    None
                });
            }
            if self.state.budget.repeats > 0 {
                for message in 0..of.published {
                    self.may_fail(What::PublishedAgain { message, position }, |state| {
                        state.budget.repeats -= 1;
                        publish(&mut state.channels[channel], message);
                        None
                    });
                }
            }
        }
        let first = of.standing().find(|(_, task)| task.place == Place::Undelivered);
        if let Some((position, task)) = first {
            self.delivery(position, task);
        }
        for (position, task) in of.standing().filter(|(_, task)| task.place == Place::Pending) {
            if self.scope.is_redelivered {
                self.delivery(position, task);
            }
        }
        if self.state.budget.late_deliveries > 0 {
            for (position, _) in of.positions().filter(|(_, it)| it.place == Place::Removed) {
                for worker in 0..self.scope.workers {
                    let took = take(&mut self.state.clone(), channel, worker, position);
                    self.may_fail(What::DeliveredLate { worker, position, took }, |state| {
                        state.budget.late_deliveries -= 1;
                        take(state, channel, worker, position);
                        None
                    });
                }
            }
        }
        if of.is_woken {
            self.wake(&of);
        }
    }

    /// The gate judges first; what it lets pass takes the channel, or is noted for its holder.
    fn delivery(&mut self, position: u8, task: Task) {
        let channel = self.channel;
        let message = task.message;
        let is_chatter = self.scope.chatter.has(message);
        let is_free = self.of().lease.is_none();
        for worker in 0..self.scope.workers {
            let is_held_here = self.hold(worker).is_some();
            if is_chatter || self.scope.perhaps.has(message) && is_free && !is_held_here {
                self.may(What::TurnedAway { worker, message }, |state| {
                    turn_away(&mut state.channels[channel], position, message);
                    None
                });
            }
            if is_chatter {
                continue;
            }
            let took = take(&mut self.state.clone(), channel, worker, position);
            self.may(What::Delivered { worker, position, took }, |state| {
                state.channels[channel].task_mut(position).place = Place::Pending;
                take(state, channel, worker, position);
                None
            });
            if self.state.budget.crashes > 0 {
                self.may_fail(What::DeliveredToDying { worker, position }, |state| {
                    state.budget.crashes -= 1;
                    state.channels[channel].task_mut(position).place = Place::Pending;
                    state.holds[worker] = Default::default();
                    None
                });
            }
        }
    }

    /// Somebody handed the channel over: whoever hears of it looks what stands first.
    fn wake(&mut self, of: &Channel) {
        let channel = self.channel;
        self.may_fail(What::WakeLost, |state| {
            state.channels[channel].is_woken = false;
            None
        });
        let Some((position, _)) = of.standing().next() else { return };
        for worker in 0..self.scope.workers {
            let took = take(&mut self.state.clone(), channel, worker, position);
            self.may(What::Woken { worker, took }, |state| {
                state.channels[channel].is_woken = false;
                take(state, channel, worker, position);
                None
            });
        }
    }

    /// A lease ends by its time: freely if its holder is gone, else because it was frozen.
    pub(crate) fn redis(&mut self) {
        let channel = self.channel;
        let Some(lease) = self.of().lease else { return };
        let holder = (0..self.scope.workers)
            .find(|it| self.hold(*it).is_some_and(|hold| hold.fence.owner == lease.fence.owner));
        let end = |state: &mut State| {
            state.channels[channel].lease = None;
            None
        };
        match holder {
            None => self.may(What::LeaseEnded, end),
            Some(worker) if self.state.budget.freezes > 0 => {
                self.may_fail(What::Frozen { worker }, |state| {
                    state.budget.freezes -= 1;
                    end(state)
                });
            }
            Some(_) => {}
        }
    }

    /// What befalls all channels at once.
    pub(crate) fn faults_everywhere(&mut self) {
        let budget = self.state.budget;
        if budget.crashes > 0 {
            for worker in 0..self.scope.workers {
                if self.state.holds[worker].iter().any(Option::is_some) {
                    self.may_fail(What::Crashed { worker }, |state| {
                        state.budget.crashes -= 1;
                        state.holds[worker] = Default::default();
                        None
                    });
                }
            }
        }
        if budget.redis_losses > 0 {
            self.may_fail(What::RedisLost { is_clock_behind: false }, |state| {
                state.budget.redis_losses -= 1;
                forget_leases(state)
            });
        }
        if budget.clock_losses > 0 {
            self.may_fail(What::RedisLost { is_clock_behind: true }, |state| {
                state.budget.clock_losses -= 1;
                state.is_clock_behind = true;
                forget_leases(state)
            });
        }
        if budget.recreations > 0 {
            self.recreation();
        }
    }

    /// The stream is made anew and filled again, from the start or from the first that is not done.
    fn recreation(&mut self) {
        let scope = self.scope;
        let first_open = |of: &Channel| (0..of.published).find(|message| !of.is_done(*message));
        let first = first_open(self.of()).unwrap_or(self.of().published);
        for from_start in [true, false] {
            let first = if from_start { 0 } else { first };
            self.may_fail(What::StreamMadeAnew { first }, |state| {
                state.budget.recreations -= 1;
                for of in &mut state.channels[..scope.channels] {
                    of.tasks = List::default();
                    let first = first_open(of).unwrap_or(of.published);
                    of.published = if from_start { 0 } else { first };
                }
                None
            });
        }
    }
}

/// Script A, or a note for the own holder.
fn take(state: &mut State, channel: usize, worker: usize, position: u8) -> Took {
    if let Some(hold) = &mut state.holds[worker][channel] {
        hold.heard = hold.heard.max(position);
        return Took::Noted;
    }
    if let Some(lease) = &mut state.channels[channel].lease {
        lease.heard = lease.heard.max(position);
        return Took::Busy;
    }
    let owner = state.new_owner(channel);
    let highest = state.highest_epoch(channel);
    let of = &mut state.channels[channel];
    let epoch = if state.is_clock_behind {
        of.last_epoch += 1;
        of.last_epoch
    } else {
        // The clock stands above every epoch that was given out.
        highest + 1
    };
    let fence = Fence { epoch, owner };
    of.lease = Some(Lease { fence, heard: position });
    state.holds[worker][channel] = Some(Hold {
        fence,
        doing: Doing::Read,
        next: 1,
        read_mark: 0,
        heard: position,
        backlog: List::default(),
        thread: 0,
        floor: 0,
    });
    Took::Granted(fence)
}

fn position_of_next(of: &Channel) -> u8 {
    u8::try_from(of.tasks.len() + 1).expect("a channel has few tasks")
}

fn publish(of: &mut Channel, message: u8) {
    of.tasks.push(Task { message, place: Place::Undelivered });
}

fn turn_away(of: &mut Channel, position: u8, message: u8) {
    of.task_mut(position).place = Place::Removed;
    of.turned_away.add(message);
}

fn forget_leases(state: &mut State) -> Option<Property> {
    for of in &mut state.channels {
        of.lease = None;
        of.last_epoch = 0;
    }
    None
}

/// Removes a task of which the outcome is durable.
///
/// Invariant NOTHING-LOST: positions are given anew where the stream is, so the task that stands
/// there must be the one that is meant.
pub(crate) fn remove(scope: &Scope, of: &mut Channel, position: u8, message: u8) {
    if usize::from(position) > of.tasks.len() {
        return;
    }
    let task = of.task_mut(position);
    if task.message == message || scope.is(Mutant::RemovedByPositionAlone) {
        task.place = Place::Removed;
    }
}
