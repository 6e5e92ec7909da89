//! What the protocol's parts remember: the stream, Redis, the store, Discord and the holders.

use std::{cmp::Reverse, fmt};

use crate::scope::Budget;

pub(crate) const CHANNELS: usize = 2;
pub(crate) const WORKERS: usize = 3;
/// How many places a channel has in the stream, repeats included.
pub(crate) const PLACES: usize = 5;
pub(crate) const MESSAGES: usize = 3;
/// How many calls of one execution are under way at once.
const CALLS: usize = 3;

/// A list of few things, kept in place so that a state is copied and hashed as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct List<T, const N: usize> {
    items: [Option<T>; N],
}

impl<T: Copy, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self { items: [None; N] }
    }
}

impl<T: Copy, const N: usize> List<T, N> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.items.iter_mut().flatten()
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.items[0].is_none()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items[N - 1].is_some()
    }

    pub(crate) fn push(&mut self, item: T) {
        let place = self.items.iter_mut().find(|place| place.is_none());
        *place.expect("whoever pushes has looked whether there is room") = Some(item);
    }

    pub(crate) fn get(&self, index: usize) -> Option<T> {
        self.items.get(index).copied().flatten()
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> &mut T {
        self.items[index].as_mut().expect("an index comes from this list")
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let before = std::mem::take(self);
        for item in before.iter().filter(|item| keep(item)) {
            self.push(*item);
        }
    }
}

/// The names of messages, or threads, as bits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Set(pub(crate) u8);

impl Set {
    pub(crate) fn of(item: u8) -> Self {
        Self(1 << item)
    }

    pub(crate) fn has(self, item: u8) -> bool {
        self.0 & (1 << item) != 0
    }

    pub(crate) fn add(&mut self, item: u8) {
        self.0 |= 1 << item;
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |item| self.has(*item))
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.iter().enumerate() {
            write!(f, "{}m{item}", if index > 0 { "+" } else { "" })?;
        }
        Ok(())
    }
}

/// Under what a holder writes. Owners are names, epochs rise.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Fence {
    pub(crate) epoch: u8,
    pub(crate) owner: u8,
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "epoch {} of owner {}", self.epoch, self.owner)
    }
}

/// Where the durable consumer stands with a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    Undelivered,
    /// Delivered and not acknowledged: it may be delivered again.
    Pending,
    /// Not in the stream any more. A replica that lags may still show it.
    Removed,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Task {
    pub(crate) message: u8,
    pub(crate) place: Place,
}

/// A lease in Redis.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lease {
    pub(crate) fence: Fence,
    /// The highest position that Redis has heard of.
    pub(crate) heard: u8,
}

/// How an execution is recorded in the store.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Record {
    #[default]
    None,
    Open,
    Done,
    Failed,
    InDoubt,
}

impl Record {
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::InDoubt)
    }
}

/// How long ago an execution was opened.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Age {
    /// Its first attempt may be written still, or be under way.
    #[default]
    Young,
    /// The send-by deadline and the request's timeout are over; Discord still knows the nonce.
    Settled,
    /// Discord may have forgotten the nonce; no repeat is written or under way any more.
    Old,
}

/// Where a call of the tool-service stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// It opened the execution, and is about to write the request to Discord.
    First,
    /// Its request was not made, or Discord refused it: nothing can be seen of it.
    Refused,
    /// It found the execution open, and waits until it can be settled.
    Recovering,
    /// It repeats the request under the same nonce.
    Repeating,
    /// It knows what came of it, and is about to record that.
    Closing(Record),
}

/// A call of the tool-service: goes on to its end even if its caller is gone.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Call {
    pub(crate) fence: Fence,
    pub(crate) phase: Phase,
}

/// The effect that people can see: the thread's answer.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Execution {
    pub(crate) record: Record,
    pub(crate) age: Age,
    /// How often it stands in Discord.
    pub(crate) visible: u8,
    pub(crate) calls: List<Call, CALLS>,
}

