use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use ery_channel_queue::{Hint, Task};
use ery_clock::{Clock, UnixMillis};
use ery_ids::ChannelKey;

use super::QueueOptions;

/// How far ahead epochs are made durable at a time: a minute of them, in microseconds.
const EPOCH_BLOCK: u64 = 60_000_000;

/// What a task costs in memory beside its payload, roughly.
const TASK_OVERHEAD: usize = 256;

/// What waits and who holds it, of the channels where either is so; nothing of the others.
///
/// Invariant: tasks enter a channel in the order of their positions, because the pump alone adds
/// them, after their commit. So a holder that reads on skips nothing.
pub(super) struct Index {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    options: QueueOptions,
    /// Something is ready to be delivered.
    pub(super) ready: Notify,
    /// Something is due earlier than was known.
    pub(super) timers: Notify,
}

#[derive(Default)]
struct State {
    channels: HashMap<ChannelKey, Channel>,
    /// What is to be delivered next; entries of removed tasks are skipped.
    ready: VecDeque<(ChannelKey, u64)>,
    /// When what was delivered is due again; the times rise, because the span is always the same.
    redeliveries: VecDeque<(Instant, ChannelKey, u64)>,
    /// When abandoned leases end; the times rise as well.
    expiries: VecDeque<(Instant, ChannelKey, u64)>,
    /// Until when an exchange is open.
    exchanges: HashMap<ChannelKey, UnixMillis>,
    /// How many exchanges there may be before those that are over are swept out.
    exchanges_bound: usize,
    /// Tasks in all channels, and those whose publish is under way.
    waiting: usize,
    cached_bytes: usize,
    epochs: Epochs,
}

#[derive(Default)]
struct Epochs {
    last: u64,
    /// No epoch above it is given out before a higher bound is in the file.
    durable: u64,
}

#[derive(Default)]
struct Channel {
    waiting: BTreeMap<u64, Entry>,
    lease: Option<Lease>,
}

struct Entry {
    /// None where the cache was full: it is read from the file when it is needed.
    task: Option<Arc<Task>>,
    /// When it is delivered again; none while it is in `ready`.
    due: Option<Instant>,
}

struct Lease {
    id: u64,
    /// Set once its holder vanished.
    ends: Option<Instant>,
}

impl Lease {
    fn is_live(&self, now: Instant) -> bool {
        self.ends.is_none_or(|ends| now < ends)
    }
}

/// A task of the index.
pub(super) struct Found {
    pub(super) channel: ChannelKey,
    pub(super) position: u64,
    /// None: read it from the file.
    pub(super) task: Option<Arc<Task>>,
}

/// What became of an attempt to take a channel.
pub(super) enum Taken {
    /// Under this epoch, which is the lease's id too.
    Granted(u64),
    /// Another has it, or the task is gone.
    Refused,
    /// Ask again once epochs up to this one are durable.
    EpochsNeeded(u64),
}

/// What became of an attempt to raise a lease's epoch.
pub(super) enum Raised {
    To(u64),
    NotHeld,
    EpochsNeeded(u64),
}