/// A task thread in the store; numbered as they were begun.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Thread {
    pub(crate) triggers: Set,
    /// The model's turn is journaled.
    pub(crate) is_journaled: bool,
    pub(crate) is_ended: bool,
    pub(crate) execution: Execution,
}

/// Everything of one channel but its holders.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Channel {
    /// How many of its messages have been published.
    pub(crate) published: u8,
    /// The stream: positions count from one.
    pub(crate) tasks: List<Task, PLACES>,
    /// Redis: who holds the channel, and the last epoch (0: forgotten).
    pub(crate) lease: Option<Lease>,
    pub(crate) last_epoch: u8,
    /// Somebody was asked to look here, though nothing was delivered.
    pub(crate) is_woken: bool,
    /// The store: the newest opener (epoch 0: nobody yet).
    pub(crate) opener: Fence,
    pub(crate) finished: Set,
    /// The last position finished; only a mutant looks at it.
    pub(crate) cursor: u8,
    pub(crate) threads: List<Thread, MESSAGES>,
    /// What the gate found not to be for Ery.
    pub(crate) turned_away: Set,
}

impl Channel {
    pub(crate) fn is_done(&self, message: u8) -> bool {
        self.finished.has(message) || self.turned_away.has(message)
    }

    /// Returns the tasks that stand in the stream, with their positions.
    pub(crate) fn standing(&self) -> impl Iterator<Item = (u8, Task)> {
        self.positions().filter(|(_, task)| task.place != Place::Removed)
    }

    /// Returns all positions, also of what was removed.
    pub(crate) fn positions(&self) -> impl Iterator<Item = (u8, Task)> {
        (1..).zip(self.tasks.iter().copied())
    }

    pub(crate) fn task_mut(&mut self, position: u8) -> &mut Task {
        self.tasks.get_mut(usize::from(position) - 1)
    }

    pub(crate) fn running(&self) -> Option<u8> {
        (0..).zip(self.threads.iter()).find(|(_, thread)| !thread.is_ended).map(|(index, _)| index)
    }

    pub(crate) fn thread(&self, index: u8) -> Thread {
        self.threads.get(usize::from(index)).expect("a holder's thread has been begun")
    }

    pub(crate) fn thread_mut(&mut self, index: u8) -> &mut Thread {
        self.threads.get_mut(usize::from(index))
    }

    pub(crate) fn accepts(&self, fence: Fence) -> bool {
        self.opener == fence
    }
}

/// A task that a holder has read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Standing {
    pub(crate) position: u8,
    pub(crate) message: u8,
    /// Whether the store has told that it is not finished.
    pub(crate) is_open: bool,
}

/// What a holder does next.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Doing {
    Read,
    Open,
    Raise,
    Begin,
    Journal,
    Call,
    Wait,
    Finish,
    Remove,
    Release,
}

/// A worker's holding of a channel, as the worker knows it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Hold {
    pub(crate) fence: Fence,
    pub(crate) doing: Doing,
    /// From where it reads on.
    pub(crate) next: u8,
    /// The highest position that it has read, or knows not to be there.
    pub(crate) read_mark: u8,
    /// The highest position that its process has heard of.
    pub(crate) heard: u8,
    pub(crate) backlog: List<Standing, PLACES>,
    pub(crate) thread: u8,
    /// The epoch by which the store refused it.
    pub(crate) floor: u8,
}

/// The whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) channels: [Channel; CHANNELS],
    pub(crate) holds: [[Option<Hold>; CHANNELS]; WORKERS],
    /// What may still go wrong.
    pub(crate) budget: Budget,
    /// Redis' clock stands behind the epochs that were given out.
    pub(crate) is_clock_behind: bool,
}

impl State {
    /// Returns the holders of a channel.
    pub(crate) fn holders(&self, channel: usize) -> impl Iterator<Item = &Hold> {
        self.holds.iter().filter_map(move |of_worker| of_worker[channel].as_ref())
    }

    /// Returns all fences that somebody knows of a channel.
    fn fences_mut(&mut self, channel: usize) -> impl Iterator<Item = &mut Fence> {
        let of = &mut self.channels[channel];
        let lease = of.lease.as_mut().map(|lease| &mut lease.fence);
        let opener = std::iter::once(&mut of.opener);
        let holds = self.holds.iter_mut().filter_map(move |it| it[channel].as_mut());
        let calls = of.threads.iter_mut().flat_map(|thread| thread.execution.calls.iter_mut());
        let holds = holds.map(|hold| &mut hold.fence);
        lease.into_iter().chain(opener).chain(holds).chain(calls.map(|call| &mut call.fence))
    }

    pub(crate) fn highest_epoch(&self, channel: usize) -> u8 {
        let mut copy = *self;
        let highest = copy.fences_mut(channel).map(|fence| fence.epoch).max().unwrap_or(0);
        highest.max(self.channels[channel].last_epoch)
    }

    /// Returns a name that nobody has.
    pub(crate) fn new_owner(&self, channel: usize) -> u8 {
        let mut copy = *self;
        copy.fences_mut(channel).map(|fence| fence.owner).max().unwrap_or(0) + 1
    }

    /// Returns the one of all states that differ in names only.
    ///
    /// Workers are alike; of epochs only the order counts; of owners only who is the same.
    pub(crate) fn canonical(mut self) -> Self {
        for channel in 0..CHANNELS {
            self.forget_what_does_not_count(channel);
        }
        self.holds.sort_by_cached_key(|of_worker| {
            // Those without a holding come last: a scope may have fewer workers.
            Reverse([0, 1].map(|channel| {
                let Channel { lease, opener, .. } = &self.channels[channel];
                of_worker[channel].map(|hold| {
                    let is_owner = lease.is_some_and(|lease| lease.fence.owner == hold.fence.owner);
                    let is_opener = opener.owner == hold.fence.owner;
                    let fence = Fence { owner: 0, ..hold.fence };
                    (Hold { fence, ..hold }, is_owner, is_opener)
                })
            }))
        });
        for channel in 0..CHANNELS {
            self.rename(channel);
        }
        self
    }

    fn forget_what_does_not_count(&mut self, channel: usize) {
        let owner = self.channels[channel].lease.map(|lease| lease.fence.owner);
        let is_held = self.holders(channel).any(|hold| Some(hold.fence.owner) == owner);
        if let Some(lease) = self.channels[channel].lease.as_mut().filter(|_| !is_held) {
            lease.heard = 0;
        }
        for thread in self.channels[channel].threads.iter_mut() {
            let execution = &mut thread.execution;
            if execution.record.is_final() && execution.calls.is_empty() {
                execution.age = Age::Young;
            }
        }
        for hold in self.holds.iter_mut().filter_map(|of_worker| of_worker[channel].as_mut()) {
            hold.heard = hold.heard.max(hold.read_mark);
        }
    }

    fn rename(&mut self, channel: usize) {
        let last_epoch = self.channels[channel].last_epoch;
        let (mut epochs, mut owners) = ([false; 256], [0_u8; 256]);
        epochs[usize::from(last_epoch)] = true;
        let mut named = 0;
        for hold in self.holders(channel) {
            epochs[usize::from(hold.floor)] = true;
        }
        for fence in self.fences_mut(channel) {
            epochs[usize::from(fence.epoch)] = true;
            if fence.owner == 0 {
                continue;
            }
            let name = &mut owners[usize::from(fence.owner)];
            if *name == 0 {
                named += 1;
                *name = named;
            }
            fence.owner = *name;
        }
        let mut ranks = [0_u8; 256];
        for epoch in 1..256 {
            ranks[epoch] = ranks[epoch - 1] + u8::from(epochs[epoch]);
        }
        for fence in self.fences_mut(channel) {
            fence.epoch = ranks[usize::from(fence.epoch)];
        }
        for hold in self.holds.iter_mut().filter_map(|of_worker| of_worker[channel].as_mut()) {
            hold.floor = ranks[usize::from(hold.floor)];
        }
        self.channels[channel].last_epoch = ranks[usize::from(last_epoch)];
    }
}