impl Index {
    pub(super) fn new(clock: Arc<dyn Clock>, options: QueueOptions, durable_epoch: u64) -> Self {
        let state = State {
            epochs: Epochs { last: durable_epoch, durable: durable_epoch },
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            clock,
            options,
            ready: Notify::new(),
            timers: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is made whole before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes room for one more task; false if the bound is reached.
    pub(super) fn reserve(&self) -> bool {
        let mut state = self.lock();
        let has_room = state.waiting < self.options.max_waiting;
        state.waiting += usize::from(has_room);
        has_room
    }

    /// Adds a task that the file held when it was opened.
    pub(super) fn add_known(&self, position: u64, task: Arc<Task>) {
        let mut state = self.lock();
        state.waiting += 1;
        state.add(position, task, self.options.cached_bytes);
    }

    /// Adds tasks that are on disk, in the order of their positions; those without one were
    /// refused, and only give back their room.
    pub(super) fn add(&self, tasks: impl IntoIterator<Item = (Option<u64>, Arc<Task>)>) {
        let mut state = self.lock();
        let mut has_added = false;
        for (position, task) in tasks {
            match position {
                Some(position) => {
                    state.add(position, task, self.options.cached_bytes);
                    has_added = true;
                }
                None => state.waiting -= 1,
            }
        }
        drop(state);
        if has_added {
            self.ready.notify_waiters();
        }
    }

    /// Returns what is to be delivered next, and notes that it was.
    pub(super) fn deliver(&self) -> Option<Found> {
        let due = Instant::now() + self.options.redelivery;
        let mut state = self.lock();
        loop {
            let (channel, position) = state.ready.pop_front()?;
            let Some(entry) = state.entry(channel, position) else { continue };
            entry.due = Some(due);
            let task = entry.task.clone();
            self.push_redelivery(&mut state, due, channel, position);
            return Some(Found { channel, position, task });
        }
    }

    fn push_redelivery(&self, state: &mut State, due: Instant, channel: ChannelKey, position: u64) {
        state.redeliveries.push_back((due, channel, position));
        if state.redeliveries.len() == 1 {
            self.timers.notify_one();
        }
    }

    /// Takes a channel if its task still waits and nobody holds it.
    pub(super) fn take(&self, channel: ChannelKey, position: u64) -> Taken {
        let floor = u64::try_from(self.clock.now().0).unwrap_or(0).saturating_mul(1_000);
        let now = Instant::now();
        let mut state = self.lock();
        let State { channels, epochs, .. } = &mut *state;
        let Some(held) = channels.get_mut(&channel) else { return Taken::Refused };
        if !held.waiting.contains_key(&position)
            || held.lease.as_ref().is_some_and(|lease| lease.is_live(now))
        {
            return Taken::Refused;
        }
        match epochs.next(floor) {
            Ok(epoch) => {
                held.lease = Some(Lease { id: epoch, ends: None });
                Taken::Granted(epoch)
            }
            Err(needed) => Taken::EpochsNeeded(needed),
        }
    }

    /// Gives a holder a new epoch above `floor`.
    pub(super) fn raise_epoch(&self, channel: ChannelKey, lease: u64, floor: u64) -> Raised {
        let mut state = self.lock();
        if !state.holds(channel, lease) {
            return Raised::NotHeld;
        }
        match state.epochs.next(floor.saturating_add(1)) {
            Ok(epoch) => Raised::To(epoch),
            Err(needed) => Raised::EpochsNeeded(needed),
        }
    }

    /// Returns up to what the durable bound of epochs is to be raised so that `needed` may be given
    /// out, and many after it.
    pub(super) fn epochs_wanted(needed: u64) -> u64 {
        needed.saturating_add(EPOCH_BLOCK)
    }

    /// Returns the epoch for which more should be made durable before they run out, if so.
    pub(super) fn epochs_low(&self) -> Option<u64> {
        let state = self.lock();
        let Epochs { last, durable } = state.epochs;
        (durable.saturating_sub(last) < EPOCH_BLOCK / 2).then_some(last)
    }

    /// Notes that epochs up to `durable` may be given out.
    pub(super) fn epochs_are_durable(&self, durable: u64) {
        let mut state = self.lock();
        state.epochs.durable = state.epochs.durable.max(durable);
    }

    /// Returns up to `max` tasks behind `mark`; none if the lease is not held.
    pub(super) fn read(
        &self,
        channel: ChannelKey,
        lease: u64,
        mark: u64,
        max: usize,
    ) -> Option<Vec<Found>> {
        let state = self.lock();
        let held = state.channels.get(&channel)?;
        held.lease.as_ref().filter(|held| held.id == lease)?;
        let behind = held.waiting.range((Bound::Excluded(mark), Bound::Unbounded));
        Some(
            behind
                .take(max)
                .map(|(position, entry)| Found {
                    channel,
                    position: *position,
                    task: entry.task.clone(),
                })
                .collect(),
        )
    }

    /// Takes tasks out, and returns those that were there.
    pub(super) fn remove(
        &self,
        channel: ChannelKey,
        positions: impl Iterator<Item = u64>,
    ) -> Vec<u64> {
        let mut state = self.lock();
        let removed: Vec<u64> =
            positions.filter(|position| state.remove(channel, *position)).collect();
        state.tidy(channel);
        state.forget_stale_redeliveries(removed.len() * 2);
        removed
    }

    /// Frees a channel, unless something waits behind `mark`: then false. None: not held.
    pub(super) fn release(&self, channel: ChannelKey, lease: u64, mark: u64) -> Option<bool> {
        let mut state = self.lock();
        if !state.holds(channel, lease) {
            return None;
        }
        let held = state.channels.get_mut(&channel)?;
        if held.waiting.last_key_value().is_some_and(|(last, _)| *last > mark) {
            return Some(false);
        }
        held.lease = None;
        state.tidy(channel);
        Some(true)
    }

    /// Frees a channel and delivers what waits there anew; false if it was not held.
    pub(super) fn hand_over(&self, channel: ChannelKey, lease: u64) -> bool {
        let mut state = self.lock();
        if !state.holds(channel, lease) {
            return false;
        }
        state.free(channel);
        drop(state);
        self.ready.notify_waiters();
        true
    }

    /// Notes that a holder vanished: its lease ends after its time.
    pub(super) fn abandon(&self, channel: ChannelKey, lease: u64) {
        let ends = Instant::now() + self.options.lease_ttl;
        let mut state = self.lock();
        let held = state.channels.get_mut(&channel).and_then(|channel| channel.lease.as_mut());
        let Some(held) = held.filter(|held| held.id == lease) else { return };
        held.ends = Some(ends);
        state.expiries.push_back((ends, channel, lease));
        if state.expiries.len() == 1 {
            self.timers.notify_one();
        }
    }

    pub(super) fn set_active_until(&self, channel: ChannelKey, until: Option<UnixMillis>) {
        let now = self.clock.now();
        let mut state = self.lock();
        match until.filter(|until| *until > now) {
            Some(until) => {
                state.exchanges.insert(channel, until);
                if state.exchanges.len() > state.exchanges_bound {
                    state.exchanges.retain(|_, until| *until > now);
                    state.exchanges.shrink_to_fit();
                    state.exchanges_bound = state.exchanges.len() * 2 + 64;
                }
            }
            None => {
                state.exchanges.remove(&channel);
            }
        }
    }

    pub(super) fn hint(&self, channel: ChannelKey) -> Hint {
        let (now, today) = (Instant::now(), self.clock.now());
        let state = self.lock();
        let is_held = state
            .channels
            .get(&channel)
            .and_then(|channel| channel.lease.as_ref())
            .is_some_and(|lease| lease.is_live(now));
        let is_open = state.exchanges.get(&channel).is_some_and(|until| *until > today);
        if is_held || is_open { Hint::Active } else { Hint::Quiet }
    }

    /// Does what is due: ends abandoned leases, and delivers again what was not removed. Returns
    /// when something is due next.
    pub(super) fn tick(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut state = self.lock();
        let before = state.ready.len();
        while let Some((due, channel, lease)) = state.expiries.front().copied() {
            if due > now {
                break;
            }
            state.expiries.pop_front();
            if state.holds(channel, lease) {
                tracing::debug!(channel.id = %channel.channel, "a lease without a holder ended");
                state.free(channel);
            }
        }
        while let Some((due, channel, position)) = state.redeliveries.front().copied() {
            if due > now {
                break;
            }
            state.redeliveries.pop_front();
            state.redeliver(channel, position, due, now + self.options.redelivery);
        }
        state.forget_stale_redeliveries(usize::MAX);
        let next = [
            state.expiries.front().map(|(due, ..)| *due),
            state.redeliveries.front().map(|(due, ..)| *due),
        ];
        let has_ready = state.ready.len() > before;
        drop(state);
        if has_ready {
            self.ready.notify_waiters();
        }
        next.into_iter().flatten().min()
    }

    /// Returns how long a removed task's trigger is known.
    pub(super) fn dedup_window(&self) -> Duration {
        self.options.dedup_window
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }
}

impl State {
    fn entry(&mut self, channel: ChannelKey, position: u64) -> Option<&mut Entry> {
        self.channels.get_mut(&channel)?.waiting.get_mut(&position)
    }

    fn holds(&self, channel: ChannelKey, lease: u64) -> bool {
        let held = self.channels.get(&channel).and_then(|channel| channel.lease.as_ref());
        held.is_some_and(|held| held.id == lease)
    }

    fn add(&mut self, position: u64, task: Arc<Task>, cached_bytes: usize) {
        let channel = task.channel;
        let size_bytes = size_of_task(&task);
        let fits = self.cached_bytes + size_bytes <= cached_bytes;
        self.cached_bytes += if fits { size_bytes } else { 0 };
        let entry = Entry { task: fits.then_some(task), due: None };
        self.channels.entry(channel).or_default().waiting.insert(position, entry);
        self.ready.push_back((channel, position));
    }

    fn remove(&mut self, channel: ChannelKey, position: u64) -> bool {
        let Some(of) = self.channels.get_mut(&channel) else { return false };
        let Some(entry) = of.waiting.remove(&position) else { return false };
        self.waiting -= 1;
        self.cached_bytes -= entry.task.as_deref().map_or(0, size_of_task);
        true
    }

    /// Forgets a channel where nothing waits and that nobody holds.
    fn tidy(&mut self, channel: ChannelKey) {
        if self
            .channels
            .get(&channel)
            .is_some_and(|channel| channel.waiting.is_empty() && channel.lease.is_none())
        {
            self.channels.remove(&channel);
            if self.channels.capacity() > 4_096
                && self.channels.len() * 16 < self.channels.capacity()
            {
                self.channels.shrink_to(self.channels.len() * 4);
            }
        }
    }

    /// Ends a channel's lease and makes everything ready that waits there.
    fn free(&mut self, channel: ChannelKey) {
        let Some(freed) = self.channels.get_mut(&channel) else { return };
        freed.lease = None;
        for (position, entry) in &mut freed.waiting {
            // What has no due time is in `ready` already.
            if entry.due.take().is_some() {
                self.ready.push_back((channel, *position));
            }
        }
        self.tidy(channel);
    }

    /// Forgets up to `most` of the oldest redeliveries whose tasks are gone, so that what was
    /// removed takes no room until it would have been due.
    fn forget_stale_redeliveries(&mut self, most: usize) {
        for _ in 0..most {
            let Some((due, channel, position)) = self.redeliveries.front().copied() else { return };
            if self.entry(channel, position).is_some_and(|entry| entry.due == Some(due)) {
                return;
            }
            self.redeliveries.pop_front();
        }
    }

    /// Makes a task ready again that was due at `due`; later if its channel is held, because then
    /// its holder reads it.
    fn redeliver(&mut self, channel: ChannelKey, position: u64, due: Instant, later: Instant) {
        let Some(of) = self.channels.get_mut(&channel) else { return };
        let Some(entry) = of.waiting.get_mut(&position) else { return };
        if entry.due != Some(due) {
            return;
        }
        if of.lease.is_some() {
            entry.due = Some(later);
            self.redeliveries.push_back((later, channel, position));
        } else {
            entry.due = None;
            self.ready.push_back((channel, position));
        }
    }
}

impl Epochs {
    /// Gives out the next epoch, at or above `floor`; an error if it must be made durable first.
    fn next(&mut self, floor: u64) -> Result<u64, u64> {
        let next = self.last.saturating_add(1).max(floor);
        if next > self.durable {
            return Err(next);
        }
        self.last = next;
        Ok(next)
    }
}

fn size_of_task(task: &Task) -> usize {
    TASK_OVERHEAD + task.payload.len()
}

#[cfg(test)]
mod tests {
    use ery_clock::ManualClock;
    use ery_ids::TriggerId;
    use twilight_model::id::Id;

    use super::*;

    fn index(options: QueueOptions) -> (Index, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(UnixMillis(1_000)));
        let index = Index::new(Arc::clone(&clock) as Arc<dyn Clock>, options, 0);
        index.epochs_are_durable(u64::MAX);
        (index, clock)
    }

    fn channel(number: u64) -> ChannelKey {
        ChannelKey::new(Some(Id::new(1)), Id::new(number))
    }

    /// Adds a task whose position is its number.
    fn add(index: &Index, channel: ChannelKey, number: u64) {
        assert!(index.reserve());
        let task = Task {
            trigger: TriggerId::Message(Id::new(number)),
            channel,
            retry: 0,
            bot: Id::new(7),
            received_at: UnixMillis(0),
            session: None,
            traceparent: None,
            payload: vec![0; 1_000].into(),
        };
        index.add([(Some(number), Arc::new(task))]);
    }

    fn take(index: &Index, channel: ChannelKey, position: u64) -> Option<u64> {
        match index.take(channel, position) {
            Taken::Granted(lease) => Some(lease),
            Taken::Refused => None,
            Taken::EpochsNeeded(_) => panic!("all epochs are durable here"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_of_channels_where_nothing_waits() {
        let (index, clock) = index(QueueOptions::default());
        for number in 1..=10_000 {
            add(&index, channel(number), number);
            let found = index.deliver().unwrap();
            let lease = take(&index, found.channel, found.position).unwrap();
            index.set_active_until(found.channel, Some(UnixMillis(2_000)));
            assert_eq!(index.remove(found.channel, [number].into_iter()), [number]);
            assert_eq!(index.release(found.channel, lease, number), Some(true));
        }
        clock.set(UnixMillis(3_000));
        index.set_active_until(channel(1), Some(UnixMillis(4_000)));
        index.set_active_until(channel(1), None);
        index.tick();
        let state = index.lock();
        assert!(state.channels.is_empty() && state.ready.is_empty());
        assert!(state.redeliveries.is_empty() && state.expiries.is_empty());
        assert_eq!((state.waiting, state.cached_bytes), (0, 0));
        assert!(state.channels.capacity() < 8_192, "{}", state.channels.capacity());
    }

    #[tokio::test(start_paused = true)]
    async fn exchanges_that_are_over_are_swept_out() {
        let (index, clock) = index(QueueOptions::default());
        for number in 1..=10_000 {
            clock.advance(Duration::from_secs(1));
            let until = clock.now() + Duration::from_secs(10);
            index.set_active_until(channel(number), Some(until));
        }
        let kept = index.lock().exchanges.len();
        assert!(kept <= 128, "{kept} exchanges are kept where ten are open");
        assert_eq!(index.hint(channel(10_000)), Hint::Active);
        assert_eq!(index.hint(channel(1)), Hint::Quiet);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_of_a_held_channel_is_not_delivered_again_until_it_is_free() {
        let options = QueueOptions::default();
        let redelivery = options.redelivery;
        let (index, _) = index(options);
        add(&index, channel(1), 1);
        index.deliver().unwrap();
        let lease = take(&index, channel(1), 1).unwrap();
        for _ in 0..3 {
            tokio::time::advance(redelivery).await;
            assert!(index.tick().is_some());
            assert!(index.deliver().is_none());
        }
        assert_eq!(index.release(channel(1), lease, 1), Some(true));
        tokio::time::advance(redelivery).await;
        index.tick();
        assert_eq!(index.deliver().unwrap().position, 1);
        assert!(index.deliver().is_none(), "one task, two deliveries");
    }

    #[tokio::test(start_paused = true)]
    async fn a_former_holder_can_change_nothing() {
        let options = QueueOptions::default();
        let ttl = options.lease_ttl;
        let (index, _) = index(options);
        add(&index, channel(1), 1);
        let former = take(&index, channel(1), 1).unwrap();
        index.abandon(channel(1), former);
        assert!(take(&index, channel(1), 1).is_none(), "its time is not over");
        tokio::time::advance(ttl).await;
        let lease = take(&index, channel(1), 1).unwrap();
        assert!(lease > former);
        assert!(index.read(channel(1), former, 0, 10).is_none());
        assert!(index.release(channel(1), former, 1).is_none());
        assert!(!index.hand_over(channel(1), former));
        assert!(matches!(index.raise_epoch(channel(1), former, 5), Raised::NotHeld));
        index.abandon(channel(1), former);
        index.tick();
        assert_eq!(index.read(channel(1), lease, 0, 10).unwrap().len(), 1);
    }

    #[test]
    fn no_epoch_is_given_out_before_it_is_durable() {
        let mut epochs = Epochs { last: 5, durable: 7 };
        assert_eq!(epochs.next(0), Ok(6));
        assert_eq!(epochs.next(7), Ok(7));
        assert_eq!(epochs.next(0), Err(8));
        assert_eq!(epochs.next(100), Err(100));
        epochs.durable = 1_000;
        assert_eq!(epochs.next(100), Ok(100));
        assert_eq!(epochs.next(3), Ok(101));
    }
}
